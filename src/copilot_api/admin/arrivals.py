"""
How a request for the admin pages came: over what, from where, by which page, with which cookie.

`X-Forwarded-*` is believed from trusted proxies only. What a browser says about where a request comes from
(`Sec-Fetch-Site`, `Origin`) no page can make it say otherwise.
"""

import re
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from copilot_api.api.http_exchange import Scope
from copilot_api.api.intake import Networks, RequestHead, client_address, host_name, is_secure, is_within
from copilot_api.config.binding import is_loopback
from copilot_api.errors import BadRequest, GatewayError

COOKIE = "capi_session"

_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
_PORTS = {"http": 80, "https": 443}
_OWN_SITES = {b"same-origin", b"none"}


class HttpsRequired(GatewayError):
    """Plain HTTP from another machine: whoever is on the way would read the key and the cookie."""

    number, code, status = 215, "https_required", 403
    kind, cause, is_final = "permission_error", "unauthorized", True
    hint = (
        "start the gateway with --tls-cert and --tls-key; or put a proxy with TLS before it, name it with "
        "--trust-proxy, and have it send X-Forwarded-Proto and the Host that the browser asked for; or come through "
        "an SSH tunnel: ssh -L 4141:127.0.0.1:4141 HOST, then http://127.0.0.1:4141/admin"
    )


class CrossSiteRefused(GatewayError):
    """Another site's page sent this, or nobody can say which page did."""

    number, code, status = 216, "cross_site_request", 403
    kind, cause, is_final = "permission_error", "unauthorized", True
    hint = "open the gateway's own page and do it there"


@dataclass(frozen=True, slots=True)
class Arrival:
    """See the module."""

    is_secure: bool
    """Whether it came over TLS, to us or to a trusted proxy."""
    is_local: bool
    """Whether it came from this machine, and asked for a name of this machine."""
    host: str
    """What the browser asked for, with the port where it named one."""
    address: str | None
    cookie: str | None = field(repr=False)
    """The value of the session's cookie, where there is exactly one that can be one."""

    @property
    def base_url(self) -> str:
        """Where clients reach this gateway, as the browser did."""
        return f"{'https' if self.is_secure else 'http'}://{self.host}"

    def check_transport(self) -> None:
        """Raise `HttpsRequired` where the way here is open to others."""
        if not self.is_secure and not self.is_local:
            raise HttpsRequired("the admin pages are not served over plain HTTP to another machine")


def read_arrival(scope: Scope, head: RequestHead, trusted: Networks) -> Arrival:
    """How this request came. Raises `BadRequest` for one that says it twice."""
    peer = _peer(scope)
    host = _only(scope, b"host")
    if is_within(peer, trusted):
        host = _only(scope, b"x-forwarded-host").partition(b",")[0] or host
    address = client_address(scope, head, trusted)
    is_local = all(is_loopback(each or "") for each in (peer, address, host_name(host)))
    name = host.decode("latin-1").strip().lower()
    return Arrival(is_secure(scope, trusted), is_local, name, address, _find_cookie(scope))


def check_same_origin(scope: Scope, arrival: Arrival) -> None:
    """
    Raise `CrossSiteRefused` for what a page of another site sent. A program that is no browser says nothing of either.
    """
    site, origin = _only(scope, b"sec-fetch-site"), _only(scope, b"origin")
    if site and site not in _OWN_SITES:
        raise CrossSiteRefused("a page of another site may not send this")
    # A page that sends no referrer, as ours do, has its forms sent from the origin `null`: so here the site counts.
    if not origin or (site and origin == b"null"):
        return
    own = _parse_origin(f"{'https' if arrival.is_secure else 'http'}://{arrival.host}")
    if own is None or _parse_origin(origin.decode("latin-1")) != own:
        raise CrossSiteRefused("a page of another site may not send this")


def render_cookie(value: str, *, is_secure: bool) -> bytes:
    """`Set-Cookie` for a new session."""
    return _render_cookie(f"{COOKIE}={value}", is_secure=is_secure)


def render_no_cookie(*, is_secure: bool) -> bytes:
    """`Set-Cookie` for a session that is over."""
    return _render_cookie(f"{COOKIE}=; Max-Age=0", is_secure=is_secure)


def _render_cookie(text: str, *, is_secure: bool) -> bytes:
    secure = "; Secure" if is_secure else ""
    return f"{text}; Path=/admin; HttpOnly; SameSite=Strict{secure}".encode()


def _find_cookie(scope: Scope) -> str | None:
    """A second one was put there by somebody else, on a neighbouring host: then neither is believed."""
    found: set[str] = set()
    for line in _all(scope, b"cookie"):
        for pair in line.decode("latin-1").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE:
                found.add(value.strip())
    value = found.pop() if len(found) == 1 else ""
    return value if _COOKIE_VALUE.fullmatch(value) else None


def _parse_origin(text: str) -> tuple[str, str, int] | None:
    try:
        url = urllib.parse.urlsplit(text)
        port = url.port
    except ValueError:
        return None
    if url.scheme not in _PORTS or not url.hostname:
        return None
    return url.scheme, url.hostname, port or _PORTS[url.scheme]


def _peer(scope: Scope) -> str | None:
    client: Any = scope.get("client")
    return client[0] if client else None


def _all(scope: Scope, name: bytes) -> list[bytes]:
    return [value for each, value in scope["headers"] if each == name]


def _only(scope: Scope, name: bytes) -> bytes:
    """The value of a header; empty where it is not there. Raises `BadRequest` where it is there twice."""
    found = _all(scope, name)
    if len(found) > 1:
        raise BadRequest(f"the header {name.decode()} is there more than once")
    return found[0].strip() if found else b""
