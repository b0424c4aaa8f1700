"""A streamed answer: its grammar, what Anthropic's package makes of it, and that a whole answer says the same."""

import json
import time
from typing import Any

import anthropic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import LimitReached, RateLimited, UpstreamCut, UpstreamFailed, UpstreamRateLimited
from copilot_api.protocols import carriers
from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.conversation import (
    Answer,
    AnswerPart,
    Carrier,
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
from copilot_api.protocols.messages.response import render_answer
from copilot_api.protocols.messages.writer import PING, MessagesWriter
from tests.protocols.messages import grammar
from tests.protocols.messages.client_calls import CARRIER, CASES, GOLDEN, HEAD, MODEL, USAGE, request, wrote

PROPERTY = settings(derandomize=True, deadline=None, database=None)
HIDES = request(thinking={"type": "adaptive", "display": "omitted"})
END = Finished(StopReason.END, USAGE)
CALLED = Finished(StopReason.TOOL_CALLS, USAGE)


def checked(*events: StreamEvent, asked: Any = None) -> list[grammar.Event]:
    return grammar.check(wrote([Started(), *events], asked), model=MODEL)


def blocks(*events: StreamEvent, asked: Any = None) -> list[tuple[str, str]]:
    """Each block's type, and all that its deltas brought."""
    found: list[tuple[str, str]] = []
    for event in checked(*events, asked=asked):
        if event["type"] == "content_block_start":
            found.append((event["content_block"]["type"], event["content_block"].get("data", "")))
        elif event["type"] == "content_block_delta":
            [text] = [value for name, value in event["delta"].items() if name not in {"type", "signature"}] or [""]
            found[-1] = (found[-1][0], found[-1][1] + text)
    return found


def call(*pieces: str, call_id: str = "t", name: str = "f", is_custom: bool = False) -> list[StreamEvent]:
    return [ToolStart(call_id, name, is_custom), *map(ToolDelta, pieces), ToolEnd()]


# The whole --------------------------------------------------------------------------------------------------------


def golden_events() -> list[StreamEvent]:
    return [
        Started(Usage(input_tokens=10, cache_read_tokens=4)),
        ReasoningDelta("Hm"), ReasoningEnd(CARRIER), TextDelta("Hi"), *call('{"a"', ":1}", call_id="call_1"), CALLED,
    ]  # fmt: skip


def test_the_golden_answer() -> None:
    expected = (CASES / "golden.sse").read_bytes()
    assert wrote(golden_events()) == expected
    grammar.check(expected, model=MODEL)


def test_pitfall_062_stream_and_whole_say_the_same() -> None:
    whole = grammar.parse_whole(render_answer(GOLDEN, request(), HEAD))
    assert grammar.accumulate(wrote(golden_events())) == whole
    assert grammar.accumulate(wrote(GOLDEN)) == whole


def test_the_same_answer_is_the_same_bytes() -> None:
    assert wrote(GOLDEN) == wrote(GOLDEN)


TEXTS = st.text(min_size=1, max_size=8)
ARGUMENTS = st.sampled_from(["", "{}", '{"a":1}', '{"a": "é\\n"}', "[1]", '"{\\"a\\":1}"', "x", "1", "null", " "])
CARRIERS = st.sampled_from(
    [None, CARRIER, Carrier(kind="ro", data="d"), Carrier(kind="an", data="c2ln"), Carrier(kind="an", data="c2ln", text="all"), Carrier(kind="rd", data="ZA=="), Carrier(kind="an", data="")]
)  # fmt: skip
PARTS: st.SearchStrategy[AnswerPart] = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(Refusal, TEXTS),
    st.builds(Reasoning, st.just(""), CARRIERS),
    st.builds(Reasoning, st.just("all"), CARRIERS),
    st.builds(ToolCall, id=st.sampled_from(["", "t"]), name=st.just("f"), arguments=ARGUMENTS, is_custom=st.booleans()),
)
STOPS = st.sampled_from([stop for stop in StopReason if stop is not StopReason.LENGTH])


