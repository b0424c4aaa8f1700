"""The line before the slots: who is next, and that it is fair among keys."""

import copy
import itertools
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.admission.fair_queue import (
    BATCH_EVERY,
    FIRST_EXPECTED_SECONDS,
    STRETCH,
    FairQueue,
    QueueOverflow,
    Waiting,
)

ROOT = Path(__file__).resolve().parents[2]
PROPERTY = settings(derandomize=True, deadline=None, database=None)


class Door:
    """One slot, a line, and a clock that moves only while somebody is served."""

    def __init__(self, max_length: int = 1_000) -> None:
        self.queue = FairQueue(max_length)
        self.now = 0.0

    def come(self, flows: str, *, weight: float = 1.0, is_batch: bool = False) -> list[Waiting]:
        """A call for each letter, the letter being its key."""
        return [self.queue.push(flow, weight, self.now, is_batch=is_batch)[0] for flow in flows]

    def begin(self) -> str:
        """Let the next one go."""
        waiting = self.queue.pop(self.now)
        assert waiting is not None
        return waiting.flow

    def serve(self, turns: int = 1, seconds: float = 1.0) -> str:
        """Serve so many after each other, and tell whose they were."""
        return "".join(self.serve_one(seconds) for _ in range(turns))

    def serve_one(self, seconds: float) -> str:
        flow = self.begin()
        self.now += seconds
        self.queue.served(flow, seconds, self.now)
        return flow


def begin_all(queue: FairQueue, now: float) -> list[Waiting]:
    """Let everybody go at once, in order."""
    return list(iter(lambda: queue.pop(now), None))


# Whose turn it is -----------------------------------------------------------------------------------------------------


def test_an_empty_line_has_nobody_next() -> None:
    assert FairQueue(10).pop(0.0) is None
    assert len(FairQueue(10)) == 0


def test_keys_take_turns_however_many_calls_one_of_them_has() -> None:
    door = Door()
    door.come("aaaaaaaabbcc")
    assert door.serve(8) == "abcabcaa"


def test_within_a_key_who_came_first_goes_first() -> None:
    door = Door()
    calls = door.come("aaa")
    assert [door.queue.pop(0.0) for _ in range(4)] == [*calls, None]


def test_a_key_of_weight_three_gets_three_turns_for_each_of_weight_one() -> None:
    door = Door()
    door.come("a" * 40, weight=3.0)
    door.come("b" * 40)
    assert Counter(door.serve(40)) == {"a": 30, "b": 10}


def test_a_weight_that_changes_is_for_all_calls_that_begin_from_then_on() -> None:
    door = Door()
    door.come("a" * 40 + "b" * 40)
    assert Counter(door.serve(10)) == {"a": 5, "b": 5}
    door.come("a", weight=4.0)
    assert Counter(door.serve(25)) == {"a": 20, "b": 5}


def test_the_time_of_the_slots_is_shared_and_not_the_number_of_calls() -> None:
    door = Door()
    door.come("l" * 100 + "s" * 100)
    seconds: Counter[str] = Counter()
    for _ in range(60):
        flow = door.begin()
        takes = 4 if flow == "l" else 1
        door.now += takes
        door.queue.served(flow, takes, door.now)
        seconds[flow] += takes
    assert abs(seconds["l"] - seconds["s"]) <= 4
    assert seconds.total() > 80


def test_a_key_that_was_idle_is_next() -> None:
    door = Door()
    door.come("a" * 50 + "b" * 50)
    door.serve(20)
    door.come("i")
    assert door.serve() == "i"


def test_who_was_idle_goes_before_those_that_got_just_as_much() -> None:
    """All keys in step are equals of the newcomer; behind all of them it would wait for a whole round."""
    door = Door()
    door.come("abcdefgh" * 5)
    door.serve(16)
    door.come("ij")
    assert door.serve(3) == "ija"


def test_idling_saves_nothing_up() -> None:
    door = Door()
    door.come("i")
    door.come("a" * 100)
    door.serve(50)
    door.come("i" * 20)
    assert Counter(door.serve(20)) == {"i": 10, "a": 10}


