"""What a chat answer says beside its content, whole or streamed: its end, its usage, its failure."""

import hashlib
from typing import Any, TypeVar

import msgspec

from copilot_api.errors import UpstreamFailed
from copilot_api.protocols.base import Usage
from copilot_api.protocols.chat import wire
from copilot_api.protocols.chat.answer_events import AnswerEvents
from copilot_api.protocols.conversation import StreamEvent
from copilot_api.protocols.copilot_errors import parse_stream_error
from copilot_api.protocols.copilot_usage import CopilotUsage
from copilot_api.protocols.untyped import list_of, object_of, text_of


class ChunkReader:
    """Reads decoded chunks; a whole answer is one chunk whose choices have messages instead of deltas."""

    __slots__ = ("_charge", "_open_choices", "_reported", "events", "finish_reason", "nano_aiu", "usage")

    def __init__(self) -> None:
        self.events = AnswerEvents()
        self.usage: Usage | None = None
        self.nano_aiu: int | None = None
        self.finish_reason: str | None = None
        self._charge: CopilotUsage | None = None
        self._reported: wire.ChatUsage | None = None
        self._open_choices: set[int] = set()
        """Choices that have begun and not finished: Claude finishes its text before it opens a call."""

    @property
    def is_complete(self) -> bool:
        """Whether all that has begun is finished."""
        return self.finish_reason is not None and not self._open_choices

    def read(self, chunk: dict[str, Any], source: bytes) -> list[StreamEvent]:
        """The events that `chunk`, decoded from `source`, brings. Raises what it reports."""
        if chunk.get("error"):
            raise parse_stream_error(chunk["error"])
        self._meter(chunk)
        choices = list_of(chunk.get("choices"))
        if choices and not self.events.stream_id:
            # Some upstreams name neither the answer nor its calls; then what they say must tell the calls apart.
            self.events.stream_id = text_of(chunk.get("id")) or hashlib.sha256(source).hexdigest()[:24]
        events: list[StreamEvent] = []
        for choice in choices:
            events += self._choice(object_of(choice))
        return events

    def text(self, text: str) -> list[StreamEvent]:
        """The events of a chunk that holds nothing but some text of the first choice."""
        self._open_choices.add(0)
        return self.events.text(text)

    def delta(self, delta: dict[str, Any], place: int) -> list[StreamEvent]:
        """The events of a chunk that holds nothing but a delta of one choice."""
        self._open_choices.add(place)
        return self.events.delta(delta, place)

    def _choice(self, choice: dict[str, Any]) -> list[StreamEvent]:
        index = choice.get("index")
        place = index if isinstance(index, int) else 0
        delta = object_of(choice.get("delta")) or object_of(choice.get("message"))
        reason = text_of(choice.get("finish_reason"))
        if reason == "error":
            raise UpstreamFailed("GitHub Copilot gave up on this answer")
        events = self.events.delta(delta, place)
        if reason:
            self._open_choices.discard(place)
            if self.finish_reason is None or reason == "tool_calls":
                self.finish_reason = reason
        elif delta:
            self._open_choices.add(place)
        return events

    def _meter(self, chunk: dict[str, Any]) -> None:
        """Usage may ride on any chunk, and Copilot's own account of it on another."""
        charge = _read(chunk.get("copilot_usage"), CopilotUsage)
        reported = _read(chunk.get("usage"), wire.ChatUsage)
        if charge is not None:
            self._charge, self.nano_aiu = charge, charge.nano_aiu
        if reported is not None:
            self._reported = reported
        if self._reported is not None and (charge is not None or reported is not None):
            self.usage = self._reported.to_usage(self._charge)


T = TypeVar("T")


def _read(value: object, kind: type[T]) -> T | None:
    """`value` as a `kind`, or None: an account that cannot be read is none."""
    if value is None:
        return None
    try:
        return msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, OverflowError):
        return None
