"""
The traces in memory: the newest ones, as many as fit into so many bytes.

What is kept is the line that a file would hold, and its summary. May be used from any thread.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from copilot_api.capture.models import TraceSummary

RING_BYTES = 64 * 1024 * 1024
OVERHEAD_BYTES = 2048
"""What a trace takes beside its line: its summary, its places in two tables. Measured, and rounded up."""


class Kept(msgspec.Struct, frozen=True):
    """One trace in memory."""

    line: bytes
    summary: TraceSummary
    replay_of_key_id: str | None = None

    def is_of(self, key_id: str) -> bool:
        """Whether it holds what this key's holder sent, or the answer to it."""
        return key_id in (self.summary.key_id, self.replay_of_key_id)


class Ring:
    """See the module."""

    def __init__(self, max_bytes: int = RING_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Kept] = OrderedDict()
        self._numbers: dict[str, int] = {}
        self.bytes = 0
        """What all of it takes."""
        self.gone = 0
        """The largest number that had to make room; 0 while none had to."""

    def add(self, kept: Kept, is_wanted: Callable[[], bool] = lambda: True) -> bool:
        """
        Keep a trace, the newest of all; the oldest ones make room, and one that is larger than the ring is gone at
        once. `is_wanted` is asked under the lock under which keys are forgotten; says whether it was wanted.
        """
        size = _size(kept)
        with self._lock:
            if not is_wanted():
                return False
            while self._kept and self.bytes + size > self._max_bytes:
                self._drop_oldest()
            self._kept[kept.summary.number] = kept
            self._numbers[kept.summary.request_id] = kept.summary.number
            self.bytes += size
            if self.bytes > self._max_bytes:
                self._drop_oldest()
        return True

    def find(self, request_id: str) -> bytes | None:
        """The line of this call's trace."""
        with self._lock:
            number = self._numbers.get(request_id)
            return None if number is None else self._kept[number].line

    def list_summaries(self) -> list[TraceSummary]:
        """All of them, newest first."""
        with self._lock:
            return [kept.summary for kept in reversed(self._kept.values())]

    def list_after(self, number: int) -> list[TraceSummary]:
        """Those with a larger number, oldest first."""
        with self._lock:
            newest_first = reversed(self._kept.values())
            found = list(_take_while_after(newest_first, number))
        return found[::-1]

    def oldest(self) -> int | None:
        """The smallest number that is here."""
        with self._lock:
            return next(iter(self._kept), None)

    def forget_key(self, key_id: str) -> int:
        """Drop what this key's calls left; says how many traces that were."""
        with self._lock:
            found = [number for number, kept in self._kept.items() if kept.is_of(key_id)]
            for number in found:
                self._drop(number)
        return len(found)

    def forget_before(self, moment: datetime) -> int:
        """Drop the traces of calls that arrived before that moment; says how many."""
        with self._lock:
            found = [number for number, kept in self._kept.items() if datetime.fromisoformat(kept.summary.at) < moment]
            for number in found:
                self.gone = max(self.gone, number)
                self._drop(number)
        return len(found)

    def key_ids(self) -> set[str]:
        """Whose traces are here."""
        with self._lock:
            owners = {key_id for kept in self._kept.values() for key_id in (kept.summary.key_id, kept.replay_of_key_id)}
        return {key_id for key_id in owners if key_id is not None}

    def __len__(self) -> int:
        return len(self._kept)

    def _drop_oldest(self) -> None:
        self.gone = next(iter(self._kept))
        self._drop(self.gone)

    def _drop(self, number: int) -> None:
        kept = self._kept.pop(number)
        self._numbers.pop(kept.summary.request_id, None)
        self.bytes -= _size(kept)


def _take_while_after(newest_first: Iterator[Kept], number: int) -> Iterator[TraceSummary]:
    for kept in newest_first:
        if kept.summary.number <= number:
            return
        yield kept.summary


def _size(kept: Kept) -> int:
    return len(kept.line) + OVERHEAD_BYTES
