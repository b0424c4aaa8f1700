"""
The messages and instructions of a Messages request, edited where Copilot takes less than Anthropic (protocol reference,
9.4).

A message is looked at block by block, and only a block that needs an edit is written anew: of all others, thinking
first of all, every byte leaves as it came.
"""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from copilot_api.protocols.carriers import is_packed
from copilot_api.protocols.json_object import Fields, rewrite
from copilot_api.protocols.messages.outgoing import CONTINUE, EMPTY_CONTENT, EMPTY_RESULT, NOTHING_SAID, reminder

EPHEMERAL = b'{"type":"ephemeral"}'
MOST_MARKS = 4
_BILLING_HEADER = "x-anthropic-billing-header:"
"""How the line begins in which Claude Code tells its billing something new on every call; no cache hits behind it."""
_ABSENT = msgspec.Raw(b"")
_BRACKET = b"["[0]
_NOTHING = {b"", b"null", b'""', b"[]"}
_LEAST = 4
"""As long as any of those."""
_THOUGHTS = {"thinking", "redacted_thinking"}

T = TypeVar("T")


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    signature: str = ""
    data: str = ""
    content: msgspec.Raw = _ABSENT
    cache_control: msgspec.Raw = _ABSENT


class _Message(msgspec.Struct, gc=False):
    role: str
    content: str | list[_Block]


_blocks_decoder = msgspec.json.Decoder(list[_Block])
_block_decoder = msgspec.json.Decoder(_Block)
_message_decoder = msgspec.json.Decoder(_Message)
_raws_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_fields_decoder = msgspec.json.Decoder(Fields)
_text_decoder = msgspec.json.Decoder(str)
_encode = msgspec.json.encode


def decode(decoder: "msgspec.json.Decoder[T]", raw: bytes | msgspec.Raw) -> T | None:
    """The value in `raw`; None when it is of another kind: what cannot be read is the upstream's to complain of."""
    try:
        return decoder.decode(raw)
    except (ValueError, RecursionError):  # a DecodeError is a ValueError
        return None


def decode_fields(raw: bytes | msgspec.Raw) -> Fields | None:
    """The fields of the object in `raw`, each as raw JSON; None when it is none."""
    return decode(_fields_decoder, raw)


def decode_list(raw: bytes | msgspec.Raw) -> list[bytes] | None:
    """What the list in `raw` holds, each as raw JSON; None when it is none."""
    found = decode(_raws_decoder, raw)
    return None if found is None else [bytes(one) for one in found]


def encode_list(raws: Iterable[bytes]) -> bytes:
    """A list of raw JSON."""
    return b"[%b]" % b",".join(raws)


def text_block(text: str, mark: bytes = b"") -> bytes:
    """A block of text, with a cache mark if one is given."""
    return b'{"type":"text","text":%b%b}' % (_encode(text), b',"cache_control":' + mark if mark else b"")


def clean_mark(mark: msgspec.Raw) -> bytes:
    """
    The cache mark in `mark` as every back end takes it: `scope` is always refused, `ttl` by some (pitfall 32). Empty
    for none.
    """
    return b"" if bytes(mark) in {b"", b"null"} else EPHEMERAL


def without_mark(raw: bytes) -> bytes:
    """The block or tool in `raw` without its cache mark."""
    fields = decode_fields(raw)
    return raw if fields is None else rewrite(fields, {"cache_control": None})


def with_clean_mark(raw: bytes) -> tuple[bytes, bool]:
    """The block or tool in `raw` with its cache mark cleaned; and whether it has one."""
    fields = decode_fields(raw) or {}
    mark = fields.get("cache_control")
    if mark is None:
        return raw, False
    cleaned = clean_mark(mark)
    if cleaned == bytes(mark):
        return raw, True
    return rewrite(fields, {"cache_control": cleaned or None}), bool(cleaned)


# The instructions ---------------------------------------------------------------------------------------------------


def edit_system(raw: bytes, extra: str = "") -> tuple[list[bytes], bool]:
    """
    The instructions as blocks that are not empty, without the billing header, and with `extra` at the end; and whether
    that is another thing than what came.
    """
    text = decode(_text_decoder, raw)
    blocks = (decode_list(raw) or []) if text is None else [text_block(text)]
    edited = [found for block in blocks if (found := _edited_instruction(block)) is not None]
    if extra:
        edited.append(text_block(extra))
    return edited, edited != blocks or not edited


def _edited_instruction(raw: bytes) -> bytes | None:
    block = decode(_block_decoder, raw)
    if block is None:
        return raw
    text = block.text
    if text.startswith(_BILLING_HEADER):
        text = text.partition("\n")[2].lstrip("\n")
        return text_block(text, clean_mark(block.cache_control)) if text.strip() else None
    if block.type == "text" and not text.strip():
        return None
    return with_clean_mark(raw)[0]


