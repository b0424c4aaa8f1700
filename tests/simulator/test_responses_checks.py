"""Responses refuses what the upstream refuses, labelled as plain text."""

from typing import Any

import pytest

from tests.simulator.client import RESPONSES, Client

OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "x"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"store": True}, "store is not supported"),
        ({"previous_response_id": "resp_1"}, "previous_response_id is not supported"),
        ({"model": "gpt-5-mini", "context_management": []}, "Unsupported parameter: 'context_management'."),
        ({"service_tier": "auto"}, "service_tier is not supported"),
        ({"background": True}, "background is not supported"),
        ({"max_output_tokens": 8}, "Expected a value >= 16, but got 8 instead."),
        ({"reasoning": {"effort": "max"}}, "supported values: [low medium high xhigh]"),
        ({"tools": [{"type": "image_generation"}]}, "image_generation is not supported"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "does not match pattern"),
        ({"model": "gpt-5-mini", "tools": [{"type": "web_search"}]}, "web_search is not supported"),
        ({"input": None}, "Missing required parameter: 'input'."),
        ({"input": 7}, "expected an array"),
        ({"input": [OUTPUT]}, "No tool call found for function call output with call_id c1."),
        ({"input": [{"role": "user", "content": "x", "status": None}]}, "input[0].status"),
        ({"input": [{"role": "user", "content": "x", "id": "A" * 428}]}, "does not belong to this connection"),
        ({"input": [{"type": "function_call", "call_id": "c" * 65, "arguments": "{}"}]}, "maximum length 64"),
        ({"input": [{"type": "reasoning", "encrypted_content": "gAAAAAforeign"}]}, "could not be verified"),
        ({"input": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]}, "Supported values are"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
    ],
)
def test_a_wrong_body_is_refused_as_text(simulator: Client, fields: dict[str, Any], said: str) -> None:
    answer = simulator.api(RESPONSES, {"model": "gpt-5.3-codex", "input": "hi", **fields})
    assert answer.status == 400
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.endswith("}\n")
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize("fields", [{"store": False}, {"tools": [{"type": "web_search"}]}, {"safety_identifier": "x"}])
def test_what_the_upstream_tolerates_passes(simulator: Client, fields: dict[str, Any]) -> None:
    assert simulator.api(RESPONSES, {"model": "gpt-5.4", "input": "hi", **fields}).status == 200
