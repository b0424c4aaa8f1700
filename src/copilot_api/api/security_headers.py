"""
The headers that every answer under /admin has, of pages and of the API, of errors and redirects too.

They keep other sites from framing, reading or keeping what is shown, and scripts that are not ours from running.
"""

from copilot_api.api.http_exchange import Message, Scope, Send
from copilot_api.api.intake import Networks, host_name, is_secure
from copilot_api.config.binding import is_loopback

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    (b"cache-control", b"no-store"),
)
_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")


class SecurityHeaders:
    """See the module. Only an answer's own `Cache-Control` stands: files that never change may be kept."""

    def __init__(self, trusted: Networks = ()) -> None:
        self._trusted = trusted

    def around(self, scope: Scope, send: Send) -> Send:
        """`send`, with these headers on whatever answers this request."""

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._complete(scope, list(message["headers"]))}
            await send(message)

        return send_protected

    def _complete(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        given = {name for name, _ in headers}
        headers += [header for header in _HEADERS if header[0] not in given]
        # For this machine's own names it would hold for every other program that serves on it.
        if is_secure(scope, self._trusted) and not is_loopback(host_name(dict(scope["headers"]).get(b"host", b""))):
            headers.append(_TRANSPORT)
        return headers
