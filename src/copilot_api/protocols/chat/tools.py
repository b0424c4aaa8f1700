"""The tools of a chat request, and which of them may be called, in the neutral form."""

from typing import Any

from copilot_api.errors import BadRequest
from copilot_api.protocols.chat import conversation_wire as wire
from copilot_api.protocols.conversation import Tool, ToolChoice
from copilot_api.protocols.untyped import object_of


def read_tools(body: wire.ChatBody) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """The tools that the client runs, and the types of those that it would have had OpenAI run."""
    if body.tools is None:
        functions = body.functions or ()
        return tuple(_function(fields, f"functions[{place}]") for place, fields in enumerate(functions)), ()
    tools: list[Tool] = []
    hosted: list[str] = []
    for place, tool in enumerate(body.tools):
        path = f"tools[{place}]"
        if tool.custom is not None and tool.type in {"custom", None}:
            tools.append(_custom(tool.custom, f"{path}.custom"))
        elif tool.type is None or tool.type == "function":
            flat = wire.ToolFields(tool.name, tool.description, tool.parameters, tool.strict)
            tools.append(_function(tool.function or flat, f"{path}.function"))
        elif tool.type == "custom":
            raise BadRequest(f"the field '{path}.custom' is required", param=f"{path}.custom")
        else:
            hosted.append(tool.type[:100])
    return tuple(tools), tuple(hosted)


def _function(fields: wire.ToolFields, path: str) -> Tool:
    return Tool(
        name=_name(fields, path),
        description=fields.description or "",
        parameters=fields.parameters or {},
        strict=fields.strict,
    )


def _custom(fields: wire.ToolFields, path: str) -> Tool:
    return Tool(
        name=_name(fields, path),
        description=fields.description or "",
        is_custom=True,
        grammar=_flat_grammar(fields.format),
    )


def _flat_grammar(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """Chat nests a grammar one level deeper than Responses does."""
    if not given or given.get("type") == "text":
        return None
    return {"type": "grammar", **object_of(given["grammar"])} if "grammar" in given else given


def _name(fields: wire.ToolFields, path: str) -> str:
    if not fields.name:
        raise BadRequest(f"the field '{path}.name' is required", param=f"{path}.name")
    return fields.name


def read_tool_choice(body: wire.ChatBody, hosted: tuple[str, ...]) -> ToolChoice | None:
    """Which tools may be called. Raises `BadRequest` when a tool is forced that nobody here can run."""
    if body.tools is None and body.functions is not None:
        return _old_choice(body.function_call)
    choice = body.tool_choice
    match choice:
        case None:
            return None
        case str():
            found = _by_word(choice, "tool_choice")
        case wire.Choice(type="allowed_tools"):
            found = _allowed(choice.allowed_tools or wire.AllowedTools())
        case _ if choice.type in {"function", "custom", None}:
            named = choice.function or choice.custom or wire.Named(choice.name)
            found = ToolChoice(mode="tool", name=named.name or "")
        case _:
            raise _unknown(choice.type or "", "tool_choice")
    if hosted and found.mode == "any" and len(hosted) == len(body.tools or ()):
        raise BadRequest(
            f"a tool call is required, but the only tools are {', '.join(hosted)}, which the gateway does not run; "
            "give function tools",
            param="tool_choice",
            upstream_code="unsupported_value",
        )
    return found


def _by_word(word: str, param: str) -> ToolChoice:
    match word:
        case "auto":
            return ToolChoice(mode="auto")
        case "required" | "any":
            return ToolChoice(mode="any")
        case "none":
            return ToolChoice(mode="none")
        case _:
            raise _unknown(word, param)


def _allowed(given: wire.AllowedTools) -> ToolChoice:
    named = [tool.function or tool.custom or wire.Named(tool.name) for tool in given.tools]
    names = tuple(tool.name for tool in named if tool.name)
    return ToolChoice(mode="any" if given.mode == "required" else "auto", allowed=names)


def _old_choice(given: str | wire.Named | None) -> ToolChoice | None:
    if given is None:
        return None
    return (
        _by_word(given, "function_call") if isinstance(given, str) else ToolChoice(mode="tool", name=given.name or "")
    )


def _unknown(word: str, param: str) -> BadRequest:
    return BadRequest(
        f"'{param}' is {word[:100]!r}; use auto, none, required, or name a tool",
        param=param,
        upstream_code="unsupported_value",
    )
