"""
A connection without a socket: the protocol class on a transport and a clock that the test holds.

`Wire` feeds bytes as a socket would and keeps what is written. Time moves when `advance` says so. `answers` reads what
came back with the strict reader of the fuzz tests' kind: what it cannot read fails the test.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from copilot_api.api.http_exchange import Application, ClientDisconnected, Receive, Scope, Send
from copilot_api.api.http_protocol import HttpConnection, HttpServer

T = TypeVar("T")


class Loop:
    """The running loop with a clock of the test's own."""

    def __init__(self) -> None:
        self.real = asyncio.get_running_loop()
        self.now = 1000.0
        self.failures: list[dict[str, Any]] = []

    def time(self) -> float:
        return self.now

    def create_task(self, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        return self.real.create_task(coroutine)

    def create_future(self) -> "asyncio.Future[Any]":
        return self.real.create_future()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context)


class FakeTransport(asyncio.Transport):
    """Keeps what is written; closing is heard of in the next turn of the loop, as with a real one."""

    def __init__(self, wire: "Wire", *, is_tls: bool, peer: Any) -> None:
        super().__init__(
            {"peername": peer, "sockname": ("127.0.0.1", 4141), "sslcontext": object() if is_tls else None}
        )
        self.wire = wire
        self.is_tls = is_tls
        self.written = b""
        self.is_closed = False
        self.has_eof = False
        self.is_paused = False

    def write(self, data: Any) -> None:
        assert not self.has_eof, "written after the end"
        assert not self.is_closed, "written after closing"
        self.written += bytes(data)

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self.wire.lose)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self.is_closed

    def can_write_eof(self) -> bool:
        return not self.is_tls

    def write_eof(self) -> None:
        self.has_eof = True

    def pause_reading(self) -> None:
        assert not self.is_paused, "paused twice"
        self.is_paused = True

    def resume_reading(self) -> None:
        assert self.is_paused, "resumed twice"
        self.is_paused = False


@dataclass(frozen=True)
class Answer:
    """One answer as it was written."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection to `app`."""

    def __init__(
        self,
        app: Application,
        *,
        server: HttpServer | None = None,
        is_tls: bool = False,
        peer: Any = ("192.0.2.1", 5000),
    ) -> None:
        self.loop = Loop() if server is None else cast("Loop", server.loop)
        self.server = server or HttpServer(app, cast("asyncio.AbstractEventLoop", self.loop))
        self.connection = HttpConnection(self.server)
        self.transport = FakeTransport(self, is_tls=is_tls, peer=peer)
        self._is_lost = False
        self.connection.connection_made(self.transport)

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._is_lost

    def lose(self, error: Exception | None = None) -> None:
        """The connection is gone."""
        if not self._is_lost:
            self._is_lost = True
            self.transport.is_closed = True
            self.connection.connection_lost(error)

    async def send(self, *pieces: bytes) -> None:
        """What a client sends, each piece in a read of its own. A paused transport holds it back, as a socket does."""
        for piece in pieces:
            for _ in range(50):
                if not self.transport.is_paused or self.transport.is_closed:
                    break
                await self.settle()
            assert not self.transport.is_paused or self.transport.is_closed, "the connection never reads on"
            if not self.transport.is_closed:
                self.connection.data_received(piece)
            await self.settle()

    async def settle(self) -> None:
        """Let everything that can happen happen."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for what happens in a thread: real time, and no longer than it takes."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)
        await self.settle()

    async def advance(self, seconds: float) -> None:
        """Time passes, second by second, with the server's sweep."""
        end = self.loop.now + seconds
        while self.loop.now < end:
            self.loop.now = min(end, self.loop.now + 1.0)
            self.server.tick()
            await self.settle()

    def take(self) -> bytes:
        """What was written since the last time."""
        written, self.transport.written = self.transport.written, b""
        return written

    def answers(self, *methods: str) -> list[Answer]:
        """The answers that were written since the last time; `methods` of the requests where they are not all GET."""
        data = self.take()
        found: list[Answer] = []
        while data:
            head, end, data = data.partition(b"\r\n\r\n")
            assert end, f"half an answer: {head!r}"
            status_line, *lines = head.split(b"\r\n")
            version, status, _ = status_line.split(b" ", 2)
            assert version == b"HTTP/1.1"
            if status == b"100":
                found.append(Answer(100, {}, b""))
                continue
            pairs = [line.split(b": ", 1) for line in lines]
            headers = {name.decode().lower(): value.decode() for name, value in pairs}
            assert len(headers) == len(pairs), f"a header is repeated: {head!r}"
            number = len([each for each in found if each.status != 100])
            method = methods[number] if number < len(methods) else "GET"
            body, data = self._body(headers, int(status), method, data)
            found.append(Answer(int(status), headers, body))
        return found

    def _body(self, headers: dict[str, str], status: int, method: str, data: bytes) -> tuple[bytes, bytes]:
        assert not {"content-length", "transfer-encoding"} <= headers.keys()
        if method == "HEAD" or status in {204, 304}:
            return b"", data
        if "content-length" in headers:
            length = int(headers["content-length"])
            assert len(data) >= length, "the body is shorter than its content-length"
            return data[:length], data[length:]
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size, end, data = data.partition(b"\r\n")
                assert end, "the chunks do not end"
                length = int(size, 16)
                piece, end, data = data[:length], data[length : length + 2], data[length + 2 :]
                assert end == b"\r\n"
                body += piece
                if not length:
                    return body, data
        assert self.transport.is_closed, "an answer without a length on an open connection"
        return data, b""


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine; a task that it leaves behind fails it."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        assert not left, left

    asyncio.run(bounded())


