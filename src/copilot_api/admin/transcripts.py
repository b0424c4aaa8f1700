"""
A captured call as the conversation that it was: what was said before, and the answer, in whichever protocol. Pure.

It is read as the gateway itself reads requests. What only one vendor understands cannot be read so; then the bodies
still say it.
"""

import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from copilot_api.capture.answers import Said, read_said
from copilot_api.capture.models import Trace
from copilot_api.errors import GatewayError
from copilot_api.gateway.surfaces import find_surface
from copilot_api.protocols.base import Envelope, Usage
from copilot_api.protocols.conversation import (
    Document,
    Image,
    Message,
    ModelRequest,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)

MAX_TURNS = 80
"""Of a longer conversation the turns in the middle are left out."""
_FIRST_TURNS = 10
MAX_CHARACTERS = 20_000
"""Of one piece; a longer one is cut."""
LONG_CHARACTERS = 1_500
"""What is longer is folded."""

Kind = Literal["text", "reasoning", "call", "result", "media"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what somebody said."""

    kind: Kind
    text: str
    label: str = ""
    """What a tool is called, or what is attached."""
    is_cut: bool = False

    @property
    def is_long(self) -> bool:
        """Whether it is folded."""
        return len(self.text) > LONG_CHARACTERS


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said; a `gap` stands for turns that are left out."""

    role: Literal["system", "user", "assistant", "tool", "gap"]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """The conversation."""

    turns: tuple[Turn, ...]
    answer: Turn
    said: Said
    usage: Usage | None = None
    """What Copilot said it consumed; not every client is told."""
    tools: tuple[str, ...] = ()
    """The names of those that were offered."""
    problem: str = ""
    """Why what was said before cannot be read; empty when it can."""


def read_transcript(trace: Trace, envelope: Envelope) -> Transcript:
    """The conversation of `trace`, with what stood outside of its request's body. May take a moment with long ones."""
    said = _read_upstream(trace) if trace.client_answer is None else read_said(trace.endpoint, trace.client_answer)
    answer, usage = Turn("assistant", tuple(_read_answer(said))), said.usage or _read_upstream(trace).usage
    try:
        request = _read_request(trace, envelope)
    except (GatewayError, ValueError, RecursionError) as error:
        reason = error.message if isinstance(error, GatewayError) else "its body is no request of its protocol"
        return Transcript((), answer, said, usage, problem=reason)
    return Transcript(tuple(_list_turns(request)), answer, said, usage, tuple(tool.name for tool in request.tools))


def _read_upstream(trace: Trace) -> Said:
    """What Copilot's own answer says, which may be in another protocol than the client's."""
    if trace.upstream_request is None:
        return read_said(trace.endpoint, trace.upstream_answer)
    path = urllib.parse.urlsplit(trace.upstream_request.target).path
    return read_said(f"/v1{path.removeprefix('/v1')}", trace.upstream_answer)


def _read_request(trace: Trace, envelope: Envelope) -> ModelRequest:
    leg, surface = trace.client_request, find_surface(trace.endpoint)
    if leg.withheld:
        raise ValueError("withheld")
    if surface is None or surface.client is None:
        raise ValueError("no conversation")
    return surface.client.read_conversation(surface.parse_request(leg.body.encode(), envelope))


def _list_turns(request: ModelRequest) -> Iterator[Turn]:
    if request.system:
        yield Turn("system", tuple(_piece("text", text) for text in request.system))
    turns = [turn for message in request.messages for turn in _split(message)]
    left_out = len(turns) - MAX_TURNS
    if left_out <= 0:
        yield from turns
        return
    yield from turns[:_FIRST_TURNS]
    yield Turn("gap", (Piece("text", f"{left_out} turns are left out here."),))
    yield from turns[_FIRST_TURNS + left_out :]


def _split(message: Message) -> Iterator[Turn]:
    """A message as turns: what tools answered is no word of the user's."""
    results = tuple(part for part in message.parts if isinstance(part, ToolResult))
    others = tuple(part for part in message.parts if not isinstance(part, ToolResult))
    if results:
        yield Turn("tool", tuple(_read_part(part) for part in results))
    if others:
        yield Turn(message.role, tuple(_read_part(part) for part in others))


def _read_part(part: Part) -> Piece:
    match part:
        case Text(text) | Refusal(text):
            return _piece("text", text)
        case Reasoning(text):
            return _piece("reasoning", text or "(not shown by the model)")
        case ToolCall(name=name, arguments=arguments):
            return _piece("call", arguments, name)
        case ToolResult(parts=parts, is_error=is_error):
            return _piece("result", "\n".join(_words_of(parts)), "failed" if is_error else "")
        case Image() | Document():
            return _piece("media", next(iter(_words_of([part]))), "")


def _words_of(parts: Iterable[Text | Image | Document]) -> Iterator[str]:
    for part in parts:
        match part:
            case Text(text):
                yield text
            case Image(url=url, media_type=media_type, data=data):
                yield f"(image {url or f'{media_type}, {len(data)} characters of base64'})"
            case Document(title=title, url=url, text=text, media_type=media_type):
                yield f"(document {title or url or media_type}) {text}".strip()


def _read_answer(said: Said) -> Iterator[Piece]:
    if said.reasoning:
        yield _piece("reasoning", said.reasoning)
    if said.text:
        yield _piece("text", said.text)
    for call in said.calls:
        yield _piece("call", call.arguments, call.name)


def _piece(kind: Kind, text: str, label: str = "") -> Piece:
    return Piece(kind, text[:MAX_CHARACTERS], label, is_cut=len(text) > MAX_CHARACTERS)
