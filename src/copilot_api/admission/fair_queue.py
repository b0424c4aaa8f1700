"""
The line before the slots: who is next. Pure, on the times it is given.

Start-time fair queueing, counted in seconds of service. Every key has an account of the service it got, divided by its
weight; the key that got least is next. A key that had nothing waiting starts where the others are, so that idling saves
nothing up, and goes first among equals, so that who asks once is next. A service is charged with what is expected when
it begins, more when it lasts longer, and corrected when it ends.

There are two lines, since calls that somebody waits for go before batch ones, and each is fair in itself. What a batch
call takes counts in both, so nobody gets more by calling work batch. What another call takes counts in its own line
only: otherwise a day's work would shut a key out of the few turns that batch calls get.
"""

import heapq
import itertools
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

BATCH_EVERY = 8
"""While both kinds wait, every eighth turn is a batch call's: rare enough not to be felt, and no starvation."""
FIRST_EXPECTED_SECONDS = 1.0
"""What a service is thought to take before one has ended."""
STRETCH = 1.25
"""What a service that outlives its charge is charged, times what it took so far: seldom, and not far from the truth."""
_NEWEST = 0.1
"""How much the newest service counts, against all before it, in what the next is expected to take."""
_REMEMBERED = 1_000
"""So many accounts are kept for what their services usually take, though they say nothing else any more."""
_STALE = 64
"""So many stale entries of a heap are not worth clearing out."""
_INTERACTIVE, _BATCH = 0, 1


class QueueOverflow(Exception):
    """The line is full, and the newcomer's key would have the most places in it."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One call in line."""

    flow: str
    """Whose call it is: the key."""
    weight: float
    is_batch: bool
    since: float
    order: int
    wakes: Any = None
    """What its owner needs to tell it."""
    is_gone: bool = False
    """It was served, pushed out, or left."""
    name: str = ""
    """What its owner calls it, for those who look at the line."""


@dataclass(slots=True, eq=False)
class _Standing:
    """One key in one of the lines."""

    account: "_Account"
    line: "_Line"
    got: float = 0.0
    """Seconds of service by weight, with what is charged for services under way."""
    under_way: float = 0.0
    """That part of it."""
    waiters: dict[Waiting, None] = field(default_factory=dict[Waiting, None])
    is_fresh: bool = False
    """Whether it came when it was not ahead of the others, and had no turn since."""
    entry: "_Entry | None" = None
    """The one entry in the line's heap that counts; the others of this key are stale."""


_Entry = tuple[float, bool, int, int, _Standing]
"""What it got, whether it is not fresh, when its first came, a number of its own, and whose it is."""


class _Line:
    """All that wait of one kind, and a heap of their keys."""

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._serial = itertools.count()
        self.length = 0
        self.clock = 0.0
        """Where the others are: what the key that is served had got from services that ended. It never goes back."""
        self.most = 0.0
        """The most that any key got that had nothing under way."""

    def add(self, waiting: Waiting, standing: _Standing) -> None:
        standing.waiters[waiting] = None
        self.length += 1
        if len(standing.waiters) == 1:
            standing.is_fresh = standing.got <= self.clock
            standing.got = max(standing.got, self.clock)
            self.rank(standing)

    def remove(self, waiting: Waiting, standing: _Standing) -> None:
        del standing.waiters[waiting]
        self.length -= 1
        self.rank(standing)

    def take(self) -> tuple[Waiting, "_Account"]:
        """The first of the key that got least. It has to be charged, which ranks it anew."""
        while self._heap[0] is not self._heap[0][-1].entry:
            heapq.heappop(self._heap)
        standing = heapq.heappop(self._heap)[-1]
        waiting = next(iter(standing.waiters))
        del standing.waiters[waiting]
        self.length -= 1
        standing.is_fresh = False
        self.clock = max(self.clock, standing.got - standing.under_way)
        return waiting, standing.account

    def pass_by(self, standing: _Standing) -> None:
        """A service begins that counts here and did not wait here."""
        if not standing.waiters:
            standing.got = max(standing.got, self.clock)
        if not self.length:
            self.clock = max(self.clock, standing.got - standing.under_way)

    def rank(self, standing: _Standing) -> None:
        """Something about it has changed."""
        if not standing.waiters:
            standing.entry = None
            return
        if len(self._heap) > 2 * self.length + _STALE:
            self._heap = [entry for entry in self._heap if entry is entry[-1].entry]
            heapq.heapify(self._heap)
        order = next(iter(standing.waiters)).order
        standing.entry = (standing.got, not standing.is_fresh, order, next(self._serial), standing)
        heapq.heappush(self._heap, standing.entry)


