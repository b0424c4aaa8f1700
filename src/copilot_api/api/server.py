"""uvicorn's server loop around our protocol class: listening, draining, and an end with exit code 0."""

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Callable, Generator
from typing import Any

import uvicorn

from copilot_api.api.http_exchange import Application
from copilot_api.api.http_protocol import HttpConnection, HttpServer

SWEEP_SECONDS = 1.0


class GatewayServer(uvicorn.Server):
    """Serves one application. `on_stopping` hears the moment when no new calls are taken."""

    def __init__(
        self,
        app: Application,
        loop: asyncio.AbstractEventLoop,
        *,
        drain_seconds: float,
        tls: ssl.SSLContext | None,
        on_listening: Callable[[], None],
        on_stopping: Callable[[int], None],
        sweep: Callable[[], None],
    ) -> None:
        self.http = HttpServer(app, loop)
        config = uvicorn.Config(
            app,
            http=self._make_connection,  # type: ignore[arg-type] # any callable that makes a protocol
            ws="none",
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=max(1, int(drain_seconds)),
            backlog=2048,
        )
        super().__init__(config)
        config.load()
        config.ssl = tls
        self.server_state.connections = self.http.connections  # type: ignore[assignment] # the set that it waits for
        self.server_state.tasks = self.http.tasks
        self._on_listening = on_listening
        self._on_stopping = on_stopping
        self._sweep = sweep

    def _make_connection(self, **_: Any) -> HttpConnection:
        return HttpConnection(self.http)

    async def run_until_stopped(self, sockets: list[socket.socket]) -> None:
        """Serve until SIGTERM or SIGINT; the first lets calls under way finish, the second ends them."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        try:
            await self._serve(sockets)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        if self.should_exit:
            self.force_exit = True
            for task in list(self.http.tasks):
                task.cancel("stopped")
        else:
            self.should_exit = True
            self._on_stopping(len(self.http.tasks))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn. Whoever reads that we listen may call or stop us at once."""
        await super().startup(sockets)
        self._on_listening()

    async def on_tick(self, counter: int) -> bool:
        """See uvicorn; called ten times a second."""
        if counter % int(10 * SWEEP_SECONDS) == 0:
            self._tick()
        return self.should_exit

    def _tick(self) -> None:
        self.http.tick()
        self._sweep()

    async def _wait_tasks_to_complete(self) -> None:
        # uvicorn's loop without its sweep: calls that drain still need their keep-alives and their deadlines.
        ticks = 0
        while (self.http.connections or self.http.tasks) and not self.force_exit:
            ticks += 1
            if ticks % 10 == 0:
                self._tick()
                await asyncio.sleep(0.1)
        for server in self.servers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await server.wait_closed()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are `run_until_stopped`'s: uvicorn would raise them again and die of them."""
        yield
