"""The order of events, whatever order the pieces come in."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.protocols.chat.answer_events import AnswerEvents
from copilot_api.protocols.conversation import (
    Finished,
    Reasoning,
    ReasoningEnd,
    RefusalDelta,
    Started,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
)
from tests.protocols.chat.event_order import collected

PROPERTY = settings(derandomize=True, deadline=None, database=None)


def events_of(*deltas: dict[str, Any], reason: str = "stop") -> list[StreamEvent]:
    answer = AnswerEvents()
    events: list[StreamEvent] = []
    for delta in deltas:
        events += answer.delta(delta, 0)
    return [*events, *answer.end(), Finished(answer.stop(reason))]


def piece(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    fields = {"index": index, "function": {"arguments": arguments}}
    if "name" in more:
        fields["function"]["name"] = more.pop("name")  # type: ignore[index]
    return {"tool_calls": [{**fields, **more}]}


def test_an_answer_of_nothing_has_a_beginning_and_an_end() -> None:
    assert events_of() == [Started(), Finished(StopReason.END)]
    assert events_of({"role": "assistant", "content": ""}, {}) == [Started(), Finished(StopReason.END)]


def test_in_one_delta_reasoning_comes_first_then_text_then_a_refusal_then_calls() -> None:
    delta = {
        "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}],
        "refusal": "no",
        "content": "Hi",
        "reasoning_opaque": "sig",
        "reasoning_text": "hm",
    }
    kinds = [type(part).__name__ for part in collected(events_of(delta)).parts]
    assert kinds == ["Reasoning", "Text", "Refusal", "ToolCall"]


def test_a_refusal_is_its_own() -> None:
    assert events_of({"refusal": "no"})[1] == RefusalDelta("no")


def test_reasoning_without_anything_to_replay_it_ends_before_the_text() -> None:
    assert events_of({"reasoning_text": "hm"}, {"content": "x"})[2:4] == [ReasoningEnd(), TextDelta("x")]


def test_text_goes_the_quick_way_and_the_long_one_to_the_same_end() -> None:
    answer = AnswerEvents()
    assert answer.text("a") == [Started(), TextDelta("a")]
    assert answer.text("b") == [TextDelta("b")]


def test_a_call_that_never_gets_a_name_is_not_lost() -> None:
    [call] = collected(events_of(piece(0, '{"x":1}', id="a"))).parts
    assert isinstance(call, ToolCall)
    assert (call.id, call.arguments) == ("a", '{"x":1}')
    assert call.name


@settings(PROPERTY, max_examples=200)
@given(data=st.data())
def test_pitfall_071_however_calls_and_text_are_mixed_nothing_is_lost(data: st.DataObject) -> None:
    queues = [
        [piece(number, text, **({"id": f"id{number}", "name": f"f{number}"} if place == 0 else {}))
         for place, text in enumerate(["", '{"x"', ":[1,", "2]", "}"])]
        for number in range(data.draw(st.integers(1, 3)))
    ]  # fmt: skip
    texts = data.draw(st.lists(st.sampled_from(["a", "b", "\n", "c "]), max_size=4))
    queues += [[{"content": text} for text in texts], [{"reasoning_text": "r"}, {"reasoning_opaque": "s"}]]
    deltas = []
    while any(queues):
        deltas.append(data.draw(st.sampled_from([queue for queue in queues if queue])).pop(0))
    answer = collected(events_of(*deltas))
    calls = {part.id: part for part in answer.parts if isinstance(part, ToolCall)}
    assert {part.name: part.arguments for part in calls.values()} == {
        f"f{number}": '{"x":[1,2]}' for number in range(len(calls))
    }
    said = "".join(part.text for part in answer.parts if isinstance(part, Text))
    assert "".join(said.split()) == "".join("".join(texts).split())
    assert [part.text for part in answer.parts if isinstance(part, Reasoning)] in (["r"], ["r", ""])
    assert answer.stop is StopReason.TOOL_CALLS
