"""
HTTP/1.1 on the wire, as an ASGI server protocol for uvicorn's server loop.

uvicorn's own protocol class costs about twice the CPU a call on the data path, takes headers of any size, and lets a
half-open request wait for ever. This one speaks the same ASGI to every application, pages included, and adds:

- bounds: header bytes and count, time to finish the headers, silence inside a body, idle time of a kept connection;
- every refusal in JSON with a request id, so that a client's error class finds what it needs;
- hang-ups: an application that asked for it (`http_exchange.EXCHANGE`) is cancelled the moment its client is gone.

`HttpServer` holds what all connections share. Timeouts are kept by one sweep a second over the open connections: a
timer for each request would cost more than the parsing.
"""

import asyncio
import email.utils
import urllib.parse
from collections import deque

import httptools

from copilot_api.api.errors import OPENAI, new_request_id
from copilot_api.api.http_exchange import ASGI, EXCHANGE, STATUS_LINES, Application, Exchange
from copilot_api.errors import BadRequest, GatewayError, RequestTimeout

MAX_HEADER_BYTES = 64 * 1024
MAX_HEADER_COUNT = 200
HEADER_SECONDS = 30.0
"""From the first byte of a request (or from the connection) to the end of its headers."""
BODY_SILENCE_SECONDS = 60.0
IDLE_SECONDS = 75.0
"""How long a kept connection may wait for its next request; longer than the pools of the usual clients keep theirs."""
WRITE_STALL_SECONDS = 300.0
"""How long a client may take nothing of its answer before it counts as gone: it holds a call, and one of Copilot's."""
LINGER_SECONDS = 5.0
"""How long the rest of a refused body is read and dropped, so that the client gets to see the refusal."""
BODY_HIGH_WATER = 1024 * 1024
MAX_PIPELINED = 1024

_MAX_TARGETS = 256
_MAX_TARGET_BYTES = 256
_UPGRADE_HEADERS = {b"upgrade", b"http2-settings", b"connection"}


class HeadersTooLarge(GatewayError):
    """The headers are over the bounds."""

    number, code, status = 107, "headers_too_large", 431
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = f"send at most {MAX_HEADER_COUNT} headers of {MAX_HEADER_BYTES} bytes in all"


def _address(name: tuple[str, int] | str | None) -> tuple[str, int] | None:
    """Host and port, where the transport has such a thing."""
    return (name[0], name[1]) if isinstance(name, tuple) else None


