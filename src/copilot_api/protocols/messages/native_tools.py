"""The tools of a Messages request, edited where Copilot takes less than Anthropic (protocol reference, 9.4)."""

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.json_object import Fields, rewrite
from copilot_api.protocols.messages.betas import has_family
from copilot_api.protocols.messages.json_schema import tool_schema
from copilot_api.protocols.messages.native_content import clean_mark, decode, decode_fields, decode_list
from copilot_api.protocols.untyped import object_of

_SERVER_SIDE = ("web_search_", "web_fetch_", "code_execution_", "mcp_toolset", "advisor_")
"""What Anthropic's own servers would run; Copilot refuses the whole request for one of them."""
_TAKEN = {
    "name", "description", "input_schema", "type", "cache_control", "max_characters", "display_width_px",
    "display_height_px", "display_number", "enable_zoom",
}  # fmt: skip


class Choice(msgspec.Struct, gc=False):
    """The tool choice, as far as it decides anything here."""

    type: str = ""
    name: str = ""

    @property
    def is_forced(self) -> bool:
        """Whether a tool must be called."""
        return self.type in {"any", "tool"}


_choice_decoder = msgspec.json.Decoder(Choice)
_text_decoder = msgspec.json.Decoder(str)
_NO_CHOICE = Choice()


class EditedTools(msgspec.Struct):
    """The tools as they go up: raw JSON each, and whether any of them is not as it came."""

    raws: list[bytes]
    is_edited: bool = False
    marks: int = 0


def read_choice(raw: bytes | None) -> Choice:
    """The tool choice in `raw`, if it is one."""
    return (decode(_choice_decoder, raw) if raw is not None else None) or _NO_CHOICE


def edit_tools(raw: bytes, choice: Choice, traits: ModelTraits, betas: tuple[str, ...]) -> EditedTools | None:
    """The tools that Copilot takes; None when they are no list. Raises `BadRequest` when one it refuses is forced."""
    raws = decode_list(raw)
    if raws is None:
        return None
    tools = [(decode_fields(one), one) for one in raws]
    kinds = [_text(fields, "type") for fields, _ in tools]
    has_search = any([kind.startswith("tool_search_tool_") for kind in kinds])
    out = EditedTools([])
    for (fields, source), kind in zip(tools, kinds, strict=True):
        if fields is None:
            out.raws.append(source)
            continue
        if kind.startswith(_SERVER_SIDE):
            _refuse_forced(choice, _text(fields, "name") or kind)
            out.is_edited = True
            continue
        edits = _edits(fields, traits, betas, has_search=has_search)
        out.marks += 1 if clean_mark(fields.get("cache_control", msgspec.Raw(b""))) else 0
        out.raws.append(rewrite(fields, edits) if edits else source)
        out.is_edited = out.is_edited or bool(edits)
    if raws and not out.raws and choice.is_forced:
        raise BadRequest(
            "a tool must be called, and none of those given runs on GitHub Copilot; give one that the client runs",
            param="tool_choice",
        )
    return out


def _refuse_forced(choice: Choice, name: str) -> None:
    if choice.type == "tool" and choice.name == name:
        raise BadRequest(
            f"the tool {name[:100]!r} must be called, and GitHub Copilot does not run it; leave the choice open",
            param="tool_choice",
        )


def _text(fields: Fields | None, name: str) -> str:
    raw = fields.get(name) if fields else None
    return (decode(_text_decoder, raw) if raw is not None else None) or ""


def _edits(fields: Fields, traits: ModelTraits, betas: tuple[str, ...], *, has_search: bool) -> dict[str, bytes | None]:
    """What of the tool must change: fields that only Anthropic knows go (pitfall 27)."""
    taken = set(_TAKEN)
    if has_search:
        taken.add("defer_loading")
    if has_family(betas, "advanced-tool-use-"):
        taken.add("input_examples")
    if traits.has_structured_outputs and bytes(fields.get("strict", b"")) == b"true":
        taken.add("strict")
    edits: dict[str, bytes | None] = {name: None for name in fields if name not in taken}
    mark = fields.get("cache_control")
    if mark is not None and clean_mark(mark) != bytes(mark):
        edits["cache_control"] = clean_mark(mark) or None
    schema = fields.get("input_schema")
    if schema is not None and b'"$schema"' in bytes(schema):
        edits["input_schema"] = _clean_schema(schema)
    return edits


def _clean_schema(raw: msgspec.Raw) -> bytes:
    """The schema without `$schema`; where only its top has one, every other byte stays."""
    fields = decode_fields(raw)
    if fields is not None:
        top = rewrite(fields, {"$schema": None})
        if b'"$schema"' not in top:
            return top
    try:
        schema = object_of(msgspec.json.decode(raw))
    except (ValueError, RecursionError):
        return bytes(raw)
    return msgspec.json.encode(tool_schema(schema))
