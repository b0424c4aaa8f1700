"""The query of captures: terms that all hold, a word for a part of a request id, mistakes told in words."""

from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.admin.forms import Fields
from copilot_api.admin.trace_queries import TypedTraces, list_trace_fields, list_trace_terms, read_trace_query
from copilot_api.errors import BadRequest
from copilot_api.keys.names import KeyNames
from tests.stored import Stored

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def read(text: str, names: KeyNames | None = None, **more: str) -> TypedTraces:
    return read_trace_query(Fields([("q", text), *more.items()]), NOW, names or KeyNames(()), 50)


def test_terms_stand_side_by_side() -> None:
    query = read('key:key_a model:"gpt 4" status:4xx req_1a').query
    assert (query.key_id, query.model, query.min_status, query.max_status, query.text, query.limit) == (
        "key_a",
        "gpt 4",
        400,
        499,
        "req_1a",
        50,
    )


def test_the_usual_range_is_a_week_that_goes_on_until_now() -> None:
    query = read("").query
    assert (query.since, query.until) == (NOW - timedelta(days=7), None)


def test_keys_go_by_their_labels_and_two_of_one_label_are_told_apart(stored: Stored) -> None:
    ci, *twins = (stored.keys.issue(label, actor="test").key.id for label in ("ci", "twin", "twin"))
    names = KeyNames(stored.keys.list_keys())
    assert read("key:ci", names).query.key_id == ci
    problem = read("key:twin", names).problem
    assert all(each in problem for each in twins)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("who:ada", "NAME:VALUE"),
        ("key:", "NAME:VALUE"),
        ("one two", "a request id is there twice"),
        ("key:a key:b", "key is there twice"),
        ("status:much", "429, 4xx or >=400"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_asked(text: str, part: str) -> None:
    typed = read(text)
    assert part in typed.problem
    assert (typed.query.key_id, typed.query.text) == (None, "")


@pytest.mark.parametrize("place", ["-1", "x", "1" * 18])
def test_a_place_is_a_number(place: str) -> None:
    assert read("", after="12").query.before == 12
    with pytest.raises(BadRequest):
        read("", after=place)


def test_the_record_has_what_was_asked_without_secrets() -> None:
    assert read("", after="12").asked == {"range": "7d", "before": 12}
    asked = read("sk-cap-" + "a1b2c3d4" * 6, since="2026-06-01T00:00", until="2026-06-02T00:00").asked
    assert "a1b2c3d4a1b2" not in str(asked["q"])
    assert (asked["since"], asked["until"]) == ("2026-06-01T00:00:00+00:00", "2026-06-02T00:00:00+00:00")


def test_terms_can_be_taken_off_and_fields_are_suggested() -> None:
    terms = list_trace_terms("key:a req_1", "/admin/traces", [("q", "…"), ("after", "9")])
    assert [term.href for term in terms] == ["/admin/traces?q=req_1", "/admin/traces?q=key%3Aa"]
    assert {field.name for field in list_trace_fields(KeyNames(()), ["gpt-4.1"])} == {"key", "model", "status"}
