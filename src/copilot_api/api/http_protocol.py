"""
HTTP/1.1 on the wire, as an ASGI server protocol for uvicorn's server loop.

uvicorn's own protocol class costs about twice the CPU a call on the data path, takes headers of any size, and lets a
half-open request wait for ever. This one speaks the same ASGI to every application, pages included, and adds:

- bounds: header bytes and count, time to finish the headers, silence inside a body, idle time of a kept connection;
- every refusal in JSON with a request id, so that a client's error class finds what it needs;
- hang-ups: an application that asked for it (`CANCEL_ON_DISCONNECT`) is cancelled the moment its client is gone.

`HttpServer` holds what all connections share. Timeouts are kept by one sweep a second over the open connections: a
timer for each request would cost more than the parsing.
"""

import asyncio
import email.utils
import http
import urllib.parse
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httptools

from copilot_api.api.errors import error_body, new_request_id
from copilot_api.errors import BadRequest, GatewayError, InternalError, RequestTimeout

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CANCEL_ON_DISCONNECT = "copilot_api.cancel_on_disconnect"
"""
An ASGI extension: a function that the application calls when it wants to be cancelled as soon as its client hangs up.

`task.cancel(CLIENT_GONE)` reaches every wait there is (queue, upstream, back-off) without each having to watch a
socket.
"""
CLIENT_GONE = "client gone"

MAX_HEADER_BYTES = 64 * 1024
MAX_HEADER_COUNT = 200
HEADER_SECONDS = 30.0
"""From the first byte of a request (or from the connection) to the end of its headers."""
BODY_SILENCE_SECONDS = 60.0
IDLE_SECONDS = 75.0
"""How long a kept connection may wait for its next request; longer than the pools of the usual clients keep theirs."""
LINGER_SECONDS = 5.0
"""How long the rest of a refused body is read and dropped, so that the client gets to see the refusal."""
BODY_HIGH_WATER = 1024 * 1024

STATUS_LINES = {
    status: f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else ''}\r\n".encode()
    for status in range(100, 600)
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class ClientDisconnected(OSError):
    """The client is gone, so nothing can be sent to it (ASGI 2.4 asks for an OSError here)."""


class HeadersTooLarge(GatewayError):
    """The headers are over the bounds."""

    number, code, status = 107, "headers_too_large", 431
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = f"send at most {MAX_HEADER_COUNT} headers of {MAX_HEADER_BYTES} bytes in all"


