"""One operation answered: who asks comes first, then what is asked, then what comes of it."""

from typing import Any

import pytest

from copilot_api.api.admin_endpoint import Answered, Asked
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.service import IssuedKey
from copilot_api.keys.wishes import NewKey
from tests.api.admin_site import AdminSite, error_of


@pytest.fixture
def asked() -> list[Asked]:
    """All that acts were asked."""
    return []


@pytest.fixture
def site(admin_site: AdminSite, asked: list[Asked]) -> AdminSite:
    async def remember(what: Asked) -> Any:
        asked.append(what)
        return Answered({"done": True}, ((b"location", b"/there"),))

    async def fail(_asked: Asked) -> Any:
        raise StorageUnavailable("the disk is full")

    admin_site.serve({"create_key": remember, "show_key": remember, "list_keys": remember, "get_system": fail})
    return admin_site


def test_an_act_gets_who_asks_from_where_and_what(site: AdminSite, asked: list[Asked], admin: IssuedKey) -> None:
    reply = site.call("POST", "/keys", {"label": "x"})
    (found,) = asked
    assert (found.admin.id, found.body) == (admin.key.id, NewKey(label="x"))
    assert (found.origin.address, found.origin.user_agent) == ("192.0.2.1", "ci/1.0")
    headers = reply.headers or {}
    assert headers["x-request-id"] == found.origin.request_id
    assert (reply.status, reply.json, headers["location"]) == (201, {"done": True}, "/there")


def test_what_stands_in_the_path_and_the_query_has_its_name(site: AdminSite, asked: list[Asked]) -> None:
    site.call("GET", "/keys/key_a")
    site.call("GET", "/keys", limit="7")
    assert [each.names for each in asked] == [{"id": "key_a"}, {}]
    assert asked[1].given.number("limit", 50, 100) == 7


def test_whoever_may_not_is_told_so_before_anything_is_read(
    site: AdminSite, asked: list[Asked], client: IssuedKey
) -> None:
    assert error_of(site.call("POST", "/keys", b"{", secret=client.secret))[:2] == (403, "admin_required")
    assert error_of(site.call("GET", "/keys", secret="sk-cap-none", x="y"))[:2] == (401, "invalid_api_key")
    assert asked == []


@pytest.mark.parametrize(("path", "query"), [("/keys", {"colour": "red"}), ("/keys/key_a", {"limit": "5"})])
def test_a_parameter_that_the_operation_does_not_declare_is_a_mistake(
    site: AdminSite, asked: list[Asked], path: str, query: dict[str, str]
) -> None:
    name = next(iter(query))
    assert error_of(site.call("GET", path, **query)) == (400, "invalid_request", name)
    assert asked == []


def test_why_nothing_came_of_it_is_answered_under_the_same_id(site: AdminSite) -> None:
    reply = site.call("GET", "/system")
    assert error_of(reply) == (503, "storage_unavailable", None)
    assert (reply.headers or {})["x-request-id"] in reply.json["error"]["message"]
