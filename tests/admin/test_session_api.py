"""The list of sessions, and ending them, for programs."""

import pytest

from copilot_api.keys.models import Tier
from tests.admin.site import Browser, Site
from tests.fakes import FakeClock

PATH = "/admin/api/sessions"


def bearer(site: Site, tier: Tier = Tier.ADMIN) -> dict[str, str]:
    return {"authorization": f"Bearer {site.issue(tier).secret}"}


def test_sessions_are_listed_newest_first_and_nothing_of_them_is_secret(site: Site, clock: FakeClock) -> None:
    one = site.browser(site.issue(label="one"))
    clock.advance(1)
    two = site.browser(site.issue(label="two"), sent={"user-agent": "Firefox"})
    reply = one.get(PATH)
    first, second = reply.page["sessions"]
    assert (first["user_agent"], first["is_current"], second["is_current"]) == ("Firefox", False, True)
    assert (first["address"], first["created_at"]) == ("127.0.0.1", "2026-07-01T12:00:01+00:00")
    assert first["ends_at"] == "2026-07-01T20:00:01+00:00"
    assert reply.page["next"] is None
    for each in (one, two):
        assert each.cookie.encode() not in reply.body
    assert all(not each["is_current"] for each in Browser(site).get(PATH, **bearer(site)).page["sessions"])


def test_they_come_in_pages(site: Site, clock: FakeClock) -> None:
    for _ in range(5):
        clock.advance(1)
        site.browser(site.issue())
    headers, found, before = bearer(site), list[str](), ""
    while True:
        page = Browser(site).get(f"{PATH}?limit=2{before}", **headers).page
        found += [each["id"] for each in page["sessions"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert found == [each.id for each in site.repository.list_sessions(limit=10)]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "limit=²", "limit=1&limit=2", "offset=1", "limit=%"]
)
def test_a_question_that_makes_no_sense_is_refused(site: Site, query: str) -> None:
    reply = Browser(site).get(f"{PATH}?{query}", **bearer(site))
    assert (reply.status, reply.page["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("slash", ["", "/"])
def test_ending_one_is_on_record_and_in_force_at_once(site: Site, slash: str) -> None:
    key = site.issue()
    browser, admin = site.browser(key), site.issue()
    session_id = browser.get(PATH).page["sessions"][0]["id"]
    headers = {"authorization": f"Bearer {admin.secret}"}
    reply = Browser(site).ask("DELETE", f"{PATH}/{session_id}{slash}", None, **headers)
    assert (reply.status, reply.page) == (200, {"id": session_id, "ended": True})
    assert browser.get("/admin/own").status == 303
    assert site.audited()[-1] == (admin.key.id, "session.ended", session_id)
    again = Browser(site).ask("DELETE", f"{PATH}/{session_id}", None, **headers)
    assert (again.status, again.page["error"]["code"]) == (404, "session_not_found")


def test_it_is_for_admins(site: Site) -> None:
    assert Browser(site).get(PATH).status == 401
    assert Browser(site).get(PATH, **bearer(site, Tier.CLIENT)).status == 403
    assert Browser(site).ask("DELETE", f"{PATH}/x", None, **bearer(site, Tier.CLIENT)).status == 403
    assert site.browser(site.issue(Tier.CLIENT)).get(PATH).status == 403


def test_a_session_ends_another_with_its_token_only(site: Site) -> None:
    browser = site.browser(site.issue())
    session_id = browser.get(PATH).page["sessions"][0]["id"]
    assert browser.ask("DELETE", f"{PATH}/{session_id}").status == 403
    csrf = browser.get("/admin/own").page["csrf"]
    assert browser.ask("DELETE", f"{PATH}/{session_id}", x_csrf_token=csrf).status == 200
