"""
How a key's limits per minute stand, in the headers that each ecosystem's clients read.

OpenAI's are `x-ratelimit-limit-requests`, `-remaining-`, `-reset-` and the same for tokens, with durations such as
`6m0s`; Anthropic's are `anthropic-ratelimit-requests-limit` and so on, with a time as reset. Google has none; its
clients get OpenAI's.
"""

import math
import time
from datetime import UTC, datetime

from copilot_api.errors import Rate

_Headers = list[tuple[bytes, bytes]]


def openai_rate_headers(rates: tuple[Rate, ...]) -> _Headers:
    """In OpenAI's form."""
    headers: _Headers = []
    for rate in rates:
        unit = rate.unit.encode()
        headers += [
            (b"x-ratelimit-limit-" + unit, b"%d" % rate.limit),
            (b"x-ratelimit-remaining-" + unit, b"%d" % rate.remaining),
            (b"x-ratelimit-reset-" + unit, _duration(rate.reset_seconds)),
        ]
    return headers


def anthropic_rate_headers(rates: tuple[Rate, ...]) -> _Headers:
    """In Anthropic's form, and in OpenAI's: many tools read only that."""
    headers = openai_rate_headers(rates)
    for rate in rates:
        stem = b"anthropic-ratelimit-" + rate.unit.encode()
        resets_at = datetime.fromtimestamp(math.ceil(_now() + rate.reset_seconds), UTC)  # not before it is true
        headers += [
            (stem + b"-limit", b"%d" % rate.limit),
            (stem + b"-remaining", b"%d" % rate.remaining),
            (stem + b"-reset", resets_at.strftime("%Y-%m-%dT%H:%M:%SZ").encode()),
        ]
    return headers


def _duration(seconds: float) -> bytes:
    """As Go writes durations, which OpenAI does: `120ms`, `1.5s`, `6m0s`."""
    milliseconds = max(0, math.ceil(round(seconds * 1000, 3)))
    if 0 < milliseconds < 1000:
        return b"%dms" % milliseconds
    minutes, rest = divmod(milliseconds, 60_000)
    shown = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{minutes}m{shown}" if minutes else shown).encode()


def _now() -> float:
    return time.time_ns() / 1e9
