"""The messages of a chat request in the neutral form."""

import json
from typing import Any

from copilot_api.errors import BadRequest
from copilot_api.protocols import carriers
from copilot_api.protocols.chat import conversation_wire as wire
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
from copilot_api.protocols.untyped import list_of, object_of, text_of

_INSTRUCTING = {"system", "developer"}


def read_messages(given: list[wire.ChatMessage]) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    """
    The instructions that lead the conversation, and the messages that follow.

    Instructions further on stay where they were said. Raises `BadRequest` with the message at fault.
    """
    leading = next((place for place, message in enumerate(given) if message.role not in _INSTRUCTING), len(given))
    system = tuple(
        part.text for place, message in enumerate(given[:leading]) for part in _texts(message, f"messages[{place}]")
    )
    reader = _MessageReader()
    return system, tuple(
        reader.read(message, f"messages[{place}]") for place, message in enumerate(given[leading:], leading)
    )


class _MessageReader:
    """Reads one message after the other; only the old function calls, which have no ids, need to be remembered."""

    def __init__(self) -> None:
        self._functions_called = 0

    def read(self, message: wire.ChatMessage, path: str) -> Message:
        match message.role:
            case "system" | "developer":
                return Message("system", _texts(message, path))
            case "user":
                return Message("user", tuple(_user_parts(message, path)))
            case "assistant":
                return Message("assistant", self._assistant_parts(message, path))
            case "tool":
                if not message.tool_call_id:
                    raise _wrong(f"{path}.tool_call_id", "is required: it says which call this answers")
                result = ToolResult(call_id=message.tool_call_id, parts=tuple(_result_parts(message, path)))
                return Message("user", (result,))
            case "function":
                call_id = _function_call_id(max(1, self._functions_called))
                return Message("user", (ToolResult(call_id=call_id, parts=tuple(_result_parts(message, path))),))
            case _:
                known = "developer, system, user, assistant or tool"
                raise _wrong(f"{path}.role", f"is {message.role[:100]!r}; use {known}")

    def _assistant_parts(self, message: wire.ChatMessage, path: str) -> tuple[Part, ...]:
        parts: list[Part] = [*_reasoning(message)]
        for part, _ in _content(message, path):
            if part.type == "refusal" or (part.refusal is not None and part.text is None):
                parts.append(Refusal(part.refusal or ""))
            elif (text := _text_of(part)) is not None:
                parts.append(Text(text))
            elif part.type not in {"thinking", "redacted_thinking", "reasoning"}:
                parts.append(_placeholder(part))
        if message.refusal:
            parts.append(Refusal(message.refusal))
        calls = message.tool_calls or ()
        parts += [_call(call, f"{path}.tool_calls[{number}]") for number, call in enumerate(calls)]
        if message.function_call is not None:
            self._functions_called += 1
            function = _named(message.function_call.name, f"{path}.function_call.name")
            arguments = _arguments(message.function_call.arguments)
            parts.append(ToolCall(id=_function_call_id(self._functions_called), name=function, arguments=arguments))
        return tuple(parts)


def _function_call_id(number: int) -> str:
    """An id for the old calls that had none: the same for call and result, and the same again on the next turn."""
    return f"call_function_{number}"


# Calls and reasoning ------------------------------------------------------------------------------------------------


def _call(call: wire.Call, path: str) -> ToolCall:
    if not call.id:
        raise _wrong(f"{path}.id", "is required")
    if call.custom is not None and call.type in {"custom", None}:
        name = _named(call.custom.name, f"{path}.custom.name")
        return ToolCall(id=call.id, name=name, arguments=call.custom.input or "", is_custom=True)
    function = call.function or wire.Function()
    name = _named(function.name, f"{path}.function.name")
    return ToolCall(id=call.id, name=name, arguments=_arguments(function.arguments))


def _arguments(given: str | dict[str, Any] | None) -> str:
    return json.dumps(given, ensure_ascii=False, separators=(",", ":")) if isinstance(given, dict) else given or ""


def _named(name: str | None, path: str) -> str:
    if not name:
        raise _wrong(path, "is required")
    return name


def _reasoning(message: wire.ChatMessage) -> list[Reasoning]:
    """
    What the model thought before it spoke: our own carriers or Copilot's opaque field, or the signed blocks that some
    clients keep; without either, its text.
    """
    signed = (_signed(object_of(block)) for block in list_of(message.thinking_blocks))
    blocks = [reasoning for reasoning in signed if reasoning is not None]
    said = next(
        (
            text
            for value in (message.reasoning_text, message.reasoning_content, message.reasoning)
            if (text := text_of(value))
        ),
        "",
    )
    opaque = text_of(message.reasoning_opaque)
    if not opaque:
        return blocks or ([Reasoning(said)] if said else [])
    found = [carrier for piece in _pieces(opaque) if (carrier := _carrier(piece)) is not None]
    if len(found) <= 1:
        return [Reasoning(said or (found[0].text if found else ""), found[0] if found else None)]
    return [Reasoning(carrier.text, carrier) for carrier in found]


