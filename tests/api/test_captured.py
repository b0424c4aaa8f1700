"""How a call comes to be captured, and that the copy is of what is really received and sent."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from copilot_api.api.captured import TOLD, begin_capture, copying, tap_call
from copilot_api.api.http_exchange import Message, Scope
from copilot_api.capture.capturing import Capturing
from copilot_api.capture.files import TraceFiles
from copilot_api.capture.recorder import Captures
from copilot_api.capture.ring import Ring
from copilot_api.capture.service import Traces
from copilot_api.config.settings import CaptureSettings
from copilot_api.gateway.call import Call
from copilot_api.gateway.surfaces import CHAT_SURFACE
from copilot_api.keys.models import ApiKey
from copilot_api.keys.service import IssuedKey
from copilot_api.observability.events import Observation
from tests.fakes import FakeClock
from tests.stored import Stored

SCOPE: Scope = {
    "method": "POST",
    "path": "/v1/chat/completions",
    "raw_path": b"/v1/chat%2Fcompletions",
    "query_string": b"a=b",
    "headers": [(b"a", b"b"), (b"a", b"c")],
}


class Bench:
    def __init__(self, stored: Stored, clock: FakeClock, *, is_allowed: bool = True) -> None:
        self.stored = stored
        self.clock = clock
        self.observed: list[Observation] = []
        traces = Traces(Ring(), TraceFiles(stored.directory.traces), clock.now())
        settings = CaptureSettings(is_allowed=is_allowed)
        self.captures = Captures(traces, stored.keys, clock, self.observed.append, settings)

    def call(self, read_body: Callable[[], Awaitable[bytes]] | None = None) -> Call:
        async def read_nothing() -> bytes:
            return b""

        return Call("req_1", CHAT_SURFACE, "curl", self.clock.now(), self.clock.monotonic(), read_body or read_nothing)

    def begin(
        self, key: ApiKey, head: dict[bytes, bytes] | None = None, *, is_refused: bool = False
    ) -> Capturing | None:
        async def run() -> Capturing | None:
            return begin_capture(self.captures, self.call(), key, head or {}, SCOPE, is_refused=is_refused)

        return asyncio.run(run())

    def captured(self, key: ApiKey) -> ApiKey:
        return self.stored.keys.start_capture(key.id, "why", 60, actor="test")


@pytest.fixture
def bench(stored: Stored, clock: FakeClock) -> Bench:
    return Bench(stored, clock)


def test_a_key_is_captured_while_its_order_holds(bench: Bench, client: IssuedKey, clock: FakeClock) -> None:
    assert bench.begin(client.key) is None
    key = bench.captured(client.key)
    capturing = bench.begin(key)
    assert capturing is not None
    trace = capturing.trace
    assert (trace.reason, trace.key_id, trace.request_id, trace.client) == ("key", key.id, "req_1", "curl")
    leg = trace.client_request
    assert (leg.method, leg.target) == ("POST", "/v1/chat%2Fcompletions?a=b")
    assert leg.headers == [(b"a", b"b"), (b"a", b"c")]
    assert bench.begin(key, is_refused=True) is not None, "why it was refused is worth knowing"
    clock.advance(60)
    assert bench.begin(key) is None


@pytest.mark.parametrize(
    ("value", "is_asked"), [(b"1", True), (b" 1 ", True), (b"0", False), (b"true", False), (b"", False), (b"11", False)]
)
def test_an_admin_asks_with_a_one_and_nothing_else(
    bench: Bench, admin: IssuedKey, value: bytes, *, is_asked: bool
) -> None:
    capturing = bench.begin(admin.key, {b"x-capi-debug": value})
    assert (capturing is not None) is is_asked
    assert capturing is None or capturing.trace.reason == "request"


def test_nobody_else_can_ask_and_nobody_who_may_not_enter(bench: Bench, admin: IssuedKey, client: IssuedKey) -> None:
    asking = {b"x-capi-debug": b"1"}
    assert bench.begin(client.key, asking) is None
    assert bench.begin(admin.key, asking, is_refused=True) is None


def test_where_captures_are_forbidden_neither_order_nor_question_counts(
    stored: Stored, clock: FakeClock, admin: IssuedKey
) -> None:
    bench = Bench(stored, clock, is_allowed=False)
    assert bench.begin(bench.captured(admin.key), {b"x-capi-debug": b"1"}) is None


def test_the_body_that_is_read_is_the_one_that_is_copied(bench: Bench, client: IssuedKey) -> None:
    async def run() -> None:
        async def read_body() -> bytes:
            return b"the body"

        async def read_broken() -> bytes:
            raise ConnectionResetError("the client is gone")

        key = bench.captured(client.key)
        for read, expected, error in ((read_body, b"the body", ""), (read_broken, b"", "the client is gone")):
            call = bench.call(read)
            capturing = begin_capture(bench.captures, call, key, {}, SCOPE, is_refused=False)
            assert capturing is not None
            assert call.tap is capturing
            try:
                assert await call.read_body() == expected
            except ConnectionResetError:
                assert error
            leg = (await capturing.seal()).client_request
            assert (leg.body, leg.error) == (expected, error)

    asyncio.run(run())


def test_a_call_can_be_tapped_by_a_capture_that_began_elsewhere(bench: Bench, client: IssuedKey) -> None:
    async def run() -> None:
        capturing = begin_capture(bench.captures, bench.call(), bench.captured(client.key), {}, SCOPE, is_refused=False)
        assert capturing is not None
        other = bench.call()
        tap_call(other, capturing)
        assert other.tap is capturing

    asyncio.run(run())


@pytest.mark.parametrize(
    ("content_type", "is_streamed"), [(b"application/json", False), (b"text/event-stream; charset=utf-8", True)]
)
def test_what_is_sent_is_copied_and_the_caller_is_told(
    bench: Bench, client: IssuedKey, content_type: bytes, *, is_streamed: bool
) -> None:
    async def run() -> None:
        capturing = begin_capture(bench.captures, bench.call(), bench.captured(client.key), {}, SCOPE, is_refused=False)
        assert capturing is not None
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        start: Message = {"type": "http.response.start", "status": 201, "headers": [(b"content-type", content_type)]}
        through = copying(send, capturing)
        await through(start)
        await through({"type": "http.response.body", "body": b"one", "more_body": True})
        await through({"type": "http.response.body", "body": b"two"})
        assert start["headers"] == [(b"content-type", content_type)], "the message itself is the sender's"
        assert sent[0]["headers"] == [(b"content-type", content_type), TOLD]
        assert [message.get("body") for message in sent[1:]] == [b"one", b"two"]
        answer = (await capturing.seal()).client_answer
        assert answer is not None
        assert (answer.status, answer.body, len(answer.timeline)) == (201, b"onetwo", 2 if is_streamed else 0)
        assert answer.headers[-1] == TOLD
        assert answer.ended_ms is not None

    asyncio.run(run())


def test_a_client_that_is_gone_is_noted_and_the_error_goes_on(bench: Bench, client: IssuedKey) -> None:
    async def run() -> None:
        capturing = begin_capture(bench.captures, bench.call(), bench.captured(client.key), {}, SCOPE, is_refused=False)
        assert capturing is not None

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                raise ConnectionResetError("gone")

        through: Any = copying(send, capturing)
        await through({"type": "http.response.start", "status": 200, "headers": []})
        with pytest.raises(ConnectionResetError):
            await through({"type": "http.response.body", "body": b"x", "more_body": True})
        answer = (await capturing.seal()).client_answer
        assert answer is not None
        assert answer.error == "gone"

    asyncio.run(run())
