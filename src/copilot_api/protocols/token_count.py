"""
How many tokens a request's input has, about: the formula. What counts a text is given.

Too low is worse than too high: a client that believes to have room runs into an overflow instead of compacting. Where
vendors keep their arithmetic to themselves the numbers here are what public measurements agree on.
"""

import base64
import binascii
import math
import struct
from collections.abc import Callable

import msgspec

from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import (
    Document,
    Image,
    Message,
    ModelRequest,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)

Count = Callable[[str], int]

CLAUDE_FACTOR = 1.2
"""Claude's own tokenizer is not public; it makes more of a text than `o200k_base` does, by 5 % to 30 %."""
CLAUDE_TOOLS = 346
"""What Claude is told in addition as soon as there are tools."""
_MESSAGE, _PRIMING, _CALL, _RESULT, _TOOL = 4, 3, 12, 6, 8
_CLAUDE_IMAGE, _OPENAI_IMAGE = 1600, 1445
_PDF_PAGE = 2000
_PDF_BYTES_A_PAGE = 50_000
_PDF_READ = 2_666_668
_HIDDEN_CHARACTERS_A_TOKEN = 5
"""Of encrypted reasoning, in base64: a guess, since nobody but the vendor can count it."""


def count_request(request: ModelRequest, traits: ModelTraits, count: Count) -> int:
    """The tokens of everything that the model reads; at least 1."""
    return _count_request(request, traits, count, count_pages)


def _count_request(request: ModelRequest, traits: ModelTraits, count: Count, pages: Callable[[Document], int]) -> int:
    total = _PRIMING + sum(count(text) + _MESSAGE for text in request.system)
    last_turn = _last_turn(request.messages)
    for place, message in enumerate(request.messages):
        total += _MESSAGE
        for part in message.parts:
            # Only the last turn's thinking is still read; what was thought before is left out by the vendor.
            if not isinstance(part, Reasoning) or place >= last_turn:
                total += _count_part(part, traits, count, pages)
    total += sum(_count_tool(tool, count) for tool in request.tools)
    if request.output_format is not None:
        total += count(msgspec.json.encode(request.output_format.schema).decode())
    if traits.is_claude:
        total = math.ceil(total * CLAUDE_FACTOR) + (CLAUDE_TOOLS if request.tools else 0)
    return max(1, total)


def estimate_now(request: ModelRequest, traits: ModelTraits) -> int:
    """The same without a tokenizer, in some microseconds: by characters and sizes, mostly a little high."""
    return _count_request(request, traits, _by_length, _pages_by_size)


def fallback_count(text: str) -> int:
    """
    The tokens of `text` where there is no tokenizer: a third of its characters, two thirds of the Chinese ones.

    How many of them are wide is told by the length in UTF-8, which is known fast however long the text is.
    """
    characters, size = len(text), _size(text)
    return max(-(-(characters + size) // 6), -(-(size - characters) // 3))


def _by_length(text: str) -> int:
    characters, size = len(text), _size(text)
    return -(-(3 * characters + 2 * (size - characters)) // 10)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _last_turn(messages: tuple[Message, ...]) -> int:
    """
    Where the last turn of the assistant begins. It goes on through the results of its calls: what ends one is a user
    who says something.
    """
    place = max((place for place, message in enumerate(messages) if message.role == "assistant"), default=0)
    while place > 0 and not _is_said_by_user(messages[place - 1]):
        place -= 1
    return place


def _is_said_by_user(message: Message) -> bool:
    return message.role == "user" and not any([isinstance(part, ToolResult) for part in message.parts])


def _count_part(part: Part, traits: ModelTraits, count: Count, pages: Callable[[Document], int]) -> int:
    match part:
        case Text(text) | Refusal(text):
            return count(text)
        case Reasoning(text, carrier):
            hidden = len(carrier.data) // _HIDDEN_CHARACTERS_A_TOKEN if carrier is not None else 0
            return count(text) if text else hidden
        case ToolCall():
            return _CALL + count(part.name) + count(part.arguments)
        case ToolResult():
            return _RESULT + sum(_count_part(inner, traits, count, pages) for inner in part.parts)
        case Image():
            return count_image(part, traits)
        case Document():
            return count(part.text) if part.text else _PDF_PAGE * pages(part)


def _count_tool(tool: Tool, count: Count) -> int:
    schema = tool.grammar if tool.is_custom else tool.parameters
    return _TOOL + count(tool.name) + count(tool.description) + count(msgspec.json.encode(schema or {}).decode())


def count_image(image: Image, traits: ModelTraits) -> int:
    """What an image costs: by its size for either vendor; the most it can be where the size cannot be read."""
    size = image_size(image.data)
    if traits.is_claude:
        return _CLAUDE_IMAGE if size is None else min(_CLAUDE_IMAGE, max(1, size[0] * size[1] // 750))
    if image.detail == "low":
        return 85
    if size is None:
        return _OPENAI_IMAGE
    width, height = size
    shrink = min(1.0, 2048 / max(width, height))
    width, height = width * shrink, height * shrink  # type: ignore[assignment]
    shrink = min(1.0, 768 / max(1.0, min(width, height)))
    tiles = math.ceil(width * shrink / 512) * math.ceil(height * shrink / 512)
    return 85 + 170 * max(1, tiles)


def image_size(data: str) -> tuple[int, int] | None:
    """Width and height in pixels, from the first bytes of base64 `data`; None when they do not say."""
    try:
        head = base64.b64decode(data[: 64 * 1024 // 3 * 4], validate=True)
    except (binascii.Error, ValueError):
        return None
    size = _size_in(head)
    return size if size is not None and all(size) else None


def _size_in(head: bytes) -> tuple[int, int] | None:
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack(">II", head[16:24])
        if head.startswith(b"GIF8"):
            return struct.unpack("<HH", head[6:10])
        if head.startswith(b"RIFF") and head[8:15] == b"WEBPVP8":
            return _webp_size(head)
        if head.startswith(b"\xff\xd8"):
            return _jpeg_size(head)
    except (struct.error, IndexError):
        return None
    return None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    kind = head[15:16]
    if kind == b" ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1


_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """The size stands in the frame header, behind segments of any length."""
    place = 2
    while place + 9 < len(head):
        if head[place] != 0xFF:
            return None
        marker = head[place + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", head[place + 5 : place + 9])
            return width, height
        place += 2 + struct.unpack(">H", head[place + 2 : place + 4])[0]
    return None


def count_pages(document: Document) -> int:
    """How many pages a PDF has: by its own words while that is quickly read, else by its size; at least 1."""
    if len(document.data) > _PDF_READ:
        return _pages_by_size(document)
    try:
        content = base64.b64decode(document.data, validate=True)
    except (binascii.Error, ValueError):
        content = b""
    pages = content.count(b"/Type /Page") + content.count(b"/Type/Page")
    pages -= content.count(b"/Type /Pages") + content.count(b"/Type/Pages")
    return pages if pages > 0 else _pages_by_size(document)


def _pages_by_size(document: Document) -> int:
    return max(1, len(document.data) * 3 // 4 // _PDF_BYTES_A_PAGE)