def test_a_key_with_a_call_under_way_and_none_in_line_saves_nothing_up_either() -> None:
    door = Door()
    door.come("i" + "a" * 200)
    assert door.begin() == "i"
    door.serve(100)
    door.queue.served("i", 1.0, 1.0)
    door.come("i" * 20)
    assert Counter(door.serve(20))["i"] <= 11


def test_leaving_and_coming_back_does_not_make_a_key_new() -> None:
    door = Door()
    door.come("b" * 20)
    served = ""
    for _ in range(10):
        door.come("a")
        served += door.serve()
    assert Counter(served) == {"a": 5, "b": 5}


# What a service costs -------------------------------------------------------------------------------------------------


def test_before_anything_is_known_a_service_is_expected_to_take_a_second() -> None:
    queue = FairQueue(10)
    assert queue.expected_seconds() == FIRST_EXPECTED_SECONDS == 1.0


def test_what_is_expected_follows_what_services_took() -> None:
    queue = FairQueue(10)
    queue.served("a", 10.0, 10.0)
    assert queue.expected_seconds() == 10.0, "the first one is all that is known"
    for _ in range(50):
        queue.served("a", 2.0, 12.0)
    assert queue.expected_seconds() == pytest.approx(2.0, abs=0.1)


def test_a_key_is_charged_what_its_own_services_usually_take() -> None:
    """So a key of long calls does not get all slots before the first of them has ended."""
    queue = FairQueue(100)
    for flow, seconds in (("s", 1.0), ("l", 9.0)):
        queue.enter(flow, 1.0, 0.0)
        queue.served(flow, seconds, seconds)
    for flow in "llllssssssssssssssss":
        queue.push(flow, 1.0, 9.0)
    assert "".join(waiting.flow for waiting in begin_all(queue, 9.0))[:11] == "lsssssssssl"


def test_a_service_that_took_longer_than_expected_is_paid_at_its_end() -> None:
    door = Door()
    door.come("aaaa" + "bbbbbbbbbbbbbb")
    assert door.serve(1, seconds=10.0) == "a"
    assert door.serve(11, seconds=1.0) == "bbbbbbbbbba"


def test_a_service_that_took_less_than_expected_is_given_back() -> None:
    door = Door()
    door.come("a" * 12 + "b" * 12)
    assert door.serve(1, seconds=0.1) == "a"
    assert door.serve(1, seconds=1.0) == "b"
    assert door.serve(8, seconds=0.1) == "a" * 8


def test_a_service_that_still_lasts_is_charged_as_it_goes() -> None:
    """Else a key with slots that it never gives back would look as if it had got a second each."""
    queue = FairQueue(100)
    queue.enter("long", 1.0, 0.0)
    for _ in range(30):
        queue.push("long", 1.0, 0.0)
        queue.push("other", 1.0, 0.0)
    begun, now = "", 20.0
    for _ in range(20):
        waiting = queue.pop(now)
        assert waiting is not None
        begun += waiting.flow[0]
        now += 1.0
        queue.served(waiting.flow, 1.0, now)
    assert begun == "o" * 20
    queue.served("long", now, now)
    assert queue._accounts["long"].standings[0].got == pytest.approx(now), "in the end it is charged what it took"


def test_what_is_charged_for_a_service_under_way_is_never_less_than_it_took_nor_much_more() -> None:
    queue = FairQueue(100)
    queue.enter("a", 1.0, 0.0)
    for now in (0.5, 1.5, 3.0, 10.0, 200.0, 200.1, 5_000.0):
        queue.push("b", 1.0, now)
        assert queue.pop(now) is not None
        charged = queue._accounts["a"].services[0].charged
        assert now <= charged <= max(FIRST_EXPECTED_SECONDS, STRETCH * now)


