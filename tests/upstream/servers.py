"""Servers that do exactly what a test says, byte by byte, and the loop that production runs them beside."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
SECONDS = 10.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it in the loop that the gateway has, and not for ever."""

    async def bounded() -> T:
        async with asyncio.timeout(SECONDS):
            return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition()` holds."""
    while not condition():
        await asyncio.sleep(0.002)


class Peer:
    """The server's end of one connection."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        """The how manieth connection it is, from 0."""
        self._reader = reader
        self._writer = writer
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def receive(self) -> tuple[str, dict[str, str], bytes]:
        """One request: its first line, its headers with their names in lower case, its body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = [line.split(": ", 1) for line in head[1:] if line]
        headers = {name.lower(): value for name, value in fields}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((head[0], headers, body))
        return self.requests[-1]

    async def send(self, data: bytes) -> None:
        """Send some bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, body: bytes, *lines: str, status: str = "200 OK") -> None:
        """Send a whole answer."""
        head = "".join(f"{line}\r\n" for line in (f"content-length: {len(body)}", *lines))
        await self.send(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    async def begin_chunked(self, *lines: str) -> None:
        """Send the head of an answer in chunks."""
        head = "".join(f"{line}\r\n" for line in ("transfer-encoding: chunked", *lines))
        await self.send(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode())

    async def chunk(self, data: bytes) -> None:
        """Send one chunk; an empty one is the end."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def gone(self) -> None:
        """Wait until the client has closed its end."""
        with contextlib.suppress(ConnectionError):
            await self._reader.read()

    def close(self) -> None:
        """Close this end."""
        self._writer.close()

    def reset(self) -> None:
        """Close this end with a reset."""
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Server:
    """Listens; every connection is handled by the script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.peers: list[Peer] = []
        self.open = 0
        """How many connections are being handled."""
        self.url = ""
        self.port = 0
        self.failures: list[BaseException] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(len(self.peers), reader, writer)
        self.peers.append(peer)
        self.open += 1
        try:
            await self._script(peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client is gone
        except Exception as error:
            self.failures.append(error)
        finally:
            self.open -= 1
            writer.close()

    @property
    def requests(self) -> list[tuple[str, dict[str, str], bytes]]:
        """All requests so far, connection by connection."""
        return [request for peer in self.peers for request in peer.requests]


@contextlib.asynccontextmanager
async def serve(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Server]:
    """A server for as long as the block lasts."""
    server = Server(script)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}"
    try:
        yield server
    finally:
        listening.close()
        for peer in server.peers:
            peer.close()
        async with asyncio.timeout(SECONDS):
            await until(lambda: server.open == 0)
        assert server.failures == []


async def echo(peer: Peer) -> None:
    """Answer every request with its own body."""
    while True:
        _, _, body = await peer.receive()
        await peer.answer(body)
