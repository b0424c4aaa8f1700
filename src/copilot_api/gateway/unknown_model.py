"""
The name of a model that nobody knows, as the ledger and the log have it. Anything may stand there, a key in the wrong
field too: what redaction or its verifier finds something in is not kept.
"""

from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.verifier import find_suspects

MAX_NAME = 200
REDACTED = "[redacted]"
_SHORTEST_SECRET = 12


def keepable_name(name: str) -> str:
    """`name` as it may be kept. Takes up to a millisecond, which is why it is for names only that are in no catalog."""
    name = name[:MAX_NAME]
    if len(name) < _SHORTEST_SECRET:
        return name
    return REDACTED if find_suspects(name) or Redactor(b"").redact_text(name) != name else name
