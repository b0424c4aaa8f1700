"""Totals by group, and what the keys used of the models, against the events added up one by one."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

import pytest

from copilot_api.storage.instants import to_microseconds
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.queries import Bucket, Dimension, SumQuery, SumRow
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS
from copilot_api.usage.totals import (
    BUCKETS,
    DIMENSIONS,
    Group,
    Traffic,
    UsageTotals,
    add_totals,
    list_totals,
    list_traffic,
    make_totals,
    name_bucket,
    name_sums,
    of_key,
)
from tests.ledgers import DAY_ONE, KEYS, meets, random_events, select_events, sum_slowly
from tests.stored import Stored

SINCE, UNTIL = DAY_ONE + timedelta(hours=5, minutes=7), DAY_ONE + timedelta(days=3, hours=1)
EVENTS = random_events(400)
_SUMS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


@dataclass(frozen=True)
class Remembered:
    """A ledger in memory."""

    events: list[UsageEvent]

    def sum_up(self, query: SumQuery) -> list[SumRow]:
        rows = sum_slowly(self.events, query)
        for row in rows:
            row.sums[: len(COUNTERS)] = [
                value if name in query.counters else 0 for name, value in zip(COUNTERS, row.sums, strict=False)
            ]
        return rows


LEDGER = Remembered(EVENTS)
VALUE_OF: dict[Group, Callable[[UsageEvent], str | None]] = {
    Group.KEY: lambda event: event.key_id,
    Group.MODEL: lambda event: event.model,
    Group.CLIENT: lambda event: event.client,
    Group.DAY: lambda event: event.at[:10],
    Group.HOUR: lambda event: event.at[:13] + ":00Z",
    Group.ENDPOINT: lambda event: event.endpoint,
    Group.KIND: lambda event: event.kind,
    Group.CAUSE: lambda event: event.cause.value,
    Group.STATUS: lambda event: str(event.status),
    Group.UPSTREAM_MODEL: lambda event: event.upstream_model,
    Group.IDENTITY: lambda event: event.identity_id,
}


def reckon(group: str | None, events: list[UsageEvent]) -> UsageTotals:
    return UsageTotals(
        group=group,
        requests=len(events),
        errors=sum(event.status >= 400 or event.cause not in {Cause.OK, Cause.CLIENT_ABORTED} for event in events),
        nano_aiu=sum(event.nano_aiu or 0 for event in events),
        premium_requests=sum(round(event.premium_requests * 1e6) for event in events) / 1e6,
        would_limit=sum(event.would_limit is not None for event in events),
        **{name: sum(getattr(event, name) for event in events) for name in _SUMS},
    )


def reckon_by(group: Group, events: list[UsageEvent]) -> list[UsageTotals]:
    found: dict[str | None, list[UsageEvent]] = {}
    for event in events:
        found.setdefault(VALUE_OF[group](event), []).append(event)
    return [reckon(name, found[name]) for name in sorted(found, key=lambda name: name or "")]


# Totals --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", Group)
def test_totals_by_every_group_are_those_of_the_events_in_order_of_the_groups(group: Group) -> None:
    assert list_totals(LEDGER, SINCE, UNTIL, group) == reckon_by(group, select_events(EVENTS, SINCE, UNTIL, ()))


@pytest.mark.parametrize("group", [Group.KEY, Group.DAY, Group.MODEL])
def test_the_ledger_in_the_database_says_the_same(stored: Stored, group: Group) -> None:
    stored.usage.add_events(EVENTS)
    assert list_totals(stored.usage, SINCE, UNTIL, group) == list_totals(LEDGER, SINCE, UNTIL, group)
    by_model = sorted(list_traffic(stored.usage, SINCE, UNTIL), key=str)
    assert by_model == sorted(list_traffic(LEDGER, SINCE, UNTIL), key=str)


def test_the_totals_of_one_key_are_of_its_events() -> None:
    for key_id in filter(None, KEYS):
        mine = [event for event in select_events(EVENTS, SINCE, UNTIL, ()) if event.key_id == key_id]
        assert list_totals(LEDGER, SINCE, UNTIL, Group.MODEL, key_id=key_id) == reckon_by(Group.MODEL, mine)
    assert list_totals(LEDGER, SINCE, UNTIL, Group.MODEL, key_id="nobody") == []


def test_totals_are_of_what_meets_the_conditions() -> None:
    conditions = (Condition("status", Match.AT_LEAST, (400,)), Condition("client", Match.IS, ("curl",), True))
    expected = select_events(EVENTS, SINCE, UNTIL, (*conditions, of_key("key_a")))
    assert 0 < len(expected) < 100
    found = list_totals(LEDGER, SINCE, UNTIL, Group.CAUSE, key_id="key_a", conditions=conditions)
    assert found == reckon_by(Group.CAUSE, expected)


def test_of_a_key_is_met_by_the_events_of_that_key() -> None:
    assert [event for event in EVENTS if meets(event, [of_key("key_b")])] == [e for e in EVENTS if e.key_id == "key_b"]


def test_the_groups_add_up_to_the_whole() -> None:
    whole = reckon(None, select_events(EVENTS, SINCE, UNTIL, ()))
    for group in Group:
        total = add_totals(list_totals(LEDGER, SINCE, UNTIL, group))
        assert replace(total, premium_requests=round(total.premium_requests, 6)) == whole


def test_the_sum_of_nothing_is_nothing() -> None:
    assert add_totals([]) == UsageTotals(group=None)
    assert list_totals(Remembered([]), SINCE, UNTIL, Group.KEY) == []
    totals = UsageTotals(group=None)
    assert (totals.requests, totals.errors, totals.nano_aiu, totals.premium_requests) == (0, 0, 0, 0.0)


def test_what_usage_is_summed_by() -> None:
    assert [group.value for group in Group][:4] == ["key", "model", "client", "day"]
    assert {*DIMENSIONS, *BUCKETS} == set(Group)
    assert {*DIMENSIONS}.isdisjoint(BUCKETS)


def test_counters_go_by_their_names() -> None:
    sums = list(range(1, len(COUNTERS) + len(HISTOGRAMS) + 1))
    assert name_sums(sums) == {name: place for place, name in enumerate(COUNTERS, 1)}
    totals = make_totals("x", sums)
    for field in fields(UsageTotals):
        if field.name not in {"group", "premium_requests"}:
            assert getattr(totals, field.name) == sums[COUNTERS.index(field.name)]
    assert totals.premium_requests == sums[COUNTERS.index("micro_premium_requests")] / 1e6


@pytest.mark.parametrize("bucket", Bucket)
def test_every_bucket_has_a_name_of_its_own_that_programs_can_read(bucket: Bucket) -> None:
    first = to_microseconds(DAY_ONE)
    names = [name_bucket(first + number * bucket.microseconds, bucket) for number in range(200)]
    assert names == sorted(set(names))
    moments = [datetime.fromisoformat(name) for name in names]
    assert [at.replace(tzinfo=DAY_ONE.tzinfo) for at in moments] == [
        DAY_ONE + timedelta(microseconds=number * bucket.microseconds) for number in range(200)
    ]


def test_how_buckets_are_called() -> None:
    at = to_microseconds(DAY_ONE + timedelta(hours=9))
    assert name_bucket(at, Bucket.DAY) == "2026-07-01"
    assert name_bucket(at, Bucket.HOUR) == "2026-07-01T09:00Z"
    assert name_bucket(at + 60_000_000, Bucket.MINUTE) == "2026-07-01T09:01Z"


# Traffic -------------------------------------------------------------------------------------------------------------


def reckon_traffic(events: list[UsageEvent]) -> set[Traffic]:
    found: dict[tuple[str, str, str, str | None], list[UsageEvent]] = {}
    for event in events:
        went_on = event.identity_id is not None
        if event.key_id is None or event.model is None:
            continue
        if went_on or event.cause in {Cause.MODEL_NOT_FOUND, Cause.MODEL_NOT_ALLOWED}:
            where = (event.key_id, event.model, event.endpoint, event.upstream_model if went_on else None)
            found.setdefault(where, []).append(event)
    return {make_traffic(*where, of_it) for where, of_it in found.items()}


def make_traffic(key_id: str, model: str, endpoint: str, upstream: str | None, events: list[UsageEvent]) -> Traffic:
    measured = [event for event in events if event.identity_id is not None and not event.usage_unknown]
    charges = [event.nano_aiu for event in measured if event.nano_aiu is not None]
    return Traffic(
        key_id=key_id,
        model=model,
        endpoint=endpoint,
        upstream_model=upstream,
        requests=len(events),
        measured_requests=len(measured),
        nano_aiu=sum(charges) if charges else None,
        **{name: sum(getattr(event, name) for event in measured) for name in _SUMS[:4]},
    )


def test_traffic_is_what_the_keys_used_of_the_models() -> None:
    found = list_traffic(LEDGER, SINCE, UNTIL)
    assert set(found) == reckon_traffic(select_events(EVENTS, SINCE, UNTIL, ()))
    assert len(found) == len(set(found))
    assert {each.upstream_model for each in found} == {None, "gpt-4.1", "claude-opus-4.7"}
    assert list_traffic(Remembered([]), SINCE, UNTIL) == []


def traffic_of(*, at: int = 0, **changes: object) -> list[Traffic]:
    values: dict[str, object] = {
        "key_id": "a",
        "model": "m",
        "endpoint": "/v1/messages",
        "status": 200,
        "cause": Cause.OK,
    }
    event = UsageEvent(request_id=f"req_{at}", at=SINCE.isoformat(), **{**values, **changes})  # type: ignore[arg-type]
    return list_traffic(Remembered([event]), SINCE, UNTIL)


def test_a_name_that_means_nothing_is_traffic_without_a_model() -> None:
    (found,) = traffic_of(cause=Cause.MODEL_NOT_ALLOWED, status=404, upstream_model="not for this key")
    assert found == Traffic(key_id="a", model="m", endpoint="/v1/messages", upstream_model=None, requests=1)


@pytest.mark.parametrize("cause", [Cause.RATE_LIMITED, Cause.OVER_BUDGET, Cause.BAD_REQUEST, Cause.QUEUE_TIMEOUT])
def test_what_was_refused_for_another_reason_is_no_traffic(cause: Cause) -> None:
    assert traffic_of(cause=cause, status=429) == []


def test_a_call_whose_usage_is_not_known_is_traffic_without_tokens() -> None:
    (found,) = traffic_of(
        identity_id="default",
        upstream_model="x",
        usage_unknown=True,
        input_tokens=5,
        nano_aiu=9,
        cause=Cause.UPSTREAM_CUT,
    )
    assert (found.requests, found.measured_requests, found.input_tokens, found.nano_aiu) == (1, 0, 0, None)


def test_a_charge_of_nothing_is_a_charge() -> None:
    assert traffic_of(identity_id="default", upstream_model="x", nano_aiu=0)[0].nano_aiu == 0
    assert traffic_of(identity_id="default", upstream_model="x", nano_aiu=None)[0].nano_aiu is None


def test_dimensions_of_traffic_are_dimensions() -> None:
    assert set(DIMENSIONS.values()) == set(Dimension) - {Dimension.UNKNOWN}
