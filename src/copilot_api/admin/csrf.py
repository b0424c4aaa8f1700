"""
The token that a form has to bring along: only a page of the same session knows it.

It follows from the session's cookie and is stored nowhere. On each page it is written differently, under a mask, so
that a compressed page gives nothing of it away to whoever sees only how long the page is (the BREACH attack).
"""

import base64
import binascii
import hashlib
import hmac
import secrets

FIELD, HEADER = "csrf", b"x-csrf-token"

_BYTES = 32
_PURPOSE = b"copilot-api csrf token"


def make_token(cookie: str) -> str:
    """A token of the session with this cookie; another one each time."""
    mask = secrets.token_bytes(_BYTES)
    return base64.urlsafe_b64encode(mask + _mask(mask, _derive(cookie))).decode()


def is_token(cookie: str, token: str) -> bool:
    """Whether `token` is one of the session with this cookie."""
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    if len(raw) != 2 * _BYTES:
        return False
    return hmac.compare_digest(_mask(raw[:_BYTES], raw[_BYTES:]), _derive(cookie))


def _derive(cookie: str) -> bytes:
    return hmac.digest(cookie.encode(), _PURPOSE, hashlib.sha256)


def _mask(mask: bytes, value: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(mask, value, strict=True))
