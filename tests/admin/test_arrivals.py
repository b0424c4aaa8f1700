"""How a request came, and what of that is believed."""

import ipaddress

import pytest

from copilot_api.admin.arrivals import (
    COOKIE,
    Arrival,
    CrossSiteRefused,
    HttpsRequired,
    check_same_origin,
    read_arrival,
    render_cookie,
    render_no_cookie,
)
from copilot_api.api.http_exchange import Scope
from copilot_api.errors import BadRequest
from copilot_api.keys.sessions import make_cookie

PROXY = "10.0.0.1"
TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("127.0.0.1/32"))


def make_scope(
    *more: tuple[str, str], peer: str | None = "127.0.0.1", host: str | None = "127.0.0.1:4141", scheme: str = "http"
) -> Scope:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in more]
    if host is not None:
        headers.append((b"host", host.encode()))
    return {"headers": headers, "client": None if peer is None else (peer, 50000), "scheme": scheme}


def arrive(scope: Scope, *, trusted: bool = False) -> Arrival:
    return read_arrival(scope, dict(scope["headers"]), TRUSTED if trusted else ())


def is_let_in(scope: Scope, *, trusted: bool = False) -> bool:
    try:
        arrive(scope, trusted=trusted).check_transport()
    except HttpsRequired:
        return False
    return True


def is_own(scope: Scope, *, trusted: bool = False) -> bool:
    try:
        check_same_origin(scope, arrive(scope, trusted=trusted))
    except CrossSiteRefused:
        return False
    return True


# Plain HTTP ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "host"),
    [("127.0.0.1", "127.0.0.1:4141"), ("127.0.0.1", "localhost:4141"), ("::1", "[::1]:4141"), ("127.8.8.8", "localhost"), ("::ffff:127.0.0.1", "LOCALHOST")],
)  # fmt: skip
def test_plain_http_is_for_this_machine(peer: str, host: str) -> None:
    assert is_let_in(make_scope(peer=peer, host=host))


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("192.0.2.1", "gateway:4141"), ("192.0.2.1", "127.0.0.1:4141"), ("::ffff:192.0.2.1", "localhost"), (None, "localhost"),
        ("127.0.0.1", "gateway.example"), ("127.0.0.1", "127.0.0.1.evil.example"), ("127.0.0.1", "127.1"), ("127.0.0.1", ""), ("127.0.0.1", None),
    ],
)  # fmt: skip
def test_plain_http_from_elsewhere_is_refused_and_so_is_a_name_that_leads_here(peer: str | None, host: str) -> None:
    """The second is how a page of another site looks whose name was made to lead here (DNS rebinding)."""
    assert not is_let_in(make_scope(peer=peer, host=host))


def test_tls_is_for_everybody() -> None:
    assert is_let_in(make_scope(peer="192.0.2.1", host="gateway", scheme="https"))


def test_a_trusted_proxy_is_believed() -> None:
    said = ("x-forwarded-proto", "https"), ("x-forwarded-for", "192.0.2.1")
    scope = make_scope(*said, peer=PROXY, host="gateway")
    assert is_let_in(scope, trusted=True)
    assert arrive(scope, trusted=True).address == "192.0.2.1"
    assert not is_let_in(scope), "anybody else is not"
    assert arrive(scope).address == PROXY


@pytest.mark.parametrize("protocol", ["http", "", "https, http", "http, https", "httpsx", "HTTP"])
def test_a_way_that_is_plain_anywhere_is_plain(protocol: str) -> None:
    scope = make_scope(("x-forwarded-proto", protocol), ("x-forwarded-for", "192.0.2.1"), peer=PROXY, host="gateway")
    assert not is_let_in(scope, trusted=True)


def test_a_trusted_proxy_on_this_machine_does_not_make_its_clients_local() -> None:
    scope = make_scope(("x-forwarded-for", "192.0.2.1"))
    assert not is_let_in(scope, trusted=True)
    assert is_let_in(scope), "what a stranger writes there means nothing, here as anywhere"
    assert is_let_in(make_scope(), trusted=True), "and without a client of its own it is one"


