"""
`anthropic-beta`, as far as Copilot takes it.

Copilot refuses a whole request for one beta that it does not know (protocol reference, 9.2), and clients send every
beta they were built for. Families that Copilot is known to take go up; the rest stays here.
"""

import re
from collections.abc import Iterable

HEADER = "anthropic-beta"
EFFORT = "effort-2025-11-24"
"""Without it Copilot ignores `output_config.effort` and says nothing."""
INTERLEAVED_THINKING = "interleaved-thinking-2025-05-14"

_TAKEN = (
    "interleaved-thinking-",
    "context-management-",
    "advanced-tool-use-",
    "effort-",
    "prompt-caching-",
    "computer-use-",
    "compact-",
    "pdfs-",
)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_REFUSED = re.compile(r"unsupported beta header\(s\):([^\n]*)", re.IGNORECASE)


def filter_betas(betas: Iterable[str]) -> tuple[str, ...]:
    """Those of `betas` that Copilot takes, each once, in their order. A value may itself be a list with commas."""
    names = (name.strip() for value in betas for name in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name.startswith(_TAKEN) and _NAME.fullmatch(name)))


def beta_headers(betas: Iterable[str]) -> dict[str, str]:
    """The header for `betas`, each once; none at all for none: an empty one is malformed."""
    value = ",".join(dict.fromkeys(betas))
    return {HEADER: value} if value else {}


def has_family(betas: Iterable[str], *families: str) -> bool:
    """Whether any of `betas` is one of these families (the name without its date)."""
    return any(beta.startswith(families) for beta in betas)


def parse_refused_betas(message: str) -> tuple[str, ...]:
    """The betas that an upstream's refusal names: `unsupported beta header(s): X, Y`."""
    found = _REFUSED.search(message)
    return tuple(_NAME.findall(found.group(1))) if found else ()
