"""What the explorer shows adds up, and is what the events say, whatever is asked."""

import json
import math
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from copilot_api.errors import BadRequest
from copilot_api.usage import histogram
from copilot_api.usage.explorer import (
    MAX_BUCKETS,
    MAX_MINUTES,
    MAX_TOP,
    PERCENTILES,
    ExploreQuery,
    Metric,
    choose_bucket,
    explore,
    render_sums,
)
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.queries import Bucket, Dimension, SumQuery, SumRow
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS
from tests.ledgers import DAY_ONE, meets, random_events, select_events, sum_slowly
from tests.stored import Stored

END = DAY_ONE + timedelta(days=5)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVENTS = random_events(500)
CONDITIONS = (
    Condition("key_id", Match.IS, ("key_a", "key_b")),
    Condition("model", Match.CONTAINS, ("opus", "fast")),
    Condition("status", Match.AT_LEAST, (400,)),
    Condition("cause", Match.IS, ("ok",), is_negated=True),
    Condition("client", Match.IS, ("nobody",)),
)


@dataclass(frozen=True)
class Remembered:
    """A ledger in memory that notes what it is asked."""

    events: list[UsageEvent]
    asked: list[SumQuery] = field(default_factory=list[SumQuery])

    def sum_up(self, query: SumQuery) -> list[SumRow]:
        self.asked.append(query)
        rows = sum_slowly(self.events, query)
        for row in rows:
            row.sums[: len(COUNTERS)] = [
                value if name in query.counters else 0 for name, value in zip(COUNTERS, row.sums, strict=False)
            ]
        return rows


LEDGER = Remembered(EVENTS)


def ask(**changes: Any) -> dict[str, Any]:
    return explore(LEDGER, replace(ExploreQuery(DAY_ONE, END), **changes))


def value_of(metric: str, event: UsageEvent) -> float:
    """What one event adds to a number of the answer."""
    match metric:
        case "requests":
            return 1
        case "errors":
            return event.status >= 400 or event.cause not in {Cause.OK, Cause.CLIENT_ABORTED}
        case "credits":
            return (event.nano_aiu or 0) / 1e9
        case "estimated_credits":
            return (event.nano_aiu or 0) / 1e9 if event.nano_aiu_estimated else 0
        case "would_limit":
            return event.would_limit is not None
        case "unknown":
            return event.usage_unknown
        case _:
            return float(getattr(event, metric))


NUMBERS = (*Metric, "unknown", "estimated_credits", "queue_seconds", "bytes_in", "bytes_out")


def check_numbers(shown: dict[str, Any], events: list[UsageEvent]) -> None:
    for name in NUMBERS:
        assert shown[name] == pytest.approx(sum(value_of(name, event) for event in events), abs=1e-6), name


def random_query(seed: int) -> ExploreQuery:
    draw = random.Random(seed)
    bucket = draw.choice([None, *Bucket])
    longest = MAX_MINUTES if bucket is Bucket.MINUTE else END - DAY_ONE
    since = DAY_ONE + draw.random() * (END - DAY_ONE - longest)
    return ExploreQuery(
        since,
        since + draw.uniform(0.01, 1) * longest,
        tuple(draw.sample(list(Dimension), draw.choice([0, 1, 1, 2]))),
        bucket,
        tuple(draw.sample(CONDITIONS, draw.choice([0, 0, 1, 2]))),
        tuple(draw.sample(list(Metric), draw.choice([1, 2, 4]))),
        draw.choice([1, 2, 5, 200]),
        is_compared=draw.random() < 0.5,
        has_percentiles=draw.random() < 0.5,
    )


@pytest.fixture(params=range(60))
def query(request: pytest.FixtureRequest) -> ExploreQuery:
    return random_query(request.param)


# It adds up ----------------------------------------------------------------------------------------------------------


def shown_events(query: ExploreQuery, answer: dict[str, Any]) -> list[UsageEvent]:
    since, until = (datetime.fromisoformat(answer[name]) for name in ("since", "until"))
    return select_events(EVENTS, since, until, query.conditions)


def test_the_total_is_that_of_the_events(query: ExploreQuery) -> None:
    answer = explore(LEDGER, query)
    check_numbers(answer["total"], shown_events(query, answer))


