"""`/admin/api/usage`, `/admin/api/usage/waste` and `/admin/api/events`, on a ledger of random events."""

import asyncio
import csv
import io
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import event as count
from hypothesis import strategies as st

from copilot_api.api.door import Door
from copilot_api.api.ledger import MAX_AT_ONCE, MAX_PAGE
from copilot_api.keys.service import IssuedKey
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.usage.filters import FIELDS
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.queries import Dimension, SumQuery, SumRow
from copilot_api.usage.rollups import COUNTERS
from tests.api.ledger_site import EVENTS, HALF_A_DAY, PATHS, USAGE, WASTE, Site
from tests.api.wire import Wire, run
from tests.fakes import FakeClock
from tests.ledgers import DAY_ONE, random_events, select_events, sum_slowly
from tests.stored import Stored


@pytest.fixture
def site(stored: Stored, door: Door, clock: FakeClock, admin: IssuedKey) -> Site:
    return Site(stored, door, clock, admin, stored.usage)


@pytest.fixture
def events(stored: Stored) -> list[UsageEvent]:
    """What is in the ledger, oldest first."""
    made = random_events(1_500, days=HALF_A_DAY)
    stored.usage.add_events(made)
    return sorted(made, key=lambda event: (event.at, event.request_id))


# Who, and how ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_it_takes_an_admin_key_with_authentication_on_and_off(
    site: Site, open_door: Door, client: IssuedKey, path: str
) -> None:
    for secret, status in ((None, 401), ("sk-cap-" + "a" * 52, 401), ("anything", 401), (client.secret, 403)):
        for door in (site.door, open_door):
            reply = Site(site.stored, door, site.clock, site.admin, site.ledger).ask(path, b"", secret)
            assert (reply.status, reply.headers and reply.headers["cache-control"]) == (status, "no-store")
            assert set(reply.json) == {"error"}
    assert Site(site.stored, open_door, site.clock, site.admin, site.ledger).ask(path).status == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["", "colour=red", "q=colour:red", "format=csv", "format=ndjson", "since=soon"])
def test_every_answer_has_an_id_of_its_own_and_is_kept_by_no_cache(site: Site, path: str, query: str) -> None:
    first, second = site.ask(path, query.encode()), site.ask(path, query.encode())
    assert first.status in {200, 400}
    assert first.headers is not None
    assert second.headers is not None
    assert first.headers["cache-control"] == "no-store"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_a_mistake_is_told_in_the_envelope_with_the_name_of_the_parameter(site: Site) -> None:
    for path in PATHS:
        error = site.ask(path, colour="red").json["error"]
        assert (error["code"], error["param"]) == ("invalid_request", "colour")
        assert "there is no parameter 'colour'; there are " in error["message"]
        assert site.ask(path, b"since=1h&since=2h").json["error"]["param"] == "since"
        assert site.ask(path, b"&".join(b"x%d=" % number for number in range(99))).status == 400
    assert site.ask(EVENTS, limit=str(MAX_PAGE + 1)).json["error"]["param"] == "limit"
    assert site.ask(USAGE, by="key,colour").json["error"]["param"] == "by"


@pytest.mark.parametrize("path", PATHS)
def test_an_empty_ledger_answers_like_any_other(site: Site, path: str) -> None:
    document = site.find(path)
    assert (document["since"], document["until"])[1] >= "2026-07-01T12:00:00+00:00"
    assert document.get("rows", []) == document.get("events", []) == []


def test_a_database_that_is_away_is_an_error_with_a_status(site: Site) -> None:
    for path, query in ((USAGE, b""), (WASTE, b""), (EVENTS, b""), (EVENTS, b"format=csv"), (USAGE, b"q=key:ci")):
        assert site.ask(path, query).status == 200
    site.stored.database.close()
    for file in site.stored.directory.path.glob("copilot-api.db*"):
        file.unlink()
    for path, query in ((USAGE, b""), (WASTE, b""), (EVENTS, b""), (EVENTS, b"format=csv"), (USAGE, b"q=key:ci")):
        reply = site.ask(path, query)
        assert (reply.status, reply.json["error"]["code"]) == (503, "storage_unavailable")


