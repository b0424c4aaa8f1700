"""The official `openai` package, unmodified, over real sockets: conversations, whole and streamed."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from openai import OpenAI, pydantic_function_tool
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)
from pydantic import BaseModel

from tests.harness import Simulator, wait_until
from tests.journeys.markers import call_tool, say
from tests.sdk.conftest import Upstream

MODELS = ["gpt-4.1", "gpt-5-mini", "gpt-5.4", "claude-sonnet-4.6", "claude-opus-4.8", "gemini-2.5-pro"]
ARGUMENTS = {"city": "Zürich 🏔", "days": 3}
TEXTS = {
    "plain": "The quick brown fox jumps over the lazy dog.",
    "unicode": "Grüße aus Zürich — Ελληνικά, 日本語, العربية, \u05e2\u05d1\u05e8\u05d9\u05ea",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 🤦🏽‍♂️ \U0001d518\U0001d52b",
    "line separators": "one\u2028two\u2029three\u0085four\x0bfive\x0csix",
    "line ends": "a\nb\r\nc\rd\n\n\n e",
    "looks like the wire": 'data: [DONE]\n\ndata: {"choices": []}\n\nevent: error\n\n: comment\n\n"model":"x"}',
    "escapes": 'back\\slash "quotes" \\u0041 \t tab \x00 nul \x7f del',
    "spaces": "   leading and trailing   ",
    "one character": "é",
    "long": "0123456789 äöü 😀 " * 2000,
}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(32)).decode()


class Weather(BaseModel):
    """The arguments of the tool."""

    city: str
    days: int


TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


def ask(prompt: str) -> list[ChatCompletionMessageParam]:
    """A conversation of one message."""
    return [{"role": "user", "content": prompt}]


def one_message(completion: ChatCompletion) -> Any:
    """The message of an answer, which has one choice as clients expect it."""
    assert [choice.index for choice in completion.choices] == [0]
    return completion.choices[0].message


def one_call(message: Any) -> ChatCompletionMessageFunctionToolCall:
    """The only tool call of a message."""
    assert len(message.tool_calls) == 1
    call = message.tool_calls[0]
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    return call


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    """What a stream said."""
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


@contextmanager
def fault_rule(simulator: Simulator, name: str, **more: Any) -> Iterator[None]:
    """The next model call goes wrong in that way, whatever it says."""
    simulator.post("/_sim/faults", {"name": name, "count": 1, **more})
    try:
        yield
    finally:
        simulator.post("/_sim/faults", {})


# Text -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_text_arrives_as_it_was_said_whole(openai: OpenAI, text: str) -> None:
    completion = openai.chat.completions.create(model="gpt-4.1", messages=ask(say(text)))
    assert one_message(completion).content == text
    assert completion.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_text_arrives_as_it_was_said_streamed(openai: OpenAI, text: str) -> None:
    with openai.chat.completions.create(model="gpt-4.1", messages=ask(say(text)), stream=True) as stream:
        assert text_of(list(stream)) == text


@pytest.mark.parametrize("model", MODELS)
def test_torn_code_points_upstream_do_not_show(openai: OpenAI, simulator: Simulator, model: str) -> None:
    """The upstream may cut its bytes anywhere, also inside a character or a line end."""
    text = TEXTS["emoji"] + TEXTS["line separators"]
    with (
        fault_rule(simulator, "split-frames"),
        openai.chat.completions.create(model=model, messages=ask(say(text)), stream=True) as stream,
    ):
        assert text_of(list(stream)) == text


def test_a_stream_without_done_upstream_ends_properly(openai: OpenAI, simulator: Simulator) -> None:
    """Copilot may leave `[DONE]` out; after a finish reason that is the end all the same."""
    with (
        fault_rule(simulator, "no-done"),
        openai.chat.completions.create(model="gpt-4.1", messages=ask(say("all of it")), stream=True) as stream,
    ):
        assert text_of(list(stream)) == "all of it"


@pytest.mark.parametrize("model", MODELS)
def test_every_chunk_has_what_sdks_need(openai: OpenAI, model: str) -> None:
    """Id, object, time and the model's name as the caller wrote it; the role first, one finish, nothing after it."""
    with openai.chat.completions.create(model=model, messages=ask(say("one two three")), stream=True) as stream:
        chunks = list(stream)
    assert {chunk.model for chunk in chunks} == {model}
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.id for chunk in chunks)
    assert all(chunk.created > 1_700_000_000 for chunk in chunks)
    assert [len(chunk.choices) for chunk in chunks] == [1] * len(chunks)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len([chunk for chunk in chunks if chunk.choices[0].delta.content]) >= 3, "it is streamed, not sent at once"


