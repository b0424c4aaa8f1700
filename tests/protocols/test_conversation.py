"""The neutral form: an answer and its events say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.protocols.base import Usage
from copilot_api.protocols.conversation import (
    Answer,
    AnswerPart,
    Carrier,
    Collector,
    Finished,
    Reasoning,
    Refusal,
    Started,
    StopReason,
    Text,
    ToolCall,
    ToolEnd,
    ToolStart,
    events_of,
)

TEXT = st.text(min_size=1, max_size=5)
PART = st.one_of(
    st.builds(Text, TEXT),
    st.builds(Refusal, TEXT),
    st.builds(Reasoning, st.text(max_size=5), st.none() | st.builds(Carrier, kind=st.just("an"), data=TEXT)),
    st.builds(ToolCall, id=TEXT, name=TEXT, arguments=st.text(max_size=5), is_custom=st.booleans()),
)


def apart(parts: list[AnswerPart]) -> tuple[AnswerPart, ...]:
    """Two texts in a row are one text to a stream."""
    kept: list[AnswerPart] = []
    for part in parts:
        if not kept or type(kept[-1]) is not type(part) or not isinstance(part, Text | Refusal):
            kept.append(part)
    return tuple(kept)


@given(st.lists(PART, max_size=6), st.sampled_from(StopReason))
def test_an_answer_survives_as_events(parts: list[AnswerPart], stop: StopReason) -> None:
    answer = Answer(parts=apart(parts), stop=stop, usage=Usage(input_tokens=1), stop_sequence="x")
    events = list(events_of(answer))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    collector = Collector()
    collector.add(events)
    assert collector.answer() == answer


def test_an_unfinished_answer_is_none() -> None:
    collector = Collector()
    collector.add([Started(), ToolStart("a", "f"), ToolEnd()])
    with pytest.raises(ValueError, match="not finished"):
        collector.answer()
