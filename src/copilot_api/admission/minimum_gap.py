"""A minimum time between calls (the original's `--rate-limit`): pure, on the times it is given."""

from copilot_api.errors import LimitReached, RateLimited


class MinimumGap:
    """
    Lets one call through every `seconds`. With `is_waiting` a call too early waits; without, it is refused.
    """

    def __init__(self, seconds: float, *, is_waiting: bool) -> None:
        self.is_waiting = is_waiting
        self._seconds = seconds
        self._next_at = float("-inf")

    def take(self, now: float) -> float:
        """
        Let a call through now, and give 0; or give the seconds until one may come, and nothing is taken. Raises
        `RateLimited` where waiting is not wanted.
        """
        wait = self._next_at - now
        if wait <= 0.0:
            self._next_at = now + self._seconds
            return 0.0
        if not self.is_waiting:
            raise RateLimited(
                f"the gateway lets one call through every {self._seconds:g} s",
                retry_after=wait,
                limit=LimitReached("rate_limit", 1, 1, f"call in {self._seconds:g} s"),
                hint=f"wait {wait:.1f} s, or have the operator start it with --wait",
            )
        return wait
