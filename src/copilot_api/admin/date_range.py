"""Which stretch of time a page shows: `?range=24h`, or `?since=2026-12-01T00:00&until=2026-12-02T00:00` in UTC."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from copilot_api.admin.forms import Fields
from copilot_api.admin.links import Value, page_url
from copilot_api.errors import BadRequest
from copilot_api.usage.explorer import choose_bucket

CHOICES = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
DEFAULT = "24h"
CUSTOM = "custom"
_LABELS = {"15m": "15 m", "1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d"}
_TYPED = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True, slots=True)
class DateRange:
    """From `since` (in it) to `until` (not in it)."""

    name: str
    """One of `CHOICES`, or `custom`."""
    since: datetime
    until: datetime

    @property
    def span(self) -> timedelta:
        """How long it is."""
        return self.until - self.since

    @property
    def before(self) -> "DateRange":
        """The stretch of the same length just before it, to compare with."""
        return DateRange(CUSTOM, self.since - self.span, self.since)

    def in_buckets(self) -> "DateRange":
        """
        The same with its start moved back to where the first point of its chart begins, unless it was typed: figures
        then add up to the chart beside them, and come out of the rollups alone.
        """
        if self.is_custom:
            return self
        length = timedelta(microseconds=choose_bucket(self.since, self.until).microseconds)
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return replace(self, since=epoch + (self.since - epoch) // length * length)

    @property
    def typed_since(self) -> str:
        """As an `<input type="datetime-local">` takes it, in UTC."""
        return self.since.astimezone(UTC).strftime(_TYPED)

    @property
    def typed_until(self) -> str:
        """The same for the end."""
        return self.until.astimezone(UTC).strftime(_TYPED)

    @property
    def is_custom(self) -> bool:
        """Whether it was typed: then it stands still."""
        return self.name == CUSTOM


@dataclass(frozen=True, slots=True)
class RangeLink:
    """One of the choices, as a link."""

    name: str
    label: str
    href: str
    is_current: bool


def read_range(query: Fields, now: datetime, default: str = DEFAULT) -> DateRange:
    """What the URL asks for. Raises `BadRequest` for a time that cannot be read, or an end before the start."""
    since, until = query.get("since"), query.get("until")
    if since or until:
        end = _parse(until, "until") if until else now
        start = _parse(since, "since") if since else end - CHOICES[default]
        if start >= end:
            raise BadRequest("the range ends before it starts", param="since")
        return DateRange(CUSTOM, start, end)
    name = query.get("range") or default
    if name not in CHOICES:
        raise BadRequest(f"there is no range {name[:40]!r}", param="range", hint=f"one of {', '.join(CHOICES)}")
    return DateRange(name, now - CHOICES[name], now)


def range_links(path: str, fields: Iterable[tuple[str, str]], current: DateRange) -> list[RangeLink]:
    """The choices for a page; all else that it filters by stays, where one was in its list does not."""
    pairs = list(fields)
    return [
        RangeLink(
            name,
            _LABELS[name],
            page_url(path, pairs, range=name, since=None, until=None, after=None, before=None),
            name == current.name,
        )
        for name in CHOICES
    ]


def range_url(period: DateRange, path: str, **fields: Value) -> str:
    """`path` with that range and these fields: the way from one page to another about the same time."""
    if period.is_custom:
        return page_url(path, (), since=period.typed_since, until=period.typed_until, **fields)
    return page_url(path, (), range=period.name, **fields)


def _parse(text: str, name: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{name} is no time", param=name, hint="write it like 2026-12-01T09:30, in UTC") from None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
