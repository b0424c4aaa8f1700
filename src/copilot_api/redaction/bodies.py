"""What of a body is not kept: JSON by its structure, events by what they make together, all else as text."""

import json
from collections.abc import Iterator, Sequence

from copilot_api.redaction.cuts import find_cut
from copilot_api.redaction.edits import Edit
from copilot_api.redaction.encodings import undo_form
from copilot_api.redaction.forms import find_parameters, find_parts, is_form, list_fields, list_values
from copilot_api.redaction.headers import find_in_text
from copilot_api.redaction.search import PLACEHOLDER, raise_hit, search
from copilot_api.redaction.streams import Stream
from copilot_api.redaction.structure import looks_like_json, read_document
from copilot_api.redaction.views import View


def find_in_body(text: str, media_type: str, *, is_cut: bool = False) -> list[Edit]:
    """What of a body is not kept: by structure where it is JSON, else (and where it is broken) as text."""
    edits: list[Edit] = []
    is_document = looks_like_json(text, 0, len(text))
    if is_document:
        edits += _find_in_document(text)
    is_labelled = "x-www-form-urlencoded" in media_type.lower()
    is_whole_form = is_labelled and not is_document and is_form(text)
    if not is_whole_form and (not is_document or not _is_whole(text)):
        edits += find_in_text(text)
        edits += [Edit(hit.start, hit.end, hit) for hit in find_parts(text)]
    if is_labelled:
        edits += _find_parameters(text)
        views = list_fields(text) if is_whole_form else [undo_form(text, *span) for span in list_values(text)]
        edits += _find_in_views(views)
    if is_cut and (cut := find_cut(text)) is not None:
        edits.append(Edit(cut.start, cut.end, cut))
    return edits


def find_in_stream(text: str, *, is_cut: bool = False) -> list[Edit]:
    """What of a stream of events is not kept."""
    edits = Stream(text).find(is_cut=is_cut)
    if is_cut and (cut := find_cut(text)) is not None:
        edits.append(Edit(cut.start, cut.end, cut))
    return edits


def _find_parameters(text: str) -> Iterator[Edit]:
    """By the names of a form's fields, whatever their values are; what was redacted already stays."""
    for hit in find_parameters(text):
        if PLACEHOLDER.fullmatch(hit.secret) is None:
            yield Edit(hit.start, hit.end, hit)


def _find_in_views(views: Sequence[View]) -> Iterator[Edit]:
    for index, hit in search(views):
        raised = raise_hit(views[index], hit)
        yield Edit(raised.start, raised.end, raised)


def _find_in_document(text: str) -> Iterator[Edit]:
    document = read_document(text, 0, len(text))
    for hit in document.hits:
        yield Edit(hit.start, hit.end, hit)
    for index, hit in search(document.views):
        raised = raise_hit(document.views[index], hit)
        yield Edit(raised.start, raised.end, raised._replace(where=document.tokens[index].render_path()))


def _is_whole(text: str) -> bool:
    """Whether `text` is JSON from beginning to end, so that all that can hold a secret is in its strings."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
