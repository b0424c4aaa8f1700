"""
The gateway's own HTTP/1.1 client for model calls: keep-alive connections, bytes as they arrive.

A library client costs two to five times the CPU a chunk (docs/reference/dependencies.md has the numbers); what is
left out to get there is everything a model call does not need: redirects, cookies, decompression, HTTP/2. `Transport`
is the seam: `library_transport.py` is the same on aiohttp, for networks that need a proxy.

No timer is set per call or per chunk. One sweep a second wakes those who wait: with `SILENCE` every
`keep_alive_seconds` of silence, with an error when the silence gets too long.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

import httptools

CONNECT_SECONDS = 15.0
MAX_SILENCE_SECONDS = 900.0
"""
Models think for minutes without a byte; under ten minutes a read timeout cuts good answers (protocol reference, 12).
"""
IDLE_CONNECTION_SECONDS = 55.0
HIGH_WATER_BYTES = 256 * 1024
MAX_HEAD_BYTES = 256 * 1024
MAX_WHOLE_BYTES = 256 * 1024 * 1024
"""The most that is kept of an answer that is read whole."""


class TransportError(Exception):
    """The call did not get through. `is_safe_to_repeat` means that the upstream cannot have begun to work on it."""

    is_safe_to_repeat = False


class ConnectFailed(TransportError):
    """No connection: refused, unreachable, TLS trouble, or too slow."""

    is_safe_to_repeat = True


class ConnectionBroken(TransportError):
    """The connection ended in the middle of a call."""

    def __init__(self, message: str, *, is_safe_to_repeat: bool = False) -> None:
        super().__init__(message)
        self.is_safe_to_repeat = is_safe_to_repeat


class SilentTooLong(TransportError):
    """Nothing came for `MAX_SILENCE_SECONDS`."""


class NotHttp(TransportError):
    """What came is not HTTP."""


class _Surplus(Exception):
    """There is more on the connection than was asked for."""


class Silence:
    """What a wait yields when nothing has come for a while; see `SILENCE`."""


SILENCE = Silence()


class Reply(Protocol):
    """An open answer: its head is here, its body arrives. Whoever holds it closes it."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case; of a repeated one the last."""
        ...

    @property
    def content_type(self) -> bytes:
        """The `content-type`; empty when there is none."""
        ...

    async def read(self) -> bytes | Silence:
        """
        The next bytes as they came; `b""` at the end, `SILENCE` when there was none for a while. Raises
        `TransportError`.
        """
        ...

    async def read_all(self) -> bytes:
        """All that is left of the body, however long the upstream is silent. Raises `TransportError`."""
        ...

    def close(self) -> None:
        """Let go. An answer that has not ended is cut off, so that the upstream stops working on it."""
        ...


class PendingReply(Protocol):
    """A call that is sent and not answered yet."""

    async def head(self) -> Reply | Silence:
        """The reply once its head is here, or `SILENCE`. Raises `TransportError`."""
        ...

    def close(self) -> None:
        """Give up on it."""
        ...


