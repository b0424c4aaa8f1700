"""The sliding window, held against a naive log of exact times. Times are multiples of 1/1024 s, so that sums are exact."""

from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.admission.rate_limit import SLICE_SECONDS, WINDOW_SECONDS, SlidingWindow

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=100)
TICK = 1 / 1024
MAX_SLICES = 242

DELAYS = st.one_of(
    st.just(0.0),
    st.integers(0, 300).map(lambda ticks: ticks * TICK),
    st.integers(0, 70 * 1024).map(lambda ticks: ticks * TICK),
    st.sampled_from([SLICE_SECONDS, SLICE_SECONDS + TICK, WINDOW_SECONDS, WINDOW_SECONDS + SLICE_SECONDS]),
)
AMOUNTS = st.integers(0, 5)
CALLS = st.lists(st.tuples(DELAYS, AMOUNTS), max_size=60)


class Log:
    """Every amount with its exact time."""

    def __init__(self) -> None:
        self.entries: list[tuple[float, int]] = []

    def between(self, after: float, until: float) -> int:
        """What came in (after, until]."""
        return sum(amount for at, amount in self.entries if after < at <= until)

    def heaviest_minute(self) -> int:
        """The most that was let in within any 60 seconds: those begin with an entry, if they are the heaviest."""
        return max(
            (
                sum(amount for at, amount in self.entries if start <= at < start + WINDOW_SECONDS)
                for start, _ in self.entries
            ),
            default=0,
        )


def filled(calls: list[tuple[float, int]]) -> tuple[SlidingWindow, Log, float]:
    """A window that let all of them in, the log of them, and the time of the last."""
    window, log, now = SlidingWindow(), Log(), 1_000.0
    for delay, amount in calls:
        now += delay
        window.add(amount, now)
        log.entries.append((now, amount))
    return window, log, now


@settings(PROPERTY)
@given(CALLS, st.integers(1, 12))
def test_over_any_60_seconds_no_more_is_let_in_than_the_limit(calls: list[tuple[float, int]], limit: int) -> None:
    window, log, now = SlidingWindow(), Log(), 1_000.0
    for delay, amount in calls:
        now += delay
        if window.total(now) + amount <= limit:
            window.add(amount, now)
            log.entries.append((now, amount))
    assert log.heaviest_minute() <= limit


@settings(PROPERTY)
@given(CALLS, st.integers(1, 12), st.data())
def test_what_is_given_back_makes_room_and_never_too_much(
    calls: list[tuple[float, int]], limit: int, data: st.DataObject
) -> None:
    """As above, while some of the calls give back some of what they took, at any time later."""
    window, log, now = SlidingWindow(), Log(), 1_000.0
    for delay, amount in calls:
        now += delay
        if window.total(now) + amount <= limit:
            taken = window.add(amount, now)
            returned = data.draw(st.integers(0, amount))
            log.entries.append((now, amount - returned))
            now += data.draw(DELAYS)
            window.give_back(returned, taken)
    assert log.heaviest_minute() <= limit
    assert log.between(now - WINDOW_SECONDS, now) <= window.total(now) <= limit


@settings(PROPERTY)
@given(CALLS)
def test_the_price_is_a_quarter_of_a_second_of_patience_and_no_more(calls: list[tuple[float, int]]) -> None:
    """What is counted lies between the last 60 s and the last 60.25 s."""
    window, log, now = SlidingWindow(), Log(), 1_000.0
    for delay, amount in calls:
        now += delay
        window.add(amount, now)
        log.entries.append((now, amount))
        counted = window.total(now)
        assert counted >= log.between(now - WINDOW_SECONDS, now)
        assert counted <= log.between(now - WINDOW_SECONDS - SLICE_SECONDS, now)


@settings(PROPERTY)
@given(CALLS, DELAYS, st.integers(1, 40))
def test_coming_back_after_the_wait_finds_that_much_room_and_a_moment_before_does_not(
    calls: list[tuple[float, int]], pause: float, room: int
) -> None:
    window, _, now = filled(calls)
    now += pause
    before = window.total(now)
    wait = window.wait_for(room, now)
    assert 0 <= wait <= WINDOW_SECONDS + SLICE_SECONDS
    wanted = max(0, before - room)
    if wait > 0:
        assert window.total(now + wait - TICK) > wanted
    assert window.total(now + wait) <= wanted


@settings(PROPERTY)
@given(CALLS, DELAYS)
def test_the_window_is_empty_after_that_wait_and_not_a_moment_before(
    calls: list[tuple[float, int]], pause: float
) -> None:
    window, _, now = filled(calls)
    now += pause
    wait = window.wait_until_empty(now)
    if wait > 0:
        assert window.total(now + wait - TICK) > 0
    assert window.total(now + wait) == 0


