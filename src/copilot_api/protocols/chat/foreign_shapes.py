"""
Bodies of other protocols that arrive on the chat path, as the chat requests that they mean.

Cursor sends every model's request to `/chat/completions`: for OpenAI's newer models in the shape of Responses (`input`,
flat tools), for Claude with the blocks and tools of Anthropic's Messages. Only the shape is changed here; whether what
it says is right is checked afterwards, as for any other chat request.
"""

import base64
import json
from typing import Any

from copilot_api.errors import BadRequest
from copilot_api.protocols.chat.wire import decode_any
from copilot_api.protocols.data_urls import render_data_url
from copilot_api.protocols.effort import effort_for_budget
from copilot_api.protocols.untyped import list_of, object_of, text_of

FOREIGN_PARTS = frozenset({"tool_use", "tool_result"})
"""Types of parts that chat does not know and that mean the Messages shape."""

Json = dict[str, Any]

_KEPT = (
    "model", "stream", "stream_options", "temperature", "top_p", "parallel_tool_calls", "user", "safety_identifier",
    "prompt_cache_key", "metadata", "reasoning_effort", "n", "stop", "max_tokens", "max_completion_tokens", "verbosity",
    "response_format",
)  # fmt: skip
_TEXT_PARTS = {"text", "input_text", "output_text"}


def normalised(source: bytes) -> bytes:
    """The chat request that `source`, a JSON object of either foreign shape, means. Raises `BadRequest`."""
    try:
        body = object_of(decode_any(source))
        shaped = body if "messages" in body else _from_input(body)
        return json.dumps(_without_blocks(shaped), ensure_ascii=False).encode(errors="replace")
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except ValueError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None


# The shape of Responses ---------------------------------------------------------------------------------------------


def _from_input(body: Json) -> Json:
    chat: Json = {name: body[name] for name in _KEPT if name in body}
    for name in ("previous_response_id", "conversation", "prompt"):
        if body.get(name):
            raise BadRequest(
                f"'{name}' is not known to chat completions: the gateway keeps no state; send the whole conversation",
                param=name,
                upstream_code="unsupported_parameter",
            )
    messages: list[Json] = []
    if text_of(body.get("instructions")):
        messages.append({"role": "system", "content": body["instructions"]})
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list_of(given)
    for item in items:
        _add_item(messages, {"role": "user", "content": item} if isinstance(item, str) else object_of(item))
    chat["messages"] = messages
    if "tools" in body:
        chat["tools"] = [_nested_tool(object_of(tool)) for tool in list_of(body["tools"])]
    if body.get("tool_choice") is not None:
        chat["tool_choice"] = _nested_choice(body["tool_choice"])
    if "max_output_tokens" in body:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    if (effort := object_of(body.get("reasoning")).get("effort")) is not None:
        chat["reasoning_effort"] = effort
    text = object_of(body.get("text"))
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    if text.get("format") is not None:
        chat["response_format"] = _nested_format(object_of(text["format"]))
    return chat


def _add_item(messages: list[Json], item: Json) -> None:
    """One item at the end of `messages`; what the model said and called in one turn is one message."""
    kind = item.get("type") or "message"
    if kind in {"message", "function_call", "custom_tool_call"} and (
        kind != "message" or item.get("role") == "assistant"
    ):
        if (
            not messages
            or messages[-1]["role"] != "assistant"
            or (kind == "message" and messages[-1].get("tool_calls"))
        ):
            messages.append({"role": "assistant", "content": None})
        turn = messages[-1]
        if kind == "message":
            turn["content"] = [*list_of(turn["content"]), *_chat_parts(item.get("content"))]
        else:
            turn.setdefault("tool_calls", []).append(_nested_call(item, kind))
    elif kind == "message":
        content = item.get("content")
        messages.append(
            {"role": item.get("role"), "content": content if isinstance(content, str) else _chat_parts(content)}
        )
    elif kind in {"function_call_output", "custom_tool_call_output"}:
        output = item.get("output")
        content = output if isinstance(output, str) else _chat_parts(output)
        messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": content})
    # Reasoning and hosted tools' items mean nothing to a chat model.


def _nested_call(item: Json, kind: str) -> Json:
    name = item.get("name")
    if kind == "custom_tool_call":
        return {"id": item.get("call_id"), "type": "custom", "custom": {"name": name, "input": item.get("input")}}
    function = {"name": name, "arguments": item.get("arguments")}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def _chat_parts(content: object) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_chat_part(object_of(part)) or part for part in list_of(content)]


def _chat_part(part: Json) -> Json:
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            return {"type": "text", "text": part.get("text")}
        case "input_image":
            image = {"url": part.get("image_url"), "file_id": part.get("file_id"), "detail": part.get("detail")}
            return {
                "type": "image_url",
                "image_url": {name: value for name, value in image.items() if value is not None},
            }
        case "input_file":
            names = ("file_data", "file_id", "filename")
            return {"type": "file", "file": {name: part[name] for name in names if part.get(name) is not None}}
        case _:
            return part


def _nested_tool(tool: Json) -> Json:
    """A flat tool with its fields where chat has them."""
    kind = tool.get("type")
    if kind not in {"function", "custom"} or kind in tool:
        return tool
    fields = {name: value for name, value in tool.items() if name != "type"}
    grammar = object_of(fields.get("format"))
    if kind == "custom" and grammar.get("type") == "grammar" and "grammar" not in grammar:
        inner = {name: value for name, value in grammar.items() if name != "type"}
        fields["format"] = {"type": "grammar", "grammar": inner}
    return {"type": kind, kind: fields}


