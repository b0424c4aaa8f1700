"""The official `anthropic` package: every failure is the exception its users catch, and never a clean end."""

import asyncio
from typing import Any

import anthropic as package
import pytest
from anthropic import Anthropic, AsyncAnthropic

from tests.harness import GatewayProcess, Simulator
from tests.journeys.markers import call_tool, fault, say
from tests.sdk.test_anthropic_python import TOOL, ask, text_of
from tests.sdk.test_openai_python import ARGUMENTS, fault_rule

UNKNOWN_KEY = "sk-cap-" + "a" * 52
MODELS = ["claude-sonnet-4.5", "gpt-5.4", "gpt-4.1"]


def check(error: package.APIStatusError, kind: str) -> None:
    """What every refusal has: Anthropic's form and its name for it, and the request id."""
    assert isinstance(error.body, dict)
    assert error.body["type"] == "error"
    assert error.body["error"]["type"] == kind
    assert error.body["error"]["message"]
    assert error.request_id is not None
    assert error.request_id.startswith("req_")
    assert error.request_id in error.message
    assert error.response.headers["content-type"] == "application/json"
    assert error.response.headers["request-id"] == error.request_id


@pytest.fixture(params=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    """Refusals are the same for both."""
    return bool(request.param == "streamed")


def create(client: Anthropic, stream: bool, prompt: str = "hello", **more: Any) -> Any:
    """A call, read to its end."""
    arguments: dict[str, Any] = {"model": "claude-sonnet-4.5", "max_tokens": 500, "messages": ask(prompt), **more}
    if not stream:
        return client.messages.create(**arguments)
    with client.messages.stream(**arguments) as events:
        return events.get_final_message()


# Keys and models ------------------------------------------------------------------------------------------------------


def test_an_unknown_key_is_an_authentication_error(gateway: GatewayProcess, stream: bool) -> None:
    """It is final: the SDK is told not to try again."""
    with Anthropic(api_key=UNKNOWN_KEY, base_url=gateway.url, max_retries=3) as client:
        with pytest.raises(package.AuthenticationError) as raised:
            create(client, stream)
        check(raised.value, "authentication_error")
        assert raised.value.response.headers["x-should-retry"] == "false"
        assert raised.value.request.headers["x-stainless-retry-count"] == "0"


def test_the_key_may_come_as_a_bearer_token(gateway: GatewayProcess, client_key: str) -> None:
    with Anthropic(auth_token=client_key, api_key=None, base_url=gateway.url, max_retries=0) as client:
        assert text_of(create(client, False, say("let in"))) == "let in"


@pytest.mark.parametrize("suffix", ["", "/", "/v1"])
def test_the_base_url_may_have_the_version_or_not(gateway: GatewayProcess, client_key: str, suffix: str) -> None:
    with Anthropic(api_key=client_key, base_url=gateway.url + suffix, max_retries=0) as client:
        assert text_of(create(client, False, say("here"))) == "here"
        assert client.messages.count_tokens(model="gpt-4.1", messages=ask("hello")).input_tokens > 0


def test_an_unknown_model_is_not_found(anthropic: Anthropic, stream: bool) -> None:
    with pytest.raises(package.NotFoundError) as raised:
        create(anthropic, stream, model="claude-unknown-9")
    check(raised.value, "not_found_error")
    assert "claude-unknown-9" in raised.value.message
    counted = anthropic.messages.count_tokens(model="claude-unknown-9", messages=ask("hello"))
    assert counted.input_tokens > 1, "counting needs no model"


def test_a_model_outside_the_key_s_scope_is_a_permission_denied_error(
    gateway: GatewayProcess, scoped_key: str, stream: bool
) -> None:
    with Anthropic(api_key=scoped_key, base_url=gateway.url, max_retries=0) as client:
        assert text_of(create(client, stream, say("mine"), model="gpt-4.1")) == "mine"
        with pytest.raises(package.PermissionDeniedError) as raised:
            create(client, stream)
        check(raised.value, "permission_error")


def test_a_path_that_is_not_there_is_not_found(anthropic: Anthropic) -> None:
    with pytest.raises(package.NotFoundError) as raised:
        anthropic.messages.batches.create(requests=[])
    check(raised.value, "not_found_error")


# Bad requests ---------------------------------------------------------------------------------------------------------

WRONG: dict[str, dict[str, Any]] = {
    "model": {"model": {}},
    "messages": {"messages": False},
    "messages empty": {"messages": []},
    "message string": {"messages": ["hello"]},
    "role": {"messages": [{"role": 7, "content": "hello"}]},
    "unknown role": {"messages": [{"role": "ghost", "content": "hello"}]},
    "content number": {"messages": [{"role": "user", "content": 7}]},
    "content block": {"messages": [{"role": "user", "content": [7]}]},
    "content block type": {"messages": [{"role": "user", "content": [{"type": {}}]}]},
    "max_tokens text": {"max_tokens": "many"},
    "max_tokens zero": {"max_tokens": 0},
    "max_tokens missing": {"max_tokens": None},
    "system": {"system": 7},
    "stream": {"stream": "yes"},
    "tools": {"tools": "get_weather"},
    "tool_choice": {"tools": [TOOL], "tool_choice": 7},
    "temperature": {"temperature": "hot"},
    "thinking": {"thinking": "hard"},
    "stop_sequences": {"stop_sequences": [7]},
    "image": {
        "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": 7}}]}],
    },
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("more", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_body_is_a_bad_request(anthropic: Anthropic, model: str, more: dict[str, Any]) -> None:
    """Whatever is wrong and whoever notices, the gateway or Copilot: 400, never a 500."""
    body = {"model": model, "max_tokens": 100, "messages": ask("hello"), **more}
    with pytest.raises(package.BadRequestError) as raised:
        anthropic.post("/v1/messages", body=body, cast_to=object)
    check(raised.value, "invalid_request_error")


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4o"])
def test_an_overlong_conversation_says_so_as_anthropic_does(anthropic: Anthropic, model: str, stream: bool) -> None:
    """Clients compact the conversation when they read `prompt is too long`, and only then."""
    with pytest.raises(package.BadRequestError) as raised:
        create(anthropic, stream, "word " * 60_000, model=model)
    check(raised.value, "invalid_request_error")
    assert "prompt is too long" in raised.value.message


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "name", ["context_overflow_chat", "context_overflow_responses", "context_overflow_vertex_gemini"]
)
def test_every_wording_of_an_overflow_is_anthropic_s(anthropic: Anthropic, model: str, name: str) -> None:
    with pytest.raises(package.BadRequestError) as raised:
        create(anthropic, False, fault(name), model=model)
    check(raised.value, "invalid_request_error")
    assert "prompt is too long" in raised.value.message


