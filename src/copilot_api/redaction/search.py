"""
The search: what of a text, or of many pieces of text, is a secret, through up to four layers of encoding.

All pieces are laid on one sheet and searched at once, and what is decoded of them on the next: the cost goes with the
size of a text, not with the number of its strings.
"""

import re
from collections.abc import Iterator, Sequence

from copilot_api.redaction.assignments import find_assignments
from copilot_api.redaction.encodings import list_views
from copilot_api.redaction.families.standards import find_dotted
from copilot_api.redaction.forms import find_form_values
from copilot_api.redaction.media import find_data_urls
from copilot_api.redaction.rule import Hit, find_by_rule, lower
from copilot_api.redaction.rules import SEARCHED
from copilot_api.redaction.structure import looks_like_json, read_document
from copilot_api.redaction.views import Sheet, View

MAX_DEPTH = 4
"""Encodings that are undone, one inside another: the document's own, and three more."""
_LEAST = 8
"""A text with fewer characters holds no secret that is known by its form."""

PLACEHOLDER = re.compile(r"\[redacted:[a-z][a-z-]{1,30}:[0-9a-f]{6}\]")
"""What stands for a secret already: of this version or another, whose rules have other names."""


def search(views: Sequence[View], depth: int = MAX_DEPTH) -> list[tuple[int, Hit]]:
    """The secrets in `views`: the number of the view, and the hit at its place in the view's text."""
    distinct: dict[str, list[int]] = {}
    for index, view in enumerate(views):
        if len(view.text) >= _LEAST:
            distinct.setdefault(view.text, []).append(index)
    if not distinct:
        return []
    sheet = Sheet([views[indexes[0]] for indexes in distinct.values()])
    copies = list(distinct.values())
    found: list[tuple[int, Hit]] = []
    for hit in _search_sheet(sheet, depth):
        place = sheet.find_view(hit.start, hit.end)
        if place is not None:
            found += [(index, hit._replace(start=place[1], end=place[2])) for index in copies[place[0]]]
    return found


def _search_sheet(sheet: Sheet, depth: int) -> list[Hit]:
    text = sheet.text
    if "[redacted:" in text:
        text = PLACEHOLDER.sub(lambda found: "\x00" * len(found.group()), text)
    hits = list(find_data_urls(text))
    for hit in reversed(hits):
        text = text[: hit.start] + "\x00" * (hit.end - hit.start) + text[hit.end :]
    hits += find_direct(text)
    if depth == 0:
        return hits
    children: list[View] = list(list_views(text))
    for index, view in enumerate(sheet.views):
        start, end = sheet.span_of(index)
        if looks_like_json(text, start, end):
            document = read_document(text, start, end)
            hits += [hit._replace(where="") for hit in document.hits]
            children += [child for child in document.views if child.via]
        elif "=" in view.text and "\n" not in view.text:
            hits += find_form_values(text, start, end)
    hits += [raise_hit(children[index], hit) for index, hit in search(children, depth - 1)]
    return hits


def raise_hit(view: View, hit: Hit) -> Hit:
    """A hit in a view as a hit in the view's source."""
    start, end = view.locate(hit.start, hit.end)
    quote = hit.quote
    if quote and view.via:
        quote = quote.replace("\\", "\\\\").replace('"', '\\"') if view.via in ("JSON string", "escapes") else ""
    return hit._replace(start=start, end=end, quote=quote, via=(view.via, *hit.via) if view.via else hit.via)


def find_direct(text: str) -> Iterator[Hit]:
    """What the rules strike in `text` as it is written."""
    lowered = lower(text)
    for rule in SEARCHED:
        yield from find_by_rule(rule, text, lowered)
    yield from find_dotted(text)
    yield from find_assignments(text, lowered)
