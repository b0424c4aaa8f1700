"""The reader of Copilot's streams: every case that passes through natively means the same through the neutral form."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed, UpstreamRateLimited
from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.chat.reader import ChatReader
from copilot_api.protocols.chat.request import parse_request
from copilot_api.protocols.chat.writer import ChatWriter
from copilot_api.protocols.conversation import (
    Carrier,
    Finished,
    Reasoning,
    ReasoningDelta,
    ReasoningEnd,
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
from copilot_api.protocols.sse import MAX_EVENT_BYTES
from tests.protocols.chat import grammar
from tests.protocols.chat.event_order import check_order, collected
from tests.protocols.chat.test_stream import DONE, FINISH, FINISH_CALLS, ROLE, call, chunk, frame
from tests.protocols.chat.upstream_streams import Answer, Manner, answers, chunks_of, encode, manners, pieces

CASES = Path(__file__).parent.parent / "cases" / "chat"


def asks_for_several(case: Path) -> bool:
    """One answer a request is all that is translated."""
    return bool(json.loads((case / "request.json").read_bytes()).get("n", 1) > 1)


STREAMED = [path for path in sorted(CASES.iterdir()) if (path / "upstream.sse").exists() and not asks_for_several(path)]
PROPERTY = settings(derandomize=True, deadline=None, database=None)
HEAD = AnswerHead(model="the-alias", request_id="req_1", now=1_780_000_000)


def name(path: Path) -> str:
    return path.name


def read(*data: bytes) -> tuple[list[StreamEvent], GatewayError | None, ChatReader]:
    """The events, what went wrong in the end, and the reader."""
    reader = ChatReader()
    events: list[StreamEvent] = []
    for piece in data:
        events += reader.feed(piece)
    try:
        events += reader.finish()
    except GatewayError as error:
        return events, error, reader
    return events, None, reader


def whole(*data: bytes) -> list[StreamEvent]:
    events, error, _ = read(*data)
    assert error is None
    check_order(events)
    return events


def written(events: list[StreamEvent]) -> bytes:
    request = parse_request(
        b'{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}'
    )
    writer = ChatWriter(request, HEAD)
    return b"".join([writer.write(event) for event in events])


def essence(stream: bytes) -> Any:
    """What a client is left with, in the names that the writer uses."""
    chunks = [json.loads(data) for data in grammar.events(stream) if data != "[DONE]"]
    found = grammar.essence(chunks)
    texts = found["texts"]
    texts.pop("role", None)
    thought = texts.pop("reasoning_text", None)
    if thought:
        texts["reasoning_content"] = thought
    del found["usage"]
    return found


# The cases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", STREAMED, ids=name)
def test_a_case_means_the_same_as_natively(case: Path) -> None:
    events, error, _ = read((case / "upstream.sse").read_bytes())
    if (case / "error.json").exists():
        check_order(events, is_whole=False)
        assert error is not None
        expected = json.loads((case / "error.json").read_text())
        assert (error.public_code, error.actual_status) == (expected["code"], expected["status"])
        return
    assert error is None
    check_order(events)
    out = written(events)
    grammar.check(out, model="the-alias", usage=True)
    expected = essence((case / "client.sse").read_bytes())
    found = essence(out)
    for key in ("content", "reasoning_content", "reasoning_opaque", "refusal"):
        assert found["texts"].get(key) == expected["texts"].get(key), key
    assert (found["calls"], found["finish"]) == (expected["calls"], expected["finish"])


@pytest.mark.parametrize("case", STREAMED, ids=name)
def test_a_case_may_come_in_any_pieces(case: Path) -> None:
    data = (case / "upstream.sse").read_bytes()
    events, error, reader = read(data)
    one_by_one = read(*(data[place : place + 1] for place in range(len(data))))
    assert one_by_one[0] == events
    assert type(one_by_one[1]) is type(error)
    assert (one_by_one[2].usage, one_by_one[2].nano_aiu) == (reader.usage, reader.nano_aiu)
    for place in range(1, len(data), max(1, len(data) // 150)):
        found, failure, _ = read(data[:place], data[place:])
        assert found == events, place
        assert type(failure) is type(error), place


@settings(PROPERTY, max_examples=150)
@given(answer=answers(), manner=manners, cuts=st.lists(st.integers(0, 10_000), max_size=6))
def test_whatever_copilots_manner_the_answer_is_the_same(answer: Answer, manner: Manner, cuts: list[int]) -> None:
    events, error, reader = read(*pieces(encode(chunks_of(answer, manner), manner), cuts))
    assert error is None
    found = collected(events)
    said = "".join(part.text for part in found.parts if isinstance(part, Text))
    thought = "".join(part.text for part in found.parts if isinstance(part, Reasoning))
    assert (said, thought) == ("".join(answer.texts), "".join(answer.reasoning))
    calls = [part for part in found.parts if isinstance(part, ToolCall)]
    assert [(part.id, part.name) for part in calls] == [(part.id, part.name) for part in answer.calls]
    assert reader.nano_aiu == answer.nano_aiu


# Order --------------------------------------------------------------------------------------------------------------


def test_the_usual_text() -> None:
    events = whole(ROLE, chunk({"content": "Hel"}), chunk({"content": "lo"}), FINISH, DONE)
    assert events == [Started(), TextDelta("Hel"), TextDelta("lo"), Finished(StopReason.END)]


def test_pitfall_071_interleaved_calls_come_one_after_the_other() -> None:
    a, b = {"index": 0}, {"index": 1}
    events = whole(
        ROLE,
        chunk(call(**a, id="a", function={"name": "f", "arguments": ""})),
        chunk(call(**b, id="b", function={"name": "g", "arguments": ""})),
        chunk(call(**a, function={"arguments": '{"x":'})),
        chunk(call(**b, function={"arguments": '{"y":'})),
        chunk(call(**a, function={"arguments": "1}"})),
        chunk(call(**b, function={"arguments": "2}"})),
        FINISH_CALLS,
    )
    assert events == [
        Started(),
        ToolStart("a", "f"), ToolDelta('{"x":'), ToolDelta("1}"), ToolEnd(),
        ToolStart("b", "g"), ToolDelta('{"y":'), ToolDelta("2}"), ToolEnd(),
        Finished(StopReason.TOOL_CALLS),
    ]  # fmt: skip


def test_calls_that_come_one_after_the_other_are_not_held_back() -> None:
    reader = ChatReader()
    reader.feed(ROLE + chunk(call(index=0, id="a", function={"name": "f", "arguments": "{}"})))
    events = reader.feed(chunk(call(index=1, id="b", function={"name": "g", "arguments": '{"x"'})))
    assert events == [ToolEnd(), ToolStart("b", "g"), ToolDelta('{"x"')]


def test_pitfall_070_text_between_two_calls_stands_between_them() -> None:
    answer = collected(
        whole(
            ROLE,
            chunk(call(index=0, id="a", function={"name": "f", "arguments": "{}"})),
            chunk({"content": "and "}),
            chunk({"content": " "}),
            chunk({"content": "now"}),
            chunk(call(index=1, id="b", function={"name": "g", "arguments": "{}"})),
            FINISH_CALLS,
        )
    )
    assert answer.parts == (
        ToolCall(id="a", name="f", arguments="{}"),
        Text("and  now"),
        ToolCall(id="b", name="g", arguments="{}"),
    )


def test_blanks_between_calls_are_no_text_and_text_waits_for_a_call_to_end() -> None:
    events = whole(
        ROLE,
        chunk(call(index=0, id="a", function={"name": "f", "arguments": '{"x":'})),
        chunk({"content": "\n"}),
        chunk({"content": "so"}),
        chunk({"reasoning_text": "hm"}),
        chunk(call(index=0, function={"arguments": "1}"})),
        FINISH_CALLS,
    )
    assert collected(events).parts == (
        ToolCall(id="a", name="f", arguments='{"x":1}'),
        Text("so"),
        Reasoning("hm"),
    )


def test_pitfall_072_id_name_and_arguments_may_come_in_any_order() -> None:
    events = whole(
        ROLE,
        chunk(call(index=0, id="a")),
        chunk(call(index=0, function={"arguments": '{"x"'})),
        chunk(call(index=0, function={"name": "f"})),
        chunk(call(index=0, function={"arguments": ":1}"})),
        FINISH_CALLS,
    )
    assert collected(events).parts == (ToolCall(id="a", name="f", arguments='{"x":1}'),)


def test_pitfall_085_an_opaque_that_comes_late_is_a_stretch_of_its_own() -> None:
    events = whole(
        ROLE,
        chunk({"reasoning_text": "hm"}),
        chunk({"content": "Hi"}),
        chunk({"reasoning_opaque": "sig"}),
        chunk({"reasoning_opaque": "sig"}),
        FINISH,
    )
    assert events == [
        Started(), ReasoningDelta("hm"), ReasoningEnd(), TextDelta("Hi"), ReasoningEnd(Carrier(kind="ro", data="sig")),
        Finished(StopReason.END),
    ]  # fmt: skip


@pytest.mark.parametrize("field", ["reasoning_text", "reasoning_content", "reasoning", "cot_summary"])
def test_reasoning_has_many_names(field: str) -> None:
    events = whole(ROLE, chunk({field: "hm"}), chunk({"reasoning_opaque": "sig"}), chunk({"content": "Hi"}), FINISH)
    assert events[1:4] == [ReasoningDelta("hm"), ReasoningEnd(Carrier(kind="ro", data="sig")), TextDelta("Hi")]


def test_pitfall_125_an_answer_of_nothing_but_reasoning_ends_well() -> None:
    events = whole(ROLE, chunk({"reasoning_text": "hm"}), FINISH, DONE)
    assert events == [Started(), ReasoningDelta("hm"), ReasoningEnd(), Finished(StopReason.END)]


def test_reasoning_may_come_after_the_finish() -> None:
    events = whole(ROLE, chunk({"content": "Hi"}), FINISH, chunk({"reasoning_opaque": "sig"}), DONE)
    assert events[-2] == ReasoningEnd(Carrier(kind="ro", data="sig"))


# Calls --------------------------------------------------------------------------------------------------------------


def test_pitfall_116_one_id_at_two_indices_is_one_call() -> None:
    events = whole(
        ROLE,
        chunk(call(index=0, id="a", function={"name": "f", "arguments": '{"x"'})),
        chunk(call(index=1, id="a", function={"arguments": ":1}"})),
        FINISH_CALLS,
    )
    assert collected(events).parts == (ToolCall(id="a", name="f", arguments='{"x":1}'),)


@pytest.mark.parametrize("again", [{"name": "f"}, {"name": "f", "arguments": '{"x":1}'}, {"arguments": '{"x":1}'}])
def test_pitfall_117_nothing_that_is_said_again_is_doubled(again: dict[str, str]) -> None:
    events = whole(
        ROLE,
        chunk(call(index=0, id="a", function={"name": "f", "arguments": ""})),
        chunk(call(index=0, function={"arguments": '{"x":1}'})),
        chunk(call(index=0, id="a", function=again)),
        FINISH_CALLS,
    )
    assert collected(events).parts == (ToolCall(id="a", name="f", arguments='{"x":1}'),)


def test_pitfall_118_a_new_id_on_a_used_index_is_another_call_and_a_bare_piece_belongs_to_the_last() -> None:
    events = whole(
        ROLE,
        chunk(call(index=0, id="a", function={"name": "f", "arguments": "{}"})),
        chunk(call(index=0, id="b", function={"name": "g", "arguments": '{"x"'})),
        chunk(call(function={"arguments": ":1}"})),
        FINISH_CALLS,
    )
    assert collected(events).parts == (
        ToolCall(id="a", name="f", arguments="{}"),
        ToolCall(id="b", name="g", arguments='{"x":1}'),
    )


@pytest.mark.parametrize("arguments", ["", None, " ", "{}"])
def test_pitfall_065_a_call_without_arguments_has_an_empty_object(arguments: str | None) -> None:
    events = whole(ROLE, chunk(call(index=0, id="a", function={"name": "f", "arguments": arguments})), FINISH_CALLS)
    [part] = collected(events).parts
    assert isinstance(part, ToolCall)
    assert json.loads(part.arguments) == {}


def test_whole_calls_without_ids_get_ids_that_are_the_same_each_time_and_differ_between_answers() -> None:
    calls = [chunk(call(function={"name": "f", "arguments": json.dumps({"x": number})})) for number in (1, 2)]
    first, again = whole(*calls, FINISH_CALLS), whole(*calls, FINISH_CALLS)
    assert first == again
    ids = [event.id for event in first if isinstance(event, ToolStart)]
    assert len(set(ids)) == 2
    bare = [
        frame({"choices": [{"index": 0, "delta": call(function={"name": "f", "arguments": text})}]})
        for text in ("{}", '{"x":1}')
    ]
    others = [event.id for data in bare for event in whole(data, FINISH_CALLS) if isinstance(event, ToolStart)]
    assert len(set(others)) == 2


def test_the_old_function_call_is_a_call() -> None:
    events = whole(
        ROLE,
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"x":1}'}}),
        chunk({}, finish_reason="function_call"),
    )
    [part] = collected(events).parts
    assert isinstance(part, ToolCall)
    assert (part.name, part.arguments) == ("f", '{"x":1}')


def test_pitfall_086_arguments_of_nothing_but_blanks_are_cut_off() -> None:
    """The model writes line ends and tabs until its limit; what was said before is handed out."""
    start = [ROLE, chunk({"content": "Hi"}), chunk(call(index=0, id="a", function={"name": "f", "arguments": '{"x":'}))]
    events, error, reader = read(*start, *[chunk(call(index=0, function={"arguments": "\n\t"}))] * 30)
    assert isinstance(error, UpstreamFailed)
    assert reader.failure is error
    check_order(events, is_whole=False)
    text = chunk(call(index=0, function={"arguments": json.dumps("\n\t" * 60) + "}"}))
    assert isinstance(whole(*start, text, FINISH_CALLS)[-1], Finished)


# The end ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "has_call", "stop"),
    [
        ("stop", False, StopReason.END), ("stop", True, StopReason.TOOL_CALLS), ("tool_calls", True, StopReason.TOOL_CALLS),
        ("tool_calls", False, StopReason.END), ("function_call", True, StopReason.TOOL_CALLS), ("length", False, StopReason.LENGTH),
        ("length", True, StopReason.LENGTH), ("content_filter", False, StopReason.FILTERED), ("something", False, StopReason.END),
        ("something", True, StopReason.TOOL_CALLS),
    ],
)  # fmt: skip
def test_pitfall_053_a_call_that_was_made_counts_more_than_the_word_for_the_end(
    reason: str, has_call: bool, stop: StopReason
) -> None:
    made = [chunk(call(index=0, id="a", function={"name": "f", "arguments": "{}"}))] if has_call else []
    events = whole(ROLE, chunk({"content": "Hi"}), *made, chunk({}, finish_reason=reason), DONE)
    assert events[-1] == Finished(stop)


def test_a_finish_without_done_is_an_end_and_done_without_a_finish_is_none() -> None:
    assert whole(ROLE, chunk({"content": "Hi"}), FINISH)[-1] == Finished(StopReason.END)
    events, error, _ = read(ROLE, chunk({"content": "Hi"}), DONE)
    assert isinstance(error, UpstreamCut)
    check_order(events, is_whole=False)


def test_what_comes_after_done_is_nothing() -> None:
    assert whole(ROLE, FINISH, DONE, chunk({"content": "more"}), DONE) == [Started(), Finished(StopReason.END)]
    assert whole(ROLE + FINISH + DONE + chunk({"content": "more"})) == [Started(), Finished(StopReason.END)]


def test_pitfall_062_usage_counts_wherever_it_rides() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 9,
        "total_tokens": 19,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    bill = {"token_details": [{"token_type": "cache_write", "token_count": 2}], "total_nano_aiu": 7}
    expected = Usage(input_tokens=10, output_tokens=9, cache_read_tokens=4, cache_write_tokens=2)
    for tail in (
        [chunk({}, finish_reason="stop", usage=usage, copilot_usage=bill)],
        [FINISH, frame({"choices": [], "usage": usage}), frame({"choices": [], "copilot_usage": bill})],
        [frame({"choices": [], "copilot_usage": bill, "usage": usage}), FINISH],
    ):
        events, error, reader = read(ROLE, chunk({"content": "Hi"}), *tail, DONE)
        assert error is None
        assert events[-1] == Finished(StopReason.END, expected)
        assert (reader.usage, reader.nano_aiu) == (expected, 7)


def test_what_the_total_has_beyond_its_parts_is_geminis_reasoning() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 40}
    events = whole(ROLE, FINISH, frame({"choices": [], "usage": usage}), DONE)
    assert events[-1] == Finished(StopReason.END, Usage(input_tokens=10, output_tokens=30))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 500, "message": "failed"}, UpstreamFailed),
        ({"code": "rate_limited", "message": "slow down"}, UpstreamRateLimited),
        ("text", UpstreamFailed),
    ],
)
def test_an_error_in_the_stream_is_a_failure_after_what_came_before(error: Any, kind: type[GatewayError]) -> None:
    events, failure, reader = read(ROLE + chunk({"content": "Hi"}) + frame({"choices": None, "error": error}))
    assert events == [Started(), TextDelta("Hi")]
    assert type(failure) is kind
    assert reader.failure is failure


def test_an_upstream_that_gives_up_has_failed() -> None:
    _, error, _ = read(ROLE, chunk({"content": "Hi"}, finish_reason="error"))
    assert isinstance(error, UpstreamFailed)


@pytest.mark.parametrize(
    "odd",
    [
        frame({"choices": [], "prompt_filter_results": [{}]}), frame({"choices": None}), frame({"id": "x"}), chunk(None),
        frame({"choices": [None]}), frame({"choices": [{"index": "x", "delta": []}]}), frame({"choices": [{"delta": {"content": 5}}]}),
        b": comment\n\n", b"data:\n\n", frame({"choices": [], "usage": "x", "copilot_usage": []}),
        frame({"choices": [{"index": 0, "delta": {"tool_calls": [None, 5, {}]}}]}),
    ],
)  # fmt: skip
def test_pitfall_082_odd_chunks_break_nothing(odd: bytes) -> None:
    events = whole(odd, ROLE, odd, chunk({"content": "Hi"}), FINISH, DONE)
    assert [event for event in events if isinstance(event, TextDelta)] == [TextDelta("Hi")]


def test_pitfall_082_a_page_instead_of_an_event_is_a_failure() -> None:
    _, error, _ = read(ROLE, b"data: <html>\n\n")
    assert isinstance(error, UpstreamFailed)
    _, error, _ = read(ROLE, b"data: [1]\n\n")
    assert isinstance(error, UpstreamFailed)


def test_content_as_parts_and_half_a_surrogate_pair_are_read() -> None:
    events = whole(
        ROLE,
        chunk({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}),
        b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n',
        FINISH,
    )
    assert events[1:3] == [TextDelta("ab"), TextDelta("?")]


def test_an_event_without_end_is_a_failure() -> None:
    reader = ChatReader()
    reader.feed(b"data: ")
    assert reader.feed(b"x" * (MAX_EVENT_BYTES + 1)) == []
    with pytest.raises(UpstreamFailed):
        reader.finish()


@settings(PROPERTY, max_examples=300)
@given(
    data=st.lists(
        st.one_of(st.binary(max_size=30), st.sampled_from([ROLE, FINISH, DONE, b"\n\n", b"data: "])), max_size=6
    )
)
def test_any_bytes_give_events_or_a_gateway_error(data: list[bytes]) -> None:
    events, error, _ = read(*data)
    check_order(events, is_whole=error is None)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["choices", "index", "delta", "message", "content", "tool_calls", "function", "name", "arguments", "id",
                 "finish_reason", "usage", "copilot_usage", "prompt_tokens", "reasoning_opaque", "refusal", "error", "x"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(PROPERTY, max_examples=300)
@given(
    documents=st.lists(
        st.one_of(JSON, st.builds(lambda value: {"choices": [{"index": 0, "delta": value}]}, JSON)), max_size=4
    )
)
def test_any_json_gives_events_or_a_gateway_error(documents: list[Any]) -> None:
    events, error, _ = read(*(frame(document) for document in documents), FINISH)
    check_order(events, is_whole=error is None)
