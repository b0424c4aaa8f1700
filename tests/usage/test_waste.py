"""The waste report: what calls were for, each with its share, and what of it nobody asked for."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from copilot_api.gateway.kinds import Kind
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.queries import SumQuery, SumRow
from copilot_api.usage.waste import ASKED_FOR, report_waste
from tests.ledgers import DAY_ONE, random_events, select_events, sum_slowly
from tests.stored import Stored

SINCE, UNTIL = DAY_ONE + timedelta(minutes=17), DAY_ONE + timedelta(days=3, hours=2, seconds=1)
SUMS = ("requests", "input_tokens", "output_tokens", "credits")
SHARES = ("share_of_requests", "share_of_credits")
EVENTS = random_events(400)
for _number, _event in enumerate(EVENTS):
    _event.kind = ("turn", "title", "compaction", "warm_up", "embeddings", "turn")[_number % 6]


@dataclass(frozen=True)
class Remembered:
    """A ledger in memory."""

    events: list[UsageEvent]

    def sum_up(self, query: SumQuery) -> list[SumRow]:
        return sum_slowly(self.events, query)


LEDGER = Remembered(EVENTS)


def value_of(name: str, event: UsageEvent) -> float:
    if name == "credits":
        return (event.nano_aiu or 0) / 1e9
    return 1 if name == "requests" else float(getattr(event, name))


def check(shown: dict[str, Any], events: list[UsageEvent]) -> None:
    for name in SUMS:
        assert shown[name] == pytest.approx(sum(value_of(name, event) for event in events)), name


def report(*conditions: Condition) -> dict[str, Any]:
    return report_waste(LEDGER, SINCE, UNTIL, conditions)


def test_every_kind_of_every_program_is_the_sum_of_its_events() -> None:
    events = select_events(EVENTS, SINCE, UNTIL, ())
    found = report()
    assert (found["since"], found["until"]) == (SINCE.isoformat(), UNTIL.isoformat())
    assert sorted((row["kind"], row["client"]) for row in found["rows"]) == sorted(
        {(event.kind, event.client) for event in events}
    )
    for row in found["rows"]:
        check(row, [event for event in events if (event.kind, event.client) == (row["kind"], row["client"])])
    check(found["total"], events)


def test_the_dearest_comes_first() -> None:
    rows = report()["rows"]
    order = [(-row["credits"], -row["requests"], row["kind"], row["client"]) for row in rows]
    assert order == sorted(order)
    assert rows[0]["credits"] > rows[-1]["credits"]


def test_shares_add_up_to_everything() -> None:
    found = report()
    for name in SHARES:
        assert sum(row[name] for row in found["rows"]) == pytest.approx(1, abs=1e-5)
        assert found["total"][name] == 1
        assert all(0 <= row[name] <= 1 for row in found["rows"])
    for row in found["rows"]:
        assert row["share_of_credits"] == pytest.approx(row["credits"] / found["total"]["credits"], abs=1e-6)
        assert row["share_of_requests"] == pytest.approx(row["requests"] / found["total"]["requests"], abs=1e-6)


def test_overhead_is_all_that_nobody_asked_for() -> None:
    found = report()
    check(found["overhead"], [e for e in select_events(EVENTS, SINCE, UNTIL, ()) if e.kind not in ASKED_FOR])
    for name in (*SUMS, *SHARES):
        of_rows = sum(row[name] for row in found["rows"] if row["kind"] not in ASKED_FOR)
        assert found["overhead"][name] == pytest.approx(of_rows, abs=1e-5)


@pytest.mark.parametrize("kind", sorted(ASKED_FOR))
def test_who_only_asks_wastes_nothing(kind: str) -> None:
    found = report(Condition("kind", Match.IS, (kind,)))
    assert [row["kind"] for row in found["rows"]] == [kind] * 3
    assert {found["overhead"][name] for name in (*SUMS, *SHARES)} == {0}
    assert found["total"]["requests"] > 0


def test_who_asks_nothing_wastes_everything() -> None:
    found = report(Condition("kind", Match.IS, tuple(ASKED_FOR), is_negated=True))
    assert found["overhead"] == found["total"]
    assert found["total"]["share_of_credits"] == 1


def test_what_was_asked_for_are_kinds_of_calls() -> None:
    assert {kind.value for kind in Kind} > ASKED_FOR


def test_the_conditions_narrow_all_of_it_down() -> None:
    condition = Condition("client", Match.IS, ("codex",))
    found = report(condition)
    assert {row["client"] for row in found["rows"]} == {"codex"}
    check(found["total"], select_events(EVENTS, SINCE, UNTIL, (condition,)))
    assert found["total"]["share_of_requests"] == 1


def test_of_nothing_the_shares_are_zero() -> None:
    found = report_waste(Remembered([]), SINCE, UNTIL)
    assert found["rows"] == []
    assert {found[name][share] for name in ("overhead", "total") for share in SHARES} == {0}
    free = [UsageEvent(request_id="req_1", at=DAY_ONE.isoformat(), kind="title")]
    row = report_waste(Remembered(free), DAY_ONE, UNTIL)["rows"][0]
    assert (row["share_of_requests"], row["share_of_credits"], row["credits"]) == (1, 0, 0)


def test_the_database_says_the_same_and_it_is_json(stored: Stored) -> None:
    stored.usage.add_events(EVENTS)
    found = report_waste(stored.usage, SINCE, UNTIL)
    assert found == report()
    assert msgspec.json.decode(msgspec.json.encode(found)) == found
