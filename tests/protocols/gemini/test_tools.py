"""The tools of a request, and how they are to be used."""

from typing import Any

import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import ToolChoice
from tests.protocols.gemini.build import SAID, read

DECLARED = {"functionDeclarations": [{"name": "f"}, {"name": "g"}, {"name": "h"}]}


def config(**calling: Any) -> dict[str, Any]:
    return {"contents": SAID, "tools": [DECLARED], "toolConfig": {"functionCallingConfig": calling}}


def test_a_function_is_described_by_googles_schema_or_by_json_schema() -> None:
    schema = {"type": "object", "properties": {"A": {"type": "string"}}, "additionalProperties": False}
    declarations = [
        {
            "name": "f",
            "description": "does it",
            "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
        },
        {"name": "g", "parametersJsonSchema": schema},
        {"name": "h"},
    ]
    f, g, h = read({"contents": SAID, "tools": [{"functionDeclarations": declarations}]}).tools
    assert (f.name, f.description) == ("f", "does it")
    assert f.parameters == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert g.parameters == schema
    assert (h.description, h.parameters, h.strict, h.is_custom) == ("", {}, None, False)


def test_declarations_of_several_tools_are_one_list_and_may_stand_alone() -> None:
    tools = [{"functionDeclarations": {"name": "f"}}, {"functionDeclarations": [{"name": "g"}]}]
    assert [tool.name for tool in read({"contents": SAID, "tools": tools}).tools] == ["f", "g"]
    assert [tool.name for tool in read({"contents": SAID, "tools": tools[0]}).tools] == ["f"]


def test_underscored_names_do_as_well_but_not_inside_the_clients_own_schemas() -> None:
    schema = {"type": "object", "properties": {"my_name": {"type": "string"}}}
    tools = [{"function_declarations": [{"name": "f", "parameters_json_schema": schema}]}]
    choice = {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}}
    found = read({"contents": SAID, "tools": tools, "tool_config": choice})
    assert found.tools[0].parameters == schema
    assert found.tool_choice == ToolChoice(mode="tool", name="f")


def test_pitfall_014_names_keep_their_case() -> None:
    assert read({"contents": SAID, "tools": [{"functionDeclarations": [{"name": "Bash"}]}]}).tools[0].name == "Bash"


def test_pitfall_010_googles_own_tools_are_dropped_by_name() -> None:
    tools = [{"googleSearch": {}, **DECLARED}, {"codeExecution": {}}, {"googleSearch": {}}, {"urlContext": None}]
    found = read({"contents": SAID, "tools": tools})
    assert found.dropped == ("googleSearch", "codeExecution")
    assert len(found.tools) == 3


def test_pitfall_010_a_call_of_googles_own_tools_cannot_be_demanded() -> None:
    body = {"contents": SAID, "tools": [{"googleSearch": {}}]}
    with pytest.raises(BadRequest) as refusal:
        read({**body, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}})
    assert refusal.value.param == "tools"
    assert "googleSearch" in refusal.value.message
    assert read({**body, "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}).tools == ()


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto")),
        ({"mode": "auto"}, ToolChoice(mode="auto")),
        ({"mode": "VALIDATED"}, ToolChoice(mode="auto")),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, ToolChoice(mode="auto", allowed=("f",))),
        ({"mode": "ANY"}, ToolChoice(mode="any")),
        ({"mode": "ANY", "allowedFunctionNames": ["g"]}, ToolChoice(mode="tool", name="g")),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, ToolChoice(mode="any", allowed=("f", "g"))),
        ({"mode": "NONE"}, ToolChoice(mode="none")),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({"allowedFunctionNames": ["f"]}, ToolChoice(mode="auto", allowed=("f",))),
        ({}, None),
    ],
)
def test_how_functions_are_called(calling: dict[str, Any], choice: ToolChoice | None) -> None:
    assert read(config(**calling)).tool_choice == choice


@pytest.mark.parametrize(
    ("calling", "field"),
    [({"mode": "MAYBE"}, "mode"), ({"mode": "ANY", "allowedFunctionNames": ["x"]}, "allowedFunctionNames")],
)
def test_a_choice_that_there_is_not_is_refused(calling: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read(config(**calling))
    assert refusal.value.param == f"toolConfig.functionCallingConfig.{field}"


@pytest.mark.parametrize(
    ("declarations", "param"),
    [
        ([{"description": "x"}], "tools[0].functionDeclarations[0].name"),
        ([{"name": 1}], "tools[0].functionDeclarations[0].name"),
        ([{"name": "f", "parameters": []}], "tools[0].functionDeclarations[0].parameters"),
        ("x", "tools[0].functionDeclarations"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_place(declarations: Any, param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read({"contents": SAID, "tools": [{"functionDeclarations": declarations}]})
    assert refusal.value.param == param
