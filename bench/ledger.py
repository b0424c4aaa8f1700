"""
A ledger of realistic shape and any size, for measuring what asks it and what fills it.

A thousand keys whose use follows Zipf's law, busy by day and quiet at night and on weekends; seven client programs,
each with the models, endpoints and kinds of call that it is seen to use; conversations whose input grows and is cached;
about four percent of calls that fail, each for its reason. The same seed makes the same ledger.
"""

import bisect
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from copilot_api.usage.models import Cause, UsageEvent


@dataclass(frozen=True)
class Program:
    """What one client program asks for."""

    client: str
    endpoint: str
    models: tuple[tuple[str, float], ...]
    kinds: tuple[tuple[str, float], ...]
    share: float


OPUS, SONNET, HAIKU = "claude-opus-4.7", "claude-sonnet-4.6", "claude-haiku-4.5"
GPT, MINI, CODEX, EMBEDDING = "gpt-4.1", "gpt-5-mini", "gpt-5.3-codex", "text-embedding-3-small"
PRICES = {OPUS: (500, 2500), SONNET: (300, 1500), HAIKU: (100, 500), CODEX: (175, 1400), MINI: (25, 200)}
"""Credits for a million input and output tokens; the others are free."""

PROGRAMS = (
    Program(
        "claude-code",
        "/v1/messages",
        ((SONNET, 0.6), (OPUS, 0.25), (HAIKU, 0.15)),
        (("turn", 0.78), ("subagent", 0.12), ("title", 0.06), ("compaction", 0.01), ("count_tokens", 0.03)),
        0.42,
    ),
    Program("codex", "/v1/responses", ((CODEX, 0.85), (MINI, 0.15)), (("turn", 0.95), ("subagent", 0.05)), 0.2),
    Program("opencode", "/v1/chat/completions", ((SONNET, 0.7), (GPT, 0.3)), (("turn", 0.9), ("title", 0.1)), 0.12),
    Program("openai-python", "/v1/chat/completions", ((GPT, 0.5), (MINI, 0.5)), (("turn", 1.0),), 0.12),
    Program("openai-python", "/v1/embeddings", ((EMBEDDING, 1.0),), (("embeddings", 1.0),), 0.06),
    Program("aider", "/v1/chat/completions", ((SONNET, 1.0),), (("turn", 1.0),), 0.05),
    Program("curl", "/v1/chat/completions", ((MINI, 1.0),), (("turn", 1.0),), 0.03),
)
FAILURES = (
    (Cause.CLIENT_ABORTED, 200, 0.012),
    (Cause.UPSTREAM_RATE_LIMITED, 429, 0.008),
    (Cause.RATE_LIMITED, 429, 0.006),
    (Cause.UPSTREAM_ERROR, 502, 0.005),
    (Cause.BAD_REQUEST, 400, 0.004),
    (Cause.OVER_BUDGET, 429, 0.003),
    (Cause.UPSTREAM_TIMEOUT, 504, 0.001),
    (Cause.UPSTREAM_CUT, 200, 0.001),
    (Cause.INTERRUPTED, 0, 0.0002),
)
_LOCAL = {Cause.RATE_LIMITED, Cause.BAD_REQUEST, Cause.OVER_BUDGET}
"""What the gateway itself refused: nothing went upstream."""


@dataclass
class LedgerShape:
    """How large, and of when."""

    events: int
    days: int = 90
    keys: int = 1000
    seed: int = 20260701
    until: datetime = field(default_factory=lambda: datetime(2026, 7, 1, tzinfo=UTC))


def make_events(shape: LedgerShape) -> Iterator[UsageEvent]:
    """The events, in order of time."""
    draw = random.Random(shape.seed)
    keys = _draw_keys(draw, shape)
    popular = list(itertools.accumulate(1 / (rank + 3) for rank in range(shape.keys)))
    programs = list(itertools.accumulate(program.share for program in PROGRAMS))
    favourites = [_favourites(draw, programs) for _ in keys]
    hours = [_busy(shape.until - timedelta(hours=back)) for back in range(shape.days * 24, 0, -1)]
    each = shape.events / sum(hours)
    owed, number = 0.0, 0
    for index, busy in enumerate(hours):
        owed += busy * each
        start = shape.until - timedelta(hours=shape.days * 24 - index)
        count = int(owed)
        owed -= count
        for second in sorted(draw.random() * 3600 for _ in range(count)):
            rank = bisect.bisect(popular, draw.random() * popular[-1])
            program = draw.choice(favourites[min(rank, shape.keys - 1)])
            number += 1
            yield _make_event(draw, number, start + timedelta(seconds=second), keys[min(rank, shape.keys - 1)], program)


