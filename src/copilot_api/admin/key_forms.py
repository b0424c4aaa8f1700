"""
The form of a key: what was typed, checked field by field, so that every mistake stands beside its own.

What a field may say is for `copilot_api.keys`; here it is told apart which of them said it.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from copilot_api.admin.forms import Fields
from copilot_api.config.budgets import Budget, Unit, Window, parse_budget
from copilot_api.errors import BadRequest
from copilot_api.keys.checks import MAX_BUDGETS, check_times, checked_label, checked_policy
from copilot_api.keys.models import OBSERVABLE, ApiKey, KeyPolicy, Tier
from copilot_api.keys.wishes import resolve_when

EVERY, SOME = "every", "some"
"""Which models: every one, or those that are named."""
SPARE_BUDGETS = 2
"""So many empty lines for budgets are offered below those that there are."""
_NUMBERS = ("rpm", "tpm", "max_in_flight", "weight")
_TIME = "%Y-%m-%dT%H:%MZ"


OBSERVE_LABELS = dict(
    zip(
        OBSERVABLE,
        ("Models", "Networks", "Requests a minute", "Tokens a minute", "Calls at once", "Budgets"),
        strict=True,
    )
)
"""What can be only observed, in words."""


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One line for a budget, as it was typed."""

    unit: str = Unit.CREDITS.value
    window: str = Window.DAY.value
    amount: str = ""
    mode: str = "enforce"


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedKey:
    """The fields of the form as text: what was typed, or what a key says."""

    label: str = ""
    tier: str = Tier.CLIENT.value
    which: str = EVERY
    models: tuple[str, ...] = ()
    other_models: str = ""
    """Names that the form has no box for."""
    cidrs: str = ""
    rpm: str = ""
    tpm: str = ""
    max_in_flight: str = ""
    weight: str = ""
    budgets: tuple[BudgetLine, ...] = ()
    observe: tuple[str, ...] = ()
    not_before: str = ""
    expires_at: str = ""


@dataclass(frozen=True, slots=True)
class ReadKey:
    """What a form asks for; usable where `problems` is empty."""

    typed: TypedKey
    label: str = ""
    tier: Tier = Tier.CLIENT
    policy: KeyPolicy = field(default_factory=KeyPolicy)
    not_before: datetime | None = None
    expires_at: datetime | None = None
    problems: dict[str, str] = field(default_factory=dict[str, str])
    """Why a field will not do, by its name."""


def show_key(key: ApiKey, known_models: Iterable[str]) -> TypedKey:
    """The form as it stands for a key that is there."""
    policy, known = key.policy, set(known_models)
    named = () if "*" in policy.models else policy.models
    return TypedKey(
        label=key.label,
        tier=key.tier.value,
        which=SOME if named else EVERY,
        models=tuple(name for name in named if name in known),
        other_models=", ".join(name for name in named if name not in known),
        cidrs="\n".join(policy.cidrs),
        rpm=_number(policy.rpm),
        tpm=_number(policy.tpm),
        max_in_flight=_number(policy.max_in_flight),
        weight="" if policy.weight == 1 else str(policy.weight),
        budgets=tuple(_show_budget(budget) for budget in policy.budgets),
        observe=policy.observe,
        not_before=_moment(key.not_before),
        expires_at=_moment(key.expires_at),
    )


def offer_budget_lines(typed: TypedKey) -> list[BudgetLine]:
    """The lines of the form: those that there are, and some to fill in."""
    spare = max(0, min(SPARE_BUDGETS, MAX_BUDGETS - len(typed.budgets)))
    return [*typed.budgets, *[BudgetLine()] * spare]


def sign_version(key: ApiKey) -> str:
    """What of a key the form shows, in a word: where it is another one, somebody changed the key meanwhile."""
    shown = repr((key.label, key.policy, key.not_before, key.expires_at))
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def read_key_form(form: Fields, now: datetime, before: ApiKey | None = None) -> ReadKey:
    """
    What was typed, and what it means; `before` is the key that is edited. A time that stands there as it was shown is
    the one that the key has, to the microsecond.
    """
    reading = _Reading(_read_typed(form), now, before)
    reading.read()
    return ReadKey(
        reading.typed,
        reading.label,
        reading.tier,
        reading.policy,
        reading.not_before,
        reading.expires_at,
        reading.problems,
    )


