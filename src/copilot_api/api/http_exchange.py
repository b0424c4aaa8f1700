"""One request and its answer on a connection, as an ASGI application sees them; see `copilot_api.api.http_protocol`."""

import asyncio
import http
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from copilot_api.errors import GatewayError, InternalError
from copilot_api.gateway.settlement import CLIENT_GONE

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

EXCHANGE = "copilot_api.exchange"
"""
An ASGI extension: the `Exchange` itself, for applications on the data path.

`cancel_on_disconnect` asks to be cancelled the moment the client hangs up: `task.cancel(CLIENT_GONE)` reaches every
wait there is (queue, upstream, back-off) without each having to watch a socket. `respond` and `write` send without a
message for each step.
"""
ASGI = {"version": "3.0", "spec_version": "2.4"}

_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}
STATUS_LINES = {status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(100, 600)}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class ClientDisconnected(OSError):
    """The client is gone, so nothing can be sent to it (ASGI 2.4 asks for an OSError here)."""


class Carrier(Protocol):
    """What an exchange needs of its connection."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    is_writing_paused: bool

    @property
    def date_line(self) -> bytes:
        """The `Date` header."""
        ...

    @property
    def app(self) -> Application:
        """The application that answers."""
        ...

    def body_taken(self) -> None:
        """The application has taken what was received of the body."""
        ...

    def answered(self, exchange: "Exchange") -> None:
        """The answer is written whole."""
        ...

    def refuse_with(self, error: GatewayError) -> None:
        """Answer in the application's place, and end the connection."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...

    async def drain(self) -> None:
        """Wait until the client has taken what was written."""
        ...


