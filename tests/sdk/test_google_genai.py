"""The official `google-genai` package, unmodified, over real sockets: whole, streamed, with tools, lists and counts."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.harness import GatewayProcess, Simulator
from tests.journeys.markers import call_tool, say
from tests.sdk.test_openai_python import TEXTS, fault_rule

MODELS = ["gpt-4.1", "gpt-5-mini", "claude-sonnet-4.6", "gemini-2.5-pro"]
VERSIONS = ["v1", "v1beta"]
PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(32)
MANUAL = types.AutomaticFunctionCallingConfig(disable=True)


class City(BaseModel):
    """An answer in a form."""

    name: str
    days: int


def get_weather(city: str, days: int) -> str:
    """The weather of a city."""
    return f"sunny in {city} for {days} days"


def client_for(gateway: GatewayProcess, key: str, version: str = "v1beta") -> genai.Client:
    """A client that repeats nothing by itself."""
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=gateway.url, api_version=version))


@pytest.fixture(scope="module", params=VERSIONS)
def google(request: pytest.FixtureRequest, gateway: GatewayProcess, client_key: str) -> Iterator[genai.Client]:
    """The client, on each version of the API: it may be told either, and its default has changed."""
    client = client_for(gateway, client_key, request.param)
    yield client
    client.close()


def ask(google: genai.Client, prompt: Any, model: str = "gpt-4.1", **config: Any) -> types.GenerateContentResponse:
    """A whole answer."""
    return google.models.generate_content(model=model, contents=prompt, config=types.GenerateContentConfig(**config))


def stream(
    google: genai.Client, prompt: Any, model: str = "gpt-4.1", **config: Any
) -> list[types.GenerateContentResponse]:
    """The chunks of a streamed one."""
    settings = types.GenerateContentConfig(**config)
    return list(google.models.generate_content_stream(model=model, contents=prompt, config=settings))


def text_of(chunks: list[types.GenerateContentResponse]) -> str:
    """What a stream said."""
    return "".join(chunk.text or "" for chunk in chunks)


def finish_of(answer: types.GenerateContentResponse) -> types.FinishReason | None:
    """Why the only candidate ended."""
    assert answer.candidates is not None
    assert len(answer.candidates) == 1
    return answer.candidates[0].finish_reason


# Text -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_text_arrives_as_it_was_said(google: genai.Client, text: str) -> None:
    assert ask(google, say(text)).text == text
    assert text_of(stream(google, say(text))) == text


@pytest.mark.parametrize("model", MODELS)
def test_every_model_answers_whole_and_streamed(google: genai.Client, model: str) -> None:
    whole = ask(google, say("one two three"), model)
    chunks = stream(google, say("one two three"), model)
    assert whole.text == text_of(chunks) == "one two three"
    assert finish_of(whole) is finish_of(chunks[-1]) is types.FinishReason.STOP
    assert {chunk.model_version for chunk in [whole, *chunks]} == {model}
    assert len({chunk.response_id for chunk in chunks}) == 1
    for answer in (whole, chunks[-1]):
        assert answer.usage_metadata is not None
        assert answer.usage_metadata.prompt_token_count
        assert answer.usage_metadata.total_token_count


@pytest.mark.parametrize("model", MODELS)
def test_torn_code_points_upstream_do_not_show(google: genai.Client, simulator: Simulator, model: str) -> None:
    text = TEXTS["emoji"] + TEXTS["line separators"]
    with fault_rule(simulator, "split-frames"):
        assert text_of(stream(google, say(text), model)) == text


@pytest.mark.parametrize("model", MODELS)
def test_a_chat_remembers_what_was_said(google: genai.Client, model: str) -> None:
    chat = google.chats.create(model=model)
    assert chat.send_message(say("first")).text == "first"
    assert "".join(chunk.text or "" for chunk in chat.send_message_stream(say("second"))) == "second"
    assert chat.send_message(say("third")).text == "third"
    assert [content.role for content in chat.get_history(curated=True)][-2:] == ["user", "model"]


# Tools ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_functions_are_called_by_the_package_itself(google: genai.Client, model: str) -> None:
    prompt = call_tool("get_weather", {"city": "Zürich", "days": 3})
    answer = ask(google, prompt, model, tools=[get_weather])
    assert "sunny in Zürich for 3 days" in (answer.text or "")


@pytest.mark.parametrize("model", MODELS)
def test_functions_are_called_in_a_streamed_chat(google: genai.Client, model: str) -> None:
    chat = google.chats.create(model=model, config=types.GenerateContentConfig(tools=[get_weather]))
    chunks = list(chat.send_message_stream(call_tool("get_weather", {"city": "Bern", "days": 2})))
    assert "sunny in Bern for 2 days" in "".join(chunk.text or "" for chunk in chunks if not chunk.function_calls)


@pytest.mark.parametrize("model", MODELS)
def test_a_call_comes_whole_in_one_chunk(google: genai.Client, model: str) -> None:
    prompt, arguments = call_tool("get_weather", {"city": "Bern", "days": 2}), {"city": "Bern", "days": 2}
    whole = ask(google, prompt, model, tools=[get_weather], automatic_function_calling=MANUAL)
    chunks = stream(google, prompt, model, tools=[get_weather], automatic_function_calling=MANUAL)
    streamed = [call for chunk in chunks for call in chunk.function_calls or []]
    for calls in (whole.function_calls or [], streamed):
        assert [(call.name, call.args) for call in calls] == [("get_weather", arguments)]
        assert calls[0].id
    assert finish_of(chunks[-1]) is types.FinishReason.STOP


def test_a_declared_function_is_answered_by_hand(google: genai.Client) -> None:
    """The way of clients without automatic calls: no ids, the result by its name, Google's own schema."""
    schema = types.Schema(type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)})
    declaration = types.FunctionDeclaration(name="get_weather", description="It", parameters=schema)
    contents = [
        types.UserContent(call_tool("get_weather", {"city": "Bern"})),
        types.ModelContent(types.Part.from_function_call(name="get_weather", args={"city": "Bern"})),
        types.UserContent(types.Part.from_function_response(name="get_weather", response={"output": "rain"})),
    ]
    answer = ask(google, contents, tools=[types.Tool(function_declarations=[declaration])])
    assert "rain" in (answer.text or "")


