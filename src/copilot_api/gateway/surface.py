"""
A surface: one endpoint of the data plane, as the pieces that its protocol brings.

The life of a call is the same for every surface; what differs stands here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from copilot_api.protocols import embeddings
from copilot_api.protocols.base import AnswerMeter, ParsedRequest, StreamRelay
from copilot_api.protocols.chat import request as chat_request
from copilot_api.protocols.chat import response as chat_response
from copilot_api.protocols.chat.request import ChatRequest
from copilot_api.protocols.chat.stream import ChatStream
from copilot_api.upstream.catalog import CHAT, EMBEDDINGS
from copilot_api.upstream.headers import CHAT_INTENT, EMBEDDINGS_INTENT


class WholeAnswer(AnswerMeter, Protocol):
    """An answer that came at once."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Surface:
    """See the module. The callables take the request, the name that the caller used, and unix seconds."""

    endpoint: str
    upstream_endpoint: str
    intent: str
    parse_request: Callable[[bytes], ParsedRequest]
    parse_answer: Callable[[ParsedRequest, bytes, int], WholeAnswer]
    open_stream: Callable[[ParsedRequest, int], StreamRelay]
    stream_whole: Callable[[ParsedRequest, bytes, int], bytes]
    """A whole answer as the events of a stream: some upstreams answer `stream: true` with plain JSON."""


def _chat(request: ParsedRequest) -> ChatRequest:
    if not isinstance(request, ChatRequest):
        raise TypeError(type(request))
    return request


def _parse_chat_answer(request: ParsedRequest, body: bytes, now: int) -> WholeAnswer:
    return chat_response.parse_response(body, model=request.model, choices=_chat(request).choices, now=now)


def _open_chat_stream(request: ParsedRequest, now: int) -> StreamRelay:
    chat = _chat(request)
    return ChatStream(model=chat.model, wants_usage=chat.wants_usage, choices=chat.choices, now=now)


def _parse_embeddings(request: ParsedRequest, body: bytes, now: int) -> WholeAnswer:  # noqa: ARG001 -- a surface's form
    if not isinstance(request, embeddings.EmbeddingsRequest):
        raise TypeError(type(request))
    return embeddings.parse_response(body, model=request.model, wants_base64=request.wants_base64)


def _never_streamed(*_: object) -> StreamRelay:
    raise TypeError("embeddings are never streamed")


def _never_whole(*_: object) -> bytes:
    raise TypeError("embeddings are never streamed")


CHAT_SURFACE = Surface(
    endpoint="/v1/chat/completions",
    upstream_endpoint=CHAT,
    intent=CHAT_INTENT,
    parse_request=chat_request.parse_request,
    parse_answer=_parse_chat_answer,
    open_stream=_open_chat_stream,
    stream_whole=chat_response.whole_as_events,
)
EMBEDDINGS_SURFACE = Surface(
    endpoint="/v1/embeddings",
    upstream_endpoint=EMBEDDINGS,
    intent=EMBEDDINGS_INTENT,
    parse_request=embeddings.parse_request,
    parse_answer=_parse_embeddings,
    open_stream=_never_streamed,
    stream_whole=_never_whole,
)
