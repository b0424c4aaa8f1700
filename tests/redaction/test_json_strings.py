"""The strings of JSON are found where they stand, whether the document is whole or not."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.redaction.json_strings import scan_json

PROPERTY = settings(derandomize=True, deadline=None, database=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [found for each in value for found in strings(each)]
    if isinstance(value, dict):
        return [found for key, each in value.items() for found in [key, *strings(each)]]
    return []


@settings(PROPERTY, max_examples=200)
@given(JSON, st.sampled_from([None, 1]))
def test_every_string_is_found_in_order(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    found = [
        json.loads(f'"{text[token.start : token.end]}"') for token in scan_json(text, 0, len(text)) if token.is_string
    ]
    assert found == strings(value)


def paths(text: str) -> list[tuple[str, str]]:
    return [(token.render_path(), token.name) for token in scan_json(text, 0, len(text)) if not token.is_key]


def test_a_value_knows_its_path_and_the_key_above_it() -> None:
    assert paths('{"a": [{"b": "x"}, ["y", 12]], "c": 3}') == [
        ("$.a[0].b", "b"),
        ("$.a[1][0]", "a"),
        ("$.a[1][1]", "a"),
        ("$.c", "c"),
    ]


def test_a_document_that_ends_early_is_read_to_its_end() -> None:
    text = '{"a": ["x", "y\\"z'
    assert [text[token.start : token.end] for token in scan_json(text, 0, len(text))] == ["a", "x", 'y\\"z']


def test_depth_costs_no_stack_and_a_long_path_is_cut() -> None:
    text = '{"a":' * 100_000 + '"x"'
    *_, last = scan_json(text, 0, len(text))
    assert len(last.render_path()) < 200
