"""Histories that no upstream would take, made whole."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from copilot_api.protocols.conversation import Image, Message, Part, Reasoning, Text, ToolCall, ToolResult
from copilot_api.protocols.translation.pairing import EMPTY_CONTENT, EMPTY_RESULT, INTERRUPTED, pair


def call(call_id: str, name: str = "f") -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments="{}")


def result(call_id: str, text: str = "done", *, is_error: bool = False) -> ToolResult:
    return ToolResult(call_id=call_id, parts=(Text(text),) if text else (), is_error=is_error)


def user(*parts: Part | str) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part | str) -> Message:
    return Message("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def test_what_is_already_in_order_stays_as_it_is() -> None:
    messages = (user("hi"), assistant("let me see", call("a"), call("b")), user(result("a"), result("b"), "and?"))
    assert pair(messages) == messages


def test_pitfall_002_results_come_first_then_the_texts_in_order() -> None:
    messages = [user("go"), assistant(call("a")), user("before", result("a"), "after")]
    assert pair(messages)[2] == user(result("a"), "before", "after")


def test_pitfall_006_an_empty_result_still_answers_its_call() -> None:
    found = pair([user("go"), assistant(call("a")), user(result("a", ""))])[2]
    assert found == user(ToolResult(call_id="a", parts=(Text(EMPTY_RESULT),)))


def test_pitfall_009_a_system_message_never_stands_between_calls_and_results() -> None:
    note = Message("system", (Text("be brief"),))
    found = pair([user("go"), assistant(call("a")), note, user(result("a"), "more")])
    assert [message.role for message in found] == ["user", "assistant", "user", "system", "user"]
    assert found[2] == user(result("a"))
    assert found[4] == user("more")


def test_pitfall_029_an_unanswered_call_gets_an_answer_that_says_so() -> None:
    found = pair([user("go"), assistant(call("a"), call("b")), user(result("b"), "next")])
    assert found[2] == user(ToolResult(call_id="a", parts=(Text(INTERRUPTED),), is_error=True), result("b"), "next")


def test_pitfall_029_a_call_at_the_very_end_is_answered_too() -> None:
    found = pair([user("go"), assistant(call("a"))])
    assert found[-1] == user(ToolResult(call_id="a", parts=(Text(INTERRUPTED),), is_error=True))


def test_pitfall_029_an_answer_to_no_call_becomes_the_users_text() -> None:
    found = pair([user(result("ghost", "42"), "go on")])
    assert found == (user("go on", "[result of the tool call ghost] 42"),)


def test_pitfall_030_of_several_answers_the_last_counts() -> None:
    found = pair([user("go"), assistant(call("a")), user(result("a", "one"), result("a", "two"))])
    assert found[2] == user(result("a", "two"))


def test_pitfall_042_consecutive_results_are_one_user_message_with_what_follows() -> None:
    turns = [user("go"), assistant(call("a"), call("b"), call("c"))]
    turns += [user(result(name)) for name in "abc"] + [user("thanks")]
    assert pair(turns)[2] == user(result("a"), result("b"), result("c"), "thanks")


def test_results_are_put_in_the_order_of_their_calls() -> None:
    found = pair([user("go"), assistant(call("a"), call("b")), user(result("b"), result("a"))])
    assert found[2] == user(result("a"), result("b"))


def test_an_answer_before_its_call_is_moved_behind_it() -> None:
    found = pair([user(result("a"), "go"), assistant(call("a")), user("next")])
    assert found == (user("go"), assistant(call("a")), user(result("a"), "next"))


def test_ids_used_again_in_a_later_turn_keep_their_own_answers() -> None:
    turns = [user("1"), assistant(call("x")), user(result("x", "one")), assistant(call("x")), user(result("x", "two"))]
    assert pair(turns) == tuple(turns)


def test_texts_of_nothing_are_left_out_and_messages_of_nothing_say_so() -> None:
    assert pair([user("", "hi", " ")]) == (user("hi"),)
    assert pair([user("")]) == (user(EMPTY_CONTENT),)


def test_reasoning_alone_is_a_turn() -> None:
    turns = (user("hi"), assistant(Reasoning("hm")), user("and?"))
    assert pair(turns) == turns


def test_an_image_in_a_result_is_content() -> None:
    shown = ToolResult(call_id="a", parts=(Image(data="aGk=", media_type="image/png"),))
    assert pair([user("go"), assistant(call("a")), user(shown)])[2] == user(shown)


IDS = st.sampled_from(["a", "b", "c"])
PARTS = st.one_of(
    st.builds(Text, st.sampled_from(["", " ", "x"])),
    st.builds(call, IDS),
    st.builds(result, IDS, st.sampled_from(["", "r"])),
)
MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["user", "assistant", "system"]), st.lists(PARTS, max_size=4).map(tuple)),
    max_size=8,
)


@given(MESSAGES)
def test_whatever_the_history_each_call_has_one_answer_right_behind_it(messages: list[Message]) -> None:
    cleaned = [
        Message(
            m.role,
            tuple(p for p in m.parts if isinstance(p, Text) or (isinstance(p, ToolCall)) == (m.role == "assistant")),
        )
        for m in messages
    ]
    found = pair(cleaned)
    for place, message in enumerate(found):
        assert message.parts
        calls = [part.id for part in message.parts if isinstance(part, ToolCall)]
        after = found[place + 1] if place + 1 < len(found) else user()
        answers = [part.call_id for part in after.parts if isinstance(part, ToolResult)]
        if calls or message.role == "assistant":
            assert answers == calls
    assert all(one.role != other.role for one, other in itertools.pairwise(found))
    assert pair(found) == found
