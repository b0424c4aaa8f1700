"""
The limits and budgets of all keys: what is let in, what is refused and how, and what is counted. The clock is a fake,
the ledger a stub that can fail and take its time.
"""

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.admission.budget import CREDITS, NOTHING, REQUESTS, TOKENS, Amounts
from copilot_api.admission.models import Ask, LimitStanding, Reservation
from copilot_api.admission.quotas import IDLE_SECONDS, RETRY_SECONDS, LocalQuotas
from copilot_api.config.budgets import parse_budget
from copilot_api.config.settings import AdmissionLimits
from copilot_api.errors import GatewayError, OverBudget, Rate, RateLimited, StorageUnavailable, TooLargeForLimit
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.usage.models import Cause, UsageEvent
from tests.fakes import FakeClock
from tests.stored import open_stored

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=60)
T = TypeVar("T")


class Ledger:
    """A `SpentBefore`: says what it is told to, fails when it is told to, and remembers what it was asked."""

    def __init__(self, **spent: Amounts) -> None:
        self.spent_by = spent
        """By key; `everybody` for all."""
        self.failure: Exception | None = None
        self.asked: list[tuple[str | None, datetime, datetime]] = []
        self.meanwhile: Callable[[], object] = lambda: None
        """What happens while it looks."""

    def spent(self, key_id: str | None, since: datetime, until: datetime) -> Amounts:
        assert threading.current_thread() is not threading.main_thread(), "it blocks"
        self.asked.append((key_id, since, until))
        self.meanwhile()
        if self.failure is not None:
            raise self.failure
        return self.spent_by.get(key_id or "everybody", NOTHING)


def make_key(key_id: str = "key_a", *budgets: str, **policy: Any) -> ApiKey:
    """A key with these budgets and limits."""
    parsed = tuple(parse_budget(text) for text in budgets)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return ApiKey(key_id, key_id, Tier.CLIENT, "", created, KeyPolicy(budgets=parsed, **policy))


def defaults(*budgets: str, **limits: int) -> AdmissionLimits:
    """The limits of keys without their own, and the budgets of all keys."""
    return AdmissionLimits(budgets=tuple(parse_budget(text) for text in budgets), **limits)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    coroutine.close()
    raise AssertionError("it waits")


class Rig:
    """Quotas, their clock and their ledger."""

    def __init__(self, limits: AdmissionLimits | None = None, ledger: Ledger | None = None) -> None:
        self.clock = FakeClock()
        self.ledger = ledger or Ledger()
        self.unknown: list[Exception] = []
        self.restart(limits)

    def restart(self, limits: AdmissionLimits | None = None) -> None:
        """A new process on the same clock and ledger."""
        self.quotas = LocalQuotas(self.clock, limits or AdmissionLimits(), self.ledger, on_unknown=self.unknown.append)

    def ask(
        self,
        key: ApiKey,
        *,
        tokens: int = 10,
        more: int = 0,
        cost: float = 0,
        more_cost: float = 0,
        premium: float = 0.0,
        at: datetime | None = None,
    ) -> Ask:
        """A call that takes so much at least, and is likely to take `more`."""
        nano, likely = int(cost * NANO_PER_CREDIT), int((cost + more_cost) * NANO_PER_CREDIT)
        moment = at or self.clock.now()
        return Ask("req", key, "m", moment, False, (nano, premium, tokens, 1), (likely, premium, tokens + more, 1))

    async def taking(self, key: ApiKey, **amounts: Any) -> Reservation:
        return await self.quotas.take(self.ask(key, **amounts), self.clock.monotonic())

    def take(self, key: ApiKey, **amounts: Any) -> Reservation:
        """A call that is let in, perhaps after a look into the ledger."""
        return asyncio.run(self.taking(key, **amounts))

    def refusal(self, key: ApiKey, **amounts: Any) -> GatewayError:
        """Why a call is not let in."""
        with pytest.raises(GatewayError) as refusal:
            asyncio.run(self.taking(key, **amounts))
        return refusal.value

    def admits(self, key: ApiKey, **amounts: Any) -> bool:
        """Whether a call would be let in; it takes nothing either way."""
        try:
            reservation = asyncio.run(self.taking(key, **amounts))
        except GatewayError:
            return False
        self.end(reservation, None)
        return True

    def end(self, reservation: Reservation, actual: Amounts | None = None) -> None:
        """A call is over that took so much; None for one that never went upstream."""
        self.quotas.leave(reservation)
        if actual is None:
            self.quotas.cancel(reservation)
        else:
            self.quotas.settle(reservation, actual)

    def serve(self, key: ApiKey, tokens: int = 10, cost: float = 0, premium: float = 0.0) -> None:
        """A whole call that took what it was thought to."""
        reservation = self.take(key, tokens=tokens, cost=cost, premium=premium)
        self.end(reservation, (int(cost * NANO_PER_CREDIT), premium, tokens, 1))

    def standings(self, key: ApiKey) -> dict[str, LimitStanding]:
        found = asyncio.run(self.quotas.standings(key, self.clock.now(), self.clock.monotonic()))
        names = [standing.name if standing.scope == "key" else f"all:{standing.name}" for standing in found]
        assert len(set(names)) == len(names)
        return dict(zip(names, found, strict=True))

    def used(self, key: ApiKey) -> dict[str, float]:
        """How much is taken of each limit."""
        return {name: standing.used for name, standing in self.standings(key).items()}


@pytest.fixture
def rig() -> Rig:
    return Rig()


# Requests at the same time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize("spent_before", [0, 3])
def test_of_calls_that_come_together_a_budget_of_n_lets_exactly_n_in(*, is_own: bool, spent_before: int) -> None:
    """Also the first ones, which wait together for what the ledger says."""
    text = "requests:day:20"
    before: Amounts = (0, 0.0, 0, spent_before)
    ledger = Ledger(key_a=before, everybody=before)
    ledger.meanwhile = lambda: threading.Event().wait(0.005)
    rig = Rig(defaults() if is_own else defaults(text), ledger)
    key = make_key("key_a", text) if is_own else make_key("key_a")

    async def test() -> list[Any]:
        return await asyncio.gather(*(rig.taking(key) for _ in range(60)), return_exceptions=True)

    outcomes = asyncio.run(test())
    assert sum(isinstance(outcome, Reservation) for outcome in outcomes) == 20 - spent_before
    assert sum(isinstance(outcome, OverBudget) for outcome in outcomes) == 40 + spent_before
    assert len(ledger.asked) == 1


