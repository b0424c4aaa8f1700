"""
`GET /admin/api/traces/tail`: every trace as it is kept, as server-sent events.

An event's id is the trace's number: who comes back with `Last-Event-ID` gets what was kept meanwhile, and is told with
an event `gap` how many are missing. A reader who does not read costs a bounded amount of memory and holds up nobody.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import msgspec

from copilot_api.api.errors import request_id_of
from copilot_api.api.http_exchange import EXCHANGE, Exchange, Scope, Send
from copilot_api.api.intake import RequestHead
from copilot_api.api.trace_access import Visitor
from copilot_api.capture.live import Gap, Subscription
from copilot_api.capture.models import TraceSummary
from copilot_api.capture.service import Traces
from copilot_api.clock import Clock
from copilot_api.errors import BadRequest, GatewayError
from copilot_api.protocols.sse import KEEP_ALIVE, render_comment, render_event

MAX_TAILS = 32
MAX_WAITING_BYTES = 256 * 1024
"""How much waits for one reader before the oldest gives way."""
HEARTBEAT_SECONDS = 15.0
CHECK_SECONDS = 2.0
"""How often it is looked whether the reader may still look: so late is a revocation at most."""

Write = Callable[[TraceSummary], bytes | None]
"""Makes the data of a trace's event; None for one that its reader did not ask for."""


class TooManyTails(GatewayError):
    """As many as may be are watching already."""

    number, code, status = 214, "too_many_tails", 429
    kind, cause = "rate_limit_error", "rate_limited"
    hint = "end one of those that run, or ask for GET /admin/api/traces now and then"


class TraceTails:
    """All tails of one gateway, whichever way their readers came."""

    def __init__(self, traces: Traces, clock: Clock, *, check_seconds: float = CHECK_SECONDS) -> None:
        self._traces = traces
        self._clock = clock
        self._check_seconds = check_seconds
        self._open: dict[Subscription, Exchange | None] = {}
        self._is_stopping = False

    def check_room(self) -> None:
        """Raises `TooManyTails` where one more would be too many."""
        if len(self._open) >= MAX_TAILS:
            raise TooManyTails(f"{MAX_TAILS} tails are open already", retry_after=HEARTBEAT_SECONDS)

    def stop(self) -> None:
        """End them all: the gateway goes down, and they would hold it up."""
        self._is_stopping = True
        for subscription, exchange in list(self._open.items()):
            subscription.close()
            if exchange is not None and exchange.connection.is_writing_paused:
                exchange.connection.transport.abort()  # its reader does not read: nothing would reach it

    async def send(self, visitor: Visitor, after: int | None, scope: Scope, send: Send) -> None:
        """Send what is kept after that number, or from now on, until the reader goes, may no longer, or we stop."""
        self.check_room()
        exchange: Exchange | None = scope["extensions"].get(EXCHANGE)
        if exchange is not None:
            exchange.cancel_on_disconnect()
        async with aclosing(self.follow(visitor, after, exchange=exchange)) as events:
            await send({"type": "http.response.start", "status": 200, "headers": _headers(scope)})
            async for piece in events:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def follow(
        self,
        visitor: Visitor,
        after: int | None,
        write: Write = msgspec.json.encode,
        exchange: Exchange | None = None,
    ) -> AsyncGenerator[bytes]:
        """
        The events, to be closed by whoever takes them. `write` makes the data of a trace's event; None leaves it out,
        and only says that it was passed over. `exchange` is what is cut off where its reader holds up our end.
        """
        self.check_room()
        with self._traces.subscribe(after, MAX_WAITING_BYTES) as subscription:
            self._open[subscription] = exchange
            try:
                # Who loses the connection before the first trace knows where to go on.
                begins = self._traces.next_number() - 1 if after is None else after
                yield _identified(begins, render_event(msgspec.json.encode({"after": begins}), "start"))
                async for piece in self._follow(visitor, subscription, write):
                    yield piece
            finally:
                del self._open[subscription]

    async def _follow(self, visitor: Visitor, subscription: Subscription, write: Write) -> AsyncIterator[bytes]:
        """The events and heartbeats, until the end."""
        last = self._clock.monotonic()
        while not self._is_stopping and (event := await self._next_event(subscription, write)) is not None:
            try:
                await visitor.check()
            except GatewayError as error:
                yield render_event(msgspec.json.encode({"reason": error.message}), "end")
                return
            if not event and self._clock.monotonic() - last >= HEARTBEAT_SECONDS:
                event = render_comment(KEEP_ALIVE)
            if event:
                last = self._clock.monotonic()
                yield event

    async def _next_event(self, subscription: Subscription, write: Write) -> bytes | None:
        """The next event; empty after some silence, None at the end."""
        try:
            async with asyncio.timeout(self._check_seconds):
                item = await subscription.next()
        except TimeoutError:
            return b""
        return None if item is None else _render(item, write)


def _render(item: TraceSummary | Gap, write: Write) -> bytes:
    if isinstance(item, Gap):
        return render_event(msgspec.json.encode(item), "gap")
    data = write(item)
    if data is None:
        return _identified(item.number, render_event(b"%d" % item.number, "passed"))
    return _identified(item.number, render_event(data, "trace"))


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"x-accel-buffering", b"no"),
        (b"x-request-id", request_id_of(scope).encode()),
    ]


def _identified(number: int, event: bytes) -> bytes:
    return b"id: %d\n%b" % (number, event)


def parse_after(head: RequestHead, given: str) -> int | None:
    """The number after which to go on: `Last-Event-ID`, else what the query says; None for from now on."""
    text = head.get(b"last-event-id", b"").decode("latin-1").strip() or given
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,17}", text):
        hint = "send the id of the last event that came, as it was"
        raise BadRequest("this is no event's id", param="after", hint=hint)
    return int(text)
