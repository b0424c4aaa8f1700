"""Puts a simulator on a port: for a process of its own, or inside the event loop of another program."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from copilot_api.simulator.app import SimulatorApp, create_app
from copilot_api.simulator.delivery import TRANSPORT_EXTENSION
from copilot_api.simulator.options import SimulatorOptions

_BACKLOG = 4096
_KEEP_ALIVE_SECONDS = 75
_POLL_SECONDS = 0.02


class _Protocol(HttpToolsProtocol):
    """Shows the application its transport: some faults are no HTTP."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {TRANSPORT_EXTENSION: self.transport}


class _Server(uvicorn.Server):
    """Leaves signals to the program around it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@dataclass(slots=True)
class RunningSimulator:
    """A simulator that listens; `stop` ends it, open streams and all."""

    app: SimulatorApp
    host: str
    port: int
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def stop(self) -> None:
        """Ask it to end; `serve` returns once it has."""
        self.stopped.set()


@contextlib.asynccontextmanager
async def serve(
    host: str = "127.0.0.1", port: int = 0, options: SimulatorOptions | None = None
) -> AsyncGenerator[RunningSimulator]:
    """A simulator for as long as the context is open; port 0 picks a free one."""
    listener = _listen(host, port)
    app = create_app(options)
    running = RunningSimulator(app, host, listener.getsockname()[1])
    server = _Server(_config(app))
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        try:
            yield running
        except Exception as error:  # noqa: BLE001 -- raised again below, not wrapped in the group
            failure = error
        finally:
            await _stop(server, serving)
    if failure is not None:
        raise failure


def _listen(host: str, port: int) -> socket.socket:
    """A socket that names its protocol: without the name asyncio leaves Nagle's algorithm on, at 40 ms a call."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _config(app: SimulatorApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )


async def _stop(server: _Server, serving: asyncio.Task[None]) -> None:
    """End it now: connections are cut until none is left, which also ends the calls on them."""
    server.should_exit = True
    while not serving.done():
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(_POLL_SECONDS)


def run(host: str = "127.0.0.1", port: int = 0, options: SimulatorOptions | None = None) -> None:
    """Serve until SIGTERM or SIGINT; says on standard error where."""
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        runner.run(_run(host, port, options))


def _new_event_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


async def _run(host: str, port: int, options: SimulatorOptions | None) -> None:
    async with serve(host, port, options) as running:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.stop)
        sys.stderr.write(f"listening on {running.url}\n")
        sys.stderr.flush()
        await running.stopped.wait()
