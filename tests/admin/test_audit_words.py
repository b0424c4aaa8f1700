"""Lines of the audit log in words: every action has some, changes are told short and as a diff."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from copilot_api.admin import audit_words as words
from copilot_api.audit.lines import FIRST_PREV, AuditRecord, Link, make_record, parse_line, render_line
from copilot_api.audit.models import Action, AuditEvent
from copilot_api.keys.names import KeyNames
from tests.stored import Stored

NOBODY = KeyNames(())
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def make(action: Action, target: str = "key_a", **detail: Any) -> AuditRecord:
    event = AuditEvent("key_admin", action, target, detail)
    return parse_line(render_line(make_record(event, NOW, Link(0, FIRST_PREV))))


@pytest.mark.parametrize("action", list(Action))
def test_every_action_has_words(action: Action) -> None:
    assert words.words_of_action(action.value) != action.value
    assert words.tone_of_action(action.value) in {"", "good", "warn", "bad"}


def test_an_action_of_another_version_goes_by_its_name() -> None:
    assert (words.words_of_action("key.blessed"), words.tone_of_action("key.blessed")) == ("key.blessed", "")


def test_a_change_is_told_as_what_was_and_what_is() -> None:
    detail = {"before": {"rpm": None, "observe": ["rpm"]}, "after": {"rpm": 60, "observe": []}}
    assert words.summarise_change(detail, NOBODY) == "rpm none → 60, observe rpm → none"
    diff = words.diff_of(detail)
    assert diff is not None
    assert [(line.kind, line.text) for line in diff] == [
        ("removed", "rpm: none"),
        ("removed", "observe: rpm"),
        ("added", "rpm: 60"),
        ("added", "observe: none"),
    ]


def test_other_details_are_told_by_name_and_what_is_empty_is_left_out() -> None:
    detail = {"label": "ci", "expires_at": None, "budgets": [], "changed": ["a.b", "c"]}
    assert words.summarise_change(detail, NOBODY) == "label ci, changed a.b, c"
    assert words.diff_of(detail) is None
    assert words.list_facts({**detail, "before": {}, "after": {}}) == [("label", "ci"), ("changed", "a.b, c")]
    assert words.list_facts({"count": 3, "old": {"a": [1]}}) == [("count", "3"), ("old", '{"a":[1]}')]


def test_keys_go_by_their_labels(stored: Stored) -> None:
    key = stored.keys.issue("ci", actor="test").key
    names = KeyNames(stored.keys.list_keys())
    assert words.summarise_change({"key_id": key.id, "model": None}, names) == "key ci"
    assert words.summarise_change({"key_id": "key_gone"}, names) == "key key_gone"


def test_long_details_are_cut() -> None:
    assert len(words.summarise_change({f"name{number}": "x" * 100 for number in range(50)}, NOBODY)) <= 160


@pytest.mark.parametrize(
    ("action", "target", "href"),
    [
        (Action.TRACE_READ, "req_1", "/admin/traces/req_1"),
        (Action.CALL_CANCELLED, "req 1/2", "/admin/requests/req%201%2F2"),
        (Action.IDENTITY_STOPPED, "default", "/admin/identities"),
        (Action.CONFIG_CHANGED, "config.json", "/admin/settings"),
        (Action.SESSION_ENDED, "ses_1", None),
    ],
)
def test_targets_lead_to_their_pages(action: Action, target: str, href: str | None) -> None:
    assert words.link_of_target(make(action, target)) == href


def test_an_edited_line_shows() -> None:
    record = make(Action.KEY_ISSUED, label="ci")
    assert words.is_as_written(record)
    assert not words.is_as_written(msgspec.structs.replace(record, actor="nobody"))
