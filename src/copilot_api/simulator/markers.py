"""Markers in the user's own words that decide what the answer is.

`SIM-SAY:<b64url>` answers that text, `SIM-CALL:<b64url of {"name","arguments"}>` calls that tool, `SIM-FAULT:<name>`
goes wrong in that way. The last marker of the user texts decides; one that cannot be read counts as none.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from copilot_api.simulator.conversation import Prompt, Turn
from copilot_api.simulator.wire import Json, decode, encode, is_array, is_object, object_at

_MARKER = re.compile(r"SIM-(SAY|CALL|FAULT):([A-Za-z0-9_.=-]*)")
_RESULT_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """A tool call as asked for, its arguments as the text the model would write."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Script:
    """What the last marker asks for; everything None when there is none."""

    say: str | None = None
    call: ScriptedCall | None = None
    fault: str | None = None


def read_script(prompt: Prompt) -> Script:
    """What the last marker of the user texts asks for."""
    for position in range(len(prompt.turns) - 1, -1, -1):
        turn = prompt.turns[position]
        if turn.kind != "user" or "SIM-" not in turn.text:
            continue
        found = _MARKER.findall(turn.text)
        if found:
            kind, payload = found[-1]
            return _script(kind, payload, prompt, prompt.turns[position + 1 :])
    return forced_script(prompt)


def forced_script(prompt: Prompt) -> Script:
    """The call of a tool that the request insists on, unless its answer has just come: models do the same."""
    name = prompt.forced_tool
    if name is None or (prompt.turns and prompt.turns[-1].kind == "result"):
        return Script()
    if prompt.tools[name] == "custom":
        return Script(call=ScriptedCall(name, "sample"))
    return Script(call=ScriptedCall(name, encode(_sample(prompt.schemas.get(name, {}))).decode()))


def _sample(schema: Json) -> Any:
    """The least that fits a schema, as far as a stand-in needs to understand one."""
    options = schema.get("enum")
    if is_array(options) and options:
        return options[0]
    kind = schema.get("type")
    kind = kind[0] if is_array(kind) and kind else kind
    if kind in {"object", None}:
        required = schema.get("required")
        names = [name for name in (required if is_array(required) else ()) if isinstance(name, str)]
        properties = object_at(schema, "properties")
        return {name: _sample(object_at(properties, name) or {"type": "string"}) for name in names}
    samples: Json = {"array": [], "integer": 1, "number": 1, "boolean": True, "null": None}
    return samples.get(str(kind), "sample")


def _script(kind: str, payload: str, prompt: Prompt, later: tuple[Turn, ...]) -> Script:
    if kind == "FAULT":
        return Script(fault=payload.rstrip(".=") or None)
    try:
        raw = base64.b64decode(payload.rstrip(".=") + "=" * (-len(payload.rstrip(".=")) % 4), altchars=b"-_")
        if kind == "SAY":
            return Script(say=raw.decode())
        asked = decode(raw)
    except (binascii.Error, ValueError):
        return Script()
    return _scripted_call(asked, prompt, later)


def _scripted_call(asked: object, prompt: Prompt, later: tuple[Turn, ...]) -> Script:
    if not is_object(asked) or not isinstance(asked.get("name"), str):
        return Script()
    results = [turn.text for turn in later if turn.kind == "result"]
    if results:
        return Script(say="SIM-RESULT: " + results[-1][:_RESULT_CHARACTERS])
    if asked["name"] not in prompt.tools or prompt.forbids_tools:
        return Script()
    written = _written_arguments(asked.get("arguments", {}), is_custom=prompt.tools[asked["name"]] == "custom")
    return Script(call=ScriptedCall(asked["name"], written))


def _written_arguments(arguments: object, *, is_custom: bool) -> str:
    """The text a model would write; a custom tool takes free text, here under `input`."""
    if is_custom and is_object(arguments) and isinstance(arguments.get("input"), str):
        return str(arguments["input"])
    return arguments if isinstance(arguments, str) else encode(arguments).decode()
