"""
Usage as files: CSV as RFC 4180 has it, and Parquet where pyarrow is installed.

Both are written piece by piece, so that a million rows take no more memory than a thousand.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from itertools import chain, islice
from typing import Any, BinaryIO

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.usage.models import UsageEvent

Cell = str | int | float | bool | None

_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 -- the wide ones start a formula too
_PORTION = 1_000
_ROW_GROUP = 50_000

EVENT_COLUMNS = UsageEvent.__struct_fields__


def render_csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """
    CSV with a head line, a thousand rows at a time. Text that a spreadsheet would take for a formula gets an apostrophe
    in front.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    lines = chain([columns], rows)
    while portion := list(islice(lines, _PORTION)):
        writer.writerows([[_without_formula(cell) for cell in row] for row in portion])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def render_events_csv(events: Iterable[UsageEvent]) -> Iterator[str]:
    """All fields of events."""
    return render_csv(EVENT_COLUMNS, map(msgspec.structs.astuple, events))


def _without_formula(cell: Cell) -> Cell:
    if isinstance(cell, str) and cell.lstrip(" ").startswith(_FORMULA_STARTS):
        return f"'{cell}"
    return cell


def write_parquet(events: Iterable[UsageEvent], file: BinaryIO) -> int:
    """
    Write events as a Parquet file, compressed, a row group for each 50,000. Gives their number.

    Raises `BadRequest` where pyarrow is not installed.
    """
    arrow, parquet = _load_arrow()
    schema = arrow.schema([(name, _arrow_type(arrow, name)) for name in EVENT_COLUMNS])
    remaining, count = iter(events), 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while portion := list(islice(remaining, _ROW_GROUP)):
            columns = zip(*map(msgspec.structs.astuple, portion), strict=True)
            arrays = [_arrow_array(arrow, field, values) for field, values in zip(schema, columns, strict=True)]
            writer.write_batch(arrow.record_batch(arrays, schema=schema))
            count += len(portion)
    return count


def _load_arrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        hint = "install it beside the gateway: pip install 'copilot-api[parquet]'; or take CSV"
        raise BadRequest("Parquet needs the package pyarrow, which is not installed", hint=hint) from None


_ARROW_TYPES: dict[object, Callable[[Any], Any]] = {
    bool: lambda arrow: arrow.bool_(),
    int: lambda arrow: arrow.int64(),
    float: lambda arrow: arrow.float64(),
}


def _arrow_type(arrow: Any, name: str) -> Any:
    if name == "at":
        return arrow.timestamp("us", tz="UTC")
    declared = UsageEvent.__annotations__[name]
    for kind, make in _ARROW_TYPES.items():
        if declared in {kind, kind | None}:  # type: ignore[operator]  # classes they are
            return make(arrow)
    return arrow.string()


def _arrow_array(arrow: Any, field: Any, values: Sequence[Any]) -> Any:
    if field.name == "at":
        return arrow.array(values, arrow.string()).cast(field.type)
    return arrow.array(values, field.type)
