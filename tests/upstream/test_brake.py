"""How many calls Copilot tolerates: what takes slots away, what brings them back, and when calls are paced."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import (
    AccountFlagged,
    BodyTooLarge,
    GatewayError,
    UpstreamCut,
    UpstreamFailed,
    UpstreamForbidden,
    UpstreamQuotaExceeded,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnauthorized,
)
from copilot_api.upstream.brake import (
    FIRST_GAP_SECONDS,
    IDLE_RECOVERY_SECONDS,
    MAX_GAP_SECONDS,
    MAX_HOLD_SECONDS,
    RECOVERY_SECONDS,
    TOLERATED_STRIKES,
    TOO_MANY_FAILURES,
    WATCHED_OUTCOMES,
    Brake,
    Stop,
)

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=150)
START = 1_000.0


class Watched:
    """A brake, what it told, and a time that only goes forward."""

    def __init__(self, most: int = 8) -> None:
        self.told: list[tuple[int, str]] = []
        self.flagged: list[AccountFlagged] = []
        self.now = START
        self.brake = Brake(
            most, on_braked=lambda slots, reason: self.told.append((slots, reason)), on_flagged=self.flagged.append
        )

    @property
    def slots(self) -> int:
        return self.brake.slots(self.now)

    @property
    def pause(self) -> float:
        return self.brake.pause(self.now)

    def limited(self, retry_after: float | None = 30.0, *, began: float | None = None, seconds: float = 1.0) -> None:
        """A call that begins now (or began then), and a while later is told to wait."""
        self.failed(UpstreamRateLimited("slow down", retry_after=retry_after), began=began, seconds=seconds)

    def failed(self, error: GatewayError | None = None, *, began: float | None = None, seconds: float = 1.0) -> None:
        """A call that begins now (or began then) and fails a while later."""
        began = self.now if began is None else began
        self.now += seconds
        self.brake.refused(error or UpstreamFailed("oops"), began, self.now)

    def stop_and_resume(self, seconds: float) -> None:
        """The identity is stopped for so long."""
        self.brake.stop = Stop(datetime(2026, 7, 1, tzinfo=UTC), "abuse")
        self.now += seconds
        self.brake.resume(self.now)

    def answered(self, times: int = 1, *, every: float = 0.0) -> None:
        for _ in range(times):
            self.now += every
            self.brake.answered(self.now)


@pytest.fixture
def watched() -> Watched:
    return Watched()


# Halving ----------------------------------------------------------------------------------------------------------


def test_all_slots_are_there_as_long_as_all_is_well(watched: Watched) -> None:
    watched.answered(100, every=0.1)
    assert (watched.slots, watched.pause, watched.told) == (8, 0.0, [])
    watched.now += 100_000
    assert watched.slots == 8


def test_a_429_halves_the_slots(watched: Watched) -> None:
    watched.limited()
    assert watched.slots == 4
    watched.limited()
    assert watched.slots == 2
    assert watched.told == [(4, "slow down"), (2, "slow down")]


def test_it_halves_them_once_for_all_calls_that_were_under_way(watched: Watched) -> None:
    """Eight calls run into one wall: that is one sign, not eight."""
    began = [watched.now + number / 10 for number in range(8)]
    watched.now += 1
    for each in began:
        watched.limited(began=each, seconds=0.01)
    assert (watched.slots, len(watched.told)) == (4, 1)
    watched.limited()
    assert watched.slots == 2, "this one was sent after that"


def test_failures_after_a_429_are_of_the_same_generation(watched: Watched) -> None:
    began = watched.now
    watched.limited()
    for _ in range(TOO_MANY_FAILURES):
        watched.failed(began=began)
    assert watched.slots == 4


def test_a_quarter_of_the_slots_is_always_left(watched: Watched) -> None:
    """A call that hangs must not shut everybody out."""
    for _ in range(10):
        watched.limited()
    assert watched.slots == 2
    assert [slots for slots, _ in watched.told] == [4, 2], "what changes nothing is not told"


@pytest.mark.parametrize(
    ("most", "halved"),
    [(1, [1, 1]), (2, [1, 1]), (3, [1, 1]), (5, [2, 1, 1]), (7, [3, 1, 1]), (9, [4, 2, 2]), (100, [50, 25, 25])],
)
def test_fractions_are_rounded_down_and_one_slot_is_always_left(most: int, halved: list[int]) -> None:
    watched = Watched(most)
    for slots in halved:
        watched.limited()
        assert watched.slots == slots


def test_a_new_sign_after_a_stop_gives_no_slots() -> None:
    """There is one then, which is less than braking leaves."""
    watched = Watched(100)
    watched.stop_and_resume(seconds=60)
    for _ in range(3):
        watched.limited()
        assert watched.slots == 1
    assert watched.told == []


@pytest.mark.parametrize("error", [UpstreamFailed("x"), UpstreamTimeout("x"), UpstreamCut("x"), UpstreamForbidden("x")])
def test_failures_brake_when_they_pile_up_and_not_before(watched: Watched, error: GatewayError) -> None:
    for _ in range(TOO_MANY_FAILURES - 1):
        watched.failed(error)
    assert watched.slots == 8
    watched.failed(error)
    assert watched.slots == 4
    assert watched.told == [(4, f"{TOO_MANY_FAILURES} of the last calls failed: x")]


def test_failures_are_counted_anew_after_they_have_braked(watched: Watched) -> None:
    for _ in range(2 * TOO_MANY_FAILURES - 1):
        watched.failed()
    assert watched.slots == 4
    watched.failed()
    assert watched.slots == 2


def test_failures_among_many_answers_are_everyday_life(watched: Watched) -> None:
    """One more answer for each failure than the limit allows in a row of outcomes."""
    answers = WATCHED_OUTCOMES // (TOO_MANY_FAILURES - 1)
    for _ in range(30):
        watched.failed()
        watched.answered(answers)
    assert watched.slots == 8


def test_old_failures_are_forgotten(watched: Watched) -> None:
    for _ in range(5):
        for _ in range(TOO_MANY_FAILURES - 1):
            watched.failed()
        watched.answered(WATCHED_OUTCOMES)
    assert watched.slots == 8


@pytest.mark.parametrize(
    "error",
    [UpstreamRefused("x"), UpstreamQuotaExceeded("x"), UpstreamUnauthorized("x"), BodyTooLarge("x")],
)
def test_what_is_wrong_with_a_request_or_an_allowance_is_no_sign(watched: Watched, error: GatewayError) -> None:
    for _ in range(50):
        watched.failed(error)
    assert (watched.slots, watched.pause, watched.told) == (8, 0.0, [])


# Recovery ---------------------------------------------------------------------------------------------------------


def test_as_many_answers_as_there_are_slots_bring_one_back(watched: Watched) -> None:
    watched.limited()
    watched.answered(3, every=RECOVERY_SECONDS)
    assert watched.slots == 4
    watched.answered()
    assert watched.slots == 5
    watched.now += RECOVERY_SECONDS
    watched.answered(4)
    assert watched.slots == 5
    watched.answered()
    assert watched.slots == 6


def test_answers_bring_back_no_more_than_one_in_two_seconds(watched: Watched) -> None:
    watched.limited()
    watched.answered(1_000)
    assert watched.slots == 4
    watched.answered(1_000, every=0.01)
    assert 4 < watched.slots <= 4 + 10 / RECOVERY_SECONDS


def test_answers_bring_back_all_of_them_and_no_more(watched: Watched) -> None:
    watched.limited()
    watched.answered(400, every=0.5)
    assert watched.slots == 8
    watched.answered(400, every=0.5)
    assert watched.slots == 8


def test_a_new_sign_starts_the_count_of_answers_again(watched: Watched) -> None:
    watched.limited()
    watched.answered(3, every=1)
    watched.limited()
    assert watched.slots == 2
    watched.answered(1, every=RECOVERY_SECONDS)
    assert watched.slots == 2
    watched.answered()
    assert watched.slots == 3


def test_without_calls_one_comes_back_every_half_minute(watched: Watched) -> None:
    """Where nobody calls there are no answers, and the next morning must not begin with the evening's trouble."""
    watched.limited(retry_after=None)
    for slots in (4, 5, 6, 7, 8, 8):
        assert watched.slots == slots
        watched.now += IDLE_RECOVERY_SECONDS - 0.5
        assert watched.slots == slots
        watched.now += 0.5


