"""
A client that speaks bytes: sends whatever it is told to and reads what comes back, each within a bound.

It knows just enough HTTP to tell where one answer ends and the next begins. What it reads it also checks: an answer that
no client could read (two lengths, a body of another length, a status line that is none) fails the test.
"""

import json
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

SECONDS = 10.0
"""No probe may take longer."""


@dataclass(frozen=True)
class Answer:
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    continued: bool = False
    """Whether `100 Continue` came before it."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def is_last(self) -> bool:
        """Whether the server says that it closes the connection after this answer."""
        return self.headers.get("connection", "").lower() == "close"


class Raw:
    """One connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.host = f"{parts.hostname}:{parts.port}"
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=SECONDS)
        self.deadline = time.monotonic() + SECONDS
        self.buffer = b""
        self.is_ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *pieces: bytes, pause: float = 0.0) -> bool:
        """Send the pieces; False when the server no longer takes them."""
        for piece in pieces:
            self.socket.settimeout(max(0.01, self.deadline - time.monotonic()))
            try:
                self.socket.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                return False
            if pause:
                time.sleep(pause)
        return True

    def send_slowly(self, data: bytes, size: int) -> None:
        """Send `data` in writes of `size` bytes."""
        self.send(*(data[start : start + size] for start in range(0, len(data), size)), pause=0.001)

    def _more(self) -> bool:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise AssertionError(f"no whole answer within {SECONDS} s; so far: {self.buffer[:300]!r}")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError(f"no whole answer within {SECONDS} s; so far: {self.buffer[:300]!r}") from None
        except ConnectionResetError:
            data = b""
        self.buffer += data
        self.is_ended = not data
        return bool(data)

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self.buffer:
            if not self._more():
                return None
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def read(self, *, method: str = "GET") -> Answer | None:
        """The next answer, or None when the server closed the connection without one."""
        continued = False
        while True:
            head = self._until(b"\r\n\r\n")
            if head is None:
                assert self.buffer == b"", f"half an answer: {self.buffer[:300]!r}"
                return None
            lines = head.split(b"\r\n")
            version, status, _ = lines[0].split(b" ", 2)
            assert version == b"HTTP/1.1", head
            if status != b"100":
                break
            continued = True
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            assert colon, head
            key = name.decode("ascii").lower()
            assert key not in headers, f"{key} is repeated: {head!r}"
            headers[key] = value.strip().decode("ascii")
        return Answer(int(status), headers, self._read_body(headers, int(status), method), continued)

    def _read_body(self, headers: dict[str, str], status: int, method: str) -> bytes:
        assert not {"content-length", "transfer-encoding"} <= headers.keys(), headers
        if method == "HEAD" or status in {204, 304}:
            return b""
        if "content-length" in headers:
            length = int(headers["content-length"])
            while len(self.buffer) < length:
                assert self._more(), "the body is shorter than its content-length"
            body, self.buffer = self.buffer[:length], self.buffer[length:]
            return body
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size = self._until(b"\r\n")
                assert size is not None, "the chunks do not end"
                length = int(size, 16)
                while len(self.buffer) < length + 2:
                    assert self._more(), "a chunk is cut"
                body += self.buffer[:length]
                assert self.buffer[length : length + 2] == b"\r\n"
                self.buffer = self.buffer[length + 2 :]
                if length == 0:
                    return body
        while self._more():
            pass
        body, self.buffer = self.buffer, b""
        return body

    def read_all(self) -> list[Answer]:
        """Every answer until the server closes; the last one must have said so, or the client must have left."""
        answers: list[Answer] = []
        while (answer := self.read()) is not None:
            answers.append(answer)
        return answers

    def is_closed(self) -> bool:
        """Wait for the server's end of the connection: nothing more may come before it."""
        while self._more():
            pass
        return self.buffer == b""


def request(
    method: str = "GET",
    target: str = "/healthz",
    body: bytes | None = None,
    *,
    headers: Iterable[tuple[str, str]] = (),
    key: str | None = None,
    version: str = "HTTP/1.1",
) -> bytes:
    """A well-formed request, unless the parts are not."""
    lines = [f"{method} {target} {version}", "host: gateway"]
    if key is not None:
        lines.append(f"authorization: Bearer {key}")
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None and not any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in headers):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def check_refusal(answer: Answer | None, *statuses: int) -> dict[str, Any]:
    """What every refusal looks like: JSON, the OpenAI envelope, a request id, and nothing of our insides."""
    assert answer is not None, "the connection was closed without an answer"
    assert answer.status in statuses, (answer.status, answer.body[:300])
    assert answer.headers["content-type"] == "application/json", answer.headers
    request_id = answer.headers["x-request-id"]
    assert request_id.startswith("req_")
    assert b"Traceback" not in answer.body
    assert b"<html" not in answer.body.lower()
    document = answer.json
    assert list(document) == ["error"], document
    error = document["error"]
    assert error.keys() == {"message", "type", "param", "code"}, error
    assert isinstance(error["message"], str)
    assert request_id in error["message"]
    assert isinstance(error["type"], str)
    assert isinstance(error["code"], str)
    assert error["param"] is None or isinstance(error["param"], str)
    return dict(error)
