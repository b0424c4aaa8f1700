"""
The ledger over HTTP, on a gateway of its own: what an admin asks is what the calls were, in whatever way it is asked.

The files are read by readers that are slow, that hang up, and under whom the database goes away.
"""

import csv
import http.client
import io
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.usage import SqlUsageRepository
from tests.faults.client import Caller
from tests.faults.process import holdings
from tests.harness import GatewayProcess, Simulator, wait_until
from tests.journeys.markers import chat, fault
from tests.journeys.wire import CHAT, Answer, opened, send
from tests.ledgers import random_events

USAGE, WASTE, EVENTS = "/admin/api/usage", "/admin/api/usage/waste", "/admin/api/events"
PATHS = [USAGE, WASTE, EVENTS]
MANY = 25_000
"""Some 8 MB as a file: more than sockets hold."""
LAST_CHUNK = b"0\r\n\r\n"
READERS = 4
BOUND_BYTES = 2 * 1024 * 1024
"""What a reader who does not read may cost: what the socket does not take, and the page that comes next."""
OTHERS_SECONDS = 0.5


@dataclass
class Team:
    """Two people's calls on one gateway, and its admin."""

    gateway: GatewayProcess
    keys: dict[str, dict[str, Any]]
    admin: str
    request_ids: list[str] = field(default_factory=list[str])

    def call(self, label: str, prompt: str, *, agent: str = "curl/8.5.0", **more: Any) -> Answer:
        """One call, which is in the ledger some moments later."""
        answer = send(
            self.gateway.url, CHAT, chat(prompt, **more), key=self.keys[label]["key"], headers={"user-agent": agent}
        )
        self.request_ids.append(answer.request_id)
        return answer

    def ask(self, path: str, key: str | None = "", **values: str) -> Answer:
        """A question, by the admin where nobody else is named."""
        return send(self.gateway.url, f"{path}?{urlencode(values)}", key=self.admin if key == "" else key)

    def find(self, path: str, **values: str) -> Any:
        """What it answers in JSON."""
        answer = self.ask(path, **values)
        assert answer.status == 200, answer.body
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"].startswith("req_")
        return answer.json

    @property
    def stored(self) -> int:
        """How many of the calls are in the ledger."""
        return int(self.find(USAGE, since="2h", bucket="none")["total"]["requests"])

    def cli(self, *arguments: str) -> Any:
        """What `copilot-api usage --json` says."""
        return json.loads(self.gateway.cli("usage", "--json", *arguments))


@pytest.fixture(scope="module")
def team(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    home = tmp_path_factory.mktemp("home")
    with GatewayProcess(home, simulator.url) as gateway:
        keys = {
            label: json.loads(gateway.cli("keys", "create", "--label", label, "--json")) for label in ("ada", "grace")
        }
        team = Team(gateway, keys, (home / "admin.key.txt").read_text().strip())
        for number in range(6):
            team.call("ada", f"question {number}", stream=number % 2 == 0)
            team.call("grace", f"question {number}", model="claude-haiku-4.5", agent="codex_cli_rs/0.50.0")
        team.call("ada", fault("500"))
        team.call("grace", "hello", model="no-such-model")
        wait_until(lambda: len(gateway.events()) == len(team.request_ids), 10, "the events")
        yield team


# What it says ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("by", "group"), [("key", "key_id"), ("model", "model"), ("client", "client"), ("status", "status")])  # fmt: skip
def test_sums_are_those_of_the_command_line(team: Team, by: str, group: str) -> None:
    answer = team.find(USAGE, by=by, since="2h", bucket="hour", metric="requests,credits")
    report = team.cli("--by", by, "--since", answer["since"], "--until", answer["until"])
    assert answer["group"] == [group]
    rows = {"null" if row["group"][0] is None else str(row["group"][0]): row for row in answer["rows"]}
    assert answer["other"] is None
    assert set(rows) == {str(row["group"]) for row in report["rows"]}
    for row in [*report["rows"], {"group": "total", **report["total"]}]:
        same = answer["total"] if row["group"] == "total" else rows[str(row["group"])]
        assert {name: same[name] for name in report["total"]} == {name: row[name] for name in report["total"]}
    assert sum(answer["series"]["total"]["requests"]) == report["total"]["requests"] == len(team.request_ids)
    if by == "key":
        assert answer["labels"] == {key["id"]: label for label, key in team.keys.items()}


def test_the_file_of_sums_and_the_waste_report_say_the_same(team: Team) -> None:
    answer = team.find(USAGE, by="key,model", since="2h")
    text = team.ask(USAGE, by="key,model", since="2h", format="csv").body.decode()
    for row, found in zip(csv.DictReader(io.StringIO(text)), answer["rows"], strict=True):
        assert [row["key_id"], row["model"]] == found["group"]
        assert row["label"] == answer["labels"][row["key_id"]]
        assert (int(row["requests"]), float(row["credits"])) == (found["requests"], found["credits"])
    waste, shown = team.find(WASTE, since="2h"), team.cli("--waste", "--since", "2h")
    assert waste["total"] == shown["total"]
    assert waste["rows"] == shown["rows"]


def test_events_are_those_of_the_command_line_by_page_and_by_file(team: Team) -> None:
    events = team.gateway.events()
    found: list[Any] = []
    after: dict[str, str] = {}
    while True:
        page = team.find(EVENTS, limit="5", **after)
        found += page["events"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert found[::-1] == events
    lines = team.ask(EVENTS, format="ndjson")
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in lines.body.splitlines()] == events
    table = list(csv.DictReader(io.StringIO(team.ask(EVENTS, format="csv", q="status:>=400").body.decode())))
    assert [row["request_id"] for row in table] == [event["request_id"] for event in events if event["status"] >= 400]
    assert len(table) == 2
    (one,) = team.find(EVENTS, q=f"id:{team.request_ids[3]}")["events"]
    assert one["key_id"] == team.keys["grace"]["id"]


def test_pages_give_each_event_once_while_calls_go_on(team: Team) -> None:
    known, count = set(team.request_ids), team.stored
    is_over = threading.Event()

    def call() -> None:
        while not is_over.is_set():
            team.call("ada", "one more")

    caller = threading.Thread(target=call)
    caller.start()
    try:
        wait_until(lambda: team.stored > count + 5, 10, "new events")
        found: list[str] = []
        after: dict[str, str] = {}
        while True:
            page = team.find(EVENTS, limit="2", since="2h", **after)
            found += [event["request_id"] for event in page["events"]]
            time.sleep(0.02)
            if page["next"] is None:
                break
            after = {"after": page["next"]}
    finally:
        is_over.set()
        caller.join()
    assert len(found) == len(set(found))
    assert known <= set(found)
    assert len(found) < len(team.request_ids)
    wait_until(lambda: team.stored == len(team.request_ids), 10, "all events")


# Who asks, and how -------------------------------------------------------------------------------------------------


def test_it_takes_an_admin_key_with_authentication_on_and_off(team: Team, simulator: Simulator) -> None:
    with GatewayProcess(team.gateway.home, simulator.url, "--no-auth") as other:
        for url in (team.gateway.url, other.url):
            for path in PATHS:
                for key, status in ((None, 401), ("sk-cap-" + "a" * 52, 401), (team.keys["ada"]["key"], 403), (team.admin, 200)):  # fmt: skip
                    answer = send(url, path, key=key)
                    assert (answer.status, answer.headers["cache-control"]) == (status, "no-store")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (b"q=model:na%C3%AFve", 200), (b"q=%ff", 400), (b"q=model:%00", 400),
        (b"q=model:a%0d%0ax-evil:%20yes", 400), (b"q=model:%22a%0ab%22", 200), (b"since=%0a1h", 400), (b"since=1h&since=1h", 400),
        (b"until=0001-01-01", 400), (b"since=9999-12-31T23:59:59-12:00", 400), (b"colour=red", 400), (b"q=" + b"a" * 60_000, 400),
        (b"&".join(b"x=" for _ in range(2_000)), 400), (b"&&&", 200), (b"?since=1h", 400), (b"q=key:%27%20OR%201=1", 400),
        (b"q=id:%27;DROP", 400), (b"since=1h;until=0s", 400),
    ],
)  # fmt: skip
def test_whatever_bytes_a_question_is_made_of_it_is_answered(team: Team, query: bytes, status: int) -> None:
    for path in PATHS:
        with Caller(team.gateway.url) as caller:
            head = f"host: x\r\nauthorization: Bearer {team.admin}\r\nconnection: close\r\n\r\n"
            caller.socket.sendall(b"GET %b?%b HTTP/1.1\r\n%b" % (path.encode(), query, head.encode()))
            answer = caller.read_to_end()
        if path == EVENTS and query.startswith(b"q=id:"):
            status = 200
        assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:500]
        assert b"\r\ncache-control: no-store\r\n" in answer
        assert b"\r\nx-evil" not in answer


