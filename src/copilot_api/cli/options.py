"""Flags, alike in all commands: each is also an environment variable; durations and moments are written one way."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"([0-9]{1,8})([smhdw])")
_LONGEST = timedelta(days=36_500)


def option(*names: str, variables: Sequence[str] = (), **settings: Any) -> Callable[[_Decorated], _Decorated]:
    """A flag that COPILOT_API_<FLAG> also sets, as may further `variables`; for the rest see `click.option`."""
    flag = next(name for name in names if name.startswith("--")).partition("/")[0]
    variable = "COPILOT_API_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(*names, envvar=[variable, *variables], show_envvar=True, **settings)


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
        if not (match := _DURATION.fullmatch(str(value).strip().lower())):
            self.fail(f"{value!r} is not a duration: write 90s, 15m, 24h, 30d or 2w", param, ctx)
        duration = timedelta(**{_UNITS[match[2]]: int(match[1])})
        if duration > _LONGEST:
            self.fail(f"{value!r} is longer than a hundred years", param, ctx)
        return duration


class MomentType(click.ParamType[datetime | timedelta]):
    """A point in time: a date, a date with a time, or how long ago. Without an offset it is UTC."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        """See `click.ParamType`; how long ago stays a duration, for `resolve_moment`."""
        if isinstance(value, datetime | timedelta):
            return value
        text = str(value).strip()
        if _DURATION.fullmatch(text.lower()):
            return DURATION.convert(text, param, ctx)
        try:
            moment = datetime.fromisoformat(text)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no moment: write 24h (ago), 2026-07-01 or 2026-07-01T12:00:00Z", param, ctx)


class NamesType(click.ParamType[tuple[str, ...]]):
    """Several names with commas between them."""

    name = "a,b,…"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """See `click.ParamType`."""
        names = tuple(name.strip() for name in str(value).split(",") if name.strip())
        if not names:
            self.fail("name at least one, with commas between several", param, ctx)
        return names


DURATION = DurationType()
MOMENT = MomentType()
NAMES = NamesType()


def resolve_moment(moment: datetime | timedelta, now: datetime) -> datetime:
    """The moment itself, where it was given as how long before `now`."""
    return now - moment if isinstance(moment, timedelta) else moment
