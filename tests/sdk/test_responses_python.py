"""The official `openai` package's Responses, with models of every upstream endpoint: whole and streamed."""

import json
from typing import Any

import openai as package
import pytest
from openai import OpenAI, pydantic_function_tool
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseStreamEvent

from tests.harness import Simulator, wait_until
from tests.journeys.markers import call_tool, fault, say
from tests.sdk.conftest import Upstream
from tests.sdk.test_openai_python import ARGUMENTS, PIXEL, TEXTS, Weather, fault_rule

RESPONSES, MESSAGES, CHAT = "/responses", "/v1/messages", "/chat/completions"
PATHS = {
    "gpt-5.4": RESPONSES,
    "gpt-5-mini": RESPONSES,
    "claude-sonnet-4.6": MESSAGES,
    "claude-opus-4.8": MESSAGES,
    "gpt-4.1": CHAT,
    "gemini-2.5-pro": CHAT,
}
MODELS = list(PATHS)
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
    "strict": True,
}


def one_call(response: Response) -> ResponseFunctionToolCall:
    """The only tool call of an answer."""
    [call] = [item for item in response.output if item.type == "function_call"]
    return call


def answered(prompt: str, response: Response, output: Any) -> Any:
    """The conversation with the answer as it came, reasoning and all, and the result of its call."""
    result = {"type": "function_call_output", "call_id": one_call(response).call_id, "output": output}
    return [{"role": "user", "content": prompt}, *response.output, result]


