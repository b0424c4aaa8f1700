"""Every encoding is undone to a view that knows where each of its characters came from."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.redaction.encodings import list_views, undo_form, undo_json
from tests.redaction.samples import ENCODINGS

PROPERTY = settings(derandomize=True, deadline=None, database=None)
SECRET = "needle-in-a-haystack-0123456789"
ONE_LAYER = [
    name
    for name in ENCODINGS
    if name not in ("plain", "json", "json twice", "URL twice", "base64 of UTF-16", "URL", "URL with plus", "HTML")
]


@pytest.mark.parametrize("encoding", ONE_LAYER)
@settings(PROPERTY, max_examples=30)
@given(st.text("abc \u00e9", max_size=20), st.text("xyz ", max_size=20))
def test_a_view_leads_back_to_what_stands_for_its_characters(encoding: str, before: str, after: str) -> None:
    encoded = ENCODINGS[encoding](SECRET)
    text = f"{before} {encoded} {after}"
    found = [view for view in list_views(text) if SECRET in view.text]
    assert found
    for view in found:
        at = view.text.index(SECRET)
        start, end = view.locate(at, at + len(SECRET))
        begin = len(before) + 1
        assert begin <= start < end <= begin + len(encoded)
        assert end - start >= len(encoded.strip("=\n")) - 4


@settings(PROPERTY, max_examples=50)
@given(st.binary(max_size=9), st.binary(max_size=9), st.booleans())
def test_base64_is_read_at_any_alignment(before: bytes, after: bytes, has_padding: bool) -> None:
    run = base64.urlsafe_b64encode(before + SECRET.encode() + after).decode()
    assert any(SECRET in view.text for view in list_views(run if has_padding else run.rstrip("=")))


def test_base64_is_read_behind_other_characters_of_its_alphabet() -> None:
    run = base64.b64encode(SECRET.encode()).decode()
    for junk in ("a", "ab", "abc", "path/", "-_-_-"):
        assert any(SECRET in view.text for view in list_views(junk + run))


def test_wide_characters_are_read_in_base64() -> None:
    run = base64.b64encode(SECRET.encode("utf-16-le")).decode()
    views = [view for view in list_views(run) if view.text == SECRET]
    assert views[0].locate(0, len(SECRET)) == (0, len(run))


def test_strings_of_json_and_values_of_forms_are_undone_exactly() -> None:
    view = undo_json(r'"a\u0062\n\/\\u0063"', 1, 19)
    assert view.text == "ab\n/\\u0063"
    assert view.locate(1, 3) == (2, 10)
    assert undo_form("a+b%20c%2B", 0, 10).text == "a b c+"


def test_plain_text_has_no_views() -> None:
    assert list(list_views("nothing to see here, 100 of them")) == []
