"""
A streamed Responses answer on its way through to a client that speaks Responses itself.

What strict clients need (and Copilot does not always send): one id for an item in all of its events, and one for the
response; a `type` in each event; sequence numbers without a gap; the name of the model that they asked for; all items
and a usage in the terminal event; `[DONE]`.

Nearly every event is a delta. Those are edited as bytes; only the others are decoded, and of them only what is edited.
"""

import re
from collections.abc import Mapping

import msgspec

from copilot_api.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamFailed,
    UpstreamQuotaExceeded,
    UpstreamRateLimited,
)
from copilot_api.protocols.base import Usage
from copilot_api.protocols.json_object import JsonObject, measure, rewrite
from copilot_api.protocols.openai_errors import error_message, limit_member, sendable
from copilot_api.protocols.responses import parse
from copilot_api.protocols.responses.events import DONE, EventSource, fields_of
from copilot_api.protocols.responses.native import mend_response, parse_native_answer
from copilot_api.protocols.responses.whole import whole_as_events
from copilot_api.protocols.sse import KEEP_ALIVE, Event, render_comment, render_event
from copilot_api.protocols.untyped import object_of, text_of

Fields = dict[str, msgspec.Raw]

_DELTA = re.compile(
    rb'\{"type":"(response\.\w+\.delta)","sequence_number":\d+,"item_id":"[^"\\]*","output_index":(\d{1,9}),'
)
"""How Copilot begins a delta."""
_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
_OPENINGS = {"response.created", "response.in_progress", "response.queued"}
_ENDINGS = {"response.completed": "completed", "response.incomplete": "incomplete", "response.done": "completed"}
_FAILURES = {"error", "response.failed", "response.cancelled"}
_CODES = {429: "rate_limit_exceeded", 503: "server_is_overloaded"}
_encode = msgspec.json.encode
_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class ResponsesRelay:
    """See the module, and `StreamRelay` for the contract."""

    __slots__ = (
        "_done",
        "_heads",
        "_ids",
        "_is_over",
        "_model",
        "_now",
        "_number",
        "_response",
        "_response_id",
        "_source",
        "_stem",
        "failure",
        "has_content",
        "nano_aiu",
        "usage",
    )

    def __init__(self, *, model: str, now: int, request_id: str) -> None:
        self.usage: Usage | None = None
        self.nano_aiu: int | None = None
        self.failure: GatewayError | None = None
        self.has_content = False
        self._model = model
        self._now = now
        self._stem = "".join(character for character in request_id if character.isalnum())
        self._source = EventSource()
        self._number = 0
        """The next event's."""
        self._response: dict[str, bytes] = {}
        """The response as last told; empty before it was."""
        self._response_id = b""
        self._ids: dict[int, bytes] = {}
        """Each item's id, as JSON: the first that was seen."""
        self._heads: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
        """What a delta of this type and place begins with, before and after its number."""
        self._done: dict[int, bytes] = {}
        """The items that are whole."""
        self._is_over = False

    # The contract ---------------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """See `StreamRelay`."""
        return self._is_over

    def feed(self, chunk: bytes) -> bytes:
        """See `StreamRelay`."""
        if self._is_over or self.failure is not None:
            return b""
        try:
            events = self._source.feed(chunk)
        except GatewayError as error:
            self.failure = error
            return b""
        return self._relay_all(events)

    def finish(self) -> bytes:
        """See `StreamRelay`."""
        out = b""
        if not self._is_over and self.failure is None:
            out = self._relay_all(self._source.finish())
            body = self._source.body
            if body is not None:
                return self._relay_body(body)
        if self.failure is not None:
            raise self.failure
        if not self._is_over:
            raise UpstreamCut("GitHub Copilot's answer broke off before its end")
        return out + render_event(DONE)

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """
        See `StreamRelay`. Both events are due: SDKs raise at `error`, Codex looks at the error of the failed response.
        """
        out = b"" if self._response else self._begin()
        message, code = error_message(error, request_id), _code_of(error)
        if isinstance(error, UpstreamRateLimited) and error.retry_after is not None:
            message += (
                f" Please try again in {max(1, -int(-error.retry_after // 1))}s."  # Codex waits as long as this says
            )
        param, limit = None if error.param is None else sendable(error.param), limit_member(error)
        flat = {"type": "error", "code": code, "message": message, "param": param, "sequence_number": self._next()}
        out += render_event(_encode(flat | limit), "error")
        failed = {"status": b'"failed"', "error": _encode({"code": code, "message": message} | limit)}
        failed["output"] = self._done_items()
        response = _object(self._response | failed)
        event = _object({"type": b'"response.failed"', "sequence_number": b"%d" % self._next(), "response": response})
        self._is_over = True
        return out + render_event(event, "response.failed") + render_event(DONE)

    def keep_alive(self, note: str = KEEP_ALIVE) -> bytes:
        """See `StreamRelay`."""
        return render_comment(note)

    # One event ------------------------------------------------------------------------------------------------------

    def _relay_all(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._is_over:
                break
            try:
                out.append(self._relay(event))
            except GatewayError as error:  # what came before it still reaches the client
                self.failure = error
                break
        return out[0] if len(out) == 1 else b"".join(out)

    def _relay(self, event: Event) -> bytes:
        data = event.data
        found = _DELTA.match(data)
        if found is not None and data.endswith(b"}") and b"\n" not in data:
            head = self._heads.get(found.groups())  # type: ignore[arg-type]
            if head is not None:
                number = self._number
                self._number = number + 1
                return b"".join((head[0], b"%d" % number, head[1], data[found.end() :], b"\n\n"))
        return self._relay_decoded(data, event.name)

    def _relay_decoded(self, data: bytes, name: str | None) -> bytes:
        try:
            fields = _decode_fields(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            if data == DONE or not data.strip() or self._response:
                return b""  # a broken event amid others is passed over
            raise UpstreamFailed("GitHub Copilot sent an event that is not JSON") from None
        kind = text_of(_value(fields, "type")) or name or ""
        if kind in _FAILURES or (not kind and "error" in fields):
            raise _failure_in(data)
        edits: dict[str, bytes | None] = {}
        if "type" not in fields:
            edits["type"] = _encode(kind)
        if kind in _OPENINGS:
            if self._response and kind == "response.created":
                return b""
            edits["response"] = self._tell(fields, "in_progress")
            return self._render(data, fields, kind, edits)
        before = b"" if self._response else self._begin()
        if kind in _ENDINGS:
            kind, edits["response"] = self._end(data, fields, _ENDINGS[kind])
            edits["type"] = _encode(kind)
            self._is_over = True
            return before + self._render(data, fields, kind, edits)
        if not kind:
            return before
        self.has_content = self.has_content or "output_index" in fields
        edits |= self._item_edits(fields, kind)
        out = self._render(data, fields, kind, edits)
        if kind.endswith(".delta"):
            self._learn(out, kind)
        return before + out

    def _next(self) -> int:
        self._number += 1
        return self._number - 1

    def _render(self, data: bytes, fields: Fields, kind: str, edits: dict[str, bytes | None]) -> bytes:
        edits["sequence_number"] = b"%d" % self._next()
        body = JsonObject(data, fields, measure(data, fields)).replaced(edits)
        return render_event(body.replace(b"\r", b" ").replace(b"\n", b" "), kind)

    def _learn(self, out: bytes, kind: str) -> None:
        """How to write the next delta of the same item, from one that was just written."""
        start = out.index(b"\ndata: ") + 7
        found = _DELTA.match(out, start)
        if found is not None:
            index = found[2]
            item_id = self._ids.get(int(index))
            if item_id is not None:
                name = kind.encode()
                head = b'event: %b\ndata: {"type":"%b","sequence_number":' % (name, name)
                self._heads[name, index] = (head, b',"item_id":%b,"output_index":%b,' % (item_id, index))

    # Items ----------------------------------------------------------------------------------------------------------

    def _item_edits(self, fields: Fields, kind: str) -> dict[str, bytes | None]:
        index = _value(fields, "output_index")
        if not isinstance(index, int) or isinstance(index, bool):
            return {}
        edits: dict[str, bytes | None] = {}
        if "item" in fields:
            item = _fields_in(fields, "item")
            mended = rewrite(item, {"id": self._pin(index, item)})
            edits["item"] = mended
            if kind == "response.output_item.done":
                self._done[index] = mended
        if "item_id" in fields:
            edits["item_id"] = self._pin(index, {"id": fields["item_id"]})
        return edits

    def _pin(self, index: int, item: Mapping[str, msgspec.Raw]) -> bytes:
        """The item's id: Copilot gives it another one in each event, and the first that came stays."""
        pinned = self._ids.get(index)
        if pinned is None:
            given = text_of(_value(item, "id"))
            kind = text_of(_value(item, "type"))
            pinned = self._ids[index] = _encode(given or f"{_PREFIXES.get(kind, 'item')}_{self._stem}{index}")
        return pinned

    def _done_items(self) -> bytes:
        return b"[%b]" % b",".join([self._done[index] for index in sorted(self._done)])

    # The response as a whole ----------------------------------------------------------------------------------------

    def _begin(self) -> bytes:
        """The events that open a stream, where the upstream has not sent them."""
        response = self._tell({}, "in_progress")
        out = b""
        for kind in ("response.created", "response.in_progress"):
            event = {"type": _encode(kind), "sequence_number": b"%d" % self._next(), "response": response}
            out += render_event(_object(event), kind)
        return out

    def _tell(self, fields: Fields, status: str) -> bytes:
        """The response object of an event, as the client gets it: with what earlier ones had and this one has not."""
        response = _fields_in(fields, "response")
        if not self._response_id:
            self._response_id = _encode(text_of(_value(response, "id")) or f"resp_{self._stem}")
        told = {name: msgspec.Raw(value) for name, value in self._response.items() if name != "status"} | response
        edits = {**mend_response(told, model=self._model, now=self._now, status=status), "id": self._response_id}
        self._response = {name: bytes(value) for name, value in told.items()}
        self._response |= {name: value for name, value in edits.items() if value is not None}
        return rewrite(told, edits)

    def _end(self, data: bytes, fields: Fields, status: str) -> tuple[str, bytes]:
        """The last event's type and response. Raises what it reports in the place of a success."""
        event = fields_of(data)
        response = object_of(event.get("response"))
        failure = parse.failure_of(response)
        if failure is not None:
            raise failure
        copilot = event.get("copilot_usage") or response.get("copilot_usage")
        self.usage = parse.usage_of(response.get("usage"), copilot)
        self.nano_aiu = parse.nano_aiu_of(copilot)
        told = _fields_in(fields, "response")
        told["output"] = msgspec.Raw(self._output(told))
        self.has_content = self.has_content or bytes(told["output"]) != b"[]"
        status = text_of(response.get("status")) or status
        return f"response.{status}", self._tell({"response": msgspec.Raw(rewrite(told, {}))}, status)

    def _output(self, response: Fields) -> bytes:
        """The items of the last event by the ids that they are known by; those that came by when it has none."""
        try:
            items = [_decode_fields(item) for item in _decode_list(response.get("output", msgspec.Raw(b"[]")))]
        except (msgspec.DecodeError, RecursionError):
            items = []
        if not items:
            return self._done_items()
        mended = [rewrite(item, {"id": self._pin(index, item)}) for index, item in enumerate(items)]
        return b"[%b]" % b",".join(mended)

    def _relay_body(self, body: bytes) -> bytes:
        """A whole answer where a stream was due."""
        try:
            answer = parse_native_answer(body, model=self._model, now=self._now)
        except GatewayError as error:
            self.failure = error
            raise
        self.usage, self.nano_aiu = answer.usage, answer.nano_aiu
        self._is_over = self.has_content = True
        return whole_as_events(None, answer.body, self._now)


def _object(fields: Mapping[str, bytes]) -> bytes:
    return rewrite({}, fields)


def _value(fields: Mapping[str, msgspec.Raw], name: str) -> object:
    """The field's value; None when it is not there or cannot be read."""
    raw = fields.get(name)
    try:
        return None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _fields_in(fields: Mapping[str, msgspec.Raw], name: str) -> Fields:
    """The fields of an object inside, or none."""
    raw = fields.get(name)
    try:
        return {} if raw is None else _decode_fields(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}


def _failure_in(data: bytes) -> GatewayError:
    event = fields_of(data)
    response = object_of(event.get("response"))
    error = event.get("error") or response.get("error")
    if not error and (response.get("status") == "cancelled" or event.get("type") == "response.cancelled"):
        return UpstreamCut("GitHub Copilot cancelled the answer")
    return parse.error_of(error or {**event, "type": ""})


def _code_of(error: GatewayError) -> str:
    """The error's code in the words that clients of Responses act on."""
    if isinstance(error, UpstreamQuotaExceeded):
        return "insufficient_quota"
    if error.upstream_code:
        return sendable(error.upstream_code)
    return _CODES.get(error.actual_status, "server_error" if error.actual_status >= 500 else error.code)