def test_idle_time_counts_also_where_nobody_looks(watched: Watched) -> None:
    watched.limited(retry_after=None)
    watched.now += 2 * IDLE_RECOVERY_SECONDS + 1
    assert watched.slots == 6
    watched.limited(retry_after=None)
    watched.now += 100 * IDLE_RECOVERY_SECONDS
    assert watched.slots == 8


def test_idle_recovery_begins_when_retry_after_is_over(watched: Watched) -> None:
    watched.limited(retry_after=90)
    watched.now += 90 + IDLE_RECOVERY_SECONDS - 1
    assert watched.slots == 4
    watched.now += 1
    assert watched.slots == 5


def test_a_retry_after_of_hours_is_believed_for_ten_minutes(watched: Watched) -> None:
    watched.limited(retry_after=86_400)
    assert watched.brake.hold_seconds(watched.now) == MAX_HOLD_SECONDS
    watched.now += MAX_HOLD_SECONDS + IDLE_RECOVERY_SECONDS
    assert watched.slots == 5


def test_the_longest_retry_after_holds(watched: Watched) -> None:
    assert watched.brake.hold_seconds(watched.now) == 0.0
    watched.limited(retry_after=100)
    watched.limited(retry_after=5)
    assert watched.brake.hold_seconds(watched.now) == 99.0
    watched.now += 99
    assert watched.brake.hold_seconds(watched.now) == 0.0
    watched.now += 50
    assert watched.brake.hold_seconds(watched.now) == 0.0


