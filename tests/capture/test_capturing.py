"""A capture under way: it looks on, copies, and whatever happens inside it never comes out."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from copilot_api.capture import capturing as module
from copilot_api.capture.capturing import Capturing
from copilot_api.capture.copies import OVERHEAD_BYTES, LegCopy
from copilot_api.capture.models import Moment
from copilot_api.capture.raw import RawTrace
from copilot_api.upstream.transport import SILENCE, ConnectionBroken, Silence
from copilot_api.usage.models import Cause
from tests.capture.raws import EVENTS, JSON, Sink, begin, make_event

URL = "https://api.example/chat/completions"
LINES = b"authorization: Bearer tid=1\r\naccept: x\r\n"


class FakeReply:
    """A reply of the upstream's that says what it is told to."""

    def __init__(
        self, *pieces: bytes | Silence | Exception, status: int = 200, kind: bytes = b"text/event-stream"
    ) -> None:
        self.status = status
        self.content_type = kind
        self.headers: Mapping[str, str] = {"content-type": kind.decode(), "x-a": "b"}
        self.is_closed = False
        self._pieces = list(pieces)

    async def read(self) -> bytes | Silence:
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def read_all(self) -> bytes:
        read = b""
        while piece := await self.read():
            assert isinstance(piece, bytes)
            read += piece
        return read

    def close(self) -> None:
        self.is_closed = True


def capture(act: Callable[[Sink, Capturing], Awaitable[None]], **more: object) -> tuple[Sink, RawTrace]:
    """The raw trace of what `act` does."""

    async def run() -> tuple[Sink, RawTrace]:
        sink = Sink()
        capturing = begin(sink, **more)
        await act(sink, capturing)
        return sink, await capturing.seal()

    return asyncio.run(run())


def test_the_four_legs_and_when_they_were() -> None:
    async def act(sink: Sink, capturing: Capturing) -> None:
        sink.now += 0.010
        capturing.body_read(b"{}")
        sink.now += 0.010
        capturing.sending(URL, LINES, b"{upstream}")
        sink.now += 0.010
        reply = capturing.follow(FakeReply(b"data: 1\n\n", SILENCE, b"data: 2\n\n"))
        assert await reply.read() == b"data: 1\n\n"
        sink.now += 0.010
        assert await reply.read() is SILENCE
        assert await reply.read() == b"data: 2\n\n"
        capturing.answer_started(200, EVENTS, is_streamed=True)
        capturing.answer_piece(b"event", is_last=False)
        sink.now += 0.010
        capturing.answer_piece(b"s", is_last=True)
        assert await reply.read() == b""
        reply.close()
        capturing.finish(make_event(stream=True, upstream_model="up"))

    sink, trace = capture(act)
    assert [trace.model, trace.upstream_model, trace.stream, trace.status, trace.cause] == [
        "gpt-4.1",
        "up",
        True,
        200,
        "ok",
    ]
    assert trace.duration_ms == 250.0
    asked, [attempt], told = trace.client_request, trace.attempts, trace.client_answer
    assert (asked.body, asked.bytes, asked.started_ms, asked.ended_ms) == (b"{}", 2, 0.0, 10.0)
    assert (attempt.request.target, attempt.request.body, attempt.request.started_ms) == (URL, b"{upstream}", 20.0)
    assert attempt.request.headers == [(b"authorization", b"Bearer tid=1"), (b"accept", b"x")]
    assert attempt.answer is not None
    assert attempt.answer.body == b"data: 1\n\ndata: 2\n\n"
    assert attempt.answer.timeline == [Moment(30.0, 9), Moment(40.0, 9)]
    assert (attempt.answer.status, attempt.answer.ended_ms, attempt.answer.error) == (200, 50.0, "")
    assert told is not None
    assert (told.body, told.timeline) == (b"events", [Moment(40.0, 5), Moment(50.0, 1)])
    assert len(sink.complete) == 1
    assert sink.reasons == []


def test_a_whole_answer_has_no_timeline() -> None:
    async def act(sink: Sink, capturing: Capturing) -> None:
        capturing.sending(URL, LINES, b"")
        reply = capturing.follow(FakeReply(b"{}", kind=b"application/json"))
        assert (await reply.read_all(), reply.status, reply.content_type) == (b"{}", 200, b"application/json")
        assert reply.headers["x-a"] == "b"
        capturing.answer_started(200, JSON, is_streamed=False)
        capturing.answer_piece(b"{}", is_last=True)
        capturing.finish(make_event())

    _, trace = capture(act)
    answer = trace.attempts[0].answer
    assert answer is not None
    assert trace.client_answer is not None
    assert (answer.body, answer.timeline, trace.client_answer.timeline) == (b"{}", [], [])


