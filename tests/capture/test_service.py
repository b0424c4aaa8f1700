"""What was captured, listed and read from memory and files alike, watched, and erased from both."""

import asyncio
from datetime import UTC, date, datetime
from typing import Any

import pytest

from copilot_api.capture import service
from copilot_api.capture.models import TraceSummary
from copilot_api.capture.ring import OVERHEAD_BYTES, Ring
from copilot_api.capture.service import ForgottenTraces, Gap, TraceNotFound, TraceQuery, Traces
from tests.capture.kept import make_kept, make_line, make_trace

TODAY = date(2026, 7, 1)
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def keep(traces: Traces, *, is_written: bool = True, **more: Any) -> int:
    number = traces.next_number()
    kept = make_kept(number, **more)
    assert traces.keep(kept, lambda: True)
    if is_written:
        traces.files.append(kept.line, TODAY, 10**9)
    return number


def pages_of(traces: Traces, **asked: Any) -> list[int]:
    """The numbers on all pages."""
    found: list[int] = []
    before: int | None = None
    for _ in range(1000):
        page = traces.list_traces(TraceQuery(before=before, **asked))
        found += [summary.number for summary in page.traces]
        if page.next_before is None:
            return found
        assert before is None or page.next_before < before
        before = page.next_before
    raise AssertionError("the pages do not end")


def test_numbers_grow_by_one_and_go_on_behind_those_of_the_files(traces: Traces) -> None:
    first = traces.next_number()
    assert first == NOON.timestamp() * 1_000_000 + 1
    assert [keep(traces) for _ in range(3)] == [first, first + 1, first + 2]
    ahead = Traces(Ring(), traces.files, datetime(2026, 7, 2, tzinfo=UTC))
    ahead.follow_files()
    assert ahead.next_number() > first + 3
    back = Traces(Ring(), traces.files, datetime(2026, 6, 1, tzinfo=UTC))
    back.follow_files()
    assert back.next_number() == first + 3, "a clock that was set back changes no order"


@pytest.mark.parametrize("limit", [1, 3, 7, 500])
def test_pages_go_from_memory_on_into_files_without_a_gap_or_a_repetition(traces: Traces, limit: int) -> None:
    traces.ring = Ring(6 * (300 + OVERHEAD_BYTES))
    numbers = [keep(traces) for _ in range(20)]
    assert 0 < len(traces.ring) < 20
    assert pages_of(traces, limit=limit) == numbers[::-1]


def test_conditions_hold_on_every_page(traces: Traces) -> None:
    traces.ring = Ring(4 * (300 + OVERHEAD_BYTES))
    numbers = [keep(traces, key_id=f"key_{'ab'[index % 2]}", status=200 + 200 * (index % 3)) for index in range(12)]
    assert pages_of(traces, key_id="key_b", limit=2) == numbers[1::2][::-1]
    assert pages_of(traces, min_status=400, max_status=499, limit=1) == numbers[1::3][::-1]
    assert pages_of(traces, text=f"req_{numbers[5]}") == [numbers[5]]
    assert pages_of(traces, key_id="nobody") == []


def test_a_page_reads_only_so_much_of_the_files_and_the_next_goes_on_there(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [keep(traces) for _ in range(30)]
    later = Traces(Ring(), traces.files, NOON)
    monkeypatch.setattr(service, "SCAN_BYTES", 1000)
    page = later.list_traces(TraceQuery(text=f"req_{numbers[0]}"))
    assert page.traces == ()
    assert page.next_before is not None
    assert pages_of(later, text=f"req_{numbers[0]}") == [numbers[0]]


def test_a_trace_is_found_in_memory_in_files_and_else_not_at_all(traces: Traces) -> None:
    number = keep(traces, is_written=False)
    assert traces.get(f"req_{number}") == make_trace(number)
    written = keep(traces)
    assert Traces(Ring(), traces.files, NOON).get(f"req_{written}") == make_trace(written)
    for unknown in ("req_none", "", "\n\x1b[31m", "x" * 10_000):
        assert traces.find(unknown) is None
        with pytest.raises(TraceNotFound) as refused:
            traces.get(unknown)
        assert refused.value.message.isprintable()
        assert len(refused.value.message) < 1000


def test_who_comes_back_gets_what_was_kept_meanwhile_and_is_told_what_is_gone(traces: Traces) -> None:
    async def watch() -> None:
        traces.ring = Ring(3 * (300 + OVERHEAD_BYTES))
        numbers = [keep(traces, is_written=False) for _ in range(8)]
        held = len(traces.ring)

        async def first(after: int | None, count: int) -> list[object]:
            with traces.subscribe(after, 100_000) as subscription:
                found = [await subscription.next() for _ in range(count)]
            return [each.number if isinstance(each, TraceSummary) else each for each in found]

        assert await first(numbers[-2], 1) == [numbers[-1]]
        assert await first(numbers[0], held + 1) == [Gap(7 - held), *numbers[-held:]]
        assert await first(1, held + 1) == [Gap(8 - held), *numbers[-held:]]
        with traces.subscribe(None, 100_000) as subscription:
            new = keep(traces, is_written=False)
            item = await subscription.next()
            assert isinstance(item, TraceSummary)
            assert item.number == new
        assert await first(new + 1000, 0) == []

    asyncio.run(watch())


def test_a_key_is_erased_everywhere_and_that_is_counted(traces: Traces) -> None:
    async def watch() -> None:
        asked: list[str] = []

        def forget_waiting(key_id: str) -> int:
            asked.append(key_id)
            return 2

        traces.forget_waiting = forget_waiting
        with traces.subscribe(None, 100_000) as subscription:
            for _ in range(3):
                keep(traces)
            other = keep(traces, key_id="key_b")
            assert await asyncio.to_thread(traces.forget_key, "key_a") == ForgottenTraces(5, 3, 1)
            await asyncio.sleep(0)
            item = await subscription.next()
            assert isinstance(item, TraceSummary)
            assert item.number == other
        assert asked == ["key_a"]
        assert pages_of(traces) == [other]
        assert traces.forget_key("key_a").lines == 0

    asyncio.run(watch())


def test_what_is_not_wanted_any_more_is_kept_and_told_to_nobody(traces: Traces) -> None:
    async def watch() -> None:
        with traces.subscribe(None, 100_000) as subscription:
            number = traces.next_number()
            assert not traces.keep(make_kept(number), lambda: False)
            assert traces.next_number() == number
            keep(traces, is_written=False)
            item = await subscription.next()
            assert isinstance(item, TraceSummary)
            assert item.number == number
        assert make_line(number) == traces.ring.find(f"req_{number}")

    asyncio.run(watch())