@dataclass(slots=True, eq=False)
class _Service:
    """One call that was let go, until it ends."""

    account: "_Account"
    weight: float
    """What its seconds are divided by, to its end: a weight that changes meanwhile is for the next."""
    is_batch: bool
    began: float
    charged: float = 0.0
    is_over: bool = False


class _Account:
    """What one key got, who of it waits, and what of it is under way."""

    __slots__ = ("expected", "flow", "places", "services", "standings", "weight")

    def __init__(self, flow: str, weight: float, lines: tuple[_Line, _Line], expected: float | None = None) -> None:
        self.flow = flow
        self.weight = weight
        self.expected = expected
        """What its services usually take."""
        self.standings = (_Standing(self, lines[0]), _Standing(self, lines[1]))
        self.places = 0
        self.services: list[_Service] = []
        """Those under way, in the order in which they began."""

    def charge(self, seconds: float, weight: float, *, is_batch: bool) -> None:
        for standing in self.standings[: is_batch + 1]:
            standing.got += seconds / weight
            standing.under_way += seconds / weight
            standing.line.rank(standing)

    def end(self, began: float) -> _Service:
        """Take out the service that began then, or nearest to it: its owner may have read the clock a moment later."""
        services = self.services
        index = bisect_left(services, began, key=attrgetter("began"))
        if index and (index == len(services) or began - services[index - 1].began <= services[index].began - began):
            index -= 1
        services[index].is_over = True
        return services.pop(index)


