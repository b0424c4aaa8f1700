"""
A key taken out of the ledger: nothing of it stays, and every sum is what the remaining events add up to.

The ledger's own check (`find_differences`, which `doctor --deep` runs) decides what is right.
"""

import random
from collections.abc import Iterable
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from copilot_api.privacy.models import LedgerCounts
from copilot_api.storage import ledger_erasure
from copilot_api.storage.database import Database
from copilot_api.storage.ledger_erasure import LedgerErasure, list_series
from copilot_api.storage.ledger_upkeep import SqlLedgerUpkeep
from copilot_api.storage.rollup_upkeep import Difference, Pause, find_differences, mend
from copilot_api.storage.rollups import ERASURES, get_state
from copilot_api.storage.schema import usage_days, usage_events, usage_series
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.queries import Bucket, Dimension, SumQuery, SumRow
from tests.fakes import FakeClock
from tests.ledgers import DAY_ONE, random_event, random_events, sum_slowly
from tests.stored import Stored, open_stored

KEY, NAME = "key_a", "erased_abcdefghijkl"
DAYS = 4
UNTIL = DAY_ONE + timedelta(days=DAYS)
EVENTS = random_events(160, days=DAYS)


class Stop(Exception):
    """The process is killed here."""


def at_once() -> None:
    """No pause."""


def dying_after(steps: int) -> Pause:
    """A pause that is the last one."""
    left = steps

    def pause() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stop

    return pause


def close_days(database: Database) -> None:
    upkeep = SqlLedgerUpkeep(database, pause=at_once)
    while upkeep.close_day(UNTIL - timedelta(days=1)):
        pass


def differences(database: Database) -> list[Difference]:
    return list(find_differences(database))


def names(stored: Stored) -> set[str | None]:
    """Every key id that the ledger names anywhere."""
    with stored.database.connect() as connection:
        found = set(connection.scalars(select(usage_events.c.key_id).distinct()))
        found |= set(connection.scalars(select(usage_series.c.key_id).distinct()))
        texts = list(connection.scalars(select(usage_series.c.name)))
    return found | {KEY for each in texts if f'"{KEY}"' in each}


def sums(stored: Stored, *group: Dimension, bucket: Bucket | None = None) -> list[SumRow]:
    return sorted(stored.usage.sum_up(query(*group, bucket=bucket)), key=str)


def query(*group: Dimension, bucket: Bucket | None = None) -> SumQuery:
    return SumQuery(DAY_ONE, UNTIL, group, bucket, histograms=("durations", "first_tokens"))


QUESTIONS: list[tuple[tuple[Dimension, ...], Bucket | None]] = [
    ((), None),
    ((Dimension.MODEL,), Bucket.DAY),
    ((Dimension.KEY,), Bucket.HOUR),
    ((Dimension.KEY, Dimension.MODEL), None),
    ((Dimension.CLIENT, Dimension.CAUSE), Bucket.DAY),
]


def check_says(stored: Stored, events: Iterable[UsageEvent]) -> None:
    """The ledger answers as if these had been all events, whatever it is asked and wherever it looks."""
    known = list(events)
    for group, bucket in QUESTIONS:
        asked = query(*group, bucket=bucket)
        assert sums(stored, *group, bucket=bucket) == sorted(sum_slowly(known, asked), key=str), (group, bucket)
    assert sorted(map(str, stored.usage.list_events(DAY_ONE, UNTIL))) == sorted(map(str, known))
    assert differences(stored.database) == []


def renamed(events: Iterable[UsageEvent], name: str = NAME) -> list[UsageEvent]:
    return [msgspec.structs.replace(event, key_id=name) if event.key_id == KEY else event for event in events]


def without(events: Iterable[UsageEvent]) -> list[UsageEvent]:
    return [event for event in events if event.key_id != KEY]


@pytest.fixture
def filled(stored: Stored) -> Stored:
    stored.usage.add_events(EVENTS)
    close_days(stored.database)
    return stored


