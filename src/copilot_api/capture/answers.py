"""
What a captured answer says: text, reasoning, calls, why it ended and what it consumed, whichever protocol it is in.

A capture is redacted and may be cut: what can be read of it is read, and `error` says what is wrong with the rest.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from copilot_api.capture.models import Leg
from copilot_api.errors import GatewayError
from copilot_api.protocols.base import Usage
from copilot_api.protocols.chat import parse as chat_parse
from copilot_api.protocols.chat.reader import ChatReader
from copilot_api.protocols.conversation import (
    Answer,
    AnswerPart,
    Collector,
    Finished,
    Reasoning,
    StopReason,
    Text,
    ToolCall,
)
from copilot_api.protocols.messages import parse as messages_parse
from copilot_api.protocols.messages.reader import MessagesReader
from copilot_api.protocols.responses import parse as responses_parse
from copilot_api.protocols.responses.reader import ResponsesReader
from copilot_api.protocols.sse import EventTooLarge, SseDecoder
from copilot_api.protocols.translation.codec import Reader
from copilot_api.protocols.untyped import list_of, object_of, text_of

GEMINI = "/v1beta/generateContent"
EMBEDDINGS = "/v1/embeddings"
MAX_ERROR = 500


class _Protocol(NamedTuple):
    """How one protocol's answers are read: as Copilot speaks it, which is how it is spoken to clients too."""

    parse_answer: Callable[[bytes], Answer]
    open_reader: Callable[[], Reader]


_PROTOCOLS = {
    "/v1/chat/completions": _Protocol(chat_parse.parse_answer, ChatReader),
    "/v1/responses": _Protocol(responses_parse.parse_answer, ResponsesReader),
    "/v1/messages": _Protocol(messages_parse.parse_answer, MessagesReader),
}


class Call(msgspec.Struct, frozen=True):
    """A call of a tool."""

    name: str
    arguments: str


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says."""

    status: int = 0
    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = ""
    """Why it ended; empty where it did not come to its end."""
    usage: Usage | None = None
    error: str = ""
    """What is wrong with it: that it is an error, was withheld or cut, broke off, or cannot be read."""


def read_said(endpoint: str, leg: Leg | None) -> Said:
    """What the answer in `leg` says, which came from `endpoint`."""
    if leg is None:
        return Said(error="there was no answer")
    if leg.withheld:
        return Said(status=leg.status, error=f"withheld: {leg.withheld}")
    if leg.status >= 400:
        return Said(status=leg.status, text=leg.body, error=f"answered with status {leg.status}")
    try:
        said = _read(endpoint, leg.body)
    except (GatewayError, ValueError, RecursionError, EventTooLarge):
        said = Said(text=leg.body, error="it cannot be read as an answer of this protocol")
    error = "it is longer than what was kept of it" if leg.cut is not None else said.error or leg.error
    return msgspec.structs.replace(said, status=leg.status, error=error[:MAX_ERROR])


def _read(endpoint: str, body: str) -> Said:
    if endpoint == GEMINI:
        return _read_gemini(body)
    if endpoint == EMBEDDINGS:
        return _read_embeddings(body)
    protocol = _PROTOCOLS.get(endpoint)
    if protocol is None:
        return Said(text=msgspec.json.format(body), finish=StopReason.END.value)
    if body.lstrip().startswith("{"):
        return _said(protocol.parse_answer(body.encode()))
    return _read_stream(protocol.open_reader(), body)


def _read_stream(reader: Reader, body: str) -> Said:
    """The same of a stream; of one that has no end, what came."""
    collector, error = Collector(), ""
    collector.add(reader.feed(body.encode()))
    try:
        collector.add(reader.finish())
    except GatewayError as failure:
        error = failure.message
    is_whole = collector.finished is not None
    if not is_whole:
        collector.add([Finished(StopReason.END, reader.usage)])
    said = _said(collector.answer())
    return said if is_whole else msgspec.structs.replace(said, finish="", error=error or "the stream has no end")


def _said(answer: Answer) -> Said:
    parts = answer.parts
    return Said(
        text="".join(part.text for part in parts if not isinstance(part, ToolCall | Reasoning)),
        reasoning="\n".join(part.text for part in parts if isinstance(part, Reasoning) and part.text),
        calls=tuple(Call(part.name, part.arguments) for part in parts if isinstance(part, ToolCall)),
        finish=answer.stop.value,
        usage=answer.usage,
    )


# Gemini is never spoken upstream, so nothing else reads its answers ---------------------------------------------------


def _read_gemini(body: str) -> Said:
    """One object, a JSON array of them, or events."""
    parts: list[AnswerPart] = []
    finish, usage = "", None
    for document in _gemini_documents(body):
        candidate = object_of(next(iter(list_of(document.get("candidates"))), None))
        content = object_of(candidate.get("content"))
        parts += [_gemini_part(object_of(part)) for part in list_of(content.get("parts"))]
        finish = text_of(candidate.get("finishReason")) or finish
        usage = _gemini_usage(object_of(document.get("usageMetadata"))) or usage
    said = _said(Answer(parts=tuple(parts), stop=StopReason.END, usage=usage))
    return msgspec.structs.replace(said, finish=finish, error="" if finish else "the stream has no end")


def _gemini_documents(body: str) -> Iterable[dict[str, Any]]:
    if body.lstrip().startswith(("{", "[")):
        whole: object = msgspec.json.decode(body)
        return map(object_of, list_of(whole) or [whole])
    decoder = SseDecoder()
    events = [*decoder.feed(body.encode()), *decoder.finish()]
    return (object_of(msgspec.json.decode(event.data)) for event in events)


def _gemini_part(part: dict[str, Any]) -> AnswerPart:
    call = object_of(part.get("functionCall"))
    if call:
        arguments = msgspec.json.encode(call.get("args") or {}).decode()
        return ToolCall(id="", name=text_of(call.get("name")), arguments=arguments)
    text = text_of(part.get("text"))
    return Reasoning(text) if part.get("thought") else Text(text)


def _gemini_usage(counts: dict[str, Any]) -> Usage | None:
    def count(name: str) -> int:
        number = counts.get(name)
        return number if isinstance(number, int) else 0

    if not counts:
        return None
    thoughts = count("thoughtsTokenCount")
    return Usage(
        input_tokens=count("promptTokenCount"),
        output_tokens=count("candidatesTokenCount") + thoughts,
        cache_read_tokens=count("cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )


def _read_embeddings(body: str) -> Said:
    """Of vectors, how many there are and how long: their numbers are nothing to read."""
    document = object_of(msgspec.json.decode(body))
    vectors = [object_of(vector).get("embedding") for vector in list_of(document.get("data"))]
    lines = [f"vector of {len(text_of(vector) or list_of(vector))}" for vector in vectors]
    tokens = object_of(document.get("usage")).get("prompt_tokens")
    usage = Usage(input_tokens=tokens) if isinstance(tokens, int) else None
    return Said(text="\n".join(lines), finish=StopReason.END.value, usage=usage)
