"""What the list of captures is asked for: parameters of the query string to a `TraceQuery`."""

import re

from copilot_api.api.ledger_parameters import Parameters
from copilot_api.capture.queries import MAX_LIMIT, TraceQuery
from copilot_api.errors import BadRequest
from copilot_api.observability.logs import strike_secrets

_STATUS = re.compile(r"(?P<exact>[1-9][0-9]{2})|(?P<hundred>[1-9])xx|(?P<sign>>=|<=|>|<)(?P<bound>[1-9][0-9]{2})")
_WORDS = ("key", "model", "status", "since", "until", "q", "before")
_MAX_WORD = 200
ANY_STATUS = (0, 999)


def parse_query(given: Parameters) -> tuple[TraceQuery, dict[str, object]]:
    """What is asked for; and in which words, for the record. Raises `BadRequest`."""
    key, before = given.text("key"), given.text("before")
    least, most = parse_status(given.text("status"))
    query = TraceQuery(
        key_id=_find_key(given, key) if key else None,
        model=given.text("model") or None,
        min_status=least,
        max_status=most,
        since=given.time("since"),
        until=given.time("until"),
        text=given.text("q"),
        before=_parse_place(before) if before else None,
        limit=given.number("limit", 50, MAX_LIMIT),
    )
    given.check_all_known()
    return query, {name: strike_secrets(given.text(name)[:_MAX_WORD]) for name in _WORDS if given.text(name)}


def parse_status(text: str) -> tuple[int, int]:
    """The least and the most status that `text` means: 429, 4xx, >=400. Raises `BadRequest`."""
    if not text:
        return ANY_STATUS
    found = _STATUS.fullmatch(text)
    if found is None:
        raise BadRequest(f"status: {text[:100]!r} is none", param="status", hint="write 429, 4xx or >=400")
    if found["exact"]:
        return int(found["exact"]), int(found["exact"])
    if found["hundred"]:
        return 100 * int(found["hundred"]), 100 * int(found["hundred"]) + 99
    least, most = ANY_STATUS
    bound = int(found["bound"])
    return {">=": (bound, most), ">": (bound + 1, most), "<=": (least, bound), "<": (least, bound - 1)}[found["sign"]]


def _find_key(given: Parameters, text: str) -> str:
    found = given.find_keys(text)
    if len(found) > 1:
        raise BadRequest(f"key: several keys are called so: {', '.join(found)}", param="key", hint="give the id")
    return found[0]


def _parse_place(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,17}", text):
        raise BadRequest("before: this is no place in the list", param="before", hint="take what `next` says, as it is")
    return int(text)
