"""The live tail: who reads gets every trace once, in order, or is told how many are missing; and it ends when it must."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.trace_access import Visitor
from copilot_api.api.trace_tail import HEARTBEAT_SECONDS, MAX_TAILS, TooManyTails, TraceTails, parse_after
from copilot_api.audit.models import LOCAL
from copilot_api.capture.service import Traces
from copilot_api.errors import BadRequest, GatewayError, Unauthorized
from tests.api.trace_site import keep, make_traces
from tests.api.wire import Wire, get, run
from tests.fakes import FakeClock

CHECK = 0.01


@dataclass
class Site:
    """One gateway's tails."""

    traces: Traces
    clock: FakeClock
    refusal: GatewayError | None = None
    readers: list[Wire] = field(default_factory=list[Wire])

    def __post_init__(self) -> None:
        self.tails = TraceTails(self.traces, self.clock, check_seconds=CHECK)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def check() -> None:
            if self.refusal is not None:
                raise self.refusal

        after = parse_after(dict(scope["headers"]), scope["query_string"].decode())
        await self.tails.send(Visitor("key_x", LOCAL, None, check), after, scope, send)

    @asynccontextmanager
    async def reading(self, query: str = "", *headers: str) -> AsyncIterator["Reader"]:
        """A reader who has been let in."""
        reader = Reader(Wire(self.app))
        await reader.wire.send(get(f"/{query and '?' + query}", *headers))
        try:
            yield reader
        finally:
            reader.wire.lose()
            await reader.wire.settle()


@dataclass
class Reader:
    """What one reader has got so far."""

    wire: Wire
    got: bytes = b""

    @property
    def body(self) -> str:
        """What the chunks hold that have come."""
        self.got += self.wire.take()
        _, _, rest = self.got.partition(b"\r\n\r\n")
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            body, rest = body + rest[:length], rest[length + 2 :]
        return body.decode()

    @property
    def events(self) -> list[tuple[str, Any]]:
        """Name and data of each event behind the first, which says where it begins."""
        events: list[tuple[str, Any]] = []
        for block in self.body.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in fields:
                events.append((fields["event"], json.loads(fields["data"])))
        assert events[0][0] == "start"
        return events[1:]

    @property
    def ids(self) -> list[str]:
        return [data["request_id"] for name, data in self.events if name == "trace"]

    async def until(self, condition: Callable[[], object]) -> None:
        await self.wire.until(condition)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def site(tmp_path: Path, clock: FakeClock) -> Site:
    return Site(make_traces(tmp_path / "traces", clock), clock)


def test_a_trace_is_told_as_it_is_kept_with_its_number_as_the_id(site: Site) -> None:
    async def test() -> None:
        keep(site.traces, "req_before")
        async with site.reading() as reader:
            assert reader.wire.transport.written.startswith(b"HTTP/1.1 200 ")
            first = keep(site.traces, "req_1", status=429, cause="rate_limited")
            keep(site.traces, "req_2")
            await reader.until(lambda: len(reader.ids) == 2)
            assert reader.ids == ["req_1", "req_2"]
            name, data = reader.events[0]
            assert (name, data["number"], data["status"], data["cause"]) == ("trace", first.number, 429, "rate_limited")
            assert f"id: {first.number}\nevent: trace\n" in reader.body
            assert b"content-type: text/event-stream; charset=utf-8\r\n" in reader.got

    run(test)


def test_who_comes_back_gets_what_was_kept_meanwhile(site: Site) -> None:
    async def test() -> None:
        kept = [keep(site.traces, f"req_{number}") for number in range(4)]
        async with site.reading("", f"last-event-id: {kept[1].number}") as reader:
            await reader.until(lambda: reader.ids == ["req_2", "req_3"])
        async with site.reading(f"{kept[2].number}") as reader:
            await reader.until(lambda: reader.ids == ["req_3"])

    run(test)


def test_the_first_event_says_where_to_go_on_from(site: Site) -> None:
    async def test() -> None:
        last = keep(site.traces, "req_1")
        async with site.reading() as reader:
            assert reader.body.startswith(f'id: {last.number}\nevent: start\ndata: {{"after":{last.number}}}\n\n')

    run(test)


