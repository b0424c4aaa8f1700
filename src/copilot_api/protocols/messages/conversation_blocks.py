"""
The messages of a request, block by block, in the neutral form.

Nothing of what a model thought ever becomes visible text, and a block that nobody can translate leaves a note where the
user put it. Blocks of tools that ran on Anthropic's servers go with both their halves: no other model could use them.
"""

import json
from collections.abc import Iterator

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
    Text,
    ToolCall,
    ToolResult,
)
from copilot_api.protocols.messages import wire
from copilot_api.protocols.messages.request import decode_or_refuse

_blocks_decoder = msgspec.json.Decoder(list[wire.Block])
_text_decoder = msgspec.json.Decoder(str)

Shown = Text | Image | Document


def read_messages(messages: list[wire.Message]) -> tuple[Message, ...]:
    """All messages. Raises `BadRequest` with the path of what cannot be translated."""
    return tuple(
        read for place, message in enumerate(messages) for read in _read_message(message, f"messages[{place}]")
    )


def texts_of(content: str | list[wire.Block] | None, path: str) -> tuple[str, ...]:
    """The texts of what holds nothing else: a system prompt, or a system message."""
    if content is None or isinstance(content, str):
        return (content,) if content else ()
    return tuple(_required(block.text, f"{path}[{place}].text") for place, block in _texts(content))


def _texts(blocks: list[wire.Block]) -> Iterator[tuple[int, wire.Block]]:
    return ((place, block) for place, block in enumerate(blocks) if block.type == "text")


def _read_message(message: wire.Message, path: str) -> Iterator[Message]:
    content = message.content
    if message.role == "system":
        yield Message("system", tuple(map(Text, texts_of(content, f"{path}.content"))))
    elif isinstance(content, str):
        yield Message(message.role, (Text(content),))
    elif message.role == "assistant":
        yield Message("assistant", tuple(_assistant_parts(content, f"{path}.content")))
    else:
        yield from _user_messages(content, f"{path}.content")


# The user's ---------------------------------------------------------------------------------------------------------


def _user_messages(blocks: list[wire.Block], path: str) -> Iterator[Message]:
    """Results first, then the rest in order. A system block stands between what was said before and after it."""
    parts: list[Part] = [
        _tool_result(block, f"{path}[{place}]") for place, block in enumerate(blocks) if block.type == "tool_result"
    ]
    is_split = False
    for place, block in enumerate(blocks):
        at = f"{path}[{place}]"
        if block.type == "mid_conv_system":
            if parts:
                yield Message("user", tuple(parts))
            parts, is_split = [], True
            yield Message(
                "system", tuple(map(Text, texts_of(_nested(block.content, f"{at}.content"), f"{at}.content")))
            )
        elif block.type != "tool_result":
            parts += _user_parts(block, at)
    if parts or not is_split:
        yield Message("user", tuple(parts))


def _user_parts(block: wire.Block, path: str) -> Iterator[Shown]:
    if block.type == "tool_use":
        raise BadRequest(f"the field '{path}' is wrong: tool_use belongs into an assistant message", param=path)
    if block.type not in {"thinking", "redacted_thinking"} and not _is_of_a_server(block.type):
        yield from _shown(block, path)


def _tool_result(block: wire.Block, path: str) -> ToolResult:
    content = _nested(block.content, f"{path}.content")
    if isinstance(content, str):
        parts: tuple[Shown, ...] = (Text(content),) if content else ()
    else:
        parts = tuple(part for place, inner in enumerate(content) for part in _shown(inner, f"{path}.content[{place}]"))
    call_id = _required(block.tool_use_id, f"{path}.tool_use_id")
    return ToolResult(call_id=call_id, parts=parts, is_error=bool(block.is_error))


def _shown(block: wire.Block, path: str) -> Iterator[Shown]:
    """What a user or a tool shows the model."""
    match block.type:
        case "text":
            yield Text(_required(block.text, f"{path}.text"))
        case "image":
            yield _image(block, path)
        case "document":
            yield from _document(block, path)
        case "search_result":
            yield Text(_search_result(block, path))
        case "tool_reference":
            yield Text(f"[the tool {block.tool_name or block.name or ''} is available]")
        case "container_upload":
            raise _no_files(path)
        case other:
            yield Text(f"[unsupported content: {other[:100]}]")


def _image(block: wire.Block, path: str) -> Image:
    source = _source(block, path)
    if source.type == "base64":
        data = _required(source.data, f"{path}.source.data")
        return Image(data=data, media_type=_required(source.media_type, f"{path}.source.media_type"))
    if source.type == "url":
        url = _required(source.url, f"{path}.source.url")
        head, comma, data = url.partition(",")
        if comma and head.startswith("data:") and head.endswith(";base64"):
            return Image(data=data, media_type=head[len("data:") : -len(";base64")])
        return Image(url=url)
    raise _unknown_source(source, path)