def test_services_that_end_in_another_order_than_they_began_are_told_apart() -> None:
    queue = FairQueue(100)
    queue.enter("a", 1.0, 0.0)
    queue.enter("a", 1.0, 100.0)
    queue.served("a", 1.0, 101.0)
    [left] = queue._accounts["a"].services
    assert left.began == 0.0
    queue.served("a", 110.0, 110.0)
    assert queue._accounts["a"].standings[0].got == pytest.approx(111.0)


def test_a_clock_that_was_read_a_moment_later_finds_its_service_all_the_same() -> None:
    queue = FairQueue(100)
    for began in (0.0, 1.0, 2.0):
        queue.enter("a", 1.0, began)
    queue.served("a", 8.9, 10.0)
    assert [service.began for service in queue._accounts["a"].services] == [0.0, 2.0]


def test_a_service_is_corrected_by_the_weight_that_it_was_charged_with() -> None:
    queue = FairQueue(100)
    queue.enter("a", 4.0, 0.0)
    queue.enter("a", 1.0, 0.0)
    queue.push("b", 1.0, 0.0)
    for _ in range(2):
        queue.served("a", 0.0, 0.0)
    assert queue._accounts["a"].standings[0].got == 0.0


def test_the_end_of_a_service_that_nobody_knows_changes_nothing() -> None:
    door = Door()
    door.come("ab")
    door.queue.served("a", 100.0, 0.0)
    door.queue.served("stranger", 100.0, 0.0)
    assert door.serve(2) == "ab"


def test_calls_that_found_a_free_slot_are_charged_too() -> None:
    queue = FairQueue(100)
    for _ in range(8):
        queue.enter("a", 1.0, 0.0)
    for flow in "abababababababab":
        queue.push(flow, 1.0, 0.0)
    begun = [waiting.flow for waiting in begin_all(queue, 0.0)]
    assert begun[:8] == ["b"] * 8, "the slots are a's already"


def test_when_all_slots_are_free_nobody_is_ahead() -> None:
    queue = FairQueue(100)
    for number in range(100):
        queue.enter("a", 1.0, number)
        queue.served("a", 1.0, number + 1.0)
    for flow in "aaaaabbbbb":
        queue.push(flow, 1.0, 200.0)
    begun = [waiting.flow for waiting in begin_all(queue, 200.0)]
    assert Counter(begun[:4]) == {"a": 2, "b": 2}


def test_a_key_that_had_the_slots_while_nobody_wanted_them_is_not_shut_out_for_it() -> None:
    """A long stream of somebody else's must not keep the accounts of a quiet day alive."""
    queue = FairQueue(1_000)
    queue.enter("stream", 1.0, 0.0)
    for number in range(1_000):
        queue.enter("a", 1.0, number)
        queue.served("a", 1.0, number + 1.0)
    for flow in "ab" * 20:
        queue.push(flow, 1.0, 1_000.0)
    begun = [waiting.flow for waiting in begin_all(queue, 1_000.0)]
    assert Counter(begun[:20])["a"] >= 9


# Batch ----------------------------------------------------------------------------------------------------------------


def test_batch_calls_let_the_others_go_first_and_get_every_eighth_turn() -> None:
    door = Door()
    door.come("b" * 10, is_batch=True)
    door.come("i" * 30)
    assert BATCH_EVERY == 8
    assert door.serve(24) == ("i" * 7 + "b") * 3


def test_alone_each_kind_has_all_turns() -> None:
    door = Door()
    door.come("b" * 5, is_batch=True)
    assert door.serve(5) == "bbbbb"
    door.come("i" * 20)
    assert door.serve(20) == "i" * 20


def test_batch_calls_that_come_late_have_no_turns_saved_up() -> None:
    door = Door()
    door.come("i" * 40)
    door.serve(20)
    door.come("b", is_batch=True)
    assert door.serve(8) == "iiiiiiib"


def test_batch_calls_are_fair_among_themselves() -> None:
    door = Door()
    door.come("a" * 30 + "b" * 30, is_batch=True)
    door.come("c" * 30, is_batch=True, weight=2.0)
    assert Counter(door.serve(40)) == {"a": 10, "b": 10, "c": 20}


