"""
The limits and budgets of all keys, in the memory of one process.

A call is looked at whole and then takes of everything at once, with no wait in between: calls that come together
cannot all see the same room. Limits that are only observed count and never refuse.

What a key takes is kept by key: the limits of the last minute until it has been idle for a while, its budgets' accounts
for as long as the process lives, since forgetting them would mean to ask the ledger again.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from copilot_api.admission.budget import (
    NOTHING,
    TOKENS,
    UNIT_PLACES,
    UNITS,
    WINDOW_PLACES,
    Account,
    Amounts,
    Calendar,
    Starts,
    window_end,
)
from copilot_api.admission.models import Ask, LimitStanding, Reservation, SpentBefore
from copilot_api.admission.rate_limit import Slice, SlidingWindow
from copilot_api.clock import Clock
from copilot_api.config.budgets import Budget, Unit
from copilot_api.config.settings import AdmissionLimits
from copilot_api.errors import GatewayError, LimitReached, OverBudget, Rate, RateLimited, TooLargeForLimit
from copilot_api.keys.models import ApiKey, KeyPolicy
from copilot_api.upstream.prices import NANO_PER_CREDIT

IDLE_SECONDS = 120.0
RETRY_SECONDS = 5.0
"""How soon the ledger is asked again after it could not say what was spent."""
_TINY = 1e-9
"""Sums of fractions are off by about this."""
_SCALES = tuple(NANO_PER_CREDIT if unit is Unit.CREDITS else 1 for unit in UNITS)
"""How many of what is counted make one of a budget's unit, in the order of `UNITS`."""

OnUnknown = Callable[[Exception], None]
_Limits = tuple[int | None, int | None, int | None]
"""Requests and tokens a minute, and calls in flight."""


class _Load:
    """What one key takes right now."""

    __slots__ = ("in_flight", "requests", "seen_at", "tokens")

    def __init__(self) -> None:
        self.requests = SlidingWindow()
        self.tokens = SlidingWindow()
        self.in_flight = 0
        self.seen_at = 0.0


class _Taken(Reservation):
    """A reservation, with what to undo."""

    __slots__ = ("account", "is_in_flight", "load", "request_slice", "starts", "token_slice", "tokens_a_minute")

    def __init__(
        self,
        amounts: Amounts,
        notes: tuple[str, ...],
        load: _Load,
        account: Account,
        starts: Starts,
    ) -> None:
        super().__init__(amounts, notes, ())
        self.load = load
        self.account = account
        self.starts = starts
        self.is_in_flight = True
        self.request_slice: Slice | None = None
        self.token_slice: Slice | None = None
        self.tokens_a_minute = 0


