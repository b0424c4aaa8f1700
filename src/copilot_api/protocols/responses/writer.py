"""
A streamed answer as the events of Responses.

    created in_progress ( output_item.added … output_item.done )* completed | incomplete [DONE]

Clients append items and parts as they are added and address them by their index, so everything is added before it is
filled and done after. Codex reads an item only from its `done`: it holds everything.
"""

import math
from typing import Any

import msgspec

from copilot_api.errors import GatewayError
from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.conversation import (
    Finished,
    Reasoning,
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
from copilot_api.protocols.openai_errors import error_message, limit_member, sendable
from copilot_api.protocols.responses.request import ResponsesRequest
from copilot_api.protocols.responses.response import (
    incomplete_reason,
    item_id,
    message_item,
    reasoning_item,
    refusal_part,
    render_usage,
    response_object,
    stem_of,
    text_part,
)
from copilot_api.protocols.sse import KEEP_ALIVE, render_comment, render_event

Json = dict[str, Any]
_encode = msgspec.json.encode
DONE = b"data: [DONE]\n\n"
_KINDS = {
    "text": (b"output_text", b'"content_index":0,"logprobs":[],'),
    "refusal": (b"refusal", b'"content_index":0,'),
    "reasoning": (b"reasoning_summary_text", b'"summary_index":0,'),
    "call": (b"function_call_arguments", b""),
    "custom": (b"custom_tool_call_input", b""),
}
"""Of what can be open: the name of its deltas, and what each holds beside its place and text."""


class ResponsesWriter:
    """See the module, and `Writer` for the contract."""

    __slots__ = (
        "_call",
        "_delta_head",
        "_delta_middle",
        "_has_text",
        "_head",
        "_is_started",
        "_item_id",
        "_items",
        "_open",
        "_pieces",
        "_request",
        "_sequence",
        "_stem",
        "_tools",
    )

    def __init__(self, request: ResponsesRequest, head: AnswerHead) -> None:
        self._request = request
        self._head = head
        self._stem = stem_of(head)
        self._tools = request.tool_set
        self._sequence = 0
        self._is_started = False
        self._items: list[Json] = []
        """Those that are done."""
        self._open = ""
        """The kind of what is open, or `ended` for a call that waits for its status; empty when nothing is."""
        self._item_id = ""
        self._pieces: list[str] = []
        self._delta_head = self._delta_middle = b""
        """A delta of what is open: before its sequence number, and between that and its text."""
        self._call = ToolStart("", "")
        self._has_text = False

    def write(self, event: StreamEvent) -> bytes:
        """See `Writer`."""
        match event:
            case TextDelta(text):
                return self._delta(text) if self._open == "text" else self._open_message("text") + self._delta(text)
            case ToolDelta(arguments):
                return self._write_arguments(arguments)
            case ReasoningDelta(text):
                return self._delta(text) if self._open == "reasoning" else self._open_reasoning() + self._delta(text)
            case ReasoningEnd():
                return self._end_reasoning(event)
            case RefusalDelta(text):
                begin = b"" if self._open == "refusal" else self._open_message("refusal")
                return begin + self._delta(text)
            case ToolStart():
                return self._start_call(event)
            case ToolEnd():
                return self._end_call()
            case Started():
                return self._start()
            case Finished():
                return self._finish(event)

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """See `Writer`. Codex acts on `response.failed` only, other clients on `error`: both are sent."""
        begin = self._start()
        if self._open == "ended":
            begin += self._close()
        response = response_object(self._request, self._head, "failed", self._items)
        return begin + fail_events(error, request_id, response, self._sequence)

    def keep_alive(self, note: str = KEEP_ALIVE) -> bytes:
        """See `Writer`."""
        return render_comment(note)

    # The response -----------------------------------------------------------------------------------------------

    def _event(self, name: str, fields: Json) -> bytes:
        kind = f"response.{name}"
        data = _encode({"type": kind, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        return render_event(data, kind)

    def _start(self) -> bytes:
        if self._is_started:
            return b""
        self._is_started = True
        response = response_object(self._request, self._head, "in_progress", [])
        return self._event("created", {"response": response}) + self._event("in_progress", {"response": response})

    def _finish(self, event: Finished) -> bytes:
        reason = incomplete_reason(event.stop, has_text=self._has_text)
        status = "incomplete" if reason else "completed"
        out = self._start() + self._close(status)
        response = response_object(self._request, self._head, status, self._items)
        response["incomplete_details"] = {"reason": reason} if reason else None
        response["usage"] = render_usage(event.usage or Usage())
        return out + self._event(status, {"response": response}) + DONE

    # Items ------------------------------------------------------------------------------------------------------

    def _place(self) -> Json:
        return {"item_id": self._item_id, "output_index": len(self._items)}

    def _begin(self, kind: str, prefix: str) -> bytes:
        """Close what is open, and take note of what opens."""
        out = self._start() + self._close()
        self._open = kind
        self._item_id = item_id(prefix, self._stem, len(self._items))
        name, more = _KINDS[kind]
        self._delta_head = b'event: response.%b.delta\ndata: {"type":"response.%b.delta","sequence_number":' % (
            name,
            name,
        )
        place = (self._item_id.encode(), len(self._items), more)
        self._delta_middle = b',"item_id":"%b","output_index":%d,%b"delta":' % place
        return out

    def _delta(self, text: str) -> bytes:
        self._pieces.append(text)
        number = self._sequence
        self._sequence = number + 1
        return b"%b%d%b%b}\n\n" % (self._delta_head, number, self._delta_middle, _encode(text))

    def _added(self, item: Json) -> bytes:
        return self._event("output_item.added", {"output_index": len(self._items), "item": item})

    def _done(self, item: Json) -> bytes:
        out = self._event("output_item.done", {"output_index": len(self._items), "item": item})
        self._items.append(item)
        self._open, self._pieces = "", []
        return out

    def _close(self, status: str = "completed") -> bytes:
        """The end of what is open, if anything is; `status` is what becomes of it."""
        match self._open:
            case "":
                return b""
            case "reasoning":
                return self._close_reasoning(ReasoningEnd())
            case "text" | "refusal":
                return self._close_message(status)
            case "ended":
                return self._done(self._call_item("".join(self._pieces), status))
            case _:  # a call without its end: what there is of it
                return self._end_call() + self._close(status)

    def _open_message(self, kind: str) -> bytes:
        out = self._begin(kind, "msg")
        self._has_text = True
        part = text_part("") if kind == "text" else refusal_part("")
        out += self._added(message_item(self._item_id, [], None, "in_progress"))
        return out + self._event("content_part.added", {**self._place(), "content_index": 0, "part": part})

    def _close_message(self, status: str) -> bytes:
        text, place = "".join(self._pieces), {**self._place(), "content_index": 0}
        if self._open == "text":
            part = text_part(text)
            out = self._event("output_text.done", {**place, "text": text, "logprobs": []})
        else:
            part = refusal_part(text)
            out = self._event("refusal.done", {**place, "refusal": text})
        out += self._event("content_part.done", {**place, "part": part})
        return out + self._done(message_item(self._item_id, [part], None, status))

    # Reasoning --------------------------------------------------------------------------------------------------

    def _open_reasoning(self) -> bytes:
        out = self._begin("reasoning", "rs") + self._added(reasoning_item(self._item_id, Reasoning("")))
        part = {"type": "summary_text", "text": ""}
        return out + self._event("reasoning_summary_part.added", {**self._place(), "summary_index": 0, "part": part})

    def _end_reasoning(self, event: ReasoningEnd) -> bytes:
        if self._open == "reasoning":
            return self._close_reasoning(event)
        if event.carrier is None:
            return b""
        out = self._begin("reasoning", "rs") + self._added(reasoning_item(self._item_id, Reasoning("")))
        return out + self._done(reasoning_item(self._item_id, Reasoning("", event.carrier)))

    def _close_reasoning(self, event: ReasoningEnd) -> bytes:
        text, place = "".join(self._pieces), {**self._place(), "summary_index": 0}
        part = {"type": "summary_text", "text": text}
        out = self._event("reasoning_summary_text.done", {**place, "text": text})
        out += self._event("reasoning_summary_part.done", {**place, "part": part})
        return out + self._done(reasoning_item(self._item_id, Reasoning(text, event.carrier)))

    # Calls ------------------------------------------------------------------------------------------------------

    def _start_call(self, event: ToolStart) -> bytes:
        kind, prefix = ("custom", "ctc") if event.is_custom else ("call", "fc")
        out = self._begin(kind, prefix)
        self._call = event
        return out + self._added(self._call_item("", "in_progress"))

    def _call_item(self, arguments: str, status: str) -> Json:
        call = self._call
        return self._tools.render_call(
            self._item_id, call.id, call.name, arguments, is_custom=call.is_custom, status=status
        )

    def _write_arguments(self, arguments: str) -> bytes:
        if self._call.name in self._tools.hosted:
            self._pieces.append(arguments)  # such an item has no deltas: all of it is in its `done`
            return b""
        return self._delta(arguments)

    def _end_call(self) -> bytes:
        """
        The end of the arguments. The item itself is done when the next begins or the answer ends: only then it is known
        whether the limit cut it, and a client must not run a call that was.
        """
        if self._open not in {"call", "custom"}:
            return b""
        out = b"" if self._pieces or self._call.is_custom else self._write_arguments("{}")
        arguments = "".join(self._pieces)
        self._open = "ended"
        if self._call.name in self._tools.hosted:
            return out
        if self._call.is_custom:
            return out + self._event("custom_tool_call_input.done", {**self._place(), "input": arguments})
        name = self._tools.namespaces.get(self._call.name, ("", self._call.name))[1]
        fields = {**self._place(), "name": name, "arguments": arguments}
        return out + self._event("function_call_arguments.done", fields)


def fail_events(error: GatewayError, request_id: str, response: Json, sequence: int) -> bytes:
    """The two events that end a response which failed: `response` gets the error, `sequence` is the next number."""
    message, code = error_message(error, request_id), _failure_code(error)
    if code == "rate_limit_exceeded" and error.retry_after is not None:
        message = f"{message} Please try again in {max(1, math.ceil(error.retry_after))}s."  # Codex reads the number
    param, limit = None if error.param is None else sendable(error.param), limit_member(error)
    flat = {"type": "error", "code": code, "message": message, "param": param, "sequence_number": sequence}
    failed = {
        "type": "response.failed",
        "sequence_number": sequence + 1,
        "response": {**response, "status": "failed", "error": {"code": code, "message": message, **limit}},
    }
    return render_event(_encode(flat | limit), "error") + render_event(_encode(failed), "response.failed") + DONE


def _failure_code(error: GatewayError) -> str:
    """The code in the words that clients of Responses act on."""
    if error.cause == "upstream_rate_limited" or error.actual_status == 429:
        return "insufficient_quota" if error.kind == "insufficient_quota" else "rate_limit_exceeded"
    if error.upstream_code:
        return sendable(error.upstream_code)
    if error.actual_status == 503:
        return "server_is_overloaded"
    return "server_error" if error.actual_status >= 500 else sendable(error.public_code)
