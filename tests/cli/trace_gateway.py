"""A gateway's local socket in this process, for commands under test."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.local_socket import LocalSocket
from copilot_api.api.responses import answering_errors, send_json
from tests.api.wire import read_whole

Answer = Callable[[str, str, bytes, dict[bytes, bytes]], Any]


@contextmanager
def serving(directory: Path, answer: Answer) -> Iterator[None]:
    """Serve on the socket: what `answer` makes of method, path with query, body and headers, as JSON or raw bytes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_whole(receive)
        target = (scope["raw_path"] + b"?" + scope["query_string"]).decode().removesuffix("?")
        found = answer(scope["method"], target, body, dict(scope["headers"]))
        if isinstance(found, bytes):
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
            )
            await send({"type": "http.response.body", "body": found})
        else:
            await send_json(send, found)

    started, stopping = threading.Event(), threading.Event()

    async def serve() -> None:
        async with LocalSocket(directory, answering_errors(app), lambda _: None):
            started.set()
            while not stopping.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(10)
        yield
    finally:
        stopping.set()
        thread.join()