# Whatever is asked -------------------------------------------------------------------------------------------------

PERIOD = {
    "since": ["1h", "2d", "400d", "1970-01-01", "2026-07-01T00:00:00 02:00"],
    "until": ["0s", "30m", "2200-01-01"],
}
GOOD: dict[str, dict[str, list[str]]] = {
    USAGE: {
        **PERIOD,
        "q": [
            "",
            "key:*",
            "model:opus,gpt",
            "-status:4xx cause:ok",
            "unknown:yes",
            'client:"a b"',
            "since:2d",
            "key:ci",
        ],
        "by": ["key", "key,model", "status,cause", "upstream,identity", "kind,endpoint"],
        "bucket": ["auto", "none", "hour", "day"],
        "metric": ["requests", "credits,errors"],
        "top": ["1", "10", "200"],
        "compare": ["1", "no"],
        "percentiles": ["yes", "0"],
        "format": ["json", "csv"],
    },
    WASTE: {**PERIOD, "q": ["", "kind:title", "-client:codex,curl"]},
    EVENTS: {
        **PERIOD,
        "q": ["", "ttft:>1s", "credits:>0.1", "limit:rpm", *(each.examples[0] for each in FIELDS.values())],
        "limit": ["1", "50", "500"],
        "after": ["MTc4MjkwNzIwMDAwMDAwMC5yZXFfMQ", "OTk5OTk5OTk5OTk5OTk5OTku", "MC4"],
        "format": ["json", "csv", "ndjson"],
    },
}
ODD = [
    "", "0", "-1", "99999999999999999999", "1e308", "nan", "minute", "9999w", "0001-01-01", "9999-12-31T23:59:59.999999+14:00", "\0", "\n",
    "\r\nx: y", "☃", "'; DROP TABLE usage_events; --", "LTEueA", "../../etc/passwd", "%", "%00", "x" * 3_000, '"', "-", ":", "key:,", "model:%_\\",
    "since:0001-01-01", "until:9999-12-31", "status:>=1e9", "credits:>999999999999999g", "ttft:<0.000000001ms", "input:999999999999999g",
    "duration:>999999999999999h", "id:' OR 1=1", "stream:perhaps", "model:" + "a," * 100, "status:5xx " * 30,
]  # fmt: skip
_odd = st.sampled_from(ODD) | st.text(max_size=20)


