"""One translated call: whole and streamed say the same, emulations are undone, and what fails says so."""

import contextlib
import itertools
import json
from typing import Any

import pytest

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed
from copilot_api.gateway.surfaces import CHAT_SURFACE, GEMINI_SURFACE, MESSAGES_SURFACE, RESPONSES_SURFACE
from copilot_api.gateway.upstreams import UPSTREAMS
from copilot_api.protocols.base import AnswerHead, Envelope, ModelTraits
from copilot_api.protocols.translation.translator import Translation
from copilot_api.upstream.catalog import CHAT, MESSAGES, RESPONSES

HEAD = AnswerHead(model="alias", request_id="req_1", now=1_780_000_000, input_estimate=7)
TRAITS = ModelTraits(id="real", vendor="OpenAI", efforts=("low", "high"))


def translation(surface: Any, endpoint: str, body: dict[str, Any], traits: ModelTraits = TRAITS) -> Translation:
    request = surface.parse_request(json.dumps(body).encode(), Envelope(model="alias"))
    upstream = UPSTREAMS[endpoint]
    return Translation(request, surface.client, upstream.codec, upstream.target, traits)


def messages(**fields: Any) -> dict[str, Any]:
    return {"model": "alias", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **fields}


def chat_stream(*texts: str, finish: str | None = "stop") -> bytes:
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]} for text in texts
    ]
    if finish:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    lines = [
        b"data: " + json.dumps({"id": "c", "created": 1, "model": "m", **chunk}).encode() + b"\n\n" for chunk in chunks
    ]
    return b"".join([*lines, b"data: [DONE]\n\n"])


def chat_whole(text: str, **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **more}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "created": 1, "model": "m", "choices": [choice]}).encode()


