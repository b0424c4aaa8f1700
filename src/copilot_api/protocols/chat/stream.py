"""
A streamed chat answer, made fit for strict clients as it passes.

What strict clients need (and Copilot does not always send): `object` on every chunk, and one `id` and `created` for
all; one choice a chunk; the role once, and first; tool calls in order (`tool_calls.py`); one finish reason, after
everything else; the usage chunk last, and only when it was asked for; `[DONE]`.

Nearly every chunk of a stream is a piece of text in the same wrapping. Those are edited as bytes; only chunks that
carry anything else are decoded.
"""

import re
from typing import Any, TypeVar, cast

import msgspec

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed
from copilot_api.protocols.base import Usage
from copilot_api.protocols.chat import wire
from copilot_api.protocols.chat.tool_calls import ToolCalls
from copilot_api.protocols.copilot_errors import parse_stream_error
from copilot_api.protocols.copilot_usage import CopilotUsage
from copilot_api.protocols.openai_errors import error_body
from copilot_api.protocols.sse import KEEP_ALIVE, Event, EventTooLarge, SseDecoder, render_comment, render_event
from copilot_api.protocols.untyped import list_of, object_of, text_of

DONE = b"[DONE]"
_EVENT = b'data: {"object":"chat.completion.chunk",'
_UNFINISHED_EVENT = _EVENT + b'"choices":[{"index":0,"finish_reason":null,'
_PLAIN = b'{"choices":[{"index":0,'
_SPECIAL = re.compile(rb'"(?:index|role|usage|tool_calls|error|object|copilot_usage|finish_reason":")')
_SPECIAL_OR_FINISH = re.compile(rb'"(?:index|role|usage|tool_calls|error|object|copilot_usage|finish_reason)')
"""What a chunk may hold that needs a look. Inside a string its quotes would be escaped, so a find is always a field."""
_SUFFIX = re.compile(rb'"created":[1-9]\d*,"id":"[^"\\]+","model":"[^"\\]*"((?:,"\w+":(?:"[^"\\]*"|null))*\})\Z')
"""
The end of a chunk as Copilot writes it. It holds no bracket but the last: in valid JSON all of it is the top level's.
"""
_decode = msgspec.json.decode
_encode = msgspec.json.encode


