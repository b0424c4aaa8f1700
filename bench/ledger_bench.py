"""
Measure the ledger: how fast it takes events in, and how long the questions of the product take with millions of them.

    python bench/run_ledger.py --events 10000000 --directory /var/tmp/ledger

A directory that holds a ledger already is used as it is. Times are wall-clock milliseconds of one process on SQLite,
with the file in the page cache.
"""

import argparse
import itertools
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from bench.ledger import LedgerShape, make_events
from bench.ledger_questions import Question, Questions
from copilot_api.app import spare_the_collector
from copilot_api.storage.ledger_upkeep import SqlLedgerUpkeep, read_ledger_state
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.usage import SqlUsageRepository
from copilot_api.usage.journal import BEGIN, END, JournalWriter
from copilot_api.usage.recorder import BATCH_EVENTS, UsageRecorder

TARGET_EVENTS, TARGET_DASHBOARD_MS, TARGET_PAGE_MS, TARGET_CSV_SECONDS = 20_000, 100, 50, 60


def main(arguments: list[str] | None = None) -> int:
    """See the module; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--csv-rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=15, help="how often each question is asked")
    parser.add_argument("--journalled", type=int, default=200_000, help="events that are brought in from the journal")
    given = parser.parse_args(arguments)
    shape = LedgerShape(given.events)
    with tempfile.TemporaryDirectory(prefix="ledger-") as temporary:
        spare_the_collector()  # as a gateway does
        is_met = measure_journal(Path(temporary), given.journalled) >= TARGET_EVENTS
        directory = given.directory or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        database = open_sqlite(directory / "ledger.db")
        upgrade(database)
        ledger = SqlUsageRepository(database)
        if read_ledger_state(database).events == 0:
            fill(ledger, shape)
        close_days(SqlLedgerUpkeep(database), shape)
        state = read_ledger_state(database)
        print(f"{state.events:,} events in {state.total_bytes / 1e9:.2f} GB")
        read_through(directory / "ledger.db")
        questions = Questions(ledger, shape.until)
        is_met &= measure("dashboards", questions.list_dashboards(), given.repeats) < TARGET_DASHBOARD_MS
        measure("others", questions.list_others(), given.repeats)
        is_met &= measure("event pages", questions.list_pages(), given.repeats) < TARGET_PAGE_MS
        is_met &= measure_csv(questions, given.csv_rows) < TARGET_CSV_SECONDS
        database.close()  # which brings its log into the file
        with tempfile.TemporaryDirectory(prefix="ledger-", dir=directory) as beside:
            is_met &= measure_journal(Path(beside), given.journalled, directory / "ledger.db") >= TARGET_EVENTS
    return 0 if is_met else 1


def measure_journal(directory: Path, count: int, filled: Path | None = None) -> float:
    """
    From the journal into the database, by the recorder, as a gateway does it: events a second. The database is an empty
    one, or a copy of one that is filled, which the events come after.
    """
    days = max(1, count // 110_000)
    shape = LedgerShape(count, days=days, until=LedgerShape(0).until + timedelta(days=days))
    database_path, spool = directory / "ingested.db", directory / "spool"
    if filled is not None:
        shutil.copyfile(filled, database_path)
        with database_path.open("rb") as file:
            os.fsync(file.fileno())  # or the events would wait for the copy to be written
    writer = JournalWriter(spool, name="0-gone")
    for event in make_events(shape):
        writer.append(BEGIN, event)
        writer.append(END, event)
    for segment in writer.segments:
        segment.close()
    database = open_sqlite(database_path)
    upgrade(database)
    recorder = UsageRecorder(SqlUsageRepository(database), spool, lambda _: None, name="1-here")
    began, cpu = time.perf_counter(), time.process_time()
    recorder.start()
    if not recorder.wait_caught_up(600):
        sys.exit("the journal was not brought in")
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    recorder.stop()
    database.close()
    into = "an empty database" if filled is None else "the ledger"
    print(f"journal to {into}: {count / wall:,.0f} events/s, {cpu / count * 1e6:.1f} us CPU each", flush=True)
    return count / wall


def fill(ledger: SqlUsageRepository, shape: LedgerShape) -> None:
    """Make the ledger, and say how fast it took its events; the time to make them up is left out."""
    events, taken, seconds = make_events(shape), 0, 0.0
    while batch := list(itertools.islice(events, BATCH_EVENTS)):
        began = time.perf_counter()
        taken += ledger.add_events(batch)
        seconds += time.perf_counter() - began
        if taken % 1_000_000 < BATCH_EVENTS:
            print(f"  {taken:,} events, {taken / seconds:,.0f} events/s", flush=True)
    print(f"into the database: {taken / seconds:,.0f} events/s")


def read_through(path: Path) -> None:
    """
    Have the file in the page cache, as it is on a machine that wrote it: what a disk takes is another measurement.
    """
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def close_days(upkeep: SqlLedgerUpkeep, shape: LedgerShape) -> None:
    """As the gateway does it in the night."""
    began, days = time.perf_counter(), 0
    while upkeep.close_day(shape.until - timedelta(hours=2)):
        days += 1
    if days:
        print(f"{days} days closed, {(time.perf_counter() - began) / days:.2f} s each")


def measure(name: str, questions: Iterator[tuple[str, Question]], repeats: int) -> float:
    """Each question some times, the slowest first; gives the 95th percentile of all together, in milliseconds."""
    found: list[tuple[float, float, str]] = []
    everything: list[float] = []
    for words, question in questions:
        times = [_time(question) for _ in range(repeats)]
        everything += times
        found.append((_p95(times), statistics.median(times), words))
    print(f"{name}: p95 of all {_p95(everything):.1f} ms, median {statistics.median(everything):.1f} ms")
    for slow, usual, words in sorted(found, reverse=True):
        print(f"  {slow:8.1f} p95 {usual:8.1f} median  {words}", flush=True)
    return _p95(everything)


def _time(question: Question) -> float:
    began = time.perf_counter()
    question()
    return (time.perf_counter() - began) * 1000


def _p95(times: list[float]) -> float:
    return sorted(times)[max(0, round(len(times) * 0.95) - 1)]


def measure_csv(questions: Questions, rows: int) -> float:
    """So many rows, and how much the peak of memory grew; gives the seconds."""
    before, began = _peak_megabytes(), time.perf_counter()
    size = questions.write_csv(rows)
    seconds, grown = time.perf_counter() - began, _peak_megabytes() - before
    print(f"CSV of {rows:,} rows: {seconds:.1f} s, {size / 1e6:,.0f} MB; the peak of memory grew by {grown:.1f} MB")
    return seconds


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
