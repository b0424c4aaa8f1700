"""
JSON Schemas as Copilot takes them: a tool's without `$schema` (protocol reference, 9.4), and the form of an answer with
none of the rules that Anthropic's constrained decoding does not know. Those go into the descriptions, which a model
reads.
"""

from collections.abc import Callable
from typing import Any, cast

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.untyped import list_of, object_of, text_of

Schema = dict[str, Any]
_NAMED_SCHEMAS = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
"""Keywords whose value has a schema under each name."""
_VALUES = {"const", "default", "enum", "example", "examples", "required"}
"""Keywords whose value is no schema, whatever it looks like."""
_UNKNOWN_RULES = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems",
    "uniqueItems", "minProperties", "maxProperties", "contains", "minContains", "maxContains", "propertyNames",
    "patternProperties",
)  # fmt: skip
_FORMATS = {
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
}  # fmt: skip
_HARD_PATTERNS = ("(?", "\\1", "\\b", "\\B")
"""What a pattern may not have: looking around, and referring back."""


def tool_schema(schema: Schema) -> Schema:
    """The parameters of a tool. Raises `BadRequest` when they are nested too deeply."""
    return _changed(schema, _without_uri, "tools")


def answer_schema(schema: Schema) -> Schema:
    """The form of an answer. Raises `BadRequest` when it is nested too deeply."""
    return _changed(schema, _closed, "response_format")


def _changed(schema: Schema, change: Callable[[Schema], Schema], param: str) -> Schema:
    try:
        return object_of(_walk(schema, change))
    except RecursionError:
        raise BadRequest("the schema is nested too deeply", param=param) from None


def _walk(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """`schema` with every schema in it changed; the client's own is left alone."""
    if isinstance(schema, list):
        return [_walk(inner, change) for inner in list_of(schema)]  # pyright: ignore[reportUnknownArgumentType]
    if not isinstance(schema, dict):
        return schema
    out: Schema = {}
    for name, value in cast("Schema", schema).items():
        if name in _VALUES:
            out[name] = value
        elif name in _NAMED_SCHEMAS and isinstance(value, dict):
            out[name] = {key: _walk(inner, change) for key, inner in cast("Schema", value).items()}
        else:
            out[name] = _walk(value, change)
    return change(out)


def _without_uri(schema: Schema) -> Schema:
    schema.pop("$schema", None)
    return schema


def _closed(schema: Schema) -> Schema:
    """One level of an answer's form: unknown rules in words, one choice for another, and no fields but its own."""
    _without_uri(schema)
    refused = {name: schema.pop(name) for name in _UNKNOWN_RULES if name in schema}
    least = schema.get("minItems")
    if least is not None and least not in (0, 1):
        refused["minItems"] = schema.pop("minItems")
    if "format" in schema and text_of(schema["format"]) not in _FORMATS:
        refused["format"] = schema.pop("format")
    if any(hard in text_of(schema.get("pattern")) for hard in _HARD_PATTERNS):
        refused["pattern"] = schema.pop("pattern")
    if "oneOf" in schema and "anyOf" not in schema:
        schema["anyOf"] = schema.pop("oneOf")
    if refused:
        rules = msgspec.json.encode(refused, order="sorted").decode()
        schema["description"] = " ".join(filter(None, (text_of(schema.get("description")), f"Rules: {rules}")))
    if schema.get("type") == "object" or "properties" in schema:
        schema["additionalProperties"] = False
    return schema
