"""
The pieces of a streamed answer, joined: a secret of which each event has some characters is in none of them.

Which fields of which protocol hold text is not known here. Strings that stand at the same place in event after event
are joined, whatever their names; and so are, once more, those of one choice, block or item that come alone in their
event, whatever their place.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, TypeGuard

from copilot_api.redaction.verifier_views import View, mask

_DATA_LINE = re.compile(r"^data:[^\r\n]*", re.MULTILINE)
_SAME_IN_EACH = frozenset(
    {"id", "object", "model", "type", "role", "item_id", "call_id", "finish_reason", "system_fingerprint", "name"}
    | {
        "service_tier",
        "obfuscation",
        "signature",
        "encrypted_content",
        "modelVersion",
        "responseId",
        "responseID",
        "status",
    }
)
"""Names of strings that are repeated or tell nothing: they would stand between the pieces."""
_NUMBERING = ("index", "output_index", "content_index", "summary_index", "item_id")
"""Names of what tells choices, blocks and items apart."""
MAX_NESTING = 64

Place = tuple[object, ...]


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON: all its pairs, also those whose name comes twice."""


def join_pieces(view: View) -> Iterator[View]:
    """The joined texts of the stream, or JSON array of events, that the view is; nothing when it is neither."""
    joined: dict[Place, list[tuple[str, tuple[int, int]]]] = defaultdict(list)
    for event, span in _events(view.text):
        strings = list(_strings(event))
        for numbers, place, text in strings:
            joined[place].append((text, span))
            if len(strings) == 1:
                joined[("any place", *numbers)].append((text, span))
    for pieces in joined.values():
        if len(pieces) > 1:
            yield _join(view, pieces)


def _join(view: View, pieces: list[tuple[str, tuple[int, int]]]) -> View:
    starts: list[int] = []
    length = 0
    for text, _ in pieces:
        starts.append(length)
        length += len(text)
    return View(mask("".join(text for text, _ in pieces)), view, view.depth, starts, [span for _, span in pieces])


def _events(text: str) -> Iterator[tuple[Any, tuple[int, int]]]:
    """Each event with where it stands."""
    if text.lstrip()[:1] == "[":
        events = _parse(text)
        for event in events if _is_list(events) else []:
            if isinstance(event, _Pairs):
                yield event, (0, len(text))
        return
    for found in _DATA_LINE.finditer(text):
        event = _parse(found.group()[5:])
        if event is not None:
            yield event, found.span()


def _parse(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _strings(event: Any) -> Iterator[tuple[Place, Place, str]]:
    """Each string in the event that is not empty: the numbers of what it is in, its place, itself; in their order."""
    waiting: list[tuple[Any, Place, Place]] = [(event, (), ())]
    while waiting:
        value, numbers, place = waiting.pop()
        if isinstance(value, str):
            if value:
                yield numbers, (*numbers, place), value
        elif len(place) >= MAX_NESTING:
            continue
        elif isinstance(value, _Pairs):
            own = tuple(item for name, item in value if name in _NUMBERING and isinstance(item, int | str))
            inside = (*numbers, *own)
            children = [(item, inside, (*place, name)) for name, item in value if name not in _SAME_IN_EACH]
            waiting.extend(reversed(children))
        elif _is_list(value):
            waiting.extend(reversed([(item, numbers, (*place, number)) for number, item in enumerate(value)]))
