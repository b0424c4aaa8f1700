"""The official `openai` package: embeddings, models, the async client, raw responses, and base URLs."""

import asyncio
import base64
import math

import openai as package
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.harness import GatewayProcess
from tests.journeys.markers import call_tool, fault, say
from tests.sdk.conftest import Upstream
from tests.sdk.test_openai_python import ARGUMENTS, TOOL, Weather, ask, one_call, one_message, text_of

SMALL = "text-embedding-3-small"


# Embeddings -----------------------------------------------------------------------------------------------------------


def test_embeddings_as_the_package_asks_by_itself(openai: OpenAI, upstream: Upstream) -> None:
    """It asks for base64 and decodes it; Copilot knows only floats and lists of strings."""
    raw = openai.embeddings.with_raw_response.create(model=SMALL, input="Grüße 🎉")
    answer = raw.parse()
    assert b'"encoding_format":"base64"' in raw.http_response.request.content
    assert isinstance(raw.http_response.json()["data"][0]["embedding"], str)
    assert (answer.object, answer.model) == ("list", SMALL)
    assert [(entry.object, entry.index) for entry in answer.data] == [("embedding", 0)]
    assert len(answer.data[0].embedding) == 1536
    assert math.isclose(sum(x * x for x in answer.data[0].embedding), 1.0, rel_tol=1e-3)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    assert upstream(raw.headers["x-request-id"])["body"] == {"model": SMALL, "input": ["Grüße 🎉"]}


def test_embeddings_are_the_same_as_floats(openai: OpenAI) -> None:
    packed = openai.embeddings.create(model=SMALL, input="the same").data[0].embedding
    floats = openai.embeddings.create(model=SMALL, input="the same", encoding_format="float").data[0].embedding
    assert packed == pytest.approx(floats, abs=1e-6)
    assert len(set(floats)) > 100


def test_a_list_of_texts_keeps_its_order(openai: OpenAI) -> None:
    texts = [f"text number {number}" for number in range(40)]
    answer = openai.embeddings.create(model=SMALL, input=texts)
    assert [entry.index for entry in answer.data] == list(range(40))
    for number in (0, 17, 39):
        alone = openai.embeddings.create(model=SMALL, input=texts[number]).data[0].embedding
        assert answer.data[number].embedding == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_dimensions_shorten_the_vector(openai: OpenAI, upstream: Upstream, encoding_format: str) -> None:
    raw = openai.embeddings.with_raw_response.create(
        model=SMALL,
        input=["short"],
        dimensions=64,
        encoding_format=encoding_format,  # type: ignore[arg-type] # a literal of two
    )
    assert raw.http_response.json()["model"] == SMALL
    assert upstream(raw.headers["x-request-id"])["body"]["dimensions"] == 64
    vector = raw.http_response.json()["data"][0]["embedding"]
    assert (len(vector) if encoding_format == "float" else len(base64.b64decode(vector)) / 4) == 64


@pytest.mark.parametrize(
    "value",
    [[], None, 7, {}, [7], [None], [[1, 2]], [["text"]], False],
    ids=["empty", "null", "number", "object", "numbers", "nulls", "tokens", "nested", "false"],
)
def test_input_that_is_no_text_is_a_bad_request(openai: OpenAI, value: object) -> None:
    with pytest.raises(package.BadRequestError) as raised:
        openai.post("/embeddings", body={"model": SMALL, "input": value}, cast_to=object)
    assert raised.value.param
    assert raised.value.param.startswith("input")
    assert raised.value.code


@pytest.mark.parametrize("dimensions", ["many", [None], 0, -1, 1.5])
def test_dimensions_of_a_wrong_kind_are_a_bad_request(openai: OpenAI, dimensions: object) -> None:
    with pytest.raises(package.BadRequestError) as raised:
        openai.post("/embeddings", body={"model": SMALL, "input": "x", "dimensions": dimensions}, cast_to=object)
    assert raised.value.code