def test_of_calls_that_come_together_a_rate_of_n_lets_exactly_n_in(rig: Rig) -> None:
    key = make_key(rpm=7)

    async def test() -> list[Any]:
        return await asyncio.gather(*(rig.taking(key) for _ in range(20)), return_exceptions=True)

    outcomes = asyncio.run(test())
    assert sum(isinstance(outcome, Reservation) for outcome in outcomes) == 7


def test_what_is_known_makes_nobody_wait(rig: Rig) -> None:
    """A call is looked at whole and takes of everything at once."""
    rig.quotas.limits = defaults("requests:hour:100", rpm=10)
    rig.take(make_key("key_a", "tokens:day:1000", tpm=1000))
    at_once(rig.taking(make_key("key_a", "tokens:day:1000", tpm=1000)))
    at_once(rig.quotas.standings(make_key("key_a", "tokens:day:1000"), rig.clock.now(), rig.clock.monotonic()))


def test_a_key_without_budgets_asks_no_ledger(rig: Rig) -> None:
    rig.quotas.limits = defaults(rpm=10, tpm=1000, max_in_flight=3)
    at_once(rig.taking(make_key()))
    assert rig.ledger.asked == []


# Amounts ----------------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "settle", "cancel", "wait"]),
        st.integers(0, 1),
        st.integers(0, 30),
        st.integers(0, 3),
    ),
    max_size=50,
)


@settings(PROPERTY)
@given(STEPS)
def test_reservations_never_pass_a_budget_and_nothing_is_refused_that_has_room(
    steps: list[tuple[str, int, int, int]],
) -> None:
    """With exact estimates; two keys with several budgets each, and two for both together; held against a plain sum."""
    rig = Rig(defaults("tokens:hour:120", "requests:hour:9"))
    own = (
        make_key("key_a", "tokens:hour:70", "requests:hour:6", "credits:hour:0.000000004"),
        make_key("key_b", "tokens:hour:90", "credits:hour:0.000000005"),
    )
    allowed = (
        {TOKENS: 70, REQUESTS: 6, CREDITS: 4},
        {TOKENS: 90, CREDITS: 5},
        {TOKENS: 120, REQUESTS: 9},
    )
    taken: list[tuple[int, datetime, list[int]]] = []
    under_way: list[tuple[Reservation, int, Amounts]] = []

    def total(owner: int, unit: int) -> int:
        hour = rig.clock.now().replace(minute=0, second=0)
        return sum(
            amounts[unit]
            for key, at, amounts in taken
            if (owner == 2 or key == owner) and at.replace(minute=0, second=0) == hour
        )

    for action, owner, tokens, nano in steps:
        if action == "wait":
            rig.clock.advance(tokens * 60)
        elif action == "take":
            amounts: Amounts = (nano, 0.0, tokens, 1)
            ask = Ask("req", own[owner], "m", rig.clock.now(), least=amounts, likely=amounts)
            has_room = all(
                amounts[unit] == 0 or total(whose, unit) + amounts[unit] <= most
                for whose in (owner, 2)
                for unit, most in allowed[whose].items()
            )
            try:
                reservation = at_once(rig.quotas.take(ask, rig.clock.monotonic()))
            except OverBudget:
                assert not has_room
            else:
                assert has_room
                assert reservation.amounts == amounts
                taken.append((owner, rig.clock.now(), [nano, 0, tokens, 1]))
                under_way.append((reservation, len(taken) - 1, amounts))
        elif under_way:
            reservation, place, amounts = under_way.pop(tokens % len(under_way))
            if action == "cancel":
                rig.end(reservation)
                taken[place] = (*taken[place][:2], [0, 0, 0, 0])
            else:
                rig.end(reservation, amounts)
        for whose, limits in enumerate(allowed):
            for unit, most in limits.items():
                assert total(whose, unit) <= most
    for whose, key in enumerate(own):
        standings = {
            standing.name: standing
            for standing in at_once(rig.quotas.standings(key, rig.clock.now(), rig.clock.monotonic()))
            if standing.scope == "key"
        }
        assert standings["tokens:hour"].used == total(whose, TOKENS)
        assert standings["credits:hour"].used == pytest.approx(total(whose, CREDITS) / NANO_PER_CREDIT)


def test_what_is_likely_is_reserved_as_far_as_there_is_room(rig: Rig) -> None:
    key = make_key("key_a", "tokens:hour:100")
    assert rig.take(key, tokens=10, more=50).amounts[TOKENS] == 60
    assert rig.take(key, tokens=10, more=50).amounts[TOKENS] == 40
    assert isinstance(rig.refusal(key, tokens=1), OverBudget)


def test_what_is_reserved_is_bounded_by_the_narrowest_budget(rig: Rig) -> None:
    rig.quotas.limits = defaults("tokens:hour:30", "tokens:week:1000")
    key = make_key("key_a", "tokens:hour:100", "tokens:day:40")
    assert rig.take(key, tokens=10, more=500).amounts[TOKENS] == 30
    assert rig.used(key) == {"tokens:hour": 30, "tokens:day": 30, "all:tokens:hour": 30, "all:tokens:week": 30}


def test_a_call_is_refused_that_takes_more_than_there_is_at_the_least(rig: Rig) -> None:
    key = make_key("key_a", "tokens:hour:100")
    rig.serve(key, tokens=91)
    assert isinstance(rig.refusal(key, tokens=10), OverBudget)
    assert rig.take(key, tokens=9).amounts[TOKENS] == 9


def test_fractions_of_premium_requests_add_up_to_the_whole(rig: Rig) -> None:
    """Ten times a third are, in floating point, not quite what they should be."""
    key = make_key("key_a", "premium_requests:hour:3.3")
    for _ in range(10):
        rig.serve(key, premium=0.33)
    assert isinstance(rig.refusal(key, premium=0.33), OverBudget)
    assert rig.standings(key)["premium_requests:hour"].used == pytest.approx(3.3)


def test_part_of_a_request_is_no_request(rig: Rig) -> None:
    key = make_key("key_a", "requests:hour:1.5")
    rig.serve(key)
    assert isinstance(rig.refusal(key), OverBudget)


def test_budgets_of_other_keys_are_their_own(rig: Rig) -> None:
    first, second = make_key("key_a", "requests:hour:1"), make_key("key_b", "requests:hour:1")
    rig.serve(first)
    rig.serve(second)
    assert isinstance(rig.refusal(first), OverBudget)


def test_a_budget_for_all_keys_is_spent_by_each(rig: Rig) -> None:
    rig.quotas.limits = defaults("requests:hour:2")
    rig.serve(make_key("key_a"))
    rig.serve(make_key("key_b"))
    refusal = rig.refusal(make_key("key_c"))
    assert isinstance(refusal, OverBudget)
    assert refusal.limit is not None
    assert refusal.limit.name == "all:requests:hour"
    assert "all keys together" in refusal.message


