"""Two weeks of calls, and what they did to the account."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from copilot_api.demo.people import PEOPLE, Habit, Person
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.upstream.quotas import PREMIUM, QuotaReading
from copilot_api.usage.credits import window_start
from copilot_api.usage.models import Cause, UsageEvent

DAYS = 14
ENTITLEMENT = 12_000
"""The account's credits in a month."""
ELSEWHERE = 0.12
"""How much more the account uses than goes through the gateway."""
INCIDENT = timedelta(days=2, hours=5)
"""How long ago Copilot failed for an hour."""


@dataclass(frozen=True, slots=True)
class _Model:
    """What a model costs, and how it answers."""

    endpoint: str
    multiplier: float = 0.0
    price: int = 0
    """Credits for a million tokens of input; output is five times that, cached input a tenth."""
    first_token: float = 1.0
    speed: float = 80.0
    """Tokens in a second."""


_MODELS = {
    "claude-sonnet-4.6": _Model("/v1/messages", 1.0, 300, 1.3, 70),
    "claude-opus-4.8": _Model("/v1/messages", 3.0, 500, 2.2, 45),
    "gpt-5.3-codex": _Model("/responses", 1.0, 175, 1.8, 90),
    "gpt-5-mini": _Model("/chat/completions", 0.0, 25, 0.7, 130),
    "gpt-4.1": _Model("/chat/completions", 0.0, 0, 0.6, 110),
    "text-embedding-3-small": _Model("/embeddings", 0.0, 0, 0.2, 1000),
}
_ALIASES = {"fast": "gpt-5-mini", "smart": "claude-sonnet-4.6", "deep": "claude-opus-4.8"}
_SMALL = {"title", "warm_up", "probe"}
_FAILURES = (
    (Cause.CLIENT_ABORTED, 200, 30),
    (Cause.UPSTREAM_RATE_LIMITED, 429, 10),
    (Cause.UPSTREAM_ERROR, 502, 8),
    (Cause.BAD_REQUEST, 400, 8),
    (Cause.MODEL_NOT_ALLOWED, 403, 5),
    (Cause.MODEL_NOT_FOUND, 404, 4),
    (Cause.UPSTREAM_TIMEOUT, 504, 3),
    (Cause.UPSTREAM_CUT, 200, 2),
    (Cause.QUEUE_TIMEOUT, 503, 2),
    (Cause.INTERRUPTED, 0, 1),
)
_HERE = {Cause.BAD_REQUEST, Cause.MODEL_NOT_ALLOWED, Cause.MODEL_NOT_FOUND, Cause.RATE_LIMITED, Cause.QUEUE_TIMEOUT}
"""Refused by the gateway: nothing went upstream."""
_ASKED_IN_VAIN = {Cause.MODEL_NOT_ALLOWED: "deep", Cause.MODEL_NOT_FOUND: "claude-opus-5"}
_FAILING = 0.035


def make_sample_events(key_ids: Mapping[str, str], now: datetime) -> list[UsageEvent]:
    """
    What those people who have a key in `key_ids`, by label, called in two weeks: much by day, with a pause for lunch,
    little at night and on weekends; now and then in vain. The same every time, but for `now`.
    """
    events: list[UsageEvent] = []
    for person in PEOPLE:
        if person.label in key_ids:
            draw = random.Random(f"copilot-api {person.label}")  # noqa: S311 -- samples
            events += _list_calls(draw, person, key_ids[person.label], now)
    return events


def _list_calls(draw: random.Random, person: Person, key_id: str, now: datetime) -> Iterator[UsageEvent]:
    habits, shares = person.habits, [habit.share for habit in person.habits]
    owed, number = 0.0, 0
    for hours in range(DAYS * 24, 0, -1):
        start = now - timedelta(hours=hours)
        owed += person.busy * _busy(person, start) * draw.uniform(0.4, 1.6)
        while owed >= 1:
            owed -= 1
            at = start + timedelta(seconds=draw.random() * 3600)
            (habit,) = draw.choices(habits, shares)
            number += 1
            yield _make_event(draw, f"{person.label}{number:05}", at, now - at, key_id, habit, person)


def _busy(person: Person, at: datetime) -> float:
    """How much of a person's most is done in that hour."""
    weekend = 0.6 if person.is_machine else 0.12
    share = weekend if at.weekday() >= 5 else 1.0
    if person.is_machine:
        return share * (1.0 if 6 <= at.hour < 20 else 0.7)
    into = (at.hour - person.starts) % 24
    if into >= 10:
        return share * 0.04
    return share * (0.35 if into == 4 else 0.6 if into in {0, 9} else 1.0)


