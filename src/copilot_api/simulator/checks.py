"""What every protocol refuses alike: prompts that are too long, images without their header, efforts a model lacks."""

from typing import Any

from copilot_api.simulator.catalog import CHAT, RESPONSES, Model
from copilot_api.simulator.conversation import Prompt
from copilot_api.simulator.replies import Refusal, Reply, gateway_refusal, json_reply, recorded
from copilot_api.simulator.wire import Json, is_array, is_count, is_object

_VISION_HEADER_MISSING = "missing required Copilot-Vision-Request header for vision requests"
_MOST_TOOLS = 128


def check_vision(prompt: Prompt, model: Model, headers: dict[str, str]) -> None:
    """Images need their header, and a model that sees."""
    if not prompt.images:
        return
    if headers.get("copilot-vision-request", "").lower() != "true":
        raise gateway_refusal(_VISION_HEADER_MISSING, "bad_request")
    if not model.supports.get("vision"):
        raise gateway_refusal(f"model {model.id} does not support image input", "invalid_request_body")


def check_prompt_size(endpoint: str, prompt: Prompt, model: Model) -> None:
    """Each endpoint words the overflow in its own way."""
    limit, count = model.max_prompt_tokens, prompt.input_tokens
    if limit is None or count <= limit:
        return
    if endpoint == RESPONSES:
        raise recorded("context_overflow_responses")
    if endpoint == CHAT and model.vendor == "Google":
        raise recorded("context_overflow_vertex_gemini")
    if endpoint == CHAT:
        message = f"prompt token count of {count} exceeds the limit of {limit}"
        raise gateway_refusal(message, "model_max_prompt_tokens_exceeded")
    error = {
        "code": "model_max_prompt_tokens_exceeded",
        "message": f"prompt is too long: {count} tokens > {limit} maximum",
        "type": "invalid_request_error",
    }
    body = {"error": error, "request_id": "req_011CdSampleAAAAAAAAAAAAA", "type": "error"}
    raise Refusal(json_reply(body, 400))


def check_effort(effort: Any, model: Model, field: str) -> None:
    """An effort outside the model's list names the list."""
    if effort is None or (not model.efforts and field != "output_config.effort"):
        return
    if effort not in model.efforts and not (effort == "none" and model.is_openai):
        supported = " ".join(model.efforts)
        message = f'{field} "{effort}" is not supported by model {model.id}; supported values: [{supported}]'
        raise gateway_refusal(message, "invalid_reasoning_effort")


def check_tool_count(tools: Any) -> None:
    """Too many tools are refused without a word."""
    if is_array(tools) and len(tools) > _MOST_TOOLS:
        raise Refusal(Reply(400, b"", None))


def check_types(body: Json, expected: dict[str, tuple[type, ...]]) -> None:
    """Fields of the wrong JSON type; null counts as absent, and true is no number."""
    for name, types in expected.items():
        value = body.get(name)
        is_flag_for_number = isinstance(value, bool) and bool not in types
        if value is not None and (not isinstance(value, types) or is_flag_for_number):
            raise gateway_refusal(f"Invalid type for '{name}'.")


def check_objects(value: Any, path: str) -> list[Json]:
    """An array of objects, or a refusal that names the place."""
    if not is_array(value):
        raise gateway_refusal(f"Invalid type for '{path}': expected an array.")
    items: list[Json] = []
    for index, item in enumerate(value):
        if not is_object(item):
            raise gateway_refusal(f"Invalid type for '{path}[{index}]': expected an object.")
        items.append(item)
    return items


def limit_of(*values: Any) -> int | None:
    """The first that is a positive number."""
    return next((value for value in values if is_count(value) and value > 0), None)
