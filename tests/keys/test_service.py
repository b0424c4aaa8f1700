import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from copilot_api.audit.lines import describe_record
from copilot_api.audit.verify import find_problems
from copilot_api.config.budgets import parse_budget
from copilot_api.errors import BadRequest, StorageUnavailable, Unauthorized
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.keys.service import IssuedKey, KeyNotFound
from tests.fakes import FakeClock
from tests.stored import Stored

ME = "local:me"


def enter(stored: Stored, secret: str, now: datetime) -> ApiKey:
    """Authenticate as a call does: with an index that is current."""
    if stored.keys.needs_refresh():
        stored.keys.load()
    return stored.keys.authenticate(secret, now)


def audit_lines(stored: Stored) -> list[dict[str, object]]:
    assert find_problems(stored.directory.audit) == []
    return [describe_record(record) for record in reversed(stored.audit.list_events())]


# Issuing


def test_a_new_key_opens_at_once(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue("ci", policy=KeyPolicy(("fast",)), actor=ME)
    key = enter(stored, issued.secret, clock.now())
    assert key == issued.key
    assert (key.label, key.tier, key.policy.models) == ("ci", Tier.CLIENT, ("fast",))


def test_a_secret_is_nowhere_but_in_the_answer(stored: Stored) -> None:
    issued = stored.keys.issue("ci", actor=ME)
    assert issued.secret not in repr(issued)
    for path in stored.directory.path.iterdir():
        assert issued.secret.encode() not in path.read_bytes()


def test_a_label_that_says_nothing_makes_no_key(stored: Stored) -> None:
    with pytest.raises(BadRequest, match="a label has"):
        stored.keys.issue(" ", actor=ME)
    assert stored.keys.list_keys() == []


def test_a_key_that_would_never_be_valid_is_refused(stored: Stored, clock: FakeClock) -> None:
    with pytest.raises(BadRequest, match="never valid"):
        stored.keys.issue("ci", expires_at=clock.now(), actor=ME)
    later = clock.now() + timedelta(hours=1)
    with pytest.raises(BadRequest, match="never valid"):
        stored.keys.issue("ci", not_before=later, expires_at=later, actor=ME)


FULL = KeyPolicy(
    models=("fast", "gpt-5"),
    cidrs=("10.0.0.0/8",),
    rpm=60,
    tpm=40_000,
    max_in_flight=4,
    weight=3,
    budgets=(parse_budget("credits:day:50"), parse_budget("tokens:month:1e6:observe")),
    observe=("rpm", "budgets"),
)


def test_the_whole_policy_is_stored_and_on_record(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue("ci", policy=replace(FULL, cidrs=("10.1.2.3/8",)), actor=ME)
    assert enter(stored, issued.secret, clock.now()).policy == FULL
    assert audit_lines(stored)[0]["detail"] == {
        "label": "ci",
        "tier": "client",
        "prefix": issued.key.prefix,
        "not_before": None,
        "expires_at": None,
        "models": ["fast", "gpt-5"],
        "cidrs": ["10.0.0.0/8"],
        "rpm": 60,
        "tpm": 40_000,
        "max_in_flight": 4,
        "weight": 3,
        "budgets": ["credits:day:50", "tokens:month:1000000:observe"],
        "observe": ["rpm", "budgets"],
    }


def test_a_policy_that_says_nonsense_makes_no_key(stored: Stored) -> None:
    with pytest.raises(BadRequest) as refusal:
        stored.keys.issue("ci", policy=KeyPolicy(rpm=0), actor=ME)
    assert refusal.value.param == "rpm"
    assert stored.keys.list_keys() == []


# Recognising


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ("", "an API key is required"),
        ("sk-proj-123", "not a key of this gateway"),
        ("sk-cap-" + "a" * 5_000_000, "not a key of this gateway"),
        ("sk-cap-" + "a" * 52, "not known"),
    ],
    ids=["none", "foreign", "long", "unknown"],
)
def test_what_is_no_key_is_refused_without_a_word_of_it(stored: Stored, secret: str, message: str) -> None:
    stored.keys.load()
    with pytest.raises(Unauthorized, match=message) as refusal:
        stored.keys.authenticate(secret, FakeClock().now())
    assert "aaaa" not in str(refusal.value)


