"""A request's tools: the client's own as they are, Anthropic's as functions or not at all."""

from typing import Any

import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import Tool, ToolChoice
from tests.protocols.messages.client_calls import read

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "$schema": "http://json-schema.org/draft-07/schema#",
}
OWN = {"name": "Bash", "description": "d", "input_schema": SCHEMA}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}


def the_tool(tool: dict[str, Any]) -> Tool:
    [found] = read(tools=[tool]).tools
    return found


@pytest.mark.parametrize("extra", [{}, {"type": "custom"}, {"type": None}])
def test_a_tool_of_the_clients_own_keeps_its_name_and_schema(extra: dict[str, Any]) -> None:
    assert the_tool({**OWN, **extra}) == Tool(name="Bash", description="d", parameters=SCHEMA)


def test_pitfall_014_names_keep_their_case() -> None:
    assert [tool.name for tool in read(tools=[OWN, {**OWN, "name": "bash"}]).tools] == ["Bash", "bash"]


def test_hints_about_a_tool_are_left_out() -> None:
    hints = {
        "cache_control": {"type": "ephemeral"},
        "defer_loading": True,
        "eager_input_streaming": True,
        "input_examples": [{}],
    }
    assert the_tool({**OWN, **hints}) == the_tool(OWN)


@pytest.mark.parametrize("schema", [None, {}, ...])
def test_a_tool_may_have_no_schema(schema: Any) -> None:
    tool = {"name": "f"} if schema is ... else {"name": "f", "input_schema": schema}
    assert the_tool(tool) == Tool(name="f")


@pytest.mark.parametrize("strict", [True, False, None])
def test_strictness_is_the_clients(strict: bool | None) -> None:
    assert the_tool({**OWN, "strict": strict}).strict is strict


def test_a_tool_of_a_type_nobody_knows_is_the_clients_own_if_it_has_a_schema() -> None:
    assert the_tool({**OWN, "type": "later_20270101"}).name == "Bash"


@pytest.mark.parametrize(
    ("kind", "name", "required", "some"),
    [
        ("bash_20250124", "bash", [], {"command", "restart"}),
        ("text_editor_20250124", "str_replace_editor", ["command", "path"], {"file_text", "old_str", "view_range"}),
        ("text_editor_20250728", "str_replace_based_edit_tool", ["command", "path"], {"insert_text", "insert_line"}),
        ("memory_20250818", "memory", ["command"], {"old_path", "new_path", "file_text"}),
        ("computer_20241022", "computer", ["action"], {"coordinate", "text"}),
        ("computer_20250124", "computer", ["action"], {"scroll_direction", "duration", "start_coordinate"}),
        ("computer_20251124", "computer", ["action"], {"region"}),
    ],
)
def test_a_tool_that_the_client_runs_becomes_a_function(
    kind: str, name: str, required: list[str], some: set[str]
) -> None:
    tool = the_tool({"type": kind, "name": name, "display_width_px": 1024, "display_height_px": 768})
    assert tool.name == name
    assert tool.description
    assert tool.parameters["type"] == "object"
    assert tool.parameters["required"] == required
    assert some | set(required) <= tool.parameters["properties"].keys()
    assert all(inner["description"] for inner in tool.parameters["properties"].values())


def test_versions_of_a_tool_differ() -> None:
    def choices(kind: str, field: str) -> list[str]:
        found: list[str] = the_tool({"type": kind, "name": "x"}).parameters["properties"][field]["enum"]
        return found

    assert "undo_edit" in choices("text_editor_20250124", "command")
    assert "undo_edit" not in choices("text_editor_20250429", "command")
    assert "scroll" not in choices("computer_20241022", "action")
    assert "zoom" not in choices("computer_20250124", "action")
    assert {"scroll", "zoom"} <= set(choices("computer_20251124", "action"))
    size = {"type": "computer_20250124", "name": "computer", "display_width_px": 1024, "display_height_px": 768}
    assert "1024 by 768" in the_tool(size).description


SERVERS = ["web_search_20250305", "web_fetch_20250910", "code_execution_20250825", "tool_search_tool_regex_20251119",
           "mcp_toolset", "computer_toolset_20260801", "advisor_20260301"]  # fmt: skip


@pytest.mark.parametrize("kind", SERVERS)
def test_pitfall_010_a_tool_that_anthropics_servers_run_is_dropped_and_named(kind: str) -> None:
    said = read(tools=[OWN, {"type": kind}], tool_choice={"type": "any"})
    assert [tool.name for tool in said.tools] == ["Bash"]
    assert said.dropped == (kind,)


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        ([SEARCH], {"type": "any"}),
        ([SEARCH], {"type": "tool", "name": "web_search"}),
        ([SEARCH], {"type": "tool", "name": "Bash"}),
        ([OWN, SEARCH], {"type": "tool", "name": "web_search"}),
    ],
)
def test_pitfall_010_a_tool_that_is_dropped_cannot_be_forced(tools: list[Any], choice: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as refusal:
        read(tools=tools, tool_choice=choice)
    assert refusal.value.param == "tool_choice"
    assert refusal.value.hint or refusal.value.actual_hint


def test_servers_of_tools_are_dropped_too() -> None:
    servers = [{"type": "url", "url": "https://x", "name": "x"}]
    assert read(mcp_servers=servers).dropped == ("mcp_servers",)
    assert read(mcp_servers=[]).dropped == ()
    with pytest.raises(BadRequest):
        read(mcp_servers=servers, tool_choice={"type": "any"})


def test_what_is_dropped_can_stand_in_a_header() -> None:
    assert read(tools=[{"type": "späte\r\nx: y"}]).dropped == ("sp_te__x__y",)


@pytest.mark.parametrize(
    ("choice", "expected", "is_parallel"),
    [
        (None, None, None),
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "none"}, ToolChoice(mode="none"), None),
        ({"type": "tool", "name": "Bash"}, ToolChoice(mode="tool", name="Bash"), None),
        ({"type": "auto", "disable_parallel_tool_use": False}, ToolChoice(mode="auto"), True),
    ],
)
def test_the_choice_is_the_clients(choice: Any, expected: ToolChoice | None, is_parallel: bool | None) -> None:
    said = read(tools=[OWN], tool_choice=choice)
    assert (said.tool_choice, said.is_parallel) == (expected, is_parallel)


def test_pitfall_011_any_tool_but_one_at_a_time() -> None:
    said = read(tools=[OWN], tool_choice={"type": "any", "disable_parallel_tool_use": True})
    assert (said.tool_choice, said.is_parallel) == (ToolChoice(mode="any"), False)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [OWN, {"name": 1}]}, "tools[1].name"),
        ({"tools": [{"name": "f", "input_schema": "x"}]}, "tools[0].input_schema"),
        ({"tools": [{"name": "f", "strict": "x"}]}, "tools[0].strict"),
    ],
)
def test_a_wrong_tool_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read(**fields)
    assert refusal.value.param == param
