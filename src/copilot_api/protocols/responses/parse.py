"""
A whole answer of Copilot's Responses, read into the neutral form; and what its stream shares with it.

Nothing is trusted to be there or to be of its kind: unknown items and parts are passed over.
"""

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed, UpstreamRefused
from copilot_api.protocols.base import Usage
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
from copilot_api.protocols.copilot_errors import MAX_MESSAGE, parse_stream_error
from copilot_api.protocols.untyped import list_of, object_of, text_of

Fields = dict[str, Any]

_REFUSALS = {"invalid_prompt", "cyber_policy", "invalid_request_error", "invalid_encrypted_content"}
"""Codes by which a failed answer says that the request was at fault."""


def parse_answer(source: bytes) -> Answer:
    """The answer in `source`. Raises what it reports, or `UpstreamFailed` when it is none."""
    response = decode_response(source)
    failure = failure_of(response)
    if failure is not None:
        raise failure
    stem = text_of(response.get("id"))
    items = [object_of(item) for item in list_of(response.get("output"))]
    parts = tuple(part for place, item in enumerate(items) for part in _parts(item, stem, place))
    copilot = response.get("copilot_usage")
    phases = [phase for item in items if (phase := text_of(item.get("phase")))]
    return Answer(
        parts=parts,
        stop=stop_of(response, has_calls=any(isinstance(part, ToolCall) for part in parts)),
        usage=usage_of(response.get("usage"), copilot),
        nano_aiu=nano_aiu_of(copilot),
        phase=phases[-1] if phases else None,
    )


def decode_response(source: bytes) -> Fields:
    """The response object in `source`. Raises `UpstreamFailed` when there is none, or the error in its place."""
    try:
        response = object_of(msgspec.json.decode(source))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UpstreamFailed("GitHub Copilot answered something that is not a response") from error
    if not isinstance(response.get("output"), list):
        reported = response.get("error")
        raise error_of(reported) if reported else UpstreamFailed("GitHub Copilot answered without any output")
    return response


def failure_of(response: Fields) -> GatewayError | None:
    """What a response object reports in the place of a success; None when it is one, whole or cut short by a limit."""
    status = response.get("status")
    if status == "failed" or (response.get("error") and status not in ("completed", "incomplete")):
        return error_of(response.get("error") or {})
    if status == "cancelled":
        return UpstreamCut("GitHub Copilot cancelled the answer")
    if status in (None, "completed", "incomplete"):
        return None
    return UpstreamFailed(f"GitHub Copilot gave up the answer in the state {str(status)[:32]!r}")


def error_of(error: object) -> GatewayError:
    """What an error object says, in a body or in a stream."""
    fields = object_of(error)
    code = text_of(fields.get("code"))
    if code in _REFUSALS:
        message = text_of(fields.get("message"))[:MAX_MESSAGE]
        return UpstreamRefused(message or "GitHub Copilot refused the request", upstream_code=code)
    return parse_stream_error(error)


def stop_of(response: Fields, *, has_calls: bool) -> StopReason:
    """Why the answer ended. That it was cut short counts before its tool calls: the last may not be whole."""
    details = object_of(response.get("incomplete_details"))
    if response.get("status") == "incomplete" or details:
        reason = text_of(details.get("reason"))
        if reason == "content_filter":
            return StopReason.FILTERED
        return StopReason.CONTEXT_FULL if "context" in reason else StopReason.LENGTH
    return StopReason.TOOL_CALLS if has_calls else StopReason.END


# Usage --------------------------------------------------------------------------------------------------------------


def usage_of(usage: object, copilot: object = None) -> Usage | None:
    """A `usage` object in the gateway's terms, with what `copilot_usage` adds; None when there is none."""
    if not isinstance(usage, dict):
        return None
    fields = object_of(usage)  # pyright: ignore[reportUnknownArgumentType]
    inputs = object_of(fields.get("input_tokens_details"))
    outputs = object_of(fields.get("output_tokens_details"))
    return Usage(
        input_tokens=_count(fields.get("input_tokens")),
        output_tokens=_count(fields.get("output_tokens")),
        cache_read_tokens=_count(inputs.get("cached_tokens")),
        cache_write_tokens=_count(inputs.get("cache_write_tokens")) or _cache_writes(copilot),
        reasoning_tokens=_count(outputs.get("reasoning_tokens")),
    )


def nano_aiu_of(copilot: object) -> int | None:
    """The charge in `copilot_usage`, or None when it does not say."""
    total = object_of(copilot).get("total_nano_aiu")
    return None if total is None or isinstance(total, str) else _count(total)


def _cache_writes(copilot: object) -> int:
    details = map(object_of, list_of(object_of(copilot).get("token_details")))
    return sum(_count(detail.get("token_count")) for detail in details if detail.get("token_type") == "cache_write")


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return max(0, int(value))


# Items --------------------------------------------------------------------------------------------------------------


def _parts(item: Fields, stem: str, place: int) -> Iterator[AnswerPart]:
    match item.get("type"):
        case "message":
            yield from (part for _, part in said_in(item) if part.text)
        case "reasoning":
            thought = "\n\n".join(thoughts_in(item))
            carrier = carrier_in(item)
            if thought or carrier:
                yield Reasoning(thought, carrier)
        case "function_call" | "custom_tool_call" as kind:
            is_custom = kind == "custom_tool_call"
            name = text_of(item.get("name"))
            if not name:
                raise UpstreamFailed("GitHub Copilot called a tool without a name")
            call_id = call_id_in(item, stem, place)
            arguments = arguments_in(item) if is_custom else arguments_in(item).strip() or "{}"
            yield ToolCall(id=call_id, name=name, arguments=arguments, is_custom=is_custom)
        case _:
            pass


def said_in(item: Fields) -> list[tuple[int, Text | Refusal]]:
    """The texts and refusals of a message, each with its place in the content."""
    content = item.get("content")
    if isinstance(content, str):
        return [(0, Text(content))]
    said: list[tuple[int, Text | Refusal]] = []
    for place, part in enumerate(map(object_of, list_of(content))):
        kind = text_of(part.get("type"))
        if kind == "refusal":
            said.append((place, Refusal(text_of(part.get("refusal")))))
        elif kind in {"output_text", "text"}:
            said.append((place, Text(text_of(part.get("text")))))
    return said


def thoughts_in(item: Fields) -> list[str]:
    """The texts of a reasoning item: its summary, or the reasoning itself where there is no summary."""
    for name in ("summary", "content"):
        texts = [text_of(object_of(part).get("text")) for part in list_of(item.get(name))]
        if any(texts):
            return [text for text in texts if text]
    return []


def carrier_in(item: Fields) -> Carrier | None:
    """What replays a reasoning item: its encrypted content and the id that this is bound to."""
    data = text_of(item.get("encrypted_content"))
    return Carrier(kind="rs", data=data, id=text_of(item.get("id"))) if data else None


def call_id_in(item: Fields, stem: str, place: int) -> str:
    """
    The id that a call and its result share (the item's own changes with every event); made up where there is none.
    """
    given = text_of(item.get("call_id"))
    return given or f"call_{hashlib.sha256(f'{stem}:{place}'.encode(errors='replace')).hexdigest()[:24]}"


def arguments_in(item: Fields) -> str:
    """What a tool is called with, as the model wrote it."""
    value = item.get("input" if item.get("type") == "custom_tool_call" else "arguments")
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else text_of(value)