def test_what_batch_calls_take_counts_for_the_other_calls_of_their_key() -> None:
    """Nobody gets more by calling half of the work batch."""
    door = Door()
    door.come("a" * 100 + "b" * 100)
    door.come("a" * 100, is_batch=True)
    turns = Counter(door.serve(80))
    assert abs(turns["a"] - turns["b"]) <= 2


def test_what_other_calls_take_does_not_shut_a_key_out_of_the_batch_turns() -> None:
    door = Door()
    door.come("x" * 100, is_batch=True)
    door.come("a" * 400)
    door.serve(200)
    door.come("a", is_batch=True)
    assert "a" in [door.serve() for _ in range(2 * BATCH_EVERY)][BATCH_EVERY - 1 :: BATCH_EVERY]


def test_a_batch_call_of_an_idle_key_is_next_of_its_kind_however_long_the_others_have_waited() -> None:
    door = Door()
    door.come("xyz" * 50, is_batch=True)
    door.come("a" * 400)
    door.serve(160)
    door.come("b", is_batch=True)
    assert "b" in door.serve(BATCH_EVERY)


def test_a_key_whose_batch_calls_wait_gets_no_more_than_its_share_of_the_other_turns() -> None:
    door = Door()
    door.come("b" * 50, is_batch=True)
    door.come("a" * 400)
    door.serve(160)
    door.come("b" * 50)
    turns = door.serve(40)
    assert 18 <= Counter(turns)["b"] <= 23


# A full line ----------------------------------------------------------------------------------------------------------


def test_in_a_full_line_the_newest_of_the_key_with_the_most_places_is_pushed_out() -> None:
    door = Door(max_length=4)
    calls = door.come("abaa")
    _, pushed_out = door.queue.push("c", 1.0, 0.0)
    assert pushed_out is calls[3]
    assert pushed_out.is_gone
    assert len(door.queue) == 4
    assert door.serve(4) == "abca"


def test_a_batch_call_is_pushed_out_first() -> None:
    door = Door(max_length=4)
    door.come("a")
    [batch] = door.come("a", is_batch=True)
    door.come("aa")
    assert door.queue.push("c", 1.0, 0.0)[1] is batch


def test_places_count_by_weight() -> None:
    door = Door(max_length=5)
    door.come("aaa", weight=3.0)
    calls = door.come("bb")
    assert door.queue.push("c", 1.0, 0.0)[1] is calls[1]


def test_the_key_with_the_most_places_is_refused_itself() -> None:
    door = Door(max_length=3)
    door.come("aab")
    with pytest.raises(QueueOverflow):
        door.queue.push("a", 1.0, 0.0)
    assert len(door.queue) == 3


def test_nobody_loses_a_place_to_a_key_that_would_then_have_as_many() -> None:
    """Else two keys would push each other out, call by call."""
    door = Door(max_length=2)
    door.come("ab")
    with pytest.raises(QueueOverflow):
        door.queue.push("c", 1.0, 0.0)


def test_a_line_without_places_refuses_everybody() -> None:
    with pytest.raises(QueueOverflow):
        FairQueue(0).push("a", 1.0, 0.0)