class LocalQuotas:
    """See the module. `limits` may be replaced while it runs."""

    def __init__(
        self,
        clock: Clock,
        limits: AdmissionLimits,
        before: SpentBefore,
        *,
        on_unknown: OnUnknown = lambda _: None,
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._before = before
        self._on_unknown = on_unknown
        self._calendar = Calendar()
        self._began = clock.now()
        self._began_second = self._began.timestamp()
        self._loads: dict[str, _Load] = {}
        self._accounts: dict[str, Account] = {}
        self._everybody = Account(self._calendar.starts(self._began))
        self._asking = asyncio.Lock()
        self._ask_again_at = 0.0

    # Taking -----------------------------------------------------------------------------------------------------

    async def take(self, ask: Ask, now: float) -> Reservation:
        """See `Quotas`."""
        key, limits = ask.key, self.limits
        account, everybody = self._account(key.id, ask.at), self._everybody
        if key.policy.budgets or limits.budgets:
            await self._look_up(key.id, account, key.policy.budgets)
            await self._look_up(None, everybody, limits.budgets)
            # The ledger may have taken its time: the call begins only now, and others may have begun a window.
            now = self._clock.monotonic()
            account.roll(everybody.starts)
        # From here on nothing waits.
        load = self._load(key.id, now)
        check = _Check(key.policy, ask, self._limits_of(key.policy))
        self._check_limits(check, load, now)
        observes_own = key.policy.observes("budgets")
        for budget in key.policy.budgets:
            self._check_budget(check, budget, account, is_own=True, is_observed=observes_own or budget.is_observed)
        for budget in limits.budgets:
            self._check_budget(check, budget, everybody, is_own=False, is_observed=budget.is_observed)
        if check.refusal is not None:
            check.refusal.rates = _rates(check, load, now)
            raise check.refusal
        return self._reserve(check, load, account, now)

    def _reserve(self, check: "_Check", load: _Load, account: Account, now: float) -> Reservation:
        amounts = check.amounts()
        taken = _Taken(amounts, tuple(check.notes), load, account, account.starts)
        account.add(account.starts, amounts)
        self._everybody.add(account.starts, amounts)
        load.in_flight += 1
        rpm, tpm, _ = check.limits
        if rpm is not None:
            taken.request_slice = load.requests.add(1, now)
        if tpm is not None:
            taken.tokens_a_minute = check.tokens_a_minute
            taken.token_slice = load.tokens.add(check.tokens_a_minute, now)
        if taken.request_slice is not None or taken.token_slice is not None:
            taken.rates = _rates(check, load, now)
        return taken

    def _limits_of(self, policy: KeyPolicy) -> _Limits:
        """The key's own limits, or those of keys without their own."""
        limits = self.limits
        return (
            limits.rpm if policy.rpm is None else policy.rpm,
            limits.tpm if policy.tpm is None else policy.tpm,
            limits.max_in_flight if policy.max_in_flight is None else policy.max_in_flight,
        )

    def _check_limits(self, check: "_Check", load: _Load, now: float) -> None:
        rpm, tpm, most = check.limits
        if most is not None and load.in_flight >= most:
            check.refuse_rate(LimitReached("max_in_flight", load.in_flight, most, "calls"), 1.0)
        if rpm is not None:
            count = load.requests.total(now)
            if count >= rpm:
                wait = load.requests.wait_for(count + 1 - rpm, now)
                check.refuse_rate(LimitReached("rpm", count, rpm, "requests"), wait)
        if tpm is not None:
            self._check_tokens(check, load, tpm, now)

    def _check_tokens(self, check: "_Check", load: _Load, tpm: int, now: float) -> None:
        count, least = load.tokens.total(now), int(check.ask.least[TOKENS])
        check.tokens_a_minute = max(least, min(int(check.ask.likely[TOKENS]), tpm - count))
        if count + least > tpm or count >= tpm:
            wait = load.tokens.wait_for(count + max(1, least) - tpm, now)
            limit = LimitReached("tpm", count, tpm, "tokens")
            if least > tpm:
                check.refuse_rate(limit, wait, f"the request alone has about {least:,} tokens", is_hopeless=True)
            else:
                check.refuse_rate(limit, wait)

    def _check_budget(
        self, check: "_Check", budget: Budget, account: Account, *, is_own: bool, is_observed: bool
    ) -> None:
        unit, window = UNIT_PLACES[budget.unit], WINDOW_PLACES[budget.window]
        least, likely = check.ask.least[unit], check.ask.likely[unit]
        if likely <= 0:
            return  # what costs nothing of this unit may go on when it is used up
        spent = account.spent(window, unit)
        room = budget.amount * _SCALES[unit] - spent
        if room <= _TINY or least > room + _TINY:
            ends_at = window_end(budget.window, account.starts[window])
            wait = max(1.0, ends_at - self._clock.now().timestamp())
            check.refuse_budget(budget, spent, wait, is_own=is_own, is_observed=is_observed)
        elif not is_observed:
            check.room[unit] = min(check.room[unit], room)

    # Giving back ------------------------------------------------------------------------------------------------

    def leave(self, reservation: Reservation) -> None:
        """See `Quotas`."""
        taken = _own(reservation)
        if taken.is_in_flight:
            taken.is_in_flight = False
            taken.load.in_flight -= 1
            taken.load.seen_at = self._clock.monotonic()

    def settle(self, reservation: Reservation, actual: Amounts) -> None:
        """See `Quotas`."""
        taken = _own(reservation)
        if taken.is_settled:
            return
        taken.is_settled = True
        reserved = taken.amounts
        difference: Amounts = (
            actual[0] - reserved[0],
            actual[1] - reserved[1],
            actual[2] - reserved[2],
            actual[3] - reserved[3],
        )
        taken.account.add(taken.starts, difference)
        self._everybody.add(taken.starts, difference)
        if taken.token_slice is not None:
            missing = int(actual[TOKENS]) - taken.tokens_a_minute
            if missing < 0:
                taken.load.tokens.give_back(-missing, taken.token_slice)
            elif missing > 0:
                # What came on top counts from now on: it may have come long after the call began.
                taken.load.seen_at = now = self._clock.monotonic()
                taken.load.tokens.add(missing, now)

    def cancel(self, reservation: Reservation) -> None:
        """See `Quotas`."""
        taken = _own(reservation)
        if not taken.is_settled:
            if taken.request_slice is not None:
                taken.load.requests.give_back(1, taken.request_slice)
            self.settle(taken, NOTHING)

    # Looking ----------------------------------------------------------------------------------------------------

    async def standings(self, key: ApiKey, at: datetime, now: float) -> list[LimitStanding]:
        """See `Quotas`."""
        policy, account = key.policy, self._account(key.id, at)
        await self._look_up(key.id, account, policy.budgets)
        await self._look_up(None, self._everybody, self.limits.budgets)
        load = self._load(key.id, now)
        found: list[LimitStanding] = []
        for name, unit, limit, used, wait in self._minute_limits(policy, load, now):
            resets_at = datetime.fromtimestamp(at.timestamp() + wait, UTC) if wait else None
            found.append(LimitStanding(name, unit, limit, used, resets_at, policy.observes(name)))
        found += [_budget_standing(b, account, is_observed=policy.observes("budgets")) for b in policy.budgets]
        found += [_budget_standing(b, self._everybody, scope="all") for b in self.limits.budgets]
        return found

    def _minute_limits(self, policy: KeyPolicy, load: _Load, now: float) -> list[tuple[str, str, int, int, float]]:
        rpm, tpm, most = self._limits_of(policy)
        found: list[tuple[str, str, int, int, float]] = []
        for name, unit, limit, window in (("rpm", "requests", rpm, load.requests), ("tpm", "tokens", tpm, load.tokens)):
            if limit is not None:
                found.append((name, unit, limit, window.total(now), window.wait_until_empty(now)))
        if most is not None:
            found.append(("max_in_flight", "calls", most, load.in_flight, 0.0))
        return found

    # What is kept by key ----------------------------------------------------------------------------------------

    def _load(self, key_id: str, now: float) -> _Load:
        """What the key takes now. Each time the one that was used longest ago is looked at, and forgotten if idle."""
        loads = self._loads
        load = loads.pop(key_id, None) or _Load()
        load.seen_at = now
        loads[key_id] = load
        oldest_id = next(iter(loads))
        oldest = loads[oldest_id]
        if oldest.seen_at + IDLE_SECONDS < now:
            del loads[oldest_id]
            if oldest.in_flight:
                loads[oldest_id] = oldest  # a long call: it is looked at again when its turn comes
                oldest.seen_at = now
        return load

    def _account(self, key_id: str, at: datetime) -> Account:
        """
        The key's account, in the windows of `at`; in later ones where everybody's are later. A clock may be set back,
        and bodies take their time: what counted in the one account and not in the other would be spent for free.
        """
        everybody = self._everybody
        everybody.roll(self._calendar.starts(at))
        account = self._accounts.get(key_id)
        if account is None:
            account = self._accounts[key_id] = Account(everybody.starts)
        account.roll(everybody.starts)
        return account

    async def _look_up(self, key_id: str | None, account: Account, budgets: tuple[Budget, ...]) -> None:
        """Have the ledger say what was spent before this process counted, in the windows that there are budgets for."""
        if account.looked_up is budgets:
            return  # since the newest of its windows began
        for budget in budgets:
            if not self._is_looked_up(account, WINDOW_PLACES[budget.window]):
                await self._ask_ledger(key_id, account, budgets)
                return
        account.looked_up = budgets

    def _is_looked_up(self, account: Account, window: int) -> bool:
        return account.is_known(window) or account.starts[window] >= self._began_second

    async def _ask_ledger(self, key_id: str | None, account: Account, budgets: tuple[Budget, ...]) -> None:
        async with self._asking:
            if self._clock.monotonic() < self._ask_again_at:
                return
            for window in sorted({WINDOW_PLACES[budget.window] for budget in budgets}):
                start = account.starts[window]
                if self._is_looked_up(account, window):
                    continue
                since = datetime.fromtimestamp(start, UTC)
                try:
                    spent = await asyncio.to_thread(self._before.spent, key_id, since, self._began)
                except Exception as error:  # noqa: BLE001 -- whatever is broken, calls go on: the ledger is asked again
                    self._ask_again_at = self._clock.monotonic() + RETRY_SECONDS
                    self._on_unknown(error)
                    return
                account.remember(window, start, spent)


class _Check:
    """One call held against its limits: what it may take, and the first that refuses it."""

    __slots__ = ("ask", "limits", "notes", "policy", "refusal", "room", "tokens_a_minute")

    def __init__(self, policy: KeyPolicy, ask: Ask, limits: _Limits) -> None:
        self.policy = policy
        self.limits = limits
        self.ask = ask
        self.notes: list[str] = []
        self.refusal: GatewayError | None = None
        self.room: list[float] = list(ask.likely)
        self.tokens_a_minute = 0

    def amounts(self) -> Amounts:
        """What to reserve: what is likely, as far as there is room for it, and at least what it takes."""
        least, room = self.ask.least, self.room
        return (
            max(least[0], int(room[0])),
            max(least[1], room[1]),
            max(least[2], int(room[2])),
            max(least[3], int(room[3])),
        )

    def refuse_rate(self, limit: LimitReached, wait: float, because: str = "", *, is_hopeless: bool = False) -> None:
        """A limit per minute, or on calls in flight, is reached."""
        if self.policy.observes(limit.name):
            self.notes.append(limit.name)
        elif is_hopeless or self._is_longest(wait):
            what = "at once" if limit.name == "max_in_flight" else "in any 60 s"
            message = (
                f"this key's limit {limit.name} is reached: "
                f"{limit.current:,.0f} of {limit.allowed:,.0f} {limit.unit} {what}"
            )
            if is_hopeless:
                self.refusal = TooLargeForLimit(f"{message}; {because}", retry_after=wait, limit=limit)
            else:
                hint = f"try again in {max(1, math.ceil(wait))} s"
                self.refusal = RateLimited(message, retry_after=wait, limit=limit, hint=hint)

    def refuse_budget(self, budget: Budget, spent: float, wait: float, *, is_own: bool, is_observed: bool) -> None:
        """A budget has no room for the call."""
        name = budget.name if is_own else f"all:{budget.name}"
        if is_observed:
            self.notes.append(name)
        elif self._is_longest(wait):
            unit = UNIT_PLACES[budget.unit]
            used, least = spent / _SCALES[unit], self.ask.least[unit] / _SCALES[unit]
            words = budget.unit.words
            whose = "this key's budget" if is_own else "the budget of all keys together"
            message = (
                f"{whose} {budget.name} is used up: {used:.6g} of {budget.amount:.15g} {words} "
                f"this {budget.window.value} are taken or reserved"
            )
            hint = None
            if least > budget.amount:
                message = (
                    f"the call alone takes about {least:.6g} {words}, and {whose} {budget.name} is {budget.amount:.15g}"
                )
                hint = "send a smaller request, or have the gateway's operator raise the budget"
            limit = LimitReached(name, used, budget.amount, words)
            self.refusal = OverBudget(message, retry_after=wait, limit=limit, hint=hint)

    def _is_longest(self, wait: float) -> bool:
        """Of several limits that refuse the call, the one that it takes longest to get past is the one to tell."""
        if isinstance(self.refusal, TooLargeForLimit):
            return False
        return self.refusal is None or wait > (self.refusal.retry_after or 0.0)


def _rates(check: _Check, load: _Load, now: float) -> tuple[Rate, ...]:
    """Where the key stands in the minute limits that it is held to."""
    rpm, tpm, _ = check.limits
    rates: tuple[Rate, ...] = ()
    if rpm is not None and not check.policy.observes("rpm"):
        rates = (_rate("requests", rpm, load.requests, now),)
    if tpm is not None and not check.policy.observes("tpm"):
        rates += (_rate("tokens", tpm, load.tokens, now),)
    return rates


def _rate(unit: Literal["requests", "tokens"], limit: int, window: SlidingWindow, now: float) -> Rate:
    return Rate(unit, limit, max(0, limit - window.total(now)), window.wait_until_empty(now))


def _budget_standing(
    budget: Budget, account: Account, *, is_observed: bool = False, scope: str = "key"
) -> LimitStanding:
    unit, window = UNIT_PLACES[budget.unit], WINDOW_PLACES[budget.window]
    return LimitStanding(
        name=budget.name,
        unit=budget.unit.value,
        limit=budget.amount,
        used=account.spent(window, unit) / _SCALES[unit],
        resets_at=datetime.fromtimestamp(window_end(budget.window, account.starts[window]), UTC),
        is_observed=budget.is_observed or is_observed,
        scope="all" if scope == "all" else "key",
    )


def _own(reservation: Reservation) -> _Taken:
    if not isinstance(reservation, _Taken):
        raise TypeError("this reservation was made elsewhere")
    return reservation
