"""
How much of something there was in the last 60 seconds: pure, on the times it is given.

A sliding window, kept in slices of a quarter of a second. A slice is let go when its youngest part is 60 seconds old,
so over any 60 seconds no more is let in than the limit; the price is up to a quarter of a second of patience.
"""

from collections import deque

WINDOW_SECONDS = 60.0
SLICE_SECONDS = 0.25


class Slice:
    """What was let in within a quarter of a second. Whoever took some of it may give it back."""

    __slots__ = ("amount", "ends_at", "is_over")

    def __init__(self, ends_at: float) -> None:
        self.amount = 0
        self.ends_at = ends_at
        """When it leaves the window."""
        self.is_over = False


class SlidingWindow:
    """See the module."""

    __slots__ = ("_slices", "_total")

    def __init__(self) -> None:
        self._slices: deque[Slice] = deque()
        self._total = 0

    def total(self, now: float) -> int:
        """How much there was in the last 60 seconds."""
        slices = self._slices
        while slices and slices[0].ends_at <= now:
            gone = slices.popleft()
            gone.is_over = True
            self._total -= gone.amount
        return self._total

    def add(self, amount: int, now: float) -> Slice:
        """Let so much in, now."""
        slices = self._slices
        if not slices or slices[-1].ends_at < now + WINDOW_SECONDS:
            self.total(now)  # whoever only adds keeps no more than those who look
            slices.append(Slice(now + WINDOW_SECONDS + SLICE_SECONDS))
        last = slices[-1]
        last.amount += amount
        self._total += amount
        return last

    def give_back(self, amount: int, taken: Slice) -> None:
        """Some of what was taken turned out not to be needed."""
        if not taken.is_over:
            returned = min(amount, taken.amount)
            taken.amount -= returned
            self._total -= returned

    def wait_for(self, room: int, now: float) -> float:
        """Seconds until so much less is in the window, if nothing more comes; until it is empty at most."""
        self.total(now)
        for piece in self._slices:
            room -= piece.amount
            if room <= 0:
                return piece.ends_at - now
        return self.wait_until_empty(now)

    def wait_until_empty(self, now: float) -> float:
        """Seconds until nothing is counted any more, if nothing more comes."""
        for piece in reversed(self._slices):
            if piece.amount:  # all of it may have been given back
                return max(0.0, piece.ends_at - now)
        return 0.0
