"""From raw samples to the table: medians over rounds, ratios within rounds, and what went wrong."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.programs import LoadResult
from bench.scenarios import EVENTS_BESIDES_CONTENT, ROWS, Basis, Row, Scenario

SATURATED = 0.95
FOREIGN = 0.1
STOLEN = 0.02


@dataclass(frozen=True)
class Sample:
    """One scenario on one subject in one round."""

    round: int
    scenario: Scenario
    subject: str
    load: LoadResult
    cpu_seconds: float | None
    memory_bytes: int | None
    load_core: dict[str, float]
    subject_core: dict[str, float]
    mock_cpu_seconds: float

    def metrics(self) -> dict[str, float]:
        load = self.load
        found = {
            "p50_us": load.latency_us["p50"],
            "p99_us": load.latency_us["p99"],
            "rps": load.rps,
        }
        if self.scenario.load.is_streamed:
            found["first_chunk_p50_us"] = load.first_chunk_us["p50"]
            found["first_chunk_p50_ms"] = load.first_chunk_us["p50"] / 1_000
            found["first_chunk_p99_ms"] = load.first_chunk_us["p99"] / 1_000
        units = load.requests * self.scenario.load.events if self.scenario.counts_events else load.requests
        if self.cpu_seconds is not None and units:
            found["cpu"] = self.cpu_seconds / units * self.scenario.per
        if self.memory_bytes is not None:
            found["memory_mb"] = self.memory_bytes / 1e6
        return found

    def as_json(self) -> dict[str, object]:
        return {
            "round": self.round,
            "scenario": self.scenario.name,
            "subject": self.subject,
            "metrics": self.metrics(),
            "cpu_seconds": self.cpu_seconds,
            "cpu_per": self.scenario.unit,
            "memory_bytes": self.memory_bytes,
            "load_core": self.load_core,
            "subject_core": self.subject_core,
            "mock_cpu_seconds": self.mock_cpu_seconds,
            "load": self.load.raw,
        }


class Samples:
    """All samples of a run."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self.all = list(samples)
        self._by_place = {(one.round, one.scenario.name, one.subject): one.metrics() for one in self.all}
        self.rounds = sorted({one.round for one in self.all})

    def values(self, scenario: str, metric: str, subject: str) -> dict[int, float]:
        places = {number: self._by_place.get((number, scenario, subject), {}) for number in self.rounds}
        return {number: metrics[metric] for number, metrics in places.items() if metric in metrics}

    def median(self, scenario: str, metric: str, subject: str) -> float | None:
        values = self.values(scenario, metric, subject)
        return median(values.values()) if values else None

    def ratio(self, row: Row, subject: str) -> float | None:
        """The median over rounds of the ratio within a round, so that a slow minute of the machine cancels out."""
        if row.basis is Basis.ITSELF:
            return self.median(row.scenario, row.metric, subject)
        ours, hop = (self.values(row.scenario, row.metric, name) for name in (subject, "nginx"))
        off = self.values(row.scenario, row.metric, "direct") if row.basis is Basis.ADDED else dict.fromkeys(ours, 0.0)
        ratios = [
            (ours[number] - off[number]) / (hop[number] - off[number])
            for number in ours
            if number in hop and number in off and hop[number] > off[number]
        ]
        return median(ratios) if ratios else None


def verdict(row: Row, ratio: float | None) -> str:
    if row.target is None or ratio is None:
        return ""
    return "reached" if ratio <= row.target else "MISSED"


