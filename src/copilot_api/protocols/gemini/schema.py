"""
Google's dialect of OpenAPI schemas as JSON Schema.

The dialect says types in capitals and `nullable` for what may be null, writes 64-bit numbers as text, and has keywords
of its own. Where a schema is JSON Schema already, nothing changes.
"""

from collections.abc import Mapping
from typing import Any, cast

from copilot_api.protocols.untyped import list_of, object_of

_TYPES = {"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"}
_RENAMED = {
    "any_of": "anyOf",
    "prefix_items": "prefixItems",
    "additional_properties": "additionalProperties",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "defs": "$defs",
    "ref": "$ref",
}
_GOOGLES_OWN = {"nullable", "propertyOrdering", "property_ordering", "example"}
_GOOGLES_FORMATS = {"enum", "float", "double", "int32", "int64"}
"""Formats that say nothing beside the type; upstreams with strict schemas refuse formats that they do not know."""
_COUNTS = {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
_SCHEMAS = {"items", "additionalProperties", "not"}
_LISTS_OF_SCHEMAS = {"anyOf", "oneOf", "allOf", "prefixItems"}
_MAPS_OF_SCHEMAS = {"properties", "$defs", "definitions", "patternProperties"}
WRAPPED = "value"
"""The field of an object that holds what the client wanted at the root."""


def json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` as JSON Schema; the client's own object is left alone."""
    out: dict[str, Any] = {}
    for given, value in schema.items():
        name = _RENAMED.get(given, given)
        if name in _GOOGLES_OWN or (name == "format" and isinstance(value, str) and value in _GOOGLES_FORMATS):
            continue
        value = _converted(name, value)
        if name != "type" or value:
            out[name] = value
    return _nullable(out) if schema.get("nullable") is True else out


def _converted(name: str, value: Any) -> Any:
    """The value of a keyword; no type where it says nothing."""
    if name == "type":
        return _type(value)
    if name in _COUNTS:
        return int(value) if isinstance(value, str) and value.isdecimal() else value
    if name in _SCHEMAS and isinstance(value, dict):
        return json_schema(cast("dict[str, Any]", value))
    if name in _LISTS_OF_SCHEMAS and isinstance(value, list):
        return [_inner(branch) for branch in list_of(cast("object", value))]
    if name in _MAPS_OF_SCHEMAS and isinstance(value, dict):
        return {key: _inner(inner) for key, inner in object_of(cast("object", value)).items()}
    return value


def _inner(value: object) -> Any:
    return json_schema(cast("dict[str, Any]", value)) if isinstance(value, dict) else value


def _type(value: object) -> object:
    if isinstance(value, str):
        return None if value == "TYPE_UNSPECIFIED" else value.lower() if value in _TYPES else value
    return [_type(name) for name in list_of(value)] or None


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or null."""
    kind = schema.get("type")
    if isinstance(kind, str):
        schema["type"] = [kind, "null"]
    elif "anyOf" in schema:
        schema["anyOf"] = [*list_of(schema["anyOf"]), {"type": "null"}]
    values = schema.get("enum")
    if isinstance(values, list) and None not in values:
        schema["enum"] = [*list_of(cast("object", values)), None]
    return schema


def wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    """An object that holds what `schema` describes: upstreams refuse a list, a choice or a text at the root."""
    inner = {name: value for name, value in schema.items() if name not in {"$defs", "definitions"}}
    shared: dict[str, Any] = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    return {
        "type": "object",
        "properties": {WRAPPED: inner},
        "required": [WRAPPED],
        "additionalProperties": False,
        **shared,
    }
