"""A whole answer as a message, and the pieces of one that a stream says too."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from copilot_api.protocols import carriers
from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.conversation import (
    Answer,
    AnswerPart,
    Carrier,
    Reasoning,
    Refusal,
    StopReason,
    Text,
    ToolCall,
)
from copilot_api.protocols.messages.request import MessagesRequest
from copilot_api.protocols.openai_errors import sendable
from copilot_api.protocols.untyped import list_of, object_of

_STOP_REASONS = {
    StopReason.END: "end_turn",
    StopReason.TOOL_CALLS: "tool_use",
    StopReason.LENGTH: "max_tokens",
    StopReason.STOP_SEQUENCE: "stop_sequence",
    StopReason.FILTERED: "refusal",
    StopReason.CONTEXT_FULL: "model_context_window_exceeded",
    StopReason.PAUSED: "pause_turn",
}

Fields = dict[str, Any]


def render_answer(answer: Answer, request: MessagesRequest, head: AnswerHead) -> bytes:
    """The body of the whole answer."""
    content: list[Fields] = []
    for part in _joined(answer.parts):
        content += _blocks(part, answer.stop, head, len(content), hides_thinking=request.hides_thinking)
    has_calls = any(block["type"] == "tool_use" for block in content)
    usage = answer.usage or Usage(input_tokens=head.input_estimate)
    message = {
        **message_head(head),
        "content": content,
        **ending(answer.stop, answer.stop_sequence, has_calls=has_calls),
        "usage": {**usage_details(usage), **usage_counts(usage)},
    }
    return encoded(message)


# What a stream says too ---------------------------------------------------------------------------------------------


def message_head(head: AnswerHead) -> Fields:
    """How a message begins."""
    return {"id": f"msg_{head.stem}", "type": "message", "role": "assistant", "model": head.model, "container": None}


def ending(stop: StopReason, stop_sequence: str | None, *, has_calls: bool) -> Fields:
    """
    Why the answer ended. A client runs the tools only when it is told so, and waits for calls when it is: an end with
    calls says `tool_use`, one without never does (pitfall 53).
    """
    if stop in {StopReason.END, StopReason.TOOL_CALLS}:
        stop = StopReason.TOOL_CALLS if has_calls else StopReason.END
    is_refusal = stop is StopReason.FILTERED
    return {
        "stop_reason": _STOP_REASONS[stop],
        "stop_sequence": stop_sequence if stop is StopReason.STOP_SEQUENCE else None,
        "stop_details": {"type": "refusal", "category": None, "explanation": None} if is_refusal else None,
    }


def usage_counts(usage: Usage) -> Fields:
    """What the answer consumed; here, unlike in the gateway's own terms, `input_tokens` is the uncached input."""
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "input_tokens": max(0, usage.input_tokens - cached),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        "server_tool_use": None,
    }


def usage_details(usage: Usage) -> Fields:
    """What a message says of its usage once; no client reads it, but Anthropic's schema wants it there."""
    return {
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
        "inference_geo": None,
        "service_tier": "standard",
    }


def signature_of(carrier: Carrier, hidden_text: str = "") -> str:
    """
    The signature of a thinking block: Anthropic's own, or another vendor's carrier in its clothes, which takes along
    the text that the client does not get to see.
    """
    if carrier.kind == "an":
        return carrier.data
    return carriers.pack(replace(carrier, text=hidden_text) if hidden_text else carrier)


def tool_input(arguments: str, *, is_custom: bool = False) -> msgspec.Raw | Fields:
    """The input of a call. What is no JSON object is wrapped: a client that cannot read it can at least show it."""
    if is_custom:
        return {"input": arguments}
    if not arguments.strip():
        return {}
    found = _object(arguments) or _object(_string(arguments))  # some models write the object as a string
    return {"_raw": arguments} if found is None else found


def call_id(given: str, head: AnswerHead, place: int) -> str:
    """The call's id, made up where the upstream gave none."""
    return given or f"toolu_{head.stem}{place}"


def encoded(value: object) -> bytes:
    """`value` as JSON, whatever its texts hold."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate, which JSON can name but not hold
        return msgspec.json.encode(_sendable(value))


# One part -----------------------------------------------------------------------------------------------------------


def _joined(parts: tuple[AnswerPart, ...]) -> list[AnswerPart]:
    """The parts, neighbouring texts as one, as they are in a stream."""
    joined: list[AnswerPart] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Text) and isinstance(last, Text):
            joined[-1] = Text(last.text + part.text)
        elif isinstance(part, Refusal) and isinstance(last, Refusal):
            joined[-1] = Refusal(last.text + part.text)
        elif not isinstance(part, Text | Refusal) or part.text:
            joined.append(part)
    return joined


def _blocks(
    part: AnswerPart, stop: StopReason, head: AnswerHead, place: int, *, hides_thinking: bool
) -> Iterator[Fields]:
    if isinstance(part, Reasoning):
        yield from _thinking_blocks(part, hides_thinking=hides_thinking)
    elif isinstance(part, ToolCall):
        arguments = tool_input(part.arguments, is_custom=part.is_custom)
        if stop is StopReason.LENGTH and isinstance(arguments, dict) and "_raw" in arguments:
            return  # cut in the middle: nothing that anybody could run
        call = call_id(part.id, head, place)
        yield {"type": "tool_use", "id": call, "name": part.name, "input": arguments}
    else:
        yield {"type": "text", "text": part.text, "citations": None}


def _thinking_blocks(part: Reasoning, *, hides_thinking: bool) -> Iterator[Fields]:
    carrier = part.carrier if part.carrier is not None and part.carrier.data else None
    shown = "" if hides_thinking else part.text
    if carrier is None or carrier.kind == "rd":
        if shown:
            yield {"type": "thinking", "thinking": shown, "signature": ""}
        if carrier is not None:
            yield {"type": "redacted_thinking", "data": carrier.data}
        return
    if carrier.kind == "an" and not hides_thinking:
        shown = carrier.text or shown  # a signature is good for exactly the text that it signs
    yield {
        "type": "thinking",
        "thinking": shown,
        "signature": signature_of(carrier, part.text if hides_thinking else ""),
    }


# JSON in a text -----------------------------------------------------------------------------------------------------

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_string = msgspec.json.Decoder(str).decode


def _object(text: str) -> msgspec.Raw | None:
    """The object in `text`, with its numbers and names as they were written."""
    try:
        source = text.encode()
        _decode_object(source)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return msgspec.Raw(source)


def _string(text: str) -> str:
    """The string that the JSON in `text` is, or an empty one."""
    try:
        return _decode_string(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return ""


def _sendable(value: object) -> object:
    if isinstance(value, str):
        return sendable(value)
    if isinstance(value, dict):
        return {name: _sendable(inner) for name, inner in object_of(value).items()}  # pyright: ignore[reportUnknownArgumentType]
    return [_sendable(inner) for inner in list_of(value)] if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType]
