"""Endpoint: one request in, one exchange, one answer out, whatever happens between."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from copilot_api.api.door import Door
from copilot_api.api.endpoint import Endpoint, HttpAnswer
from copilot_api.api.http_protocol import BODY_SILENCE_SECONDS
from copilot_api.api.intake import IntakeLimits
from copilot_api.capture.capturing import Capturing
from copilot_api.capture.raw import RawLeg, RawTrace
from copilot_api.capture.recorder import CapturedCall, Captures
from copilot_api.errors import BadRequest, GatewayError, RateLimited, UpstreamCut, UpstreamFailed
from copilot_api.gateway.call import Answer, Call
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.settlement import CLIENT_GONE, Record, Settlement
from copilot_api.gateway.surfaces import CHAT_SURFACE
from copilot_api.keys.models import ApiKey
from copilot_api.keys.service import IssuedKey
from copilot_api.observability.events import CallCrashed, CallEnded, Observation
from copilot_api.observability.trace_context import TraceContext
from copilot_api.protocols.chat.stream import ChatStream
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.recorder import UsageRecorder
from tests.api.wire import Reply, Wire, ask, get, post
from tests.capture.raws import Sink, make_raw
from tests.fakes import FakeClock
from tests.stored import Stored

KEEP_ALIVE = b": keep-alive\n\n"
EVENTS = b"text/event-stream; charset=utf-8"
STREAM = ChatStream(model="m", wants_usage=False, choices=1, now=0)
Exchanging = Callable[[Call, ApiKey, Record, Answer], Awaitable[None]]


class Ledger:
    """A recorder that only keeps what it is told."""

    def __init__(self) -> None:
        self.ended: list[UsageEvent] = []

    def begin(self, event: UsageEvent) -> None:
        pass

    def end(self, event: UsageEvent) -> None:
        self.ended.append(event)


class Copies:
    """Captures that stay here, raw."""

    def __init__(self) -> None:
        self.sink: Sink | None = None
        self.begun: list[Capturing] = []

    def begin(self, call: CapturedCall, method: str, target: str, headers: Any) -> Capturing:
        self.sink = self.sink or Sink()
        leg = RawLeg(method=method, target=target, headers=headers)
        self.begun.append(Capturing(self.sink, make_raw(request_id=call.request_id, client_request=leg), 1000.0))
        return self.begun[-1]

    @property
    def trace(self) -> RawTrace:
        """The one that is complete."""
        assert self.sink is not None
        [capturing] = self.sink.complete
        return asyncio.run(capturing.seal())


class Bench:
    """An endpoint whose gateway does what the test says."""

    def __init__(
        self,
        door: Door,
        clock: FakeClock,
        exchanging: Exchanging,
        *,
        max_body_bytes: int = 1000,
        is_traced: bool = False,
    ) -> None:
        self.ledger = Ledger()
        self.copies = Copies()
        self.observed: list[Observation] = []
        settlement = Settlement(cast("UsageRecorder", self.ledger), clock, self.observed.append)

        class StubGateway(Gateway):
            def __init__(self) -> None:
                self.settlement = settlement

            async def exchange(self, call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
                await exchanging(call, key, record, answer)

        self.endpoint = Endpoint(
            CHAT_SURFACE,
            door,
            StubGateway(),
            clock,
            self.observed.append,
            limits=IntakeLimits(max_body_bytes),
            captures=cast("Captures", self.copies),
            is_traced=is_traced,
        )

    def call(self, secret: str | None = None, body: bytes = b"hello", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if secret is not None:
            named["authorization"] = f"Bearer {secret}"
        return asyncio.run(ask(self.endpoint, "/v1/chat/completions", method="POST", headers=named, body=body))

    @property
    def event(self) -> UsageEvent:
        [event] = self.ledger.ended
        return event


def test_a_whole_answer_goes_out_with_its_request_id(door: Door, clock: FakeClock, client: IssuedKey) -> None:
    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        assert (call.client, call.surface, key.id) == ("curl", CHAT_SURFACE, client.key.id)
        await answer.send_whole(await call.read_body())

    bench = Bench(door, clock, exchanging)
    reply = bench.call(client.secret, b'{"a":1}', user_agent="curl/8")
    assert (reply.status, reply.body) == (200, b'{"a":1}')
    assert reply.headers is not None
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"] == bench.event.request_id
    assert (bench.event.key_id, bench.event.client) == (client.key.id, "curl")


@pytest.mark.parametrize(
    ("is_traced", "header", "expected"),
    [
        (True, f"00-{'a' * 32}-{'b' * 16}-01", TraceContext(int("a" * 32, 16), int("b" * 16, 16), 1)),
        (True, "nonsense", None),
        (True, None, None),
        (False, f"00-{'a' * 32}-{'b' * 16}-01", None),
    ],
)
def test_the_callers_trace_is_read_where_traces_are_exported(
    door: Door,
    clock: FakeClock,
    client: IssuedKey,
    header: str | None,
    expected: TraceContext | None,
    *,
    is_traced: bool,
) -> None:
    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        assert call.trace == expected
        await answer.send_whole(b"{}")

    bench = Bench(door, clock, exchanging, is_traced=is_traced)
    reply = bench.call(client.secret) if header is None else bench.call(client.secret, traceparent=header)
    assert reply.status == 200
    assert [each.trace for each in bench.observed if isinstance(each, CallEnded)] == [expected]


def test_a_stream_goes_out_as_events_that_no_proxy_holds_back(door: Door, clock: FakeClock, client: IssuedKey) -> None:
    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        answer.begin(STREAM, EVENTS)
        await answer.write(KEEP_ALIVE)
        await answer.write(b"data: 1\n\n")
        await answer.end(b"data: [DONE]\n\n")

    reply = Bench(door, clock, exchanging).call(client.secret)
    assert reply.body == KEEP_ALIVE + b"data: 1\n\ndata: [DONE]\n\n"
    assert reply.headers is not None
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["x-accel-buffering"] == "no"
    assert reply.headers["x-request-id"].startswith("req_")
    assert "content-length" not in reply.headers


def test_a_stream_that_ends_at_once_is_a_stream(door: Door, clock: FakeClock, client: IssuedKey) -> None:
    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        await answer.end(b"data: [DONE]\n\n")

    reply = Bench(door, clock, exchanging).call(client.secret)
    assert (reply.status, reply.body) == (200, b"data: [DONE]\n\n")


def test_a_call_without_a_key_is_refused_and_settled(door: Door, clock: FakeClock) -> None:
    async def exchanging(*_: Any) -> None:
        raise AssertionError("nothing is exchanged")

    bench = Bench(door, clock, exchanging)
    assert bench.call().status == 401
    assert (bench.event.cause, bench.event.status, bench.event.key_id) == (Cause.UNAUTHORIZED, 401, None)


@pytest.mark.parametrize(
    "error", [BadRequest("wrong", param="n"), RateLimited("too fast", retry_after=3.0), UpstreamFailed("broken")]
)
def test_a_failure_before_the_answer_is_a_status(
    door: Door, clock: FakeClock, client: IssuedKey, error: GatewayError
) -> None:
    async def exchanging(*_: Any) -> None:
        raise error

    bench = Bench(door, clock, exchanging)
    reply = bench.call(client.secret)
    assert reply.status == error.status
    assert reply.json["error"]["code"] == error.code
    assert reply.headers is not None
    assert reply.headers["x-request-id"] == bench.event.request_id
    assert reply.headers["x-request-id"] in reply.json["error"]["message"]
    assert ("retry-after" in reply.headers) == (error.retry_after is not None)
    assert (bench.event.cause.value, bench.event.status) == (error.cause, error.status)


def test_a_failure_inside_a_stream_is_an_event_and_no_clean_end(
    door: Door, clock: FakeClock, client: IssuedKey
) -> None:
    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        record.answering()
        answer.begin(STREAM, EVENTS)
        await answer.write(b"data: 1\n\n")
        raise UpstreamCut("it broke off")

    bench = Bench(door, clock, exchanging)
    reply = bench.call(client.secret)
    first, second, rest = reply.body.split(b"\n\n")
    assert (reply.status, first, rest) == (200, b"data: 1", b"")
    error = json.loads(second.removeprefix(b"data: "))["error"]
    assert (error["code"], error["type"]) == ("upstream_cut", "server_error")
    assert b"[DONE]" not in reply.body
    assert (bench.event.cause, bench.event.status) == (Cause.UPSTREAM_CUT, 200)


def test_a_failure_after_a_keep_alive_is_an_event(door: Door, clock: FakeClock, client: IssuedKey) -> None:
    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        record.answering()
        answer.begin(STREAM, EVENTS)
        await answer.write(KEEP_ALIVE)
        raise UpstreamFailed("broken")

    reply = Bench(door, clock, exchanging).call(client.secret)
    assert reply.status == 200
    assert reply.body.startswith(KEEP_ALIVE + b'data: {"error":')


@pytest.mark.parametrize("is_started", [True, False])
def test_a_defect_of_ours_is_told_to_the_operator_and_not_to_the_caller(
    door: Door, clock: FakeClock, client: IssuedKey, is_started: bool
) -> None:
    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        if is_started:
            record.answering()
            answer.begin(STREAM, EVENTS)
            await answer.write(b"data: 1\n\n")
        raise KeyError("a secret detail")

    bench = Bench(door, clock, exchanging)
    reply = bench.call(client.secret)
    assert b"internal_error" in reply.body
    assert b"secret detail" not in reply.body
    assert b"Traceback" not in reply.body
    assert reply.status == (200 if is_started else 500)
    [crash] = [each for each in bench.observed if isinstance(each, CallCrashed)]
    assert "secret detail" in crash.traceback
    assert crash.request_id == bench.event.request_id
    assert (bench.event.cause, bench.event.status) == (Cause.INTERNAL, reply.status)


def test_a_body_over_the_limit_is_refused(door: Door, clock: FakeClock, client: IssuedKey) -> None:
    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        await call.read_body()
        raise AssertionError("it was read")

    bench = Bench(door, clock, exchanging, max_body_bytes=4)
    assert bench.call(client.secret, b"hello").status == 413
    assert (bench.event.cause, bench.event.status) == (Cause.BAD_REQUEST, 413)


def test_a_call_is_observed_when_it_ends(door: Door, clock: FakeClock, client: IssuedKey) -> None:
    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        clock.advance(1.5)
        await answer.send_whole(b"{}")

    bench = Bench(door, clock, exchanging)
    bench.call(client.secret)
    [ended] = bench.observed
    assert isinstance(ended, CallEnded)
    assert (ended.call.key_id, ended.call.duration) == (client.key.id, 1.5)
    assert ended.call is bench.event


# On a connection -------------------------------------------------------------------------------------------------


def test_a_hang_up_ends_the_exchange_at_once(door: Door, clock: FakeClock, client: IssuedKey) -> None:
    begun: list[str] = []
    ends: list[tuple[Any, ...]] = []

    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        begun.append(key.id)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as cancelled:
            ends.append(cancelled.args)
            raise

    bench = Bench(door, clock, exchanging)

    async def test() -> None:
        wire = Wire(bench.endpoint)
        await wire.send(post(b"{}", f"authorization: Bearer {client.secret}"))
        await wire.until(lambda: begun)  # the index of keys is read in a thread
        wire.lose()
        await wire.settle()
        assert wire.take() == b""

    asyncio.run(test())
    assert ends == [(CLIENT_GONE,)]
    assert (bench.event.cause, bench.event.status) == (Cause.CLIENT_ABORTED, 0)


@pytest.mark.parametrize("fault", ["silence", "bad chunk"])
def test_a_body_that_is_refused_half_way_is_settled_as_it_was_answered(
    door: Door, clock: FakeClock, client: IssuedKey, fault: str
) -> None:
    """The connection answers in the endpoint's place; the ledger must not call that a hang-up."""

    begun: list[str] = []

    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        begun.append(key.id)
        await call.read_body()
        raise AssertionError("it was read")

    bench = Bench(door, clock, exchanging)

    async def test() -> int:
        wire = Wire(bench.endpoint)
        head = get("/", f"authorization: Bearer {client.secret}", "transfer-encoding: chunked", method="POST")
        await wire.send(head + b"1\r\n{\r\n")
        await wire.until(lambda: begun)
        if fault == "silence":
            await wire.advance(BODY_SILENCE_SECONDS + 2)
        else:
            await wire.send(b"zz\r\n")
        [answer] = wire.answers("POST")
        wire.lose()
        return answer.status

    status = asyncio.run(test())
    assert status == (408 if fault == "silence" else 400)
    assert (bench.event.cause, bench.event.status) == (Cause.BAD_REQUEST, status)