def test_what_one_limit_refuses_is_taken_of_none(rig: Rig) -> None:
    """All or nothing."""
    rig.quotas.limits = defaults("requests:hour:1")
    key = make_key("key_a", "tokens:hour:1000", "requests:day:50", rpm=50, tpm=5000, max_in_flight=9)
    first = rig.take(key, tokens=10)
    before = rig.used(key)
    for _ in range(3):
        rig.refusal(key, tokens=10)
    assert rig.used(key) == before
    rig.end(first)
    assert set(rig.used(key).values()) == {0}


# Settling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [0, 5, 60, 500])
def test_what_a_call_really_took_is_what_counts(rig: Rig, tokens: int) -> None:
    """Nothing, less than was reserved, as much, and more."""
    rig.quotas.limits = defaults("tokens:hour:1000")
    key = make_key(
        "key_a", "tokens:hour:1000", "credits:hour:9", "premium_requests:hour:9", "requests:hour:9", tpm=1000
    )
    reservation = rig.take(key, tokens=10, more=50, cost=1, premium=1.0)
    rig.end(reservation, (NANO_PER_CREDIT // 2, 0.5, tokens, 1))
    assert rig.used(key) == {
        "tpm": tokens,
        "tokens:hour": tokens,
        "credits:hour": 0.5,
        "premium_requests:hour": 0.5,
        "requests:hour": 1,
        "all:tokens:hour": tokens,
    }


def test_a_call_that_took_more_than_was_left_is_the_last(rig: Rig) -> None:
    """Parallel calls overshoot by no more than what they took beyond what was reserved."""
    key = make_key("key_a", "tokens:hour:100")
    rig.end(rig.take(key, tokens=90, more=1_000), (0, 0.0, 5_000, 1))
    refusal = rig.refusal(key, tokens=1)
    assert refusal.limit is not None
    assert (refusal.limit.current, refusal.limit.allowed) == (5_000, 100)


def test_settling_again_changes_nothing(rig: Rig) -> None:
    key = make_key("key_a", "tokens:hour:1000", rpm=9, tpm=900, max_in_flight=9)
    other = rig.take(key, tokens=7)
    reservation = rig.take(key, tokens=10)
    for tokens in (20, 500, 0):
        rig.end(reservation, (0, 0.0, tokens, 1))
        rig.end(reservation)
    assert rig.used(key) == {"rpm": 2, "tpm": 27, "max_in_flight": 1, "tokens:hour": 27}
    rig.end(other)
    assert rig.used(key) == {"rpm": 1, "tpm": 20, "max_in_flight": 0, "tokens:hour": 20}


def test_what_never_went_upstream_gives_everything_back(rig: Rig) -> None:
    rig.quotas.limits = defaults("requests:hour:100")
    key = make_key("key_a", "tokens:hour:100", "credits:hour:3", rpm=1, tpm=100, max_in_flight=1)
    for _ in range(5):
        rig.end(rig.take(key, tokens=10, more=900, cost=1, more_cost=1))
        assert set(rig.used(key).values()) == {0}
        rig.clock.advance(3)
    reservation = rig.take(key, tokens=10)
    rig.end(reservation)
    rig.end(reservation, (0, 0.0, 999, 1))
    assert set(rig.used(key).values()) == {0}, "also where somebody settles afterwards"
    assert all(standing.resets_at is None for name, standing in rig.standings(key).items() if name in {"rpm", "tpm"}), (
        "what holds nothing has nothing to come back"
    )


def test_giving_back_after_the_minute_is_over_takes_from_nobody_else(rig: Rig) -> None:
    key = make_key("key_a", rpm=5, tpm=500)
    long = rig.take(key, tokens=100)
    rig.clock.advance(61)
    rig.take(key, tokens=30)
    rig.end(long)
    assert rig.used(key) == {"rpm": 1, "tpm": 30}


def test_what_comes_on_top_counts_from_the_end_of_a_call_on(rig: Rig) -> None:
    key = make_key("key_a", tpm=500)
    long = rig.take(key, tokens=100)
    rig.clock.advance(100)
    rig.end(long, (0, 0.0, 450, 1))
    assert rig.used(key) == {"tpm": 350}
    rig.clock.advance(60)
    assert rig.used(key) == {"tpm": 350}
    rig.clock.advance(0.25)
    assert rig.used(key) == {"tpm": 0}


def test_a_call_is_in_flight_until_it_leaves_once(rig: Rig) -> None:
    key = make_key("key_a", max_in_flight=2)
    first, second = rig.take(key), rig.take(key)
    assert isinstance(rig.refusal(key), RateLimited)
    rig.quotas.settle(first, NOTHING)
    assert not rig.admits(key), "settled is not gone"
    rig.quotas.leave(first)
    rig.quotas.leave(first)
    assert rig.used(key) == {"max_in_flight": 1}
    rig.quotas.leave(second)
    assert rig.used(key) == {"max_in_flight": 0}


def test_a_reservation_of_somebody_else_is_a_defect_of_ours(rig: Rig) -> None:
    with pytest.raises(TypeError):
        rig.quotas.settle(Reservation(NOTHING, (), ()), NOTHING)


# Windows ----------------------------------------------------------------------------------------------------------


def test_a_budget_is_new_when_its_window_begins(rig: Rig) -> None:
    key = make_key("key_a", "requests:hour:1", "requests:day:2")
    rig.serve(key)
    refusal = rig.refusal(key)
    assert refusal.limit is not None
    assert refusal.limit.name == "requests:hour"
    rig.clock.advance(3600)
    rig.serve(key)
    rig.clock.advance(3600)
    refusal = rig.refusal(key)
    assert refusal.limit is not None
    assert refusal.limit.name == "requests:day"
    rig.clock.advance(10 * 3600)
    rig.serve(key)


def test_a_call_belongs_to_the_window_that_it_came_in(rig: Rig) -> None:
    """It is settled long after that is over, and neither takes from the new one nor gives to it."""
    rig.quotas.limits = defaults("tokens:hour:100")
    key = make_key("key_a", "tokens:hour:100", "tokens:day:1000")
    old = rig.take(key, tokens=50)
    rig.clock.advance(3600)
    new = rig.take(key, tokens=30)
    rig.end(old, (0, 0.0, 99, 1))
    assert rig.used(key) == {"tokens:hour": 30, "tokens:day": 129, "all:tokens:hour": 30}
    older = rig.take(key, tokens=50)
    rig.clock.advance(3600)
    rig.end(older)
    rig.end(new, (0, 0.0, 40, 1))
    assert rig.used(key) == {"tokens:hour": 0, "tokens:day": 139, "all:tokens:hour": 0}


@pytest.mark.parametrize("hours_back", [1, 13, 24 * 8, 24 * 40])
def test_a_clock_that_is_set_back_gives_nothing_for_free(rig: Rig, hours_back: int) -> None:
    """Neither to a key that was here before nor to a new one, nor to all of them."""
    rig.quotas.limits = defaults("requests:hour:4", "requests:month:100")
    key, new = make_key("key_a", "requests:hour:2"), make_key("key_b", "requests:hour:1")
    rig.serve(key)
    rig.clock._now -= timedelta(hours=hours_back)
    rig.serve(key)
    assert not rig.admits(key)
    rig.serve(new)
    assert not rig.admits(new)
    assert rig.used(new) == {"requests:hour": 1, "all:requests:hour": 3, "all:requests:month": 3}
    assert rig.used(key) == {"requests:hour": 2, "all:requests:hour": 3, "all:requests:month": 3}


def test_a_call_whose_body_took_its_time_counts_where_the_others_do(rig: Rig) -> None:
    """It came in the hour before, others have begun the new one: it counts once, with its key and with all."""
    rig.quotas.limits = defaults("requests:hour:10")
    arrived = rig.clock.now()
    rig.clock.advance(3600)
    rig.serve(make_key("key_b"))
    late = make_key("key_a", "requests:hour:10")
    rig.take(late, at=arrived)
    assert rig.used(late) == {"requests:hour": 1, "all:requests:hour": 2}


# What refuses, and how --------------------------------------------------------------------------------------------


def assert_truth(rig: Rig, key: ApiKey, refusal: GatewayError, **amounts: Any) -> None:
    """Whoever comes back when the refusal says is let in, and was not a second before that."""
    assert refusal.retry_after is not None
    headers = dict(refusal.headers())
    seconds = int(headers[b"retry-after"])
    assert seconds == max(1, math.ceil(refusal.retry_after))
    rig.clock.advance(max(0.0, seconds - 1.5))
    assert not rig.admits(key, **amounts)
    rig.clock.advance(min(seconds, 1.5))
    assert rig.admits(key, **amounts)


def test_too_many_requests_are_refused_until_there_is_room(rig: Rig) -> None:
    key = make_key(rpm=3)
    for _ in range(3):
        rig.serve(key)
        rig.clock.advance(10)
    refusal = rig.refusal(key)
    assert type(refusal) is RateLimited
    assert (refusal.actual_status, refusal.code, refusal.cause, refusal.is_final) == (429, "rate_limited", "rate_limited", False)  # fmt: skip
    assert refusal.limit is not None
    assert (refusal.limit.name, refusal.limit.current, refusal.limit.allowed, refusal.limit.unit) == ("rpm", 3, 3, "requests")  # fmt: skip
    assert refusal.retry_after == 30.25
    assert refusal.message == "this key's limit rpm is reached: 3 of 3 requests in any 60 s"
    assert refusal.actual_hint == "try again in 31 s"
    assert_truth(rig, key, refusal)


def test_too_many_tokens_are_refused_until_there_is_room_for_the_request(rig: Rig) -> None:
    key = make_key(tpm=100)
    rig.serve(key, tokens=30)
    rig.clock.advance(10)
    rig.serve(key, tokens=60)
    rig.clock.advance(5)
    refusal = rig.refusal(key, tokens=50)
    assert type(refusal) is RateLimited
    assert refusal.limit is not None
    assert (refusal.limit.name, refusal.limit.current, refusal.limit.allowed, refusal.limit.unit) == ("tpm", 90, 100, "tokens")  # fmt: skip
    assert refusal.retry_after == 55.25, "30 tokens less are not enough"
    assert_truth(rig, key, refusal, tokens=50)


@pytest.mark.parametrize("least", [0, 1, 10, 100])
def test_after_an_overshoot_the_wait_is_the_truth_too(rig: Rig, least: int) -> None:
    """A call took five times the limit."""
    key = make_key(tpm=100)
    for tokens in (60, 500):
        rig.end(rig.take(key, tokens=10), (0, 0.0, tokens, 1))
        rig.clock.advance(20)
    assert_truth(rig, key, rig.refusal(key, tokens=least), tokens=least)


def test_the_wait_counts_what_is_there_exactly(rig: Rig) -> None:
    """Where the limit stays just reached, no request is let in, however small."""
    key = make_key(tpm=100)
    rig.end(rig.take(key, tokens=10), (0, 0.0, 10, 1))
    rig.clock.advance(20)
    rig.end(rig.take(key, tokens=10), (0, 0.0, 100, 1))
    assert_truth(rig, key, rig.refusal(key, tokens=0), tokens=0)


def test_a_request_that_is_larger_than_a_minutes_tokens_is_refused_for_good(rig: Rig) -> None:
    key = make_key(tpm=100)
    refusal = rig.refusal(key, tokens=101)
    assert type(refusal) is TooLargeForLimit
    assert refusal.is_final
    assert refusal.limit is not None
    assert (refusal.limit.name, refusal.limit.current, refusal.limit.allowed) == ("tpm", 0, 100)
    assert "about 101 tokens" in refusal.message
    assert rig.admits(key, tokens=100)
    assert rig.admits(key, tokens=50, more=100_000), "only what it takes at the least is held against the limit"


def test_a_request_as_large_as_a_minutes_tokens_waits_for_an_empty_minute(rig: Rig) -> None:
    key = make_key(tpm=100)
    rig.serve(key, tokens=1)
    rig.clock.advance(10)
    refusal = rig.refusal(key, tokens=100)
    assert type(refusal) is RateLimited
    assert_truth(rig, key, refusal, tokens=100)


def test_too_many_calls_in_flight_are_refused_until_one_leaves(rig: Rig) -> None:
    key = make_key(max_in_flight=2)
    first = rig.take(key)
    rig.take(key)
    refusal = rig.refusal(key)
    assert type(refusal) is RateLimited
    assert refusal.limit is not None
    assert (refusal.limit.name, refusal.limit.current, refusal.limit.allowed, refusal.limit.unit) == ("max_in_flight", 2, 2, "calls")  # fmt: skip
    assert refusal.message.endswith("2 of 2 calls at once")
    assert refusal.retry_after == 1.0
    rig.end(first, NOTHING)
    assert rig.admits(key)


@pytest.mark.parametrize(
    ("budget", "call", "current", "unit", "wait"),
    [
        ("requests:hour:2", {}, 2, "requests", 3600 - 90),
        ("tokens:day:20", {}, 20, "tokens", 12 * 3600 - 90),
        ("premium_requests:week:2", {"premium": 1.0}, 2.0, "premium requests", 4.5 * 86_400 - 90),
        ("credits:month:0.5", {"cost": 0.25}, 0.5, "credits", 30.5 * 86_400 - 90),
    ],
)
@pytest.mark.parametrize("is_own", [True, False])
def test_a_budget_that_is_used_up_refuses_until_its_window_ends(
    rig: Rig, budget: str, call: dict[str, float], current: float, unit: str, wait: float, *, is_own: bool
) -> None:
    key = make_key("key_a", budget) if is_own else make_key("key_a")
    rig.quotas.limits = defaults() if is_own else defaults(budget)
    for _ in range(2):
        rig.take(key, **call)
    rig.clock.advance(90)
    refusal = rig.refusal(key, **call)
    assert type(refusal) is OverBudget
    assert (refusal.actual_status, refusal.code, refusal.cause, refusal.is_final) == (429, "budget_exceeded", "over_budget", True)  # fmt: skip
    name = budget.rpartition(":")[0]
    assert refusal.limit is not None
    assert refusal.limit.name == (name if is_own else f"all:{name}")
    assert (refusal.limit.current, refusal.limit.unit) == (current, unit)
    assert refusal.limit.allowed == float(budget.rpartition(":")[2])
    assert refusal.retry_after == wait
    assert f"{current:g} of {refusal.limit.allowed:g} {unit}" in refusal.message
    assert_truth(rig, key, refusal, **call)


def test_the_end_of_a_window_is_never_now(rig: Rig) -> None:
    """In its last instant a budget says to wait a second, not none."""
    key = make_key("key_a", "requests:hour:1")
    rig.serve(key)
    rig.clock.advance(3599.999)
    assert rig.refusal(key).retry_after == 1.0


# What costs nothing -----------------------------------------------------------------------------------------------


def test_what_costs_nothing_of_a_unit_goes_on_when_that_is_used_up(rig: Rig) -> None:
    """An agent's call is no premium request, and a free model no credits: the key may go on with those."""
    key = make_key("key_a", "premium_requests:hour:1", "credits:hour:1")
    rig.serve(key, premium=1.0, cost=1)
    assert rig.refusal(key, premium=1.0).limit is not None
    assert not rig.admits(key, cost=0.1)
    assert not rig.admits(key, more_cost=0.1), "a model whose price is not known may cost"
    assert rig.take(key, premium=0.0, cost=0).amounts == (0, 0.0, 10, 1)


def test_a_call_that_may_turn_out_free_is_let_in_as_long_as_anything_is_left(rig: Rig) -> None:
    key = make_key("key_a", "credits:hour:1")
    rig.serve(key, cost=0.999)
    assert rig.take(key, cost=0, more_cost=5).amounts[CREDITS] == pytest.approx(0.001 * NANO_PER_CREDIT, abs=1)


# Only observed ----------------------------------------------------------------------------------------------------


def test_what_is_only_observed_never_refuses_and_is_noted_by_name(rig: Rig) -> None:
    rig.quotas.limits = defaults("credits:day:1:observe")
    key = make_key("key_a", "credits:day:1", "requests:hour:1", rpm=1, tpm=10, max_in_flight=1, observe=("*",))
    assert rig.take(key, tokens=10, cost=1).notes == ()
    names = ("max_in_flight", "rpm", "tpm", "credits:day", "requests:hour", "all:credits:day")
    assert rig.take(key, tokens=1_000, cost=1).notes == names
    assert rig.take(key, tokens=1, cost=1).notes == names
    assert rig.used(key) == {"rpm": 3, "tpm": 1011, "max_in_flight": 3, "credits:day": 3, "requests:hour": 3, "all:credits:day": 3}  # fmt: skip


@pytest.mark.parametrize("name", ["rpm", "tpm", "max_in_flight"])
def test_one_limit_may_be_observed_while_the_others_are_enforced(rig: Rig, name: str) -> None:
    full = {"rpm": 1, "tpm": 10, "max_in_flight": 1}
    key = make_key("key_a", **{name: full[name]}, observe=(name,))
    rig.take(key)
    assert rig.take(key).notes == (name,)
    other = next(each for each in full if each != name)
    both = make_key("key_b", **{name: full[name], other: full[other]}, observe=(name,))
    rig.take(both)
    refusal = rig.refusal(both)
    assert refusal.limit is not None
    assert refusal.limit.name == other


def test_a_default_limit_is_observed_for_keys_that_only_observe_it(rig: Rig) -> None:
    rig.quotas.limits = defaults(rpm=1)
    key = make_key(observe=("rpm",))
    rig.take(key)
    assert rig.take(key).notes == ("rpm",)
    assert rig.take(key).rates == ()


def test_a_budget_may_be_observed_beside_one_that_is_enforced(rig: Rig) -> None:
    key = make_key("key_a", "requests:hour:1:observe", "requests:day:3")
    rig.take(key)
    assert rig.take(key).notes == ("requests:hour",)
    rig.take(key)
    refusal = rig.refusal(key)
    assert refusal.limit is not None
    assert refusal.limit.name == "requests:day"


def test_a_key_that_only_observes_its_budgets_obeys_that_of_all(rig: Rig) -> None:
    rig.quotas.limits = defaults("requests:hour:1")
    key = make_key("key_a", "requests:hour:1", observe=("budgets",))
    rig.take(key)
    refusal = rig.refusal(key)
    assert refusal.limit is not None
    assert refusal.limit.name == "all:requests:hour"


def test_an_observed_budget_bounds_no_reservation(rig: Rig) -> None:
    key = make_key("key_a", "tokens:hour:20:observe")
    assert rig.take(key, tokens=10, more=90).amounts[TOKENS] == 100


def test_an_observed_request_that_is_too_large_is_noted_too(rig: Rig) -> None:
    assert rig.take(make_key(tpm=10, observe=("tpm",)), tokens=11).notes == ("tpm",)


# Defaults and changes ---------------------------------------------------------------------------------------------


def test_a_key_without_limits_of_its_own_has_the_default_ones(rig: Rig) -> None:
    rig.quotas.limits = defaults(rpm=2, tpm=100, max_in_flight=2)
    plain, own = make_key("key_a"), make_key("key_b", rpm=3, tpm=30, max_in_flight=3)
    rig.take(plain)
    rig.take(plain)
    assert not rig.admits(plain)
    for _ in range(3):
        rig.take(own)
    assert not rig.admits(own)
    assert {name: standing.limit for name, standing in rig.standings(plain).items()} == {"rpm": 2, "tpm": 100, "max_in_flight": 2}  # fmt: skip
    assert {name: standing.limit for name, standing in rig.standings(own).items()} == {"rpm": 3, "tpm": 30, "max_in_flight": 3}  # fmt: skip


def test_without_any_limit_nothing_is_refused_and_nothing_shown(rig: Rig) -> None:
    reservations = [rig.take(make_key()) for _ in range(100)]
    assert rig.standings(make_key()) == {}
    assert {reservation.rates for reservation in reservations} == {()}


def test_a_change_of_policy_counts_at_the_next_call(rig: Rig) -> None:
    rig.take(make_key(rpm=1))
    assert not rig.admits(make_key(rpm=1))
    assert rig.admits(make_key(rpm=2))
    assert rig.admits(make_key())
    assert not rig.admits(make_key("key_a", "requests:hour:1"))
    assert rig.admits(make_key("key_a", "requests:hour:2"))
    assert not rig.admits(make_key(max_in_flight=1))


def test_a_change_of_the_defaults_counts_at_the_next_call(rig: Rig) -> None:
    rig.quotas.limits = defaults(rpm=1)
    rig.take(make_key())
    assert not rig.admits(make_key())
    rig.quotas.limits = defaults(rpm=2)
    assert rig.admits(make_key())
    rig.quotas.limits = defaults("requests:hour:1", rpm=2)
    assert not rig.admits(make_key("key_b"))


def test_a_call_under_way_gives_back_what_it_took_also_after_a_change(rig: Rig) -> None:
    before, after = make_key("key_a", "tokens:hour:100", rpm=5, tpm=500), make_key("key_a", "tokens:hour:100")
    limited, free = rig.take(before), rig.take(after)
    rig.end(limited)
    rig.end(free)
    assert rig.used(before) == {"rpm": 0, "tpm": 0, "tokens:hour": 0}


# What was spent before --------------------------------------------------------------------------------------------


def test_a_budget_survives_a_restart(rig: Rig) -> None:
    key = make_key("key_a", "requests:day:3")
    rig.serve(key)
    rig.serve(key)
    rig.ledger.spent_by = {"key_a": (0, 0.0, 20, 2)}
    rig.clock.advance(60)
    rig.restart()
    rig.serve(key)
    refusal = rig.refusal(key)
    assert refusal.limit is not None
    assert (refusal.limit.current, refusal.limit.allowed) == (3, 3)
    assert rig.ledger.asked == [
        ("key_a", datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("key_a", datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 1, 12, 1, tzinfo=UTC)),
    ]


def test_the_ledger_is_asked_once_for_each_window_of_each_key_and_of_all(rig: Rig) -> None:
    """From the window's beginning until this process began: what comes later is counted here, and never twice."""
    rig.clock.advance(600)
    rig.restart(defaults("credits:month:9", "requests:month:900"))
    rig.ledger.spent_by = {"key_a": (1, 0.5, 7, 2), "everybody": (NANO_PER_CREDIT, 0.0, 0, 5)}
    first = make_key("key_a", "tokens:hour:100", "tokens:day:200", "requests:day:50", "tokens:week:300")
    second = make_key("key_b", "tokens:hour:100")
    for _ in range(3):
        rig.serve(first, tokens=10)
        rig.serve(second, tokens=10)
        rig.clock.advance(10)
    began = datetime(2026, 7, 1, 12, 10, tzinfo=UTC)
    assert sorted(rig.ledger.asked, key=str) == sorted(
        [
            ("key_a", datetime(2026, 7, 1, 12, tzinfo=UTC), began),
            ("key_a", datetime(2026, 7, 1, tzinfo=UTC), began),
            ("key_a", datetime(2026, 6, 29, tzinfo=UTC), began),
            (None, datetime(2026, 7, 1, tzinfo=UTC), began),
            ("key_b", datetime(2026, 7, 1, 12, tzinfo=UTC), began),
        ],
        key=str,
    )
    assert rig.used(first) == {
        "tokens:hour": 37,
        "tokens:day": 37,
        "requests:day": 5,
        "tokens:week": 37,
        "all:credits:month": 1.0,
        "all:requests:month": 11,
    }
    assert rig.used(second)["tokens:hour"] == 30


def test_of_a_window_that_begins_later_the_ledger_is_not_asked(rig: Rig) -> None:
    """There was nobody else to spend of it."""
    rig.clock.advance(3600 * 12)
    rig.serve(make_key("key_a", "tokens:hour:100", "tokens:day:100"))
    rig.clock.advance(3600)
    rig.serve(make_key("key_a", "tokens:hour:100", "tokens:day:100"))
    assert rig.ledger.asked == []


def test_a_window_that_begins_as_the_process_does_has_nothing_before(rig: Rig) -> None:
    rig.serve(make_key("key_a", "tokens:hour:100"))
    assert rig.ledger.asked == []


def test_the_ledgers_answer_for_the_day_before_does_not_count_today(rig: Rig) -> None:
    """Midnight passes, and another call with it, while the ledger looks."""
    rig.clock.advance(12 * 3600 - 1)
    rig.restart()
    rig.ledger.spent_by = {"key_a": (0, 0.0, 0, 5)}
    key = make_key("key_a", "requests:day:5", "requests:month:100")

    async def test() -> None:
        loop = asyncio.get_running_loop()

        def meanwhile() -> None:
            rig.ledger.meanwhile = lambda: None
            rig.clock.advance(2)
            asyncio.run_coroutine_threadsafe(rig.taking(make_key("key_a")), loop).result(5)

        rig.ledger.meanwhile = meanwhile
        await rig.taking(key)

    asyncio.run(test())
    assert rig.used(key) == {"requests:day": 2, "requests:month": 7}


def test_a_budget_that_is_made_later_knows_what_was_spent_since_the_start(rig: Rig) -> None:
    rig.clock.advance(600)
    rig.restart()
    rig.serve(make_key(), tokens=30)
    rig.take(make_key(), tokens=5)
    rig.ledger.spent_by = {"key_a": (0, 0.0, 100, 1), "everybody": (0, 0.0, 1_000, 9)}
    rig.quotas.limits = defaults("requests:day:50")
    key = make_key("key_a", "tokens:day:500", "requests:hour:50")
    assert rig.used(key) == {"tokens:day": 135, "requests:hour": 3, "all:requests:day": 11}
    assert not rig.admits(make_key("key_a", "tokens:day:135"))


def test_the_same_with_the_real_ledger(rig: Rig, tmp_path: Path) -> None:
    """What the events of an earlier process say, by the quotas' own rule; and nothing of this one's, though stored."""
    rig.clock.advance(600)
    early, late = (rig.clock.now() + timedelta(seconds=seconds) for seconds in (-1, 1))
    with open_stored(tmp_path / "data", rig.clock) as stored:
        stored.usage.add_events(
            [
                UsageEvent(request_id="a", at=early.isoformat(), key_id="key_a", identity_id="default", input_tokens=5),
                UsageEvent(
                    request_id="b", at=early.isoformat(), key_id="key_b", identity_id="default", output_tokens=7
                ),
                UsageEvent(request_id="c", at=late.isoformat(), key_id="key_a", identity_id="default", input_tokens=90),
                UsageEvent(request_id="d", at=early.isoformat(), key_id="key_a", cause=Cause.RATE_LIMITED),
            ]
        )
        limits = defaults("tokens:day:1000", "requests:day:100")
        rig.quotas = LocalQuotas(rig.clock, limits, stored.usage, on_unknown=rig.unknown.append)
        key = make_key("key_a", "tokens:day:100", "requests:month:100")
        rig.serve(key, tokens=10)
        used = {"tokens:day": 15, "requests:month": 2, "all:tokens:day": 22, "all:requests:day": 3}
        assert rig.used(key) == used
        assert rig.unknown == []


# The ledger is away -----------------------------------------------------------------------------------------------


def test_when_the_ledger_cannot_say_calls_go_on_and_it_is_asked_again(rig: Rig) -> None:
    rig.ledger.failure = StorageUnavailable("it is locked")
    rig.ledger.spent_by = {"key_a": (0, 0.0, 0, 3)}
    key = make_key("key_a", "requests:day:5")
    rig.serve(key)
    assert rig.unknown == [rig.ledger.failure]
    rig.clock.advance(RETRY_SECONDS - 0.1)
    rig.serve(key)
    assert len(rig.ledger.asked) == len(rig.unknown) == 1, "not with every call"
    rig.clock.advance(0.2)
    rig.ledger.failure = None
    assert not rig.admits(key), "3 before and 2 since"
    rig.clock.advance(60)
    assert rig.used(key) == {"requests:day": 5}
    assert len(rig.ledger.asked) == 2


def test_of_many_calls_that_find_the_ledger_away_one_waits_for_it(rig: Rig) -> None:
    rig.ledger.failure = StorageUnavailable("it is locked")
    rig.quotas.limits = defaults("requests:day:500")

    async def test() -> None:
        keys = [make_key(f"key_{number % 7}", "requests:day:500") for number in range(50)]
        await asyncio.gather(*(rig.taking(key) for key in keys))

    asyncio.run(test())
    assert len(rig.ledger.asked) == len(rig.unknown) == 1


@pytest.mark.parametrize("failure", [StorageUnavailable("no"), OSError("no"), ValueError("no"), KeyError("no")])
def test_whatever_is_wrong_with_the_ledger_calls_go_on(rig: Rig, failure: Exception) -> None:
    rig.ledger.failure = failure
    rig.serve(make_key("key_a", "requests:day:5"))
    assert rig.unknown == [failure]


def test_a_part_that_is_known_is_not_asked_again(rig: Rig) -> None:
    """The month's answer fails after the week's came."""
    rig.ledger.spent_by = {"key_a": (0, 0.0, 0, 3)}
    key = make_key("key_a", "requests:week:50", "requests:month:50")

    def meanwhile() -> None:
        rig.ledger.failure = StorageUnavailable("no") if len(rig.ledger.asked) == 2 else None

    rig.ledger.meanwhile = meanwhile
    rig.serve(key)
    assert rig.used(key) == {"requests:week": 4, "requests:month": 1}
    rig.clock.advance(RETRY_SECONDS)
    assert rig.used(key) == {"requests:week": 4, "requests:month": 4}
    assert [since.day for _, since, _ in rig.ledger.asked] == [29, 1, 1]


def test_a_caller_that_leaves_while_the_ledger_looks_has_taken_nothing(rig: Rig) -> None:
    key = make_key("key_a", "requests:day:5", rpm=5, max_in_flight=5)
    release = threading.Event()
    rig.ledger.meanwhile = lambda: release.wait(5)

    async def test() -> None:
        calling = asyncio.get_running_loop().create_task(rig.taking(key))
        await asyncio.sleep(0.01)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        release.set()
        await rig.taking(key)

    asyncio.run(test())
    assert set(rig.used(key).values()) == {1}


def test_a_window_that_begins_while_the_ledger_looks_counts_the_call_with_its_key_and_with_all(rig: Rig) -> None:
    """Another key's call begins it."""
    rig.quotas.limits = defaults("requests:hour:50")
    key = make_key("key_a", "requests:hour:50", "requests:day:50")

    async def test() -> None:
        loop = asyncio.get_running_loop()

        def meanwhile() -> None:
            rig.clock.advance(3600)
            asyncio.run_coroutine_threadsafe(rig.taking(make_key("key_b")), loop).result(5)

        rig.ledger.meanwhile = meanwhile
        await rig.taking(key)

    asyncio.run(test())
    assert rig.used(key) == {"requests:hour": 1, "requests:day": 1, "all:requests:hour": 2}


def test_what_a_call_waited_for_the_ledger_is_no_part_of_its_minute(rig: Rig) -> None:
    """Ten calls wait ten seconds for the ledger: it is a minute later, and not 50 s, that ten more are let in."""
    key = make_key("key_a", "requests:day:500", rpm=10)

    def meanwhile() -> None:
        threading.Event().wait(0.01)
        rig.clock.advance(10)

    rig.ledger.meanwhile = meanwhile

    async def test() -> None:
        await asyncio.gather(*(rig.taking(key) for _ in range(10)))

    asyncio.run(test())
    rig.clock.advance(59.9)
    assert not rig.admits(key)
    rig.clock.advance(0.4)
    assert rig.admits(key)


# What is kept by key ----------------------------------------------------------------------------------------------


def test_idle_keys_are_forgotten(rig: Rig) -> None:
    """Whoever comes with many keys finds no memory that grows for ever."""
    rig.quotas.limits = defaults(rpm=5)
    for number in range(200):
        rig.end(rig.take(make_key(f"key_{number}")), NOTHING)
    assert len(rig.quotas._loads) == 200
    rig.clock.advance(IDLE_SECONDS + 1)
    for _ in range(250):
        rig.admits(make_key("key_x"))
    assert set(rig.quotas._loads) == {"key_x"}


def test_a_key_with_a_call_in_flight_is_never_forgotten(rig: Rig) -> None:
    busy, other = make_key("key_a", max_in_flight=1), make_key("key_b")
    long = rig.take(busy)
    for _ in range(40):
        rig.clock.advance(IDLE_SECONDS)
        rig.serve(other)
    assert not rig.admits(busy)
    rig.end(long, NOTHING)
    assert rig.admits(busy)
    for _ in range(3):
        rig.clock.advance(IDLE_SECONDS + 1)
        rig.serve(other)
    assert set(rig.quotas._loads) == {"key_b"}


@pytest.mark.parametrize("is_left_first", [True, False])
@pytest.mark.parametrize("seconds", [1, 119, 121, 500])
def test_a_key_with_counted_tokens_is_not_forgotten(rig: Rig, seconds: int, *, is_left_first: bool) -> None:
    """They came on top at the end of a long call, and count for a minute from then on."""
    key, other = make_key("key_a", tpm=100), make_key("key_b")
    long = rig.take(key, tokens=10)
    rig.clock.advance(seconds)
    rig.serve(other)
    if is_left_first:
        rig.quotas.leave(long)
    rig.quotas.settle(long, (0, 0.0, 510, 1))
    rig.quotas.leave(long)
    for _ in range(59):
        rig.clock.advance(1)
        rig.serve(other)
        assert not rig.admits(key, tokens=1)
    rig.clock.advance(1.25)
    assert rig.admits(key, tokens=1)


@settings(PROPERTY)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 200), st.booleans()), max_size=60))
def test_forgetting_changes_no_decision(steps: list[tuple[int, int, bool]]) -> None:
    """Calls of several keys, some long and some short: each key has what an own rig of its would give it."""
    rig, alone = Rig(), {number: Rig() for number in range(6)}
    keys = [make_key(f"key_{number}", rpm=3, tpm=100, max_in_flight=2) for number in range(6)]
    under_way: list[tuple[int, Reservation, Reservation]] = []
    for number, seconds, ends in steps:
        for each in (rig, *alone.values()):
            each.clock.advance(seconds / 4)
        if ends and under_way:
            owner, here, there = under_way.pop(0)
            rig.end(here, (0, 0.0, seconds, 1))
            alone[owner].end(there, (0, 0.0, seconds, 1))
            continue
        outcomes: list[Reservation | str] = []
        for each in (rig, alone[number]):
            try:
                outcomes.append(at_once(each.taking(keys[number], tokens=20)))
            except RateLimited as refusal:
                outcomes.append(f"{refusal.message} {refusal.retry_after}")
        here_or_not, there_or_not = outcomes
        if isinstance(here_or_not, Reservation):
            assert isinstance(there_or_not, Reservation)
            assert here_or_not.rates == there_or_not.rates
            under_way.append((number, here_or_not, there_or_not))
        else:
            assert here_or_not == there_or_not


