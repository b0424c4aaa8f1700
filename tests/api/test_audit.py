"""`/admin/api/audit`: what is on record, page by page, for whoever holds an admin key."""

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from copilot_api.api.audit import MAX_PAGE, AuditApi
from copilot_api.api.door import Door
from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.audit.refused import RefusedKeys
from copilot_api.keys.service import IssuedKey
from tests.api.admin_router import make_admin_router
from tests.api.wire import Reply, ask
from tests.fakes import FakeClock
from tests.stored import Stored

PATH = "/admin/api/audit"


class Api:
    """The endpoint behind the router, as an admin finds it."""

    def __init__(self, door: Door, stored: Stored, clock: FakeClock, secret: str) -> None:
        self.router = make_admin_router({"list_audit": AuditApi(door, stored.audit, clock)})
        self.secret = secret

    def call(self, query: bytes = b"", method: str = "GET", secret: str | None = None) -> Reply:
        headers = {"authorization": f"Bearer {self.secret if secret is None else secret}", "user-agent": "ci/1.0"}
        return asyncio.run(ask(self.router, PATH, method=method, query=query, headers=headers))

    def find(self, **values: object) -> Any:
        reply = self.call(urlencode(values).encode())
        assert reply.status == 200, reply.body
        return reply.json


@pytest.fixture
def api(door: Door, stored: Stored, clock: FakeClock, admin: IssuedKey) -> Api:
    """Line 1 is the admin's key; 19 follow, a minute apart."""
    for number in range(19):
        clock.advance(60)
        action = Action.KEY_ROTATED if number % 2 else Action.CONFIG_CHANGED
        origin = Origin("192.0.2.1", "ci/1.0", f"req_{number}")
        stored.audit.append(AuditEvent(f"key_{number % 3}", action, f"target_{number % 5}", {"n": number}, origin))
    return Api(door, stored, clock, admin.secret)


def seqs(answer: Any) -> list[int]:
    return [record["seq"] for record in answer["events"]]


def test_only_an_admin_key_may(api: Api, client: IssuedKey) -> None:
    assert api.call(secret=client.secret).status == 403
    for secret in ("", "sk-cap-" + "a" * 52, "something"):
        assert api.call(secret=secret).status == 401


def test_without_authentication_an_admin_key_is_needed_all_the_same(
    open_door: Door, stored: Stored, clock: FakeClock
) -> None:
    assert Api(open_door, stored, clock, "anything").call().status == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed_there(api: Api, method: str) -> None:
    assert api.call(method=method).status == 405


def test_it_tells_what_the_lines_say_newest_first_and_no_cache_keeps_it(api: Api) -> None:
    reply = api.call()
    assert reply.headers is not None
    assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
    assert seqs(reply.json) == [*range(20, 0, -1)]
    assert reply.json["next"] is None
    record = reply.json["events"][0]
    assert list(record) == [
        "seq", "at", "actor", "action", "target", "detail", "address", "user_agent", "request_id", "prev", "hash",
    ]  # fmt: skip
    assert (record["actor"], record["detail"], record["request_id"]) == ("key_0", {"n": 18}, "req_18")


def test_pages_follow_each_other_by_number_also_while_lines_are_added(api: Api, stored: Stored) -> None:
    found: list[int] = []
    values: dict[str, object] = {"limit": 7}
    while True:
        page = api.find(**values)
        found += seqs(page)
        if page["next"] is None:
            break
        values["before"] = page["next"]
        stored.audit.append(AuditEvent("later", Action.KEY_ISSUED, "later"))
    assert found == [*range(20, 0, -1)]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"actor": "key_0"}, [20, 17, 14, 11, 8, 5, 2]),
        ({"action": "key.rotated", "limit": 3}, [19, 17, 15]),
        ({"action": "any", "limit": 2}, [20, 19]),
        ({"target": "target_4"}, [16, 11, 6]),
        ({"request_id": "req_3"}, [5]),
        ({"since": "2026-07-01T12:18:00Z"}, [20, 19]),
        ({"until": "2026-07-01T12:02:00Z"}, [2, 1]),
        ({"since": "90s"}, [20, 19]),
        ({"before": 3}, [2, 1]),
        ({"actor": "key_0", "target": "target_0"}, [17, 2]),
    ],
)
def test_it_can_be_asked_for_some_of_it(api: Api, values: dict[str, object], found: list[int]) -> None:
    assert seqs(api.find(**values)) == found


@pytest.mark.parametrize(
    ("query", "param"),
    [
        (b"limit=0", "limit"),
        (b"limit=%d" % (MAX_PAGE + 1), "limit"),
        (b"limit=x", "limit"),
        (b"before=0", "before"),
        (b"before=-1", "before"),
        (b"before=9999999999", "before"),
        (b"action=key.stolen", "action"),
        (b"since=soon", "since"),
        (b"colour=red", "colour"),
        (b"limit=1&limit=2", "limit"),
    ],
)
def test_a_mistake_is_told_by_its_parameter(api: Api, query: bytes, param: str) -> None:
    reply = api.call(query)
    assert reply.headers is not None
    assert (reply.status, reply.json["error"]["param"]) == (400, param)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-request-id"] in reply.json["error"]["message"]


@pytest.mark.parametrize("query", [b"since=0001-01-01", b"until=9999-12-31", b"actor=%00", b"target=%E2%80%AE"])
def test_what_nothing_meets_is_an_empty_page_or_all(api: Api, query: bytes) -> None:
    assert api.call(query).status in {200, 400}


def test_a_log_that_cannot_be_read_is_unavailable(api: Api, stored: Stored) -> None:
    stored.directory.audit.rename(stored.directory.audit.with_name("kept"))
    stored.directory.audit.mkdir()
    reply = api.call()
    assert (reply.status, reply.json["error"]["code"]) == (503, "storage_unavailable")


def test_a_refused_key_is_on_record_with_the_id_of_the_answer_that_refused_it(
    stored: Stored, clock: FakeClock, client: IssuedKey
) -> None:
    refused = RefusedKeys(stored.audit.append, clock, lambda _: None)
    door = Door(stored.keys, clock, is_open=False, on_refused=refused.note)
    api = Api(door, stored, clock, "sk-cap-" + "a" * 52)
    replies = [api.call(), api.call(), api.call(secret="")]
    refused.flush()
    lines = [json.loads(line) for line in stored.directory.audit.read_text().splitlines()][1:]
    assert [(line["action"], line["target"][:7], line["detail"]["count"]) for line in lines] == [
        ("key.refused", "sha256:", 2),
        ("key.refused", "no key", 1),
    ]
    assert replies[0].headers is not None
    assert replies[2].headers is not None
    assert [line["request_id"] for line in lines] == [replies[0].headers["x-request-id"], replies[2].headers["x-request-id"]]  # fmt: skip
    assert {(line["address"], line["user_agent"]) for line in lines} == {("192.0.2.1", "ci/1.0")}
    api.call(secret=client.secret)
    refused.flush()
    assert len(stored.directory.audit.read_text().splitlines()) == 3, "a good key that is no admin's was not refused"
