"""How `copilot-api traces tail` follows gateways: each in a thread of its own, reconnecting where a link breaks."""

import http.client
import json
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from copilot_api.cli.trace_client import Failed, GatewayGone, Link, Refused, opened
from copilot_api.protocols.sse import EventTooLarge, SseDecoder

SILENCE_SECONDS = 45.0
"""A gateway says something every 15 s: one that says nothing for so long is gone."""
PAUSE_SECONDS = 1.0
"""How long it waits before it tries again."""
_PIECE_BYTES = 64 * 1024
_MAX_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class News:
    """Something that one of the gateways told, or that became of it."""

    kind: Literal["trace", "gap", "lost", "back"]
    link: Link
    content: dict[str, Any]


def follow(links: Sequence[Link], after: int | None, *, pause_seconds: float = PAUSE_SECONDS) -> Iterator[News]:
    """What these gateways tell, until all of them refuse to. Raises the last one's refusal."""
    told: queue.Queue[News | Refused] = queue.Queue(_MAX_WAITING)
    for link in links:
        follower = _Follower(link, after, told, pause_seconds)
        # A daemon: whoever reads may stop at any moment, and a thread that waits for a gateway cannot be told.
        threading.Thread(target=follower.run, daemon=True).start()
    left = len(links)
    while left:
        news = told.get()
        if isinstance(news, News):
            yield news
            continue
        left -= 1
        if not left:
            raise news


class _Follower:
    """Follows one gateway."""

    def __init__(
        self, link: Link, after: int | None, told: "queue.Queue[News | Refused]", pause_seconds: float
    ) -> None:
        self._link = link
        self._last = after
        self._told = told
        self._pause_seconds = pause_seconds
        self._is_lost = False

    def run(self) -> None:
        """Read until it refuses."""
        while True:
            try:
                self._read()
            except Failed:
                pass  # too many tails, say: there will be room again
            except Refused as refusal:
                self._told.put(refusal)
                return
            except (GatewayGone, OSError, http.client.HTTPException, EventTooLarge, ValueError, KeyError):
                pass
            if not self._is_lost:
                self._is_lost = True
                self._told.put(News("lost", self._link, {}))
            time.sleep(self._pause_seconds)

    def _read(self) -> None:
        """One connection to its end."""
        headers = {} if self._last is None else {"last-event-id": str(self._last)}
        path = "/admin/api/traces/tail"
        with opened(self._link, "GET", path, headers=headers, seconds=SILENCE_SECONDS) as response:
            if self._is_lost:
                self._is_lost = False
                self._told.put(News("back", self._link, {}))
            decoder = SseDecoder()
            while piece := response.read1(_PIECE_BYTES):
                for event in decoder.feed(piece):
                    self._tell(event.name or "", event.data)

    def _tell(self, name: str, data: bytes) -> None:
        content = json.loads(data)
        if name == "end":
            raise Refused(401, f"the gateway ended it: {content.get('reason')}")
        if name == "start" and self._last is None:
            self._last = int(content["after"])
        elif name == "trace":
            self._last = int(content["number"])
            self._told.put(News("trace", self._link, content))
        elif name == "gap":
            self._told.put(News("gap", self._link, content))
