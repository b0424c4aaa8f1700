"""Who may enter: keys at the form, sessions at the API."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from copilot_api.admin.requests import StepUpRequired
from copilot_api.admin.throttle import PER_ADDRESS, PER_KEY
from copilot_api.api.operations.table import BY_ID, OPERATIONS
from copilot_api.audit.models import Action
from copilot_api.keys.models import KeyPolicy, Tier
from copilot_api.keys.secret import make_secret
from copilot_api.keys.sessions import STEP_UP
from tests.admin.site import Browser, Reply, Site
from tests.fakes import FakeClock

API = "/admin/api/identities"


def failures(site: Site) -> list[dict[str, object]]:
    return [event.detail for event in site.stored.audit.list_events() if event.action == Action.LOGIN_FAILED]


# The form --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", list(Tier))
def test_a_key_opens_a_session_and_that_is_on_record(site: Site, tier: Tier) -> None:
    key = site.issue(tier)
    reply = site.browser().sign_in(key)
    assert (reply.status, reply.header("location"), reply.body) == (303, "/admin", b"")
    assert site.audited() == [(key.key.id, "login.succeeded", key.key.id)]
    (event, *_) = site.stored.audit.list_events()
    assert event.address == "127.0.0.1"
    assert event.request_id == reply.header("x-request-id")
    assert key.secret not in str(event)


def test_a_key_that_was_pasted_with_blanks_around_it_is_good(site: Site) -> None:
    assert site.browser().sign_in(f"  {site.issue().secret}\r\n").status == 303


def bad_keys(site: Site, clock: FakeClock) -> list[str]:
    """Everything that can be wrong with a key."""
    revoked, expired, office, rotated = (site.issue(label=label) for label in ("r", "e", "o", "t"))
    office = site.issue(policy=KeyPolicy(cidrs=("192.0.2.0/24",)))
    expired = site.issue(expires_at=clock.now() + timedelta(seconds=1))
    early = site.issue(not_before=clock.now() + timedelta(hours=1))
    site.stored.keys.revoke(revoked.key.id, actor="test")
    site.stored.keys.rotate(rotated.key.id, actor="test")
    clock.advance(2)
    secrets = [each.secret for each in (revoked, expired, office, early, rotated)]
    return [*secrets, make_secret(), "", "x", "sk-cap-é", "x" * 5000, f"{make_secret()}x", secrets[0].upper()]


def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(site: Site, clock: FakeClock) -> None:
    """But for the log, where an admin finds it."""
    answers: set[tuple[int, bytes, str]] = set()
    for secret in bad_keys(site, clock):
        browser = site.browser()
        reply = browser.sign_in(secret)
        names = " ".join(f"{name}: {value}" for name, value in reply.headers if name != "x-request-id")
        answers.add((reply.status, reply.body, names))
        assert not browser.cookie
        clock.advance(PER_ADDRESS.seconds)
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401
    reasons = " ".join(str(each["reason"]) for each in failures(site))
    for word in ("revoked", "expired", "may not be used from 127.0.0.1", "not valid before", "rotated", "not known"):
        assert word in reasons
    assert all(
        "sk-cap" not in str(event) for event in site.stored.audit.list_events() if event.action == "login.failed"
    )


def test_every_failure_is_on_record(site: Site) -> None:
    for secret in ("", make_secret()):
        site.browser().sign_in(secret)
    (actor, action, nothing), (_, _, digest) = site.audited()
    assert (actor, action, nothing) == ("unknown", "login.failed", "no key")
    assert digest.startswith("sha256:")
    assert len(digest) == len("sha256:") + 8


def test_too_many_wrong_keys_wait(site: Site, clock: FakeClock) -> None:
    key = site.issue()
    for _ in range(PER_ADDRESS.burst):
        assert site.browser().sign_in(make_secret()).status == 401
    reply = site.browser().sign_in(key)
    assert (reply.status, reply.header("retry-after")) == (429, "30")
    assert "30 seconds" in reply.page["problem"]
    assert site.browser().sign_in(make_secret()).page == reply.page, "whatever the key"
    assert len(failures(site)) == PER_ADDRESS.burst
    assert len(site.refused) == 2, "these are counted with the refused keys"
    assert site.browser(peer="127.0.0.2").sign_in(key).status == 303, "others are not locked out"
    clock.advance(PER_ADDRESS.seconds)
    assert site.browser().sign_in(key).status == 303


def test_a_key_that_is_tried_from_everywhere_waits(site: Site) -> None:
    secret = make_secret()
    for number in range(PER_KEY.burst):
        assert site.browser(peer=f"127.0.1.{number}").sign_in(secret).status == 401
    assert site.browser(peer="127.0.2.1").sign_in(secret).status == 429
    assert site.browser(peer="127.0.2.1").sign_in(make_secret()).status == 401


def test_whoever_has_a_key_never_waits(site: Site) -> None:
    key = site.issue()
    assert {site.browser().sign_in(key).status for _ in range(3 * PER_ADDRESS.burst)} == {303}


def test_behind_a_trusted_proxy_each_client_is_counted_for_itself(site: Site, clock: FakeClock) -> None:
    import ipaddress

    behind = Site(site.stored, clock, trusted=(ipaddress.ip_network("10.0.0.0/8"),))
    sent = {"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1"}
    mallory = Browser(behind, peer="10.0.0.1", host="gw.example", sent=sent)
    for number in range(PER_ADDRESS.burst):
        sent["x-forwarded-for"] = f"203.0.113.{number}, 192.0.2.1"
        assert mallory.sign_in(make_secret()).status == 401
    assert mallory.sign_in(make_secret()).status == 429, "what a client writes there changes nothing"
    ada = Browser(behind, peer="10.0.0.1", host="gw.example", sent={**sent, "x-forwarded-for": "192.0.2.2"})
    reply = ada.sign_in(behind.issue())
    assert reply.status == 303
    assert reply.header("set-cookie").endswith("; Secure")
    assert reply.header("strict-transport-security")


def test_what_cannot_be_stored_or_put_on_record_lets_nobody_in(site: Site) -> None:
    key = site.issue()
    site.stored.directory.audit.rename(site.stored.directory.audit.with_name("kept"))
    site.stored.directory.audit.mkdir()
    for secret in (key.secret, make_secret()):
        browser = site.browser()
        reply = browser.sign_in(secret)
        assert (reply.status, reply.page["template"], browser.cookie) == (503, "refused.html", "")
    assert site.repository.list_sessions(limit=10) == []


def test_a_locked_database_lets_nobody_in_and_those_who_are_go_on(site: Site) -> None:
    key = site.issue()
    inside = site.browser(key)
    with closing(sqlite3.connect(site.stored.directory.database)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        browser = site.browser()
        reply = browser.sign_in(key)
        assert (reply.status, browser.cookie) == (503, "")
        assert inside.get("/admin/own").status == 200
        holder.rollback()
    assert browser.sign_in(key).status == 303


def test_a_database_that_is_gone_shows_nothing_to_anybody(site: Site) -> None:
    browser = site.browser(site.issue())
    site.stored.database.close()
    for path in site.stored.directory.path.glob("copilot-api.db*"):
        path.unlink()
    assert browser.get("/admin/own").status == 503
    assert browser.get(API).status == 503
    assert not site.done


# The API ---------------------------------------------------------------------------------------------------------


def test_an_admins_session_opens_the_api(site: Site) -> None:
    key = site.issue()
    reply = site.browser(key).get(API)
    assert (reply.status, reply.page) == (200, {"key": key.key.id})


def test_a_clients_session_does_not(site: Site) -> None:
    reply = site.browser(site.issue(Tier.CLIENT)).get(API)
    assert (reply.status, reply.page["error"]["code"]) == (403, "admin_required")


def test_a_session_that_is_over_does_not(site: Site) -> None:
    browser = site.browser(site.issue())
    cookie = browser.cookie
    assert browser.post("/admin/logout").status == 303
    browser.cookie = cookie
    reply = browser.get(API)
    assert (reply.status, reply.page["error"]["code"]) == (401, "invalid_api_key")


def change(browser: Browser, **headers: str) -> Reply:
    return browser.ask("POST", "/admin/api/config/preview", b"{}", **headers)


def test_a_change_needs_the_token(site: Site) -> None:
    browser, other = site.browser(site.issue()), site.browser(site.issue())
    token, foreign = (each.get("/admin/own").page["csrf"] for each in (browser, other))
    assert change(browser, x_csrf_token=token).status == 200
    for headers in ({}, {"x_csrf_token": ""}, {"x_csrf_token": foreign}, {"x_csrf_token": "é"}):
        reply = change(browser, **headers)
        assert (reply.status, reply.page["error"]["code"]) == (403, "csrf_token_invalid")


@pytest.mark.parametrize(
    "headers", [{"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {"origin": "null"}]
)
def test_a_change_comes_from_our_own_pages(site: Site, headers: dict[str, str]) -> None:
    browser = site.browser(site.issue())
    token = browser.get("/admin/own").page["csrf"]
    reply = change(browser, x_csrf_token=token, **headers)
    assert (reply.status, reply.page["error"]["code"]) == (403, "cross_site_request")
    assert browser.get(API, **headers).status == 403, "nor does anything that is read"


def test_a_bearer_key_needs_neither(site: Site) -> None:
    bearer = {"authorization": f"Bearer {site.issue().secret}", "origin": "https://evil.example"}
    assert change(Browser(site, peer="192.0.2.1", host="gateway"), **bearer).status == 200


def test_a_bearer_key_that_is_wrong_is_not_made_good_by_a_session(site: Site) -> None:
    browser = site.browser(site.issue())
    assert browser.get(API, authorization=f"Bearer {make_secret()}").status == 401


def test_a_session_is_not_for_plain_http_from_elsewhere(site: Site) -> None:
    browser = site.browser(site.issue())
    browser.peer = "192.0.2.1"
    assert browser.get(API).page["error"]["code"] == "https_required"


def test_a_session_is_for_the_admin_api_alone(site: Site) -> None:
    """Also where another endpoint asks for an admin's key."""
    browser = site.browser(site.issue())
    for path in ("/token", "/v1/token", "/usage", "/v1/models", "/metrics", "/v1/chat/completions"):
        assert browser.get(path).status in {401, 405}, path
    assert browser.ask("POST", "/v1/chat/completions", b"{}").status == 401


