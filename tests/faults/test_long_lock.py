"""What five minutes of calls leave in the ledger when its database is locked all the while, and the clock jumps."""

import sqlite3
import tracemalloc
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from copilot_api.config.paths import DataDirectory
from copilot_api.observability.events import Observation, UsageStorageBroken, UsageStorageRecovered
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.rollup_upkeep import find_differences
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.usage import SqlUsageRepository
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.recorder import UsageRecorder
from tests.harness import wait_until
from tests.ledgers import DAY_ONE, random_events

CALLS = 300 * 30
"""Thirty a second."""


def test_five_minutes_of_calls_on_a_locked_database_are_stored_once_and_take_no_memory(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "home")
    directory.prepare()
    directory.prepare_subdirectory(directory.spool)
    database = open_sqlite(directory.database, busy_seconds=0.05)
    upgrade(database)
    ledger = SqlUsageRepository(database)
    observed: list[Observation] = []
    recorder = UsageRecorder(ledger, directory.spool, observed.append, name="1-test")
    events = random_events(CALLS, days=300 / 86_400)
    # The clock jumps ahead by ten years in the middle, and back again.
    for event in events[3000:4000]:
        event.at = (datetime.fromisoformat(event.at) + timedelta(days=3650)).isoformat()
    with closing(sqlite3.connect(directory.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        recorder.start()
        recorder.end(events[0])
        wait_until(lambda: bool(observed), 10, "the lock is noticed")
        tracemalloc.start()
        for event in events[1:]:
            begun = UsageEvent(request_id=event.request_id, at=event.at, cause=Cause.INTERRUPTED)
            recorder.begin(begun)
            recorder.end(event)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert recorder.lost == 0
        assert recorder.waiting_bytes > CALLS * 500, "all of it waits in the journal"
        assert peak < 40_000_000, "a batch at the most is in memory"
        other.execute("ROLLBACK")
    wait_until(lambda: recorder.waiting_bytes == 0, 60, "all is stored")
    recorder.stop()
    stored = list(ledger.list_events(DAY_ONE, DAY_ONE + timedelta(days=4000)))
    assert sorted(stored, key=lambda event: event.request_id) == sorted(events, key=lambda event: event.request_id)
    assert list(find_differences(database)) == []
    assert [type(each) for each in observed] == [UsageStorageBroken, UsageStorageRecovered]
    database.close()
