"""The table: a role on each route, a form only where there is a token for it."""

import inspect

import pytest

from copilot_api.admin.answers import Answer, Page
from copilot_api.admin.paths import LOGIN
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.routes import Role, Route, RouteTable
from tests.admin.site import Site

PUBLIC = {("GET", "/admin/login"), ("POST", "/admin/login"), ("GET", "/admin/static/{version}/{name}")}


async def view(_request: AdminRequest) -> Answer:
    return Page("x.html")


def test_what_is_for_everybody_is_known_by_name(site: Site) -> None:
    routes = site.pages.table.routes
    assert {(route.method, route.path) for route in routes if route.role is Role.PUBLIC} == PUBLIC


def test_only_the_look_of_pages_goes_over_plain_http(site: Site) -> None:
    open_paths = {route.path for route in site.pages.table.routes if not route.is_guarded}
    assert open_paths == {"/admin/static/{version}/{name}"}
    assert all(route.role is Role.PUBLIC and route.method == "GET" for route in site.pages.table.routes if not route.is_guarded)  # fmt: skip


def test_the_one_form_without_a_token_is_the_one_to_sign_in_by(site: Site) -> None:
    """It is kept from other sites by what browsers say of where it comes from."""
    without = {route.path for route in site.pages.table.routes if route.method == "POST" and route.role is Role.PUBLIC}
    assert without == {LOGIN}


def test_a_path_is_below_admin_and_a_view_takes_the_request(site: Site) -> None:
    for route in site.pages.table.routes:
        assert route.path == "/admin" or route.path.startswith("/admin/"), route.path
        assert not route.path.startswith("/admin/api"), "that is the API's"
        assert inspect.iscoroutinefunction(route.view), route.path


def test_a_name_in_a_path_gives_way_to_a_word() -> None:
    named = Route("GET", "/admin/keys/{id}", Role.ADMIN, view)
    word = Route("GET", "/admin/keys/new", Role.ADMIN, view)
    table = RouteTable([named, word])
    found, other = table.find(("keys", "new")), table.find(("keys", "old"))
    assert found is not None
    assert other is not None
    assert (found.methods["GET"], found.parameters) == (word, {})
    assert (other.methods["GET"], other.parameters) == (named, {"id": "old"})
    assert table.find(("keys",)) is None


def test_the_same_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="two routes"):
        RouteTable([Route("GET", "/admin/x", Role.ADMIN, view), Route("GET", "/admin/x", Role.HOLDER, view)])
