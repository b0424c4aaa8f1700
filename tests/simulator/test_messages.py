"""Messages answers are Anthropic's, with sorted keys and a `[DONE]` of their own."""

import json
from typing import Any

from tests.simulator.client import MESSAGES, Client, marker

CALL = marker("CALL", {"name": "get_weather", "arguments": {"city": "Paris"}})
THINKING: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}


def _is_sorted(value: Any) -> bool:
    if isinstance(value, dict):
        return list(value) == sorted(value) and all(map(_is_sorted, value.values()))
    return not isinstance(value, list) or all(map(_is_sorted, value))


def test_a_stream_in_order(simulator: Client) -> None:
    answer = simulator.ask(MESSAGES, marker("SAY", "Checking Paris."), stream=True)
    names = answer.event_names()
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert answer.text.endswith("data: [DONE]\n\n")
    assert all(map(_is_sorted, answer.events()))
    start, *_, delta, stop, _ = answer.events()
    message = start["message"]
    assert message["model"] == "claude-sonnet-4-6"
    assert message["id"].startswith("msg_bdrk_01")
    assert (message["content"], message["stop_details"], message["stop_reason"]) == ([], None, None)
    assert "cache_creation" in message["usage"]
    assert delta["delta"] == {"stop_details": None, "stop_reason": "end_turn", "stop_sequence": None}
    assert delta["usage"]["input_tokens"] == message["usage"]["input_tokens"]
    assert delta["copilot_usage"]["token_details"][3]["token_count"] == delta["usage"]["output_tokens"]
    assert stop["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == delta["usage"]["output_tokens"]


def test_a_tool_use_begins_with_an_empty_delta(simulator: Client) -> None:
    events = simulator.ask(MESSAGES, CALL, stream=True).events()[:-1]
    [start] = [event for event in events if event["type"] == "content_block_start"]
    assert start["content_block"]["input"] == {}
    assert start["content_block"]["id"].startswith("toolu_bdrk_01")
    deltas = [event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta"]
    assert deltas[0] == ""
    assert json.loads("".join(deltas)) == {"city": "Paris"}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_thinking_comes_first_with_a_signature_and_its_tokens(simulator: Client) -> None:
    answer = simulator.ask(MESSAGES, "hi", **THINKING).json()
    thinking, text = answer["content"]
    assert list(thinking) == ["signature", "thinking", "type"]
    assert text["type"] == "text"
    assert answer["usage"]["output_tokens_details"]["thinking_tokens"] > 0
    events = simulator.ask(MESSAGES, "hi", stream=True, **THINKING).events()
    kinds = [event["delta"]["type"] for event in events if event != "[DONE]" and event["type"] == "content_block_delta"]
    assert kinds.index("signature_delta") == kinds.count("thinking_delta")
    assert kinds[-1] == "text_delta"


def test_omitted_thinking_leaves_the_signature(simulator: Client) -> None:
    thinking = {"type": "adaptive", "display": "omitted"}
    block = simulator.ask(MESSAGES, "hi", thinking=thinking).json()["content"][0]
    assert (block["type"], block["thinking"]) == ("thinking", "")
    assert block["signature"]


def test_a_whole_answer(simulator: Client) -> None:
    answer = simulator.ask(MESSAGES, marker("SAY", "17 x 23 = 391")).json()
    assert list(answer) == sorted(answer)
    assert answer["content"] == [{"text": "17 x 23 = 391", "type": "text"}]
    assert (answer["role"], answer["type"], answer["stop_details"]) == ("assistant", "message", None)
    prices = [detail["cost_per_batch"] for detail in answer["copilot_usage"]["token_details"]]
    assert prices == [300_000_000_000, 30_000_000_000, 375_000_000_000, 1_500_000_000_000]


def test_applied_edits_are_reported_when_context_management_was_asked_for(simulator: Client) -> None:
    fields = {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}
    body = {"model": "claude-haiku-4.5", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}], **fields}
    answer = simulator.api(MESSAGES, body, anthropic_beta="context-management-2025-06-27")
    assert answer.json()["context_management"] == {"applied_edits": []}


def test_the_token_count_is_the_input_that_a_call_reports(simulator: Client) -> None:
    body = {"model": "claude-haiku-4.5", "messages": [{"role": "user", "content": "how long is this?"}]}
    counted = simulator.api("/v1/messages/count_tokens", body)
    asked = simulator.api(MESSAGES, {**body, "max_tokens": 10})
    assert counted.json() == {"input_tokens": asked.json()["usage"]["input_tokens"]}