@pytest.mark.parametrize("is_started", [True, False])
def test_a_call_that_the_shutdown_ends_is_told_so(
    door: Door, clock: FakeClock, client: IssuedKey, is_started: bool
) -> None:
    begun: list[str] = []

    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        if is_started:
            record.answering()
            answer.begin(STREAM, EVENTS)
            await answer.write(b"data: 1\n\n")
        begun.append(key.id)
        await asyncio.sleep(3600)

    bench = Bench(door, clock, exchanging)

    async def test() -> bytes:
        wire = Wire(bench.endpoint)
        await wire.send(post(b"{}", f"authorization: Bearer {client.secret}"))
        await wire.until(lambda: begun)
        for task in list(wire.server.tasks):
            task.cancel("stopped")
        await wire.settle()
        written = wire.take()
        wire.lose()
        return written

    written = asyncio.run(test())
    assert b'"code":"shutting_down"' in written
    assert written.startswith(b"HTTP/1.1 200" if is_started else b"HTTP/1.1 503")
    assert bench.event.cause is Cause.INTERRUPTED
    assert bench.event.status == (200 if is_started else 503)


@pytest.mark.parametrize("has_exchange", [True, False])
def test_an_answer_is_the_same_with_and_without_an_exchange(
    door: Door, clock: FakeClock, client: IssuedKey, has_exchange: bool
) -> None:
    """`HttpAnswer` takes a short cut where the server offers one."""

    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        assert isinstance(answer, HttpAnswer)
        assert (answer._exchange is not None) == has_exchange
        states = [answer.is_started]
        answer.begin(STREAM, EVENTS)
        await answer.write(b"data: 1\n\n")
        states.append(answer.is_started)
        assert states == [False, True]
        await answer.write(b"data: 2\n\n")
        await answer.end(b"data: [DONE]\n\n")

    bench = Bench(door, clock, exchanging)
    if not has_exchange:
        assert bench.call(client.secret).body == b"data: 1\n\ndata: 2\n\ndata: [DONE]\n\n"
        return

    async def test() -> None:
        wire = Wire(bench.endpoint)
        await wire.send(post(b"{}", f"authorization: Bearer {client.secret}"))
        await wire.until(lambda: bench.ledger.ended)
        [answer] = wire.answers("POST")
        assert answer.body == b"data: 1\n\ndata: 2\n\ndata: [DONE]\n\n"
        wire.lose()

    asyncio.run(test())


