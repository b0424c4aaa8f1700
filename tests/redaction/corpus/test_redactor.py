"""
Nothing of any secret of the corpus is left by `Redactor`, wherever it stands; and the verifier agrees that nothing is.

The cross product of secrets, encodings, dialects and positions is large: here each family meets its share of the
encodings, dialects and positions, another one than its neighbours, so that each of them is met by many families.
`python -m tests.redaction.corpus.everything` tries all with all.
"""

import json
import re

import pytest

from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.verifier import find_suspects
from tests.redaction.corpus import (
    DIALECTS,
    FAMILIES,
    SECRET_HEADERS,
    VALUES,
    Encoded,
    Family,
    Secret,
    encodings,
    headers,
    make,
    split,
    survives,
    targets,
)
from tests.redaction.corpus.streams import arguments

each_family = pytest.mark.parametrize("family", FAMILIES, ids=[family.name for family in FAMILIES])
SALT = b"corpus"
PLACES = {family.name: place for place, family in enumerate(FAMILIES)}
SIZES = (1, 2, 3, 4, 5, 7, 11, 64)
_DATA = re.compile(rb"^data: (.*)$", re.MULTILINE)


def judge(secret: Secret, output: str, where: str) -> None:
    """Fails when something is left, or when the verifier would withhold what is clean."""
    assert survives(secret, output) is None, where
    assert not find_suspects(output), where


def share(family: Family, of: int) -> list[tuple[int, str]]:
    """Every `of`-th dialect with its number, beginning elsewhere for each family."""
    return list(enumerate(DIALECTS))[PLACES[family.name] % of :: of]


def encoded_as(secret: Secret, name: str) -> Encoded:
    return next(encoded for encoded in encodings(secret) if encoded.name == name)


@each_family
def test_nothing_is_left_in_a_body(family: Family) -> None:
    for turn, encoded in list(enumerate(encodings(make(family, 0))))[PLACES[family.name] % 5 :: 5]:
        secret = make(family, turn % VALUES)
        encoded = encoded_as(secret, encoded.name)
        output = Redactor(SALT).redact_body(encoded.text.encode(), encoded.media_type)
        judge(secret, output, encoded.name)
        if encoded.media_type == "application/json":
            json.loads(output)


@each_family
def test_nothing_is_left_in_a_text(family: Family) -> None:
    for number in range(VALUES):
        secret = make(family, number)
        names = [encoded.name for encoded in encodings(secret)]
        encoded = encoded_as(secret, names[(3 * number + len(family.name)) % len(names)])
        judge(secret, Redactor(SALT).redact_text(encoded.text), encoded.name)


@each_family
def test_nothing_is_left_in_a_header(family: Family) -> None:
    for number in (0, 1):
        secret = make(family, number)
        given = list(headers(secret))
        kept = Redactor(SALT).redact_headers(given)
        assert [name for name, _ in kept] == [name for name, _ in given]
        for name, value in kept:
            judge(secret, value, name)


@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_a_secret_header_is_redacted_whatever_it_holds(name: str) -> None:
    for form in (name, name.upper(), name.lower()):
        ((_, kept),) = Redactor(SALT).redact_headers([(form, "correct horse battery staple")])
        assert "horse" not in kept
        assert "staple" not in kept


@each_family
def test_nothing_is_left_in_a_target(family: Family) -> None:
    for number in (0, 1):
        secret = make(family, number)
        for target in targets(secret):
            judge(secret, Redactor(SALT).redact_target(target), target)


@each_family
def test_nothing_is_left_of_a_secret_that_a_stream_splits_in_two(family: Family) -> None:
    """Positions all along the secret are tried, each in one of the dialects."""
    for turn, dialect in share(family, 4):
        secret = make(family, turn)
        positions = range(1, len(secret.value))
        for cut in positions[turn :: max(len(DIALECTS), len(positions) // 3)]:
            output = Redactor(SALT).redact_stream(split(secret.value, dialect, [cut]))
            assert survives(secret, output) is None, (dialect, cut)


@each_family
def test_nothing_is_left_of_a_secret_that_a_stream_splits_in_many(family: Family) -> None:
    for turn, dialect in share(family, 8):
        secret = make(family, turn)
        text = f"Here it is:\n{secret.value}\nKeep it safe.\n"
        size = SIZES[(turn + len(family.name)) % len(SIZES)] + len(text) // 200
        stream = split(text, dialect, range(size, 2 * len(arguments(text)), size))
        output = Redactor(SALT).redact_stream(stream)
        judge(secret, output, f"{dialect}, {size} at a time")
        given, kept = _DATA.findall(stream), _DATA.findall(output.encode())
        assert len(kept) == len(given), "an event is missing"
        assert all(json.loads(data) for data in kept if data != b"[DONE]")


@each_family
def test_nothing_is_left_of_an_encoded_secret_that_a_stream_splits(family: Family) -> None:
    secret = make(family, 8)
    for turn, encoded in enumerate(encodings(secret)):
        if turn % 18 == PLACES[family.name] % 18:
            dialect = DIALECTS[turn % len(DIALECTS)]
            output = Redactor(SALT).redact_stream(
                split(encoded.text, dialect, range(4, 2 * len(encoded.text), 9 + len(encoded.text) // 200))
            )
            judge(secret, output, f"{dialect}, {encoded.name}")


@each_family
def test_nothing_is_left_of_half_a_secret_where_a_body_is_cut_off(family: Family) -> None:
    """The cap on a body falls anywhere: what is left of a secret may no longer be known as one."""
    secret = make(family, 9)
    for turn, encoded in enumerate(encodings(secret)):
        if turn % 7 == len(family.name) % 7:
            body = encoded.text.encode()
            for cut in range(16 + turn, len(body), max(17, len(body) // 6)):
                output = Redactor(SALT).redact_body(body[:cut], encoded.media_type, is_cut=True)
                assert survives(secret, output) is None, (encoded.name, cut)


@each_family
def test_nothing_is_left_of_a_secret_that_is_cut_off_near_its_end(family: Family) -> None:
    """In the last line of a key block, for one."""
    secret = make(family, 6)
    for missing in range(1, 64, 7):
        text = secret.value[:-missing]
        output = Redactor(SALT).redact_body(text.encode(), "text/plain", is_cut=True)
        assert survives(secret, output) is None, missing


@each_family
def test_nothing_is_left_of_half_a_secret_where_a_stream_is_cut_off(family: Family) -> None:
    secret = make(family, 7)
    for turn, dialect in share(family, 4):
        stream = split(secret.value, dialect, range(5, 2 * len(secret.value), 5))
        for cut in range(64 + turn, len(stream), max(101, len(stream) // 3)):
            output = Redactor(SALT).redact_stream(stream[:cut], is_cut=True)
            assert survives(secret, output) is None, (dialect, cut)
