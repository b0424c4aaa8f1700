"""Traces as they are kept, for tests that list, keep and erase them."""

from typing import Any

from copilot_api.capture.lines import encode_trace, summarise
from copilot_api.capture.models import Leg, Trace
from copilot_api.capture.ring import Kept

AT = "2026-07-01T12:00:00+00:00"


def make_trace(number: int, **more: Any) -> Trace:
    values: dict[str, Any] = {
        "number": number,
        "request_id": f"req_{number}",
        "at": AT,
        "key_id": "key_a",
        "model": "gpt-4.1",
        "status": 200,
        "client_request": Leg(method="POST", target="/v1/chat/completions", body='{"a": 1}'),
    }
    return Trace(**{**values, **more})


def make_line(number: int, **more: Any) -> bytes:
    return encode_trace(make_trace(number, **more))


def make_kept(number: int, *, size: int = 0, **more: Any) -> Kept:
    line = make_line(number, **more)
    if size:
        line = make_line(number, **{**more, "cause": "x" * (size - len(line) - len(',"cause":""'))})
        assert len(line) == size
    return Kept(line, summarise(line), more.get("replay_of_key_id"))