def _nested_choice(choice: object) -> object:
    fields = object_of(choice)
    kind = fields.get("type")
    if kind in {"function", "custom"} and kind not in fields:
        return {"type": kind, kind: {"name": fields.get("name")}}
    if kind == "allowed_tools" and kind not in fields:
        tools = [_nested_choice(tool) for tool in list_of(fields.get("tools"))]
        return {"type": kind, kind: {"mode": fields.get("mode"), "tools": tools}}
    return choice


def _nested_format(form: Json) -> Json:
    if form.get("type") != "json_schema" or "json_schema" in form:
        return form
    return {"type": "json_schema", "json_schema": {name: value for name, value in form.items() if name != "type"}}


# The shape of Messages ----------------------------------------------------------------------------------------------


def _without_blocks(body: Json) -> Json:
    """The request with Anthropic's blocks, tools and choices, wherever it has any, as chat's own."""
    chat = dict(body)
    messages: list[Json] = []
    if (system := chat.pop("system", None)) is not None:
        messages.append({"role": "system", "content": system if isinstance(system, str) else _texts(system)})
    for message in list_of(body.get("messages")):
        messages += _unblocked(object_of(message)) if object_of(message) else [message]
    chat["messages"] = messages
    if "tools" in chat:
        chat["tools"] = [_function_tool(tool) for tool in list_of(chat["tools"])]
    choice = object_of(chat.get("tool_choice"))
    if choice.get("type") in {"auto", "any", "none"}:
        chat["tool_choice"] = "required" if choice["type"] == "any" else choice["type"]
    elif choice.get("type") == "tool":
        chat["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    if choice.get("disable_parallel_tool_use") is True:
        chat.setdefault("parallel_tool_calls", False)
    if (stops := chat.pop("stop_sequences", None)) is not None:
        chat.setdefault("stop", stops)
    _take_thinking(chat)
    return chat


def _take_thinking(chat: Json) -> None:
    effort = object_of(chat.pop("output_config", None)).get("effort")
    budget = object_of(chat.pop("thinking", None)).get("budget_tokens")
    if effort is None and isinstance(budget, int):
        effort = effort_for_budget(budget)
    if effort is not None:
        chat.setdefault("reasoning_effort", effort)


def _unblocked(message: Json) -> list[Json]:
    """The messages that one with blocks amounts to: results first, each as a message of its own."""
    content = list_of(message.get("content"))
    if not content:
        return [message]
    results: list[Json] = []
    parts: list[Any] = []
    calls: list[Json] = []
    thinking: list[Json] = []
    for block in content:
        fields = object_of(block)
        match fields.get("type"):
            case "tool_use":
                calls.append(_call_of(fields))
            case "tool_result":
                results.append(_result_of(fields))
            case "thinking" | "redacted_thinking":
                thinking.append(fields)
            case "image" if "source" in fields:
                parts.append(_image_of(object_of(fields["source"])))
            case "document" if "source" in fields:
                parts.append(_document_of(fields))
            case _:
                parts.append(block)
    rest: Json = {**message, "content": parts or None}
    if calls:
        rest["tool_calls"] = [*list_of(message.get("tool_calls")), *calls]
    if thinking:
        rest["thinking_blocks"] = thinking
    return [*results, rest] if parts or calls or thinking or not results else results


def _call_of(block: Json) -> Json:
    given = block.get("input")
    arguments = given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False, separators=(",", ":"))
    return {"id": block.get("id"), "type": "function", "function": {"name": block.get("name"), "arguments": arguments}}


def _result_of(block: Json) -> Json:
    content = block.get("content")
    parts = [_shown(part) for part in list_of(content)]
    return {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": parts or content}


def _shown(part: object) -> object:
    """A part of a result: an image as chat has it."""
    fields = object_of(part)
    return _image_of(object_of(fields["source"])) if fields.get("type") == "image" and "source" in fields else part


def _image_of(source: Json) -> Json:
    return {"type": "image_url", "image_url": {"url": _url_of(source)}}


def _document_of(block: Json) -> Json:
    source = object_of(block["source"])
    file: Json = {"file_data": _url_of(source)}
    if text_of(block.get("title")):
        file["filename"] = block["title"]
    return {"type": "file", "file": file}


def _url_of(source: Json) -> object:
    match source.get("type"):
        case "base64":
            return render_data_url(text_of(source.get("media_type")), text_of(source.get("data")))
        case "text":
            data = base64.b64encode(text_of(source.get("data")).encode(errors="replace")).decode()
            return render_data_url("text/plain", data)
        case _:
            return source.get("url")


def _texts(blocks: object) -> list[Any]:
    """System blocks as chat's parts: the text of each."""
    return [
        {"type": "text", "text": object_of(block).get("text")} if object_of(block).get("type") in _TEXT_PARTS else block
        for block in list_of(blocks)
    ]


def _function_tool(tool: object) -> object:
    fields = object_of(tool)
    if "input_schema" not in fields:
        return _nested_tool(fields) if fields else tool
    function: Json = {"name": fields.get("name"), "parameters": fields["input_schema"]}
    for name in ("description", "strict"):
        if fields.get(name) is not None:
            function[name] = fields[name]
    return {"type": "function", "function": function}
