"""
An answer's events as the stream that a chat client reads.

    role · reasoning_content · content · tool calls, numbered from 0 · one finish · usage, if asked for · [DONE]

Clients glue together every text that comes twice, so nothing is said twice: the role, a call's id and its name come
once. Nearly every chunk is a piece of text: all around it is written beforehand.
"""

import msgspec

from copilot_api.errors import GatewayError
from copilot_api.protocols.base import AnswerHead
from copilot_api.protocols.chat.rendering import Json, answer_id, as_arguments, finish_reason, opaque, usage_fields
from copilot_api.protocols.chat.request import ChatRequest
from copilot_api.protocols.conversation import (
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Started,
    StreamEvent,
    TextDelta,
    ToolCall,
    ToolDelta,
    ToolEnd,
    ToolStart,
)
from copilot_api.protocols.openai_errors import error_body
from copilot_api.protocols.sse import KEEP_ALIVE, render_comment, render_event

_encode = msgspec.json.Encoder().encode


class ChatWriter:
    """See the module, and `Writer` for the contract."""

    __slots__ = (
        "_calls",
        "_close",
        "_content",
        "_has_arguments",
        "_has_custom",
        "_has_opaque",
        "_head",
        "_is_function",
        "_open",
        "_pieces",
        "_reasoning",
        "_start",
        "_wants_usage",
    )

    def __init__(self, request: ChatRequest, head: AnswerHead) -> None:
        self._head = b'{"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":[' % (
            _encode(answer_id(head)),
            head.now,
            _encode(head.model),
        )
        self._wants_usage = request.wants_usage
        self._open = b'data: %b{"index":0,"delta":' % self._head
        self._close = b',"finish_reason":null}]%b}\n\n' % self._usage_mark
        self._content = self._open + b'{"content":'
        self._reasoning = self._open + b'{"reasoning_content":'
        self._is_function = request.speaks_functions
        self._has_custom = request.has_custom_tools
        self._calls = 0
        self._start: ToolStart | None = None
        self._pieces: list[str] | None = None
        """The input of a custom tool for a client that knows only functions: it must be whole to be put into JSON."""
        self._has_arguments = False
        self._has_opaque = False

    @property
    def _usage_mark(self) -> bytes:
        return b',"usage":null' if self._wants_usage else b""

    def write(self, event: StreamEvent) -> bytes:
        """See `Writer`."""
        match event:
            case TextDelta(text):
                return b"%b%b}%b" % (self._content, _encode(text), self._close)
            case ReasoningDelta(text):
                return b"%b%b}%b" % (self._reasoning, _encode(text), self._close)
            case ToolDelta(arguments):
                return self._arguments(arguments)
            case Started():
                return self._delta({"role": "assistant", "content": ""})
            case RefusalDelta(text):
                return self._delta({"refusal": text})
            case ReasoningEnd(carrier):
                if carrier is None:
                    return b""
                is_first, self._has_opaque = not self._has_opaque, True
                return self._delta({"reasoning_opaque": opaque(carrier, is_first=is_first)})
            case ToolStart():
                return self._begin(event)
            case ToolEnd():
                return self._end()
            case Finished():
                return self._finish(event)

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """See `Writer`. No finish and no `[DONE]` follow: either would look like success."""
        return render_event(error_body(error, request_id))

    def keep_alive(self, note: str = KEEP_ALIVE) -> bytes:
        """See `Writer`."""
        return render_comment(note)

    def _delta(self, delta: Json) -> bytes:
        return b"%b%b%b" % (self._open, _encode(delta), self._close)

    # Calls ------------------------------------------------------------------------------------------------------

    def _begin(self, start: ToolStart) -> bytes:
        self._start, self._has_arguments = start, False
        is_custom = start.is_custom and self._has_custom and not self._is_function
        self._pieces = [] if start.is_custom and not is_custom else None
        self._calls += 1
        if self._is_function:
            # There is room for one: a second would be glued to the first.
            return self._delta({"function_call": {"name": start.name, "arguments": ""}}) if self._calls == 1 else b""
        call: Json = {"index": self._calls - 1, "id": start.id}
        if is_custom:
            call |= {"type": "custom", "custom": {"name": start.name, "input": ""}}
        else:
            call |= {"type": "function", "function": {"name": start.name, "arguments": ""}}
        return self._delta({"tool_calls": [call]})

    def _arguments(self, text: str) -> bytes:
        if self._pieces is not None:
            self._pieces.append(text)
            return b""
        self._has_arguments = self._has_arguments or bool(text.strip())
        return self._piece(text)

    def _piece(self, text: str) -> bytes:
        if self._is_function:
            return self._delta({"function_call": {"arguments": text}}) if self._calls == 1 else b""
        fields = b'"custom":{"input":' if self._is_custom else b'"function":{"arguments":'
        return b'%b{"tool_calls":[{"index":%d,%b%b}}]}%b' % (
            self._open,
            self._calls - 1,
            fields,
            _encode(text),
            self._close,
        )

    @property
    def _is_custom(self) -> bool:
        return self._start is not None and self._start.is_custom and self._has_custom

    def _end(self) -> bytes:
        start, pieces, self._pieces = self._start, self._pieces, None
        if start is not None and pieces is not None:
            call = ToolCall(id=start.id, name=start.name, arguments="".join(pieces), is_custom=True)
            return self._piece(as_arguments(call))
        if self._has_arguments or self._is_custom:
            return b""
        return self._piece("{}")

    # The end ----------------------------------------------------------------------------------------------------

    def _finish(self, event: Finished) -> bytes:
        reason = finish_reason(event.stop, has_calls=self._calls > 0, speaks_functions=self._is_function)
        out = b'%b{},"finish_reason":"%b"}]%b}\n\n' % (self._open, reason.encode(), self._usage_mark)
        if self._wants_usage:
            out += b'data: %b],"usage":%b}\n\n' % (self._head, _encode(usage_fields(event.usage)))
        return out + render_event(b"[DONE]")
