"""What a chat client gets of an answer in the neutral form: the words of its end, its usage, and the whole of it."""

from typing import Any

import msgspec

from copilot_api.protocols import carriers
from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.chat.request import ChatRequest
from copilot_api.protocols.conversation import Answer, Carrier, Reasoning, Refusal, StopReason, Text, ToolCall

Json = dict[str, Any]

_FINISH = {
    StopReason.END: "stop",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.PAUSED: "stop",
    StopReason.TOOL_CALLS: "tool_calls",
    StopReason.LENGTH: "length",
    StopReason.CONTEXT_FULL: "length",
    StopReason.FILTERED: "content_filter",
}


def answer_id(head: AnswerHead) -> str:
    """The answer's id."""
    return f"chatcmpl-{head.stem}"


def finish_reason(stop: StopReason, *, has_calls: bool, speaks_functions: bool) -> str:
    """The end in chat's words; it promises calls only if there are any (pitfall 55)."""
    reason = _FINISH[stop]
    if reason == "tool_calls" and not has_calls:
        return "stop"
    return "function_call" if reason == "tool_calls" and speaks_functions else reason


def usage_fields(usage: Usage | None) -> Json:
    """The usage as chat clients read it: always whole numbers, always both details."""
    usage = usage or Usage()
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def opaque(carrier: Carrier, *, is_first: bool) -> str:
    """
    The carrier as text for `reasoning_opaque`. Clients glue together what comes in several pieces, so each but the
    first begins with a space; Copilot's own, when it is alone, is given back as it was.
    """
    if not is_first:
        return f" {carriers.pack(carrier)}"
    return carrier.data if carrier.kind == "ro" else carriers.pack(carrier)


def render_answer(answer: Answer, request: ChatRequest, head: AnswerHead) -> bytes:
    """The whole answer."""
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    message = _message(answer)
    if calls and request.speaks_functions:
        message["function_call"] = {"name": calls[0].name, "arguments": as_arguments(calls[0])}
    elif calls:
        has_custom = request.has_custom_tools
        message["tool_calls"] = [_call(call, has_custom=has_custom) for call in calls]
    reason = finish_reason(answer.stop, has_calls=bool(calls), speaks_functions=request.speaks_functions)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    body: Json = {
        "id": answer_id(head),
        "object": "chat.completion",
        "created": head.now,
        "model": head.model,
        "choices": [choice],
        "usage": usage_fields(answer.usage),
    }
    return msgspec.json.encode(body)


def _message(answer: Answer) -> Json:
    texts = "".join([part.text for part in answer.parts if isinstance(part, Text)])
    refusals = "".join([part.text for part in answer.parts if isinstance(part, Refusal)])
    has_calls = any(isinstance(part, ToolCall) for part in answer.parts)
    message: Json = {
        "role": "assistant",
        "content": texts or (None if has_calls or refusals else ""),
        "refusal": refusals or None,
        "annotations": [],
    }
    thoughts = [part for part in answer.parts if isinstance(part, Reasoning)]
    said = "".join([part.text for part in thoughts])
    if said:
        message["reasoning_content"] = said
    carried = [part.carrier for part in thoughts if part.carrier is not None]
    if carried:
        message["reasoning_opaque"] = "".join(
            [opaque(carrier, is_first=number == 0) for number, carrier in enumerate(carried)]
        )
    return message


def _call(call: ToolCall, *, has_custom: bool) -> Json:
    if call.is_custom and has_custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": as_arguments(call)}}


def as_arguments(call: ToolCall) -> str:
    """The arguments as a function's; a client that knows no custom tools gets their input in JSON."""
    if call.is_custom:
        return msgspec.json.encode({"input": call.arguments}).decode()
    return call.arguments if call.arguments.strip() else "{}"
