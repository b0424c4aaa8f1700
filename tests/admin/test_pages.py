"""One request after the other through all that stands before a view."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from datetime import datetime
from typing import Any

import pytest

from copilot_api.admin.answers import Answer, Content, Page, Redirect, Stream
from copilot_api.admin.pages import CHECK_SECONDS, MAX_LIVE
from copilot_api.admin.requests import AdminRequest, StepUpRequired
from copilot_api.admin.routes import Role, Route
from copilot_api.errors import BadRequest
from copilot_api.keys.models import Tier
from copilot_api.keys.sessions import STEP_UP, make_cookie
from copilot_api.observability.events import CallCrashed
from tests.admin.site import Browser, Reply, Site
from tests.fakes import FakeClock
from tests.stored import Stored

HARDENED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


# Who is let in ---------------------------------------------------------------------------------------------------


def test_whoever_is_not_signed_in_is_asked_to_and_comes_back(site: Site) -> None:
    reply = site.browser().get("/admin/own?a=b")
    assert (reply.status, reply.header("location")) == (303, "/admin/login?next=%2Fadmin%2Fown%3Fa%3Db")
    assert site.browser().get("/admin").header("location") == "/admin/login"
    assert site.browser().get("/admin/no-such-page").header("location").startswith("/admin/login?next=")
    assert not site.done


def test_a_cookie_that_opens_nothing_is_taken_away(site: Site) -> None:
    browser = site.browser()
    browser.cookie = make_cookie()
    reply = browser.get("/admin/own")
    assert (reply.status, browser.cookie) == (303, "")
    assert "Max-Age=0" in reply.header("set-cookie")


def test_a_script_is_told_and_not_sent_elsewhere(site: Site) -> None:
    reply = site.browser().get("/admin/own", sec_fetch_mode="cors")
    assert (reply.status, reply.page["login"]) == (401, "/admin/login")


def test_a_form_of_nobody_does_nothing_and_says_so(site: Site) -> None:
    reply = site.browser().ask("POST", "/admin/own", {"csrf": "x"})
    assert (reply.status, site.done) == (401, [])


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_client_is_refused_on_every_page_of_admins(site: Site, method: str) -> None:
    browser = site.browser(site.issue(Tier.CLIENT))
    csrf = browser.get("/admin/own").page["csrf"]
    site.done.clear()
    form = {"csrf": csrf} if method == "POST" else None
    for route in site.pages.table.routes:
        if route.role is Role.ADMIN and route.method == method.replace("HEAD", "GET"):
            reply = browser.ask(method, route.path.replace("{id}", "x"), form)
            is_start = route.path == "/admin"
            assert reply.status == (303 if is_start else 403), route.path
            assert not is_start or reply.header("location") == "/admin/my-usage"
    assert not site.done
    assert browser.get("/admin/own").status == 200


def test_an_admin_sees_it_all(site: Site) -> None:
    browser = site.browser(site.issue())
    for path in ("/admin", "/admin/", "/admin/own", "/admin/own/", "/admin/things/a%20b"):
        assert browser.get(path).status == 200, path
    assert site.done[-1].parameters == {"id": "a b"}
    assert browser.ask("HEAD", "/admin/own").status == 200


@pytest.mark.parametrize(
    "path", ["/admin/no", "/admin//own", "/admin/own/x", "/admin/things/a%2Fb", "/admin/things/.."]
)
def test_what_is_no_page_is_not_found(site: Site, path: str) -> None:
    reply = site.browser(site.issue()).get(path)
    assert (reply.status, reply.page["template"], reply.page["code"]) == (404, "refused.html", "route_not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/admin/own"), ("DELETE", "/admin/own"), ("OPTIONS", "/admin/own"), ("GET", "/admin/logout")],
)
def test_a_method_that_is_not_there_is_named(site: Site, method: str, path: str) -> None:
    reply = site.browser(site.issue()).ask(method, path)
    assert (reply.status, bool(reply.header("allow"))) == (405, True)
    assert site.browser(site.issue()).ask("PUT", "/admin/own").header("allow") == "GET, HEAD, POST"


# Forms -----------------------------------------------------------------------------------------------------------


def test_a_form_reaches_its_view_without_its_token(site: Site) -> None:
    browser = site.browser(site.issue())
    reply = browser.post("/admin/things/x", {"a": "b", "c": ""})
    assert (reply.status, reply.page["form"]) == (200, [["a", "b"], ["c", ""]])


def test_a_script_may_send_the_token_in_a_header(site: Site) -> None:
    browser = site.browser(site.issue())
    csrf = browser.get("/admin/own").page["csrf"]
    assert browser.ask("POST", "/admin/own", {"a": "b"}, x_csrf_token=csrf).status == 200


def test_a_form_that_is_too_large_is_refused_before_it_is_read(site: Site) -> None:
    browser = site.browser(site.issue())
    reply = browser.post("/admin/things/x", {"a": "b" * 1000})
    assert (reply.status, reply.page["code"]) == (413, "request_too_large")
    assert site.browser().ask("POST", "/admin/login", {"key": "x" * 10_000}).status == 413
    assert [request.path for request in site.done] == ["/admin/own"]


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [(b"csrf=%", "", 400), (b"{}", "application/json", 415), (b"csrf=a&csrf=b", "", 400)],
)
def test_what_is_no_form_is_refused(site: Site, body: bytes, media_type: str, status: int) -> None:
    headers = {"content_type": media_type} if media_type else {}
    browser = site.browser(site.issue())
    assert browser.ask("POST", "/admin/own", body, **headers).status == status
    assert not site.done
    assert site.browser().ask("POST", "/admin/login", body, **headers).status in {400, 401, 415}


# The key again ---------------------------------------------------------------------------------------------------


def test_a_page_may_ask_for_the_key_again_and_is_shown_then(site: Site, clock: FakeClock) -> None:
    key = site.issue()
    browser = site.browser(key)
    asked = browser.get("/admin/secret?a=b")
    assert (asked.status, asked.page["template"], asked.page["problem"]) == (403, "step_up.html", None)
    assert (asked.page["action"], asked.page["fields"]) == ("/admin/step-up", [["next", "/admin/secret?a=b"]])
    reply = browser.post(asked.page["action"], {**dict(asked.page["fields"]), "step_up_key": key.secret})
    assert (reply.status, reply.header("location")) == (303, "/admin/secret?a=b")
    assert browser.get("/admin/secret?a=b").status == 200
    clock.advance(STEP_UP.total_seconds())
    assert browser.get("/admin/secret").status == 403


def test_the_key_counts_for_the_very_request_that_brings_it(stored: Stored) -> None:
    """It is shown a moment after the request came, not before."""

    class RunningClock(FakeClock):
        def now(self) -> datetime:
            self.advance(0.001)
            return super().now()

    site = Site(stored, RunningClock())
    key = site.issue()
    browser = site.browser(key)
    asked = browser.post("/admin/secret", {"a": "b"})
    assert asked.status == 403
    assert browser.post("/admin/secret", {"a": "b", "step_up_key": key.secret}).status == 200


def test_a_form_is_sent_once_more_with_the_key_and_done_once(site: Site) -> None:
    key = site.issue()
    browser = site.browser(key)
    asked = browser.post("/admin/secret?x=y", {"a": "b", "c": "d"})
    assert (asked.status, asked.page["action"]) == (403, "/admin/secret?x=y")
    assert asked.page["fields"] == [["a", "b"], ["c", "d"]]
    site.done.clear()
    form = {**dict(asked.page["fields"]), "csrf": asked.page["csrf"], "step_up_key": f" {key.secret} "}
    reply = browser.ask("POST", asked.page["action"], form)
    assert (reply.status, reply.page["form"]) == (200, [["a", "b"], ["c", "d"]])
    assert len(site.done) == 1
    assert key.secret.encode() not in reply.body


def test_another_key_is_not_the_key(site: Site) -> None:
    key, other = site.issue(), site.issue()
    browser = site.browser(key)
    for secret in (other.secret, "", "sk-cap-wrong"):
        reply = browser.post("/admin/secret", {"a": "b", "step_up_key": secret})
        assert (reply.status, reply.page["template"]) == (401, "step_up.html")
        assert reply.page["problem"]
        assert reply.page["fields"] == [["a", "b"]], "and is shown on no page"
    assert not [request for request in site.done if request.path == "/admin/secret"]
    assert browser.get("/admin/secret").status == 403


def test_showing_the_key_again_is_throttled_as_signing_in_is(site: Site) -> None:
    key = site.issue()
    browser = site.browser(key)
    csrf = browser.get("/admin/own").page["csrf"]
    for number in range(10):
        browser.ask("POST", "/admin/step-up", {"csrf": csrf, "step_up_key": f"wrong {number}"})
    reply = browser.ask("POST", "/admin/step-up", {"csrf": csrf, "step_up_key": key.secret})
    assert (reply.status, reply.header("retry-after"), reply.page["template"]) == (429, "30", "step_up.html")


def test_the_form_for_it_goes_nowhere_else(site: Site) -> None:
    key = site.issue()
    browser = site.browser(key)
    assert browser.get("/admin/step-up?next=//evil.example").page["fields"] == [["next", "/admin"]]
    reply = browser.post("/admin/step-up", {"next": "//evil.example", "step_up_key": key.secret})
    assert (reply.status, reply.header("location")) == (303, "/admin")


def test_the_key_again_is_on_record(site: Site) -> None:
    key = site.issue()
    browser = site.browser(key)
    browser.post("/admin/step-up", {"step_up_key": "wrong"})
    browser.post("/admin/step-up", {"step_up_key": key.secret})
    assert [action for _, action, _ in site.audited()] == ["login.succeeded", "login.failed", "login.succeeded"]
    assert [event.detail.get("purpose") for event in site.stored.audit.list_events()][:3] == [
        "step-up",
        "step-up",
        None,
    ]


# What goes out ---------------------------------------------------------------------------------------------------


def every_kind(site: Site) -> list[tuple[Browser, str, str, Any]]:
    """Requests that are answered in every way there is."""
    admin, client, nobody = site.browser(site.issue()), site.browser(site.issue(Tier.CLIENT)), site.browser()
    far = Browser(site, peer="192.0.2.1", host="gateway")
    return [
        (admin, "GET", "/admin/own", None), (admin, "GET", "/admin/no", None), (admin, "PUT", "/admin/own", None), (admin, "POST", "/admin/own", {}),
        (admin, "GET", "/admin/secret", None), (client, "GET", "/admin/secret", None), (nobody, "GET", "/admin/own", None), (nobody, "GET", "/admin/login", None),
        (nobody, "POST", "/admin/login", {"key": "x"}), (nobody, "POST", "/admin/login", b"%"), (far, "GET", "/admin", None), (admin, "HEAD", "/admin/own", None),
        (admin, "GET", "/admin/api/sessions", None), (nobody, "GET", "/admin/api/sessions", None), (nobody, "GET", "/admin/api/no", None),
        (nobody, "PUT", "/admin/api/sessions", None), (nobody, "GET", "/admin/api", None), (nobody, "GET", "/admin/traces/2026-07-01.jsonl", None),
        (nobody, "GET", "/administrator", None),
    ]  # fmt: skip


def test_every_answer_is_kept_from_frames_and_caches(site: Site) -> None:
    for browser, method, path, form in every_kind(site):
        reply = browser.ask(method, path, form)
        for name, value in HARDENED.items():
            assert reply.header(name) == value, (method, path, name)
        assert reply.header("cache-control") == "no-store", (method, path)
        policy = reply.header("content-security-policy")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert reply.header("x-request-id")
        assert not [name for name, _ in reply.headers if name.startswith("access-control")]
        assert not reply.header("strict-transport-security"), "only over TLS"


def test_files_that_never_change_may_be_kept_and_are_everybodys(site: Site) -> None:
    far = Browser(site, peer="192.0.2.1", host="gateway")
    reply = far.get(site.assets.url("app.css"))
    assert (reply.status, reply.body) == (200, b"body{}")
    assert "immutable" in reply.header("cache-control")
    assert reply.header("x-content-type-options") == "nosniff"
    assert far.get("/admin/static/x/no.css").status == 404


def test_over_tls_the_browser_is_told_to_keep_to_it(site: Site) -> None:
    browser = Browser(site, peer="192.0.2.1", host="gateway", scheme="https")
    assert browser.get("/admin/login").header("strict-transport-security") == "max-age=31536000"
    local = Browser(site, host="localhost:4141", scheme="https")
    assert not local.get("/admin/login").header("strict-transport-security"), "it would hold for every port of it"


def test_a_part_of_a_page_can_be_asked_for(site: Site) -> None:
    browser = site.browser(site.issue())
    assert browser.get("/admin/own", x_fragment="table").body == b"<table>"
    assert browser.get("/admin/own", x_fragment="unknown").page["template"] == "own.html"


def with_view(stored: Stored, clock: FakeClock, view: Any) -> Site:
    return Site(
        stored, clock, more=[Route("GET", "/admin/x", Role.HOLDER, view), Route("POST", "/admin/x", Role.HOLDER, view)]
    )


def test_a_defect_is_a_page_and_a_line_in_the_log(stored: Stored, clock: FakeClock) -> None:
    async def view(_request: AdminRequest) -> Answer:
        raise ZeroDivisionError("secret details")

    site = with_view(stored, clock, view)
    reply = site.browser(site.issue()).get("/admin/x")
    assert (reply.status, reply.page["code"]) == (500, "internal_error")
    assert b"secret details" not in reply.body
    (crash,) = [each for each in site.observed if isinstance(each, CallCrashed)]
    assert crash.request_id == reply.header("x-request-id")
    assert "secret details" in crash.traceback


def test_a_view_may_refuse(stored: Stored, clock: FakeClock) -> None:
    async def view(request: AdminRequest) -> Answer:
        raise BadRequest("not like <this>") if request.method == "GET" else StepUpRequired("again")

    site = with_view(stored, clock, view)
    browser = site.browser(site.issue())
    reply = browser.get("/admin/x")
    assert (reply.status, reply.page["message"]) == (400, "not like <this>")
    assert browser.post("/admin/x", {"a": "b"}).page["fields"] == [["a", "b"]]


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x=y", b"a\nb", b"a\0"])
def test_no_header_becomes_two(stored: Stored, clock: FakeClock, value: bytes) -> None:
    async def view(_request: AdminRequest) -> Answer:
        return Page("own.html", headers=((b"x-label", value),))

    site = with_view(stored, clock, view)
    reply = site.browser(site.issue()).get("/admin/x")
    assert (reply.status, reply.header("set-cookie"), reply.header("x-label")) == (500, "", "")


def test_files_have_a_harmless_name(stored: Stored, clock: FakeClock) -> None:
    async def view(request: AdminRequest) -> Answer:
        return Content(b"a,b\r\n", "text/csv; charset=utf-8", request.query.get("name"))

    site = with_view(stored, clock, view)
    reply = site.browser(site.issue()).get("/admin/x?name=a%0D%0Aset-cookie%3A%20b%22.csv")
    assert reply.header("content-disposition") == 'attachment; filename="a-set-cookie-b-.csv"'
    assert (reply.header("content-type"), reply.body) == ("text/csv; charset=utf-8", b"a,b\r\n")


def test_a_view_sends_on(stored: Stored, clock: FakeClock) -> None:
    async def view(_request: AdminRequest) -> Answer:
        return Redirect("/admin/own")

    site = with_view(stored, clock, view)
    reply = site.browser(site.issue()).get("/admin/x")
    assert (reply.status, reply.header("location"), reply.body) == (303, "/admin/own", b"")


# Streams ---------------------------------------------------------------------------------------------------------


def streaming(stored: Stored, clock: FakeClock, *, is_live: bool, closed: list[bool], on_second: Any) -> Site:
    """A site with a stream of three pieces."""

    async def chunks() -> AsyncGenerator[bytes]:
        try:
            yield b"one "
            await on_second()
            yield b"two "
            yield b"three"
        finally:
            closed.append(True)

    async def view(_request: AdminRequest) -> Answer:
        return Stream(chunks(), "text/event-stream", is_live=is_live)

    return with_view(stored, clock, view)


async def nothing() -> None:
    """Goes on."""


def test_a_stream_goes_out_piece_by_piece(stored: Stored, clock: FakeClock) -> None:
    closed: list[bool] = []
    site = streaming(stored, clock, is_live=False, closed=closed, on_second=nothing)
    reply = site.browser(site.issue()).get("/admin/x")
    assert (reply.status, reply.body, closed) == (200, b"one two three", [True])
    assert reply.header("cache-control") == "no-store"


@pytest.mark.parametrize("is_live", [True, False])
def test_a_stream_ends_with_its_session(stored: Stored, clock: FakeClock, is_live: bool) -> None:
    closed: list[bool] = []

    async def revoke() -> None:
        stored.keys.revoke(key.key.id, actor="test")
        clock.advance(CHECK_SECONDS)

    site = streaming(stored, clock, is_live=is_live, closed=closed, on_second=revoke)
    key = site.issue()
    reply = site.browser(key).get("/admin/x")
    assert (reply.body, closed) == (b"one ", [True])


def test_a_stream_that_breaks_is_a_line_in_the_log(stored: Stored, clock: FakeClock) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    closed: list[bool] = []
    site = streaming(stored, clock, is_live=False, closed=closed, on_second=fail)
    reply = site.browser(site.issue()).get("/admin/x")
    assert (reply.status, reply.body, closed) == (200, b"one ", [True])
    assert [type(each) for each in site.observed] == [CallCrashed]


def test_live_streams_end_when_the_gateway_does(stored: Stored, clock: FakeClock) -> None:
    closed: list[bool] = []

    async def stop() -> None:
        site.pages.stop()
        await asyncio.sleep(10)

    site = streaming(stored, clock, is_live=True, closed=closed, on_second=stop)
    browser = site.browser(site.issue())
    with pytest.raises(asyncio.CancelledError):
        browser.get("/admin/x")
    assert closed == [True]


def test_one_key_has_so_many_live_streams_and_no_more(stored: Stored, clock: FakeClock) -> None:
    begun: list[bool] = []

    async def never() -> None:
        begun.append(True)
        await asyncio.sleep(60)

    closed: list[bool] = []
    site = streaming(stored, clock, is_live=True, closed=closed, on_second=never)
    one, other = site.browser(site.issue()), site.browser(site.issue())

    async def open_them() -> Reply:
        def ask(browser: Browser) -> Coroutine[Any, Any, Reply]:
            headers = {"host": browser.host, **browser.sent, "cookie": f"capi_session={browser.cookie}"}
            return site.ask(browser, "GET", "/admin/x", headers, b"")

        async def follow(*browsers: Browser) -> list[asyncio.Task[Reply]]:
            tasks = [group.create_task(ask(browser)) for browser in browsers]
            expected = len(begun) + len(browsers)
            while len(begun) < expected:
                await asyncio.sleep(0.001)
            return tasks

        async with asyncio.TaskGroup() as group:
            first, *rest = await follow(*[one] * MAX_LIVE)
            others = await follow(other)
            refused = await ask(one)
            first.cancel()
            await asyncio.wait([first])
            for task in (*rest, *others, *await follow(one)):
                task.cancel()
        return refused

    refused = asyncio.run(open_them())
    assert (refused.status, b"too_many_live_pages" in refused.body) == (429, True)
    assert len(closed) == len(begun) == MAX_LIVE + 2


@pytest.mark.parametrize("headers", [{"x_live": "1"}, {"accept": "text/event-stream"}])
def test_a_page_that_is_left_open_keeps_no_session_alive(site: Site, clock: FakeClock, headers: dict[str, str]) -> None:
    browser, person = site.browser(site.issue()), site.browser(site.issue())
    for _ in range(8):
        assert (browser.get("/admin/own", **headers).status, person.get("/admin/own").status) == (200, 200)
        clock.advance(3600)
    assert (browser.get("/admin/own").status, person.get("/admin/own").status) == (303, 200)
