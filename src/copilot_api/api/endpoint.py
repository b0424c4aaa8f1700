"""
Endpoint: read one request, exchange it, write one answer, for any surface.

A bare ASGI callable: on the data path there is no framework between the socket and the gateway.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable

from copilot_api.api.captured import ASK, begin_capture, copying
from copilot_api.api.door import Door
from copilot_api.api.errors import OPENAI, ErrorForm, request_id_of
from copilot_api.api.http_exchange import EXCHANGE, Exchange, Receive, Scope, Send
from copilot_api.api.intake import IntakeLimits, RequestHead, is_batch, read_body
from copilot_api.capture.capturing import Capturing
from copilot_api.capture.recorder import Captures
from copilot_api.clock import Clock
from copilot_api.errors import GatewayError, InternalError, Rate, ShuttingDown
from copilot_api.gateway.call import Call
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.kinds import read_clues
from copilot_api.gateway.settlement import CLIENT_GONE, Record
from copilot_api.gateway.surface import Surface
from copilot_api.gateway.under_way import CallCancelled
from copilot_api.keys.models import ApiKey
from copilot_api.observability.events import CallCrashed, Observer
from copilot_api.observability.trace_context import parse_traceparent
from copilot_api.protocols.base import Envelope, StreamRelay

_NEVER_KEPT = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
_JSON = b"application/json"
DROPPED = b"x-capi-dropped"
"""The header that names what the client asked for and no upstream of ours can do."""
_MAX_DROPPED = 20


Exchanging = Callable[[Call, ApiKey, Record, "HttpAnswer"], Awaitable[None]]
ReadEnvelope = Callable[[Scope, RequestHead], Envelope]
_NOTHING = Envelope()


def _no_envelope(scope: Scope, head: RequestHead) -> Envelope:
    return _NOTHING


class Endpoint:
    """See the module."""

    def __init__(
        self,
        surface: Surface,
        door: Door,
        gateway: Gateway,
        clock: Clock,
        observe: Observer,
        *,
        limits: IntakeLimits,
        errors: ErrorForm = OPENAI,
        read_envelope: ReadEnvelope = _no_envelope,
        exchange: Exchanging | None = None,
        captures: Captures,
        is_traced: bool = False,
    ) -> None:
        self._captures = captures
        self._is_traced = is_traced
        self._errors = errors
        self._read_envelope = read_envelope
        self._exchange: Exchanging = exchange or gateway.exchange
        self._surface = surface
        self._door = door
        self._gateway = gateway
        self._clock = clock
        self._observe = observe
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        request_id = request_id_of(scope)
        head = self._door.read_head(scope)
        exchange: Exchange | None = scope["extensions"].get(EXCHANGE)
        answer = HttpAnswer(send, request_id, self._errors, exchange)
        client = self._door.client(head)
        call = Call(
            request_id=request_id,
            surface=self._surface,
            client=client,
            arrived_at=self._clock.now(),
            began=self._clock.monotonic(),
            read_body=lambda: read_body(receive, head, self._limits.max_body_bytes, exchange),
            envelope=self._read_envelope(scope, head),
            is_batch=is_batch(head),
            clues=read_clues(client, head),
            trace=parse_traceparent(head.get(b"traceparent")) if self._is_traced else None,
        )
        if exchange is not None:
            exchange.cancel_on_disconnect()
        capturing = None
        record = self._gateway.settlement.follow(call, None if exchange is None else exchange.task)
        try:
            with record:
                caller = await self._door.enter(head, scope)
                key = caller.key
                record.authenticated(key.id, caller.would_limit)
                if key.capture is not None or ASK in head:
                    is_refused = caller.refusal is not None
                    capturing = begin_capture(self._captures, call, key, head, scope, is_refused=is_refused)
                    if capturing is not None:
                        answer.copy_to(capturing)
                if caller.refusal is not None:
                    raise caller.refusal
                await self._exchange(call, key, record, answer)
        except GatewayError as error:
            await answer.fail(error)
        except asyncio.CancelledError as cancelled:
            reason = cancelled.args[0] if cancelled.args else None
            if isinstance(reason, CallCancelled) and record.task is not None:
                record.task.uncancel()  # it was meant for the call, not for the connection
                await answer.fail(reason)
                return
            if reason != CLIENT_GONE and not isinstance(reason, GatewayError):
                await answer.fail(ShuttingDown("the gateway stopped before the answer was complete"))
            raise
        except OSError:
            raise  # the client is gone: there is nobody to tell
        except Exception:  # noqa: BLE001 -- a defect of ours is the operator's to see, not the caller's
            self._observe(CallCrashed(request_id, traceback.format_exc()))
            await answer.fail(InternalError("the gateway failed on this call"))
        finally:
            if capturing is not None:
                capturing.finish(record.event)


class HttpAnswer:
    """An `Answer` over ASGI; what is sent most goes straight to the exchange where there is one."""

    __slots__ = (
        "_errors",
        "_exchange",
        "_media_type",
        "_request_id",
        "_send",
        "_stream",
        "dropped",
        "has_events",
        "is_started",
        "rates",
    )

    def __init__(self, send: Send, request_id: str, errors: ErrorForm, exchange: Exchange | None = None) -> None:
        self._send = send
        self._exchange = exchange
        self._request_id = request_id
        self._errors = errors
        self._stream: StreamRelay | None = None
        self._media_type = _JSON
        self.dropped: tuple[str, ...] = ()
        self.rates: tuple[Rate, ...] = ()
        self.is_started = False
        self.has_events = False

    def copy_to(self, capturing: Capturing) -> None:
        """From here on everything that is sent is copied, and takes the one way on which it can be."""
        self._send = copying(self._send, capturing)
        self._exchange = None

    def begin(self, stream: StreamRelay, media_type: bytes) -> None:
        """See `Answer`."""
        self._stream = stream
        self._media_type = media_type

    async def send_whole(self, body: bytes) -> None:
        """See `Answer`."""
        self.is_started = True
        if self._exchange is not None:
            names = [(b"content-type", _JSON), *self._own_headers()]
            await self._exchange.respond(b"".join([b"%b: %b\r\n" % header for header in names]), body)
            return
        headers = [(b"content-type", _JSON), *self._own_headers()]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def write(self, events: bytes) -> None:
        """See `Answer`."""
        self.has_events = True
        if self.is_started and self._exchange is not None:
            await self._exchange.write(events)  # what is sent most takes no detour
            return
        await self.note(events)

    async def note(self, comment: bytes) -> None:
        """See `Answer`."""
        if self.is_started and self._exchange is not None:
            await self._exchange.write(comment)
            return
        if not self.is_started:
            await self._start()
        await self._send({"type": "http.response.body", "body": comment, "more_body": True})

    async def end(self, events: bytes) -> None:
        """See `Answer`."""
        if not self.is_started:
            await self._start()
        await self._send({"type": "http.response.body", "body": events})

    async def fail(self, error: GatewayError) -> None:
        """
        Tell the client what went wrong: by the status while it is not sent, else by an event and never a clean end.
        """
        if self.is_started:
            await self.end(b"" if self._stream is None else self._stream.fail(error, self._request_id))
            return
        self.is_started = True
        self.rates = error.rates or self.rates
        headers = [(b"content-type", _JSON), *self._own_headers(), *error.headers()]
        status, body = self._errors.status(error), self._errors.body(error, self._request_id)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self) -> None:
        self.is_started = True
        headers = [(b"content-type", self._media_type), *_NEVER_KEPT, *self._own_headers()]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        request_id = self._request_id.encode()
        headers = [(name, request_id) for name in self._errors.request_id_headers]
        if self.rates:
            headers += self._errors.rate_headers(self.rates)
        if self.dropped:
            headers.append((DROPPED, _header_text(", ".join(self.dropped[:_MAX_DROPPED]))))
        return headers


def _header_text(text: str) -> bytes:
    """`text` as a header's value: parts of it are the client's own words."""
    return "".join(character if " " <= character <= "~" else "?" for character in text[:1000]).encode()
