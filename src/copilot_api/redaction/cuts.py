"""What is taken away where a text was cut off: half a secret is not known by its form, and gives half of it away."""

import re

from copilot_api.redaction.rule import Hit
from copilot_api.redaction.rules import CUT
from copilot_api.redaction.search import PLACEHOLDER

_BREAK = re.compile(r"[\s\"\x00]")
_ENCODED_LINE = re.compile(r"(?:[A-Za-z0-9+/=_\-]|\\[rn]){24,}")
_MAX_LINES = 4096


def find_cut(text: str) -> Hit | None:
    """The last unbroken run of characters, and the lines of base64 before it that it goes on from."""
    start = _begin_of_run(text, len(text))
    for _ in range(_MAX_LINES):
        line_end = start - (start > 0 and text[start - 1] == "\n")
        line_end -= line_end > 0 and line_end < start and text[line_end - 1] == "\r"
        if start == 0 or line_end == start:
            break
        line_start = _begin_of_run(text, line_end)
        if _ENCODED_LINE.fullmatch(text, line_start, line_end) is None:
            break
        start = line_start
    run = text[start:]
    if not run or PLACEHOLDER.fullmatch(run):
        return None
    return Hit(start, len(text), CUT, run)


def _begin_of_run(text: str, end: int) -> int:
    size = 1024
    while True:
        low = max(0, end - size)
        last = max([found.end() for found in _BREAK.finditer(text, low, end)], default=-1)
        if last >= 0 or low == 0:
            return max(last, 0)
        size *= 8
