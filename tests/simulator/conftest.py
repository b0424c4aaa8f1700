"""One simulator for all tests of this folder, put back to its defaults before each."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from copilot_api.simulator.options import SimulatorOptions
from copilot_api.simulator.server import RunningSimulator, serve
from tests.simulator.client import Client

Start = Callable[[SimulatorOptions], Client]


@contextlib.contextmanager
def _running(options: SimulatorOptions) -> Iterator[Client]:
    """A simulator in a thread of its own."""
    started: Future[tuple[asyncio.AbstractEventLoop, RunningSimulator]] = Future()

    async def live() -> None:
        async with serve(options=options) as running:
            started.set_result((asyncio.get_running_loop(), running))
            await running.stopped.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    loop, running = started.result(10)
    client = Client(running.app, running.host, running.port)
    try:
        yield client
    finally:
        client.close()
        loop.call_soon_threadsafe(running.stop)
        thread.join()


@pytest.fixture(scope="session")
def _shared() -> Iterator[Client]:
    with _running(SimulatorOptions(device_interval_seconds=0)) as client:
        yield client


@pytest.fixture
def simulator(_shared: Client) -> Iterator[Client]:
    """A simulator with default options; a test that made it stumble over a bug of its own fails."""
    client = Client(_shared.app, _shared.host, _shared.port)
    client.control("/reset")
    try:
        yield client
        assert client.stats()["failures"] == []
    finally:
        client.close()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts simulators with options of the test's choice."""
    with contextlib.ExitStack() as stack:
        yield lambda options: stack.enter_context(_running(options))
