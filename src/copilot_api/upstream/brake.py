"""
The brake: how many calls of one identity Copilot tolerates right now. Pure, on the times it is given.

Additive increase, multiplicative decrease: a sign that it is too much halves the slots, once for all calls that were
under way when it came; answers bring them back one by one. A `429` is such a sign at once, failures are when they pile
up, since a single one is everyday life. Where `429` follows upon `429` with no answer in between, Copilot means it:
until its `Retry-After` is over, calls are paced, too.

An explicit sign of abuse is another matter: it stops the identity until somebody resumes it.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from copilot_api.errors import (
    AccountFlagged,
    GatewayError,
    UpstreamCut,
    UpstreamFailed,
    UpstreamForbidden,
    UpstreamRateLimited,
    UpstreamTimeout,
)

RECOVERY_SECONDS = 2.0
"""Slots come back by answers, and no faster than one in this time."""
IDLE_RECOVERY_SECONDS = 30.0
"""Without any calls one comes back in this time, after `Retry-After` is over."""
MAX_HOLD_SECONDS = 600.0
"""For how long a `Retry-After` is believed; then a call may try. Some name hours."""
WATCHED_OUTCOMES, TOO_MANY_FAILURES = 20, 8
"""So many failures among so many calls are too many."""
LEAST_SHARE = 4
"""Braking leaves a quarter of the slots: a call that hangs must not shut everybody out. Pacing goes on from there."""
TOLERATED_STRIKES = 40
"""
From how many `429` about the account in a row on, with no other reply in between, calls are paced. Fewer may be one
client that does not wait.
"""
_OF_ONE_MODEL = {"user_model_rate_limited", "model_overloaded", "upstream_provider_rate_limit"}
FIRST_GAP_SECONDS, MAX_GAP_SECONDS = 0.25, 5.0

_FAILURES = (UpstreamFailed, UpstreamTimeout, UpstreamCut, UpstreamForbidden)


@dataclass(frozen=True, slots=True)
class Stop:
    """Why an identity is stopped, and since when."""

    at: datetime
    reason: str


class Brake:
    """See the module."""

    def __init__(
        self,
        most: int,
        *,
        on_braked: Callable[[int, str], None] = lambda _slots, _reason: None,
        on_flagged: Callable[[AccountFlagged], None] = lambda _: None,
    ) -> None:
        self.most = most
        """The slots when all is well."""
        self.stop: Stop | None = None
        """Set while the identity is stopped."""
        self.strikes = 0
        """How many `429` came in a row."""
        self._slots = most
        self._on_braked = on_braked
        self._on_flagged = on_flagged
        self._changed_at = self._braked_at = -math.inf
        self._hold_until = -math.inf
        self._last_start = -math.inf
        self._answers = 0
        self._failed: deque[bool] = deque(maxlen=WATCHED_OUTCOMES)

    @property
    def last_start(self) -> float:
        """When the last call went upstream; minus infinity before the first."""
        return self._last_start

    def resize(self, most: int, now: float) -> None:
        """The operator wants so many slots when all is well."""
        if self._slots == self.most or self._slots > most:
            self._set(most, now)
        self.most = most

    def slots(self, now: float) -> int:
        """How many calls may be under way."""
        if self._slots < self.most:
            self._recover_by_time(now)
        return self._slots

    def pause(self, now: float) -> float:
        """Seconds until the next call may start, for pacing; 0 as a rule."""
        if not self.strikes or not self.is_paced(now):
            return 0.0
        gap = min(MAX_GAP_SECONDS, FIRST_GAP_SECONDS * 2.0 ** min(10, self.strikes - TOLERATED_STRIKES))
        return max(0.0, self._last_start + gap - now)

    def is_paced(self, now: float) -> bool:
        """Whether Copilot limits the account, beyond doubt."""
        return self.strikes >= TOLERATED_STRIKES and now < self._hold_until

    def hold_seconds(self, now: float) -> float:
        """How much of Copilot's `Retry-After` is left."""
        return min(MAX_HOLD_SECONDS, max(0.0, self._hold_until - now))

    def started(self, now: float) -> None:
        """A call goes upstream."""
        self._last_start = now

    def answered(self, now: float) -> None:
        """Copilot answered a call."""
        self.strikes = 0
        self._failed.append(False)
        if self._slots >= self.most:
            return
        self._answers += 1
        if self._answers >= self._slots and now - self._changed_at >= RECOVERY_SECONDS:
            self._set(self._slots + 1, now)

    def refused(self, error: GatewayError, began: float, now: float) -> None:
        """Copilot refused a call that began then, or failed on it."""
        if isinstance(error, UpstreamRateLimited):
            self.strikes = 0 if _is_of_one_model(error) else self.strikes + 1
            self._hold_until = max(self._hold_until, now + min(error.retry_after or 0.0, MAX_HOLD_SECONDS))
            self._brake(error.message, began, now)
            return
        self.strikes = 0
        if isinstance(error, AccountFlagged):
            self._on_flagged(error)
        elif isinstance(error, _FAILURES):
            self._failed.append(True)
            if sum(self._failed) >= TOO_MANY_FAILURES:
                self._failed.clear()
                self._brake(f"{TOO_MANY_FAILURES} of the last calls failed: {error.message}", began, now)

    def resume(self, now: float) -> None:
        """The operator says that all is well again: slots come back one by one."""
        self.stop, self.strikes, self._hold_until = None, 0, -math.inf
        self._set(1, now)

    def _brake(self, reason: str, began: float, now: float) -> None:
        """Halve the slots, unless it was done since the call began: what it ran into is known already."""
        if began < self._braked_at:
            return
        self._braked_at = now
        slots = min(self._slots, max(1, self.most // LEAST_SHARE, self._slots // 2))
        if slots < self._slots:
            self._on_braked(slots, reason)
        self._set(slots, now)

    def _recover_by_time(self, now: float) -> None:
        steps = int((now - max(self._changed_at, self._hold_until)) // IDLE_RECOVERY_SECONDS)
        if steps > 0:
            self._set(min(self.most, self._slots + steps), now)

    def _set(self, slots: int, now: float) -> None:
        self._slots, self._changed_at, self._answers = slots, now, 0


def _is_of_one_model(error: UpstreamRateLimited) -> bool:
    """Whether a limit says nothing of the account: other models may well answer (protocol reference, 11)."""
    return error.actual_status == 503 or (error.upstream_code or "").partition(":")[0] in _OF_ONE_MODEL
