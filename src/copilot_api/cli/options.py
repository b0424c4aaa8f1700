"""Flags, alike in all commands: each is also an environment variable; times and lists are written one way."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from itertools import chain
from typing import Any, Generic, TypeVar

import click

from copilot_api.config.moments import parse_duration, parse_when

_Value = TypeVar("_Value")
_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)


def option(*names: str, variables: Sequence[str] = (), **settings: Any) -> Callable[[_Decorated], _Decorated]:
    """A flag that COPILOT_API_<FLAG> also sets, as may further `variables`; for the rest see `click.option`."""
    flag = next(name for name in names if name.startswith("--")).partition("/")[0]
    variable = "COPILOT_API_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(*names, envvar=[variable, *variables], show_envvar=True, **settings)


def list_option(*names: str, parse: Callable[[str], _Value], **settings: Any) -> Callable[[_Decorated], _Decorated]:
    """
    A flag that may be given again and again, each time with several values between commas, as in its variable.

    The argument is a tuple, empty where nothing was given.
    """

    def flatten(_context: click.Context, _parameter: click.Parameter, values: Sequence[Sequence[_Value]]) -> object:
        return tuple(chain.from_iterable(values))

    return option(*names, type=_ListType(parse), multiple=True, callback=flatten, **settings)


def json_option(function: _Decorated) -> _Decorated:
    """The flag --json, as the argument `as_json`."""
    return option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(function)


class DurationType(click.ParamType[timedelta]):
    """A length of time: 90s, 15m, 24h, 30d, 2w."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """See `click.ParamType`."""
        if isinstance(value, timedelta):
            return value
        try:
            duration = parse_duration(str(value))
        except OverflowError as error:
            self.fail(f"{value!r} is {error}", param, ctx)
        if duration is None:
            self.fail(f"{value!r} is not a duration: write 90s, 15m, 24h, 30d or 2w", param, ctx)
        return duration


class MomentType(click.ParamType[datetime | timedelta]):
    """
    A point in time: a date, a date with a time, or a duration. Without an offset it is UTC.

    What the duration means is said by `direction`: "ago" or "from now".
    """

    name = "moment"

    def __init__(self, direction: str) -> None:
        self._direction = direction

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        """See `click.ParamType`; a duration stays one, for `resolve_moment` or `resolve_future`."""
        if isinstance(value, datetime | timedelta):
            return value
        try:
            found = parse_when(str(value))
        except OverflowError as error:
            self.fail(f"{value!r} is {error}", param, ctx)
        if found is None:
            self.fail(
                f"{value!r} is no moment: write 24h ({self._direction}), 2026-07-01 or 2026-07-01T12:00:00Z", param, ctx
            )
        return found


class NamesType(click.ParamType[tuple[str, ...]]):
    """Several names with commas between them."""

    name = "a,b,…"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """See `click.ParamType`."""
        names = tuple(name.strip() for name in str(value).split(",") if name.strip())
        if not names:
            self.fail("name at least one, with commas between several", param, ctx)
        return names


class Cleared(Enum):
    """What the word `none` says of a value: that there is to be none."""

    CLEARED = "none"


class OrNoneType(click.ParamType[_Value | Cleared], Generic[_Value]):
    """What another type takes, or `none`."""

    def __init__(self, of: click.ParamType[_Value]) -> None:
        self._of = of
        self.name = f"{of.name}|none"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> _Value | Cleared:
        """See `click.ParamType`."""
        if isinstance(value, Cleared) or str(value).strip().lower() == Cleared.CLEARED.value:
            return Cleared.CLEARED
        return self._of.convert(value, param, ctx)


class _ListType(click.ParamType[tuple[_Value, ...]], Generic[_Value]):
    """See `list_option`."""

    name = "list"

    def __init__(self, parse: Callable[[str], _Value]) -> None:
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[_Value, ...]:
        """See `click.ParamType`."""
        return tuple(self._parse(text) for text in NAMES.convert(value, param, ctx))

    def split_envvar_value(self, rv: str) -> list[str]:
        """See `click.ParamType`, which would split a variable at its spaces: `convert` splits it at commas."""
        return [rv]


DURATION = DurationType()
MOMENT = MomentType("ago")
FUTURE_MOMENT = MomentType("from now")
NAMES = NamesType()


def resolve_moment(moment: datetime | timedelta, now: datetime) -> datetime:
    """The moment itself, where it was given as how long before `now`."""
    return now - moment if isinstance(moment, timedelta) else moment


def resolve_future(moment: datetime | timedelta, now: datetime) -> datetime:
    """The moment itself, where it was given as how long after `now`."""
    return now + moment if isinstance(moment, timedelta) else moment