# Captured calls -----------------------------------------------------------------------------------------------------


def captured(stored: Stored, client: IssuedKey) -> None:
    """From now on."""
    stored.keys.start_capture(client.key.id, "a test", 60, actor="test")


def test_a_call_that_is_not_captured_never_asks_whether_it_could_be(
    door: Door, clock: FakeClock, client: IssuedKey
) -> None:
    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        assert call.tap is None
        await answer.send_whole(b"{}")

    bench = Bench(door, clock, exchanging)
    reply = bench.call(client.secret)
    assert reply.headers is not None
    assert "x-capi-capture" not in reply.headers
    assert bench.copies.begun == []


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_captured_call_is_told_and_copied_as_it_was_sent(
    door: Door, clock: FakeClock, client: IssuedKey, stored: Stored, *, is_streamed: bool
) -> None:
    captured(stored, client)

    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        body = await call.read_body()
        if is_streamed:
            answer.begin(STREAM, EVENTS)
            await answer.write(body)
            await answer.end(b"data: [DONE]\n\n")
        else:
            await answer.send_whole(body)

    bench = Bench(door, clock, exchanging)
    reply = bench.call(client.secret, b"data: 1\n\n")
    assert reply.headers is not None
    assert reply.headers["x-capi-capture"] == "on"
    trace = bench.copies.trace
    assert (trace.client_request.body, trace.cause) == (b"data: 1\n\n", "ok")
    assert trace.client_answer is not None
    assert trace.client_answer.body == reply.body
    assert len(trace.client_answer.timeline) == (2 if is_streamed else 0)


