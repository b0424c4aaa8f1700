"""The server loop: it listens, serves, drains, and ends when it is told to."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from copilot_api.api.http_exchange import EXCHANGE, Application, Receive, Scope, Send
from copilot_api.api.server import GatewayServer
from copilot_api.config.binding import bind
from tests.api.wire import Held, answer_with, echo, get, run


class Running:
    """A server on a port of its own, and what it told."""

    def __init__(self, app: Application, drain_seconds: float) -> None:
        self.sockets = bind("127.0.0.1", 0)
        self.port = int(self.sockets[0].getsockname()[1])
        self.stopping: list[int] = []
        self.sweeps = 0
        self.listening = asyncio.Event()
        self.server = GatewayServer(
            app,
            asyncio.get_running_loop(),
            drain_seconds=drain_seconds,
            tls=None,
            on_listening=self.listening.set,
            on_stopping=self.stopping.append,
            sweep=self._sweep,
        )

    def _sweep(self) -> None:
        self.sweeps += 1

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, data: bytes) -> bytes:
        """All that comes back on a connection of its own until it closes."""
        reader, writer = await self.connect()
        writer.write(data)
        try:
            return await reader.read()
        finally:
            writer.close()

    def stop(self) -> None:
        """What a signal does."""
        self.server._stop()


@contextlib.asynccontextmanager
async def running(app: Application, drain_seconds: float = 5.0) -> AsyncIterator[Running]:
    """A server that is told to stop at the end, and must be gone soon."""
    found = Running(app, drain_seconds)
    serving = asyncio.create_task(found.server.run_until_stopped(found.sockets))
    await found.listening.wait()
    try:
        yield found
    finally:
        while not serving.done():
            found.stop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3):
                    await asyncio.shield(serving)
        await serving


def within(seconds: float, test: Callable[[], Any]) -> None:
    began = time.monotonic()
    run(test)
    assert time.monotonic() - began < seconds


def test_it_says_that_it_listens_when_it_does() -> None:
    async def test() -> None:
        async with running(echo) as server:
            answer = await server.ask(get("/x", "connection: close"))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")

    within(5, test)


def test_idle_connections_do_not_hold_the_end_up() -> None:
    async def test() -> None:
        async with running(echo) as server:
            reader, writer = await server.connect()
            writer.write(get())
            await reader.readuntil(b"}")
            _, silent = await server.connect()
            half_reader, half = await server.connect()
            half.write(b"GET / HT")
            await asyncio.sleep(0.05)
            server.stop()
            assert await reader.read() == b""
            assert await half_reader.read() == b""
            for each in (writer, silent, half):
                each.close()

    within(5, test)


def test_a_call_under_way_is_finished_and_no_new_one_taken() -> None:
    async def test() -> None:
        app = Held()
        async with running(app) as server:
            asking = asyncio.create_task(server.ask(get("/a")))
            while not app.arrived:
                await asyncio.sleep(0.01)
            server.stop()
            await asyncio.sleep(0.3)
            assert server.stopping == [1], "how many calls are waited for"
            with pytest.raises(ConnectionRefusedError):
                await server.connect()
            app.release("/a")
            answer = await asking
            assert answer.endswith(b"/a")
            assert b"connection: close" in answer

    within(6, test)


def test_a_call_that_takes_too_long_is_ended() -> None:
    async def test() -> None:
        app = Held()
        async with running(app, drain_seconds=1.0) as server:
            asking = asyncio.create_task(server.ask(get("/a")))
            while not app.arrived:
                await asyncio.sleep(0.01)
            server.stop()
            assert await asking == b""
            assert app.ended == ["/a"]

    within(6, test)


def test_a_second_stop_ends_what_is_under_way_at_once() -> None:
    async def test() -> None:
        app = Held()
        async with running(app, drain_seconds=600) as server:
            asking = asyncio.create_task(server.ask(get("/a")))
            while not app.arrived:
                await asyncio.sleep(0.01)
            server.stop()
            server.stop()
            assert await asking == b""

    within(5, test)


def test_a_hang_up_while_draining_is_noticed() -> None:
    async def test() -> None:
        ended = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"][EXCHANGE].cancel_on_disconnect()
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        async with running(app, drain_seconds=600) as server:
            _, writer = await server.connect()
            writer.write(get())
            await asyncio.sleep(0.1)
            server.stop()
            writer.close()
            await ended.wait()

    within(5, test)


def test_deadlines_are_kept_while_serving_and_while_draining() -> None:
    async def test() -> None:
        app = Held()
        async with running(app, drain_seconds=600) as server:
            asking = asyncio.create_task(server.ask(get("/a")))
            await asyncio.sleep(1.2)
            before = server.sweeps
            assert before >= 1
            server.stop()
            await asyncio.sleep(1.5)
            assert server.sweeps > before
            app.release("/a")
            await asking

    within(8, test)


def test_a_big_answer_reaches_a_slow_reader_whole() -> None:
    """More than every buffer on the way holds."""

    async def test() -> None:
        size = 8 * 1024 * 1024

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
            for place in range(0, size, 65536):
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": place + 65536 < size})

        async with running(app) as server:
            reader, writer = await server.connect()
            writer.write(get("/", "connection: close"))
            await asyncio.sleep(0.2)
            answer = await reader.read()
            writer.close()
            assert len(answer.partition(b"\r\n\r\n")[2]) == size

    within(10, test)


def test_an_early_refusal_is_read_by_a_client_that_is_still_sending() -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await answer_with(send, b"too much", 413)

        async with running(app) as server:
            reader, writer = await server.connect()
            writer.write(get("/", "content-length: 50000000", method="POST"))
            for _ in range(100):
                writer.write(b"x" * 65536)
                await writer.drain()
            assert (await reader.read()).endswith(b"too much")
            writer.close()

    within(10, test)


def test_both_addresses_of_localhost_are_served() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")

    async def test() -> None:
        sockets = bind("localhost", 0)
        listening = asyncio.Event()
        server = GatewayServer(
            echo, asyncio.get_running_loop(), drain_seconds=1, tls=None, on_listening=listening.set,
            on_stopping=lambda _: None, sweep=lambda: None,
        )  # fmt: skip
        serving = asyncio.create_task(server.run_until_stopped(sockets))
        await listening.wait()
        for each in sockets:
            host, port = each.getsockname()[:2]
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(get("/", "connection: close"))
            assert b"200 OK" in await reader.read()
            writer.close()
        server._stop()
        await serving

    within(5, test)