@PROPERTY
@given(st.lists(PARTS, max_size=5), STOPS, st.booleans())
def test_any_answer_keeps_the_grammar_and_equals_its_whole(
    parts: list[AnswerPart], stop: StopReason, hides: bool
) -> None:
    answer = Answer(
        parts=tuple(parts), stop=stop, usage=USAGE, stop_sequence="#" if stop is StopReason.STOP_SEQUENCE else None
    )
    asked = HIDES if hides else request()
    stream = wrote(answer, asked)
    grammar.check(stream, model=MODEL)
    assert grammar.accumulate(stream) == grammar.parse_whole(render_answer(answer, asked, HEAD))


# Beginning --------------------------------------------------------------------------------------------------------


def test_pitfall_073_the_message_begins_once_and_a_ping_follows() -> None:
    found = checked(Started(), TextDelta("x"), END)
    assert [event["type"] for event in found[:3]] == ["message_start", "ping", "content_block_start"]


def test_a_stream_whose_start_nobody_told_begins_all_the_same() -> None:
    grammar.check(wrote([TextDelta("x"), END]), model=MODEL)


def test_pitfall_075_the_input_is_told_first_as_far_as_it_is_known() -> None:
    assert checked(END)[0]["message"]["usage"]["input_tokens"] == HEAD.input_estimate
    told = grammar.events(wrote([Started(USAGE)]))[0]["message"]["usage"]
    assert (told["input_tokens"], told["cache_read_input_tokens"], told["output_tokens"]) == (6, 4, 9)
    unknown = grammar.events(wrote([Started(Usage(output_tokens=3))]))[0]["message"]["usage"]
    assert (unknown["input_tokens"], unknown["output_tokens"]) == (HEAD.input_estimate, 3)


def test_keep_alives_are_pings_only_inside_a_message() -> None:
    writer = MessagesWriter(request(), HEAD)
    assert writer.keep_alive() == b": keep-alive\n\n"
    assert writer.keep_alive("queued: place 3") == b": queued: place 3\n\n"
    stream = writer.keep_alive("a\nb") + writer.write(Started()) + writer.keep_alive() + writer.write(TextDelta("x"))
    assert writer.keep_alive() == writer.keep_alive("queued: place 3") == PING
    stream += writer.keep_alive() + writer.write(END)
    assert writer.keep_alive("x") == writer.keep_alive() == b""
    assert len([event for event in grammar.check(stream, model=MODEL) if event["type"] == "ping"]) == 3
    assert grammar.accumulate(stream)["content"][0]["text"] == "x"


def test_pitfall_066_the_model_is_called_as_the_caller_called_it() -> None:
    head = AnswerHead(model='my "alias"', request_id="r", now=1)
    grammar.check(wrote(GOLDEN, head=head), model='my "alias"')


# Blocks -----------------------------------------------------------------------------------------------------------


def test_pitfall_067_thought_comes_first_when_it_comes_first() -> None:
    assert blocks(ReasoningDelta("a"), ReasoningDelta("b"), ReasoningEnd(), TextDelta("x"), END) == [
        ("thinking", "ab"),
        ("text", "x"),
    ]


def test_pitfall_068_a_call_may_come_first() -> None:
    assert blocks(*call("{}"), CALLED) == [("tool_use", "{}")]


def test_pitfall_069_no_first_delta_is_lost() -> None:
    events: list[StreamEvent] = [
        ReasoningDelta("a"),
        ReasoningDelta("b"),
        ReasoningEnd(CARRIER),
        TextDelta("c"),
        TextDelta("d"),
        *call('{"e":', "1}"),
        CALLED,
    ]
    assert blocks(*events) == [("thinking", "ab"), ("text", "cd"), ("tool_use", '{"e":1}')]


def test_pitfall_070_text_between_calls_has_a_block_of_its_own() -> None:
    assert blocks(*call("{}"), TextDelta("x"), *call('{"a":1}', call_id="u"), CALLED) == [
        ("tool_use", "{}"), ("text", "x"), ("tool_use", '{"a":1}'),
    ]  # fmt: skip


