"""What a protocol brings to be translated: as the client's, and as the upstream's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from copilot_api.errors import GatewayError
from copilot_api.protocols.base import AnswerHead, ModelTraits, Outgoing, Usage
from copilot_api.protocols.conversation import Answer, ModelRequest, StreamEvent
from copilot_api.protocols.sse import KEEP_ALIVE


class Reader(Protocol):
    """
    An upstream's stream, read: bytes in, events out, in the order that `copilot_api.protocols.conversation` promises.

    `failure` says that the upstream reported one inside the stream; what came before it has been handed out.
    """

    @property
    def usage(self) -> Usage | None:
        """What the answer consumed, as far as the upstream has said."""
        ...

    @property
    def nano_aiu(self) -> int | None:
        """What Copilot charges for it."""
        ...

    @property
    def failure(self) -> GatewayError | None:
        """See the class."""
        ...

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` brings; never raises."""
        ...

    def finish(self) -> list[StreamEvent]:
        """
        The events that are due once the upstream has ended, `Finished` last if it has not come yet. Raises `failure`,
        or `UpstreamCut` when the stream ended before the answer did.
        """
        ...


class Writer(Protocol):
    """A client's stream, written: events in, bytes out."""

    def write(self, event: StreamEvent) -> bytes:
        """What the client gets for `event`; may be empty. `Finished` gives all that ends a stream."""
        ...

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """`error` as the end of the stream, never to be taken for a success; also before any event was written."""
        ...

    def keep_alive(self, note: str = KEEP_ALIVE) -> bytes:
        """What tells the client that we are still here; `note` as in `StreamRelay`."""
        ...


@dataclass(frozen=True, slots=True)
class ClientCodec:
    """
    A protocol as clients speak it. `Any` is the protocol's own request: what its `parse_request` gave.

    `read_conversation` raises `BadRequest` for what cannot be translated.
    """

    read_conversation: Callable[[Any], ModelRequest]
    render_answer: Callable[[Answer, Any, AnswerHead], bytes]
    open_writer: Callable[[Any, AnswerHead], Writer]


@dataclass(frozen=True, slots=True)
class UpstreamCodec:
    """A protocol as Copilot speaks it. `parse_answer` raises `UpstreamFailed` (or what the answer itself reports)."""

    render_request: Callable[[ModelRequest, ModelTraits], Outgoing]
    parse_answer: Callable[[bytes], Answer]
    open_reader: Callable[[], Reader]
