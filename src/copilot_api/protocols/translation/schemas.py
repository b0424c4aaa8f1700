"""
A tool's parameters as an object schema with `properties`: upstreams refuse anything else at the root.

A root that is a choice (`anyOf`, `oneOf`, `allOf`) becomes one object that permits every branch; nothing is required
then but what all branches require.
"""

from typing import Any

from copilot_api.protocols.untyped import list_of, object_of

_CHOICES = ("anyOf", "oneOf", "allOf")
_REFUSED_AT_ROOT = {*_CHOICES, "enum", "not", "const", "if", "then", "else", "$schema"}


def object_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` as every upstream takes it. The client's own object is left alone."""
    is_object = schema.get("type") == "object" and isinstance(schema.get("properties"), dict)
    if is_object and not _REFUSED_AT_ROOT.intersection(schema):
        return schema
    kept = {name: value for name, value in schema.items() if name not in _REFUSED_AT_ROOT}
    properties = dict(object_of(schema.get("properties")))
    required = [name for name in list_of(schema.get("required")) if isinstance(name, str)]
    for choice in _CHOICES:
        branches = [object_of(branch) for branch in list_of(schema.get(choice))]
        if not branches:
            continue
        for branch in branches:
            for name, value in object_of(branch.get("properties")).items():
                properties.setdefault(name, value)
        wanted: list[set[str]] = [
            {name for name in list_of(branch.get("required")) if isinstance(name, str)} for branch in branches
        ]
        common = set(wanted[0])
        for names in wanted[1:]:
            common = common | names if choice == "allOf" else common & names
        required += sorted(common.difference(required))
        if choice != "allOf":
            alternatives = "; ".join(", ".join(sorted(names)) for names in wanted if names)
            if alternatives:
                hint = f"Give one of these sets of fields: {alternatives}."
                kept["description"] = " ".join(filter(None, (str(kept.get("description", "")), hint)))
    kept["type"] = "object"
    kept["properties"] = properties
    if required:
        kept["required"] = required
    else:
        kept.pop("required", None)
    return kept


def wrap_input(description: str) -> dict[str, Any]:
    """The parameters of a function that stands in for a custom tool: one string."""
    text = {"type": "string", "description": description}
    return {"type": "object", "properties": {"input": text}, "required": ["input"], "additionalProperties": False}