def test_pitfall_074_the_end_has_the_usage_and_survives_the_package() -> None:
    message = grammar.accumulate(wrote(GOLDEN))
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("tool_use", 9)
    assert message["usage"]["output_tokens_details"] == {"thinking_tokens": 3}


def test_pitfall_076_a_call_is_told_whatever_the_upstream_says() -> None:
    assert checked(*call("{}"), END)[-2]["delta"]["stop_reason"] == "tool_use"
    assert checked(TextDelta("x"), CALLED)[-2]["delta"]["stop_reason"] == "end_turn"


@pytest.mark.parametrize("pieces", [[], ["{}"], [" ", "{", "}"]])
def test_pitfall_065_a_call_without_arguments_has_an_object(pieces: list[str]) -> None:
    [(kind, arguments)] = blocks(*call(*pieces), CALLED)
    assert (kind, json.loads(arguments)) == ("tool_use", {})


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (['"{\\"a', '\\":1}"'], {"a": 1}), (["[1", "]"], {"_raw": "[1]"}), (["ls", " -la", "{"], {"_raw": "ls -la{"}), (["\n", ' {"a"', ":1}"], {"a": 1}),
        (["\ud800"], {"_raw": "?"}),
    ],
)  # fmt: skip
def test_pitfall_080_arguments_that_are_no_object_wait_and_are_wrapped(pieces: list[str], expected: Any) -> None:
    [(_, arguments)] = blocks(*call(*pieces), CALLED)
    assert json.loads(arguments) == expected


def test_arguments_pass_as_they_come() -> None:
    writer = MessagesWriter(request(), HEAD)
    writer.write(Started())
    writer.write(ToolStart("t", "f"))
    assert all(writer.write(ToolDelta(piece)) for piece in ('{"a"', ":", "1}"))


def test_a_call_of_a_free_text_tool_is_wrapped() -> None:
    [(_, arguments)] = blocks(*call("*** Begin", " {", is_custom=True), CALLED)
    assert json.loads(arguments) == {"input": "*** Begin {"}


def test_a_call_that_the_limit_cut_is_closed_and_the_limit_told() -> None:
    found = checked(*call('{"a":'), Finished(StopReason.LENGTH, USAGE))
    assert found[-2]["delta"]["stop_reason"] == "max_tokens"


def test_pitfall_085_thought_without_text_is_a_block_of_its_own() -> None:
    assert blocks(TextDelta("x"), ReasoningEnd(CARRIER), TextDelta("y"), END) == [
        ("text", "x"),
        ("thinking", ""),
        ("text", "y"),
    ]
    assert blocks(TextDelta("x"), ReasoningEnd(), END) == [("text", "x")]


def test_the_signature_comes_once_and_whole() -> None:
    found = checked(ReasoningDelta("Hm"), ReasoningEnd(CARRIER), END)
    signatures = [
        event["delta"]["signature"] for event in found if event.get("delta", {}).get("type") == "signature_delta"
    ]
    assert signatures == [carriers.pack(CARRIER)]


def test_redacted_thinking_is_a_block_of_its_own() -> None:
    assert blocks(ReasoningDelta("a"), ReasoningEnd(Carrier(kind="rd", data="ZA==")), END) == [
        ("thinking", "a"),
        ("redacted_thinking", "ZA=="),
    ]


def test_a_refusal_is_text() -> None:
    assert blocks(TextDelta("a"), RefusalDelta("b"), RefusalDelta("c"), END) == [("text", "a"), ("text", "bc")]
    refused = checked(Finished(StopReason.FILTERED, USAGE))[-2]["delta"]
    assert (refused["stop_reason"], refused["stop_details"]["type"]) == ("refusal", "refusal")


def test_a_stop_sequence_is_named() -> None:
    delta = checked(TextDelta("x"), Finished(StopReason.STOP_SEQUENCE, USAGE, "END"))[-2]["delta"]
    assert (delta["stop_reason"], delta["stop_sequence"]) == ("stop_sequence", "END")


