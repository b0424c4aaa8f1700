"""A whole answer as a Response, with every field that the Open Responses schema requires."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from copilot_api.protocols import carriers
from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.conversation import Answer, AnswerPart, Reasoning, Refusal, StopReason, Text
from copilot_api.protocols.responses import wire
from copilot_api.protocols.responses.request import ResponsesRequest

Json = dict[str, Any]

_INCOMPLETE = {
    StopReason.LENGTH: "max_output_tokens",
    StopReason.CONTEXT_FULL: "max_output_tokens",
    StopReason.FILTERED: "content_filter",
}
_TOOL_DEFAULTS: dict[Any, Json] = {"function": {"description": None, "parameters": None, "strict": None}}
"""What a strict client requires of each tool that is echoed."""
_SCHEMA_DEFAULTS: Json = {"name": "response", "description": None, "schema": {}, "strict": False}
_LEAST_STEM, _MOST_STEM = 24, 48
"""How long the part of an id is that no other answer has; OpenAI's ids have 64 characters at most."""


def render_answer(answer: Answer, request: ResponsesRequest, head: AnswerHead) -> bytes:
    """The body of the answer."""
    parts = list(_merged(answer.parts))
    reason = incomplete_reason(answer.stop, has_text=any(isinstance(part, Text | Refusal) for part in parts))
    tools, stem = request.tool_set, stem_of(head)
    items: list[Json] = []
    for number, part in enumerate(parts):
        status = "incomplete" if reason and number == len(parts) - 1 else "completed"
        if isinstance(part, Reasoning):
            items.append(reasoning_item(item_id("rs", stem, number), part))
        elif isinstance(part, Text | Refusal):
            content = text_part(part.text) if isinstance(part, Text) else refusal_part(part.text)
            items.append(message_item(item_id("msg", stem, number), [content], answer.phase, status))
        else:
            own_id = item_id("ctc" if part.is_custom else "fc", stem, number)
            arguments = part.arguments or ("" if part.is_custom else "{}")
            items.append(
                tools.render_call(own_id, part.id, part.name, arguments, is_custom=part.is_custom, status=status)
            )
    response = response_object(request, head, "incomplete" if reason else "completed", items)
    response["incomplete_details"] = {"reason": reason} if reason else None
    response["usage"] = render_usage(answer.usage or Usage())
    return msgspec.json.encode(response)


def _merged(parts: Iterable[AnswerPart]) -> Iterator[AnswerPart]:
    """The parts without those that say nothing; neighbouring texts are one, as they would be in a stream."""
    said = (part for part in parts if not _is_empty(part))
    for kind, run in itertools.groupby(said, type):
        if kind is Text or kind is Refusal:
            yield kind("".join(part.text for part in run if isinstance(part, Text | Refusal)))
        else:
            yield from run


def _is_empty(part: AnswerPart) -> bool:
    if isinstance(part, Reasoning):
        return not part.text and part.carrier is None
    return isinstance(part, Text | Refusal) and not part.text


def incomplete_reason(stop: StopReason, *, has_text: bool) -> str | None:
    """
    Why the answer is incomplete, if it is. Codex fails on an incomplete answer and asks again: one that the model
    refused in words is complete, and the words are in it.
    """
    if stop is StopReason.FILTERED and has_text:
        return None
    return _INCOMPLETE.get(stop)


def stem_of(head: AnswerHead) -> str:
    """What the ids of this answer have in common: the request's id, or its hash when it is too short or too long."""
    stem = head.stem
    if stem.isascii() and _LEAST_STEM <= len(stem) <= _MOST_STEM:
        return stem
    return hashlib.sha256(head.request_id.encode(errors="replace")).hexdigest()[:_MOST_STEM]


def item_id(prefix: str, stem: str, number: int) -> str:
    """The id of the answer's item at `number`."""
    return f"{prefix}_{stem}{number:04d}"


def response_object(request: ResponsesRequest, head: AnswerHead, status: str, output: list[Json]) -> Json:
    """The Response, without why it ended and what it consumed: what was asked is echoed, as the schema requires."""
    fields = request.fields
    reasoning = fields.reasoning
    return {
        "id": f"resp_{stem_of(head)}",
        "object": "response",
        "created_at": head.now,
        "completed_at": head.now if status == "completed" else None,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": head.model,
        "previous_response_id": None,
        "instructions": fields.instructions,
        "output": output,
        "tools": [_TOOL_DEFAULTS.get(tool.get("type"), {}) | tool for tool in fields.tools or []],
        "tool_choice": fields.tool_choice or "auto",
        "parallel_tool_calls": fields.parallel_tool_calls is not False,
        "truncation": fields.truncation or "disabled",
        "text": _text_config(fields.text),
        "temperature": 1.0 if fields.temperature is None else fields.temperature,
        "top_p": 1.0 if fields.top_p is None else fields.top_p,
        "presence_penalty": fields.presence_penalty or 0.0,
        "frequency_penalty": fields.frequency_penalty or 0.0,
        "top_logprobs": fields.top_logprobs or 0,
        "reasoning": {
            "effort": reasoning.effort if reasoning else None,
            "summary": reasoning.summary if reasoning else None,
        },
        "usage": None,
        "max_output_tokens": fields.max_output_tokens,
        "max_tool_calls": fields.max_tool_calls,
        "store": False,
        "background": False,
        "service_tier": "default",
        "metadata": fields.metadata or {},
        "user": fields.user,
        "safety_identifier": fields.safety_identifier,
        "prompt_cache_key": fields.prompt_cache_key,
    }


def _text_config(text: wire.TextConfig | None) -> Json:
    wanted = (text.format if text else None) or {"type": "text"}
    if wanted.get("type") == "json_schema":
        wanted = {**_SCHEMA_DEFAULTS, **wanted}
    return {"format": wanted, "verbosity": text.verbosity} if text and text.verbosity else {"format": wanted}


def render_usage(usage: Usage) -> Json:
    """`usage` on the wire: always with both details, which Codex reads without asking whether they are there."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def reasoning_item(own_id: str, part: Reasoning) -> Json:
    """
    A reasoning item; what replays it is packed into its encrypted content, whoever made it.

    OpenAI's is bound to the id of its item. That is packed along, for a stream gives ids out before the carrier comes.
    """
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    item: Json = {"type": "reasoning", "id": own_id, "summary": summary}
    if part.carrier is not None:
        item["encrypted_content"] = carriers.pack(part.carrier)
    return item


def message_item(own_id: str, content: list[Json], phase: str | None, status: str) -> Json:
    """A message of the assistant's."""
    item: Json = {"type": "message", "id": own_id, "status": status, "role": "assistant", "content": content}
    return {**item, "phase": phase} if phase else item


def text_part(text: str) -> Json:
    """Text in a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal_part(text: str) -> Json:
    """A refusal in a message."""
    return {"type": "refusal", "refusal": text}
