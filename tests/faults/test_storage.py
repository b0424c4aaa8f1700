"""
A broken database, a full disk, a journal that cannot be written: every call is answered as ever, `/readyz` says what is
wrong, and afterwards every event is there, once.
"""

import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.client import ask, chat, poll
from tests.faults.pair import read_events
from tests.harness import GatewayProcess, Program, Simulator, http_json, wait_until

MAX_CALL_SECONDS = 1.0
"""No call waits for the database, which makes its users wait for five seconds and more."""
BYTES_ON_FULL_DISK = 4096


class Caller:
    """Makes calls of every kind, sees that they are answered as ever, and knows which events there must be."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.gateway = gateway
        self.key = (gateway.home / "admin.key.txt").read_text().strip()
        self.expected: dict[str, tuple[str, int]] = {}
        """Cause and output tokens by request id."""

    def call(self, times: int = 1) -> None:
        for _ in range(times):
            self._call(chat("hi"), "ok", 24)
            self._call(chat("hi", stream=True), "ok", 24)
            self._call({"model": "text-embedding-3-small", "input": "hi"}, "ok", 0, path="/v1/embeddings")
            self._call(chat("hi", model="no-such-model"), "model_not_found", 0, status=404)

    def _call(
        self, body: dict[str, Any], cause: str, tokens: int, *, status: int = 200, path: str = "/v1/chat/completions"
    ) -> None:
        began = time.monotonic()
        answer = ask(self.gateway.url, self.key, body, path=path)
        assert time.monotonic() - began < MAX_CALL_SECONDS
        assert answer.status == status, answer
        assert answer.is_whole
        if tokens:
            assert answer.text
            assert not body["stream"] or answer.is_complete_stream
        self.expected[answer.request_id] = (cause, tokens)

    def see_that_all_is_stored(self) -> None:
        """In the database, once, and as it was."""
        wait_until(lambda: len(read_events(self.gateway.home)) >= len(self.expected), 15, "the events arrive")
        events = read_events(self.gateway.home)
        stored = {event["request_id"]: (event["cause"], event["output_tokens"]) for event in events}
        assert len(stored) == len(events)
        assert stored == self.expected
        assert "were lost" not in self.gateway.output


@pytest.fixture(scope="module")
def upstream() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def gateway(upstream: Simulator, home: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(home, upstream.url) as gateway:
        yield gateway


@pytest.fixture
def caller(gateway: GatewayProcess) -> Caller:
    return Caller(gateway)


@pytest.fixture(scope="module")
def survivor(upstream: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """The caller of a gateway that goes through one outage after the other, and ends cleanly after them all."""
    home = tmp_path_factory.mktemp("survivor") / "home"
    with GatewayProcess(home, upstream.url) as gateway:
        yield Caller(gateway)
        assert gateway.stop() == 0
    assert list((home / "spool").iterdir()) == []


def readiness(gateway: GatewayProcess) -> tuple[int, dict[str, str]]:
    """The status of `/readyz`, and the reasons of what is not ok."""
    status, document = http_json("GET", f"{gateway.url}/readyz")
    return status, {name: check["reason"] for name, check in document["checks"].items() if not check["ok"]}


# Outages that end -------------------------------------------------------------------------------------------------


@contextmanager
def locked(gateway: GatewayProcess, kind: str) -> Generator[None]:
    with closing(sqlite3.connect(gateway.home / "copilot-api.db", isolation_level=None)) as other:
        other.execute(kind)
        yield
        other.execute("ROLLBACK")


def locked_immediate(gateway: GatewayProcess) -> AbstractContextManager[None]:
    return locked(gateway, "BEGIN IMMEDIATE")


def locked_exclusive(gateway: GatewayProcess) -> AbstractContextManager[None]:
    return locked(gateway, "BEGIN EXCLUSIVE")


@contextmanager
def no_table(gateway: GatewayProcess) -> Generator[None]:
    with closing(sqlite3.connect(gateway.home / "copilot-api.db", isolation_level=None)) as other:
        other.execute("ALTER TABLE usage_events RENAME TO away")
        yield
        other.execute("ALTER TABLE away RENAME TO usage_events")


@contextmanager
def no_file_may_grow(gateway: GatewayProcess) -> Generator[None]:
    """As on a full disk: neither the database nor the journal takes another byte."""
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (0, unlimited))
    yield
    if gateway.process is not None:
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))


@contextmanager
def file_in_place_of_the_journal(gateway: GatewayProcess) -> Generator[None]:
    shutil.rmtree(gateway.home / "spool")
    (gateway.home / "spool").write_text("in the way")
    yield
    (gateway.home / "spool").unlink()


@contextmanager
def directory_in_place_of_the_database(gateway: GatewayProcess) -> Generator[None]:
    database = gateway.home / "copilot-api.db"
    database.rename(gateway.home / "away")
    database.mkdir()
    yield
    database.rmdir()
    (gateway.home / "away").rename(database)


@pytest.mark.parametrize(
    ("outage", "check", "reason"),
    [
        (locked_immediate, "database", "database is locked"),
        (locked_exclusive, "database", "database is locked"),
        (no_table, "ledger", "no such table"),
        (no_file_may_grow, "ledger", "usage"),
        (file_in_place_of_the_journal, "ledger", "journal"),
    ],
)
def test_calls_are_answered_and_their_events_arrive_later(
    survivor: Caller, outage: Callable[[GatewayProcess], AbstractContextManager[None]], check: str, reason: str
) -> None:
    caller, gateway = survivor, survivor.gateway
    caller.call()
    with outage(gateway):
        caller.call(5)
        for _ in poll(10, pause=0.05):
            caller.call()
            status, reasons = readiness(gateway)
            if status == 503:
                break
        assert status == 503
        assert reason in reasons[check]
        assert http_json("GET", f"{gateway.url}/healthz")[0] == 200
    caller.call()
    caller.see_that_all_is_stored()
    wait_until(lambda: readiness(gateway) == (200, {}), 10, "ready again")


def test_a_journal_whose_directory_is_removed_goes_on(survivor: Caller) -> None:
    caller, gateway = survivor, survivor.gateway
    caller.call()
    shutil.rmtree(gateway.home / "spool")
    caller.call(5)
    caller.see_that_all_is_stored()
    caller.call(5)
    caller.see_that_all_is_stored()
    assert readiness(gateway) == (200, {})
    assert list((gateway.home / "spool").glob("*.journal"))  # and it survives a kill again


def test_a_journal_that_is_cut_short_costs_no_call(gateway: GatewayProcess, caller: Caller) -> None:
    """Whatever is done to its files, the gateway lives, and what comes later is kept."""
    caller.call()
    caller.see_that_all_is_stored()
    for path in (gateway.home / "spool").iterdir():
        os.truncate(path, 0)
    caller.call(3)
    assert gateway.process is not None
    assert gateway.process.poll() is None


def test_a_database_that_was_replaced_is_not_ready(survivor: Caller) -> None:
    caller, gateway = survivor, survivor.gateway
    caller.call()
    with directory_in_place_of_the_database(gateway):
        caller.call(5)
        status, reasons = readiness(gateway)
        assert status == 503
        assert "database" in reasons
    caller.call()
    caller.see_that_all_is_stored()


def test_a_deleted_database_is_not_ready(gateway: GatewayProcess, caller: Caller) -> None:
    """Calls go on; nobody may believe that what they leave is kept."""
    caller.call()
    for path in gateway.home.glob("copilot-api.db*"):
        path.unlink()
    caller.call(3)
    status, reasons = readiness(gateway)
    assert status == 503
    assert "database" in reasons


def corrupt(database: Path) -> bytes:
    """Overwrite every byte of it, in place; gives what it held."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    content = database.read_bytes()
    with database.open("r+b") as file:
        file.write(b"garbage!" * (len(content) // 8))
    return content


def test_a_database_that_is_corrupted_costs_no_call(gateway: GatewayProcess, caller: Caller) -> None:
    caller.call()
    caller.see_that_all_is_stored()
    corrupt(gateway.home / "copilot-api.db")
    caller.call(5)
    wait_until(lambda: readiness(gateway)[0] == 503, 10, "not ready")
    assert re.search("not a database|malformed", str(readiness(gateway)[1]))
    caller.call(5)
    assert gateway.stop() == 0


def test_a_corrupt_database_is_refused_at_the_start_and_costs_no_event_once_it_is_restored(
    gateway: GatewayProcess, caller: Caller
) -> None:
    database = gateway.home / "copilot-api.db"
    caller.call()
    caller.see_that_all_is_stored()
    with locked_immediate(gateway):
        caller.call(5)
        gateway.stop(signal.SIGKILL)
    content = corrupt(database)
    gateway.url = ""
    with pytest.raises(RuntimeError, match="not a database"):
        Program.start(gateway)
    assert "Traceback" not in gateway.output
    with database.open("r+b") as file:
        file.write(content)
    gateway.start()
    caller.see_that_all_is_stored()


# A disk that is full ----------------------------------------------------------------------------------------------


@contextmanager
def small_disk(path: Path, size: str) -> Generator[None]:
    """A file system of its own at `path`."""
    path.mkdir(mode=0o700)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", path], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def fill(path: Path) -> Path:
    """Take every byte of the file system at `path`."""
    filler = path / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(BYTES_ON_FULL_DISK))
        except OSError:
            return filler


@pytest.mark.parametrize("place", ["", "spool"])
def test_a_full_disk_costs_no_event(upstream: Simulator, home: Path, place: str) -> None:
    """The whole data directory's, or the journal's alone."""
    if place:
        home.mkdir(mode=0o700)
    with small_disk(home / place, "16m"), GatewayProcess(home, upstream.url) as gateway:
        caller = Caller(gateway)
        caller.call()
        caller.see_that_all_is_stored()
        filler = fill(home / place)
        caller.call(10)
        if not place:
            wait_until(lambda: readiness(gateway)[0] == 503, 10, "not ready")
            assert "usage" in readiness(gateway)[1]["ledger"]
        caller.call(10)
        filler.unlink()
        caller.call()
        caller.see_that_all_is_stored()
        wait_until(lambda: readiness(gateway) == (200, {}), 10, "ready again")
        assert gateway.stop() == 0
        assert list((home / "spool").iterdir()) == []


# Across restarts --------------------------------------------------------------------------------------------------


def test_a_kill_while_the_database_is_locked_loses_nothing(gateway: GatewayProcess, caller: Caller) -> None:
    """And the next gateway starts and serves although it is still locked."""
    caller.call()
    with locked_immediate(gateway):
        caller.call(5)
        gateway.stop(signal.SIGKILL)
        Program.start(gateway)
        wait_until(lambda: readiness(gateway)[1].keys() == {"database"}, 10, "the rest is ready")
        caller.call(2)
        gateway.stop(signal.SIGKILL)
    gateway.start()
    caller.see_that_all_is_stored()
    told = gateway.events()
    assert {event["request_id"] for event in told} == set(caller.expected)
    assert len(told) == len(caller.expected)


@pytest.mark.slow
def test_a_stop_while_the_database_is_locked_leaves_the_events_to_the_next_start(
    gateway: GatewayProcess, caller: Caller
) -> None:
    with locked_exclusive(gateway):
        caller.call(5)
        began = time.monotonic()
        assert gateway.stop() == 0
        print(f"the stop took {time.monotonic() - began:.1f} s")
        assert time.monotonic() - began < 30
        assert list((gateway.home / "spool").glob("*.journal"))
    gateway.start()
    caller.see_that_all_is_stored()
    assert gateway.stop() == 0
    assert list((gateway.home / "spool").iterdir()) == []


@pytest.mark.slow
def test_a_lock_of_many_seconds_is_reported_once_and_survived(upstream: Simulator, home: Path) -> None:
    with GatewayProcess(home, upstream.url) as gateway:
        caller = Caller(gateway)
        with locked_immediate(gateway):
            caller.call(10)
            wait_until(lambda: "cannot be stored now" in gateway.output, 15, "it is said")
            caller.call(10)
            assert readiness(gateway)[0] == 503
        caller.call()
        caller.see_that_all_is_stored()
        wait_until(lambda: "are stored again" in gateway.output, 15, "it is said")
        assert gateway.stop() == 0
        assert gateway.output.count("usage events cannot be stored now; they wait in the journal") == 1
        assert gateway.output.count("usage events are stored again") == 1


def test_a_gateway_that_cannot_keep_its_events_at_the_stop_says_how_many_are_lost(
    gateway: GatewayProcess, caller: Caller
) -> None:
    """Neither journal nor database takes a byte, and memory ends with the process: this is the one way to lose some."""
    caller.call()
    caller.see_that_all_is_stored()
    with file_in_place_of_the_journal(gateway), no_file_may_grow(gateway):
        wait_until(lambda: _is_refusing_to_write(gateway, caller), 10, "the loss of the journal is noticed")
        caller.call(3)
        made = len(caller.expected)
        assert gateway.stop() == 0
    stored = len(read_events(gateway.home))
    assert f"lost={made - stored}" in gateway.output
    assert made - stored >= 12
    assert "usage events were lost" in gateway.output


def _is_refusing_to_write(gateway: GatewayProcess, caller: Caller) -> bool:
    caller.call()
    return "journal" in readiness(gateway)[1].get("ledger", "")


@pytest.mark.parametrize("obstacle", ["spool", "copilot-api.db"])
def test_a_data_directory_that_cannot_be_used_is_refused_at_the_start_with_the_reason(
    upstream: Simulator, home: Path, obstacle: str
) -> None:
    home.mkdir(mode=0o700)
    if obstacle == "spool":
        (home / obstacle).write_text("in the way")
    else:
        (home / obstacle).mkdir()
    gateway = GatewayProcess(home, upstream.url)
    with pytest.raises(RuntimeError, match=obstacle):
        Program.start(gateway)
    assert "Traceback" not in gateway.output
