"""
A streamed answer of `/v1/messages` on its way to a client of the same protocol.

Events pass byte for byte, but for what strict clients need and Copilot does not always send (protocol reference, 9.5):
an `event:` line on each; one `message_start`, first, with the caller's name of the model; each block opened before its
deltas and closed before the next; a reason and the output's count in one `message_delta`; `message_stop` last, and
nothing after it (Copilot adds a `[DONE]`).
"""

import re
from typing import Any

import msgspec

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed
from copilot_api.protocols.base import Usage
from copilot_api.protocols.messages.errors import error_body
from copilot_api.protocols.messages.frames import DONE, Frame, FrameDecoder
from copilot_api.protocols.messages.reader import decode_block_delta, decode_event, is_whole
from copilot_api.protocols.messages.upstream_wire import UsageMeter, read_charge
from copilot_api.protocols.sse import KEEP_ALIVE, EventTooLarge, render_comment, render_event
from copilot_api.protocols.untyped import list_of, object_of, text_of

_encode = msgspec.json.encode
_PING = render_event(b'{"type":"ping"}', "ping")
_NAME = re.compile(r"[\w.-]+")
_DELTA = b"event: content_block_delta\ndata: "
_EMPTY_BLOCKS: dict[str, dict[str, Any]] = {
    "text_delta": {"type": "text", "text": ""},
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
}
"""How the block begins that a delta belongs to."""