@pytest.mark.parametrize("model", [*MODELS, "claude-sonnet-4-6", "claude-sonnet-4-5-20250929"])
def test_the_answer_names_the_model_as_the_caller_did(openai: OpenAI, upstream: Upstream, model: str) -> None:
    completion = openai.chat.completions.create(model=model, messages=ask("hello"))
    assert completion.model == model
    assert completion.object == "chat.completion"
    assert one_message(completion).role == "assistant"
    assert "-4-" not in upstream(completion._request_id)["body"]["model"]


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "gpt-4.1"])
def test_the_usage_chunk_names_the_model_as_the_caller_did(openai: OpenAI, model: str) -> None:
    with openai.chat.completions.create(
        model=model, messages=ask("hello"), stream=True, stream_options={"include_usage": True}
    ) as stream:
        assert {chunk.model for chunk in stream} == {model}


def test_an_unmarked_answer_is_the_same_whole_and_streamed(openai: OpenAI) -> None:
    whole = openai.chat.completions.create(model="gpt-4.1", messages=ask("tell me something"))
    with openai.chat.completions.create(model="gpt-4.1", messages=ask("tell me something"), stream=True) as stream:
        assert text_of(list(stream)) == one_message(whole).content


def test_whole_answers_carry_the_usage(openai: OpenAI) -> None:
    usage = openai.chat.completions.create(model="gpt-4.1", messages=ask(say("x" * 400))).usage
    assert usage is not None
    assert usage.completion_tokens == 100
    assert usage.prompt_tokens > 50
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


# Usage in streams -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_has_no_usage_chunk_unless_asked_for(openai: OpenAI, upstream: Upstream, model: str) -> None:
    """aider, Codex and others break on `choices: []`; upstream the usage is asked for all the same."""
    raw = openai.chat.completions.with_raw_response.create(model=model, messages=ask("hello"), stream=True)
    with raw.parse() as stream:
        chunks = list(stream)
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)
    seen = upstream(raw.headers["x-request-id"])
    if seen["path"] == "/chat/completions":
        assert seen["body"]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_ends_with_the_usage_when_asked_for(openai: OpenAI, model: str) -> None:
    with openai.chat.completions.create(
        model=model, messages=ask("hello"), stream=True, stream_options={"include_usage": True}
    ) as stream:
        *chunks, last = list(stream)
    assert all(chunk.choices for chunk in chunks)
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 0
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    assert all(chunk.usage is None for chunk in chunks)


def test_include_usage_false_is_kept_from_the_upstream(openai: OpenAI, upstream: Upstream) -> None:
    raw = openai.chat.completions.with_raw_response.create(
        model="gpt-4.1", messages=ask("hello"), stream=True, stream_options={"include_usage": False}
    )
    with raw.parse() as stream:
        assert all(chunk.choices for chunk in stream)
    assert upstream(raw.headers["x-request-id"])["body"]["stream_options"] == {"include_usage": True}


# The stream helper ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_the_stream_helper_accumulates_the_answer(openai: OpenAI, model: str) -> None:
    text = "It accumulates: Grüße 🎉\u2028and more"
    with openai.chat.completions.stream(
        model=model, messages=ask(say(text)), stream_options={"include_usage": True}
    ) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    assert "".join(event.delta for event in events if event.type == "content.delta") == text
    assert [event.content for event in events if event.type == "content.done"] == [text]
    assert one_message(final).content == text
    assert final.choices[0].finish_reason == "stop"
    assert final.model == model
    assert final.usage is not None


@pytest.mark.parametrize("model", MODELS)
def test_the_stream_helper_parses_tool_arguments(openai: OpenAI, model: str) -> None:
    tool = pydantic_function_tool(Weather, name="get_weather")
    with openai.chat.completions.stream(
        model=model, messages=ask(call_tool("get_weather", ARGUMENTS)), tools=[tool]
    ) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    deltas = [event for event in events if event.type == "tool_calls.function.arguments.delta"]
    assert len(deltas) >= 2
    assert [(event.name, json.loads(event.arguments)) for event in done] == [("get_weather", ARGUMENTS)]
    assert final.choices[0].finish_reason == "tool_calls"
    assert one_call(one_message(final)).function.parsed_arguments == Weather.model_validate(ARGUMENTS)  # type: ignore[attr-defined] # parsed


@pytest.mark.parametrize("model", MODELS)
def test_the_stream_state_accumulates_by_hand(openai: OpenAI, model: str) -> None:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState(input_tools=[TOOL])
    with openai.chat.completions.create(
        model=model, messages=ask(call_tool("get_weather", ARGUMENTS)), tools=[TOOL], stream=True
    ) as stream:
        for chunk in stream:
            state.handle_chunk(chunk)
    call = one_call(one_message(state.get_final_completion()))
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == ARGUMENTS
    assert call.id


