"""
The neutral form: what every protocol says, in the gateway's own values.

A translated call makes one hop through it. The client's protocol is read into a `ModelRequest`, which the upstream's
protocol renders; the upstream's answer is read into an `Answer` or a stream of `StreamEvent`s, which the client's
protocol renders. No protocol knows another one.

    client's request ──read_conversation──▶ ModelRequest ──render_request──▶ upstream
    client's answer  ◀──render_answer────── Answer       ◀──parse_answer──── upstream
    client's events  ◀──Writer.write─────── StreamEvent  ◀──Reader.feed───── upstream
"""

import enum
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from copilot_api.protocols.base import Usage

# Carriers -----------------------------------------------------------------------------------------------------------


class Carrier(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a model gives beside its reasoning so that it can be replayed: opaque, and good for that vendor only.

    `kind` says whose it is: `rs` an encrypted reasoning item of Responses (with the item's `id`), `an` the signature of
    an Anthropic thinking block (with the `text` that it signs), `rd` the data of a redacted one, `ro` the opaque field
    of Copilot's chat.
    """

    kind: Literal["rs", "an", "rd", "ro"]
    data: str
    id: str = ""
    text: str = ""
    model: str = ""
    """The upstream model that made it, when known."""


# Parts of a message -------------------------------------------------------------------------------------------------


class Text(msgspec.Struct, frozen=True):
    """Something said."""

    text: str


class Refusal(msgspec.Struct, frozen=True):
    """A model's words for not answering."""

    text: str


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image: base64 `data` of a `media_type`, or a `url` that is no data URL."""

    data: str = ""
    media_type: str = ""
    url: str = ""
    detail: str | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document: base64 `data` of a `media_type`, plain `text`, or a `url`."""

    title: str = ""
    media_type: str = ""
    data: str = ""
    text: str = ""
    url: str = ""


class Reasoning(msgspec.Struct, frozen=True):
    """What a model thought, as far as it shows it (`text` may be empty), and what replays it."""

    text: str
    carrier: Carrier | None = None


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool: `arguments` is JSON as the model wrote it, or the bare input of a custom tool."""

    id: str
    name: str
    arguments: str
    is_custom: bool = False


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool answered; no parts means that it said nothing."""

    call_id: str
    parts: "tuple[Text | Image | Document, ...]"
    is_error: bool = False


Part = Text | Refusal | Image | Document | Reasoning | ToolCall | ToolResult


class Message(msgspec.Struct, frozen=True):
    """
    One turn. Tool results stand in a user message, before anything else in it; a `system` message is one in the middle
    of a conversation, and stands where it was said.
    """

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]
    phase: str | None = None
    """Of an assistant's message: `commentary` or `final_answer`, where the client said so (Responses)."""


# The request --------------------------------------------------------------------------------------------------------


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the client runs. A custom one takes free text, by `grammar` if there is one (Responses' `format`)."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    """JSON Schema, as the client wrote it; empty when it wrote none."""
    strict: bool | None = None
    is_custom: bool = False
    grammar: dict[str, Any] | None = None


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """`mode`: the model decides (`auto`), must call one (`any`), must call `name` (`tool`), must not (`none`)."""

    mode: Literal["auto", "any", "tool", "none"]
    name: str = ""
    allowed: tuple[str, ...] | None = None
    """When given, only these of the tools may be called."""


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The form that the answer must have."""

    kind: Literal["json_object", "json_schema"]
    name: str = ""
    description: str = ""
    schema: dict[str, Any] = {}
    strict: bool | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """
    How much to think, as the client put it: an `effort`, a budget of tokens, either, neither, or not at all
    (`is_disabled`). `is_shown` is false when it asked for the text to be left out, None when it did not say.
    """

    effort: str | None = None
    budget_tokens: int | None = None
    is_disabled: bool = False
    is_adaptive: bool = False
    is_shown: bool | None = None


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for an answer."""

    model: str
    """The name that the caller used."""
    system: tuple[str, ...] = ()
    """The instructions that lead the conversation, one entry for each text as it was given."""
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    is_parallel: bool | None = None
    """Whether several tools may be called at once; None when the client did not say."""
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    thinking: Thinking | None = None
    output_format: OutputFormat | None = None
    verbosity: str | None = None
    user: str | None = None
    """A stable, anonymous name of the end user, at most 64 characters, when the client gave one."""
    cache_key: str | None = None
    """What groups calls with a common prefix, at most 64 characters."""
    is_streamed: bool = False
    dropped: tuple[str, ...] = ()
    """What the client asked for and no upstream of ours can do, by name: told to it in a header."""


# The answer ---------------------------------------------------------------------------------------------------------


class StopReason(enum.Enum):
    """Why an answer ended."""

    END = "end"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    STOP_SEQUENCE = "stop_sequence"
    FILTERED = "filtered"
    CONTEXT_FULL = "context_full"
    PAUSED = "paused"


AnswerPart = Text | Refusal | Reasoning | ToolCall


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer."""

    parts: tuple[AnswerPart, ...]
    stop: StopReason
    stop_sequence: str | None = None
    usage: Usage | None = None
    nano_aiu: int | None = None
    phase: str | None = None


# The answer as events -----------------------------------------------------------------------------------------------
#
# A reader keeps this order, so that writers need not untangle anything:
#
#     Started  ( ReasoningDelta* ReasoningEnd | TextDelta+ | RefusalDelta+ | ToolStart ToolDelta* ToolEnd )*  Finished
#
# Started comes once and first, Finished once and last. A stretch of reasoning ends with its ReasoningEnd before
# anything else; of a tool call nothing comes in between, and calls that the upstream interleaves are held back.
# Deltas are never empty. An answer that fails has no Finished: the reader raises, or sets `failure`.


class Started(msgspec.Struct, frozen=True, gc=False):
    """The model has begun; `usage` is its first word on the input, when it has one."""

    usage: Usage | None = None


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False):
    """Some of the reasoning's text."""

    text: str


class ReasoningEnd(msgspec.Struct, frozen=True, gc=False):
    """A stretch of reasoning is over; it may have had no text at all."""

    carrier: Carrier | None = None


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """Some of the text."""

    text: str


class RefusalDelta(msgspec.Struct, frozen=True, gc=False):
    """Some of a refusal's text."""

    text: str


class ToolStart(msgspec.Struct, frozen=True, gc=False):
    """A tool is called."""

    id: str
    name: str
    is_custom: bool = False


class ToolDelta(msgspec.Struct, frozen=True, gc=False):
    """Some of the arguments."""

    arguments: str


class ToolEnd(msgspec.Struct, frozen=True, gc=False):
    """The arguments are complete (those of a call without any are `{}`)."""


class Finished(msgspec.Struct, frozen=True, gc=False):
    """The answer is over."""

    stop: StopReason
    usage: Usage | None = None
    stop_sequence: str | None = None


StreamEvent = (
    Started | ReasoningDelta | ReasoningEnd | TextDelta | RefusalDelta | ToolStart | ToolDelta | ToolEnd | Finished
)


def events_of(answer: Answer) -> Iterator[StreamEvent]:
    """A whole answer as the events that a stream would have had."""
    yield Started(answer.usage)
    for part in answer.parts:
        if isinstance(part, Reasoning):
            if part.text:
                yield ReasoningDelta(part.text)
            yield ReasoningEnd(part.carrier)
        elif isinstance(part, ToolCall):
            yield ToolStart(part.id, part.name, part.is_custom)
            if part.arguments:
                yield ToolDelta(part.arguments)
            yield ToolEnd()
        elif part.text:
            yield TextDelta(part.text) if isinstance(part, Text) else RefusalDelta(part.text)
    yield Finished(answer.stop, answer.usage, answer.stop_sequence)


class Collector:
    """Gathers events into the answer that they amount to."""

    def __init__(self) -> None:
        self._parts: list[AnswerPart] = []
        self._kind: type[Text | Refusal | Reasoning] | None = None
        self._pieces: list[str] = []
        self._call: ToolStart | None = None
        self.finished: Finished | None = None

    def add(self, events: Iterable[StreamEvent]) -> None:
        """Take `events` in."""
        for event in events:
            self._add(event)

    def answer(self, *, nano_aiu: int | None = None) -> Answer:
        """The answer. Raises `ValueError` when its end has not come."""
        if self.finished is None:
            raise ValueError("the answer is not finished")
        self._flush()
        return Answer(
            parts=tuple(self._parts),
            stop=self.finished.stop,
            stop_sequence=self.finished.stop_sequence,
            usage=self.finished.usage,
            nano_aiu=nano_aiu,
        )

    def _add(self, event: StreamEvent) -> None:
        match event:
            case TextDelta(text):
                self._piece(Text, text)
            case RefusalDelta(text):
                self._piece(Refusal, text)
            case ReasoningDelta(text):
                self._piece(Reasoning, text)
            case ReasoningEnd(carrier):
                text = "".join(self._pieces) if self._kind is Reasoning else ""
                if self._kind is not Reasoning:
                    self._flush()
                self._kind, self._pieces = None, []
                self._parts.append(Reasoning(text, carrier))
            case ToolStart():
                self._flush()
                self._call = event
            case ToolDelta(arguments):
                self._pieces.append(arguments)
            case ToolEnd():
                call, arguments = self._call, "".join(self._pieces)
                self._call, self._pieces = None, []
                if call is not None:
                    part = ToolCall(id=call.id, name=call.name, arguments=arguments, is_custom=call.is_custom)
                    self._parts.append(part)
            case Finished():
                self.finished = event
            case Started():
                pass

    def _piece(self, kind: type[Text | Refusal | Reasoning], text: str) -> None:
        if self._kind is not kind:
            self._flush()
            self._kind = kind
        self._pieces.append(text)

    def _flush(self) -> None:
        if self._kind is not None:
            self._parts.append(self._kind("".join(self._pieces)))
        self._kind, self._pieces = None, []
