"""
The tools of a Responses request, and what a call of each looks like on the way back.

A namespace's tools are flattened, tools that OpenAI documents but the client runs (a shell, a patch) are functions, and
those that only OpenAI's servers run are left out.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import Tool, ToolChoice
from copilot_api.protocols.untyped import list_of, object_of, text_of

Json = dict[str, Any]
PlacedTool = tuple[str, Json]
"""A tool as the client wrote it, and the path where it stands."""

SEPARATOR = "__"
"""Between a namespace and its tool's name."""

_WORDS = {"type": "array", "items": {"type": "string"}}
_HOSTED: dict[str, tuple[str, Json]] = {
    "local_shell": (
        "Run a command on the user's machine: the program and its arguments, one entry each.",
        {
            "type": "object",
            "properties": {
                "command": _WORDS,
                "working_directory": {"type": "string"},
                "timeout_ms": {"type": "integer"},
            },
            "required": ["command"],
        },
    ),
    "shell": (
        "Run shell commands on the user's machine, one after the other.",
        {
            "type": "object",
            "properties": {"commands": _WORDS, "timeout_ms": {"type": "integer"}},
            "required": ["commands"],
        },
    ),
    "apply_patch": (
        "Create, update or delete a file by a diff in the V4A format (sections begin with @@; none for a deletion).",
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
_LEAST: dict[str, Json] = {
    "local_shell": {"type": "exec", "command": [], "env": {}},
    "shell": {"commands": []},
    "apply_patch": {"type": "update_file", "path": ""},
}
"""What a client's SDK finds in such a call without asking, whatever the model wrote."""


class ToolSet(msgspec.Struct, frozen=True):
    """What is offered, and how calls are named on the way back."""

    tools: tuple[Tool, ...]
    dropped: tuple[str, ...]
    """The kinds of those that only OpenAI's servers run."""
    namespaces: dict[str, tuple[str, str]]
    """Of a flattened name the namespace and the tool's own name in it."""
    hosted: frozenset[str]
    """Names of functions that stand for a tool of OpenAI's that the client runs."""

    def render_call(
        self, item_id: str, call_id: str, name: str, arguments: str, *, is_custom: bool, status: str = "completed"
    ) -> Json:
        """The item that calls the tool `name`, as this client knows it."""
        if name in self.hosted:
            return _hosted_call(item_id, call_id, name, arguments, status)
        namespace, own = self.namespaces.get(name, ("", name))
        item: Json = {
            "type": "custom_tool_call" if is_custom else "function_call",
            "id": item_id,
            "call_id": call_id,
            "name": own,
        }
        if namespace:
            item["namespace"] = namespace
        item["input" if is_custom else "arguments"] = arguments
        return {**item, "status": status}


def _hosted_call(item_id: str, call_id: str, name: str, arguments: str, status: str) -> Json:
    field = "operation" if name == "apply_patch" else "action"
    if name == "apply_patch" and status == "incomplete":
        status = "completed"  # such a call has no other end
    value = {**_LEAST[name], **_parsed(arguments)}
    if name == "apply_patch" and value["type"] != "delete_file":
        value.setdefault("diff", "")
    if isinstance(value.get("commands"), str):  # one line where a list is due, as some models write
        value["commands"] = [value["commands"]]
    elif isinstance(value.get("command"), str):
        value["command"] = ["sh", "-c", value["command"]]
    return {"type": f"{name}_call", "id": item_id, "call_id": call_id, field: value, "status": status}


def hosted_arguments(kind: str, action: Json) -> str:
    """The arguments of the function that stands in for a hosted tool, from a call of the tool in a history."""
    if kind == "local_shell":  # without what `render_call` adds: what the model wrote comes back to it as it was
        least = _LEAST[kind]
        action = {name: value for name, value in action.items() if name == "command" or value != least.get(name)}
    return msgspec.json.encode({name: value for name, value in action.items() if value is not None}).decode()


# What is offered ----------------------------------------------------------------------------------------------------


def read_tools(tools: Iterable[PlacedTool]) -> ToolSet:
    """The tools in the neutral form; of a name the first. Raises `BadRequest` for one without a name."""
    found: dict[str, Tool] = {}
    dropped: list[str] = []
    namespaces: dict[str, tuple[str, str]] = {}
    hosted: set[str] = set()
    for at, tool in tools:
        kind = text_of(tool.get("type"))
        if kind in {"function", "custom"}:
            read = _read_tool(tool, at)
            found.setdefault(read.name, read)
        elif kind == "namespace":
            for space, read in _read_namespace(tool, at):
                if read.name not in found:
                    namespaces[read.name] = (space, read.name.removeprefix(space + SEPARATOR))
                    found[read.name] = read
        elif kind in _HOSTED:
            if kind not in found:
                description, parameters = _HOSTED[kind]
                hosted.add(kind)
                found[kind] = Tool(name=kind, description=description, parameters=parameters)
        elif kind:
            dropped.append(kind)
        else:
            raise BadRequest(f"the field '{at}.type' is required", param=f"{at}.type")
    return ToolSet(tuple(found.values()), tuple(dict.fromkeys(dropped)), namespaces, frozenset(hosted))


def _read_namespace(tool: Json, at: str) -> Iterable[tuple[str, Tool]]:
    """The tools of a namespace, each by its flattened name. What a child is decides how it is called, not its space."""
    space = _name(tool, at)
    for place, raw in enumerate(list_of(tool.get("tools"))):
        read = _read_tool(object_of(raw), f"{at}.tools[{place}]")
        yield space, replace(read, name=f"{space}{SEPARATOR}{read.name}")


def _read_tool(tool: Json, at: str) -> Tool:
    name, description = _name(tool, at), text_of(tool.get("description"))
    if tool.get("type") == "custom":
        grammar = object_of(tool.get("format"))
        is_free = grammar.get("type", "text") == "text"
        return Tool(name=name, description=description, is_custom=True, grammar=None if is_free else grammar)
    parameters, strict = tool.get("parameters"), tool.get("strict")
    if parameters is not None and not is_object(parameters):
        raise BadRequest(f"the field '{at}.parameters' is wrong: expected an object", param=f"{at}.parameters")
    return Tool(
        name=name,
        description=description,
        parameters=object_of(parameters),
        strict=strict if isinstance(strict, bool) else None,
    )


def _name(tool: Json, at: str) -> str:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        what = "is required" if name in (None, "") else "is wrong: expected a string"
        raise BadRequest(f"the field '{at}.name' {what}", param=f"{at}.name")
    return name


# What is to be called -----------------------------------------------------------------------------------------------


def read_choice(choice: str | Json | None, tools: ToolSet) -> ToolChoice | None:
    """Which tool is to be called. Raises `BadRequest` for one that cannot be."""
    if choice is None:
        return None
    if isinstance(choice, str):
        return _read_mode(choice, tools)
    if text_of(choice.get("type")) == "allowed_tools":
        return _read_allowed(choice, tools)
    names = _chosen(choice, tools)
    if not names:
        raise _not_here(text_of(choice.get("type")))
    return ToolChoice(mode="tool", name=names[0])


def _read_mode(choice: str, tools: ToolSet) -> ToolChoice:
    match choice:
        case "auto" | "none":
            return ToolChoice(mode=choice)
        case "required":
            if tools.dropped and not tools.tools:
                raise _not_here(tools.dropped[0])
            return ToolChoice(mode="any")
        case _:
            raise BadRequest(
                "the field 'tool_choice' must be 'none', 'auto', 'required' or an object", param="tool_choice"
            )


def _read_allowed(choice: Json, tools: ToolSet) -> ToolChoice:
    allowed = [object_of(tool) for tool in list_of(choice.get("tools"))]
    names = tuple(name for tool in allowed for name in _chosen(tool, tools))
    must_call = choice.get("mode") == "required"
    if must_call and allowed and not names:
        raise _not_here(text_of(allowed[0].get("type")))
    return ToolChoice(mode="any" if must_call else "auto", allowed=names)


def _chosen(choice: Json, tools: ToolSet) -> list[str]:
    """The tools that a choice names, by the names under which they are offered; none for a server's tool."""
    kind, name, space = text_of(choice.get("type")), text_of(choice.get("name")), text_of(choice.get("namespace"))
    if kind == "namespace":
        return [flat for flat, (found, _) in tools.namespaces.items() if found == name]
    if kind in _HOSTED:
        return [kind]
    if kind not in {"function", "custom"}:
        return []
    if space:
        return [f"{space}{SEPARATOR}{name}"]
    if any(tool.name == name for tool in tools.tools):
        return [name]
    children = [flat for flat, (_, own) in tools.namespaces.items() if own == name]
    return children if len(children) == 1 else [name]


def _not_here(kind: str) -> BadRequest:
    return BadRequest(
        f"the tool {kind[:100]!r} runs on OpenAI's servers and cannot be used here",
        param="tool_choice",
        upstream_code="unsupported_value",
        hint="leave the choice to the model, or offer a tool that the client runs itself",
    )


def is_object(value: object) -> bool:
    """Whether `value`, which came from JSON, is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> bool:
    """Whether `value`, which came from JSON, is a list."""
    return isinstance(value, list)


def _parsed(arguments: str) -> Json:
    try:
        return object_of(msgspec.json.decode(arguments))
    except (msgspec.DecodeError, RecursionError):
        return {}