@pytest.mark.parametrize(
    ("error", "status", "cause"),
    [
        (UpstreamFailed("no"), 502, "upstream_error"),
        (RateLimited("no"), 429, "rate_limited"),
        (RuntimeError("a defect"), 500, "internal"),
    ],
)
def test_errors_are_told_and_copied_too(
    door: Door, clock: FakeClock, client: IssuedKey, stored: Stored, error: Exception, status: int, cause: str
) -> None:
    captured(stored, client)

    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        raise error

    bench = Bench(door, clock, exchanging)
    reply = bench.call(client.secret)
    assert reply.headers is not None
    assert (reply.status, reply.headers["x-capi-capture"]) == (status, "on")
    trace = bench.copies.trace
    assert (trace.status, trace.cause) == (status, cause)
    assert trace.client_answer is not None
    assert (trace.client_answer.status, trace.client_answer.body) == (status, reply.body)


def test_a_caller_that_is_not_known_is_neither_captured_nor_told(door: Door, clock: FakeClock) -> None:
    async def exchanging(call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        raise AssertionError

    bench = Bench(door, clock, exchanging)
    reply = bench.call("sk-cap-none", x_capi_debug="1")
    assert reply.headers is not None
    assert (reply.status, "x-capi-capture" in reply.headers, bench.copies.begun) == (401, False, [])
