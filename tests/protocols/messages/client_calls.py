"""Requests, heads and answers for the tests of the client's side, in few words."""

import json
from pathlib import Path
from typing import Any

import msgspec

from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.conversation import (
    Answer,
    Carrier,
    Message,
    ModelRequest,
    Reasoning,
    StopReason,
    StreamEvent,
    Text,
    ToolCall,
    events_of,
)
from copilot_api.protocols.messages.read import read_conversation
from copilot_api.protocols.messages.request import MessagesRequest, parse_request
from copilot_api.protocols.messages.writer import MessagesWriter

CASES = Path(__file__).parent.parent / "cases" / "messages_client"
MODEL = "claude-opus-4-7"
HEAD = AnswerHead(model=MODEL, request_id="req_0a1", now=1_780_000_000, input_estimate=7)
USER = {"role": "user", "content": "hello"}
CARRIER = Carrier(kind="rs", data="encrypted", id="rs_1", model="gpt-5")
USAGE = Usage(input_tokens=10, output_tokens=9, cache_read_tokens=4, reasoning_tokens=3)
GOLDEN = Answer(
    parts=(Reasoning("Hm", CARRIER), Text("Hi"), ToolCall(id="call_1", name="f", arguments='{"a":1}')),
    stop=StopReason.TOOL_CALLS,
    usage=USAGE,
)


def source(**fields: Any) -> bytes:
    """A request's body; a field that is `...` is left out."""
    body = {"model": MODEL, "max_tokens": 100, "messages": [USER], **fields}
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


def request(**fields: Any) -> MessagesRequest:
    """The parsed request."""
    return parse_request(source(**fields))


def read(**fields: Any) -> ModelRequest:
    """The request in the neutral form."""
    return read_conversation(request(**fields))


def turns(*messages: tuple[str, Any]) -> tuple[Message, ...]:
    """The messages in the neutral form."""
    return read(messages=[{"role": role, "content": content} for role, content in messages]).messages


def wrote(events: "list[StreamEvent] | Answer", asked: MessagesRequest | None = None, head: AnswerHead = HEAD) -> bytes:
    """The stream of `events`."""
    writer = MessagesWriter(asked or request(), head)
    return b"".join([writer.write(event) for event in (events_of(events) if isinstance(events, Answer) else events)])


def described(value: Any) -> Any:
    """A neutral value as JSON that says what each part is; what is as it is by default is left out."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        told = {
            field.name: described(getattr(value, field.name))
            for field in fields
            if getattr(value, field.name) != field.default and getattr(value, field.name) not in ((), {})
        }
        return told if isinstance(value, ModelRequest) else {"is": type(value).__name__, **told}
    if isinstance(value, tuple | list):
        return [described(inner) for inner in value]
    return value
