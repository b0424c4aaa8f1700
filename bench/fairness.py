"""
How fair the line before the slots is, by simulation: `python bench/run_fairness.py`.

The clock is a number and the queue is the real one. Beside it the same load goes through a line that is first in, first
out, so that one sees what the queue buys. Every draw comes from a seed, so the figures are the same each time; the test
of this module holds docs/concepts/fairness.md to them.
"""

import heapq
import itertools
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from copilot_api.admission.fair_queue import FairQueue, QueueOverflow, Waiting

SLOTS = 8
KEYS = 50
WARM_UP = 100.0
"""Seconds until the line is what it will be; only then those come that ask once."""

Draw = Callable[[random.Random], float]
"""How long one call takes, in mean service times as a rule."""


class Line(Protocol):
    """What a simulation asks of a line; see `FairQueue`."""

    def __len__(self) -> int: ...
    def enter(self, flow: str, weight: float, now: float) -> None: ...
    def push(
        self, flow: str, weight: float, now: float, *, is_batch: bool = False
    ) -> tuple[Waiting, Waiting | None]: ...
    def pop(self, now: float) -> Waiting | None: ...
    def served(self, flow: str, seconds: float, now: float) -> None: ...


class Fifo:
    """First in, first out, and closed when it is full."""

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self._line: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def enter(self, flow: str, weight: float, now: float) -> None:
        pass

    def push(self, flow: str, weight: float, now: float, *, is_batch: bool = False) -> tuple[Waiting, Waiting | None]:
        if len(self._line) >= self._max_length:
            raise QueueOverflow
        self._line.append(Waiting(flow, weight, is_batch, now, 0))
        return self._line[-1], None

    def pop(self, now: float) -> Waiting | None:  # noqa: ARG002 -- see `Line`
        return self._line.popleft() if self._line else None

    def served(self, flow: str, seconds: float, now: float) -> None:
        pass


@dataclass(frozen=True)
class Key:
    """One key's load: calls that come at random, `rate` in a second, or always `depth` of them in line."""

    flow: str
    weight: float = 1.0
    rate: float = 0.0
    depth: int = 0
    is_batch: bool = False
    takes: Draw | None = None
    """If its calls are not like all others."""


@dataclass(frozen=True)
class Load:
    """What happens at the door."""

    keys: tuple[Key, ...]
    takes: Draw
    seconds: float
    idle_rate: float = 0.25
    """How many keys that were never seen before come in a second, and ask once."""
    is_idle_batch: bool = False
    max_length: int = 200
    seed: int = 1


