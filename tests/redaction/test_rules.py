"""The table of rules: complete, unambiguous, and each rule with a test of its own."""

import re

import pytest

from copilot_api.redaction.rule import Rule
from copilot_api.redaction.rules import RANKS, RULES, SEARCHED
from copilot_api.redaction.search import PLACEHOLDER
from tests.redaction.samples import SHAPED, assert_struck, make_secret


def test_there_are_more_than_forty_families() -> None:
    assert len(RULES) > 100


def test_names_are_unambiguous_and_fit_a_placeholder() -> None:
    assert len(RANKS) == len(RULES)
    for rule in RULES:
        assert PLACEHOLDER.fullmatch(f"[redacted:{rule.name}:0a1b2c]"), rule.name


@pytest.mark.parametrize("rule", SHAPED, ids=lambda rule: rule.name)
def test_a_rule_strikes_a_secret_of_its_shape(rule: Rule) -> None:
    for seed in range(8):
        assert_struck(rule, make_secret(rule.shape, seed))


@pytest.mark.parametrize("rule", SEARCHED, ids=lambda rule: rule.name)
def test_a_secret_has_one_of_the_marks_where_the_rule_looks_for_it(rule: Rule) -> None:
    for seed in range(8):
        sample = make_secret(rule.shape, seed)
        searched = sample.lower() if rule.is_any_case else sample
        assert any(mark in searched for mark in rule.marks)


@pytest.mark.parametrize("rule", SEARCHED, ids=lambda rule: rule.name)
def test_marks_are_in_the_case_that_is_searched(rule: Rule) -> None:
    assert not rule.is_any_case or all(mark == mark.lower() for mark in rule.marks)


@pytest.mark.parametrize("rule", SEARCHED, ids=lambda rule: rule.name)
def test_a_pattern_repeats_nothing_without_bound(rule: Rule) -> None:
    assert not re.search(r"(?<!\\)[*+](?![*+?\]])(?![^\[]*\])|,\}", rule.pattern), rule.pattern
    assert rule.strikes
