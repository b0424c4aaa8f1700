"""The files that the ledger's endpoints give: what the explorer found, or events. Each is made while it is sent."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from copilot_api.usage.exports import Cell, render_csv, render_events_csv
from copilot_api.usage.models import UsageEvent

_LINES_BYTES = 64 * 1024
_REST = "(other)"
"""What the groups are called that are not among the largest. Without brackets it is the name of a client program."""


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """A file, piece by piece; whoever takes the pieces waits for the database."""

    name: str
    chunks: Iterator[bytes]

    @property
    def media_type(self) -> str:
        """What is in it."""
        return "text/csv; charset=utf-8" if self.name.endswith(".csv") else "application/x-ndjson"


def events_file(events: Iterable[UsageEvent]) -> LedgerFile:
    """Events as CSV."""
    return LedgerFile("events.csv", map(str.encode, render_events_csv(events)))


def lines_file(events: Iterable[UsageEvent]) -> LedgerFile:
    """Events as JSON, one a line."""
    return LedgerFile("events.ndjson", _render_lines(events))


def _render_lines(events: Iterable[UsageEvent]) -> Iterator[bytes]:
    encode, lines = msgspec.json.Encoder().encode, bytearray()
    for event in events:
        lines += encode(event) + b"\n"
        if len(lines) > _LINES_BYTES:
            yield bytes(lines)
            lines.clear()
    yield bytes(lines)


def groups_file(answer: Mapping[str, Any]) -> LedgerFile:
    """What the explorer found of each group, then of all others together; the whole where nothing is grouped."""
    groups: Sequence[str] = answer["group"]
    labels: Mapping[str, str] | None = answer.get("labels")
    rows: list[list[Cell]] = []
    for row in answer.get("rows", ()):
        label = [] if labels is None else [labels.get(row["group"][groups.index("key_id")])]
        rows.append([*row["group"], *label, *_flatten(row).values()])
    columns = [*groups, *([] if labels is None else ["label"])]
    rest: Mapping[str, Any] | None = answer["other"] if groups else answer["total"]
    if rest is not None:
        rows.append([*_name_rest(len(columns)), *_flatten(rest).values()])
    return LedgerFile("usage.csv", map(str.encode, render_csv([*columns, *_flatten(answer["total"])], rows)))


def series_file(answer: Mapping[str, Any]) -> LedgerFile:
    """What the explorer found over time, group by group; the whole where nothing is grouped."""
    groups: Sequence[str] = answer["group"]
    starts: Sequence[str] = answer["series"]["starts"]
    total: Mapping[str, Sequence[float]] = answer["series"]["total"]
    lines: Sequence[Mapping[str, Any]] = answer["series"]["lines"] if groups else [{"group": [], **total}]

    def list_rows() -> Iterator[list[Cell]]:
        for line in lines:
            name = _name_rest(len(groups)) if line["group"] is None else line["group"]
            for place, start in enumerate(starts):
                yield [start, *name, *(line[metric][place] for metric in total)]

    return LedgerFile("usage.csv", map(str.encode, render_csv(["start", *groups, *total], list_rows())))


def _name_rest(columns: int) -> list[Cell]:
    return [_REST, *([None] * (columns - 1))] if columns else []


def _flatten(sums: Mapping[str, Any]) -> dict[str, Cell]:
    """Every number by a name of its own, such as `duration_p95`."""
    flat: dict[str, Cell] = {}
    for name, value in sums.items():
        if name in {"duration", "time_to_first_token"}:
            flat |= {f"{name}_{share}": seconds for share, seconds in value.items()}
        elif name != "group":
            flat[name] = value
    return flat