class ChatStream:
    """See the module, and `StreamRelay` for the contract."""

    __slots__ = (
        "_calls",
        "_choices",
        "_created",
        "_decoder",
        "_finish",
        "_finish_reason",
        "_has_role",
        "_id",
        "_is_done",
        "_is_named",
        "_model",
        "_new_suffix",
        "_open_choices",
        "_preamble",
        "_says_unfinished",
        "_special",
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
        self._id = f"chatcmpl-{now}"
        self._created = now
        self._is_named = False
        """Whether id and created are settled: the first chunk that is sent settles them for all."""
        self._suffix = b""
        """How this upstream ends each of its chunks; learnt from one of them."""
        self._new_suffix = b""
        self._says_unfinished = True
        """Whether this upstream writes `"finish_reason":null` itself: OpenAI's schema requires it on every choice."""
        self._special = _SPECIAL
        self._has_role = False
        self._calls = ToolCalls()
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
        out = self._relay_rest()
        if self.failure is not None:
            raise self.failure
        if self._finish_reason is None or (self._open_choices and not self._is_done):
            raise UpstreamCut("GitHub Copilot's answer broke off before its end")
        if not self._has_role and self._choices == 1:
            choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
            out += render_event(_encode(self._wrapped({"choices": [choice]})))
        endings = self._calls.endings()
        if endings:
            choice = {"index": 0, "delta": {"tool_calls": endings}, "finish_reason": None}
            out += render_event(_encode(self._wrapped({"choices": [choice]})))
        if self._finish is not None:
            out += render_event(_encode(self._wrapped(self._finish)))
        if self._wants_usage and self._tail.get("usage") is not None:
            out += render_event(_encode(self._wrapped({**self._tail, "choices": []})))
        return out + render_event(DONE)

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """See `StreamRelay`. No finish and no `[DONE]` follow: either would look like success."""
        return render_event(error_body(error, request_id))

    @property
    def is_over(self) -> bool:
        """See `StreamRelay`."""
        return self._is_done

    def keep_alive(self, note: str = KEEP_ALIVE) -> bytes:
        """See `StreamRelay`."""
        return render_comment(note)

    def _relay_rest(self) -> bytes:
        """A last event without its blank line; one that is not whole is what was left when the stream was cut."""
        if self.failure is not None or self._is_done:
            return b""
        rest = self._decoder.finish()
        if rest and not _is_whole(rest[0].data):
            if self._finish_reason is None:
                raise UpstreamCut("GitHub Copilot's answer broke off in the middle of an event")
            return b""
        return self._relay_all(rest)

    def _relay_all(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._is_done or self.failure is not None:
                break
            try:
                out.append(self._relay(event.data))
            except GatewayError as error:  # what came before it still reaches the client
                self.failure = error
        return out[0] if len(out) == 1 else b"".join(out)

    # One event --------------------------------------------------------------------------------------------------

    def _relay(self, data: bytes) -> bytes:
        if (
            self._suffix
            and data.startswith(_PLAIN)
            and data.endswith(self._suffix)
            and self._special.search(data, len(_PLAIN)) is None
        ):
            self._open_choices.add(0)
            self.has_content = True
            if self._says_unfinished:
                return b"".join((_EVENT, data[1 : -len(self._suffix)], self._new_suffix))
            return b"".join((_UNFINISHED_EVENT, data[len(_PLAIN) : -len(self._suffix)], self._new_suffix))
        if data == DONE:
            self._is_done = True
            return b""
        return self._relay_decoded(data) if data else b""

    def _relay_decoded(self, data: bytes) -> bytes:
        try:
            decoded = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamFailed("GitHub Copilot sent an event that is not JSON") from error
        if not isinstance(decoded, dict):
            raise UpstreamFailed("GitHub Copilot sent an event that is not an object")
        chunk = object_of(cast("object", decoded))
        if chunk.get("error"):
            raise parse_stream_error(chunk["error"])
        self._identify(chunk)
        self._meter(chunk)
        if chunk.get("prompt_filter_results") and not chunk.get("choices"):
            self._preamble = chunk["prompt_filter_results"]
        out: list[bytes] = []
        for choice in list_of(chunk.pop("choices", None)):
            mended = self._mend(object_of(choice), chunk)
            if mended is not None:
                self.has_content = self.has_content or any(
                    value for name, value in mended["delta"].items() if name != "role"
                )
                out.append(render_event(_encode(self._wrapped({**chunk, "choices": [mended]}))))
        if not self._suffix and self._has_role and self._choices == 1:
            self._learn_suffix(data)
        return b"".join(out)

    def _identify(self, chunk: dict[str, Any]) -> None:
        """Take id and created from the first chunk that has them."""
        if self._is_named:
            return
        self._id = text_of(chunk.get("id")) or self._id
        created = chunk.get("created")
        if isinstance(created, int) and created > 0:
            self._created = int(created)

    def _learn_suffix(self, data: bytes) -> None:
        found = _SUFFIX.search(data)
        if found is not None:
            self._suffix = found.group()
            self._says_unfinished = b'"finish_reason":null' in data
            self._special = _SPECIAL if self._says_unfinished else _SPECIAL_OR_FINISH
            names = b'"created":%d,"id":%b,"model":%b' % (self._created, _encode(self._id), _encode(self._model))
            self._new_suffix = names + found.group(1) + b"\n\n"

    def _meter(self, chunk: dict[str, Any]) -> None:
        """Take note of usage, wherever it rides, and take it off this chunk."""
        usage, copilot = chunk.pop("usage", None), chunk.pop("copilot_usage", None)
        if usage is None and copilot is None:
            return
        charge = _read(self._tail.get("copilot_usage") if copilot is None else copilot, CopilotUsage)
        if copilot is not None and charge is not None:
            self._tail["copilot_usage"] = copilot
            self.nano_aiu = charge.nano_aiu
        reported = _read(self._tail.get("usage") if usage is None else usage, wire.ChatUsage)
        if reported is not None:
            if usage is not None:
                self._tail["usage"] = usage
            self.usage = reported.to_usage(charge)

    def _wrapped(self, chunk: dict[str, Any]) -> dict[str, Any]:
        """`chunk` with all that every chunk must have."""
        self._is_named = True
        wrapped: dict[str, Any] = {
            "id": self._id,
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
        index = choice.get("index")
        place = index if isinstance(index, int) else 0
        delta = object_of(choice.pop("delta", None)) or object_of(choice.pop("message", None))
        reason = text_of(choice.pop("finish_reason", None))
        if reason == "error":
            raise UpstreamFailed("GitHub Copilot gave up on this answer")
        if reason:
            self._open_choices.discard(place)
        elif delta:
            self._open_choices.add(place)
        choice["delta"] = delta
        if self._choices > 1:
            self._finish_reason = reason or self._finish_reason
            return {**choice, "index": place, "finish_reason": reason or None}
        choice["index"] = 0
        self._mend_calls(delta, place)
        has_role = delta.pop("role", None) is not None
        if reason:
            self._note_finish(reason, choice, chunk)  # it waits: a later choice may still bring tool calls
        if not any(value not in (None, "") for value in delta.values()) and (self._has_role or not has_role or reason):
            return None
        if not self._has_role:
            choice["delta"] = {"role": "assistant", **delta}
            self._has_role = True
        choice["finish_reason"] = None
        return choice

    def _mend_calls(self, delta: dict[str, Any], place: int) -> None:
        pieces = list_of(delta.pop("tool_calls", None))
        mended = [self._calls.mend(object_of(piece), place, self._id) for piece in pieces]
        kept = [piece for piece in mended if piece is not None]
        if kept:
            delta["tool_calls"] = kept

    def _note_finish(self, reason: str, choice: dict[str, Any], chunk: dict[str, Any]) -> None:
        """Keep the finish for the end. Of several, one that says that tools are to be called counts."""
        if self._finish_reason is None or reason == "tool_calls":
            self._finish_reason = reason
        if self._calls and self._finish_reason == "stop":
            self._finish_reason = "tool_calls"
        finish: dict[str, Any] = {**choice, "delta": {}, "finish_reason": self._finish_reason}
        self._finish = {**chunk, "choices": [finish]}


def _is_whole(data: bytes) -> bool:
    try:
        return data == DONE or bool(_decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


T = TypeVar("T")


def _read(value: object, kind: type[T]) -> T | None:
    """`value` as a `kind`, or None: an account that cannot be read is none."""
    if value is None:
        return None
    try:
        return msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, OverflowError):
        return None
