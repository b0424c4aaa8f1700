"""Fields of forms and queries: read once, rightly, or not at all."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.forms import FORM_TYPE, MAX_FIELDS, NO_FIELDS, Fields, parse_form, parse_query
from copilot_api.errors import BadRequest, UnsupportedMediaType

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.tuples(_text, _text), max_size=20))
def test_what_a_browser_sends_comes_back(pairs: list[tuple[str, str]]) -> None:
    found = parse_form(urlencode(pairs).encode(), FORM_TYPE)
    assert list(found) == [pair for pair in pairs if pair != ("", "")] or list(found) == pairs


@given(st.binary(max_size=200))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    try:
        found = parse_form(body, FORM_TYPE)
    except BadRequest:
        return
    assert all("\0" not in name + value for name, value in found)


@pytest.mark.parametrize("body", [b"a=%", b"a=%zz", b"a=%f", b"a=%ff", b"a=%00", "a=é".encode(), b"\xff", b"%00=1"])
def test_a_form_that_is_not_written_rightly_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_form(body, FORM_TYPE)


@pytest.mark.parametrize("media_type", ["", "application/json", "multipart/form-data; boundary=x", "text/plain"])
def test_what_is_no_form_is_refused(media_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        parse_form(b"key=x", media_type)


def test_a_form_may_name_its_charset() -> None:
    assert parse_form(b"a=b", "Application/X-WWW-Form-Urlencoded; charset=UTF-8").get("a") == "b"


def test_too_many_fields_are_refused() -> None:
    with pytest.raises(BadRequest):
        parse_query(b"&".join([b"a=b"] * (MAX_FIELDS + 1)))
    assert len(parse_query(b"&".join([b"a=b"] * MAX_FIELDS)).list("a")) == MAX_FIELDS


def test_a_field_is_there_once_or_it_is_asked_for_as_a_list() -> None:
    found = Fields([("a", "1"), ("b", ""), ("a", "2")])
    with pytest.raises(BadRequest) as refusal:
        found.get("a")
    assert refusal.value.param == "a"
    assert (found.list("a"), found.get("b", "x"), found.get("c", "x")) == (["1", "2"], "", "x")
    assert "b" in found
    assert "c" not in found
    assert list(found.without("a", "c")) == [("b", "")]
    assert not list(NO_FIELDS)
