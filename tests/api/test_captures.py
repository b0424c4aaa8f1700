"""`/admin/api/keys/{id}/debug`: an order is begun, renewed and ended by admins, with a reason, and in words."""

import asyncio
import json
from typing import Any

import pytest

from copilot_api.api.captures import KeyCaptures
from copilot_api.api.door import Door
from copilot_api.audit.lines import describe_record
from copilot_api.keys.service import IssuedKey
from tests.api.wire import Reply, ask
from tests.stored import Stored


class Site:
    def __init__(self, stored: Stored, door: Door, admin: IssuedKey) -> None:
        self.is_allowed = True
        self.stored = stored
        self._admin = admin
        self._endpoint = KeyCaptures(door, stored.keys, lambda: self.is_allowed)

    def send(self, key_id: str, body: Any = None, *, method: str = "POST", secret: str | None = None) -> Reply:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {secret or self._admin.secret}", "user-agent": "curl/8"}
        path = f"/admin/api/keys/{key_id}/debug"
        return asyncio.run(ask(self._endpoint, path, method=method, headers=headers, body=content))

    def order(self, key_id: str) -> Any:
        return next(key for key in self.stored.keys.list_keys() if key.id == key_id).capture


@pytest.fixture
def site(stored: Stored, door: Door, admin: IssuedKey) -> Site:
    return Site(stored, door, admin)


def error_of(reply: Reply) -> tuple[int, str, str]:
    error = json.loads(reply.body)["error"]
    return reply.status, error["code"], error["message"]


@pytest.mark.parametrize(("wish", "seconds"), [({"seconds": 90}, 90), ({"minutes": 2}, 120), ({"minutes": 0.5}, 30)])
def test_an_order_is_begun_and_says_until_when(
    site: Site, client: IssuedKey, wish: dict[str, float], seconds: float
) -> None:
    reply = site.send(client.key.id, {"reason": "slow answers", **wish})
    assert reply.status == 200
    assert reply.headers is not None
    assert reply.headers["cache-control"] == "no-store"
    order = site.order(client.key.id)
    assert (order.until - order.since).total_seconds() == seconds
    assert json.loads(reply.body) == {
        "id": client.key.id,
        "label": "client",
        "capture": {
            "reason": "slow answers",
            "by": order.by,
            "since": order.since.isoformat(timespec="seconds"),
            "until": order.until.isoformat(timespec="seconds"),
        },
    }


@pytest.mark.parametrize(("method", "body"), [("POST", {"off": True}), ("DELETE", None)])
def test_it_is_ended_in_two_ways_and_again_without_harm(site: Site, client: IssuedKey, method: str, body: Any) -> None:
    site.send(client.key.id, {"reason": "why", "minutes": 5})
    for _ in range(2):
        reply = site.send(client.key.id, body, method=method)
        assert (reply.status, json.loads(reply.body)["capture"]) == (200, None)
    assert site.order(client.key.id) is None


def test_the_audit_line_says_who_and_from_where(site: Site, client: IssuedKey, admin: IssuedKey) -> None:
    reply = site.send(client.key.id, {"reason": "why", "minutes": 5})
    line = describe_record(site.stored.audit.list_events()[0])
    assert (line["action"], line["actor"], line["target"]) == ("capture.started", admin.key.id, client.key.id)
    assert line["user_agent"] == "curl/8"
    assert reply.headers is not None
    assert line["request_id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"\xff", "cannot be read"),
        ([], "cannot be read"),
        ({"reason": "why", "minutes": "5"}, "cannot be read"),
        ({"reason": "why", "minutes": True}, "cannot be read"),
        ({"reason": 5, "minutes": 5}, "cannot be read"),
        ({"why": "x", "minutes": 5}, "cannot be read"),
        ({"reason": "why"}, "how long"),
        ({"reason": "why", "minutes": 1, "seconds": 1}, "how long"),
        ({"minutes": 5}, "reason"),
        ({"reason": "", "minutes": 5}, "reason"),
        ({"reason": "why", "minutes": 1440.1}, "24 hours"),
        ({"reason": "why", "seconds": 1e300}, "24 hours"),
        ({"off": True, "reason": "why"}, "either begun or ended"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(site: Site, client: IssuedKey, body: Any, words: str) -> None:
    status, code, message = error_of(site.send(client.key.id, body))
    assert (status, code) == (400, "invalid_request")
    assert words in message
    assert site.order(client.key.id) is None


def test_a_body_is_bounded(site: Site, client: IssuedKey) -> None:
    assert error_of(site.send(client.key.id, {"reason": "x" * 20_000, "minutes": 5}))[:2] == (413, "request_too_large")


@pytest.mark.parametrize("key_id", ["key_none", "client", "..", "a/b", "sk-cap-abcde", "\x1b[31m"])
def test_a_key_that_is_not_there_is_not_found_by_label_or_prefix_either(
    site: Site, client: IssuedKey, key_id: str
) -> None:
    for method, body in (("POST", {"reason": "why", "minutes": 5}), ("POST", {"off": True}), ("DELETE", None)):
        status, code, message = error_of(site.send(key_id, body, method=method))
        assert (status, code) == (404, "key_not_found")
        assert message.isprintable()


def test_only_an_admin_may(site: Site, client: IssuedKey) -> None:
    wish = {"reason": "why", "minutes": 5}
    assert error_of(site.send(client.key.id, wish, secret=client.secret))[:2] == (403, "admin_required")
    assert error_of(site.send(client.key.id, wish, secret="sk-cap-none"))[0] == 401
    assert site.order(client.key.id) is None


def test_where_captures_are_forbidden_one_can_only_end_them(site: Site, client: IssuedKey) -> None:
    site.send(client.key.id, {"reason": "why", "minutes": 5})
    site.is_allowed = False
    assert error_of(site.send(client.key.id, {"reason": "why", "minutes": 5}))[:2] == (409, "capture_forbidden")
    assert site.send(client.key.id, {"off": True}).status == 200
    assert site.order(client.key.id) is None