def test_thought_that_the_client_does_not_want_to_see_keeps_the_stream_busy() -> None:
    writer = MessagesWriter(HIDES, HEAD)
    stream = writer.write(Started())
    for piece in "Hm":
        out = writer.write(ReasoningDelta(piece))
        assert out == PING
        stream += out
    stream += writer.write(ReasoningEnd(CARRIER)) + writer.write(TextDelta("x")) + writer.write(END)
    grammar.check(stream, model=MODEL)
    thinking = grammar.accumulate(stream)["content"][0]
    assert thinking["thinking"] == ""
    carrier = carriers.unpack(thinking["signature"])
    assert carrier is not None
    assert carrier.text == "Hm"


@pytest.mark.parametrize("text", ["\u2028\u0085", "a\nb\rc", '"\\', "é🙂", "\0"])
def test_pitfall_102_no_text_breaks_a_frame(text: str) -> None:
    stream = wrote(
        [Started(), TextDelta("x"), TextDelta(text), *call(json.dumps({"a": text}, ensure_ascii=False)), END]
    )
    message = grammar.accumulate(stream)
    assert message["content"][0]["text"] == "x" + text
    assert message["content"][1]["input"] == {"a": text}


def test_pitfall_115_a_lone_surrogate_does_no_harm() -> None:
    assert blocks(TextDelta("a\ud800"), TextDelta("b\ud800"), END) == [("text", "a?b?")]


# Failing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before", [[], [Started()], golden_events()[:2], golden_events()[:6], golden_events()[:-1]], ids=len
)
def test_pitfall_083_a_failure_is_the_end_and_no_success(before: list[StreamEvent]) -> None:
    writer = MessagesWriter(request(), HEAD)
    stream = b"".join([writer.write(event) for event in before]) + writer.fail(
        UpstreamCut("the answer broke off"), "req_1"
    )
    [*_, last] = grammar.check_failed(stream, model=MODEL)
    assert (last["error"]["type"], last["request_id"]) == ("api_error", "req_1")
    assert (
        writer.write(TextDelta("x"))
        == writer.write(END)
        == writer.keep_alive()
        == writer.fail(UpstreamCut("x"), "r")
        == b""
    )
    with pytest.raises(anthropic.APIStatusError, match="the answer broke off"):
        grammar.accumulate(stream)


def test_an_error_is_typed_by_its_cause() -> None:
    for error, kind in (
        (UpstreamFailed("x", status=503), "overloaded_error"),
        (UpstreamRateLimited("x"), "rate_limit_error"),
    ):
        [last] = grammar.check_failed(MessagesWriter(request(), HEAD).fail(error, "r"), model=MODEL)
        assert last["error"]["type"] == kind


def test_nothing_follows_the_end() -> None:
    writer = MessagesWriter(request(), HEAD)
    for event in golden_events():
        writer.write(event)
    assert writer.write(TextDelta("x")) == writer.fail(UpstreamCut("x"), "r") == b""


def test_pitfall_084_every_frame_is_named_and_none_is_done() -> None:
    stream = wrote(GOLDEN)
    assert stream.count(b"event: ") == stream.count(b"data: ") == len(grammar.events(stream))
    assert b"[DONE]" not in stream
    assert b"\nid:" not in stream


def test_a_delta_is_written_quickly() -> None:
    writer = MessagesWriter(request(), HEAD)
    writer.write(Started())
    delta = TextDelta("a few words of text")
    started = time.perf_counter()
    for _ in range(20_000):
        writer.write(delta)
    assert (time.perf_counter() - started) / 20_000 < 10e-6


def test_a_failure_names_the_limit_that_is_its_reason() -> None:
    error = RateLimited("x", limit=LimitReached("rpm", 6, 5, "requests"))
    [last] = grammar.check_failed(MessagesWriter(request(), HEAD).fail(error, "r"), model=MODEL)
    assert last["error"]["limit"] == {"name": "rpm", "current": 6, "allowed": 5, "unit": "requests"}
