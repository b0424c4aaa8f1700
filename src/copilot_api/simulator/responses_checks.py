"""What `/responses` refuses; its errors are labelled as plain text."""

from copilot_api.simulator.catalog import Model
from copilot_api.simulator.chat_checks import check_tool_name
from copilot_api.simulator.checks import check_effort, check_objects, check_tool_count, check_types
from copilot_api.simulator.ids import is_own_blob, is_own_encrypted
from copilot_api.simulator.replies import gateway_refusal, recorded
from copilot_api.simulator.wire import Json, is_array, is_count, is_object, object_at, text_at

_LONGEST_ID = 64
_FEWEST_OUTPUT_TOKENS = 16
_WITHOUT_COMPACTION = {"gpt-5", "gpt-5-mini", "gpt-5.1", "gpt-5.2"}
_ANSWER_PARTS = {"output_text", "refusal"}
_QUESTION_PARTS = {"input_text", "input_image", "input_file"}
_REFUSED_FIELDS = ("service_tier", "conversation")
_TYPES: dict[str, tuple[type, ...]] = {
    "stream": (bool,),
    "instructions": (str, list),
    "max_output_tokens": (int,),
    "temperature": (int, float),
    "top_p": (int, float),
    "tools": (list,),
    "tool_choice": (str, dict),
    "reasoning": (dict,),
    "text": (dict,),
    "include": (list,),
    "metadata": (dict,),
    "parallel_tool_calls": (bool,),
    "prompt_cache_key": (str,),
}


def check_responses(body: Json, model: Model) -> None:
    """The whole body, in the order the upstream complains."""
    check_tool_count(body.get("tools"))
    check_types(body, _TYPES)
    if body.get("store"):
        raise recorded("store_not_supported")
    if body.get("previous_response_id") is not None:
        raise recorded("previous_response_id_not_supported")
    if body.get("context_management") is not None and model.id in _WITHOUT_COMPACTION:
        raise recorded("context_management_unsupported_responses")
    _check_unsupported(body)
    limit = body.get("max_output_tokens")
    if is_count(limit) and limit < _FEWEST_OUTPUT_TOKENS:
        raise gateway_refusal(
            "Invalid 'max_output_tokens': integer below minimum value. "
            f"Expected a value >= {_FEWEST_OUTPUT_TOKENS}, but got {limit} instead."
        )
    check_effort(object_at(body, "reasoning").get("effort"), model, "reasoning.effort")
    _check_tools(body, model)
    _check_input(body.get("input"))


def _check_unsupported(body: Json) -> None:
    for name in _REFUSED_FIELDS:
        if body.get(name) is not None:
            raise gateway_refusal(f"{name} is not supported", "unsupported_value", param=name)
    if body.get("background"):
        raise gateway_refusal("background is not supported", "unsupported_value", param="background")


def _check_tools(body: Json, model: Model) -> None:
    for index, tool in enumerate(check_objects(body.get("tools") or [], "tools")):
        kind = tool.get("type")
        if kind == "image_generation":
            raise recorded("image_generation_rejected")
        if kind in ("function", "custom"):
            check_tool_name(text_at(tool, "name"), f"tools[{index}].name")
        elif not isinstance(kind, str) or (kind.startswith("web_search") and model.id in _WITHOUT_COMPACTION):
            raise gateway_refusal(f"tool type {kind} is not supported", "unsupported_value", param="tools")


def _check_input(source: object) -> None:
    if isinstance(source, str):
        return
    if source is None:
        raise gateway_refusal("Missing required parameter: 'input'.", param="input")
    calls: set[str] = set()
    for index, item in enumerate(check_objects(source, "input")):
        _check_item(item, f"input[{index}]")
        call_id = text_at(item, "call_id")
        kind = text_at(item, "type")
        if kind in {"function_call_output", "custom_tool_call_output"} and call_id not in calls:
            raise gateway_refusal(f"No tool call found for function call output with call_id {call_id}.", param="input")
        calls.add(call_id)


def _check_item(item: Json, path: str) -> None:
    kind = item.get("type", "message")
    if not isinstance(kind, str):
        raise gateway_refusal(f"Invalid type for '{path}.type': expected a string.")
    if "status" in item and item["status"] is None:
        raise gateway_refusal(f"Invalid type for '{path}.status': expected a string, but got null.")
    item_id = item.get("id")
    if isinstance(item_id, str) and len(item_id) > _LONGEST_ID and not is_own_blob(item_id):
        raise recorded("item_id_wrong_connection")
    if len(text_at(item, "call_id")) > _LONGEST_ID:
        raise gateway_refusal(f"Invalid '{path}.call_id': string too long. Expected a string with maximum length 64.")
    encrypted = item.get("encrypted_content")
    if kind == "reasoning" and isinstance(encrypted, str) and not is_own_encrypted(encrypted):
        raise recorded("encrypted_content_unverifiable")
    if kind == "message":
        _check_content(item, path)
    if kind == "function_call" and not isinstance(item.get("arguments"), str):
        raise gateway_refusal(f"Invalid type for '{path}.arguments': expected a string.")


def _check_content(item: Json, path: str) -> None:
    if item.get("role") not in ("user", "assistant", "system", "developer"):
        raise gateway_refusal(f"Invalid value for '{path}.role'.")
    content = item.get("content")
    if isinstance(content, str):
        return
    for index, part in enumerate(check_objects(content, f"{path}.content")):
        place = f"{path}.content[{index}]"
        kind = part.get("type")
        wanted = _ANSWER_PARTS if item["role"] == "assistant" else _QUESTION_PARTS
        if not isinstance(kind, str) or kind not in wanted:
            listed = ", ".join(f"'{name}'" for name in sorted(wanted))
            raise gateway_refusal(f"Invalid value: '{kind}'. Supported values are: {listed}.", param=f"{place}.type")
        if kind == "input_image":
            _check_image(part.get("image_url"))
        elif kind in {"input_text", "output_text"} and not isinstance(part.get("text"), str):
            raise gateway_refusal(f"Invalid type for '{place}.text': expected a string.")


def _check_image(url: object) -> None:
    if is_object(url) or is_array(url) or not isinstance(url, str) or not url.startswith("data:"):
        raise recorded("external_image_url")
