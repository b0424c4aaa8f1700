"""
How much a Claude model is to think, in the terms that this very model takes (protocol reference, 9.3).

There are four kinds of them: those that decide by themselves how much (`adaptive`, with an effort) and refuse a budget
of tokens, those that take either, those that take only a budget, and those that do not think at all. A budget stays
below the limit on the output, which counts thinking too.
"""

from typing import Any

import msgspec

from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import Thinking
from copilot_api.protocols.effort import budget_for_effort, clamp, effort_for_budget

_LEAST_BUDGET = 1024
_MOST_BUDGET = 32_000
_ROOM = 1024
"""What is left for the answer itself when the limit is raised for a budget's sake (or the budget lowered)."""


class ThinkingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says: its `thinking` and effort (None: not at all), and its limit on the output."""

    thinking: dict[str, Any] | None = None
    effort: str | None = None
    max_tokens: int | None = None

    @property
    def is_on(self) -> bool:
        """Whether the model will think."""
        return self.thinking is not None and self.thinking["type"] != "disabled"

    @property
    def is_adaptive(self) -> bool:
        """Whether it decides by itself how much."""
        return self.thinking is not None and self.thinking["type"] == "adaptive"


def takes_budget(traits: ModelTraits) -> bool:
    """Whether the model takes a budget of thinking tokens."""
    return traits.max_thinking_budget is not None and not traits.takes_only_adaptive_thinking


def plan_thinking(
    wanted: Thinking | None, traits: ModelTraits, max_tokens: int | None, *, is_forced: bool, is_unsigned: bool
) -> ThinkingPlan:
    """
    What to send for what the client wants.

    `is_forced`: the client forces a tool, which goes with no thinking. `is_unsigned`: the last turn that called a tool
    has lost its thinking, which a budget would demand back (pitfall 39).
    """
    has_adaptive, has_budget = traits.has_adaptive_thinking, takes_budget(traits)
    nothing = ThinkingPlan(max_tokens=max_tokens)
    if not has_adaptive and not has_budget:
        return nothing
    is_default = wanted is None
    if wanted is None:
        if not traits.default_effort:
            return nothing
        wanted = Thinking(effort=traits.default_effort)
    if wanted.is_disabled or wanted.effort == "none" or is_forced:
        # A model that takes only budgets does not think unasked; one that decides by itself may.
        is_told = has_adaptive and not is_default
        return ThinkingPlan(thinking={"type": "disabled"} if is_told else None, max_tokens=max_tokens)
    if has_budget and (not has_adaptive or (wanted.budget_tokens is not None and wanted.effort is None)):
        if not is_unsigned:
            plan = _with_budget(wanted, traits, max_tokens, may_raise=not is_default)
            if plan is not None or not has_adaptive:
                return plan or nothing
        elif not has_adaptive:
            return nothing
    return _adaptive(wanted, traits, max_tokens)


def _adaptive(wanted: Thinking, traits: ModelTraits, max_tokens: int | None) -> ThinkingPlan:
    thinking: dict[str, Any] = {"type": "adaptive"}
    is_shown = wanted.is_shown
    if is_shown is None and traits.takes_only_adaptive_thinking:
        is_shown = True  # the newest models leave the text out unless asked, and then say nothing for minutes
    if is_shown is not None:
        thinking["display"] = "summarized" if is_shown else "omitted"
    return ThinkingPlan(thinking=thinking, effort=effort_of(wanted, traits), max_tokens=max_tokens)


def effort_of(wanted: Thinking, traits: ModelTraits) -> str | None:
    """The effort for a model that takes efforts; None leaves it to the model."""
    effort = wanted.effort
    if effort is None and wanted.budget_tokens is not None:
        effort = effort_for_budget(wanted.budget_tokens)
    effort = effort or traits.default_effort
    return clamp(effort, traits.efforts) if effort else None


def _with_budget(
    wanted: Thinking, traits: ModelTraits, max_tokens: int | None, *, may_raise: bool
) -> ThinkingPlan | None:
    if wanted.effort is None and wanted.budget_tokens is not None:
        budget: int | None = wanted.budget_tokens
    else:
        effort = wanted.effort or traits.default_effort
        budget = budget_for_effort(effort) or budget_for_effort("medium")
    fitted, max_tokens = fit_budget(budget or _LEAST_BUDGET, max_tokens, traits, may_raise=may_raise)
    if fitted is None:
        return None
    return ThinkingPlan(thinking={"type": "enabled", "budget_tokens": fitted}, max_tokens=max_tokens)


def fit_budget(
    budget: int, max_tokens: int | None, traits: ModelTraits, *, may_raise: bool = True
) -> tuple[int | None, int | None]:
    """
    The budget and the limit on the output as the model takes them together: the limit is raised as far as the model
    goes, then the budget lowered; None when there is no room for any.
    """
    least = traits.min_thinking_budget or _LEAST_BUDGET
    budget = max(least, min(budget, traits.max_thinking_budget or _MOST_BUDGET))
    if max_tokens is None or budget < max_tokens:
        return budget, max_tokens
    if may_raise:
        limit = traits.max_output_tokens
        max_tokens = max(max_tokens, budget + _ROOM if limit is None else min(budget + _ROOM, limit))
    if max_tokens - _ROOM >= least:
        return min(budget, max_tokens - _ROOM), max_tokens
    return (max_tokens - 1 if max_tokens > least else None), max_tokens
