"""The order of events that the neutral form promises, as a checker that knows nothing of how they are made."""

from collections.abc import Sequence

from copilot_api.protocols.conversation import (
    Answer,
    Collector,
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


def check_order(events: Sequence[StreamEvent], *, is_whole: bool = True) -> None:
    """The rules; with `is_whole` false the answer may break off anywhere."""
    inside: str | None = None
    for number, event in enumerate(events):
        assert isinstance(event, Started) == (number == 0), f"{event} at {number}"
        if inside == "call":
            assert isinstance(event, ToolDelta | ToolEnd), event
        if inside == "thought":
            assert isinstance(event, ReasoningDelta | ReasoningEnd), event
        match event:
            case ReasoningDelta(text):
                assert text
                inside = "thought"
            case TextDelta(text) | RefusalDelta(text):
                assert text
            case ToolStart(call_id, name):
                assert call_id
                assert name
                inside = "call"
            case ToolDelta(arguments):
                assert inside == "call"
                assert arguments
            case ToolEnd():
                assert inside == "call"
                inside = None
            case ReasoningEnd():
                inside = None
            case Finished():
                assert number == len(events) - 1
            case Started():
                pass
    if is_whole:
        assert events
        assert isinstance(events[-1], Finished)


def collected(events: Sequence[StreamEvent], *, nano_aiu: int | None = None) -> Answer:
    """What the events amount to, their order checked."""
    check_order(events)
    collector = Collector()
    collector.add(events)
    return collector.answer(nano_aiu=nano_aiu)
