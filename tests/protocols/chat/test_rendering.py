"""A neutral answer as a chat client gets it."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from copilot_api.protocols import carriers
from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.chat.rendering import finish_reason, render_answer, usage_fields
from copilot_api.protocols.chat.request import ChatRequest, parse_request
from copilot_api.protocols.conversation import (
    Answer,
    AnswerPart,
    Carrier,
    Reasoning,
    Refusal,
    StopReason,
    Text,
    ToolCall,
)

HEAD = AnswerHead(model="the-alias", request_id="req_01-AB", now=1_780_000_000)
CALL = ToolCall(id="a", name="f", arguments='{"x":1}')
CUSTOM = ToolCall(id="b", name="patch", arguments="*** Begin", is_custom=True)


def request(**fields: Any) -> ChatRequest:
    return parse_request(json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], **fields}).encode())


def rendered(*parts: AnswerPart, stop: StopReason = StopReason.END, **fields: Any) -> dict[str, Any]:
    source = render_answer(Answer(parts=parts, stop=stop), request(**fields), HEAD)
    ChatCompletion.model_validate_json(source)
    body: dict[str, Any] = json.loads(source)
    return body


def message(*parts: AnswerPart, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = rendered(*parts, **fields)["choices"][0]["message"]
    return found


def test_pitfall_066_the_wrapping_names_the_model_that_was_asked_for() -> None:
    body = rendered(Text("Hi"))
    [choice] = body.pop("choices")
    assert body.pop("usage")["total_tokens"] == 0
    assert body == {
        "id": "chatcmpl-req01AB",
        "object": "chat.completion",
        "created": 1_780_000_000,
        "model": "the-alias",
    }
    said: Any = {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []}
    assert choice == {"index": 0, "message": said, "logprobs": None, "finish_reason": "stop"}


def test_content_is_null_beside_calls_and_refusals_and_never_missing() -> None:
    assert message(CALL)["content"] is None
    assert message(Text("a"), CALL, Text("b"))["content"] == "ab"
    refusal = message(Refusal("no"))
    assert (refusal["content"], refusal["refusal"]) == (None, "no")


def test_pitfall_125_an_answer_of_reasoning_only_has_empty_content_and_stops() -> None:
    body = rendered(Reasoning("hm"))
    assert body["choices"][0]["message"]["content"] == ""
    assert body["choices"][0]["message"]["reasoning_content"] == "hm"
    assert body["choices"][0]["finish_reason"] == "stop"


def test_pitfall_065_calls_have_arguments_even_without_any() -> None:
    found = message(ToolCall(id="a", name="f", arguments=""), CALL, stop=StopReason.TOOL_CALLS)["tool_calls"]
    assert [call["function"]["arguments"] for call in found] == ["{}", '{"x":1}']


def test_custom_calls_go_to_clients_that_know_them() -> None:
    tools = [{"type": "custom", "custom": {"name": "patch"}}]
    assert message(CUSTOM, tools=tools)["tool_calls"] == [
        {"id": "b", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    ]
    [call] = message(CUSTOM)["tool_calls"]
    assert call["type"] == "function"
    assert json.loads(call["function"]["arguments"]) == {"input": "*** Begin"}


def test_a_client_of_the_old_functions_gets_one_function_call() -> None:
    body = rendered(CALL, CUSTOM, stop=StopReason.TOOL_CALLS, functions=[{"name": "f"}])
    said = body["choices"][0]["message"]
    assert said["function_call"] == {"name": "f", "arguments": '{"x":1}'}
    assert "tool_calls" not in said
    assert body["choices"][0]["finish_reason"] == "function_call"


def test_what_replays_reasoning_is_packed_and_several_are_told_apart() -> None:
    an, ro = Carrier(kind="an", data="s", text="t"), Carrier(kind="ro", data="own")
    assert message(Reasoning("t", an))["reasoning_opaque"] == carriers.pack(an)
    assert message(Reasoning("t", ro))["reasoning_opaque"] == "own"
    both = message(Reasoning("t", an), Text("x"), Reasoning("u", ro))
    assert both["reasoning_opaque"] == f"{carriers.pack(an)} {carriers.pack(ro)}"
    assert both["reasoning_content"] == "tu"
    assert "reasoning_opaque" not in message(Reasoning("t"))


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (StopReason.END, "stop"), (StopReason.STOP_SEQUENCE, "stop"), (StopReason.PAUSED, "stop"), (StopReason.LENGTH, "length"),
        (StopReason.CONTEXT_FULL, "length"), (StopReason.FILTERED, "content_filter"), (StopReason.TOOL_CALLS, "tool_calls"),
    ],
)  # fmt: skip
def test_ends(stop: StopReason, reason: str) -> None:
    assert finish_reason(stop, has_calls=True, speaks_functions=False) == reason


def test_pitfall_055_calls_are_promised_only_where_there_are_some() -> None:
    assert finish_reason(StopReason.TOOL_CALLS, has_calls=False, speaks_functions=False) == "stop"
    assert finish_reason(StopReason.TOOL_CALLS, has_calls=True, speaks_functions=True) == "function_call"


def test_pitfall_061_usage_counts_all_input_and_only_reads_as_cached() -> None:
    usage = Usage(input_tokens=1100, output_tokens=9, cache_read_tokens=800, cache_write_tokens=100, reasoning_tokens=3)
    assert usage_fields(usage) == {
        "prompt_tokens": 1100,
        "completion_tokens": 9,
        "total_tokens": 1109,
        "prompt_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