def test_structured_output_parses(openai: OpenAI, upstream: Upstream) -> None:
    text = json.dumps(ARGUMENTS, ensure_ascii=False)
    completion = openai.chat.completions.parse(model="gpt-4.1", messages=ask(say(text)), response_format=Weather)
    assert completion.choices[0].message.parsed == Weather.model_validate(ARGUMENTS)
    assert upstream(completion._request_id)["body"]["response_format"]["json_schema"]["strict"] is True


# Tools ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_loop_whole(openai: OpenAI, upstream: Upstream, model: str) -> None:
    """Claude's text and call are two choices upstream; the client gets one message with both."""
    messages = ask(call_tool("get_weather", ARGUMENTS))
    first = openai.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    message = one_message(first)
    call = one_call(message)
    assert first.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == ARGUMENTS
    assert bool(message.content) is (model == "claude-sonnet-4.6"), "only Claude on Chat Completions says so first"
    second = openai.chat.completions.create(
        model=model,
        messages=[*messages, message, {"role": "tool", "tool_call_id": call.id, "content": "21° ☀\u2028dry"}],
        tools=[TOOL],
    )
    assert one_message(second).content == "SIM-RESULT: 21° ☀\u2028dry"
    assert second.choices[0].finish_reason == "stop"
    initiators = [upstream(one._request_id)["headers"]["x-initiator"] for one in (first, second)]
    assert initiators == ["user", "agent"]


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_loop_streamed(openai: OpenAI, model: str) -> None:
    messages = ask(call_tool("get_weather", ARGUMENTS))
    with openai.chat.completions.create(model=model, messages=messages, tools=[TOOL], stream=True) as stream:
        chunks = list(stream)
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert {call.index for call in calls} == {0}
    call_ids = [call.id for call in calls if call.id]
    assert len(call_ids) == 1, "the id comes once"
    assert [call.function.name for call in calls if call.function and call.function.name] == ["get_weather"]
    pieces = [call.function.arguments or "" for call in calls if call.function]
    assert json.loads("".join(pieces)) == ARGUMENTS
    assert len([piece for piece in pieces if piece]) >= 2
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["tool_calls"]
    with openai.chat.completions.create(
        model=model,
        messages=[
            *messages,
            {
                "role": "assistant",
                "content": text_of(chunks) or None,
                "tool_calls": [
                    {
                        "id": call_ids[0],
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": "".join(pieces)},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": call_ids[0], "content": "21°"},
        ],
        tools=[TOOL],
        stream=True,
    ) as stream:
        assert text_of(list(stream)) == "SIM-RESULT: 21°"


def test_claude_s_repeated_call_ids_stay_one_call(openai: OpenAI, simulator: Simulator) -> None:
    """Some deployments repeat the id on each piece: a new call for each would run the tool many times."""
    with (
        fault_rule(simulator, "repeated-ids"),
        openai.chat.completions.stream(
            model="claude-sonnet-4.6",
            messages=ask(call_tool("get_weather", ARGUMENTS)),
            tools=[pydantic_function_tool(Weather, name="get_weather")],
        ) as stream,
    ):
        message = one_message(stream.get_final_completion())
    assert json.loads(one_call(message).function.arguments) == ARGUMENTS


@pytest.mark.parametrize("value", [True, False])
def test_parallel_tool_calls_goes_upstream(openai: OpenAI, upstream: Upstream, value: bool) -> None:
    completion = openai.chat.completions.create(
        model="gpt-4.1", messages=ask("hello"), tools=[TOOL], parallel_tool_calls=value, tool_choice="auto"
    )
    body = upstream(completion._request_id)["body"]
    assert (body["parallel_tool_calls"], body["tool_choice"]) == (value, "auto")
    assert body["tools"] == [TOOL]


# Parameters -----------------------------------------------------------------------------------------------------------


def test_parameters_go_upstream_as_they_are(openai: OpenAI, upstream: Upstream) -> None:
    parameters: dict[str, Any] = {
        "temperature": 0.25,
        "top_p": 0.5,
        "stop": ["END", "\n\n"],
        "seed": 7,
        "user": "ada",
        "presence_penalty": -0.5,
        "frequency_penalty": 1,
        "logit_bias": {"50256": -100},
        "response_format": {"type": "json_object"},
        "max_tokens": 12,
        "metadata": {"run": "1"},
        "prompt_cache_key": "cache",
        "logprobs": True,
        "top_logprobs": 2,
    }
    extra = {"vendor_extension": {"nested": [1, 2.50, None, "ü"]}}
    completion = openai.chat.completions.create(model="gpt-4.1", messages=ask("hello"), extra_body=extra, **parameters)
    assert upstream(completion._request_id)["body"] == {
        "model": "gpt-4.1",
        "messages": [{"role": "user", "content": "hello"}],
        **parameters,
        **extra,
    }
    assert completion.choices[0].finish_reason == "length", "max_tokens took effect"


def test_max_tokens_reaches_models_that_want_the_other_name(openai: OpenAI, upstream: Upstream) -> None:
    """GPT-5 refuses `max_tokens`; clients that only know that name still work."""
    completion = openai.chat.completions.create(model="gpt-5-mini", messages=ask("hello"), max_tokens=500)
    body = upstream(completion._request_id)["body"]
    assert (body.get("max_tokens"), body["max_completion_tokens"]) == (None, 500)


def test_reasoning_effort_goes_upstream_and_reasoning_is_counted(openai: OpenAI, upstream: Upstream) -> None:
    completion = openai.chat.completions.create(model="gpt-5-mini", messages=ask("hello"), reasoning_effort="low")
    assert upstream(completion._request_id)["body"]["reasoning_effort"] == "low"
    assert completion.usage is not None
    assert completion.usage.completion_tokens_details is not None
    assert completion.usage.completion_tokens_details.reasoning_tokens == 30


def test_developer_and_system_messages_go_upstream_in_their_place(openai: OpenAI, upstream: Upstream) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "first"}]},
        {"role": "assistant", "content": "yes"},
        {"role": "system", "content": "be polite"},
        {"role": "user", "content": "second"},
    ]
    completion = openai.chat.completions.create(model="gpt-4.1", messages=messages)
    assert upstream(completion._request_id)["body"]["messages"] == messages


