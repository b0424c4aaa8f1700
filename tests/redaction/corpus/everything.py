"""
All secrets in all encodings; split at all positions (long ones at a hundred) in all dialects; and new secrets in disguises
drawn by chance. Takes some minutes.

    python -m tests.redaction.corpus.everything [SEED]
"""

import json
import random
import sys
from collections.abc import Iterator
from itertools import chain

from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.verifier import find_suspects
from tests.redaction.corpus import DIALECTS, FAMILIES, SECRETS, encodings, headers, make, split, survives, targets
from tests.redaction.corpus.disguises import AFTER, BEFORE, DISGUISES


def failures() -> Iterator[str]:
    """What is left of which secret, and where."""
    for secret in SECRETS:
        for encoded in encodings(secret):
            yield survives(secret, Redactor(b"all").redact_body(encoded.text.encode(), encoded.media_type)) or ""
        for _, value in Redactor(b"all").redact_headers(headers(secret)):
            yield survives(secret, value) or ""
        for target in targets(secret):
            yield survives(secret, Redactor(b"all").redact_target(target)) or ""
    for family in FAMILIES:
        secret = make(family, 0)
        for dialect in DIALECTS:
            for cut in range(1, len(secret.value), max(1, len(secret.value) // 100)):
                output = Redactor(b"all").redact_stream(split(secret.value, dialect, [cut]))
                yield survives(secret, output) or ""


def failures_in_disguises(chance: random.Random, rounds: int = 10_000) -> Iterator[str]:
    """What is left of secrets that are in no list, under up to three encodings."""
    for _ in range(rounds):
        secret = make(chance.choice(FAMILIES), chance.randrange(10, 10**6))
        text = chance.choice(BEFORE) + secret.value + chance.choice(AFTER)
        for disguise in chance.choices(DISGUISES, k=chance.randrange(4)):
            text = disguise(text)
        body = json.dumps({"messages": [{"role": "user", "content": text}]})
        output = Redactor(b"all").redact_body(body.encode(), "application/json")
        left = survives(secret, output)
        yield f"{left} (the verifier {'finds' if find_suspects(output) else 'MISSES'} it) of {text!r}" if left else ""


def share_found_by_verifier() -> float:
    """How much of the corpus the verifier finds by itself."""
    found = [bool(find_suspects(encoded.text)) for secret in SECRETS for encoded in encodings(secret)]
    return sum(found) / len(found)


def main() -> int:
    """Prints what is left; 1 when there is anything."""
    tried = left = 0
    chance = random.Random(sys.argv[1] if len(sys.argv) > 1 else None)
    for failure in chain(failures_in_disguises(chance), failures()):
        tried += 1
        if failure:
            left += 1
            print(failure, flush=True)
    print(f"{tried} tried, {left} left; the verifier alone finds {share_found_by_verifier():.2%}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
