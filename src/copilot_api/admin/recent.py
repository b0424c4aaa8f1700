"""
Answers that are asked for again and again, kept for a moment.

An overview is open in several tabs, and each renews itself: what they all show is found once. Whoever comes while it is
being found waits for the same answer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from copilot_api.clock import Clock

T = TypeVar("T")

MAX_KEPT = 64


@dataclass(slots=True)
class _Kept:
    asked_at: float
    answer: "asyncio.Future[Any]"


class RecentAnswers:
    """See the module. Belongs to one event loop."""

    def __init__(self, clock: Clock, most: int = MAX_KEPT) -> None:
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    async def get(self, name: Hashable, max_age_seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
        """
        The answer of that name if it is no older than that, else what `ask` finds. What it raises is raised, and not
        kept; whoever finds an answer for others stops when it is cancelled, and the next of them asks again.
        """
        while True:
            now = self._clock.monotonic()
            kept = self._kept.get(name)
            if kept is None or (kept.answer.done() and now - kept.asked_at > max_age_seconds):
                return await self._find(name, now, ask)
            try:
                return cast("T", await asyncio.shield(kept.answer))
            except asyncio.CancelledError:
                if not kept.answer.cancelled():
                    raise  # it is this caller who is cancelled, not the one who asks

    async def _find(self, name: Hashable, now: float, ask: Callable[[], Awaitable[T]]) -> T:
        kept = _Kept(now, asyncio.get_running_loop().create_future())
        self._kept[name] = kept
        self._kept.move_to_end(name)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        try:
            answer = await ask()
        except BaseException as error:
            if self._kept.get(name) is kept:
                del self._kept[name]
            if isinstance(error, Exception):
                kept.answer.set_exception(error)
                kept.answer.exception()  # nobody may wait for it: then it is not said that nobody looked
            else:
                kept.answer.cancel()
            raise
        kept.answer.set_result(answer)
        return answer
