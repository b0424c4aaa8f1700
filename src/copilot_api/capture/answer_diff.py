"""
How two captured answers differ: what they say, line by line, and how they ended, what they called and consumed.

Placeholders of redacted secrets count as equal when their rule is: each capture may have a salt of its own, so that the
same secret need not have the same placeholder in both.
"""

import difflib
import re
from itertools import islice
from typing import Any

import msgspec

from copilot_api.capture.answers import Call, Said
from copilot_api.protocols.base import Usage

MAX_LINES = 2_000
"""How many lines of an answer are compared: the time it takes may grow with their square."""
MAX_LINE = 2_000
MAX_DIFF_CHARACTERS = 64 * 1024
_PLACEHOLDER = re.compile(r"\[redacted:([a-z0-9_.-]+):[0-9a-f]{6}\]")


class AnswerDiff(msgspec.Struct, kw_only=True, frozen=True):
    """How an answer differs from one before it."""

    is_same: bool
    changes: dict[str, tuple[Any, Any]]
    """By name, what was and what is: `status`, `finish`, `error`, `calls`, and each count of usage."""
    text: str = ""
    """A unified diff of what they say, reasoning first."""
    is_cut: bool = False
    """Whether the answers, or the diff, are longer than what is shown."""


def diff_answers(before: Said, after: Said) -> AnswerDiff:
    """Compare. May take a moment with long answers: call it from a thread."""
    changes: dict[str, tuple[Any, Any]] = {}
    for name in ("status", "finish", "error"):
        _note(changes, name, getattr(before, name), getattr(after, name))
    _note(changes, "calls", _calls(before), _calls(after))
    for name, was, now in _usage_counts(before, after):
        _note(changes, name, was, now)
    old, new = _lines(before), _lines(after)
    text, is_cut = _unified(old[:MAX_LINES], new[:MAX_LINES])
    is_longer = max(len(old), len(new)) > MAX_LINES
    is_same = not changes and old == new
    return AnswerDiff(is_same=is_same, changes=changes, text=text, is_cut=is_cut or is_longer)


def _note(changes: dict[str, tuple[Any, Any]], name: str, was: Any, now: Any) -> None:
    if was != now:
        changes[name] = (was, now)


def _calls(said: Said) -> list[Call]:
    return [Call(call.name, _neutral(_canonical(call.arguments))) for call in said.calls]


def _canonical(arguments: str) -> str:
    """Arguments without differences in their spacing and order that mean nothing."""
    try:
        return msgspec.json.encode(msgspec.json.decode(arguments), order="sorted").decode()
    except (msgspec.DecodeError, RecursionError):
        return arguments


def _usage_counts(before: Said, after: Said) -> list[tuple[str, int | None, int | None]]:
    was, now = before.usage, after.usage
    names = Usage.__struct_fields__ if was or now else ()
    return [(name, getattr(was, name, None), getattr(now, name, None)) for name in names]


def _lines(said: Said) -> list[str]:
    thought = [f"(thought) {line}" for line in _neutral(said.reasoning).splitlines()]
    return [*thought, *_neutral(said.text).splitlines()]


def _neutral(text: str) -> str:
    return _PLACEHOLDER.sub(r"[redacted:\1]", text)


def _unified(old: list[str], new: list[str]) -> tuple[str, bool]:
    """The diff, and whether something of it is missing."""
    lines = difflib.unified_diff(
        [line[:MAX_LINE] for line in old], [line[:MAX_LINE] for line in new], "before", "after", lineterm=""
    )
    text = "\n".join(islice(lines, 2 * MAX_LINES))
    is_long = any(len(line) > MAX_LINE for line in (*old, *new))
    return text[:MAX_DIFF_CHARACTERS], is_long or len(text) > MAX_DIFF_CHARACTERS or next(lines, None) is not None
