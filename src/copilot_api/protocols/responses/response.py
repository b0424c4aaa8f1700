"""A whole answer as a Response, with every field that the Open Responses schema requires."""

from typing import Any

import msgspec

from copilot_api.protocols import carriers
from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.conversation import Answer, Carrier, Reasoning, Refusal, StopReason, Text
from copilot_api.protocols.responses.request import ResponsesRequest

_INCOMPLETE = {
    StopReason.LENGTH: "max_output_tokens",
    StopReason.CONTEXT_FULL: "max_output_tokens",
    StopReason.FILTERED: "content_filter",
}


def render_answer(answer: Answer, request: ResponsesRequest, head: AnswerHead) -> bytes:
    """The body of the answer."""
    has_text = any(isinstance(part, Text | Refusal) and part.text for part in answer.parts)
    reason = incomplete_reason(answer.stop, has_text=has_text)
    items: list[dict[str, Any]] = []
    tools = request.tool_set
    for part in answer.parts:
        number = len(items)
        if isinstance(part, Reasoning):
            items.append(reasoning_item(item_id("rs", head, number), part))
        elif isinstance(part, Text | Refusal):
            content = text_part(part.text) if isinstance(part, Text) else refusal_part(part.text)
            items.append(message_item(item_id("msg", head, number), [content], answer.phase))
        else:
            prefix = "ctc" if part.is_custom else "fc"
            item = tools.render_call(
                item_id(prefix, head, number), part.id, part.name, part.arguments, is_custom=part.is_custom
            )
            items.append(item)
    if reason and items and "status" in items[-1]:
        items[-1]["status"] = "incomplete"
    response = response_object(request, head, "incomplete" if reason else "completed", items)
    response["incomplete_details"] = {"reason": reason} if reason else None
    response["usage"] = render_usage(answer.usage or Usage())
    return msgspec.json.encode(response)


def incomplete_reason(stop: StopReason, *, has_text: bool) -> str | None:
    """
    Why the answer is incomplete, if it is. Codex fails on an incomplete answer and asks again: one that the model
    refused in words is complete, and the words are in it.
    """
    if stop is StopReason.FILTERED and has_text:
        return None
    return _INCOMPLETE.get(stop)


def item_id(prefix: str, head: AnswerHead, number: int) -> str:
    """The id of the answer's item at `number`."""
    return f"{prefix}_{head.stem}{number:04d}"


def response_object(
    request: ResponsesRequest, head: AnswerHead, status: str, output: list[dict[str, Any]]
) -> dict[str, Any]:
    """The Response without an end: what was asked is echoed, as the schema requires."""
    fields = request.fields
    reasoning, text = fields.reasoning, fields.text
    return {
        "id": f"resp_{head.stem}",
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
        "tools": fields.tools or [],
        "tool_choice": fields.tool_choice or "auto",
        "parallel_tool_calls": fields.parallel_tool_calls is not False,
        "truncation": fields.truncation or "disabled",
        "text": {
            "format": (text.format if text else None) or {"type": "text"},
            **({"verbosity": text.verbosity} if text and text.verbosity else {}),
        },
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


def render_usage(usage: Usage) -> dict[str, Any]:
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


def reasoning_item(own_id: str, part: Reasoning) -> dict[str, Any]:
    """A reasoning item; what replays it goes into its encrypted content, whoever made it."""
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    item: dict[str, Any] = {"type": "reasoning", "id": own_id, "summary": summary}
    if part.carrier is not None:
        item["encrypted_content"] = render_carrier(part.carrier)
    return item


def render_carrier(carrier: Carrier) -> str:
    """What replays a stretch of reasoning. An item of OpenAI's is bound to its id, so that travels along."""
    return carriers.pack(carrier)


def message_item(own_id: str, content: list[dict[str, Any]], phase: str | None) -> dict[str, Any]:
    """A message of the assistant's."""
    item: dict[str, Any] = {
        "type": "message",
        "id": own_id,
        "status": "completed",
        "role": "assistant",
        "content": content,
    }
    return {**item, "phase": phase} if phase else item


def text_part(text: str) -> dict[str, Any]:
    """Text in a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal_part(text: str) -> dict[str, Any]:
    """A refusal in a message."""
    return {"type": "refusal", "refusal": text}
