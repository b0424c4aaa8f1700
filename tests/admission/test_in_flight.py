"""The slots of one identity: never more are taken than there are, each comes back, and leaving is immediate."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from copilot_api.admission import in_flight
from copilot_api.admission.in_flight import Slots
from copilot_api.clock import SystemClock
from copilot_api.errors import (
    GatewayError,
    QueueFull,
    QueueTimeout,
    UpstreamRateLimited,
    UpstreamStopped,
)
from copilot_api.upstream.brake import TOLERATED_STRIKES, Brake, Stop


def make_slots(most: int, *, queue_seconds: float = 5.0, max_waiting: int = 100) -> Slots:
    return Slots(Brake(most), SystemClock(), queue_seconds=queue_seconds, max_waiting=max_waiting)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(bounded())


async def settle() -> None:
    """Let everybody do what they can do now."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_there_are_never_more_under_way_than_slots() -> None:
    async def test() -> None:
        slots, under_way, most = make_slots(3), 0, 0

        async def call(number: int) -> None:
            nonlocal under_way, most
            slot = await slots.acquire(f"key_{number % 5}", 1)
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001 * (number % 4))
            under_way -= 1
            slots.release(slot)

        await asyncio.gather(*(call(number) for number in range(100)))
        assert (most, slots.in_flight, slots.waiting) == (3, 0, 0)

    run(test)


def test_who_is_cancelled_in_line_is_out_of_it_at_once() -> None:
    async def test() -> None:
        slots = make_slots(1)
        held = await slots.acquire("a", 1)
        waiting = asyncio.get_running_loop().create_task(slots.acquire("b", 1))
        await settle()
        assert slots.waiting == 1
        waiting.cancel()
        await settle()
        assert slots.waiting == 0
        slots.release(held)
        assert slots.in_flight == 0

    run(test)


def test_a_slot_that_comes_in_the_moment_of_leaving_goes_to_the_next() -> None:
    async def test() -> None:
        slots = make_slots(1)
        loop = asyncio.get_running_loop()
        held = await slots.acquire("a", 1)
        leaving = loop.create_task(slots.acquire("b", 1))
        next_one = loop.create_task(slots.acquire("c", 1))
        await settle()
        slots.release(held)  # it is granted to b, who does not know yet
        leaving.cancel()
        await settle()
        assert next_one.done()
        assert (slots.in_flight, slots.waiting) == (1, 0)
        slots.release(next_one.result())
        assert slots.in_flight == 0

    run(test)


def test_a_teller_that_fails_takes_its_caller_out_of_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "FIRST_NOTE_SECONDS", 0.01)

    async def gone(note: str) -> None:
        raise ConnectionResetError("the client is gone")

    async def test() -> None:
        slots = make_slots(1)
        await slots.acquire("a", 1)
        with pytest.raises(ConnectionResetError):
            await slots.acquire("b", 1, tell=gone)
        assert slots.waiting == 0

    run(test)


def test_who_waits_is_told_the_place_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "FIRST_NOTE_SECONDS", 0.02)
    monkeypatch.setattr(in_flight, "NOTE_SECONDS", 0.02)
    notes: list[str] = []

    async def tell(note: str) -> None:
        notes.append(note)

    async def test() -> None:
        slots = make_slots(1)
        held = await slots.acquire("a", 1)
        waiting = asyncio.get_running_loop().create_task(slots.acquire("b", 1, tell=tell))
        while len(notes) < 3:
            await asyncio.sleep(0.01)
        slots.release(held)
        await waiting

    run(test)
    assert notes[0].startswith("queued: place 1 of 1, waited 0 s, about ")


def test_waiting_has_an_end() -> None:
    async def test() -> None:
        slots = make_slots(1, queue_seconds=0.05)
        await slots.acquire("a", 1)
        with pytest.raises(QueueTimeout) as refused:
            await slots.acquire("b", 1)
        assert refused.value.limit is not None
        assert (refused.value.limit.current, refused.value.limit.allowed) == (1, 1)
        assert refused.value.retry_after is not None
        assert slots.waiting == 0

    run(test)


def test_the_line_has_an_end_and_no_key_takes_all_of_it() -> None:
    async def test() -> None:
        slots = make_slots(1, max_waiting=3)
        loop = asyncio.get_running_loop()
        await slots.acquire("a", 1)
        flood = [loop.create_task(slots.acquire("flood", 1)) for _ in range(3)]
        await settle()
        with pytest.raises(QueueFull):
            await slots.acquire("flood", 1)
        other = loop.create_task(slots.acquire("other", 1))
        await settle()
        assert [task.done() for task in flood] == [False, False, True]
        assert isinstance(flood[2].exception(), QueueFull)
        for task in (*flood, other):
            task.cancel()
        await settle()

    run(test)


