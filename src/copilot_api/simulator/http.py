"""Requests as the simulator's endpoints see them, and answers as they hand them over; the sending is elsewhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from copilot_api.simulator.faults import Fault
from copilot_api.simulator.replies import Reply, gateway_refusal
from copilot_api.simulator.wire import Frame, Json, decode, is_object

EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read to its end."""

    method: str
    path: str
    scheme: str
    headers: dict[str, str]
    body: bytes

    @property
    def base_url(self) -> str:
        """Where the client found this simulator."""
        return f"{self.scheme}://{self.headers.get('host', 'localhost')}"

    def header(self, name: str) -> str:
        """A header's value, empty when it is absent."""
        return self.headers.get(name, "")

    def json_object(self) -> Json:
        """The body as a JSON object, or the refusal for anything else."""
        try:
            value = decode(self.body)
        except ValueError as error:
            raise gateway_refusal("failed to parse request") from error
        if not is_object(value):
            raise gateway_refusal("failed to parse request: expected a JSON object")
        return value

    def fields(self) -> Json:
        """The body of an OAuth call: JSON or a form."""
        try:
            value = decode(self.body)
        except ValueError:
            return dict(parse_qsl(self.body.decode("utf-8", "replace")))
        return value if is_object(value) else {}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An answer on its way: whole, or as a stream of events."""

    reply: Reply
    frames: Iterable[Frame] | None = None
    fault: Fault | None = None
    pieces: int = 0
    """How many pieces of output a whole model answer has; it takes as long as they would as a stream."""


def streamed(frames: Iterable[Frame], headers: Mapping[str, str], fault: Fault | None) -> Outgoing:
    """A successful stream."""
    return Outgoing(Reply(200, b"", EVENT_STREAM, headers), frames, fault)


@dataclass(slots=True)
class Progress:
    """How far an answer has come."""

    has_started: bool = False
    is_finished: bool = False
    is_broken: bool = False
    """The simulator itself broke it off, as a fault asked."""
    is_settled: bool = False
    """Counted; that happens once."""
    status: int = 0