def test_a_refused_call_that_comes_back_in_time_is_admitted() -> None:
    """At 10 a minute: each refusal's wait is the truth, one call after the other."""
    window, now, admitted = SlidingWindow(), 5.0, 0
    for _ in range(25):
        if window.total(now) >= 10:
            now += window.wait_for(window.total(now) + 1 - 10, now)
        assert window.total(now) < 10
        window.add(1, now)
        admitted += 1
        now += 1.0
    assert admitted == 25


def test_the_wait_for_more_than_there_is_ends_when_all_is_gone() -> None:
    window = SlidingWindow()
    assert window.wait_for(1, 5.0) == 0.0
    window.add(3, 5.0)
    assert window.wait_for(100, 15.0) == 50.25


def test_the_wait_is_the_truth_also_where_nobody_has_looked_for_a_while() -> None:
    window = SlidingWindow()
    window.add(1, 0.0)
    window.add(1, 50.0)
    assert window.wait_for(1, 65.0) == 45.25


def test_an_empty_window_has_no_wait() -> None:
    window = SlidingWindow()
    assert window.total(1.0) == 0
    assert window.wait_until_empty(1.0) == 0.0
    window.add(1, 1.0)
    assert window.wait_until_empty(61.0) == 0.25
    assert window.wait_until_empty(61.25) == 0.0, "also where nobody has looked since"


# Giving back ------------------------------------------------------------------------------------------------------


@settings(PROPERTY)
@given(CALLS, st.data())
def test_giving_back_never_leaves_less_than_nothing(calls: list[tuple[float, int]], data: st.DataObject) -> None:
    """Whatever is given back, and how often: the sum is that of the slices, and none is below zero."""
    window, now = SlidingWindow(), 1_000.0
    taken = []
    for delay, amount in calls:
        now += delay
        taken.append(window.add(amount, now))
        if data.draw(st.booleans()):
            window.give_back(data.draw(st.integers(0, 10)), data.draw(st.sampled_from(taken)))
        assert window.total(now) == sum(piece.amount for piece in window._slices)
        assert all(piece.amount >= 0 for piece in window._slices)


def test_what_is_given_back_counts_no_more() -> None:
    window = SlidingWindow()
    taken = window.add(5, 0.0)
    window.add(2, 1.0)
    window.give_back(4, taken)
    assert window.total(2.0) == 3
    assert window.wait_for(1, 2.0) == 58.25
    assert window.wait_for(2, 2.0) == 59.25


def test_giving_back_after_the_slice_is_over_changes_nothing() -> None:
    window = SlidingWindow()
    taken = window.add(5, 0.0)
    window.add(2, 61.0)
    assert window.total(61.0) == 2
    window.give_back(5, taken)
    assert window.total(61.0) == 2


def test_giving_back_when_the_slice_is_over_and_nobody_has_looked_yet_counts_once() -> None:
    window = SlidingWindow()
    taken = window.add(5, 0.0)
    window.add(2, 1.0)
    window.give_back(5, taken)  # at 60.5 s, say
    assert window.total(60.5) == 2
    assert window.total(61.5) == 0


def test_a_window_whose_contents_were_given_back_is_empty_at_once() -> None:
    """Or a key is told to wait a minute for the return of what it has."""
    window = SlidingWindow()
    window.add(1, 0.0)
    window.give_back(3, window.add(3, 10.0))
    assert window.wait_until_empty(20.0) == 40.25
    assert window.wait_for(1, 20.0) == 40.25
    assert window.wait_for(2, 20.0) == 40.25
    assert window.total(60.25) == 0


def test_calls_of_the_same_quarter_second_share_a_slice_and_give_back_their_own() -> None:
    window = SlidingWindow()
    first, second = window.add(3, 0.0), window.add(4, 0.25)
    assert first is second
    assert window.add(1, 0.25 + TICK) is not first
    window.give_back(3, first)
    assert window.total(1.0) == 5


# Memory -----------------------------------------------------------------------------------------------------------


@settings(PROPERTY)
@given(CALLS)
def test_memory_is_bounded(calls: list[tuple[float, int]]) -> None:
    window, now = SlidingWindow(), 0.0
    for delay, amount in calls * 5:
        now += delay
        window.add(amount, now)
        assert len(window._slices) <= MAX_SLICES


def test_memory_is_bounded_at_the_worst_pace_also_where_nobody_looks() -> None:
    window, now = SlidingWindow(), 0.0
    most = 0
    for _ in range(2_000):
        window.add(1, now)
        most = max(most, len(window._slices))
        now += SLICE_SECONDS + TICK
    assert most <= MAX_SLICES
    assert window.total(now) <= MAX_SLICES


def test_a_late_time_takes_nothing_out_of_the_count() -> None:
    """A call that waited for something comes with the time of its arrival: it is counted at least as long."""
    window = SlidingWindow()
    window.add(1, 100.0)
    window.add(1, 95.0)
    assert window.total(155.5) == 2
    assert window.total(160.25) == 0
