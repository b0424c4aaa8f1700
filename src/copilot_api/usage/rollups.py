"""
Rollups: the ledger's events summed up by hour and by day, so that no question about weeks has to look at millions.

A rollup is what one *series* counted in one *span* of time. A series is a combination of dimensions (who, what, how it
ended). It exists at several *grains*, each with some of the dimensions, so that a question that does not care who
called does not have to add up everybody. `DIMENSIONS_OF` says which grain has what.

Hours are kept from the first event on, in the transaction that stores the events. Days are made of hours once they are
over (they are *closed*), at more grains; what comes late for a closed day is added to both.

Everything that is counted is a whole number, millionths of a request or microseconds where it must be: sums of
fractions depend on their order, and rollups are to be exactly what the events say. Numbers that no call can have are
cut to what is possible, so that one absurd answer spoils no sum.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from itertools import islice
from math import isfinite, isnan
from operator import add
from typing import Any, NamedTuple

from copilot_api.usage import histogram
from copilot_api.usage.models import Cause

HOUR, DAY = 3600, 86_400
"""The spans, in seconds."""
SPANS = (HOUR, DAY)
MICROSECONDS = 1_000_000
_HOUR, _DAY = HOUR * MICROSECONDS, DAY * MICROSECONDS

DIMENSIONS = (
    "key_id",
    "identity_id",
    "client",
    "endpoint",
    "model",
    "upstream_model",
    "status",
    "cause",
    "kind",
    "usage_unknown",
)

COUNTERS = (
    "requests",
    "errors",
    "would_limit",
    "unknown",
    "charged",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "estimated_tokens",
    "nano_aiu",
    "estimated_nano_aiu",
    "micro_premium_requests",
    "queue_microseconds",
    "duration_microseconds",
    "first_token_microseconds",
    "bytes_in",
    "bytes_out",
)
HISTOGRAMS = ("durations", "first_tokens")
"""How long calls took that went upstream, and how long it was until their first token."""

_WIDTH = len(COUNTERS)
_NO_ERROR = {Cause.OK.value, Cause.CLIENT_ABORTED.value}
MOST_OF_A_CALL = 10**15
_MOST_OF_A_ROLLUP = 2**53
"""A thousand of the largest rollups can still be added up in 63 bits."""
_CANNOT_BE_MORE = _MOST_OF_A_ROLLUP // MOST_OF_A_CALL
"""So few calls cannot come to more than that."""
_PORTION = 5000
"""How many events are rolled up at once."""


class Grain(IntEnum):
    """Which dimensions a series has."""

    CALL = 0
    ALL_KEYS = 1
    KEY = 2
    KEY_MODEL = 3
    KEY_OUTCOME = 4
    KEY_PROGRAM = 5
    TOTAL = 6
    MODEL = 7


DIMENSIONS_OF: dict[Grain, frozenset[str]] = {
    Grain.TOTAL: frozenset(),
    Grain.MODEL: frozenset({"model", "upstream_model", "identity_id"}),
    Grain.ALL_KEYS: frozenset(DIMENSIONS) - {"key_id"},
    Grain.KEY: frozenset({"key_id"}),
    Grain.KEY_MODEL: frozenset({"key_id", "model", "upstream_model", "identity_id"}),
    Grain.KEY_OUTCOME: frozenset({"key_id", "status", "cause"}),
    Grain.KEY_PROGRAM: frozenset({"key_id", "client", "endpoint", "kind"}),
    Grain.CALL: frozenset(DIMENSIONS),
}
"""What each grain has, the cheapest to ask first."""

GRAINS_OF: dict[int, tuple[Grain, ...]] = {
    HOUR: (Grain.CALL, Grain.ALL_KEYS, Grain.KEY, Grain.MODEL, Grain.TOTAL),
    DAY: tuple(Grain),
}
"""The grains that are kept of each span."""


class Series(NamedTuple):
    """One combination of dimensions; those that its grain does not have are None."""

    grain: int
    key_id: str | None = None
    identity_id: str | None = None
    client: str | None = None
    endpoint: str | None = None
    model: str | None = None
    upstream_model: str | None = None
    status: int | None = None
    cause: str | None = None
    kind: str | None = None
    usage_unknown: bool | None = None

    def at(self, grain: Grain) -> "Series":
        """The series of that grain that counts what this one does, which is of a finer grain."""
        match grain:
            case Grain.CALL:
                return self
            case Grain.ALL_KEYS:
                return Series(grain, None, *self[2:])
            case Grain.KEY:
                return Series(grain, self.key_id)
            case Grain.KEY_MODEL:
                identity, model, upstream = self.identity_id, self.model, self.upstream_model
                return Series(grain, self.key_id, identity, model=model, upstream_model=upstream)
            case Grain.KEY_OUTCOME:
                return Series(grain, self.key_id, status=self.status, cause=self.cause)
            case Grain.KEY_PROGRAM:
                return Series(grain, self.key_id, client=self.client, endpoint=self.endpoint, kind=self.kind)
            case Grain.TOTAL:
                return Series(grain)
            case Grain.MODEL:
                return Series(grain, identity_id=self.identity_id, model=self.model, upstream_model=self.upstream_model)


class Place(NamedTuple):
    """What one rollup is about. `start` is in microseconds since 1970 in UTC, like the times of the ledger."""

    span: int
    start: int
    series: Series


Sums = list[int]
"""The counters in the order of `COUNTERS`, then the histograms in that of `HISTOGRAMS`."""


class RolledEvent(NamedTuple):
    """What of an event a rollup counts: `at` in microseconds, then fields of the ledger by their names."""

    at: int
    key_id: str | None
    identity_id: str | None
    client: str
    endpoint: str
    model: str | None
    upstream_model: str | None
    status: int
    cause: str
    kind: str
    usage_unknown: bool
    would_limit: str | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    estimated_tokens: int
    nano_aiu: int | None
    nano_aiu_estimated: bool
    premium_requests: float
    queue_seconds: float
    duration: float
    time_to_first_token: float | None
    bytes_in: int
    bytes_out: int


_FIRST_NUMBER = 1 + len(DIMENSIONS)
"""Before it an event has its time and what names its series."""


def is_error(status: int, cause: str) -> bool:
    """Whether a call counts as an error. A caller who hangs up is none."""
    return status >= 400 or cause not in _NO_ERROR


def roll_up(events: Iterable[RolledEvent]) -> dict[Place, Sums]:
    """The hours of these events, of which there may be many."""
    rollups: dict[Place, Sums] = {}
    rest = iter(events)
    while portion := list(islice(rest, _PORTION)):
        for place, sums in roll_up_columns(list(zip(*portion, strict=True)))[0].items():
            count(rollups, place, sums)
    return rollups


def roll_up_columns(columns: Sequence[Sequence[Any]]) -> tuple[dict[Place, Sums], list[Series]]:
    """
    The same of columns, one for each field of `RolledEvent` in its order; and the series of each event, of the finest
    grain. Whole columns take a fraction of what event by event takes, and this runs for every call.
    """
    places = list(zip([at // _HOUR for at in columns[0]], *columns[1:_FIRST_NUMBER], strict=True))
    found: dict[tuple[Any, ...], list[tuple[int, ...]]] = {}
    for place, sums in zip(places, zip(*_sum_columns(RolledEvent._make(columns)), strict=True), strict=True):
        known = found.get(place)
        if known is None:
            found[place] = [sums]
        else:
            known.append(sums)
    series = {place: Series(Grain.CALL, *place[1:]) for place in found}
    calls = {Place(HOUR, place[0] * _HOUR, series[place]): _add_up(sums) for place, sums in found.items()}
    calls |= roll_up_calls(calls.items())
    return calls, [series[place] for place in places]


def roll_up_calls(calls: Iterable[tuple[Place, Sums]]) -> dict[Place, Sums]:
    """What hours of the grain `CALL` are at the coarser grains of hours."""
    keys: dict[tuple[int, str | None], list[Sums]] = {}
    everybody: dict[tuple[int, tuple[Any, ...]], list[Sums]] = {}
    for (_, start, call), sums in calls:  # places are made below, where they are fewer
        keys.setdefault((start, call[1]), []).append(sums)
        everybody.setdefault((start, call[2:]), []).append(sums)
    rollups = {Place(HOUR, start, Series(Grain.KEY, key_id)): _add_up(rows) for (start, key_id), rows in keys.items()}
    for (start, rest), rows in everybody.items():
        sums, series = _add_up(rows), Series(Grain.ALL_KEYS, None, *rest)
        rollups[Place(HOUR, start, series)] = sums
        count(rollups, Place(HOUR, start, series.at(Grain.MODEL)), sums)
        count(rollups, Place(HOUR, start, series.at(Grain.TOTAL)), sums)
    return rollups


def roll_up_days(hours: Iterable[tuple[Place, Sums]]) -> dict[Place, Sums]:
    """The days of these hours, of which only those of the grain `CALL` matter: every call is in one of them."""
    days: dict[Place, Sums] = {}
    for (_, start, series), sums in hours:
        if series.grain == Grain.CALL:
            day = day_of(start)
            for grain in GRAINS_OF[DAY]:
                count(days, Place(DAY, day, series.at(grain)), sums)
    return days


def day_of(at: int) -> int:
    """When the day began, in UTC, that this moment is in; both in microseconds."""
    return at - at % _DAY


def count(rollups: dict[Place, Sums], place: Place, sums: Sums) -> None:
    """Add `sums` to what is at a place."""
    known = rollups.get(place)
    if known is None:
        rollups[place] = sums.copy()
    else:
        add_sums(known, sums)


def add_sums(sums: Sums, more: Sums) -> None:
    """Add `more` to `sums`."""
    sums[:] = map(add, sums, more)
    _cap(sums)


def _add_up(rows: Sequence[Sequence[int]]) -> Sums:
    if len(rows) == 1:
        return list(rows[0])
    sums = list(map(sum, zip(*rows, strict=True)))
    _cap(sums)
    return sums


def _cap(sums: Sums) -> None:
    if not 0 < sums[0] <= _CANNOT_BE_MORE and max(sums[:_WIDTH]) > _MOST_OF_A_ROLLUP:
        sums[:_WIDTH] = [min(value, _MOST_OF_A_ROLLUP) for value in sums[:_WIDTH]]


def _sum_columns(events: Any) -> Iterator[Sequence[int]]:
    """The columns of what single events count, in the order of `Sums`. `events` is a `RolledEvent` of columns."""
    charges = [charge or 0 for charge in events.nano_aiu]
    went_on = [
        duration if identity is not None and duration > 0 else None
        for identity, duration in zip(events.identity_id, events.duration, strict=True)
    ]
    first_tokens = [None if value is None or isnan(value) else value for value in events.time_to_first_token]
    counters = (
        [1] * len(charges),
        [int(is_error(*each)) for each in zip(events.status, events.cause, strict=True)],
        [int(value is not None) for value in events.would_limit],
        [int(value) for value in events.usage_unknown],
        [int(value is not None) for value in events.nano_aiu],
        events.input_tokens,
        events.output_tokens,
        events.cache_read_tokens,
        events.cache_write_tokens,
        events.reasoning_tokens,
        events.estimated_tokens,
        charges,
        [charge if it_is else 0 for charge, it_is in zip(charges, events.nano_aiu_estimated, strict=True)],
        _millionths(events.premium_requests),
        _millionths(events.queue_seconds),
        _millionths(went_on),
        _millionths(first_tokens),
        events.bytes_in,
        events.bytes_out,
    )
    yield from map(_possible, counters)
    for durations in (went_on, first_tokens):
        yield [histogram.EMPTY if value is None else histogram.one(value) for value in durations]


def _possible(column: Sequence[int]) -> Sequence[int]:
    """Without numbers that no call can have."""
    if min(column) < 0 or max(column) > MOST_OF_A_CALL:
        return [max(0, min(value, MOST_OF_A_CALL)) for value in column]
    return column


def _millionths(column: Sequence[float | None]) -> list[int]:
    if not any(column):
        return [0] * len(column)
    try:
        return [round(value * 1_000_000) if value else 0 for value in column]
    except (OverflowError, ValueError):
        # Neither infinity nor what is no number says anything.
        return [round(value * 1_000_000) if value and isfinite(value * 1_000_000) else 0 for value in column]
