"""A rule is searched by its marks, and its pattern is tried only there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.redaction.rule import Rule, find_by_rule, lower

PROPERTY = settings(derandomize=True, deadline=None, database=None)


def found(rule: Rule, text: str) -> list[str]:
    hits = list(find_by_rule(rule, text, lower(text)))
    assert all(text[hit.start : hit.end] == hit.secret for hit in hits)
    return [hit.secret for hit in hits]


def rule(marks: tuple[str, ...], pattern: str, **more: object) -> Rule:
    return Rule("secret", "", "", marks, pattern, **more)  # type: ignore[arg-type]


def test_each_place_of_a_mark_is_tried() -> None:
    assert found(rule(("k-",), "k-[0-9]{3}"), "k-12 k-123k-456 K-789") == ["k-123", "k-456"]


def test_a_rule_may_take_any_case_and_begin_before_its_mark() -> None:
    assert found(rule(("k-",), "k-[0-9]{3}", is_any_case=True), "K-789") == ["K-789"]
    assert found(rule(("-us",), "[0-9]{3}-us", back=3), "-us 123-us") == ["123-us"]


def test_only_the_group_that_matched_is_struck() -> None:
    assert found(rule(("a",), "a=([0-9]+)|ab([0-9]+)"), "a=12 ab34") == ["12", "34"]


def test_a_second_look_may_say_no() -> None:
    assert found(rule(("k",), "k[0-9]+", is_plausible=lambda secret: "7" in secret), "k12 k17") == ["k17"]


@pytest.mark.parametrize("filler", ["xxxxxxxx", "XXXXXXXXXX", "********"])
def test_what_is_filled_in_is_an_example(filler: str) -> None:
    assert found(rule(("k-",), r"k-[\w*]+"), f"k-12{filler}") == []


@settings(PROPERTY)
@given(st.text())
def test_lower_case_has_the_length_of_the_text(text: str) -> None:
    assert len(lower(text)) == len(text)
    assert len(lower("\u0130x")) == 2
