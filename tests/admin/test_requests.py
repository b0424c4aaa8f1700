"""What a view is told of who asks."""

import pytest

from copilot_api.admin.requests import AdminRequest, StepUpRequired
from copilot_api.keys.models import Tier
from tests.admin.site import Site


def seen(site: Site, tier: Tier = Tier.ADMIN, target: str = "/admin/own?a=b&a=c", **headers: str) -> AdminRequest:
    """The request as the view got it."""
    browser = site.browser(site.issue(tier))
    assert browser.get(target, **headers).status == 200
    return site.done[-1]


def test_a_view_knows_who_asks_and_for_what(site: Site) -> None:
    request = seen(site, user_agent="Firefox", accept_language="de")
    assert (request.method, request.path, request.target) == ("GET", "/admin/own", "/admin/own?a=b&a=c")
    assert request.query.list("a") == ["b", "c"]
    assert (request.key.label, request.is_admin, request.session.key_id) == ("ada", True, request.key.id)
    assert (request.origin.address, request.origin.user_agent) == ("127.0.0.1", "Firefox")
    assert (request.header(b"accept-language"), request.header(b"x-none")) == ("de", "")
    assert request.now == site.clock.now()
    assert request.csrf


def test_a_client_is_no_admin(site: Site) -> None:
    assert not seen(site, Tier.CLIENT).is_admin


def test_nothing_secret_is_shown_by_accident(site: Site) -> None:
    browser = site.browser(site.issue())
    browser.get("/admin/own")
    assert browser.cookie not in repr(site.done[-1])


def test_a_page_for_everybody_may_not_ask_who_it_is(site: Site) -> None:
    from dataclasses import replace

    request = replace(seen(site), signed_in=None)
    assert (request.csrf, request.is_admin) == ("", False)
    with pytest.raises(RuntimeError, match="for everybody"):
        _ = request.key
    with pytest.raises(RuntimeError, match="for everybody"):
        _ = request.session


def test_a_view_may_ask_for_the_key_again(site: Site) -> None:
    with pytest.raises(StepUpRequired):
        seen(site).require_step_up()


def test_a_part_that_a_page_has_not_means_the_whole_page(site: Site) -> None:
    for named, is_whole in (("", True), ("one", False), ("one, notices", False), ("two", True), ("one,two", True)):
        request = seen(site, x_fragment=named) if named else seen(site)
        assert request.wants_whole("one") is is_whole, named
    assert seen(site, x_fragment="one").wants("one")
