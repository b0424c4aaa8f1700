"""
Whether a value may be a secret, where only its place says so: `password = …` may be followed by one, or by an example,
a type, a variable or a sentence.
"""

import math
import re
from collections import Counter

_EXAMPLE = re.compile(
    r"\.\.\.|…|\*{3}|x{4}|X{4}|•{2}|#{4}|<[^>]{0,60}>|^\[[\w .-]{1,40}\]$|^[-_.=*?]+$"
    r"|\$\{|\{\{|\$\(|^\$[A-Za-z_][A-Za-z_0-9]*$|^\{[A-Za-z_.]*\}?|^%\(?[A-Za-z_]+\)?[s%]?$|^@[A-Za-z_]+$|^[A-Za-z]+[?!]$"
    r"|(?i:^(?:your|my|some|insert|enter|replace|put|add)[-_ ]?(?:[a-z]+[-_ ]?)*$|change[-_ ]?me|(?:your|you)[-_ ][a-z]"
    r"|[-_ ]here$|placeholder|redacted|dummy|(?:^|[-_ ])(?:example|sample)(?:$|[-_ ]))"
)
_WORDS = frozenset((
    "string", "str", "text", "bytes", "bool", "boolean", "int", "integer", "number", "float", "double", "object",
    "array", "any", "unknown", "none", "null", "nil", "undefined", "true", "false", "yes", "no", "on", "off",
    "required", "optional", "hidden", "default", "empty", "missing", "invalid", "valid", "expired", "revoked",
    "unset", "password", "passwd", "pass", "passphrase", "secret", "secrets", "token", "key", "apikey",
    "credential", "credentials", "bearer", "basic", "digest", "value", "username", "user", "admin", "login", "test",
    "fake", "todo", "tbd", "auto", "inherit", "never", "always", "enabled", "disabled", "protected", "private",
    "public", "hunter", "foo", "bar", "baz", "varchar", "char", "blob", "securestring", "secretstr", "header",
    "cookie", "query", "body", "prompt", "stdin", "file", "env", "oauth", "oauth2", "jwt", "saml", "ldap",
    "session", "same-origin", "include", "omit", "read", "write", "write-only",
))  # fmt: skip
_CODE = re.compile(
    r"^(?:[A-Za-z_][\w]*(?:\?|!)?(?:\.|::|->))+[A-Za-z_]\w*[\])};,]*$"  # a member: self.token, process.env.TOKEN
    r"|^[&*]*[\[({]"  # a list, a tuple, a slice's type
    r"|^[A-Za-z_][\w.:]*[(\[<{]"  # a call, an index or a generic type: os.environ["TOKEN"], Optional<String>
    r"|^[&*!]?[A-Z][A-Z0-9_]*_(?:KEY|TOKEN|SECRET|PASSWORD|PASS)\b"  # a constant's name
)
_PROSE = re.compile(
    r"(?i)(?:^|\s)(?:the|an?|of|for|to|is|are|was|your|my|this|that|must|with|and|or|not|in|from|used|enter|please|user|"
    r"optional|required|should|be|if|when|has|can|cannot|no)(?:\s|$)"
)
_DIGIT = re.compile(r"[0-9]")
_SECRET_WORD = re.compile(r"(?i)passwor[dt]|passwd|secret|token|credential|api_?key|passphrase")


def is_example(value: str) -> bool:
    """Whether `value` stands for a secret rather than being one: `YOUR_API_KEY`, `<token>`, `${TOKEN}`, `sk-...`."""
    return value.lower() in _WORDS or _EXAMPLE.search(value) is not None


def is_no_example(value: str) -> bool:
    """Whether `value` is not one of those."""
    return not is_example(value)


def is_own_word(value: str) -> bool:
    """Whether `value` is neither an example nor made of words."""
    return not is_example(value) and not is_worded(value)


def has_digit(value: str) -> bool:
    """Whether there is a digit in `value`."""
    return _DIGIT.search(value) is not None


def is_code(value: str) -> bool:
    """Whether `value`, which stands without quotes, reads as an expression of a program."""
    return _CODE.search(value) is not None


