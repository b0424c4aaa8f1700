"""
What captures cost those who are not captured.

    python bench/run_capture.py [--rounds 5] [--seconds 4]

One gateway on a core of its own, the load and the mock upstream on another. A busy key keeps 20 streams open, one event
each 10 ms; other keys' calls (whole, 2 KB, 8 in flight) are measured beside it. In each round once with the busy key
captured and once without; who begins changes. The process that redacts shares the gateway's core. Before the first
capture, and after the last one once nothing waits to be redacted, the other keys' calls are measured alone: there
captures must cost nothing.

Exit code 1 when the 99th percentile of the other keys' calls moves by more than 10 % (median of the rounds), when their
throughput alone is not what it was before, or when nothing was captured.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bench.machine import facts
from bench.programs import BenchError, Load, LoadResult, build, run_load, start_mock
from bench.runner import pick_cores
from bench.subjects import GatewayCli, Subject, make_gateway_cli, start_gateway

TARGET_P99 = 1.10
TARGET_THROUGHPUT = 0.95
"""Of the throughput alone, after captures against before them."""
BACKLOG_SECONDS = 120.0
OTHERS = Load(8, settle_ms=200)
BUSY = Load(20, is_streamed=True, events=100, gap_ms=10, ramp_ms=300)


@dataclass(frozen=True)
class World:
    """What a measurement needs."""

    program: Path
    core: int
    cli: GatewayCli
    others: Subject
    busy: Subject
    busy_id: str

    def send(self, subject: Subject, load: Load) -> LoadResult:
        result = run_load(
            self.program, load, port=subject.port, path=subject.path, headers=subject.headers, core=self.core
        )
        if result.failures:
            raise BenchError(f"calls failed: {result.failures_by_kind}")
        return result

    def alone(self, seconds: float) -> LoadResult:
        """The other keys' calls, with nobody beside them."""
        return self.send(self.others, _lasting(OTHERS, seconds))

    def beside(self, seconds: float, *, is_captured: bool) -> LoadResult:
        """The same beside the busy key."""
        order = ("--reason", "bench", "--for", "1h") if is_captured else ("--off",)
        self.cli.run("keys", "debug", self.busy_id, *order)
        with ThreadPoolExecutor(1) as pool:
            busy = pool.submit(self.send, self.busy, _lasting(BUSY, seconds + 1))
            time.sleep(0.5)
            measured = self.alone(seconds)
            busy.result()
        return measured

    def wait_for_traces(self) -> None:
        """Until the process that redacts has nothing more to do."""
        deadline = time.monotonic() + BACKLOG_SECONDS
        while self.metric("captures_waiting_bytes"):
            if time.monotonic() > deadline:
                raise BenchError(f"captures still wait to be redacted after {BACKLOG_SECONDS:.0f} s")
            time.sleep(0.2)

    def metric(self, name: str) -> float:
        """A gauge of the gateway."""
        found = re.search(rf"{name} ([0-9.e+]+)$", self.read_metrics(), re.MULTILINE)
        if found is None:
            raise BenchError(f"there is no metric {name}")
        return float(found[1])

    def read_metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.others.port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    def captures(self) -> dict[str, float]:
        """What became of captures, as the metrics say."""
        found = re.findall(r'captures_total{outcome="(\w+)"} (\S+)', self.read_metrics())
        return {name: float(value) for name, value in found}


def _lasting(load: Load, seconds: float) -> Load:
    return replace(load, duration=seconds)


@dataclass(frozen=True)
class Figures:
    """What was measured: microseconds, and calls a second."""

    p99_off: list[float]
    p99_on: list[float]
    rps_before: float
    rps_after: float
    kept: float
    dropped: float

    @property
    def p99_ratio(self) -> float:
        """By how much the 99th percentile moves: the median of the rounds."""
        return statistics.median(on / off for on, off in zip(self.p99_on, self.p99_off, strict=True))

    @property
    def throughput_ratio(self) -> float:
        return self.rps_after / self.rps_before

    def misses(self) -> list[str]:
        """What is not as it should be."""
        found = []
        if self.p99_ratio > TARGET_P99:
            found.append(f"the other keys' p99 moves by {100 * (self.p99_ratio - 1):.1f} %, over 10 %")
        if self.throughput_ratio < TARGET_THROUGHPUT:
            found.append(
                f"without captures there are {100 * (1 - self.throughput_ratio):.1f} % fewer calls than before"
            )
        if not self.kept:
            found.append("nothing was captured")
        return found


def measure(world: World, rounds: int, seconds: float) -> Figures:
    world.alone(seconds / 4)
    before = statistics.median(world.alone(seconds).rps for _ in range(3))
    world.beside(seconds / 4, is_captured=True)  # the process that redacts starts once, not in a round
    p99: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        for is_captured in (number % 2 == 1, number % 2 == 0):
            result = world.beside(seconds, is_captured=is_captured)
            p99[is_captured].append(result.latency_us["p99"])
            print(f"  round {number + 1}, captured {is_captured!s:5}: p99 {p99[is_captured][-1]:.0f} us", flush=True)
    world.cli.run("keys", "debug", world.busy_id, "--off")
    world.wait_for_traces()
    after = statistics.median(world.alone(seconds).rps for _ in range(3))
    counts = world.captures()
    return Figures(p99[False], p99[True], before, after, counts.get("kept", 0), counts.get("dropped", 0))


def render(figures: Figures) -> str:
    """The table."""
    off, on = statistics.median(figures.p99_off), statistics.median(figures.p99_on)
    rows = [
        ("figure", "without", "with", "ratio"),
        ("---", "--:", "--:", "--:"),
        ("other keys' p99 beside a busy key, us", f"{off:.0f}", f"{on:.0f}", f"{figures.p99_ratio:.3f}"),
        (
            "other keys' calls a second alone, before and after captures",
            f"{figures.rps_before:.0f}",
            f"{figures.rps_after:.0f}",
            f"{figures.throughput_ratio:.3f}",
        ),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\ncaptures: {figures.kept:.0f} kept, {figures.dropped:.0f} dropped"


def main() -> int:
    parser = argparse.ArgumentParser(prog="run_capture.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    print(json.dumps(facts()))
    try:
        figures = run(arguments.rounds, arguments.seconds)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(render(figures))
    for miss in figures.misses():
        print(f"missed: {miss}", file=sys.stderr)
    return 1 if figures.misses() else 0


def run(rounds: int, seconds: float) -> Figures:
    """Start everything, measure, and end it."""
    mock_program, load_program = build()
    load_core, gateway_core = pick_cores()
    with (
        tempfile.TemporaryDirectory(prefix="bench-capture-") as directory,
        start_mock(mock_program, core=load_core) as mock,
    ):
        cli = make_gateway_cli(Path(directory) / "home", mock, None)
        with start_gateway(cli, gateway_core) as running:
            made = json.loads(cli.run("keys", "create", "--label", "busy", "--json"))
            subject = running.subject
            busy = Subject("busy", subject.port, subject.path, (f"Authorization: Bearer {made['key']}",), subject.pid)
            world = World(load_program, load_core, cli, subject, busy, made["id"])
            return measure(world, rounds, seconds)
