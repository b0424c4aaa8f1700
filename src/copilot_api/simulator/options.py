"""What a simulator can be told before it starts; most of it can be changed later through `/_sim`."""

from dataclasses import dataclass, field
from typing import Literal

from copilot_api.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """The defaults answer at once, never refuse a well-formed call, and move like a Pro account."""

    token_lifetime_seconds: float = 1800.0
    """How long an exchanged Copilot token is accepted."""
    token_refresh_in: int | None = 1500
    """What the token envelope advises; None derives it from the lifetime."""

    device_pending_polls: int = 1
    """How many polls of the device flow answer `authorization_pending` first; negative means all of them."""
    device_interval_seconds: int = 1
    device_expires_in: int = 899

    first_token_seconds: float = 0.0
    gap_seconds: float = 0.0
    tokens: int = 24
    """How many output tokens an unmarked answer has."""

    fault_seconds: float = 1.0
    """How long the faults wait that wait for a while (`slow-headers`, `silence`)."""
    seed: int = 0
    """Where the generator starts that draws for faults with a rate."""

    plan: str = "pro"
    """Which document of `user.json` and envelope of `token.json` an account has."""
    premium_entitlement: int = 300
    premium_used: float = 29.0
    overage_permitted: bool = True
    """False refuses premium calls with 402 once the entitlement is spent."""
    token_based_billing: bool = False
    """True charges every call's AI credits, by its tokens, instead of a multiplier for each turn of a human."""

    messages_backend: Literal["bedrock", "vertex"] = "bedrock"
    """Vertex refuses more: `ttl` in cache_control, `strict` tools, structured output."""
    request_log_size: int = 10_000
    request_log_bytes: int = 64 * 1024 * 1024
    max_body_bytes: int = 32 * 1024 * 1024
    clock: Clock = field(default_factory=SystemClock)