# Looking ----------------------------------------------------------------------------------------------------------


def test_standings_show_every_limit_as_it_is(rig: Rig) -> None:
    rig.clock.advance(600)
    rig.restart(defaults("credits:month:100:observe", rpm=60))
    key = make_key(
        "key_a", "credits:day:2.5", "premium_requests:week:10", "requests:hour:5:observe", tpm=1_000, max_in_flight=4, observe=("tpm",)
    )  # fmt: skip
    rig.take(key, tokens=100, cost=0.5, premium=1.0)
    rig.clock.advance(20)
    now = rig.clock.now()
    soon = now + timedelta(seconds=40.25)
    assert list(rig.standings(key).values()) == [
        LimitStanding("rpm", "requests", 60, 1, soon, False),
        LimitStanding("tpm", "tokens", 1_000, 100, soon, True),
        LimitStanding("max_in_flight", "calls", 4, 1, None, False),
        LimitStanding("credits:day", "credits", 2.5, 0.5, datetime(2026, 7, 2, tzinfo=UTC), False),
        LimitStanding("premium_requests:week", "premium_requests", 10, 1.0, datetime(2026, 7, 6, tzinfo=UTC), False),
        LimitStanding("requests:hour", "requests", 5, 1, datetime(2026, 7, 1, 13, tzinfo=UTC), True),
        LimitStanding("credits:month", "credits", 100, 0.5, datetime(2026, 8, 1, tzinfo=UTC), True, "all"),
    ]


