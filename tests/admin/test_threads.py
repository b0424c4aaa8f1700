"""Questions that block are answered beside the loop, few at once."""

import asyncio
import threading

import pytest

from copilot_api.admin.threads import MAX_AT_ONCE, PageThreads


def test_a_question_is_answered_in_a_thread_of_the_pages() -> None:
    name = asyncio.run(PageThreads().ask(lambda: threading.current_thread().name))
    assert name.startswith("page")


def test_what_a_question_raises_reaches_who_asked() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(PageThreads().ask(fail))


def test_no_more_than_a_few_are_answered_at_once() -> None:
    now, most, lock, both = 0, 0, threading.Lock(), threading.Barrier(MAX_AT_ONCE)

    def count() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        both.wait(5)
        with lock:
            now -= 1

    async def ask() -> None:
        threads = PageThreads()
        await asyncio.gather(*(threads.ask(count) for _ in range(MAX_AT_ONCE * 3)))
        threads.stop()

    asyncio.run(ask())
    assert most == MAX_AT_ONCE
