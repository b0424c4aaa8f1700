"""
Times as pages show them: a `<time>` that says all of it in its title.

The server writes what is true without a script: UTC, to the minute. `static/times.js` makes of it what the reader
chose, UTC or local, and keeps "3 min ago" true while the page stands open.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from markupsafe import Markup, escape

MISSING = "\u2013"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (30 * 86400, 86400, "d"))


def machine_time(value: datetime) -> str:
    """For attributes: `2026-12-01T03:07:12Z`, with milliseconds where there are some."""
    instant = value.astimezone(UTC)
    precision = "milliseconds" if instant.microsecond else "seconds"
    return instant.isoformat(timespec=precision).replace("+00:00", "Z")


def full_time(value: datetime) -> str:
    """For titles: `2026-12-01 03:07:12 UTC`."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def day_time(value: datetime) -> str:
    """For lists and tables: `1 Dec 03:07`."""
    instant = value.astimezone(UTC)
    return f"{instant.day} {_MONTHS[instant.month - 1]} {instant:%H:%M}"


def relative_time(value: datetime, now: datetime) -> str:
    """How long ago or how soon: `just now`, `3 min ago`, `in 2 h`; the date when it is more than a month."""
    away = (value - now).total_seconds()
    size = abs(away)
    if size < 1:
        return "just now"
    for limit, unit, name in _STEPS:
        if size < limit:
            count = int(size // unit)
            return f"in {count} {name}" if away > 0 else f"{count} {name} ago"
    instant = value.astimezone(UTC)
    return f"{instant.day} {_MONTHS[instant.month - 1]} {instant.year}"


def time_element(value: datetime | None, style: str, text: str) -> Markup:
    """`<time>`; `style` is what `static/times.js` makes of it: `relative`, `minute`, `second` or `day`."""
    if value is None:
        return Markup('<span class="muted">{}</span>').format(MISSING)
    # A page of charts has a thousand of them: Markup's own `format` takes ten times as long.
    times = f'datetime="{machine_time(value)}" title="{full_time(value)}"'
    return Markup(f'<time {times} data-time="{escape(style)}">{escape(text)}</time>')  # noqa: S704 -- escaped here


def show_relative(value: datetime | None, now: datetime) -> Markup:
    """`3 min ago`, as an element."""
    return time_element(value, "relative", "" if value is None else relative_time(value, now))


@lru_cache(maxsize=2048)
def show_minute(value: datetime | None) -> Markup:
    """`1 Dec 03:07`, as an element."""
    return time_element(value, "minute", "" if value is None else day_time(value))


def show_second(value: datetime | None) -> Markup:
    """`1 Dec 03:07:12`, as an element: for lists of requests and lines of the audit log."""
    text = "" if value is None else f"{day_time(value)}:{value.astimezone(UTC):%S}"
    return time_element(value, "second", text)


def show_day(value: datetime | None) -> Markup:
    """`1 Dec 2026`, as an element."""
    if value is None:
        return time_element(None, "day", "")
    instant = value.astimezone(UTC)
    return time_element(value, "day", f"{instant.day} {_MONTHS[instant.month - 1]} {instant.year}")


def span_text(span: timedelta) -> str:
    """A length of time in words, by its largest unit: `15 minutes`, `1 hour`, `30 days`."""
    whole = round(span.total_seconds())
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if whole >= unit and whole % unit == 0:
            count = whole // unit
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return "0 seconds"
