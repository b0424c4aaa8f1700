"""The ledger that is measured is of the shape that it is said to be, and the measurement runs."""

import itertools
from collections import Counter
from pathlib import Path

import pytest

from bench import pages
from bench.ledger import LedgerShape, make_events
from bench.ledger_bench import main


def test_the_same_shape_makes_the_same_ledger() -> None:
    assert list(make_events(LedgerShape(300))) == list(make_events(LedgerShape(300)))


def test_it_is_as_large_as_it_is_said_to_be_in_order_and_without_a_doublet() -> None:
    events = list(make_events(LedgerShape(5_000, days=30, keys=50)))
    assert abs(len(events) - 5_000) <= 1
    assert all(one.at <= other.at for one, other in itertools.pairwise(events))
    assert len({event.request_id for event in events}) == len(events)


def test_a_few_keys_make_most_of_the_calls_and_some_calls_fail() -> None:
    events = list(make_events(LedgerShape(5_000, keys=100)))
    most = Counter(event.key_id for event in events).most_common(10)
    assert sum(count for _, count in most) > 1_500
    failed = sum(event.cause.value != "ok" for event in events)
    assert 100 < failed < 400


def test_everything_is_measured_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether a target is met says nothing on a machine that runs tests."""
    sizes = {"events": "3000", "csv-rows": "1000", "journalled": "2000", "repeats": "1", "directory": str(tmp_path)}
    assert main([f"--{name}={value}" for name, value in sizes.items()]) in {0, 1}
    told = capsys.readouterr().out
    for what in (
        "journal to an empty database",
        "journal to the ledger",
        "days closed",
        "dashboards: p95",
        "event pages: p95",
        "CSV of 1,000 rows",
    ):
        assert what in told
    # The same ledger behind pages.
    assert pages.main(["--directory", str(tmp_path), "--repeats", "1"]) in {0, 1}
    told = capsys.readouterr().out
    for what in ("overview, 7d", "usage by key, 30d", "system", "all: p95"):
        assert what in told
