"""A simulator can be a process of its own, or a guest in another program's event loop."""

import asyncio
import signal
import socket
import subprocess
import sys
import time

import aiohttp
import pytest

from copilot_api.simulator.server import serve
from tests.simulator.client import CHAT, question

RUN = "from copilot_api.simulator.server import run; run('127.0.0.1', 0)"
DIRECT = {"authorization": "Bearer gho_sample"}


def test_sigterm_ends_the_process_with_zero_even_with_open_streams() -> None:
    with subprocess.Popen([sys.executable, "-c", RUN], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("listening on http://127.0.0.1:")
        port = int(line.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as stalled:
            body = b'{"model":"gpt-4.1","stream":true,"messages":[{"role":"user","content":"SIM-FAULT:stall"}]}'
            head = (
                f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer gho_a\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            stalled.sendall(head.encode() + body)
            assert stalled.recv(12) == b"HTTP/1.1 200"
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
            assert time.monotonic() - begun < 2
        assert process.stderr.read() == ""


def test_port_zero_picks_a_free_one_and_the_context_ends_the_server() -> None:
    async def visit() -> int:
        async with serve() as running, aiohttp.ClientSession(headers=DIRECT) as session:
            async with session.get(f"{running.url}/models") as response:
                assert response.status == 200
            stalled = question(CHAT, "SIM-FAULT:stall") | {"stream": True}
            async with session.post(f"{running.url}{CHAT}", json=stalled) as response:
                await response.content.readany()
                return running.port

    port = asyncio.run(visit())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_an_error_in_the_context_comes_out_as_itself() -> None:
    async def fail() -> None:
        async with serve():
            raise KeyError("mine")

    with pytest.raises(KeyError):
        asyncio.run(fail())


def test_calls_on_an_open_connection_do_not_wait_for_acknowledgements() -> None:
    """Twenty calls one after the other would take 0.8 s if every answer's second segment were held back."""

    async def visit() -> float:
        async with serve() as running, aiohttp.ClientSession(headers=DIRECT) as session:
            begun = time.monotonic()
            for _ in range(20):
                async with session.get(f"{running.url}/_ping") as response:
                    await response.read()
            return time.monotonic() - begun

    assert asyncio.run(visit()) < 0.6


def test_a_port_that_is_taken_is_an_error() -> None:
    async def visit() -> None:
        async with serve() as running, serve(port=running.port):
            raise AssertionError("two listen on one port")

    with pytest.raises(OSError, match="in use"):
        asyncio.run(visit())


def test_two_simulators_in_one_loop_share_nothing() -> None:
    async def visit() -> list[int]:
        async with serve() as one, serve() as other, aiohttp.ClientSession(headers=DIRECT) as session:
            async with session.get(f"{one.url}/models"):
                pass
            return [one.app.simulation.stats.requests, other.app.simulation.stats.requests]

    assert asyncio.run(visit()) == [1, 0]
