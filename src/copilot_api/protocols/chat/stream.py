"""
A streamed chat answer, made fit for strict clients as it passes.

What strict clients need (and Copilot does not always send): `object`, `id` and `created` on every chunk; the role once,
and first; each tool call's id, type and name once, calls numbered from 0; one finish reason, after everything else; the
usage chunk last, and only when it was asked for; `[DONE]`.

Nearly every chunk of a stream is a piece of text in the same wrapping. Those are edited as bytes; only chunks that
carry anything else are decoded.
"""

import re
from typing import Any, cast

import msgspec

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed, UpstreamRateLimited
from copilot_api.protocols.base import Usage
from copilot_api.protocols.chat import wire
from copilot_api.protocols.copilot_usage import CopilotUsage
from copilot_api.protocols.sse import Event, EventTooLarge, SseDecoder, render_event
from copilot_api.protocols.untyped import list_of, object_of

DONE = b"[DONE]"
_EVENT = b'data: {"object":"chat.completion.chunk",'
_PLAIN = b'{"choices":[{"index":0,'
_SPECIAL = re.compile(rb'"(?:role|usage|tool_calls|error|object|copilot_usage|finish_reason":")')
"""What a chunk may hold that needs a look. Inside a string its quotes would be escaped, so a find is always a field."""
_SUFFIX = re.compile(rb'("created":[1-9]\d*,"id":"[^"\\]+","model":)"[^"\\]*"((?:,"\w+":(?:"[^"\\]*"|null))*\})\Z')
"""
The end of a chunk as Copilot writes it. It holds no bracket but the last, so in valid JSON all of it is the top
level's.
"""
_decode = msgspec.json.decode
_encode = msgspec.json.encode