# Same origin -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_may_send(site: str) -> None:
    assert is_own(make_scope(("sec-fetch-site", site)))
    assert is_own(make_scope(("sec-fetch-site", site), ("origin", "http://127.0.0.1:4141")))
    assert is_own(make_scope(("sec-fetch-site", site), ("origin", "null"))), "our pages send no referrer"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Same-Origin", "x"])
def test_no_other_site_may(site: str) -> None:
    assert not is_own(make_scope(("sec-fetch-site", site)))
    assert not is_own(make_scope(("sec-fetch-site", site), ("origin", "http://127.0.0.1:4141")))


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "https://127.0.0.1:4141", "http://127.0.0.1", "http://127.0.0.1:4142", "http://localhost:4141", "null", "x",
        "http://127.0.0.1:4141.evil.example", "http://127.0.0.1:4141@evil.example", "http://evil.example#127.0.0.1:4141", "http://[", "://", "http://127.0.0.1:x",
    ],
)  # fmt: skip
def test_another_origin_is_refused_also_where_nothing_else_is_said(origin: str) -> None:
    assert not is_own(make_scope(("origin", origin)))
    if origin != "null":
        assert not is_own(make_scope(("origin", origin), ("sec-fetch-site", "same-origin")))


def test_a_program_that_is_no_browser_says_nothing() -> None:
    assert is_own(make_scope())


def test_the_usual_port_need_not_be_said() -> None:
    assert is_own(make_scope(("origin", "https://gateway"), host="gateway:443", scheme="https"))
    assert is_own(make_scope(("origin", "https://GATEWAY:443"), host="gateway", scheme="https"))


def test_behind_a_proxy_the_origin_is_what_the_browser_sees() -> None:
    said = ("x-forwarded-proto", "https"), ("origin", "https://gw.example")
    assert is_own(make_scope(*said, peer=PROXY, host="gw.example"), trusted=True)
    assert is_own(make_scope(*said, ("x-forwarded-host", "gw.example"), peer=PROXY, host="10.0.0.9:4141"), trusted=True)
    assert not is_own(make_scope(*said, ("x-forwarded-host", "gw.example"), peer="192.0.2.1", host="x"), trusted=True)


def test_an_origin_is_not_ours_where_we_have_no_name() -> None:
    assert not is_own(make_scope(("origin", "x"), host=None))
    assert not is_own(make_scope(("origin", "null"), host=""))


@pytest.mark.parametrize("name", ["host", "origin", "sec-fetch-site"])
def test_what_is_said_twice_is_not_believed_at_all(name: str) -> None:
    with pytest.raises(BadRequest):
        is_own(make_scope((name, "127.0.0.1:4141"), (name, "evil.example")))


# Cookies ---------------------------------------------------------------------------------------------------------


def test_the_cookie_is_found_among_others() -> None:
    value = make_cookie()
    assert arrive(make_scope(("cookie", f"a=b; {COOKIE}={value};c=d"))).cookie == value
    assert arrive(make_scope(("cookie", "a=b"), ("cookie", f"{COOKIE}={value}"))).cookie == value
    assert value not in repr(arrive(make_scope(("cookie", f"{COOKIE}={value}"))))


@pytest.mark.parametrize(
    "text", ["", "x", f"{COOKIE}", f"{COOKIE}=", f"{COOKIE}=x", f"x{COOKIE}={'a' * 43}", f"{COOKIE}={'é' * 43}"]
)
def test_what_cannot_be_ours_is_none(text: str) -> None:
    assert arrive(make_scope(("cookie", text))).cookie is None


def test_of_two_cookies_neither_is_believed() -> None:
    """One of them comes from a neighbour of ours in the same domain, who would have its visitor be somebody else."""
    text = f"{COOKIE}={make_cookie()}; {COOKIE}={make_cookie()}"
    assert arrive(make_scope(("cookie", text))).cookie is None


def test_a_cookie_is_for_the_pages_alone() -> None:
    assert render_cookie("v", is_secure=True) == b"capi_session=v; Path=/admin; HttpOnly; SameSite=Strict; Secure"
    assert render_cookie("v", is_secure=False) == b"capi_session=v; Path=/admin; HttpOnly; SameSite=Strict"
    assert b"Max-Age=0" in render_no_cookie(is_secure=True)
