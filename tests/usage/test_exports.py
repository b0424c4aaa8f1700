"""Usage as files: what is written is read back, nothing in it runs in a spreadsheet, and memory stays flat."""

import csv
import io
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.usage.exports import EVENT_COLUMNS, render_csv, render_events_csv, write_parquet
from copilot_api.usage.models import Cause, UsageEvent
from tests.ledgers import DAY_ONE, random_events

parquet: Any = import_module("pyarrow.parquet")  # it comes without types
EVENTS = random_events(2500)
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 -- the wide ones start a formula too
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ['"', '""', ",", ";", "\r\n", "\n", "\r", "a,b", 'a"b', " x ", "=1+1", "'", "\0", "☃"]
)


def read_csv(chunks: Iterable[str]) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(chunks), newline=""), strict=True))


def is_formula(cell: str) -> bool:
    return cell.lstrip(" ").startswith(FORMULA_STARTS)


def event_of(**changes: Any) -> UsageEvent:
    return UsageEvent(request_id="req_1", at=DAY_ONE.isoformat(), **changes)


# CSV -----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(texts, min_size=2, max_size=2), max_size=5))
def test_any_text_is_read_back_but_for_the_apostrophe_before_a_formula(rows: list[list[str]]) -> None:
    expected = [[f"'{cell}" if is_formula(cell) else cell for cell in row] for row in rows]
    assert read_csv(render_csv(["one", "two"], rows)) == [["one", "two"], *expected]


@given(texts)
def test_no_cell_starts_a_formula(text: str) -> None:
    for row in read_csv(render_csv([text, "x"], [[text, "y"], [f"  {text}", text]])):
        for cell in row:
            assert not is_formula(cell)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("   =1", "'   =1"),
        ("＝1", "'＝1"),  # noqa: RUF001
        ("a=1", "a=1"),
        ("1-1", "1-1"),
        ("", ""),
        (None, ""),
        (-1, "-1"),
        (-0.5, "-0.5"),
        (0, "0"),
        (True, "True"),
        (Cause.OK, "ok"),
    ],
)
def test_how_a_cell_is_written(cell: str | float | bool | None, shown: str) -> None:
    assert read_csv(render_csv(["a", "b"], [[cell, "x"]]))[1] == [shown, "x"]


def test_lines_end_and_quotation_marks_are_doubled_as_rfc_4180_has_it() -> None:
    rows: list[list[str | None]] = [["plain", 'say "no"'], ["a,b", "two\r\nlines"], ["", None]]
    assert "".join(render_csv(["x", "y"], rows)) == (
        'x,y\r\nplain,"say ""no"""\r\n"a,b","two\r\nlines"\r\n,\r\n'  # one line more, and a quoted one in it
    )


def test_without_rows_there_is_the_head_line() -> None:
    assert list(render_csv(["a", "b"], [])) == ["a,b\r\n"]
    assert read_csv(render_events_csv([])) == [list(EVENT_COLUMNS)]


def test_events_are_read_back_from_csv_field_by_field() -> None:
    head, *rows = read_csv(render_events_csv(EVENTS))
    assert head == list(UsageEvent.__struct_fields__)
    assert len(rows) == len(EVENTS)
    for row, event in zip(rows, EVENTS, strict=True):
        for name, cell in zip(head, row, strict=True):
            value = getattr(event, name)
            if value is None:
                assert cell == ""
            elif isinstance(value, str | bool):
                assert cell == str(value)
            else:
                assert type(value)(cell) == value


def test_what_a_caller_named_its_model_is_no_formula_in_the_export() -> None:
    row = read_csv(render_events_csv([event_of(model='=HYPERLINK("http://x")', client="-2+3")]))[1]
    assert row[EVENT_COLUMNS.index("model")] == '\'=HYPERLINK("http://x")'
    assert row[EVENT_COLUMNS.index("client")] == "'-2+3"


def test_the_first_lines_leave_before_the_last_event_is_read() -> None:
    read = 0

    def count() -> Iterator[UsageEvent]:
        nonlocal read
        for event in EVENTS:
            read += 1
            yield event

    chunks = render_events_csv(count())
    assert next(chunks).startswith("request_id,at,")
    assert read < len(EVENTS) / 2
    assert sum(chunk.count("\r\n") for chunk in chunks) + 1000 == len(EVENTS) + 1


