"""What the target does not know, made of what it does."""

from hypothesis import given
from hypothesis import strategies as st

from copilot_api.protocols.conversation import (
    Finished,
    StopReason,
    StreamEvent,
    TextDelta,
    ToolDelta,
    ToolEnd,
    ToolStart,
)
from copilot_api.protocols.translation.shims import (
    JSON_TOOL,
    CustomTools,
    ForcedJson,
    OriginalNames,
    Shim,
    StopSequences,
    unwrap_input,
)
from copilot_api.protocols.translation.tool_names import ToolNames


def through(shim: Shim, *events: StreamEvent) -> list[StreamEvent]:
    return [out for event in events for out in shim.feed(event)]


def test_the_client_sees_its_own_names() -> None:
    names = ToolNames(["a b"], 64)
    assert through(OriginalNames(names), ToolStart("1", names.sent("a b")))[0] == ToolStart("1", "a b")


def test_pitfall_046_a_custom_tools_input_comes_back_as_bare_text() -> None:
    patch = "*** Begin Patch\n+x\n"
    wrapped = ['{"inp', 'ut":"*** Begin Patch\\n+x\\n"}']
    events: list[StreamEvent] = [
        ToolStart("1", "apply_patch"),
        *map(ToolDelta, wrapped),
        ToolEnd(),
        ToolStart("2", "other"),
        ToolDelta("{}"),
        ToolEnd(),
    ]
    assert through(CustomTools(frozenset({"apply_patch"})), *events) == [
        ToolStart("1", "apply_patch", is_custom=True),
        ToolDelta(patch),
        ToolEnd(),
        ToolStart("2", "other"),
        ToolDelta("{}"),
        ToolEnd(),
    ]


def test_input_that_is_not_wrapped_is_taken_as_it_is() -> None:
    assert unwrap_input('{"input":"x"}') == "x"
    assert unwrap_input('"x"') == "x"
    assert unwrap_input("not json") == "not json"
    assert unwrap_input('{"other":1}') == '{"other":1}'


def test_forced_json_is_the_text_and_says_nothing_of_a_tool() -> None:
    events: list[StreamEvent] = [
        TextDelta("Sure:"),
        ToolStart("1", JSON_TOOL),
        ToolDelta('{"a"'),
        ToolDelta(":1}"),
        ToolEnd(),
        Finished(StopReason.TOOL_CALLS),
    ]
    assert through(ForcedJson(), *events) == [TextDelta('{"a"'), TextDelta(":1}"), Finished(StopReason.END)]


def test_pitfall_018_a_stop_sequence_ends_the_answer_also_over_two_deltas() -> None:
    found = through(
        StopSequences(("STOP",)), TextDelta("one ST"), TextDelta("OP two"), TextDelta("more"), Finished(StopReason.END)
    )
    assert found == [TextDelta("one "), Finished(StopReason.STOP_SEQUENCE, stop_sequence="STOP")]


def test_what_only_looked_like_a_stop_sequence_is_handed_out() -> None:
    found = through(
        StopSequences(("STOP",)), TextDelta("ST"), TextDelta("AND"), TextDelta("S"), Finished(StopReason.END)
    )
    assert found == [TextDelta("STAND"), TextDelta("S"), Finished(StopReason.END)]


def test_of_several_sequences_the_one_that_is_complete_first_counts_and_the_longest_there() -> None:
    found = through(StopSequences(("bca", "c", "bc", "a")), TextDelta("xxbca"))
    assert found == [TextDelta("xx"), Finished(StopReason.STOP_SEQUENCE, stop_sequence="bc")]


def test_what_comes_behind_a_complete_sequence_does_not_matter() -> None:
    stops = StopSequences(("S", "bSb"))
    assert through(stops, TextDelta("bSb")) == [TextDelta("b"), Finished(StopReason.STOP_SEQUENCE, stop_sequence="S")]


@given(
    st.lists(st.text("abS", max_size=4), max_size=12),
    st.lists(st.text("abS", min_size=1, max_size=3), min_size=1, max_size=3),
)
def test_the_text_before_the_first_stop_is_what_arrives(pieces: list[str], stops: list[str]) -> None:
    """However the text is cut into deltas."""
    events: list[StreamEvent] = [TextDelta(piece) for piece in pieces if piece]
    found = through(StopSequences(tuple(stops)), *events, Finished(StopReason.END))
    text, got = "".join(pieces), "".join(event.text for event in found if isinstance(event, TextDelta))
    # A model stops where the first of them is complete, and of those that end there the longest counts.
    ends = [(place + len(stop), place) for stop in stops if (place := text.find(stop)) >= 0]
    assert got == (text[: min(ends)[1]] if ends else text)
    assert isinstance(found[-1], Finished)
    assert sum(isinstance(event, Finished) for event in found) == 1
