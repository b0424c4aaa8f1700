"""The stream as neutral events: their order holds whatever comes, and nothing is lost or said twice."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed
from copilot_api.protocols.base import Usage
from copilot_api.protocols.conversation import (
    Carrier,
    Collector,
    Finished,
    Reasoning,
    ReasoningDelta,
    ReasoningEnd,
    Refusal,
    RefusalDelta,
    Started,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolDelta,
    ToolEnd,
    ToolStart,
)
from copilot_api.protocols.messages.reader import MessagesReader
from copilot_api.protocols.sse import MAX_EVENT_BYTES
from tests.protocols.messages.upstream_events import (
    CASES,
    DONE,
    PING,
    STOP,
    close_block,
    delta,
    ending,
    event,
    open_block,
    same_however_cut,
    start,
    text_block,
    tool_block,
)

_LETTERS = {
    Started: "S", ReasoningDelta: "r", ReasoningEnd: "R", TextDelta: "t", RefusalDelta: "f", ToolStart: "(",
    ToolDelta: "a", ToolEnd: ")", Finished: "F",
}  # fmt: skip
_ORDER = re.compile(r"S(?:r*R|t|f|\(a*\))*F")
_PREFIX = re.compile(r"(?:S(?:r*R|t|f|\(a*\))*(?:r+|\(a*)?F?)?")


def read(pieces: list[bytes]) -> tuple[list[StreamEvent], GatewayError | None, MessagesReader]:
    reader = MessagesReader()
    out: list[StreamEvent] = []
    for piece in pieces:
        out += reader.feed(piece)
    try:
        out += reader.finish()
    except GatewayError as error:
        return out, error, reader
    return out, None, reader


def letters(events: list[StreamEvent]) -> str:
    return "".join(_LETTERS[type(one)] for one in events)


def events(*pieces: bytes) -> list[StreamEvent]:
    """The events of an answer that ends well."""
    found, error, _ = read([b"".join(pieces)])
    assert error is None
    assert _ORDER.fullmatch(letters(found))
    return found


def parts(*pieces: bytes) -> tuple[Any, ...]:
    collector = Collector()
    collector.add(events(*pieces))
    return collector.answer().parts


def outcome(pieces: list[bytes]) -> Any:
    """What comes of a stream, however it was cut."""
    found, error, reader = read(pieces)
    return found, error and (type(error), error.message), reader.usage, reader.nano_aiu


def case(name: str) -> bytes:
    return (CASES / "messages_upstream" / name / "upstream.sse").read_bytes()


# Recorded streams ---------------------------------------------------------------------------------------------------


def test_text_and_a_call() -> None:
    found, error, usage, nano_aiu = same_however_cut(case("messages"), outcome)
    expected = Usage(input_tokens=569, output_tokens=54)
    assert found == [
        Started(Usage(input_tokens=569, output_tokens=21)),
        TextDelta("Checking"),
        TextDelta(" Paris."),
        ToolStart("toolu_bdrk_01SampleToolCCCC", "get_weather"),
        ToolDelta('{"'),
        ToolDelta('city": "P'),
        ToolDelta('aris"}'),
        ToolEnd(),
        Finished(StopReason.TOOL_CALLS, expected),
    ]
    assert (error, usage, nano_aiu) == (None, expected, 251700000)


def test_thinking_that_is_signed_and_thinking_that_is_redacted() -> None:
    found, error, usage, _ = same_however_cut(case("messages_thinking"), outcome)
    text = "17*20 is 340, plus 51 is 391."
    assert found[1:6] == [
        ReasoningDelta("17*20 is 340,"),
        ReasoningDelta(" plus 51 is 391."),
        ReasoningEnd(Carrier(kind="an", data="EswBCmcIDxABGAIqQGSampleSignatureAAAABBBBCCCC==", text=text)),
        ReasoningEnd(Carrier(kind="rd", data="EmwKAhgBSampleRedactedThinkingData==")),
        TextDelta("17 x 23 = 391"),
    ]
    assert error is None
    assert usage == Usage(input_tokens=5122, output_tokens=62, cache_read_tokens=5071, reasoning_tokens=30)


def test_a_refusal_says_why() -> None:
    found, error, _, _ = same_however_cut(case("messages_refusal"), outcome)
    assert found[1:] == [
        RefusalDelta("sample explanation"),
        Finished(StopReason.FILTERED, Usage(input_tokens=2167, output_tokens=1)),
    ]
    assert error is None


def test_an_error_inside_the_stream_is_its_failure() -> None:
    found, error, _, _ = same_however_cut(case("messages_midstream_error"), outcome)
    assert found == [Started(Usage(input_tokens=16, output_tokens=1)), TextDelta("Par")]
    assert error == (UpstreamFailed, "Overloaded")
    reader = MessagesReader()
    reader.feed(case("messages_midstream_error"))
    assert reader.failure is not None
    assert reader.failure.actual_status == 503


# Rules --------------------------------------------------------------------------------------------------------------


def test_pitfall_041_a_done_after_the_end_means_nothing() -> None:
    assert events(start(), text_block(0, "a"), ending(), STOP, DONE, text_block(1, "late"), DONE)[-1] == Finished(
        StopReason.END, Usage(input_tokens=5, output_tokens=7)
    )


def test_pitfall_065_a_call_without_arguments_has_an_empty_object() -> None:
    assert parts(start(), tool_block(0), ending("tool_use"), STOP) == (
        ToolCall(id="toolu_0", name="get", arguments="{}"),
    )


def test_the_input_of_a_start_counts_where_no_arguments_follow() -> None:
    assert parts(start(), tool_block(0, input={"a": 1}), ending(), STOP)[0].arguments == '{"a":1}'
    assert parts(start(), tool_block(0, '{"b"', ":2}", input={"a": 1}), ending(), STOP)[0].arguments == '{"b":2}'


def test_a_call_without_an_id_gets_one_that_no_other_has() -> None:
    calls = parts(start(), tool_block(0, id=""), tool_block(1, id=None), ending(), STOP)
    assert len({call.id for call in calls}) == 2
    assert calls == parts(start(), tool_block(0, id=""), tool_block(1, id=None), ending(), STOP)


def test_pitfall_119_later_usage_replaces_earlier() -> None:
    found = events(
        start(input_tokens=8834),
        ending(usage={"input_tokens": 18, "cache_read_input_tokens": 8831, "output_tokens": 3}),
        STOP,
    )
    assert found == [
        Started(Usage(input_tokens=8834, output_tokens=1)),
        Finished(StopReason.END, Usage(input_tokens=8849, output_tokens=3, cache_read_tokens=8831)),
    ]


def test_pitfall_053_an_end_after_calls_is_for_the_tools() -> None:
    assert events(start(), tool_block(0), ending("end_turn"), STOP)[-1].stop is StopReason.TOOL_CALLS  # type: ignore[union-attr]


def test_what_a_server_side_tool_does_is_left_out() -> None:
    server = open_block(0, type="server_tool_use", id="s", name="web_search", input={})
    result = open_block(1, type="web_search_tool_result", content=[{"type": "text", "text": "x"}]) + close_block(1)
    query = delta(0, "input_json_delta", partial_json='{"q":1}') + delta(0, "text_delta", text="no")
    assert parts(start(), server, query, close_block(0), result, text_block(2, "a"), ending(), STOP) == (Text("a"),)


def test_pings_and_unknown_events_and_empty_deltas_mean_nothing() -> None:
    odd = event("something_new", delta=3) + event("content_block_delta", delta={"type": "citations_delta"}, index=0)
    assert parts(PING, start(), PING, odd, text_block(0, "", "a"), ending(), STOP) == (Text("a"),)


def test_a_start_that_never_came_and_a_stop_that_never_came() -> None:
    assert parts(
        start(), delta(0, "thinking_delta", thinking="hm"), delta(0, "signature_delta", signature="s"),
        delta(1, "text_delta", text="a"), tool_block(2), delta(3, "text_delta", text="b"), ending(), STOP,
    ) == (
        Reasoning("hm", Carrier(kind="an", data="s", text="hm")), Text("a"),
        ToolCall(id="toolu_2", name="get", arguments="{}"), Text("b"),
    )  # fmt: skip


def test_what_a_block_begins_with_is_part_of_it() -> None:
    thinking = open_block(0, type="thinking", thinking="h", signature="s") + delta(0, "thinking_delta", thinking="m")
    text = open_block(1, type="text", text="a") + delta(1, "text_delta", text="b")
    assert parts(start(), thinking, close_block(0), text, close_block(1), ending(), STOP) == (
        Reasoning("hm", Carrier(kind="an", data="s", text="hm")),
        Text("ab"),
    )


def test_thinking_whose_text_is_left_out_still_has_its_carrier() -> None:
    block = open_block(0, type="thinking", thinking="", signature="") + delta(0, "signature_delta", signature="s")
    assert parts(start(), block, close_block(0), ending(), STOP) == (Reasoning("", Carrier(kind="an", data="s")),)


def test_thinking_without_a_signature_has_no_carrier() -> None:
    block = open_block(0, type="thinking", thinking="") + delta(0, "thinking_delta", thinking="hm") + close_block(0)
    assert parts(start(), block, ending(), STOP) == (Reasoning("hm", None),)


def test_a_refusal_after_text_keeps_the_text_only() -> None:
    end = ending(delta={"stop_reason": "refusal", "stop_details": {"explanation": "no"}})
    assert parts(start(), text_block(0, "so far"), end, STOP) == (Text("so far"),)
    assert parts(start(), end, STOP) == (Refusal("no"),)


def test_an_answer_without_its_first_event_is_one_all_the_same() -> None:
    assert parts(text_block(0, "a"), ending(), STOP) == (Text("a"),)
    assert parts(start(), start(), text_block(0, "a"), ending(), STOP) == (Text("a"),)


def test_the_name_of_an_event_stands_in_for_its_type() -> None:
    last = events(start(), text_block(0, "a"), ending(), b"event: message_stop\ndata: {}\n\n")[-1]
    assert last == Finished(StopReason.END, Usage(input_tokens=5, output_tokens=7))


def test_a_named_stop_sequence() -> None:
    end = ending(delta={"stop_reason": "stop_sequence", "stop_sequence": "X"})
    assert events(start(), end, ending(None), STOP)[-1] == Finished(
        StopReason.STOP_SEQUENCE, Usage(input_tokens=5, output_tokens=7), "X"
    )


@pytest.mark.parametrize("tail", [b"", DONE, STOP.rstrip(b"\n"), b"event: message_stop\ndata: {"])
def test_an_answer_that_has_told_why_it_ends_is_complete(tail: bytes) -> None:
    found, error, _ = read([start() + text_block(0, "a") + ending() + tail])
    assert error is None
    assert _ORDER.fullmatch(letters(found))


@pytest.mark.parametrize("tail", [b"", DONE, ending(None), b"event: message_delta\ndata: {", close_block(0)])
def test_pitfall_083_an_answer_that_breaks_off_is_cut(tail: bytes) -> None:
    found, error, reader = read([start() + open_block(0, type="text") + delta(0, "text_delta", text="a") + tail])
    assert isinstance(error, UpstreamCut)
    assert not any(isinstance(one, Finished) for one in found)
    assert reader.usage is not None


@pytest.mark.parametrize(
    "bad",
    [
        b"data: <html>\n\n",
        b"event: content_block_delta\ndata: {\n\n",
        delta(1, "text_delta", text="x").replace(b'"x"', b'"\xff"'),
        delta(1, "text_delta", text="x").replace(b'"x"', b'"\\ud800"'),
        b"data: [1]\n\n",
        b"event: error\ndata: {}\n\n",
        b'data: {"error":"boom"}\n\n',
        open_block(1, type="tool_use", id="x"),
        delta(1, "input_json_delta", partial_json="{"),
        tool_block(1) + delta(1, "input_json_delta", partial_json="{"),
    ],
)
def test_what_cannot_be_read_is_a_failure_and_the_rest_is_kept(bad: bytes) -> None:
    found, error, reader = read([start() + text_block(0, "a") + bad + STOP])
    assert isinstance(error, UpstreamFailed)
    assert reader.failure is error
    assert TextDelta("a") in found


def test_an_event_that_does_not_end_is_a_failure() -> None:
    reader = MessagesReader()
    assert reader.feed(b"data: " + b"x" * MAX_EVENT_BYTES) == []
    assert isinstance(reader.failure, UpstreamFailed)


def test_pitfall_102_line_separators_inside_a_delta_stay() -> None:
    raw = 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\u2028b"}}\n\n'
    assert parts(start(), raw.encode(), ending(), STOP) == (Text("a\u2028b"),)


KINDS = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
]
WORDS = [*KINDS, "text_delta", "thinking_delta", "input_json_delta", "signature_delta", "tool_use", "text", "x"]
VALUES: st.SearchStrategy[Any] = st.none() | st.integers(0, 2) | st.sampled_from(WORDS) | st.booleans()
FIELDS = [
    "type",
    "text",
    "thinking",
    "partial_json",
    "signature",
    "id",
    "name",
    "input",
    "data",
    "stop_reason",
    "usage",
]
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS) | VALUES},
    optional={
        "index": VALUES,
        "delta": OBJECTS | VALUES,
        "content_block": OBJECTS,
        "message": OBJECTS,
        "error": VALUES,
    },
)


@settings(derandomize=True, deadline=None, database=None, max_examples=120)
@given(st.lists(EVENTS, max_size=8), st.booleans())
def test_any_events_keep_the_order_or_fail(documents: list[Any], is_named: bool) -> None:
    frames = [
        (f"event: {one['type']}\n".encode() if is_named else b"") + b"data: " + msgspec.json.encode(one) + b"\n\n"
        for one in documents
    ]
    found, error, _ = read(frames)
    word = letters(found)
    assert (_PREFIX if error else _ORDER).fullmatch(word), word


@settings(derandomize=True, deadline=None, database=None)
@given(
    st.lists(
        st.binary(max_size=30) | st.sampled_from([start(), PING, STOP, b"data: ", b"\n\n", b"{", b"event: error\n"])
    )
)
def test_any_bytes_are_events_or_a_failure(pieces: list[bytes]) -> None:
    found, error, _ = read(pieces)
    assert (_PREFIX if error else _ORDER).fullmatch(letters(found))
