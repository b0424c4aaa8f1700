"""The official `anthropic` package, unmodified, with models of every upstream endpoint: whole and streamed."""

import json
from typing import Any

import pytest
from anthropic import Anthropic, beta_tool
from anthropic.types import Message, MessageParam, RawMessageStreamEvent, ToolParam, ToolUseBlock

from tests.harness import Simulator, wait_until
from tests.journeys.markers import call_tool, say
from tests.sdk.conftest import Upstream
from tests.sdk.test_openai_python import ARGUMENTS, PIXEL, TEXTS, fault_rule

MESSAGES, RESPONSES, CHAT = "/v1/messages", "/responses", "/chat/completions"
PATHS = {
    "claude-sonnet-4.5": MESSAGES,
    "claude-sonnet-4.6": MESSAGES,
    "claude-opus-4.8": MESSAGES,
    "gpt-5.4": RESPONSES,
    "gpt-5-mini": RESPONSES,
    "gpt-4.1": CHAT,
    "gemini-2.5-pro": CHAT,
}
MODELS = list(PATHS)
TOOL: ToolParam = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
}
EVENTS = {
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
}


def ask(prompt: str) -> list[MessageParam]:
    """A conversation of one message."""
    return [{"role": "user", "content": prompt}]


def text_of(message: Message) -> str:
    """The text of an answer, without its thoughts."""
    return "".join(block.text for block in message.content if block.type == "text")


def one_call(message: Message) -> ToolUseBlock:
    """The only tool call of an answer."""
    [call] = [block for block in message.content if block.type == "tool_use"]
    return call


def check_order(events: list[RawMessageStreamEvent]) -> None:
    """What all clients rely on: one start, blocks one after another, one delta with the reason, one stop."""
    kinds = [event.type for event in events]
    assert set(kinds) <= EVENTS
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert [kinds.count(kind) for kind in ("message_start", "message_delta", "message_stop")] == [1, 1, 1]
    is_open, index = False, -1
    for event in events:
        if event.type == "content_block_start":
            assert not is_open
            is_open, index = True, index + 1
            assert event.index == index
        elif event.type in ("content_block_delta", "content_block_stop"):
            assert is_open
            assert event.index == index
            is_open = event.type == "content_block_delta"
    assert not is_open


# Text -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_whole_answer(anthropic: Anthropic, upstream: Upstream, model: str) -> None:
    message = anthropic.messages.create(model=model, max_tokens=500, messages=ask(say(TEXTS["unicode"])))
    assert text_of(message) == TEXTS["unicode"]
    assert (message.type, message.role, message.model) == ("message", "assistant", model)
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.id.startswith("msg_")
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert isinstance(message.usage.cache_read_input_tokens, int)
    assert isinstance(message.usage.cache_creation_input_tokens, int)
    seen = upstream(message._request_id)
    assert (seen["path"], seen["body"]["model"]) == (PATHS[model], model)
    assert seen["headers"]["x-initiator"] == "user"


@pytest.mark.parametrize("model", MODELS)
def test_a_streamed_answer(anthropic: Anthropic, model: str) -> None:
    with anthropic.messages.create(
        model=model, max_tokens=500, messages=ask(say(TEXTS["unicode"])), stream=True
    ) as stream:
        events = list(stream)
    check_order(events)
    start = next(event.message for event in events if event.type == "message_start")
    assert (start.model, start.role, start.content, start.stop_reason) == (model, "assistant", [], None)
    assert start.id.startswith("msg_")
    assert isinstance(start.usage.input_tokens, int)
    assert isinstance(start.usage.output_tokens, int)
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    said = [delta.text for delta in deltas if delta.type == "text_delta"]
    assert "".join(said) == TEXTS["unicode"]
    assert len(said) >= 3, "it is streamed, not sent at once"
    last = next(event for event in events if event.type == "message_delta")
    assert last.delta.stop_reason == "end_turn"
    assert last.usage.output_tokens > 0


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-5.4", "gpt-4.1"])
def test_a_text_arrives_as_it_was_said(anthropic: Anthropic, model: str, text: str) -> None:
    """Whole and streamed, whatever is in it."""
    assert (
        text_of(anthropic.messages.create(model=model, max_tokens=50_000, messages=ask(say(text)), timeout=30)) == text
    )
    with anthropic.messages.stream(model=model, max_tokens=50_000, messages=ask(say(text))) as stream:
        assert "".join(stream.text_stream) == text


