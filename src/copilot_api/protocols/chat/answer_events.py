"""
What Copilot's chat says, piece by piece, as events in the order that the neutral form promises.

Chat has no order of its own: reasoning may come late, calls may come mixed, text between them, the turn in several
choices. Here a call that has begun is first brought to its end; what comes meanwhile waits, in the order in which it
came. A call is known to be at its end when its arguments are whole, or when the answer is.
"""

from typing import Any

from copilot_api.errors import UpstreamFailed
from copilot_api.protocols.chat.arguments_scan import ArgumentsScan
from copilot_api.protocols.chat.tool_calls import ToolCalls
from copilot_api.protocols.conversation import (
    Carrier,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Started,
    StopReason,
    StreamEvent,
    TextDelta,
    ToolDelta,
    ToolEnd,
    ToolStart,
)
from copilot_api.protocols.untyped import list_of, object_of, text_of

_REASONING = ("reasoning_text", "reasoning_content", "reasoning", "cot_summary")
"""The names under which reasoning comes: Copilot's, most servers', some servers', Azure's through Copilot."""

_STOPS = {
    "tool_calls": StopReason.TOOL_CALLS,
    "function_call": StopReason.TOOL_CALLS,
    "length": StopReason.LENGTH,
    "content_filter": StopReason.FILTERED,
}


class _Call:
    """A call on its way to the client: under way, or waiting for its turn."""

    __slots__ = ("has_arguments", "pieces", "scan", "start")

    def __init__(self, start: ToolStart) -> None:
        self.start = start
        self.pieces: list[str] = []
        self.scan = ArgumentsScan()
        self.has_arguments = False


