"""Ids, opaque blobs and signatures: unlike one another, and recognised when they come back."""

import base64
import binascii
import hashlib
import hmac

_SECRET = b"copilot-simulator"
_NONCE_BYTES = 16
_BLOB_BYTES = 320
_SIGNATURE_PREFIX = "EswBCmcIDxABGAIqQ"
_ENCRYPTED_PREFIX = "gAAAAAB"


class Ids:
    """Counts, so that no two ids of one simulator are the same and two runs give the same ids."""

    def __init__(self) -> None:
        self._count = 0

    def hex(self, length: int) -> str:
        """That many hexadecimal digits."""
        return hashlib.shake_256(self._next()).hexdigest((length + 1) // 2)[:length]

    def name(self, prefix: str, length: int = 24) -> str:
        """A prefix and that many letters and digits."""
        raw = base64.b64encode(hashlib.shake_256(self._next()).digest(length)).decode()
        return prefix + raw.replace("+", "A").replace("/", "B")[:length]

    def uuid(self) -> str:
        """A random-looking UUID."""
        digits = self.hex(32)
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def blob(self) -> str:
        """An item id of the Responses endpoint: a long signed blob, another one on every call."""
        return base64.b64encode(_seal(self._next(), _BLOB_BYTES)).decode()

    def signature(self) -> str:
        """A signature of a thinking block."""
        return _SIGNATURE_PREFIX + base64.b64encode(_seal(self._next(), 48)).decode()

    def encrypted(self, length: int) -> str:
        """Encrypted reasoning; `length` bytes are sealed."""
        return _ENCRYPTED_PREFIX + base64.urlsafe_b64encode(_seal(self._next(), length)).decode()

    def _next(self) -> bytes:
        self._count += 1
        return hashlib.blake2b(str(self._count).encode(), digest_size=_NONCE_BYTES).digest()


def is_own_blob(value: str) -> bool:
    """Whether this simulator made that item id."""
    return _is_sealed(value)


def is_own_signature(value: str) -> bool:
    """Whether this simulator signed that thinking block."""
    return value.startswith(_SIGNATURE_PREFIX) and _is_sealed(value.removeprefix(_SIGNATURE_PREFIX))


def is_own_encrypted(value: str) -> bool:
    """Whether this simulator encrypted that reasoning."""
    return value.startswith(_ENCRYPTED_PREFIX) and _is_sealed(value.removeprefix(_ENCRYPTED_PREFIX))


def _seal(nonce: bytes, length: int) -> bytes:
    return nonce + hashlib.shake_256(_SECRET + nonce).digest(length - _NONCE_BYTES)


def _is_sealed(value: str) -> bool:
    try:
        raw = base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) > _NONCE_BYTES and hmac.compare_digest(_seal(raw[:_NONCE_BYTES], len(raw)), raw)