def _document(block: wire.Block, path: str) -> Iterator[Shown]:
    source, title = _source(block, path), block.title or ""
    if block.context:
        yield Text(block.context)  # words for the model about the document, which has no place of its own elsewhere
    match source.type:
        case "base64":
            data = _required(source.data, f"{path}.source.data")
            yield Document(title=title, media_type=source.media_type or "application/pdf", data=data)
        case "text":
            yield _plain_document(title, _required(source.data, f"{path}.source.data"))
        case "url":
            yield Document(title=title, url=_required(source.url, f"{path}.source.url"))
        case "content":
            yield from _composed_document(title, source, f"{path}.source.content")
        case _:
            raise _unknown_source(source, path)


def _composed_document(title: str, source: wire.Source, path: str) -> Iterator[Shown]:
    """A document that is given as blocks; one with more than text in it is shown piece by piece."""
    content = _nested(source.content, path)
    if isinstance(content, str):
        yield _plain_document(title, content)
        return
    parts = [part for place, block in enumerate(content) for part in _shown(block, f"{path}[{place}]")]
    texts = [part.text for part in parts if isinstance(part, Text)]
    if len(texts) == len(parts):
        yield _plain_document(title, "\n\n".join(texts))
        return
    if title:
        yield Text(title)
    yield from parts


def _plain_document(title: str, text: str) -> Document | Text:
    return Document(title=title, media_type="text/plain", text=text) if text else Text(title)


def _search_result(block: wire.Block, path: str) -> str:
    content = texts_of(_nested(block.content, f"{path}.content"), f"{path}.content")
    source = block.source if isinstance(block.source, str) else ""
    return "\n".join(text for text in (block.title, source, *content) if text)


# The assistant's ----------------------------------------------------------------------------------------------------


def _assistant_parts(blocks: list[wire.Block], path: str) -> Iterator[Part]:
    for place, block in enumerate(blocks):
        at = f"{path}[{place}]"
        match block.type:
            case "text":
                yield Text(_required(block.text, f"{at}.text"))
            case "tool_use":
                name, call_id = _required(block.name, f"{at}.name"), _required(block.id, f"{at}.id")
                yield ToolCall(id=call_id, name=name, arguments=_arguments(block.input, f"{at}.input"))
            case "thinking":
                yield _thinking(block)
            case "redacted_thinking":
                yield _redacted(block)
            case "tool_result":
                raise BadRequest(f"the field '{at}' is wrong: tool_result belongs into a user message", param=at)
            case _:
                pass  # of a tool on Anthropic's servers, or of a kind that no other model can continue


def _thinking(block: wire.Block) -> Reasoning:
    text, signature = block.thinking or "", block.signature or ""
    if carriers.is_packed(signature):
        carrier = carriers.unpack(signature)
        return Reasoning(text or (carrier.text if carrier else ""), carrier)
    return Reasoning(text, Carrier(kind="an", data=signature, text=text) if signature else None)


def _redacted(block: wire.Block) -> Reasoning:
    data = block.data or ""
    if carriers.is_packed(data):
        return Reasoning("", carriers.unpack(data))
    return Reasoning("", Carrier(kind="rd", data=data) if data else None)


def _arguments(raw: msgspec.Raw, path: str) -> str:
    """The input as compact JSON with its characters as they are, the same for the same input every time."""
    source = bytes(raw)
    if source == b"null":
        return "{}"
    if not source.startswith(b"{"):
        raise BadRequest(f"the field '{path}' is wrong: expected an object", param=path)
    try:
        if b"\\u" in source:
            return json.dumps(json.loads(source), ensure_ascii=False, separators=(",", ":"))
        return msgspec.json.format(source, indent=-1).decode()
    except RecursionError:
        raise BadRequest("the body is nested too deeply", param=path) from None
    except ValueError:  # an integer of more digits than Python reads: JSON sets no limit
        return source.decode()


# What all share -----------------------------------------------------------------------------------------------------


def _nested(raw: msgspec.Raw, path: str) -> str | list[wire.Block]:
    """Content inside a block: a string, blocks, or nothing."""
    match bytes(memoryview(raw)[:1]):
        case b'"':
            return decode_or_refuse(_text_decoder, raw, path)
        case b"[":
            return decode_or_refuse(_blocks_decoder, raw, path)
        case b"n":
            return ""
        case _:
            raise BadRequest(f"the field '{path}' is wrong: expected a string or a list of blocks", param=path)


def _source(block: wire.Block, path: str) -> wire.Source:
    if not isinstance(block.source, wire.Source):
        raise BadRequest(f"the field '{path}.source' is wrong: expected an object", param=f"{path}.source")
    return block.source


def _required(value: str | None, path: str) -> str:
    if value is None:
        raise BadRequest(f"the field '{path}' is required", param=path)
    return value


def _unknown_source(source: wire.Source, path: str) -> BadRequest:
    if source.type == "file":
        return _no_files(f"{path}.source")
    return BadRequest(
        f"the field '{path}.source.type' is wrong: {source.type[:100]!r} is not known", param=f"{path}.source.type"
    )


def _no_files(path: str) -> BadRequest:
    return BadRequest(
        f"the field '{path}' names an uploaded file; there are none here",
        param=path,
        hint="send the content itself, as base64 or text",
    )


def _is_of_a_server(kind: str) -> bool:
    return kind.endswith(("_tool_use", "_tool_result"))
