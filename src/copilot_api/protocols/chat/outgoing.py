"""
A request in the neutral form as Copilot's chat endpoint takes it.

The same request always gives the same bytes: prompt caches live on it.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

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

Json = dict[str, Any]

_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_EMPTY = "(no content)"
_MODES = {"auto": "auto", "any": "required", "none": "none"}


def render_request(request: ModelRequest, traits: ModelTraits) -> Outgoing:
    """The request as it goes to a model that is spoken to in chat."""
    body: Json = {"model": traits.id, "messages": list(_messages(request, traits))}
    _add_limits(body, request, traits)
    _add_tools(body, request, traits)
    effort = effort_for(request.thinking, traits)
    if effort is not None:
        body["reasoning_effort"] = effort
    if request.verbosity is not None and traits.id.startswith("gpt-5"):
        body["verbosity"] = request.verbosity
    if request.output_format is not None:
        body["response_format"] = _response_format(request.output_format, traits)
    if request.user is not None and traits.is_openai:
        body["user"] = request.user
    if request.is_streamed:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return Outgoing(msgspec.json.encode(body), has_images=_has_images(request))


def _add_limits(body: Json, request: ModelRequest, traits: ModelTraits) -> None:
    """How long and how freely to answer. OpenAI's reasoning models refuse all of it but the limit, by its new name."""
    if request.max_output_tokens is not None:
        body["max_completion_tokens" if traits.is_reasoning else "max_tokens"] = request.max_output_tokens
    if traits.is_reasoning:
        return
    if request.temperature is not None:
        body["temperature"] = min(request.temperature, 1.0) if traits.is_claude else request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.stop:
        body["stop"] = list(request.stop)


# Tools and form -----------------------------------------------------------------------------------------------------


def _add_tools(body: Json, request: ModelRequest, traits: ModelTraits) -> None:
    if not request.tools:
        return
    body["tools"] = [_tool(tool, traits) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.is_parallel is not None:
        body["parallel_tool_calls"] = request.is_parallel


def _tool(tool: Tool, traits: ModelTraits) -> Json:
    function: Json = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict is not None and traits.is_openai:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> str | Json:
    if choice.mode == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    return _MODES[choice.mode]


def _response_format(wanted: OutputFormat, traits: ModelTraits) -> Json:
    if wanted.kind == "json_object":
        return {"type": "json_object"}
    schema: Json = {"name": wanted.name or "response"}
    if wanted.description:
        schema["description"] = wanted.description
    schema["schema"] = wanted.schema
    if wanted.strict is not None and traits.is_openai:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


# Messages -----------------------------------------------------------------------------------------------------------


def _messages(request: ModelRequest, traits: ModelTraits) -> Iterator[Json]:
    if request.system:
        yield {"role": "system", "content": "\n\n".join(request.system)}
    for message in request.messages:
        match message.role:
            case "system":
                yield {"role": "system", "content": _joined(message.parts)}
            case "assistant":
                yield _assistant(message, traits)
            case _:
                yield from _user(message)


def _joined(parts: tuple[Part, ...]) -> str:
    return "\n\n".join([part.text for part in parts if isinstance(part, Text) and part.text])


def _assistant(message: Message, traits: ModelTraits) -> Json:
    calls = [_call(part) for part in message.parts if isinstance(part, ToolCall)]
    refusals = "\n\n".join([part.text for part in message.parts if isinstance(part, Refusal)])
    turn: Json = {"role": "assistant", "content": _joined(message.parts) or None}
    if refusals and traits.is_openai:
        turn["refusal"] = refusals
    elif refusals:
        turn["content"] = f"{turn['content']}\n\n{refusals}" if turn["content"] else refusals
    _add_reasoning(turn, message)
    if calls:
        turn["tool_calls"] = calls
    elif turn["content"] is None and "refusal" not in turn:
        turn["content"] = _EMPTY  # a turn of nothing is refused
    return turn


def _add_reasoning(turn: Json, message: Message) -> None:
    """Copilot's own reasoning, as it gave it. There is room for one stretch: of several the last counts."""
    own = [
        part
        for part in message.parts
        if isinstance(part, Reasoning) and part.carrier is not None and part.carrier.kind == "ro"
    ]
    if own and own[-1].carrier is not None:
        if own[-1].text:
            turn["reasoning_text"] = own[-1].text
        turn["reasoning_opaque"] = own[-1].carrier.data


def _call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": _arguments(call.arguments)}
    return {"id": _call_id(call.id), "type": "function", "function": function}


def _call_id(given: str) -> str:
    """The id, or what always stands in for it where it is longer or stranger than upstreams take."""
    if _CALL_ID.match(given):
        return given
    return f"call_{hashlib.sha256(given.encode(errors='replace')).hexdigest()[:24]}"


def _arguments(text: str) -> str:
    """Arguments that are JSON: Claude's backend parses them, and a history may hold what broke off."""
    if not text.strip():
        return "{}"
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.encode({"_raw": text}).decode()
    return text


def _user(message: Message) -> Iterator[Json]:
    """
    Results each as a message of its own, then everything else in one.

    A tool message holds text only: images of results follow in that one user message, each behind the id of its call.
    """
    shown: list[Json] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            images = [piece for piece in part.parts if isinstance(piece, Image)]
            call_id = _call_id(part.call_id)
            yield {"role": "tool", "tool_call_id": call_id, "content": _result_text(part, len(images))}
            for image in images:
                shown += [_text(f"[image from the result of tool call {call_id}]"), _image(image)]
    shown += [content for part in message.parts if (content := _content(part)) is not None]
    if len(shown) == 1 and shown[0]["type"] == "text":
        yield {"role": "user", "content": shown[0]["text"]}
    elif shown:
        yield {"role": "user", "content": shown}


def _result_text(result: ToolResult, images: int) -> str:
    pieces = [piece.text if isinstance(piece, Text) else _document_text(piece)
              for piece in result.parts if not isinstance(piece, Image)]  # fmt: skip
    if images:
        pieces.append(f"[{images} image{'s' if images > 1 else ''} shown in the next user message]")
    text = "\n\n".join(pieces)
    if result.is_error and not text.lower().startswith(("error", "<tool_use_error>")):
        return f"Error: {text}"
    return text or "(no output)"


def _content(part: Part) -> Json | None:
    match part:
        case Text(text):
            return _text(text)
        case Image():
            return _image(part)
        case Document():
            return _text(_document_text(part))
        case _:
            return None


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _image(image: Image) -> Json:
    url: Json = {"url": render_data_url(image.media_type, image.data) if image.data else image.url}
    if image.detail is not None:
        url["detail"] = image.detail
    return {"type": "image_url", "image_url": url}


def _document_text(document: Document) -> str:
    name = document.title or "document"
    return f"{name}\n\n{document.text}" if document.text else f"[document {name!r} not shown]"


def _has_images(request: ModelRequest) -> bool:
    parts = (part for message in request.messages for part in message.parts)
    return any(
        isinstance(part, Image)
        or (isinstance(part, ToolResult) and any(isinstance(piece, Image) for piece in part.parts))
        for part in parts
    )
