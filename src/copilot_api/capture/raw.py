"""
RawTrace: what a call sent and got before it is redacted. It exists in memory only, and is handed to the worker process
that redacts it (`copilot_api.capture.worker`) as one message.
"""

import msgspec

from copilot_api.capture.models import Moment, Reason

Headers = list[tuple[bytes, bytes]]


class RawLeg(msgspec.Struct, kw_only=True):
    """One of the four messages; the fields are those of `Leg`."""

    started_ms: float = 0.0
    ended_ms: float | None = None
    method: str = ""
    target: str = ""
    status: int = 0
    headers: Headers = []
    body: bytes = b""
    """As far as the cap allows."""
    bytes: int = 0
    rest_bytes: int = 0
    rest_digest: str = ""
    timeline: list[Moment] = []
    error: str = ""

    @property
    def media_type(self) -> str:
        """What the body is, as its headers say."""
        for name, value in self.headers:
            if name.lower() == b"content-type":
                return value.decode("latin-1")
        return ""


class RawAttempt(msgspec.Struct, kw_only=True):
    """A try upstream."""

    request: RawLeg
    answer: RawLeg | None = None


class RawTrace(msgspec.Struct, kw_only=True):
    """One call; the fields are those of `Trace`."""

    salt: bytes
    """Equal secrets have equal placeholders under one salt."""
    number: int = 0
    request_id: str
    at: str
    key_id: str | None
    reason: Reason
    replay_of: str = ""
    replay_of_key_id: str | None = None
    client: str
    endpoint: str
    model: str = ""
    upstream_model: str = ""
    stream: bool = False
    status: int = 0
    cause: str = ""
    duration_ms: float = 0.0
    client_request: RawLeg
    attempts: list[RawAttempt] = []
    """The tries upstream, oldest first; the last one is the trace's upstream legs."""
    client_answer: RawLeg | None = None