class FairQueue:
    """See the module."""

    def __init__(self, max_length: int) -> None:
        self.max_length = max_length
        self._remembered = _REMEMBERED
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._in_line: dict[str, _Account] = {}
        """The accounts of those that wait."""
        self._lines = (_Line(), _Line())
        self._due: list[tuple[float, int, _Service]] = []
        """When each service will have outlived its charge: a heap."""
        self._under_way = 0
        self._serial = itertools.count()
        self._expected: float | None = None
        self._turn = 0

    def __len__(self) -> int:
        return self._lines[_INTERACTIVE].length + self._lines[_BATCH].length

    def expected_seconds(self) -> float:
        """What a service usually takes."""
        return FIRST_EXPECTED_SECONDS if self._expected is None else self._expected

    def enter(self, flow: str, weight: float, now: float) -> None:
        """A call that found a free slot and nobody waiting starts at once: it is only charged."""
        account = self._open(flow, weight, now)
        self._lines[_INTERACTIVE].pass_by(account.standings[_INTERACTIVE])
        self._begin(account, now, is_batch=False)

    def push(self, flow: str, weight: float, now: float, *, is_batch: bool = False) -> tuple[Waiting, Waiting | None]:
        """
        Get in line. When it is full the newest of the key with the most places for its weight gives up its own, a batch
        one if it has any, and is returned too. Raises `QueueOverflow` where that key would be the newcomer's.
        """
        pushed_out = self._make_room(flow, weight) if len(self) >= self.max_length else None
        account = self._in_line[flow] = self._open(flow, weight, now)
        waiting = Waiting(flow, weight, is_batch, now, next(self._serial))
        self._lines[is_batch].add(waiting, account.standings[is_batch])
        account.places += 1
        return waiting, pushed_out

    def remove(self, waiting: Waiting) -> None:
        """Leave the line; leaving twice is leaving once."""
        if not waiting.is_gone:
            account = self._in_line[waiting.flow]
            self._lines[waiting.is_batch].remove(waiting, account.standings[waiting.is_batch])
            self._left(waiting, account)

    def pop(self, now: float) -> Waiting | None:
        """Who is next; its service begins."""
        if not self._in_line:
            return None
        self._charge_overdue(now)
        kind, self._turn = _next_kind(self._lines, self._turn)
        waiting, account = self._lines[kind].take()
        self._left(waiting, account)
        if kind == _BATCH:
            self._lines[_INTERACTIVE].pass_by(account.standings[_INTERACTIVE])
        self._begin(account, now, is_batch=waiting.is_batch)
        return waiting

    def learn(self, seconds: float) -> None:
        """A service that is on nobody's account took so long."""
        self._expected = _smooth(self._expected, seconds)

    def served(self, flow: str, seconds: float, now: float) -> None:
        """A service of that key has ended, and took so long."""
        self.learn(seconds)
        account = self._accounts.get(flow)
        if account is None or not account.services:
            return
        account.expected = _smooth(account.expected, seconds)
        service = account.end(now - seconds)
        account.charge(seconds - service.charged, service.weight, is_batch=service.is_batch)
        for standing in account.standings[: service.is_batch + 1]:
            standing.under_way -= seconds / service.weight
        if not account.services:
            for standing in account.standings:
                standing.under_way = 0.0  # and not what rounding left
                standing.line.most = max(standing.line.most, standing.got)
        self._under_way -= 1
        if not self._under_way and not self._in_line:
            for line in self._lines:  # nothing that counts is under way: nobody is ahead any more
                line.clock = max(line.clock, line.most)

    def place(self, waiting: Waiting, now: float) -> int:
        """Its place in line as things stand, 1 being next; 0 once it has left."""
        self._charge_overdue(now)
        upcoming = () if waiting.is_gone else self._upcoming()
        return next((place for place, each in enumerate(upcoming, 1) if each is waiting), 0)

    def list_upcoming(self, now: float) -> list[Waiting]:
        """All that wait, who is next first, as things stand."""
        self._charge_overdue(now)
        return list(self._upcoming())

    def _upcoming(self) -> Iterator[Waiting]:
        """All that wait, as `pop` would serve them if nothing else happened: tried out on copies."""
        lines, turn = (_Line(), _Line()), self._turn
        for account in self._in_line.values():
            copy = _Account(account.flow, account.weight, lines, self._cost(account))
            for standing, like in zip(copy.standings, account.standings, strict=True):
                standing.got, standing.is_fresh, standing.waiters = like.got, like.is_fresh, like.waiters.copy()
                standing.line.length += len(like.waiters)
                standing.line.rank(standing)
        while lines[_INTERACTIVE].length or lines[_BATCH].length:
            kind, turn = _next_kind(lines, turn)
            waiting, account = lines[kind].take()
            account.charge(self._cost(account), account.weight, is_batch=waiting.is_batch)
            yield waiting

    def _open(self, flow: str, weight: float, now: float) -> _Account:
        """The account of a key that has come, and all accounts up to date."""
        self._charge_overdue(now)
        account = self._accounts.get(flow)
        if account is None:
            if len(self._accounts) >= self._remembered:
                self._forget()
            account = self._accounts[flow] = _Account(flow, weight, self._lines)
        account.weight = weight
        return account

    def _forget(self) -> None:
        """For a new account look at the two oldest, and let go of those that are as good as a new one."""
        for flow, account in list(itertools.islice(self._accounts.items(), 2)):
            is_ahead = any([standing.got > standing.line.clock for standing in account.standings])
            if is_ahead or account.places or account.services:
                self._accounts.move_to_end(flow)
            else:
                del self._accounts[flow]

    def _left(self, waiting: Waiting, account: _Account) -> None:
        waiting.is_gone = True
        account.places -= 1
        if not account.places:
            del self._in_line[account.flow]

    def _cost(self, account: _Account) -> float:
        return self.expected_seconds() if account.expected is None else account.expected

    def _begin(self, account: _Account, now: float, *, is_batch: bool) -> None:
        service = _Service(account, account.weight, is_batch, now)
        account.services.append(service)
        self._under_way += 1
        self._charge(service, self._cost(account))

    def _charge(self, service: _Service, seconds: float) -> None:
        service.charged += seconds
        service.account.charge(seconds, service.weight, is_batch=service.is_batch)
        heapq.heappush(self._due, (service.began + service.charged, next(self._serial), service))

    def _charge_overdue(self, now: float) -> None:
        while self._due and self._due[0][0] < now:
            service = heapq.heappop(self._due)[-1]
            if not service.is_over:
                self._charge(service, (now - service.began) * STRETCH - service.charged)

    def _make_room(self, flow: str, weight: float) -> Waiting:
        crowding = {each.flow: each.places / each.weight for each in self._in_line.values() if each.flow != flow}
        crowded = max(reversed(crowding), key=crowding.__getitem__, default=None)
        own = self._in_line[flow].places if flow in self._in_line else 0
        if crowded is None or (own + 1) / weight >= crowding[crowded]:
            raise QueueOverflow
        interactive, batch = (standing.waiters for standing in self._in_line[crowded].standings)
        newest = next(reversed(batch or interactive))
        self.remove(newest)
        return newest


def _next_kind(lines: tuple[_Line, _Line], turn: int) -> tuple[int, int]:
    """Whose turn it is, and how many turns batch calls have let pass."""
    interactive, batch = lines
    if not batch.length:
        return _INTERACTIVE, 0
    if not interactive.length or turn + 1 >= BATCH_EVERY:
        return _BATCH, 0
    return _INTERACTIVE, turn + 1


def _smooth(known: float | None, newest: float) -> float:
    return newest if known is None else known + (newest - known) * _NEWEST