def summarise(samples: Samples, scenarios: Sequence[Scenario], subjects: Sequence[str]) -> list[dict[str, object]]:
    """The table as data: one entry a row."""
    measured = {one.name: one for one in scenarios}
    return [
        {
            "scenario": row.scenario,
            "metric": row.metric,
            "label": row.label,
            "per": measured[row.scenario].unit if row.metric == "cpu" else "",
            "basis": str(row.basis),
            "median": {name: samples.median(row.scenario, row.metric, name) for name in subjects},
            "ratio": {name: samples.ratio(row, name) for name in subjects if name not in {"direct", "nginx"}},
            "target": row.target,
            "original": row.original,
        }
        for row in ROWS
        if row.scenario in measured
    ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _on_basis(row: Row, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.2f} ms" if row.basis is Basis.ITSELF else f"{value:,.2f}x"


def render_table(samples: Samples, scenarios: Sequence[Scenario], subjects: Sequence[str]) -> str:
    compared = [name for name in subjects if name not in {"direct", "nginx"}]
    header = ["", *subjects, *(f"{name}/nginx" for name in compared), "target", "original/nginx"]
    table: list[list[str]] = [header]
    measured = {one.name: one for one in scenarios}
    for scenario in measured.values():
        table.append([f"{scenario.title} (CPU per {scenario.unit})", *[""] * (len(header) - 1)])
        for row in (row for row in ROWS if row.scenario == scenario.name):
            ratios = {name: samples.ratio(row, name) for name in compared}
            medians = {name: samples.median(row.scenario, row.metric, name) for name in subjects}
            added = row.basis is Basis.ADDED
            table.append([
                f"  {row.label}",
                *("" if added else _number(medians[one], row.digits) for one in subjects),
                *(f"{_on_basis(row, ratios[name])} {verdict(row, ratios[name])}".strip() for name in compared),
                _on_basis(row, row.target),
                _on_basis(row, row.original),
            ])  # fmt: skip
    widths = [max(len(line[column]) for line in table if any(line[1:]) or column) for column in range(len(header))]
    return "\n".join(_aligned(line, widths) for line in table)


def _aligned(line: list[str], widths: list[int]) -> str:
    if not any(line[1:]):
        return f"\n{line[0]}"
    rest = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
    return "  ".join([line[0].ljust(widths[0]), *rest]).rstrip()


def find_failures(samples: Samples) -> list[str]:
    found = []
    for one in samples.all:
        if one.load.failures:
            kinds = ", ".join(f"{kind} {count:,}" for kind, count in one.load.failures_by_kind.items())
            status = one.load.raw.get("a_wrong_status")
            body = f"; one answer was {status}: {one.load.raw.get('a_wrong_body', '')}" if status else ""
            place = f"{one.scenario.name} on {one.subject}, round {one.round}"
            found.append(f"{place}: {one.load.failures:,} of {one.load.requests:,} failed ({kinds}){body}")
        most = one.load.requests * (one.scenario.load.events + EVENTS_BESIDES_CONTENT)
        fewest = most - one.load.requests  # a gateway may fold the preamble into the next event
        if one.scenario.load.is_streamed and not one.load.failures and not fewest <= one.load.events <= most:
            place = f"{one.scenario.name} on {one.subject}, round {one.round}"
            found.append(f"{place}: {one.load.events:,} events came, not {fewest:,} to {most:,}")
    return found


def find_doubts(samples: Samples) -> list[str]:
    """What makes a figure doubtful without making it wrong: one line a reason, with the places it holds for."""
    reasons: dict[str, dict[str, None]] = {}
    for one in samples.all:
        place, cores = f"{one.scenario.name} on {one.subject}", (one.load_core, one.subject_core)
        if one.subject != "direct" and one.load_core["busy"] > SATURATED:
            reasons.setdefault("the load's core was full, so rates are its limit; CPU holds", {})[place] = None
        if max(core["others"] for core in cores) > FOREIGN:
            reason = f"something else ran for more than {FOREIGN:.0%} of a core; measure on a quiet machine"
            reasons.setdefault(reason, {})[place] = None
        if max(core["stolen"] for core in cores) > STOLEN:
            reasons.setdefault(f"the hypervisor took more than {STOLEN:.0%} of a core away", {})[place] = None
    return [f"{reason}: {', '.join(places)}" for reason, places in reasons.items()]


def render_cores(samples: Samples, scenarios: Sequence[Scenario], subjects: Sequence[str]) -> str:
    """How busy the load's core and the subject's core were."""
    lines = []
    for scenario in scenarios:
        cells = []
        for name in subjects:
            there = [one for one in samples.all if one.scenario.name == scenario.name and one.subject == name]
            if there:
                load, own = (
                    median(one[key]["busy"] for one in map(vars, there)) for key in ("load_core", "subject_core")
                )
                cells.append(f"{name} {load:.0%}/{own:.0%}")
        lines.append(f"  {scenario.name:<17}" + "   ".join(cells))
    return "\n".join(lines)
