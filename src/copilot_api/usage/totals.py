"""Sums of a period by one thing, and what the keys used of the models: the ledger's simplest questions."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.models import Cause
from copilot_api.usage.queries import Bucket, Dimension, GroupValue, SumQuery, SumRow
from copilot_api.usage.rollups import COUNTERS, MICROSECONDS, Sums, add_sums


class Group(StrEnum):
    """What usage is summed up by; hours and days are those of the calendar in UTC."""

    KEY = "key"
    MODEL = "model"
    CLIENT = "client"
    DAY = "day"
    HOUR = "hour"
    ENDPOINT = "endpoint"
    KIND = "kind"
    CAUSE = "cause"
    STATUS = "status"
    UPSTREAM_MODEL = "upstream"
    IDENTITY = "identity"


DIMENSIONS: dict[Group, Dimension] = {
    Group.KEY: Dimension.KEY,
    Group.MODEL: Dimension.MODEL,
    Group.CLIENT: Dimension.CLIENT,
    Group.ENDPOINT: Dimension.ENDPOINT,
    Group.KIND: Dimension.KIND,
    Group.CAUSE: Dimension.CAUSE,
    Group.STATUS: Dimension.STATUS,
    Group.UPSTREAM_MODEL: Dimension.UPSTREAM_MODEL,
    Group.IDENTITY: Dimension.IDENTITY,
}
BUCKETS: dict[Group, Bucket] = {Group.DAY: Bucket.DAY, Group.HOUR: Bucket.HOUR}


class Summing(Protocol):
    """What sums up: a part of `UsageRepository`."""

    def sum_up(self, query: SumQuery) -> list[SumRow]:
        """See `UsageRepository`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotals:
    """Sums over events. An error is an event of status 400 or more, or of a cause other than ok and client_aborted."""

    group: str | None
    """The value of what is grouped by, days as YYYY-MM-DD, hours as YYYY-MM-DDTHH:00Z; None where events have none."""
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    nano_aiu: int = 0
    premium_requests: float = 0.0
    would_limit: int = 0
    """Calls that a limit would have refused, were it not only observed."""


_SUMMED = tuple(field.name for field in fields(UsageTotals) if field.name not in {"group", "premium_requests"})
_COUNTERS = (*_SUMMED, "micro_premium_requests")


def list_totals(
    ledger: Summing,
    since: datetime,
    until: datetime,
    group: Group,
    *,
    key_id: str | None = None,
    conditions: tuple[Condition, ...] = (),
) -> list[UsageTotals]:
    """The sums of a period by group, in order of the groups, those of one key where it is said."""
    if key_id is not None:
        conditions += (of_key(key_id),)
    dimension, bucket = DIMENSIONS.get(group), BUCKETS.get(group)
    groups = () if dimension is None else (dimension,)
    rows = ledger.sum_up(SumQuery(since, until, groups, bucket, conditions, counters=_COUNTERS))
    found = [make_totals(_name_group(row, bucket), row.sums) for row in rows]
    return sorted(found, key=lambda totals: totals.group or "")


def of_key(key_id: str) -> Condition:
    """That an event is of this key."""
    return Condition(Dimension.KEY.value, Match.IS, (key_id,))


def make_totals(group: str | None, sums: Sums) -> UsageTotals:
    """The totals of one group."""
    values = name_sums(sums)
    premium = values["micro_premium_requests"] / 1_000_000
    return UsageTotals(group=group, premium_requests=premium, **{name: values[name] for name in _SUMMED})


def name_sums(sums: Sums) -> dict[str, int]:
    """The counters by their names."""
    return dict(zip(COUNTERS, sums, strict=False))


def name_bucket(start: int, bucket: Bucket) -> str:
    """A bucket as people and programs read it."""
    at = datetime.fromtimestamp(start // MICROSECONDS, UTC)
    return f"{at:%Y-%m-%d}" if bucket is Bucket.DAY else f"{at:%Y-%m-%dT%H:%MZ}"


def _name_group(row: SumRow, bucket: Bucket | None) -> str | None:
    if bucket is not None and row.start is not None:
        return name_bucket(row.start, bucket)
    return name_value(row.group[0])


def name_value(value: GroupValue) -> str | None:
    """The value of a dimension as text."""
    return None if value is None else str(value)


def add_totals(totals: Iterable[UsageTotals]) -> UsageTotals:
    """One sum of many, of no group."""
    rows = list(totals)
    names = (*_SUMMED, "premium_requests")
    summed: dict[str, Any] = {name: sum(getattr(row, name) for row in rows) for name in names}
    return UsageTotals(group=None, **summed)


# What the keys used of the models ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """
    Calls of one key that named one model on one endpoint and were answered by one model, added up.

    Only what says something of the model counts: calls that went upstream, and those that got no further because the
    name meant nothing to their key. What was refused for another reason (a limit, a budget, a mistake in the request)
    is no use of a model, and would be refused again whatever the names mean.
    """

    key_id: str
    model: str
    """The name that the calls used."""
    endpoint: str
    upstream_model: str | None
    """The id of the model that they went to; None for those that were refused for the model's sake."""
    requests: int = 0
    measured_requests: int = 0
    """Those that went upstream and whose usage is known; the tokens and the charge are theirs."""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    nano_aiu: int | None = None
    """None where no charge is known."""


_TRAFFIC_SUMS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_TRAFFIC_COUNTERS = ("requests", "charged", "nano_aiu", *_TRAFFIC_SUMS)
_TRAFFIC_GROUP = (
    Dimension.KEY,
    Dimension.MODEL,
    Dimension.ENDPOINT,
    Dimension.UPSTREAM_MODEL,
    Dimension.IDENTITY,
    Dimension.CAUSE,
    Dimension.UNKNOWN,
)
_REFUSED_FOR_THE_MODEL = {Cause.MODEL_NOT_FOUND.value, Cause.MODEL_NOT_ALLOWED.value}
_NAMED = tuple(Condition(each.value, Match.IS_SET, ()) for each in (Dimension.KEY, Dimension.MODEL))


def list_traffic(ledger: Summing, since: datetime, until: datetime) -> list[Traffic]:
    """What the keys used of the models in a period, in no order."""
    requests: dict[tuple[Any, ...], int] = {}
    measured: dict[tuple[Any, ...], Sums] = {}
    for row in ledger.sum_up(SumQuery(since, until, _TRAFFIC_GROUP, conditions=_NAMED, counters=_TRAFFIC_COUNTERS)):
        key_id, model, endpoint, upstream_model, identity_id, cause, is_unknown = row.group
        if identity_id is None and cause not in _REFUSED_FOR_THE_MODEL:
            continue
        where = (key_id, model, endpoint, upstream_model if identity_id is not None else None)
        requests[where] = requests.get(where, 0) + row.sums[0]
        if identity_id is not None and not is_unknown:
            if where in measured:
                add_sums(measured[where], row.sums)
            else:
                measured[where] = row.sums
    return [_make_traffic(where, count, measured.get(where)) for where, count in requests.items()]


def _make_traffic(where: tuple[Any, ...], requests: int, measured: Sums | None) -> Traffic:
    values = name_sums(measured) if measured is not None else dict.fromkeys(COUNTERS, 0)
    key_id, model, endpoint, upstream_model = where
    return Traffic(
        key_id=key_id,
        model=model,
        endpoint=endpoint,
        upstream_model=upstream_model,
        requests=requests,
        measured_requests=values["requests"],
        nano_aiu=values["nano_aiu"] if values["charged"] else None,
        **{name: values[name] for name in _TRAFFIC_SUMS},
    )
