"""
The tools of a request, as functions that any model can call.

Beside a client's own tools there are Anthropic's, which a request only names by type. Some of them the client runs: a
model of another vendor gets a function of the same name with the documented parameters, so that the client can run the
call. The others run on Anthropic's servers, where a translated call never arrives.
"""

from typing import Any

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import Tool, ToolChoice
from copilot_api.protocols.messages import wire

Schema = dict[str, Any]


class Tools(msgspec.Struct, frozen=True):
    """The tools that can be called, and the names of those that cannot."""

    kept: tuple[Tool, ...]
    dropped: tuple[str, ...]
    """As a client may be told in a header: the type of each."""
    dropped_names: frozenset[str]


def read_tools(tools: list[wire.Tool]) -> Tools:
    """See the module. Raises `BadRequest` for a tool without a name."""
    kept: list[Tool] = []
    dropped: list[str] = []
    names: set[str] = set()
    for place, tool in enumerate(tools):
        read = _read_tool(tool, place)
        if read is not None:
            kept.append(read)
        else:
            dropped.append(sendable_name(tool.type or ""))
            names.add(tool.name or tool.type or "")
    return Tools(tuple(kept), tuple(dict.fromkeys(dropped)), frozenset(names))


def read_tool_choice(choice: wire.ToolChoice | None, tools: Tools) -> ToolChoice | None:
    """The choice. Raises `BadRequest` when it forces what is not there."""
    if choice is None:
        return None
    match choice.type:
        case "auto" | "none":
            return ToolChoice(mode=choice.type)
        case "any":
            if tools.dropped and not tools.kept:
                raise _unavailable(tools.dropped[0])
            return ToolChoice(mode="any")
        case "tool":
            if not choice.name:
                raise BadRequest("the tool choice names no tool", param="tool_choice.name")
            is_kept = any(tool.name == choice.name for tool in tools.kept)
            if not is_kept and (choice.name in tools.dropped_names or (tools.dropped and not tools.kept)):
                raise _unavailable(choice.name)
            return ToolChoice(mode="tool", name=choice.name)
        case _:
            raise BadRequest(
                "the field 'tool_choice.type' is wrong: expected auto, any, tool or none", param="tool_choice.type"
            )


def sendable_name(name: str) -> str:
    """`name` as a header can hold it."""
    return "".join(character if character.isascii() and character.isalnum() else "_" for character in name[:64])


def _unavailable(name: str) -> BadRequest:
    return BadRequest(
        f"the tool choice forces {name[:100]!r}, which runs on Anthropic's servers only",
        param="tool_choice",
        hint="leave the choice to the model, or offer a tool that the client runs",
    )


def _read_tool(tool: wire.Tool, place: int) -> Tool | None:
    kind = tool.type or "custom"
    if kind == "custom" or tool.input_schema is not None:
        if not tool.name:
            raise BadRequest(f"the field 'tools[{place}].name' is required", param=f"tools[{place}].name")
        return Tool(
            name=tool.name,
            description=tool.description or "",
            parameters=tool.input_schema or {},
            strict=tool.strict,
        )
    if "toolset" in kind:
        return None  # a family of tools that only the vendor's own models have been taught
    if kind.startswith("bash_"):
        return Tool(name=tool.name or "bash", description=_BASH, parameters=_BASH_PARAMETERS)
    if kind.startswith("text_editor_"):
        return _text_editor(kind, tool.name or "str_replace_based_edit_tool")
    if kind.startswith("memory_"):
        return Tool(name=tool.name or "memory", description=_MEMORY, parameters=_MEMORY_PARAMETERS)
    if kind.startswith("computer_"):
        return _computer(kind, tool)
    return None


# What the client runs -----------------------------------------------------------------------------------------------


