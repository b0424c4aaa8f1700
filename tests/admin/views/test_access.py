"""Signing in and out."""

import pytest

from copilot_api.keys.models import Tier
from copilot_api.keys.sessions import make_cookie
from tests.admin.site import Site


def test_the_form_leads_on_and_never_elsewhere(site: Site) -> None:
    assert site.browser().get("/admin/login").page["next"] == "/admin"
    assert site.browser().get("/admin/login?next=/admin/own").page["next"] == "/admin/own"
    assert site.browser().get("/admin/login?next=//evil.example").page["next"] == "/admin"


def test_whoever_is_signed_in_goes_on(site: Site) -> None:
    browser = site.browser(site.issue())
    assert browser.get("/admin/login?next=/admin/own").header("location") == "/admin/own"
    assert browser.get("/admin/login?next=https:evil").header("location") == "/admin"


@pytest.mark.parametrize(
    "wish", ["//evil.example", "/\\evil", "https:evil", "/admin/..//evil", "/admin\r\nx: y", "/%2Fevil"]
)
def test_signing_in_leads_to_a_page_of_ours(site: Site, wish: str) -> None:
    key = site.issue(Tier.CLIENT)
    assert site.browser().sign_in(key, next=wish).header("location") == "/admin"
    assert site.browser().sign_in(key, next="/admin/own?x=y").header("location") == "/admin/own?x=y"


def test_a_wrong_key_keeps_where_one_was_going(site: Site) -> None:
    reply = site.browser().sign_in("x", next="/admin/own")
    assert (reply.status, reply.page["template"], reply.page["next"]) == (401, "login.html", "/admin/own")
    assert reply.header("www-authenticate")
    assert not reply.header("set-cookie")


def test_a_session_that_was_known_before_is_never_taken_up(site: Site) -> None:
    """Session fixation: somebody put a cookie into the browser, their own or any."""
    mallory = site.browser(site.issue())
    for planted in (mallory.cookie, make_cookie()):
        victim = site.browser()
        victim.cookie = planted
        assert victim.sign_in(site.issue()).status == 303
        assert victim.cookie != planted
        thief = site.browser()
        thief.cookie = planted
        assert thief.get("/admin/own").status == 303, "and what was planted opens nothing any more"


@pytest.mark.parametrize(
    ("scheme", "peer", "host", "tail"),
    [("http", "127.0.0.1", "127.0.0.1:4141", ""), ("https", "192.0.2.1", "gateway", "; Secure")],
)
def test_the_cookie_says_how_it_may_travel(site: Site, scheme: str, peer: str, host: str, tail: str) -> None:
    browser = site.browser(scheme=scheme, peer=peer, host=host)
    reply = browser.sign_in(site.issue())
    assert reply.header("set-cookie") == f"capi_session={browser.cookie}; Path=/admin; HttpOnly; SameSite=Strict{tail}"


def test_signing_out_ends_the_session_everywhere(site: Site) -> None:
    browser = site.browser(site.issue())
    cookie = browser.cookie
    reply = browser.post("/admin/logout")
    assert (reply.status, reply.header("location"), browser.cookie) == (303, "/admin/login", "")
    browser.cookie = cookie
    assert browser.get("/admin/own").status == 303
    assert site.audited()[-1][1] == "session.ended"
