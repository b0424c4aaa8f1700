"""Hidden texts are found under each encoding, and each knows where it stands."""

import base64
import json
from urllib.parse import quote

import pytest

from copilot_api.redaction.verifier_views import MASK, View, decode_runs, is_encoded_text, mask, undo_escapes

HIDDEN = "the quick brown fox, 42 of them"


def readings(text: str) -> list[str]:
    view = View(text)
    return [child.text for child in (*undo_escapes(view), *decode_runs(view))]


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"\\u{ord(character):04x}" for character in HIDDEN),
        "".join(f"\\x{ord(character):02x}" for character in HIDDEN),
        quote(HIDDEN, safe=""),
        "".join(f"%{ord(character):02x}" for character in HIDDEN),
        base64.b64encode(HIDDEN.encode()).decode(),
        base64.urlsafe_b64encode(HIDDEN.encode()).decode().rstrip("="),
        HIDDEN.encode().hex(),
        HIDDEN.encode().hex().upper(),
        "0" + HIDDEN.encode().hex(),
    ],
)
def test_a_text_is_read_under_its_encoding(text: str) -> None:
    assert any(HIDDEN in reading for reading in readings(f'{{"a": "{text}"}}'))


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "abcd"])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_base64_is_read_wherever_it_begins(before: str, shift: int) -> None:
    run = before + base64.b64encode(("." * shift + HIDDEN + "!").encode()).decode().rstrip("=")
    assert any(HIDDEN in reading for reading in readings(run))


def test_base64_in_lines_is_read_as_one() -> None:
    wrapped = base64.encodebytes(("-" * 40 + HIDDEN + "-" * 40).encode()).decode()
    assert any(HIDDEN in reading for reading in readings(wrapped))


def test_one_escape_is_undone_at_a_time() -> None:
    assert readings("%2541") == ["%41"]
    assert readings("\\\\u0041") == ["\\u0041"]
    assert readings("nothing here") == []


def test_a_part_of_a_view_is_located_in_the_text() -> None:
    text = 'x = "ab\\u0041cd%42ef"'
    (view,) = undo_escapes(View(text))
    assert view.text == 'x = "abAcdBef"'
    start = view.text.index("A")
    assert text[slice(*view.locate(start, start + 1))] == "\\u0041"
    assert text[slice(*view.locate(start - 2, start + 4))] == "ab\\u0041cd%42"
    assert text[slice(*view.locate(len(view.text) - 3, len(view.text)))] == 'ef"'


def test_what_is_in_base64_is_located_at_the_run_also_below_escapes() -> None:
    run = base64.b64encode(HIDDEN.encode()).decode()
    text = json.dumps(json.dumps({"a": f"\n{run}"}))
    (outer,) = undo_escapes(View(text))
    (inner,) = undo_escapes(outer)
    child = next(view for view in decode_runs(inner) if view.text == HIDDEN)
    start, end = child.locate(3, 9)
    assert text[start:end] == run.rstrip("=")


@pytest.mark.parametrize("placeholder", ["[redacted:github-token:0a1b2c]", "[media: image/png, 4821 bytes]", "[cut]"])
def test_placeholders_are_masked_at_the_same_length(placeholder: str) -> None:
    assert mask(f"a{placeholder}b") == f"a{MASK * len(placeholder)}b"
    (view,) = undo_escapes(View("%5B" + placeholder[1:]))
    assert view.text == MASK * len(placeholder)


def test_what_only_looks_like_a_placeholder_is_not_masked() -> None:
    for text in ("[redacted:a secret that is none:0a1b2c]", "[redacted:x:0a1b2]", "[redacted]", "[CUT]"):
        assert mask(text) == text


def test_encoded_text_is_told_from_noise() -> None:
    assert is_encoded_text(base64.b64encode(b"some words in here").decode()[1:])
    assert is_encoded_text(b"some words in here".hex())
    assert not is_encoded_text("tR3nQ9zKf0pLx7vB2mWc8Yd1")
