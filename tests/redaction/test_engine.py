"""`Redactor`: a secret of any family, however it is encoded and split, is gone; what is none stays letter for letter."""

import base64
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.rule import Rule
from copilot_api.redaction.texts import NotText
from tests.redaction.samples import ENCODINGS, SHAPED, core_of, make_secret

PROPERTY = settings(derandomize=True, deadline=None, database=None)
SALT = b"salt"
TOKEN = "ghp_" + "A1b2C3d4" * 4 + "Z9z9"
PLACE = "[redacted:github-token:4d2dce]"

RULES = st.sampled_from(SHAPED)
SEEDS = st.integers(0, 10_000)
NO_SPACE_AS_PLUS = {"netrc", "command-line-password", "aws-secret-key", "cookies"}
"""Rules whose secrets stand behind a word and a space: as `+` that is one only in a form."""


def redact(text: str) -> str:
    return Redactor(SALT).redact_text(text)


def is_left(core: str, kept: str, encode: Callable[[str], str] = str) -> bool:
    return core in kept or encode(core)[4:-4] in kept


# What is found ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", SHAPED, ids=lambda rule: rule.name)
def test_no_encoding_hides_a_secret(rule: Rule) -> None:
    secret = make_secret(rule.shape, 1)
    for encoding, encode in ENCODINGS.items():
        if encoding == "URL with plus" and rule.name in NO_SPACE_AS_PLUS:
            continue  # a space as + is one only in a form
        redactor = Redactor(SALT)
        kept = redactor.redact_text(f"say {encode(secret)} now")
        assert not is_left(core_of(rule, secret), kept, encode), (encoding, kept)
        assert redactor.hits, encoding


DEEP = ["json", "base64", "base64 of an URL", "URL", "URL throughout", "hex", "unicode", "entities"]


@settings(PROPERTY, max_examples=60)
@given(RULES, SEEDS, st.lists(st.sampled_from(DEEP), min_size=2, max_size=3))
def test_encodings_inside_one_another_hide_nothing(rule: Rule, seed: int, layers: list[str]) -> None:
    secret = make_secret(rule.shape, seed)
    text = f"x {secret} y"
    for layer in layers:
        text = ENCODINGS[layer](text)
    redactor = Redactor(SALT)
    kept = redactor.redact_body(json.dumps({"messages": [{"content": text}]}).encode(), "application/json")
    assert redactor.hits, (layers, secret)
    assert text[8:-8] not in json.loads(kept)["messages"][0]["content"]


def test_equal_secrets_have_equal_placeholders_however_they_are_written() -> None:
    texts = [TOKEN, base64.b64encode(TOKEN.encode()).decode(), TOKEN.encode().hex(), json.dumps({"x": TOKEN})]
    redactor = Redactor(SALT)
    kept = [redactor.redact_text(text) for text in texts]
    places = {text[text.index("[redacted:") : text.index("]") + 1] for text in kept}
    assert len(places) == 1
    assert redactor.hits == {"github-token": 4}


def test_another_salt_makes_another_placeholder() -> None:
    assert Redactor(b"a").redact_text(TOKEN) != Redactor(b"b").redact_text(TOKEN)


# What stays -------------------------------------------------------------------------------------------------------


BENIGN = st.text(alphabet="abcdefghij klmno.,\n\"'{}[]\\/%&é😀\u2028", max_size=300)


@settings(PROPERTY, max_examples=120)
@given(BENIGN)
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@settings(PROPERTY, max_examples=80)
@given(JSON, RULES, SEEDS, st.sampled_from(list(ENCODINGS)))
def test_json_stays_json_and_loses_only_the_secret(value: Any, rule: Rule, seed: int, encoding: str) -> None:
    secret = make_secret(rule.shape, seed)
    document = {"before": value, "content": ENCODINGS[encoding](secret), "after": [value]}
    kept = json.loads(Redactor(SALT).redact_body(json.dumps(document).encode(), "application/json"))
    plain = json.loads(Redactor(SALT).redact_body(json.dumps([value, [value]]).encode(), "application/json"))
    assert [kept["before"], kept["after"]] == plain
    assert core_of(rule, secret) not in json.dumps(kept)


