"""Parameters as object schemas."""

from copilot_api.protocols.translation.schemas import object_schema, wrap_input


def test_an_object_schema_is_left_alone() -> None:
    schema = {"type": "object", "properties": {"a": {"anyOf": [{}, {}]}}, "required": ["a"]}
    assert object_schema(schema) is schema


def test_nothing_becomes_an_object_without_fields() -> None:
    assert object_schema({}) == {"type": "object", "properties": {}}
    assert object_schema({"type": "object"}) == {"type": "object", "properties": {}}


def test_a_choice_at_the_root_permits_every_branch_and_requires_what_all_do() -> None:
    schema = {
        "oneOf": [
            {"type": "object", "properties": {"id": {"type": "string"}, "a": {}}, "required": ["id", "a"]},
            {"type": "object", "properties": {"id": {"type": "string"}, "b": {}}, "required": ["id", "b"]},
        ]
    }
    found = object_schema(schema)
    assert found["type"] == "object"
    assert set(found["properties"]) == {"id", "a", "b"}
    assert found["required"] == ["id"]
    assert "a, id" in found["description"]
    assert "oneOf" not in found


def test_all_of_requires_what_any_part_does() -> None:
    found = object_schema(
        {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}]}
    )
    assert found == {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]}


def test_what_upstreams_refuse_at_the_root_is_gone() -> None:
    assert object_schema({"$schema": "x", "type": "object", "properties": {}, "enum": [1]}) == {
        "type": "object",
        "properties": {},
    }


def test_a_custom_tool_is_a_function_of_one_string() -> None:
    assert wrap_input("text")["required"] == ["input"]
    assert wrap_input("text")["additionalProperties"] is False
