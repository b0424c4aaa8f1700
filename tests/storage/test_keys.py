import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, event, update

from copilot_api.audit.models import Action, AuditEvent
from copilot_api.audit.verify import find_problems
from copilot_api.config.budgets import parse_budget
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.storage.schema import api_keys
from tests.fakes import FakeClock
from tests.stored import Stored

ME = "local:me"


def test_a_key_comes_back_as_it_was_stored(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue(
        "ci ☃",
        tier=Tier.ADMIN,
        policy=KeyPolicy(
            models=("a", "b"),
            cidrs=("10.0.0.0/8", "::1/128"),
            rpm=1,
            tpm=1_000_000_000,
            max_in_flight=2,
            weight=100,
            budgets=(parse_budget("credits:day:0.1:observe"), parse_budget("tokens:month:1e15")),
            observe=("rpm", "budgets"),
        ),
        not_before=clock.now() + timedelta(microseconds=1),
        expires_at=clock.now() + timedelta(days=1),
        actor=ME,
    )
    assert stored.repository.list_keys() == [issued.key]


def test_keys_are_listed_oldest_first(stored: Stored, clock: FakeClock) -> None:
    for label in "cab":
        stored.keys.issue(label, actor=ME)
        clock.advance(1)
    assert [key.label for key in stored.repository.list_keys()] == ["c", "a", "b"]


def test_every_secret_comes_with_its_key_ended_ones_too(stored: Stored, clock: FakeClock) -> None:
    first = stored.keys.issue("a", actor=ME)
    second = stored.keys.rotate(first.key.id, overlap_seconds=9, actor=ME)
    found = stored.repository.list_secrets()
    assert [key for _, key in found] == [second.key, second.key]
    ends = {secret.prefix: secret.expires_at for secret, _ in found}
    assert ends == {first.key.prefix: clock.now() + timedelta(seconds=9), second.key.prefix: None}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ('{"models":["a","b"]}', KeyPolicy(("a", "b"))),
        ("{}", KeyPolicy()),
        (
            '{"rpm":5,"budgets":[{"unit":"credits","window":"day","amount":5}]}',
            KeyPolicy(rpm=5, budgets=(parse_budget("credits:day:5"),)),
        ),
        ('{"models":["*"],"of_a_later_version":[1]}', KeyPolicy()),
    ],
    ids=["before there were limits", "empty", "shorter", "later"],
)
def test_what_an_older_row_does_not_say_is_the_default(stored: Stored, policy: str, expected: KeyPolicy) -> None:
    stored.keys.issue("ci", actor=ME)
    with stored.database.begin() as connection:
        connection.execute(update(api_keys).values(policy=policy))
    assert [key.policy for key in stored.repository.list_keys()] == [expected]
    assert [key.policy for _, key in stored.repository.list_secrets()] == [expected]


def sign(key: ApiKey) -> AuditEvent:
    return AuditEvent(ME, Action.KEY_UPDATED, key.id)


def test_an_edit_sees_what_is_stored_and_changes_label_policy_and_times(stored: Stored, clock: FakeClock) -> None:
    key, other = (stored.keys.issue(label, tier=Tier.ADMIN, actor=ME).key for label in "ab")
    stored.repository.record_last_used({key.id: clock.now()})
    used = replace(key, last_used_at=clock.now())
    changed = replace(
        used, label="c", policy=KeyPolicy(rpm=5), not_before=clock.now(), expires_at=clock.now() + timedelta(days=1)
    )
    seen: list[ApiKey] = []

    def edit(key: ApiKey) -> tuple[ApiKey, AuditEvent]:
        seen.append(key)
        return changed, sign(key)

    assert stored.repository.update_key(key.id, edit) == changed
    assert seen == [used]
    assert {found.id: found for found in stored.repository.list_keys()} == {key.id: changed, other.id: other}


def test_an_edit_that_leaves_a_key_as_it_is_is_not_on_record(stored: Stored) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    lines = stored.directory.audit.read_text()
    assert stored.repository.update_key(key.id, lambda _: None) == key
    assert stored.directory.audit.read_text() == lines


def test_an_edit_that_raises_leaves_the_key_as_it_was(stored: Stored) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    lines = stored.directory.audit.read_text()

    def edit(_: ApiKey) -> tuple[ApiKey, AuditEvent]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        stored.repository.update_key(key.id, edit)
    assert stored.repository.list_keys() == [key]
    assert stored.directory.audit.read_text() == lines


def test_a_key_that_is_gone_or_revoked_is_not_edited(stored: Stored) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    stored.keys.revoke(key.id, actor=ME)

    def edit(key: ApiKey) -> tuple[ApiKey, AuditEvent]:
        pytest.fail("edited")

    assert stored.repository.update_key(key.id, edit) is None
    assert stored.repository.update_key("key_gone", edit) is None


def test_of_two_edits_at_once_the_second_sees_the_first(stored: Stored) -> None:
    """Each has a connection of its own; the first holds the key until the second asks for it."""
    key = stored.keys.issue("ci", actor=ME).key
    is_held = threading.Event()

    def slow(key: ApiKey) -> tuple[ApiKey, AuditEvent]:
        is_held.set()
        threading.Event().wait(0.2)
        return replace(key, policy=replace(key.policy, rpm=5)), sign(key)

    def quick(key: ApiKey) -> tuple[ApiKey, AuditEvent]:
        return replace(key, policy=replace(key.policy, tpm=7)), sign(key)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(stored.repository.update_key, key.id, slow)
        assert is_held.wait(5)
        second = stored.repository.update_key(key.id, quick)
        assert first.result() is not None
    assert second is not None
    assert second.policy == KeyPolicy(rpm=5, tpm=7)
    assert stored.repository.list_keys() == [second]


def test_last_use_only_ever_moves_forward(stored: Stored, clock: FakeClock) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    later = clock.now() + timedelta(seconds=5)
    stored.repository.record_last_used({key.id: later, "key_gone": later})
    stored.repository.record_last_used({key.id: clock.now()})
    stored.repository.record_last_used({})
    assert stored.repository.list_keys()[0].last_used_at == later


def test_last_use_is_no_change_of_a_key(stored: Stored, clock: FakeClock) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    stored.keys.load()
    lines = stored.directory.audit.read_text()
    stored.repository.record_last_used({key.id: clock.now()})
    assert not stored.keys.needs_refresh()
    assert stored.directory.audit.read_text() == lines


def test_a_commit_that_fails_leaves_no_change_and_a_line_that_says_so(stored: Stored) -> None:
    def fail(_: Connection) -> None:
        raise OSError("disk full")

    writing: Engine = stored.database.backend.writing
    event.listen(writing, "commit", fail)
    with pytest.raises(OSError, match="disk full"):
        stored.keys.issue("ci", actor=ME)
    event.remove(writing, "commit", fail)

    assert stored.keys.list_keys() == []
    first, second = (json.loads(line) for line in stored.directory.audit.read_text().splitlines())
    assert "outcome" not in first["detail"]
    assert second["detail"].pop("outcome") == "not committed"
    assert first["detail"] == second["detail"]
    assert find_problems(stored.directory.audit) == []


def test_a_database_without_tables_is_unavailable(stored: Stored) -> None:
    with stored.database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE key_secrets")
        connection.exec_driver_sql("DROP TABLE api_keys")
    with pytest.raises(StorageUnavailable, match="no such table"):
        stored.keys.load()
