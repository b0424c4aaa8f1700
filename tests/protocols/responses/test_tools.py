"""The tools of a Responses request, and which of them is to be called."""

import json
from typing import Any

import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import Tool, ToolChoice
from copilot_api.protocols.responses.tools import ToolSet, hosted_arguments, read_choice, read_tools
from tests.protocols.responses.client_answers import TOOLS


def read(*tools: dict[str, Any]) -> ToolSet:
    return read_tools((f"tools[{place}]", tool) for place, tool in enumerate(tools))


ALL = read(*TOOLS)


def test_a_function_is_taken_as_it_was_written() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    tool = {
        "type": "function",
        "name": "F-1",
        "description": "d",
        "parameters": schema,
        "strict": False,
        "defer_loading": True,
    }
    assert read(tool).tools == (Tool(name="F-1", description="d", parameters=schema, strict=False),)


def test_a_function_may_have_nothing_but_a_name() -> None:
    assert read({"type": "function", "name": "f", "parameters": None}).tools == (Tool(name="f"),)


def test_a_custom_tool_keeps_its_grammar() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
    assert read({"type": "custom", "name": "p", "format": grammar}).tools == (
        Tool(name="p", is_custom=True, grammar=grammar),
    )
    assert read({"type": "custom", "name": "p", "format": {"type": "text"}}).tools[0].grammar is None


def test_pitfall_047_a_namespaces_custom_tool_keeps_its_grammar() -> None:
    grammar = {"type": "grammar", "syntax": "regex", "definition": ".+"}
    child = {"type": "custom", "name": "patch", "format": grammar}
    found = read({"type": "namespace", "name": "ns", "tools": [child]})
    assert found.tools == (Tool(name="ns__patch", is_custom=True, grammar=grammar),)
    assert found.render_call("i", "c", "ns__patch", "x", is_custom=True) == {
        "type": "custom_tool_call", "id": "i", "call_id": "c", "name": "patch", "namespace": "ns", "input": "x",
        "status": "completed",
    }  # fmt: skip


def test_a_namespace_or_its_tool_may_have_the_separator_in_its_name() -> None:
    found = read({"type": "namespace", "name": "mcp__a", "tools": [{"type": "function", "name": "b__c"}]})
    assert found.render_call("i", "c", "mcp__a__b__c", "{}", is_custom=False)["namespace"] == "mcp__a"
    assert found.render_call("i", "c", "mcp__a__b__c", "{}", is_custom=False)["name"] == "b__c"


def test_of_one_name_the_first_counts() -> None:
    flat = {"type": "function", "name": "ns__f", "description": "flat"}
    found = read(flat, {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "f"}]})
    assert [tool.description for tool in found.tools] == ["flat"]
    assert "namespace" not in found.render_call("i", "c", "ns__f", "{}", is_custom=False)
    mine = read({"type": "function", "name": "shell"}, {"type": "shell"})
    assert mine.render_call("i", "c", "shell", "{}", is_custom=False)["type"] == "function_call"


def test_tools_that_only_openais_servers_run_are_left_out_by_name() -> None:
    assert read({"type": "web_search"}, {"type": "mcp", "server_label": "x"}, {"type": "web_search"}).dropped == (
        "web_search",
        "mcp",
    )


def test_tools_of_openais_that_the_client_runs_are_functions() -> None:
    found = read({"type": "local_shell"}, {"type": "shell"}, {"type": "apply_patch"})
    assert [(tool.name, bool(tool.parameters["properties"])) for tool in found.tools] == [
        ("local_shell", True), ("shell", True), ("apply_patch", True),
    ]  # fmt: skip
    assert found.dropped == ()


@pytest.mark.parametrize(
    ("name", "action", "arguments"),
    [
        ("local_shell", {"type": "exec", "command": ["ls"], "env": {}, "user": None}, {"command": ["ls"]}),
        ("local_shell", {"type": "exec", "command": [], "env": {"A": "b"}}, {"command": [], "env": {"A": "b"}}),
        ("shell", {"commands": ["ls"], "max_output_length": None}, {"commands": ["ls"]}),
        ("apply_patch", {"type": "update_file", "path": "", "diff": "+a"}, {"type": "update_file", "path": "", "diff": "+a"}),
    ],
)  # fmt: skip
def test_a_call_in_the_history_is_what_the_model_wrote(name: str, action: Any, arguments: Any) -> None:
    assert json.loads(hosted_arguments(name, action)) == arguments


def test_a_command_line_where_a_list_is_due_is_run_all_the_same() -> None:
    shell = ALL.render_call("i", "c", "shell", '{"commands":"ls -l"}', is_custom=False)
    local = ALL.render_call("i", "c", "local_shell", '{"command":"ls -l"}', is_custom=False)
    assert shell["action"]["commands"] == ["ls -l"]
    assert local["action"]["command"] == ["sh", "-c", "ls -l"]


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({}, "tools[0].type"),
        ({"type": 1}, "tools[0].type"),
        ({"type": "function"}, "tools[0].name"),
        ({"type": "function", "name": 1}, "tools[0].name"),
        ({"type": "function", "function": {"name": "f"}}, "tools[0].name"),
        ({"type": "function", "name": "f", "parameters": []}, "tools[0].parameters"),
        ({"type": "custom"}, "tools[0].name"),
        ({"type": "namespace", "tools": []}, "tools[0].name"),
        ({"type": "namespace", "name": "n", "tools": [1]}, "tools[0].tools[0].name"),
    ],
)
def test_a_tool_that_cannot_be_read_is_refused_by_its_place(tool: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(tool)
    assert caught.value.param == param


# What is to be called -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "read_as"),
    [
        (None, None),
        ("auto", ToolChoice(mode="auto")),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="any")),
        ({"type": "function", "name": "f"}, ToolChoice(mode="tool", name="f")),
        ({"type": "custom", "name": "patch"}, ToolChoice(mode="tool", name="patch")),
        ({"type": "function", "name": "spawn", "namespace": "agents"}, ToolChoice(mode="tool", name="agents__spawn")),
        ({"type": "function", "name": "spawn"}, ToolChoice(mode="tool", name="agents__spawn")),
        ({"type": "function", "name": "nobody"}, ToolChoice(mode="tool", name="nobody")),
        ({"type": "shell"}, ToolChoice(mode="tool", name="shell")),
        ({"type": "apply_patch"}, ToolChoice(mode="tool", name="apply_patch")),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]},
            ToolChoice(mode="auto", allowed=("f",)),
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "namespace", "name": "agents"}]},
            ToolChoice(mode="any", allowed=("agents__spawn",)),
        ),
    ],
)  # fmt: skip
def test_every_choice_is_read(choice: Any, read_as: ToolChoice | None) -> None:
    assert read_choice(choice, ALL) == read_as


@pytest.mark.parametrize(
    "choice",
    [
        "any",
        {},
        {"type": "web_search"},
        {"type": "web_search_preview"},
        {"type": "mcp", "server_label": "x"},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
    ],
)
def test_a_choice_that_nobody_can_make_is_refused(choice: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        read_choice(choice, ALL)
    assert caught.value.param == "tool_choice"


def test_a_tool_must_be_called_and_all_are_left_out() -> None:
    with pytest.raises(BadRequest) as caught:
        read_choice("required", read({"type": "web_search"}))
    assert caught.value.public_code == "unsupported_value"