class HttpServer:
    """What the connections of one listener share: the application, the bounds, and the sweep that keeps them."""

    def __init__(self, app: Application, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self.loop = loop
        self.connections: set[HttpConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_draining = False
        self.date = email.utils.formatdate(usegmt=True).encode()
        """For the `Date` header; whoever sweeps keeps it current."""

    def sweep(self) -> None:
        """Act on every deadline that has passed; to be called about once a second."""
        now = self.loop.time()
        for connection in [each for each in self.connections if 0.0 < each.deadline <= now]:
            connection.deadline_passed()


class HttpConnection(asyncio.Protocol):
    """One connection: parses requests, runs the application for one at a time, writes its answers in order."""

    __slots__ = (
        "client",
        "current",
        "deadline",
        "drained",
        "fed_bytes",
        "headers",
        "is_closing",
        "is_in_headers",
        "is_lingering",
        "is_reading_paused",
        "is_writing_paused",
        "local",
        "loop",
        "parser",
        "parsing",
        "pipeline",
        "refusal",
        "scheme",
        "server",
        "transport",
        "url",
    )

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.loop = server.loop
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport = None  # type: ignore[assignment] # set by connection_made, before any use
        self.client: tuple[str, int] | None = None
        self.local: tuple[str, int] | None = None
        self.scheme = "http"
        self.current: Exchange | None = None
        """The request that is being answered."""
        self.parsing: Exchange | None = None
        """The request whose body is arriving; the current one or, pipelined, one of those waiting."""
        self.pipeline: deque[Exchange] = deque()
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.fed_bytes = 0
        self.is_in_headers = False
        self.deadline = 0.0
        self.refusal: GatewayError | None = None
        self.is_closing = False
        self.is_lingering = False
        self.is_reading_paused = False
        self.is_writing_paused = False
        self.drained: asyncio.Future[None] | None = None

    # Transport callbacks ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = transport  # type: ignore[assignment]
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        self.local = (str(local[0]), int(local[1])) if isinstance(local, tuple) else None
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self.server.connections.add(self)
        if self.server.is_draining:
            self.transport.close()
        self.deadline = self.loop.time() + HEADER_SECONDS

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.server.connections.discard(self)
        self.is_closing = True
        self.deadline = 0.0
        self.resume_writing()
        if self.current is not None:
            self.current.disconnect()
        self.pipeline.clear()
        self.parsing = None

    def eof_received(self) -> bool:
        """A client that closes its side has hung up: nothing tells the two apart before a write fails."""
        return False

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.is_writing_paused = True

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.is_writing_paused = False
        if self.drained is not None:
            if not self.drained.done():
                self.drained.set_result(None)
            self.drained = None

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self.is_closing or self.is_lingering:
            return
        self.fed_bytes += len(data)
        try:
            # One feed may hold the headers' end and a long body: what came is only a bound until the headers are whole.
            if self.is_in_headers and self.fed_bytes - len(data) > MAX_HEADER_BYTES:
                raise HeadersTooLarge("the request's headers do not end")
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # No protocol to change to: the request is answered as plain HTTP, and what follows it is not HTTP.
            self.stop_reading()
        except HeadersTooLarge as error:
            self.refuse(error)
        except httptools.HttpParserError as error:
            self.refuse(self.refusal or BadRequest(f"the request is not valid HTTP/1.1: {error}"))

    # Parser callbacks -------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """See httptools."""
        self.url = b""
        self.headers = []
        self.is_in_headers = True
        if self.current is None:
            self.deadline = self.loop.time() + HEADER_SECONDS

    def on_url(self, url: bytes) -> None:
        """See httptools."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        self.headers.append((name.lower(), value))

    def _check_headers(self) -> None:
        if len(self.headers) > MAX_HEADER_COUNT:
            raise self._refusing(HeadersTooLarge(f"the request has more than {MAX_HEADER_COUNT} headers"))
        if self.fed_bytes > MAX_HEADER_BYTES:
            size = len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])
            if size > MAX_HEADER_BYTES:
                raise self._refusing(HeadersTooLarge(f"the request's headers are over {MAX_HEADER_BYTES} bytes"))

    def _refusing(self, error: GatewayError) -> GatewayError:
        """Keep the reason: httptools wraps what its callbacks raise."""
        self.refusal = error
        return error

    def on_headers_complete(self) -> None:
        """See httptools."""
        self.is_in_headers = False
        self._check_headers()
        version = self.parser.get_http_version()
        try:
            url = httptools.parse_url(self.url)
            raw_path = url.path or b"/"
            path = raw_path.decode("ascii")
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError) as error:
            raise self._refusing(BadRequest("the request's URL is not valid")) from error
        exchange = Exchange(
            self,
            {
                "type": "http",
                "asgi": ASGI,
                "http_version": version,
                "method": self.parser.get_method().decode("ascii"),
                "scheme": self.scheme,
                "path": urllib.parse.unquote(path) if "%" in path else path,
                "raw_path": raw_path,
                "query_string": url.query or b"",
                "root_path": "",
                "headers": self.headers,
                "client": self.client,
                "server": self.local,
                "state": {},
                "extensions": {},
            },
            is_kept=self.parser.should_keep_alive() and not self.server.is_draining,
            is_chunkable=version == "1.1",
        )
        exchange.scope["extensions"][CANCEL_ON_DISCONNECT] = exchange.cancel_on_disconnect
        self.parsing = exchange
        if self.current is None:
            self.start(exchange)
        else:
            self.pipeline.append(exchange)
            self.pause_reading()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        exchange = self.parsing
        if exchange is None or exchange.is_answered:
            return
        exchange.add_body(body)
        self.deadline = self.loop.time() + BODY_SILENCE_SECONDS
        if exchange.waiting_bytes > BODY_HIGH_WATER:
            self.pause_reading()

    def on_message_complete(self) -> None:
        """See httptools."""
        self.fed_bytes = 0
        exchange, self.parsing = self.parsing, None
        if exchange is None:
            return
        if exchange is self.current:
            self.deadline = 0.0
        exchange.complete_body()

    # One request after the other --------------------------------------------------------------------------------

    def start(self, exchange: "Exchange") -> None:
        """Run the application for `exchange`."""
        self.current = exchange
        self.deadline = self.loop.time() + BODY_SILENCE_SECONDS
        task = self.loop.create_task(exchange.run())
        exchange.task = task
        self.server.tasks.add(task)
        task.add_done_callback(self.server.tasks.discard)

    def answered(self, exchange: "Exchange") -> None:
        """The answer to `exchange` is written: go on with the next request, or end the connection."""
        if exchange is not self.current or self.is_closing:
            return
        if exchange.is_body_complete and exchange.is_kept:
            self.current = None
            self.deadline = self.loop.time() + IDLE_SECONDS
            if self.pipeline:
                following = self.pipeline.popleft()
                self.start(following)
                if following.is_body_complete:
                    self.deadline = 0.0
            elif self.refusal is not None:
                self.refuse(self.refusal)
            elif self.server.is_draining:
                self.close()
            else:
                self.resume_reading()
        elif exchange.is_body_complete:
            self.close()
        else:
            self.linger()

    def refuse(self, error: GatewayError) -> None:
        """Answer a request that the application cannot be asked about, and end the connection."""
        self.refusal = error
        self.stop_reading()
        current = self.current
        if current is not None:
            if current.is_body_complete:
                return  # the fault is in what follows: `answered` comes back here
            if current.is_started:
                self.close()
                return
            current.abandon()
            self.current = None
        self.refuse_with(error)

    def refuse_with(self, error: GatewayError) -> None:
        """Write `error` as the last answer on this connection."""
        request_id = new_request_id()
        body = error_body(error, request_id)
        lines = [
            STATUS_LINES[error.actual_status],
            b"content-type: application/json\r\nconnection: close\r\nx-request-id: ",
            request_id.encode(),
            b"\r\ncontent-length: %d\r\n" % len(body),
        ]
        lines += [b"%b: %b\r\n" % header for header in error.headers()]
        self.transport.write(b"".join([*lines, b"\r\n", body]))
        self.linger()

    def deadline_passed(self) -> None:
        """Whatever was waited for did not come."""
        self.deadline = 0.0
        if self.is_lingering or (self.current is None and not self.is_in_headers):
            self.close()
        elif self.current is None:
            self.refuse(RequestTimeout("the request's headers did not end in time", hint="send the whole request"))
        elif not self.current.is_body_complete:
            self.refuse(RequestTimeout("the request's body stopped arriving"))

    def linger(self) -> None:
        """
        Drop what the client still sends for a moment before closing: closing at once would reset its view of the
        answer.
        """
        if self.is_closing:
            return
        self.is_lingering = True
        self.deadline = self.loop.time() + LINGER_SECONDS
        self.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.close()

    def shutdown(self) -> None:
        """
        The server goes down: an idle connection closes now, a busy one after its answer (called by uvicorn's server).
        """
        self.server.is_draining = True
        if self.current is None:
            self.close()
        else:
            self.current.is_kept = False

    def close(self) -> None:
        """Close when what is written has left."""
        self.is_closing = True
        self.deadline = 0.0
        if self.current is not None:
            self.current.disconnect()
        self.transport.close()

    # Flow control -----------------------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Stop taking bytes off the socket, so that the client feels it."""
        if not self.is_reading_paused and not self.is_closing:
            self.is_reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes off the socket again."""
        if self.is_reading_paused and not self.is_closing:
            self.is_reading_paused = False
            self.transport.resume_reading()

    def stop_reading(self) -> None:
        """Whatever still comes on this connection is not for us."""
        if self.current is not None:
            self.current.is_kept = False

    async def drain(self) -> None:
        """Wait until the client has taken what was written."""
        while self.is_writing_paused and not self.is_closing:
            if self.drained is None:
                self.drained = self.loop.create_future()
            await self.drained


ASGI = {"version": "3.0", "spec_version": "2.4"}


class Exchange:
    """One request and its answer, as the ASGI application sees them."""

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

    def __init__(self, connection: HttpConnection, scope: dict[str, Any], *, is_kept: bool, is_chunkable: bool) -> None:
        self.connection = connection
        self.scope = scope
        self.is_kept = is_kept
        self.is_chunkable = is_chunkable
        self.task: asyncio.Task[None] | None = None
        self.body: list[bytes] = []
        self.waiting_bytes = 0
        self.is_body_complete = False
        self.is_body_given = False
        self.is_expecting_continue = is_chunkable and (b"expect", b"100-continue") in scope["headers"]
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
            await connection.server.app(self.scope, self.receive, self.send)
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

    def abandon(self) -> None:
        """The connection answers in the application's place."""
        self.is_disconnected = self.is_answered = True
        if self.task is not None:
            self.task.cancel(CLIENT_GONE)

    def cancel_on_disconnect(self) -> None:
        """See `CANCEL_ON_DISCONNECT`."""
        self.is_cancelled_on_disconnect = True
        if self.is_disconnected and self.task is not None:
            self.task.cancel(CLIENT_GONE)

    def _wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    # What the application calls ---------------------------------------------------------------------------------

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
            if not self.connection.pipeline:
                self.connection.resume_reading()
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

    def _start(self, status: int, headers: Any) -> None:
        head = [STATUS_LINES[status], b"date: %b\r\n" % self.connection.server.date]
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
        if not self.is_kept or not self.is_body_complete:
            head.append(b"connection: close\r\n")
            self.is_kept = False
        elif not self.is_chunkable:
            head.append(b"connection: keep-alive\r\n")
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