def _object(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def _text(description: str, *choices: str) -> Schema:
    return {"type": "string", "description": description, **({"enum": list(choices)} if choices else {})}


def _integers(description: str, count: int) -> Schema:
    return {
        "type": "array",
        "items": {"type": "integer"},
        "minItems": count,
        "maxItems": count,
        "description": description,
    }


_BASH = "Runs a command in a bash session that lasts: its directory and variables are kept from call to call."
_BASH_PARAMETERS = _object(
    {
        "command": _text("The command to run. Needed unless the session is restarted."),
        "restart": {"type": "boolean", "description": "Starts the session anew instead of running a command."},
    },
    [],
)

_MEMORY = (
    "Keeps notes in files below the directory /memories from one conversation to the next. "
    "Look there before a task, and write down what later ones will need."
)
_MEMORY_PARAMETERS = _object(
    {
        "command": _text("What to do.", "view", "create", "str_replace", "insert", "delete", "rename"),
        "path": _text("The file or directory; for every command but rename."),
        "view_range": _integers("For view: the first and the last line, from 1; the last may be -1.", 2),
        "file_text": _text("For create: the file's content."),
        "old_str": _text("For str_replace: the text to replace; it must occur once."),
        "new_str": _text("For str_replace: the text to put there."),
        "insert_line": {"type": "integer", "description": "For insert: the line to insert after; 0 for the beginning."},
        "insert_text": _text("For insert: the text."),
        "old_path": _text("For rename: the path now."),
        "new_path": _text("For rename: the path from then on."),
    },
    ["command"],
)

_TEXT_EDITOR = "Views, creates and edits text files."


def _text_editor(kind: str, name: str) -> Tool:
    """Versions before April 2025 can undo, and take the text to insert as `new_str`."""
    is_old = kind < "text_editor_20250429"
    commands = ["view", "create", "str_replace", "insert", *(["undo_edit"] if is_old else [])]
    properties: Schema = {
        "command": _text("What to do.", *commands),
        "path": _text("The absolute path of the file or directory."),
        "view_range": _integers("For view: the first and the last line, from 1; the last may be -1.", 2),
        "file_text": _text("For create: the file's content."),
        "old_str": _text("For str_replace: the text to replace; it must match exactly and occur once."),
        "new_str": _text("For str_replace: the text to put there." + (" For insert: the text." if is_old else "")),
        "insert_line": {"type": "integer", "description": "For insert: the line to insert after; 0 for the beginning."},
    }
    if not is_old:
        properties["insert_text"] = _text("For insert: the text.")
    return Tool(name=name, description=_TEXT_EDITOR, parameters=_object(properties, ["command", "path"]))


_ACTIONS = ("key", "type", "mouse_move", "left_click", "left_click_drag", "right_click", "middle_click", "double_click",
            "screenshot", "cursor_position")  # fmt: skip
_LATER_ACTIONS = ("left_mouse_down", "left_mouse_up", "triple_click", "scroll", "hold_key", "wait")


def _computer(kind: str, tool: wire.Tool) -> Tool:
    actions: tuple[str, ...] = _ACTIONS
    properties: Schema = {
        "coordinate": _integers("x and y in pixels from the upper left corner.", 2),
        "text": _text("For type: the text. For key and hold_key: the keys. For clicks: keys to hold down meanwhile."),
    }
    if kind >= "computer_20250124":
        actions += _LATER_ACTIONS
        properties |= {
            "start_coordinate": _integers("For left_click_drag: where it begins.", 2),
            "scroll_direction": _text("For scroll.", "up", "down", "left", "right"),
            "scroll_amount": {"type": "integer", "description": "For scroll: the clicks of the wheel."},
            "duration": {"type": "number", "description": "For hold_key and wait: the seconds."},
        }
    if kind >= "computer_20251124":
        actions += ("zoom",)
        properties["region"] = _integers("For zoom: left, upper, right and lower edge.", 4)
    size = f" The screen is {tool.display_width_px} by {tool.display_height_px} pixels."
    return Tool(
        name=tool.name or "computer",
        description="Uses mouse and keyboard of a computer, and takes screenshots."
        + (size if tool.display_width_px and tool.display_height_px else ""),
        parameters=_object({"action": _text("What to do.", *actions), **properties}, ["action"]),
    )