def get(path: str = "/", *headers: str, version: str = "HTTP/1.1", method: str = "GET") -> bytes:
    """A request without a body."""
    return "\r\n".join([f"{method} {path} {version}", "host: x", *headers, "", ""]).encode()


def post(body: bytes, *headers: str, path: str = "/", version: str = "HTTP/1.1") -> bytes:
    """A request with a body of known length."""
    return get(path, f"content-length: {len(body)}", *headers, method="POST", version=version) + body


async def read_whole(receive: Receive) -> bytes:
    """The whole body, as ASGI hands it out."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected("gone")
        body += bytes(message["body"])
        if not message["more_body"]:
            return body


async def answer_with(send: Send, body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that says what it was asked."""
    body = await read_whole(receive)
    said = {"method": scope["method"], "path": scope["path"], "body": body.decode("latin-1")}
    await answer_with(send, json.dumps(said).encode(), 200, (b"content-type", b"application/json"))


class Held:
    """An application that answers when the test lets it."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.ended: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.arrived.append(path)
        self.gates[path] = asyncio.Event()
        try:
            await self.gates[path].wait()
            await answer_with(send, path.encode())
        finally:
            self.ended.append(path)

    def release(self, path: str) -> None:
        self.gates[path].set()


@dataclass
class Reply:
    """What an ASGI application answered to `ask`."""

    status: int = 0
    headers: dict[str, str] | None = None
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: Application,
    path: str = "/",
    *,
    method: str = "GET",
    query: bytes = b"",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    extensions: dict[str, Any] | None = None,
) -> Reply:
    """One call of an ASGI application, without HTTP."""
    reply = Reply()
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert reply.status == 0, "started twice"
            reply.status = message["status"]
            pairs = [(name.decode(), value.decode()) for name, value in message["headers"]]
            reply.headers = dict(pairs)
            assert len(pairs) == len(reply.headers), "a header is repeated"
        else:
            assert reply.status, "a body before its start"
            reply.body += message.get("body", b"")

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "http_version": "1.1",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        "client": ("192.0.2.1", 5000),
        "state": {},
        "extensions": extensions or {},
    }
    await app(scope, receive, send)
    return reply


@contextlib.asynccontextmanager
async def closing(wire: Wire) -> Any:
    """Lose the connection at the end, so that nothing runs on."""
    try:
        yield wire
    finally:
        wire.lose()
        await wire.settle()
