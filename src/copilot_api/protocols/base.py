"""The values that every protocol shares: what a call consumed, what a model can do, and how an answer is relayed."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from copilot_api.errors import GatewayError
from copilot_api.protocols.sse import KEEP_ALIVE


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


class ModelTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What of an upstream model decides how a request to it is written. What the catalog does not say is empty."""

    id: str
    vendor: str = ""
    max_output_tokens: int | None = None
    max_prompt_tokens: int | None = None
    efforts: tuple[str, ...] = ()
    """The reasoning efforts that it lists."""
    default_effort: str = ""
    """The operator's choice for requests that name none; empty for the model's own."""
    has_adaptive_thinking: bool = False
    min_thinking_budget: int | None = None
    max_thinking_budget: int | None = None
    has_structured_outputs: bool = False
    tokenizer: str = "o200k_base"

    @property
    def is_claude(self) -> bool:
        """Anthropic's."""
        return self.vendor == "Anthropic" or self.id.startswith("claude-")

    @property
    def is_openai(self) -> bool:
        """OpenAI's, wherever it is served."""
        return self.vendor in {"OpenAI", "Azure OpenAI"} or self.id.startswith(("gpt-", "o1", "o3", "o4"))

    @property
    def is_reasoning(self) -> bool:
        """Of OpenAI's families that refuse `max_tokens`, `stop` and sampling parameters."""
        return self.id.startswith(("gpt-5", "o1", "o3", "o4"))

    @property
    def takes_only_adaptive_thinking(self) -> bool:
        """Claude models that refuse a budget. The catalog has no flag for it (protocol reference, 9.3)."""
        return self.has_adaptive_thinking and not self.id.startswith(("claude-opus-4.6", "claude-sonnet-4.6"))


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What of a request stands outside its body."""

    model: str = ""
    """The model in the path (Gemini)."""
    is_streamed: bool = False
    """Whether the path asks for a stream (Gemini)."""
    is_array: bool = False
    """Whether that stream is to be one JSON array instead of events (Gemini without `alt=sse`)."""
    betas: tuple[str, ...] = ()
    """The values of `anthropic-beta`."""


class Outgoing(msgspec.Struct, frozen=True):
    """A request as it goes upstream."""

    body: bytes
    headers: Mapping[str, str] = {}
    """The headers that belong to this protocol, beside those of every call."""
    has_images: bool = False


class AnswerHead(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says of itself beside its content."""

    model: str
    """The name that the caller used."""
    request_id: str
    now: int
    """Unix seconds."""
    input_estimate: int = 0
    """About how many tokens the input has, for protocols that tell it first and upstreams that tell it last."""

    @property
    def stem(self) -> str:
        """What makes this answer's ids unique: letters and digits only."""
        return "".join(character for character in self.request_id if character.isalnum())


SHOWN_CHARACTERS = 512
"""How much of a text is looked at to tell what a call is for; also as bytes."""
NOTHING = msgspec.Raw(b"null")


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """
    What tells what a request is for without its being read: how much of what it has, and where two of its texts begin.
    Those are raw JSON, a string or a list of parts, and may go on: whoever looks at them looks at the beginning only.
    """

    tools: int = 0
    messages: int = 0
    system: msgspec.Raw = NOTHING
    """The system prompt."""
    said: msgspec.Raw = NOTHING
    """What the user said last; nothing where the model or a tool had the last word."""


def shown(text: str) -> msgspec.Raw:
    """The beginning of `text`, which was decoded, as an `Outline` has it."""
    return msgspec.Raw(msgspec.json.encode(text[:SHOWN_CHARACTERS]))


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

    @property
    def output_limit(self) -> int | None:
        """The most output tokens that the caller asks for; None when it does not say."""
        ...

    @property
    def outline(self) -> Outline:
        """What tells what the call is for."""
        ...

    def render(self, traits: ModelTraits) -> Outgoing:
        """The request to a model that speaks this protocol itself: the caller's, with named edits."""
        ...


def output_limit_of(given: float | None) -> int | None:
    """`given` as an `output_limit`: a number that is whole and not negative says one."""
    return int(given) if given is not None and given >= 0 and given % 1 == 0 else None


class AnswerMeter(Protocol):
    """What an answer, whole or streamed, turned out to hold."""

    @property
    def usage(self) -> Usage | None:
        """What it consumed; None while, or when, the upstream does not say."""
        ...

    @property
    def nano_aiu(self) -> int | None:
        """What Copilot charges for it."""
        ...


class StreamRelay(AnswerMeter, Protocol):
    """
    One streamed answer on its way through: upstream bytes in, the client's bytes out, usage noted in passing.

    `failure` says that the upstream reported one inside the stream; what came before it has been handed out. `finish`
    raises it, or that the stream ended before the answer did.
    """

    @property
    def failure(self) -> GatewayError | None:
        """What the upstream reported inside the stream."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """What the client gets for `chunk`; may be empty."""
        ...

    def finish(self) -> bytes:
        """The end of the answer, once the upstream has ended."""
        ...

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """`error` as the end of the stream: in the caller's protocol, and never to be taken for a success."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing more is wanted of the upstream, though it may have more to say."""
        ...

    def keep_alive(self, note: str = KEEP_ALIVE) -> bytes:
        """
        What tells the client that we are still here while the upstream says nothing; always between two events.

        `note` is for people who look at the stream: the text of the comment, where the protocol has one here.
        """
        ...

    @property
    def has_content(self) -> bool:
        """Whether any of the answer itself has come by."""
        ...
