"""
A surface: one endpoint of the data plane, as the pieces that its protocol brings; and a route: how one call's request
goes upstream and its answer comes back.

The life of a call is the same for every surface. If the model speaks the caller's own protocol upstream, the call
passes through (`NativeRoute`); otherwise it is translated (`TranslatedRoute`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from copilot_api.errors import UpstreamFailed
from copilot_api.protocols.base import (
    AnswerHead,
    AnswerMeter,
    Envelope,
    ModelTraits,
    Outgoing,
    ParsedRequest,
    StreamRelay,
)
from copilot_api.protocols.translation.codec import ClientCodec, UpstreamCodec
from copilot_api.protocols.translation.prepare import Target
from copilot_api.protocols.translation.translator import TranslatedAnswer, Translation, read_events


class WholeAnswer(AnswerMeter, Protocol):
    """An answer that came at once."""

    @property
    def body(self) -> bytes:
        """What the caller gets."""
        ...


@dataclass(frozen=True, slots=True)
class NativeCodec:
    """A protocol that Copilot speaks as the caller does: the answer passes through, mended. `Any` is its request."""

    upstream_endpoint: str
    read_answer: Callable[[Any, bytes, AnswerHead], WholeAnswer]
    open_stream: Callable[[Any, AnswerHead], StreamRelay]
    stream_whole: Callable[[Any, bytes, int], bytes]
    """A whole answer, already mended, as the events of a stream: some upstreams answer `stream: true` with JSON."""


@dataclass(frozen=True, slots=True)
class Surface:
    """See the module."""

    endpoint: str
    parse_request: Callable[[bytes, Envelope], ParsedRequest]
    native: NativeCodec | None
    client: ClientCodec | None
    """The protocol as one end of a translation; None where there is none (embeddings)."""
    stream_type: Callable[[Any], bytes] = lambda _: b"text/event-stream; charset=utf-8"
    """The media type of a stream that answers this request."""


@dataclass(frozen=True, slots=True)
class UpstreamEndpoint:
    """An endpoint of Copilot's that calls can be translated to."""

    endpoint: str
    target: Target
    codec: UpstreamCodec


class Route(Protocol):
    """How one call goes upstream."""

    @property
    def upstream_endpoint(self) -> str:
        """The path on Copilot's API."""
        ...

    @property
    def dropped(self) -> tuple[str, ...]:
        """What was asked for and cannot be given, by name."""
        ...

    def outgoing(self) -> Outgoing:
        """The request."""
        ...

    def input_estimate(self, estimate: Callable[[Any, ModelTraits], int]) -> int:
        """About how many tokens the input has; 0 where nobody needs to know beforehand."""
        ...

    def read_answer(self, body: bytes, head: AnswerHead) -> WholeAnswer:
        """A whole answer for the caller."""
        ...

    def read_events(self, body: bytes, head: AnswerHead) -> WholeAnswer:
        """A whole answer for the caller, from an upstream that only streams."""
        ...

    def open_stream(self, head: AnswerHead) -> StreamRelay:
        """A streamed answer for the caller."""
        ...

    def stream_whole(self, body: bytes, head: AnswerHead) -> tuple[AnswerMeter, bytes]:
        """A whole answer for a caller who waits for a stream."""
        ...


class NativeRoute:
    """The call passes through."""

    __slots__ = ("_client", "_codec", "_request", "_traits", "_upstream")

    def __init__(
        self,
        request: ParsedRequest,
        codec: NativeCodec,
        traits: ModelTraits,
        client: ClientCodec | None = None,
        upstream: UpstreamEndpoint | None = None,
    ) -> None:
        self._request = request
        self._codec = codec
        self._traits = traits
        self._client = client
        self._upstream = upstream

    @property
    def upstream_endpoint(self) -> str:
        """See `Route`."""
        return self._codec.upstream_endpoint

    @property
    def dropped(self) -> tuple[str, ...]:
        """See `Route`."""
        return ()

    def outgoing(self) -> Outgoing:
        """See `Route`."""
        return self._request.render(self._traits)

    def input_estimate(self, estimate: Callable[[Any, ModelTraits], int]) -> int:  # noqa: ARG002 -- the upstream tells it
        """See `Route`."""
        return 0

    def read_answer(self, body: bytes, head: AnswerHead) -> WholeAnswer:
        """See `Route`."""
        return self._codec.read_answer(self._request, body, head)

    def read_events(self, body: bytes, head: AnswerHead) -> WholeAnswer:
        """See `Route`. This is the one answer of a native call that goes through the neutral form."""
        if self._client is None or self._upstream is None:
            raise UpstreamFailed("GitHub Copilot answered a stream where none can be")
        answer = read_events(self._upstream.codec, body)
        rendered = self._client.render_answer(answer, self._request, head)
        return TranslatedAnswer(rendered, answer.usage, answer.nano_aiu)

    def open_stream(self, head: AnswerHead) -> StreamRelay:
        """See `Route`."""
        return self._codec.open_stream(self._request, head)

    def stream_whole(self, body: bytes, head: AnswerHead) -> tuple[AnswerMeter, bytes]:
        """See `Route`."""
        whole = self._codec.read_answer(self._request, body, head)
        return whole, self._codec.stream_whole(self._request, whole.body, head.now)


class TranslatedRoute:
    """The call is translated to another protocol and its answer back."""

    __slots__ = ("_endpoint", "_traits", "_translation")

    def __init__(
        self, request: ParsedRequest, client: ClientCodec, upstream: UpstreamEndpoint, traits: ModelTraits
    ) -> None:
        self._endpoint = upstream.endpoint
        self._traits = traits
        self._translation = Translation(request, client, upstream.codec, upstream.target, traits)

    @property
    def upstream_endpoint(self) -> str:
        """See `Route`."""
        return self._endpoint

    @property
    def dropped(self) -> tuple[str, ...]:
        """See `Route`."""
        return self._translation.dropped

    def outgoing(self) -> Outgoing:
        """See `Route`."""
        return self._translation.outgoing()

    def input_estimate(self, estimate: Callable[[Any, ModelTraits], int]) -> int:
        """See `Route`."""
        return estimate(self._translation.conversation, self._traits)

    def read_answer(self, body: bytes, head: AnswerHead) -> WholeAnswer:
        """See `Route`."""
        return self._translation.read_answer(body, head)

    def read_events(self, body: bytes, head: AnswerHead) -> WholeAnswer:
        """See `Route`."""
        return self._translation.read_events(body, head)

    def open_stream(self, head: AnswerHead) -> StreamRelay:
        """See `Route`."""
        return self._translation.open_stream(head)

    def stream_whole(self, body: bytes, head: AnswerHead) -> tuple[AnswerMeter, bytes]:
        """See `Route`."""
        return self._translation.stream_whole(body, head)
