"""
OpenAI's encodings, from the ranks that lie beside this file.

Loading one takes about a third of a second and some 60 MB, so it happens at the first use, and off the event loop.
"""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

DEFAULT = "o200k_base"
_DATA = Path(__file__).parent / "data"

# What splits a text into pieces before it is encoded: part of each encoding's definition, as published by OpenAI.
_PATTERNS = {
    "o200k_base": (
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
    ),
    "cl100k_base": (
        r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
        r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
    ),
}


def known_name(name: str) -> str:
    """The encoding to use where the catalog says `name`: that itself, or the newest for one that is not here."""
    return name if name in _PATTERNS else DEFAULT


@functools.cache
def load_encoding(name: str) -> "Encoding":
    """The encoding called `name`. Raises `KeyError` for one that is not here."""
    import tiktoken

    ranks = read_ranks(name)
    encoding = tiktoken.Encoding(name=name, pat_str=_PATTERNS[name], mergeable_ranks=ranks, special_tokens={})
    ranks.clear()  # the encoding has copied them: 16 MB
    return encoding


def read_ranks(name: str) -> dict[bytes, int]:
    """Every token with its rank. Raises `ValueError` when the file is damaged."""
    import lzma  # a Python that was built without it still runs the gateway

    try:
        packed = lzma.decompress((_DATA / f"{name}.xz").read_bytes())
    except lzma.LZMAError as damage:
        raise ValueError(f"the ranks of {name} are damaged: {damage}") from damage
    ranks: dict[bytes, int] = {}
    position = 0
    while position < len(packed):
        end = position + 1 + packed[position]
        ranks[packed[position + 1 : end]] = len(ranks)
        position = end
    return ranks