@pytest.mark.parametrize("model", MODELS)
def test_torn_code_points_upstream_do_not_show(anthropic: Anthropic, simulator: Simulator, model: str) -> None:
    text = TEXTS["emoji"] + TEXTS["line separators"]
    with (
        fault_rule(simulator, "split-frames"),
        anthropic.messages.stream(model=model, max_tokens=500, messages=ask(say(text))) as stream,
    ):
        assert stream.get_final_text() == text


@pytest.mark.parametrize("model", MODELS)
def test_the_stream_helper_gathers_the_answer(anthropic: Anthropic, model: str) -> None:
    with anthropic.messages.stream(model=model, max_tokens=500, messages=ask(say("gathered"))) as stream:
        final = stream.get_final_message()
    assert text_of(final) == "gathered"
    assert (final.model, final.stop_reason) == (model, "end_turn")
    assert final.usage.input_tokens > 0
    assert final.usage.output_tokens > 0


@pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
@pytest.mark.parametrize("model", ["claude-sonnet-4-5-20250929", "claude-sonnet-4-6", "claude-haiku-4-5"])
def test_a_model_may_be_named_as_anthropic_names_it(anthropic: Anthropic, upstream: Upstream, model: str) -> None:
    """And the answer repeats the name that the caller used."""
    whole = anthropic.messages.create(model=model, max_tokens=9, messages=ask("hello"))
    assert whole.model == model
    assert "-4." in upstream(whole._request_id)["body"]["model"]
    with anthropic.messages.stream(model=model, max_tokens=9, messages=ask("hello")) as stream:
        assert stream.get_final_message().model == model


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [model for model in MODELS if model != "gemini-2.5-pro"])
def test_the_limit_ends_the_answer(anthropic: Anthropic, model: str, stream: bool) -> None:
    arguments: dict[str, Any] = {"model": model, "max_tokens": 16, "messages": ask("tell me a long story")}
    if stream:
        with anthropic.messages.stream(**arguments) as events:
            message = events.get_final_message()
    else:
        message = anthropic.messages.create(**arguments)
    assert message.stop_reason == "max_tokens"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-4.1", "claude-sonnet-4.6"])
def test_an_answer_without_usage_still_has_numbers(
    anthropic: Anthropic, simulator: Simulator, model: str, stream: bool
) -> None:
    """Clients compute with them."""
    with fault_rule(simulator, "no-usage"):
        if stream:
            with anthropic.messages.stream(model=model, max_tokens=50, messages=ask(say("hi"))) as events:
                message: Message = events.get_final_message()
        else:
            message = anthropic.messages.create(model=model, max_tokens=50, messages=ask(say("hi")))
    assert text_of(message) == "hi"
    assert isinstance(message.usage.input_tokens, int)
    assert isinstance(message.usage.output_tokens, int)


