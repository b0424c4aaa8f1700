"""JSON answers of the endpoints that are not model calls."""

import asyncio

import pytest

from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.responses import answering_errors, send_error, send_json
from copilot_api.errors import MethodNotAllowed, RateLimited, Unauthorized
from tests.api.wire import ask


def test_a_document_is_sent_with_its_headers() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, {"é": [1, None]}, status=201)

    reply = asyncio.run(ask(app))
    assert (reply.status, reply.json) == (201, {"é": [1, None]})
    assert reply.headers is not None
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"].startswith("req_")
    assert "cache-control" not in reply.headers


def test_a_private_document_is_kept_out_of_caches() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, {}, is_private=True)

    headers = asyncio.run(ask(app)).headers
    assert headers is not None
    assert headers["cache-control"] == "no-store"


def test_an_error_brings_its_headers() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send_error(send, RateLimited("too fast", retry_after=1.2))

    reply = asyncio.run(ask(app))
    assert reply.status == 429
    assert reply.headers is not None
    assert reply.headers["retry-after"] == "2"
    assert reply.headers["x-request-id"] in reply.json["error"]["message"]


@pytest.mark.parametrize(
    ("error", "header", "value"),
    [
        (Unauthorized("no"), "www-authenticate", 'Bearer realm="copilot-api"'), (Unauthorized("no"), "x-should-retry", "false"),
        (MethodNotAllowed("PUT", "/x", ("GET", "HEAD")), "allow", "GET, HEAD"),
    ],
)  # fmt: skip
def test_an_error_that_is_raised_is_answered(error: Exception, header: str, value: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    reply = asyncio.run(ask(answering_errors(app)))
    assert reply.headers is not None
    assert reply.headers[header] == value


def test_a_defect_is_not_answered_here() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask(answering_errors(app)))
