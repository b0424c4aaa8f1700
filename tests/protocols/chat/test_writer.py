"""The stream that a chat client reads: every rule of the protocol, and the same answer as when it comes whole."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI

from copilot_api.errors import LimitReached, RateLimited, UpstreamCut
from copilot_api.protocols import carriers
from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.chat.rendering import render_answer
from copilot_api.protocols.chat.request import ChatRequest, parse_request
from copilot_api.protocols.chat.writer import ChatWriter
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
    events_of,
)
from tests.protocols.chat import grammar

PROPERTY = settings(derandomize=True, deadline=None, database=None)
HEAD = AnswerHead(model="the-alias", request_id="req_1", now=1_780_000_000)
USAGE = Usage(input_tokens=10, output_tokens=9, cache_read_tokens=4, reasoning_tokens=3)
CUSTOM = [{"type": "custom", "custom": {"name": "patch"}}]
GOLDEN: list[StreamEvent] = [
    Started(),
    ReasoningDelta("Hm"),
    ReasoningEnd(),
    TextDelta("Hi"),
    ToolStart("call_1", "f"),
    ToolDelta('{"a"'),
    ToolDelta(":1}"),
    ToolEnd(),
    Finished(StopReason.TOOL_CALLS, USAGE),
]


def request(*, usage: bool = True, **fields: Any) -> ChatRequest:
    options = {"stream": True, "stream_options": {"include_usage": usage}}
    document = {"model": "m", "messages": [{"role": "user", "content": "x"}], **options, **fields}
    return parse_request(json.dumps(document).encode())


def written(events: list[StreamEvent], **fields: Any) -> bytes:
    writer = ChatWriter(request(**fields), HEAD)
    return b"".join([writer.write(event) for event in events])


def chunks(events: list[StreamEvent], *, usage: bool = True, **fields: Any) -> list[Any]:
    return grammar.check(written(events, usage=usage, **fields), model="the-alias", usage=usage)


def deltas(events: list[StreamEvent], **fields: Any) -> list[Any]:
    found = [json.loads(data) for data in grammar.events(written(events, **fields))[:-1]]
    return [chunk["choices"][0]["delta"] for chunk in found if chunk["choices"]]


def test_the_golden_example() -> None:
    assert deltas(GOLDEN) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm"},
        {"content": "Hi"},
        {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {},
    ]
    *rest, finish, usage = chunks(GOLDEN)
    assert finish["choices"][0]["finish_reason"] == "tool_calls"
    assert all(chunk["usage"] is None for chunk in (*rest, finish))
    assert usage["choices"] == []
    assert usage["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 9,
        "total_tokens": 19,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_pitfall_090_the_usage_chunk_comes_last_and_only_when_asked_for() -> None:
    found = chunks(GOLDEN, usage=False)
    assert all("usage" not in chunk for chunk in found)
    assert chunks([*GOLDEN[:-1], Finished(StopReason.END)])[-1]["usage"]["total_tokens"] == 0


def test_pitfall_091_one_finish_and_one_done() -> None:
    out = written(GOLDEN)
    assert out.count(b"[DONE]") == 1
    assert out.count(b'"finish_reason":"') == 1
    assert out.endswith(b"data: [DONE]\n\n")


def test_pitfall_087_to_089_ids_names_and_roles_are_said_once_and_calls_count_from_zero() -> None:
    events: list[StreamEvent] = [Started(), ReasoningDelta("r"), ReasoningEnd(), TextDelta("t")]
    for number in range(3):
        events += [ToolStart(f"call_{number}", f"f{number}"), ToolDelta("{"), ToolDelta("}"), ToolEnd()]
    events.append(Finished(StopReason.TOOL_CALLS))
    answer = grammar.accumulate(chunks(events))
    [choice] = answer["choices"]
    assert choice["message"]["role"] == "assistant"
    assert [(call["index"], call["id"], call["function"]["name"]) for call in choice["message"]["tool_calls"]] == [
        (0, "call_0", "f0"), (1, "call_1", "f1"), (2, "call_2", "f2"),
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [(), (" ",)])
def test_pitfall_065_a_call_without_arguments_has_an_empty_object(arguments: tuple[str, ...]) -> None:
    events: list[StreamEvent] = [
        Started(),
        ToolStart("a", "f"),
        *map(ToolDelta, arguments),
        ToolEnd(),
        Finished(StopReason.TOOL_CALLS),
    ]
    [call] = grammar.essence(chunks(events))["calls"]
    assert json.loads(call["arguments"]) == {}


def test_pitfall_125_a_turn_of_reasoning_only_ends() -> None:
    found = chunks([Started(), ReasoningDelta("hm"), ReasoningEnd(), Finished(StopReason.END)])
    assert grammar.essence(found)["finish"] == "stop"


def test_what_replays_reasoning_survives_concatenation() -> None:
    one, two = Carrier(kind="an", data="s", text="t"), Carrier(kind="rs", data="e", id="rs_1")
    events: list[StreamEvent] = [
        Started(),
        ReasoningEnd(one),
        TextDelta("x"),
        ReasoningEnd(two),
        Finished(StopReason.END),
    ]
    opaque = grammar.essence(chunks(events))["texts"]["reasoning_opaque"]
    assert opaque == f"{carriers.pack(one)} {carriers.pack(two)}"
    [delta] = [
        delta
        for delta in deltas([Started(), ReasoningEnd(Carrier(kind="ro", data="own")), Finished(StopReason.END)])
        if "reasoning_opaque" in delta
    ]
    assert delta == {"reasoning_opaque": "own"}


def test_custom_calls_go_to_clients_that_know_them_and_others_get_a_function() -> None:
    events: list[StreamEvent] = [
        Started(), ToolStart("a", "patch", is_custom=True), ToolDelta("*** "), ToolDelta("Begin"), ToolEnd(),
        Finished(StopReason.TOOL_CALLS),
    ]  # fmt: skip
    assert deltas(events, tools=CUSTOM)[1:4] == [
        {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "*** "}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "Begin"}}]},
    ]
    [call] = grammar.essence(chunks(events))["calls"]
    assert json.loads(call["arguments"]) == {"input": "*** Begin"}
    empty: list[StreamEvent] = [Started(), ToolStart("a", "patch", is_custom=True), ToolEnd(), Finished(StopReason.END)]
    assert len(deltas(empty, tools=CUSTOM)) == 3


def test_a_client_of_the_old_functions_gets_one_function_call() -> None:
    second: list[StreamEvent] = [ToolStart("call_2", "g"), ToolDelta("{}"), ToolEnd()]
    events = [*GOLDEN[:-1], *second, GOLDEN[-1]]
    found = deltas(events, functions=[{"name": "f"}])
    assert found[3:] == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"a"'}},
        {"function_call": {"arguments": ":1}"}},
        {},
    ]
    assert b'"finish_reason":"function_call"' in written(events, functions=[{"name": "f"}])


def test_a_failure_is_an_error_without_a_finish_or_done() -> None:
    writer = ChatWriter(request(), HEAD)
    out = writer.write(Started()) + writer.fail(UpstreamCut("broke off"), "req_1")
    assert b"[DONE]" not in out
    assert b'"finish_reason":"' not in out
    error = json.loads(grammar.events(out)[-1])["error"]
    assert (error["type"], error["code"]) == ("server_error", "upstream_cut")
    assert ChatWriter(request(), HEAD).fail(UpstreamCut("broke off"), "req_1").startswith(b'data: {"error":')


def test_a_failure_names_the_limit_that_is_its_reason() -> None:
    error = RateLimited("x", limit=LimitReached("rpm", 6, 5, "requests"))
    [said] = grammar.events(ChatWriter(request(), HEAD).fail(error, "req_1"))
    assert json.loads(said)["error"]["limit"] == {"name": "rpm", "current": 6, "allowed": 5, "unit": "requests"}


def test_a_sign_of_life_is_a_comment() -> None:
    writer = ChatWriter(request(), HEAD)
    assert writer.keep_alive() == b": keep-alive\n\n"
    assert writer.keep_alive("queued: place 3") == b": queued: place 3\n\n"
    assert writer.keep_alive("x\n\ndata: {}") == b": x??data: {}\n\n"


# The official package, on the stream and on the whole ---------------------------------------------------------------

TEXTS = st.text(alphabet='ab"\\\n\u2028é{} ', min_size=1, max_size=8)
JSON_TEXTS = st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2).map(json.dumps)
PARTS: st.SearchStrategy[AnswerPart] = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(Refusal, TEXTS),
    st.builds(Reasoning, TEXTS, st.sampled_from([None, Carrier(kind="an", data="s"), Carrier(kind="ro", data="own")])),
    st.builds(
        lambda name, arguments: ToolCall(id="?", name=name, arguments=arguments), st.sampled_from("fgh"), JSON_TEXTS
    ),
)


def numbered(parts: list[AnswerPart]) -> tuple[AnswerPart, ...]:
    """The parts with an id of its own for each call."""
    return tuple(
        ToolCall(id=f"call_{number}", name=part.name, arguments=part.arguments) if isinstance(part, ToolCall) else part
        for number, part in enumerate(parts)
    )


def client(body: bytes, media_type: str) -> OpenAI:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=body, headers={"content-type": media_type}))
    return OpenAI(api_key="x", base_url="http://gateway/v1", http_client=httpx2.Client(transport=transport))


def comparable(completion: Any) -> Any:
    fields = completion.to_dict()
    for choice in fields["choices"]:
        choice.pop("logprobs", None)
        message = {name: value for name, value in choice["message"].items() if value or name == "reasoning_opaque"}
        for call in message.get("tool_calls", []):
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
        message.pop("parsed", None)
        choice["message"] = message
    return {name: value for name, value in fields.items() if value is not None}


@settings(PROPERTY, max_examples=60)
@given(parts=st.lists(PARTS, max_size=5).map(numbered), stop=st.sampled_from([StopReason.END, StopReason.TOOL_CALLS]))
def test_openais_package_gathers_the_stream_to_the_whole_answer(
    parts: tuple[AnswerPart, ...], stop: StopReason
) -> None:
    answer = Answer(parts=parts, stop=stop, usage=USAGE)
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    whole = client(render_answer(answer, request(), HEAD), "application/json").chat.completions.create(**asked)
    stream = written(list(events_of(answer)))
    with client(stream, "text/event-stream").chat.completions.stream(
        **asked, stream_options={"include_usage": True}
    ) as events:
        for _ in events:
            pass
        gathered = events.get_final_completion()
    assert {**comparable(gathered), "object": ""} == {**comparable(whole), "object": ""}


def test_every_delta_of_a_refusal_arrives() -> None:
    events: list[StreamEvent] = [Started(), RefusalDelta("n"), RefusalDelta("o"), Finished(StopReason.FILTERED)]
    assert grammar.essence(chunks(events))["texts"]["refusal"] == "no"
