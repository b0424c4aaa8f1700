"""How two answers differ: what they say, what they called, how they ended and what they took."""

import time

from hypothesis import given
from hypothesis import strategies as st

from copilot_api.capture.answer_diff import MAX_DIFF_CHARACTERS, MAX_LINES, diff_answers
from copilot_api.capture.answers import Call, Said
from copilot_api.protocols.base import Usage

USAGE = Usage(input_tokens=5, output_tokens=2)
SAID = Said(status=200, text="one\ntwo\nthree", finish="end", usage=USAGE)


def test_an_answer_does_not_differ_from_itself() -> None:
    diff = diff_answers(SAID, SAID)
    assert (diff.is_same, diff.changes, diff.text, diff.is_cut) == (True, {}, "", False)


def test_texts_are_compared_line_by_line() -> None:
    diff = diff_answers(SAID, Said(status=200, text="one\n2\nthree", finish="end", usage=USAGE))
    assert not diff.is_same
    assert not diff.changes
    assert diff.text.splitlines()[:2] == ["--- before", "+++ after"]
    assert diff.text.splitlines()[3:] == [" one", "-two", "+2", " three"]


def test_reasoning_is_told_apart_from_text() -> None:
    diff = diff_answers(Said(reasoning="hm"), Said(text="hm"))
    assert "-(thought) hm" in diff.text
    assert "+hm" in diff.text


def test_ends_calls_and_usage_are_named_with_what_was_and_what_is() -> None:
    before = Said(status=200, calls=(Call("look", "{}"),), finish="tool_calls", usage=USAGE)
    after = Said(status=429, finish="", error="answered with status 429")
    assert diff_answers(before, after).changes == {
        "status": (200, 429),
        "finish": ("tool_calls", ""),
        "error": ("", "answered with status 429"),
        "calls": ([Call("look", "{}")], []),
        "input_tokens": (5, None),
        "output_tokens": (2, None),
        "cache_read_tokens": (0, None),
        "cache_write_tokens": (0, None),
        "reasoning_tokens": (0, None),
    }


def test_arguments_differ_by_what_they_mean_not_by_how_they_are_written() -> None:
    one, other = Said(calls=(Call("f", '{"a": 1, "b": 2}'),)), Said(calls=(Call("f", '{"b":2,"a":1}'),))
    assert diff_answers(one, other).is_same
    assert not diff_answers(one, Said(calls=(Call("f", "{"),))).is_same


def test_the_same_secret_is_equal_under_another_salt() -> None:
    one = Said(text="key [redacted:github_token:a1b2c3]", calls=(Call("f", '"[redacted:aws:000000]"'),))
    other = Said(text="key [redacted:github_token:ffffff]", calls=(Call("f", '"[redacted:aws:123456]"'),))
    assert diff_answers(one, other).is_same
    assert not diff_answers(one, Said(text="key [redacted:aws:a1b2c3]", calls=one.calls)).is_same


def test_long_answers_are_compared_as_far_as_the_bound() -> None:
    long = Said(text="\n".join(f"line {number}" for number in range(MAX_LINES + 5)))
    diff = diff_answers(long, Said(text="x" * 10_000))
    assert diff.is_cut
    assert len(diff.text) <= MAX_DIFF_CHARACTERS
    assert diff_answers(long, long).is_same
    assert diff_answers(long, long).is_cut


def test_lines_that_are_made_to_be_hard_to_compare_take_no_time() -> None:
    began = time.monotonic()
    diff_answers(Said(text="a\nb\n" * 5_000), Said(text="b\na\nc\n" * 5_000))
    assert time.monotonic() - began < 10


@given(st.text(), st.text())
def test_whatever_they_say_equal_means_same(one: str, other: str) -> None:
    assert diff_answers(Said(text=one), Said(text=one)).is_same
    diff = diff_answers(Said(text=one), Said(text=other))
    assert diff.is_same == (one.splitlines() == other.splitlines())
