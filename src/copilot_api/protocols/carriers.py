"""
Reasoning carriers in another protocol's clothes.

What replays a model's reasoning is only good for the vendor that made it. A client of another protocol gets it packed
into its own opaque field (a thinking block's signature, a reasoning item's encrypted content) behind a mark, hands it
back untouched on the next turn, and the gateway unpacks it. What has no mark is the vendor's own.
"""

import base64
import binascii

import msgspec

from copilot_api.protocols.conversation import Carrier

MARK = "gw1."
"""How every packed carrier begins."""

_MAX_PACKED = 8 * 1024 * 1024


def pack(carrier: Carrier) -> str:
    """The carrier as text that fits into any opaque field: letters, digits, `-`, `_` and dots."""
    fields = {"d": carrier.data, "i": carrier.id, "t": carrier.text, "m": carrier.model}
    raw = msgspec.json.encode({name: value for name, value in fields.items() if value})
    return f"{MARK}{carrier.kind}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"


def is_packed(text: str) -> bool:
    """Whether the gateway made this text."""
    return text.startswith(MARK)


class _Packed(msgspec.Struct):
    d: str = ""
    i: str = ""
    t: str = ""
    m: str = ""


def unpack(text: str) -> Carrier | None:
    """The carrier in what `pack` made; None for anything else, however it came about."""
    if not text.startswith(MARK) or len(text) > _MAX_PACKED:
        return None
    kind, _, rest = text.removeprefix(MARK).partition(".")
    try:
        raw = base64.b64decode(rest + "=" * (-len(rest) % 4), altchars=b"-_", validate=True)
        packed = msgspec.json.decode(raw, type=_Packed)
        return msgspec.convert(
            {"kind": kind, "data": packed.d, "id": packed.i, "text": packed.t, "model": packed.m}, Carrier
        )
    except (binascii.Error, ValueError, msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return None
