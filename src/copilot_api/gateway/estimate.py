"""
What a call will take, before it is known: what is set aside for it in limits and budgets. Pure, and a matter of
microseconds, whatever the size of the request.
"""

import re

from copilot_api.admission.budget import Amounts
from copilot_api.upstream.prices import UNKNOWN_PRICES, TokenPrices

BYTES_A_TOKEN = 4
"""About, for English, code and JSON; other scripts take more bytes for a character and more tokens for a word."""
USUAL_OUTPUT_TOKENS = 1_000
"""Longer than most answers of agents; what a call takes beyond is counted when it ends."""
BLOB_TOKENS = 1_600
"""An image or a page, whatever its size in bytes."""
_BLOB = re.compile(rb'[",][A-Za-z0-9+/_=\\-]{2000,}')
"""The backslash is that of `\\/` and `\\n`: some encoders escape slashes, and some break their lines."""


def estimate_input(body: bytes, *, has_images: bool) -> int:
    """About how many tokens a request has. What is encoded in base64 is not text and counts as pages."""
    size, blobs = len(body), 0
    if has_images or b"base64" in body or b'"inline' in body:  # Google's word for it
        for found in _BLOB.finditer(body):
            length = found.end() - found.start()
            size -= length
            blobs += min(BLOB_TOKENS, length // BYTES_A_TOKEN)
    return max(1, size // BYTES_A_TOKEN + blobs)


def expect(
    input_tokens: int, output_limit: int | None, premium_requests: float, prices: TokenPrices | None
) -> tuple[Amounts, Amounts]:
    """What the call takes at least, and what it is likely to. A model without known prices may turn out to be free."""
    output_tokens = USUAL_OUTPUT_TOKENS if output_limit is None else min(output_limit, USUAL_OUTPUT_TOKENS)
    likely = (prices or UNKNOWN_PRICES).estimate(input_tokens, output_tokens)
    least = prices.least(input_tokens) if prices is not None else 0
    return (
        (least, premium_requests, input_tokens, 1),
        (likely, premium_requests, input_tokens + output_tokens, 1),
    )