def test_the_rows_and_what_is_left_are_the_total(query: ExploreQuery) -> None:
    answer = explore(LEDGER, query)
    if not query.group:
        assert "rows" not in answer
        return
    parts = answer["rows"] + [answer["other"] or {}]
    for name in NUMBERS:
        assert sum(part.get(name, 0) for part in parts) == pytest.approx(answer["total"][name], abs=1e-6), name
    assert len(answer["rows"]) <= query.top
    assert answer["other"] is None or len(answer["rows"]) == query.top


def test_every_row_is_the_sum_of_its_events(query: ExploreQuery) -> None:
    answer = explore(LEDGER, query)
    events = shown_events(query, answer)
    for row in answer.get("rows", []):
        mine = [event for event in events if group_of(event, query.group) == row["group"]]
        assert mine
        check_numbers(row, mine)
    groups = [row["group"] for row in answer.get("rows", [])]
    assert all(first not in groups[place + 1 :] for place, first in enumerate(groups))


def group_of(event: UsageEvent, group: tuple[Dimension, ...]) -> list[object]:
    values = [getattr(event, dimension.value) for dimension in group]
    return [value.value if isinstance(value, Cause) else value for value in values]


def test_the_lines_over_time_add_up_to_that_of_the_total(query: ExploreQuery) -> None:
    answer = explore(LEDGER, query)
    if query.bucket is None:
        assert "series" not in answer
        return
    series = answer["series"]
    for metric in query.metrics:
        total = series["total"][metric]
        assert len(total) == len(series["starts"])
        assert sum(total) == pytest.approx(answer["total"][metric], abs=1e-6)
        if query.group and answer["rows"]:
            for place, whole in enumerate(total):
                assert sum(line[metric][place] for line in series["lines"]) == pytest.approx(whole, abs=1e-6)
    for line, row in zip(series["lines"], answer.get("rows", []), strict=False):
        assert line["group"] == row["group"]
        assert all(sum(line[metric]) == pytest.approx(row[metric], abs=1e-6) for metric in query.metrics)
    assert [line["group"] for line in series["lines"][len(answer.get("rows", [])) :]] in ([], [None])


def test_the_points_are_the_whole_buckets_of_the_period(query: ExploreQuery) -> None:
    answer = explore(LEDGER, query)
    if query.bucket is not None:
        starts = [datetime.fromisoformat(start).replace(tzinfo=UTC) for start in answer["series"]["starts"]]
        length = timedelta(microseconds=query.bucket.microseconds)
        assert (starts[0].isoformat(), (starts[-1] + length).isoformat()) == (answer["since"], answer["until"])
        assert all(second - first == length for first, second in pairwise(starts))


def test_the_answer_is_json_without_anything_that_is_no_number(query: ExploreQuery) -> None:
    answer = explore(LEDGER, query)
    assert msgspec.json.decode(msgspec.json.encode(answer)) == answer
    assert json.dumps(answer, allow_nan=False)


def test_the_database_gives_the_same_answer(stored: Stored) -> None:
    stored.usage.add_events(EVENTS)
    for seed in range(0, 60, 6):
        assert explore(stored.usage, random_query(seed)) == explore(LEDGER, random_query(seed))


# Which groups --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("dimension", [Dimension.KEY, Dimension.MODEL, Dimension.STATUS])
def test_the_groups_are_the_largest_by_the_first_metric_largest_first(dimension: Dimension, metric: Metric) -> None:
    sizes: dict[object, float] = {}
    for event in EVENTS:
        (value,) = group_of(event, (dimension,))
        sizes[value] = sizes.get(value, 0) + value_of(metric, event)
    rows = ask(group=(dimension,), metrics=(metric,), top=3)["rows"]
    assert [row[metric] for row in rows] == pytest.approx(sorted(sizes.values(), reverse=True)[:3], abs=1e-6)
    assert [row[metric] for row in rows] == pytest.approx([sizes[row["group"][0]] for row in rows], abs=1e-6)


def event_of(number: int, **changes: Any) -> UsageEvent:
    values: dict[str, Any] = {
        "status": 200,
        "cause": Cause.OK,
        "at": (DAY_ONE + number * timedelta(minutes=1)).isoformat(),
    }
    return UsageEvent(request_id=f"req_{number:03}", **{**values, **changes})