class AnswerEvents:
    """See the module. Pieces in, events out."""

    __slots__ = (
        "_by_number",
        "_calls",
        "_carrier",
        "_has_started",
        "_is_speaking",
        "_is_thinking",
        "_open",
        "_waiting",
        "stream_id",
    )

    def __init__(self) -> None:
        self.stream_id = ""
        """What makes ids unique that the upstream leaves out."""
        self._has_started = False
        self._is_thinking = False
        self._is_speaking = False
        """Whether text was the last thing to come."""
        self._carrier = ""
        """The carrier that was seen last: it may be repeated."""
        self._calls = ToolCalls()
        self._by_number: dict[int, _Call] = {}
        self._open: _Call | None = None
        self._waiting: list[_Call | StreamEvent] = []

    def start(self) -> list[StreamEvent]:
        """The first event, once."""
        if self._has_started:
            return []
        self._has_started = True
        return [Started()]

    def text(self, text: str) -> list[StreamEvent]:
        """Some of the text, in the way that nearly every piece goes."""
        if self._open is None and not self._is_thinking and self._has_started and not self._calls:
            return [TextDelta(text)]
        events = self.start()
        if self._calls and not self._is_speaking and not text.strip():
            return events  # blanks between two calls are no text
        self._is_speaking = True
        self._say(events, TextDelta(text))
        return events

    def delta(self, delta: dict[str, Any], choice: int) -> list[StreamEvent]:
        """A whole delta (or message) of one choice. Raises `UpstreamFailed` when its arguments have run away."""
        events = self.start()
        if thought := _thought(delta):
            self._say(events, ReasoningDelta(thought))
        opaque = text_of(delta.get("reasoning_opaque"))
        if opaque and opaque != self._carrier:
            self._carrier = opaque
            self._say(events, ReasoningEnd(Carrier(kind="ro", data=opaque)))
        if text := _content(delta.get("content")):
            events += self.text(text)
        if refusal := text_of(delta.get("refusal")):
            self._say(events, RefusalDelta(refusal))
        for piece in _pieces(delta):
            mended = self._calls.mend(piece, choice, self.stream_id)
            if mended is not None:
                self._take(events, mended)
        return events

    def end(self) -> list[StreamEvent]:
        """All that is still due before `Finished`."""
        events = self.start()
        for piece in self._calls.endings():
            self._take(events, piece)
        self._close(events)
        while self._waiting:
            self._let_out(events)
            self._close(events)
        self._stop_thinking(events)
        return events

    def stop(self, reason: str) -> StopReason:
        """Why the answer ended, in neutral terms. A call that was made counts more than the word for the end."""
        stop = _STOPS.get(reason, StopReason.END)
        if stop in {StopReason.LENGTH, StopReason.FILTERED}:
            return stop
        return StopReason.TOOL_CALLS if self._calls else StopReason.END

    # The order --------------------------------------------------------------------------------------------------

    def _say(self, events: list[StreamEvent], event: StreamEvent) -> None:
        """Something that is no call."""
        self._advance(events)
        if self._open is None:
            self._emit(events, event)
        else:
            self._waiting.append(event)

    def _emit(self, events: list[StreamEvent], event: StreamEvent) -> None:
        if isinstance(event, ReasoningDelta):
            self._is_thinking = True
        elif isinstance(event, ReasoningEnd):
            self._is_thinking = False
        else:
            self._stop_thinking(events)
        events.append(event)

    def _stop_thinking(self, events: list[StreamEvent]) -> None:
        if self._is_thinking:
            self._is_thinking = False
            events.append(ReasoningEnd())

    def _take(self, events: list[StreamEvent], piece: dict[str, Any]) -> None:
        """A piece of a call, mended: the first has its id and name."""
        self._is_speaking = False
        number, function = piece["index"], object_of(piece["function"])
        call = self._by_number.get(number)
        if call is not self._open:
            self._advance(events)
        if call is None:
            call = self._by_number[number] = _Call(ToolStart(piece["id"], text_of(function.get("name"))))
            if self._open is None:
                self._begin(events, call)
            else:
                self._waiting.append(call)
        arguments = text_of(function.get("arguments"))
        if not arguments or call.scan.is_whole:
            return  # what follows whole arguments is a repetition or blank
        call.scan.feed(arguments)
        if call.scan.has_run_away:
            raise UpstreamFailed("the model wrote blanks without end into a tool's arguments", hint="send it again")
        if not call.has_arguments and arguments.isspace():
            return
        call.has_arguments = True
        if call is self._open:
            events.append(ToolDelta(arguments))
        else:
            call.pieces.append(arguments)

    def _advance(self, events: list[StreamEvent]) -> None:
        """As long as the open call is whole: close it and let out what waits, up to the next call."""
        while self._open is not None and self._open.scan.is_whole:
            self._close(events)
            self._let_out(events)

    def _let_out(self, events: list[StreamEvent]) -> None:
        while self._waiting:
            item = self._waiting.pop(0)
            if isinstance(item, _Call):
                self._begin(events, item)
                return
            self._emit(events, item)

    def _begin(self, events: list[StreamEvent], call: _Call) -> None:
        self._stop_thinking(events)
        self._open = call
        events.append(call.start)
        if call.pieces:
            events.append(ToolDelta("".join(call.pieces)))

    def _close(self, events: list[StreamEvent]) -> None:
        call, self._open = self._open, None
        if call is None:
            return
        if not call.has_arguments:
            events.append(ToolDelta("{}"))
        events.append(ToolEnd())


def _thought(delta: dict[str, Any]) -> str:
    for name in _REASONING:
        if name in delta and (text := text_of(delta[name])):
            return text
    return ""


def _pieces(delta: dict[str, Any]) -> list[dict[str, Any]]:
    pieces = [object_of(piece) for piece in list_of(delta.get("tool_calls"))]
    function = object_of(delta.get("function_call"))
    return [*pieces, {"index": 0, "function": function}] if function else pieces


def _content(content: object) -> str:
    """The text, whether it comes as such or as parts."""
    return text_of(content) or "".join([text_of(object_of(part).get("text")) for part in list_of(content)])
