"""Raw traces and captures under way, for tests that copy and redact."""

from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import msgspec

from copilot_api.capture.capturing import Capturing
from copilot_api.capture.copies import Room
from copilot_api.capture.raw import RawLeg, RawTrace
from copilot_api.usage.models import Cause, UsageEvent

SALT = b"s" * 32
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
SECRET = "ghp_" + "Zk4q" * 9
JSON = [(b"content-type", b"application/json")]
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]


def make_raw(**more: Any) -> RawTrace:
    values: dict[str, Any] = {
        "salt": SALT,
        "request_id": "req_1",
        "at": NOON.isoformat(),
        "key_id": "key_a",
        "reason": "key",
        "client": "curl",
        "endpoint": "/v1/chat/completions",
        "client_request": RawLeg(method="POST", target="/v1/chat/completions", headers=JSON, body=b"{}", bytes=2),
    }
    return RawTrace(**{**values, **more})


def make_event(**more: Any) -> UsageEvent:
    event = UsageEvent(
        request_id="req_1", at=NOON.isoformat(), client="curl", endpoint="/v1/chat/completions", cause=Cause.OK
    )
    return msgspec.structs.replace(event, **{"status": 200, "duration": 0.25, "model": "gpt-4.1", **more})


class Sink:
    """Where captures end, as `Captures` is."""

    def __init__(self, max_bytes: int = 10_000_000) -> None:
        self.room = Room(max_bytes)
        self.hasher: Executor = ThreadPoolExecutor(1)
        self.now = 100.0
        self.complete: list[Capturing] = []
        self.reasons: list[str] = []
        self.forgets: list[Capturing] = []

    def monotonic(self) -> float:
        return self.now

    def ended(self, capturing: Capturing) -> None:
        self.complete.append(capturing)

    def dropped(self, capturing: Capturing, reason: str) -> None:
        self.reasons.append(reason)

    def forgotten(self, capturing: Capturing) -> None:
        self.forgets.append(capturing)


def begin(sink: Sink, **more: Any) -> Capturing:
    """A capture that begins now. Needs a running loop."""
    return Capturing(
        sink, make_raw(**{"client_request": RawLeg(method="POST", target="/", headers=JSON), **more}), 100.0
    )