def test_of_groups_of_one_size_those_with_more_requests_come_first_then_by_name() -> None:
    keys = ["b", "a", "c", "c"]
    ledger = Remembered([event_of(number, key_id=key_id) for number, key_id in enumerate(keys)])
    query = ExploreQuery(DAY_ONE, END, (Dimension.KEY,), metrics=(Metric.ERRORS,))
    assert [row["group"] for row in explore(ledger, query)["rows"]] == [["c"], ["a"], ["b"]]


@pytest.mark.parametrize("group", [(Dimension.KEY, Dimension.MODEL), (Dimension.MODEL, Dimension.KEY)])
def test_groups_of_keys_and_something_else_are_those_of_the_largest_keys(group: tuple[Dimension, ...]) -> None:
    """All pairs of keys and models are many; the largest keys are found without them, and then only theirs are read."""
    ledger = Remembered(EVENTS)
    rows = explore(ledger, ExploreQuery(DAY_ONE, END, group, top=2))["rows"]
    by_size = [row["group"][0] for row in ask(group=(Dimension.KEY,))["rows"]]
    assert {row["group"][group.index(Dimension.KEY)] for row in rows} <= set(by_size[:2])
    assert [row["requests"] for row in rows] == sorted((row["requests"] for row in rows), reverse=True)
    assert all(query.conditions for query in ledger.asked if len(query.group) == 2)


def test_what_has_no_key_is_a_group_like_any_other() -> None:
    mine = [event for event in EVENTS if event.key_id is None]
    for group in ((Dimension.KEY,), (Dimension.KEY, Dimension.CLIENT)):
        answer = ask(group=group, top=MAX_TOP, bucket=Bucket.DAY)
        rows = [row for row in answer["rows"] if row["group"][0] is None]
        assert sum(row["requests"] for row in rows) == len(mine)
        lines = [line for line in answer["series"]["lines"] if line["group"][0] is None]
        assert sum(sum(line["requests"]) for line in lines) == len(mine)
    only = Remembered(mine)
    assert [row["group"] for row in explore(only, ExploreQuery(DAY_ONE, END, (Dimension.KEY,)))["rows"]] == [[None]]


def test_groups_keep_the_type_of_their_values() -> None:
    for dimension, kind in ((Dimension.UNKNOWN, bool), (Dimension.STATUS, int), (Dimension.CLIENT, str)):
        assert all(type(row["group"][0]) is kind for row in ask(group=(dimension,))["rows"])


def test_of_nothing_there_are_no_groups_and_a_total_of_zero() -> None:
    answer = explore(
        Remembered([]), ExploreQuery(DAY_ONE, END, (Dimension.KEY,), Bucket.DAY, is_compared=True, has_percentiles=True)
    )
    assert (answer["rows"], answer["other"], answer["series"]["lines"]) == ([], None, [])
    assert answer["series"]["total"] == {"requests": [0] * 5}
    assert answer["total"] == answer["previous"]["total"]
    assert {answer["total"][name] for name in NUMBERS} == {0}


# Percentiles ---------------------------------------------------------------------------------------------------------


def check_percentiles(shown: dict[str, Any], events: list[UsageEvent]) -> None:
    went_on = [event for event in events if event.identity_id is not None]
    times = {
        "duration": [event.duration for event in went_on if event.duration > 0],
        "time_to_first_token": [first for event in events if (first := event.time_to_first_token) is not None],
    }
    for name, values in times.items():
        for share in PERCENTILES:
            told = shown[name][f"p{share * 100:g}"]
            if not values:
                assert told is None
                continue
            exact = sorted(values)[math.ceil(share * len(values)) - 1]
            bucket = histogram.upper_bound(histogram.bucket_of(exact))
            assert bucket / 1.1893 <= told <= bucket * 1.0001


def test_percentiles_are_within_a_bucket_of_the_exact_ones() -> None:
    answer = ask(group=(Dimension.MODEL,), has_percentiles=True, top=2)
    check_percentiles(answer["total"], EVENTS)
    shown = [row["group"][0] for row in answer["rows"]]
    for row in answer["rows"]:
        check_percentiles(row, [event for event in EVENTS if event.model == row["group"][0]])
    check_percentiles(answer["other"], [event for event in EVENTS if event.model not in shown])


