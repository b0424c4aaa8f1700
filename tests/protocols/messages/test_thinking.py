from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import Thinking
from copilot_api.protocols.messages.thinking import ThinkingPlan, effort_of, fit_budget, plan_thinking, takes_budget
from tests.protocols.messages.upstream_events import HAIKU, OPUS, PLAIN, SONNET


def plan(wanted: Thinking | None, traits: ModelTraits, max_tokens: int | None = 64_000, **more: bool) -> ThinkingPlan:
    return plan_thinking(wanted, traits, max_tokens, **{"is_forced": False, "is_unsigned": False, **more})


def enabled(budget: int) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": budget}


def test_who_takes_a_budget() -> None:
    assert [takes_budget(traits) for traits in (HAIKU, SONNET, OPUS, PLAIN)] == [True, True, False, False]


@pytest.mark.parametrize("traits", [HAIKU, SONNET, OPUS, PLAIN])
def test_who_says_nothing_gets_nothing(traits: ModelTraits) -> None:
    assert plan(None, traits) == ThinkingPlan(max_tokens=64_000)


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    for wanted in (
        Thinking(effort="high"),
        Thinking(is_adaptive=True),
        Thinking(budget_tokens=2000),
        Thinking(is_disabled=True),
    ):
        assert plan(wanted, PLAIN) == ThinkingPlan(max_tokens=64_000)


@pytest.mark.parametrize(
    ("wanted", "traits", "thinking", "effort"),
    [
        (Thinking(effort="high"), SONNET, {"type": "adaptive"}, "high"),
        (Thinking(effort="xhigh"), SONNET, {"type": "adaptive"}, "high"),
        (Thinking(effort="max"), SONNET, {"type": "adaptive"}, "max"),
        (Thinking(effort="minimal"), SONNET, {"type": "adaptive"}, "low"),
        (Thinking(effort="nonsense"), SONNET, {"type": "adaptive"}, None),
        (Thinking(is_adaptive=True), SONNET, {"type": "adaptive"}, None),
        (Thinking(is_adaptive=True, is_shown=False), SONNET, {"type": "adaptive", "display": "omitted"}, None),
        (Thinking(effort="low", is_shown=True), SONNET, {"type": "adaptive", "display": "summarized"}, "low"),
        (Thinking(budget_tokens=5000), SONNET, enabled(5000), None),
        (Thinking(budget_tokens=5000, effort="low"), SONNET, {"type": "adaptive"}, "low"),
        (Thinking(budget_tokens=40_000), OPUS, {"type": "adaptive", "display": "summarized"}, "xhigh"),
        (Thinking(budget_tokens=4000, is_shown=False), OPUS, {"type": "adaptive", "display": "omitted"}, "low"),
        (Thinking(effort="medium"), HAIKU, enabled(10_000), None),
        (Thinking(is_adaptive=True), HAIKU, enabled(10_000), None),
        (Thinking(effort="max"), HAIKU, enabled(32_000), None),
        (Thinking(budget_tokens=1), HAIKU, enabled(1024), None),
        (Thinking(is_disabled=True), SONNET, {"type": "disabled"}, None),
        (Thinking(effort="none"), OPUS, {"type": "disabled"}, None),
        (Thinking(is_disabled=True), HAIKU, None, None),
    ],
)  # fmt: skip
def test_pitfall_040_each_model_is_asked_in_its_own_terms(
    wanted: Thinking, traits: ModelTraits, thinking: dict[str, Any] | None, effort: str | None
) -> None:
    assert plan(wanted, traits) == ThinkingPlan(thinking=thinking, effort=effort, max_tokens=64_000)


@pytest.mark.parametrize(
    ("traits", "thinking"), [(HAIKU, None), (SONNET, {"type": "disabled"}), (OPUS, {"type": "disabled"})]
)
def test_pitfall_121_a_forced_tool_goes_without_thinking(traits: ModelTraits, thinking: Any) -> None:
    found = plan(Thinking(effort="high"), traits, is_forced=True)
    assert found == ThinkingPlan(thinking=thinking, max_tokens=64_000)
    assert not found.is_on


