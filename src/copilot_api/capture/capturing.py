"""
Capturing: the capture of one call while the call is under way. Looks on, copies, and never touches the call.

Every method may be called at any time and none raises: what goes wrong in here ends the capture and nothing else.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from typing import Protocol

from copilot_api.capture.copies import OVERHEAD_BYTES, LegCopy, NoRoom, Room, Share, take_headers
from copilot_api.capture.raw import Headers, RawAttempt, RawLeg, RawTrace
from copilot_api.observability.events import EndedCall
from copilot_api.upstream.tap import UpstreamTap
from copilot_api.upstream.transport import Reply, Silence

MAX_ATTEMPTS = 8
"""Of the tries upstream of one call so many are kept, the latest."""


class Surroundings(Protocol):
    """What a capture needs of whoever keeps it."""

    room: Room

    @property
    def hasher(self) -> Executor:
        """Where hashes are made, one after the other."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...

    def ended(self, capturing: "Capturing") -> None:
        """The call is over, and the capture complete."""
        ...

    def dropped(self, capturing: "Capturing", reason: str) -> None:
        """The capture ends without a trace, for something that went wrong."""
        ...

    def forgotten(self, capturing: "Capturing") -> None:
        """The capture ends without a trace, as was asked."""
        ...


class Capturing(UpstreamTap):
    """See the module."""

    def __init__(self, surroundings: Surroundings, trace: RawTrace, began: float) -> None:
        self._surroundings = surroundings
        self._began = began
        self._share = Share(surroundings.room)
        self._attempts: deque[_AttemptCopy] = deque(maxlen=MAX_ATTEMPTS)
        self.trace = trace
        self._client_request = self._copy(trace.client_request)
        self._client_answer: LegCopy | None = None
        self.is_dropped = False
        """Whether there will be no trace."""
        self.is_forgotten = False
        """Whether there must be none."""
        self._loop = asyncio.get_running_loop()
        self._guard(self._begin)

    @property
    def key_ids(self) -> list[str]:
        """The keys whose holders' words are in it."""
        return [key_id for key_id in (self.trace.key_id, self.trace.replay_of_key_id) if key_id is not None]

    def forget(self) -> None:
        """There must be no trace of this call, and that is no failure. May be called from any thread."""
        self.is_forgotten = True
        with suppress(RuntimeError):  # the loop is closed, and nothing is under way any more
            self._loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        self.is_dropped = True
        self.release()
        self._surroundings.forgotten(self)

    # The client's side ----------------------------------------------------------------------------------------------

    def body_read(self, body: bytes) -> None:
        """The request's body is here."""
        self._guard(self._read_body, body)

    def body_failed(self, error: BaseException) -> None:
        """It does not come."""
        self._guard(self._client_request.end, self._ms(), describe_error(error))

    def answer_started(self, status: int, headers: Headers, *, is_streamed: bool) -> None:
        """The answer's head is about to leave."""
        self._guard(self._start_answer, status, headers, is_streamed)

    def answer_piece(self, body: bytes, *, is_last: bool) -> None:
        """A piece of the answer's body is about to leave."""
        self._guard(self._add_answer, body, is_last)

    def answer_failed(self, error: BaseException) -> None:
        """The answer could not be sent to its end."""
        if (answer := self._client_answer) is not None:
            self._guard(answer.end, self._ms(), describe_error(error))

    # The upstream's side --------------------------------------------------------------------------------------------

    def sending(self, url: str, headers: bytes, body: bytes) -> None:
        """See `UpstreamTap`."""
        self._guard(self._begin_attempt, url, headers, body)

    def follow(self, reply: Reply) -> Reply:
        """See `UpstreamTap`."""
        followed: list[Reply] = []
        self._guard(self._follow, reply, followed)
        return followed[0] if followed else reply

    def failed(self, error: BaseException) -> None:
        """See `UpstreamTap`."""
        self._guard(self._fail_attempt, error)

    # The end --------------------------------------------------------------------------------------------------------

    def finish(self, event: EndedCall) -> None:
        """The call is over."""
        self._guard(self._finish, event)

    def drop(self, reason: str) -> None:
        """No trace of this call. Nothing of it is kept from here on."""
        if self.is_dropped:
            return
        self.is_dropped = True
        self.release()
        self._surroundings.dropped(self, reason)

    def release(self) -> None:
        """Let go of everything that was copied."""
        self._share.give_back()
        self._attempts.clear()
        self._client_answer = None
        self.trace.client_request = RawLeg()
        self._client_request = self._copy(self.trace.client_request)

    async def seal(self) -> RawTrace:
        """The raw trace, complete."""
        trace = self.trace
        await self._client_request.seal()
        trace.attempts = [await attempt.seal() for attempt in self._attempts]
        trace.client_answer = None if self._client_answer is None else await self._client_answer.seal()
        return trace

    # Inside ---------------------------------------------------------------------------------------------------------

    def _guard(self, step: Callable[..., None], *arguments: object) -> None:
        if self.is_dropped:
            return
        try:
            step(*arguments)
        except NoRoom:
            self.drop("too much is being captured at once")
        except Exception as error:  # noqa: BLE001 -- no defect of a capture may reach the call
            self.drop(f"a defect: {type(error).__name__}")

    def _begin(self) -> None:
        self._share.take(OVERHEAD_BYTES)
        leg = self.trace.client_request
        leg.headers = take_headers(self._share, leg.headers)

    def _copy(self, leg: RawLeg) -> LegCopy:
        return LegCopy(leg, self._share, self.trace.salt, self._surroundings.hasher)

    def _ms(self) -> float:
        return round((self._surroundings.monotonic() - self._began) * 1000, 3)

    def _read_body(self, body: bytes) -> None:
        ms = self._ms()
        self._client_request.add(body, ms)
        self._client_request.end(ms)

    def _start_answer(self, status: int, headers: Headers, is_streamed: bool) -> None:
        leg = RawLeg(started_ms=self._ms(), status=status, headers=take_headers(self._share, headers))
        self._client_answer = self._copy(leg)
        self._client_answer.is_streamed = is_streamed

    def _add_answer(self, body: bytes, is_last: bool) -> None:
        if (answer := self._client_answer) is not None:
            ms = self._ms()
            answer.add(body, ms)
            if is_last:
                answer.end(ms)

    def _begin_attempt(self, url: str, headers: bytes, body: bytes) -> None:
        ms = self._ms()
        leg = RawLeg(started_ms=ms, method="POST", target=url, headers=_parse_lines(self._share, headers))
        request = self._copy(leg)
        request.add(body, ms)
        request.end(ms)
        self._attempts.append(_AttemptCopy(request))

    def _follow(self, reply: Reply, followed: list[Reply]) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
        leg = RawLeg(started_ms=self._ms(), status=reply.status, headers=take_headers(self._share, headers))
        answer = self._copy(leg)
        answer.is_streamed = reply.content_type.startswith(b"text/event-stream")
        self._attempts[-1].answer = answer
        followed.append(_FollowedReply(reply, answer, self))

    def _fail_attempt(self, error: BaseException) -> None:
        attempt = self._attempts[-1]
        if attempt.answer is None:
            attempt.answer = self._copy(RawLeg(started_ms=self._ms()))
        attempt.answer.end(self._ms(), describe_error(error))

    def add_upstream(self, answer: LegCopy, piece: bytes) -> None:
        """A piece of the upstream's answer is here; an empty one is its end."""
        if piece:
            self._guard(answer.add, piece, self._ms())
        else:
            self.end_upstream(answer)

    def end_upstream(self, answer: LegCopy, error: str = "") -> None:
        """The upstream's answer is over."""
        self._guard(answer.end, self._ms(), error)

    def _finish(self, event: EndedCall) -> None:
        trace, ms = self.trace, self._ms()
        trace.model, trace.upstream_model = event.model or "", event.upstream_model or ""
        trace.stream, trace.status, trace.cause = event.stream, event.status, str(event.cause)
        trace.duration_ms = round(event.duration * 1000, 3)
        ended = "" if trace.cause == "ok" else trace.cause
        for leg in (self._client_answer, *[attempt.answer for attempt in self._attempts]):
            if leg is not None:
                leg.end(ms, ended)
        self._client_request.end(ms)
        self._surroundings.ended(self)


