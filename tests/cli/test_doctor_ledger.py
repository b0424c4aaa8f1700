"""What `doctor` says of the ledger, and that no wrong sum escapes `--deep` and none outlives `--mend`."""

import sqlite3
import threading
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from copilot_api.cli import doctor_ledger
from copilot_api.cli.doctor_ledger import State, check_ledger, check_sums
from copilot_api.clock import SystemClock
from copilot_api.config.paths import DataDirectory
from copilot_api.storage.ledger_upkeep import SqlLedgerUpkeep
from copilot_api.usage.queries import Dimension, SumQuery, SumRow
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS
from tests.ledgers import random_events, sum_slowly
from tests.stored import Stored

NOW = SystemClock().now()
TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
FIRST = TODAY - timedelta(days=5)
DAYS = 3
EVENTS = random_events(400, days=DAYS, first=FIRST)


def at_once() -> None:
    """No pause."""


@pytest.fixture
def filled(gateway: Stored) -> Stored:
    """Three days of events, all of them closed."""
    gateway.usage.add_events(EVENTS)
    close_days(gateway)
    return gateway


def close_days(stored: Stored) -> None:
    upkeep = SqlLedgerUpkeep(stored.database, pause=at_once)
    while upkeep.close_day(NOW):
        pass


def execute(stored: Stored, statement: str) -> int:
    """Change the database behind the gateway's back. Says how many rows that were."""
    with stored.database.begin() as connection:
        return connection.exec_driver_sql(statement).rowcount


def sums(stored: Stored) -> list[SumRow]:
    """What the ledger says of all of it, told from days where it can be."""
    return sorted(stored.usage.sum_up(query()), key=str)


def query() -> SumQuery:
    return SumQuery(FIRST, FIRST + timedelta(days=DAYS), (Dimension.KEY, Dimension.MODEL))


# The ledger as it stands ------------------------------------------------------------------------------------------


def test_where_there_is_no_database_there_is_nothing_to_say(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "nowhere")
    assert (check_ledger(directory, None).state, check_sums(directory, is_mending=True).state) == (State.SKIPPED,) * 2
    assert not directory.path.exists()


def test_an_empty_ledger_is_well(gateway: Stored) -> None:
    found = check_ledger(gateway.directory, gateway.database)
    assert found.state is State.OK
    assert found.detail.startswith("no events; ")
    assert found.detail.endswith(" MiB of it free to be used again")
    assert check_sums(gateway.directory, is_mending=False).state is State.OK


def test_it_says_how_many_events_there_are_and_since_when(filled: Stored) -> None:
    found = check_ledger(filled.directory, filled.database)
    assert (found.state, found.cure) == (State.OK, None)
    assert found.detail.startswith(f"400 events since {FIRST:%Y-%m-%d}; ")


def test_after_retention_it_says_how_much_further_the_sums_reach(filled: Stored) -> None:
    upkeep = SqlLedgerUpkeep(filled.database)
    kept_from = FIRST + timedelta(days=2)
    while upkeep.forget_events(kept_from, 1_000):
        pass
    kept = sum(datetime.fromisoformat(event.at) >= kept_from for event in EVENTS)
    detail = check_ledger(filled.directory, filled.database).detail
    assert detail.startswith(f"{kept} events since {kept_from:%Y-%m-%d}, sums since {FIRST:%Y-%m-%d}; ")
    assert check_sums(filled.directory, is_mending=False).state is State.OK
    while upkeep.forget_events(NOW, 1_000):
        pass
    assert check_ledger(filled.directory, filled.database).detail.startswith(f"no events, sums since {FIRST:%Y-%m-%d}")
    assert check_sums(filled.directory, is_mending=False).state is State.OK


def test_days_that_nobody_closes_are_a_warning(gateway: Stored) -> None:
    gateway.usage.add_events(random_events(50, days=2, first=NOW - timedelta(days=2)))
    assert check_ledger(gateway.directory, gateway.database).state is State.OK
    gateway.usage.add_events(random_events(50, seed=2, days=2, first=FIRST))
    found = check_ledger(gateway.directory, gateway.database)
    assert found.state is State.WARNING
    assert found.detail.endswith("are not closed")
    assert "look at its log" in str(found.cure)
    close_days(gateway)
    assert check_ledger(gateway.directory, gateway.database).state is State.OK