class Exchange:
    """See the module."""

    __slots__ = (
        "body",
        "connection",
        "head",
        "is_answered",
        "is_body_complete",
        "is_body_given",
        "is_cancelled_on_disconnect",
        "is_chunkable",
        "is_chunked",
        "is_disconnected",
        "is_expecting_continue",
        "is_kept",
        "is_started",
        "remaining_bytes",
        "scope",
        "task",
        "waiter",
        "waiting_bytes",
    )

    def __init__(self, connection: Carrier, scope: dict[str, Any], *, is_kept: bool, is_chunkable: bool) -> None:
        self.connection = connection
        self.scope = scope
        self.is_kept = is_kept
        self.is_chunkable = is_chunkable
        self.task: asyncio.Task[None] | None = None
        self.body: list[bytes] = []
        self.waiting_bytes = 0
        self.is_body_complete = False
        self.is_body_given = False
        self.is_expecting_continue = is_chunkable and any(
            [name == b"expect" and value.lower() == b"100-continue" for name, value in scope["headers"]]
        )
        self.waiter: asyncio.Future[None] | None = None
        self.head: list[bytes] | None = None
        self.is_started = False
        self.is_answered = False
        self.is_chunked = False
        self.remaining_bytes: int | None = None
        self.is_disconnected = False
        self.is_cancelled_on_disconnect = False

    async def run(self) -> None:
        """Run the application; whatever it does, the client gets an answer or a closed connection."""
        connection = self.connection
        try:
            await connection.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except asyncio.CancelledError:
            if not self.is_disconnected:
                connection.close()
        except Exception as error:  # noqa: BLE001 -- the application's defect must not become the client's hang
            connection.loop.call_exception_handler({"message": "an application failed", "exception": error})
            if not self.is_started and not self.is_disconnected:
                self.head = None
                connection.refuse_with(InternalError("the gateway failed on this request"))
            else:
                connection.close()
        else:
            if not self.is_answered and not self.is_disconnected:
                connection.close()
        finally:
            self.scope["extensions"] = {}  # it leads back to us, and a cycle for each call is work for the collector

    # What the connection tells it -------------------------------------------------------------------------------

    def add_body(self, body: bytes) -> None:
        """A piece of the body arrived."""
        self.body.append(body)
        self.waiting_bytes += len(body)
        self._wake()

    def complete_body(self) -> None:
        """The body is whole."""
        self.is_body_complete = True
        self._wake()

    def disconnect(self) -> None:
        """The client is gone."""
        if self.is_disconnected:
            return
        self.is_disconnected = True
        self._wake()
        if self.is_cancelled_on_disconnect and not self.is_answered and self.task is not None:
            self.task.cancel(CLIENT_GONE)

    def abandon(self, error: GatewayError) -> None:
        """The connection answers `error` in the application's place."""
        self.is_disconnected = self.is_answered = True
        if self.task is not None:
            self.task.cancel(error)

    def cancel_on_disconnect(self) -> None:
        """See `EXCHANGE`."""
        self.is_cancelled_on_disconnect = True
        if self.is_disconnected and self.task is not None:
            self.task.cancel(CLIENT_GONE)

    def _wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    # What the application calls ---------------------------------------------------------------------------------

    def take_body(self) -> bytes | None:
        """The body, if it is here whole and nothing of it has been taken; else None, and `receive` has it."""
        if not self.is_body_complete or self.is_body_given or self.is_over:
            return None
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self.body = []
        self.waiting_bytes = 0
        self.is_body_given = True
        self.connection.body_taken()
        return body

    async def receive(self) -> Message:
        """See ASGI."""
        if self.is_expecting_continue and not self.is_started and not self.is_disconnected:
            self.is_expecting_continue = False
            self.connection.transport.write(CONTINUE)
        while not (self.body or self.is_over or self.is_body_complete):
            await self._wait()
        if self.body and not self.is_over:
            body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
            self.body = []
            self.waiting_bytes = 0
            self.connection.body_taken()
            self.is_body_given = self.is_body_complete
            return {"type": "http.request", "body": body, "more_body": not self.is_body_complete}
        if not self.is_body_given and not self.is_over:
            self.is_body_given = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while not self.is_over:
            await self._wait()
        return {"type": "http.disconnect"}

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to receive: the client is gone, or has its answer."""
        return self.is_disconnected or self.is_answered

    async def _wait(self) -> None:
        self.waiter = self.connection.loop.create_future()
        try:
            await self.waiter
        finally:
            self.waiter = None

    async def send(self, message: Message) -> None:
        """See ASGI. Raises `ClientDisconnected` when there is nobody to send to."""
        if self.is_disconnected:
            raise ClientDisconnected("the client has closed the connection")
        if self.head is None:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"expected http.response.start, got {message['type']}")
            self._start(message["status"], message.get("headers", ()))
            return
        if self.is_answered:
            raise RuntimeError("the response is already complete")
        self._write(message.get("body", b""), message.get("more_body", False))
        if self.connection.is_writing_paused:
            await self.connection.drain()
            if self.is_disconnected:
                raise ClientDisconnected("the client has closed the connection")

    async def respond(self, headers: bytes, body: bytes) -> None:
        """
        A whole answer with status 200; `headers` are lines, each with its CRLF. Raises `ClientDisconnected`.
        """
        if self.is_disconnected:
            raise ClientDisconnected("the client has closed the connection")
        connection = self.connection
        self.is_started = self.is_answered = True
        if not self.is_body_complete:
            self.is_kept = False
        kept = b"" if self.is_kept and self.is_chunkable else self._connection_line()
        connection.transport.write(
            b"%b%b%bcontent-length: %d\r\n%b\r\n%b"
            % (STATUS_LINES[200], connection.date_line, headers, len(body), kept, body)
        )
        connection.answered(self)
        if connection.is_writing_paused:
            await connection.drain()

    async def write(self, body: bytes) -> None:
        """A piece of an answer that has begun; raises as `send` does."""
        if not self.is_chunked or not body:
            await self.send({"type": "http.response.body", "body": body, "more_body": True})
            return
        if self.is_disconnected:
            raise ClientDisconnected("the client has closed the connection")
        self.connection.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        if self.connection.is_writing_paused:
            await self.connection.drain()

    def _connection_line(self) -> bytes:
        return b"connection: keep-alive\r\n" if self.is_kept else b"connection: close\r\n"

    def _start(self, status: int, headers: Any) -> None:
        head = [STATUS_LINES[status], self.connection.date_line]
        for name, value in headers:
            if name == b"content-length":
                self.remaining_bytes = int(value)
            elif name == b"connection" and value.lower() == b"close":
                self.is_kept = False
                continue
            head.append(b"%b: %b\r\n" % (name, value))
        if status in {204, 304} or status < 200:
            self.remaining_bytes = 0
        self.head = head

    def _write(self, body: bytes, more_body: bool) -> None:
        if self.is_started:
            data = b"%x\r\n%b\r\n" % (len(body), body) if self.is_chunked and body else self._fitting(body)
        else:
            data = self._first_bytes(body, more_body)
        if not more_body:
            self.is_answered = True
            if self.is_chunked:
                data += LAST_CHUNK
        if data:
            self.connection.transport.write(data)
        if self.is_answered:
            if self.remaining_bytes and self.scope["method"] != "HEAD":
                self.is_kept = False  # less was sent than promised: the connection cannot carry another answer
            self._wake()
            self.connection.answered(self)

    def _first_bytes(self, body: bytes, more_body: bool) -> bytes:
        self.is_started = True
        head = self.head
        if head is None:
            raise RuntimeError("the response has no head")
        if self.remaining_bytes is None:
            if not more_body:
                self.remaining_bytes = len(body)
                head.append(b"content-length: %d\r\n" % len(body))
            elif self.is_chunkable:
                self.is_chunked = self.scope["method"] != "HEAD"
                head.append(b"transfer-encoding: chunked\r\n")
            else:
                self.is_kept = False  # HTTP/1.0 knows the end of an answer of unknown length by the close
        if not self.is_body_complete:
            self.is_kept = False
        if not self.is_kept or not self.is_chunkable:
            head.append(self._connection_line())
        head.append(b"\r\n")
        if self.is_chunked:
            head.append(b"%x\r\n%b\r\n" % (len(body), body) if body else b"")
        else:
            head.append(self._fitting(body))
        return b"".join(head)

    def _fitting(self, body: bytes) -> bytes:
        """`body` as far as it may be sent: none to a HEAD, not more than `content-length` promised."""
        if self.scope["method"] == "HEAD":
            return b""
        if self.remaining_bytes is not None:
            body = body[: self.remaining_bytes]
            self.remaining_bytes -= len(body)
        return body
