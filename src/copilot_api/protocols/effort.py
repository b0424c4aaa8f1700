"""How much a model thinks: efforts and budgets of tokens, each in terms of the other, within what a model takes."""

from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import Thinking

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Every effort that any vendor names, from the least to the most."""

_BUDGET_LIMITS = ((4096, "low"), (16_384, "medium"), (32_768, "high"))
_BUDGETS = {"minimal": 1024, "low": 4096, "medium": 10_000, "high": 32_000, "xhigh": 48_000, "max": 64_000}


def clamp(effort: str, listed: tuple[str, ...]) -> str | None:
    """
    The effort that a model which lists `listed` takes for `effort`: the same, else the next lower one, else its lowest.
    None when it lists none, or when the effort is not one that anybody knows.
    """
    if effort in listed:
        return effort
    if not listed or effort not in EFFORTS:
        return None
    wanted = EFFORTS.index(effort)
    ranked = sorted((name for name in listed if name in EFFORTS), key=EFFORTS.index)
    lower = [name for name in ranked if EFFORTS.index(name) < wanted]
    return lower[-1] if lower else (ranked[0] if ranked else None)


def effort_for_budget(budget_tokens: int) -> str:
    """The effort that a budget of so many tokens amounts to."""
    return next((effort for limit, effort in _BUDGET_LIMITS if budget_tokens <= limit), "xhigh")


def budget_for_effort(effort: str) -> int | None:
    """The budget that an effort amounts to; None for no thinking."""
    return _BUDGETS.get(effort)


def effort_for(thinking: Thinking | None, traits: ModelTraits) -> str | None:
    """
    The effort to ask of a model that takes efforts, already clamped to its list; None to ask nothing.

    What the client said outright counts before its budget, and that before the gateway's default for the model.
    """
    wanted = traits.default_effort or None
    if thinking is not None:
        if thinking.is_disabled:
            wanted = "none"
        elif thinking.effort is not None:
            wanted = thinking.effort
        elif thinking.budget_tokens is not None:
            wanted = effort_for_budget(thinking.budget_tokens)
        elif thinking.is_adaptive:
            wanted = wanted or "medium"
    return None if wanted is None else clamp(wanted, traits.efforts)
