"""How messages call what stands in `config.json`: the path of a field, and as much of its text as may be shown."""

import json
from collections.abc import Sequence
from difflib import get_close_matches

Path = tuple[str | int, ...]

LONGEST_SHOWN = 32
_SHOWN_OF_LONGER = 12
"""What is longer may be a secret in the wrong place."""


def render_path(path: Path) -> str:
    """`$.models["gpt-5.4"].fallback[0]`."""
    text = "$"
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("-", "_").replace("$", "_").isidentifier() and part.isascii() and len(part) <= LONGEST_SHOWN:
            text += f".{part}"
        else:
            text += f"[{shown(part)}]"
    return text


def shown(text: str) -> str:
    """Text of the file as a message may show it."""
    return json.dumps(text if len(text) <= LONGEST_SHOWN else text[:_SHOWN_OF_LONGER] + "...")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A question to put behind a name that is not known; empty when nothing is like it."""
    found = get_close_matches(name.lower(), known, n=1) if len(name) <= LONGEST_SHOWN else []
    return f"; did you mean {found[0]}?" if found else ""