# Pacing -----------------------------------------------------------------------------------------------------------


def strike(watched: Watched, times: int, retry_after: float | None = 60.0) -> None:
    """So many 429 in a row."""
    for _ in range(times):
        watched.limited(retry_after, seconds=0.0)


def gap(watched: Watched) -> float:
    """How long after a start the next may follow."""
    watched.brake.started(watched.now)
    return watched.pause


def test_from_so_many_429_in_a_row_on_calls_are_paced(watched: Watched) -> None:
    strike(watched, TOLERATED_STRIKES - 1)
    assert gap(watched) == 0.0
    assert not watched.brake.is_paced(watched.now)
    strike(watched, 1)
    assert gap(watched) == FIRST_GAP_SECONDS
    assert watched.brake.is_paced(watched.now)


def test_a_single_burst_of_calls_that_all_meet_the_limit_is_not_paced(watched: Watched) -> None:
    """All of them were sent before anybody knew."""
    began = watched.now
    for _ in range(8):
        watched.limited(began=began, seconds=0.01)
    assert gap(watched) == 0.0


def test_the_gap_doubles_and_is_bounded(watched: Watched) -> None:
    strike(watched, TOLERATED_STRIKES)
    gaps = []
    for _ in range(8):
        gaps.append(gap(watched))
        strike(watched, 1)
    assert gaps == [0.25, 0.5, 1.0, 2.0, 4.0, MAX_GAP_SECONDS, MAX_GAP_SECONDS, MAX_GAP_SECONDS]
    strike(watched, 5_000)
    assert gap(watched) == MAX_GAP_SECONDS


def test_the_pause_ends_a_gap_after_the_last_start(watched: Watched) -> None:
    strike(watched, TOLERATED_STRIKES + 2)
    assert watched.pause == 0.0, "nothing was sent yet"
    watched.brake.started(watched.now)
    watched.now += 0.75
    assert watched.pause == 0.25
    watched.now += 0.25
    assert watched.pause == 0.0
    watched.now += 1
    assert watched.pause == 0.0


def test_pacing_ends_with_retry_after(watched: Watched) -> None:
    strike(watched, TOLERATED_STRIKES + 10, retry_after=20)
    watched.now += 19.9
    assert gap(watched) > 0.0
    watched.now += 0.1
    assert gap(watched) == 0.0
    assert not watched.brake.is_paced(watched.now)


def test_without_a_retry_after_nothing_is_paced(watched: Watched) -> None:
    strike(watched, TOLERATED_STRIKES + 10, retry_after=None)
    assert gap(watched) == 0.0


@pytest.mark.parametrize(
    "reply",
    [lambda watched: watched.answered(), lambda watched: watched.failed(UpstreamRefused("x"), seconds=0.0)],
    ids=["answer", "refusal"],
)
def test_any_other_reply_ends_the_pacing(watched: Watched, reply: Callable[[Watched], None]) -> None:
    strike(watched, TOLERATED_STRIKES + 10)
    reply(watched)
    assert watched.brake.strikes == 0
    assert gap(watched) == 0.0
    strike(watched, TOLERATED_STRIKES - 1)
    assert gap(watched) == 0.0


