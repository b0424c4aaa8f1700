"""The traces in memory: the newest, as many as there is room for."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from copilot_api.capture.ring import OVERHEAD_BYTES, Ring
from tests.capture.kept import make_kept, make_line

SIZE = 1000


def filled(*numbers: int, room_for: int = 10) -> Ring:
    ring = Ring(room_for * (SIZE + OVERHEAD_BYTES))
    for number in numbers:
        assert ring.add(make_kept(number, size=SIZE))
    return ring


def numbers_of(ring: Ring) -> list[int]:
    return [summary.number for summary in ring.list_summaries()]


def test_the_oldest_make_room_for_the_newest() -> None:
    ring = filled(1, 2, 3, 4, 5, room_for=3)
    assert numbers_of(ring) == [5, 4, 3]
    assert ring.gone == 2
    assert ring.bytes == 3 * (SIZE + OVERHEAD_BYTES)
    assert ring.find("req_2") is None
    assert (ring.find("req_3") or b"").startswith(b'{"number":3,')


@given(st.lists(st.integers(200, 20_000), max_size=40))
def test_it_never_takes_more_than_it_may(sizes: list[int]) -> None:
    ring = Ring(40_000)
    for number, size in enumerate(sizes, start=1):
        ring.add(make_kept(number, cause="x" * size))
        assert ring.bytes <= 40_000
        assert ring.bytes == sum(summary.bytes + OVERHEAD_BYTES for summary in ring.list_summaries())
    assert len(ring) == len(ring.list_summaries())


def test_a_trace_that_is_larger_than_the_ring_is_gone_at_once_and_counts_as_missed() -> None:
    ring = Ring(3000)
    assert ring.add(make_kept(1, size=SIZE - 200))
    assert ring.add(make_kept(2, size=5000))
    assert (len(ring), ring.bytes, ring.gone) == (0, 0, 2)


def test_what_came_after_a_number_is_told_oldest_first() -> None:
    ring = filled(1, 2, 3, 4)
    assert [summary.number for summary in ring.list_after(2)] == [3, 4]
    assert ring.list_after(4) == []
    assert len(ring.list_after(0)) == 4


def test_a_key_is_forgotten_with_everything_that_its_holder_sent() -> None:
    ring = filled(1, 2)
    ring.add(make_kept(3, key_id="key_b"))
    ring.add(make_kept(4, key_id="key_admin", replay_of="req_1", replay_of_key_id="key_a"))
    assert ring.key_ids() == {"key_a", "key_b", "key_admin"}
    assert ring.forget_key("key_a") == 3
    assert numbers_of(ring) == [3]
    assert ring.find("req_1") is None
    assert ring.forget_key("key_a") == 0


def test_what_is_not_wanted_any_more_is_not_kept() -> None:
    ring = filled(1)
    assert not ring.add(make_kept(2), lambda: False)
    assert numbers_of(ring) == [1]


def test_what_is_too_old_goes() -> None:
    ring = filled(1)
    ring.add(make_kept(2, at="2026-07-02T12:00:00+00:00"))
    assert ring.forget_before(datetime(2026, 7, 2, tzinfo=UTC)) == 1
    assert numbers_of(ring) == [2]
    assert ring.gone == 1


def test_a_request_id_that_repeats_leads_to_the_newer_trace() -> None:
    ring = filled(1)
    ring.add(make_kept(2, request_id="req_1"))
    assert ring.find("req_1") == make_line(2, request_id="req_1")
    ring.forget_key("key_a")
    assert len(ring) == 0
