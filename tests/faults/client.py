"""Clients that misbehave, or watch closely what they get; and calls as they make them."""

import http.client
import json
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

CHAT = "/v1/chat/completions"
MODEL = "gpt-4.1"
CLAUDE = "claude-sonnet-4.6"
"""Its stream has nothing before the first piece of output, where OpenAI's has a preamble."""


def chat(text: str = "hi", *, model: str = MODEL, stream: bool = False, **fields: Any) -> dict[str, Any]:
    """A chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream, **fields}


@dataclass(frozen=True)
class Answer:
    """What a client got. Status 0: nothing that is HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool
    """Whether it ended as HTTP says that it ends."""

    @property
    def request_id(self) -> str:
        return self.headers["x-request-id"]

    @property
    def payloads(self) -> list[Any]:
        """The data of each event of a stream, decoded; `[DONE]` as that string."""
        return [
            data.decode() if data == b"[DONE]" else json.loads(data)
            for line in self.body.split(b"\n")
            if line.startswith(b"data: ") and (data := line[6:])
        ]

    @property
    def text(self) -> str:
        """What the model said, streamed or not."""
        if "event-stream" not in self.headers["content-type"]:
            return "".join(choice["message"]["content"] or "" for choice in json.loads(self.body)["choices"])
        chunks = [payload for payload in self.payloads if isinstance(payload, dict)]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk.get("choices") or []]
        return "".join(delta.get("content") or "" for delta in deltas)

    @property
    def is_complete_stream(self) -> bool:
        """Whether a client would take it for the whole answer."""
        return self.is_whole and self.payloads[-1:] == ["[DONE]"]

    @property
    def error(self) -> dict[str, Any]:
        """The error, from the body or from the last event."""
        document = self.payloads[-1] if "event-stream" in self.headers["content-type"] else json.loads(self.body)
        error: dict[str, Any] = document["error"]
        return error


def ask(
    url: str,
    key: str,
    body: dict[str, Any],
    *,
    path: str = CHAT,
    headers: dict[str, str] | None = None,
    seconds: float = 20.0,
) -> Answer:
    """One call on a connection of its own, to its end."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        sent = {"authorization": f"Bearer {key}", "content-type": "application/json", **(headers or {})}
        try:
            connection.request("POST", path, json.dumps(body).encode(), sent)
            response = connection.getresponse()
        except (http.client.HTTPException, ConnectionError):
            return Answer(0, {}, b"", is_whole=False)
        received = {name.lower(): value for name, value in response.getheaders()}
        try:
            return Answer(response.status, received, response.read(), is_whole=True)
        except http.client.IncompleteRead as error:
            return Answer(response.status, received, error.partial, is_whole=False)
        except ConnectionError:
            return Answer(response.status, received, b"", is_whole=False)
    finally:
        connection.close()


class Caller:
    """A client's end of one connection, to be held, starved, closed or reset at any moment."""

    def __init__(self, url: str, *, receive_buffer: int | None = None, seconds: float = 20.0) -> None:
        parts = urlsplit(url)
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds)
        self.socket.connect((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def send_head(self, key: str, length: int, *lines: str, path: str = CHAT) -> None:
        """Announce a call with a body of `length` bytes."""
        fields = [f"authorization: Bearer {key}", f"content-length: {length}", "content-type: application/json", *lines]
        head = "".join(f"{field}\r\n" for field in ("host: gateway", *fields))
        self.socket.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())

    def send_call(self, key: str, body: dict[str, Any], *, path: str = CHAT) -> None:
        """Send a whole call."""
        data = json.dumps(body).encode()
        self.send_head(key, len(data), path=path)
        self.socket.sendall(data)

    def read_until(self, mark: bytes, count: int = 1) -> bytes:
        """All that came, up to the moment when `mark` has come `count` times."""
        while self.received.count(mark) < count:
            data = self.socket.recv(65536)
            if not data:
                raise AssertionError(f"the connection ended before {mark!r}: {self.received!r}")
            self.received += data
        return self.received

    def read_to_end(self) -> bytes:
        """All that came, once the other side has closed; a reset leaves a mark."""
        try:
            while data := self.socket.recv(65536):
                self.received += data
        except ConnectionResetError:
            self.received += b"<reset>"
        return self.received

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def reset(self) -> None:
        """Hang up with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def poll(seconds: float, pause: float = 0.002) -> Iterator[float]:
    """Once every `pause`, the seconds that have passed; ends after `seconds`."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        yield passed
        time.sleep(pause)