@dataclass
class Outcome:
    """What became of it."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict[str, float](float))
    """Slot time of each key."""
    calls: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    idle_waits: list[float] = field(default_factory=list[float])
    """How long each key that asked once waited."""
    idle_turns: list[int] = field(default_factory=list[int])
    """How many slots came free until it had one."""
    most_under_way: int = 0


class Simulation:
    """One load through one line."""

    def __init__(self, load: Load, line: Line) -> None:
        self.load = load
        self.line = line
        self.outcome = Outcome()
        self._keys = {key.flow: key for key in load.keys}
        self._arrivals = random.Random(load.seed)
        self._services = random.Random(load.seed + 1)
        self._events: list[tuple[float, int, Key, float | None]] = []
        """When, a number, whose, and how long the call took if it is an end."""
        self._serial = itertools.count()
        self._idle = itertools.count()
        self._under_way = 0
        self._freed = 0

    def run(self) -> Outcome:
        for key in self.load.keys:
            self._expect(key, 0.0)
            for _ in range(key.depth):
                self._come(key, 0.0)
        self._expect_idle(WARM_UP)
        while self._events[0][0] < self.load.seconds:
            now, _, key, seconds = heapq.heappop(self._events)
            if seconds is not None:
                self._end(key, seconds, now)
            elif key.flow in self._keys:
                self._come(key, now)
                self._expect(key, now)
            else:
                self._come(key, now)
                self._expect_idle(now)
        return self.outcome

    def _expect(self, key: Key, now: float) -> None:
        if key.rate:
            self._at(now + self._arrivals.expovariate(key.rate), key, None)

    def _expect_idle(self, now: float) -> None:
        if self.load.idle_rate:
            key = Key(f"idle {next(self._idle)}", is_batch=self.load.is_idle_batch)
            self._at(now + self._arrivals.expovariate(self.load.idle_rate), key, None)

    def _at(self, when: float, key: Key, seconds: float | None) -> None:
        heapq.heappush(self._events, (when, next(self._serial), key, seconds))

    def _come(self, key: Key, now: float) -> None:
        if self._under_way < SLOTS and not len(self.line):
            self.line.enter(key.flow, key.weight, now)
            self._begin(key, now, now, turns=0)
            return
        try:
            waiting, pushed_out = self.line.push(key.flow, key.weight, now, is_batch=key.is_batch)
        except QueueOverflow:
            self.outcome.refused[key.flow] += 1
            return
        waiting.wakes = (key, self._freed)
        if pushed_out is not None:
            self.outcome.refused[pushed_out.flow] += 1

    def _begin(self, key: Key, since: float, now: float, turns: int) -> None:
        self._under_way += 1
        outcome, flow = self.outcome, key.flow
        outcome.most_under_way = max(outcome.most_under_way, self._under_way)
        if flow not in self._keys:
            outcome.idle_waits.append(now - since)
            outcome.idle_turns.append(turns)
        seconds = (key.takes or self.load.takes)(self._services)
        outcome.calls[flow] += 1
        outcome.seconds[flow] += min(seconds, self.load.seconds - now)
        self._at(now + seconds, key, seconds)
        if key.depth:
            self._come(key, now)

    def _end(self, key: Key, seconds: float, now: float) -> None:
        self._under_way -= 1
        self._freed += 1
        self.line.served(key.flow, seconds, now)
        waiting = self.line.pop(now)
        if waiting is not None:
            key, freed = waiting.wakes
            self._begin(key, waiting.since, now, self._freed - freed)


# How long calls take -------------------------------------------------------------------------------------------------


def constant(draw: random.Random) -> float:  # noqa: ARG001 -- a `Draw`
    return 1.0


def exponential(draw: random.Random) -> float:
    return draw.expovariate(1.0)


def pareto(draw: random.Random, shape: float = 1.5, spread: float = 100.0) -> float:
    """Heavy-tailed with mean 1: the longest is a hundred times the shortest."""
    shortest: float = (shape - 1) / shape * (1 - spread**-shape) / (1 - spread ** (1 - shape))
    below: float = (1 - draw.random() * (1 - spread**-shape)) ** (1 / shape)
    return shortest / below


def half_or_double(number: int) -> Draw:
    """One's own mean: half of the others' or the double, by turns."""
    mean = 0.5 if number % 2 else 2.0
    return lambda draw: draw.expovariate(1 / mean)


# The loads -----------------------------------------------------------------------------------------------------------

GREEDY = 10
"""How many keys of the crowd always have something waiting."""


def crowd(takes: Draw, seconds: float, *, is_mixed: bool = False) -> Load:
    """
    Ten keys with weights from 1 to 5 that always have something in line, and forty more that take 15 % of the slots
    together, the busiest of them forty times as much as the quietest.
    """
    greedy = [
        Key(f"greedy {number}", weight=1 + number // 2, depth=4, takes=half_or_double(number) if is_mixed else None)
        for number in range(GREEDY)
    ]
    whole = sum(1 / rank for rank in range(1, KEYS - GREEDY + 1))
    light = [Key(f"light {rank}", rate=0.15 * SLOTS / rank / whole) for rank in range(1, KEYS - GREEDY + 1)]
    return Load((*greedy, *light), takes, seconds)


CROWDS = {
    "all the same": crowd(constant, 4_000.0),
    "exponential": crowd(exponential, 8_000.0),
    "heavy-tailed": crowd(pareto, 4_000.0),
    "half of the keys four times as long": crowd(exponential, 4_000.0, is_mixed=True),
}
"""By how long calls take."""
BATCH_AMONG_OTHERS = Load(
    tuple(Key(f"flood {number}", depth=4, is_batch=number % 2 == 0) for number in range(KEYS)),
    exponential,
    4_000.0,
    idle_rate=0.1,
    is_idle_batch=True,
    max_length=1_000,
)
OTHERS_AMONG_BATCH = Load(
    tuple(Key(f"flood {number}", depth=4, is_batch=True) for number in range(KEYS)),
    exponential,
    4_000.0,
    max_length=1_000,
)
ONE_KEY = Load(
    (Key("flood", rate=5.0 * SLOTS), *(Key(f"polite {number}", rate=0.4 * SLOTS / 49) for number in range(1, KEYS))),
    exponential,
    2_000.0,
)
"""The polite ones ask for two fifths of the slots, together."""
FLOODS = {
    "half of the keys with batch calls, half with others; a batch call": BATCH_AMONG_OTHERS,
    "all keys with batch calls; a call that somebody waits for": OTHERS_AMONG_BATCH,
    "one key with five times what there is; a call of another key": ONE_KEY,
}
"""By who floods, and whose wait it is."""


@cache
def simulate(load: Load, line: type[FairQueue] | type[Fifo] = FairQueue) -> Outcome:
    """What becomes of a load."""
    return Simulation(load, line(load.max_length)).run()


# The table -----------------------------------------------------------------------------------------------------------


def share_error(load: Load, counts: Mapping[str, float]) -> float:
    """How far the share of a key that always has something waiting is from its weight's, at worst and relatively."""
    greedy = [key for key in load.keys if key.depth]
    total = sum(counts[key.flow] for key in greedy) / sum(key.weight for key in greedy)
    return max(abs(counts[key.flow] / key.weight / total - 1) for key in greedy)


