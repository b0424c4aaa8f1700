"""A surface holds together: its pieces take each other's values, and no other surface's."""

import pytest

from copilot_api.gateway.surface import CHAT_SURFACE, EMBEDDINGS_SURFACE, Surface
from copilot_api.upstream.catalog import CHAT, EMBEDDINGS
from tests.gateway.test_relay import CHUNKS, NOW, WHOLE

CHAT_BODY = b'{"model":"fast","messages":[{"role":"user","content":"x"}],"stream":true}'
EMBEDDINGS_BODY = b'{"model":"fast","input":"x","encoding_format":"base64"}'
VECTORS = b'{"data":[{"embedding":[0.5],"index":0}]}'


def test_each_surface_has_its_endpoint() -> None:
    assert (CHAT_SURFACE.endpoint, CHAT_SURFACE.upstream_endpoint) == ("/v1/chat/completions", CHAT)
    assert (EMBEDDINGS_SURFACE.endpoint, EMBEDDINGS_SURFACE.upstream_endpoint) == ("/v1/embeddings", EMBEDDINGS)
    assert CHAT_SURFACE.intent != EMBEDDINGS_SURFACE.intent


def test_66_chat_answers_say_the_callers_name() -> None:
    request = CHAT_SURFACE.parse_request(CHAT_BODY)
    whole = CHAT_SURFACE.parse_answer(request, WHOLE, NOW)
    assert b'"model":"fast"' in whole.body
    stream = CHAT_SURFACE.open_stream(request, NOW)
    assert b'"model":"fast"' in stream.feed(CHUNKS[0])
    assert CHAT_SURFACE.stream_whole(request, whole.body, NOW).endswith(b"data: [DONE]\n\n")


def test_embeddings_are_answered_as_they_were_asked_for() -> None:
    request = EMBEDDINGS_SURFACE.parse_request(EMBEDDINGS_BODY)
    assert b'"AAAAPw=="' in EMBEDDINGS_SURFACE.parse_answer(request, VECTORS, NOW).body


def test_embeddings_are_never_streamed() -> None:
    request = EMBEDDINGS_SURFACE.parse_request(EMBEDDINGS_BODY)
    assert not request.is_streamed
    with pytest.raises(TypeError):
        EMBEDDINGS_SURFACE.open_stream(request, NOW)
    with pytest.raises(TypeError):
        EMBEDDINGS_SURFACE.stream_whole(request, b"{}", NOW)


@pytest.mark.parametrize(("surface", "body"), [(CHAT_SURFACE, EMBEDDINGS_BODY), (EMBEDDINGS_SURFACE, CHAT_BODY)])
def test_a_surface_does_not_take_anothers_request(surface: Surface, body: bytes) -> None:
    other = EMBEDDINGS_SURFACE if surface is CHAT_SURFACE else CHAT_SURFACE
    request = other.parse_request(body)
    with pytest.raises(TypeError):
        surface.parse_answer(request, WHOLE, NOW)
