"""Addresses: the same page with other filters. What a reader sees is in its URL, to be sent and gone back to."""

import urllib.parse
from collections.abc import Iterable

Value = str | int | None


def page_url(path: str, fields: Iterable[tuple[str, str]] = (), **changes: Value) -> str:
    """
    `path` with `fields` (an `AdminRequest.query`, say), some of them changed: None or an empty text takes one away. A
    name that Python keeps for itself may end in `_`.
    """
    wanted = {name.removesuffix("_"): value for name, value in changes.items()}
    kept = [(name, value) for name, value in fields if name not in wanted]
    kept += [(name, str(value)) for name, value in wanted.items() if value not in {None, ""}]
    return f"{path}?{urllib.parse.urlencode(kept)}" if kept else path


def sort_url(path: str, fields: Iterable[tuple[str, str]], column: str, current: str, *, first: str = "-") -> str:
    """The list sorted by `column`: `sort=name` or `sort=-name`. Asked for again, it turns round; pages start anew."""
    descending, ascending = f"-{column}", column
    wanted = descending if first == "-" else ascending
    if current in {descending, ascending}:
        wanted = ascending if current == descending else descending
    return page_url(path, fields, sort=wanted, after=None, before=None)
