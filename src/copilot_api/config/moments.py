"""
Times as people write them: a length, `90s`, `15m`, `24h`, `30d`, `2w`; or a moment, a date with or without its time.

What a length means, ago or from now on, is for whoever asks.
"""

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"([0-9]{1,8})([smhdw])")
LONGEST = timedelta(days=36_500)


def parse_duration(text: str) -> timedelta | None:
    """A length of time; None for what is none. Raises `OverflowError` for more than a hundred years."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        return None
    duration = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if duration > LONGEST:
        raise OverflowError("longer than a hundred years")
    return duration


def parse_moment(text: str) -> datetime | None:
    """A date, or a date with a time, in UTC where it does not say; None for what is none."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def parse_when(text: str) -> datetime | timedelta | None:
    """The one or the other; None for what is neither. Raises `OverflowError` for more than a hundred years."""
    duration = parse_duration(text)
    return parse_moment(text) if duration is None else duration
