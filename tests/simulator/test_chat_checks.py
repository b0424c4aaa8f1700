"""Chat refuses what the upstream refuses, in its words."""

from typing import Any

import pytest

from tests.simulator.client import CHAT, Client

ASKED = {"role": "user", "content": "hi"}
FUNCTION = {"name": "f", "arguments": "{}"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": FUNCTION}]}
REMOTE_IMAGE = {"type": "image_url", "image_url": {"url": "https://example.test/a.png"}}
TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "gpt-5-mini", "max_tokens": 10}, "Use 'max_completion_tokens' instead."),
        ({"model": "gpt-5-mini", "reasoning_effort": "max"}, "supported values: [low medium high]"),
        ({"messages": []}, "empty array"),
        ({"messages": "hi"}, "expected an array"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "got null"),
        ({"messages": [{"role": "user", "content": 5}]}, "expected a string or an array"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "expected a string"),
        ({"messages": [{"role": "user", "content": [{"type": "movie"}]}]}, "content[0].type"),
        ({"messages": [ASKED, CALLED]}, "did not have response messages: c1"),
        ({"messages": [ASKED, CALLED, ASKED]}, "did not have response messages: c1"),
        ({"messages": [ASKED, {"role": "tool", "tool_call_id": "c1", "content": "x"}]}, "preceding message"),
        ({"tools": [{"type": "function", "function": {"name": "no spaces"}}]}, "does not match pattern"),
        ({"tools": [{"type": "function", "function": {"name": "x" * 65}}]}, "does not match pattern"),
        ({"stream": "yes"}, "Invalid type for 'stream'."),
        ({"temperature": "hot"}, "Invalid type for 'temperature'."),
        ({"max_tokens": True}, "Invalid type for 'max_tokens'."),
        ({"model": "claude-sonnet-4.6", "messages": [ASKED, {"role": "assistant", "content": "I"}]}, "prefill"),
    ],
)
def test_a_wrong_body_is_refused_with_a_json_envelope(simulator: Client, fields: dict[str, Any], said: str) -> None:
    answer = simulator.api(CHAT, {"model": "gpt-4.1", "messages": [ASKED], **fields})
    assert answer.status == 400
    assert said in answer.json()["error"]["message"]
    assert answer.json()["error"]["code"]


def test_too_many_tools_are_refused_without_a_word(simulator: Client) -> None:
    body = {"model": "gpt-4.1", "messages": [ASKED]}
    assert simulator.api(CHAT, {**body, "tools": [TOOL] * 128}).status == 200
    refused = simulator.api(CHAT, {**body, "tools": [TOOL] * 129})
    assert (refused.status, refused.body) == (400, b"")


def test_an_image_has_to_be_sent_along(simulator: Client) -> None:
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": [REMOTE_IMAGE]}]}
    answer = simulator.api(CHAT, body, copilot_vision_request="true")
    assert answer.json() == {"error": {"message": "external image URLs are not supported", "code": ""}}


def test_a_complete_tool_exchange_is_accepted(simulator: Client) -> None:
    messages = [ASKED, CALLED, {"role": "tool", "tool_call_id": "c1", "content": "x"}]
    assert simulator.api(CHAT, {"model": "gpt-4.1", "messages": messages}).status == 200
