"""A call to the demo that streams until somebody ends it, or the test does."""

import base64
import http.client
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.browser.conftest import Demo

WORDS = 4000


@dataclass
class SlowCall:
    """What its client sees."""

    request_id: str
    ended: threading.Event
    body: bytes = b""


@contextmanager
def slow_call(demo: Demo, model: str = "gpt-4.1") -> Generator[SlowCall]:
    """The call, once its answer has begun."""
    say = base64.urlsafe_b64encode(("word " * WORDS).encode()).decode()
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": f"SIM-SAY:{say}"}]}
    connection = http.client.HTTPConnection(urlsplit(demo.url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {demo.client_key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    call = SlowCall(answer.getheader("x-request-id") or "", threading.Event())

    def read() -> None:
        try:
            while chunk := answer.read1():
                call.body += chunk
        except (OSError, http.client.HTTPException):
            pass
        call.ended.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield call
    finally:
        if connection.sock is not None:
            connection.sock.shutdown(2)
        reader.join(5)
        connection.close()


def call_once(demo: Demo, model: str = "gpt-4.1") -> str:
    """A short call; its request id."""
    connection = http.client.HTTPConnection(urlsplit(demo.url).netloc, timeout=30)
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello."}]}
    headers = {"Authorization": f"Bearer {demo.client_key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.getheader("x-request-id") or ""