def many_events(number: int) -> Iterator[UsageEvent]:
    for index in range(number):
        at = DAY_ONE + timedelta(seconds=index)
        yield UsageEvent(request_id=f"req_{index:024}", at=at.isoformat(), model="gpt-4.1", duration=index / 7)


def peak_of(work: Iterator[Any]) -> int:
    """The most memory, in bytes, that Python took while everything of it was made and thrown away."""
    tracemalloc.start()
    try:
        for _ in work:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_csv_of_200_000_events_takes_no_more_memory_than_of_a_few_thousand() -> None:
    few, many = (peak_of(render_events_csv(many_events(number))) for number in (4_000, 200_000))
    total = 200_000 * len("".join(islice(render_events_csv(many_events(1_000)), 1))) / 1_000
    assert many < 1.2 * few
    assert many < total / 10


# Parquet -------------------------------------------------------------------------------------------------------------


def write(events: Iterable[UsageEvent]) -> Any:
    file = io.BytesIO()
    write_parquet(events, file)
    return parquet.ParquetFile(file)


def from_row(row: dict[str, Any]) -> UsageEvent:
    return msgspec.convert({**row, "at": row["at"].isoformat()}, UsageEvent)


def test_events_are_read_back_from_parquet() -> None:
    file = io.BytesIO()
    assert write_parquet(iter(EVENTS), file) == len(EVENTS)
    read = [from_row(row) for row in parquet.read_table(file).to_pylist()]
    assert read == EVENTS


def test_every_field_is_a_column_of_its_type() -> None:
    declared: dict[Any, str] = {
        str: "string",
        str | None: "string",
        Cause: "string",
        bool: "bool",
        int: "int64",
        int | None: "int64",
        float: "double",
        float | None: "double",
    }
    schema = write(EVENTS[:10]).schema_arrow
    assert tuple(schema.names) == EVENT_COLUMNS
    for name, annotation in UsageEvent.__annotations__.items():
        expected = "timestamp[us, tz=UTC]" if name == "at" else declared[annotation]
        assert str(schema.field(name).type) == expected, name


def test_no_events_make_a_file_with_the_columns_and_no_rows() -> None:
    read = write([])
    assert (read.metadata.num_rows, tuple(read.schema_arrow.names)) == (0, EVENT_COLUMNS)


def test_a_column_without_any_value_and_whole_numbers_for_fractions_are_read_back() -> None:
    event = event_of(duration=0, premium_requests=1, effort=None)
    (row,) = write([event]).read().to_pylist()
    assert from_row(row) == event
    assert row["effort"] is None
    assert isinstance(row["duration"], float)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-07-01T00:00:00+00:00", datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026-07-01T00:00:00.000001+00:00", datetime(2026, 7, 1, 0, 0, 0, 1, tzinfo=UTC)),
        ("2026-07-01T12:00:00.5+02:00", datetime(2026, 7, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-07-01T12:00:00Z", datetime(2026, 7, 1, 12, tzinfo=UTC)),
    ],
)
def test_moments_keep_their_microseconds(at: str, expected: datetime) -> None:
    event = event_of()
    event.at = at
    assert write([event]).read().to_pylist()[0]["at"] == expected


def test_it_is_compressed_and_in_groups_of_rows() -> None:
    metadata = write(many_events(120_000)).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [50_000, 50_000, 20_000]
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_parquet_holds_the_events_of_one_row_group_at_a_time(tmp_path: Path) -> None:
    def run(number: int) -> Iterator[int]:
        with (tmp_path / "events.parquet").open("wb") as file:
            yield write_parquet(many_events(number), file)

    one, two = peak_of(run(50_000)), peak_of(run(100_000))
    assert two < 1.2 * one


WITHOUT_PYARROW = """
import io, sys
sys.modules["pyarrow"] = None  # what Python itself reads as: there is no such module
from copilot_api.errors import BadRequest
from copilot_api.usage.exports import render_events_csv, write_parquet
file = io.BytesIO()
try:
    write_parquet(iter([]), file)
except BadRequest as error:
    print(error.message)
    print(error.actual_hint)
print(file.getvalue(), len(list(render_events_csv([]))))
"""


def test_without_pyarrow_the_error_says_what_to_install_and_csv_works() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_PYARROW], capture_output=True, text=True, check=True)
    message, hint, rest = ran.stdout.splitlines()
    assert message == "Parquet needs the package pyarrow, which is not installed"
    assert "copilot-api[parquet]" in hint
    assert rest == "b'' 1"
