import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from copilot_api.errors import (
    AccountFlagged,
    GatewayError,
    UpstreamCut,
    UpstreamFailed,
    UpstreamForbidden,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamStopped,
    UpstreamTimeout,
    UpstreamUnauthorized,
)
from copilot_api.upstream.auth import CopilotSession, CopilotSessions
from copilot_api.upstream.brake import Brake, Stop
from copilot_api.upstream.client import (
    BACKOFF_SECONDS,
    ERROR_SECONDS,
    MAX_ERROR_BYTES,
    MAX_RETRIES,
    PATIENCE_SECONDS,
    CopilotClient,
    UpstreamRequest,
    cut_error,
)
from copilot_api.upstream.github import GitHub
from copilot_api.upstream.transport import (
    SILENCE,
    ConnectFailed,
    ConnectionBroken,
    NotHttp,
    Reply,
    Silence,
    SilentTooLong,
    TransportError,
)
from tests.upstream.virtual import VirtualClock, run_virtually

API = "https://api.example"
REQUEST = UpstreamRequest(
    path="/chat/completions",
    body=b'{"model":"m"}',
    intent="conversation-panel",
    initiator="user",
    has_images=False,
    is_streamed=False,
    request_id="req_1",
)


class FakeReply:
    """An answer in memory; `Silence` and errors come where they stand among its chunks."""

    def __init__(
        self,
        status: int = 200,
        *chunks: bytes | Silence | TransportError,
        headers: Mapping[str, str] | None = None,
        seconds: float = 0.0,
    ) -> None:
        self._status = status
        self._headers = dict(headers or {})
        self._chunks = list(chunks)
        self._seconds = seconds
        self.is_closed = False

    @property
    def status(self) -> int:
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    @property
    def content_type(self) -> bytes:
        return self._headers.get("content-type", "").encode()

    async def read(self) -> bytes | Silence:
        await asyncio.sleep(self._seconds)
        chunk = self._chunks.pop(0) if self._chunks else b""
        if isinstance(chunk, TransportError):
            raise chunk
        return chunk

    async def read_all(self) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        self.is_closed = True


Outcome = FakeReply | TransportError
"""What a call comes to. An error that is no `ConnectFailed` comes where the head would."""


@dataclass
class Sent:
    """A call that was sent, and whether it was given up or its answer closed."""

    url: str
    headers: dict[str, str]
    body: bytes
    at: float
    reply: FakeReply | None = None
    is_closed: bool = False


class FakePending:
    def __init__(self, sent: Sent, outcome: Outcome, silences: int, seconds: float) -> None:
        self._sent = sent
        self._outcome = outcome
        self._silences = silences
        self._seconds = seconds

    async def head(self) -> Reply | Silence:
        await asyncio.sleep(self._seconds)
        if self._silences > 0:
            self._silences -= 1
            return SILENCE
        if isinstance(self._outcome, TransportError):
            raise self._outcome
        return self._outcome

    def close(self) -> None:
        self._sent.is_closed = True


@dataclass
class FakeTransport:
    """Each call has the next outcome."""

    outcomes: list[Outcome]
    silences: int = 0
    seconds: float = 0.0
    """How long each call takes to its head."""
    sent: list[Sent] = field(default_factory=list[Sent])

    async def send(self, url: str, headers: bytes, body: bytes) -> FakePending:
        lines = headers.decode().split("\r\n")
        assert lines.pop() == ""
        fields = dict(line.split(": ", 1) for line in lines)
        assert len(fields) == len(lines)
        outcome = self.outcomes.pop(0)
        sent = Sent(url, fields, body, asyncio.get_running_loop().time())
        self.sent.append(sent)
        if isinstance(outcome, ConnectFailed):
            raise outcome
        sent.reply = outcome if isinstance(outcome, FakeReply) else None
        return FakePending(sent, outcome, self.silences, self.seconds)

    def sweep(self) -> None:
        pass

    async def close(self) -> None:
        pass

    @property
    def waits(self) -> list[float]:
        """How long it took from each call to the next."""
        return [later.at - earlier.at for earlier, later in zip(self.sent, self.sent[1:], strict=False)]