def test_a_flood_shuts_nobody_out() -> None:
    door = Door(max_length=20)
    for number in range(200):
        flow = "f" if number % 10 else "xyz"[number // 10 % 3]
        try:
            _, pushed_out = door.queue.push(flow, 1.0, 0.0)
        except QueueOverflow:
            assert flow == "f" or number > 100, "three keys with ever more calls share the line in the end"
        else:
            assert pushed_out is None or pushed_out.flow == "f" or number > 100
    places = Counter(waiting.flow for waiting in begin_all(door.queue, 0.0))
    assert all(places[flow] == 5 for flow in "fxyz")


# Leaving --------------------------------------------------------------------------------------------------------------


def test_who_leaves_is_never_served_and_costs_its_key_nothing() -> None:
    door = Door()
    calls = door.come("aaab")
    door.queue.remove(calls[1])
    door.queue.remove(calls[0])
    assert len(door.queue) == 2
    assert [door.queue.pop(0.0), door.queue.pop(0.0), door.queue.pop(0.0)] == [calls[2], calls[3], None]


def test_who_leaves_takes_its_rank_along() -> None:
    door = Door()
    calls = door.come("aba")
    door.queue.remove(calls[0])
    assert door.serve(2) == "ba", "among equals who came first goes first, and that is b now"


def test_leaving_twice_or_after_the_turn_is_leaving_once() -> None:
    door = Door()
    first, second, third = door.come("abc")
    for _ in range(2):
        door.queue.remove(second)
    assert door.queue.pop(0.0) is first
    door.queue.remove(first)
    assert (len(door.queue), door.queue.pop(0.0)) == (1, third)


def test_coming_and_leaving_leaves_nothing_behind() -> None:
    """However long no slot comes free."""
    queue = FairQueue(1_000)
    queue.push("stays", 1.0, 0.0)
    for number in range(10_000):
        flow = f"key {number % 7_000}"
        queue.remove(queue.push(flow, 1.0, 0.0, is_batch=number % 3 == 0)[0])
    assert len(queue) == 1
    assert all(len(line._heap) < 100 for line in queue._lines)
    assert len(queue._accounts) <= 1_000


# The place ------------------------------------------------------------------------------------------------------------


def test_the_place_is_how_many_turns_until_its_own() -> None:
    door = Door()
    calls = door.come("aaab")
    assert [door.queue.place(call, 0.0) for call in calls] == [1, 3, 4, 2]
    door.queue.remove(calls[0])
    assert [door.queue.place(call, 0.0) for call in calls] == [0, 1, 3, 2], "0: it is not in line any more"


def test_the_place_knows_who_was_idle_and_how_many_turns_batch_calls_have_let_pass() -> None:
    door = Door()
    door.come("ab" * 20)
    [batch] = door.come("c", is_batch=True)
    assert door.queue.place(batch, door.now) == BATCH_EVERY
    door.serve(4)
    assert door.queue.place(batch, door.now) == BATCH_EVERY - 4
    door.begin()
    assert door.queue.place(door.come("i")[0], door.now) == 1, "the others have got just as much"


# What is remembered ---------------------------------------------------------------------------------------------------


def test_keys_that_are_not_ahead_are_forgotten() -> None:
    door = Door(max_length=20_000)
    door.come("s" * 20_000)
    for number in range(10_000):
        door.queue.push(f"key {number}", 1.0, door.now)
        door.serve(2)
    assert len(door.queue._accounts) <= 1_010


def test_keys_that_stay_ahead_do_not_keep_others_from_being_forgotten() -> None:
    door = Door(max_length=5_000)
    door.queue._remembered = 2
    door.come("xyz" + "s" * 2_000)
    for _ in range(3):
        door.serve_one(10_000.0)
    for number in range(1_000):
        door.queue.push(f"key {number}", 1.0, door.now)
        door.serve(2)
    assert len(door.queue._accounts) < 20


def test_a_key_that_is_ahead_is_not_forgotten() -> None:
    door = Door()
    door.queue._remembered = 0
    door.come("a")
    door.come("b" * 100)
    assert door.serve_one(50.0) == "a"
    for number in range(20):
        door.queue.push(f"key {number}", 1.0, door.now)
    door.serve(20)
    door.come("a")
    assert "a" not in door.serve(45)


# Against a model that is too simple to be wrong -----------------------------------------------------------------------


@dataclass
class Key:
    """What the model knows of a key; pairs are (interactive, batch)."""

    weight: float = 1.0
    expected: float | None = None
    got: list[float] = field(default_factory=lambda: [0.0, 0.0])
    lines: tuple[list[Waiting], list[Waiting]] = field(default_factory=lambda: ([], []))
    services: list[list[float]] = field(default_factory=list[list[float]])
    """For each one under way: when it began, what is charged, its weight, 2 for a batch call and else 1."""

    def settled(self, kind: int) -> float:
        return self.got[kind] - sum(charged / weight for _, charged, weight, kinds in self.services if kind < kinds)

    def charge(self, service: list[float], seconds: float) -> None:
        service[1] += seconds
        for kind in range(int(service[3])):
            self.got[kind] += seconds / service[2]


class Model:
    """
    The rules, by looking at everything each time. It forgets nothing, and has no opinion between keys that are equal
    but for the last digits.
    """

    def __init__(self) -> None:
        self.keys: defaultdict[str, Key] = defaultdict(Key)
        self.clocks = [0.0, 0.0]
        self.expected: float | None = None
        self.turn = 0

    def waiting(self, kind: int) -> int:
        return sum(len(key.lines[kind]) for key in self.keys.values())

    def stretch(self, now: float) -> None:
        for key in self.keys.values():
            for service in key.services:
                if service[0] + service[1] < now:
                    key.charge(service, (now - service[0]) * STRETCH - service[1])

    def begin(self, key: Key, now: float, kinds: int) -> None:
        expected = key.expected if key.expected is not None else self.expected
        service = [now, 0.0, key.weight, kinds]
        key.services.append(service)
        key.charge(service, FIRST_EXPECTED_SECONDS if expected is None else expected)

    def pass_by(self, key: Key) -> None:
        if not key.lines[0]:
            key.got[0] = max(key.got[0], self.clocks[0])
        if not self.waiting(0):
            self.clocks[0] = max(self.clocks[0], key.settled(0))

    def enter(self, flow: str, weight: float, now: float) -> None:
        self.stretch(now)
        key = self.keys[flow]
        key.weight = weight
        self.pass_by(key)
        self.begin(key, now, 1)

    def push(self, waiting: Waiting, now: float) -> None:
        self.stretch(now)
        key, kind = self.keys[waiting.flow], int(waiting.is_batch)
        key.weight = waiting.weight
        if not key.lines[kind]:
            key.got[kind] = max(key.got[kind], self.clocks[kind])
        key.lines[kind].append(waiting)

    def remove(self, waiting: Waiting) -> None:
        self.keys[waiting.flow].lines[waiting.is_batch].remove(waiting)

    def pop(self, chosen: Waiting, now: float) -> None:
        self.stretch(now)
        counts = self.waiting(0), self.waiting(1)
        is_batch = bool(counts[1]) and (not counts[0] or self.turn == BATCH_EVERY - 1)
        self.turn = 0 if is_batch or not counts[1] else self.turn + 1
        assert chosen.is_batch == is_batch
        key = self.keys[chosen.flow]
        assert key.lines[is_batch].pop(0) is chosen, "first come first served within a key"
        least = min([each.got[is_batch] for each in self.keys.values() if each.lines[is_batch]], default=float("inf"))
        assert key.got[is_batch] <= least + 1e-9, "the key that got least"
        self.clocks[is_batch] = max(self.clocks[is_batch], key.settled(is_batch))
        if is_batch:
            self.pass_by(key)
        self.begin(key, now, 1 + is_batch)

    def served(self, flow: str, seconds: float, now: float) -> None:
        self.expected = _smooth(self.expected, seconds)
        key = self.keys[flow]
        key.expected = _smooth(key.expected, seconds)
        service = min(key.services, key=lambda service: abs(service[0] - (now - seconds)))
        key.charge(service, seconds - service[1])
        key.services.remove(service)
        if not any(each.services or each.lines[0] or each.lines[1] for each in self.keys.values()):
            for kind in range(2):
                self.clocks[kind] = max(self.clocks[kind], *(each.got[kind] for each in self.keys.values()))

    def compare(self, queue: FairQueue) -> None:
        assert len(queue) == self.waiting(0) + self.waiting(1)
        assert [line.clock for line in queue._lines] == pytest.approx(self.clocks)
        for flow, key in self.keys.items():
            account = queue._accounts.get(flow)
            if account is None:
                assert not key.services
                assert all(got <= clock + 1e-9 for got, clock in zip(key.got, self.clocks, strict=True))
                key.expected = None
                continue
            for kind, standing in enumerate(account.standings):
                floor = float("-inf") if key.lines[kind] else self.clocks[kind]
                assert max(standing.got, floor) == pytest.approx(max(key.got[kind], floor)), "or both start anew"
                assert key.services or standing.under_way == 0.0


def _smooth(known: float | None, newest: float) -> float:
    return newest if known is None else 0.9 * known + 0.1 * newest


class Crowd:
    """Random calls through both, the queue and the model."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.now = 0.0
        self.queue = FairQueue(1_000)
        self.queue._remembered = self.draw.choice([0, 3, 1_000])
        self.model = Model()
        self.waiting: list[Waiting] = []
        self.under_way: list[tuple[str, float]] = []
        self.slots = self.draw.choice([1, 3, 8])
        self.batch = self.draw.choice([0.0, 0.2, 0.5])
        self.rush = self.draw.choice([2, 2, 4])
        self.flows = [f"key {number}" for number in range(self.draw.choice([2, 5, 30]))]

    def step(self) -> None:
        self.now += self.draw.choice([0.001, 0.1, 1.0, self.draw.expovariate(0.5)])
        self.draw.choice([*[self.come] * self.rush, self.end, self.end, self.leave])()
        self.model.compare(self.queue)

    def come(self) -> None:
        flow, weight = self.draw.choice(self.flows), self.draw.choice([1.0, 1.0, 2.0, 5.0])
        if len(self.under_way) < self.slots and not self.waiting:
            self.queue.enter(flow, weight, self.now)
            self.model.enter(flow, weight, self.now)
            self.under_way.append((flow, self.now))
            return
        is_batch = self.draw.random() < self.batch
        waiting, _ = self.queue.push(flow, weight, self.now, is_batch=is_batch)
        self.model.push(waiting, self.now)
        self.waiting.append(waiting)

    def end(self) -> None:
        """Some call under way, not the oldest as a rule; a slot is free then."""
        if self.under_way:
            flow, began = self.under_way.pop(self.draw.randrange(len(self.under_way)))
            self.queue.served(flow, self.now - began, self.now)
            self.model.served(flow, self.now - began, self.now)
        if len(self.under_way) < self.slots and self.waiting:
            chosen = self.queue.pop(self.now)
            assert chosen is not None
            self.model.pop(chosen, self.now)
            self.waiting.remove(chosen)
            self.under_way.append((chosen.flow, self.now))

    def leave(self) -> None:
        if self.waiting and self.draw.random() < 0.3:
            waiting = self.waiting.pop(self.draw.randrange(len(self.waiting)))
            self.queue.remove(waiting)
            self.model.remove(waiting)


@settings(PROPERTY, max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_the_queue_does_what_the_rules_say(seed: int) -> None:
    crowd = Crowd(seed)
    for _ in range(150):
        crowd.step()


@settings(PROPERTY, max_examples=30)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 150))
def test_the_place_is_the_turn_that_comes(seed: int, steps: int) -> None:
    crowd = Crowd(seed)
    for _ in range(steps):
        crowd.step()
    crowd.now += 2.0
    places = [crowd.queue.place(waiting, crowd.now) for waiting in crowd.waiting]
    order = {waiting.order: place for waiting, place in zip(crowd.waiting, places, strict=True)}
    queue = copy.deepcopy(crowd.queue)
    assert [order[waiting.order] for waiting in begin_all(queue, crowd.now)] == list(range(1, len(order) + 1))


@settings(PROPERTY, max_examples=40)
@given(seed=st.integers(0, 2**32), weights=st.lists(st.integers(1, 5), min_size=2, max_size=6))
def test_with_one_slot_no_two_keys_are_further_apart_than_a_call_of_each(seed: int, weights: list[int]) -> None:
    """The bound of start-time fair queueing, for keys that always have something waiting."""
    draw, door = random.Random(seed), Door()
    flows = dict(zip("abcdef", weights, strict=False))
    for flow, weight in flows.items():
        door.come(flow * 80, weight=weight)
    got, longest = dict.fromkeys(flows, 0.0), dict.fromkeys(flows, 0.0)
    for _ in range(80):
        seconds = draw.paretovariate(1.2)
        flow = door.serve_one(seconds)
        got[flow] += seconds / flows[flow]
        longest[flow] = max(longest[flow], seconds / flows[flow])
        for one, other in itertools.combinations(flows, 2):
            assert abs(got[one] - got[other]) <= longest[one] + longest[other] + 1e-6


@settings(PROPERTY, max_examples=40)
@given(seed=st.integers(0, 2**32), steps=st.integers(5, 80))
def test_with_one_slot_a_key_that_was_never_seen_is_next(seed: int, steps: int) -> None:
    draw, door = random.Random(seed), Door()
    for flow in "abcde":
        door.come(flow * 100, weight=draw.choice([1.0, 5.0]))
    for _ in range(steps):
        door.serve_one(draw.paretovariate(1.2))
    door.come("n")
    assert door.serve() == "n"


# In a crowd: the thresholds, by the simulation of bench/fairness.py ---------------------------------------------------


@pytest.fixture
def fairness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import fairness

    return fairness


LOADS = ("all the same", "exponential", "heavy-tailed", "half of the keys four times as long")


@pytest.mark.parametrize("name", LOADS)
def test_shares_of_the_time_follow_the_weights_within_five_percent(fairness: ModuleType, name: str) -> None:
    load = fairness.CROWDS[name]
    assert fairness.share_error(load, fairness.simulate(load).seconds) < 0.05
    assert fairness.share_error(load, fairness.simulate(load, fairness.Fifo).seconds) > 1.0, (
        "it is not a matter of course"
    )


@pytest.mark.parametrize("name", ["all the same", "exponential"])
def test_shares_of_the_calls_do_too_where_calls_are_alike(fairness: ModuleType, name: str) -> None:
    load = fairness.CROWDS[name]
    assert fairness.share_error(load, fairness.simulate(load).calls) < 0.05


@pytest.mark.parametrize("name", LOADS)
def test_a_key_that_asks_once_waits_less_than_two_service_times(fairness: ModuleType, name: str) -> None:
    outcome = fairness.simulate(fairness.CROWDS[name])
    assert len(outcome.idle_waits) > 900
    assert max(outcome.idle_waits) < 2.0
    assert sum(turns <= 2 for turns in outcome.idle_turns) > 0.9 * len(outcome.idle_turns)
    assert min(fairness.simulate(fairness.CROWDS[name], fairness.Fifo).idle_waits) > 2.0


def test_a_batch_call_waits_for_a_batch_turn_or_a_few_in_any_flood(fairness: ModuleType) -> None:
    """A batch turn comes once in a mean service time here: every eighth of eight slots."""
    outcome = fairness.simulate(fairness.BATCH_AMONG_OTHERS)
    assert len(outcome.idle_waits) > 300
    assert max(outcome.idle_waits) < 4.0
    batch = sum(
        calls for flow, calls in outcome.calls.items() if flow.startswith("idle") or int(flow.split()[1]) % 2 == 0
    )
    assert batch / outcome.calls.total() == pytest.approx(1 / BATCH_EVERY, rel=0.02)


def test_a_flood_of_batch_calls_is_not_felt_by_the_others(fairness: ModuleType) -> None:
    assert max(fairness.simulate(fairness.OTHERS_AMONG_BATCH).idle_waits) < 2.0


def test_a_key_that_floods_pushes_nobody_out(fairness: ModuleType) -> None:
    outcome = fairness.simulate(fairness.ONE_KEY)
    assert set(outcome.refused) == {"flood"}
    assert outcome.calls["flood"] > 0.5 * outcome.calls.total(), "what the others leave is its own"
    assert len(fairness.simulate(fairness.ONE_KEY, fairness.Fifo).refused) > fairness.KEYS - 1, (
        "first in, first out does"
    )
