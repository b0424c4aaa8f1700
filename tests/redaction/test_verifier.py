"""The verifier finds what redaction missed, by a way of its own, and does not cry wolf. See also `corpus/`."""

import ast
import base64
import json
from pathlib import Path

import pytest

import copilot_api.redaction.verifier as module
from copilot_api.redaction.verifier import MAX_SUSPECTS, Suspect, find_suspects
from copilot_api.redaction.verifier_signs import KINDS
from tests.redaction.corpus import DIALECTS, FAMILIES, SECRETS, VALUES, encodings, headers, make, split
from tests.redaction.corpus.alphabets import BASE64, Chance
from tests.redaction.corpus.encodings import encode_base64, escape_all, percent_all

TOKEN = make(FAMILIES[0], 0).value
LEAST_SHARE = 0.99
"""Of what it has to find without any redaction before it: the contract asks for 95 %."""


def test_it_finds_the_corpus_by_itself() -> None:
    found: list[bool] = []
    for number, secret in enumerate(SECRETS):
        for turn, encoded in enumerate(encodings(secret)):
            if turn % 40 == number % 40:
                found.append(bool(find_suspects(encoded.text)))
        dialect = DIALECTS[number % len(DIALECTS)]
        if number % 6 == 0:
            found.append(bool(find_suspects(split(secret.value, dialect, range(4, 999, 4)).decode())))
    assert len(found) > 900
    assert sum(found) >= LEAST_SHARE * len(found), f"{sum(found)} of {len(found)}"


def test_it_finds_what_is_left_of_a_secret_that_is_redacted_by_half() -> None:
    found: list[bool] = []
    for secret in SECRETS[::5]:
        part = secret.random_part
        for redacted in (part[: len(part) // 2], part[len(part) // 2 :]):
            if len(part) >= 36 and "\n" not in part:
                text = secret.value.replace(redacted, "[redacted:some-rule:0a1b2c]")
                found.append(bool(find_suspects(json.dumps({"text": text}))))
    assert len(found) > 150
    assert sum(found) >= LEAST_SHARE * len(found), f"{sum(found)} of {len(found)}"


def test_it_finds_a_key_block_that_is_cut_off_before_its_end() -> None:
    for family in FAMILIES:
        value = make(family, 0).value
        if value.startswith("-----BEGIN"):
            assert find_suspects(value[:160]), family.name
            assert find_suspects(value[-160:]), family.name


@pytest.mark.parametrize("place", ["signature", "encrypted_content", "data", "id", "model"])
def test_no_field_is_exempt(place: str) -> None:
    """Redaction leaves alone what vendors seal; a secret under such a name is a secret still."""
    assert find_suspects(json.dumps({place: TOKEN}))
    assert find_suspects(json.dumps({place: encode_base64(f"{TOKEN}\n")}))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(json.dumps(json.dumps({"a": f"x\n{TOKEN}"}))),
        percent_all(percent_all(percent_all(TOKEN))),
        encode_base64(encode_base64(encode_base64(f"a {TOKEN} b"))),
        escape_all(percent_all(encode_base64(f"a {TOKEN} b"))),
        encode_base64(percent_all(TOKEN)).encode().hex(),
        f"data: {json.dumps({'a': {'b': encode_base64(json.dumps({'c': TOKEN}))}})}\n\n",
    ],
)
def test_three_encodings_are_undone(text: str) -> None:
    assert find_suspects(text)


def test_a_suspect_says_where_and_not_what() -> None:
    text = f"the token is {TOKEN}, keep it"
    suspects = find_suspects(text)
    assert Suspect("prefix", 13, len(TOKEN)) in suspects
    assert Suspect._fields == ("kind", "offset", "length")
    assert TOKEN not in repr(suspects)
    assert TOKEN[8:20] not in repr(suspects)
    assert {suspect.kind for suspect in suspects} <= set(KINDS)


