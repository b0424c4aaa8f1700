"""Markers in the user's own words that decide what the answer is.

`SIM-SAY:<b64url>` answers that text, `SIM-CALL:<b64url of {"name","arguments"}>` calls that tool, `SIM-FAULT:<name>`
goes wrong in that way. The last marker of the user texts decides; one that cannot be read counts as none.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from copilot_api.simulator.conversation import Prompt, Turn
from copilot_api.simulator.wire import decode, encode, is_object

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
    return Script()


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
