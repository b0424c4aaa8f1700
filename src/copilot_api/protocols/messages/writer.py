"""
A streamed answer as Anthropic's clients accept it.

They are strict: `message_start` comes first and once, every frame has its name, blocks are numbered without gaps and
never overlap, a signature comes last in its block, and one `message_delta` says how it ended. So a block is opened when
there is something to put into it, never before.
"""

import msgspec

from copilot_api.errors import GatewayError
from copilot_api.protocols.base import AnswerHead, Usage
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
from copilot_api.protocols.messages.errors import error_body
from copilot_api.protocols.messages.request import MessagesRequest
from copilot_api.protocols.messages.response import (
    Fields,
    call_id,
    encoded,
    ending,
    message_head,
    signature_of,
    tool_input,
    usage_counts,
    usage_details,
)
from copilot_api.protocols.sse import KEEP_ALIVE, render_comment, render_event

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
_DELTA_END = b"}}\n\n"
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_SPACE = " \t\r\n"

_encode_text = msgspec.json.encode


class MessagesWriter:
    """See the module, and `Writer` for the contract."""

    __slots__ = (
        "_call", "_has_calls", "_has_started", "_head", "_held", "_hides_thinking", "_index", "_is_over", "_kind",
        "_prefix", "_streams_call", "_thought",
    )  # fmt: skip

    def __init__(self, request: MessagesRequest, head: AnswerHead) -> None:
        self._head = head
        self._hides_thinking = request.hides_thinking
        self._has_started = False
        self._is_over = False
        self._has_calls = False
        self._index = -1
        """The block that was opened last."""
        self._kind: type[TextDelta | RefusalDelta | ReasoningDelta | ToolDelta] | None = None
        """What the open block takes; None when none is open."""
        self._prefix = b""
        """How each delta of the open block begins."""
        self._thought: list[str] = []
        """What is thought and not shown."""
        self._call: ToolStart | None = None
        self._streams_call = False
        """Whether the arguments of the call are an object, and pass as they come."""
        self._held: list[str] = []
        """Arguments that have not begun to look like an object."""

    def write(self, event: StreamEvent) -> bytes:
        """See `Writer`."""
        if type(event) is self._kind and (self._kind is not ToolDelta or self._streams_call):
            # Nearly every event: more of what the open block takes.
            text: str = event.arguments if type(event) is ToolDelta else event.text  # type: ignore[union-attr]
            try:
                return b"".join((self._prefix, _encode_text(text), _DELTA_END))
            except UnicodeEncodeError:
                return b"".join((self._prefix, encoded(text), _DELTA_END))  # pyright: ignore[reportUnknownArgumentType]
        if self._is_over:
            return b""
        if not self._has_started:
            start = self._start(event.usage if isinstance(event, Started) else None)
            return start + self._write(event)
        return self._write(event)

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """See `Writer`. The block that is open stays so: an end would look like a success."""
        if self._is_over:
            return b""
        self._is_over, self._kind = True, None
        return render_event(error_body(error, request_id), "error")

    def keep_alive(self, note: str = KEEP_ALIVE) -> bytes:
        """See `Writer`. SDKs take a ping before the message for a broken stream; a comment means nothing anywhere."""
        if self._is_over:
            return b""
        return PING if self._has_started else render_comment(note)

    def _write(self, event: StreamEvent) -> bytes:
        match event:
            case TextDelta(text) | RefusalDelta(text):
                return self._piece(type(event), b"text_delta", b"text", {"type": "text", "text": ""}, text)
            case ReasoningDelta(text):
                return self._think(text)
            case ReasoningEnd(carrier):
                return self._end_thought(carrier)
            case ToolStart():
                return self._open_call(event)
            case ToolDelta(arguments):
                return self._argue(arguments)
            case ToolEnd():
                return self._end_call()
            case Finished():
                return self._finish(event)
            case Started():
                return b""

    # The message ------------------------------------------------------------------------------------------------

    def _start(self, usage: Usage | None) -> bytes:
        self._has_started = True
        told = usage or Usage()
        if told.input_tokens <= 0:
            told = Usage(input_tokens=self._head.input_estimate, output_tokens=told.output_tokens)
        counts = {**usage_counts(told), "output_tokens": max(1, told.output_tokens)}
        message: Fields = {
            **message_head(self._head),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": {**usage_details(told), **counts},
        }
        return _event({"type": "message_start", "message": message}) + PING

    def _finish(self, event: Finished) -> bytes:
        closing = self._close()
        self._is_over = True
        usage = event.usage or Usage(input_tokens=self._head.input_estimate)
        delta = ending(event.stop, event.stop_sequence, has_calls=self._has_calls)
        end: Fields = {"type": "message_delta", "delta": delta, "usage": usage_counts(usage)}
        return closing + _event(end) + _MESSAGE_STOP

    # Blocks -----------------------------------------------------------------------------------------------------

    def _open(self, block: Fields) -> bytes:
        closing = self._close()
        self._index += 1
        return closing + _event({"type": "content_block_start", "index": self._index, "content_block": block})

    def _close(self) -> bytes:
        if self._kind is None:
            return b""
        self._kind = None
        return _STOP % self._index

    def _piece(
        self,
        kind: type[TextDelta | RefusalDelta | ReasoningDelta],
        delta: bytes,
        field: bytes,
        block: Fields,
        text: str,
    ) -> bytes:
        """The first piece of a block that is opened for it."""
        opening = self._open(block)
        self._kind = kind
        self._prefix = _DELTA % (self._index, delta, field)
        return b"".join((opening, self._prefix, encoded(text), _DELTA_END))

    # Thinking ---------------------------------------------------------------------------------------------------

    def _think(self, text: str) -> bytes:
        if self._hides_thinking:
            self._thought.append(text)
            return self._close() or PING  # the client sees that something goes on, which is all that it wants to see
        block: Fields = {"type": "thinking", "thinking": "", "signature": ""}
        return self._piece(ReasoningDelta, b"thinking_delta", b"thinking", block, text)

    def _end_thought(self, carrier: Carrier | None) -> bytes:
        hidden, self._thought = "".join(self._thought), []
        if carrier is None or not carrier.data:
            return self._close()
        if carrier.kind == "rd":
            opening = self._open({"type": "redacted_thinking", "data": carrier.data})
            return opening + _STOP % self._index
        out = b""
        if self._kind is not ReasoningDelta:
            out = self._open({"type": "thinking", "thinking": "", "signature": ""})
            self._kind = ReasoningDelta
            if carrier.kind == "an" and carrier.text and not self._hides_thinking:
                out += self._delta(b"thinking_delta", b"thinking", carrier.text)
        return out + self._delta(b"signature_delta", b"signature", signature_of(carrier, hidden)) + self._close()

    def _delta(self, kind: bytes, field: bytes, text: str) -> bytes:
        return _DELTA % (self._index, kind, field) + encoded(text) + _DELTA_END

    # Tool calls -------------------------------------------------------------------------------------------------

    def _open_call(self, start: ToolStart) -> bytes:
        self._has_calls = True
        name = call_id(start.id, self._head, self._index + 1)
        opening = self._open({"type": "tool_use", "id": name, "name": start.name, "input": {}})
        self._kind, self._call, self._streams_call, self._held = ToolDelta, start, False, []
        self._prefix = _DELTA % (self._index, b"input_json_delta", b"partial_json")
        return opening

    def _argue(self, arguments: str) -> bytes:
        """Arguments pass once they turn out to be an object; others wait for their end, to be wrapped."""
        self._held.append(arguments)
        is_object = arguments.lstrip(_SPACE).startswith("{") and not any(map(str.strip, self._held[:-1]))
        if not is_object or self._call is None or self._call.is_custom:
            return b""
        self._streams_call = True
        text, self._held = "".join(self._held), []
        return b"".join((self._prefix, encoded(text), _DELTA_END))

    def _end_call(self) -> bytes:
        call, self._call = self._call, None
        if call is None:
            return b""
        if self._streams_call:
            return self._close()
        arguments = tool_input("".join(self._held), is_custom=call.is_custom)
        self._held = []
        return b"".join((self._prefix, encoded(encoded(arguments).decode()), _DELTA_END, self._close()))


def _event(fields: Fields) -> bytes:
    return render_event(encoded(fields), fields["type"])