# Images ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_an_image_is_announced_upstream(openai: OpenAI, upstream: Upstream, model: str, stream: bool) -> None:
    """Copilot refuses images without `copilot-vision-request: true`."""
    url = f"data:image/png;base64,{PIXEL}"
    messages: list[ChatCompletionMessageParam] = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": say("a picture")},
                {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
            ],
        }
    ]
    raw: Any = openai.chat.completions.with_raw_response.create(model=model, messages=messages, stream=stream)
    if stream:
        with raw.parse() as chunks:
            assert text_of(list(chunks)) == "a picture"
    else:
        assert one_message(raw.parse()).content == "a picture"
    seen = upstream(raw.headers["x-request-id"])
    assert seen["headers"]["copilot-vision-request"] == "true"
    if seen["path"] == "/chat/completions":
        assert seen["body"]["messages"] == messages
    else:
        assert PIXEL in json.dumps(seen["body"])


def test_a_text_is_not_announced_as_an_image(openai: OpenAI, upstream: Upstream) -> None:
    completion = openai.chat.completions.create(model="gpt-4.1", messages=ask('the word "image_url" is no image'))
    assert "copilot-vision-request" not in upstream(completion._request_id)["headers"]


# Ends that are not `stop` ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "reason"), [("content-filter", "content_filter"), ("incomplete", "length")])
def test_other_finish_reasons_pass(openai: OpenAI, simulator: Simulator, fault: str, reason: str) -> None:
    with fault_rule(simulator, fault):
        whole = openai.chat.completions.create(model="gpt-4.1", messages=ask("hello"))
    assert whole.choices[0].finish_reason == reason
    with (
        fault_rule(simulator, fault),
        openai.chat.completions.create(model="gpt-4.1", messages=ask("hello"), stream=True) as stream,
    ):
        reasons = [choice.finish_reason for chunk in stream for choice in chunk.choices]
    assert [found for found in reasons if found] == [reason]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_usage_is_an_answer(openai: OpenAI, simulator: Simulator, stream: bool) -> None:
    with fault_rule(simulator, "no-usage"):
        if not stream:
            assert one_message(openai.chat.completions.create(model="gpt-4.1", messages=ask(say("hi")))).content == "hi"
            return
        with openai.chat.completions.create(
            model="gpt-4.1", messages=ask(say("hi")), stream=True, stream_options={"include_usage": True}
        ) as chunks:
            assert text_of(list(chunks)) == "hi"


def test_a_client_that_stops_reading_ends_the_call_upstream(openai: OpenAI, simulator: Simulator) -> None:
    """The generation goes on costing until somebody hangs up."""
    before = simulator.stats["aborted"]
    simulator.post("/_sim/pace", {"gap_seconds": 0.05, "tokens": 1000})
    try:
        with openai.chat.completions.create(model="gpt-4.1", messages=ask("count"), stream=True) as stream:
            next(stream)
        wait_until(lambda: simulator.stats["aborted"] == before + 1, 5, "the upstream call is aborted")
    finally:
        simulator.post("/_sim/pace", {"gap_seconds": 0, "tokens": 24})
