"""
Trace: one captured exchange in its four legs, as it is kept and shown.

Everything in a trace has been through `copilot_api.redaction`. What a call sent and got before that is a `RawTrace`,
which exists in memory only, and only until it is redacted.
"""

from typing import Literal

import msgspec

VERSION = 1
Reason = Literal["key", "request", "replay"]
"""Why it was captured: an admin turned it on for the key, asked for it with the request, or sent it again."""


class Moment(msgspec.Struct, frozen=True, array_like=True):
    """One piece of a stream as it passed."""

    ms: float
    """When, in milliseconds since the call arrived."""
    bytes: int


class Cut(msgspec.Struct, frozen=True):
    """What of a body is not kept, since it is over the cap."""

    bytes: int
    digest: str
    """A salted hash of it (HMAC-SHA-256, hex): equal rests within one file have equal digests."""


class Leg(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One of the four messages of an exchange."""

    started_ms: float = 0.0
    """When it began, in milliseconds since the call arrived."""
    ended_ms: float | None = None
    method: str = ""
    """Of a request."""
    target: str = ""
    """Of a request: its path, or the URL upstream."""
    status: int = 0
    """Of an answer; 0 in a request."""
    headers: list[tuple[str, str]] = []
    body: str = ""
    """Its text, redacted: JSON as it was written, or server-sent events."""
    bytes: int = 0
    """How many bytes the whole body had on the wire."""
    cut: Cut | None = None
    timeline: list[Moment] = []
    """Of a streamed answer: each piece as it passed."""
    withheld: str = ""
    """Why the body is not here: the verifier still found something in it, or it is no text."""
    error: str = ""
    """What ended it early."""


class Attempt(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An earlier try upstream of the same call."""

    request: Leg
    answer: Leg | None = None


class Trace(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One captured exchange."""

    version: int = VERSION
    number: int = 0
    """Its place in the order of this process's traces; `Last-Event-ID` of the live tail."""
    request_id: str
    at: str
    """When the call arrived (ISO 8601, UTC)."""
    key_id: str | None = None
    reason: Reason = "key"
    replay_of: str = ""
    """The request id that this one repeats."""
    replay_of_key_id: str | None = None
    """The key whose request it repeats: what its holder sent is in here, and goes when that key's traces are erased."""
    client: str = ""
    endpoint: str = ""
    model: str = ""
    upstream_model: str = ""
    stream: bool = False
    status: int = 0
    cause: str = ""
    duration_ms: float = 0.0
    client_request: Leg
    upstream_request: Leg | None = None
    upstream_answer: Leg | None = None
    client_answer: Leg | None = None
    earlier_attempts: list[Attempt] = []
    redactions: dict[str, int] = {}
    """How often each rule struck."""
    withheld: int = 0
    """How many bodies or headers the verifier did not let pass."""


class TraceSummary(msgspec.Struct, kw_only=True, frozen=True):
    """A trace as a list shows it."""

    number: int
    request_id: str
    at: str
    key_id: str | None
    reason: Reason
    client: str
    endpoint: str
    model: str
    stream: bool
    status: int
    cause: str
    duration_ms: float
    bytes: int
    """How much the trace takes."""
    redactions: int
    withheld: int
