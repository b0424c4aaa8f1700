"""Headers and targets: by name whatever the value is, and by what the value looks like."""

import re
from collections.abc import Iterable

from copilot_api.redaction.edits import Edit
from copilot_api.redaction.encodings import undo_form
from copilot_api.redaction.forms import find_parameters, list_values
from copilot_api.redaction.names import is_secret_header
from copilot_api.redaction.rule import Hit
from copilot_api.redaction.rules import HEADER, RANKS
from copilot_api.redaction.search import PLACEHOLDER, find_direct, raise_hit, search
from copilot_api.redaction.views import Slice

_SCHEME = re.compile(r"(?i)\s*(?:bearer|basic|token|digest|negotiate|apikey|ssws|dpop)\s+(?=\S)")


def find_in_header(name: str, value: str) -> list[Edit]:
    """What of a header's value is not kept."""
    if not is_secret_header(name):
        return find_in_text(value)
    scheme = _SCHEME.match(value)
    start = scheme.end() if scheme else 0
    end = len(value.rstrip())
    secret = value[start:end]
    if not secret or PLACEHOLDER.fullmatch(secret):
        return []
    return [Edit(start, end, Hit(start, end, _name_whole(secret), secret, where="header"))]


def find_in_target(target: str) -> list[Edit]:
    """What of a path with query, or of an address, is not kept."""
    masked = PLACEHOLDER.sub(lambda found: "\x00" * len(found.group()), target)
    views = [undo_form(masked, *span) for span in list_values(masked)]
    hits = [*find_parameters(masked), *[raise_hit(views[index], hit) for index, hit in search(views)]]
    return find_in_text(target) + [Edit(hit.start, hit.end, hit) for hit in hits]


def find_in_text(text: str) -> list[Edit]:
    """What of any text is not kept."""
    view = Slice(text)
    return [Edit(hit.start, hit.end, hit) for hit in (raise_hit(view, hit) for _, hit in search([view]))]


def _name_whole(secret: str) -> str:
    """The rule that knows the whole of a header's value by its form, or else the header's own."""
    return _best(hit.rule for hit in find_direct(secret) if hit.start == 0 and hit.end == len(secret))


def _best(rules: Iterable[str]) -> str:
    return min(rules, key=RANKS.__getitem__, default=HEADER)
