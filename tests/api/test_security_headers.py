"""The headers of every answer under /admin."""

import asyncio
from typing import Any

from copilot_api.api.http_exchange import Message
from copilot_api.api.security_headers import SecurityHeaders


def answered(*headers: tuple[bytes, bytes], scheme: str = "http", host: bytes = b"gateway") -> dict[bytes, bytes]:
    """The headers of an answer that came with these."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        scope: Any = {"scheme": scheme, "headers": [(b"host", host)], "client": ("192.0.2.1", 1)}
        around = SecurityHeaders().around(scope, send)
        await around({"type": "http.response.start", "status": 200, "headers": list(headers)})
        await around({"type": "http.response.body", "body": b"x"})

    asyncio.run(run())
    start, body = sent
    assert body == {"type": "http.response.body", "body": b"x"}
    found: list[tuple[bytes, bytes]] = start["headers"]
    assert len(dict(found)) == len(found), "none is there twice"
    return dict(found)


def test_nothing_may_be_framed_kept_sniffed_or_run() -> None:
    found = answered((b"content-type", b"text/html"))
    assert found[b"cache-control"] == b"no-store"
    assert found[b"content-security-policy"] == (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert found[b"content-type"] == b"text/html"


def test_what_an_answer_says_of_caches_stands() -> None:
    assert answered((b"cache-control", b"public"))[b"cache-control"] == b"public"


def test_only_over_tls_and_only_for_names_that_are_not_of_this_machine() -> None:
    name = b"strict-transport-security"
    assert name not in answered()
    assert name in answered(scheme="https")
    assert name not in answered(scheme="https", host=b"localhost:4141")
    assert name not in answered(scheme="https", host=b"[::1]:4141")