class MessagesRelay:
    """See the module, and `StreamRelay` for the contract."""

    __slots__ = (
        "_frames", "_has_calls", "_has_ping", "_is_ended", "_is_started", "_is_stopped", "_meter", "_model", "_next",
        "_open", "failure", "has_content", "nano_aiu", "usage",
    )  # fmt: skip

    def __init__(self, *, model: str) -> None:
        self.usage: Usage | None = None
        self.nano_aiu: int | None = None
        self.failure: GatewayError | None = None
        self.has_content = False
        self._model = model
        self._frames = FrameDecoder()
        self._meter = UsageMeter()
        self._is_started = False
        self._is_ended = False
        """Whether the reason for the end is told."""
        self._is_stopped = False
        self._has_ping = False
        """Whether a ping waits: before the message begins clients do not know what to do with one."""
        self._has_calls = False
        self._open: int | None = None
        """The index of the block that is open."""
        self._next = 0

    # The contract -----------------------------------------------------------------------------------------------

    def feed(self, chunk: bytes) -> bytes:
        """See `StreamRelay`."""
        if self._is_plain_delta(chunk):
            self.has_content = True
            return chunk
        try:
            frames = self._frames.feed(chunk)
        except EventTooLarge:
            self.failure = UpstreamFailed("GitHub Copilot sent an event that does not end")
            return b""
        return self._relay_all(frames)

    def finish(self) -> bytes:
        """See `StreamRelay`. An answer that has told why it ends is complete, also when its last word is missing."""
        out = b""
        if self.failure is None and not self._is_stopped:
            rest = self._frames.finish()
            is_cut = bool(rest) and not is_whole(rest[0])
            if is_cut and not self._is_ended:
                raise UpstreamCut("GitHub Copilot's answer broke off in the middle of an event")
            out = b"" if is_cut else self._relay_all(rest)
        if self.failure is not None:
            raise self.failure
        if self._is_stopped:
            return out
        if not self._is_ended:
            raise UpstreamCut("GitHub Copilot's answer broke off before its end")
        return out + self._stop({"type": "message_stop"})

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """See `StreamRelay`."""
        return render_event(error_body(error, request_id), "error")

    def keep_alive(self, note: str = KEEP_ALIVE) -> bytes:
        """See `StreamRelay`. Clients' watchdogs count events; outside of a message a comment has to do."""
        return _PING if self._is_started and not self._is_stopped else render_comment(note)

    @property
    def is_over(self) -> bool:
        """See `StreamRelay`. The upstream ends by itself, and a connection that it ended can be used again."""
        return False

    def _relay_all(self, frames: list[Frame]) -> bytes:
        out: list[bytes] = []
        for frame in frames:
            if self._is_stopped or self.failure is not None:
                break
            try:
                out.append(self._relay(frame))
            except GatewayError as error:  # what came before it still reaches the client
                self.failure = error
        return out[0] if len(out) == 1 else b"".join(out)

    # One event --------------------------------------------------------------------------------------------------

    def _is_plain_delta(self, chunk: bytes) -> bool:
        """Whether the chunk is one whole delta of the open block, as nearly every chunk is: it passes as it is."""
        if not (
            chunk.startswith(_DELTA)
            and chunk.endswith(b"\n\n")
            and self._open is not None
            and self._frames.is_between
            and self.failure is None
            and b"\r" not in chunk
            and chunk.count(b"\n") == 3
        ):
            return False
        return self._is_expected(memoryview(chunk)[len(_DELTA) :])

    def _is_expected(self, data: bytes | memoryview) -> bool:
        """Whether this is a delta of the block that is open."""
        try:
            event = decode_block_delta(data)
        except (ValueError, RecursionError):
            return False
        return event.type == "content_block_delta" and event.index == self._open

    def _relay(self, frame: Frame) -> bytes:
        data = frame.data
        if frame.name == b"content_block_delta" and b"\n" not in data and self._is_expected(data):
            self.has_content = True
            return b"%b%b\n\n" % (_DELTA, data)
        if data == DONE or not data:
            return b""
        return self._relay_decoded(frame, decode_event(frame))

    def _relay_decoded(self, frame: Frame, event: dict[str, Any]) -> bytes:
        kind = event["type"]
        if kind == "ping":
            self._has_ping = not self._is_started
            return _PING if self._is_started else b""
        if kind == "message_start":
            return self._begin(event)
        match kind:
            case "content_block_start":
                out = self._begin_block(event)
            case "content_block_delta":
                out = self._begin_missing_block(event)
            case "content_block_stop":
                if self._open is None:
                    return b""
                self._open, out = None, b""
            case "message_delta":
                return self._begin(None) + self._close_block() + self._end(frame, event)
            case "message_stop":
                self._note_charge(event)
                return self._begin(None) + self._stop(event)
            case _:
                out = b""
        return self._begin(None) + out + _passed(frame, event)

    def _begin(self, event: dict[str, Any] | None) -> bytes:
        """The first event, once: the upstream's, or one in its place when something else comes first."""
        if self._is_started:
            return b""
        self._is_started = True
        event = {"type": "message_start"} if event is None else event
        message = object_of(event.get("message"))
        self._note_usage(message)
        usage = object_of(message.get("usage"))
        counts = {"input_tokens": 0, "output_tokens": 0}
        event["message"] = {
            "id": "msg_0",
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            **message,
            "model": self._model,
            "usage": {**usage, **{name: _count(usage.get(name), other) for name, other in counts.items()}},
        }
        ping = _PING if self._has_ping else b""
        return render_event(_encode(event), "message_start") + ping

    def _begin_block(self, event: dict[str, Any]) -> bytes:
        out = self._close_block()
        block, index = object_of(event.get("content_block")), event.get("index")
        self._open = index if isinstance(index, int) else self._next
        self._next = self._open + 1
        kind = block.get("type")
        self._has_calls = self._has_calls or kind == "tool_use"
        if kind not in {"text", "thinking"} or block.get("text") or block.get("thinking"):
            self.has_content = True
        return out

    def _begin_missing_block(self, event: dict[str, Any]) -> bytes:
        """The start that a delta lacks. A tool's can not be made up."""
        self.has_content = True
        index = event.get("index")
        if self._open is not None and (index == self._open or not isinstance(index, int)):
            return b""
        block = _EMPTY_BLOCKS.get(text_of(object_of(event.get("delta")).get("type")))
        if block is None:
            raise UpstreamFailed("GitHub Copilot sent a piece of something that it had not begun")
        start = {"type": "content_block_start", "index": index, "content_block": block}
        return self._begin_block(start) + render_event(_encode(start), "content_block_start")

    def _close_block(self) -> bytes:
        """The stop that a block lacks."""
        index, self._open = self._open, None
        return b"" if index is None else _block_stop(index)

    # The end ----------------------------------------------------------------------------------------------------

    def _end(self, frame: Frame, event: dict[str, Any]) -> bytes:
        self.has_content = True
        self._note_usage(event)
        self._note_charge(event)
        delta, usage = object_of(event.get("delta")), object_of(event.get("usage"))
        reason = text_of(delta.get("stop_reason"))
        self._is_ended = self._is_ended or bool(reason)
        is_whole_usage = isinstance(usage.get("output_tokens"), int)
        is_for_tools = reason == "end_turn" and self._has_calls
        if is_whole_usage and not is_for_tools:
            return _passed(frame, event)
        if is_for_tools:
            event["delta"] = {**delta, "stop_reason": "tool_use"}
        event["usage"] = {**usage, "output_tokens": _count(usage.get("output_tokens"), self._meter.output_tokens)}
        return render_event(_encode(event), "message_delta")

    def _stop(self, event: dict[str, Any]) -> bytes:
        """`message_stop`, and before it what it must not come without."""
        out = self._close_block()
        if not self._is_ended:
            delta = {"stop_reason": "tool_use" if self._has_calls else "end_turn", "stop_sequence": None}
            usage = {"output_tokens": self._meter.output_tokens}
            out += render_event(_encode({"type": "message_delta", "delta": delta, "usage": usage}), "message_delta")
        self._is_ended = self._is_stopped = True
        return out + render_event(_encode(event), "message_stop")

    def _note_usage(self, fields: dict[str, Any]) -> None:
        self._meter.note(fields.get("usage"))
        self.usage = self._meter.usage

    def _note_charge(self, event: dict[str, Any]) -> None:
        charge = read_charge(event.get("copilot_usage"))
        if charge is not None:
            self.nano_aiu = charge