class FakeSessions(CopilotSessions):
    """Has `tid=0`, and after each refusal the next one."""

    def __init__(self, clock: VirtualClock, failure: GatewayError | None = None) -> None:
        super().__init__(GitHub.__new__(GitHub), None, clock)
        self.refused: list[str] = []
        self._given = CopilotSession("tid=0", API, float("inf"), float("inf"))
        self._raised = failure

    def current(self) -> CopilotSession | None:
        return None if self._raised else self._given

    async def get(self) -> CopilotSession:
        if self._raised:
            raise self._raised
        return self._given

    async def renew_after(self, refused: CopilotSession) -> None:
        self.refused.append(refused.bearer)
        self._given = CopilotSession(f"tid={len(self.refused)}", API, float("inf"), float("inf"))


ANSWERED = ("answered", 0.0)


class ToldBrake(Brake):
    """A brake that remembers what it is told: an error by its type and the seconds since its attempt began."""

    def __init__(self) -> None:
        super().__init__(8)
        self.told: list[tuple[type[GatewayError] | str, float]] = []

    def answered(self, now: float) -> None:
        super().answered(now)
        self.told.append(ANSWERED)

    def refused(self, error: GatewayError, began: float, now: float) -> None:
        super().refused(error, began, now)
        self.told.append((type(error), now - began))


def opened(
    *outcomes: Outcome,
    request: UpstreamRequest = REQUEST,
    on_silence: Callable[[], Awaitable[None]] | None = None,
    brake: Brake | None = None,
    **options: Any,
) -> tuple[Reply | GatewayError, FakeTransport, FakeSessions]:
    """What comes of one call."""

    async def test(clock: VirtualClock) -> tuple[Reply | GatewayError, FakeTransport, FakeSessions]:
        transport, sessions = FakeTransport(list(outcomes), **options), FakeSessions(clock)
        try:
            client = CopilotClient(transport, sessions, clock, brake or Brake(8))
            return await client.open(request, on_silence), transport, sessions
        except GatewayError as error:
            return error, transport, sessions

    return run_virtually(test)


def with_status(status: int, body: bytes = b"", **headers: str) -> FakeReply:
    return FakeReply(status, body, headers={name.replace("_", "-"): value for name, value in headers.items()})


# What is sent -----------------------------------------------------------------------------------------------------


def test_a_call_says_who_we_are_and_what_it_is() -> None:
    reply = FakeReply(200, b"ok")
    found, transport, _ = opened(reply)
    assert found is reply
    assert not reply.is_closed
    (sent,) = transport.sent
    assert sent.url == f"{API}/chat/completions"
    assert sent.body == b'{"model":"m"}'
    assert sent.headers["authorization"] == "Bearer tid=0"
    assert sent.headers["openai-intent"] == "conversation-panel"
    assert sent.headers["x-initiator"] == "user"
    assert sent.headers["x-request-id"] == "req_1"
    assert sent.headers["accept"] == "application/json"
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["accept-encoding"] == "identity"
    assert "copilot-vision-request" not in sent.headers


def test_a_stream_asks_for_events_and_images_are_announced() -> None:
    request = UpstreamRequest("/chat/completions", b"{}", "i", "agent", True, True, "req_2")
    _, transport, _ = opened(FakeReply(), request=request)
    headers = transport.sent[0].headers
    assert headers["accept"] == "text/event-stream"
    assert headers["copilot-vision-request"] == "true"
    assert headers["x-initiator"] == "agent"


def test_without_a_session_nothing_is_sent() -> None:
    async def test(clock: VirtualClock) -> None:
        transport = FakeTransport([])
        sessions, brake = FakeSessions(clock, UpstreamForbidden("no Copilot")), ToldBrake()
        client = CopilotClient(transport, sessions, clock, brake)
        with pytest.raises(UpstreamForbidden):
            await client.open(REQUEST)
        assert transport.sent == []
        assert brake.told == []

    run_virtually(test)


def test_a_new_session_is_used_from_the_next_call_on() -> None:
    async def test(clock: VirtualClock) -> None:
        transport, sessions = FakeTransport([FakeReply(), FakeReply()]), FakeSessions(clock)
        client = CopilotClient(transport, sessions, clock, Brake(8))
        await client.open(REQUEST)
        await sessions.renew_after(await sessions.get())
        await client.open(REQUEST)
        assert [sent.headers["authorization"] for sent in transport.sent] == ["Bearer tid=0", "Bearer tid=1"]

    run_virtually(test)


# What is repeated -------------------------------------------------------------------------------------------------


