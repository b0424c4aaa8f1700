"""Arguments as they arrive: whole or not, and whether they have run away."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.protocols.chat.arguments_scan import ArgumentsScan

PROPERTY = settings(derandomize=True, deadline=None, database=None)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(alphabet='{}[]"\\\n\tx', max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


def scanned(*pieces: str) -> ArgumentsScan:
    scan = ArgumentsScan()
    for piece in pieces:
        scan.feed(piece)
    return scan


@settings(PROPERTY, max_examples=200)
@given(
    value=st.dictionaries(st.text(alphabet='{}[]"\\\nx', max_size=3), VALUES, max_size=3),
    indent=st.sampled_from([None, 2, "\t"]),
)
def test_arguments_are_whole_at_their_last_brace_and_never_before(value: object, indent: int | str | None) -> None:
    text = json.dumps(value, indent=indent)
    scan = ArgumentsScan()
    for character in text[:-1]:
        scan.feed(character)
        assert not scan.is_whole
        assert not scan.has_run_away
    scan.feed(text[-1])
    assert scan.is_whole


@pytest.mark.parametrize("text", ["", " ", '"x"', "5", "x", '{"a', '{"}"', '{"\\"}'])
def test_what_is_no_closed_object_is_not_whole(text: str) -> None:
    assert not scanned(text).is_whole


def test_pitfall_086_blanks_without_end_have_run_away() -> None:
    assert scanned('{"x":1,', "\n\t" * 30).has_run_away
    assert scanned('{"x":1,', *["\n", " ", "\t"] * 30).has_run_away
    assert not scanned('{"x":1,', *["\n\t", '"y":2,'] * 60).has_run_away


def test_blanks_inside_a_string_are_the_strings() -> None:
    assert not scanned('{"x":"', "\n" * 100).has_run_away


def test_deep_indentation_has_not_run_away() -> None:
    value: object = 1
    for _ in range(18):
        value = {"x": [value]}
    assert not scanned(json.dumps(value, indent="\t")).has_run_away
