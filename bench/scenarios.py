"""What is measured, and what each figure is held against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bench.programs import Load

GROUPS = ("whole", "large", "stream", "burst", "open")
EVENTS_BESIDES_CONTENT = 5  # preamble, role, finish, usage, [DONE]


@dataclass(frozen=True)
class Scenario:
    """One kind of load. CPU is quoted for `per` requests, or for `per` content events when `counts_events`."""

    name: str
    group: str
    title: str
    load: Load
    per: int = 1_000
    counts_events: bool = False
    in_quick: bool = True

    @property
    def unit(self) -> str:
        noun = "chunks" if self.counts_events else "streams" if self.load.is_streamed else "requests"
        return f"{self.per:,} {noun}"

    def warm_up(self) -> Load:
        """A third of a second of the same, so that connections, pools and caches exist when the clock starts."""
        return replace(
            self.load, connections=min(self.load.connections, 200), duration=0.3, count=0, ramp_ms=0, settle_ms=0,
            events=min(self.load.events, 20) if self.load.gap_ms else self.load.events,
        )  # fmt: skip


def _slow(connections: int, seconds: float, *, in_quick: bool) -> Scenario:
    """Streams of one event each 10 ms; every connection carries one stream, begun at a random-looking moment."""
    load = Load(connections, count=connections, is_streamed=True, events=int(seconds * 100), gap_ms=10, ramp_ms=500)
    title = f"{connections} streams, 10 ms gap"
    return Scenario(f"stream-{connections}", "stream", title, load, 100_000, counts_events=True, in_quick=in_quick)


def make_scenarios(*, is_quick: bool, groups: Sequence[str] = GROUPS) -> list[Scenario]:
    seconds = 1.5 if is_quick else 4.0
    scenarios = [
        *(
            Scenario(f"whole-{n}", "whole", f"whole, 2 KB, {n} in flight", Load(n, seconds, settle_ms=100))
            for n in (1, 16, 64)
        ),
        Scenario("large-8", "large", "whole, 200 KB, 8 in flight", Load(8, seconds, body_bytes=200_000, settle_ms=100)),
        Scenario("burst-16", "burst", "bursts of 200 events, 16 in flight",
                 Load(16, seconds, is_streamed=True, events=200, settle_ms=100)),
        Scenario("burst-framed-16", "burst", "the same, a chunk for every event",
                 Load(16, seconds, is_streamed=True, events=200, settle_ms=100, chunk_bytes=1), in_quick=False),
        _slow(100, seconds, in_quick=True),
        _slow(500, seconds, in_quick=False),
        # 4.2 s a stream and a ramp of 4 s: all are open from the end of the ramp on, and only streams begun then count.
        Scenario("open-2000", "open", "2,000 open streams, 50 ms gap",
                 Load(2_000, count=4_000, is_streamed=True, events=85, gap_ms=50, ramp_ms=4_000, settle_ms=4_000),
                 100_000, counts_events=True, in_quick=False),
    ]  # fmt: skip
    return [one for one in scenarios if one.group in groups and (one.in_quick or not is_quick)]


class Basis(StrEnum):
    """What a figure is compared with."""

    NGINX = "x nginx"
    ADDED = "x nginx, direct taken off both"
    ITSELF = "itself"


@dataclass(frozen=True)
class Row:
    """One line of the table. `target` and `original` are on the row's basis."""

    scenario: str
    metric: str
    label: str
    basis: Basis = Basis.NGINX
    target: float | None = None
    original: float | None = None
    digits: int = 0


# `original`: the TypeScript proxy on Bun (no keys, no ledger) against nginx in the run that set the targets: another
# machine and another day, so its ratios stand here, not its times.
ROWS = (
    Row("whole-1", "p50_us", "p50 us", original=230 / 137, digits=1),
    Row(
        "whole-1", "p50_us", "p50 us added to direct", Basis.ADDED, target=1.8, original=(230 - 6) / (137 - 6), digits=1
    ),
    Row("whole-1", "cpu", "CPU s", digits=4),
    Row("whole-16", "cpu", "CPU s (aim: 3x)", target=4.0, original=6.2, digits=4),
    Row("whole-16", "p50_us", "p50 us"),
    Row("whole-16", "p99_us", "p99 us"),
    Row("whole-64", "cpu", "CPU s", digits=4),
    Row("whole-64", "rps", "requests a second", original=13_700 / 83_000),
    Row("whole-64", "p99_us", "p99 us"),
    Row("large-8", "cpu", "CPU s", target=3.5, original=8.0, digits=3),
    Row("large-8", "p50_us", "p50 us"),
    Row("burst-16", "cpu", "CPU s", target=2.0, original=0.83 / 0.053, digits=4),
    Row("burst-16", "first_chunk_p50_us", "first chunk p50 us"),
    Row("burst-framed-16", "cpu", "CPU s", digits=4),
    Row("stream-100", "cpu", "CPU s", target=1.6, original=3.3 / 0.81, digits=3),
    Row("stream-100", "first_chunk_p50_us", "first chunk p50 us"),
    Row("stream-500", "cpu", "CPU s", target=1.6, original=2.6 / 0.74, digits=3),
    Row("stream-500", "first_chunk_p50_us", "first chunk p50 us"),
    Row("open-2000", "first_chunk_p50_ms", "first chunk p50 ms", Basis.ITSELF, target=2.0, original=8_500.0, digits=2),
    Row("open-2000", "first_chunk_p99_ms", "first chunk p99 ms", Basis.ITSELF, digits=2),
    Row("open-2000", "cpu", "CPU s", digits=3),
    Row("open-2000", "memory_mb", "private memory MB"),
)