@pytest.fixture
def erasure(stored: Stored) -> LedgerErasure:
    return LedgerErasure(stored.database, pause=at_once)


# Another name -----------------------------------------------------------------------------------------------------


def test_a_pseudonym_takes_the_place_of_the_id_everywhere_and_no_sum_changes(
    filled: Stored, erasure: LedgerErasure
) -> None:
    before = erasure.count(KEY)
    done = erasure.pseudonymise(KEY, NAME)
    assert (done.events, done.series) == (sum(event.key_id == KEY for event in EVENTS), before.series)
    assert KEY not in names(filled)
    check_says(filled, renamed(EVENTS))
    assert erasure.count(NAME) == before
    assert erasure.count(KEY).series == 0


@pytest.mark.parametrize("steps", range(4))
def test_a_pseudonymisation_that_is_killed_is_finished_by_the_next(
    filled: Stored, steps: int, monkeypatch: pytest.MonkeyPatch, erasure: LedgerErasure
) -> None:
    monkeypatch.setattr(ledger_erasure, "STEP_EVENTS", 2)
    with pytest.raises(Stop):
        LedgerErasure(filled.database, pause=dying_after(steps * 3)).pseudonymise(KEY, NAME)
    erasure.pseudonymise(KEY, NAME)
    assert KEY not in names(filled)
    check_says(filled, renamed(EVENTS))


def test_sums_that_were_mended_in_the_middle_are_put_together_again(
    filled: Stored, monkeypatch: pytest.MonkeyPatch, erasure: LedgerErasure
) -> None:
    """`doctor --mend` makes sums of events, of which half have another name by then."""
    monkeypatch.setattr(ledger_erasure, "STEP_EVENTS", 2)
    with pytest.raises(Stop):
        LedgerErasure(filled.database, pause=dying_after(10)).pseudonymise(KEY, NAME)
    for difference in differences(filled.database):
        mend(filled.database, difference)
    assert KEY in names(filled)
    assert erasure.pseudonymise(KEY, NAME).rollups > 0
    assert KEY not in names(filled)
    check_says(filled, renamed(EVENTS))


def test_a_day_that_is_being_closed_meanwhile_is_closed_with_the_new_name(stored: Stored) -> None:
    stored.usage.add_events(EVENTS)
    erasure, is_done = LedgerErasure(stored.database, pause=at_once), False

    def pause() -> None:
        nonlocal is_done
        if not is_done:
            is_done = True
            erasure.pseudonymise(KEY, NAME)

    SqlLedgerUpkeep(stored.database, pause=pause).close_day(UNTIL)
    close_days(stored.database)
    erasure.pseudonymise(KEY, NAME)
    assert is_done
    assert KEY not in names(stored)
    check_says(stored, renamed(EVENTS))


def test_an_event_that_counts_in_no_series_loses_the_id_too(filled: Stored, erasure: LedgerErasure) -> None:
    with filled.database.begin() as connection:
        connection.execute(text("UPDATE usage_events SET series_id = NULL WHERE key_id = :key"), {"key": KEY})
    erasure.pseudonymise(KEY, NAME)
    assert KEY not in names(filled)


# Gone -------------------------------------------------------------------------------------------------------------


def test_deleted_calls_leave_a_ledger_that_never_had_them(filled: Stored, erasure: LedgerErasure) -> None:
    before = erasure.count(KEY)
    done = erasure.delete([KEY])
    assert done == before
    assert KEY not in names(filled)
    check_says(filled, without(EVENTS))
    assert erasure.delete([KEY]) == LedgerCounts()


@pytest.mark.parametrize("steps", range(0, 40, 12))
def test_a_deletion_that_is_killed_is_finished_by_the_next(filled: Stored, steps: int, erasure: LedgerErasure) -> None:
    with pytest.raises(Stop):
        LedgerErasure(filled.database, pause=dying_after(steps)).delete([KEY])
    assert KEY in names(filled)
    erasure.delete([KEY])
    assert KEY not in names(filled)
    check_says(filled, without(EVENTS))


