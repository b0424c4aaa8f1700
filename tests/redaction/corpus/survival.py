"""
Whether anything of a secret is left in an output.

It looks for pieces of the secret in each encoding, rather than to decode the output: so it shares no method with
what it judges.
"""

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote

from tests.redaction.corpus.encodings import Secret, escape_all, percent_all

PIECE = 12
"""So many characters in a row of the random part are too many."""
TWICE = 6
"""Of the pieces every so-manieth is looked for under two encodings, too."""
_WORD = re.compile(r"\S+")


def survives(secret: Secret, output: str | bytes) -> str | None:
    """Which piece of `secret` is left in `output`, and in which encoding; None when there is none."""
    text = output.decode(errors="replace") if isinstance(output, bytes) else output
    grams = _needles(secret.random_part)
    for view, content in _views(text):
        content = content.replace("\\", "").lower()
        for gram in grams.keys() & {content[at : at + PIECE] for at in range(len(content) - PIECE + 1)}:
            for encoding, piece, needle in grams[gram]:
                if needle in content:
                    return f"{secret.family}: {piece!r} in {encoding}{view}"
    return None


@lru_cache(maxsize=1024)
def _needles(random_part: str) -> dict[str, list[tuple[str, str, str]]]:
    """
    Each piece in each encoding (the encoding, the piece, what to look for), by the first characters of what to look for:
    so each place of an output is looked at once, however many there are. Case does not matter: no two pieces are that
    much alike.
    """
    needles: dict[str, tuple[str, str]] = {}
    for number, piece in enumerate(_pieces(random_part)):
        for encoding, needle in (*_once(piece), *(_twice(piece) if number % TWICE == 0 else ())):
            needles.setdefault(needle.lower(), (encoding, piece))
    grams: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for needle, (encoding, piece) in needles.items():
        grams[needle[:PIECE]].append((encoding, piece, needle))
    return grams


def _pieces(random_part: str) -> list[str]:
    """Every piece; of a long secret every one that begins at a multiple of 4, and the last."""
    pieces: list[str] = []
    for word in _WORD.findall(random_part):
        last = max(0, len(word) - PIECE)
        step = 1 if len(word) <= 80 else 4
        pieces += [word[start : start + PIECE] for start in (*range(0, last, step), last)]
    return pieces


Needle = tuple[str, str]


def _once(piece: str) -> Iterator[Needle]:
    yield "plain", piece
    yield "percent", quote(piece, safe="")
    yield "percent twice", quote(quote(piece, safe=""), safe="")
    for shift in range(3):
        once = _base64(piece, shift)
        yield f"base64 at {shift}", once
        yield f"base64url at {shift}", once.replace("+", "-").replace("/", "_")
    yield "escapes", _escaped(piece)
    yield "percent in full", percent_all(piece)
    yield "hex", piece.encode().hex()


def _twice(piece: str) -> Iterator[Needle]:
    inner = [_base64(piece, shift) for shift in range(3)]
    inner += [percent_all(piece), piece.encode().hex(), escape_all(piece)]
    for once in inner:
        for shift in range(3):
            yield "base64 of an encoding", _base64(once, shift)
        yield "an encoding in escapes", _escaped(once)
        yield "an encoding in percent", percent_all(once)
        yield "an encoding in hex", once.encode().hex()
        yield "an encoding in percent, partly", quote(once, safe="")


def _escaped(text: str) -> str:
    """As in JSON in JSON in JSON: the backslashes are not counted."""
    return escape_all(text).replace("\\", "")


def _base64(text: str, shift: int) -> str:
    """The characters that `text` gives in base64 whatever stands before and after, when it begins at `shift` of 3."""
    data = bytes(shift) + text.encode()
    start = -(-shift * 8 // 6)
    return base64.b64encode(data + bytes(-len(data) % 3)).decode()[start : len(data) * 8 // 6]


def _views(text: str) -> Iterator[tuple[str, str]]:
    """The output as it is, and, if it is a stream, what its pieces make together: each string in it, by its place."""
    yield "", text
    joined: dict[tuple[str | int, ...], list[str]] = defaultdict(list)
    for line in text.splitlines():
        if line.startswith("data: {"):
            try:
                payload = json.loads(line[6:])
            except ValueError:
                continue
            _collect(payload, (str(payload.get("type")),), joined)
    for place, pieces in joined.items():
        yield f" at {'.'.join(map(str, place))}", "".join(pieces)


def _collect(value: object, place: tuple[str | int, ...], joined: dict[tuple[str | int, ...], list[str]]) -> None:
    if isinstance(value, str):
        joined[place].append(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            _collect(item, (*place, name), joined)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _collect(item, (*place, number), joined)