def test_a_gateway_that_has_been_at_rest_for_months_is_behind_with_nothing(gateway: Stored) -> None:
    gateway.usage.add_events(random_events(50, days=2, first=NOW - timedelta(days=200)))
    assert check_ledger(gateway.directory, gateway.database).state is State.OK


def test_what_waits_in_the_journal_is_told(gateway: Stored) -> None:
    gateway.directory.spool.mkdir(mode=0o700)
    assert "journal" not in check_ledger(gateway.directory, gateway.database).detail
    (gateway.directory.spool / "a.journal").touch(0o600)
    assert f"; 1 journal segments in {gateway.directory.spool}" in check_ledger(gateway.directory, gateway.database).detail  # fmt: skip


def test_a_database_that_cannot_be_read_is_a_failure(gateway: Stored) -> None:
    execute(gateway, "DROP TABLE usage_events")
    for found in (
        check_ledger(gateway.directory, gateway.database),
        check_sums(gateway.directory, is_mending=False),
    ):
        assert (found.state, found.cure) == (State.FAILED, "try again")
        assert "no such table: usage_events" in found.detail


# Its sums against its events ---------------------------------------------------------------------------------------

HOUR = "(grain, start, series_id) = (SELECT grain, start, series_id FROM usage_hours {} LIMIT 1 OFFSET 7)"
DAY = "(series_id, start) = (SELECT series_id, start FROM usage_days {} LIMIT 1 OFFSET 7)"
ANY, LATEST, EARLIEST = "", "ORDER BY start DESC", "ORDER BY start"
TIMED = "WHERE durations != x''"
_SUMS = ", ".join((*COUNTERS, *HISTOGRAMS))
DAMAGE = {
    "one more of a counter in an hour": f"UPDATE usage_hours SET input_tokens = input_tokens + 1 WHERE {HOUR}".format(
        ANY
    ),
    "one less of a counter in the last hour": f"UPDATE usage_hours SET bytes_out = bytes_out - 1 WHERE {HOUR}".format(
        LATEST
    ),
    "one more of a counter in a day": f"UPDATE usage_days SET nano_aiu = nano_aiu + 1 WHERE {DAY}".format(ANY),
    "one more in all hours": "UPDATE usage_hours SET requests = requests + 1",
    "another histogram of an hour": f"UPDATE usage_hours SET durations = x'' WHERE {HOUR}".format(
        "WHERE durations <> x''"
    ),
    "another byte of an hour's histogram": f"UPDATE usage_hours SET durations = CAST(substr(durations, 1, length(durations) - 1) || x'02' AS BLOB) WHERE {HOUR}".format(
        "WHERE durations <> x''"
    ),
    "another byte of a day's histogram": f"UPDATE usage_days SET first_tokens = CAST(substr(first_tokens, 1, length(first_tokens) - 1) || x'02' AS BLOB) WHERE {DAY}".format(
        "WHERE first_tokens <> x''"
    ),
    "bytes that are no histogram": f"UPDATE usage_hours SET durations = x'ffffff' WHERE {HOUR}".format(TIMED),
    "bytes that are no histogram, in a day": f"UPDATE usage_days SET durations = x'ff00' WHERE {DAY}".format(TIMED),
    "an hour's rollup is gone": f"DELETE FROM usage_hours WHERE {HOUR}".format(ANY),
    "a day's rollup is gone": f"DELETE FROM usage_days WHERE {DAY}".format(ANY),
    "all of the first day are gone": "DELETE FROM usage_days WHERE start = (SELECT min(start) FROM usage_days)",
    "all of the last day are gone": "DELETE FROM usage_days WHERE start = (SELECT max(start) FROM usage_days)",
    "all hours are gone": "DELETE FROM usage_hours",
    "all days are gone": "DELETE FROM usage_days",
    "a foreign rollup in an hour": f"INSERT INTO usage_hours SELECT grain, start, (SELECT max(id) FROM usage_series), {_SUMS} FROM usage_hours WHERE {HOUR}".format(
        EARLIEST
    ),
    "a foreign rollup in a day": f"INSERT INTO usage_days SELECT (SELECT max(id) FROM usage_series), start, {_SUMS} FROM usage_days WHERE {DAY}".format(
        ANY
    ),
    "a foreign rollup where there are no events": f"INSERT INTO usage_hours SELECT grain, start - 86400000000 * 9, series_id, {_SUMS} FROM usage_hours WHERE {HOUR}".format(
        ANY
    ),
    "a rollup of a series that is not there": f"INSERT INTO usage_hours SELECT grain, start, 99999, {_SUMS} FROM usage_hours WHERE {HOUR}".format(
        ANY
    ),
    "another grain": f"UPDATE usage_hours SET grain = grain + 1 WHERE {HOUR}".format(ANY),
    "another series of an hour": f"UPDATE usage_hours SET series_id = series_id + 10000 WHERE {HOUR}".format(ANY),
}


