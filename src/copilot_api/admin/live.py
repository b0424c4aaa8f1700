"""
What has changed, told to pages that are open: names of topics, not their content.

A page says which topics its parts show (`data-live`) and fetches those parts anew when one of them changed, so there is
one way in which a thing is rendered, and nothing is made for tabs that nobody looks at: they do not listen.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable
from dataclasses import dataclass

from copilot_api.admin.answers import Answer, Stream
from copilot_api.admin.requests import AdminRequest

CHECK_SECONDS = 1.0
"""How often it is looked whether something changed."""
QUIET_SECONDS = 15.0
"""After so long without a word a comment is sent: proxies close what they think is dead."""
RETRY_MILLISECONDS = 3000
MAX_TOPICS = 16

Mark = Callable[[], Hashable]
"""Something that is another when the topic has changed: a count, a time. Asked every second for each reader: no I/O."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What pages can listen to."""

    mark: Mark
    is_for_holders: bool
    """Whether somebody with a client's key may hear that it changed."""


class LiveTopics:
    """See the module."""

    def __init__(self, check_seconds: float = CHECK_SECONDS, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._check_seconds = check_seconds
        self._quiet_checks = max(1, round(quiet_seconds / check_seconds))
        self._topics: dict[str, Topic] = {}

    def add(self, name: str, mark: Mark, *, is_for_holders: bool = False) -> None:
        """Offer a topic."""
        if name in self._topics:
            raise ValueError(f"two topics are named {name!r}")
        self._topics[name] = Topic(mark, is_for_holders)

    def choose(self, wanted: Iterable[str], *, is_admin: bool) -> dict[str, Mark]:
        """Those of `wanted` that there are, and that the reader may hear of. The rest never changes."""
        known = {name: self._topics[name] for name in dict.fromkeys(wanted) if name in self._topics}
        return {name: topic.mark for name, topic in known.items() if is_admin or topic.is_for_holders}

    async def follow(self, marks: dict[str, Mark]) -> AsyncGenerator[bytes]:
        """Server-sent events, for ever: `changed`, with the names of what did."""
        seen = {name: mark() for name, mark in marks.items()}
        yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
        quiet = 0
        while True:
            await asyncio.sleep(self._check_seconds)
            now = {name: mark() for name, mark in marks.items()}
            changed = [name for name, mark in now.items() if mark != seen[name]]
            seen = now
            quiet = 0 if changed else quiet + 1
            if changed:
                yield f"event: changed\ndata: {json.dumps(changed)}\n\n".encode()
            elif quiet >= self._quiet_checks:
                quiet = 0
                yield b":\n\n"


class LiveView:
    """`/admin/live?topics=usage,state`."""

    def __init__(self, topics: LiveTopics) -> None:
        self._topics = topics

    async def follow(self, request: AdminRequest) -> Answer:
        """Events for one tab."""
        wanted = request.query.get("topics").split(",")[:MAX_TOPICS]
        marks = self._topics.choose(wanted, is_admin=request.is_admin)
        return Stream(self._topics.follow(marks), "text/event-stream", is_live=True)