def test_a_stop_refuses_everybody_and_ends_no_call() -> None:
    async def test() -> None:
        slots = make_slots(1)
        held = await slots.acquire("a", 1)
        waiting = asyncio.get_running_loop().create_task(slots.acquire("b", 1))
        await settle()
        slots.brake.stop = Stop(datetime(2026, 7, 1, tzinfo=UTC), "flagged")
        slots.pump()
        with pytest.raises(UpstreamStopped, match="flagged"):
            await waiting
        with pytest.raises(UpstreamStopped):
            await slots.acquire("c", 1)
        assert slots.in_flight == 1
        slots.release(held)
        slots.brake.resume(0.0)
        await slots.acquire("c", 1)

    run(test)


def test_where_the_account_is_limited_one_waits_and_the_others_hear_at_once() -> None:
    async def test() -> None:
        slots = make_slots(4)
        limited = UpstreamRateLimited("too much", retry_after=30.0)
        now = SystemClock().monotonic()
        for _ in range(TOLERATED_STRIKES):
            slots.brake.refused(limited, now, now)
        outcomes: list[GatewayError | None] = []

        async def call() -> None:
            try:
                await slots.acquire("a", 1)
            except GatewayError as error:
                outcomes.append(error)
            else:
                outcomes.append(None)

        await asyncio.gather(*(call() for _ in range(10)), return_exceptions=True)

    async def bounded() -> None:
        # The first takes the only slot and keeps it, the second waits for it: there is no answer for that one.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await test()

    asyncio.run(bounded())


def test_who_had_slots_before_it_got_crowded_does_not_go_first_then() -> None:
    """Free slots are on nobody's account until somebody has to wait for one."""

    async def test() -> None:
        slots, served = make_slots(4), list[str]()
        held = [await slots.acquire("busy", 1) for _ in range(4)]

        async def call(flow: str) -> None:
            slot = await slots.acquire(flow, 1)
            served.append(flow)
            await asyncio.sleep(0.001)
            slots.release(slot)

        calls = [asyncio.get_running_loop().create_task(call(flow)) for flow in ("busy", "busy", "new", "new")]
        await settle()
        slots.release(held.pop())
        await asyncio.gather(*calls)
        assert served == ["new", "new", "busy", "busy"]

    run(test)


def test_what_is_borrowed_comes_back_and_is_never_taken_from_the_line() -> None:
    async def test() -> None:
        slots = make_slots(2)
        with slots.borrow() as is_lent:
            assert is_lent
            await slots.acquire("a", 1)
            waiting = asyncio.get_running_loop().create_task(slots.acquire("b", 1))
            await settle()
            with slots.borrow() as is_lent_too:
                assert not is_lent_too
        await waiting
        assert slots.in_flight == 2

    run(test)


def test_fewer_slots_take_nobodys_slot_away() -> None:
    async def test() -> None:
        slots = make_slots(4)
        held = [await slots.acquire("a", 1) for _ in range(4)]
        now = SystemClock().monotonic()
        slots.brake.refused(UpstreamRateLimited("too much"), now, now)
        waiting = asyncio.get_running_loop().create_task(slots.acquire("b", 1))
        await settle()
        for _ in range(2):
            slots.release(held.pop())
        await settle()
        assert (slots.in_flight, slots.waiting) == (2, 1)
        slots.release(held.pop())
        await waiting
        assert slots.in_flight == 2

    run(test)


def test_other_bounds_hold_from_now_on_and_take_nothing_away() -> None:
    async def test() -> None:
        slots = make_slots(1)
        loop = asyncio.get_running_loop()
        held = await slots.acquire("a", 1)
        waiting = [loop.create_task(slots.acquire("b", 1)) for _ in range(3)]
        await settle()
        slots.resize(2, queue_seconds=5.0, max_waiting=2)
        await settle()
        assert ([task.done() for task in waiting], slots.waiting) == ([True, False, False], 2)
        with pytest.raises(QueueFull):
            await slots.acquire("b", 1)
        slots.release(held)
        slots.release(waiting[0].result())
        await asyncio.gather(*waiting[1:])
        assert slots.in_flight == 2

    run(test)


def test_those_in_line_are_told_by_name_with_their_places() -> None:
    async def test() -> None:
        slots, loop = make_slots(1), asyncio.get_running_loop()
        held = await slots.acquire("a", 1, name="req_0")
        assert slots.places() == {}
        waiting = [
            loop.create_task(slots.acquire(flow, 1, name=name))
            for flow, name in (("a", "req_1"), ("a", "req_2"), ("b", "req_3"), ("b", ""))
        ]
        await settle()
        places = slots.places()
        assert places.keys() == {"req_1", "req_2", "req_3"}
        assert places["req_3"] < places["req_2"], "it is who is next, not who came first"
        assert slots.places() == places, "looking changes nothing"
        first = next(name for name, place in places.items() if place == 1)
        slots.release(held)
        await settle()
        assert slots.places().keys() == places.keys() - {first}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    run(test)
