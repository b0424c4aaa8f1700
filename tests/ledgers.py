"""Ledgers of random events, and what their rollups must say, reckoned the slow way."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from copilot_api.storage.instants import to_microseconds
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.queries import SumQuery, SumRow
from copilot_api.usage.rollups import HISTOGRAMS, RolledEvent, add_sums, roll_up

DAY_ONE = datetime(2026, 7, 1, tzinfo=UTC)
KEYS = ("key_a", "key_b", "key_c", None)
MODELS = ("gpt-4.1", "claude-opus-4.7", "fast ☃", None)


def random_events(count: int, *, seed: int = 1, days: float = 4, first: datetime = DAY_ONE) -> list[UsageEvent]:
    """Events in no order, of everything that there may be."""
    draw = random.Random(seed)
    return [
        random_event(draw, number, first + timedelta(seconds=draw.random() * days * 86_400)) for number in range(count)
    ]


def random_event(draw: random.Random, number: int, at: datetime) -> UsageEvent:
    cause = draw.choice([Cause.OK] * 12 + list(Cause))
    is_refused = cause in {Cause.RATE_LIMITED, Cause.MODEL_NOT_FOUND, Cause.UNAUTHORIZED}
    return UsageEvent(
        request_id=f"req_{to_microseconds(at) // 1000:011x}{number:05x}",
        at=at.isoformat(),
        key_id=draw.choice(KEYS),
        identity_id=None if is_refused else "default",
        client=draw.choice(["codex", "curl", "other"]),
        endpoint=draw.choice(["/v1/messages", "/v1/responses"]),
        model=draw.choice(MODELS),
        upstream_model=None if is_refused else draw.choice(["gpt-4.1", "claude-opus-4.7"]),
        stream=draw.random() < 0.5,
        status=200
        if cause in {Cause.OK, Cause.UPSTREAM_CUT, Cause.CLIENT_ABORTED}
        else draw.choice([400, 429, 502, 0]),
        cause=cause,
        input_tokens=draw.choice([0, 7, 1_000, 250_000]),
        output_tokens=draw.randrange(3_000),
        cache_read_tokens=draw.randrange(100),
        usage_unknown=draw.random() < 0.1,
        nano_aiu=draw.choice([None, 0, 123_456_789]),
        nano_aiu_estimated=draw.random() < 0.2,
        premium_requests=draw.choice([0.0, 0.33, 1.0]),
        queue_seconds=round(draw.choice([0.0, draw.random()]), 6),
        time_to_first_token=None if is_refused else round(draw.lognormvariate(0, 1), 6),
        duration=round(draw.choice([0.0, draw.lognormvariate(1, 1)]), 6),
        bytes_in=draw.randrange(10_000),
        bytes_out=draw.randrange(10_000),
        estimated_tokens=draw.choice([0, 1_600]),
        would_limit=draw.choice([None, None, "rpm", "models,tpm"]),
        kind=draw.choice(["turn", "title"]),
    )


def roll_up_event(event: UsageEvent) -> RolledEvent:
    """The event as the rollups see it."""
    values = {name: getattr(event, name) for name in RolledEvent._fields if name != "at"}
    return RolledEvent(at=to_microseconds(datetime.fromisoformat(event.at)), **{**values, "cause": event.cause.value})


def meets(event: UsageEvent, conditions: Iterable[Condition]) -> bool:
    """Whether every condition holds, by their definition."""
    return all(_meets(getattr(event, each.column), each) is not each.is_negated for each in conditions)


def _meets(value: object, condition: Condition) -> bool:
    if condition.match is Match.IS_SET:
        return value is not None
    if value is None:
        return False
    text = value.value if isinstance(value, Cause) else value
    match condition.match:
        case Match.IS:
            return text in condition.values
        case Match.CONTAINS:
            return any(str(part).lower() in str(text).lower() for part in condition.values)
        case Match.AT_LEAST:
            return all(text >= bound for bound in condition.values)  # type: ignore[operator]
        case Match.MORE_THAN:
            return all(text > bound for bound in condition.values)  # type: ignore[operator]
        case Match.AT_MOST:
            return all(text <= bound for bound in condition.values)  # type: ignore[operator]
        case _:
            return all(text < bound for bound in condition.values)  # type: ignore[operator]


def select_events(
    events: Iterable[UsageEvent], since: datetime, until: datetime, conditions: Iterable[Condition]
) -> list[UsageEvent]:
    """Those of a period that meet the conditions, newest first."""
    found = [
        event for event in events if since <= datetime.fromisoformat(event.at) < until and meets(event, conditions)
    ]
    return sorted(found, key=lambda event: (datetime.fromisoformat(event.at), event.request_id), reverse=True)


def sum_slowly(events: Iterable[UsageEvent], query: SumQuery) -> list[SumRow]:
    """What `sum_up` must answer: each event that is asked for, added up alone."""
    rows: dict[tuple[object, ...], SumRow] = {}
    for event in select_events(events, query.since, query.until, query.conditions):
        rolled = roll_up_event(event)
        sums = next(iter(roll_up([rolled]).values()))
        for index, name in enumerate(HISTOGRAMS, len(sums) - len(HISTOGRAMS)):
            sums[index] = sums[index] if name in query.histograms else 0
        group = tuple(getattr(rolled, dimension.value) for dimension in query.group)
        start = None if query.bucket is None else rolled.at - rolled.at % query.bucket.microseconds
        row = rows.setdefault((*group, start), SumRow(group, start, [0] * len(sums)))
        add_sums(row.sums, sums)
    return list(rows.values())