# Forms, files, reasoning ----------------------------------------------------------------------------------------------


def test_an_answer_in_a_form(google: genai.Client) -> None:
    words = json.dumps({"name": "Bern", "days": 2})
    answer = ask(google, say(words), response_mime_type="application/json", response_schema=City)
    assert answer.parsed == City(name="Bern", days=2)


def test_a_list_of_forms_is_unwrapped(google: genai.Client) -> None:
    words = json.dumps({"value": [{"name": "Bern", "days": 2}]})
    answer = ask(google, say(words), response_mime_type="application/json", response_schema=list[City])
    parsed: Any = answer.parsed
    assert parsed == [City(name="Bern", days=2)]


@pytest.mark.parametrize("model", ["gpt-4.1", "claude-sonnet-4.6"])
def test_an_image_goes_along(google: genai.Client, simulator: Simulator, model: str) -> None:
    image = types.Part.from_bytes(data=PIXEL, mime_type="image/png")
    assert ask(google, [image, say("seen")], model).text == "seen"
    found = simulator.requests[-1]
    assert found["headers"]["copilot-vision-request"] == "true"
    assert base64.b64encode(PIXEL).decode() in json.dumps(found["body"])


@pytest.mark.parametrize("model", MODELS)
def test_thinking_may_be_asked_for(google: genai.Client, model: str) -> None:
    config = types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
    assert text_of(stream(google, say("thought through"), model, thinking_config=config)) == "thought through"


# Lists, counts, errors ------------------------------------------------------------------------------------------------


def test_the_models_are_listed_to_their_end(google: genai.Client) -> None:
    names = [model.name for model in google.models.list(config={"page_size": 2})]
    assert "models/gpt-4.1" in names
    assert len(names) == len(set(names))


def test_one_model_is_described(google: genai.Client) -> None:
    found = google.models.get(model="gpt-4.1")
    assert found.name == "models/gpt-4.1"
    assert found.output_token_limit
    assert "generateContent" in (found.supported_actions or [])


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_counted(google: genai.Client, model: str) -> None:
    short = google.models.count_tokens(model=model, contents="Hello").total_tokens
    long = google.models.count_tokens(model=model, contents="Hello there, how are you? " * 50).total_tokens
    assert short is not None
    assert long is not None
    assert 0 < short < long


def test_a_wrong_key_is_unauthenticated(gateway: GatewayProcess) -> None:
    for version in VERSIONS:
        client = client_for(gateway, "sk-cap-wrong", version)
        with pytest.raises(errors.ClientError) as failure:
            ask(client, "x")
        assert (failure.value.code, failure.value.status) == (401, "UNAUTHENTICATED")


def test_an_unknown_model_is_not_found(google: genai.Client) -> None:
    for call in (ask, stream):
        with pytest.raises(errors.ClientError) as failure:
            call(google, "x", "no-such-model")
        assert (failure.value.code, failure.value.status) == (404, "NOT_FOUND")
        assert "no-such-model" in (failure.value.message or "")


def test_what_cannot_be_served_names_its_field(google: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as failure:
        ask(google, "x", candidate_count=2)
    assert (failure.value.code, failure.value.status) == (400, "INVALID_ARGUMENT")
    assert "generationConfig.candidateCount" in str(failure.value.details)


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_that_breaks_off_is_an_error(google: genai.Client, simulator: Simulator, model: str) -> None:
    with fault_rule(simulator, "cut"), pytest.raises(errors.APIError) as failure:
        stream(google, say("one two three four five six"), model)
    assert failure.value.status == "UNAVAILABLE"