def test_embeddings_of_a_model_that_makes_none_are_a_bad_request(openai: OpenAI) -> None:
    with pytest.raises(package.BadRequestError) as raised:
        openai.embeddings.create(model="gpt-4.1", input="hello")
    assert raised.value.code == "unsupported_api_for_model"


# Models ---------------------------------------------------------------------------------------------------------------


def test_the_model_list_names_what_can_be_used(openai: OpenAI) -> None:
    """Nothing that a call would be refused for: not enabled, or served only on endpoints that are not here."""
    models = list(openai.models.list())
    names = [model.id for model in models]
    assert {"gpt-4.1", "gpt-5-mini", "claude-sonnet-4.6", "gemini-2.5-pro", SMALL} <= set(names)
    assert not {"grok-code-fast-1", "claude-opus-4.7", "gpt-41-copilot"} & set(names)
    assert len(names) == len(set(names))
    assert {model.object for model in models} == {"model"}
    assert all(model.owned_by for model in models)


def test_every_chat_model_of_the_list_answers(openai: OpenAI) -> None:
    for model in openai.models.list():
        if "embedding" in model.id:
            assert openai.embeddings.create(model=model.id, input="hello").data
        else:
            answer = openai.chat.completions.create(model=model.id, messages=ask(say(model.id)))
            assert answer.choices[0].message.content == model.id


@pytest.mark.parametrize("model", ["gpt-4.1", "claude-sonnet-4.6", SMALL])
def test_a_model_can_be_retrieved(openai: OpenAI, model: str) -> None:
    found = openai.models.retrieve(model)
    assert (found.id, found.object) == (model, "model")


@pytest.mark.parametrize("model", ["gpt-99", "grok-code-fast-1", "a/b", "ü", "a b"])
def test_a_model_that_is_not_there_is_not_found(openai: OpenAI, model: str) -> None:
    with pytest.raises(package.NotFoundError) as raised:
        openai.models.retrieve(model)
    assert raised.value.code == "model_not_found"
    assert raised.value.request_id is not None


def test_a_scoped_key_sees_its_scope(base_url: str, scoped_key: str) -> None:
    with OpenAI(api_key=scoped_key, base_url=base_url, max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["gpt-4.1"]
        assert client.models.retrieve("gpt-4.1").id == "gpt-4.1"
        with pytest.raises(package.NotFoundError):
            client.models.retrieve("gpt-4o")


# Raw responses and request ids ----------------------------------------------------------------------------------------


def test_the_request_id_is_on_every_answer(openai: OpenAI) -> None:
    """It is what a user quotes and an operator looks up."""
    chat = openai.chat.completions.create(model="gpt-4.1", messages=ask("hello"))
    embeddings = openai.embeddings.create(model=SMALL, input="hello")
    models = openai.models.list()
    model = openai.models.retrieve("gpt-4.1")
    request_ids = [answer._request_id for answer in (chat, embeddings, models, model)]
    assert all(request_id and request_id.startswith("req_") for request_id in request_ids)
    assert len(set(request_ids)) == len(request_ids)


def test_a_client_cannot_choose_the_request_id(openai: OpenAI) -> None:
    """One that repeats would overwrite the events of others."""
    chosen = {"x-request-id": "req_chosen"}
    raw = openai.chat.completions.with_raw_response.create(model="gpt-4.1", messages=ask("hello"), extra_headers=chosen)
    assert raw.headers["x-request-id"] != "req_chosen"


def test_raw_responses(openai: OpenAI) -> None:
    whole = openai.chat.completions.with_raw_response.create(model="gpt-4.1", messages=ask(say("raw")))
    assert whole.headers["content-type"] == "application/json"
    assert whole.headers["x-request-id"] == whole.request_id
    assert one_message(whole.parse()).content == "raw"
    streamed = openai.chat.completions.with_raw_response.create(model="gpt-4.1", messages=ask(say("raw")), stream=True)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.headers["cache-control"] == "no-cache"
    with streamed.parse() as stream:
        assert text_of(list(stream)) == "raw"


def test_streaming_responses(openai: OpenAI) -> None:
    with openai.chat.completions.with_streaming_response.create(
        model="gpt-4.1", messages=ask(say("line by line")), stream=True
    ) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: ") for line in lines)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/", "/v1/v1"])
