"""HTTP as it is on the wire: every header, every byte, and when it came."""

import http.client
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

SECONDS = 30.0
CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Answer:
    """One answer, read to its end; `is_cut` where that end was not the proper one."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    is_cut: bool = False

    @property
    def request_id(self) -> str:
        """What the gateway calls this exchange."""
        return self.headers["x-request-id"]

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error of the OpenAI envelope, whether it is the body or the last event of a stream."""
        document = self.events[-1] if self.is_streamed else self.json
        assert set(document) == {"error"}, document
        error = document["error"]
        assert set(error) - {"limit"} == {"message", "type", "param", "code"}, error
        return dict(error)

    @property
    def is_streamed(self) -> bool:
        """Whether it came as events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def data(self) -> list[str]:
        """The payload of each event."""
        blocks = self.body.decode().split("\n\n")
        return [block.removeprefix("data: ") for block in blocks if block.startswith("data: ")]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that hold JSON."""
        return [json.loads(data) for data in self.data if data != "[DONE]"]

    @property
    def is_done(self) -> bool:
        """Whether the stream ended as streams of this protocol end."""
        return bool(self.data) and self.data[-1] == "[DONE]"

    @property
    def text(self) -> str:
        """What the model said, whole or streamed."""
        if not self.is_streamed:
            return str(self.json["choices"][0]["message"]["content"])
        choices = [choice for event in self.events for choice in event.get("choices") or ()]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


@contextmanager
def opened(
    url: str,
    path: str,
    body: Any = None,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
    seconds: float = SECONDS,
) -> Iterator[http.client.HTTPResponse]:
    """An answer that is still arriving. `body` goes out as it is when it is bytes, else as JSON."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    try:
        method = method or ("GET" if data is None else "POST")
        connection.request(method, path, body=data, headers={**fields, **(headers or {})})
        response = connection.getresponse()
        try:
            yield response
        finally:
            response.close()
    finally:
        connection.close()


def send(
    url: str,
    path: str,
    body: Any = None,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
    seconds: float = SECONDS,
) -> Answer:
    """One call, read to its end."""
    began = time.monotonic()
    with opened(url, path, body, key=key, headers=headers, method=method, seconds=seconds) as response:
        fields = {name.lower(): value for name, value in response.getheaders()}
        try:
            content, is_cut = response.read(), False
        except http.client.IncompleteRead as cut:
            content, is_cut = cut.partial, True
        return Answer(response.status, fields, content, time.monotonic() - began, is_cut)


def send_all(url: str, path: str, bodies: Iterable[Any], *, key: str, at_once: int = 16) -> list[Answer]:
    """Many calls side by side, their answers in the order of the bodies."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda body: send(url, path, body, key=key), bodies))
