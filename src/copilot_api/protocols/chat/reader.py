"""
Copilot's streamed chat answer as events.

Nearly every chunk is a piece of text, of reasoning or of a call, and is decoded as just that; any other chunk, and any
that turns out to hold more, is decoded whole and read with all its quirks (`chunks.py`, `answer_events.py`).
"""

from typing import Any

import msgspec

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed
from copilot_api.protocols.base import Usage
from copilot_api.protocols.chat.chunks import ChunkReader
from copilot_api.protocols.chat.wire import decode_any
from copilot_api.protocols.conversation import Finished, StreamEvent
from copilot_api.protocols.sse import Event, EventTooLarge, SseDecoder
from copilot_api.protocols.untyped import object_of

_DONE = b"[DONE]"


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: msgspec.Raw | None = None
    refusal: str | None = None
    reasoning_text: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_opaque: str | None = None
    cot_summary: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    index: int
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice]
    usage: msgspec.Raw | None = None
    copilot_usage: msgspec.Raw | None = None
    error: msgspec.Raw | None = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class ChatReader:
    """See the module, and `Reader` for the contract."""

    __slots__ = ("_chunks", "_decoder", "_has_finished", "_is_done", "failure")

    def __init__(self) -> None:
        self.failure: GatewayError | None = None
        self._chunks = ChunkReader()
        self._decoder = SseDecoder()
        self._is_done = False
        """Whether the upstream has said so."""
        self._has_finished = False

    @property
    def usage(self) -> Usage | None:
        """See `Reader`."""
        return self._chunks.usage

    @property
    def nano_aiu(self) -> int | None:
        """See `Reader`."""
        return self._chunks.nano_aiu

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """See `Reader`."""
        try:
            found = self._decoder.feed(chunk)
        except EventTooLarge:
            self.failure = UpstreamFailed("GitHub Copilot sent an event that does not end")
            return []
        if len(found) == 1 and self.failure is None and not self._is_done:
            return self._read_safely(found[0].data)
        return self._read_all(found)

    def finish(self) -> list[StreamEvent]:
        """See `Reader`."""
        events: list[StreamEvent] = []
        if self.failure is None and not self._is_done:
            rest = self._decoder.finish()
            if rest and not _is_whole(rest[0].data):
                if self._chunks.finish_reason is None:
                    raise UpstreamCut("GitHub Copilot's answer broke off in the middle of an event")
            else:
                events = self._read_all(rest)
        if self.failure is not None:
            raise self.failure
        if self._has_finished:
            return events
        if self._chunks.finish_reason is None or not (self._chunks.is_complete or self._is_done):
            raise UpstreamCut("GitHub Copilot's answer broke off before its end")
        return [*events, *self._end()]

    def _read_all(self, found: list[Event]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for event in found:
            if self._is_done or self.failure is not None:
                break
            events += self._read_safely(event.data)
        return events

    def _read_safely(self, data: bytes) -> list[StreamEvent]:
        try:
            return self._read(data)
        except GatewayError as error:  # what came before it has been handed out
            self.failure = error
            return []

    def _read(self, data: bytes) -> list[StreamEvent]:
        if data == _DONE:
            self._is_done = True
            return [] if self._chunks.finish_reason is None else self._end()
        if not data:
            return []
        common = _common_choice(data)
        if common is not None:
            delta = common.delta
            if delta.content and not delta.reasoning_text and delta.tool_calls is None:
                return self._chunks.text(delta.content)
            if self._chunks.events.stream_id:
                fields = {
                    "reasoning_text": delta.reasoning_text,
                    "content": delta.content,
                    "tool_calls": delta.tool_calls,
                }
                return self._chunks.delta(fields, 0)
        try:
            chunk = object_of(decode_any(data))
        except (ValueError, RecursionError) as error:
            raise UpstreamFailed("GitHub Copilot sent an event that is not JSON") from error
        if not chunk:
            raise UpstreamFailed("GitHub Copilot sent an event that is not an object")
        return self._chunks.read(chunk, data)

    def _end(self) -> list[StreamEvent]:
        self._has_finished = True
        events = self._chunks.events.end()
        stop = self._chunks.events.stop(self._chunks.finish_reason or "")
        return [*events, Finished(stop, self._chunks.usage)]


def _common_choice(data: bytes) -> _Choice | None:
    """The choice of a chunk that holds no more than some text, some reasoning or pieces of calls; else None."""
    try:
        chunk = _decode_chunk(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(chunk.choices) != 1 or chunk.usage is not None or chunk.copilot_usage is not None or chunk.error is not None:
        return None
    choice = chunk.choices[0]
    if choice.index != 0 or choice.finish_reason:
        return None
    delta = choice.delta
    if delta.reasoning_opaque or delta.reasoning_content or delta.reasoning or delta.refusal or delta.cot_summary:
        return None
    has_any = delta.content or delta.reasoning_text or delta.tool_calls
    return choice if has_any and delta.function_call is None else None


def _is_whole(data: bytes) -> bool:
    try:
        return data == _DONE or bool(decode_any(data))
    except (ValueError, RecursionError):
        return False
