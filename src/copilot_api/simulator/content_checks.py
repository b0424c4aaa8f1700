"""What the Messages endpoint refuses in the content of messages."""

from collections.abc import Iterator
from typing import Any

from copilot_api.simulator.ids import is_own_signature
from copilot_api.simulator.replies import anthropic_refusal, backend_refusal, recorded
from copilot_api.simulator.wire import Json, is_array, is_object, object_at, objects_in, text_at

_MOST_BREAKPOINTS = 4
_MEDIA_TYPES = {"image/jpeg", "image/png", "image/webp", "image/gif"}
_BLOCKS = {"text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "search_result"}


def check_content(body: Json, *, is_strict: bool) -> None:
    """System and messages, block by block."""
    messages = body.get("messages")
    if not is_array(messages) or not messages:
        raise backend_refusal("messages: at least one message is required")
    for index, message in enumerate(messages):
        if not is_object(message):
            raise backend_refusal(f"messages.{index}: Input should be an object")
        _check_message(message, f"messages.{index}")
    system = body.get("system")
    for index, block in enumerate(system if is_array(system) else ()):
        if not is_object(block) or not isinstance(block.get("text"), str):
            raise backend_refusal(f"system.{index}: Input should be a text block")
        if not block["text"].strip():
            raise recorded("empty_text_block")
    _check_breakpoints(body, is_strict=is_strict)


def _check_message(message: Json, path: str) -> None:
    role, content = message.get("role"), message.get("content")
    if role == "system":
        raise recorded("mid_conversation_system")
    if role not in ("user", "assistant"):
        raise backend_refusal(f"{path}.role: Input should be 'user' or 'assistant'")
    if isinstance(content, str):
        if not content.strip():
            raise recorded("empty_text_block")
        return
    if not is_array(content):
        raise backend_refusal(f"{path}.content: Input should be a valid list")
    if not content:
        raise backend_refusal(f"{path}: all messages must have non-empty content")
    for index, block in enumerate(content):
        if not is_object(block):
            raise backend_refusal(f"{path}.content.{index}: Input should be an object")
        _check_block(block, f"{path}.content.{index}")


def _check_block(block: Json, path: str) -> None:
    kind = block.get("type")
    if not isinstance(kind, str) or kind not in _BLOCKS:
        raise backend_refusal(f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    if kind == "text" and not isinstance(block.get("text"), str):
        raise backend_refusal(f"{path}.text.text: Field required")
    if kind == "text" and not block["text"].strip():
        raise recorded("empty_text_block")
    if kind == "image":
        _check_image(object_at(block, "source"), path)
    elif kind == "thinking":
        _check_thinking(block, path)
    elif kind == "tool_use" and not (text_at(block, "id") and text_at(block, "name") and is_object(block.get("input"))):
        raise backend_refusal(f"{path}.tool_use: id, name and input are required")
    elif kind == "tool_result":
        _check_tool_result(block, path)


def _check_image(source: Json, path: str) -> None:
    if source.get("type") == "url":
        raise recorded("external_image_url")
    if source.get("type") != "base64" or not text_at(source, "data"):
        raise backend_refusal(f"{path}.image.source: Input should be a base64 source")
    if text_at(source, "media_type") not in _MEDIA_TYPES:
        raise backend_refusal(f"{path}.image.source.base64.media_type: Input should be one of {sorted(_MEDIA_TYPES)}")


def _check_thinking(block: Json, path: str) -> None:
    if not is_own_signature(text_at(block, "signature")):
        if not text_at(block, "thinking"):
            raise recorded("thinking_block_without_thinking")
        raise backend_refusal(f"{path}: Invalid `signature` in `thinking` block")
    if "cache_control" in block:
        raise backend_refusal(f"{path}.thinking.cache_control: Extra inputs are not permitted")


def _check_tool_result(block: Json, path: str) -> None:
    content = block.get("content")
    if not text_at(block, "tool_use_id"):
        raise backend_refusal(f"{path}.tool_result.tool_use_id: Field required")
    for index, part in enumerate(content if is_array(content) else ()):
        place = f"{path}.tool_result.content.{index}"
        if not is_object(part):
            raise backend_refusal(f"{place}: Input should be an object")
        if "cache_control" in part:
            raise backend_refusal(
                f"{place}.cache_control: cache_control may not be specified within `tool_result.content`. "
                "Instead, place it directly on `tool_result`"
            )
        if part.get("type") == "text" and not isinstance(part.get("text"), str):
            raise backend_refusal(f"{place}.text.text: Field required")


def _breakpoints(body: Json) -> Iterator[tuple[str, Json]]:
    """Every `cache_control` and where it is."""
    system = body.get("system")
    for index, block in enumerate(objects_in(system)):
        yield f"system.{index}", block
    for index, tool in enumerate(objects_in(body.get("tools"))):
        yield f"tools.{index}", tool
    for index, message in enumerate(objects_in(body.get("messages"))):
        for position, block in enumerate(objects_in(message.get("content"))):
            yield f"messages.{index}.content.{position}", block


def _check_breakpoints(body: Json, *, is_strict: bool) -> None:
    marked = [(path, block.get("cache_control")) for path, block in _breakpoints(body)]
    found = [(path, control) for path, control in marked if control is not None]
    if len(found) > _MOST_BREAKPOINTS:
        raise anthropic_refusal(f"A maximum of 4 blocks with cache_control may be provided. Found {len(found)}.")
    for path, control in found:
        if not is_object(control) or control.get("type") != "ephemeral":
            raise backend_refusal(f"{path}.cache_control: Input should be an object of type 'ephemeral'")
        for name in ("scope", *(("ttl",) if is_strict else ())):
            if name in control:
                raise anthropic_refusal(f"{path}.cache_control.ephemeral.{name}: Extra inputs are not permitted")


def check_tool_pairing(messages: list[Json]) -> None:
    """Every tool_use is answered in the next message, results first, and no result comes without its call."""
    asked: list[str] = []
    for index, message in enumerate(messages):
        blocks = objects_in(message.get("content"))
        answered = [text_at(block, "tool_use_id") for block in blocks if block.get("type") == "tool_result"]
        _check_answers(index, asked, answered)
        leading: list[Any] = [block.get("type") for block in blocks[: len(answered)]]
        if asked and set(leading) - {"tool_result"}:
            raise anthropic_refusal(f"messages.{index}: `tool_result` blocks must come before other content")
        is_assistant = message.get("role") == "assistant"
        asked = [text_at(block, "id") for block in blocks if is_assistant and block.get("type") == "tool_use"]
    if asked:
        raise anthropic_refusal(_unanswered(len(messages) - 1, asked))


def _check_answers(index: int, asked: list[str], answered: list[str]) -> None:
    missing = [call for call in asked if call not in answered]
    if missing:
        raise anthropic_refusal(_unanswered(index - 1, missing))
    stray = [call for call in answered if call not in asked]
    if stray:
        raise anthropic_refusal(
            f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(stray)}. "
            "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
        )


def _unanswered(index: int, calls: list[str]) -> str:
    return (
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )
