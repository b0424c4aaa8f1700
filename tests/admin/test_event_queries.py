"""The query that was typed and the range of the page make one question; a mistake is told, not raised."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.event_queries import list_fields, list_terms, read_query, split_terms
from copilot_api.admin.forms import Fields
from copilot_api.errors import BadRequest
from copilot_api.keys.names import KeyNames
from copilot_api.usage.filters import FIELDS
from tests.fakes import FakeClock

NOW = FakeClock().now()
NAMES = KeyNames([])
HOUR = timedelta(hours=1)


def read(**fields: str) -> tuple[timedelta, timedelta, str]:
    typed = read_query(Fields(fields.items()), NOW, NAMES)
    return NOW - typed.period.since, NOW - typed.period.until, typed.problem


def test_without_a_range_the_last_day_is_meant() -> None:
    assert read() == (24 * HOUR, 0 * HOUR, "")


def test_the_range_of_the_query_is_taken_where_the_page_has_none() -> None:
    assert read(q="since:7d") == (7 * 24 * HOUR, 0 * HOUR, "")
    assert read(q="until:2h") == (26 * HOUR, 2 * HOUR, "")


def test_the_range_of_the_query_narrows_that_of_the_page() -> None:
    assert read(q="since:2h", range="7d")[:2] == (2 * HOUR, 0 * HOUR)
    assert read(q="since:30d", range="1h")[:2] == (HOUR, 0 * HOUR)


def test_ranges_that_have_nothing_in_common_are_a_mistake_of_the_query() -> None:
    assert "nothing in common" in read(q="until:2h", range="1h")[2]


@pytest.mark.parametrize("query", ["nonsense", "statsu:500", "cause:nope", 'key:"x', "status:>abc"])
def test_a_mistake_is_told_with_what_was_typed(query: str) -> None:
    typed = read_query(Fields([("q", query)]), NOW, NAMES)
    assert typed.problem
    assert (typed.text, typed.conditions) == (query, ())


def test_a_range_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadRequest):
        read(range="5y")


def test_sums_are_not_told_apart_by_what_no_rollup_has() -> None:
    typed = read_query(Fields([("q", "ttft:>5s")]), NOW, NAMES, is_for_sums=True)
    assert "ttft" in typed.problem


def test_every_word_of_the_grammar_is_suggested() -> None:
    assert [field.name for field in list_fields(NAMES)] == list(FIELDS)


def test_each_term_can_be_taken_off() -> None:
    terms = list_terms(
        'key:"grace hopper" status:500', "/admin/requests", [("q", "…"), ("range", "7d"), ("after", "x")]
    )
    assert [term.text for term in terms] == ['key:"grace hopper"', "status:500"]
    assert terms[0].href == "/admin/requests?range=7d&q=status%3A500"


@given(st.lists(st.sampled_from(["key:ci", 'key:"a b"', "-client:codex", "status:>=400", 'model:"x"y']), max_size=6))
def test_terms_are_split_where_they_were_put_together(terms: list[str]) -> None:
    assert split_terms("  ".join(terms)) == terms