@pytest.mark.parametrize("model", MODELS)
def test_threads_are_refused_so_that_the_sdk_goes_on_without(anthropic: Anthropic, model: str) -> None:
    """The tool runner asks for a conversation kept by the server; only this refusal makes it send all of it itself."""
    body = {"model": model, "max_tokens": 100, "messages": ask("hello"), "thread": {"type": "create"}}
    with pytest.raises(package.BadRequestError) as raised:
        anthropic.post("/v1/messages?beta=true", body=body, cast_to=object)
    check(raised.value, "invalid_request_error")
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["error"]["details"]["error_code"] == "thread_unsupported_request"


# Trouble upstream -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_rate_limit_upstream_is_a_rate_limit_error(anthropic: Anthropic, model: str, stream: bool) -> None:
    with pytest.raises(package.RateLimitError) as raised:
        create(anthropic, stream, fault("429"), model=model)
    check(raised.value, "rate_limit_error")
    assert raised.value.response.headers["retry-after"] == "37"


@pytest.mark.parametrize("model", MODELS)
def test_a_used_up_allowance_is_a_billing_error_that_is_final(anthropic: Anthropic, model: str) -> None:
    with pytest.raises(package.APIStatusError) as raised:
        create(anthropic, False, fault("402"), model=model)
    assert raised.value.status_code == 402
    check(raised.value, "billing_error")
    assert raised.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("name", "status"), [("502", 502), ("504", 504), ("html-200", 502), ("401", 502)])