# The messages -------------------------------------------------------------------------------------------------------


class Turn:
    """One message: as it came (`raw`), or as the blocks that it now has."""

    __slots__ = ("_blocks", "marks", "raw", "role")

    def __init__(self, role: str, raw: bytes = b"{}", blocks: list[bytes] | None = None, marks: int = 0) -> None:
        self.role = role
        self.raw = raw
        self.marks = marks
        """How many of its blocks have a cache mark."""
        self._blocks = blocks

    @property
    def is_edited(self) -> bool:
        """Whether anything of it is not as it came."""
        return self._blocks is not None

    @property
    def blocks(self) -> list[bytes]:
        """Its blocks, to be edited."""
        if self._blocks is None:
            content = (decode_fields(self.raw) or {}).get("content", _ABSENT)
            text = decode(_text_decoder, content)
            self._blocks = (decode_list(content) or []) if text is None else [text_block(text)]
        return self._blocks

    def render(self) -> bytes:
        """The message as it goes up."""
        if self._blocks is None:
            return self.raw
        edits = {"role": _encode(self.role), "content": encode_list(self._blocks)}
        return rewrite(decode_fields(self.raw) or {}, edits)

    def kinds(self) -> set[str]:
        """The types of its blocks."""
        if self._blocks is None:
            message = decode(_message_decoder, self.raw)
            content = message.content if message is not None else ""
            return {"text"} if isinstance(content, str) else {block.type for block in content}
        return {block.type for raw in self._blocks if (block := decode(_block_decoder, raw)) is not None}


def edit_messages(raw: bytes) -> tuple[list[Turn], bool]:
    """The messages that Copilot takes, and whether some that it does not take are gone into others."""
    turns = [_edited_turn(one) for one in decode_list(raw) or []]
    folded = _folded(turns)
    return folded, folded is not turns


def _edited_turn(raw: bytes) -> Turn:
    message = decode(_message_decoder, raw)
    if message is None:
        return Turn("", raw)
    content, role = message.content, message.role
    if role == "system":
        return _system_turn(content)
    if isinstance(content, str):
        return Turn(role, raw) if content.strip() else Turn(role, raw, [text_block(EMPTY_CONTENT)])
    turn = Turn(role, raw)
    if content and not any([_needs_edit(block) for block in content]):
        turn.marks = sum([block.cache_control is not _ABSENT for block in content])
        return turn
    pairs = zip(content, turn.blocks, strict=True)
    turn.blocks[:] = [edited for block, found in pairs if (edited := _edited_block(block, found)) is not None]
    if not turn.blocks:
        turn.blocks.append(text_block(EMPTY_CONTENT))
    turn.marks = sum([with_clean_mark(block)[1] for block in turn.blocks])  # a tool result may have got one
    return turn


def _needs_edit(block: _Block) -> bool:
    kind = block.type
    if block.cache_control is not _ABSENT and (kind in _THOUGHTS or bytes(block.cache_control) != EPHEMERAL):
        return True
    if kind == "text":
        return not block.text or block.text.isspace()
    if kind == "tool_result":
        return _edited_result(block.content) is not None
    return kind != "tool_use" and (kind == "mid_conv_system" or _is_unwanted(block))


def _is_unwanted(block: _Block) -> bool:
    """
    Whether the block is refused as a whole: thinking that this upstream cannot verify (pitfall 38), and what a
    server-side tool of Anthropic's did.
    """
    kind = block.type
    if kind == "thinking":
        return not block.signature or is_packed(block.signature)
    if kind == "redacted_thinking":
        return not block.data or is_packed(block.data)
    return kind == "server_tool_use" or (kind.endswith("_tool_result") and kind != "tool_result")


def _edited_block(block: _Block, raw: bytes) -> bytes | None:
    if _is_unwanted(block) or (block.type == "text" and not block.text.strip()):
        return None
    if not _needs_edit(block):
        return raw
    if block.type == "mid_conv_system":
        inner = decode(_blocks_decoder, block.content) or []
        return _reminder_block([one.text for one in inner], clean_mark(block.cache_control))
    if block.type in _THOUGHTS:
        return without_mark(raw)
    edits: dict[str, bytes | None] = {}
    mark = clean_mark(block.cache_control)
    if block.type == "tool_result":
        result = _edited_result(block.content)
        if result is not None:
            edits["content"], inner_mark = result
            mark = mark or inner_mark
    if block.cache_control or mark:
        edits["cache_control"] = mark or None
    return rewrite(decode_fields(raw) or {}, edits)


