"""
Pages and files, smaller on their way: for whoever takes gzip.

What is secret on a page, the token of its forms, is written under another mask each time, so that how long a compressed
page is says nothing about it (the BREACH attack); see `copilot_api.admin.csrf`.
"""

import gzip

from copilot_api.admin.answers import Headers

LEAST_BYTES = 1400
"""What fits into one packet is sent as it is."""
_LEVEL = 4
"""A millisecond for a hundred kilobytes; more effort saves a few percent and costs three times that."""
_VARY = (b"vary", b"accept-encoding")


def takes_gzip(accept_encoding: str) -> bool:
    """Whether `Accept-Encoding` has gzip in it, and does not refuse it."""
    for each in accept_encoding.lower().split(","):
        name, _, weight = each.partition(";")
        if name.strip() == "gzip":
            return weight.strip().replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def compress(headers: Headers, body: bytes, accept_encoding: str) -> tuple[Headers, bytes]:
    """A page as it is sent to whoever takes that."""
    if len(body) < LEAST_BYTES:
        return headers, body
    if not takes_gzip(accept_encoding):
        return (*headers, _VARY), body
    return (*headers, _VARY, (b"content-encoding", b"gzip")), gzip.compress(body, _LEVEL, mtime=0)
