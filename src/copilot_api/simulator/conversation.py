"""A request read for what was said, in any of the three protocols; whatever has the wrong type is passed over."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from copilot_api.simulator.catalog import CHAT, RESPONSES
from copilot_api.simulator.wire import Json, encode, is_array, is_object, object_at, objects_in, text_at

_IMAGE_TOKENS = 85
_CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of text and whose it is."""

    kind: Literal["system", "user", "assistant", "result"]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a model would read."""

    turns: tuple[Turn, ...]
    tools: dict[str, str]
    """Declared tools: name to kind, `function` or `custom`."""
    forbids_tools: bool
    images: int
    tool_characters: int
    forced_tool: str | None = None
    """The tool that the request insists on; of any, the first."""
    schemas: dict[str, Json] = field(default_factory=dict[str, Json])
    """What each declared function takes."""

    @property
    def input_tokens(self) -> int:
        """An estimate: four characters a token."""
        characters = sum(len(turn.text) for turn in self.turns) + self.tool_characters
        return max(1, count_tokens(characters)) + self.images * _IMAGE_TOKENS


def count_tokens(characters: int) -> int:
    """How many tokens that many characters are, rounded up."""
    return -(-characters // _CHARACTERS_A_TOKEN)


def read_prompt(endpoint: str, body: Json) -> Prompt:
    """What was said, whichever protocol it was said in."""
    reader = {CHAT: _chat_turns, RESPONSES: _response_turns}.get(endpoint, _message_turns)
    images = _Images()
    tools = body.get("tools")
    declared = dict(_declared_tools(body))
    return Prompt(
        turns=tuple(reader(body, images)),
        tools=declared,
        forbids_tools=_forbids_tools(body.get("tool_choice")),
        forced_tool=_forced_tool(body.get("tool_choice"), declared),
        schemas=dict(_schemas(body)),
        images=images.count,
        tool_characters=len(encode(tools)) if tools else 0,
    )


class _Images:
    def __init__(self) -> None:
        self.count = 0


def _declared_tools(body: Json) -> Iterator[tuple[str, str]]:
    for tool in objects_in(body.get("tools")):
        name = text_at(object_at(tool, "function"), "name") or text_at(tool, "name")
        if name:
            yield name, "custom" if tool.get("type") == "custom" and "input_schema" not in tool else "function"
    for function in objects_in(body.get("functions")):
        yield text_at(function, "name"), "function"


def _forbids_tools(choice: Any) -> bool:
    return choice == "none" or (is_object(choice) and choice.get("type") == "none")


def _forced_tool(choice: Any, declared: dict[str, str]) -> str | None:
    kind = text_at(choice, "type") if is_object(choice) else choice
    if kind in {"required", "any"}:
        return next(iter(declared), None)
    if not is_object(choice) or kind not in {"function", "tool", "custom"}:
        return None
    name = text_at(choice, "name") or text_at(object_at(choice, "function"), "name")
    return name if name in declared else None


def _schemas(body: Json) -> Iterator[tuple[str, Json]]:
    for tool in objects_in(body.get("tools")):
        function = object_at(tool, "function") or tool
        schema = object_at(function, "parameters") or object_at(function, "input_schema")
        yield text_at(function, "name"), schema


def _texts(content: Any, images: _Images) -> Iterator[str]:
    """The texts of a string or of a list of parts; images are counted."""
    if isinstance(content, str):
        yield content
    for part in objects_in(content):
        if text_at(part, "type") in {"image_url", "input_image", "image"}:
            images.count += 1
        elif isinstance(part.get("text"), str):
            yield part["text"]


def _joined(content: Any, images: _Images) -> str:
    return "".join(_texts(content, images))


def _chat_turns(body: Json, images: _Images) -> Iterator[Turn]:
    for message in objects_in(body.get("messages")):
        role = text_at(message, "role")
        content = message.get("content")
        if role == "user":
            yield from (Turn("user", text) for text in _texts(content, images))
        elif role in {"tool", "function"}:
            yield Turn("result", _joined(content, images))
        elif role == "assistant":
            yield Turn("assistant", _joined(content, images))
            for call in objects_in(message.get("tool_calls")):
                yield Turn("assistant", text_at(object_at(call, "function"), "arguments"))
        else:
            yield Turn("system", _joined(content, images))


def _message_turns(body: Json, images: _Images) -> Iterator[Turn]:
    yield from (Turn("system", text) for text in _texts(body.get("system"), images))
    for message in objects_in(body.get("messages")):
        content = message.get("content")
        is_user = message.get("role") == "user"
        if isinstance(content, str):
            yield Turn("user" if is_user else "assistant", content)
        for block in objects_in(content):
            yield from _block_turns(block, is_user=is_user, images=images)


def _block_turns(block: Json, *, is_user: bool, images: _Images) -> Iterator[Turn]:
    kind = block.get("type")
    if kind == "tool_result":
        yield Turn("result", _joined(block.get("content"), images))
    elif kind == "image":
        images.count += 1
    elif kind == "tool_use":
        yield Turn("assistant", encode(block.get("input")).decode())
    else:
        text = text_at(block, "text") or text_at(block, "thinking")
        yield Turn("user" if is_user else "assistant", text)


def _response_turns(body: Json, images: _Images) -> Iterator[Turn]:
    yield Turn("system", text_at(body, "instructions"))
    source = body.get("input")
    if isinstance(source, str):
        yield Turn("user", source)
    for item in objects_in(source):
        yield from _item_turns(item, images)


def _item_turns(item: Json, images: _Images) -> Iterator[Turn]:
    kind = item.get("type")
    if isinstance(kind, str) and kind.endswith("_output"):
        output = item.get("output")
        yield Turn("result", _joined(output, images) if is_array(output) else text_at(item, "output"))
    elif isinstance(kind, str) and kind.endswith("_call"):
        yield Turn("assistant", text_at(item, "arguments") or text_at(item, "input"))
    elif item.get("role") == "user":
        yield from (Turn("user", text) for text in _texts(item.get("content"), images))
    elif item.get("role") == "assistant":
        yield Turn("assistant", _joined(item.get("content"), images))
    else:
        yield Turn("system", _joined(item.get("content"), images))
