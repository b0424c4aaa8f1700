"""
A streamed answer as streamGenerateContent gives it: each chunk an answer of its own, with what is new.

Chunks are events without names and without an end mark, or the elements of one JSON array. Google's clients judge a
stream by its last chunk: the finish reason and the usage stand there, and nothing comes after it. Every chunk has a
candidate with a part: the Python SDK's chat forgets a turn in which one has none.
"""

from typing import Any

import msgspec

from copilot_api.errors import GatewayError
from copilot_api.protocols.base import AnswerHead
from copilot_api.protocols.conversation import (
    Carrier,
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    StreamEvent,
    TextDelta,
    ToolDelta,
    ToolEnd,
    ToolStart,
)
from copilot_api.protocols.gemini.errors import error_fields
from copilot_api.protocols.gemini.request import GeminiRequest
from copilot_api.protocols.gemini.response import (
    call_part,
    candidate,
    finish_reason,
    identity,
    pack_signature,
    text_part,
    unwrap,
    usage_metadata,
)
from copilot_api.protocols.openai_errors import sendable
from copilot_api.protocols.sse import KEEP_ALIVE

_encode = msgspec.json.Encoder().encode
_BLANK_LINE = b"\n"


class GeminiWriter:
    """See `Writer`."""

    __slots__ = (
        "_arguments",
        "_between",
        "_call",
        "_carriers",
        "_end",
        "_has_ended",
        "_head",
        "_held_call",
        "_held_text",
        "_identity",
        "_is_array",
        "_is_started",
        "_is_wrapped",
        "_shows_thoughts",
        "_start",
        "_text_end",
        "_thought_end",
    )

    def __init__(self, request: GeminiRequest, head: AnswerHead) -> None:
        self._head = head
        self._is_array = request.is_array
        self._is_wrapped = request.form.is_wrapped
        self._shows_thoughts = request.includes_thoughts
        self._identity = identity(head)
        self._between, self._end = (b",\r\n", b"") if request.is_array else (b"data: ", b"\n\n")
        self._start = self._between + b'{"candidates":[{"content":{"parts":[{"text":'
        rest = b'],"role":"model"},"index":0}],' + _encode(self._identity)[1:] + self._end
        self._text_end = b"}" + rest
        self._thought_end = b',"thought":true}' + rest
        self._is_started = False
        self._has_ended = False
        self._carriers: list[Carrier] = []
        self._call: ToolStart | None = None
        self._arguments: list[str] = []
        self._held_call: dict[str, Any] | None = None
        """A call that is complete: the last one goes out with the end."""
        self._held_text: list[str] = []
        """The text of a wrapped answer, which is only known at its end."""

    def write(self, event: StreamEvent) -> bytes:
        """See `Writer`."""
        kind = type(event)
        if kind is TextDelta or kind is RefusalDelta:
            return self._text(event.text)  # type: ignore[union-attr]
        if kind is ToolDelta:
            self._arguments.append(event.arguments)  # type: ignore[union-attr]
            return b""
        match event:
            case ReasoningDelta(text):
                return self._piece(text, self._thought_end) if self._shows_thoughts else b""
            case ReasoningEnd(carrier):
                if carrier is not None:
                    self._carriers.append(carrier)
                return b""
            case ToolStart():
                self._call, self._arguments = event, []
                return self._flush()
            case ToolEnd():
                return self._end_call()
            case Finished():
                return self._finish(event)
            case _:
                return b""

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """See `Writer`. What is held back is not sent: it would look like an end."""
        if self._has_ended:
            return b""
        self._has_ended = True
        failure = self._chunk(error_fields(error, request_id))
        return failure + b"]" if self._is_array else failure

    def keep_alive(self, note: str = KEEP_ALIVE) -> bytes:  # noqa: ARG002 -- there is no place for it
        """See `Writer`. An empty line: Google's Python SDK takes a comment for JSON, and fails."""
        return _BLANK_LINE

    def _text(self, text: str) -> bytes:
        if self._is_wrapped:
            self._held_text.append(text)
            return b""
        return self._piece(text, self._text_end)

    def _piece(self, text: str, end: bytes) -> bytes:
        try:
            piece = self._start + _encode(text) + end
        except UnicodeEncodeError:
            piece = self._start + _encode(sendable(text)) + end
        flushed = self._flush() if self._held_call is not None or self._held_text else b""
        return flushed + self._begun(piece)

    def _end_call(self) -> bytes:
        call, self._call = self._call, None
        if call is None:
            return b""
        self._held_call = call_part(call.id, call.name, "".join(self._arguments), self._carriers)
        self._carriers, self._arguments = [], []
        return b""

    def _finish(self, event: Finished) -> bytes:
        if self._has_ended:
            return b""
        self._has_ended = True
        parts = self._held_parts()
        if not parts or (self._carriers and "functionCall" in parts[-1]):
            parts.append(text_part(""))
        if self._carriers:
            parts[-1]["thoughtSignature"] = pack_signature(self._carriers)
        last = self._chunk(
            {
                "candidates": [candidate(parts, finish_reason(event.stop))],
                "usageMetadata": usage_metadata(event.usage, self._head),
                **self._identity,
            }
        )
        return last + b"]" if self._is_array else last

    def _held_parts(self) -> list[dict[str, Any]]:
        """What is held back, in order: text that is held came after the call that is."""
        parts = [] if self._held_call is None else [self._held_call]
        text = unwrap("".join(self._held_text))
        if text:
            parts.append(text_part(text))
        self._held_call, self._held_text = None, []
        return parts

    def _flush(self) -> bytes:
        parts = self._held_parts()
        return self._chunk({"candidates": [candidate(parts)], **self._identity}) if parts else b""

    def _chunk(self, body: dict[str, Any]) -> bytes:
        return self._begun(self._between + _encode(body) + self._end)

    def _begun(self, piece: bytes) -> bytes:
        """The piece; the first one of an array has its bracket where the others have a comma."""
        if self._is_started or not self._is_array:
            return piece
        self._is_started = True
        return b"[" + piece[len(self._between) :]