@pytest.mark.parametrize("query", [b"q=model:na\xc3\xafve", b"q=\xff", b"q=a\x00b", b"q=a b", b"q=\x7f"])
def test_bytes_that_no_url_has_are_refused_before_anybody_is_asked(team: Team, query: bytes) -> None:
    with Caller(team.gateway.url) as caller:
        caller.socket.sendall(b"GET %b?%b HTTP/1.1\r\nhost: x\r\n\r\n" % (EVENTS.encode(), query))
        assert caller.read_to_end().startswith(b"HTTP/1.1 400 ")


# Files -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_ago(team: Team) -> dict[str, str]:
    """A period with far more events than sockets hold."""
    first = datetime.now(UTC) - timedelta(days=30)
    database = open_sqlite(team.gateway.home / "copilot-api.db", busy_seconds=10)
    with closing(database):
        ledger, events = SqlUsageRepository(database), random_events(MANY, days=1, first=first)
        for number in range(0, MANY, 2_000):
            ledger.add_events(events[number : number + 2_000])
    return {"since": first.isoformat(), "until": (first + timedelta(days=1)).isoformat()}


def start(team: Team, period: dict[str, str], kind: str) -> Caller:
    """A reader who has seen the file begin, and reads no further."""
    caller = Caller(team.gateway.url, receive_buffer=4096, seconds=60)
    head = f"host: x\r\nauthorization: Bearer {team.admin}\r\n\r\n"
    caller.socket.sendall(f"GET {EVENTS}?{urlencode({**period, 'format': kind})} HTTP/1.1\r\n{head}".encode())
    caller.read_until(b"req_", 2)
    return caller


def chunks(received: bytes) -> bytes:
    """What is in the chunks of a whole answer."""
    response = http.client.HTTPResponse(_Socket(received))  # type: ignore[arg-type]  # all that it asks of one
    response.begin()
    return response.read()


class _Socket:
    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_slow_readers_cost_no_memory_hold_nobody_up_and_get_it_all(
    team: Team, long_ago: dict[str, str], kind: str
) -> None:
    path = f"{EVENTS}?{urlencode({**long_ago, 'format': kind})}"

    def read_whole(_number: int) -> int:
        return send(team.gateway.url, path, key=team.admin).status

    with ThreadPoolExecutor(READERS) as pool:  # what is allocated once is allocated
        assert set(pool.map(read_whole, range(READERS))) == {200}
    before = holdings(team.gateway.pid)
    readers = [start(team, long_ago, kind) for _ in range(READERS)]
    seconds: list[float] = []
    for number in range(20):
        began = time.monotonic()
        assert team.call("ada", f"beside it {number}").status == 200
        assert team.ask(WASTE).status == 200
        seconds.append(time.monotonic() - began)
        time.sleep(0.05)
    assert sorted(seconds)[10] < OTHERS_SECONDS
    growth = holdings(team.gateway.pid).resident_bytes - before.resident_bytes
    print(f"{READERS} readers that do not read: {growth / 1024:.0f} KiB more memory; others {max(seconds):.3f} s")
    assert growth < READERS * BOUND_BYTES
    for reader in readers[1:]:
        reader.reset()
    while not readers[0].received.endswith(LAST_CHUNK):
        readers[0].received += readers[0].socket.recv(1 << 20)
    content = chunks(readers[0].received)
    readers[0].close()
    assert content.count(b"\n") == MANY + (kind == "csv")
    # One more connection to the database, which is three, may have been opened, and stays.
    wait_until(lambda: holdings(team.gateway.pid).descriptors <= before.descriptors + 3, 30, "closed connections")


def test_a_database_that_goes_away_breaks_the_file_off_and_says_so(team: Team, long_ago: dict[str, str]) -> None:
    reader = start(team, long_ago, "csv")
    with closing(sqlite3.connect(team.gateway.home / "copilot-api.db", timeout=10)) as other:
        other.execute("ALTER TABLE usage_events RENAME TO elsewhere")
        try:
            received = reader.read_to_end()
            assert team.ask(EVENTS, **long_ago, format="csv").status == 503
            assert team.ask(EVENTS).json["error"]["code"] == "storage_unavailable"
        finally:
            other.execute("ALTER TABLE elsewhere RENAME TO usage_events")
    reader.close()
    assert not received.endswith(LAST_CHUNK)
    with pytest.raises(http.client.IncompleteRead):
        chunks(received)
    wait_until(lambda: "the download of events.csv broke off: " in team.gateway.output, 5, "what the log says")
    assert "Traceback" not in team.gateway.output
    with opened(team.gateway.url, EVENTS, key=team.admin) as answer:
        assert answer.status == 200