def test_trouble_upstream_is_a_server_s_error(anthropic: Anthropic, model: str, name: str, status: int) -> None:
    """Also when Copilot refuses the gateway's own credential: the caller's key is fine."""
    with pytest.raises(package.InternalServerError) as raised:
        create(anthropic, True, fault(name), model=model)
    assert raised.value.status_code == status
    assert isinstance(raised.value.body, dict)
    check(raised.value, raised.value.body["error"]["type"])
    assert raised.value.body["error"]["type"] in {"api_error", "timeout_error", "overloaded_error"}


@pytest.mark.parametrize("model", MODELS)
def test_a_passing_trouble_upstream_does_not_reach_the_client(
    anthropic: Anthropic, simulator: Simulator, model: str, stream: bool
) -> None:
    with fault_rule(simulator, "502"):
        assert text_of(create(anthropic, stream, say("second try"), model=model)) == "second try"


# Streams that break ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [*MODELS, "claude-opus-4.8", "gemini-2.5-pro"])
@pytest.mark.parametrize("name", ["cut", "cut-rst", "cut-clean", "midstream-error"])
def test_a_stream_that_breaks_raises_after_what_was_said(anthropic: Anthropic, model: str, name: str) -> None:
    """What has come is kept, and the end is an error: half an answer must not look like a whole one."""
    said: list[str] = []
    with (
        pytest.raises(package.APIError) as raised,
        anthropic.messages.stream(model=model, max_tokens=500, messages=ask(fault(name))) as events,
    ):
        said.extend(events.text_stream)
    assert "".join(said) or isinstance(raised.value, package.InternalServerError)
    assert "req_" in str(raised.value.body)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["cut", "cut-rst", "cut-clean"])
def test_a_tool_call_that_breaks_off_raises(anthropic: Anthropic, simulator: Simulator, name: str, model: str) -> None:
    """Half the arguments of a tool must never be run."""
    with fault_rule(simulator, name), pytest.raises(package.APIError):
        create(anthropic, True, call_tool("get_weather", ARGUMENTS), model=model, tools=[TOOL])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["cut", "cut-clean", "garbage", "midstream-error"])
def test_a_whole_answer_that_breaks_off_is_a_server_s_error(anthropic: Anthropic, name: str, model: str) -> None:
    with pytest.raises(package.InternalServerError) as raised:
        create(anthropic, False, fault(name), model=model)
    assert raised.value.status_code in {500, 502, 504}


@pytest.mark.parametrize("model", ["gpt-5.4"])
def test_an_answer_that_failed_upstream_raises(anthropic: Anthropic, simulator: Simulator, model: str) -> None:
    """`response.failed` is no answer."""
    for streamed in (False, True):
        with fault_rule(simulator, "failed"), pytest.raises(package.APIError):
            create(anthropic, streamed, model=model)


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "claude-opus-4.8"])
def test_a_refusal_is_told(anthropic: Anthropic, simulator: Simulator, model: str, stream: bool) -> None:
    with fault_rule(simulator, "refusal"):
        assert create(anthropic, stream, model=model).stop_reason == "refusal"


# The async client -----------------------------------------------------------------------------------------------------


def test_the_async_client(gateway: GatewayProcess, client_key: str) -> None:
    """The essentials once more, side by side: everybody gets their own answer."""

    async def run() -> None:
        async with AsyncAnthropic(api_key=client_key, base_url=gateway.url, max_retries=0) as client:

            async def one(number: int) -> None:
                model, text = MODELS[number % 3], f"answer {number}"
                arguments: dict[str, Any] = {"model": model, "max_tokens": 100, "messages": ask(say(text))}
                if number % 2:
                    assert text_of(await client.messages.create(**arguments)) == text
                    return
                async with client.messages.stream(**arguments) as events:
                    assert await events.get_final_text() == text

            await asyncio.gather(*(one(number) for number in range(30)))
            with pytest.raises(package.RateLimitError):
                await client.messages.create(model="gpt-4.1", max_tokens=9, messages=ask(fault("429")))

    asyncio.run(run())