def events(data: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in data.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def text_of(data: bytes) -> str:
    return "".join(event["delta"].get("text", "") for event in events(data) if event["type"] == "content_block_delta")


def test_the_request_goes_out_in_the_upstreams_protocol_under_the_models_name() -> None:
    body = json.loads(translation(MESSAGES_SURFACE, CHAT, messages(system="be kind")).outgoing().body)
    assert body["model"] == "real"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


def test_a_whole_answer_comes_back_in_the_clients_protocol_under_its_name() -> None:
    answer = translation(MESSAGES_SURFACE, CHAT, messages()).read_answer(chat_whole("hello"), HEAD)
    document = json.loads(answer.body)
    assert (document["model"], document["content"][0]["text"], document["stop_reason"]) == (
        "alias",
        "hello",
        "end_turn",
    )
    assert answer.usage is None, "the ledger knows that nobody said"
    assert document["usage"]["input_tokens"] == 7, "the client is told an estimate"
    assert document["usage"]["output_tokens"] == 2


def test_a_stream_comes_back_event_by_event() -> None:
    stream = translation(MESSAGES_SURFACE, CHAT, messages()).open_stream(HEAD)
    seen = [stream.has_content]
    out = stream.feed(chat_stream("hel", "lo"))
    seen.append(stream.has_content)
    assert seen == [False, True]
    out += stream.finish()
    assert text_of(out) == "hello"
    assert events(out)[-1] == {"type": "message_stop"}
    assert stream.is_over
    assert stream.finish() == b""


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_pitfall_101_however_the_bytes_are_cut_the_client_gets_the_same(size: int) -> None:
    data = chat_stream("hé", "🙂", "\u2028 x")
    stream = translation(MESSAGES_SURFACE, CHAT, messages()).open_stream(HEAD)
    out = b"".join(stream.feed(data[place : place + size]) for place in range(0, len(data), size)) + stream.finish()
    assert text_of(out) == "hé🙂\u2028 x"


def test_pitfall_083_a_stream_that_ends_too_soon_is_no_success() -> None:
    stream = translation(MESSAGES_SURFACE, CHAT, messages()).open_stream(HEAD)
    out = stream.feed(chat_stream("hel", finish=None).removesuffix(b"data: [DONE]\n\n"))
    with pytest.raises(UpstreamCut) as cut:
        stream.finish()
    out += stream.fail(cut.value, "req_1")
    assert events(out)[-1]["type"] == "error"
    assert b"message_stop" not in out


def test_a_sign_of_life_takes_its_note_along() -> None:
    stream = translation(MESSAGES_SURFACE, CHAT, messages()).open_stream(HEAD)
    assert stream.keep_alive() == b": keep-alive\n\n"
    assert stream.keep_alive("queued: place 3") == b": queued: place 3\n\n"


def test_an_error_inside_the_stream_follows_what_came_before_it() -> None:
    failing = b'data: {"error":{"message":"broken","code":500}}\n\n'
    stream = translation(MESSAGES_SURFACE, CHAT, messages()).open_stream(HEAD)
    out = stream.feed(chat_stream("hel", finish=None).removesuffix(b"data: [DONE]\n\n") + failing)
    assert text_of(out) == "hel"
    assert isinstance(stream.failure, GatewayError)


def test_pitfall_018_a_stop_sequence_ends_the_stream_and_nobody_listens_any_more() -> None:
    body = messages(stop_sequences=["STOP"], stream=True)
    reasoning = ModelTraits(id="gpt-5-mini", vendor="OpenAI")
    stream = translation(MESSAGES_SURFACE, CHAT, body, reasoning).open_stream(HEAD)
    out = stream.feed(chat_stream("one ST", "OP two", "three"))
    assert stream.is_over
    assert text_of(out) == "one "
    ending = events(out)[-2]
    assert (ending["delta"]["stop_reason"], ending["delta"]["stop_sequence"]) == ("stop_sequence", "STOP")
    assert stream.failure is None
    assert stream.finish() == b""


def test_pitfall_018_and_a_whole_answer_just_the_same() -> None:
    reasoning = ModelTraits(id="gpt-5-mini", vendor="OpenAI")
    body = messages(stop_sequences=["STOP"])
    answer = translation(MESSAGES_SURFACE, CHAT, body, reasoning).read_answer(chat_whole("one STOP two"), HEAD)
    document = json.loads(answer.body)
    assert (document["content"][0]["text"], document["stop_sequence"]) == ("one ", "STOP")


def test_pitfall_113_json_instead_of_a_stream_becomes_one() -> None:
    meter, out = translation(MESSAGES_SURFACE, CHAT, messages(stream=True)).stream_whole(chat_whole("hello"), HEAD)
    assert text_of(out) == "hello"
    assert meter.usage is None


@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES, MESSAGES])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'"x"', b'{"error":{"message":"no"}}'])
def test_an_answer_that_is_none_is_the_upstreams_failure(endpoint: str, body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        translation(MESSAGES_SURFACE, endpoint, messages()).read_answer(body, HEAD)


BODIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "chat": (CHAT_SURFACE, {"model": "alias", "messages": [{"role": "user", "content": "hi"}]}),
    "responses": (RESPONSES_SURFACE, {"model": "alias", "input": "hi"}),
    "messages": (MESSAGES_SURFACE, messages()),
    "gemini": (GEMINI_SURFACE, {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
}


PAIRS = list(itertools.product(BODIES, [CHAT, RESPONSES, MESSAGES]))


@pytest.mark.parametrize(("client", "endpoint"), PAIRS)
def test_pitfall_124_the_same_request_gives_the_same_bytes(client: str, endpoint: str) -> None:
    surface, body = BODIES[client]
    first, second = (translation(surface, endpoint, body).outgoing() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("client", "endpoint"), PAIRS)
def test_nothing_of_the_upstream_whatsoever_breaks_a_stream(client: str, endpoint: str) -> None:
    surface, body = BODIES[client]
    for data in (
        b"data: 1\n\n",
        b"data: {}\n\n",
        b"data: null\n\n",
        b"<html></html>",
        b"\xff\xfe",
        b"data: [DONE]\n\n",
        b'data: {"choices":[1]}\n\n',
    ):
        stream = translation(surface, endpoint, body).open_stream(HEAD)
        stream.feed(data)
        with contextlib.suppress(GatewayError):
            stream.finish()
        assert stream.fail(UpstreamFailed("broken"), "req_1")


def test_what_one_try_held_back_does_not_turn_up_in_the_next() -> None:
    """A request that is sent again opens another stream of the same translation."""
    again = translation(MESSAGES_SURFACE, CHAT, messages(stop_sequences=["STOP"]), ModelTraits(id="gpt-5-mini"))
    first = again.open_stream(HEAD)
    assert text_of(first.feed(chat_stream("ST", finish=None))) == ""
    second = again.open_stream(HEAD)
    assert text_of(second.feed(chat_stream("hello")) + second.finish()) == "hello"
