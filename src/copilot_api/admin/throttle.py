"""
How often somebody may be wrong at signing in: by the address that they come from, and by the key that they try.

Only failures count, so that nobody who has a key is ever kept waiting by using it; and only where they came from: who
tries from one address locks nobody out at another. Bounded in memory, however many try.
"""

import hashlib
import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from copilot_api.clock import Clock
from copilot_api.keys.models import parse_address

_MOST = 10_000
"""How many addresses, and how many keys, are remembered. The one that failed longest ago is forgotten first."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many failures at once, and one more each so many seconds."""

    burst: int
    seconds: float


PER_ADDRESS = Allowance(10, 30.0)
PER_KEY = Allowance(5, 60.0)


class Failures:
    """The failures of many, by name: for each the moment at which all of its allowance will be there again."""

    def __init__(self, allowance: Allowance, *, most: int = _MOST) -> None:
        self._allowance = allowance
        self._most = most
        self._clear_at: OrderedDict[bytes, float] = OrderedDict()

    def wait_seconds(self, name: bytes, now: float) -> float:
        """How long until this one may be wrong again; 0 for now."""
        allowance = self._allowance
        debt = self._clear_at.get(name, now) - now
        return max(0.0, debt - (allowance.burst - 1) * allowance.seconds)

    def note(self, name: bytes, now: float) -> None:
        """It was wrong."""
        self._clear_at[name] = max(self._clear_at.pop(name, now), now) + self._allowance.seconds
        while len(self._clear_at) > self._most or next(iter(self._clear_at.values())) <= now:
            self._clear_at.popitem(last=False)


class LoginThrottle:
    """See the module."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._addresses = Failures(PER_ADDRESS)
        self._keys = Failures(PER_KEY)

    def wait_seconds(self, address: str | None, secret: str) -> float:
        """How long before this key is looked at from this address; 0 for at once."""
        now = self._clock.monotonic()
        return max(
            self._addresses.wait_seconds(_name_address(address), now), self._keys.wait_seconds(_name_key(secret), now)
        )

    def note_failure(self, address: str | None, secret: str) -> None:
        """It was the wrong key."""
        now = self._clock.monotonic()
        self._addresses.note(_name_address(address), now)
        self._keys.note(_name_key(secret), now)


def _name_address(address: str | None) -> bytes:
    """An address, or the network of an IPv6 one: whoever has one of those has all of its 64 bits to come from."""
    found = parse_address(address)
    if found is None:
        return b""
    if isinstance(found, ipaddress.IPv6Address):
        return found.packed[:8]
    return found.packed


def _name_key(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
