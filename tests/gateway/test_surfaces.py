"""Every surface holds together: its pieces take each other's values."""

import json
from typing import Any

import pytest

from copilot_api.gateway.surface import NativeRoute, Surface
from copilot_api.gateway.surfaces import (
    CHAT_SURFACE,
    COUNT_TOKENS_SURFACE,
    EMBEDDINGS_SURFACE,
    GEMINI_COUNT_SURFACE,
    GEMINI_SURFACE,
    MESSAGES_SURFACE,
    RESPONSES_SURFACE,
)
from copilot_api.protocols.base import AnswerHead, Envelope, ModelTraits
from copilot_api.protocols.conversation import Answer, Finished, Started, StopReason, Text, TextDelta

HEAD = AnswerHead(model="fast", request_id="req_1", now=1_780_000_000)
BODIES: list[tuple[Surface, dict[str, Any]]] = [
    (CHAT_SURFACE, {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}),
    (RESPONSES_SURFACE, {"model": "fast", "input": "hi"}),
    (MESSAGES_SURFACE, {"model": "fast", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    (GEMINI_SURFACE, {"contents": [{"parts": [{"text": "hi"}]}]}),
    (COUNT_TOKENS_SURFACE, {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}),
    (GEMINI_COUNT_SURFACE, {"contents": [{"parts": [{"text": "hi"}]}]}),
]
ENVELOPE = Envelope(model="fast")


@pytest.mark.parametrize(("surface", "body"), BODIES, ids=lambda value: getattr(value, "endpoint", ""))
def test_a_surface_reads_and_answers_in_its_own_protocol(surface: Surface, body: dict[str, Any]) -> None:
    request = surface.parse_request(json.dumps(body).encode(), ENVELOPE)
    assert (request.model, request.is_streamed, request.initiator, request.has_images) == ("fast", False, "user", False)
    assert surface.client is not None
    conversation = surface.client.read_conversation(request)
    assert conversation.messages[0].parts == (Text("hi"),)
    answer = Answer(parts=(Text("hello"),), stop=StopReason.END)
    assert b"hello" in surface.client.render_answer(answer, request, HEAD)
    writer = surface.client.open_writer(request, HEAD)
    events = b"".join(writer.write(event) for event in (Started(), TextDelta("hello"), Finished(StopReason.END)))
    assert b"hello" in events


@pytest.mark.parametrize(("surface", "body"), BODIES[:3], ids=lambda value: getattr(value, "endpoint", ""))
def test_a_native_call_goes_out_with_the_models_own_name(surface: Surface, body: dict[str, Any]) -> None:
    request = surface.parse_request(json.dumps(body).encode(), ENVELOPE)
    assert surface.native is not None
    route = NativeRoute(request, surface.native, ModelTraits(id="real"))
    assert json.loads(route.outgoing().body)["model"] == "real"
    assert route.open_stream(HEAD).usage is None


def test_embeddings_are_answered_as_they_were_asked_for() -> None:
    source = b'{"model":"fast","input":"x","encoding_format":"base64"}'
    request = EMBEDDINGS_SURFACE.parse_request(source, ENVELOPE)
    assert EMBEDDINGS_SURFACE.native is not None
    vectors = b'{"data":[{"embedding":[0.5],"index":0}]}'
    assert b'"AAAAPw=="' in EMBEDDINGS_SURFACE.native.read_answer(request, vectors, HEAD).body
    assert not request.is_streamed
    with pytest.raises(TypeError):
        EMBEDDINGS_SURFACE.native.open_stream(request, HEAD)
    with pytest.raises(TypeError):
        EMBEDDINGS_SURFACE.native.stream_whole(request, b"{}", 0)


def test_geminis_streams_are_events_or_an_array() -> None:
    body = json.dumps(BODIES[3][1]).encode()
    for is_array, media_type in ((False, b"text/event-stream; charset=utf-8"), (True, b"application/json")):
        request = GEMINI_SURFACE.parse_request(body, Envelope(model="fast", is_streamed=True, is_array=is_array))
        assert GEMINI_SURFACE.stream_type(request) == media_type
