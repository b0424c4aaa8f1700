"""What `/chat/completions` refuses."""

import re

from copilot_api.simulator.catalog import Model
from copilot_api.simulator.checks import check_effort, check_objects, check_tool_count, check_types
from copilot_api.simulator.replies import gateway_refusal, recorded
from copilot_api.simulator.wire import Json, is_array, is_object, object_at, objects_in, text_at

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
_PARTS = {"text", "image_url", "refusal"}
_TYPES: dict[str, tuple[type, ...]] = {
    "stream": (bool,),
    "stream_options": (dict,),
    "max_tokens": (int,),
    "max_completion_tokens": (int,),
    "temperature": (int, float),
    "top_p": (int, float),
    "n": (int,),
    "stop": (str, list),
    "tools": (list,),
    "tool_choice": (str, dict),
    "response_format": (dict,),
    "reasoning_effort": (str,),
    "thinking_budget": (int,),
    "parallel_tool_calls": (bool,),
}


def check_chat(body: Json, model: Model) -> None:
    """The whole body, in the order the upstream complains."""
    check_tool_count(body.get("tools"))
    check_types(body, _TYPES)
    if body.get("max_tokens") is not None and model.refuses_max_tokens:
        raise recorded("max_tokens_unsupported")
    check_effort(body.get("reasoning_effort"), model, "reasoning_effort")
    for index, tool in enumerate(check_objects(body.get("tools") or [], "tools")):
        check_tool_name(text_at(object_at(tool, "function"), "name"), f"tools[{index}].function.name")
    messages = check_objects(body.get("messages"), "messages")
    if not messages:
        raise gateway_refusal("Invalid 'messages': empty array. Expected an array with minimum length 1.")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")
    _check_pairing(messages)
    if model.is_newest_claude and messages[-1].get("role") == "assistant":
        raise recorded("prefill")


def check_tool_name(name: str, path: str) -> None:
    """Letters, digits, `_` and `-`, at most 64."""
    if not _TOOL_NAME.fullmatch(name):
        pattern = "'^[a-zA-Z0-9_-]+$'"
        raise gateway_refusal(
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern {pattern}."
        )


def _check_message(message: Json, path: str) -> None:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in _ROLES:
        raise gateway_refusal(f"Invalid value for '{path}.role'.")
    if content is None and role != "assistant":
        raise gateway_refusal(f"Invalid value for '{path}.content': expected a string, got null.")
    if is_array(content):
        for index, part in enumerate(check_objects(content, f"{path}.content")):
            _check_part(part, f"{path}.content[{index}]")
    elif content is not None and not isinstance(content, str):
        raise gateway_refusal(f"Invalid type for '{path}.content': expected a string or an array.")
    for call in check_objects(message.get("tool_calls") or [], f"{path}.tool_calls"):
        function = object_at(call, "function")
        check_tool_name(text_at(function, "name"), f"{path}.tool_calls[].function.name")
        if not isinstance(function.get("arguments", ""), str):
            raise gateway_refusal(f"Invalid type for '{path}.tool_calls[].function.arguments': expected a string.")


def _check_part(part: Json, path: str) -> None:
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _PARTS:
        raise gateway_refusal(f"Invalid value for '{path}.type'.")
    if kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if is_object(image) else image
        if not isinstance(url, str) or not url.startswith("data:"):
            raise recorded("external_image_url")
        if not url.startswith("data:image/"):
            raise gateway_refusal("image media type is missing or not supported")
    elif kind != "refusal" and not isinstance(part.get("text"), str):
        raise gateway_refusal(f"Invalid type for '{path}.text': expected a string.")


def _check_pairing(messages: list[Json]) -> None:
    """Every tool call has its answer right behind it, and no answer comes without its call."""
    open_ids: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            call_id = text_at(message, "tool_call_id")
            if call_id not in open_ids:
                raise gateway_refusal(
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                )
            open_ids.discard(call_id)
            continue
        _check_answered(open_ids)
        open_ids = {text_at(call, "id") for call in objects_in(message.get("tool_calls"))}
    _check_answered(open_ids)


def _check_answered(open_ids: set[str]) -> None:
    if open_ids:
        missing = ", ".join(sorted(open_ids))
        raise gateway_refusal(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {missing}"
        )
