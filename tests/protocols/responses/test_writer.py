"""A streamed answer as the events of Responses: their order, and what clients make of them."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from openai import APIError

from copilot_api.errors import (
    BadRequest,
    GatewayError,
    InternalError,
    LimitReached,
    RateLimited,
    ShuttingDown,
    UpstreamCut,
    UpstreamFailed,
    UpstreamQuotaExceeded,
    UpstreamRateLimited,
)
from copilot_api.protocols import carriers
from copilot_api.protocols.base import AnswerHead
from copilot_api.protocols.conversation import (
    Answer,
    Finished,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Started,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolDelta,
    ToolEnd,
    ToolStart,
    events_of,
)
from copilot_api.protocols.copilot_errors import context_overflow
from copilot_api.protocols.responses.response import render_answer
from copilot_api.protocols.responses.writer import ResponsesWriter
from tests.protocols.responses import sdk
from tests.protocols.responses.client_answers import CARRIER, GOLDEN, HEAD, TOOLS, USAGE, answers, request, stream
from tests.protocols.responses.grammar import check, events_in

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=120)


def names(data: bytes) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events_in(data)]


def written(*events: StreamEvent, **fields: Any) -> bytes:
    writer = ResponsesWriter(request(stream=True, **fields), HEAD)
    return b"".join([writer.write(event) for event in events])


# The order ----------------------------------------------------------------------------------------------------------


def test_the_golden_example_is_written_event_for_event() -> None:
    data = written(
        *list(events_of(GOLDEN))[:5], ToolDelta('{"a"'), ToolDelta(":1}"), ToolEnd(), list(events_of(GOLDEN))[-1]
    )
    assert names(data) == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
        "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    final = check(data)
    reasoning, message, call = final["output"]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Hm"}]
    assert carriers.unpack(reasoning["encrypted_content"]) == CARRIER
    assert message["content"] == [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}]
    assert (call["call_id"], call["name"], call["arguments"]) == ("call_1", "f", '{"a":1}')
    assert final["usage"] == {
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 19,
    }  # fmt: skip


def test_pitfall_093_any_answer_keeps_the_grammar() -> None:
    @PROPERTY
    @given(answers)
    def holds(answer: Answer) -> None:
        check(stream(answer, request(stream=True, tools=TOOLS)))

    holds()


def test_a_stream_says_what_the_whole_answer_says() -> None:
    @PROPERTY
    @given(answers)
    def holds(answer: Answer) -> None:
        asked = request(stream=True, tools=TOOLS)
        assert check(stream(answer, asked)) == json.loads(render_answer(answer, asked, HEAD))

    holds()


def test_pitfall_094_the_ends_hold_the_full_text() -> None:
    data = written(Started(), TextDelta("Good "), TextDelta("day"), Finished(StopReason.END, USAGE))
    ends = {event["type"]: event for event in events_in(data) if event["type"].endswith(".done")}
    assert ends["response.output_text.done"]["text"] == "Good day"
    assert ends["response.content_part.done"]["part"]["text"] == "Good day"
    assert ends["response.output_item.done"]["item"]["content"][0]["text"] == "Good day"


def test_pitfall_095_the_end_is_complete_and_has_the_ids_of_the_stream() -> None:
    events = events_in(stream(GOLDEN))
    added = [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"]
    final = events[-1]["response"]
    assert [item["id"] for item in final["output"]] == added
    assert (final["object"], final["created_at"], final["model"]) == ("response", HEAD.now, "alias")


def test_pitfall_096_a_call_is_added_filled_and_done() -> None:
    answer = Answer(parts=(ToolCall(id="c", name="f", arguments=""),), stop=StopReason.TOOL_CALLS, usage=USAGE)
    assert names(stream(answer))[2:-1] == [
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
    ]  # fmt: skip
    assert check(stream(answer))["output"][0]["arguments"] == "{}"


def test_pitfall_066_the_model_is_the_callers_in_every_event() -> None:
    models = {event["response"]["model"] for event in events_in(stream(GOLDEN)) if "response" in event}
    assert models == {"alias"}


def test_pitfall_102_a_line_separator_stays_inside_its_event() -> None:
    text = "a\u2028b\u0085c\r\nd"
    final = sdk.accumulated(stream(Answer(parts=(Text(text),), stop=StopReason.END, usage=USAGE)))
    assert final.output_text == text


def test_ids_are_long_unique_and_the_same_again() -> None:
    ids = [item["id"] for item in check(stream(GOLDEN))["output"]]
    assert [own.partition("_")[0] for own in ids] == ["rs", "msg", "fc"]
    assert all(len(own.partition("_")[2]) >= 24 for own in ids)
    assert stream(GOLDEN) == stream(GOLDEN)
    assert b"msg_short" not in stream(GOLDEN, head=AnswerHead(model="m", request_id="short", now=1))


def test_reasoning_without_a_text_has_no_part() -> None:
    answer = Answer(parts=(Reasoning("", CARRIER), Text("x")), stop=StopReason.END, usage=USAGE)
    assert names(stream(answer))[2:4] == ["output_item.added", "output_item.done"]


def test_a_start_is_written_even_when_the_reader_forgot_it() -> None:
    check(written(TextDelta("x"), Finished(StopReason.END)))
    check(written(Finished(StopReason.END)))


def test_what_is_open_is_closed_whatever_comes() -> None:
    check(written(ReasoningDelta("a"), TextDelta("b"), ToolStart("c", "f"), ToolDelta("{}"), Finished(StopReason.END)))


# Calls --------------------------------------------------------------------------------------------------------------


def test_pitfall_046_a_custom_tool_gets_its_bare_text() -> None:
    patch = '*** Begin Patch\n"quoted"\n'
    call = ToolCall(id="c", name="patch", arguments=patch, is_custom=True)
    answer = Answer(parts=(call,), stop=StopReason.TOOL_CALLS, usage=USAGE)
    data = stream(answer, request(stream=True, tools=TOOLS))
    assert names(data)[3:5] == ["custom_tool_call_input.delta", "custom_tool_call_input.done"]
    (item,) = check(data)["output"]
    assert (item["type"], item["input"], item["id"][:4]) == ("custom_tool_call", patch, "ctc_")


def test_pitfall_047_a_namespaces_tool_is_called_by_its_own_name() -> None:
    answer = Answer(parts=(ToolCall(id="c", name="agents__spawn", arguments="{}"),), stop=StopReason.TOOL_CALLS)
    events = events_in(stream(answer, request(stream=True, tools=TOOLS)))
    items = [event["item"] for event in events if "item" in event]
    assert {(item["namespace"], item["name"]) for item in items} == {("agents", "spawn")}
    assert [event["name"] for event in events if event["type"].endswith("arguments.done")] == ["spawn"]


@pytest.mark.parametrize(
    ("name", "arguments", "field", "value"),
    [
        ("local_shell", '{"command":["ls"]}', "action", {"type": "exec", "env": {}, "command": ["ls"]}),
        ("shell", '{"commands":["ls"],"timeout_ms":5}', "action", {"commands": ["ls"], "timeout_ms": 5}),
        ("apply_patch", '{"type":"delete_file","path":"a"}', "operation", {"type": "delete_file", "path": "a"}),
    ],
)
def test_a_tool_of_openais_that_the_client_runs_is_called_as_such(
    name: str, arguments: str, field: str, value: dict[str, Any]
) -> None:
    answer = Answer(parts=(ToolCall(id="c", name=name, arguments=arguments),), stop=StopReason.TOOL_CALLS, usage=USAGE)
    data = stream(answer, request(stream=True, tools=TOOLS))
    assert names(data)[2:-1] == ["output_item.added", "output_item.done"]
    (item,) = check(data)["output"]
    assert (item["type"], item["call_id"], item[field]) == (f"{name}_call", "c", value)
    assert sdk.accumulated(data).output[0].type == f"{name}_call"


def test_a_call_that_the_limit_cut_is_never_complete() -> None:
    """Codex runs a call as soon as its item is done: the limit must be known by then."""
    data = written(ToolStart("c", "f"), ToolDelta('{"a'), ToolEnd(), Finished(StopReason.LENGTH, USAGE))
    final = check(data)
    assert final["status"] == final["output"][0]["status"] == "incomplete"


# The end ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        (StopReason.END, "completed", None),
        (StopReason.TOOL_CALLS, "completed", None),
        (StopReason.STOP_SEQUENCE, "completed", None),
        (StopReason.PAUSED, "completed", None),
        (StopReason.LENGTH, "incomplete", "max_output_tokens"),
        (StopReason.CONTEXT_FULL, "incomplete", "max_output_tokens"),
        (StopReason.FILTERED, "incomplete", "content_filter"),
    ],
)
def test_why_it_stopped_decides_the_status(stop: StopReason, status: str, reason: str | None) -> None:
    final = check(written(Started(), Finished(stop, USAGE)))
    assert final["status"] == status
    assert final["incomplete_details"] == ({"reason": reason} if reason else None)


def test_a_refusal_in_words_is_complete() -> None:
    """Codex fails on an incomplete answer, and asks the same again."""
    for part in (Refusal("No."), Text("I cannot.")):
        final = check(stream(Answer(parts=(part,), stop=StopReason.FILTERED, usage=USAGE)))
        assert final["status"] == "completed"


def test_usage_is_never_null_at_the_end() -> None:
    assert check(written(Started(), Finished(StopReason.END)))["usage"]["total_tokens"] == 0


def test_keep_alive_means_nothing_to_a_client() -> None:
    writer = ResponsesWriter(request(stream=True), HEAD)
    pieces = [piece for event in events_of(GOLDEN) for piece in (writer.write(event), writer.keep_alive("a\nb"))]
    assert writer.keep_alive() == b": keep-alive\n\n"
    assert writer.keep_alive("queued: place 3") == b": queued: place 3\n\n"
    assert sdk.accumulated(b"".join(pieces)).output_text == "Hi"


# Failures -----------------------------------------------------------------------------------------------------------

FAILURES: list[tuple[GatewayError, str]] = [
    (UpstreamFailed("x"), "server_error"),
    (UpstreamCut("x"), "server_error"),
    (InternalError("x"), "server_error"),
    (UpstreamFailed("x", status=503), "server_is_overloaded"),
    (ShuttingDown("x"), "server_is_overloaded"),
    (UpstreamRateLimited("x", retry_after=30.0), "rate_limit_exceeded"),
    (RateLimited("x"), "rate_limit_exceeded"),
    (UpstreamQuotaExceeded("x"), "insufficient_quota"),
    (context_overflow("too long"), "context_length_exceeded"),
    (BadRequest("\ud800", param="\ud800"), "invalid_request"),
]


@pytest.mark.parametrize(("error", "code"), FAILURES)
@pytest.mark.parametrize("before", [0, 1, 2, 4, 6, 7])
def test_pitfall_097_a_failure_is_an_error_and_a_failed_response(error: GatewayError, code: str, before: int) -> None:
    """At any moment, also before the first event."""
    writer = ResponsesWriter(request(stream=True), HEAD)
    data = b"".join([writer.write(event) for event in list(events_of(GOLDEN))[:before]])
    data += writer.fail(error, "req-1")
    failed = check(data)["error"]
    assert failed["code"] == code
    assert "req-1" in failed["message"]


def test_pitfall_098_an_answer_that_broke_off_is_never_complete() -> None:
    writer = ResponsesWriter(request(stream=True), HEAD)
    data = writer.write(TextDelta("x")) + writer.fail(UpstreamCut("it broke off"), "req-1")
    assert "completed" not in names(data)
    with pytest.raises((RuntimeError, APIError)):
        sdk.accumulated(data)


def test_a_failure_names_the_limit_that_is_its_reason() -> None:
    error = RateLimited("x", limit=LimitReached("rpm", 6, 5, "requests"))
    data = ResponsesWriter(request(stream=True), HEAD).fail(error, "r")
    limit = {"name": "rpm", "current": 6, "allowed": 5, "unit": "requests"}
    assert check(data)["error"]["limit"] == events_in(data)[-2]["limit"] == limit
    *_, told, failed = sdk.raw_events(data)
    assert (told.type, failed.type) == ("error", "response.failed")


def test_codex_reads_when_to_come_back() -> None:
    writer = ResponsesWriter(request(stream=True), HEAD)
    message = check(writer.fail(UpstreamRateLimited("slow down", retry_after=11.2), "r"))["error"]["message"]
    assert "Please try again in 12s." in message


def test_pitfall_110_an_overflow_keeps_its_code() -> None:
    writer = ResponsesWriter(request(stream=True), HEAD)
    assert check(writer.fail(context_overflow("prompt is too long"), "r"))["error"]["code"] == "context_length_exceeded"


# The SDK ------------------------------------------------------------------------------------------------------------


def test_the_sdk_gathers_the_whole_answer_from_the_stream() -> None:
    @settings(PROPERTY, max_examples=30)
    @given(answers.filter(lambda answer: answer.stop is not StopReason.LENGTH))
    def holds(answer: Answer) -> None:
        asked = request(stream=True, tools=TOOLS)
        data = stream(answer, asked)
        wanted = sdk.whole(render_answer(answer, asked, HEAD))
        if check(data)["status"] == "completed":
            assert sdk.plain(sdk.accumulated(data)) == sdk.plain(wanted)
        last = sdk.raw_events(data)[-1]
        assert sdk.plain(last.response) == sdk.plain(wanted)  # type: ignore[union-attr]

    holds()


def test_the_sdk_knows_every_event() -> None:
    for known, ours in zip(sdk.raw_events(stream(GOLDEN)), events_in(stream(GOLDEN)), strict=True):
        assert known.type == ours["type"]
        type(known).model_validate(ours)  # all that the type requires is there, and of its kind


def test_a_delta_is_cheap() -> None:
    writer = ResponsesWriter(request(stream=True), HEAD)
    writer.write(TextDelta("x"))
    event = TextDelta("some words")
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(2000):
            writer.write(event)
        best = min(best, (time.perf_counter() - start) / 2000)
    assert best < 30e-6  # about 1 µs on an idle machine


@pytest.mark.parametrize("lost", range(len(events_in(stream(GOLDEN)))))
def test_the_checker_misses_no_lost_event(lost: int) -> None:
    kept = [event for number, event in enumerate(events_in(stream(GOLDEN))) if number != lost]
    frames = [
        f"event: {event['type']}\ndata: {json.dumps(event | {'sequence_number': number})}\n\n"
        for number, event in enumerate(kept)
    ]
    with pytest.raises((AssertionError, LookupError)):
        check("".join([*frames, "data: [DONE]\n\n"]).encode())
