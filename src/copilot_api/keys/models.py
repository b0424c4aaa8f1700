"""API keys: who may call. Values only; nothing here reads a clock or a database."""

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from copilot_api.config.budgets import Budget


class Tier(StrEnum):
    """What a key may reach: the data plane only, or the admin plane too."""

    ADMIN = "admin"
    CLIENT = "client"


OBSERVABLE = ("models", "cidrs", "rpm", "tpm", "max_in_flight", "budgets")
"""What of a policy can be only observed; `*` is all of it."""


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """
    What a key may do. A limit that is None is the gateway's default (`limits.default_key`), which may be none.

    Whatever `observe` names is not enforced: what it would have refused is noted in the usage event.
    """

    models: tuple[str, ...] = ("*",)
    """Names as clients use them, or Copilot's ids; `*` is every model."""
    cidrs: tuple[str, ...] = ()
    """The networks it may be used from; none is everywhere."""
    rpm: int | None = None
    """Requests in any 60 seconds."""
    tpm: int | None = None
    """Tokens in any 60 seconds, input and output."""
    max_in_flight: int | None = None
    """Calls at the same time."""
    weight: int = 1
    """Its share of the upstream when calls have to wait, against the weights of the others."""
    budgets: tuple[Budget, ...] = ()
    observe: tuple[str, ...] = ()
    """Members of `OBSERVABLE`, or `*`."""

    def allows_model(self, name: str) -> bool:
        """Whether this key may use the model that clients call `name`."""
        return "*" in self.models or name in self.models

    def observes(self, name: str) -> bool:
        """Whether `name`, a member of `OBSERVABLE`, is only observed."""
        return bool(self.observe) and ("*" in self.observe or name in self.observe)

    def allows_address(self, address: str | None) -> bool:
        """Whether this key may be used from `address`; one that is not known is in no network."""
        if not self.cidrs:
            return True
        found = parse_address(address)
        return found is not None and any([found in network for network in _networks(self.cidrs)])


def parse_address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in `text`; an IPv4 one that came in IPv6's clothes is taken out of them. None for anything else."""
    if text is None:
        return None
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=4096)
def _networks(cidrs: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)


ANONYMOUS = "anonymous"
"""The id of the key that everybody is while authentication is off."""


@dataclass(frozen=True, slots=True)
class CaptureOrder:
    """That a key's calls are captured: what they say is kept, redacted, for an operator to look at."""

    reason: str
    """Why, in the words of whoever ordered it; the key's holder sees it."""
    by: str
    """Who ordered it, or renewed it last."""
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as everyone may see it: its secret is not here, only the prefix that its holder recognises it by."""

    id: str
    label: str
    tier: Tier
    prefix: str
    created_at: datetime
    policy: KeyPolicy = field(default_factory=KeyPolicy)
    not_before: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    capture: CaptureOrder | None = None
    """The last order to capture it; it may be over, see `capture_at`."""

    def is_valid_at(self, now: datetime) -> bool:
        """Whether the key may be used at `now`."""
        return (
            self.revoked_at is None
            and (self.not_before is None or self.not_before <= now)
            and (self.expires_at is None or now < self.expires_at)
        )

    def capture_at(self, now: datetime) -> CaptureOrder | None:
        """The order by which calls of this key are captured at `now`; None when they are not."""
        if self.capture is None or self.revoked_at is not None or self.capture.until <= now:
            return None
        return self.capture


def anonymous_key(since: datetime) -> ApiKey:
    """The key that everybody is while authentication is off."""
    return ApiKey(ANONYMOUS, ANONYMOUS, Tier.CLIENT, "", since)
