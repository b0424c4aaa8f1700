"""The parameters of the ledger's endpoints: each read by its name, and every mistake in them told."""

import base64
import re
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from copilot_api.errors import BadRequest
from copilot_api.usage.explorer import MAX_BUCKETS, Metric, choose_bucket
from copilot_api.usage.filters import FIELDS, EventFilter, parse_filter, parse_time
from copilot_api.usage.queries import Bucket, Dimension
from copilot_api.usage.repository import Position
from copilot_api.usage.totals import DIMENSIONS

USUAL_PERIOD = timedelta(hours=24)
MAX_PARAMETERS = 50
FindKeys = Callable[[str], Sequence[str]]
_GROUPS = {group.value: dimension for group, dimension in DIMENSIONS.items()}
_YES, _NO = ("1", "true", "yes"), ("", "0", "false", "no")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 2200
_MICROSECOND = timedelta(microseconds=1)
_LOST_PLUS = re.compile(r"(T[\d:.]+) (\d\d:?\d\d)")
"""A time with an offset whose plus was not encoded: in a query string it stands for a space."""


class Parameters:
    """The query string, read field by field. One that nobody asked for is a mistake, and so is one that is repeated."""

    def __init__(self, query_string: bytes, now: datetime, find_keys: FindKeys) -> None:
        self._now = now
        self.find_keys = find_keys
        """The ids of the keys that go by a text."""
        self._given = _parse_query(query_string)
        self._read: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are given."""
        return tuple(self._given)

    def text(self, name: str, default: str = "") -> str:
        """A parameter as it is given."""
        self._read.add(name)
        return self._given.get(name, default)

    def check_all_known(self) -> None:
        """Raises `BadRequest` when there are parameters that nobody read."""
        if unknown := sorted(self._given.keys() - self._read):
            name = unknown[0][:100]
            raise BadRequest(
                f"there is no parameter {name!r}", param=name, hint=f"there are {', '.join(sorted(self._read))}"
            )

    def filter(self, *, is_for_sums: bool = False) -> EventFilter:
        """The query in `q`; one for sums may only name what sums are kept by."""
        try:
            found = parse_filter(self.text("q"), self._now, self.find_keys)
        except BadRequest as error:
            error.param = "q"
            raise
        unusable = {each.column for each in found.conditions if is_for_sums and not each.is_of_series}
        if name := next((name for name, field in FIELDS.items() if field.column in unusable), None):
            raise BadRequest(
                f"q: sums cannot be told apart by {name}", param="q", hint="search the events for it: /admin/api/events"
            )
        return found

    def period(self, found: EventFilter) -> tuple[datetime, datetime]:
        """`since` and `until`, and what the query says of them; the last day where nothing does."""
        until = min(filter(None, (self.time("until") or self._now, found.until)))
        self._check_time("until", until)
        given = [at for at in (self.time("since"), found.since) if at is not None]
        since = max(given) if given else until - USUAL_PERIOD
        self._check_time("since", since)
        if since >= until:
            raise BadRequest("since is not before until", param="since")
        return since, until

    def time(self, name: str) -> datetime | None:
        """A point in time, where one is given."""
        text = self.text(name)
        if not text:
            return None
        try:
            return parse_time(_LOST_PLUS.sub(r"\1+\2", text), self._now)
        except BadRequest as error:
            raise BadRequest(f"{name}: {error.message}", param=name, hint=error.actual_hint) from None

    def _check_time(self, name: str, at: datetime) -> None:
        if at < _EPOCH or at.year > _LAST_YEAR:
            raise BadRequest(f"{name}: times are from 1970 to {_LAST_YEAR}", param=name)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of these; the first where nothing is said."""
        text = self.text(name) or choices[0]
        if text not in choices:
            raise _unknown(name, text, f"one of {', '.join(choices)}")
        return text

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number from 1 on."""
        text = self.text(name) or str(default)
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
            raise BadRequest(f"{name} is a number from 1 to {most}, not {text[:100]!r}", param=name)
        return int(text)

    def switch(self, name: str) -> bool:
        """Whether it is on."""
        text = self.text(name).lower()
        if text not in _YES + _NO:
            raise BadRequest(f"{name}: yes or no, not {text[:100]!r}", param=name)
        return text in _YES

    def groups(self) -> tuple[Dimension, ...]:
        """The dimensions in `by`."""
        names = self._names("by", _GROUPS, "one or two of")
        if len(names) > 2 or len(set(names)) < len(names):
            raise BadRequest("by: usage is grouped by one or two different things", param="by")
        return tuple(_GROUPS[name] for name in names)

    def bucket(self, since: datetime, until: datetime) -> Bucket | None:
        """How time is divided: `auto` and nothing suit the period, `none` shows no time."""
        text = self.choice("bucket", ("auto", "none", *Bucket))
        if text != "auto":
            return None if text == "none" else Bucket(text)
        bucket = choose_bucket(since, until)
        is_too_long = until - since > MAX_BUCKETS * timedelta(microseconds=bucket.microseconds)
        return None if is_too_long else bucket

    def metrics(self) -> tuple[Metric, ...]:
        """What is shown over time; groups are ordered by the first."""
        names = self._names("metric", Metric, "some of") or [Metric.REQUESTS.value]
        return tuple(Metric(name) for name in dict.fromkeys(names))

    def _names(self, name: str, known: Iterable[str], which: str) -> list[str]:
        names, choices = [each for each in self.text(name).split(",") if each], list(known)
        if unknown := next((each for each in names if each not in choices), None):
            raise _unknown(name, unknown, f"{which} {', '.join(choices)}")
        return names

    def position(self, name: str, until: datetime) -> Position | None:
        """Where the page before ended, as its `next` said it; a place behind the period is none."""
        text = self.text(name)
        if not text:
            return None
        position = parse_position(text)
        if position is None:
            hint = "take what `next` says, as it is"
            raise BadRequest(f"{name}: this is no place in the ledger", param=name, hint=hint)
        return position if position.at < (until - _EPOCH) // _MICROSECOND else None


def _parse_query(query_string: bytes) -> dict[str, str]:
    try:
        given = urllib.parse.parse_qsl(
            query_string.decode(), keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict"
        )
    except UnicodeDecodeError:
        raise BadRequest("the query string is not UTF-8") from None
    except ValueError:
        raise BadRequest(f"there are more than {MAX_PARAMETERS} parameters") from None
    values: dict[str, str] = {}
    for name, value in given:
        if name in values:
            raise BadRequest(f"the parameter {name[:100]!r} is given twice", param=name[:100])
        values[name] = value
    return values


def _unknown(name: str, text: str, hint: str) -> BadRequest:
    return BadRequest(f"{name}: there is no {text[:100]!r}", param=name, hint=hint)


def parse_position(text: str) -> Position | None:
    """The place that such a text names, see `render_position`; None for one that names none."""
    if not re.fullmatch("[A-Za-z0-9_-]+={0,2}", text):
        return None  # the decoder would pass over what is not of its alphabet
    try:
        decoded = base64.urlsafe_b64decode(text.rstrip("=") + "==").decode()
    except ValueError:
        return None
    parts = re.fullmatch(r"([0-9]{1,17})\.([^\0]*)", decoded)
    return None if parts is None else Position(int(parts[1]), parts[2])


def render_position(position: Position) -> str:
    """A place in the ledger, for `after`."""
    return base64.urlsafe_b64encode(f"{position.at}.{position.request_id}".encode()).decode().rstrip("=")


def render_moment(position: Position) -> str:
    """The time of a place in the ledger."""
    return (_EPOCH + timedelta(microseconds=position.at)).isoformat()
