"""
A neutral request as Copilot's Responses takes it.

Always stateless: nothing is stored, and reasoning comes back encrypted to be sent again. The same request gives the
same bytes, whatever happened before: a prompt cache hits only then.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any, assert_never

import msgspec

from copilot_api.protocols.base import ModelTraits, Outgoing
from copilot_api.protocols.conversation import (
    Document,
    Image,
    Message,
    ModelRequest,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from copilot_api.protocols.data_urls import render_data_url
from copilot_api.protocols.effort import effort_for
from copilot_api.protocols.untyped import list_of, object_of, text_of

Item = dict[str, Any]

MIN_OUTPUT_TOKENS = 16
"""Copilot refuses a smaller limit; Claude Code probes with 1."""
_MAX_STRICT_DEPTH = 10
"""How deep OpenAI lets a strict schema be nested."""
_LOOSE_KEYWORDS = {"allOf", "oneOf", "not", "if", "patternProperties", "dependentRequired", "dependentSchemas"}
_VERSION = re.compile(r"gpt-(\d+)\.(\d+)")
_ERROR_MARKS = ("error", "<tool_use_error>")


def render_request(request: ModelRequest, traits: ModelTraits) -> Outgoing:
    """The request to the model that `traits` describe."""
    items = list(_items(request, traits))
    body: Item = {"model": traits.id}
    instructions = "\n\n".join(request.system)
    if instructions and items:
        body["instructions"] = instructions
    elif instructions:
        items.append(_message("developer", [_input_text(instructions)]))  # an input without any item is refused
    output_format = request.output_format
    if output_format is not None and output_format.kind == "json_object" and not _mentions_json(request):
        items.append(_message("developer", [_input_text("Reply in JSON.")]))  # without the word the format is refused
    body["input"] = items
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = _tool_choice(request.tool_choice, request.tools)
        body["parallel_tool_calls"] = request.is_parallel is not False
    if request.max_output_tokens is not None:
        body["max_output_tokens"] = max(MIN_OUTPUT_TOKENS, request.max_output_tokens)
    if not traits.is_reasoning:
        body |= _given(temperature=request.temperature, top_p=request.top_p)
    reasoning = _reasoning(request, traits)
    text = _given(format=_format(output_format) if output_format else None, verbosity=request.verbosity)
    body |= _given(reasoning=reasoning or None, text=text or None)
    body |= _given(prompt_cache_key=request.cache_key, safety_identifier=request.user)
    body |= {"store": False, "include": ["reasoning.encrypted_content"], "stream": request.is_streamed}
    return Outgoing(msgspec.json.encode(body), has_images=_has_images(request))


def _given(**fields: object) -> Item:
    return {name: value for name, value in fields.items() if value is not None}


def _has_images(request: ModelRequest) -> bool:
    return any(isinstance(part, Image) for message in request.messages for part in _with_inner(message.parts))


def _with_inner(parts: tuple[Part, ...]) -> Iterator[Part]:
    """The parts, and those inside tool results."""
    for part in parts:
        yield part
        if isinstance(part, ToolResult):
            yield from part.parts


def _mentions_json(request: ModelRequest) -> bool:
    texts = (part for message in request.messages for part in _with_inner(message.parts))
    return any("json" in part.text.lower() for part in texts if isinstance(part, Text))


# Items --------------------------------------------------------------------------------------------------------------


def _items(request: ModelRequest, traits: ModelTraits) -> Iterator[Item]:
    custom = {
        part.id
        for message in request.messages
        for part in message.parts
        if isinstance(part, ToolCall) and part.is_custom
    }
    for message in request.messages:
        match message.role:
            case "assistant":
                yield from _assistant_items(message, traits)
            case "user":
                yield from _user_items(message, custom)
            case "system":
                content = [_input_text(part.text) for part in message.parts if isinstance(part, Text) and part.text]
                if content:
                    yield _message("developer", content)


def _message(role: str, content: list[Item]) -> Item:
    return {"type": "message", "role": role, "content": content}


def _input_text(text: str) -> Item:
    return {"type": "input_text", "text": text}


def _user_items(message: Message, custom: set[str]) -> Iterator[Item]:
    """A user's turn: what was said before a result stays before it."""
    content: list[Item] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            if content:
                yield _message("user", content)
                content = []
            kind = "custom_tool_call_output" if part.call_id in custom else "function_call_output"
            yield {"type": kind, "call_id": part.call_id, "output": _output(part)}
        elif isinstance(part, Text | Image | Document):
            content.append(_content(part))
    if content:
        yield _message("user", content)


def _content(part: Text | Image | Document) -> Item:
    match part:
        case Text(text):
            return _input_text(text)
        case Image():
            url = render_data_url(part.media_type, part.data) if part.data else part.url
            return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}
        case Document(title=title, media_type=media_type, data=data, text=text, url=url):
            if data:
                file = render_data_url(media_type or "application/pdf", data)
                return {"type": "input_file", "filename": title or "document.pdf", "file_data": file}
            if url and not text:
                return {"type": "input_file", "file_url": url}
            return _input_text(f"{title}\n{text}" if title else text)
    assert_never(part)