class HttpServer:
    """What the connections of one listener share: the application, the bounds, and the sweep that keeps them."""

    def __init__(self, app: Application, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self.loop = loop
        self.connections: set[HttpConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_draining = False
        self.date_line = b""
        self._targets: dict[bytes, tuple[str, bytes, bytes]] = {}
        self.tick()

    def tick(self) -> None:
        """Act on every deadline that has passed, and keep the `Date` header current; to be called once a second."""
        self.date_line = b"date: %b\r\n" % email.utils.formatdate(usegmt=True).encode()
        now = self.loop.time()
        for connection in [each for each in self.connections if 0.0 < each.deadline <= now]:
            connection.deadline_passed()
        for connection in [each for each in self.connections if 0.0 < each.stalled_at <= now - WRITE_STALL_SECONDS]:
            connection.transport.abort()

    def parse_target(self, target: bytes) -> tuple[str, bytes, bytes]:
        """Path, raw path and query of a request's target. Raises `BadRequest`. The usual ones are parsed once."""
        known = self._targets.get(target)
        if known is not None:
            return known
        try:
            url = httptools.parse_url(target)
            raw_path = url.path or b"/"
            path = raw_path.decode("ascii")
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
            raise BadRequest("the request's URL is not valid") from None
        parsed = (urllib.parse.unquote(path) if "%" in path else path, raw_path, url.query or b"")
        if len(self._targets) < _MAX_TARGETS and len(target) < _MAX_TARGET_BYTES:
            self._targets[target] = parsed
        return parsed


class HttpConnection(asyncio.Protocol):
    """One connection: parses requests, runs the application for one at a time, writes its answers in order."""

    __slots__ = (
        "client",
        "current",
        "deadline",
        "drained",
        "head_bound",
        "headers",
        "is_closing",
        "is_deaf",
        "is_in_headers",
        "is_lingering",
        "is_reading_paused",
        "is_writing_paused",
        "local",
        "loop",
        "parser",
        "parsing",
        "pipeline",
        "quiet_bytes",
        "read_bytes",
        "refusal",
        "scheme",
        "server",
        "stalled_at",
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
        """The request whose body is arriving: the current one or, pipelined, the last of those waiting."""
        self.pipeline: deque[Exchange] = deque()
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.quiet_bytes = 0
        """Bytes since the parser last had something to show for them: headers, trailers, or chunk extensions."""
        self.head_bound = 0
        """The most that the head which is being read can hold: only one that may be too large is added up."""
        self.read_bytes = 0
        self.is_in_headers = False
        self.deadline = 0.0
        self.refusal: GatewayError | None = None
        self.is_deaf = False
        """Whatever still comes on this connection is not for us."""
        self.is_closing = False
        self.is_lingering = False
        self.is_reading_paused = False
        self.is_writing_paused = False
        self.stalled_at = 0.0
        """Since when the client takes nothing; 0 while it does."""
        self.drained: asyncio.Future[None] | None = None

    @property
    def app(self) -> Application:
        """See `Carrier`."""
        return self.server.app

    @property
    def date_line(self) -> bytes:
        """See `Carrier`."""
        return self.server.date_line

    # Transport callbacks ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = transport  # type: ignore[assignment]
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.client, self.local = _address(peer), _address(local)
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
        self.stalled_at = self.loop.time()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.is_writing_paused = False
        self.stalled_at = 0.0
        if self.drained is not None:
            if not self.drained.done():
                self.drained.set_result(None)
            self.drained = None

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self.is_deaf or self.is_closing:
            return
        # One read may hold the headers' end and a long body, so it is only what came before it that has no end.
        if self.quiet_bytes > MAX_HEADER_BYTES:
            self.refuse(HeadersTooLarge("the request's headers or trailers do not end"))
            return
        self.quiet_bytes += len(data)
        self.head_bound += len(data)
        self.read_bytes = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.parse_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self.refuse(self.refusal or BadRequest(f"the request is not valid HTTP/1.1: {error}"))

    def parse_without_upgrade(self, rest: bytes) -> None:
        """
        Read a request that asks for another protocol as if it did not: there is none to change to (RFC 9110, 7.8).

        The parser takes such a request for over at its headers; so it is told the request again, without the asking.
        """
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] not in _UPGRADE_HEADERS]
        if any([name == b"connection" and b"close" in value.lower() for name, value in self.headers]):
            lines.append(b"connection: close\r\n")
        request = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (*request, b"".join(lines))
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

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
        """See httptools. After the headers come trailers, which are not merged into them (RFC 9110, 6.5.1)."""
        if self.is_in_headers:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """See httptools."""
        self.is_in_headers = False
        try:
            self._check_headers()
            path, raw_path, query = self.server.parse_target(self.url)
        except GatewayError as error:
            self.refusal = error  # httptools wraps what its callbacks raise
            raise
        if self.parser.should_upgrade():
            return
        version = self.parser.get_http_version()
        extensions: dict[str, object] = {}
        exchange = Exchange(
            self,
            {
                "type": "http",
                "asgi": ASGI,
                "http_version": version,
                "method": self.parser.get_method().decode("ascii"),
                "scheme": self.scheme,
                "path": path,
                "raw_path": raw_path,
                "query_string": query,
                "root_path": "",
                "headers": self.headers,
                "client": self.client,
                "server": self.local,
                "state": {},
                "extensions": extensions,
            },
            is_kept=self._may_be_kept(version),
            is_chunkable=version == "1.1",
        )
        extensions[EXCHANGE] = exchange
        self.parsing = exchange
        if self.current is None:
            self.start(exchange)
        else:
            # Reading goes on: a client that hangs up behind what it has sent ahead would not be noticed otherwise.
            self.pipeline.append(exchange)
            if len(self.pipeline) > MAX_PIPELINED:
                self.refuse(BadRequest(f"more than {MAX_PIPELINED} requests were sent ahead of their answers"))

    def _may_be_kept(self, version: str) -> bool:
        # Chunks in HTTP/1.0 are a way to have two readers disagree on where the request ends (RFC 9112, 6.1).
        is_odd = version == "1.0" and any([name == b"transfer-encoding" for name, _ in self.headers])
        return self.parser.should_keep_alive() and not self.server.is_draining and not is_odd

    def _check_headers(self) -> None:
        if self.parser.should_upgrade() and self.parser.get_method() == b"CONNECT":
            raise BadRequest("this is a gateway to models, not a proxy: CONNECT is not possible")
        if len(self.headers) > MAX_HEADER_COUNT:
            raise HeadersTooLarge(f"the request has more than {MAX_HEADER_COUNT} headers")
        if self.head_bound > MAX_HEADER_BYTES:
            size = len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])
            if size > MAX_HEADER_BYTES:
                raise HeadersTooLarge(f"the request's headers are over {MAX_HEADER_BYTES} bytes")

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self.quiet_bytes = 0
        exchange = self.parsing
        if exchange is None or exchange.is_answered:
            return
        exchange.add_body(body)
        self.deadline = self.loop.time() + BODY_SILENCE_SECONDS
        if exchange.waiting_bytes > BODY_HIGH_WATER:
            if exchange is self.current:
                self.pause_reading()
            else:
                self.refuse(BadRequest(f"more than {BODY_HIGH_WATER} bytes were sent ahead of their turn"))

    def on_message_complete(self) -> None:
        """See httptools."""
        self.quiet_bytes = 0
        self.head_bound = self.read_bytes  # the next head may have begun in this read
        exchange, self.parsing = self.parsing, None
        if exchange is None:
            return
        if exchange is self.current:
            self.deadline = 0.0
        exchange.complete_body()

    # One request after the other --------------------------------------------------------------------------------

    def start(self, exchange: Exchange) -> None:
        """Run the application for `exchange`."""
        self.current = exchange
        self.deadline = 0.0 if exchange.is_body_complete else self.loop.time() + BODY_SILENCE_SECONDS
        task = self.loop.create_task(exchange.run())
        exchange.task = task
        self.server.tasks.add(task)
        task.add_done_callback(self.server.tasks.discard)

    def answered(self, exchange: Exchange) -> None:
        """The answer to `exchange` is written: go on with the next request, or end the connection."""
        if exchange is not self.current or self.is_closing:
            return
        if not exchange.is_body_complete:
            self.linger()
        elif not exchange.is_kept:
            self.close()
        else:
            self.current = None
            self.go_on()

    def go_on(self) -> None:
        """Nothing is being answered: take what waits, or wait for what comes."""
        if self.pipeline:
            following = self.pipeline.popleft()
            self.start(following)
            if not following.is_body_complete:
                self.resume_reading()
        elif self.refusal is not None:
            self.refuse_with(self.refusal)
        elif self.server.is_draining:
            self.close()
        else:
            self.deadline = self.loop.time() + IDLE_SECONDS
            self.resume_reading()

    def refuse(self, error: GatewayError) -> None:
        """
        What came is nothing that the application could be asked about: answer it in its turn, then end the connection.
        """
        self.refusal = error
        self.is_deaf = True
        faulty, self.parsing = self.parsing, None
        if faulty is not None and faulty is self.current:
            if faulty.is_started:
                self.close()
            else:
                faulty.abandon(error)
                self.refuse_with(error)
            return
        if faulty is not None:
            self.pipeline.remove(faulty)
        if self.current is None:
            self.refuse_with(error)

    def refuse_with(self, error: GatewayError) -> None:
        """Write `error` as the last answer on this connection."""
        self.current = None
        request_id = new_request_id()
        body = OPENAI.body(error, request_id)  # what asked may not even be known
        lines = [
            STATUS_LINES[error.actual_status],
            self.server.date_line,
            # It may have been a page of the admin plane: the two headers hold for whatever was asked.
            b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n",
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
        Drop what the client still sends for a moment before closing: closing at once would reset what it reads.
        """
        if self.is_closing:
            return
        self.is_deaf = self.is_lingering = True
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

    def body_taken(self) -> None:
        """See `Carrier`."""
        self.resume_reading()

    async def drain(self) -> None:
        """See `Carrier`."""
        while self.is_writing_paused and not self.is_closing:
            if self.drained is None:
                self.drained = self.loop.create_future()
            await self.drained
