"""
`TokenCounter`: the tokens of a request, counted in a thread, within bounds.

Clients count the same conversation again and again while it grows, so what a text had is remembered. A body that is
too big to count whole is counted in a sample and the rest by its share: a count may cost a second, never a minute.
"""

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import ModelRequest
from copilot_api.protocols.token_count import count_request, fallback_count
from copilot_api.tokens.encodings import known_name, load_encoding

MAX_AT_ONCE = 2
MAX_CHARACTERS = 4_000_000
"""What is counted exactly of one request: a fifth of a second of English, a whole one of the worst input known."""
_TEXT_CHARACTERS = 64
"""What a text counts for beside its length, so that very many short ones are bounded too."""
PIECE_CHARACTERS = 64_000
"""The longest stretch that is handed to the tokenizer at once: its lock is not held for longer than a moment."""
_MAX_KNOWN = 32_768
"""Some 6 MB; a long conversation has thousands of texts, and an eviction each would make all of them new."""
_REMEMBERED_CHARACTERS = 200
_loading = threading.Lock()


class TokenCounter:
    """See the module."""

    def __init__(self) -> None:
        # Threads of its own: one whose caller hung up goes on, and still counts as one of them.
        self._threads = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="count")
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    async def count(self, request: ModelRequest, traits: ModelTraits) -> int:
        """How many tokens the input of `request` has for this model; at least 1."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._count, request, traits)

    def _count(self, request: ModelRequest, traits: ModelTraits) -> int:
        return count_request(request, traits, _Bounded(self._count_text, known_name(traits.tokenizer)).count)

    def _count_text(self, text: str, name: str) -> int:
        if len(text) < _REMEMBERED_CHARACTERS:
            return _encoded(text, name)
        key = hashlib.blake2b(text.encode(errors="replace"), digest_size=16, key=name.encode()).digest()
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        counted = _encoded(text, name)
        with self._lock:
            self._known[key] = counted
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        return counted


class _Bounded:
    """The count of one request's texts, within `MAX_CHARACTERS` in all."""

    def __init__(self, count: Callable[[str, str], int], name: str) -> None:
        self._count = count
        self._name = name
        self._left = MAX_CHARACTERS

    def count(self, text: str) -> int:
        if not text:
            return 0
        sample = text[: max(0, self._left)]
        self._left -= len(sample) + _TEXT_CHARACTERS
        if not sample:
            return fallback_count(text)
        counted = self._count(sample, self._name)
        return counted if len(sample) == len(text) else -(-counted * len(text) // len(sample))


def _encoded(text: str, name: str) -> int:
    try:
        with _loading:  # two at once would read and keep it twice
            encoding = load_encoding(name)
    except (OSError, ImportError, ValueError):
        return fallback_count(text)  # a gateway without its data still answers, on the high side
    pieces = range(0, len(text), PIECE_CHARACTERS)
    return sum(len(encoding.encode_ordinary(text[place : place + PIECE_CHARACTERS])) for place in pieces)