def test_a_connection_that_is_not_to_be_had_is_tried_again_twice_with_pauses() -> None:
    reply = FakeReply()
    found, transport, _ = opened(ConnectFailed("refused"), ConnectFailed("refused"), reply)
    assert found is reply
    assert transport.waits == pytest.approx(list(BACKOFF_SECONDS))


def test_a_connection_that_is_never_to_be_had_is_an_error_that_says_so() -> None:
    error, transport, _ = opened(*[ConnectFailed("refused")] * 10)
    assert isinstance(error, UpstreamFailed)
    assert "cannot be reached: refused" in error.message
    assert error.retry_after == 5.0
    assert len(transport.sent) == 1 + MAX_RETRIES


def test_an_idle_close_that_crossed_with_the_call_is_repeated_at_once_and_unchanged() -> None:
    reply = FakeReply()
    found, transport, _ = opened(ConnectionBroken("idle close", is_safe_to_repeat=True), reply)
    assert found is reply
    assert transport.waits == [0.0]
    assert [sent.headers["x-initiator"] for sent in transport.sent] == ["user", "user"]
    assert all(sent.is_closed for sent in transport.sent[:-1])


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (ConnectionBroken("closed"), UpstreamFailed),
        (NotHttp("garbage"), UpstreamFailed),
        (SilentTooLong("no byte for 900 s"), UpstreamTimeout),
    ],
)
def test_what_the_upstream_may_have_begun_is_not_repeated(failure: TransportError, kind: type[GatewayError]) -> None:
    error, transport, _ = opened(failure, FakeReply())
    assert type(error) is kind
    assert str(failure) in error.message
    assert len(transport.sent) == 1
    assert transport.sent[0].is_closed


@pytest.mark.parametrize("status", [500, 502, 504, 529, 408])
def test_a_fault_that_passes_is_repeated_twice_as_an_agents_call(status: int) -> None:
    """The first attempt may have been counted as the user's: the next ones must not be."""
    replies = [with_status(status), with_status(status), FakeReply()]
    found, transport, _ = opened(*replies)
    assert found is replies[-1]
    assert transport.waits == pytest.approx(list(BACKOFF_SECONDS))
    assert [sent.headers["x-initiator"] for sent in transport.sent] == ["user", "agent", "agent"]
    assert {sent.headers["x-request-id"] for sent in transport.sent} == {"req_1"}
    assert [reply.is_closed for reply in replies] == [True, True, False]


def test_a_fault_that_does_not_pass_is_the_callers_in_the_end() -> None:
    replies = [with_status(500, b'{"error":{"message":"oops"}}') for _ in range(10)]
    error, transport, _ = opened(*replies)
    assert isinstance(error, UpstreamFailed)
    assert error.message == "oops"
    assert len(transport.sent) == 1 + MAX_RETRIES
    assert all(sent.reply is not None and sent.reply.is_closed for sent in transport.sent)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UpstreamRefused),
        (402, GatewayError),
        (403, UpstreamForbidden),
        (404, UpstreamFailed),
        (429, UpstreamRateLimited),
    ],
)
def test_a_refusal_is_not_repeated(status: int, kind: type[GatewayError]) -> None:
    reply = with_status(status, b'{"error":{"message":"no"}}')
    error, transport, _ = opened(reply, FakeReply())
    assert isinstance(error, kind)
    assert len(transport.sent) == 1
    assert reply.is_closed


def test_nothing_is_repeated_past_the_callers_patience() -> None:
    error, transport, _ = opened(*[with_status(500)] * 3, seconds=PATIENCE_SECONDS + 1)
    assert isinstance(error, UpstreamFailed)
    assert len(transport.sent) == 1


def test_a_page_of_the_network_in_place_of_an_answer_is_an_error() -> None:
    reply = with_status(200, b"<html>", content_type="text/html; charset=utf-8")
    error, transport, _ = opened(reply)
    assert isinstance(error, UpstreamFailed)
    assert "web page" in error.message
    assert reply.is_closed
    assert len(transport.sent) == 1


# Credentials ------------------------------------------------------------------------------------------------------


def test_a_refused_bearer_is_renewed_and_the_call_repeated_at_once() -> None:
    reply = FakeReply()
    found, transport, sessions = opened(with_status(401, b"unauthorized: token expired\n"), reply)
    assert found is reply
    assert sessions.refused == ["tid=0"]
    assert [sent.headers["authorization"] for sent in transport.sent] == ["Bearer tid=0", "Bearer tid=1"]
    assert transport.waits == [0.0]


