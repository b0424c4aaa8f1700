"""
The tools of a Responses request, and what a call of each looks like on the way back.

A namespace's tools are flattened, tools that OpenAI documents but the client runs (a shell, a patch) are functions, and
those that only OpenAI's servers run are left out.
"""

from typing import Any

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import Tool, ToolChoice
from copilot_api.protocols.untyped import list_of, object_of, text_of

SEPARATOR = "__"
"""Between a namespace and its tool's name."""

_COMMAND = {"type": "array", "items": {"type": "string"}}
_HOSTED: dict[str, tuple[str, dict[str, Any]]] = {
    "local_shell": (
        "Run a command on the user's machine.",
        {
            "type": "object",
            "properties": {
                "command": _COMMAND,
                "working_directory": {"type": "string"},
                "timeout_ms": {"type": "integer"},
            },
            "required": ["command"],
        },
    ),
    "shell": (
        "Run commands in a shell on the user's machine.",
        {
            "type": "object",
            "properties": {"commands": _COMMAND, "timeout_ms": {"type": "integer"}},
            "required": ["commands"],
        },
    ),
    "apply_patch": (
        "Create, update or delete a file by a patch.",
        {
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                "path": {"type": "string"},
                "diff": {"type": "string"},
            },
            "required": ["type", "path"],
        },
    ),
}


class ToolSet(msgspec.Struct, frozen=True):
    """What is offered, and how calls are named on the way back."""

    tools: tuple[Tool, ...]
    dropped: tuple[str, ...]
    namespaces: dict[str, tuple[str, str]]
    """Of a flattened name the namespace and the tool's own name in it."""
    hosted: frozenset[str]
    """Names of functions that stand for a tool of OpenAI's that the client runs."""

    def render_call(self, item_id: str, call_id: str, name: str, arguments: str, *, is_custom: bool) -> dict[str, Any]:
        """The item that calls the tool `name`, as this client knows it."""
        if name in self.hosted:
            action = "operation" if name == "apply_patch" else "action"
            value = _parsed(arguments)
            if name == "local_shell":
                value = {"type": "exec", "env": {}, **value}
            return {"type": f"{name}_call", "id": item_id, "call_id": call_id, action: value, "status": "completed"}
        namespace, own = self.namespaces.get(name, ("", name))
        item: dict[str, Any] = {
            "type": "custom_tool_call" if is_custom else "function_call",
            "id": item_id,
            "call_id": call_id,
            "name": own,
        }
        if namespace:
            item["namespace"] = namespace
        item["input" if is_custom else "arguments"] = arguments
        return {**item, "status": "completed"}


def read_tools(tools: list[dict[str, Any]]) -> ToolSet:
    """The tools in the neutral form. Raises `BadRequest` for one without a name."""
    found: list[Tool] = []
    dropped: list[str] = []
    namespaces: dict[str, tuple[str, str]] = {}
    hosted: set[str] = set()
    for place, tool in enumerate(tools):
        at, kind = f"tools[{place}]", text_of(tool.get("type"))
        if kind in {"function", "custom"}:
            found.append(_read_tool(tool, kind, at))
        elif kind == "namespace":
            space = _name(tool, at)
            for inner_place, raw in enumerate(list_of(tool.get("tools"))):
                child = object_of(raw)
                inner = _read_tool(child, text_of(child.get("type")) or "function", f"{at}.tools[{inner_place}]")
                flat = f"{space}{SEPARATOR}{inner.name}"
                namespaces[flat] = (space, inner.name)
                found.append(msgspec.structs.replace(inner, name=flat))
        elif kind in _HOSTED:
            description, parameters = _HOSTED[kind]
            hosted.add(kind)
            found.append(Tool(name=kind, description=description, parameters=parameters))
        else:
            dropped.append(kind or "unknown")
    return ToolSet(tuple(found), tuple(dict.fromkeys(dropped)), namespaces, frozenset(hosted))


def read_choice(choice: str | dict[str, Any] | None, tools: ToolSet) -> ToolChoice | None:
    """Which tool is to be called. Raises `BadRequest` for one that cannot be."""
    if choice is None or choice == "auto":
        return None if choice is None else ToolChoice(mode="auto")
    if isinstance(choice, str):
        if choice not in {"none", "required"}:
            raise BadRequest(
                "the field 'tool_choice' must be 'none', 'auto', 'required' or an object", param="tool_choice"
            )
        if choice == "required" and tools.dropped and not tools.tools:
            raise _not_here(tools.dropped[0])
        return ToolChoice(mode="none" if choice == "none" else "any")
    kind = text_of(choice.get("type"))
    if kind == "allowed_tools":
        names = tuple(_choice_name(object_of(tool), tools) for tool in list_of(choice.get("tools")))
        return ToolChoice(mode="any" if choice.get("mode") == "required" else "auto", allowed=names)
    return ToolChoice(mode="tool", name=_choice_name(choice, tools))


def _choice_name(choice: dict[str, Any], tools: ToolSet) -> str:
    kind = text_of(choice.get("type"))
    if kind in tools.dropped:
        raise _not_here(kind)
    name = text_of(choice.get("name"))
    namespace = text_of(choice.get("namespace"))
    if namespace:
        return f"{namespace}{SEPARATOR}{name}"
    return name or (kind if kind in tools.hosted else "")


def _not_here(kind: str) -> BadRequest:
    return BadRequest(
        f"the tool {kind[:100]!r} runs on OpenAI's servers and cannot be used here",
        param="tool_choice",
        upstream_code="unsupported_value",
        hint="offer a tool that the client runs itself",
    )


def _read_tool(tool: dict[str, Any], kind: str, at: str) -> Tool:
    name, description = _name(tool, at), text_of(tool.get("description"))
    if kind == "custom":
        grammar = object_of(tool.get("format"))
        is_free = not grammar or grammar.get("type") == "text"
        return Tool(name=name, description=description, is_custom=True, grammar=None if is_free else grammar)
    parameters, strict = tool.get("parameters"), tool.get("strict")
    if parameters is not None and not isinstance(parameters, dict):
        raise BadRequest(f"the field '{at}.parameters' is wrong: expected an object", param=f"{at}.parameters")
    return Tool(
        name=name,
        description=description,
        parameters=object_of(parameters),
        strict=strict if isinstance(strict, bool) else None,
    )


def _name(tool: dict[str, Any], at: str) -> str:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise BadRequest(f"the field '{at}.name' is required", param=f"{at}.name")
    return name


def _parsed(arguments: str) -> dict[str, Any]:
    try:
        return object_of(msgspec.json.decode(arguments))
    except (msgspec.DecodeError, RecursionError, ValueError):
        return {"_raw": arguments}
