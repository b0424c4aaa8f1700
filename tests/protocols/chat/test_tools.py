"""Tools of every kind, and which of them may be called."""

from typing import Any

import msgspec
import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols.chat import conversation_wire as wire
from copilot_api.protocols.chat.tools import read_tool_choice, read_tools
from copilot_api.protocols.conversation import Tool, ToolChoice

PARAMETERS = {"type": "object", "properties": {"x": {"type": "string"}}}
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: x"}


def body(**fields: Any) -> wire.ChatBody:
    return msgspec.convert({"model": "m", "messages": [], **fields}, wire.ChatBody)


def choice(**fields: Any) -> ToolChoice | None:
    given = body(**fields)
    return read_tool_choice(given, read_tools(given)[1])


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "function", "function": {"name": "f", "description": "d", "parameters": PARAMETERS, "strict": True}},
         Tool(name="f", description="d", parameters=PARAMETERS, strict=True)),
        ({"function": {"name": "f"}}, Tool(name="f")),
        ({"type": "function", "function": {"name": "f", "description": None, "parameters": None, "strict": None}}, Tool(name="f")),
        ({"type": "function", "name": "Bash", "parameters": PARAMETERS}, Tool(name="Bash", parameters=PARAMETERS)),
        ({"type": "custom", "custom": {"name": "p", "description": "d"}}, Tool(name="p", description="d", is_custom=True)),
        ({"type": "custom", "custom": {"name": "p", "format": {"type": "text"}}}, Tool(name="p", is_custom=True)),
        ({"type": "custom", "custom": {"name": "p", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}}},
         Tool(name="p", is_custom=True, grammar=GRAMMAR)),
        ({"type": "custom", "custom": {"name": "p", "format": GRAMMAR}}, Tool(name="p", is_custom=True, grammar=GRAMMAR)),
    ],
)  # fmt: skip
def test_a_tool(tool: dict[str, Any], expected: Tool) -> None:
    assert read_tools(body(tools=[tool])) == ((expected,), ())


def test_old_functions_are_tools_unless_there_are_new_ones() -> None:
    functions = [{"name": "f", "parameters": PARAMETERS}]
    assert read_tools(body(functions=functions)) == ((Tool(name="f", parameters=PARAMETERS),), ())
    assert read_tools(body(functions=functions, tools=[])) == ((), ())
    assert read_tools(body()) == ((), ())


def test_tools_that_openai_would_run_are_told_of() -> None:
    assert read_tools(body(tools=[{"type": "web_search"}, {"function": {"name": "f"}}])) == (
        (Tool(name="f"),),
        ("web_search",),
    )


@pytest.mark.parametrize(
    ("tools", "param"),
    [([{"type": "function"}], "tools[0].function.name"), ([{"type": "custom", "custom": {}}], "tools[0].custom.name"),
     ([{"type": "custom"}], "tools[0].custom")],
)  # fmt: skip
def test_a_tool_without_a_name_is_refused(tools: Any, param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read_tools(body(tools=tools))
    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None), ("auto", ToolChoice(mode="auto")), ("required", ToolChoice(mode="any")), ("any", ToolChoice(mode="any")),
        ("none", ToolChoice(mode="none")), ({"type": "function", "function": {"name": "f"}}, ToolChoice(mode="tool", name="f")),
        ({"type": "custom", "custom": {"name": "p"}}, ToolChoice(mode="tool", name="p")), ({"type": "function", "name": "f"}, ToolChoice(mode="tool", name="f")),
        ({"type": "function"}, ToolChoice(mode="tool")),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}, {"custom": {"name": "p"}}]}},
         ToolChoice(mode="any", allowed=("f", "p"))),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}, ToolChoice(mode="auto", allowed=())),
    ],
)  # fmt: skip
def test_a_choice(given: Any, expected: ToolChoice | None) -> None:
    assert choice(tools=[{"function": {"name": "f"}}], tool_choice=given) == expected


@pytest.mark.parametrize(("given", "expected"), [
    (None, None), ("auto", ToolChoice(mode="auto")), ("none", ToolChoice(mode="none")), ({"name": "f"}, ToolChoice(mode="tool", name="f")),
])  # fmt: skip
def test_an_old_choice(given: Any, expected: ToolChoice | None) -> None:
    assert choice(functions=[{"name": "f"}], function_call=given) == expected


@pytest.mark.parametrize("given", ["maybe", {"type": "web_search"}])
def test_an_unknown_choice_is_refused(given: Any) -> None:
    with pytest.raises(BadRequest) as refusal:
        choice(tools=[{"function": {"name": "f"}}], tool_choice=given)
    assert (refusal.value.param, refusal.value.public_code) == ("tool_choice", "unsupported_value")


def test_a_call_cannot_be_required_of_tools_that_nobody_runs() -> None:
    with pytest.raises(BadRequest, match="web_search"):
        choice(tools=[{"type": "web_search"}], tool_choice="required")
    assert choice(tools=[{"type": "web_search"}, {"function": {"name": "f"}}], tool_choice="required") == ToolChoice(
        mode="any"
    )
