"""Call: what came through the door."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from copilot_api.errors import Rate
from copilot_api.gateway.kinds import Clues
from copilot_api.gateway.surface import Surface
from copilot_api.keys.models import ApiKey
from copilot_api.observability.trace_context import TraceContext
from copilot_api.protocols.base import Envelope, StreamRelay
from copilot_api.upstream.tap import UpstreamTap

_PLAIN = Envelope()


@dataclass(slots=True)
class Call:
    """One call before anything is decided about it."""

    request_id: str
    surface: Surface
    client: str
    """Which program calls, from a closed list."""
    arrived_at: datetime
    began: float
    """The arrival on the monotonic clock, for durations."""
    read_body: Callable[[], Awaitable[bytes]]
    key: ApiKey | None = None
    envelope: Envelope = _PLAIN
    is_batch: bool = False
    """Whether calls that somebody waits for go first."""
    clues: Clues | None = None
    """Of the headers those that tell what the call is for."""
    trace: TraceContext | None = None
    """The caller's span, where traces are exported and the caller is in one."""
    tap: UpstreamTap | None = None
    """Looks on upstream, where the call is captured."""


class Answer(Protocol):
    """
    Where the answer goes. What is written waits until the client can take it; a client that is gone ends the call.
    """

    is_started: bool
    """Whether the status is sent: from then on an error is an event, not a status."""
    has_events: bool
    """Whether any of a stream's own events are sent; notes and keep-alives are none."""
    dropped: tuple[str, ...]
    """What the client asked for and does not get; it is told in a header."""
    rates: tuple[Rate, ...]
    """How the key's limits per minute stand; told in headers."""

    def begin(self, stream: StreamRelay, media_type: bytes) -> None:
        """The answer will be this stream: it says how an error ends it."""
        ...

    async def send_whole(self, body: bytes) -> None:
        """A whole answer, status 200."""
        ...

    async def note(self, comment: bytes) -> None:
        """What tells the client of a stream that we are still here; the first one sends status 200."""
        ...

    async def write(self, events: bytes) -> None:
        """Some whole events of a stream; the first write sends status 200."""
        ...

    async def end(self, events: bytes) -> None:
        """The last events of a stream."""
        ...
