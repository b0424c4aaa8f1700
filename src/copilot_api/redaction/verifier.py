"""
Looks at what is to be kept, and says whether it still looks as if it held a secret.

It is the second opinion on `engine.Redactor` and shares nothing with it: neither code nor patterns. What it finds is
not kept (the body or header is withheld) and counted, so it must find what was missed and must not cry wolf.

The time it takes grows with the length of the text and no faster, whatever stands in it: encodings are undone to a
depth, as long as what they give stays within a budget, and what is beyond is suspect itself.
"""

from collections.abc import Iterator
from typing import NamedTuple

from copilot_api.redaction.verifier_signs import find_signs
from copilot_api.redaction.verifier_streams import join_pieces
from copilot_api.redaction.verifier_views import View, decode_runs, mask, undo_escapes

MAX_DEPTH = 3
"""So many encodings around a text are undone."""
MAX_SUSPECTS = 100
"""More than that tell nothing new."""
BUDGET_TIMES, BUDGET_CHARACTERS = 8, 64 * 1024
"""What encodings may give: so many times the length of the text, and so many characters more."""


class Suspect(NamedTuple):
    """A place that looks as if a secret stood there. It never holds what stands there."""

    kind: str
    """What made it suspect: one of `verifier_signs.KINDS`, or `overflow` when it could not be looked through."""
    offset: int
    """In characters of the text; where encodings are around it, of the outermost."""
    length: int


def find_suspects(text: str) -> list[Suspect]:
    """What in `text` looks like a secret, in the order of the text, at most `MAX_SUSPECTS`; empty when all is well."""
    suspects: set[Suspect] = set()
    try:
        for view in _views(text):
            for kind, start, end in find_signs(view.text):
                offset, stop = view.locate(start, end)
                suspects.add(Suspect(kind, offset, stop - offset))
                if len(suspects) >= MAX_SUSPECTS:
                    return _sorted(suspects)
    except _OverBudget:
        suspects.add(Suspect("overflow", 0, len(text)))
    return _sorted(suspects)


class _OverBudget(Exception):
    """There is more hidden in it than anybody writes in good faith."""


def _views(text: str) -> Iterator[View]:
    """The text itself and every text that is hidden in it, each once."""
    root = View(mask(text))
    budget = BUDGET_TIMES * len(text) + BUDGET_CHARACTERS
    seen = {root.text}
    waiting = [root]
    while waiting:
        view = waiting.pop()
        yield view
        for child in _children(view):
            if child.text in seen:
                continue
            budget -= len(child.text)
            if budget < 0:
                raise _OverBudget
            seen.add(child.text)
            waiting.append(child)


def _children(view: View) -> Iterator[View]:
    if view.parent is None:
        yield from join_pieces(view)
    if view.depth < MAX_DEPTH:
        yield from undo_escapes(view)
        yield from decode_runs(view)


def _sorted(suspects: set[Suspect]) -> list[Suspect]:
    return sorted(suspects, key=lambda suspect: (suspect.offset, suspect.length, suspect.kind))
