"""
The official Python SDKs, unmodified, over sockets: every protocol of a client on every endpoint of Copilot's.

Each pair answers whole and streamed, and runs a tool loop to its end both ways. `tests/sdk_node` does the same in Node.
"""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.harness import GatewayProcess, Simulator
from tests.journeys.markers import call_tool, fault, say
from tests.sdk.conftest import Upstream

TEXT = "Grüße aus Zürich 🏔, in several deltas."
ARGUMENTS = {"city": "Zürich", "days": 3}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
ENDPOINTS = {
    "gpt-4.1": "/chat/completions",
    "gemini-2.5-pro": "/chat/completions",
    "gpt-5.4": "/responses",
    "claude-opus-4.8": "/v1/messages",
}
"""Models that speak one protocol only, and which."""
MODELS = [*ENDPOINTS, "claude-sonnet-4.5", "claude-sonnet-4.6", "gpt-5-mini"]
STREAMED = pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])


@pytest.fixture(scope="module")
def anthropic_client(gateway: GatewayProcess, client_key: str) -> Iterator[Anthropic]:
    """A client that repeats nothing by itself."""
    with Anthropic(api_key=client_key, base_url=gateway.url, max_retries=0) as client:
        yield client


# Responses -------------------------------------------------------------------------------------------------------


def respond(openai: OpenAI, given: Any, *, is_streamed: bool, model: str, **more: Any) -> Any:
    """A response, whole or accumulated by the SDK's own helper."""
    if not is_streamed:
        return openai.responses.create(model=model, input=given, **more)
    with openai.responses.stream(model=model, input=given, **more) as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


RESPONSES_TOOL: Any = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}


@STREAMED
@pytest.mark.parametrize("model", MODELS)
def test_responses_say_what_the_model_says(openai: OpenAI, model: str, is_streamed: bool) -> None:
    response = respond(openai, say(TEXT), is_streamed=is_streamed, model=model)
    assert response.output_text == TEXT
    assert (response.status, response.model) == ("completed", model)
    assert response.usage.input_tokens > 0
    assert response.usage.output_tokens > 0
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


