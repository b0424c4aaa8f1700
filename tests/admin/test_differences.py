"""What changed between two texts."""

import difflib

from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.differences import diff_lines, read_unified

LINES = st.lists(st.sampled_from(["a", "b", "c", "{", "}"]), max_size=40).map("\n".join)


def test_equal_texts_have_no_lines() -> None:
    assert diff_lines("a\nb", "a\nb\n") == []


def test_what_is_far_from_a_change_is_left_out_and_counted() -> None:
    before = "\n".join(str(number) for number in range(20))
    found = diff_lines(before, before.replace("\n10\n", "\nten\n"))
    assert [(line.kind, line.text) for line in found] == [
        ("gap", "7 unchanged lines"), ("same", "7"), ("same", "8"), ("same", "9"), ("removed", "10"), ("added", "ten"),
        ("same", "11"), ("same", "12"), ("same", "13"), ("gap", "6 unchanged lines"),
    ]  # fmt: skip
    assert [(line.before, line.after) for line in found][4:6] == [(11, None), (None, 11)]


@given(LINES, LINES)
def test_taking_the_old_lines_or_the_new_ones_gives_the_texts_back(before: str, after: str) -> None:
    found = diff_lines(before, after, context=1000)
    if found:
        assert [line.text for line in found if line.kind in {"same", "removed"}] == before.splitlines()
        assert [line.text for line in found if line.kind in {"same", "added"}] == after.splitlines()
    else:
        assert before.splitlines() == after.splitlines()


@given(LINES, LINES)
def test_a_unified_diff_is_read_back(before: str, after: str) -> None:
    old, new = before.splitlines(), after.splitlines()
    found = read_unified("\n".join(difflib.unified_diff(old, new, "before", "after", lineterm="")))
    assert [line for line in found if line.kind != "gap"] == [
        line for line in diff_lines(before, after) if line.kind != "gap"
    ]


def test_a_unified_diff_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    found = read_unified("--- before\n+++ after\n@@ -5,2 +5,2 @@\n same\n--- old\n+n")
    assert [(line.kind, line.text) for line in found] == [
        ("gap", "4 unchanged lines"),
        ("same", "same"),
        ("removed", "-- old"),
        ("added", "n"),
    ]
    assert read_unified("") == []