SENSITIVE = sorted(operation.id for operation in OPERATIONS if operation.is_sensitive)
HARMLESS = sorted({operation.id for operation in OPERATIONS} - {*SENSITIVE, "end_session"})


def ask_operation(browser: Browser, name: str, token: str) -> Reply:
    """One operation of the API, as a script of a page asks for it."""
    operation = BY_ID[name]
    path = operation.path.replace("{id}", "x").replace("{date}", "2026-07-01")
    return browser.ask(operation.method, path, None if operation.method == "GET" else b"{}", x_csrf_token=token)


def test_what_shows_captures_hands_out_or_changes_who_may_enter_is_sensitive() -> None:
    assert {"show_trace", "replay_trace", "download_traces", "create_key", "rotate_key", "replace_config"} <= {
        *SENSITIVE
    }
    assert {"export_privacy", "erase_privacy", "roll_config_back"} <= {*SENSITIVE}


@pytest.mark.parametrize("name", SENSITIVE)
def test_what_is_sensitive_needs_the_key_again(site: Site, clock: FakeClock, name: str) -> None:
    key = site.issue()
    browser = site.browser(key)
    token = browser.get("/admin/own").page["csrf"]
    before = ask_operation(browser, name, token)
    assert (before.status, before.page["error"]["code"]) == (403, "step_up_required")
    assert browser.post("/admin/step-up", {"step_up_key": key.secret, "next": "/admin/own"}).status == 303
    assert ask_operation(browser, name, token).status == 200
    clock.advance(STEP_UP.total_seconds())
    assert ask_operation(browser, name, token).status == 403