def check_order(events: list[ResponseStreamEvent]) -> None:
    """What all clients rely on: numbers without gaps, one id for an item, each item added before and done after."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.completed") == 1
    added: dict[int, str] = {}
    done: set[int] = set()
    for event in events:
        if event.type == "response.output_item.added":
            assert event.output_index == len(added)
            added[event.output_index] = event.item.id or ""
        elif event.type == "response.output_item.done":
            assert added[event.output_index] == (event.item.id or "")
            done.add(event.output_index)
        elif (item_id := getattr(event, "item_id", None)) is not None:
            place = int(getattr(event, "output_index", -1))
            assert added[place] == item_id
            assert place not in done
    assert set(added) == done
    last = events[-1]
    assert last.type == "response.completed"
    assert [item.id or "" for item in last.response.output] == list(added.values())


def check_whole(response: Response, model: str) -> None:
    """What a finished answer has."""
    assert (response.object, response.status, response.model) == ("response", "completed", model)
    assert response.id.startswith("resp_")
    assert response.error is None
    assert response.incomplete_details is None
    assert response.created_at > 1_700_000_000
    assert response.usage is not None
    assert response.usage.input_tokens > 0
    assert response.usage.output_tokens > 0
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert isinstance(response.usage.input_tokens_details.cached_tokens, int)
    assert isinstance(response.usage.output_tokens_details.reasoning_tokens, int)


# Text -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_whole_answer(openai: OpenAI, upstream: Upstream, model: str) -> None:
    response = openai.responses.create(model=model, input=say(TEXTS["unicode"]), instructions="be brief")
    assert response.output_text == TEXTS["unicode"]
    check_whole(response, model)
    seen = upstream(response._request_id)
    assert (seen["path"], seen["body"]["model"]) == (PATHS[model], model)
    assert seen["headers"]["x-initiator"] == "user"
    assert "be brief" in json.dumps(seen["body"])


@pytest.mark.parametrize("model", MODELS)
def test_a_streamed_answer(openai: OpenAI, model: str) -> None:
    with openai.responses.create(model=model, input=say(TEXTS["unicode"]), stream=True) as stream:
        events = list(stream)
    check_order(events)
    said = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(said) == TEXTS["unicode"]
    assert len(said) >= 3, "it is streamed, not sent at once"
    assert [event.text for event in events if event.type == "response.output_text.done"] == [TEXTS["unicode"]]
    started = [event.response for event in events if event.type == "response.created"]
    assert [(response.model, response.status) for response in started] == [(model, "in_progress")]
    finished = [event.response for event in events if event.type == "response.completed"]
    check_whole(finished[0], model)
    assert finished[0].id == started[0].id
    assert finished[0].output_text == TEXTS["unicode"]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("model", ["gpt-5.4", "claude-opus-4.8", "gpt-4.1"])
def test_a_text_arrives_as_it_was_said(openai: OpenAI, model: str, text: str) -> None:
    """Whole and streamed, whatever is in it."""
    assert openai.responses.create(model=model, input=say(text)).output_text == text
    with openai.responses.stream(model=model, input=say(text)) as stream:
        assert stream.get_final_response().output_text == text


@pytest.mark.parametrize("model", MODELS)
def test_torn_code_points_upstream_do_not_show(openai: OpenAI, simulator: Simulator, model: str) -> None:
    text = TEXTS["emoji"] + TEXTS["line separators"]
    with fault_rule(simulator, "split-frames"), openai.responses.stream(model=model, input=say(text)) as stream:
        assert stream.get_final_response().output_text == text


@pytest.mark.parametrize("model", MODELS)
def test_the_stream_helper_gathers_the_answer(openai: OpenAI, model: str) -> None:
    with openai.responses.stream(model=model, input=say("gathered up")) as stream:
        said = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(said) == "gathered up"
    assert final.output_text == "gathered up"
    check_whole(final, model)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_the_limit_leaves_the_answer_incomplete(openai: OpenAI, model: str, stream: bool) -> None:
    arguments: dict[str, Any] = {"model": model, "input": "tell me a long story", "max_output_tokens": 16}
    if stream:
        with openai.responses.create(stream=True, **arguments) as events:
            last = list(events)[-1]
        assert last.type == "response.incomplete"
        response = last.response
    else:
        response = openai.responses.create(**arguments)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gpt-5.4", "claude-opus-4.8", "gpt-4.1"])
def test_an_answer_without_usage_still_has_numbers(
    openai: OpenAI, simulator: Simulator, model: str, stream: bool
) -> None:
    """opencode repeats its request without end when they are missing."""
    with fault_rule(simulator, "no-usage"):
        if stream:
            with openai.responses.stream(model=model, input=say("hi")) as events:
                response: Response = events.get_final_response()
        else:
            response = openai.responses.create(model=model, input=say("hi"))
    assert response.output_text == "hi"
    assert response.usage is not None
    assert isinstance(response.usage.total_tokens, int)


# Tools ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_loop_whole(openai: OpenAI, upstream: Upstream, model: str) -> None:
    prompt = call_tool("get_weather", ARGUMENTS)
    first = openai.responses.create(model=model, input=prompt, tools=[TOOL])
    call = one_call(first)
    assert (call.name, json.loads(call.arguments), call.status) == ("get_weather", ARGUMENTS, "completed")
    second = openai.responses.create(model=model, input=answered(prompt, first, "21° ☀\u2028dry"), tools=[TOOL])
    assert second.output_text == "SIM-RESULT: 21° ☀\u2028dry"
    check_whole(second, model)
    seen = [upstream(response._request_id) for response in (first, second)]
    assert [request["headers"]["x-initiator"] for request in seen] == ["user", "agent"]
    assert [request["path"] for request in seen] == [PATHS[model]] * 2


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_loop_streamed(openai: OpenAI, model: str) -> None:
    prompt = call_tool("get_weather", ARGUMENTS)
    with openai.responses.create(model=model, input=prompt, tools=[TOOL], stream=True) as stream:
        events = list(stream)
    check_order(events)
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert len(pieces) >= 2
    assert json.loads("".join(pieces)) == ARGUMENTS
    last = events[-1]
    assert last.type == "response.completed"
    with openai.responses.stream(model=model, input=answered(prompt, last.response, "21°"), tools=[TOOL]) as helper:
        assert helper.get_final_response().output_text == "SIM-RESULT: 21°"


@pytest.mark.parametrize("model", MODELS)
def test_the_stream_helper_parses_tool_arguments(openai: OpenAI, model: str) -> None:
    tool: Any = {"type": "function", **pydantic_function_tool(Weather, name="get_weather")["function"]}
    with openai.responses.stream(model=model, input=call_tool("get_weather", ARGUMENTS), tools=[tool]) as stream:
        call = one_call(stream.get_final_response())
    assert json.loads(call.arguments) == ARGUMENTS


@pytest.mark.parametrize("model", MODELS)
def test_a_result_may_be_an_image(openai: OpenAI, upstream: Upstream, model: str) -> None:
    prompt = call_tool("get_weather", ARGUMENTS)
    first = openai.responses.create(model=model, input=prompt, tools=[TOOL])
    output = [
        {"type": "input_text", "text": "a map"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
    ]
    second = openai.responses.create(model=model, input=answered(prompt, first, output), tools=[TOOL])
    assert second.output_text.startswith("SIM-RESULT: a map")
    seen = upstream(second._request_id)
    assert seen["headers"]["copilot-vision-request"] == "true"
    assert PIXEL in json.dumps(seen["body"])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("choice", ["required", "auto", {"type": "function", "name": "get_weather"}])
def test_a_tool_can_be_demanded(openai: OpenAI, model: str, choice: Any) -> None:
    response = openai.responses.create(
        model=model, input=call_tool("get_weather", ARGUMENTS), tools=[TOOL], tool_choice=choice
    )
    assert json.loads(one_call(response).arguments) == ARGUMENTS


@pytest.mark.parametrize("model", MODELS)
def test_a_custom_tool_gets_free_text(openai: OpenAI, model: str) -> None:
    """Only a Responses model has them; the others are shown a function with one field."""
    tool: Any = {"type": "custom", "name": "apply_patch", "description": "Apply a patch."}
    prompt = call_tool("apply_patch", {"input": "*** Begin\n+ü\n"})
    first = openai.responses.create(model=model, input=prompt, tools=[tool])
    [call] = [item for item in first.output if item.type == "custom_tool_call"]
    assert (call.name, call.input) == ("apply_patch", "*** Begin\n+ü\n")
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "applied"}
    conversation: Any = [{"role": "user", "content": prompt}, *first.output, result]
    second = openai.responses.create(model=model, input=conversation, tools=[tool])
    assert second.output_text == "SIM-RESULT: applied"
    with openai.responses.create(model=model, input=prompt, tools=[tool], stream=True) as stream:
        events = list(stream)
    check_order(events)
    pieces = [event.delta for event in events if event.type == "response.custom_tool_call_input.delta"]
    assert "".join(pieces) == "*** Begin\n+ü\n"


# Reasoning, formats, images -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gpt-5.4", "claude-sonnet-4.6", "claude-opus-4.8"])
def test_reasoning_comes_and_goes_back(openai: OpenAI, model: str, stream: bool) -> None:
    """Encrypted, as clients without a store ask for it, and taken again with the next turn of a tool loop."""
    prompt = call_tool("get_weather", ARGUMENTS)
    arguments: dict[str, Any] = {
        "model": model,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
        "tools": [TOOL],
    }
    first: Response
    if stream:
        with openai.responses.stream(input=prompt, **arguments) as events:
            first = events.get_final_response()
    else:
        first = openai.responses.create(input=prompt, **arguments)
    thoughts = [item for item in first.output if item.type == "reasoning"]
    assert len(thoughts) == 1
    assert thoughts[0].encrypted_content
    second = openai.responses.create(input=answered(prompt, first, "21°"), **arguments)
    assert second.output_text == "SIM-RESULT: 21°"


@pytest.mark.parametrize("model", ["gpt-5.4", "claude-opus-4.8", "gpt-4.1"])
def test_a_conversation_may_change_the_model(openai: OpenAI, model: str) -> None:
    """Reasoning and calls of one model are no obstacle for another."""
    prompt = call_tool("get_weather", ARGUMENTS)
    for first_model in ("gpt-5.4", "claude-sonnet-4.6", "gemini-2.5-pro"):
        first = openai.responses.create(
            model=first_model, input=prompt, tools=[TOOL], include=["reasoning.encrypted_content"], store=False
        )
        second = openai.responses.create(model=model, input=answered(prompt, first, "21°"), tools=[TOOL], store=False)
        assert second.output_text == "SIM-RESULT: 21°"


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-4.1", "claude-opus-4.8"])
def test_structured_output_parses(openai: OpenAI, model: str) -> None:
    response = openai.responses.parse(
        model=model, input=say(json.dumps(ARGUMENTS, ensure_ascii=False)), text_format=Weather
    )
    assert response.output_parsed == Weather.model_validate(ARGUMENTS)


@pytest.mark.parametrize("model", MODELS)
def test_images_and_developer_messages_reach_the_model(openai: OpenAI, upstream: Upstream, model: str) -> None:
    response = openai.responses.create(
        model=model,
        input=[
            {"role": "developer", "content": "be polite"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "yes"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": say("seen")},
                    {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PIXEL}"},
                ],
            },
        ],
    )
    assert response.output_text == "seen"
    seen = upstream(response._request_id)
    assert seen["headers"]["copilot-vision-request"] == "true"
    assert all(part in json.dumps(seen["body"]) for part in ("be polite", "first", PIXEL))


# Failures -------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    """Refusals are the same for both."""
    return bool(request.param == "streamed")


def test_an_unknown_key_is_an_authentication_error(base_url: str, stream: bool) -> None:
    with (
        OpenAI(api_key="sk-cap-" + "a" * 52, base_url=base_url, max_retries=0) as client,
        pytest.raises(package.AuthenticationError) as raised,
    ):
        client.responses.create(model="gpt-5.4", input="hello", stream=stream)
    assert raised.value.code == "invalid_api_key"


def test_an_unknown_model_is_not_found(openai: OpenAI, stream: bool) -> None:
    with pytest.raises(package.NotFoundError) as raised:
        openai.responses.create(model="gpt-99", input="hello", stream=stream)
    assert raised.value.code == "model_not_found"


@pytest.mark.parametrize(
    "more",
    [
        {"model": {}},
        {"input": False},
        {"input": [7]},
        {"input": [{"role": "ghost", "content": "x"}]},
        {"input": [{"role": "user", "content": 7}]},
        {"tools": "x"},
        {"tools": [{"type": "function", "name": 7}]},
        {"stream": "yes"},
        {"temperature": "hot"},
        {"max_output_tokens": "many"},
        {"reasoning": "hard"},
        {"text": "json"},
        {"instructions": 7},
    ],
    ids=lambda more: "-".join(f"{name}" for name in more),
)
@pytest.mark.parametrize("model", ["gpt-5.4", "claude-opus-4.8", "gpt-4.1"])
def test_a_wrong_body_is_a_bad_request(openai: OpenAI, model: str, more: dict[str, Any]) -> None:
    with pytest.raises(package.BadRequestError) as raised:
        openai.post("/responses", body={"model": model, "input": "hello", **more}, cast_to=object)
    assert raised.value.code
    assert raised.value.request_id is not None
    assert raised.value.request_id in raised.value.message


def test_a_stored_answer_is_not_there(openai: OpenAI) -> None:
    """Nothing is kept; what refers to it is refused and not silently forgotten."""
    with pytest.raises(package.APIStatusError) as raised:
        openai.responses.create(model="gpt-5.4", input="and?", previous_response_id="resp_0123456789")
    assert raised.value.status_code in {400, 404}
    with pytest.raises(package.NotFoundError):
        openai.responses.retrieve("resp_0123456789")


@pytest.mark.parametrize(
    "name", ["context_overflow_chat", "context_overflow_responses", "context_overflow_vertex_gemini"]
)
@pytest.mark.parametrize("model", ["gpt-5.4", "claude-opus-4.8", "gpt-4.1"])
def test_an_overlong_conversation_says_so_by_its_code(openai: OpenAI, model: str, name: str, stream: bool) -> None:
    with pytest.raises(package.BadRequestError) as raised:
        openai.responses.create(model=model, input=fault(name), stream=stream)
    assert raised.value.code == "context_length_exceeded"


@pytest.mark.parametrize("model", ["gpt-5.4", "claude-opus-4.8", "gpt-4.1"])
def test_trouble_upstream_is_told_by_its_class(openai: OpenAI, model: str, stream: bool) -> None:
    with pytest.raises(package.RateLimitError) as limited:
        openai.responses.create(model=model, input=fault("429"), stream=stream)
    assert limited.value.response.headers["retry-after"] == "37"
    name, status = ("504", 504) if stream else ("401", 502)
    with pytest.raises(package.InternalServerError) as raised:
        openai.responses.create(model=model, input=fault(name), stream=stream)
    assert raised.value.status_code == status


@pytest.mark.parametrize("model", ["gpt-5.4", "claude-opus-4.8", "gpt-4.1", "gemini-2.5-pro"])
@pytest.mark.parametrize("name", ["cut", "cut-rst", "cut-clean", "midstream-error"])
def test_a_stream_that_breaks_never_completes(openai: OpenAI, model: str, name: str) -> None:
    """It ends with `response.failed`, which clients of Responses read as the end."""
    try:
        with openai.responses.create(model=model, input=fault(name), stream=True) as events:
            kinds = [event.type for event in events]
    except package.APIError:
        return
    assert kinds[-1] in {"response.failed", "error"}
    assert "response.completed" not in kinds


@pytest.mark.parametrize("model", ["gpt-5.4", "claude-opus-4.8", "gpt-4.1"])
@pytest.mark.parametrize("name", ["cut", "cut-clean", "garbage", "midstream-error"])
def test_a_whole_answer_that_breaks_off_is_an_internal_server_error(openai: OpenAI, name: str, model: str) -> None:
    with pytest.raises(package.InternalServerError):
        openai.responses.create(model=model, input=fault(name))


@pytest.mark.parametrize("model", ["gpt-5.4", "claude-opus-4.8", "gpt-4.1"])
def test_a_client_that_stops_reading_ends_the_call_upstream(openai: OpenAI, simulator: Simulator, model: str) -> None:
    before = simulator.stats["aborted"]
    simulator.post("/_sim/pace", {"gap_seconds": 0.05, "tokens": 1000})
    try:
        with openai.responses.create(model=model, input="count", stream=True) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    break
        wait_until(lambda: simulator.stats["aborted"] == before + 1, 5, "the upstream call is aborted")
    finally:
        simulator.post("/_sim/pace", {"gap_seconds": 0, "tokens": 24})
