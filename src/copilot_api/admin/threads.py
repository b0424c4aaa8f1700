"""The threads in which pages ask what blocks, the database and files: few, so that no call is held up."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

MAX_AT_ONCE = 2
"""How many questions are answered at the same time; the others wait. More would be no quicker, and slow down calls."""


class PageThreads:
    """See the module."""

    def __init__(self, at_once: int = MAX_AT_ONCE) -> None:
        self._executor = ThreadPoolExecutor(at_once, thread_name_prefix="page")

    async def ask(self, question: Callable[[], T]) -> T:
        """What `question` answers, or raises. Whoever stops waiting before it is begun gives up its place."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, question)

    def stop(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)