# Stopping ---------------------------------------------------------------------------------------------------------


def test_a_sign_of_abuse_is_told_and_takes_no_slot(watched: Watched) -> None:
    """Whoever is told stops the identity; that outlives the process, unlike a brake."""
    error = AccountFlagged("abuse")
    watched.failed(error)
    assert watched.flagged == [error]
    assert (watched.slots, watched.told, watched.brake.stop) == (8, [], None)


@pytest.mark.parametrize("is_braked_before", [False, True])
def test_after_a_stop_slots_come_back_one_by_one(watched: Watched, *, is_braked_before: bool) -> None:
    """However long it was stopped, and also where it was never braked."""
    if is_braked_before:
        strike(watched, TOLERATED_STRIKES + 3)
    watched.stop_and_resume(seconds=50_000)
    assert watched.brake.stop is None
    assert (watched.slots, watched.pause, watched.brake.strikes) == (1, 0.0, 0)
    watched.answered()
    assert watched.slots == 1
    watched.answered(every=RECOVERY_SECONDS)
    assert watched.slots == 2
    watched.now += IDLE_RECOVERY_SECONDS
    assert watched.slots == 3


def test_a_gateway_with_one_slot_resumes_with_it() -> None:
    watched = Watched(1)
    watched.brake.resume(watched.now)
    assert watched.slots == 1


# Whatever happens -------------------------------------------------------------------------------------------------

HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(["answer", "answer", "limit", "failure", "start", "pass"]),
        st.integers(0, 70 * 8).map(lambda eighths: eighths / 8),
        st.one_of(st.none(), st.integers(0, 1_000).map(float)),
    ),
    max_size=150,
)


@settings(PROPERTY)
@given(st.integers(1, 20), HAPPENINGS)
def test_slots_and_pauses_stay_in_bounds(most: int, happenings: list[tuple[str, float, float | None]]) -> None:
    """Slots come back one in two seconds at most, whatever the mixture of answers and idle time; no sign brings any."""
    watched = Watched(most)
    last = (watched.now, watched.slots)
    for what, seconds, retry_after in happenings:
        began = watched.now
        watched.now += seconds
        before = watched.slots
        if what == "answer":
            watched.answered()
        elif what == "limit":
            watched.limited(retry_after, began=began, seconds=0)
        elif what == "failure":
            watched.failed(began=began, seconds=0)
        elif what == "start":
            watched.brake.started(watched.now)
        assert 1 <= watched.slots <= most
        assert watched.slots <= before or what == "answer"
        assert 0.0 <= watched.pause <= MAX_GAP_SECONDS
        assert 0.0 <= watched.brake.hold_seconds(watched.now) <= MAX_HOLD_SECONDS
        assert watched.slots - last[1] <= 1 + (watched.now - last[0]) / RECOVERY_SECONDS
        last = (watched.now, watched.slots)


def test_other_slots_are_there_from_now_on(watched: Watched) -> None:
    brake = watched.brake
    brake.resize(4, watched.now)
    assert watched.slots == 4
    brake.resize(10, watched.now)
    assert watched.slots == 10
    watched.limited()
    brake.resize(20, watched.now)
    assert watched.slots == 5, "a brake that is on stays on"
    brake.resize(3, watched.now)
    assert watched.slots == 3


@pytest.mark.parametrize("code", ["user_model_rate_limited", "user_model_rate_limited:individual", "model_overloaded"])
def test_the_limit_of_one_model_brakes_and_paces_nobody(code: str) -> None:
    watched = Watched(8)
    for _ in range(3 * TOLERATED_STRIKES):
        error = UpstreamRateLimited("too much", retry_after=30.0, upstream_code=code)
        watched.brake.refused(error, watched.now, watched.now)
    assert watched.slots == 2
    assert not watched.brake.is_paced(watched.now)


def test_it_says_when_the_last_call_went_upstream(watched: Watched) -> None:
    assert watched.brake.last_start < 0, "before the first"
    watched.brake.started(watched.now)
    watched.brake.started(watched.now + 5)
    watched.brake.refused(UpstreamFailed("broken"), watched.now, watched.now + 7)
    assert watched.brake.last_start == watched.now + 5
