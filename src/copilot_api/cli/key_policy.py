"""The flags of `keys create` and `keys update` that say what a key may do, and what they make of its policy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from copilot_api.cli.options import FUTURE_MOMENT, NAMES, Cleared, OrNoneType, list_option, option, resolve_future
from copilot_api.config.budgets import Budget, Unit, Window, parse_budget
from copilot_api.errors import BadRequest
from copilot_api.keys.models import OBSERVABLE, KeyPolicy

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

_NONE = Cleared.CLEARED.value
_BUDGET_HELP = (
    "So much in each window, such as credits:day:50; repeat it for more."
    f" Units: {', '.join(Unit)}. Windows, in UTC: {', '.join(Window)}."
    " With :observe behind it, going over it is only noted."
)
_OBSERVE_HELP = "Enforce none of the key's limits, budgets and scopes: note what would be refused, and let it through."
_ENFORCE_HELP = "Enforce all of it again, but for a budget that has its own :observe."


@dataclass(frozen=True, slots=True)
class BudgetEdit:
    """What a `--budget` asks for: a new budget, or to take one away, or all of them."""

    name: str
    """The unit and window that it is about, or `none`."""
    budget: Budget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFlags:
    """What was asked for; None, or nothing in a tuple, where nothing was."""

    models: tuple[str, ...] | None = None
    cidr: tuple[str | Cleared, ...] = ()
    rpm: int | Cleared | None = None
    tpm: int | Cleared | None = None
    max_in_flight: int | Cleared | None = None
    weight: int | None = None
    budget: tuple[BudgetEdit, ...] = ()
    observe: bool = False
    observe_only: tuple[str, ...] | None = None
    enforce: bool = False
    not_before: datetime | timedelta | Cleared | None = None
    expires: datetime | timedelta | Cleared | None = None

    def __post_init__(self) -> None:
        """Raises a usage error for flags that do not go together."""
        modes = {"--observe": self.observe, "--observe-only": self.observe_only, "--enforce": self.enforce}
        given = [flag for flag, value in modes.items() if value]
        if len(given) > 1:
            raise click.UsageError(f"{' and '.join(given)} exclude each other")
        if Cleared.CLEARED in self.cidr and len(self.cidr) > 1:
            raise click.UsageError("'--cidr none' takes all networks away, and goes with no other --cidr")
        names = [edit.name for edit in self.budget]
        if twice := [name for name in names if names.count(name) > 1]:
            raise click.UsageError(f"--budget is given twice for {twice[0]}")

    def edit(self, policy: KeyPolicy) -> KeyPolicy:
        """The policy with all that was asked for; see `PolicyEdit`."""
        return replace(
            policy,
            models=self.models or policy.models,
            cidrs=tuple(cidr for cidr in self.cidr if isinstance(cidr, str)) if self.cidr else policy.cidrs,
            rpm=_edited(policy.rpm, self.rpm),
            tpm=_edited(policy.tpm, self.tpm),
            max_in_flight=_edited(policy.max_in_flight, self.max_in_flight),
            weight=policy.weight if self.weight is None else self.weight,
            budgets=_edited_budgets(policy.budgets, self.budget),
            observe=self._edited_observe(policy.observe),
        )

    def _edited_observe(self, observe: tuple[str, ...]) -> tuple[str, ...]:
        if self.observe:
            return ("*",)
        if self.enforce:
            return ()
        return tuple(name.replace("-", "_") for name in self.observe_only) if self.observe_only else observe


def policy_options(*, is_update: bool) -> Callable[[_Decorated], _Decorated]:
    """The flags of `KeyFlags`. In an update `none` takes away what was set, and what has no flag stays as it is."""
    number, moment = (OrNoneType(click.INT), OrNoneType(FUTURE_MOMENT)) if is_update else (click.INT, FUTURE_MOMENT)
    or_none = "|none" if is_update else ""

    def default(text: str) -> str:
        return "" if is_update else f"  [default: {text}]"

    flags = [
        option(
            "--models", type=NAMES, help=f"The models it may use, as clients call them; * is every model.{default('*')}"
        ),
        list_option(
            "--cidr",
            parse=_parse_network if is_update else str,
            metavar=f"NETWORK{or_none}",
            help="A network such as 10.0.0.0/8, or an address, that it may be used from; repeat it for more."
            f"{' They replace those it had.' if is_update else default('everywhere')}",
        ),
        option("--rpm", type=number, metavar=f"N{or_none}", help="Requests in any 60 seconds."),
        option("--tpm", type=number, metavar=f"N{or_none}", help="Tokens in any 60 seconds, input and output."),
        option("--max-in-flight", type=number, metavar=f"N{or_none}", help="Calls at the same time."),
        option(
            "--weight",
            type=click.INT,
            metavar="N",
            help=f"Its share where calls have to wait, from 1 to 100, against the weights of others.{default('1')}",
        ),
        list_option(
            "--budget",
            parse=_parse_edit if is_update else _parse_new,
            metavar="UNIT:WINDOW:AMOUNT",
            help=f"{_BUDGET_HELP} UNIT:WINDOW:none takes one away, none all of them." if is_update else _BUDGET_HELP,
        ),
        option("--observe", is_flag=True, help=_OBSERVE_HELP),
        option(
            "--observe-only",
            type=NAMES,
            help=f"The same for these, and enforce the rest: {', '.join(OBSERVABLE)}.",
        ),
        *([option("--enforce", is_flag=True, help=_ENFORCE_HELP)] if is_update else []),
        option(
            "--not-before",
            type=moment,
            metavar=f"DURATION|DATE{or_none}",
            help=f"From when on it is valid: in how long, such as 2h, or a date.{default('at once')}",
        ),
        option(
            "--expires",
            type=moment,
            metavar=f"DURATION|DATE{or_none}",
            help=f"Until when it is valid: for how long, such as 30d, or a date.{default('for ever')}",
        ),
    ]

    def decorate(function: _Decorated) -> _Decorated:
        for flag in reversed(flags):
            function = flag(function)
        return function

    return decorate


def resolve_time(given: datetime | timedelta | Cleared | None, now: datetime) -> datetime | None:
    """The time that a flag gave, or None."""
    return None if given is None or isinstance(given, Cleared) else resolve_future(given, now)


def _edited(value: int | None, given: int | Cleared | None) -> int | None:
    if given is None:
        return value
    return None if isinstance(given, Cleared) else given


def _parse_network(text: str) -> str | Cleared:
    return Cleared.CLEARED if text.lower() == _NONE else text


def _edited_budgets(budgets: Sequence[Budget], edits: Sequence[BudgetEdit]) -> tuple[Budget, ...]:
    """Each in its place, new ones behind."""
    edited = {} if any(edit.name == _NONE for edit in edits) else {budget.name: budget for budget in budgets}
    for edit in edits:
        if edit.budget is not None:
            edited[edit.name] = edit.budget
        else:
            edited.pop(edit.name, None)
    return tuple(edited.values())


def _parse_new(text: str) -> BudgetEdit:
    budget = parse_budget(text)
    return BudgetEdit(budget.name, budget)


def _parse_edit(text: str) -> BudgetEdit:
    if text.lower() == _NONE:
        return BudgetEdit(_NONE)
    head, _, last = text.lower().rpartition(":")
    if last.strip() != _NONE:
        return _parse_new(text)
    try:
        return BudgetEdit(parse_budget(f"{head}:1").name)
    except BadRequest as error:
        raise BadRequest(f"this is no budget: {text[:80]!a}", hint=error.actual_hint) from None