def _pieces(opaque: str) -> list[str]:
    """An answer that thought several times has a carrier for each, with a space between (`writer.py`)."""
    return opaque.split() if carriers.MARK in opaque else [opaque]


def _carrier(piece: str) -> Carrier | None:
    return carriers.unpack(piece) if carriers.is_packed(piece) else Carrier(kind="ro", data=piece)


def _signed(block: dict[str, Any]) -> Reasoning | None:
    signature, text = text_of(block.get("signature")), text_of(block.get("thinking"))
    if block.get("type") == "redacted_thinking" and text_of(block.get("data")):
        return Reasoning("", Carrier(kind="rd", data=block["data"]))
    if not signature:
        return None
    if carriers.is_packed(signature):
        carrier = carriers.unpack(signature)
        return None if carrier is None else Reasoning(text, carrier)
    return Reasoning(text, Carrier(kind="an", data=signature, text=text))


# Content ------------------------------------------------------------------------------------------------------------


def _content(message: wire.ChatMessage, path: str) -> list[tuple[wire.Part, str]]:
    """The parts of the content, each with its path; a bare text is one part."""
    content = message.content
    if content is None:
        return []
    if isinstance(content, str):
        return [(wire.Part(type="text", text=content), f"{path}.content")]
    return [
        (wire.Part(type="text", text=part) if isinstance(part, str) else part, f"{path}.content[{place}]")
        for place, part in enumerate(content)
    ]


def _texts(message: wire.ChatMessage, path: str) -> tuple[Text, ...]:
    texts = ((part, _text_of(part)) for part, _ in _content(message, path))
    return tuple(_placeholder(part) if text is None else Text(text) for part, text in texts)


def _text_of(part: wire.Part) -> str | None:
    if part.type in {"text", "input_text", "output_text"} or (not part.type and part.text is not None):
        return part.text or ""
    return None


def _user_parts(message: wire.ChatMessage, path: str) -> list[Part]:
    return [_shown(part, place) for part, place in _content(message, path)]


def _result_parts(message: wire.ChatMessage, path: str) -> "list[Text | Image | Document]":
    return [_shown(part, place) for part, place in _content(message, path)]


def _shown(part: wire.Part, path: str) -> Text | Image | Document:
    """A part that a person or a tool may show to a model."""
    text = _text_of(part)
    if text is not None:
        return Text(text)
    match part.type:
        case "image_url" | "input_image":
            return _image(part, path)
        case "file" | "input_file" if part.file is not None:
            return _document(part.file, path)
        case "input_audio":
            raise BadRequest(
                "audio cannot be sent to this model; send text, or a model that hears",
                param=path,
                upstream_code="unsupported_value",
            )
        case _:
            return _placeholder(part)


def _image(part: wire.Part, path: str) -> Image:
    given = part.image_url
    image = wire.ImageUrl(url=given, detail=part.detail) if isinstance(given, str) else given or wire.ImageUrl()
    if image.file_id or part.file_id:
        raise _by_id(f"{path}.{part.type}.file_id")
    if not image.url:
        raise _wrong(f"{path}.image_url.url", "is required")
    found = parse_data_url(image.url)
    if found is None:
        return Image(url=image.url, detail=image.detail)
    return Image(data=found.data, media_type=found.media_type, detail=image.detail)


def _document(file: wire.File, path: str) -> Document:
    if file.file_id and not file.file_data:
        raise _by_id(f"{path}.file.file_id")
    if not file.file_data:
        raise _wrong(f"{path}.file.file_data", "is required")
    title = file.filename or ""
    if file.file_data.startswith(("http://", "https://")):
        return Document(title=title, url=file.file_data)
    found = parse_data_url(file.file_data)
    if found is None:
        return Document(title=title, media_type="application/pdf", data=file.file_data)
    return Document(title=title, media_type=found.media_type, data=found.data)


def _placeholder(part: wire.Part) -> Text:
    return Text(f"[unsupported content: {part.type[:100] or 'without a type'}]")


# Refusals -----------------------------------------------------------------------------------------------------------


def _wrong(path: str, what: str) -> BadRequest:
    return BadRequest(f"the field '{path}' {what}", param=path)


def _by_id(path: str) -> BadRequest:
    return BadRequest(
        "files by id are not known here; send the file's content inline as a data URL",
        param=path,
        upstream_code="unsupported_parameter",
    )