def _count(value: object, other: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else other


def _passed(frame: Frame, event: dict[str, Any]) -> bytes:
    """The event as it came, with its name; written anew when its data has several lines, or no type of its own."""
    kind, data = event["type"], frame.data
    if _NAME.fullmatch(kind) is None:
        return b""  # no client could tell what it is
    if b"\n" in data or b'"type":"%b"' % kind.encode() not in data:
        data = _encode(event)
    return render_event(data, kind)


def _block_stop(index: int) -> bytes:
    return render_event(b'{"type":"content_block_stop","index":%d}' % index, "content_block_stop")


# A whole answer as a stream -----------------------------------------------------------------------------------------


def whole_as_events(request: object, body: bytes, now: int) -> bytes:  # noqa: ARG001 -- a surface's form
    """A whole answer, already mended, as the events of a stream: each block's content in one delta."""
    message = object_of(msgspec.json.decode(body))
    blocks = [object_of(block) for block in list_of(message.pop("content", None))]
    ending = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    if "stop_details" in message:
        ending["stop_details"] = message["stop_details"]
    usage = object_of(message.get("usage"))
    start: dict[str, Any] = {**message, "content": [], **dict.fromkeys(ending), "usage": {**usage, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(blocks):
        opened, deltas = _opened(block)
        events.append({"type": "content_block_start", "index": index, "content_block": opened})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": ending, "usage": usage})
    events.append({"type": "message_stop"})
    return b"".join([render_event(_encode(event), event["type"]) for event in events])


def _opened(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The block as it begins, and the deltas that fill it; one that nobody fills begins complete."""
    match block.get("type"):
        case "text":
            text = {"type": "text_delta", "text": text_of(block.get("text"))}
            citations = [{"type": "citations_delta", "citation": one} for one in list_of(block.get("citations"))]
            return {**_EMPTY_BLOCKS["text_delta"]}, [*([text] if text["text"] else []), *citations]
        case "thinking":
            thinking = {"type": "thinking_delta", "thinking": text_of(block.get("thinking"))}
            signature = {"type": "signature_delta", "signature": text_of(block.get("signature"))}
            deltas = [delta for delta in (thinking, signature) if any(list(delta.values())[1:])]
            return {**_EMPTY_BLOCKS["thinking_delta"]}, deltas
        case "tool_use" | "server_tool_use":
            arguments = _encode(object_of(block.get("input"))).decode()
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": arguments}]
        case _:
            return block, []
