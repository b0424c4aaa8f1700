"""
A Responses input in the neutral form.

Responses has no turns: reasoning, a message and calls of one turn are items in a row, and so are the answers to them.
What the model said in a row is one assistant message here, what came back in a row one user message.
"""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

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
from copilot_api.protocols.responses.tools import SEPARATOR, Json, PlacedTool, hosted_arguments, is_list, is_object
from copilot_api.protocols.untyped import list_of, object_of, text_of

Conversation = tuple[tuple[str, ...], tuple[Message, ...]]
"""The leading instructions, and what was said after them."""

_TEXT_PARTS = {"input_text", "output_text", "text", "summary_text", "reasoning_text"}
_HOSTED_CALLS = {"local_shell_call": "local_shell", "shell_call": "shell", "apply_patch_call": "apply_patch"}
_CALLS = {"function_call", "custom_tool_call", *_HOSTED_CALLS}
_RESULTS = {
    "function_call_output", "custom_tool_call_output", "local_shell_call_output", "shell_call_output",
    "apply_patch_call_output",
}  # fmt: skip


def read_input(instructions: str | None, source: str | list[Any]) -> Conversation:
    """The conversation in `source`, the field `input`. Raises `BadRequest` with the item at fault."""
    turns = _Turns([instructions] if instructions else [])
    if isinstance(source, str):
        turns.say("user", Text(source))
    else:
        for place, item in enumerate(source):
            turns.add(object_of(item), f"input[{place}]")
    return turns.finished()


def additional_tools(source: str | list[Any]) -> Iterator[PlacedTool]:
    """The tools that items of the input bring along."""
    for place, item in enumerate(map(object_of, list_of(source))):
        if item.get("type") == "additional_tools":
            for number, tool in enumerate(list_of(item.get("tools"))):
                yield f"input[{place}].tools[{number}]", object_of(tool)


class _Turns:
    """Gathers items into turns."""

    def __init__(self, system: list[str]) -> None:
        self._system = system
        self._messages: list[Message] = []
        self._role: Literal["user", "assistant"] = "user"
        self._parts: list[Part] = []
        self._phase: str | None = None
        self._call_ids: dict[str, str] = {}
        """Of a local shell's call: its id by that of its item, which some clients answer to instead."""

    def add(self, item: Json, at: str) -> None:
        """
        Take one item in. One of a kind that is not named here is what OpenAI's own servers did (searched the web, ran
        code): nobody else can replay it.
        """
        kind = text_of(item.get("type")) or ("message" if item.get("role") else "")
        if kind == "message":
            self._add_message(item, at)
        elif kind in _CALLS:
            call = _read_call(item, kind, at)
            if kind == "local_shell_call":
                self._call_ids[text_of(item.get("id"))] = call.id
            self.say("assistant", call)
        elif kind in _RESULTS:
            result = _read_result(item, kind, at)
            if kind == "local_shell_call_output":
                result = replace(result, call_id=self._call_ids.get(result.call_id, result.call_id))
            self.say("user", result)
        elif kind == "reasoning":
            self.say("assistant", _read_reasoning(item))
        elif kind == "item_reference":
            raise _stored(at, "an item_reference names an item that is stored", "send the item itself")
        elif kind in {"compaction", "compaction_summary"}:
            raise _stored(
                at, "a compaction stands for a conversation that OpenAI keeps", "send the conversation itself"
            )
        elif not kind:
            raise BadRequest(f"the field '{at}.type' is required", param=f"{at}.type")

    def say(self, role: Literal["user", "assistant"], *parts: Part, phase: str | None = None) -> None:
        """Add to the turn of `role`; a message of another phase is a turn of its own."""
        if role != self._role or (phase and self._phase and phase != self._phase):
            self._flush()
        self._role, self._phase = role, phase or self._phase
        self._parts += parts

    def finished(self) -> Conversation:
        self._flush()
        return tuple(self._system), tuple(self._messages)

    def _flush(self) -> None:
        if self._parts:
            self._messages.append(Message(self._role, tuple(self._parts), self._phase))
        self._parts, self._phase = [], None

    def _add_message(self, item: Json, at: str) -> None:
        role = item.get("role")
        parts = _read_content(item.get("content"), f"{at}.content")
        match role:
            case "user":
                self.say("user", *parts)
            case "assistant":
                self.say("assistant", *parts, phase=text_of(item.get("phase")) or None)
            case "system" | "developer":
                self._instruct([part for part in parts if isinstance(part, Text) and part.text])
            case _:
                raise BadRequest(
                    f"the field '{at}.role' must be 'user', 'assistant', 'system' or 'developer'", param=f"{at}.role"
                )

    def _instruct(self, texts: list[Text]) -> None:
        """Instructions lead the conversation, or stand where they were given."""
        self._flush()
        if not self._messages:
            self._system += [part.text for part in texts]
        elif texts:
            self._messages.append(Message("system", tuple(texts)))


# Content ------------------------------------------------------------------------------------------------------------


def _read_content(content: object, at: str) -> list[Text | Refusal | Image | Document]:
    if isinstance(content, str):
        return [Text(content)]
    if not is_list(content):
        what = "is required" if content is None else "is wrong: expected a string or a list of parts"
        raise BadRequest(f"the field '{at}' {what}", param=at)
    return [_read_part(part, f"{at}[{place}]") for place, part in enumerate(list_of(content))]