def test_percentiles_are_read_only_where_they_are_asked_for() -> None:
    ledger = Remembered(EVENTS)
    assert "duration" not in explore(ledger, ExploreQuery(DAY_ONE, END, (Dimension.KEY,)))["total"]
    assert all(query.histograms == () for query in ledger.asked)
    explore(ledger, ExploreQuery(DAY_ONE, END, (Dimension.KEY,), Bucket.DAY, has_percentiles=True))
    assert all(query.histograms == () for query in ledger.asked if query.bucket)


def test_absurd_times_make_no_answer_that_is_no_json() -> None:
    absurd = [math.inf, -math.inf, math.nan, 1e300, -1.0]
    events = [
        event_of(number, identity_id="default", duration=value, time_to_first_token=value, queue_seconds=value)
        for number, value in enumerate(absurd)
    ]
    query = ExploreQuery(DAY_ONE, END, (Dimension.KEY,), Bucket.DAY, has_percentiles=True)
    answer = explore(Remembered(events), query)
    assert msgspec.json.decode(msgspec.json.encode(answer)) == answer
    assert json.dumps(answer, allow_nan=False)


# Periods -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bucket", "since", "until"),
    [
        (None, "2026-07-02T03:00:00+00:00", "2026-07-02T07:00:00+00:00"),
        (Bucket.HOUR, "2026-07-02T03:00:00+00:00", "2026-07-02T07:00:00+00:00"),
        (Bucket.DAY, "2026-07-02T00:00:00+00:00", "2026-07-03T00:00:00+00:00"),
    ],
)
def test_a_period_is_widened_to_whole_buckets(bucket: Bucket | None, since: str, until: str) -> None:
    first = DAY_ONE + DAY + timedelta(hours=3, minutes=59, seconds=59)
    answer = ask(since=first, until=first + 2 * HOUR + timedelta(seconds=2), bucket=bucket)
    assert (answer["since"], answer["until"]) == (since, until)


def test_minutes_are_whole_minutes_each_with_its_name() -> None:
    at = DAY_ONE + timedelta(seconds=30)
    answer = ask(since=at, until=at + timedelta(minutes=2), bucket=Bucket.MINUTE)
    assert answer["series"]["starts"] == [f"2026-07-01T00:0{minute}Z" for minute in range(3)]


def test_a_period_of_whole_buckets_stays_as_it_is_in_any_time_zone() -> None:
    zone = timezone(timedelta(hours=2))
    answer = ask(since=(DAY_ONE + HOUR).astimezone(zone), until=(DAY_ONE + DAY).astimezone(zone), bucket=Bucket.HOUR)
    assert (answer["since"], answer["until"]) == ("2026-07-01T01:00:00+00:00", "2026-07-02T00:00:00+00:00")


@pytest.mark.parametrize(("bucket", "length"), [(None, 9 * HOUR), (Bucket.HOUR, 31 * HOUR), (Bucket.DAY, 2 * DAY)])
def test_the_period_before_is_as_long_and_ends_where_this_one_begins(bucket: Bucket | None, length: timedelta) -> None:
    since = DAY_ONE + 2 * DAY
    conditions = (CONDITIONS[0],)
    answer = ask(since=since, until=since + length, bucket=bucket, conditions=conditions, is_compared=True)
    before = answer["previous"]
    assert (before["since"], before["until"]) == ((since - length).isoformat(), since.isoformat())
    check_numbers(before["total"], select_events(EVENTS, since - length, since, conditions))
    assert before["total"] != answer["total"]
    assert before["total"] == ask(since=since - length, until=since, conditions=conditions)["total"]