def test_very_many_calls_of_one_hour_go_in_portions(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    events = [random_event(draw, number, DAY_ONE + timedelta(seconds=number)) for number in range(120)]
    stored.usage.add_events(events)
    monkeypatch.setattr(ledger_erasure, "STEP_EVENTS", 3)
    pauses = 0

    def pause() -> None:
        nonlocal pauses
        pauses += 1

    LedgerErasure(stored.database, pause=pause).delete([KEY])
    assert pauses >= sum(event.key_id == KEY for event in events) // 3 - 1
    check_says(stored, without(events))


def test_sums_whose_events_are_forgotten_are_made_of_the_sums_of_calls(filled: Stored, erasure: LedgerErasure) -> None:
    upkeep, kept_from = SqlLedgerUpkeep(filled.database, pause=at_once), DAY_ONE + timedelta(days=2)
    while upkeep.forget_events(kept_from, 1000):
        pass
    erasure.delete([KEY])
    assert KEY not in names(filled)
    assert differences(filled.database) == []
    left = without(EVENTS)
    for group, bucket in QUESTIONS:
        asked = query(*group, bucket=bucket)
        assert sums(filled, *group, bucket=bucket) == sorted(sum_slowly(left, asked), key=str)


def test_a_call_that_comes_while_a_day_is_made_anew_is_in_it(filled: Stored) -> None:
    late = random_event(random.Random(5), 9_999, DAY_ONE + timedelta(hours=3))
    late = msgspec.structs.replace(late, key_id="key_b")
    is_added = False

    def pause() -> None:
        nonlocal is_added
        with filled.database.connect() as connection:
            hours_left = connection.scalar(select(func.count()).where(usage_events.c.key_id == KEY))
        if not is_added and not hours_left:
            is_added = True
            filled.usage.add_events([late])

    LedgerErasure(filled.database, pause=pause).delete([KEY])
    assert is_added
    check_says(filled, [*without(EVENTS), late])


def test_rows_of_a_day_that_is_not_closed_go_and_the_day_stays_to_be_closed(stored: Stored) -> None:
    """A process that closed it and was killed leaves some."""
    stored.usage.add_events(EVENTS)
    close_days(stored.database)
    with stored.database.begin() as connection:
        connection.execute(text("UPDATE usage_state SET value = value - 86400000000 WHERE name = 'days_closed'"))
    LedgerErasure(stored.database, pause=at_once).delete([KEY])
    with stored.database.connect() as connection:
        ids = list_series(connection, [KEY])
        assert ids == []
        strays = select(func.count()).where(usage_days.c.series_id.not_in(select(usage_series.c.id)))
        assert connection.scalar(strays) == 0
    close_days(stored.database)
    check_says(stored, without(EVENTS))


def test_an_erasure_is_noticed_by_whoever_makes_sums_meanwhile(filled: Stored, erasure: LedgerErasure) -> None:
    with filled.database.connect() as connection:
        assert get_state(connection, ERASURES) is None
    erasure.delete([KEY])
    with filled.database.connect() as connection:
        assert (get_state(connection, ERASURES) or 0) > 0


# Whatever the ledger holds ----------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32), size=st.integers(0, 60), closed=st.booleans(), is_deleted=st.booleans())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pseudonymised_totals_are_unchanged_and_deleted_ones_are_those_without_the_key(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: int, closed: bool, is_deleted: bool
) -> None:
    events = random_events(size, seed=seed, days=DAYS)
    with open_stored(tmp_path_factory.mktemp("ledger") / "data", FakeClock()) as stored:
        stored.usage.add_events(events)
        if closed:
            close_days(stored.database)
        erasure = LedgerErasure(stored.database, pause=at_once)
        if is_deleted:
            erasure.delete([KEY])
        else:
            erasure.pseudonymise(KEY, NAME)
        assert KEY not in names(stored)
        check_says(stored, without(events) if is_deleted else renamed(events))