def _make_event(
    draw: random.Random, name: str, at: datetime, ago: timedelta, key_id: str, habit: Habit, person: Person
) -> UsageEvent:
    asked, kind = draw.choice(habit.models), draw.choice(habit.kinds)
    cause, status = _choose_end(draw, ago, person)
    upstream = _ALIASES.get(asked, asked)
    model = _MODELS[upstream]
    asked = _ASKED_IN_VAIN.get(cause, asked)
    is_counted, is_embedding = kind == "count_tokens", kind == "embeddings"
    is_whole = cause in {Cause.OK, Cause.CLIENT_ABORTED, Cause.UPSTREAM_CUT}
    is_sent = cause not in _HERE and not is_counted
    size = draw.lognormvariate(5.5, 0.6) if kind in _SMALL else draw.lognormvariate(9.2, 1.0)
    input_tokens = min(180_000, int(size)) if is_sent and is_whole else 0
    output_tokens = 0 if is_embedding else int(draw.lognormvariate(3.0 if kind in _SMALL else 5.6, 0.8))
    output_tokens = output_tokens if is_sent and is_whole else 0
    cached = int(input_tokens * draw.choice((0.0, 0.6, 0.9, 0.95))) if kind not in _SMALL and not is_embedding else 0
    reasoning = int(output_tokens * draw.uniform(0.2, 0.6)) if upstream in {"gpt-5.3-codex", "gpt-5-mini"} else 0
    is_person = kind == "turn" and draw.random() < 0.3
    queued = draw.expovariate(0.4) if draw.random() < 0.04 else 0.0
    first = model.first_token * draw.lognormvariate(0.0, 0.45) + input_tokens / 60_000
    price = model.price
    charge = (input_tokens - cached) * price * 1000 + cached * price * 100 + output_tokens * price * 5000
    return UsageEvent(
        request_id=f"req_sample{name}",
        at=at.isoformat(timespec="milliseconds"),
        key_id=key_id,
        identity_id="default",
        client=habit.client,
        endpoint=habit.endpoint,
        model=asked,
        upstream_model=upstream if is_sent or is_counted else None,
        upstream_endpoint=model.endpoint if is_sent else None,
        stream=not (is_embedding or is_counted or kind in _SMALL),
        status=status,
        cause=cause,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cached,
        reasoning_tokens=reasoning,
        nano_aiu=charge if is_sent and is_whole else None,
        premium_requests=model.multiplier if is_person and is_sent and is_whole else 0.0,
        initiator="user" if is_person else "agent",
        queue_seconds=60.0 if cause is Cause.QUEUE_TIMEOUT else round(queued, 3),
        time_to_first_token=round(first + queued, 3) if is_sent and is_whole else None,
        duration=round(_how_long(cause, queued, first, output_tokens / model.speed), 3),
        bytes_in=int(size) * 4,
        bytes_out=output_tokens * 40,
        kind=kind,
    )


def _choose_end(draw: random.Random, ago: timedelta, person: Person) -> tuple[Cause, int]:
    if INCIDENT < ago < INCIDENT + timedelta(hours=1) and draw.random() < 0.5:
        return Cause.UPSTREAM_ERROR, 502
    if person.label == "docs-bot" and draw.random() < 0.05:
        return Cause.RATE_LIMITED, 429
    if draw.random() >= _FAILING:
        return Cause.OK, 200
    cause, status, _ = draw.choices(_FAILURES, [weight for _, _, weight in _FAILURES])[0]
    return cause, status


def _how_long(cause: Cause, queued: float, first: float, speaking: float) -> float:
    if cause is Cause.QUEUE_TIMEOUT:
        return 60.0
    if cause in _HERE:
        return 0.004
    if cause is Cause.UPSTREAM_TIMEOUT:
        return 60.0 + queued
    return queued + first + speaking


def make_sample_readings(events: Sequence[UsageEvent], now: datetime) -> list[QuotaReading]:
    """How the account's credits stood each hour: what these events cost, and a little that went elsewhere."""
    costs = sorted((datetime.fromisoformat(event.at), event.nano_aiu or 0) for event in events)
    readings: list[QuotaReading] = []
    used, done, resets_at = 0.0, 0, None
    for hours in range(DAYS * 24, -1, -1):
        at = now - timedelta(hours=hours)
        ends = _next_month(at)
        if ends != resets_at:
            used, resets_at = 0.0, ends
        while done < len(costs) and costs[done][0] <= at:
            if costs[done][0] >= (window_start(ends) or at):
                used += costs[done][1] / NANO_PER_CREDIT * (1 + ELSEWHERE)
            done += 1
        readings.append(
            QuotaReading(PREMIUM, at, ENTITLEMENT, round(used, 6), is_token_based=True, resets_at=resets_at)
        )
    return readings


def _next_month(at: datetime) -> datetime:
    """The first of next month, when allowances come back."""
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    return datetime(year, month, 1, tzinfo=UTC)
