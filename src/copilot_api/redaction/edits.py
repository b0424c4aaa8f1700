"""Edits: what is written in the place of what was found, so that a text keeps all the rest letter for letter."""

import hmac
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from copilot_api.redaction.rule import Hit
from copilot_api.redaction.rules import RANKS


class Edit(NamedTuple):
    """One stretch of a text, and the hit that it belongs to."""

    start: int
    end: int
    hit: Hit
    is_first: bool = True
    """Whether the placeholder goes here: of a secret in several pieces the others are taken out."""


class Strike(NamedTuple):
    """What was written in place of a hit."""

    start: int
    end: int
    hit: Hit
    written: str


class Pen:
    """Writes placeholders: equal ones for equal secrets under one salt."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self.hits: Counter[str] = Counter()
        """How often each rule struck."""

    def render_placeholder(self, rule: str, secret: str) -> str:
        """`[redacted:<rule>:<6 hex>]`."""
        digest = hmac.digest(self._salt, secret.encode("utf-8", "surrogatepass"), "sha256").hex()[:6]
        return f"[redacted:{rule}:{digest}]"

    def apply(self, text: str, edits: Iterable[Edit], strikes: list[Strike] | None = None) -> str:
        """
        `text` with every edit made; where several overlap, one placeholder stands for all of them. What was struck is
        added to `strikes`.
        """
        parts: list[str] = []
        position = 0
        for start, end, edit in _merge(edits):
            written = self._write(edit)
            if strikes is not None and edit.is_first and not edit.hit.marker:
                strikes.append(Strike(start, end, edit.hit, written))
            parts += (text[position:start], written)
            position = end
        parts.append(text[position:])
        return "".join(parts)

    def _write(self, edit: Edit) -> str:
        hit = edit.hit
        if not edit.is_first:
            return ""
        if hit.marker:
            return hit.marker
        self.hits[hit.rule] += 1
        return hit.quote + self.render_placeholder(hit.rule, hit.secret) + hit.quote


def _merge(edits: Iterable[Edit]) -> Iterable[tuple[int, int, Edit]]:
    """The edits in order, those that overlap made one: the one that tells most gives its name."""
    merged: list[tuple[int, int, Edit]] = []
    for edit in sorted(edits, key=lambda each: (each.start, -each.end)):
        if merged and edit.start < merged[-1][1]:
            start, end, best = merged[-1]
            merged[-1] = (start, max(end, edit.end), min(best, edit, key=_rank))
        elif edit.start < edit.end:
            merged.append((edit.start, edit.end, edit))
    return merged


def _rank(edit: Edit) -> tuple[bool, int, int]:
    rank = -1 if edit.hit.marker else RANKS[edit.hit.rule]
    return not edit.is_first, rank, edit.start - edit.end
