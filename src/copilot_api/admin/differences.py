"""What changed between two texts, line by line, for the diff view."""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

CONTEXT = 3
"""How many lines that did not change stand around those that did."""


_HUNK = re.compile(r"@@ -([0-9]+(?:,[0-9]+)?) \+([0-9]+(?:,[0-9]+)?) @@")


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line, or a `gap` that stands for so many unchanged ones that are left out."""

    kind: Literal["same", "added", "removed", "gap"]
    text: str
    before: int | None = None
    """Its number in the old text."""
    after: int | None = None
    """Its number in the new one."""


def diff_lines(before: str, after: str, context: int = CONTEXT) -> list[DiffLine]:
    """The lines that differ with those around them; empty where the texts are equal."""
    old, new = before.splitlines(), after.splitlines()
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    lines: list[DiffLine] = []
    shown = 0
    for group in matcher.get_grouped_opcodes(context):
        lines += _gap(group[0][1] - shown)
        for opcode in group:
            lines += _render(opcode, old, new)
        shown = group[-1][2]
    return lines + list(_gap(len(old) - shown)) if lines else []


def read_unified(text: str) -> list[DiffLine]:
    """The lines of a unified diff, as far as it goes: it may break off in the middle."""
    lines: list[DiffLine] = []
    before = after = 1
    for line in text.splitlines():
        sign, rest = line[:1], line[1:]
        if hunk := _HUNK.match(line):
            old = _first_line(hunk[1])
            lines += _gap(old - before)
            before, after = old, _first_line(hunk[2])
        elif not lines and line.startswith(("--- ", "+++ ")) and before == after == 1:
            continue
        elif sign == "-":
            lines.append(DiffLine("removed", rest, before=before))
            before += 1
        elif sign == "+":
            lines.append(DiffLine("added", rest, after=after))
            after += 1
        else:
            lines.append(DiffLine("same", rest, before, after))
            before, after = before + 1, after + 1
    return lines


def _first_line(place: str) -> int:
    """Of a hunk; one without lines names the line before it."""
    start, _, count = place.partition(",")
    return int(start) + (count == "0")


def _gap(count: int) -> Iterator[DiffLine]:
    if count > 0:
        yield DiffLine("gap", f"{count} unchanged line" if count == 1 else f"{count} unchanged lines")


def _render(opcode: tuple[str, int, int, int, int], old: Sequence[str], new: Sequence[str]) -> Iterator[DiffLine]:
    tag, old_start, old_end, new_start, new_end = opcode
    if tag == "equal":
        for offset in range(old_end - old_start):
            yield DiffLine("same", old[old_start + offset], old_start + offset + 1, new_start + offset + 1)
        return
    for index in range(old_start, old_end):
        yield DiffLine("removed", old[index], before=index + 1)
    for index in range(new_start, new_end):
        yield DiffLine("added", new[index], after=index + 1)