def test_every_attempt_is_kept_up_to_the_latest_eight() -> None:
    async def act(sink: Sink, capturing: Capturing) -> None:
        for number in range(10):
            capturing.sending(URL, LINES, b"%d" % number)
            capturing.failed(ConnectionBroken(f"broken {number}"))
        capturing.finish(make_event(cause=Cause.UPSTREAM_ERROR, status=502))

    _, trace = capture(act)
    assert [attempt.request.body for attempt in trace.attempts] == [b"%d" % number for number in range(2, 10)]
    answer = trace.attempts[-1].answer
    assert answer is not None
    assert (answer.error, answer.status) == ("broken 9", 0)


def test_what_breaks_off_says_so_and_keeps_what_there_was() -> None:
    async def act(sink: Sink, capturing: Capturing) -> None:
        capturing.body_failed(ConnectionResetError("gone"))
        capturing.sending(URL, LINES, b"")
        inner = FakeReply(b"half", ConnectionBroken("the connection ended"))
        reply = capturing.follow(inner)
        await reply.read()
        with pytest.raises(ConnectionBroken):
            await reply.read()
        reply.close()
        assert inner.is_closed
        capturing.answer_started(200, EVENTS, is_streamed=True)
        capturing.answer_piece(b"half", is_last=False)
        capturing.answer_failed(asyncio.CancelledError("client gone"))
        capturing.finish(make_event(cause=Cause.CLIENT_ABORTED))

    _, trace = capture(act)
    answer = trace.attempts[0].answer
    assert answer is not None
    assert trace.client_answer is not None
    assert (trace.client_request.error, answer.error, trace.client_answer.error) == (
        "gone",
        "the connection ended",
        "client gone",
    )
    assert (answer.body, trace.client_answer.body) == (b"half", b"half")


def test_what_is_still_open_at_the_end_says_how_the_call_ended() -> None:
    async def act(sink: Sink, capturing: Capturing) -> None:
        capturing.sending(URL, LINES, b"")
        capturing.follow(FakeReply(b"more"))
        capturing.answer_started(200, EVENTS, is_streamed=True)
        capturing.finish(make_event(cause=Cause.CLIENT_ABORTED))

    _, trace = capture(act)
    assert trace.client_answer is not None
    assert trace.client_answer.error == "client_aborted"


def test_where_there_is_no_room_the_capture_ends_and_gives_everything_back() -> None:
    async def act() -> None:
        sink = Sink(OVERHEAD_BYTES + 200)
        capturing = begin(sink)
        was_dropped = capturing.is_dropped
        capturing.body_read(b"x" * 300)
        assert (was_dropped, capturing.is_dropped, sink.room.taken_bytes) == (False, True, 0)
        assert sink.reasons == ["too much is being captured at once"]
        inner = FakeReply(b"a")
        capturing.sending(URL, LINES, b"x")
        assert capturing.follow(inner) is inner, "from here on nothing stands between"
        capturing.finish(make_event())
        assert sink.complete == []
        assert begin(Sink(OVERHEAD_BYTES - 1)).is_dropped

    asyncio.run(act())


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("defect"), RecursionError()])
@pytest.mark.parametrize("step", range(9))
def test_a_defect_in_any_step_never_comes_out(monkeypatch: pytest.MonkeyPatch, error: Exception, step: int) -> None:
    async def act() -> None:
        sink = Sink()
        capturing = begin(sink)
        capturing.sending(URL, LINES, b"")
        followed = capturing.follow(FakeReply(b"piece", b"more"))
        capturing.answer_started(200, JSON, is_streamed=False)

        def broken(*arguments: object, **named: object) -> None:
            raise error

        for name in ("add", "end"):
            monkeypatch.setattr(LegCopy, name, broken)
        monkeypatch.setattr(module, "take_headers", broken)
        steps: list[Callable[[], object]] = [
            lambda: capturing.body_read(b"x"),
            lambda: capturing.body_failed(ValueError()),
            lambda: capturing.sending(URL, LINES, b"x"),
            lambda: capturing.follow(FakeReply()),
            lambda: capturing.failed(ValueError()),
            lambda: capturing.answer_started(200, JSON, is_streamed=True),
            lambda: capturing.answer_piece(b"x", is_last=True),
            lambda: capturing.answer_failed(ValueError()),
            lambda: capturing.finish(make_event()),
        ]
        steps[step]()
        assert sink.reasons == [f"a defect: {type(error).__name__}"]
        assert await followed.read() == b"piece"
        for each in steps:
            each()
        assert (len(sink.reasons), sink.room.taken_bytes, sink.complete) == (1, 0, [])

    asyncio.run(act())


def test_forgetting_from_another_thread_ends_it_at_once_and_is_no_failure() -> None:
    async def act() -> None:
        sink = Sink()
        capturing = begin(sink, replay_of_key_id="key_b")
        assert capturing.key_ids == ["key_a", "key_b"]
        capturing.body_read(b"private")
        await asyncio.to_thread(capturing.forget)
        assert capturing.is_forgotten
        await asyncio.sleep(0)
        assert capturing.is_dropped
        assert (sink.reasons, sink.forgets, sink.room.taken_bytes) == ([], [capturing], 0)
        assert (await capturing.seal()).client_request.body == b""

    asyncio.run(act())