def _edited_result(content: msgspec.Raw) -> tuple[bytes, bytes] | None:
    """
    What a tool answered, without what is refused inside an answer: nothing at all, empty texts, and cache marks (which
    belong on the answer itself); and the mark. None where it can stay.
    """
    if len(content) <= _LEAST and bytes(content) in _NOTHING:
        return _encode(EMPTY_RESULT), b""
    if memoryview(content)[0] != _BRACKET:
        return None
    inner, raws = decode(_blocks_decoder, content), decode_list(content)
    if inner is None or raws is None:
        return None
    is_marked = any([bool(block.cache_control) for block in inner])
    has_blank = any([block.type == "text" and not block.text.strip() for block in inner])
    if not is_marked and not has_blank and inner:
        return None
    kept = [
        without_mark(raw) if block.cache_control else raw
        for block, raw in zip(inner, raws, strict=True)
        if block.type != "text" or block.text.strip()
    ]
    mark = b"".join([clean_mark(block.cache_control) for block in inner])
    return encode_list(kept) if kept else _encode(EMPTY_RESULT), EPHEMERAL if mark else b""


# Instructions in the middle -----------------------------------------------------------------------------------------


def _reminder_block(texts: list[str], mark: bytes) -> bytes | None:
    texts = [text for text in texts if text.strip()]
    return text_block(reminder("\n\n".join(texts)), mark) if texts else None


def _system_turn(content: str | list[_Block]) -> Turn:
    if isinstance(content, str):
        block = _reminder_block([content], b"")
        mark = b""
    else:
        mark = EPHEMERAL if any([clean_mark(one.cache_control) for one in content]) else b""
        block = _reminder_block([one.text for one in content], mark)
    return Turn("system", blocks=[] if block is None else [block], marks=1 if mark and block is not None else 0)


def _folded(turns: list[Turn]) -> list[Turn]:
    """
    The turns without system messages, which Copilot refuses: each is the end of the user's turn before it, or else
    leads the one after it, behind the results of tools that stand there first (pitfall 9).
    """
    if not any([turn.role == "system" for turn in turns]):
        return turns
    out: list[Turn] = []
    waiting: list[Turn] = []
    for turn in turns:
        if turn.role == "system":
            if out and out[-1].role == "user":
                out[-1].blocks.extend(turn.blocks)
                out[-1].marks += turn.marks
            elif turn.blocks:
                waiting.append(turn)
            continue
        if waiting and turn.role == "user":
            place = sum([decode_kind(block) == "tool_result" for block in turn.blocks])
            turn.blocks[place:place] = [block for one in waiting for block in one.blocks]
            turn.marks += sum([one.marks for one in waiting])
        elif waiting:
            out.append(_said(waiting))
        waiting = []
        out.append(turn)
    return [*out, _said(waiting)] if waiting else out


def decode_kind(raw: bytes) -> str:
    """The `type` of the block in `raw`."""
    block = decode(_block_decoder, raw)
    return block.type if block is not None else ""


def _said(turns: list[Turn]) -> Turn:
    return Turn("user", blocks=[block for turn in turns for block in turn.blocks], marks=sum([t.marks for t in turns]))


# The whole of them --------------------------------------------------------------------------------------------------


def drop_marks(turns: list[Turn], excess: int) -> int:
    """Take the first `excess` cache marks off the messages (the later ones cover more); how many are still due."""
    for turn in turns:
        if excess > 0 and turn.marks:
            excess = drop_first_marks(turn.blocks, excess)
    return max(excess, 0)


def drop_first_marks(raws: list[bytes], excess: int) -> int:
    """Take the first `excess` cache marks off these blocks or tools; how many are still due."""
    for place, raw in enumerate(raws):
        if excess > 0 and with_clean_mark(raw)[1]:
            raws[place] = without_mark(raw)
            excess -= 1
    return excess


def is_unsigned(turns: list[Turn]) -> bool:
    """Whether the last turn of the assistant called tools and has no thinking (any more)."""
    last = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    kinds: set[str] = last.kinds() if last is not None else set()
    return "tool_use" in kinds and not kinds & _THOUGHTS


def mend_ends(turns: list[Turn], *, refuses_prefill: bool) -> bool:
    """Have the user begin, and end where the model does not go on for the assistant; whether anything was added."""
    count = len(turns)
    if turns and turns[0].role == "assistant":
        turns.insert(0, Turn("user", blocks=[text_block(NOTHING_SAID)]))
    if refuses_prefill and turns and turns[-1].role == "assistant":
        turns.append(Turn("user", blocks=[text_block(CONTINUE)]))
    return len(turns) > count
