"""One answer for all who ask within a moment, and never one that is too old."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from copilot_api.admin.recent import RecentAnswers
from tests.fakes import FakeClock


class Counting:
    """Answers with the number of times it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.asked += 1
        mine = self.asked
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return mine


def run(test: Callable[[RecentAnswers, FakeClock, Counting], Awaitable[None]], most: int = 64) -> None:
    async def inside() -> None:
        clock = FakeClock()
        await test(RecentAnswers(clock, most), clock, Counting())

    asyncio.run(inside())


def test_an_answer_is_kept_for_as_long_as_was_said() -> None:
    async def test(recent: RecentAnswers, clock: FakeClock, ask: Counting) -> None:
        assert await recent.get("a", 5.0, ask) == 1
        clock.advance(5.0)
        assert await recent.get("a", 5.0, ask) == 1
        clock.advance(0.1)
        assert await recent.get("a", 5.0, ask) == 2

    run(test)


def test_another_name_is_another_question() -> None:
    async def test(recent: RecentAnswers, _clock: FakeClock, ask: Counting) -> None:
        assert [await recent.get(name, 5.0, ask) for name in ("a", ("a", 1), "a")] == [1, 2, 1]

    run(test)


def test_who_comes_while_it_is_asked_waits_for_the_same_answer() -> None:
    async def test(recent: RecentAnswers, clock: FakeClock, ask: Counting) -> None:
        ask.may_answer.clear()
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(recent.get("a", 1.0, ask)) for _ in range(5)]
            await asyncio.sleep(0)
            clock.advance(10.0)
            waiting.append(group.create_task(recent.get("a", 1.0, ask)))
            await asyncio.sleep(0)
            ask.may_answer.set()
        assert [each.result() for each in waiting] == [1] * 6

    run(test)


def test_what_fails_is_told_all_who_wait_and_asked_again() -> None:
    async def test(recent: RecentAnswers, _clock: FakeClock, ask: Counting) -> None:
        ask.error = ValueError("away")
        ask.may_answer.clear()
        first = asyncio.ensure_future(recent.get("a", 5.0, ask))
        second = asyncio.ensure_future(recent.get("a", 5.0, ask))
        await asyncio.sleep(0)
        ask.may_answer.set()
        for each in (first, second):
            with pytest.raises(ValueError, match="away"):
                await each
        ask.error = None
        assert await recent.get("a", 5.0, ask) == 2

    run(test)


def test_when_the_one_who_asks_leaves_the_next_asks_again() -> None:
    async def test(recent: RecentAnswers, _clock: FakeClock, ask: Counting) -> None:
        ask.may_answer.clear()
        first = asyncio.ensure_future(recent.get("a", 5.0, ask))
        second = asyncio.ensure_future(recent.get("a", 5.0, ask))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        ask.may_answer.set()
        assert await second == 2
        assert first.cancelled()

    run(test)


def test_one_who_waits_may_leave_alone() -> None:
    async def test(recent: RecentAnswers, _clock: FakeClock, ask: Counting) -> None:
        ask.may_answer.clear()
        first = asyncio.ensure_future(recent.get("a", 5.0, ask))
        second = asyncio.ensure_future(recent.get("a", 5.0, ask))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        ask.may_answer.set()
        assert await first == 1
        assert second.cancelled()

    run(test)


def test_only_so_many_are_kept() -> None:
    async def test(recent: RecentAnswers, _clock: FakeClock, ask: Counting) -> None:
        for name in ("a", "b", "c"):
            await recent.get(name, 5.0, ask)
        assert await recent.get("c", 5.0, ask) == 3
        assert await recent.get("a", 5.0, ask) == 4

    run(test, most=2)
