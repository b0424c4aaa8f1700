"""A whole answer of `/v1/messages`, read into the neutral form."""

from typing import Any

import msgspec

from copilot_api.errors import UpstreamFailed
from copilot_api.protocols.conversation import Answer, AnswerPart, Carrier, Reasoning, Refusal, Text, ToolCall
from copilot_api.protocols.copilot_errors import parse_stream_error
from copilot_api.protocols.messages.upstream_wire import UsageMeter, explanation_of, has_tool_use, read_charge, stop_of
from copilot_api.protocols.untyped import list_of, object_of, text_of

_encode = msgspec.json.encode


def parse_answer(source: bytes) -> Answer:
    """The answer in `source`. Raises what it reports instead of one, or `UpstreamFailed` when it is neither."""
    message = read_message(source)
    blocks = list_of(message.get("content"))
    parts = [part for place, block in enumerate(blocks) if (part := _part(object_of(block), place)) is not None]
    explanation = explanation_of(message.get("stop_details"))
    reason = text_of(message.get("stop_reason"))
    if reason == "refusal" and explanation and not any(isinstance(part, Text) for part in parts):
        parts.append(Refusal(explanation))
    meter = UsageMeter()
    meter.note(message.get("usage"))
    return Answer(
        parts=tuple(parts),
        stop=stop_of(reason, has_calls=has_tool_use(blocks)),
        stop_sequence=text_of(message.get("stop_sequence")) or None,
        usage=meter.usage,
        nano_aiu=read_charge(message.get("copilot_usage")),
    )


def read_message(source: bytes) -> dict[str, Any]:
    """The message that `source` is. Raises as `parse_answer`."""
    try:
        message = object_of(msgspec.json.decode(source))
    except (ValueError, RecursionError) as error:
        raise UpstreamFailed("GitHub Copilot answered something that is not a message") from error
    if message.get("error") or message.get("type") == "error":
        raise parse_stream_error(message.get("error") or message)
    if not isinstance(message.get("content"), list) and message.get("type") != "message":
        raise UpstreamFailed(text_of(message.get("message"))[:2000] or "GitHub Copilot answered without a message")
    return message


def _part(block: dict[str, Any], place: int) -> AnswerPart | None:
    """What the block says; None for an empty one and for what a server-side tool did."""
    match block.get("type"):
        case "text":
            text = text_of(block.get("text"))
            return Text(text) if text else None
        case "thinking":
            return _reasoning(block)
        case "redacted_thinking":
            data = text_of(block.get("data"))
            return Reasoning("", Carrier(kind="rd", data=data)) if data else None
        case "tool_use":
            return _call(block, place)
        case _:
            return None


def _reasoning(block: dict[str, Any]) -> Reasoning | None:
    text, signature = text_of(block.get("thinking")), text_of(block.get("signature"))
    if not text and not signature:
        return None
    return Reasoning(text, Carrier(kind="an", data=signature, text=text) if signature else None)


def _call(block: dict[str, Any], place: int) -> ToolCall:
    name = text_of(block.get("name"))
    if not name:
        raise UpstreamFailed("GitHub Copilot called a tool without a name")
    return ToolCall(
        id=text_of(block.get("id")) or f"toolu_{place}",
        name=name,
        arguments=_encode(object_of(block.get("input"))).decode(),
    )
