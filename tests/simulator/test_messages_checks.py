"""Messages refuses betas, fields, tools and thinking that the upstream refuses."""

from typing import Any

import pytest

from copilot_api.simulator.options import SimulatorOptions
from tests.simulator.client import MESSAGES, Client
from tests.simulator.conftest import Start

BODY: dict[str, Any] = {
    "model": "claude-sonnet-4.6",
    "max_tokens": 5000,
    "messages": [{"role": "user", "content": "hi"}],
}
ENABLED = {"type": "enabled", "budget_tokens": 2000}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def _message(answer: Any) -> str:
    body = answer.json()
    return str(body.get("message") or body["error"]["message"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"context_management": {}}, "context_management: Extra inputs are not permitted"),
        ({"cache_control": {"type": "ephemeral"}}, "cache_control: Extra inputs are not permitted"),
        ({"inference_geo": "eu"}, "inference_geo: Extra inputs are not permitted"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 128_001}, "exceeds the model limit of 128000"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1000}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, "`max_tokens` must be greater than"),
        ({"thinking": ENABLED, "temperature": 0.5}, "may only be set to 1"),
        ({"thinking": ENABLED, "top_p": 0.5}, "greater than or equal to 0.95"),
        ({"thinking": ENABLED, "tool_choice": {"type": "any"}}, "forces tool use"),
        ({"model": "claude-haiku-4.5", "thinking": {"type": "adaptive"}}, "not supported on this model"),
        ({"model": "claude-haiku-4.5", "output_config": {"effort": "low"}}, "does not support the effort parameter"),
        ({"output_config": {"effort": "xhigh"}}, "supported values: [low medium high max]"),
        ({"tools": [{"type": "web_search_20250305", "name": "w"}]}, "web search tool is not supported"),
        ({"tools": [{"type": "web_fetch_20250910", "name": "w"}]}, "rejected tool(s): web_fetch"),
        ({"tools": [{"type": "code_execution_20250825", "name": "c"}]}, "Input tag 'code_execution_20250825'"),
        ({"tools": [{**TOOL, "eager_input_streaming": True}]}, "eager_input_streaming: Extra inputs"),
        ({"tools": [{"name": "f", "input_schema": {"$schema": "x"}}]}, "$schema: Extra inputs"),
        ({"tools": [{"input_schema": {}}]}, "name: Field required"),
    ],
)
def test_a_wrong_body_is_refused(simulator: Client, fields: dict[str, Any], said: str) -> None:
    answer = simulator.api(MESSAGES, {**BODY, **fields})
    assert answer.status == 400
    assert said in _message(answer)


def test_foreign_betas_are_refused_by_name_and_known_ones_pass(simulator: Client) -> None:
    betas = "context-1m-2025-08-07,effort-2025-11-24, advisor-tool-2026-03-01"
    refused = simulator.api(MESSAGES, BODY, anthropic_beta=betas)
    named = "unsupported beta header(s): advisor-tool-2026-03-01, context-1m-2025-08-07"
    assert refused.json() == {"error": {"message": named, "code": "invalid_request_body"}}
    assert simulator.api(MESSAGES, BODY, anthropic_beta="effort-2025-11-24").status == 200
    assert simulator.api(MESSAGES, BODY, anthropic_beta="").status == 400


def test_opus_takes_adaptive_thinking_only(simulator: Client) -> None:
    simulator.api("/models/claude-opus-4.7/policy", {"state": "enabled"})
    body = {**BODY, "model": "claude-opus-4.7"}
    assert simulator.api(MESSAGES, {**body, "thinking": ENABLED}).status == 400
    assert simulator.api(MESSAGES, {**body, "thinking": {"type": "adaptive"}}).status == 200


def test_counting_has_the_same_rules_for_betas_and_tools_but_needs_no_limit(simulator: Client) -> None:
    path, body = "/v1/messages/count_tokens", {key: value for key, value in BODY.items() if key != "max_tokens"}
    assert simulator.api(path, body).status == 200
    assert simulator.api(path, body, anthropic_beta="context-1m-2025-08-07").status == 400
    assert simulator.api(path, {**body, "tools": [{"type": "web_search_20250305", "name": "w"}]}).status == 400


def test_vertex_is_stricter(start: Start) -> None:
    client = start(SimulatorOptions(messages_backend="vertex"))
    strict = {**BODY, "tools": [{**TOOL, "strict": True}]}
    assert client.api(MESSAGES, strict).json()["error"]["code"] == "FAILED_PRECONDITION"
    formatted = {**BODY, "output_config": {"format": {"type": "json_schema"}}}
    assert client.api(MESSAGES, formatted).json()["error"]["code"] == "FAILED_PRECONDITION"
    answer = client.api(MESSAGES, BODY).json()
    assert answer["id"].startswith("msg_vrtx_01")
