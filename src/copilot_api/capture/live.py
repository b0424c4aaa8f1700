"""
The live tail: every trace as it is kept, for those who watch.

A watcher who reads too slowly misses traces and is told how many; nobody waits for it. All of it happens in the event
loop.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec

from copilot_api.capture.models import TraceSummary

SUMMARY_BYTES = 512
"""About what a summary takes while it waits for its watcher."""


class Gap(msgspec.Struct, frozen=True):
    """So many traces are missing here: they came faster than they were read, or are not in memory any more."""

    missed: int


class Subscription:
    """
    One watcher's traces, in order: `async for item in subscription`, or `await subscription.next()`, which may be
    cancelled at any moment and loses nothing. Close it, or use it as a context manager.
    """

    def __init__(
        self, watchers: set["Subscription"], max_bytes: int, past: Iterable[TraceSummary] = (), missed: int = 0
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._watchers = watchers
        self._most = max(1, max_bytes // SUMMARY_BYTES)
        self._waiting: deque[TraceSummary] = deque()
        self._missed = missed
        self._news = asyncio.Event()
        self.is_closed = False
        watchers.add(self)
        for summary in past:
            self.tell(summary)

    def tell(self, summary: TraceSummary) -> None:
        """A trace is kept. The oldest one that waits gives way where there is no room."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(summary)
        self._news.set()

    async def next(self) -> TraceSummary | Gap | None:
        """The next trace, or how many are missing before it; None once it is closed."""
        while not (self._missed or self._waiting or self.is_closed):
            self._news.clear()
            await self._news.wait()
        if self.is_closed:
            return None
        if self._missed:
            gap, self._missed = Gap(self._missed), 0
            return gap
        return self._waiting.popleft()

    def close(self) -> None:
        """No more; whoever waits for the next one is told."""
        self.is_closed = True
        self._waiting.clear()
        self._watchers.discard(self)
        self._news.set()

    def forget_key(self, key_id: str) -> None:
        """What waits here of this key is not told any more. May be called from any thread."""
        with suppress(RuntimeError):  # the loop is closed, and nobody watches
            self._loop.call_soon_threadsafe(self._forget, key_id)

    def _forget(self, key_id: str) -> None:
        self._waiting = deque(summary for summary in self._waiting if summary.key_id != key_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TraceSummary | Gap:
        item = await self.next()
        if item is None:
            raise StopAsyncIteration
        return item