def is_prose(value: str) -> bool:
    """Whether `value` reads as a sentence or a label."""
    return " " in value and (_PROSE.search(value) is not None or _SECRET_WORD.search(value) is not None)


def is_label(value: str) -> bool:
    """Whether `value` only names the thing: `Password`, `access_token`, `user-password`."""
    return not has_digit(value) and _SECRET_WORD.search(value) is not None and len(value) < 40


def entropy(value: str) -> float:
    """Bits a character, by how often each one is in `value`."""
    size = len(value)
    return -sum([count / size * math.log2(count / size) for count in Counter(value).values()]) if size else 0.0


def is_random(value: str, at_least: int = 16) -> bool:
    """Whether `value` looks drawn by lot: long enough, no words, letters with digits or in mixed case."""
    if len(value) < at_least or " " in value:
        return False
    has_mixed = value != value.lower() and value != value.upper()
    if not has_digit(value) and not (has_mixed and len(value) >= 20):
        return False
    return entropy(value) >= 2.5 and not is_worded(value)


_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")


def is_worded(value: str) -> bool:
    """Whether `value` is made of words: `sk-fading-circle-12`, `some_identifier_v2`, `getAccessTokenSilently`."""
    pieces = _CAMEL.findall(value)
    letters = [piece for piece in pieces if not piece.isdigit()]
    if not letters:
        return False
    sized = sum([len(piece) for piece in letters])
    digits = sum([char.isdigit() for char in value])
    return sized / len(letters) >= 3.5 and digits <= max(2, len(value) // 8) and _has_vowels(letters)


def _has_vowels(words: list[str]) -> bool:
    """Whether most of the words can be said aloud."""
    said = [word for word in words if len(word) > 2]
    return bool(said) and sum([any([char in "aeiouyAEIOUY" for char in word]) for word in said]) >= 0.8 * len(said)


_CODE_WORDS = frozenset((
    "app", "args", "auth", "base", "cfg", "client", "cls", "conf", "config", "context", "creds", "credentials", "ctx",
    "data", "default", "env", "environ", "get", "getenv", "http", "https", "input", "json", "key", "module", "options",
    "opts", "os", "params", "pass", "passwd", "password", "process", "props", "pwd", "req", "request", "response",
    "secret", "secrets", "self", "session", "settings", "state", "std", "sys", "this", "token", "user", "value", "var",
))  # fmt: skip
"""Words of members and calls. Hardly a value that was drawn by lot has one of them between two of its changes."""


def is_name(value: str) -> bool:
    """Whether `value` reads as the name of a type or a variable, a few digits and all: `Ed25519PrivateKey`."""
    pieces = _CAMEL.findall(value)
    letters = [piece for piece in pieces if not piece.isdigit()]
    return len(pieces) - len(letters) <= 2 and sum([len(piece) for piece in letters]) >= 3.5 * len(letters)


def is_drawn(value: str, *, is_computed: bool) -> bool:
    """
    Whether `value`, which is written like a member or a call, was drawn by lot: `g5kMg.RsU3w` beside `s3.token`. Where
    values may be computed (`is_computed`) it has to look it, elsewhere a digit and no word of a program are enough.
    """
    pieces = _CAMEL.findall(value)
    numbers = len([piece for piece in pieces if piece.isdigit()])
    if len(value) < 12 or any([piece.lower() in _CODE_WORDS for piece in pieces]):
        return False
    if not is_computed and numbers:
        return True
    has_mixed = value != value.lower() and value != value.upper()
    if numbers >= 3 or not has_mixed:
        return numbers >= 3
    share = _share_of_words(pieces)
    return share < (0.3, 0.4, 0.6)[numbers] and len(value) >= 16


def _share_of_words(pieces: list[str]) -> float:
    """How much of the letters stands in pieces that are long enough for words."""
    letters = [piece for piece in pieces if not piece.isdigit()]
    sized = sum([len(piece) for piece in letters])
    return sum([len(piece) for piece in letters if len(piece) >= 4]) / sized if sized else 0.0
