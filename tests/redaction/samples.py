"""Secrets made by lot from the shapes of the rules, and the encodings that they may be hidden in."""

import base64
import html
import json
import random
from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import quote, quote_plus

from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.rule import Rule
from copilot_api.redaction.rules import RULES

SHAPED = [rule for rule in RULES if rule.shape]
AROUND = ["{}", "see {} there", '{{"a": "{}"}}', "x: {}\n", "`{}`"]
_PARSER = import_module("re._parser")
_SALT = b"salt"


def make_secret(shape: str, seed: int) -> str:
    """A text that matches `shape`, the same for the same seed."""
    return _make(_PARSER.parse(shape), random.Random(seed))


def core_of(rule: Rule, sample: str) -> str:
    """The part of a sample that must be gone: of a value behind a name, the value."""
    if rule.name == "aws-key-pair":
        return sample[21:]
    if " -u " in sample:
        return sample.split(" -u ")[1].split(" ", maxsplit=1)[0]
    for separator in (
        "://",
        ": Bearer ",
        ": token ",
        "Bearer ",
        "Basic ",
        "SSWS ",
        " password ",
        "sig=",
        "AccountKey=",
        " = ",
        "PRIVATE KEY-----\n",
        "Lines: 1\n",
    ):
        if separator in sample:
            tail = sample.split(separator, 1)[1]
            if separator == "://":
                return tail.split("@")[0]
            return tail.split("\n-----END")[0] if "KEY" in separator else tail.strip()
    if "_gitlab_session=" in sample or ("=" in sample and sample.split("=", maxsplit=1)[0].isupper()):
        return sample.split("=", 1)[1]
    for begin in ("services/", "webhooks/", "webhookb2/", "catch/"):
        if begin in sample:
            return sample.split(begin, 1)[1]
    return sample


def assert_struck(rule: Rule, secret: str, around: str = "{}") -> None:
    """That `rule`, and no other, strikes `secret` wherever it stands, and that nothing of it is left."""
    redactor = Redactor(_SALT)
    kept = redactor.redact_text(around.format(secret))
    core = core_of(rule, secret)
    assert core not in kept, kept
    assert core[4:-4] not in kept, kept
    assert f"[redacted:{rule.name}:" in kept, (secret, kept)


def _make(parsed: Any, lot: random.Random) -> str:
    return "".join([_make_one(str(op), argument, lot) for op, argument in parsed])


def _make_one(op: str, argument: Any, lot: random.Random) -> str:
    if op == "LITERAL":
        return chr(argument)
    if op == "IN":
        choices: list[str] = []
        for kind, value in argument:
            choices += [chr(value)] if str(kind) == "LITERAL" else [chr(code) for code in range(value[0], value[1] + 1)]
        return lot.choice(choices)
    if op == "MAX_REPEAT":
        low, high, inner = argument
        return "".join([_make(inner, lot) for _ in range(lot.randint(low, min(high, low + 20)))])
    if op == "SUBPATTERN":
        return _make(argument[3], lot)
    if op == "BRANCH":
        return _make(lot.choice(argument[1]), lot)
    raise ValueError(f"a shape is no regular expression of the simplest kind: {op}")


def _mime(text: str) -> str:
    return base64.encodebytes(text.encode()).decode()


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "json": json.dumps,
    "json twice": lambda text: json.dumps(json.dumps({"x": text})),
    "unicode": lambda text: "".join([f"\\u{ord(char):04x}" for char in text]),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 after one": lambda text: base64.b64encode(b"~" + text.encode() + b"~").decode(),
    "base64 after two": lambda text: base64.b64encode(b"~~" + text.encode() + b"~~").decode().rstrip("="),
    "base64 of an URL": lambda text: base64.urlsafe_b64encode(b"\xff\xff" + text.encode()).decode().rstrip("="),
    "base64 in lines": _mime,
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "URL": lambda text: quote(text, safe=""),
    "URL twice": lambda text: quote(quote(text, safe=""), safe=""),
    "URL with plus": lambda text: quote_plus(text, safe=""),
    "URL throughout": lambda text: "".join([f"%{ord(char):02x}" for char in text]),
    "URL throughout, upper case": lambda text: "".join([f"%{ord(char):02X}" for char in text]),
    "hex": lambda text: text.encode().hex(),
    "hex, upper case": lambda text: text.encode().hex().upper(),
    "entities": lambda text: "".join([f"&#{ord(char)};" for char in text]),
    "HTML": html.escape,
}
