"""
Tool names that the upstream takes, and the client's own back (pitfalls 13 and 14).

Upstreams take letters, digits, `_` and `-`, up to a length. Any other name gets a short one that depends on nothing but
the name: the next turn gives it the same, so that prompt caches hold.
"""

import hashlib
import re
from collections.abc import Iterable

_VALID = re.compile(r"[A-Za-z0-9_-]+\Z")
_INVALID_CHARACTER = re.compile(r"[^A-Za-z0-9_-]")


class ToolNames:
    """The names of one request, both ways."""

    def __init__(self, names: Iterable[str], limit: int) -> None:
        self._limit = limit
        self._sent: dict[str, str] = {}
        self._original: dict[str, str] = {}
        taken = set(names)
        for name in dict.fromkeys(names):
            sent = name if self._is_valid(name) else self._shortened(name, taken)
            if sent != name:
                self._sent[name] = sent
                self._original[sent] = name

    def __bool__(self) -> bool:
        """Whether any name changes."""
        return bool(self._sent)

    def sent(self, name: str) -> str:
        """The name that goes upstream."""
        return self._sent.get(name, name)

    def original(self, sent: str) -> str:
        """The client's name for what the upstream calls `sent`."""
        return self._original.get(sent, sent)

    def _is_valid(self, name: str) -> bool:
        return len(name) <= self._limit and _VALID.match(name) is not None

    def _shortened(self, name: str, taken: set[str]) -> str:
        digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()
        clean = _INVALID_CHARACTER.sub("_", name)
        for length in range(8, len(digest), 8):
            sent = f"{clean[: self._limit - length - 1]}_{digest[:length]}"
            if sent not in taken and sent not in self._original:
                return sent
        raise ValueError(name)