def test_a_bearer_that_is_refused_again_is_an_error() -> None:
    error, transport, sessions = opened(*[with_status(401)] * 5)
    assert isinstance(error, UpstreamUnauthorized)
    assert len(transport.sent) == 2
    assert sessions.refused == ["tid=0"]


def test_a_third_partys_login_is_not_ours_to_renew() -> None:
    error, transport, sessions = opened(with_status(401, b'{"authorize_url": "https://x"}'))
    assert isinstance(error, UpstreamUnauthorized)
    assert len(transport.sent) == 1
    assert sessions.refused == []


def test_a_renewal_takes_no_retry_away() -> None:
    reply = FakeReply()
    found, transport, _ = opened(with_status(401), with_status(500), with_status(500), reply)
    assert found is reply
    assert len(transport.sent) == 4


# Errors whose body is trouble -------------------------------------------------------------------------------------


def test_an_error_whose_body_breaks_off_is_known_by_its_status() -> None:
    reply = FakeReply(429, b'{"error":', ConnectionBroken("cut"))
    error, _, _ = opened(reply)
    assert isinstance(error, UpstreamRateLimited)
    assert reply.is_closed


def test_an_error_whose_body_does_not_end_is_not_awaited_for_ever() -> None:
    async def test(clock: VirtualClock) -> None:
        reply = FakeReply(403, *[SILENCE] * 100, seconds=1)
        began = clock.monotonic()
        with pytest.raises(UpstreamForbidden):
            await CopilotClient(FakeTransport([reply]), FakeSessions(clock), clock, Brake(8)).open(REQUEST)
        assert clock.monotonic() - began == pytest.approx(ERROR_SECONDS, abs=1)
        assert reply.is_closed

    run_virtually(test)


def test_an_error_whose_body_is_endless_is_read_in_part() -> None:
    reply = FakeReply(400, *[b"x" * 10_000] * 1000)
    error, _, _ = opened(reply)
    assert isinstance(error, UpstreamRefused)
    assert len(reply._chunks) > 1000 - MAX_ERROR_BYTES // 10_000 - 2


# What the brake is told -------------------------------------------------------------------------------------------


def told(*outcomes: Outcome) -> list[tuple[type[GatewayError] | str, float]]:
    """What the brake learns of one call whose attempts come to this, each after two seconds."""
    brake = ToldBrake()
    opened(*outcomes, brake=brake, seconds=2.0)
    return [(what, round(seconds, 6)) for what, seconds in brake.told]


def test_an_answer_is_told_when_its_head_is_here() -> None:
    assert told(FakeReply()) == [ANSWERED]


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (with_status(429, b'{"error":{"message":"slow down"}}'), UpstreamRateLimited),
        (with_status(503), UpstreamRateLimited),
        (with_status(400, b'{"error":{"message":"slow down","code":"rate_limited"}}'), UpstreamRateLimited),
        (with_status(403, b'{"error":{"message":"no"}}'), UpstreamForbidden),
        (with_status(403, b'{"error":{"message":"your account was suspended"}}'), AccountFlagged),
        (with_status(501), UpstreamFailed),
        (with_status(200, b"<html>", content_type="text/html"), UpstreamFailed),
        (ConnectionBroken("closed"), UpstreamFailed),
        (NotHttp("garbage"), UpstreamFailed),
        (SilentTooLong("no byte for 900 s"), UpstreamTimeout),
    ],
)
def test_what_may_be_too_much_is_told_with_the_time_of_its_attempt(outcome: Outcome, kind: type[GatewayError]) -> None:
    assert told(outcome) == [(kind, 2.0)]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_who_finds_fault_with_a_call_is_well(status: int) -> None:
    """It has answered: that the call was wrong is not for the others to feel."""
    replies = [with_status(status, b'{"error":{"message":"no"}}') for _ in range(2)]
    assert told(*replies) == [ANSWERED]


@pytest.mark.parametrize("status", [401, 402, 404, 408, 421, 424])
def test_what_says_nothing_of_the_load_is_not_told(status: int) -> None:
    assert told(*[with_status(status, b'{"error":{"message":"no"}}') for _ in range(3)]) == []


def test_only_the_last_of_several_attempts_is_told() -> None:
    assert told(with_status(500), with_status(502), FakeReply()) == [ANSWERED]
    assert told(ConnectFailed("refused"), ConnectionBroken("idle close", is_safe_to_repeat=True), FakeReply()) == [ANSWERED]  # fmt: skip
    assert told(with_status(401), FakeReply()) == [ANSWERED]
    assert told(*[with_status(500) for _ in range(3)]) == [(UpstreamFailed, 2.0)]
    assert told(*[ConnectFailed("refused")] * 3) == [(UpstreamFailed, 0.0)]


