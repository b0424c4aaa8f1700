"""The surfaces of the data plane: which pieces of which protocol serve each endpoint."""

from copilot_api.gateway.surface import NativeCodec, Surface, WholeAnswer
from copilot_api.protocols import embeddings
from copilot_api.protocols.base import AnswerHead, StreamRelay
from copilot_api.protocols.chat import conversation as chat_conversation
from copilot_api.protocols.chat import rendering as chat_rendering
from copilot_api.protocols.chat import request as chat_request
from copilot_api.protocols.chat import response as chat_response
from copilot_api.protocols.chat.request import ChatRequest
from copilot_api.protocols.chat.stream import ChatStream
from copilot_api.protocols.chat.writer import ChatWriter
from copilot_api.protocols.embeddings import EmbeddingsRequest
from copilot_api.protocols.gemini import request as gemini_request
from copilot_api.protocols.gemini import response as gemini_response
from copilot_api.protocols.gemini.request import GeminiRequest
from copilot_api.protocols.gemini.writer import GeminiWriter
from copilot_api.protocols.messages import native as messages_native
from copilot_api.protocols.messages import read as messages_read
from copilot_api.protocols.messages import relay as messages_relay
from copilot_api.protocols.messages import request as messages_request
from copilot_api.protocols.messages import response as messages_response
from copilot_api.protocols.messages.relay import MessagesRelay
from copilot_api.protocols.messages.request import MessagesRequest
from copilot_api.protocols.messages.writer import MessagesWriter
from copilot_api.protocols.responses import native as responses_native
from copilot_api.protocols.responses import request as responses_request
from copilot_api.protocols.responses import response as responses_response
from copilot_api.protocols.responses import whole as responses_whole
from copilot_api.protocols.responses.relay import ResponsesRelay
from copilot_api.protocols.responses.request import ResponsesRequest
from copilot_api.protocols.responses.writer import ResponsesWriter
from copilot_api.protocols.translation.codec import ClientCodec
from copilot_api.upstream.catalog import CHAT, EMBEDDINGS, MESSAGES, RESPONSES


def _chat_answer(request: ChatRequest, body: bytes, head: AnswerHead) -> WholeAnswer:
    return chat_response.parse_response(body, model=head.model, choices=request.choices, now=head.now)


def _chat_stream(request: ChatRequest, head: AnswerHead) -> StreamRelay:
    return ChatStream(model=head.model, wants_usage=request.wants_usage, choices=request.choices, now=head.now)


def _responses_answer(_: ResponsesRequest, body: bytes, head: AnswerHead) -> WholeAnswer:
    return responses_native.parse_native_answer(body, model=head.model, now=head.now)


def _responses_stream(_: ResponsesRequest, head: AnswerHead) -> StreamRelay:
    return ResponsesRelay(model=head.model, now=head.now, request_id=head.request_id)


def _messages_answer(_: MessagesRequest, body: bytes, head: AnswerHead) -> WholeAnswer:
    return messages_native.parse_native_answer(body, model=head.model, now=head.now)


def _messages_stream(_: MessagesRequest, head: AnswerHead) -> StreamRelay:
    return MessagesRelay(model=head.model)


def _embeddings_answer(request: EmbeddingsRequest, body: bytes, head: AnswerHead) -> WholeAnswer:
    return embeddings.parse_response(body, model=head.model, wants_base64=request.wants_base64)


def _never_streamed(*_: object) -> StreamRelay:
    raise TypeError("embeddings are never streamed")


def _never_whole(*_: object) -> bytes:
    raise TypeError("embeddings are never streamed")


def _gemini_stream_type(request: GeminiRequest) -> bytes:
    return b"application/json" if request.is_array else b"text/event-stream; charset=utf-8"


CHAT_SURFACE = Surface(
    endpoint="/v1/chat/completions",
    parse_request=chat_request.parse_request,
    native=NativeCodec(CHAT, _chat_answer, _chat_stream, chat_response.whole_as_events),
    client=ClientCodec(chat_conversation.read_conversation, chat_rendering.render_answer, ChatWriter),
)
RESPONSES_SURFACE = Surface(
    endpoint="/v1/responses",
    parse_request=responses_request.parse_request,
    native=NativeCodec(RESPONSES, _responses_answer, _responses_stream, responses_whole.whole_as_events),
    client=ClientCodec(responses_request.read_conversation, responses_response.render_answer, ResponsesWriter),
)
MESSAGES_SURFACE = Surface(
    endpoint="/v1/messages",
    parse_request=messages_request.parse_request,
    native=NativeCodec(MESSAGES, _messages_answer, _messages_stream, messages_relay.whole_as_events),
    client=ClientCodec(messages_read.read_conversation, messages_response.render_answer, MessagesWriter),
)
GEMINI_SURFACE = Surface(
    endpoint="/v1beta/generateContent",
    parse_request=gemini_request.parse_request,
    native=None,
    client=ClientCodec(gemini_request.read_conversation, gemini_response.render_answer, GeminiWriter),
    stream_type=_gemini_stream_type,
)

EMBEDDINGS_SURFACE = Surface(
    endpoint="/v1/embeddings",
    parse_request=embeddings.parse_request,
    native=NativeCodec(EMBEDDINGS, _embeddings_answer, _never_streamed, _never_whole),
    client=None,
)
COUNT_TOKENS_SURFACE = Surface(
    endpoint="/v1/messages/count_tokens",
    parse_request=messages_request.parse_count_request,
    native=None,
    client=MESSAGES_SURFACE.client,
)
GEMINI_COUNT_SURFACE = Surface(
    endpoint="/v1beta/countTokens",
    parse_request=gemini_request.parse_count_request,
    native=None,
    client=GEMINI_SURFACE.client,
)

_BY_ENDPOINT = {
    surface.endpoint: surface
    for surface in (
        CHAT_SURFACE,
        RESPONSES_SURFACE,
        MESSAGES_SURFACE,
        GEMINI_SURFACE,
        EMBEDDINGS_SURFACE,
        COUNT_TOKENS_SURFACE,
        GEMINI_COUNT_SURFACE,
    )
}


def find_surface(endpoint: str) -> Surface | None:
    """The surface that is called so in usage events and captures."""
    return _BY_ENDPOINT.get(endpoint)