def test_what_is_in_memory_no_more_is_a_gap(tmp_path: Path, clock: FakeClock) -> None:
    async def test() -> None:
        site = Site(make_traces(tmp_path / "traces", clock, max_bytes=8_000), clock)
        first = keep(site.traces, "req_0")
        for number in range(1, 10):
            keep(site.traces, f"req_{number}")
        async with site.reading(f"{first.number}") as reader:
            await reader.until(lambda: reader.ids[-1:] == ["req_9"])
            (name, data), *rest = reader.events
            assert name == "gap"
            assert data["missed"] == 9 - len(rest)

    run(test)


def test_a_reader_who_does_not_read_misses_some_and_is_told(site: Site) -> None:
    async def test() -> None:
        async with site.reading() as reader:
            reader.wire.connection.pause_writing()
            keep(site.traces, "req_0")
            await reader.until(lambda: reader.ids == ["req_0"])  # the write that now waits
            for number in range(1, 2_000):
                keep(site.traces, f"req_{number}")
            reader.wire.connection.resume_writing()
            await reader.until(lambda: reader.ids[-1] == "req_1999")
            missed = sum(data["missed"] for name, data in reader.events if name == "gap")
            assert missed > 0
            assert missed + len(reader.ids) == 2_000

    run(test)


def test_silence_is_broken_by_comments(site: Site, clock: FakeClock) -> None:
    async def test() -> None:
        async with site.reading() as reader:
            await asyncio.sleep(3 * CHECK)
            assert ": keep-alive" not in reader.body
            clock.advance(HEARTBEAT_SECONDS)
            await reader.until(lambda: reader.body.endswith(": keep-alive\n\n"))
            assert reader.body.count(": keep-alive") == 1

    run(test)


def test_it_ends_with_the_key_and_shows_nothing_after_it(site: Site) -> None:
    async def test() -> None:
        async with site.reading() as reader:
            site.refusal = Unauthorized("this key was revoked")
            keep(site.traces, "req_1")
            await reader.until(lambda: reader.got.endswith(b"0\r\n\r\n") or not reader.body)
            assert reader.events == [("end", {"reason": "this key was revoked"})]

    run(test)


def test_it_ends_with_the_key_also_while_nothing_happens(site: Site) -> None:
    async def test() -> None:
        async with site.reading() as reader:
            site.refusal = Unauthorized("this key has expired")
            await reader.until(lambda: reader.body.endswith('{"reason":"this key has expired"}\n\n'))
            assert reader.got.endswith(b"0\r\n\r\n")

    run(test)


def test_all_of_them_end_when_the_gateway_stops(site: Site) -> None:
    async def test() -> None:
        async with site.reading() as one, site.reading() as other:
            other.wire.connection.pause_writing()
            keep(site.traces, "req_1")
            await one.until(lambda: one.ids == ["req_1"])
            site.tails.stop()
            await one.until(lambda: one.body and one.got.endswith(b"0\r\n\r\n"))
            assert not one.wire.transport.is_closed
            await other.until(lambda: other.wire.is_lost)
            async with site.reading() as late:
                await late.until(lambda: late.body and late.got.endswith(b"0\r\n\r\n"))

    run(test)


def test_there_is_room_for_so_many_and_again_when_one_goes(site: Site) -> None:
    async def test() -> None:
        readers = [Wire(site.app) for _ in range(MAX_TAILS)]
        for reader in readers:
            await reader.send(get("/"))
        with pytest.raises(TooManyTails) as caught:
            site.tails.check_room()
        assert caught.value.actual_status == 429
        readers[0].lose()
        await readers[0].settle()
        site.tails.check_room()
        for reader in readers[1:]:
            reader.lose()
            await reader.settle()

    run(test)


def test_erased_traces_are_not_told(site: Site) -> None:
    async def test() -> None:
        async with site.reading() as reader:
            reader.wire.connection.pause_writing()
            keep(site.traces, "req_0")
            await reader.until(lambda: reader.ids == ["req_0"])
            keep(site.traces, "req_1", key_id="key_erased")
            keep(site.traces, "req_2")
            site.traces.forget_key("key_erased")
            reader.wire.connection.resume_writing()
            await reader.until(lambda: reader.ids == ["req_0", "req_2"])

    run(test)


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "1" * 18, "\uff11", "0x1", "1 2", "%00", "1\n2"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_after({}, text)
    with pytest.raises(BadRequest):
        parse_after({b"last-event-id": text.encode()}, "")


def test_the_header_wins_over_the_query() -> None:
    assert parse_after({b"last-event-id": b" 7 "}, "5") == 7
    assert parse_after({b"last-event-id": b""}, "5") == 5
    assert parse_after({}, "") is None