def _output(result: ToolResult) -> str | list[Item]:
    """A result as plain text where it is that. OpenAI has no field for a failed one: the text says it."""
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    is_plain = len(texts) == len(result.parts)
    text = "\n".join(texts) if is_plain else "".join(texts[:1])
    is_marked = not result.is_error or text.lstrip().lower().startswith(_ERROR_MARKS)
    if is_plain:
        return text if is_marked else f"Error: {text}"
    content = [_content(part) for part in result.parts]
    return content if is_marked else [_input_text("Error:"), *content]


def _assistant_items(message: Message, traits: ModelTraits) -> Iterator[Item]:
    """
    A model's turn. Reasoning that nothing follows is left out: Responses refuses it without the item that it led to.
    """
    parts = list(message.parts)
    while parts and isinstance(parts[-1], Reasoning):
        parts.pop()
    phase = message.phase or _assumed_phase(parts, traits)
    content: list[Item] = []
    for part in parts:
        if isinstance(part, Text | Refusal):
            content.append(_said(part))
            continue
        if content:
            yield _message("assistant", content) | _given(phase=phase)
            content = []
        if isinstance(part, ToolCall):
            yield _call(part)
        elif isinstance(part, Reasoning) and part.carrier is not None and part.carrier.kind == "rs":
            yield _reasoning_item(part)
    if content:
        yield _message("assistant", content) | _given(phase=phase)


def _said(part: Text | Refusal) -> Item:
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    return {"type": "output_text", "text": part.text}


def _assumed_phase(parts: list[Part], traits: ModelTraits) -> str | None:
    """The phase of a replayed message for the models that want one (gpt-5.3 and later), as it nearly always is."""
    version = _VERSION.match(traits.id)
    if version is None or (int(version[1]), int(version[2])) < (5, 3):
        return None
    return "commentary" if any(isinstance(part, ToolCall) for part in parts) else "final_answer"


def _call(call: ToolCall) -> Item:
    if call.is_custom:
        return {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.arguments}
    arguments = call.arguments if call.arguments.strip() else "{}"
    item = {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments}
    return item | {"status": "completed"}


def _reasoning_item(part: Reasoning) -> Item:
    """The item as it was. Its id goes with it: the encrypted content is bound to it."""
    carrier = part.carrier
    assert carrier is not None  # noqa: S101 -- the caller has looked
    item: Item = {"type": "reasoning"} | _given(id=carrier.id or None)
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    return item | {"summary": summary, "encrypted_content": carrier.data}


# Tools and settings -------------------------------------------------------------------------------------------------


def _tool(tool: Tool) -> Item:
    """A tool. `strict` is always written: Responses takes a missing one for true."""
    described = _given(description=tool.description or None)
    if tool.is_custom:
        return {"type": "custom", "name": tool.name} | described | _given(format=tool.grammar)
    parameters = tool.parameters or {"type": "object", "properties": {}}
    item: Item = {"type": "function", "name": tool.name} | described
    return item | {"parameters": parameters, "strict": tool.strict is True}


def _tool_choice(choice: ToolChoice, tools: tuple[Tool, ...]) -> str | Item:
    match choice.mode:
        case "auto" | "none":
            return choice.mode
        case "any":
            return "required"
        case "tool":
            is_custom = any(tool.is_custom for tool in tools if tool.name == choice.name)
            return {"type": "custom" if is_custom else "function", "name": choice.name}


def _reasoning(request: ModelRequest, traits: ModelTraits) -> Item:
    """How much to think, and whether to tell of it; nothing for a model that does not think."""
    if not traits.efforts and not traits.is_reasoning:
        return {}
    effort = effort_for(request.thinking, traits)
    thinking = request.thinking
    is_silent = effort == "none" or (thinking is not None and (thinking.is_disabled or thinking.is_shown is False))
    return _given(effort=effort, summary=None if is_silent else "auto")


def _format(wanted: OutputFormat) -> Item:
    if wanted.kind == "json_object":
        return {"type": "json_object"}
    strict = _is_strict(wanted.schema) if wanted.strict is None else wanted.strict
    described = _given(description=wanted.description or None)
    item: Item = {"type": "json_schema", "name": wanted.name or "response"} | described
    return item | {"schema": wanted.schema, "strict": strict}


def _is_strict(schema: object, depth: int = 0) -> bool:
    """Whether OpenAI takes the schema as a strict one: every object is closed and requires all that it has."""
    fields = object_of(schema)
    if depth > _MAX_STRICT_DEPTH or not _LOOSE_KEYWORDS.isdisjoint(fields):
        return False
    properties = object_of(fields.get("properties"))
    if fields.get("type") == "object" or "properties" in fields:
        required = {text_of(name) for name in list_of(fields.get("required"))}
        if fields.get("additionalProperties") is not False or required != set(properties):
            return False
    elif depth == 0:
        return False
    named = [object_of(fields.get(name)).values() for name in ("$defs", "definitions")]
    inner = [*properties.values(), *itertools.chain(*named), *list_of(fields.get("anyOf"))]
    if "items" in fields:
        inner.append(fields["items"])
    return all(_is_strict(part, depth + 1) for part in inner)