def _read_part(raw: object, at: str) -> Text | Refusal | Image | Document:
    if not is_object(raw):
        raise BadRequest(f"the field '{at}' is wrong: expected an object", param=at)
    part = object_of(raw)
    kind = text_of(part.get("type"))
    if kind in _TEXT_PARTS:
        return Text(_required_text(part, "text", at))
    match kind:
        case "refusal":
            return Refusal(_required_text(part, "refusal", at))
        case "input_image" | "image_url":
            return _read_image(part, at)
        case "input_file":
            return _read_file(part, at)
        case "input_audio":
            raise BadRequest("audio is not supported", param=at, upstream_code="unsupported_value")
        case "":
            raise BadRequest(f"the field '{at}.type' is required", param=f"{at}.type")
        case _:
            return Text(f"[unsupported content: {kind[:100]}]")


def _read_image(part: Json, at: str) -> Image:
    if part.get("file_id"):
        raise _stored(f"{at}.file_id", "a file_id names a file that is stored", "send the image as a data URL")
    url = part.get("image_url")
    if is_object(url):  # as chat writes it
        address = _required_text(object_of(url), "url", f"{at}.image_url")
    else:
        address = _required_text(part, "image_url", at)
    detail = part.get("detail")
    known = detail if isinstance(detail, str) else None
    found = parse_data_url(address)
    if found is None:
        return Image(url=address, detail=known)
    return Image(media_type=found.media_type, data=found.data, detail=known)


def _read_file(part: Json, at: str) -> Document:
    if part.get("file_id"):
        raise _stored(f"{at}.file_id", "a file_id names a file that is stored", "send the file as 'file_data'")
    title = text_of(part.get("filename"))
    if part.get("file_url"):
        return Document(title=title, url=_required_text(part, "file_url", at))
    raw = _required_text(part, "file_data", at)
    found = parse_data_url(raw)
    if found is None:
        return Document(title=title, media_type="application/pdf", data=raw)
    return Document(title=title, media_type=found.media_type, data=found.data)


# Calls, results, reasoning ------------------------------------------------------------------------------------------


def _read_call(item: Json, kind: str, at: str) -> ToolCall:
    call_id = _call_id(item, at)
    if kind in _HOSTED_CALLS:
        field = "operation" if kind == "apply_patch_call" else "action"
        action = item.get(field)
        if not is_object(action):
            raise BadRequest(f"the field '{at}.{field}' must be an object", param=f"{at}.{field}")
        name = _HOSTED_CALLS[kind]
        return ToolCall(id=call_id, name=name, arguments=hosted_arguments(name, object_of(action)))
    name, space = _required_text(item, "name", at), text_of(item.get("namespace"))
    if space:
        name = f"{space}{SEPARATOR}{name}"
    if kind == "custom_tool_call":
        return ToolCall(id=call_id, name=name, arguments=_required_text(item, "input", at), is_custom=True)
    return ToolCall(id=call_id, name=name, arguments=_required_text(item, "arguments", at))


def _read_result(item: Json, kind: str, at: str) -> ToolResult:
    output = item.get("output")
    parts: tuple[Text | Image | Document, ...]
    if output is None or isinstance(output, str):
        parts = (Text(output),) if output else ()
    elif not is_list(output):
        raise BadRequest(f"the field '{at}.output' is wrong: expected a string or a list", param=f"{at}.output")
    elif kind == "shell_call_output":
        parts = tuple(Text(msgspec.json.encode(printed).decode()) for printed in list_of(output))
    else:
        read = (_read_part(part, f"{at}.output[{place}]") for place, part in enumerate(list_of(output)))
        parts = tuple(Text(part.text) if isinstance(part, Refusal) else part for part in read)
    is_error = kind == "apply_patch_call_output" and item.get("status") == "failed"
    return ToolResult(call_id=_call_id(item, at), parts=parts, is_error=is_error)


def _call_id(item: Json, at: str) -> str:
    """What a call and its result have in common; a local shell's result says it in its `id`."""
    name = "call_id" if item.get("call_id") is not None or item.get("id") is None else "id"
    call_id = _required_text(item, name, at)
    if not call_id:
        raise BadRequest(f"the field '{at}.{name}' is empty", param=f"{at}.{name}")
    return call_id


def _read_reasoning(item: Json) -> Reasoning:
    """Reasoning with what replays it: the gateway's own parcel, or an item of OpenAI's, which is bound to its id."""
    texts = _texts(item.get("summary")) or _texts(item.get("content"))
    text, data = "\n\n".join(texts), text_of(item.get("encrypted_content"))
    if carriers.is_packed(data):
        return Reasoning(text, carriers.unpack(data))
    return Reasoning(text, Carrier(kind="rs", data=data, id=text_of(item.get("id"))) if data else None)


def _texts(parts: object) -> list[str]:
    found = [text_of(object_of(part).get("text")) for part in list_of(parts)]
    return [text for text in found if text]


def _required_text(fields: Json, name: str, at: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        what = "is required" if value is None else "is wrong: expected a string"
        raise BadRequest(f"the field '{at}.{name}' {what}", param=f"{at}.{name}")
    return value


def _stored(param: str, message: str, hint: str) -> BadRequest:
    return BadRequest(
        f"{message}, and nothing is stored here", param=param, upstream_code="unsupported_value", hint=hint
    )
