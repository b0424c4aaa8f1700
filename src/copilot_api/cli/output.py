"""What commands print: tables that fit the terminal, JSON, and CSV that no spreadsheet mistakes for formulas."""

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat

import click

from copilot_api.usage.exports import Cell, render_csv

_GAP = "  "
_NARROWEST = 8


def print_json(value: object) -> None:
    """Print one JSON value, laid out for people too. All ASCII: whatever a name holds, the terminal is safe from it."""
    click.echo(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a table that fits the terminal; one that goes into a file or a pipe is as wide as it likes."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo("\n".join(render_table(columns, rows, width)))


def print_fields(fields: Mapping[str, str | Sequence[str] | None]) -> None:
    """Print names and values, a pair a line; further values go below the first, and without any there is no line."""
    texts = {name: [value] if isinstance(value, str) else value for name, value in fields.items() if value}
    width = max(map(_width, texts), default=0)
    for name, values in texts.items():
        for heading, value in zip(chain([name], repeat("")), values, strict=False):
            click.echo(f"{heading.ljust(width)}{_GAP}{_text(value)}")


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print rows as CSV, one at a time."""
    sys.stdout.writelines(render_csv(columns, rows))


def render_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], width: int | None) -> list[str]:
    """
    The lines of a table, numbers to the right.

    To fit `width` long texts are cut, numbers never; when that does not do, each row becomes a block of lines.
    """
    cells = [list(row) for row in rows]
    texts = [[_text(cell) for cell in row] for row in cells]
    is_number = [
        bool(cells) and all(_is_number(row[i]) or row[i] is None for row in cells) for i in range(len(columns))
    ]
    widths = [max(_width(row[i]) for row in [columns, *texts]) for i in range(len(columns))]
    if width is not None and not _shrink(widths, is_number, width):
        return _render_blocks(columns, texts)
    return [_render_line(row, widths, is_number) for row in [columns, *texts]]


def _shrink(widths: list[int], is_number: Sequence[bool], width: int) -> bool:
    """Take from the widest texts until all fits; says whether it does."""
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    shrinkable = [i for i in range(len(widths)) if not is_number[i]]
    while excess > 0:
        widest = max(shrinkable, key=widths.__getitem__, default=None)
        if widest is None or widths[widest] <= _NARROWEST:
            return False
        widths[widest] -= 1
        excess -= 1
    return True


def _render_line(texts: Sequence[str], widths: Sequence[int], is_number: Sequence[bool]) -> str:
    fields: list[str] = []
    for text, width, to_right in zip(texts, widths, is_number, strict=True):
        cut = _cut(text, width)
        padding = " " * (width - _width(cut))
        fields.append(padding + cut if to_right else cut + padding)
    return _GAP.join(fields).rstrip()


def _render_blocks(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> list[str]:
    name_width = max(_width(name) for name in columns)
    lines: list[str] = []
    for row in texts:
        lines += [f"{name.ljust(name_width)}{_GAP}{text}".rstrip() for name, text in zip(columns, row, strict=True)]
        lines.append("")
    return lines[:-1]


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    return printable(cell)


def printable(text: str) -> str:
    """`text`, wherever it is from, as one line that does nothing to a terminal: control characters are spelled out."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    kept, used = "", 1
    for char in text:
        used += _char_width(char)
        if used > width:
            break
        kept += char
    return kept + "…"