class _Reading:
    """A form while it is read: what is known of the key so far, and what is wrong."""

    def __init__(self, typed: TypedKey, now: datetime, before: ApiKey | None) -> None:
        self.typed = typed
        self.label, self.tier, self.policy = "", Tier.CLIENT, KeyPolicy()
        self.not_before: datetime | None = None
        self.expires_at: datetime | None = None
        self.problems: dict[str, str] = {}
        self._now = now
        self._before = before

    def read(self) -> None:
        """All fields, in the order of the form."""
        typed = self.typed
        with self._noting("label"):
            self.label = checked_label(typed.label)
        if typed.tier in list(Tier):
            self.tier = Tier(typed.tier)
        else:
            self.problems["tier"] = "choose client or admin"
        self._set("models", lambda: _list_models(typed))
        self._set("cidrs", lambda: tuple(_split(typed.cidrs)))
        for name in _NUMBERS:
            if text := getattr(typed, name):
                self._set(name, partial(_parse_number, text))
        self._set("budgets", lambda: _read_budgets(typed.budgets))
        self._set("observe", lambda: typed.observe)
        self._read_times()

    def _set(self, name: str, read: Callable[[], object]) -> None:
        with self._noting(name):
            # Checked alone: of a policy that has other mistakes too, only this one is of this field.
            fields: dict[str, Any] = {name: read()}
            checked = checked_policy(replace(KeyPolicy(), **fields))
            fields[name] = getattr(checked, name)
            self.policy = replace(self.policy, **fields)

    def _read_times(self) -> None:
        with self._noting("not_before"):
            self.not_before = self._read_time("not_before", self.typed.not_before)
        with self._noting("expires_at"):
            self.expires_at = self._read_time("expires_at", self.typed.expires_at)
            before = self._before
            if before is None or (self.not_before, self.expires_at) != (before.not_before, before.expires_at):
                check_times(self._now, self.not_before, self.expires_at)

    def _read_time(self, name: str, text: str) -> datetime | None:
        stored: datetime | None = None if self._before is None else getattr(self._before, name)
        if stored is not None and text == _moment(stored):
            return stored
        return resolve_when(text, self._now, name) if text else None

    @contextmanager
    def _noting(self, name: str) -> Generator[None]:
        try:
            yield
        except BadRequest as error:
            self.problems[name] = f"{error.message} ({error.actual_hint})" if error.actual_hint else error.message


def _read_typed(form: Fields) -> TypedKey:
    return TypedKey(
        label=form.get("label"),
        tier=form.get("tier", Tier.CLIENT.value),
        which=form.get("which", EVERY),
        models=tuple(form.list("models")),
        other_models=form.get("other_models").strip(),
        cidrs=form.get("cidrs").strip(),
        rpm=form.get("rpm").strip(),
        tpm=form.get("tpm").strip(),
        max_in_flight=form.get("max_in_flight").strip(),
        weight=form.get("weight").strip(),
        budgets=_list_budget_lines(form),
        observe=tuple(form.list("observe")),
        not_before=form.get("not_before").strip(),
        expires_at=form.get("expires_at").strip(),
    )


def _list_budget_lines(form: Fields) -> tuple[BudgetLine, ...]:
    """Those with an amount: the others are offers that nobody took."""
    columns = [form.list(f"budget_{name}") for name in ("unit", "window", "amount", "mode")]
    if len({len(column) for column in columns}) != 1:
        raise BadRequest("a budget has a unit, a window, an amount and a mode", param="budgets")
    lines = [BudgetLine(*(each.strip() for each in line)) for line in zip(*columns, strict=True)]
    return tuple(line for line in lines if line.amount)[: MAX_BUDGETS + 1]


def _list_models(typed: TypedKey) -> tuple[str, ...]:
    if typed.which != SOME:
        return ("*",)
    return (*typed.models, *_split(typed.other_models))


def _read_budgets(lines: Sequence[BudgetLine]) -> tuple[Budget, ...]:
    texts = (f"{each.unit}:{each.window}:{each.amount.replace(',', '')}:{each.mode}" for each in lines)
    return tuple(parse_budget(text) for text in texts)


def _parse_number(text: str) -> int:
    digits = text.replace(",", "").replace(" ", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise BadRequest("this is no whole number")
    return int(digits)


def _show_budget(budget: Budget) -> BudgetLine:
    mode = "observe" if budget.is_observed else "enforce"
    return BudgetLine(budget.unit.value, budget.window.value, f"{budget.amount:.15g}", mode)


def _split(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _moment(value: datetime | None) -> str:
    return "" if value is None else value.astimezone(UTC).strftime(_TIME)
