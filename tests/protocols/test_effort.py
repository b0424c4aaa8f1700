"""Efforts and budgets, each in terms of the other."""

import pytest

from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import Thinking
from copilot_api.protocols.effort import budget_for_effort, clamp, effort_for, effort_for_budget


def test_pitfall_021_a_budget_is_clamped_to_what_the_model_lists() -> None:
    traits = ModelTraits(id="m", efforts=("low", "medium"))
    assert effort_for(Thinking(budget_tokens=31_999), traits) == "medium"
    assert effort_for(Thinking(budget_tokens=31_999), ModelTraits(id="m", efforts=("xhigh",))) == "xhigh"


def test_pitfall_022_an_effort_that_is_listed_stays() -> None:
    assert clamp("max", ("low", "max")) == "max"
    assert clamp("xhigh", ("low", "xhigh", "max")) == "xhigh"


@pytest.mark.parametrize(
    ("effort", "listed", "found"),
    [
        ("max", ("low", "medium", "high"), "high"),
        ("minimal", ("low", "high"), "low"),
        ("none", ("low", "high"), "low"),
        ("none", ("none", "high"), "none"),
        ("medium", (), None),
        ("enormous", ("low",), None),
        ("special", ("special",), "special"),
        ("high", ("strange",), None),
    ],
)
def test_the_next_lower_effort_else_the_lowest(effort: str, listed: tuple[str, ...], found: str | None) -> None:
    assert clamp(effort, listed) == found


def test_pitfall_023_thinking_that_is_off_never_becomes_the_default() -> None:
    traits = ModelTraits(id="m", efforts=("low", "medium", "high"), default_effort="high")
    assert effort_for(Thinking(is_disabled=True), traits) == "low"
    assert effort_for(Thinking(is_disabled=True), ModelTraits(id="m", default_effort="high")) is None


def test_what_the_client_said_counts_before_the_default() -> None:
    traits = ModelTraits(id="m", efforts=("low", "medium", "high"), default_effort="high")
    assert effort_for(None, traits) == "high"
    assert effort_for(Thinking(), traits) == "high"
    assert effort_for(Thinking(effort="low", budget_tokens=99_999), traits) == "low"
    assert effort_for(Thinking(budget_tokens=1000), traits) == "low"
    assert effort_for(Thinking(is_adaptive=True), ModelTraits(id="m", efforts=("low", "medium"))) == "medium"
    assert effort_for(None, ModelTraits(id="m", efforts=("low",))) is None


def test_budgets_and_efforts() -> None:
    assert [effort_for_budget(n) for n in (1024, 4096, 4097, 16_384, 32_768, 32_769)] == [
        "low", "low", "medium", "medium", "high", "xhigh",
    ]  # fmt: skip
    assert budget_for_effort("low") == 4096
    assert budget_for_effort("none") is None
