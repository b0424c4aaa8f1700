"""Ending a session from the page that lists them."""

from copilot_api.keys.models import Tier
from tests.admin.site import Site


def test_an_admin_ends_a_session_and_stays_where_they_were(site: Site) -> None:
    victim, admin = site.browser(site.issue(Tier.CLIENT)), site.browser(site.issue())
    victim.get("/admin/own")
    session_id = site.done[-1].session.id
    reply = admin.post(f"/admin/sessions/{session_id}/end", {"next": "/admin/own"})
    assert (reply.status, reply.header("location")) == (303, "/admin/own")
    assert victim.get("/admin/own").status == 303
    assert admin.post(f"/admin/sessions/{session_id}/end").status == 404
    assert admin.get("/admin/own").status == 200


def test_a_client_ends_nobodys(site: Site) -> None:
    victim, client = site.browser(site.issue()), site.browser(site.issue(Tier.CLIENT))
    victim.get("/admin/own")
    session_id = site.done[-1].session.id
    assert client.post(f"/admin/sessions/{session_id}/end").status == 403
    assert victim.get("/admin/own").status == 200