def test_what_goes_wrong_later_is_told_with_the_time_of_the_call() -> None:
    async def test(clock: VirtualClock) -> None:
        brake = ToldBrake()
        client = CopilotClient(FakeTransport([FakeReply()]), FakeSessions(clock), clock, brake)
        began = clock.monotonic()
        await client.open(REQUEST)
        await asyncio.sleep(7)
        client.failed_later(UpstreamCut("in the middle"), began)
        assert brake.told == [ANSWERED, (UpstreamCut, 7.0)]

    run_virtually(test)


def test_a_429_leaves_half_the_slots() -> None:
    brake = Brake(8)
    opened(with_status(429, retry_after="30"), brake=brake)
    assert brake.slots(1_000.0) == 4


@pytest.mark.parametrize("seconds", [0.5, 1.1])
def test_nothing_is_repeated_once_the_account_is_flagged(seconds: float) -> None:
    """By the answer to another call, while this one waits for its own or to try again."""
    brake = ToldBrake()

    async def test(clock: VirtualClock) -> None:
        transport = FakeTransport([with_status(500), FakeReply()], seconds=1)
        client = CopilotClient(transport, FakeSessions(clock), clock, brake)
        calling = asyncio.get_running_loop().create_task(client.open(REQUEST))
        await asyncio.sleep(seconds)
        brake.stop = Stop(clock.now(), "abuse")
        with pytest.raises(UpstreamStopped, match="abuse"):
            await calling
        assert len(transport.sent) == 1
        assert brake.told == []

    run_virtually(test)


def test_nothing_is_sent_while_the_account_is_flagged() -> None:
    brake = Brake(8)
    brake.stop = Stop(datetime(2026, 7, 1, tzinfo=UTC), "abuse")
    error, transport, _ = opened(FakeReply(), brake=brake)
    assert isinstance(error, UpstreamStopped)
    assert transport.sent == []


# Silence and giving up --------------------------------------------------------------------------------------------


def test_every_silence_is_told() -> None:
    heard: list[bool] = []

    async def on_silence() -> None:
        heard.append(True)

    opened(FakeReply(), silences=3, on_silence=on_silence)
    assert len(heard) == 3


def test_silence_may_be_nobodys_business() -> None:
    reply = FakeReply()
    assert opened(reply, silences=3)[0] is reply


def test_a_client_that_is_found_gone_in_a_silence_ends_the_call() -> None:
    async def test(clock: VirtualClock) -> None:
        async def gone() -> None:
            raise ConnectionResetError

        transport, brake = FakeTransport([FakeReply()], silences=1), ToldBrake()
        with pytest.raises(ConnectionResetError):
            await CopilotClient(transport, FakeSessions(clock), clock, brake).open(REQUEST, gone)
        assert transport.sent[0].is_closed
        assert brake.told == [], "that is no sign of Copilot's"

    run_virtually(test)


@pytest.mark.parametrize("seconds", [0.5, 1.1, 1.5])
def test_a_cancelled_call_leaves_nothing_open(seconds: float) -> None:
    """While it waits for the head, between two attempts, and in the second one."""

    async def test(clock: VirtualClock) -> None:
        transport, brake = FakeTransport([with_status(500), FakeReply()], seconds=1), ToldBrake()
        client = CopilotClient(transport, FakeSessions(clock), clock, brake)
        calling = asyncio.get_running_loop().create_task(client.open(REQUEST))
        await asyncio.sleep(seconds)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await asyncio.sleep(10)
        assert all(sent.is_closed or (sent.reply is not None and sent.reply.is_closed) for sent in transport.sent)
        assert len(transport.sent) == (2 if seconds == 1.5 else 1)
        assert brake.told == []

    run_virtually(test)


def test_an_error_in_the_middle_of_an_answer_is_a_cut_or_a_timeout() -> None:
    assert isinstance(cut_error(ConnectionBroken("reset")), UpstreamCut)
    assert isinstance(cut_error(NotHttp("bad chunk")), UpstreamCut)
    assert isinstance(cut_error(SilentTooLong("no byte")), UpstreamTimeout)
    assert "reset" in cut_error(ConnectionBroken("reset")).message