def _mostly(good: list[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 19).flatmap(lambda number: st.sampled_from(good) if number else _odd)


def _question(path: str) -> st.SearchStrategy[tuple[str, bytes]]:
    """A path with parameters of its own, most of them as they should be."""
    parameters = {name: _mostly(good) for name, good in GOOD[path].items()}
    queries = st.fixed_dictionaries({}, optional=parameters).map(lambda values: urlencode(values, errors="replace"))
    return st.tuples(st.just(path), queries.map(str.encode) | st.binary(max_size=60))


_questions = st.one_of(*map(_question, PATHS))


@pytest.mark.usefixtures("events")
@settings(
    derandomize=True, deadline=None, database=None, max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(question=_questions)
def test_whatever_is_asked_is_answered_or_refused(site: Site, question: tuple[str, bytes]) -> None:
    reply = site.ask(*question)
    count(str(reply.status))
    assert reply.status in {200, 400}
    assert reply.headers is not None
    assert "cache-control" in reply.headers
    if reply.status == 400:
        assert reply.json["error"]["message"].isprintable()
        assert len(reply.body) < 1_500


# Sums --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["key", "model", "client,status", "kind,cause", "key,upstream"])
def test_the_groups_add_up_to_the_total_and_are_what_the_events_say(
    site: Site, events: list[UsageEvent], by: str
) -> None:
    answer = site.find(USAGE, by=by, since="2026-07-01", top="3", bucket="hour", metric="credits,requests")
    dimensions = tuple(Dimension(name) for name in answer["group"])
    expected = {row.group: row.sums for row in sum_slowly(events, SumQuery(DAY_ONE, site.clock.now(), dimensions))}
    assert len(answer["rows"]) == min(3, len(expected))
    for row in answer["rows"]:
        sums = expected[tuple(row["group"])]
        assert row["requests"] == sums[COUNTERS.index("requests")]
        assert row["credits"] == sums[COUNTERS.index("nano_aiu")] / NANO_PER_CREDIT
    parts = [*answer["rows"], *([answer["other"]] if answer["other"] else [])]
    for metric in ("requests", "errors", "input_tokens", "credits", "bytes_out"):
        assert sum(part[metric] for part in parts) == pytest.approx(answer["total"][metric])
    for metric in ("credits", "requests"):
        lines = [line[metric] for line in answer["series"]["lines"]]
        assert [sum(points) for points in zip(*lines, strict=True)] == pytest.approx(answer["series"]["total"][metric])
        assert sum(answer["series"]["total"][metric]) == pytest.approx(answer["total"][metric])
    assert answer["total"]["requests"] == len(events)


def test_labels_are_told_of_the_keys_that_are_named_and_no_others(site: Site, client: IssuedKey) -> None:
    busy, idle = (site.stored.keys.issue(label, actor="test").key for label in ("busy", "idle"))
    made = random_events(40, days=HALF_A_DAY)
    for number, event in enumerate(made):
        event.key_id = [busy.id, client.key.id, "key_of_long_ago", None][number % 4]
    site.stored.usage.add_events(made)
    answer = site.find(USAGE, by="model,key")
    assert answer["labels"] == {busy.id: "busy", client.key.id: "client"}
    assert idle.id not in json.dumps(answer)
    assert site.find(USAGE, by="key", q="key:busy")["labels"] == {busy.id: "busy"}
    assert site.find(USAGE, by="key", q="key:idle")["labels"] == {}
    assert "labels" not in site.find(USAGE, by="model")
    (row,) = site.find(USAGE, by="key", q=f"key:{busy.prefix}")["rows"]
    assert (row["group"], row["requests"]) == ([busy.id], 10)


@pytest.mark.usefixtures("events")
def test_the_period_before_and_percentiles_are_there_when_they_are_asked_for(site: Site) -> None:
    plain = site.find(USAGE, since="2026-07-01T06:00")
    assert "previous" not in plain
    assert "duration" not in plain["total"]
    answer = site.find(USAGE, since="2026-07-01T06:00", compare="1", percentiles="yes")
    assert answer["previous"]["until"] == answer["since"] == "2026-07-01T06:00:00+00:00"
    assert answer["previous"]["total"]["requests"] + answer["total"]["requests"] == 1_500
    assert list(answer["total"]["duration"]) == ["p50", "p90", "p95", "p99"]
    assert answer["total"]["duration"]["p50"] <= answer["total"]["duration"]["p99"]


@pytest.mark.usefixtures("events")
def test_a_very_long_period_is_summed_up_without_points_in_time(site: Site) -> None:
    answer = site.find(USAGE, since="1970-01-01")
    assert (answer["bucket"], answer["total"]["requests"]) == (None, 1_500)
    assert "series" not in answer
    assert "points" in site.ask(USAGE, since="1970-01-01", bucket="day").json["error"]["message"]


@pytest.mark.usefixtures("events")
def test_sums_as_a_file_are_the_groups_or_the_points_in_time(site: Site) -> None:
    def rows(**values: str) -> list[dict[str, str]]:
        reply = site.ask(USAGE, urlencode({"format": "csv", "since": "2026-07-01", **values}).encode())
        assert reply.headers is not None
        assert reply.headers["content-type"] == "text/csv; charset=utf-8"
        assert reply.headers["content-disposition"] == 'attachment; filename="usage.csv"'
        return list(csv.DictReader(io.StringIO(reply.body.decode())))

    by_client = rows(by="client", top="1")
    assert [row["client"] for row in by_client][1:] == ["(other)"]
    assert sum(int(row["requests"]) for row in by_client) == 1_500
    assert len(rows(by="client", top="1", bucket="hour")) == 2 * 12
    assert len(rows()) == len(rows(bucket="hour")) == 12
    (whole,) = rows(bucket="none", percentiles="1")
    assert whole["requests"] == "1500"
    assert float(whole["duration_p99"]) > 0
    assert {"key_id", "label"} <= set(rows(by="key")[0])


def test_waste_is_told_by_kind_and_program(site: Site, events: list[UsageEvent]) -> None:
    answer = site.find(WASTE, q="client:codex")
    titles = [event for event in events if (event.kind, event.client) == ("title", "codex")]
    row = next(row for row in answer["rows"] if row["kind"] == "title")
    assert row["requests"] == answer["overhead"]["requests"] == len(titles)
    assert answer["total"]["share_of_requests"] == 1
    assert "ttft" in site.ask(WASTE, q="ttft:>1s").json["error"]["message"]


# Events ------------------------------------------------------------------------------------------------------------


def test_pages_give_each_event_once_newest_first_while_new_ones_come(site: Site, events: list[UsageEvent]) -> None:
    after, more = "", iter(random_events(1_000, seed=2, days=0.001, first=site.clock.now()))
    found: list[str] = []
    while True:
        page = site.find(EVENTS, since="2026-07-01", limit="97", q="status:200", **({"after": after} if after else {}))
        found += [event["request_id"] for event in page["events"]]
        site.clock.advance(1)
        site.stored.usage.add_events([next(more) for _ in range(20)])
        if page["next"] is None:
            break
        assert page["searched_to"] <= page["events"][-1]["at"]
        after = page["next"]
    wanted = [event.request_id for event in reversed(events) if event.status == 200]
    assert found == wanted


def test_a_page_of_a_place_before_the_period_is_empty(site: Site, events: list[UsageEvent]) -> None:
    last = site.find(EVENTS, since="2026-07-01", limit=str(MAX_PAGE), until="2026-07-01T02:00")
    page = site.find(EVENTS, since="2026-07-01T06:00", after=last["next"] or "MC54")
    assert (page["events"], page["next"]) == ([], None)


def test_a_page_of_a_place_behind_the_period_holds_nothing_from_there(site: Site, events: list[UsageEvent]) -> None:
    """Whoever makes up a place, or changes the period between two pages, still gets the period."""
    far = "OTk5OTk5OTk5OTk5OTk5OTku"
    page = site.find(EVENTS, since="2026-07-01", until="2026-07-01T02:00", after=far, limit="5")
    until = DAY_ONE + timedelta(hours=2)
    wanted = select_events(events, DAY_ONE, until, ())[:5]
    assert [event["request_id"] for event in page["events"]] == [event.request_id for event in wanted]


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
@pytest.mark.parametrize("query", ["", "-client:codex status:>=400", "id:nothing"])
def test_a_file_holds_all_events_of_the_period_oldest_first(
    site: Site, events: list[UsageEvent], kind: str, query: str
) -> None:
    reply = site.ask(EVENTS, since="2026-07-01", format=kind, q=query)
    assert reply.headers is not None
    assert reply.headers["content-disposition"] == f'attachment; filename="events.{kind}"'
    text = reply.body.decode()
    lines = list(csv.DictReader(io.StringIO(text))) if kind == "csv" else list(map(json.loads, text.splitlines()))
    wanted = [
        event.request_id
        for event in events
        if not query or ("status" in query and event.client != "codex" and event.status >= 400)
    ]
    assert [line["request_id"] for line in lines] == wanted


@pytest.mark.parametrize("name", ["limit", "after"])
def test_a_file_has_no_pages(site: Site, name: str) -> None:
    error = site.ask(EVENTS, f"format=csv&{name}=5".encode()).json["error"]
    assert (error["param"], "all of the period" in error["message"]) == (name, True)


# Beside other calls -----------------------------------------------------------------------------------------------


class Held:
    """A ledger that answers when the test lets it, be it sums or events."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.asked = 0
        self.gate, self.event_gate = threading.Event(), threading.Event()
        if is_open:
            self.gate.set()

    def sum_up(self, query: SumQuery) -> list[SumRow]:
        self.asked += 1
        assert self.gate.wait(10)
        return []

    def list_events(self, *_: object) -> Iterator[UsageEvent]:
        self.asked += 1
        assert self.event_gate.wait(10)
        yield from ()


def test_questions_hold_up_nothing_else_and_one_whose_asker_left_is_never_put(site: Site) -> None:
    assert site.ask(WASTE).status == 200  # the keys have been read
    ledger = Held()
    held = Site(site.stored, site.door, site.clock, site.admin, ledger)  # type: ignore[arg-type]

    async def test() -> None:
        wires = [Wire(held.router) for _ in range(MAX_AT_ONCE + 40)]
        for wire in wires:
            await wire.send(held.request(WASTE))
        await wires[0].until(lambda: ledger.asked == MAX_AT_ONCE)
        assert await asyncio.to_thread(lambda: "a key is looked up") == "a key is looked up"
        for wire in wires[MAX_AT_ONCE + 1 :]:
            wire.lose()
        await wires[0].settle()
        ledger.gate.set()
        answered = wires[: MAX_AT_ONCE + 1]
        await wires[0].until(lambda: all(wire.transport.written for wire in answered))
        assert ledger.asked == len(answered)
        assert [wire.answers()[0].status for wire in answered] == [200] * len(answered)
        for wire in answered:
            wire.lose()
            await wire.settle()

    run(test)


def test_a_piece_of_a_file_that_is_hard_to_find_holds_up_no_page(site: Site) -> None:
    assert site.ask(WASTE).status == 200
    ledger = Held(is_open=True)
    held = Site(site.stored, site.door, site.clock, site.admin, ledger)  # type: ignore[arg-type]

    async def test() -> None:
        files = [Wire(held.router) for _ in range(MAX_AT_ONCE + 2)]
        for wire in files:
            await wire.send(held.request(f"{EVENTS}?format=csv"))
        page = Wire(held.router)
        await page.send(held.request(WASTE))
        await page.until(lambda: page.transport.written)
        assert page.answers()[0].status == 200
        assert not any(wire.take() for wire in files)
        ledger.event_gate.set()
        await page.until(lambda: all(wire.transport.written for wire in files))
        for wire in [page, *files]:
            wire.lose()
        await page.settle()

    run(test)


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("path", "query", "file"),
    [
        ("/admin/api/events", {"format": "csv", "q": "status:>=200", "since": "3d"}, "events.csv"),
        ("/admin/api/events", {"format": "ndjson"}, "events.ndjson"),
    ],
)
def test_whoever_takes_the_ledger_away_as_a_file_is_on_record(
    site: Site, admin: IssuedKey, path: str, query: dict[str, str], file: str
) -> None:
    reply = site.ask(path, urlencode(query).encode())
    assert reply.status == 200
    line = site.stored.audit.list_events(limit=1)[0]
    assert (line.action, line.actor, line.target) == ("usage.exported", admin.key.id, "usage")
    assert line.detail == {"file": file, **query}
    assert line.request_id == (reply.headers or {})["x-request-id"]


@pytest.mark.usefixtures("events")
def test_what_cannot_be_put_on_record_is_not_handed_out_and_a_page_is_no_file(site: Site) -> None:
    lines = len(site.stored.audit.list_events())
    assert site.ask("/admin/api/events").status == 200
    assert len(site.stored.audit.list_events()) == lines
    site.stored.directory.audit.rename(site.stored.directory.path / "away")
    site.stored.directory.audit.mkdir()
    assert site.ask("/admin/api/events", format="csv").status == 503
