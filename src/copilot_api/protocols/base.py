"""The values that every protocol shares: what a call consumed, who began it, and how a stream is relayed."""

from typing import Protocol

import msgspec

from copilot_api.errors import GatewayError


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one call consumed, in the gateway's own terms: `input_tokens` counts cached input too, `output_tokens`
    reasoning too.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class ParsedRequest(Protocol):
    """A client's request as the gateway needs to know it; the rest of it stays bytes."""

    @property
    def model(self) -> str:
        """The model's name as the caller wrote it."""
        ...

    @property
    def is_streamed(self) -> bool:
        """Whether the answer is to arrive as events."""
        ...

    @property
    def initiator(self) -> str:
        """`user` for the first call of a human turn, `agent` for what follows from it (Copilot bills the former)."""
        ...

    @property
    def has_images(self) -> bool:
        """Whether any part of the request is an image."""
        ...

    @property
    def effort(self) -> str | None:
        """The reasoning effort asked for, if any."""
        ...

    def render(self, upstream_model: str) -> bytes:
        """The body that goes upstream."""
        ...


class AnswerMeter(Protocol):
    """What an answer, whole or streamed, turned out to hold."""

    usage: Usage | None
    nano_aiu: int | None


class StreamRelay(AnswerMeter, Protocol):
    """
    One streamed answer on its way through: upstream bytes in, the client's bytes out, usage noted in passing.

    `failure` says that the upstream reported one inside the stream; what came before it has been handed out. `finish`
    raises it, or that the stream ended before the answer did.
    """

    failure: GatewayError | None

    def feed(self, chunk: bytes) -> bytes:
        """What the client gets for `chunk`; may be empty."""
        ...

    def finish(self) -> bytes:
        """The end of the answer, once the upstream has ended."""
        ...

    @property
    def has_content(self) -> bool:
        """Whether any of the answer itself has come by."""
        ...
