"""The files of the ledger's endpoints: what is in them, and how they end when they cannot be made to their end."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from copilot_api.api.door import Door
from copilot_api.api.http_exchange import LAST_CHUNK
from copilot_api.api.ledger_files import LedgerFile, events_file, groups_file, lines_file, series_file
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.service import IssuedKey
from copilot_api.observability.events import Notice
from copilot_api.usage.models import UsageEvent
from tests.api.ledger_site import EVENTS, HALF_A_DAY, Site
from tests.api.wire import Wire, run
from tests.fakes import FakeClock
from tests.ledgers import random_events
from tests.stored import Stored


@pytest.fixture
def site(stored: Stored, door: Door, clock: FakeClock, admin: IssuedKey) -> Site:
    return Site(stored, door, clock, admin, stored.usage)


def rows(file: LedgerFile) -> list[dict[str, str]]:
    assert (file.name, file.media_type) == ("usage.csv", "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(b"".join(file.chunks).decode())))


# What is in them ---------------------------------------------------------------------------------------------------


def sums(requests: int, **more: Any) -> dict[str, Any]:
    return {"requests": requests, "credits": requests / 2, **more}


def test_groups_are_rows_and_the_others_together_the_last() -> None:
    answer = {
        "group": ["client", "status"],
        "total": sums(10),
        "rows": [{"group": ["=cmd()", 200], **sums(6)}, {"group": [None, 0], **sums(3)}],
        "other": sums(1),
    }
    assert rows(groups_file(answer)) == [
        {"client": "'=cmd()", "status": "200", "requests": "6", "credits": "3.0"},
        {"client": "", "status": "0", "requests": "3", "credits": "1.5"},
        {"client": "(other)", "status": "", "requests": "1", "credits": "0.5"},
    ]
    assert len(rows(groups_file({**answer, "other": None}))) == 2


def test_of_a_key_its_label_stands_behind_the_groups_wherever_it_is_among_them() -> None:
    answer = {
        "group": ["model", "key_id"],
        "total": sums(9),
        "rows": [{"group": ["gpt", "key_a"], **sums(5)}, {"group": ["gpt", "key_gone"], **sums(3)}],
        "other": sums(1),
        "labels": {"key_a": "ci"},
    }
    found = [(row["model"], row["key_id"], row["label"], row["requests"]) for row in rows(groups_file(answer))]
    assert found == [("gpt", "key_a", "ci", "5"), ("gpt", "key_gone", "", "3"), ("(other)", "", "", "1")]


def test_the_whole_is_one_row_and_every_percentile_a_column() -> None:
    percentiles = {"p50": 0.5, "p99": None}
    (row,) = rows(groups_file({"group": [], "total": sums(2, duration=percentiles, time_to_first_token=percentiles)}))
    assert (row["requests"], row["duration_p50"], row["duration_p99"]) == ("2", "0.5", "")
    assert "time_to_first_token_p50" in row


def test_a_series_is_a_row_for_each_point_of_each_group() -> None:
    answer = {
        "group": ["client"],
        "series": {
            "starts": ["2026-07-01", "2026-07-02"],
            "total": {"requests": [3, 0], "credits": [1.5, 0]},
            "lines": [
                {"group": ["codex"], "requests": [2, 0], "credits": [1.0, 0]},
                {"group": None, "requests": [1, 0], "credits": [0.5, 0]},
            ],
        },
    }
    found = [(row["start"], row["client"], row["requests"], row["credits"]) for row in rows(series_file(answer))]
    assert found == [
        ("2026-07-01", "codex", "2", "1.0"),
        ("2026-07-02", "codex", "0", "0"),
        ("2026-07-01", "(other)", "1", "0.5"),
        ("2026-07-02", "(other)", "0", "0"),
    ]
    whole = rows(series_file({**answer, "group": []}))
    assert whole == [
        {"start": "2026-07-01", "requests": "3", "credits": "1.5"},
        {"start": "2026-07-02", "requests": "0", "credits": "0"},
    ]


@pytest.mark.parametrize("count", [0, 1, 3_000])
def test_events_are_written_in_pieces_that_are_not_large(count: int) -> None:
    events = random_events(count, days=HALF_A_DAY)
    lines, table = list(lines_file(events).chunks), list(events_file(events).chunks)
    assert [json.loads(line) for line in b"".join(lines).splitlines()] == [msgspec.to_builtins(each) for each in events]
    assert len(list(csv.DictReader(io.StringIO(b"".join(table).decode())))) == count
    assert max(map(len, [*lines, *table])) < 600_000
    assert (lines_file([]).media_type, lines_file([]).name) == ("application/x-ndjson", "events.ndjson")


def test_a_piece_is_made_when_it_is_taken() -> None:
    taken: list[int] = []

    def events() -> Iterator[UsageEvent]:
        for number, event in enumerate(random_events(5_000, days=HALF_A_DAY)):
            taken.append(number)
            yield event

    for file in (events_file(events()), lines_file(events())):
        taken.clear()
        next(file.chunks)
        assert 0 < len(taken) < 2_000


# Files on a connection ---------------------------------------------------------------------------------------------


class Watched:
    """A ledger that counts the events that are taken of it, and may fail at one of them."""

    def __init__(self, events: list[UsageEvent], fails_at: int = 10**9) -> None:
        self._events = events
        self._fails_at = fails_at
        self.taken = 0

    def list_events(self, *_: object) -> Iterator[UsageEvent]:
        for event in self._events:
            self.taken += 1
            if self.taken > self._fails_at:
                raise StorageUnavailable("the database cannot be used: disk I/O error")
            yield event


def watched_site(site: Site, fails_at: int = 10**9) -> tuple[Site, Watched]:
    ledger: Any = Watched(random_events(30_000, days=HALF_A_DAY), fails_at)
    return Site(site.stored, site.door, site.clock, site.admin, ledger), ledger


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_file_that_breaks_off_is_never_taken_for_whole(site: Site, kind: str) -> None:
    broken, _ = watched_site(site, fails_at=20_000)

    async def test() -> None:
        wire = Wire(broken.router)
        await wire.send(broken.request(f"{EVENTS}?format={kind}"))
        await wire.until(lambda: wire.is_lost)
        written = wire.take()
        assert written.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"transfer-encoding: chunked\r\n" in written
        assert len(written) > 1_000_000
        assert not written.endswith(LAST_CHUNK)
        assert b"storage_unavailable" not in written
        assert wire.loop.failures == []

    run(test)
    (said,) = broken.observed
    assert said == Notice(f"the download of events.{kind} broke off: the database cannot be used: disk I/O error")


def test_a_database_that_goes_away_under_a_file_breaks_it_off(site: Site, stored: Stored) -> None:
    stored.usage.add_events(random_events(3_000, days=HALF_A_DAY))

    async def test() -> None:
        wire = Wire(site.router)
        wire.connection.pause_writing()
        await wire.send(site.request(f"{EVENTS}?format=csv"))
        await wire.until(lambda: wire.transport.written)
        with stored.database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE usage_events RENAME TO elsewhere")
        wire.connection.resume_writing()
        await wire.until(lambda: wire.is_lost)
        assert not wire.take().endswith(LAST_CHUNK)

    run(test)
    assert "broke off" in str(site.observed)


def test_an_event_that_cannot_be_written_breaks_it_off_too(site: Site) -> None:
    broken, ledger = watched_site(site)
    ledger._events[5_000] = None  # type: ignore[call-overload]

    async def test() -> None:
        wire = Wire(broken.router)
        await wire.send(broken.request(f"{EVENTS}?format=csv"))
        await wire.until(lambda: wire.is_lost)
        assert not wire.take().endswith(LAST_CHUNK)
        assert [failure["message"] for failure in wire.loop.failures] == ["an application failed"]

    run(test)


def test_a_reader_sets_the_pace_and_one_who_hangs_up_ends_it(site: Site) -> None:
    slow, ledger = watched_site(site)

    async def test() -> None:
        wire = Wire(slow.router)
        wire.connection.pause_writing()
        await wire.send(slow.request(f"{EVENTS}?format=csv"))
        await wire.until(lambda: wire.transport.written)
        taken = ledger.taken
        assert taken <= 1_000
        await asyncio.sleep(0.05)
        assert ledger.taken == taken
        wire.connection.resume_writing()
        await asyncio.sleep(0)
        wire.connection.pause_writing()
        await wire.until(lambda: ledger.taken > taken)
        wire.lose()
        await wire.settle()
        assert wire.server.tasks == set()
        assert ledger.taken <= taken + 1_000

    run(test)
    assert slow.observed == []
