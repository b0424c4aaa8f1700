"""The form of a key's secret and of its id. Secret scanners know it by `sk-cap-`; base32 survives being read aloud."""

import base64
import hashlib
import re
import secrets

_MARK = "sk-cap-"
_SECRET_LENGTH = len(_MARK) + 52
_PREFIX_LENGTH = len(_MARK) + 5
_SECRET = re.compile(_MARK + "[a-z2-7]{52}")


def make_secret() -> str:
    """A new secret: 32 random bytes in base32."""
    return _MARK + _base32(secrets.token_bytes(32))


def make_key_id() -> str:
    """A new key id. No secret, but not to be guessed either."""
    return "key_" + _base32(secrets.token_bytes(8))[:12]


def is_secret(text: str) -> bool:
    """Whether `text` has the form of a secret; a long string costs no more than a short one."""
    return len(text) == _SECRET_LENGTH and _SECRET.fullmatch(text) is not None


def digest_secret(secret: str) -> bytes:
    """What is stored of a secret. Of 256 random bits a plain SHA-256 gives nothing away: no salt, no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def visible_prefix(secret: str) -> str:
    """What may be shown of a secret, for its holder to recognise it by."""
    return secret[:_PREFIX_LENGTH]


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().lower().rstrip("=")
