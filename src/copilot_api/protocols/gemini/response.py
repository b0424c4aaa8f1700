"""
A whole answer as generateContent gives it, and the pieces that its stream is made of too.

A thought's signature is bytes to Google, so base64 on the wire: SDKs decode and encode it. The gateway's carriers go
into it that way, joined by commas where a call has several.
"""

import base64
import contextlib
from collections.abc import Iterable
from typing import Any

import msgspec

from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.carriers import pack
from copilot_api.protocols.conversation import Answer, Carrier, Reasoning, StopReason, ToolCall
from copilot_api.protocols.gemini.request import GeminiRequest
from copilot_api.protocols.gemini.schema import WRAPPED
from copilot_api.protocols.openai_errors import sendable

_FINISH_REASONS = {
    StopReason.LENGTH: "MAX_TOKENS",
    StopReason.CONTEXT_FULL: "MAX_TOKENS",
    StopReason.FILTERED: "SAFETY",
}
_decode_wrapped = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


def render_answer(answer: Answer, request: GeminiRequest, head: AnswerHead) -> bytes:
    """The body of an answer. There is always a part that is no thought: clients take a turn without one for broken."""
    parts: list[dict[str, Any]] = []
    carriers: list[Carrier] = []
    for part in answer.parts:
        if isinstance(part, Reasoning):
            if part.text and request.includes_thoughts:
                parts.append(thought_part(part.text))
            if part.carrier is not None:
                carriers.append(part.carrier)
        elif isinstance(part, ToolCall):
            parts.append(call_part(part.id, part.name, part.arguments, carriers))
            carriers = []
        elif part.text:
            parts.append(text_part(unwrap(part.text) if request.form.is_wrapped else part.text))
    is_spoken = any("thought" not in part for part in parts)
    if not is_spoken or (carriers and ("functionCall" in parts[-1] or "thought" in parts[-1])):
        parts.append(text_part(""))
    if carriers:
        parts[-1]["thoughtSignature"] = pack_signature(carriers)
    body: dict[str, Any] = {
        "candidates": [candidate(parts, finish_reason(answer.stop))],
        "usageMetadata": usage_metadata(answer.usage, head),
        **identity(head),
    }
    return msgspec.json.encode(body)


def render_count(total: int) -> bytes:
    """The answer to `countTokens`."""
    return msgspec.json.encode({"totalTokens": total})


def candidate(parts: list[dict[str, Any]], reason: str | None = None) -> dict[str, Any]:
    """The one candidate."""
    finish = {} if reason is None else {"finishReason": reason}
    return {"content": {"parts": parts, "role": "model"}, **finish, "index": 0}


def identity(head: AnswerHead) -> dict[str, Any]:
    """What an answer says of itself, in each of its chunks too."""
    return {"modelVersion": sendable(head.model), "responseId": head.stem}


def finish_reason(stop: StopReason) -> str:
    """Why the answer ended; Google has no word of its own for calls or stop sequences."""
    return _FINISH_REASONS.get(stop, "STOP")


def usage_metadata(usage: Usage | None, head: AnswerHead) -> dict[str, int]:
    """What was consumed: `candidatesTokenCount` is without the thoughts, `promptTokenCount` with the cached input."""
    usage = usage or Usage(input_tokens=head.input_estimate)
    counts = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": max(0, usage.output_tokens - usage.reasoning_tokens),
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.cache_read_tokens:
        counts["cachedContentTokenCount"] = usage.cache_read_tokens
    if usage.reasoning_tokens:
        counts["thoughtsTokenCount"] = usage.reasoning_tokens
    return counts


def text_part(text: str) -> dict[str, Any]:
    """Something said."""
    return {"text": sendable(text)}


def thought_part(text: str) -> dict[str, Any]:
    """Something thought."""
    return {"text": sendable(text), "thought": True}


def call_part(call_id: str, name: str, arguments: str, carriers: Iterable[Carrier]) -> dict[str, Any]:
    """A call, whole, with what replays the reasoning that led to it."""
    part: dict[str, Any] = {
        "functionCall": {"id": sendable(call_id), "name": sendable(name), "args": arguments_object(arguments)}
    }
    signature = pack_signature(carriers)
    if signature:
        part["thoughtSignature"] = signature
    return part


def pack_signature(carriers: Iterable[Carrier]) -> str:
    """The carriers as a signature; empty for none."""
    return base64.b64encode(",".join(map(pack, carriers)).encode()).decode()


def arguments_object(arguments: str) -> msgspec.Raw:
    """
    The arguments as an object, which is all that Gemini knows, on one line. Text that holds an object is unwrapped
    once; what is none at all is handed over as text under `_raw`, for the client's own check to refuse.
    """
    source = sendable(arguments).strip()
    found = _compact_object(source)
    if found is None and source.startswith('"'):
        with contextlib.suppress(msgspec.DecodeError):
            found = _compact_object(_decode_text(source))
    if found is None:
        found = msgspec.json.encode({"_raw": source}) if source and source != "null" else b"{}"
    return msgspec.Raw(found)


def _compact_object(source: str) -> bytes | None:
    if not source.lstrip().startswith("{"):
        return None
    try:
        return msgspec.json.format(source.encode(errors="replace"), indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return None


def unwrap(text: str) -> str:
    """What an answer in a wrapped form holds; the text itself when the model did not keep to the form."""
    try:
        fields = _decode_wrapped(text.strip())
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return text
    return bytes(fields[WRAPPED]).decode() if fields.keys() == {WRAPPED} else text
