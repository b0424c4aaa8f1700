"""
`Rule`: what one family of secrets looks like, and how a text is searched for it.

Nearly every text has no secret of a family, so a rule names its marks: letters of which one is in every secret. They
are looked for first, which is a plain search for a substring; the pattern is tried only where a mark stands.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple


class Hit(NamedTuple):
    """A secret that was found in a text."""

    start: int
    end: int
    rule: str
    secret: str
    """What the placeholder stands for: decoded, so that a secret has the same one however it was written."""
    marker: str = ""
    """What is written in its place, if that is no placeholder: what is left of a picture, say."""
    quote: str = ""
    """What goes around the placeholder: it stands where JSON had a number."""
    via: tuple[str, ...] = ()
    """The encodings that were undone to find it, the outermost first."""
    where: str = ""
    """The path to it in the outermost document, where that has one."""


class Rule(NamedTuple):
    """One family of secrets."""

    name: str
    strikes: str
    """What it strikes, for the reference page."""
    shape: str
    """
    What such a secret looks like as its vendor makes it: a regular expression of the simplest kind. Tests make secrets
    of it.
    """
    marks: tuple[str, ...]
    """A secret begins with one of them (after `back` characters); in lower case if `is_any_case`."""
    pattern: str
    """What is struck: the group that matched, or all of it."""
    is_plausible: Callable[[str], bool] | None = None
    """A last look at what was found."""
    back: int = 0
    is_any_case: bool = False
    in_logs: tuple[tuple[str, ...], str] | None = None
    """
    Marks in lower case and a pattern for the lines of the log, which each call passes: plainer than the rule's own, and
    struck without a second look.
    """


_FILLER = re.compile(r"([xX*\u2022])\1{7}")
"""In an example; no key that was drawn by lot has it."""
_LONG, _STEP = 128, 64
"""
A run of this length that was looked at and is no secret is looked at again only this much further on: it may be made of
nothing but marks.
"""


@lru_cache(maxsize=512)
def _compiled(pattern: str, is_any_case: bool) -> re.Pattern[str]:
    # Only when a mark was seen: to compile all of them takes longer than a command may take to start.
    return re.compile(pattern, re.IGNORECASE if is_any_case else 0)


def lower(text: str) -> str:
    """`text` in lower case, of the same length: the capital dotted I alone would grow."""
    return text.replace("\u0130", "I").lower()


def find_by_rule(rule: Rule, text: str, lowered: str) -> Iterator[Hit]:
    """What of `text` this rule strikes. `lowered` is the text in lower case."""
    searched = lowered if rule.is_any_case else text
    for mark in rule.marks:
        if mark in searched:
            yield from _find_at(mark, rule, text, searched)


def _find_at(mark: str, rule: Rule, text: str, searched: str) -> Iterator[Hit]:
    pattern = _compiled(rule.pattern, rule.is_any_case)
    position = searched.find(mark)
    while position >= 0:
        found = pattern.match(text, position - rule.back) if position >= rule.back else None
        after = position + 1
        if found is not None:
            group = found.lastindex or 0
            secret = found.group(group)
            if _FILLER.search(secret) is None and (rule.is_plausible is None or rule.is_plausible(secret)):
                yield Hit(*found.span(group), rule.name, secret)
                after = max(after, found.end())
            elif len(secret) > _LONG:
                after += _STEP
        position = searched.find(mark, after)
