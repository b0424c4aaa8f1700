"""
A stream of `/v1/messages`, read into neutral events.

What a delta is decides where it goes, not what was opened before it: a stretch of text or reasoning whose start never
came is one all the same, and one whose stop never came ends where the next thing begins.
"""

from typing import Any

import msgspec

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed
from copilot_api.protocols.base import Usage
from copilot_api.protocols.conversation import (
    Carrier,
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Started,
    StreamEvent,
    TextDelta,
    ToolDelta,
    ToolEnd,
    ToolStart,
)
from copilot_api.protocols.copilot_errors import parse_stream_error
from copilot_api.protocols.messages.frames import DONE, Frame, FrameDecoder
from copilot_api.protocols.messages.upstream_wire import UsageMeter, explanation_of, read_charge, stop_of
from copilot_api.protocols.sse import EventTooLarge
from copilot_api.protocols.untyped import object_of, text_of


class Delta(msgspec.Struct, gc=False):
    """Some more of a content block."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""


class BlockDelta(msgspec.Struct, gc=False):
    """The event that nearly every event is."""

    type: str
    delta: Delta
    index: int = 0


decode_block_delta = msgspec.json.Decoder(BlockDelta).decode


def decode_event(frame: Frame) -> dict[str, Any]:
    """The event in `frame`, with its `type` from the frame's name when it has none. Raises `UpstreamFailed`."""
    try:
        event = msgspec.json.decode(frame.data)
    except (ValueError, RecursionError) as error:
        raise UpstreamFailed("GitHub Copilot sent an event that is not JSON") from error
    if not isinstance(event, dict):
        raise UpstreamFailed("GitHub Copilot sent an event that is not an object")
    fields = object_of(event)  # pyright: ignore[reportUnknownArgumentType]
    if not isinstance(fields.get("type"), str):
        fields["type"] = frame.name.decode(errors="replace") if frame.name else ""
    if fields["type"] == "error" or fields.get("error"):
        raise parse_stream_error(fields.get("error") or fields)
    return fields