def test_recognising_asks_no_database(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue("ci", actor=ME)
    stored.keys.load()
    stored.database.close()
    stored.directory.database.unlink()
    assert not stored.keys.needs_refresh()
    assert stored.keys.authenticate(issued.secret, clock.now()) == issued.key


def test_the_holder_of_a_key_is_told_what_became_of_it(stored: Stored, clock: FakeClock) -> None:
    start, end = clock.now() + timedelta(hours=1), clock.now() + timedelta(hours=2)
    issued = stored.keys.issue("ci", not_before=start, expires_at=end, actor=ME)
    with pytest.raises(Unauthorized, match="not valid before 2026-07-01T13:00:00"):
        enter(stored, issued.secret, clock.now())
    assert enter(stored, issued.secret, start).id == issued.key.id
    with pytest.raises(Unauthorized, match="has expired"):
        enter(stored, issued.secret, end)
    stored.keys.revoke(issued.key.id, actor=ME)
    with pytest.raises(Unauthorized, match="was revoked"):
        enter(stored, issued.secret, start)


# Changing


def test_a_revoked_key_is_refused_on_its_next_call(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue("ci", actor=ME)
    enter(stored, issued.secret, clock.now())
    revoked = stored.keys.revoke(issued.key.id, actor=ME)
    assert revoked.revoked_at == clock.now()
    with pytest.raises(Unauthorized):
        enter(stored, issued.secret, clock.now())


def test_revoking_again_changes_nothing_and_is_not_on_record(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue("ci", actor=ME)
    first = stored.keys.revoke(issued.key.id, actor=ME)
    clock.advance(60)
    assert stored.keys.revoke(issued.key.id, actor=ME) == first
    assert [line["action"] for line in audit_lines(stored)] == ["key.issued", "key.revoked"]


def test_after_a_rotation_both_secrets_open_until_the_overlap_ends(stored: Stored, clock: FakeClock) -> None:
    old = stored.keys.issue("ci", actor=ME)
    new = stored.keys.rotate(old.key.id, overlap_seconds=3600, actor=ME)
    assert new.key.id == old.key.id
    assert new.key.prefix == new.secret[:12]
    assert enter(stored, old.secret, clock.now()) == enter(stored, new.secret, clock.now()) == new.key
    clock.advance(3600)
    assert enter(stored, new.secret, clock.now()) == new.key
    with pytest.raises(Unauthorized, match="rotated"):
        enter(stored, old.secret, clock.now())


def test_rotating_again_never_prolongs_an_older_secret(stored: Stored, clock: FakeClock) -> None:
    first = stored.keys.issue("ci", actor=ME)
    second = stored.keys.rotate(first.key.id, overlap_seconds=60, actor=ME)
    stored.keys.rotate(first.key.id, overlap_seconds=3600, actor=ME)
    clock.advance(60)
    assert enter(stored, second.secret, clock.now()).id == first.key.id
    with pytest.raises(Unauthorized, match="rotated"):
        enter(stored, first.secret, clock.now())


def test_without_an_overlap_the_old_secret_ends_at_once(stored: Stored, clock: FakeClock) -> None:
    old = stored.keys.issue("ci", actor=ME)
    stored.keys.rotate(old.key.id, actor=ME)
    with pytest.raises(Unauthorized, match="rotated"):
        enter(stored, old.secret, clock.now())


def test_a_key_that_has_ended_is_not_rotated(stored: Stored, clock: FakeClock) -> None:
    revoked = stored.keys.issue("a", actor=ME).key
    stored.keys.revoke(revoked.id, actor=ME)
    with pytest.raises(BadRequest, match="was revoked"):
        stored.keys.rotate(revoked.id, actor=ME)
    expired = stored.keys.issue("b", expires_at=clock.now() + timedelta(seconds=1), actor=ME).key
    clock.advance(1)
    with pytest.raises(BadRequest, match="has expired"):
        stored.keys.rotate(expired.id, actor=ME)


@pytest.mark.parametrize("seconds", [-1.0, 1e12, float("nan")])
def test_an_overlap_is_nothing_to_a_year(stored: Stored, seconds: float) -> None:
    issued = stored.keys.issue("ci", actor=ME)
    with pytest.raises(BadRequest, match="overlap"):
        stored.keys.rotate(issued.key.id, overlap_seconds=seconds, actor=ME)


# Updating


def test_an_update_changes_what_is_given_and_nothing_else(stored: Stored, clock: FakeClock) -> None:
    later = clock.now() + timedelta(days=1)
    issued = stored.keys.issue("ci", tier=Tier.ADMIN, policy=FULL, expires_at=later, actor=ME)
    expected = issued.key
    for given, changed in (
        ({"label": " ops "}, {"label": "ops"}),
        ({"policy": replace(FULL, rpm=None)}, {"policy": replace(FULL, rpm=None)}),
        ({"not_before": clock.now()}, {"not_before": clock.now()}),
        ({"expires_at": later + timedelta(days=1)}, {"expires_at": later + timedelta(days=1)}),
        ({"not_before": None, "expires_at": None}, {"not_before": None, "expires_at": None}),
    ):
        arguments: dict[str, Any] = given
        changes: dict[str, Any] = changed
        expected = replace(expected, **changes)
        assert stored.keys.update(issued.key.id, **arguments, actor=ME) == expected
        assert stored.keys.list_keys() == [expected]
        assert enter(stored, issued.secret, clock.now()) == expected


def test_an_update_is_in_force_on_the_next_call(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue("ci", actor=ME)
    enter(stored, issued.secret, clock.now())
    stored.keys.update(issued.key.id, policy=KeyPolicy(rpm=5), actor=ME)
    assert stored.keys.needs_refresh()
    assert enter(stored, issued.secret, clock.now()).policy.rpm == 5


def test_an_update_is_on_record_with_the_fields_that_it_changed(stored: Stored, clock: FakeClock) -> None:
    key = stored.keys.issue("ci", policy=FULL, actor=ME).key
    later = clock.now() + timedelta(days=1)
    policy = replace(FULL, rpm=None, budgets=FULL.budgets[:1])
    stored.keys.update(key.id, label="ops", policy=policy, expires_at=later, actor="key_admin")
    line = audit_lines(stored)[-1]
    assert (line["actor"], line["action"], line["target"]) == ("key_admin", "key.updated", key.id)
    assert line["detail"] == {
        "before": {
            "label": "ci",
            "expires_at": None,
            "rpm": 60,
            "budgets": ["credits:day:50", "tokens:month:1000000:observe"],
        },
        "after": {"label": "ops", "expires_at": later.isoformat(), "rpm": None, "budgets": ["credits:day:50"]},
    }


def test_an_update_that_changes_nothing_writes_nothing(stored: Stored) -> None:
    key = stored.keys.issue("ci", policy=FULL, actor=ME).key
    stored.keys.load()
    before = stored.directory.audit.read_bytes(), stored.directory.key_stamp.read_bytes()
    same = replace(FULL, cidrs=("10.9.9.9/8",), observe=("budgets", "rpm", "rpm"))
    assert stored.keys.update(key.id, actor=ME) == key
    assert stored.keys.update(key.id, label="ci ", policy=same, not_before=None, expires_at=None, actor=ME) == key
    assert (stored.directory.audit.read_bytes(), stored.directory.key_stamp.read_bytes()) == before
    assert not stored.keys.needs_refresh()


@pytest.mark.parametrize(
    "given", [{"label": ""}, {"policy": KeyPolicy(weight=0)}, {"policy": lambda policy: replace(policy, tpm=-1)}]
)
def test_an_update_to_nonsense_changes_nothing(stored: Stored, given: dict[str, Any]) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    with pytest.raises(BadRequest):
        stored.keys.update(key.id, **given, actor=ME)
    assert stored.keys.list_keys() == [key]
    assert len(audit_lines(stored)) == 1


def test_an_update_leaves_some_time_in_which_the_key_is_valid(stored: Stored, clock: FakeClock) -> None:
    later = clock.now() + timedelta(days=1)
    key = stored.keys.issue("ci", expires_at=later, actor=ME).key
    with pytest.raises(BadRequest, match="never valid"):
        stored.keys.update(key.id, expires_at=clock.now(), actor=ME)
    with pytest.raises(BadRequest, match="never valid"):
        stored.keys.update(key.id, not_before=later, actor=ME)
    assert stored.keys.list_keys() == [key]


def test_an_expired_key_can_be_renamed_and_prolonged(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue("ci", expires_at=clock.now() + timedelta(hours=1), actor=ME)
    clock.advance(7200)
    assert stored.keys.update(issued.key.id, label="old", actor=ME).label == "old"
    stored.keys.update(issued.key.id, expires_at=None, actor=ME)
    assert enter(stored, issued.secret, clock.now()).label == "old"


def test_a_revoked_key_is_not_updated(stored: Stored) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    revoked = stored.keys.revoke(key.id, actor=ME)
    with pytest.raises(BadRequest, match="was revoked"):
        stored.keys.update(key.id, label="x", actor=ME)
    assert stored.keys.list_keys() == [revoked]
    with pytest.raises(KeyNotFound):
        stored.keys.update("key_gone", label="x", actor=ME)


def test_a_key_that_is_revoked_meanwhile_is_not_updated(stored: Stored, clock: FakeClock) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    asked = 0

    def revoke_first(policy: KeyPolicy) -> KeyPolicy:
        nonlocal asked
        asked += 1
        if asked == 1:
            stored.keys.revoke(key.id, actor="local:other")
        return replace(policy, rpm=5)

    with pytest.raises(BadRequest, match="revoked meanwhile"):
        stored.keys.update(key.id, policy=revoke_first, actor=ME)
    assert stored.keys.list_keys()[0].policy == KeyPolicy()
    assert [line["action"] for line in audit_lines(stored)] == ["key.issued", "key.revoked"]


def test_what_somebody_else_changed_meanwhile_stays(stored: Stored) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    asked = 0

    def change_first(policy: KeyPolicy) -> KeyPolicy:
        nonlocal asked
        asked += 1
        if asked == 1:
            stored.keys.update(key.id, label="ops", policy=KeyPolicy(tpm=7), actor="local:other")
            stored.keys.rotate(key.id, actor="local:other")
        return replace(policy, rpm=5)

    updated = stored.keys.update(key.id, policy=change_first, actor=ME)
    assert (updated.label, updated.policy.rpm, updated.policy.tpm) == ("ops", 5, 7)
    assert stored.keys.list_keys() == [updated]
    assert audit_lines(stored)[-1]["detail"] == {"before": {"rpm": None}, "after": {"rpm": 5}}


# Finding


def test_a_key_is_found_by_id_prefix_or_label(stored: Stored) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    assert stored.keys.get(key.id) == stored.keys.get(key.prefix) == stored.keys.get("ci") == key


def test_a_label_that_two_keys_have_finds_neither(stored: Stored) -> None:
    ids = {stored.keys.issue("ci", actor=ME).key.id for _ in range(2)}
    with pytest.raises(BadRequest) as refusal:
        stored.keys.get("ci")
    assert all(key_id in str(refusal.value) for key_id in ids)


def test_a_label_cannot_stand_in_for_the_id_of_another_key(stored: Stored) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    stored.keys.issue(key.id, actor=ME)
    assert stored.keys.get(key.id) == key


def test_a_secret_given_for_an_id_is_not_repeated(stored: Stored) -> None:
    secret = "sk-cap-" + "a" * 52
    with pytest.raises(KeyNotFound) as refusal:
        stored.keys.get(secret)
    assert secret not in str(refusal.value)


# On record


def test_every_change_is_on_record_with_its_actor(stored: Stored) -> None:
    issued = stored.keys.issue("ci", actor="local:ann")
    stored.keys.rotate(issued.key.id, actor="key_admin")
    stored.keys.revoke(issued.key.id, actor="local:bob")
    lines = audit_lines(stored)
    assert [(line["actor"], line["action"], line["target"]) for line in lines] == [
        ("local:ann", "key.issued", issued.key.id),
        ("key_admin", "key.rotated", issued.key.id),
        ("local:bob", "key.revoked", issued.key.id),
    ]


def test_what_cannot_be_put_on_record_is_not_done(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue("ci", actor=ME)
    stored.directory.audit.unlink()
    stored.directory.audit.mkdir()
    for change in (
        lambda: stored.keys.issue("other", actor=ME),
        lambda: stored.keys.update(issued.key.id, label="renamed", actor=ME),
        lambda: stored.keys.rotate(issued.key.id, actor=ME),
        lambda: stored.keys.revoke(issued.key.id, actor=ME),
        lambda: stored.keys.recover(force=True, actor=ME),
        lambda: stored.keys.ensure_admin_key(actor=ME),
    ):
        with pytest.raises(StorageUnavailable, match="audit log"):
            change()
    assert stored.keys.list_keys() == [issued.key]
    assert enter(stored, issued.secret, clock.now()) == issued.key


# The way in


def test_the_first_admin_key_is_made_once(stored: Stored) -> None:
    first = stored.keys.ensure_admin_key(actor=ME)
    assert first is not None
    assert first.key.tier is Tier.ADMIN
    assert stored.keys.ensure_admin_key(actor=ME) is None
    assert len(audit_lines(stored)) == 1


def test_an_admin_key_that_has_ended_does_not_count(stored: Stored) -> None:
    first = stored.keys.ensure_admin_key(actor=ME)
    assert first is not None
    stored.keys.revoke(first.key.id, actor=ME)
    assert not stored.keys.has_admin_key()
    assert stored.keys.ensure_admin_key(actor=ME) is not None
    assert stored.keys.has_admin_key()


def test_recovery_makes_an_admin_key_and_leaves_the_others_alone(stored: Stored, clock: FakeClock) -> None:
    old = stored.keys.issue("old", tier=Tier.ADMIN, actor=ME)
    fresh, revoked = stored.keys.recover(actor=ME)
    assert revoked == ()
    assert enter(stored, old.secret, clock.now()).tier is enter(stored, fresh.secret, clock.now()).tier is Tier.ADMIN


def test_forced_recovery_revokes_all_other_admin_keys_and_says_which(stored: Stored, clock: FakeClock) -> None:
    admins = [stored.keys.issue(label, tier=Tier.ADMIN, actor=ME) for label in "ab"]
    client = stored.keys.issue("c", actor=ME)
    fresh, revoked = stored.keys.recover(force=True, actor=ME)
    assert set(revoked) == {issued.key.id for issued in admins}
    assert audit_lines(stored)[-1]["detail"]["revoked"] == list(revoked)  # type: ignore[index]
    for issued in admins:
        with pytest.raises(Unauthorized, match="revoked"):
            enter(stored, issued.secret, clock.now())
    for issued in (client, fresh):
        assert enter(stored, issued.secret, clock.now()).id == issued.key.id


# Last used


def test_last_use_is_collected_in_memory_and_handed_over_once(stored: Stored, clock: FakeClock) -> None:
    issued: IssuedKey = stored.keys.issue("ci", actor=ME)
    stored.keys.mark_used(issued.key.id, clock.now())
    clock.advance(5)
    stored.keys.mark_used(issued.key.id, clock.now())
    assert stored.keys.take_last_used() == {issued.key.id: clock.now()}
    assert stored.keys.take_last_used() == {}


# Other processes

ISSUE = """
import sys
from pathlib import Path
from copilot_api.clock import SystemClock
from tests.stored import open_stored
with open_stored(Path(sys.argv[1]), SystemClock()) as stored:
    for number in range(int(sys.argv[2])):
        print(stored.keys.issue(f"{sys.argv[3]} {number}", actor="local:other").secret)
"""


RAISE = """
import sys
from dataclasses import replace
from pathlib import Path
from copilot_api.clock import SystemClock
from tests.stored import open_stored
with open_stored(Path(sys.argv[1]), SystemClock()) as stored:
    for _ in range(int(sys.argv[2])):
        edit = lambda policy: replace(policy, rpm=(policy.rpm or 0) + 1)
        stored.keys.update(sys.argv[3], policy=edit, actor="local:other")
"""


def start(stored: Stored, script: str, count: int, subject: str) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-W", "error", "-c", script, str(stored.directory.path), str(count), subject]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_a_key_of_another_process_opens_on_the_next_call(stored: Stored, clock: FakeClock) -> None:
    stored.keys.load()
    assert not stored.keys.needs_refresh()
    with start(stored, ISSUE, 1, "theirs") as process:
        output, _ = process.communicate(timeout=30)
    assert stored.keys.needs_refresh()
    assert enter(stored, output.strip(), clock.now()).label == "theirs 0"


def test_processes_that_issue_together_lose_no_key_and_no_line(stored: Stored) -> None:
    with start(stored, ISSUE, 20, "a") as first, start(stored, ISSUE, 20, "b") as second:
        for number in range(20):
            stored.keys.issue(f"c {number}", actor=ME)
        assert [process.wait(timeout=30) for process in (first, second)] == [0, 0]
        assert len(first.communicate()[0].split() + second.communicate()[0].split()) == 40
    assert len(stored.keys.list_keys()) == 60
    assert len(audit_lines(stored)) == 60


def test_processes_that_update_together_undo_nothing_of_one_another(stored: Stored) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    with start(stored, RAISE, 25, key.id) as first, start(stored, RAISE, 25, key.id) as second:
        for number in range(25):
            stored.keys.update(key.id, label=f"ci {number}", actor=ME)
        assert [process.wait(timeout=60) for process in (first, second)] == [0, 0]
    [updated] = stored.keys.list_keys()
    assert (updated.label, updated.policy.rpm) == ("ci 24", 50)
    raised = [line["detail"] for line in audit_lines(stored) if "rpm" in line["detail"].get("after", ())]  # type: ignore[attr-defined]
    assert [detail["after"]["rpm"] for detail in raised] == list(range(1, 51))  # type: ignore[index]
    assert [detail["before"]["rpm"] or 0 for detail in raised] == list(range(50))  # type: ignore[index]


def test_the_known_keys_are_those_of_the_index_each_once(stored: Stored) -> None:
    key = stored.keys.issue("ci", actor="test").key
    assert stored.keys.list_known() == []
    stored.keys.load()
    stored.keys.rotate(key.id, overlap_seconds=60, actor="test")
    stored.keys.revoke(stored.keys.issue("gone", actor="test").key.id, actor="test")
    stored.keys.load()
    assert {known.label: known.revoked_at is None for known in stored.keys.list_known()} == {"ci": True, "gone": False}
    assert len(stored.keys.list_known()) == 2
