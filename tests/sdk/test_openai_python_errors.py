"""The official `openai` package: every failure is the exception its users catch, and never a clean end."""

from collections.abc import Iterator
from typing import Any

import httpx2
import openai as package
import pytest
from openai import OpenAI

from tests.harness import Simulator, wait_until
from tests.journeys.markers import call_tool, fault, say
from tests.sdk.test_openai_python import TOOL, ask, fault_rule

UNKNOWN_KEY = "sk-cap-" + "a" * 52


def check(error: package.APIStatusError, code: str) -> None:
    """What every refusal has: a stable code, a message that says what to do, and the request id."""
    assert error.code == code
    assert error.request_id is not None
    assert error.request_id.startswith("req_")
    assert error.request_id in error.message
    assert error.response.headers["content-type"] == "application/json"


@pytest.fixture(params=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    """Refusals are the same for both."""
    return bool(request.param == "streamed")


# Keys and models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [UNKNOWN_KEY, "sk-proj-something-else", "dummy", "x" * 5000])
def test_an_unknown_key_is_an_authentication_error(base_url: str, key: str, stream: bool) -> None:
    """It is final: the SDK is told not to try again."""
    with (
        OpenAI(api_key=key, base_url=base_url, max_retries=0) as client,
        pytest.raises(package.AuthenticationError) as raised,
    ):
        client.chat.completions.create(model="gpt-4.1", messages=ask("hello"), stream=stream)
    check(raised.value, "invalid_api_key")
    assert raised.value.response.headers["x-should-retry"] == "false"


def test_no_key_is_an_authentication_error(base_url: str) -> None:
    with (
        OpenAI(api_key="none", base_url=base_url, max_retries=0) as client,
        pytest.raises(package.AuthenticationError) as raised,
    ):
        client.models.list(extra_headers={"Authorization": package.Omit()})
    check(raised.value, "invalid_api_key")
    assert "authorization" not in raised.value.request.headers


def test_refusals_that_are_final_are_not_repeated(base_url: str) -> None:
    """With the SDK's own retries on, one attempt is all it makes."""
    attempts: list[Any] = []
    with (
        package.DefaultHttpxClient(event_hooks={"request": [attempts.append]}) as http,
        OpenAI(api_key=UNKNOWN_KEY, base_url=base_url, http_client=http, max_retries=5) as client,
        pytest.raises(package.AuthenticationError),
    ):
        client.embeddings.create(model="text-embedding-3-small", input="hello")
    assert len(attempts) == 1


@pytest.mark.parametrize("model", ["gpt-99", "auto", "", "x" * 3000, "../../etc/passwd", "gpt-4.1 ", "GPT-4.1"])
def test_an_unknown_model_is_not_found(openai: OpenAI, model: str, stream: bool) -> None:
    if not model:
        with pytest.raises(package.BadRequestError) as refused:
            openai.chat.completions.create(model=model, messages=ask("hello"), stream=stream)
        assert refused.value.param == "model"
        return
    with pytest.raises(package.NotFoundError) as raised:
        openai.chat.completions.create(model=model, messages=ask("hello"), stream=stream)
    check(raised.value, "model_not_found")
    assert raised.value.param == "model"
    assert len(raised.value.message) < 500


@pytest.mark.parametrize("model", ["grok-code-fast-1", "claude-opus-4.7"])
def test_a_model_that_the_account_has_not_enabled_is_not_found(openai: OpenAI, model: str) -> None:
    with pytest.raises(package.NotFoundError) as raised:
        openai.chat.completions.create(model=model, messages=ask("hello"))
    check(raised.value, "model_not_found")


@pytest.mark.parametrize("model", ["text-embedding-3-small", "gpt-41-copilot"])
def test_a_model_of_another_kind_is_a_bad_request(openai: OpenAI, model: str) -> None:
    with pytest.raises(package.BadRequestError) as raised:
        openai.chat.completions.create(model=model, messages=ask("hello"))
    check(raised.value, "unsupported_api_for_model")


def test_a_model_outside_the_key_s_scope_is_a_permission_denied_error(
    base_url: str, scoped_key: str, stream: bool
) -> None:
    with OpenAI(api_key=scoped_key, base_url=base_url, max_retries=0) as client:
        assert client.chat.completions.create(model="gpt-4.1", messages=ask(say("mine"))).choices
        with pytest.raises(package.PermissionDeniedError) as raised:
            client.chat.completions.create(model="gpt-4o", messages=ask("hello"), stream=stream)
        check(raised.value, "model_not_allowed")
        with pytest.raises(package.PermissionDeniedError):
            client.embeddings.create(model="text-embedding-3-small", input="hello")


# Bad requests ---------------------------------------------------------------------------------------------------------

WRONG: dict[str, dict[str, Any]] = {
    "model": {"model": {}},
    "model list": {"model": ["gpt-4.1"]},
    "messages": {"messages": False},
    "messages null": {"messages": None},
    "messages object": {"messages": {"role": "user"}},
    "messages empty": {"messages": []},
    "message string": {"messages": ["hello"]},
    "role": {"messages": [{"role": 7, "content": "hello"}]},
    "unknown role": {"messages": [{"role": "ghost", "content": "hello"}]},
    "no role": {"messages": [{"content": "hello"}]},
    "content number": {"messages": [{"role": "user", "content": 7}]},
    "content parts": {"messages": [{"role": "user", "content": [7]}]},
    "content part type": {"messages": [{"role": "user", "content": [{"type": {}}]}]},
    "content null": {"messages": [{"role": "user", "content": None}]},
    "stream": {"stream": "yes"},
    "stream number": {"stream": 1},
    "stream_options": {"stream": True, "stream_options": "usage"},
    "stream_options list": {"stream": True, "stream_options": []},
    "include_usage": {"stream": True, "stream_options": {"include_usage": "yes"}},
    "n": {"n": "two"},
    "n zero": {"n": 0},
    "tools": {"tools": "get_weather"},
    "tools strings": {"tools": ["get_weather"]},
    "tool name": {"tools": [{"type": "function", "function": {"name": "not a name!"}}]},
    "tool_choice": {"tool_choice": 7},
    "temperature": {"temperature": "hot"},
    "temperature flag": {"temperature": True},
    "max_tokens": {"max_tokens": "many"},
    "max_completion_tokens": {"max_completion_tokens": 1.5},
    "reasoning_effort": {"model": "gpt-5-mini", "reasoning_effort": "extreme"},
    "response_format": {"response_format": "json"},
    "tool result without a call": {"messages": [{"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
    "tool call without a result": {
        "messages": [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "user", "content": "and?"},
        ]
    },
    "prefill": {"model": "claude-sonnet-4.6", "messages": [{"role": "assistant", "content": "Sure,"}]},
    "remote image": {
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}
        ]
    },
}


@pytest.mark.parametrize("more", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_body_is_a_bad_request(openai: OpenAI, more: dict[str, Any]) -> None:
    """Whatever is wrong and whoever notices, the gateway or Copilot: 400 with a code, never a 500."""
    body = {"model": "gpt-4.1", "messages": ask("hello"), **more}
    with pytest.raises(package.BadRequestError) as raised:
        openai.post("/chat/completions", body=body, cast_to=object)
    assert raised.value.code
    assert raised.value.type
    assert raised.value.request_id is not None
    assert raised.value.request_id in raised.value.message


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4o"])
def test_an_overlong_conversation_says_so_by_its_code(openai: OpenAI, model: str, stream: bool) -> None:
    """Clients compact the conversation when they see `context_length_exceeded`, and only then."""
    with pytest.raises(package.BadRequestError) as raised:
        openai.chat.completions.create(model=model, messages=ask("word " * 60_000), stream=stream)
    check(raised.value, "context_length_exceeded")


@pytest.mark.parametrize(
    "name", ["context_overflow_chat", "context_overflow_responses", "context_overflow_vertex_gemini"]
)
def test_every_wording_of_an_overflow_has_that_code(openai: OpenAI, name: str, stream: bool) -> None:
    with pytest.raises(package.BadRequestError) as raised:
        openai.chat.completions.create(model="gpt-4.1", messages=ask(fault(name)), stream=stream)
    check(raised.value, "context_length_exceeded")


# Trouble upstream -----------------------------------------------------------------------------------------------------


def test_a_rate_limit_upstream_is_a_rate_limit_error(openai: OpenAI, stream: bool) -> None:
    """With the wait that Copilot asks for, and its own code."""
    with pytest.raises(package.RateLimitError) as raised:
        openai.chat.completions.create(model="gpt-4.1", messages=ask(fault("429")), stream=stream)
    check(raised.value, "rate_limited")
    assert raised.value.response.headers["retry-after"] == "37"


def test_a_used_up_allowance_is_a_rate_limit_error_that_is_final(openai: OpenAI, stream: bool) -> None:
    with pytest.raises(package.RateLimitError) as raised:
        openai.chat.completions.create(model="gpt-4.1", messages=ask(fault("402")), stream=stream)
    check(raised.value, "quota_exceeded")
    assert raised.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(("name", "status"), [("502", 502), ("504", 504), ("503", 503), ("html-200", 502)])
def test_trouble_upstream_is_an_internal_server_error(openai: OpenAI, name: str, status: int, stream: bool) -> None:
    with pytest.raises(package.InternalServerError) as raised:
        openai.chat.completions.create(model="gpt-4.1", messages=ask(fault(name)), stream=stream)
    assert raised.value.status_code == status
    check(raised.value, raised.value.code or "")
    assert raised.value.code in {"upstream_error", "upstream_timeout", "upstream_rate_limited"}


def test_a_passing_trouble_upstream_does_not_reach_the_client(
    openai: OpenAI, simulator: Simulator, stream: bool
) -> None:
    messages = ask(say("second try"))
    with fault_rule(simulator, "502"):
        if stream:
            assert "".join(read(openai, messages=messages)) == "second try"
        else:
            whole = openai.chat.completions.create(model="gpt-4.1", messages=messages)
            assert whole.choices[0].message.content == "second try"


@pytest.mark.parametrize("status", ["401", "token_invalid"])
def test_a_credential_refused_upstream_is_no_authentication_error(openai: OpenAI, status: str, stream: bool) -> None:
    """The caller's key is fine; a 401 would send its owner looking for another."""
    with pytest.raises(package.InternalServerError) as raised:
        openai.chat.completions.create(model="gpt-4.1", messages=ask(fault(status)), stream=stream)
    check(raised.value, "upstream_unauthorized")


# Streams that break ---------------------------------------------------------------------------------------------------


def read(client: OpenAI, **more: Any) -> Iterator[str]:
    """The pieces of a streamed answer."""
    with client.chat.completions.create(
        model=more.pop("model", "gpt-4.1"), messages=more.pop("messages"), stream=True, **more
    ) as chunks:
        for chunk in chunks:
            yield from (choice.delta.content or "" for choice in chunk.choices)


@pytest.mark.parametrize("model", ["gpt-4.1", "claude-sonnet-4.6", "gemini-2.5-pro"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("cut", "upstream_cut"),
        ("cut-rst", "upstream_cut"),
        ("cut-clean", "upstream_cut"),
        ("midstream-error", "upstream_error"),
    ],
)
def test_a_stream_that_breaks_raises_after_what_was_said(openai: OpenAI, model: str, name: str, code: str) -> None:
    """What has come is kept, and the end is an error: half an answer must not look like a whole one."""
    said: list[str] = []
    with pytest.raises(package.APIError) as raised:
        said.extend(read(openai, model=model, messages=ask(fault(name))))
    # An error that comes with the first words may still be told by the status.
    assert "".join(said) or isinstance(raised.value, package.InternalServerError)
    assert raised.value.code == code
    assert "request id: req_" in raised.value.message


@pytest.mark.parametrize("name", ["cut", "cut-rst", "cut-clean", "midstream-error"])
def test_a_broken_stream_raises_in_the_helper_too(openai: OpenAI, name: str) -> None:
    with (
        pytest.raises(package.APIError) as raised,
        openai.chat.completions.stream(model="gpt-4.1", messages=ask(fault(name))) as stream,
    ):
        stream.get_final_completion()
    assert raised.value.code in {"upstream_cut", "upstream_error"}


@pytest.mark.parametrize("name", ["cut", "cut-rst", "cut-clean"])
@pytest.mark.parametrize("model", ["gpt-4.1", "claude-sonnet-4.6"])
def test_a_tool_call_that_breaks_off_raises(openai: OpenAI, simulator: Simulator, name: str, model: str) -> None:
    """Half the arguments of a tool must never be run."""
    with fault_rule(simulator, name), pytest.raises(package.APIError) as raised:
        list(
            read(
                openai,
                model=model,
                messages=ask(call_tool("get_weather", {"city": "Paris", "days": 1})),
                tools=[TOOL],
            )
        )
    assert raised.value.code == "upstream_cut"


@pytest.mark.parametrize("name", ["cut", "cut-rst", "cut-clean", "garbage", "midstream-error"])
def test_a_whole_answer_that_breaks_off_is_an_internal_server_error(openai: OpenAI, name: str) -> None:
    with pytest.raises(package.InternalServerError) as raised:
        openai.chat.completions.create(model="gpt-4.1", messages=ask(fault(name)))
    assert raised.value.status_code in {502, 504}
    check(raised.value, raised.value.code or "")


def test_a_client_whose_patience_ends_is_not_waited_for(openai: OpenAI, simulator: Simulator) -> None:
    """Its own timeout is an `APITimeoutError`, and the call upstream ends with it."""
    before = simulator.stats["aborted"]
    with pytest.raises(package.APITimeoutError):
        openai.chat.completions.create(model="gpt-4.1", messages=ask(fault("stall-headers")), timeout=0.3)
    with pytest.raises((package.APITimeoutError, httpx2.ReadTimeout)):
        list(read(openai, messages=ask(fault("stall")), timeout=0.3))
    wait_until(lambda: simulator.stats["aborted"] == before + 2, 5, "both calls are aborted upstream")


def test_the_gateway_serves_on_after_every_fault(openai: OpenAI) -> None:
    answer = openai.chat.completions.create(model="gpt-4.1", messages=ask(say("still here")))
    assert answer.choices[0].message.content == "still here"
