"""The live tail: bounded, in order, and nobody waits for a slow reader."""

import asyncio
from collections.abc import Callable

from copilot_api.capture.lines import summarise
from copilot_api.capture.live import SUMMARY_BYTES, Gap, Subscription
from copilot_api.capture.models import TraceSummary
from tests.capture.kept import make_line

ROOM_FOR_THREE = 3 * SUMMARY_BYTES


def summary(number: int, key_id: str = "key_a") -> TraceSummary:
    return summarise(make_line(number, key_id=key_id))


async def taken(subscription: Subscription, count: int) -> list[int | Gap | None]:
    found: list[int | Gap | None] = []
    for _ in range(count):
        item = await subscription.next()
        found.append(item.number if isinstance(item, TraceSummary) else item)
    return found


def run(watch: Callable[[], object]) -> None:
    asyncio.run(watch())  # type: ignore[arg-type]


def test_traces_come_in_order_and_to_every_watcher() -> None:
    async def watch() -> None:
        watchers: set[Subscription] = set()
        first, second = Subscription(watchers, ROOM_FOR_THREE), Subscription(watchers, ROOM_FOR_THREE)
        for number in (1, 2):
            for watcher in watchers:
                watcher.tell(summary(number))
        assert await taken(first, 2) == await taken(second, 2) == [1, 2]

    run(watch)


def test_a_slow_reader_is_told_how_much_is_missing_and_goes_on_from_there() -> None:
    async def watch() -> None:
        subscription = Subscription(set(), ROOM_FOR_THREE)
        for number in range(1, 9):
            subscription.tell(summary(number))
        assert await taken(subscription, 4) == [Gap(5), 6, 7, 8]
        subscription.tell(summary(9))
        assert await taken(subscription, 1) == [9]

    run(watch)


def test_what_is_past_comes_first_with_what_is_missing_of_it() -> None:
    async def watch() -> None:
        subscription = Subscription(set(), ROOM_FOR_THREE, [summary(5), summary(6)], missed=4)
        subscription.tell(summary(7))
        assert await taken(subscription, 4) == [Gap(4), 5, 6, 7]

    run(watch)


def test_a_wait_that_is_given_up_loses_nothing() -> None:
    async def watch() -> None:
        subscription = Subscription(set(), ROOM_FOR_THREE)
        for _ in range(3):
            try:
                async with asyncio.timeout(0.001):
                    await subscription.next()
            except TimeoutError:
                continue
        subscription.tell(summary(1))
        assert await taken(subscription, 1) == [1]

    run(watch)


def test_closing_ends_the_wait_and_the_iteration() -> None:
    async def watch() -> None:
        watchers: set[Subscription] = set()
        with Subscription(watchers, ROOM_FOR_THREE) as subscription:
            assert watchers == {subscription}
            asyncio.get_running_loop().call_later(0.01, subscription.close)
            assert [item async for item in subscription] == []
        assert watchers == set()
        assert await subscription.next() is None

    run(watch)


def test_a_key_that_is_forgotten_is_not_told_any_more() -> None:
    async def watch() -> None:
        subscription = Subscription(set(), ROOM_FOR_THREE)
        subscription.tell(summary(1))
        subscription.tell(summary(2, "key_b"))
        await asyncio.to_thread(subscription.forget_key, "key_a")
        await asyncio.sleep(0)
        assert await taken(subscription, 1) == [2]

    run(watch)