def test_without_comparison_nothing_of_before_is_read() -> None:
    ledger = Remembered(EVENTS)
    since = DAY_ONE + 2 * DAY
    assert "previous" not in explore(ledger, ExploreQuery(since, END))
    assert all(query.since >= since for query in ledger.asked)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (timedelta(minutes=1), Bucket.MINUTE),
        (MAX_MINUTES, Bucket.MINUTE),
        (MAX_MINUTES + timedelta(seconds=1), Bucket.HOUR),
        (8 * DAY, Bucket.HOUR),
        (8 * DAY + timedelta(seconds=1), Bucket.DAY),
        (400 * DAY, Bucket.DAY),
    ],
)
def test_the_division_suits_the_period_and_can_be_shown(length: timedelta, expected: Bucket) -> None:
    assert choose_bucket(DAY_ONE, DAY_ONE + length) is expected
    empty = Remembered([])
    assert explore(empty, ExploreQuery(DAY_ONE, DAY_ONE + length, bucket=expected))["bucket"] == expected.value


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"until": DAY_ONE}, "since is not before until"),
        ({"until": DAY_ONE - HOUR}, "since is not before until"),
        ({"since": datetime(1969, 12, 31, tzinfo=UTC)}, "times are from 1970 to 2200"),
        ({"since": datetime(1, 1, 1, tzinfo=UTC)}, "times are from 1970 to 2200"),
        ({"until": datetime(2201, 1, 1, tzinfo=UTC)}, "times are from 1970 to 2200"),
        ({"until": datetime.max.replace(tzinfo=UTC)}, "times are from 1970 to 2200"),
        ({"top": 0}, f"from 1 to {MAX_TOP}"),
        ({"top": MAX_TOP + 1}, f"from 1 to {MAX_TOP}"),
        ({"group": (Dimension.KEY, Dimension.MODEL, Dimension.CLIENT)}, "one or two different things"),
        ({"group": (Dimension.KEY, Dimension.KEY)}, "one or two different things"),
        ({"conditions": (Condition("duration", Match.MORE_THAN, (5.0,)),)}, "cannot be told apart by duration"),
        ({"bucket": Bucket.MINUTE, "until": DAY_ONE + MAX_MINUTES + HOUR}, "minutes are shown of at most 3 hours"),
        ({"bucket": Bucket.HOUR, "until": DAY_ONE + (MAX_BUCKETS + 1) * HOUR}, f"more than {MAX_BUCKETS} points"),
        ({"bucket": Bucket.DAY, "until": DAY_ONE + (MAX_BUCKETS + 1) * DAY}, f"more than {MAX_BUCKETS} points"),
    ],
    ids=str,
)
def test_what_cannot_be_shown_is_refused_before_anything_is_read(changes: dict[str, Any], message: str) -> None:
    ledger = Remembered([])
    with pytest.raises(BadRequest, match=message):
        explore(ledger, replace(ExploreQuery(DAY_ONE, END), **changes))
    assert ledger.asked == []


@pytest.mark.parametrize(
    "changes",
    [
        {"since": datetime(1970, 1, 1, tzinfo=UTC), "is_compared": True},
        {"until": datetime(2200, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "is_compared": True},
        {"bucket": Bucket.HOUR, "until": DAY_ONE + MAX_BUCKETS * HOUR},
        {"bucket": Bucket.DAY, "since": DAY_ONE + timedelta(microseconds=1), "until": DAY_ONE + MAX_BUCKETS * DAY},
        {"since": DAY_ONE + timedelta(microseconds=1), "until": DAY_ONE + timedelta(microseconds=2)},
        {"top": MAX_TOP},
    ],
    ids=str,
)
def test_what_is_just_possible_is_shown(changes: dict[str, Any]) -> None:
    assert explore(LEDGER, replace(ExploreQuery(DAY_ONE, END), **changes))["total"]["requests"] >= 0


# One sum -------------------------------------------------------------------------------------------------------------


def test_a_sum_shows_credits_requests_and_seconds_as_people_count_them() -> None:
    sums = [0] * (len(COUNTERS) + len(HISTOGRAMS))
    for name, value in {
        "nano_aiu": 1_500_000_000,
        "estimated_nano_aiu": 500_000_000,
        "micro_premium_requests": 330_000,
        "queue_microseconds": 2_500_000,
    }.items():
        sums[COUNTERS.index(name)] = value
    shown = render_sums(sums)
    assert (shown["credits"], shown["estimated_credits"]) == (1.5, 0.5)
    assert (shown["premium_requests"], shown["queue_seconds"]) == (0.33, 2.5)
    nothing = {"p50": None, "p90": None, "p95": None, "p99": None}
    assert render_sums(sums, has_percentiles=True) == {**shown, "duration": nothing, "time_to_first_token": nothing}


def test_the_ledger_of_these_tests_has_something_for_every_condition_but_one() -> None:
    found = [sum(meets(event, [condition]) for event in EVENTS) for condition in CONDITIONS]
    assert [bool(count) for count in found] == [True, True, True, True, False]