def test_numbers_doubled_keys_and_spelling_stay() -> None:
    body = '{ "b":1.0e5, "a" : -0.0,"a":[12345678901234567890123, 1E400],\n"s":"\\u00e9\\/\\ud83d", "t":"%s" }'
    kept = Redactor(SALT).redact_body((body % TOKEN).encode(), "application/json")
    assert kept.startswith((body % "[redacted:github-token:")[:-4])


@settings(PROPERTY, max_examples=80)
@given(st.lists(st.sampled_from([*DEEP, "plain", "base64 in lines"]), min_size=1, max_size=2), RULES, SEEDS, BENIGN)
def test_what_was_redacted_is_not_redacted_again(layers: list[str], rule: Rule, seed: int, around: str) -> None:
    text = make_secret(rule.shape, seed)
    for layer in layers:
        text = ENCODINGS[layer](text)
    once = redact(f"{around} {text} {around}")
    assert redact(once) == once


# Bodies -----------------------------------------------------------------------------------------------------------


@settings(PROPERTY, max_examples=120)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.sampled_from(["", "application/json", "text/event-stream", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; charset=latin-1", "text/plain; charset=utf-16", "image/png"]), st.booleans())  # fmt: skip
def test_any_bytes_are_redacted_or_refused(body: bytes, media_type: str, is_cut: bool) -> None:
    with suppress(NotText):
        assert isinstance(Redactor(SALT).redact_body(body, media_type, is_cut=is_cut), str)


@settings(PROPERTY, max_examples=100)
@given(RULES, SEEDS, st.data())
def test_half_a_secret_at_the_end_of_a_cut_body_is_taken_away(rule: Rule, seed: int, data: st.DataObject) -> None:
    secret = make_secret(rule.shape, seed)
    body = json.dumps({"messages": [{"role": "user", "content": f"it is {secret}"}]})
    begin = body.index("it is ") + 6
    end = data.draw(st.integers(begin, len(body) - 4))
    kept = Redactor(SALT).redact_body(body[:end].encode(), "application/json", is_cut=True)
    written = body[begin:end].split(" ")[-1].split("\\n")[-1]
    assert len(written) < 8 or written not in kept


def test_a_form_is_redacted_by_names_and_by_values() -> None:
    body = b"grant_type=refresh_token&client_secret=abc&note=Bearer+%67hp_" + TOKEN[4:].encode() + b"&state=on"
    kept = Redactor(SALT).redact_body(body, "application/x-www-form-urlencoded")
    assert kept.startswith("grant_type=refresh_token&client_secret=[redacted:parameter:")
    assert TOKEN[6:] not in kept


def test_a_part_of_a_multipart_form_is_redacted_by_its_name() -> None:
    body = '--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nopen sesame\r\n--x--\r\n'
    assert "sesame" not in Redactor(SALT).redact_body(body.encode(), "multipart/form-data; boundary=x")


def test_events_are_known_by_how_they_begin() -> None:
    body = f'data: {{"text":"{TOKEN[:10]}"}}\n\ndata: {{"text":"{TOKEN[10:]}"}}\n\n'
    assert TOKEN[10:] not in Redactor(SALT).redact_body(body.encode(), "")


# Headers and targets ----------------------------------------------------------------------------------------------


def test_headers_are_redacted_both_by_name_and_by_value() -> None:
    kept = dict(
        Redactor(SALT).redact_headers(
            [
                ("Authorization", "Bearer anything"), ("X-Api-Key", "short"), ("Set-Cookie", "a=b; Path=/"), ("x-amz-security-token", "x"),
                ("x-request-id", "req_0123456789abcdef"), ("X-RateLimit-Remaining-Tokens", "17"), ("x-note", f"see {TOKEN}"), ("accept", "*/*"),
            ]
        )
    )  # fmt: skip
    assert kept["Authorization"].startswith("Bearer [redacted:header:")
    assert kept["X-Api-Key"].startswith("[redacted:header:")
    assert kept["Set-Cookie"].startswith("[redacted:header:")
    assert kept["x-amz-security-token"].startswith("[redacted:header:")
    assert kept["x-request-id"] == "req_0123456789abcdef"
    assert kept["X-RateLimit-Remaining-Tokens"] == "17"
    assert kept["x-note"].startswith("see [redacted:github-token:")
    assert kept["accept"] == "*/*"


def test_a_target_is_redacted_by_the_names_of_its_parameters_and_by_text() -> None:
    redactor = Redactor(SALT)
    kept = redactor.redact_target(f"/v1beta/models/x:generate?key=abc&alt=sse&note=%67{TOKEN[1:]}")
    assert kept.startswith("/v1beta/models/x:generate?key=[redacted:parameter:")
    assert "&alt=sse&note=[redacted:github-token:" in kept
    assert redactor.redact_target("https://me:pa55@host/v1/x?n=1").endswith("@host/v1/x?n=1")


def test_the_dry_run_says_where_and_by_which_rule() -> None:
    body = json.dumps({"messages": [{"content": f"it is {TOKEN}"}]}).encode()
    explanation = Redactor(SALT).explain(body, "application/json")
    assert [(hit.rule, hit.path) for hit in explanation.hits] == [("github-token", "$.messages[0].content")]


# Time -------------------------------------------------------------------------------------------------------------


def nested_base64() -> str:
    text = "x" * 100_000
    while len(text) < 900_000:
        text = base64.b64encode(text.encode()).decode()
    return text


LOOKED_AT = 200_000
"""Characters: a time that grows with their square is minutes, and one that grows with their number is none."""
HOSTILE: dict[str, Callable[[], str]] = {
    "one letter": lambda: "a" * 1_000_000,
    "beginnings of web tokens": lambda: "eyJ" * 300_000,
    "dotted": lambda: "eyJaaaaaaaa." * 80_000,
    "percent of percent": lambda: "%25" * 300_000,
    "base64 in base64": nested_base64,
    "deep arrays": lambda: "[" * 100_000 + '"x"' + "]" * 100_000,
    "deep objects": lambda: '{"a":' * 100_000 + '"x"' + "}" * 100_000,
    "backslashes": lambda: "\\" * 1_000_000,
    "escaped quotes": lambda: '\\"' * 500_000,
    "entities": lambda: "&amp;" * 200_000,
    "assignments": lambda: "password=" * 100_000,
    "quoted assignments": lambda: '"password":"' * 80_000,
    "marks of keys": lambda: "sk-" * 300_000,
    "addresses": lambda: "://a" * 250_000,
    "user and password": lambda: "://a:" * 200_000,
    "private keys": lambda: "-----BEGIN PRIVATE KEY-----" * 37_000,
    "fields": lambda: "a=&" * 300_000,
    "curl": lambda: "curl -u " * 120_000,
    "names": lambda: "mailgun_api_key " * 60_000,
    "events": lambda: 'data: {"a":"b"}\n\n' * 60_000,
    "line ends": lambda: "\r" * 1_000_000,
    "cookies": lambda: "cookie: a=b;" * 80_000,
    "parts": lambda: 'form-data; name="password"' * 40_000,
    "machines": lambda: "machine " * 120_000,
    "hexadecimal": lambda: "0f" * 500_000,
    "base64 in lines": lambda: ("QUJD" * 19 + "\n") * 13_000,
    "slashes": lambda: "/" * 1_000_000,
    "spaces": lambda: "password" + " " * 1_000_000,
    "names without an end": lambda: "token_" * 160_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_takes_seconds_and_not_for_ever(name: str) -> None:
    text = HOSTILE[name]()[:LOOKED_AT]
    started = time.perf_counter()
    Redactor(SALT).redact_body(text.encode(), "", is_cut=True)
    assert time.perf_counter() - started < 30  # a few seconds on an idle machine; a pattern gone wrong takes hours