def lost(outcome: Outcome) -> str:
    """How many of the calls were refused that are not of the key that floods."""
    refused, calls = (
        sum(count for flow, count in counts.items() if flow != "flood") for counts in (outcome.refused, outcome.calls)
    )
    return f"{refused:,} of {refused + calls:,}"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def crowds() -> list[str]:
    """The shares and the waits, by how long calls take; first in, first out in brackets."""
    lines = [
        row("how long calls take", "worst error of a share", "longest wait", "with the first or second free slot"),
        "|---|--:|--:|--:|",
    ]
    for name, load in CROWDS.items():
        fair, fifo = simulate(load), simulate(load, Fifo)
        soon = sum(turns <= 2 for turns in fair.idle_turns) / len(fair.idle_turns)
        error, fifo_error = (100 * share_error(load, outcome.seconds) for outcome in (fair, fifo))
        waits = f"{max(fair.idle_waits):.1f} ({max(fifo.idle_waits):.1f})"
        lines.append(row(name, f"{error:.2f} % ({fifo_error:.0f} %)", waits, f"{100 * soon:.0f} %"))
    return lines


def floods() -> list[str]:
    """What others feel of a flood."""
    lines = [row("in a flood", "this queue", "first in, first out"), "|---|--:|--:|"]
    for name, load in FLOODS.items():
        fair, fifo = simulate(load), simulate(load, Fifo)
        lines.append(row(f"{name}: longest wait", f"{max(fair.idle_waits):.1f}", f"{max(fifo.idle_waits):.1f}"))
    fair, fifo = simulate(ONE_KEY), simulate(ONE_KEY, Fifo)
    return [*lines, row("the same: calls of the other 49 keys that are refused", lost(fair), lost(fifo))]


def table() -> str:
    """All figures, as Markdown. Waits are in mean service times, and are those of keys that ask once."""
    return "\n".join([*crowds(), "", *floods()])


def main() -> int:
    """Print the table."""
    print(table())
    return 0