def test_the_base_url_may_have_the_version_or_not(gateway: GatewayProcess, client_key: str, suffix: str) -> None:
    with OpenAI(api_key=client_key, base_url=gateway.url + suffix, max_retries=0) as client:
        assert one_message(client.chat.completions.create(model="gpt-4.1", messages=ask(say("here")))).content == "here"
        assert client.models.retrieve("gpt-4.1").id == "gpt-4.1"
        assert len(list(client.models.list())) > 5
        assert client.embeddings.create(model=SMALL, input="x").data


@pytest.mark.parametrize("name", ["x-api-key", "api-key", "x-goog-api-key"])
def test_the_key_may_come_in_another_header(base_url: str, client_key: str, name: str) -> None:
    """Tools that fill in `Authorization` with something of their own still get in."""
    with OpenAI(api_key="dummy", base_url=base_url, max_retries=0, default_headers={name: client_key}) as client:
        answer = client.chat.completions.create(model="gpt-4.1", messages=ask(say("let in")))
        assert one_message(answer).content == "let in"


# The async client -----------------------------------------------------------------------------------------------------


def test_the_async_client(base_url: str, client_key: str) -> None:
    """The essentials once more: whole, streamed, helper, tools, embeddings, models, errors."""

    async def run() -> None:
        async with AsyncOpenAI(api_key=client_key, base_url=base_url, max_retries=0) as client:
            create = client.chat.completions.create
            whole = await create(model="claude-sonnet-4.6", messages=ask(say("whole 🎉")))
            assert one_message(whole).content == "whole 🎉"
            assert whole._request_id
            chunks = [
                chunk
                async for chunk in await create(model="claude-sonnet-4.6", messages=ask(say("piece 🎉")), stream=True)
            ]
            assert text_of(chunks) == "piece 🎉"
            tool = package.pydantic_function_tool(Weather, name="get_weather")
            async with client.chat.completions.stream(
                model="claude-sonnet-4.6", messages=ask(call_tool("get_weather", ARGUMENTS)), tools=[tool]
            ) as stream:
                final = await stream.get_final_completion()
            assert one_call(one_message(final)).function.name == "get_weather"
            called = await create(model="gpt-4.1", messages=ask(call_tool("get_weather", ARGUMENTS)), tools=[TOOL])
            assert called.choices[0].finish_reason == "tool_calls"
            assert len((await client.embeddings.create(model=SMALL, input="x")).data[0].embedding) == 1536
            assert "gpt-4.1" in [model.id async for model in client.models.list()]
            with pytest.raises(package.NotFoundError):
                await create(model="gpt-99", messages=ask("hello"))
            with pytest.raises(package.RateLimitError):
                await create(model="gpt-4.1", messages=ask(fault("429")))
            with pytest.raises(package.APIError) as raised:
                async for _ in await create(model="gpt-4.1", messages=ask(fault("cut")), stream=True):
                    pass
            assert raised.value.code == "upstream_cut"

    asyncio.run(run())


def test_calls_side_by_side_do_not_mix(base_url: str, client_key: str) -> None:
    """Sixty at once over shared connections: everybody gets their own answer."""

    async def run() -> None:
        async with AsyncOpenAI(api_key=client_key, base_url=base_url, max_retries=0) as client:

            async def one(number: int) -> None:
                text = f"answer {number} " + "abcdefghij" * (number % 7)
                model = ["gpt-4.1", "claude-sonnet-4.6", "gemini-2.5-pro"][number % 3]
                if number % 2:
                    answer = await client.chat.completions.create(model=model, messages=ask(say(text)))
                    assert one_message(answer).content == text
                    return
                stream = await client.chat.completions.create(model=model, messages=ask(say(text)), stream=True)
                assert text_of([chunk async for chunk in stream]) == text

            await asyncio.gather(*(one(number) for number in range(60)))

    asyncio.run(run())