# Tools ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_loop_whole(anthropic: Anthropic, upstream: Upstream, model: str) -> None:
    messages = ask(call_tool("get_weather", ARGUMENTS))
    first = anthropic.messages.create(model=model, max_tokens=500, messages=messages, tools=[TOOL])
    call = one_call(first)
    assert first.stop_reason == "tool_use"
    assert (call.name, call.input) == ("get_weather", ARGUMENTS)
    second = anthropic.messages.create(
        model=model, max_tokens=500, messages=answered(messages, first, "21° ☀\u2028dry"), tools=[TOOL]
    )
    assert text_of(second) == "SIM-RESULT: 21° ☀\u2028dry"
    assert second.stop_reason == "end_turn"
    seen = [upstream(message._request_id) for message in (first, second)]
    assert [request["headers"]["x-initiator"] for request in seen] == ["user", "agent"]
    assert [request["path"] for request in seen] == [PATHS[model]] * 2


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_loop_streamed(anthropic: Anthropic, model: str) -> None:
    messages = ask(call_tool("get_weather", ARGUMENTS))
    with anthropic.messages.create(model=model, max_tokens=500, messages=messages, tools=[TOOL], stream=True) as stream:
        events = list(stream)
    check_order(events)
    [start] = [
        event.content_block
        for event in events
        if event.type == "content_block_start" and event.content_block.type == "tool_use"
    ]
    assert isinstance(start, ToolUseBlock)
    assert (start.name, start.input) == ("get_weather", {})
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    pieces = [delta.partial_json for delta in deltas if delta.type == "input_json_delta"]
    assert json.loads("".join(pieces)) == ARGUMENTS
    assert [event.delta.stop_reason for event in events if event.type == "message_delta"] == ["tool_use"]
    with anthropic.messages.stream(model=model, max_tokens=500, messages=messages, tools=[TOOL]) as helper:
        first = helper.get_final_message()
    assert one_call(first).input == ARGUMENTS
    with anthropic.messages.stream(
        model=model, max_tokens=500, messages=answered(messages, first, "21°"), tools=[TOOL]
    ) as helper:
        assert helper.get_final_text() == "SIM-RESULT: 21°"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_the_tool_runner_runs_the_tool(anthropic: Anthropic, model: str, stream: bool) -> None:
    calls: list[dict[str, Any]] = []

    @beta_tool
    def get_weather(city: str, days: int) -> str:
        """The weather of a city.

        Args:
            city: Which city.
            days: How many days.
        """
        calls.append({"city": city, "days": days})
        return "21° ☀"

    arguments: dict[str, Any] = {
        "model": model,
        "max_tokens": 500,
        "messages": ask(call_tool("get_weather", ARGUMENTS)),
    }
    if stream:
        texts = []
        for turn in anthropic.beta.messages.tool_runner(tools=[get_weather], stream=True, **arguments):
            message = turn.get_final_message()
            texts.append("".join(block.text for block in message.content if block.type == "text"))
        said = texts[-1]
    else:
        final = anthropic.beta.messages.tool_runner(tools=[get_weather], **arguments).until_done()
        said = "".join(block.text for block in final.content if block.type == "text")
    assert said == "SIM-RESULT: 21° ☀"
    assert calls == [ARGUMENTS]


@pytest.mark.parametrize("model", MODELS)
def test_a_result_may_be_an_error_or_have_an_image(anthropic: Anthropic, upstream: Upstream, model: str) -> None:
    messages = ask(call_tool("get_weather", ARGUMENTS))
    first = anthropic.messages.create(model=model, max_tokens=500, messages=messages, tools=[TOOL])
    image: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    content = [{"type": "text", "text": "a map"}, image]
    second = anthropic.messages.create(
        model=model, max_tokens=500, messages=answered(messages, first, content), tools=[TOOL]
    )
    assert text_of(second).startswith("SIM-RESULT: a map")
    seen = upstream(second._request_id)
    assert seen["headers"]["copilot-vision-request"] == "true"
    assert PIXEL in json.dumps(seen["body"])
    failed = answered(messages, first, "no such city", is_error=True)
    third = anthropic.messages.create(model=model, max_tokens=500, messages=failed, tools=[TOOL])
    assert "no such city" in text_of(third)


def answered(
    messages: list[MessageParam], answer: Message, content: Any, *, is_error: bool = False
) -> list[MessageParam]:
    """The conversation with the answer as it came, thoughts and all, and the result of its call."""
    result: Any = {"type": "tool_result", "tool_use_id": one_call(answer).id, "content": content}
    if is_error:
        result["is_error"] = True
    return [*messages, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}, {"type": "auto"}])
def test_a_tool_can_be_demanded(anthropic: Anthropic, model: str, choice: Any) -> None:
    message = anthropic.messages.create(
        model=model,
        max_tokens=500,
        messages=ask(call_tool("get_weather", ARGUMENTS)),
        tools=[TOOL],
        tool_choice=choice,
    )
    assert one_call(message).input == ARGUMENTS


# Thinking -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "claude-sonnet-4.6", "gpt-5.4"])
def test_thoughts_come_and_go_back(anthropic: Anthropic, model: str, stream: bool) -> None:
    """With a signature, by which the next turn of a tool loop can show them again."""
    messages = ask(call_tool("get_weather", ARGUMENTS))
    arguments: dict[str, Any] = {
        "model": model,
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "tools": [TOOL],
    }
    if stream:
        with anthropic.messages.stream(messages=messages, **arguments) as events:
            first = events.get_final_message()
    else:
        first = anthropic.messages.create(messages=messages, **arguments)
    thoughts = [block for block in first.content if block.type == "thinking"]
    assert len(thoughts) == 1
    assert first.content[0].type == "thinking"
    assert thoughts[0].thinking
    assert thoughts[0].signature
    second = anthropic.messages.create(messages=answered(messages, first, "21°"), **arguments)
    assert text_of(second) == "SIM-RESULT: 21°"


