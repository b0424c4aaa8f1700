"""
A usage event: one exchange as a row of the ledger.

It never holds a body, a prompt, or a header value.
"""

from enum import StrEnum

import msgspec


class Cause(StrEnum):
    """How a call ended; the vocabulary is closed."""

    OK = "ok"
    CLIENT_ABORTED = "client_aborted"
    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    MODEL_NOT_FOUND = "model_not_found"
    RATE_LIMITED = "rate_limited"
    OVER_BUDGET = "over_budget"
    QUEUE_TIMEOUT = "queue_timeout"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_CUT = "upstream_cut"
    INTERRUPTED = "interrupted"
    INTERNAL = "internal"


class UsageEvent(msgspec.Struct, kw_only=True, omit_defaults=False, gc=False):
    """One call, from its arrival to its end. Times are seconds; `at` is the arrival, ISO 8601 in UTC."""

    request_id: str
    at: str
    key_id: str | None = None
    identity_id: str | None = None
    client: str = "other"
    """Which program called, from a closed list; see `copilot_api.api.client_program`."""
    endpoint: str = ""
    model: str | None = None
    """The name that the caller used."""
    upstream_model: str | None = None
    upstream_endpoint: str | None = None
    stream: bool = False
    status: int = 0
    """The HTTP status that the caller got; 0 when none was sent."""
    cause: Cause = Cause.INTERNAL
    input_tokens: int = 0
    """All input, cached or not."""
    output_tokens: int = 0
    """All output, reasoning included."""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    usage_unknown: bool = False
    """True when the upstream was called and did not say what the call consumed."""
    nano_aiu: int | None = None
    """Copilot's charge in 1e-9 AI credits; None when neither Copilot nor a price tells it."""
    premium_requests: float = 0.0
    initiator: str | None = None
    effort: str | None = None
    queue_seconds: float = 0.0
    time_to_first_token: float | None = None
    duration: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    nano_aiu_estimated: bool = False
    """True when the charge is ours, from the model's prices: Copilot did not say."""
    estimated_tokens: int = 0
    """What budgets count for a call whose usage is not known."""
    would_limit: str | None = None
    """The limits, with commas between them, that would have refused the call, were they not only observed."""
    fallback_from: str | None = None
    """The id of the model that the call was meant for, where another one took its place."""
    kind: str = "turn"
    """What the call was for, as far as its client shows it, from a closed list; see `copilot_api.gateway.kinds`."""