class MessagesReader:
    """See the module, and `Reader` for the contract."""

    __slots__ = (
        "_block", "_calls", "_explanation", "_frames", "_has_arguments", "_has_text", "_id", "_index", "_input",
        "_is_finished", "_is_started", "_meter", "_out", "_reason", "_signature", "_stop_sequence", "_thoughts",
        "failure", "nano_aiu", "usage",
    )  # fmt: skip

    def __init__(self) -> None:
        self.usage: Usage | None = None
        """Until the answer has ended, what it began with."""
        self.nano_aiu: int | None = None
        self.failure: GatewayError | None = None
        self._frames = FrameDecoder()
        self._meter = UsageMeter()
        self._out: list[StreamEvent] = []
        self._is_started = False
        self._is_finished = False
        self._id = ""
        self._block = ""
        """What is open: `text`, `thinking`, `tool_use`, another block's type, or nothing."""
        self._index: int | None = None
        self._thoughts: list[str] = []
        self._signature = ""
        self._input: dict[str, Any] = {}
        self._has_arguments = False
        self._has_text = False
        self._calls = 0
        self._reason = ""
        self._stop_sequence: str | None = None
        self._explanation = ""

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """See `Reader`."""
        try:
            frames = self._frames.feed(chunk)
        except EventTooLarge:
            self.failure = UpstreamFailed("GitHub Copilot sent an event that does not end")
            return []
        return self._read_all(frames)

    def finish(self) -> list[StreamEvent]:
        """See `Reader`. An answer that has told why it ends is complete, also when its last word is missing."""
        if self.failure is None and not self._is_finished:
            rest = self._frames.finish()
            is_cut = bool(rest) and not is_whole(rest[0])
            if is_cut and not self._reason:
                raise UpstreamCut("GitHub Copilot's answer broke off in the middle of an event")
            events = [] if is_cut else self._read_all(rest)
        else:
            events = []
        if self.failure is not None:
            raise self.failure
        if self._is_finished:
            return events
        if not self._reason:
            raise UpstreamCut("GitHub Copilot's answer broke off before its end")
        self._finish()
        return [*events, *self._taken()]

    def _taken(self) -> list[StreamEvent]:
        out, self._out = self._out, []
        return out

    def _read_all(self, frames: list[Frame]) -> list[StreamEvent]:
        for frame in frames:
            if self._is_finished or self.failure is not None:
                break
            try:
                self._read(frame)
            except GatewayError as error:  # what came before it still counts
                self.failure = error
        return self._taken()

    # One event --------------------------------------------------------------------------------------------------

    def _read(self, frame: Frame) -> None:
        if frame.name == b"content_block_delta":
            try:
                event = decode_block_delta(frame.data)
            except (ValueError, RecursionError):
                pass  # looked at below
            else:
                if event.type == "content_block_delta":
                    self._add(event)
                    return
        if frame.data == DONE or not frame.data:
            return
        event_fields = decode_event(frame)
        match event_fields["type"]:
            case "message_start":
                self._start(object_of(event_fields.get("message")))
            case "content_block_start":
                self._open(event_fields)
            case "content_block_delta":
                self._add(_delta_of(event_fields))
            case "content_block_stop":
                self._close()
            case "message_delta":
                self._note_end(event_fields)
            case "message_stop":
                self._note_charge(event_fields)
                self._finish()
            case _:
                pass

    def _start(self, message: dict[str, Any]) -> None:
        self._note_usage(message)
        self._id = self._id or text_of(message.get("id"))
        self._begin()

    def _begin(self) -> None:
        if not self._is_started:
            self._is_started = True
            self._out.append(Started(self.usage))

    def _add(self, event: BlockDelta) -> None:
        delta = event.delta
        kind = delta.type
        if kind == "text_delta":
            if self._is_ignored(event.index):
                return
            if delta.text:
                if self._block != "text":
                    self._switch("text", event.index)
                self._has_text = True
                self._out.append(TextDelta(delta.text))
        elif kind == "thinking_delta":
            if delta.thinking:
                self._switch("thinking", event.index)
                self._thoughts.append(delta.thinking)
                self._out.append(ReasoningDelta(delta.thinking))
        elif kind == "signature_delta":
            if delta.signature:
                self._switch("thinking", event.index)
                self._signature = delta.signature
        elif kind == "input_json_delta" and delta.partial_json and not self._is_ignored(event.index):
            if self._block != "tool_use" or event.index != self._index:
                raise UpstreamFailed("GitHub Copilot sent a tool's arguments outside its call")
            self._has_arguments = True
            self._out.append(ToolDelta(delta.partial_json))

    def _is_ignored(self, index: int) -> bool:
        """Whether the open block is one that means nothing to clients of other protocols (a server-side tool's)."""
        return index == self._index and self._block not in {"", "text", "thinking", "tool_use"}

    def _switch(self, block: str, index: int) -> None:
        """Have `block` open; what else is open ends."""
        if self._block != block:
            self._close()
            self._begin()
            self._block, self._index = block, index

    def _open(self, event: dict[str, Any]) -> None:
        self._close()
        self._begin()
        block, index = object_of(event.get("content_block")), event.get("index")
        self._block = text_of(block.get("type")) or "unknown"
        self._index = index if isinstance(index, int) else 0
        match self._block:
            case "text":
                self._add(BlockDelta("", Delta("text_delta", text=text_of(block.get("text"))), self._index))
            case "thinking":
                thoughts, signature = text_of(block.get("thinking")), text_of(block.get("signature"))
                self._add(BlockDelta("", Delta("thinking_delta", thinking=thoughts), self._index))
                self._signature = signature
            case "redacted_thinking":
                data = text_of(block.get("data"))
                if data:
                    self._out.append(ReasoningEnd(Carrier(kind="rd", data=data)))
            case "tool_use":
                self._call(block)
            case _:
                pass

    def _call(self, block: dict[str, Any]) -> None:
        name = text_of(block.get("name"))
        if not name:
            raise UpstreamFailed("GitHub Copilot called a tool without a name")
        self._calls += 1
        self._input = object_of(block.get("input"))
        self._has_arguments = False
        call_id = text_of(block.get("id")) or f"toolu_{self._id.rpartition('_')[2]}_{self._calls}"
        self._out.append(ToolStart(call_id, name))

    def _close(self) -> None:
        """End what is open. Arguments that never came are those of the start, or none at all: `{}`."""
        block, self._block, self._index = self._block, "", None
        if block == "tool_use":
            if not self._has_arguments:
                self._out.append(ToolDelta(msgspec.json.encode(self._input).decode()))
            self._out.append(ToolEnd())
        elif block == "thinking":
            text, signature = "".join(self._thoughts), self._signature
            self._thoughts, self._signature = [], ""
            if text or signature:
                carrier = Carrier(kind="an", data=signature, text=text) if signature else None
                self._out.append(ReasoningEnd(carrier))

    # The end ----------------------------------------------------------------------------------------------------

    def _note_end(self, event: dict[str, Any]) -> None:
        self._begin()
        self._note_usage(event)
        self._note_charge(event)
        delta = object_of(event.get("delta"))
        self._reason = text_of(delta.get("stop_reason")) or self._reason
        self._stop_sequence = text_of(delta.get("stop_sequence")) or self._stop_sequence
        self._explanation = explanation_of(delta.get("stop_details")) or self._explanation

    def _note_usage(self, fields: dict[str, Any]) -> None:
        self._meter.note(fields.get("usage"))
        self.usage = self._meter.usage

    def _note_charge(self, event: dict[str, Any]) -> None:
        charge = read_charge(event.get("copilot_usage"))
        if charge is not None:
            self.nano_aiu = charge

    def _finish(self) -> None:
        self._close()
        self._begin()
        if self._reason == "refusal" and self._explanation and not self._has_text:
            self._out.append(RefusalDelta(self._explanation))
        stop = stop_of(self._reason, has_calls=self._calls > 0)
        self._out.append(Finished(stop, self.usage, self._stop_sequence))
        self._is_finished = True


def _delta_of(event: dict[str, Any]) -> BlockDelta:
    """A delta that is not of the form that deltas have, as far as it can be read."""
    fields, index = object_of(event.get("delta")), event.get("index")
    texts = {name: text_of(fields.get(name)) for name in ("type", "text", "thinking", "partial_json", "signature")}
    return BlockDelta("content_block_delta", Delta(**texts), index if isinstance(index, int) else 0)


def is_whole(frame: Frame) -> bool:
    """Whether the frame is not just what a cut has left of one."""
    try:
        msgspec.json.decode(frame.data)
    except (ValueError, RecursionError):
        return frame.data == DONE
    return True
