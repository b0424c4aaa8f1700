"""Google's schemas as JSON Schema."""

from typing import Any

import pytest

from copilot_api.protocols.gemini.schema import json_schema, wrapped


def test_types_lose_their_capitals_at_every_depth() -> None:
    given = {
        "type": "OBJECT",
        "properties": {"a": {"type": "ARRAY", "items": {"type": "STRING"}}, "b": {"anyOf": [{"type": "NUMBER"}]}},
        "required": ["a"],
    }
    assert json_schema(given) == {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "string"}}, "b": {"anyOf": [{"type": "number"}]}},
        "required": ["a"],
    }
    assert given["type"] == "OBJECT"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "STRING", "nullable": False}, {"type": "string"}),
        ({"type": "STRING", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"anyOf": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"nullable": True}, {}),
        ({"type": "TYPE_UNSPECIFIED"}, {}),
        ({"type": ["STRING", "NULL"]}, {"type": ["string", "null"]}),
        ({"type": "STRING", "format": "enum", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
        ({"type": "STRING", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "INTEGER", "format": "int32"}, {"type": "integer"}),
        ({"type": "ARRAY", "minItems": "2", "max_items": 3}, {"type": "array", "minItems": 2, "maxItems": 3}),
        ({"type": "OBJECT", "propertyOrdering": ["b"], "example": 1}, {"type": "object"}),
        (
            {"any_of": [{"ref": "#/$defs/A"}], "defs": {"A": {"type": "STRING"}}},
            {"anyOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"type": "string"}}},
        ),
        ({"additionalProperties": {"type": "STRING"}}, {"additionalProperties": {"type": "string"}}),
        ({"additional_properties": False}, {"additionalProperties": False}),
    ],
)
def test_googles_own_words_are_put_into_json_schemas(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert json_schema(given) == expected


def test_properties_may_be_called_like_keywords() -> None:
    properties = {"type": {"type": "STRING"}, "nullable": {"type": "BOOLEAN"}, "format": {"type": "STRING"}}
    assert json_schema({"type": "OBJECT", "properties": properties})["properties"] == {
        "type": {"type": "string"},
        "nullable": {"type": "boolean"},
        "format": {"type": "string"},
    }


def test_json_schema_stays_as_it_is() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"], "const": "STRING", "default": None}},
        "additionalProperties": False,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
    }
    assert json_schema(schema) == schema


@pytest.mark.parametrize("value", [None, 1, "x", [], [1], {"a": 1}])
def test_nonsense_is_carried(value: Any) -> None:
    for name in ("type", "properties", "items", "anyOf", "enum", "minItems", "$defs", "not", "format"):
        json_schema({name: value, "nullable": True})


def test_what_is_no_object_is_wrapped_in_one() -> None:
    schema = {"type": "array", "items": {"$ref": "#/$defs/A"}, "$defs": {"A": {"type": "string"}}}
    assert wrapped(schema) == {
        "type": "object",
        "properties": {"value": {"type": "array", "items": {"$ref": "#/$defs/A"}}},
        "required": ["value"],
        "additionalProperties": False,
        "$defs": {"A": {"type": "string"}},
    }