def test_standings_of_a_key_that_was_never_used_know_what_was_spent_before(rig: Rig) -> None:
    rig.ledger.spent_by = {"key_a": (0, 0.0, 0, 3)}
    standing = rig.standings(make_key("key_a", "requests:day:5", rpm=2))
    assert (standing["requests:day"].used, standing["rpm"].used, standing["rpm"].resets_at) == (3, 0, None)


def test_standings_after_midnight_are_those_of_the_new_day(rig: Rig) -> None:
    key = make_key("key_a", "requests:day:5")
    rig.serve(key)
    rig.clock.advance(12 * 3600)
    standing = rig.standings(key)["requests:day"]
    assert (standing.used, standing.resets_at) == (0, datetime(2026, 7, 3, tzinfo=UTC))


def test_looking_takes_nothing(rig: Rig) -> None:
    key = make_key("key_a", "requests:day:5", rpm=2, tpm=100)
    before = rig.standings(key)
    for _ in range(10):
        assert rig.standings(key) == before


def test_a_permit_says_how_the_limits_per_minute_stand_with_it(rig: Rig) -> None:
    key = make_key("key_a", "requests:day:50", rpm=3, tpm=100, max_in_flight=5)
    assert rig.take(key, tokens=10, more=30).rates == (Rate("requests", 3, 2, 60.25), Rate("tokens", 100, 60, 60.25))
    rig.clock.advance(20)
    assert rig.take(key, tokens=10).rates == (Rate("requests", 3, 1, 60.25), Rate("tokens", 100, 50, 60.25))
    assert rig.take(make_key("key_b", "requests:day:50", max_in_flight=5)).rates == ()
    assert rig.take(make_key("key_c", rpm=5)).rates == (Rate("requests", 5, 4, 60.25),)
    assert rig.take(make_key("key_d", rpm=5, tpm=5, observe=("tpm",))).rates == (Rate("requests", 5, 4, 60.25),)


def test_a_refusal_says_how_the_limits_per_minute_stand(rig: Rig) -> None:
    """Whatever refuses; and never less than nothing is left."""
    key = make_key("key_a", "requests:hour:2", rpm=3, tpm=100)
    rig.end(rig.take(key, tokens=10), (0, 0.0, 900, 1))
    rig.clock.advance(20)
    assert rig.refusal(key, tokens=50).rates == (Rate("requests", 3, 2, 40.25), Rate("tokens", 100, 0, 40.25))
    rig.clock.advance(60)
    rig.serve(key)
    assert rig.refusal(key).rates == (Rate("requests", 3, 2, 60.25), Rate("tokens", 100, 90, 60.25))
    assert rig.refusal(make_key("key_a", "requests:hour:2")).rates == ()
