"""The query of the audit log: terms that all hold, keys by what they are called, mistakes told in words."""

from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.admin.audit_queries import list_audit_fields, list_audit_terms, parse_seq, read_audit_query
from copilot_api.admin.forms import Fields
from copilot_api.audit.search import AuditQuery
from copilot_api.errors import BadRequest
from copilot_api.keys.names import KeyNames
from copilot_api.keys.service import KeyService
from tests.stored import Stored

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def read(text: str, names: KeyNames | None = None, **more: str) -> tuple[AuditQuery, str]:
    typed = read_audit_query(Fields([("q", text), *more.items()]), NOW, names or KeyNames(()))
    return typed.query, typed.problem


def test_terms_stand_side_by_side() -> None:
    query, problem = read('actor:gateway action:key.refused target:"of nobody" request:req_1')
    assert not problem
    assert (query.actor, query.action, query.target, query.request_id) == (
        "gateway",
        "key.refused",
        "of nobody",
        "req_1",
    )


def test_the_usual_range_is_a_month_that_goes_on_until_now() -> None:
    query, _ = read("")
    assert (query.since, query.until) == (NOW - timedelta(days=30), None)
    query, _ = read("", since="2026-06-01T00:00", until="2026-06-02T00:00")
    assert (query.since, query.until) == (datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC))


def issue(keys: KeyService, label: str) -> str:
    return keys.issue(label, actor="test").key.id


def test_keys_go_by_their_labels_and_two_of_one_label_are_told_apart(stored: Stored) -> None:
    ci, *twins = (issue(stored.keys, label) for label in ("ci", "twin", "twin"))
    names = KeyNames(stored.keys.list_keys())
    query, _ = read("actor:ci target:ci", names)
    assert (query.actor, query.target) == (ci, ci)
    _, problem = read("actor:twin", names)
    assert all(each in problem for each in twins)
    assert not read(f"actor:{twins[0]}", names)[1]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ada", "NAME:VALUE"),
        ("who:ada", "NAME:VALUE"),
        ("actor:", "NAME:VALUE"),
        ("actor:a actor:b", "twice"),
        ("action:key.eaten", "no action 'key.eaten'"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_asked(text: str, part: str) -> None:
    query, problem = read(text)
    assert part in problem
    assert query.actor is None


def test_a_place_is_the_number_of_a_line() -> None:
    assert (parse_seq(""), parse_seq("12")) == (None, 12)
    assert read("", after="12")[0].before_seq == 12
    for text in ("-1", "1e3", "٣", "1" * 16, "x"):
        with pytest.raises(BadRequest):
            parse_seq(text)


def test_each_term_can_be_taken_off_and_the_list_begins_anew() -> None:
    terms = list_audit_terms('actor:a target:"b c"', "/admin/audit", [("q", "…"), ("after", "9"), ("range", "7d")])
    assert [(term.text, term.href) for term in terms] == [
        ("actor:a", "/admin/audit?range=7d&q=target%3A%22b+c%22"),
        ('target:"b c"', "/admin/audit?range=7d&q=actor%3Aa"),
    ]


def test_all_actions_are_suggested() -> None:
    fields = {field.name: field.values for field in list_audit_fields(KeyNames(()))}
    assert "trace.read" in fields["action"]
    assert "gateway" in fields["actor"]
