"""What has a form by a standard: web tokens, private keys, credentials in addresses and headers."""

import base64
import binascii
import re
from collections.abc import Iterator

from copilot_api.redaction.plausible import is_code, is_example, is_prose, is_random
from copilot_api.redaction.rule import Hit, Rule

_BREAK = r"(?:\\{1,8}[nrt]|[\s>|*#+\-])"
_KEY_LINE = re.compile(r"[A-Za-z0-9+/=]{20}")
_KEY_HEADER = r"(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset|MessageID):[^\n\\]{0,100}"
_KEY_BEGIN = r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_KEY_END = r"-----END[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----"


def _is_url_secret(secret: str) -> bool:
    user, is_pair, password = secret.partition(":")
    if is_pair:
        return bool(password) and password != user and not is_example(password)
    return len(user) >= 16 and any([char.isdigit() for char in user]) and not is_example(user)


def _is_basic(secret: str) -> bool:
    try:
        decoded = base64.b64decode(secret + "=" * (-len(secret) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in decoded and all([byte >= 32 for byte in decoded])


def _is_bearer(secret: str) -> bool:
    return is_random(secret, 12) and not is_example(secret)


def _has_key(secret: str) -> bool:
    """Whether there is a key between the lines, and not only the word of one."""
    return _KEY_LINE.search(secret, secret.index("-----", 5)) is not None


def _cookie_is_secret(secret: str) -> bool:
    values = [pair.partition("=")[2] for pair in secret.split(";")]
    return any([len(value) >= 8 and not is_example(value) for value in values])


def _is_pair(secret: str) -> bool:
    return not is_example(secret.partition(":")[2])


def _is_given(secret: str) -> bool:
    return not is_example(secret) and not is_code(secret) and not is_prose(secret)


STANDARDS = (
    Rule(
        "private-key", "a private key: PEM, OpenSSH, PGP or PuTTY; whole, cut off, or with its line ends escaped",
        "-----BEGIN (RSA |EC |OPENSSH |ENCRYPTED )?PRIVATE KEY-----\n[A-Za-z0-9+/]{64}\n[A-Za-z0-9+/]{40}==\n-----END PRIVATE KEY-----",
        ("-----BEGIN",),
        rf"{_KEY_BEGIN}(?:(?:(?!-----)[A-Za-z0-9+/=:,.()<>@ \t\r\n\\|*>#\"'_\-]){{0,20000}}?{_KEY_END}|(?:(?!-----)(?:{_KEY_HEADER}|{_BREAK}|[A-Za-z0-9+/=])){{0,20000}})",
        _has_key,
    ),
    Rule(
        "putty-private-key", "the private part of a key of PuTTY", "Private-Lines: 1\n[A-Za-z0-9+/]{64}\n",
        ("Private-Lines:",), rf"Private-Lines:\s{{0,4}}[0-9]{{1,4}}({_BREAK}{{1,4}}[A-Za-z0-9+/=]{{4,80}}(?:{_BREAK}{{1,4}}[A-Za-z0-9+/=]{{20,80}}){{0,200}})",
    ),
    Rule("age-secret-key", "a secret key of age", "AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}", ("age-secret-key-",), r"AGE-SECRET-KEY-[0-9A-Z\-]{20,255}", is_any_case=True),
    Rule(
        "url-credentials", "user and password in an address, or a token in their place", "https://[a-z]{5}:[A-Za-z0-9]{12}@example[.]com",
        ("://",), r"""://([^\s/?#"'<>@\\`\x00]{1,8192})@(?=[\w\[.%\-])""", _is_url_secret,
    ),
    Rule(
        "authorization", "the credentials in a header that is quoted in a text", "Authorization: (Bearer|token) [A-Za-z0-9_-]{24}",
        ("authorization",),
        r"""authorization["'\\\]]{0,4}\s{0,4}[:=,]\s{0,4}[\\]{0,3}["'`]?(?:(?:bearer|basic|token|apikey|digest|negotiate)(?:\s|%20|\+|:){1,3})([^\s"'`<>\\\x00]{4,4096})""",
        _is_given, is_any_case=True,
    ),
    Rule(
        "cookies", "the cookies in a header that is quoted in a text", "Cookie: theme=dark; session=[A-Za-z0-9_-]{32}",
        ("cookie",),
        r"""cookie["'\\\]]{0,9}\s{0,4}[:=,]\s{0,4}[\\]{0,7}["'`]?([\w.\-]{1,64}=[^;,\s"'\\\x00]{0,4096}(?:;\s{0,2}[\w.\-]{1,64}(?:=[^;\s"'\\\x00]{0,4096})?){0,64})""",
        _cookie_is_secret, is_any_case=True,
    ),
    Rule("bearer", "a bearer token", "Bearer [A-Za-z0-9_-]{32}", ("bearer",), r"bearer(?:\s|%20|\+|:|=){1,3}[\"'`]?([A-Za-z0-9._~+/=:;|%\-]{12,4096})", _is_bearer, is_any_case=True, in_logs=(("bearer ", "token "), r"(?i:bearer|token) [A-Za-z0-9._~+/=;:-]{16,}")),
    Rule("basic", "user and password as HTTP sends them", "Basic YWRtaW46[c-f]GFzc3dvcmQ[w-z]", ("basic",), r"basic(?:\s|%20|\+|:){1,3}([A-Za-z0-9+/_\-]{8,1024}={0,2})", _is_basic, is_any_case=True),
    Rule("netrc", "the password of a .netrc file", "machine example[.]com login [a-z]{6} password [A-Za-z0-9]{12}", ("machine ",), r"machine\s{1,4}\S{1,255}\s{1,4}login\s{1,4}\S{1,255}\s{1,4}password\s{1,4}([^\s\"'\\\x00]{3,255})", _is_given),
    Rule(
        "command-line-password", "user and password given to curl or wget", "curl -u [a-z]{6}:[A-Za-z0-9]{12} https://example[.]com",
        ("curl", "wget"), r"""(?:curl|wget)[^\n\x00]{0,240}?\s(?:-u|--user|--proxy-user|-U)[\s=]{0,2}["'\\]{0,2}([^\s:"'\\\x00]{1,128}:[^\s"'\\\x00]{1,255})""",
        _is_pair,
    ),
)  # fmt: skip

_DOTTED = re.compile(r"(?<![A-Za-z0-9_\-])[A-Za-z0-9_\-]{10,}+\.[A-Za-z0-9_\-]{4,}+(?:\.[A-Za-z0-9_\-]*+){1,3}")
_DISCORD = re.compile(r"[A-Za-z0-9_\-]{23,28}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,40}")
JWT = Rule(
    "jwt", "a JSON Web Token, signed or encrypted", r"eyJ[A-Za-z0-9_-]{33}\.eyJ[A-Za-z0-9_-]{60}\.[A-Za-z0-9_-]{43}", (), "",
    in_logs=(("eyj",), r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"),
)  # fmt: skip
DISCORD = Rule(
    "discord-token",
    "the token of a bot of Discord",
    r"[MN][A-Za-z0-9]{23}\.G[A-Za-z0-9_-]{5}\.[A-Za-z0-9_-]{38}",
    (),
    "",
)


def find_dotted(text: str) -> Iterator[Hit]:
    """
    The web tokens in `text`, and the tokens of Discord, which look like them.

    Each run of their characters is looked at once, wherever in it a token may begin: tried at every `eyJ`, a pattern
    takes a time that grows with the square of a hostile text.
    """
    if "." not in text:
        return
    for found in _DOTTED.finditer(text):
        run = found.group()
        begin = run.find("eyJ", 0, run.index(".") - 8)
        if begin >= 0:
            yield Hit(found.start() + begin, found.end(), JWT.name, run[begin:])
        elif _DISCORD.fullmatch(run) and is_random(run) and run[0] in "MNO":
            yield Hit(*found.span(), DISCORD.name, run)