def test_pitfall_039_a_tool_turn_that_lost_its_thinking_goes_without_a_budget() -> None:
    wanted = Thinking(budget_tokens=5000)
    assert plan(wanted, HAIKU, is_unsigned=True) == ThinkingPlan(max_tokens=64_000)
    assert plan(wanted, SONNET, is_unsigned=True).is_adaptive
    assert plan(Thinking(effort="low"), OPUS, is_unsigned=True).is_adaptive


def test_the_operators_default_counts_where_the_client_says_nothing() -> None:
    adaptive, budget = replace(SONNET, default_effort="low"), replace(HAIKU, default_effort="low")
    assert plan(None, adaptive) == ThinkingPlan(thinking={"type": "adaptive"}, effort="low", max_tokens=64_000)
    assert plan(None, budget).thinking == enabled(4096)
    assert plan(None, budget, 1000) == ThinkingPlan(max_tokens=1000)
    assert plan(None, adaptive, is_forced=True) == ThinkingPlan(max_tokens=64_000)
    assert plan(Thinking(is_adaptive=True), adaptive).effort == "low"
    assert effort_of(Thinking(effort="max"), adaptive) == "max"


@pytest.mark.parametrize(
    ("budget", "max_tokens", "fitted"),
    [
        (31_999, 32_000, (31_999, 32_000)),
        (5000, None, (5000, None)),
        (5000, 5000, (5000, 6024)),
        (5000, 100, (5000, 6024)),
        (32_000, 1, (32_000, 33_024)),
        (50_000, 60_000, (32_000, 60_000)),
    ],
)
def test_pitfall_035_a_budget_is_below_the_limit(budget: int, max_tokens: int | None, fitted: Any) -> None:
    assert fit_budget(budget, max_tokens, HAIKU) == fitted


def test_where_the_limit_cannot_be_raised_the_budget_is_lowered() -> None:
    small = replace(HAIKU, max_output_tokens=8192)
    assert fit_budget(20_000, 1000, small) == (7168, 8192)
    assert fit_budget(20_000, 4000, small, may_raise=False) == (2976, 4000)
    assert fit_budget(20_000, 1500, small, may_raise=False) == (1499, 1500)
    assert fit_budget(20_000, 1024, small, may_raise=False) == (None, 1024)
    assert fit_budget(20_000, 500, replace(HAIKU, max_output_tokens=None)) == (20_000, 21_024)


THINKINGS = st.builds(
    Thinking, effort=st.none() | st.sampled_from(["none", "minimal", "low", "max", "odd"]),
    budget_tokens=st.none() | st.integers(-5, 10**6), is_disabled=st.booleans(), is_adaptive=st.booleans(),
    is_shown=st.none() | st.booleans(),
)  # fmt: skip


@settings(derandomize=True, deadline=None, database=None)
@given(
    st.none() | THINKINGS,
    st.sampled_from([HAIKU, SONNET, OPUS, PLAIN]),
    st.none() | st.integers(1, 64_000),
    st.booleans(),
    st.booleans(),
)
def test_every_plan_is_one_that_the_model_takes(
    wanted: Thinking | None, traits: ModelTraits, max_tokens: int | None, is_forced: bool, is_unsigned: bool
) -> None:
    found = plan(wanted, traits, max_tokens, is_forced=is_forced, is_unsigned=is_unsigned)
    assert not (found.is_on and is_forced)
    assert found.effort is None or found.effort in traits.efforts
    assert not found.is_adaptive or traits.has_adaptive_thinking
    if found.is_on and not found.is_adaptive:
        assert takes_budget(traits)
        assert found.thinking is not None
        budget = found.thinking["budget_tokens"]
        assert 1024 <= budget <= 32_000
        assert found.max_tokens is None or budget < found.max_tokens <= 65_000
