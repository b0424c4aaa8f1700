"""
`GET /metrics`, for Prometheus.

It names models and keys by their ids, and nobody's content; who may read it is a setting all the same. Programs on this
machine need no key as a rule: whoever may run them may read the gateway's files, too. What comes by way of a proxy, or
from a page in a browser, is none of them.
"""

import asyncio
from collections.abc import Iterator

from prometheus_client.registry import Collector

from copilot_api.api.door import Door
from copilot_api.api.errors import request_id_of
from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.intake import RequestHead, refuse_foreign_page
from copilot_api.api.responses import send_error, uncached
from copilot_api.config.binding import is_loopback
from copilot_api.config.settings import MetricsSettings
from copilot_api.errors import BadRequest, GatewayError, RouteNotFound
from copilot_api.observability.exposition import render_metrics

_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip")


class MetricsEndpoint:
    """See the module."""

    def __init__(self, door: Door, collector: Collector, settings: MetricsSettings) -> None:
        self._door = door
        self._collector = collector
        self.settings = settings
        """May be replaced while it runs."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        send = uncached(send)
        try:
            await self._authenticate(scope)
        except GatewayError as error:
            await send_error(send, error, request_id=request_id_of(scope))
            return
        accept = b",".join([value for name, value in scope["headers"] if name == b"accept"])
        media_type, pieces = render_metrics(self._collector, accept.decode("latin-1"))
        body = await _join(pieces)
        headers = [(b"content-type", media_type.encode()), (b"x-request-id", request_id_of(scope).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _authenticate(self, scope: Scope) -> None:
        """Raises why the caller may not read it."""
        if not self.settings.is_on:
            raise RouteNotFound(
                "metrics are switched off",
                hint="the gateway's operator switches them on with 'copilot-api config set features.metrics true'",
            )
        head, access = self._door.read_head(scope), self.settings.access
        if access == "open" or (access == "loopback" and _is_local(scope, head)):
            return
        await self._door.authenticate_admin(head, scope)


def _is_local(scope: Scope, head: RequestHead) -> bool:
    """Whether a program on this machine asks, and for itself."""
    client = scope.get("client")
    if client is None or not is_loopback(client[0]) or any([name in head for name in _FORWARDED]):
        return False
    try:
        refuse_foreign_page(head, is_local=True)
    except BadRequest:
        return False
    return True


async def _join(pieces: Iterator[bytes]) -> bytes:
    """All pieces, with everybody else's turn between one and the next."""
    joined: list[bytes] = []
    for piece in pieces:
        joined.append(piece)
        await asyncio.sleep(0)
    return b"".join(joined)
