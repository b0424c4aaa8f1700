"""
The dry run: what would be struck, where, by which rule; and what looks like a secret and would stay, with the reason.

It never says a secret: of a near miss it tells the place, the length and how random it is.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from copilot_api.redaction.bodies import find_in_body, find_in_stream
from copilot_api.redaction.edits import Pen, Strike
from copilot_api.redaction.plausible import entropy, is_example, is_worded
from copilot_api.redaction.texts import decode_body, is_event_stream

MAX_NEAR_MISSES = 1000
_MIN_ENTROPY = 3.2

_TOKEN = re.compile(r"[A-Za-z0-9_+/=.~\-]{20,512}+")
_PREFIXED = re.compile(r"(?:call|toolu|resp|msg|fc|rs|req|item|chatcmpl|run|thread|asst|file|cmpl|gen|ws|ig|mcp)[_-]")
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_DIGEST = re.compile(
    r"(?:sha(?:1|256|384|512)[-:=])?(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128})"
)
_INTEGRITY = re.compile(r"sha(?:256|384|512)-[A-Za-z0-9+/]{43,88}={0,2}")


class RuleHit(NamedTuple):
    """A secret that a rule strikes."""

    rule: str
    line: int
    """Of the text, from 1."""
    path: str
    """In the JSON document that is the text or its line, like `$.messages[0].content`; empty elsewhere."""
    via: tuple[str, ...]
    """The encodings that it is hidden in, the outermost first."""
    length: int
    """Characters that are taken out."""
    placeholder: str


class NearMiss(NamedTuple):
    """What looks like a secret, and no rule strikes."""

    line: int
    column: int
    length: int
    entropy: float
    """Bits a character."""
    reason: str
    """What it was taken for."""


class Explanation(NamedTuple):
    """What a dry run found."""

    text: str
    """The text as it would be kept."""
    hits: list[RuleHit]
    near_misses: list[NearMiss]
    """At most `MAX_NEAR_MISSES`."""
    counts: Counter[str]
    """How often each rule struck."""


def explain(pen: Pen, body: bytes, media_type: str, *, is_cut: bool = False) -> Explanation:
    """
    What redaction makes of `body`, and why. Lines that are a JSON document each (a file of traces) are read one by one.

    Raises `NotText` when the body cannot be looked through.
    """
    text = decode_body(body, media_type, is_cut=is_cut)
    before = pen.hits.copy()
    if is_event_stream(text, media_type):
        kept, hits = _apply(pen, text, 1, is_stream=True, is_cut=is_cut, media_type=media_type)
    elif _is_lines(text):
        kept, hits = _apply_lines(pen, text, is_cut=is_cut, media_type=media_type)
    else:
        kept, hits = _apply(pen, text, 1, is_stream=False, is_cut=is_cut, media_type=media_type)
    return Explanation(kept, hits, list(_find_near_misses(kept)), pen.hits - before)


def _is_lines(text: str) -> bool:
    """Whether each line is a JSON document of its own."""
    first, _, rest = text.partition("\n")
    return (
        first.startswith("{") and first.rstrip().endswith("}") and (not rest.strip() or rest.lstrip().startswith("{"))
    )


def _apply_lines(pen: Pen, text: str, *, is_cut: bool, media_type: str) -> tuple[str, list[RuleHit]]:
    kept: list[str] = []
    hits: list[RuleHit] = []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        is_last = number == len(lines)
        part, found = _apply(pen, line, number, is_stream=False, is_cut=is_cut and is_last, media_type=media_type)
        kept.append(part)
        hits += found
    return "\n".join(kept), hits


def _apply(
    pen: Pen, text: str, first_line: int, *, is_stream: bool, is_cut: bool, media_type: str
) -> tuple[str, list[RuleHit]]:
    edits = find_in_stream(text, is_cut=is_cut) if is_stream else find_in_body(text, media_type, is_cut=is_cut)
    strikes: list[Strike] = []
    kept = pen.apply(text, edits, strikes)
    hits: list[RuleHit] = []
    line, position = first_line, 0
    for strike in strikes:
        line += text.count("\n", position, strike.start)
        position = strike.start
        hits.append(_describe(strike, line))
    return kept, hits


def _describe(strike: Strike, line: int) -> RuleHit:
    hit = strike.hit
    return RuleHit(hit.rule, line, hit.where, hit.via, strike.end - strike.start, strike.written.strip('"\\'))


def _find_near_misses(kept: str) -> Iterator[NearMiss]:
    """Long random words in what is kept."""
    found_so_far = 0
    for number, line in enumerate(kept.split("\n"), 1):
        for found in _TOKEN.finditer(line):
            reason = _reason(found.group())
            if not reason:
                continue
            if found_so_far == MAX_NEAR_MISSES:
                return
            found_so_far += 1
            word = found.group()
            yield NearMiss(number, found.start() + 1, len(word), round(entropy(word), 2), reason)


def _reason(word: str) -> str:
    """Why a word that looks like a secret is none to the rules; nothing when it does not look like one."""
    if word.startswith(("[redacted", "[media")) or not any([char.isdigit() for char in word]):
        return ""
    if entropy(word) < _MIN_ENTROPY and not _DIGEST.fullmatch(word):
        return ""
    if _UUID.fullmatch(word):
        return "a UUID"
    if _DIGEST.fullmatch(word) or _INTEGRITY.fullmatch(word):
        return "a digest, or as long as one"
    if _PREFIXED.match(word):
        return "an id of a vendor"
    if is_example(word):
        return "an example"
    if "/" in word and is_worded(word.replace("/", "-")):
        return "a path"
    if is_worded(word):
        return ""
    return "no rule knows its form, and no name before it says that it is secret"
