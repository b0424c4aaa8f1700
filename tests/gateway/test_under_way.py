"""The calls that are under way: which they are, how far each is, and ending one from outside."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from copilot_api.admission.budget import NOTHING
from copilot_api.gateway.plan import Plan
from copilot_api.gateway.settlement import Record, Settlement
from copilot_api.gateway.surface import NativeRoute
from copilot_api.gateway.surfaces import CHAT_SURFACE
from copilot_api.gateway.under_way import (
    CallCancelled,
    CallNotUnderWay,
    Phase,
    cancel_call,
    find_under_way,
    list_under_way,
)
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.chat.request import parse_request
from copilot_api.usage.models import Cause
from tests.fakes import FakeClock
from tests.gateway.calls import GivenPermit, Ledger, make_call, make_model, make_settlement

REQUEST = parse_request(b'{"model":"fast","messages":[{"role":"user","content":"x"}],"stream":true}')
assert CHAT_SURFACE.native is not None
PLAN = Plan(make_model("gpt-4.1"), NativeRoute(REQUEST, CHAT_SURFACE.native, ModelTraits(id="gpt-4.1")), 1.0)


def steps_of(record: Record) -> list[tuple[Callable[[], Any], Phase]]:
    return [
        (lambda: record.authenticated("key_a"), Phase.READING),
        (lambda: record.received(REQUEST, 100), Phase.READING),
        (lambda: record.planned(PLAN), Phase.QUEUED),
        (record.answering, Phase.QUEUED),
        (lambda: record.dispatched(PLAN, GivenPermit(0.0, NOTHING)), Phase.WAITING),
        (record.first_token, Phase.STREAMING),
        (record.completed, Phase.ENDING),
    ]


def test_how_far_a_call_is_follows_what_becomes_known_of_it() -> None:
    """Also where the status went out early, with a note to a caller who waits."""
    clock = FakeClock()
    settlement, _, _ = make_settlement(clock)
    with settlement.follow(make_call(clock)) as record:
        assert record.phase is Phase.READING
        for step, phase in steps_of(record):
            step()
            assert record.phase is phase
    assert settlement.under_way == {}


def test_what_is_told_of_a_call() -> None:
    clock = FakeClock()
    settlement, _, _ = make_settlement(clock)
    call = make_call(clock)
    with settlement.follow(call) as record:
        for step, _ in steps_of(record)[:3]:
            step()
        clock.advance(2.5)
        (told,) = list_under_way(settlement.under_way, {call.request_id: 3}, clock.monotonic())
        assert (told.request_id, told.key_id, told.model, told.stream) == (call.request_id, "key_a", "fast", True)
        assert (told.age_seconds, told.phase, told.queue_place) == (2.5, Phase.QUEUED, 3)
        record.dispatched(PLAN, GivenPermit(0.0, NOTHING))
        (told,) = list_under_way(settlement.under_way, {call.request_id: 3}, clock.monotonic())
        assert (told.upstream_model, told.queue_place) == ("gpt-4.1", None), "it is in line no more"


def run_cancelled(step: Callable[[Record], Awaitable[None]]) -> tuple[Ledger, BaseException | None]:
    """A call that is cancelled from outside while it waits, after `step`."""
    clock = FakeClock()
    settlement, ledger, _ = make_settlement(clock)
    call = make_call(clock)

    async def carry() -> None:
        with settlement.follow(call, asyncio.current_task()) as record:
            record.authenticated("key_a")
            await step(record)
            await asyncio.sleep(60)

    async def test() -> BaseException | None:
        task = asyncio.get_running_loop().create_task(carry())
        await asyncio.sleep(0)
        cancel_call(settlement.under_way, call.request_id)
        try:
            await task
        except asyncio.CancelledError as cancelled:
            return cancelled
        return None

    return ledger, asyncio.run(test())


async def nothing_more(_record: Record) -> None:
    pass


async def begin_answer(record: Record) -> None:
    record.answering()


def test_a_cancelled_call_is_in_the_ledger_once_as_interrupted() -> None:
    ledger, cancelled = run_cancelled(nothing_more)
    assert cancelled is not None
    assert isinstance(cancelled.args[0], CallCancelled)
    assert (ledger.event.cause, ledger.event.status) == (Cause.INTERRUPTED, CallCancelled.status)


def test_its_status_stays_what_the_caller_has_seen() -> None:
    ledger, _ = run_cancelled(begin_answer)
    assert (ledger.event.cause, ledger.event.status) == (Cause.INTERRUPTED, 200)


def test_a_call_that_is_not_there_or_is_settled_cannot_be_cancelled() -> None:
    clock = FakeClock()
    settlement: Settlement
    settlement, _, _ = make_settlement(clock)
    call = make_call(clock)
    with pytest.raises(CallNotUnderWay):
        cancel_call(settlement.under_way, "req_none")
    with settlement.follow(call) as record:
        assert find_under_way(settlement.under_way, call.request_id) is record
        record.completed()
        with pytest.raises(CallNotUnderWay):
            find_under_way(settlement.under_way, call.request_id)