@STREAMED
@pytest.mark.parametrize("model", MODELS)
def test_responses_run_a_tool_loop(openai: OpenAI, simulator: Simulator, model: str, is_streamed: bool) -> None:
    asked = [{"role": "user", "content": call_tool("weather", ARGUMENTS)}]
    first = respond(openai, asked, is_streamed=is_streamed, model=model, tools=[RESPONSES_TOOL])
    [call] = [item for item in first.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("weather", ARGUMENTS)
    history = [*asked, *(item.model_dump(exclude_none=True) for item in first.output)]
    for item in history:
        item.pop("parsed_arguments", None)
    history.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    second = respond(openai, history, is_streamed=is_streamed, model=model, tools=[RESPONSES_TOOL])
    assert second.output_text == "SIM-RESULT: sunny"
    last = simulator.requests[-1]
    assert last["headers"]["x-initiator"] == "agent"
    assert last["path"] == ENDPOINTS.get(model, last["path"])


@pytest.mark.parametrize("model", MODELS)
def test_every_event_of_a_response_names_the_model_as_the_caller_did(openai: OpenAI, model: str) -> None:
    names = [
        event.response.model
        for event in openai.responses.create(model=model, input=say(TEXT), stream=True)
        if event.type in {"response.created", "response.in_progress", "response.completed"}
    ]
    assert names == [model] * 3


# Messages --------------------------------------------------------------------------------------------------------


def send(client: Anthropic, messages: Any, *, is_streamed: bool, model: str, **more: Any) -> Any:
    """A message, whole or accumulated by the SDK's own helper."""
    if not is_streamed:
        return client.messages.create(model=model, max_tokens=2000, messages=messages, **more)
    with client.messages.stream(model=model, max_tokens=2000, messages=messages, **more) as stream:
        return stream.get_final_message()


MESSAGES_TOOL: Any = {"name": "weather", "description": "The weather.", "input_schema": SCHEMA}


def spoken(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@STREAMED
@pytest.mark.parametrize("model", MODELS)
def test_messages_say_what_the_model_says(anthropic_client: Anthropic, model: str, is_streamed: bool) -> None:
    message = send(
        anthropic_client,
        [{"role": "user", "content": say(TEXT)}],
        is_streamed=is_streamed,
        model=model,
        system="be kind",
    )
    assert spoken(message) == TEXT
    assert (message.stop_reason, message.model, message.role) == ("end_turn", model, "assistant")
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


@STREAMED
@pytest.mark.parametrize("model", MODELS)
def test_messages_run_a_tool_loop(
    anthropic_client: Anthropic, simulator: Simulator, model: str, is_streamed: bool
) -> None:
    asked: list[Any] = [{"role": "user", "content": call_tool("weather", ARGUMENTS)}]
    first = send(anthropic_client, asked, is_streamed=is_streamed, model=model, tools=[MESSAGES_TOOL])
    assert first.stop_reason == "tool_use"
    [call] = [block for block in first.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("weather", ARGUMENTS)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "sunny"}]}
    history = [*asked, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = send(anthropic_client, history, is_streamed=is_streamed, model=model, tools=[MESSAGES_TOOL])
    assert spoken(second) == "SIM-RESULT: sunny"
    last = simulator.requests[-1]
    assert last["headers"]["x-initiator"] == "agent"
    assert last["path"] == ENDPOINTS.get(model, last["path"])


@STREAMED
@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-5-mini", "claude-haiku-4.5", "claude-sonnet-4.6", "claude-opus-4.8"])
def test_thinking_is_shown_and_can_be_replayed(anthropic_client: Anthropic, model: str, is_streamed: bool) -> None:
    asked: list[Any] = [{"role": "user", "content": call_tool("weather", ARGUMENTS)}]
    more: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "tools": [MESSAGES_TOOL]}
    first = send(anthropic_client, asked, is_streamed=is_streamed, model=model, **more)
    assert first.content[0].type == "thinking"
    assert first.content[0].signature
    [call] = [block for block in first.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    history = [*asked, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = send(anthropic_client, history, is_streamed=is_streamed, model=model, **more)
    assert spoken(second) == "SIM-RESULT: sunny"


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_counted_for_every_model(anthropic_client: Anthropic, model: str) -> None:
    counted = anthropic_client.messages.count_tokens(
        model=model, messages=[{"role": "user", "content": "hello " * 100}], tools=[MESSAGES_TOOL]
    )
    assert 50 < counted.input_tokens < 2000


def test_a_stop_sequence_ends_the_answer_where_the_model_knows_none(anthropic_client: Anthropic) -> None:
    for is_streamed in (False, True):
        message = send(
            anthropic_client,
            [{"role": "user", "content": say("one two STOP three")}],
            is_streamed=is_streamed,
            model="gpt-5.4",
            stop_sequences=["STOP"],
        )
        assert (spoken(message), message.stop_reason, message.stop_sequence) == ("one two ", "stop_sequence", "STOP")


# Errors ----------------------------------------------------------------------------------------------------------


def test_errors_are_raised_as_the_sdks_own_kind(gateway: GatewayProcess, anthropic_client: Anthropic) -> None:
    hello: Any = [{"role": "user", "content": "hi"}]
    stranger = Anthropic(api_key="sk-cap-wrong", base_url=gateway.url, max_retries=0)
    with stranger, pytest.raises(anthropic.AuthenticationError):
        send(stranger, hello, is_streamed=False, model="gpt-4.1")
    with pytest.raises(anthropic.NotFoundError, match="no-such-model") as missing:
        send(anthropic_client, hello, is_streamed=True, model="no-such-model")
    assert missing.value.request_id
    with pytest.raises(anthropic.BadRequestError):
        anthropic_client.messages.create(model="gpt-4.1", max_tokens=0, messages=hello)


@STREAMED
@pytest.mark.parametrize("model", ENDPOINTS)
def test_a_limit_upstream_is_a_rate_limit_error(anthropic_client: Anthropic, model: str, is_streamed: bool) -> None:
    with pytest.raises(anthropic.RateLimitError) as limited:
        send(anthropic_client, [{"role": "user", "content": fault("429")}], is_streamed=is_streamed, model=model)
    assert int(limited.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize("model", ENDPOINTS)
def test_an_answer_that_breaks_off_is_never_a_success(anthropic_client: Anthropic, openai: OpenAI, model: str) -> None:
    with pytest.raises(anthropic.APIError):
        send(anthropic_client, [{"role": "user", "content": fault("cut")}], is_streamed=True, model=model)
    with pytest.raises(Exception, match=r"broke off|ended|incomplete|response.completed|cut"):
        respond(openai, fault("cut"), is_streamed=True, model=model)


@STREAMED
@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.4", "claude-sonnet-4.5", "claude-opus-4.8"])
def test_pitfall_110_a_context_that_is_too_long_is_said_so_that_clients_compact(
    anthropic_client: Anthropic, upstream: Upstream, model: str, is_streamed: bool
) -> None:
    """Claude Code looks for these words."""
    words = "word " * 1_200_000
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        send(anthropic_client, [{"role": "user", "content": words}], is_streamed=is_streamed, model=model)