class _AttemptCopy:
    """A try upstream."""

    __slots__ = ("answer", "request")

    def __init__(self, request: LegCopy) -> None:
        self.request = request
        self.answer: LegCopy | None = None

    async def seal(self) -> RawAttempt:
        request = await self.request.seal()
        return RawAttempt(request=request, answer=None if self.answer is None else await self.answer.seal())


class _FollowedReply:
    """A `Reply` that is copied as it is read."""

    __slots__ = ("_answer", "_capturing", "_reply")

    def __init__(self, reply: Reply, answer: LegCopy, capturing: Capturing) -> None:
        self._reply = reply
        self._answer = answer
        self._capturing = capturing

    @property
    def status(self) -> int:
        """See `Reply`."""
        return self._reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        """See `Reply`."""
        return self._reply.headers

    @property
    def content_type(self) -> bytes:
        """See `Reply`."""
        return self._reply.content_type

    async def read(self) -> bytes | Silence:
        """See `Reply`."""
        with self._noting_errors():
            piece = await self._reply.read()
        if not isinstance(piece, Silence):
            self._capturing.add_upstream(self._answer, piece)
        return piece

    async def read_all(self) -> bytes:
        """See `Reply`."""
        with self._noting_errors():
            body = await self._reply.read_all()
        self._capturing.add_upstream(self._answer, body)
        self._capturing.end_upstream(self._answer)
        return body

    def close(self) -> None:
        """See `Reply`."""
        self._capturing.end_upstream(self._answer)
        self._reply.close()

    @contextmanager
    def _noting_errors(self) -> Generator[None]:
        try:
            yield
        except BaseException as error:
            self._capturing.end_upstream(self._answer, describe_error(error))
            raise


def describe_error(error: BaseException) -> str:
    """What ended a message early."""
    reason = error.args[0] if isinstance(error, asyncio.CancelledError) and error.args else error
    return str(reason) or type(error).__name__


def _parse_lines(share: Share, lines: bytes) -> Headers:
    pairs = [line.partition(b": ") for line in lines.split(b"\r\n") if line]
    return take_headers(share, [(name, value) for name, _, value in pairs])
