"""The one door to the upstream."""

import asyncio
import itertools
import time

import pytest

from copilot_api.admission import service
from copilot_api.admission.approval import Approval
from copilot_api.admission.minimum_gap import MinimumGap
from copilot_api.clock import SystemClock
from copilot_api.errors import NotApproved, RateLimited
from tests.fakes import FakeClock
from tests.gateway.calls import make_admission, make_ask


def test_without_limits_a_call_is_let_in_at_once() -> None:
    async def test() -> None:
        async with make_admission(FakeClock()).admit(make_ask()) as permit:
            assert permit.queue_seconds == 0.0

    asyncio.run(test())


def test_a_call_waits_its_turn_and_the_wait_is_told() -> None:
    async def test() -> None:
        admission = make_admission(SystemClock(), gap=MinimumGap(0.1, is_waiting=True))
        began = time.monotonic()
        waits = []
        for _ in range(3):
            async with admission.admit(make_ask()) as permit:
                waits.append(permit.queue_seconds)
        assert 0.19 <= time.monotonic() - began < 2.0
        assert waits[0] < 0.05
        assert all(0.05 < wait < 1.0 for wait in waits[1:])

    asyncio.run(test())


def test_calls_that_come_together_are_spread() -> None:
    async def test() -> None:
        admission = make_admission(SystemClock(), gap=MinimumGap(0.05, is_waiting=True))
        starts: list[float] = []

        async def call() -> None:
            async with admission.admit(make_ask()):
                starts.append(time.monotonic())

        await asyncio.gather(*(call() for _ in range(5)))
        starts.sort()
        assert all(after - before >= 0.04 for before, after in itertools.pairwise(starts))

    asyncio.run(test())


def test_a_call_too_early_is_refused() -> None:
    async def test() -> None:
        admission = make_admission(FakeClock(), gap=MinimumGap(10, is_waiting=False))
        async with admission.admit(make_ask()):
            pass
        with pytest.raises(RateLimited):
            async with admission.admit(make_ask()):
                raise AssertionError("it was let in")

    asyncio.run(test())


def test_the_operator_is_told_who_asks_for_what() -> None:
    questions: list[str] = []

    async def ask(question: str) -> bool:
        questions.append(question)
        return len(questions) == 1

    async def test() -> None:
        admission = make_admission(FakeClock(), approval=Approval(ask))
        async with admission.admit(make_ask(request_id="req_9")):
            pass
        with pytest.raises(NotApproved):
            async with admission.admit(make_ask(request_id="req_10")):
                raise AssertionError("it was let in")

    asyncio.run(test())
    assert len(questions) == 2
    for part in ("req_9", "the label", "gpt-4.1"):
        assert part in questions[0]


def test_the_gap_comes_before_the_question() -> None:
    """The operator is not asked about a call that would be refused anyway."""
    questions: list[str] = []

    async def ask(question: str) -> bool:
        questions.append(question)
        return True

    async def test() -> None:
        admission = make_admission(FakeClock(), gap=MinimumGap(10, is_waiting=False), approval=Approval(ask))
        async with admission.admit(make_ask()):
            pass
        with pytest.raises(RateLimited):
            async with admission.admit(make_ask()):
                raise AssertionError("it was let in")

    asyncio.run(test())
    assert len(questions) == 1


def test_an_error_inside_the_block_is_not_swallowed() -> None:
    async def test() -> None:
        async with make_admission(FakeClock()).admit(make_ask()):
            raise KeyError("x")

    with pytest.raises(KeyError):
        asyncio.run(test())


def test_who_leaves_while_waiting_for_the_gap_takes_no_turn() -> None:
    """A crowd that hangs up must not keep the next honest caller waiting for its turns."""

    async def test() -> None:
        admission = make_admission(SystemClock(), gap=MinimumGap(0.2, is_waiting=True))

        async def call() -> None:
            async with admission.admit(make_ask()):
                pass

        await call()
        crowd = [asyncio.get_running_loop().create_task(call()) for _ in range(20)]
        await asyncio.sleep(0.05)
        for task in crowd:
            task.cancel()
        began = time.monotonic()
        await call()
        assert time.monotonic() - began < 1.0

    asyncio.run(test())


def test_a_caller_is_told_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "FIRST_NOTE_SECONDS", 0.01)
    monkeypatch.setattr(service, "NOTE_SECONDS", 0.01)
    notes: list[str] = []

    async def tell(note: str) -> None:
        notes.append(note)

    async def never(question: str) -> bool:
        await asyncio.sleep(0.1)
        return False

    async def test() -> None:
        admission = make_admission(SystemClock(), approval=Approval(never))
        with pytest.raises(NotApproved):
            async with admission.admit(make_ask(), tell):
                raise AssertionError("it was let in")

    asyncio.run(test())
    assert set(notes) == {"waiting for the operator's approval"}


def test_a_teller_that_fails_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "FIRST_NOTE_SECONDS", 0.01)

    async def gone(note: str) -> None:
        raise ConnectionResetError("the client is gone")

    async def forever(question: str) -> bool:
        await asyncio.sleep(60)
        return True

    async def test() -> None:
        admission = make_admission(SystemClock(), approval=Approval(forever))
        with pytest.raises(ConnectionResetError):
            async with admission.admit(make_ask(), gone):
                raise AssertionError("it was let in")

    asyncio.run(test())
