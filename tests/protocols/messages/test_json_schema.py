from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import BadRequest
from copilot_api.protocols.messages.json_schema import answer_schema, tool_schema


def test_a_tools_schema_loses_its_uri_at_every_level_and_nothing_else() -> None:
    schema = {
        "$schema": "x",
        "enum": [{"$schema": 1}],
        "items": [{"$schema": 1, "type": "string", "minLength": 3}],
        "$defs": {"$schema": {"type": "null"}},
        "properties": 3,
    }
    assert tool_schema(schema) == {
        "enum": [{"$schema": 1}],
        "items": [{"type": "string", "minLength": 3}],
        "$defs": {"$schema": {"type": "null"}},
        "properties": 3,
    }
    assert schema["$schema"] == "x"


def test_an_answers_form_says_unknown_rules_in_words() -> None:
    assert answer_schema({"type": "integer", "minimum": 1, "maximum": 9, "description": "A digit."}) == {
        "type": "integer",
        "description": 'A digit. Rules: {"maximum":9,"minimum":1}',
    }
    assert answer_schema({"type": "array", "minItems": 2, "items": {"type": "string", "format": "odd"}}) == {
        "type": "array",
        "items": {"type": "string", "description": 'Rules: {"format":"odd"}'},
        "description": 'Rules: {"minItems":2}',
    }


def test_an_answers_form_keeps_the_rules_that_are_known() -> None:
    kept = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "date", "pattern": "^a+$"}}
    assert answer_schema(kept) == kept
    assert "pattern" not in answer_schema({"type": "string", "pattern": "(?=a)b"})


def test_an_answers_form_has_no_fields_but_its_own() -> None:
    found = answer_schema({"properties": {"a": {"type": "object", "additionalProperties": True}}, "oneOf": [{}]})
    assert found == {
        "properties": {"a": {"type": "object", "additionalProperties": False}},
        "anyOf": [{}],
        "additionalProperties": False,
    }


def test_a_property_may_have_the_name_of_a_rule() -> None:
    schema = {"type": "object", "properties": {"minimum": {"type": "integer"}}, "additionalProperties": False}
    assert answer_schema(schema) == schema


@pytest.mark.parametrize("clean", [tool_schema, answer_schema])
def test_a_schema_without_end_is_refused(clean: Any) -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"items": deep}
    with pytest.raises(BadRequest):
        clean(deep)


NAMES = ["properties", "items", "minimum", "format", "pattern", "oneOf", "minItems", "type", "description", "$schema"]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.sampled_from(["object", "(?", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=10,
)


@settings(derandomize=True, deadline=None, database=None)
@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_whatever_a_schema_holds_it_is_cleaned_once_and_for_all(schema: dict[str, Any]) -> None:
    assert tool_schema(tool_schema(schema)) == tool_schema(schema)
    assert answer_schema(answer_schema(schema)) == answer_schema(schema)