class ChatStream:
    """See the module, and `StreamRelay` for the contract."""

    __slots__ = (
        "_call_ids",
        "_calls",
        "_choices",
        "_created",
        "_decoder",
        "_finish",
        "_finish_reason",
        "_has_role",
        "_id",
        "_is_done",
        "_model",
        "_new_suffix",
        "_open_choices",
        "_preamble",
        "_suffix",
        "_tail",
        "_wants_usage",
        "failure",
        "has_content",
        "nano_aiu",
        "usage",
    )

    def __init__(self, *, model: str, wants_usage: bool, choices: int, now: int) -> None:
        self.usage: Usage | None = None
        self.nano_aiu: int | None = None
        self.has_content = False
        self.failure: GatewayError | None = None
        self._model = model
        self._wants_usage = wants_usage
        self._choices = choices
        self._decoder = SseDecoder()
        self._id = ""
        self._created = now
        self._suffix = b""
        """How this upstream ends each of its chunks; learnt from the first one."""
        self._new_suffix = b""
        self._has_role = False
        self._calls: dict[tuple[int, int | None], int] = {}
        """Where the upstream last put a call (choice, index) → its number towards the client."""
        self._call_ids: dict[str, int] = {}
        self._open_choices: set[int] = set()
        """The upstream's choices that have begun and not finished. Claude finishes text before it opens a tool call."""
        self._finish: dict[str, Any] | None = None
        self._finish_reason: str | None = None
        self._tail: dict[str, Any] = {}
        """The usage chunk, gathered from wherever the upstream put its parts."""
        self._preamble: Any = None
        self._is_done = False

    # The contract -----------------------------------------------------------------------------------------------

    def feed(self, chunk: bytes) -> bytes:
        """See `StreamRelay`."""
        try:
            events = self._decoder.feed(chunk)
        except EventTooLarge:
            self.failure = UpstreamFailed("GitHub Copilot sent an event that does not end")
            return b""
        return self._relay_all(events)

    def finish(self) -> bytes:
        """See `StreamRelay`."""
        out = self._relay_all(self._decoder.finish())
        if self.failure is not None:
            raise self.failure
        if not self._is_done and (self._finish_reason is None or self._open_choices):
            raise UpstreamCut("GitHub Copilot's answer broke off before its end")
        if self._finish_reason is None:
            raise UpstreamCut("GitHub Copilot ended its answer without saying how")
        if self._finish is not None:
            out += render_event(_encode(self._wrapped(self._finish)))
        if self._wants_usage and self._tail.get("usage") is not None:
            out += render_event(_encode(self._wrapped({**self._tail, "choices": []})))
        return out + render_event(DONE)

    def _relay_all(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        try:
            for event in events:
                out.append(self._relay(event.data))  # noqa: PERF401 -- what came before a failure stays
        except GatewayError as error:
            self.failure = error
        return out[0] if len(out) == 1 else b"".join(out)

    # One event --------------------------------------------------------------------------------------------------

    def _relay(self, data: bytes) -> bytes:
        if self._suffix and data.startswith(_PLAIN) and data.endswith(self._suffix) and _SPECIAL.search(data) is None:
            self.has_content = True
            self._open_choices.add(0)
            return b"".join((_EVENT, data[1 : -len(self._suffix)], self._new_suffix))
        return self._relay_decoded(data)

    def _relay_decoded(self, data: bytes) -> bytes:
        if data == DONE:
            self._is_done = True
            return b""
        if self._is_done or not data:
            return b""
        try:
            decoded = _decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UpstreamFailed("GitHub Copilot sent an event that is not JSON") from error
        if not isinstance(decoded, dict):
            raise UpstreamFailed("GitHub Copilot sent an event that is not an object")
        chunk = object_of(cast("object", decoded))
        if chunk.get("error"):
            raise stream_error(chunk["error"])
        self._learn(chunk, data)
        self._meter(chunk)
        choices = list_of(chunk.get("choices"))
        if not choices:
            if chunk.get("prompt_filter_results"):
                self._preamble = chunk["prompt_filter_results"]
            return b""
        kept = [
            kept for choice in map(object_of, choices) if choice and (kept := self._mend(choice, chunk)) is not None
        ]
        if not kept:
            return b""
        chunk["choices"] = kept
        self.has_content = True
        return render_event(_encode(self._wrapped(chunk)))

    def _learn(self, chunk: dict[str, Any], data: bytes) -> None:
        """What every chunk of this stream has in common."""
        if chunk.get("id"):
            self._id = self._id or str(chunk["id"])
        if chunk.get("created"):
            self._created = chunk["created"]
        if not self._suffix and self._choices == 1:
            found = _SUFFIX.search(data)
            if found is not None:
                self._suffix = found.group()
                self._new_suffix = b"%b%b%b\n\n" % (found.group(1), _encode(self._model), found.group(2))

    def _meter(self, chunk: dict[str, Any]) -> None:
        """Take note of usage, wherever it rides, and take it off this chunk."""
        usage, copilot = chunk.pop("usage", None), chunk.pop("copilot_usage", None)
        if copilot is not None:
            self._tail["copilot_usage"] = copilot
        if usage is not None:
            self._tail["usage"] = usage
        if usage is None and copilot is None:
            return
        try:
            charge = msgspec.convert(self._tail.get("copilot_usage") or {}, CopilotUsage, strict=False)
            self.nano_aiu = charge.nano_aiu
            if self._tail.get("usage") is not None:
                self.usage = msgspec.convert(self._tail["usage"], wire.ChatUsage, strict=False).to_usage(charge)
        except msgspec.ValidationError:
            self._tail.pop(
                "copilot_usage", None
            )  # an account that cannot be read is none: the event says `usage_unknown`

    def _wrapped(self, chunk: dict[str, Any]) -> dict[str, Any]:
        """`chunk` with all that every chunk must have."""
        wrapped: dict[str, Any] = {
            "id": self._id or f"chatcmpl-{self._created}",
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }
        if self._preamble is not None and chunk.get("choices"):
            wrapped["prompt_filter_results"], self._preamble = self._preamble, None
        return {**chunk, **wrapped}

    # One choice -------------------------------------------------------------------------------------------------

    def _mend(self, choice: dict[str, Any], chunk: dict[str, Any]) -> dict[str, Any] | None:
        """The choice as the client gets it; None when nothing of it is left to send now."""
        delta = object_of(choice.pop("delta", None)) or object_of(choice.pop("message", None))
        choice["delta"] = delta
        reason = choice.get("finish_reason")
        place = choice.get("index") or 0
        if reason:
            self._open_choices.discard(place)
        elif delta:
            self._open_choices.add(place)
        if reason == "error":
            raise UpstreamFailed("GitHub Copilot gave up on this answer")
        if self._choices > 1:
            if reason:
                self._finish_reason = reason
            choice.setdefault("finish_reason", None)
            return choice
        calls = list_of(delta.get("tool_calls"))
        if calls:
            delta["tool_calls"] = [self._mend_call(object_of(call), place) for call in calls]
        elif "tool_calls" in delta:
            del delta["tool_calls"]
        if self._has_role:
            delta.pop("role", None)
        choice["index"] = 0
        if reason:
            if self._finish_reason is None or reason == "tool_calls":
                self._finish_reason = reason
            if self._call_ids and self._finish_reason == "stop":
                self._finish_reason = "tool_calls"
            self._finish = {**chunk, "choices": [{**choice, "delta": {}, "finish_reason": self._finish_reason}]}
            choice.pop("finish_reason")
        if not any(value not in (None, "") for name, value in delta.items() if name != "role") and (
            self._has_role or reason
        ):
            return None  # nothing but the finish, which waits until the end: a later choice may still bring tool calls
        choice["finish_reason"] = None
        if not self._has_role:
            choice["delta"] = {"role": "assistant", **delta}
            self._has_role = True
        return choice

    def _mend_call(self, call: dict[str, Any], choice_index: int) -> dict[str, Any]:
        """One piece of a tool call, numbered by us; id, type and name only on its first piece."""
        call_id, place = call.get("id"), (choice_index, call.get("index"))
        function = object_of(call.get("function"))
        number = self._call_ids.get(call_id) if call_id else self._calls.get(place)
        if number is None and not call_id and self._call_ids and not function.get("name"):
            number = len(self._call_ids) - 1  # a piece that names neither id nor index belongs to the call in progress
        arguments = function.get("arguments") or ""
        if number is not None:
            self._calls[place] = number
            return {"index": number, "function": {"arguments": arguments}}
        number = len(self._call_ids)
        call_id = str(call_id or f"call_{number}_{self._id}"[:64])
        self._call_ids[call_id] = self._calls[place] = number
        return {
            **call,
            "index": number,
            "id": call_id,
            "type": "function",
            "function": {**function, "arguments": arguments},
        }


def stream_error(error: Any) -> GatewayError:
    """What went wrong, from the error object inside a stream."""
    fields = object_of(error) or {"message": str(error)}
    message = str(fields.get("message") or "GitHub Copilot failed while answering")[:2000]
    code = str(fields.get("code") or "")
    if "rate_limit" in code or code == "429":
        return UpstreamRateLimited(message)
    return UpstreamFailed(message)
