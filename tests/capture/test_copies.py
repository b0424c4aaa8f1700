"""Copies are bounded: each by its cap, all together by the room."""

import asyncio
import hashlib
import hmac
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.capture import copies
from copilot_api.capture.copies import LegCopy, NoRoom, Room, Share, take_headers
from copilot_api.capture.models import Moment
from copilot_api.capture.raw import RawLeg

SALT = b"salt"


@pytest.fixture(scope="module")
def hasher() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def copied(pieces: list[bytes], hasher: Executor, *, cap: int, room: int = 10**9, streamed: bool = False) -> RawLeg:
    before, copies.LEG_BYTES = copies.LEG_BYTES, cap
    try:
        copy = LegCopy(RawLeg(), Share(Room(room)), SALT, hasher)
        copy.is_streamed = streamed
        for number, piece in enumerate(pieces):
            copy.add(piece, float(number))
        return asyncio.run(copy.seal())
    finally:
        copies.LEG_BYTES = before


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(1, 200))
def test_what_is_over_the_cap_is_only_counted_and_hashed(pieces: list[bytes], cap: int) -> None:
    with ThreadPoolExecutor(1) as hasher:
        leg = copied(pieces, hasher, cap=cap)
    whole = b"".join(pieces)
    rest = whole[cap:]
    assert (leg.body, leg.bytes, leg.rest_bytes) == (whole[:cap], len(whole), len(rest))
    assert leg.rest_digest == (hmac.new(SALT, rest, hashlib.sha256).hexdigest() if rest else "")


def test_a_timeline_is_bounded_and_loses_no_byte(hasher: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "MAX_MOMENTS", 3)
    leg = copied([b"a", b"bb", b"ccc", b"dddd", b"", b"eeeee"], hasher, cap=100, streamed=True)
    assert leg.timeline == [Moment(0.0, 1), Moment(1.0, 2), Moment(5.0, 12)]
    assert copied([b"a"], hasher, cap=100).timeline == []


def test_only_the_first_end_counts(hasher: Executor) -> None:
    copy = LegCopy(RawLeg(), Share(Room()), SALT, hasher)
    copy.end(5.0, "broken")
    copy.end(9.0)
    assert (copy.leg.ended_ms, copy.leg.error) == (5.0, "broken")


def test_there_is_only_so_much_room_and_what_was_taken_comes_back(hasher: Executor) -> None:
    room = Room(100)
    first, second = Share(room), Share(room)
    first.take(60)
    second.take(30)
    with pytest.raises(NoRoom):
        second.take(11)
    assert room.taken_bytes == 90
    first.give_back()
    first.give_back()
    assert room.taken_bytes == 30
    second.take(70)
    with pytest.raises(NoRoom):
        take_headers(first, [(b"name", b"value")])
    with pytest.raises(NoRoom):
        copied([b"x" * 50], hasher, cap=100, room=49)