@pytest.mark.parametrize("model", ["claude-sonnet-4.6", "claude-opus-4.8", "gpt-5.4", "gpt-4.1"])
def test_a_conversation_may_change_the_model(anthropic: Anthropic, model: str) -> None:
    """Thoughts and calls of one model are no obstacle for another."""
    messages = ask(call_tool("get_weather", ARGUMENTS))
    for first_model in ("claude-sonnet-4.5", "gpt-5.4", "gemini-2.5-pro"):
        first = anthropic.messages.create(
            model=first_model,
            max_tokens=4000,
            thinking={"type": "enabled", "budget_tokens": 2000},
            messages=messages,
            tools=[TOOL],
        )
        second = anthropic.messages.create(
            model=model, max_tokens=500, messages=answered(messages, first, "21°"), tools=[TOOL]
        )
        assert text_of(second) == "SIM-RESULT: 21°"


# More of what a request can hold --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_system_texts_and_images_reach_the_model(anthropic: Anthropic, upstream: Upstream, model: str) -> None:
    image: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    message = anthropic.messages.create(
        model=model,
        max_tokens=500,
        system=[
            {"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "be polite"},
        ],
        messages=[
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": [image, {"type": "text", "text": say("seen")}]},
        ],
    )
    assert text_of(message) == "seen"
    seen = upstream(message._request_id)
    assert seen["headers"]["copilot-vision-request"] == "true"
    sent = json.dumps(seen["body"])
    assert all(part in sent for part in ("be brief", "be polite", "first", PIXEL))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_a_stop_sequence_ends_the_answer(anthropic: Anthropic, model: str, stream: bool) -> None:
    """Also with models whose endpoint has no such thing; the simulator itself says everything."""
    arguments: dict[str, Any] = {
        "model": model,
        "max_tokens": 500,
        "stop_sequences": ["STOP"],
        "messages": ask(say("before the STOP and after")),
    }
    if stream:
        with anthropic.messages.stream(**arguments) as events:
            message = events.get_final_message()
    else:
        message = anthropic.messages.create(**arguments)
    if PATHS[model] == RESPONSES:
        assert text_of(message) == "before the "
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "STOP")
    else:
        assert text_of(message).startswith("before the ")


@pytest.mark.parametrize("model", MODELS)
def test_unknown_betas_are_no_obstacle(anthropic: Anthropic, model: str) -> None:
    message = anthropic.beta.messages.create(
        model=model,
        max_tokens=500,
        messages=[{"role": "user", "content": say("fine")}],
        betas=["claude-code-20250219", "something-new-2030-01-01"],
    )
    assert "".join(block.text for block in message.content if block.type == "text") == "fine"


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_counted(anthropic: Anthropic, model: str) -> None:
    short = anthropic.messages.count_tokens(model=model, messages=ask("hello"), tools=[TOOL])
    long = anthropic.messages.count_tokens(model=model, messages=ask("hello " * 500), tools=[])
    assert 0 < short.input_tokens < long.input_tokens


def test_models_are_listed_and_retrieved(anthropic: Anthropic) -> None:
    names = [model.id for model in anthropic.models.list()]
    assert {"claude-sonnet-4.5", "gpt-5.4", "gpt-4.1"} <= set(names)
    assert all(model.type == "model" for model in anthropic.models.list())
    found = anthropic.models.retrieve("claude-sonnet-4.5")
    assert (found.id, found.type) == ("claude-sonnet-4.5", "model")
    assert found.display_name
    assert found.created_at.tzinfo is not None


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-5.4", "gpt-4.1"])
def test_a_client_that_stops_reading_ends_the_call_upstream(
    anthropic: Anthropic, simulator: Simulator, model: str
) -> None:
    before = simulator.stats["aborted"]
    simulator.post("/_sim/pace", {"gap_seconds": 0.05, "tokens": 1000})
    try:
        with anthropic.messages.create(model=model, max_tokens=5000, messages=ask("count"), stream=True) as stream:
            for event in stream:
                if event.type == "content_block_delta":
                    break
        wait_until(lambda: simulator.stats["aborted"] == before + 1, 5, "the upstream call is aborted")
    finally:
        simulator.post("/_sim/pace", {"gap_seconds": 0, "tokens": 24})
