"""
A Responses input in the neutral form.

Responses has no turns: reasoning, a message and calls of one turn are items in a row, and so are the answers to them.
What the model said in a row is one assistant message here, what came back in a row one user message.
"""

from typing import Any

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols import carriers
from copilot_api.protocols.conversation import (
    Carrier,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from copilot_api.protocols.data_urls import parse_data_url
from copilot_api.protocols.responses.tools import SEPARATOR
from copilot_api.protocols.untyped import list_of, object_of, text_of

_INPUT_PARTS = {"input_text", "output_text", "text", "summary_text", "reasoning_text"}
_HOSTED_CALLS = {"local_shell_call": "local_shell", "shell_call": "shell", "apply_patch_call": "apply_patch"}
_IGNORED = {"additional_tools"}


def read_input(instructions: str | None, source: msgspec.Raw) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    """The leading instructions, and the conversation."""
    system = [instructions] if instructions else []
    value = msgspec.json.decode(source)
    if isinstance(value, str):
        return tuple(system), (Message("user", (Text(value),)),)
    turns = _Turns(system)
    for place, raw in enumerate(list_of(value)):
        turns.add(object_of(raw), f"input[{place}]")
    return tuple(system), turns.finished()


class _Turns:
    """Gathers items into turns."""

    def __init__(self, system: list[str]) -> None:
        self._system = system
        self._messages: list[Message] = []
        self._role: Any = ""
        self._parts: list[Part] = []
        self._phase: str | None = None

    def add(self, item: dict[str, Any], at: str) -> None:
        kind = text_of(item.get("type")) or ("message" if item.get("role") else "")
        if kind == "message":
            self._add_message(item, at)
        elif kind in {"function_call", "custom_tool_call"} or kind in _HOSTED_CALLS:
            self._say("assistant", _read_call(item, kind, at))
        elif kind.endswith("_output"):
            self._say("user", _read_result(item, at))
        elif kind == "reasoning":
            self._say("assistant", _read_reasoning(item))
        elif kind == "item_reference":
            raise BadRequest(
                "an item_reference names something stored, and nothing is stored here",
                param=at,
                upstream_code="unsupported_value",
                hint="send the item itself",
            )
        elif kind in {"compaction", "compaction_summary"}:
            self._add_compaction(item, at)
        elif not kind:
            raise BadRequest(f"the field '{at}.type' is required", param=f"{at}.type")
        # Everything else is what OpenAI's own servers did (web searches and their like): nobody else can replay it.

    def finished(self) -> tuple[Message, ...]:
        self._flush()
        return tuple(self._messages)

    def _say(self, role: str, part: Part | None) -> None:
        if role != self._role:
            self._flush()
            self._role = role
        if part is not None:
            self._parts.append(part)

    def _flush(self) -> None:
        if self._parts:
            self._messages.append(Message(self._role, tuple(self._parts), self._phase))
        self._role, self._parts, self._phase = "", [], None

    def _add_message(self, item: dict[str, Any], at: str) -> None:
        role = text_of(item.get("role"))
        if role not in {"user", "assistant", "system", "developer"}:
            raise BadRequest(
                f"the field '{at}.role' must be 'user', 'assistant', 'system' or 'developer'", param=f"{at}.role"
            )
        parts = _read_content(item.get("content"), f"{at}.content")
        if role in {"system", "developer"}:
            texts = [part.text for part in parts if isinstance(part, Text)]
            if not self._messages and not self._parts:
                self._system += texts
                return
            self._flush()
            self._messages.append(Message("system", tuple(Text(text) for text in texts)))
            return
        self._say(role, None)
        self._parts += parts
        phase = item.get("phase")
        if role == "assistant" and isinstance(phase, str):
            self._phase = phase

    def _add_compaction(self, item: dict[str, Any], at: str) -> None:
        carrier = carriers.unpack(text_of(item.get("encrypted_content")))
        if carrier is None or not carrier.text:
            raise BadRequest(
                "a compaction made elsewhere cannot be read here, and leaving it out would lose the conversation",
                param=at,
                upstream_code="unsupported_value",
                hint="send the conversation itself",
            )
        self._flush()
        self._messages.append(Message("user", (Text(carrier.text),)))


def _read_content(content: object, at: str) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)]
    if not isinstance(content, list):
        raise BadRequest(f"the field '{at}' is wrong: expected a string or a list of parts", param=at)
    return [_read_part(object_of(part), f"{at}[{place}]") for place, part in enumerate(list_of(content))]


