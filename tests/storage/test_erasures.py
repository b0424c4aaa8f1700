"""No event is stored under the id of an erased key, wherever it comes from."""

from typing import Any

import pytest

from copilot_api.audit.models import Action, AuditEvent
from copilot_api.privacy.models import ERASED, EventsFate
from copilot_api.storage.erasures import list_erased
from copilot_api.storage.privacy import SqlPrivacyRepository
from copilot_api.usage.models import UsageEvent
from tests.fakes import FakeClock
from tests.stored import Stored

ONE, TWO, THREE = "key_aaaaaaaaaaaa", "key_bbbbbbbbbbbb", "key_cccccccccccc"


@pytest.fixture
def repository(stored: Stored) -> SqlPrivacyRepository:
    return SqlPrivacyRepository(stored.database, stored.audit)


def event(number: int, key_id: str | None, clock: FakeClock) -> UsageEvent:
    return UsageEvent(request_id=f"req_{number}", at=clock.now().isoformat(), key_id=key_id)


def stored_keys(stored: Stored, clock: FakeClock) -> list[str | None]:
    with stored.database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT key_id FROM usage_events ORDER BY request_id").all()
    return [row[0] for row in rows]


def begin(repository: SqlPrivacyRepository, key_id: str, fate: EventsFate, clock: FakeClock) -> None:
    repository.begin(key_id, fate, clock.now(), AuditEvent("local:x", Action.PRIVACY_ERASED, key_id))


def test_events_of_an_erased_key_get_its_pseudonym_or_are_left_out(
    stored: Stored, clock: FakeClock, repository: SqlPrivacyRepository
) -> None:
    begin(repository, ONE, EventsFate.PSEUDONYMISE, clock)
    begin(repository, TWO, EventsFate.DELETE, clock)
    added = stored.usage.add_events([event(n, key, clock) for n, key in enumerate((ONE, TWO, THREE, None, ONE))])
    assert added == 4
    first, third, nobody, again = stored_keys(stored, clock)
    assert str(first).startswith("erased_")
    assert (third, nobody, again) == (THREE, None, first)


def test_once_the_pseudonym_is_forgotten_they_are_under_one_name_for_all(
    stored: Stored, clock: FakeClock, repository: SqlPrivacyRepository
) -> None:
    for key_id in (ONE, TWO):
        begin(repository, key_id, EventsFate.PSEUDONYMISE, clock)
        repository.erase_events(key_id)
    stored.usage.add_events([event(1, ONE, clock), event(2, TWO, clock)])
    assert stored_keys(stored, clock) == [ERASED, ERASED]


def test_an_event_that_is_read_from_the_journal_twice_counts_once(
    stored: Stored, clock: FakeClock, repository: SqlPrivacyRepository
) -> None:
    stored.usage.add_events([event(1, ONE, clock)])
    begin(repository, ONE, EventsFate.PSEUDONYMISE, clock)
    repository.erase_events(ONE)
    assert stored.usage.add_events([event(1, ONE, clock)]) == 0
    assert len(stored_keys(stored, clock)) == 1


def test_a_deleted_event_does_not_come_back_with_the_journal(
    stored: Stored, clock: FakeClock, repository: SqlPrivacyRepository
) -> None:
    stored.usage.add_events([event(1, ONE, clock)])
    begin(repository, ONE, EventsFate.DELETE, clock)
    repository.erase_events(ONE)
    assert stored.usage.add_events([event(1, ONE, clock)]) == 0
    assert stored_keys(stored, clock) == []


def test_an_id_that_is_no_text_is_nobodys(stored: Stored, clock: FakeClock, repository: SqlPrivacyRepository) -> None:
    begin(repository, ONE, EventsFate.DELETE, clock)
    odd: Any = event(1, "\udc80", clock)
    assert stored.usage.add_events([odd]) == 1


def test_erased_keys_are_told_among_others(stored: Stored, clock: FakeClock, repository: SqlPrivacyRepository) -> None:
    with stored.database.connect() as connection:
        assert list_erased(connection, [ONE]) == []
    begin(repository, ONE, EventsFate.DELETE, clock)
    with stored.database.connect() as connection:
        assert list_erased(connection, [TWO, ONE]) == [ONE]
