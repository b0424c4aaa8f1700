"""
The dry run: what redaction would make of a text, by the same two engines that a capture goes through. Pure.

It keeps nothing, and says of a secret the rule, the place and the length, never the secret.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from copilot_api.errors import BadRequest
from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.explain import NearMiss, RuleHit
from copilot_api.redaction.texts import NotText
from copilot_api.redaction.verifier import find_suspects

_SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What the verifier still finds in the outcome."""

    kind: str
    line: int
    column: int
    length: int


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would be kept of a text, and why."""

    text: str | None
    """None where a capture of it would be withheld: it may still hold a secret."""
    hits: list[RuleHit]
    near_misses: list[NearMiss]
    suspicions: list[Suspicion]

    def to_document(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "text": self.text,
            "hits": [hit._asdict() for hit in self.hits],
            "near_misses": [miss._asdict() for miss in self.near_misses],
            "suspicions": self.suspicions,
        }


def run_dry(body: bytes, media_type: str = "") -> DryRun:
    """Redact `body`. Raises `BadRequest` for what is no text."""
    try:
        found = Redactor(secrets.token_bytes(_SALT_BYTES)).explain(body, media_type)
    except NotText as error:
        raise BadRequest(f"this is no text that could be looked through: {error}") from None
    suspicions = _find_suspicions(found.text)
    return DryRun(None if suspicions else found.text, found.hits, found.near_misses, suspicions)


def _find_suspicions(text: str) -> list[Suspicion]:
    found: list[Suspicion] = []
    line, position = 1, 0
    for suspect in find_suspects(text):
        line += text.count("\n", position, suspect.offset)
        position = suspect.offset
        column = suspect.offset - text.rfind("\n", 0, suspect.offset)
        found.append(Suspicion(suspect.kind, line, column, suspect.length))
    return found
