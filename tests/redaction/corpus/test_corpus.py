"""The corpus is what it says: many secrets, none of them real, each in each encoding; and `survives` sees them all."""

import re
from pathlib import Path

import pytest

from tests.redaction.corpus import (
    BENIGN,
    DIALECTS,
    FAMILIES,
    PIECE,
    SECRETS,
    VALUES,
    Family,
    Secret,
    encodings,
    headers,
    make,
    split,
    survives,
    targets,
)

IDS = [family.name for family in FAMILIES]


def test_there_are_enough_of_all() -> None:
    assert len(FAMILIES) >= 40
    assert VALUES >= 10
    assert len({secret.value for secret in SECRETS}) == len(SECRETS) == len(FAMILIES) * VALUES >= 400
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert len(set(BENIGN)) == len(BENIGN) >= 200


def test_it_is_the_same_in_every_run() -> None:
    """A failure can be looked into again."""
    assert [make(family, 3) for family in FAMILIES] == [make(family, 3) for family in FAMILIES]
    assert make(FAMILIES[0], 0).value.endswith("CGGRIQTmhy93nXeIfU0cty5pUBtfk7OixO4")


def test_no_secret_stands_in_its_files() -> None:
    """A secret scanner would block a push of the repository."""
    sources = "".join(
        path.read_text() for path in Path(__file__).parent.glob("*.py") if path.name != Path(__file__).name
    )
    assert not re.search(
        r"gh[pousr]_(?=\w*\d)[A-Za-z0-9]{36}|AKIA[A-Z0-9]{16}|-----BEGIN [A-Z ]*PRIVATE KEY-----", sources
    )
    assert not any(line in sources for secret in SECRETS for line in secret.random_part.split() if len(line) >= PIECE)


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_what_is_not_redacted_survives(family: Family) -> None:
    secret = make(family, 0)
    assert secret.random_part in secret.value or secret.random_part.replace("\n", "\\n") in secret.value
    for encoded in encodings(secret):
        assert survives(secret, encoded.text), encoded.name
    for name, value in headers(secret):
        assert survives(secret, value), name
    for target in targets(secret):
        assert survives(secret, target), target
    for dialect in DIALECTS:
        assert survives(secret, split(secret.value, dialect)), dialect


def test_another_secret_does_not_survive() -> None:
    for family in FAMILIES[::4]:
        other = make(family, 1)
        assert all(survives(other, encoded.text) is None for encoded in encodings(make(family, 0)))


def test_a_piece_of_a_secret_survives_and_less_does_not() -> None:
    secret = Secret("any", "x" * 40, "a1B2c3D4e5F6g7H8i9J0")
    assert survives(secret, f"...{secret.random_part[3 : 3 + PIECE]}...")
    assert survives(secret, f"...{secret.random_part[3 : 2 + PIECE]}...") is None
    assert survives(secret, secret.random_part[4:].encode().hex().upper().encode())
    assert survives(secret, "".join(f"%{ord(character):02x}" for character in secret.random_part))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_split_text_is_in_no_event_and_in_all_of_them_together(dialect: str) -> None:
    text = "a1B2c3D4e5F6g7H8i9J0k1L2"
    stream = split(text, dialect, range(1, 99))
    if not dialect.startswith("responses"):  # its last events say the whole text again
        assert text.encode() not in stream
    assert survives(Secret("any", text, text), stream)
    assert split(text, dialect, [5]) != split(text, dialect, [6])
