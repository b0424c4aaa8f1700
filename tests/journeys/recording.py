"""An upstream that shows every byte: it passes calls on to the simulator, or answers what a test has it answer."""

import http.client
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

PAUSE_SECONDS = 0.05
"""Between two pieces of an answer: enough for each to be read alone."""


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived: the headers in order, repeated ones too, and the body's bytes."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for found, value in self.headers if found.lower() == name]


@dataclass
class RecordingUpstream:
    """See the module. `answers` go to the next model calls, as events: the pieces of each in a write of their own."""

    simulator_url: str
    requests: list[Recorded] = field(default_factory=list)
    answers: list[tuple[bytes, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self
        parts = urlsplit(self.simulator_url)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                self.answer()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                upstream.requests.append(Recorded(self.command, self.path, tuple(self.headers.items()), body))
                if self.command == "POST" and upstream.answers:
                    self.reply(200, "text/event-stream", *upstream.answers.pop(0))
                    return
                connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
                try:
                    headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                    connection.request(self.command, self.path, body=body or None, headers=headers)
                    response = connection.getresponse()
                    kind = response.getheader("content-type") or "application/json"
                    self.reply(response.status, kind, response.read())
                finally:
                    connection.close()

            def reply(self, status: int, content_type: str, *pieces: bytes) -> None:
                length = sum(map(len, pieces))
                head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
                self.wfile.write(head.encode() + pieces[0])
                for piece in pieces[1:]:
                    time.sleep(PAUSE_SECONDS)
                    self.wfile.write(piece)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the library's name
                """Nothing: pytest's output is for results."""

        return Handler