class Transport(Protocol):
    """Sends a model call."""

    async def send(self, url: str, headers: bytes, body: bytes) -> PendingReply:
        """POST `body` to `url`. `headers` are complete lines, each with its CRLF. Raises `TransportError`."""
        ...

    def sweep(self) -> None:
        """Wake who waited too long; to be called about once a second."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class HttpTransport:
    """The `Transport` of this module."""

    def __init__(self, *, keep_alive_seconds: float = 15.0, max_silence_seconds: float = MAX_SILENCE_SECONDS) -> None:
        self.keep_alive_seconds = keep_alive_seconds
        self.max_silence_seconds = max_silence_seconds
        self._idle: dict[tuple[str, str, int], list[Connection]] = {}
        self._connections: set[Connection] = set()
        self._tls: ssl.SSLContext | None = None
        self._targets: dict[str, tuple[tuple[str, str, int], bytes]] = {}

    async def send(self, url: str, headers: bytes, body: bytes) -> "Connection":
        """See `Transport`."""
        target = self._targets.get(url)
        if target is None:
            target = self._targets[url] = _parse_target(url)
        origin, head = target
        connection = self._take_idle(origin)
        if connection is None:
            connection = await self._connect(origin)
        connection.begin(b"%b%bcontent-length: %d\r\n\r\n" % (head, headers, len(body)), body)
        return connection

    def sweep(self) -> None:
        """See `Transport`."""
        if not self._connections:
            return
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            connection.sweep(now)

    async def close(self) -> None:
        """See `Transport`."""
        for connection in list(self._connections):
            connection.abort()

    def connections(self) -> int:
        """How many connections are open, in use or not."""
        return len(self._connections)

    def _take_idle(self, origin: tuple[str, str, int]) -> "Connection | None":
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_usable():
                return connection
        return None

    def release(self, connection: "Connection") -> None:
        """Take back a connection whose answer is complete."""
        self._idle.setdefault(connection.origin, []).append(connection)

    def forget(self, connection: "Connection") -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        idle = self._idle.get(connection.origin)
        if idle is not None and connection in idle:
            idle.remove(connection)

    async def _connect(self, origin: tuple[str, str, int]) -> "Connection":
        scheme, host, port = origin
        loop = asyncio.get_running_loop()
        if scheme == "https" and self._tls is None:
            # Reading the certificate store takes tens of milliseconds: not on the loop.
            self._tls = await loop.run_in_executor(None, ssl.create_default_context)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(self, origin, loop),
                    host,
                    port,
                    ssl=self._tls if scheme == "https" else None,
                )
        except TimeoutError:
            raise ConnectFailed(f"no connection to {host}:{port} within {CONNECT_SECONDS:.0f} s") from None
        except OSError as error:
            raise ConnectFailed(f"no connection to {host}:{port}: {error.strerror or error}") from error
        self._connections.add(connection)
        return connection


class Connection(asyncio.Protocol):
    """
    One connection, and the reply that arrives on it: `PendingReply` and `Reply` at once, for there is never more than
    one.
    """

    __slots__ = (
        "_body_error",
        "_chunks",
        "_head_bytes",
        "_headers",
        "_is_complete",
        "_is_kept",
        "_is_paused",
        "_is_sized",
        "_last_news",
        "_last_wake",
        "_loop",
        "_parser",
        "_pool",
        "_status",
        "_transport",
        "_uses",
        "_waiter",
        "_waiting_bytes",
        "has_head",
        "is_busy",
        "is_lost",
        "origin",
    )

    def __init__(self, pool: HttpTransport, origin: tuple[str, str, int], loop: asyncio.AbstractEventLoop) -> None:
        self.origin = origin
        self._pool = pool
        self._loop = loop
        self._transport: asyncio.Transport = None  # type: ignore[assignment] # set by connection_made, before any use
        self._waiter: asyncio.Future[Silence | None] | None = None
        self._uses = 0
        self._last_news = loop.time()
        self._last_wake = self._last_news
        self.is_busy = False
        self.is_lost = False
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._chunks: list[bytes] = []
        self._waiting_bytes = 0
        self._is_complete = False
        self._is_kept = True
        self._is_paused = False
        self._is_sized = False
        self._body_error: TransportError | None = None
        self.has_head = False

    # The call ---------------------------------------------------------------------------------------------------

    def is_usable(self) -> bool:
        """Whether another call may be sent on it."""
        return not self.is_lost and not self._transport.is_closing()

    def begin(self, head: bytes, body: bytes) -> None:
        """Send one call."""
        self._reset()
        self._uses += 1
        self.is_busy = True
        self._last_news = self._last_wake = self._loop.time()
        if len(body) < 65536:
            self._transport.write(head + body)
        else:
            self._transport.writelines([head, body])

    @property
    def status(self) -> int:
        """See `Reply`."""
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        """See `Reply`."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers}

    @property
    def content_type(self) -> bytes:
        """See `Reply`."""
        return self._find(b"content-type")

    def _find(self, wanted: bytes) -> bytes:
        for name, value in self._headers:
            if name == wanted:
                return value
        return b""

    async def head(self) -> "Connection | Silence":
        """See `PendingReply`."""
        while not self.has_head:
            if self._body_error is not None:
                raise self._body_error
            silence = await self._wait()
            if silence is not None and not self.has_head:
                return silence
        return self

    async def read(self) -> bytes | Silence:
        """See `Reply`."""
        while not self._chunks:
            if self._body_error is not None:
                raise self._body_error
            if self._is_complete:
                return b""
            silence = await self._wait()
            if silence is not None and not self._chunks:
                return silence
        chunks = self._chunks
        self._chunks = []
        self._waiting_bytes = 0
        if self._is_paused and not self.is_lost:
            self._is_paused = False
            self._transport.resume_reading()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def read_all(self) -> bytes:
        """See `Reply`."""
        while not self._is_complete:
            if self._body_error is not None:
                raise self._body_error
            if self._waiting_bytes > MAX_WHOLE_BYTES:
                raise NotHttp("the answer does not end")
            if self._is_paused:
                self._is_paused = False
                self._transport.resume_reading()
            await self._wait()
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def close(self) -> None:
        """See `Reply`."""
        if not self.is_busy:
            return
        self.is_busy = False
        if self._is_complete and self._is_kept and self.is_usable():
            if self._is_paused:
                self._transport.resume_reading()
            self._chunks = []
            self._last_news = self._loop.time()
            self._pool.release(self)
        else:
            self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        if not self.is_lost:
            self._transport.abort()

    async def _wait(self) -> Silence | None:
        self._waiter = self._loop.create_future()
        try:
            return await self._waiter
        finally:
            self._waiter = None

    def _wake(self, result: Silence | None = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(result)

    def sweep(self, now: float) -> None:
        """Let time act: on a silent upstream, on an idle connection."""
        if not self.is_busy:
            if now - self._last_news > IDLE_CONNECTION_SECONDS:
                self.abort()
        elif self._waiter is None:
            return  # nobody waits: the client takes its time, which is not the upstream's silence
        elif now - self._last_news > self._pool.max_silence_seconds:
            self._fail(SilentTooLong(f"no byte for {self._pool.max_silence_seconds:.0f} s"))
            self.abort()
        elif now - max(self._last_news, self._last_wake) >= self._pool.keep_alive_seconds:
            self._last_wake = now
            self._wake(SILENCE)

    def _fail(self, error: TransportError) -> None:
        if self._body_error is None:
            self._body_error = error
        self._wake()

    # asyncio.Protocol -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.is_lost = True
        self._pool.forget(self)
        if not self.is_busy or self._is_complete:
            return
        if self.has_head and not self._is_sized and exc is None:
            self._is_complete = True  # a body without a length ends with the connection
            self._wake()
        elif self.has_head or self._head_bytes:
            self._fail(ConnectionBroken("the connection ended in the middle of the answer"))
        else:
            # On a kept connection the upstream's idle close may cross with our call, which it then never saw.
            self._fail(
                ConnectionBroken("the connection ended before the answer", is_safe_to_repeat=self._uses > 1),
            )

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        return False

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if not self.is_busy or self._is_complete:
            self.abort()  # an answer to nothing: whatever follows on this connection would be taken for the next answer
            return
        self._last_news = self._loop.time()
        if not self.has_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._fail(NotHttp("the answer's headers do not end"))
                self.abort()
                return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._is_complete:
                self._fail(NotHttp(f"the answer is not valid HTTP: {error}"))
            self._is_kept = False
            self.abort()
        self._wake()
        if self._waiting_bytes > HIGH_WATER_BYTES and not self._is_paused and not self.is_lost:
            self._is_paused = True
            self._transport.pause_reading()

    # httptools --------------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        if not self.has_head:
            self._headers.append((name.lower(), value))

    def on_message_begin(self) -> None:
        """See httptools. What follows an answer in the same breath is an answer to nothing, and no part of this one."""
        if self._is_complete:
            raise _Surplus

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._status = self._parser.get_status_code()
        if self._status >= 200:
            self.has_head = True
            self._is_kept = self._parser.should_keep_alive()
            self._is_sized = bool(self._find(b"content-length") or self._find(b"transfer-encoding"))

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._chunks.append(body)
        self._waiting_bytes += len(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        if self.has_head:
            self._is_complete = True
        else:
            self._headers = []  # an interim answer (100 Continue, 103 Early Hints)


def _parse_target(url: str) -> tuple[tuple[str, str, int], bytes]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    head = f"POST {path} HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\n"
    with contextlib.suppress(UnicodeEncodeError):
        return (parts.scheme, host, port), head.encode("ascii")
    raise ConnectFailed(f"not a usable URL: {url}")
