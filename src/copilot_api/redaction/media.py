"""
Pictures, sound and what only a model can read: long base64 that holds no text.

Nobody needs it to understand a call, so of media a marker is left that says what was there. What vendors seal
(signatures of thinking, encrypted reasoning, embeddings) is kept, unless it is very long, and never searched: among
enough random characters everything is found.
"""

import binascii
import re
from collections.abc import Iterator

from copilot_api.redaction.rule import Hit

MAX_OPAQUE = 16_384
"""Characters of a sealed value that are kept."""
MIN_MEDIA = 1024
"""Characters from which base64 that holds no text is taken for media."""
_LOOKED_AT = 4096

_DATA_URL = re.compile(
    r"data:([\w.+\-]{1,64}/[\w.+\-]{1,64})(?:;[\w.=+\-]{1,64}){0,4};base64,((?:[A-Za-z0-9+/_\-=%]|\\{1,7}/){1024,}+)"
)
_HEX = re.compile(r"[0-9a-fA-F]++")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_\-]|\\{1,7}(?:/|r|n))++={0,2}(?:\\{1,7}[rn]){0,2}")
_TEXTUAL = re.compile(
    r"text/|[\w.+\-]+/(?:.*\+)?(?:json|xml|yaml|toml|javascript|x-sh|x-www-form-urlencoded)$|application/octet-stream"
)
_SEALED = frozenset((
    "signature", "encrypted_content", "reasoning_opaque", "embedding", "thoughtSignature", "thought_signature",
    "reasoning_encrypted_content",
))  # fmt: skip
_MAGIC = (
    ("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"), ("SUQz", "audio/mpeg"), ("T2dnUw", "audio/ogg"), ("UEsDB", "application/zip"),
    ("AAAA", "video/mp4"),
)  # fmt: skip


def find_data_urls(text: str) -> Iterator[Hit]:
    """The media in `data:` addresses; those that are text are left to be decoded and searched."""
    if "base64," not in text:
        return
    for found in _DATA_URL.finditer(text):
        if not (_TEXTUAL.match(found[1]) and not _is_binary(found[2])):
            size = len(found[2]) * 3 // 4
            yield Hit(found.start(), found.end(), "", "", marker=f"[media: {found[1]}, {size} bytes]")


def judge_blob(text: str, start: int, end: int, name: str) -> Hit | bool:
    """
    What to do with a long value of a document: a marker for it; True to leave it alone, unsearched; False when it is
    none of media's kind.
    """
    if end - start < 64 or (name not in _SEALED and end - start < MIN_MEDIA):
        return False
    if _BASE64.fullmatch(text, start, end) is None or _HEX.fullmatch(text, start, end):
        return False
    if not _is_binary(text[start : start + _LOOKED_AT]):
        return False
    size = (end - start) * 3 // 4
    if name in _SEALED:
        return Hit(start, end, "", "", marker=f"[opaque: {size} bytes]") if end - start > MAX_OPAQUE else True
    kind = next((kind for magic, kind in _MAGIC if text.startswith(magic, start)), "unknown")
    return Hit(start, end, "", "", marker=f"[media: {kind}, {size} bytes]")


def _is_binary(encoded: str) -> bool:
    """Whether base64 holds something else than text."""
    plain = re.sub(r"[^A-Za-z0-9+/]", "", encoded[:_LOOKED_AT].replace("-", "+").replace("_", "/"))
    decoded = binascii.a2b_base64(plain[: len(plain) // 4 * 4])
    strange = sum([byte < 9 or 13 < byte < 32 or byte > 126 for byte in decoded])
    return strange * 5 > len(decoded)
