"""
Endpoint: read one request, exchange it, write one answer, for any surface.

A bare ASGI callable: on the data path there is no framework between the socket and the gateway.
"""

import asyncio
import traceback

from copilot_api.api.door import Door
from copilot_api.api.errors import error_body, error_event, new_request_id
from copilot_api.api.http_exchange import EXCHANGE, Exchange, Receive, Scope, Send
from copilot_api.api.intake import read_body
from copilot_api.clock import Clock
from copilot_api.errors import GatewayError, InternalError, ShuttingDown
from copilot_api.gateway.call import Call
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.settlement import CLIENT_GONE
from copilot_api.gateway.surface import Surface
from copilot_api.observability.events import CallCrashed, Observer

_EVENT_STREAM = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_JSON = (b"content-type", b"application/json")
KEEP_ALIVE = b": keep-alive\n\n"


class Endpoint:
    """See the module."""

    def __init__(
        self, surface: Surface, door: Door, gateway: Gateway, clock: Clock, observe: Observer, *, max_body_bytes: int
    ) -> None:
        self._surface = surface
        self._door = door
        self._gateway = gateway
        self._clock = clock
        self._observe = observe
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        request_id = new_request_id()
        head = self._door.read_head(scope)
        exchange: Exchange | None = scope["extensions"].get(EXCHANGE)
        answer = HttpAnswer(send, request_id, exchange)
        call = Call(
            request_id=request_id,
            surface=self._surface,
            client=self._door.client(head),
            arrived_at=self._clock.now(),
            began=self._clock.monotonic(),
            read_body=lambda: read_body(receive, head, self._max_body_bytes, exchange),
        )
        if exchange is not None:
            exchange.cancel_on_disconnect()
        try:
            with self._gateway.settlement.follow(call) as record:
                key = await self._door.authenticate(head)
                record.authenticated(key.id)
                await self._gateway.exchange(call, key, record, answer)
        except GatewayError as error:
            await answer.fail(error)
        except asyncio.CancelledError as cancelled:
            reason = cancelled.args[0] if cancelled.args else None
            if reason != CLIENT_GONE and not isinstance(reason, GatewayError):
                await answer.fail(ShuttingDown("the gateway stopped before the answer was complete"))
            raise
        except OSError:
            raise  # the client is gone: there is nobody to tell
        except Exception:  # noqa: BLE001 -- a defect of ours is the operator's to see, not the caller's
            self._observe(CallCrashed(request_id, traceback.format_exc()))
            await answer.fail(InternalError("the gateway failed on this call"))


class HttpAnswer:
    """An `Answer` over ASGI; what is sent most goes straight to the exchange where there is one."""

    __slots__ = ("_exchange", "_request_id", "_send", "is_started")

    def __init__(self, send: Send, request_id: str, exchange: Exchange | None = None) -> None:
        self._send = send
        self._exchange = exchange
        self._request_id = request_id.encode()
        self.is_started = False

    async def send_whole(self, body: bytes) -> None:
        """See `Answer`."""
        self.is_started = True
        if self._exchange is not None:
            await self._exchange.respond(
                b"content-type: application/json\r\nx-request-id: %b\r\n" % self._request_id, body
            )
            return
        headers = [_JSON, (b"x-request-id", self._request_id)]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def write(self, events: bytes) -> None:
        """See `Answer`."""
        if self.is_started and self._exchange is not None:
            await self._exchange.write(events)
            return
        if not self.is_started:
            await self._start()
        await self._send({"type": "http.response.body", "body": events, "more_body": True})

    async def keep_alive(self) -> None:
        """See `Answer`."""
        await self.write(KEEP_ALIVE)

    async def end(self, events: bytes) -> None:
        """See `Answer`."""
        if not self.is_started:
            await self._start()
        await self._send({"type": "http.response.body", "body": events})

    async def fail(self, error: GatewayError) -> None:
        """
        Tell the client what went wrong: by the status while it is not sent, else by an event and never a clean end.
        """
        request_id = self._request_id.decode()
        if self.is_started:
            await self.end(error_event(error, request_id))
            return
        self.is_started = True
        headers = [_JSON, (b"x-request-id", self._request_id), *error.headers()]
        await self._send({"type": "http.response.start", "status": error.actual_status, "headers": headers})
        await self._send({"type": "http.response.body", "body": error_body(error, request_id)})

    async def _start(self) -> None:
        self.is_started = True
        headers = [*_EVENT_STREAM, (b"x-request-id", self._request_id)]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