@pytest.mark.parametrize(
    "damage",
    [pytest.param(DAMAGE[name], id=name) for name in DAMAGE],
)
def test_a_sum_that_is_not_what_the_events_add_up_to_is_found_and_made_anew(filled: Stored, damage: str) -> None:
    before = sums(filled)
    assert before == sorted(sum_slowly(EVENTS, query()), key=str)
    assert execute(filled, damage) >= 1
    found = check_sums(filled.directory, is_mending=False)
    assert (found.state, found.cure) == (State.FAILED, "'copilot-api doctor --deep --mend'")
    assert check_sums(filled.directory, is_mending=False) == found, "looking changes nothing"
    mended = check_sums(filled.directory, is_mending=True)
    assert (mended.state, mended.detail.endswith("; made anew")) == (State.WARNING, True)
    assert check_sums(filled.directory, is_mending=False).state is State.OK
    assert sums(filled) == before


def test_it_names_the_days_and_after_five_says_that_there_are_more(gateway: Stored) -> None:
    first = TODAY - timedelta(days=9)
    gateway.usage.add_events(random_events(90, days=8, first=first))
    days = [f"{first + timedelta(days=number):%Y-%m-%d}" for number in range(8)]
    execute(
        gateway,
        f"UPDATE usage_hours SET requests = 0 WHERE start < {round((first + timedelta(days=1)).timestamp()) * 1_000_000}",
    )
    assert check_sums(gateway.directory, is_mending=False).detail == f"not what the events add up to on {days[0]}"
    execute(gateway, "UPDATE usage_hours SET requests = 0")
    detail = check_sums(gateway.directory, is_mending=True).detail
    assert detail == f"were not what the events add up to on {', '.join(days[:5])} and more; made anew"
    assert check_sums(gateway.directory, is_mending=False).state is State.OK


def test_a_lock_that_is_not_given_is_a_failure_and_what_is_mended_by_then_stays(
    filled: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_ledger, "LOCK_SECONDS", 0.05)
    execute(filled, "UPDATE usage_hours SET requests = requests + 1")
    with closing(sqlite3.connect(filled.directory.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = check_sums(filled.directory, is_mending=True)
        other.rollback()
    assert (found.state, found.cure, "locked" in found.detail) == (State.FAILED, "try again", True)
    assert check_sums(filled.directory, is_mending=True).state is State.WARNING
    assert check_sums(filled.directory, is_mending=False).state is State.OK


def test_events_that_come_while_it_looks_are_no_differences(filled: Stored) -> None:
    more, is_over = random_events(4_000, seed=3, days=DAYS, first=FIRST), threading.Event()

    def write() -> None:
        for number in range(0, len(more), 20):
            filled.usage.add_events(more[number : number + 20])
            if is_over.wait(0.001):
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [check_sums(filled.directory, is_mending=False) for _ in range(5)]
    finally:
        is_over.set()
        writer.join()
    assert {each.state for each in found} == {State.OK}