@pytest.mark.parametrize("name", HARMLESS)
def test_nothing_else_does(site: Site, name: str) -> None:
    browser = site.browser(site.issue())
    assert ask_operation(browser, name, browser.get("/admin/own").page["csrf"]).status == 200


def test_what_nobody_has_declared_needs_it_too(site: Site) -> None:
    browser = site.browser(site.issue())
    head = {b"cookie": f"capi_session={browser.cookie}".encode(), b"host": b"127.0.0.1"}
    scope = {
        "path": "/admin/x",
        "method": "GET",
        "headers": list(head.items()),
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    with pytest.raises(StepUpRequired):
        asyncio.run(site.access.find_key(head, scope))


def test_without_pages_no_session_counts(site: Site) -> None:
    browser = site.browser(site.issue())
    site.access.is_on = False
    assert browser.get(API).status == 401
    assert browser.get("/admin/own").status == 404
    assert Browser(site).sign_in(site.issue()).status == 404
    site.access.is_on = True
    assert browser.get(API).status == 200


def test_a_key_that_is_held_to_its_networks_is_so_with_its_session(site: Site) -> None:
    key = site.issue(policy=KeyPolicy(cidrs=("127.0.0.1/32",)))
    observed = site.issue(policy=KeyPolicy(cidrs=("192.0.2.1/32",), observe=("cidrs",)))
    browser, other = site.browser(key), site.browser(observed)
    browser.peer = other.peer = "127.0.0.9"
    assert browser.get(API).status == 401
    assert other.get(API).status == 200


def test_many_sign_in_at_once(site: Site) -> None:
    key = site.issue()
    form = f"key={key.secret}".encode()
    headers = {"host": "127.0.0.1:4141", "content-type": "application/x-www-form-urlencoded"}

    async def all_at_once() -> list[Reply]:
        asked = [site.ask(Browser(site), "POST", "/admin/login", headers, form) for _ in range(20)]
        return await asyncio.gather(*asked)

    replies = asyncio.run(all_at_once())
    assert {reply.status for reply in replies} == {303}
    assert len({reply.header("set-cookie") for reply in replies}) == 20
    assert len(site.repository.list_sessions(limit=100)) == 20


def test_many_wrong_ones_at_once_are_counted_all(site: Site) -> None:
    headers = {"host": "127.0.0.1:4141", "content-type": "application/x-www-form-urlencoded"}

    async def all_at_once() -> list[Reply]:
        forms = [f"key={make_secret()}".encode() for _ in range(30)]
        asked = [site.ask(Browser(site), "POST", "/admin/login", headers, form) for form in forms]
        return await asyncio.gather(*asked)

    statuses = [reply.status for reply in asyncio.run(all_at_once())]
    assert (statuses.count(401), statuses.count(429)) == (PER_ADDRESS.burst, 30 - PER_ADDRESS.burst)


def test_events_that_are_followed_keep_no_session_alive(site: Site, clock: FakeClock) -> None:
    """Also at the API, where the tail of traces is."""
    browser = site.browser(site.issue())
    for _ in range(8):
        assert browser.get("/admin/api/traces/tail", accept="text/event-stream").status == 200
        clock.advance(3600)
    assert browser.get(API).status == 401
