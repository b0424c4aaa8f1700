"""
Secrets to be found, and look-alikes to be left alone: what redaction and everything that keeps captures is tested on.

The same in each run. No secret in it is real, and none stands in these files: they are made when the tests run.
"""

from tests.redaction.corpus.alphabets import Chance
from tests.redaction.corpus.benign import BENIGN
from tests.redaction.corpus.encodings import SECRET_HEADERS, Encoded, Secret, encodings, headers, targets
from tests.redaction.corpus.families import FAMILIES, VALUES, Family
from tests.redaction.corpus.streams import DIALECTS, split
from tests.redaction.corpus.survival import PIECE, survives


def make(family: Family, number: int) -> Secret:
    """The secret of `family` with that number: as many as one wants, always the same ones."""
    value, random_part = family.make(Chance(f"{family.name} {number}"))
    return Secret(family.name, value, random_part)


SECRETS: list[Secret] = [make(family, number) for family in FAMILIES for number in range(VALUES)]
"""`VALUES` of each family."""

__all__ = [
    "BENIGN",
    "DIALECTS",
    "FAMILIES",
    "PIECE",
    "SECRETS",
    "SECRET_HEADERS",
    "VALUES",
    "Encoded",
    "Family",
    "Secret",
    "encodings",
    "headers",
    "make",
    "split",
    "survives",
    "targets",
]
