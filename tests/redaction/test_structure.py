"""A document tells which of its strings are secrets by the key they stand under."""

import json
from typing import Any

import pytest

from copilot_api.redaction.structure import looks_like_json, read_document, sealed_name, view_string


def struck(value: Any) -> list[tuple[str, str]]:
    text = json.dumps(value)
    return [(hit.where, hit.secret) for hit in read_document(text, 0, len(text)).hits]


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"password": "open sesame"}, "$.password"), ({"a": [{"clientSecret": "xyzzy 7"}]}, "$.a[0].clientSecret"), ({"api_keys": ["plugh-1"]}, "$.api_keys[0]"),
        ({"name": "DB_PASSWORD", "value": "open sesame"}, "$.value"), ({"value": "open sesame", "name": "DB_PASSWORD"}, "$.value"), ({"token": "q7Wz9Kp2Lm4Xv8Rt"}, "$.token"),
        ({"secrets": {"a": "q7Wz9Kp2Lm4Xv8Rt"}}, "$.secrets.a"), ([["x-api-key", "q7Wz9Kp2Lm4Xv8Rt"]], "$[0][1]"), ({"secret": 123456}, "$.secret"),
    ],
)  # fmt: skip
def test_a_key_makes_a_secret(value: Any, where: str) -> None:
    assert [place for place, _ in struck(value)] == [where]


@pytest.mark.parametrize("value", [{"password": {"type": "string", "description": "The password of the user"}}, {"token": "Hello", "logprob": -0.1}, {"max_tokens": 4096}, {"key": "ArrowDown"}, {"password": "string"}, {"name": "x", "value": "y"}, {"secret": True}, {"token_type": "bearer"}, {"total_tokens": 123456}, {"password": ""}, ["export OPENAI_API_KEY=YOUR_API_KEY", "private_key_path=/etc/ssl/private/server-2026-03-04.pem"], ["-----BEGIN PRIVATE KEY-----", "q7Wz9Kp2Lm4Xv8Rt"]])  # fmt: skip
def test_a_key_alone_makes_none(value: Any) -> None:
    assert struck(value) == []


def test_the_strings_are_unescaped_and_known_by_their_place() -> None:
    text = r'{"a": "long enough \u0041", "b": "short"}'
    document = read_document(text, 0, len(text))
    assert [view.text for view in document.views] == ["long enough A"]
    assert [token.render_path() for token in document.tokens] == ["$.a"]
    assert view_string(text, document.tokens[0]).text == "long enough A"


def test_the_data_of_redacted_thinking_is_sealed() -> None:
    text = '{"type": "redacted_thinking", "data": "x x x x x x x"}'
    token = read_document(text, 0, len(text)).tokens[-1]
    assert sealed_name(token) == "signature"


def test_what_looks_like_json() -> None:
    assert looks_like_json(' {"a"', 0, 5)
    assert not looks_like_json("{a}", 0, 3)
    assert not looks_like_json('x {"a"}', 0, 7)