def list_keys(shape: LedgerShape) -> list[str]:
    """The ids of the keys, the busiest first."""
    return _draw_keys(random.Random(shape.seed), shape)


def _draw_keys(draw: random.Random, shape: LedgerShape) -> list[str]:
    return [f"key_{draw.getrandbits(48):012x}" for _ in range(shape.keys)]


def _favourites(draw: random.Random, programs: list[float]) -> list[Program]:
    """What one key's holder works with: one program, most of the time, and sometimes another."""
    first, second = (PROGRAMS[bisect.bisect(programs, draw.random() * programs[-1])] for _ in range(2))
    return [first, first, first, second] if draw.random() < 0.5 else [first]


def _busy(at: datetime) -> float:
    day = 0.06 + 0.94 * math.exp(-(((at.hour + 0.5 - 14) / 4.5) ** 2))
    return day * (0.15 if at.weekday() >= 5 else 1.0)


def _pick(draw: random.Random, choices: tuple[tuple[str, float], ...]) -> str:
    point = draw.random()
    for name, share in choices:
        point -= share
        if point < 0:
            return name
    return choices[0][0]


def _make_event(draw: random.Random, number: int, at: datetime, key_id: str, program: Program) -> UsageEvent:
    model, kind = _pick(draw, program.models), _pick(draw, program.kinds)
    is_turn = kind in {"turn", "subagent"}
    fresh = int(draw.lognormvariate(7.5 if is_turn else 6, 1.0))
    cached = int(draw.lognormvariate(10, 1.0)) if is_turn and draw.random() < 0.8 else 0
    output = 0 if kind in {"embeddings", "count_tokens"} else int(draw.lognormvariate(5.5 if is_turn else 3, 1.0))
    first = draw.lognormvariate(0.4, 0.6)
    event = UsageEvent(
        request_id=f"req_{int(at.timestamp() * 1000):011x}0badcafe{number & 0xFFFFF:05x}",
        at=at.isoformat(),
        key_id=key_id,
        identity_id="default",
        client=program.client,
        endpoint=program.endpoint,
        model=model,
        upstream_model=model,
        upstream_endpoint=program.endpoint.removeprefix("/v1"),
        stream=kind != "embeddings",
        status=200,
        cause=Cause.OK,
        input_tokens=fresh + cached,
        output_tokens=output,
        cache_read_tokens=cached,
        initiator="user" if draw.random() < 0.25 else "agent",
        time_to_first_token=round(first, 6),
        duration=round(first + output / 70, 6),
        queue_seconds=0.0 if draw.random() < 0.9 else round(draw.expovariate(1.5), 6),
        bytes_in=(fresh + cached) * 4,
        bytes_out=output * 60,
        kind=kind,
    )
    _fail(draw, event)
    price, output_price = PRICES.get(model, (0, 0))
    if event.identity_id is not None:
        event.nano_aiu = (fresh * price + cached * price // 10 + event.output_tokens * output_price) * 1000
    return event


def _fail(draw: random.Random, event: UsageEvent) -> None:
    point = draw.random()
    for cause, status, share in FAILURES:
        point -= share
        if point < 0:
            event.cause, event.status = cause, status
            event.usage_unknown = cause in {Cause.CLIENT_ABORTED, Cause.UPSTREAM_CUT, Cause.INTERRUPTED}
            event.input_tokens = event.output_tokens = event.cache_read_tokens = 0
            event.time_to_first_token = event.time_to_first_token if status == 200 else None
            if cause in _LOCAL:
                event.identity_id = event.upstream_model = event.upstream_endpoint = None
                event.duration = 0.0004
            return
