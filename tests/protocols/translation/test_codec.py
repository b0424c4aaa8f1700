"""What each protocol brings to be translated: every reader and writer keeps the contract."""

import inspect

import pytest

from copilot_api.gateway.surfaces import CHAT_SURFACE, GEMINI_SURFACE, MESSAGES_SURFACE, RESPONSES_SURFACE
from copilot_api.gateway.upstreams import UPSTREAMS
from copilot_api.protocols.translation.codec import ClientCodec, Reader, UpstreamCodec, Writer


@pytest.mark.parametrize("surface", [CHAT_SURFACE, RESPONSES_SURFACE, MESSAGES_SURFACE, GEMINI_SURFACE])
def test_every_clients_protocol_has_a_codec(surface: object) -> None:
    codec = getattr(surface, "client", None)
    assert isinstance(codec, ClientCodec)
    assert all(callable(getattr(codec, name)) for name in ("read_conversation", "render_answer", "open_writer"))
    for name, member in inspect.getmembers(Writer, inspect.isfunction):
        if not name.startswith("_"):
            assert set(inspect.signature(getattr(codec.open_writer, name)).parameters) == set(
                inspect.signature(member).parameters
            )


@pytest.mark.parametrize("endpoint", UPSTREAMS)
def test_every_upstream_protocol_has_a_codec(endpoint: str) -> None:
    codec = UPSTREAMS[endpoint].codec
    assert isinstance(codec, UpstreamCodec)
    reader: Reader = codec.open_reader()
    assert (reader.usage, reader.nano_aiu, reader.failure) == (None, None, None)
    assert reader.feed(b"") == []