def _read_part(part: dict[str, Any], at: str) -> Text | Refusal | Image | Document:
    kind = text_of(part.get("type"))
    if kind in _INPUT_PARTS:
        return Text(_required_text(part, "text", at))
    match kind:
        case "refusal":
            return Refusal(_required_text(part, "refusal", at))
        case "input_image" | "image_url":
            return _read_image(part, at)
        case "input_file":
            return _read_file(part, at)
        case "input_audio":
            raise _unsupported(at, "audio is not supported")
        case _:
            return Text(f"[unsupported content: {kind[:100]}]")


def _read_image(part: dict[str, Any], at: str) -> Image:
    if part.get("file_id"):
        raise _unsupported(f"{at}.file_id", "a file that is stored elsewhere cannot be used; send the image itself")
    url = part.get("image_url")
    address = text_of(object_of(url).get("url")) if isinstance(url, dict) else _required_text(part, "image_url", at)
    found = parse_data_url(address)
    detail = part.get("detail")
    known = detail if isinstance(detail, str) else None
    if found is None:
        return Image(url=address, detail=known)
    return Image(media_type=found.media_type, data=found.data, detail=known)


def _read_file(part: dict[str, Any], at: str) -> Document:
    if part.get("file_id"):
        raise _unsupported(f"{at}.file_id", "a file that is stored elsewhere cannot be used; send the file itself")
    title = text_of(part.get("filename"))
    if part.get("file_url"):
        return Document(title=title, url=_required_text(part, "file_url", at))
    raw = _required_text(part, "file_data", at)
    found = parse_data_url(raw)
    if found is None:
        return Document(title=title, media_type="application/pdf", data=raw)
    return Document(title=title, media_type=found.media_type, data=found.data)


def _read_call(item: dict[str, Any], kind: str, at: str) -> ToolCall:
    call_id = text_of(item.get("call_id")) or text_of(item.get("id"))
    if not call_id:
        raise BadRequest(f"the field '{at}.call_id' is required", param=f"{at}.call_id")
    if kind in _HOSTED_CALLS:
        action = item.get("operation") if kind == "apply_patch_call" else item.get("action")
        arguments = msgspec.json.encode(object_of(action)).decode()
        return ToolCall(id=call_id, name=_HOSTED_CALLS[kind], arguments=arguments)
    name = _required_text(item, "name", at)
    namespace = text_of(item.get("namespace"))
    if namespace:
        name = f"{namespace}{SEPARATOR}{name}"
    if kind == "custom_tool_call":
        return ToolCall(id=call_id, name=name, arguments=_required_text(item, "input", at), is_custom=True)
    return ToolCall(id=call_id, name=name, arguments=_required_text(item, "arguments", at))


def _read_result(item: dict[str, Any], at: str) -> ToolResult:
    output = item.get("output")
    call_id = text_of(item.get("call_id"))
    if not call_id:
        raise BadRequest(f"the field '{at}.call_id' is required", param=f"{at}.call_id")
    if output is None or isinstance(output, str):
        return ToolResult(call_id=call_id, parts=(Text(output),) if output else ())
    if not isinstance(output, list):
        return ToolResult(call_id=call_id, parts=(Text(msgspec.json.encode(output).decode()),))
    found: list[Text | Image | Document] = []
    for place, raw in enumerate(list_of(output)):
        part = object_of(raw)
        if "type" in part:
            read = _read_part(part, f"{at}.output[{place}]")
            found.append(Text(read.text) if isinstance(read, Refusal) else read)
        else:  # what a shell printed
            found.append(Text(msgspec.json.encode(part).decode()))
    return ToolResult(call_id=call_id, parts=tuple(found))


def _read_reasoning(item: dict[str, Any]) -> Reasoning:
    summary = [text_of(object_of(part).get("text")) for part in list_of(item.get("summary"))]
    text = "\n\n".join(filter(None, summary))
    data = text_of(item.get("encrypted_content"))
    if not data:
        return Reasoning(text)
    if carriers.is_packed(data):
        return Reasoning(text, carriers.unpack(data))
    return Reasoning(text, Carrier(kind="rs", data=data, id=text_of(item.get("id"))))


def _required_text(block: dict[str, Any], name: str, at: str) -> str:
    value = block.get(name)
    if not isinstance(value, str):
        what = "is required" if value is None else "is wrong: expected a string"
        raise BadRequest(f"the field '{at}.{name}' {what}", param=f"{at}.{name}")
    return value


def _unsupported(param: str, message: str) -> BadRequest:
    return BadRequest(message, param=param, upstream_code="unsupported_value")