def test_a_suspect_in_an_encoding_is_where_the_encoding_is() -> None:
    run = encode_base64(f"token: {TOKEN}\n")
    text = json.dumps({"first": "x", "file": run})
    for suspect in find_suspects(text):
        assert text[suspect.offset : suspect.offset + suspect.length] == run.rstrip("=")


def test_a_suspect_in_a_stream_is_where_its_events_are() -> None:
    stream = split(f"{'word ' * 30}{TOKEN}", "messages", range(6, 999, 6)).decode()
    suspect = find_suspects(stream)[0]
    place = stream[suspect.offset : suspect.offset + suspect.length]
    assert place.startswith('data: {"type":"content_block_delta"')
    assert "ghp" in place
    assert place.endswith("}")


def test_suspects_are_few_and_in_order() -> None:
    suspects = find_suspects(" ".join(secret.value for secret in SECRETS))
    assert len(suspects) == MAX_SUSPECTS
    assert suspects == sorted(suspects, key=lambda suspect: suspect.offset)


def test_what_cannot_be_looked_through_is_suspect() -> None:
    """Base64 that reads as text at several alignments, again and again, is nobody's honest text."""
    bomb = "".join(f'data: "{"WVlZ" * times}"\n\n' for times in (12_000, 9_000, 6_000))
    assert find_suspects(bomb) == [Suspect("overflow", 0, len(bomb))]


def test_a_header_that_is_no_secret_by_its_name_is_judged_by_its_value() -> None:
    for secret in SECRETS[::VALUES]:
        for name, value in headers(secret):
            if name in ("X-Note", "X-Trace-Context", "X-Debug", "X-Blob"):
                assert find_suspects(value), (secret.family, name)


N = 40_000
HOSTILE = {
    "json": json.dumps("\\" * N),
    "backslashes": "\\" * N,
    "percent": "%25" * (N // 3),
    "percent of percent": "%" + "25" * (N // 2),
    "jwt": "eyJ" * (N // 3),
    "jwt parts": "eyJaaaaaaaa." * (N // 12),
    "names": "token=" * (N // 6),
    "names apart": "secret                    =" * (N // 27),
    "quotes": 'token""""' * (N // 9),
    "flags": "-token" * (N // 6),
    "dashes": "--" + "a-" * (N // 2),
    "prefixes": "sk-" * (N // 3),
    "prefixes 2": "gh" + "p_" * (N // 2),
    "blocks": ("-----BEGIN PRIVATE " + "KEY-----") * (N // 27),
    "ends": ("-----END PRIVATE " + "KEY-----") * (N // 25),
    "urls": "://a:b" * (N // 6),
    "url": "://" + "a" * N,
    "cookies": "cookie: " * (N // 8),
    "cookie": "cookie: " + "a=" * (N // 2),
    "basic": ("basic" + " " * 5) * (N // 10),
    "spaces": " " * N,
    "letters": "a" * N,
    "digits": "1" * N,
    "hex": "41" * (N // 2),
    "base64": Chance("noise").some(BASE64, N),
    "base64 of base64": base64.b64encode(base64.b64encode(b"1234" * (N // 8))).decode(),
    "lines": (("A" * 76) + "\n") * (N // 77),
    "placeholders": "[redacted:a:" * (N // 12),
    "media": "[media: " * (N // 8),
    "masks": "[redacted:a:abcdef]a" * (N // 20),
    "events": "data: {}\n" * (N // 9),
    "nesting": "data: " + "[" * N,
    "nestings": ("data: " + "[" * 50 + '"x"' + "]" * 50 + "\n") * (N // 110),
    "array": "[" * N,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_takes_no_longer_than_another(name: str) -> None:
    """One that took the square of its length would take minutes here."""
    assert len(find_suspects(HOSTILE[name])) <= MAX_SUSPECTS


def test_it_shares_no_code_with_the_redactor() -> None:
    for path in Path(module.__file__).parent.glob("verifier*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("copilot_api"):
                assert (node.module or "").startswith("copilot_api.redaction.verifier"), path
