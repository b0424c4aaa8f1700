"""
What the target does not know, made of what it does: each shim changes the answer's events on their way back.

The request is changed to match in `prepare.py`; a shim only undoes that.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from copilot_api.protocols.conversation import (
    Finished,
    StopReason,
    StreamEvent,
    TextDelta,
    ToolDelta,
    ToolEnd,
    ToolStart,
)
from copilot_api.protocols.translation.tool_names import ToolNames
from copilot_api.protocols.untyped import object_of

JSON_TOOL = "json_response"
"""The tool whose arguments stand in for an answer in JSON."""


class Shim(Protocol):
    """Events in, events out, in the order that `conversation` promises."""

    is_over: bool
    """Whether the answer ends here, whatever the upstream goes on to say."""

    def feed(self, event: StreamEvent) -> Iterable[StreamEvent]:
        """What comes of `event`."""
        ...


class OriginalNames:
    """The client's own names for its tools."""

    is_over = False

    def __init__(self, names: ToolNames) -> None:
        self._names = names

    def feed(self, event: StreamEvent) -> Iterable[StreamEvent]:
        """See `Shim`."""
        if isinstance(event, ToolStart):
            return (ToolStart(event.id, self._names.original(event.name), event.is_custom),)
        return (event,)


class CustomTools:
    """Calls of the functions that stand in for custom tools, as calls of those: the bare text, not JSON around it."""

    is_over = False

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._start: ToolStart | None = None
        self._pieces: list[str] = []

    def feed(self, event: StreamEvent) -> Iterable[StreamEvent]:
        """See `Shim`."""
        match event:
            case ToolStart(name=name, is_custom=False) if name in self._names:
                self._start, self._pieces = event, []
                return ()
            case ToolDelta(arguments) if self._start is not None:
                self._pieces.append(arguments)
                return ()
            case ToolEnd() if self._start is not None:
                start, self._start = self._start, None
                return self._unwrapped(start, "".join(self._pieces))
            case _:
                return (event,)

    def _unwrapped(self, start: ToolStart, arguments: str) -> Iterator[StreamEvent]:
        yield ToolStart(start.id, start.name, is_custom=True)
        text = unwrap_input(arguments)
        if text:
            yield ToolDelta(text)
        yield ToolEnd()


def unwrap_input(arguments: str) -> str:
    """The text in `{"input": text}`; a model that writes a bare string, or no JSON at all, means that itself."""
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return arguments
    if isinstance(value, str):
        return value
    inner = object_of(value).get("input")
    return inner if isinstance(inner, str) else arguments


class ForcedJson:
    """The arguments of `JSON_TOOL` as the answer's text, and an end that says nothing of a tool."""

    is_over = False

    def __init__(self) -> None:
        self._is_inside = False

    def feed(self, event: StreamEvent) -> Iterable[StreamEvent]:
        """See `Shim`."""
        match event:
            case ToolStart(name=name) if name == JSON_TOOL:
                self._is_inside = True
                return ()
            case ToolDelta(arguments) if self._is_inside:
                return (TextDelta(arguments),)
            case ToolEnd() if self._is_inside:
                self._is_inside = False
                return ()
            case TextDelta():
                return ()  # what the model says beside the JSON would spoil it
            case Finished(stop=StopReason.TOOL_CALLS):
                return (Finished(StopReason.END, event.usage),)
            case _:
                return (event,)


class StopSequences:
    """
    Ends the answer where the text comes to a stop sequence, for a target that knows none.

    Held back is what may yet turn out to begin one: the longest tail of the text that is the head of a sequence.
    """

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._sequences = sequences
        self._held = ""
        self.is_over = False

    def feed(self, event: StreamEvent) -> Iterable[StreamEvent]:
        """See `Shim`."""
        if self.is_over:
            return ()
        if isinstance(event, TextDelta):
            return self._scan(self._held + event.text)
        if self._held:
            held, self._held = self._held, ""
            return (TextDelta(held), event)
        return (event,)

    def _scan(self, text: str) -> Iterator[StreamEvent]:
        # The one that is complete first, as a model would have stopped: what comes behind it must not matter, since it
        # may not be here yet. Of several that end there the longest.
        places = [(text.find(sequence), sequence) for sequence in self._sequences]
        ends = [(place + len(sequence), place, sequence) for place, sequence in places if place >= 0]
        found = min(ends, default=None)
        if found is not None:
            _, place, sequence = found
            self._held, self.is_over = "", True
            if place:
                yield TextDelta(text[:place])
            yield Finished(StopReason.STOP_SEQUENCE, stop_sequence=sequence)
            return
        keep = max(_overlap(text, sequence) for sequence in self._sequences)
        self._held = text[len(text) - keep :]
        if len(text) > keep:
            yield TextDelta(text[: len(text) - keep])


def _overlap(text: str, sequence: str) -> int:
    """How long the longest end of `text` is that `sequence` begins with."""
    for length in range(min(len(text), len(sequence) - 1), 0, -1):
        if text.endswith(sequence[:length]):
            return length
    return 0
