"""The endpoints over captures, as an admin and as a user of this machine sees them. Real sockets: tests/journeys."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from copilot_api.api.door import Door
from copilot_api.api.local_socket import ACTOR
from copilot_api.api.trace_access import KeyAccess, LocalAccess
from copilot_api.api.traces import TracesApi
from copilot_api.audit.models import AuditEvent
from copilot_api.capture.service import Traces
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.service import IssuedKey
from tests.api.trace_site import keep, make_api, make_services, make_traces
from tests.api.wire import Reply, ask
from tests.fakes import FakeClock
from tests.stored import Stored

LIST = "/admin/api/traces"


class Site:
    """The endpoints, and what they put on record."""

    def __init__(self, stored: Stored, door: Door, clock: FakeClock, admin: IssuedKey, path: Path) -> None:
        self.traces: Traces = make_traces(path, clock)
        self.admin = admin
        self.signed: list[AuditEvent] = []
        self.failure: Exception | None = None
        self.services = make_services(self.traces, stored.keys, self.append, clock)
        self.api: TracesApi = make_api(KeyAccess(door), self.services, clock)
        self.clock = clock

    def append(self, event: AuditEvent) -> None:
        if self.failure is not None:
            raise self.failure
        self.signed.append(event)

    def ask(self, path: str, query: bytes = b"", **more: Any) -> Reply:
        headers = {"authorization": f"Bearer {self.admin.secret}"}
        return asyncio.run(ask(self.api, path, query=query, headers=headers, **more))


@pytest.fixture
def site(stored: Stored, door: Door, clock: FakeClock, admin: IssuedKey, tmp_path: Path) -> Site:
    return Site(stored, door, clock, admin, tmp_path / "traces")


def test_the_list_is_newest_first_with_the_days_that_there_are(site: Site) -> None:
    keep(site.traces, "req_0", to_file="2026-06-30")
    for number in range(1, 4):
        keep(site.traces, f"req_{number}")
    reply = site.ask(LIST, b"limit=2")
    assert [trace["request_id"] for trace in reply.json["traces"]] == ["req_3", "req_2"]
    assert [day["date"] for day in reply.json["days"]] == ["2026-06-30"]
    rest = site.ask(LIST, f"before={reply.json['next']}".encode())
    assert [trace["request_id"] for trace in rest.json["traces"]] == ["req_1", "req_0"]
    assert rest.json["next"] is None
    assert [event.action for event in site.signed] == ["traces.listed"] * 2


def test_a_key_is_found_by_its_label(site: Site, client: IssuedKey) -> None:
    keep(site.traces, "req_1", key_id=client.key.id)
    keep(site.traces, "req_2")
    assert len(site.ask(LIST, b"key=client").json["traces"]) == 1
    assert site.signed[0].detail == {"key": "client"}


def test_a_trace_is_shown_whole_under_the_id_that_the_record_has(site: Site) -> None:
    keep(site.traces, "req_1")
    reply = site.ask(f"{LIST}/req_1")
    assert reply.json["client_request"]["target"] == "/v1/chat/completions"
    (event,) = site.signed
    assert (event.actor, event.action, event.target) == (site.admin.key.id, "trace.read", "req_1")
    assert reply.headers is not None
    assert event.origin.request_id == reply.headers["x-request-id"]


def test_everything_is_kept_by_no_cache_and_sniffed_by_no_browser(site: Site) -> None:
    keep(site.traces, "req_0", to_file="2026-06-30")
    for path in (LIST, f"{LIST}/req_0", f"{LIST}/none", "/admin/traces/2026-06-30.jsonl", f"{LIST}/x/y"):
        reply = site.ask(path)
        assert reply.headers is not None
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_what_cannot_be_put_on_record_is_not_shown(site: Site) -> None:
    keep(site.traces, "req_0", to_file="2026-06-30")
    site.failure = StorageUnavailable("the audit log cannot be written")
    for path in (LIST, f"{LIST}/req_0", f"{LIST}/tail", "/admin/traces/2026-06-30.jsonl"):
        reply = site.ask(path)
        assert (reply.status, b"req_0" in reply.body) == (503, False)
    assert site.ask(f"{LIST}/req_0/replay", method="POST").status == 503
    assert site.ask(f"{LIST}/none").status == 404


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (LIST, "POST", 405), (f"{LIST}/req_1", "DELETE", 405), (f"{LIST}/tail", "POST", 405), (f"{LIST}/redact", "GET", 405),
        (f"{LIST}/req_1/replay", "GET", 405), ("/admin/traces/2026-06-30.jsonl", "HEAD", 405), (f"{LIST}/", "GET", 404),
        (f"{LIST}/req_1/x", "GET", 404), (f"{LIST}/{'a' * 65}", "GET", 404), (f"{LIST}/req.1", "GET", 404), ("/admin/traces/x", "GET", 404),
    ],
)  # fmt: skip
def test_what_is_none_of_them_is_told(site: Site, path: str, method: str, status: int) -> None:
    assert site.ask(path, method=method).status == status
    assert not site.signed


def test_a_date_is_read_from_the_path_as_it_was_sent(site: Site) -> None:
    keep(site.traces, "req_0", to_file="2026-06-30")

    async def ask_raw(raw_path: bytes) -> int:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await site.api({**scope, "raw_path": raw_path}, receive, send)

        headers = {"authorization": f"Bearer {site.admin.secret}"}
        return (await ask(app, "/admin/traces/2026-06-30.jsonl", headers=headers)).status

    assert asyncio.run(ask_raw(b"/admin/traces/2026-06-30.jsonl")) == 200
    assert asyncio.run(ask_raw(b"/admin/traces/%32026-06-30.jsonl")) == 404


def test_parameters_that_nobody_asked_for_are_a_mistake(site: Site) -> None:
    keep(site.traces, "req_1")
    for path in (f"{LIST}/req_1", "/admin/traces/2026-06-30.jsonl"):
        assert site.ask(path, b"x=1").status == 400
    for path in (f"{LIST}/redact", f"{LIST}/req_1/replay"):
        assert site.ask(path, b"x=1", method="POST", body=b"{}").status == 400


def test_a_dry_run_keeps_nothing_on_record(site: Site) -> None:
    reply = site.ask(f"{LIST}/redact", method="POST", body=json.dumps({"text": "hello"}).encode())
    assert reply.json == {"text": "hello", "hits": [], "near_misses": [], "suspicions": []}
    assert not site.signed


def test_over_the_local_socket_the_user_is_on_record(site: Site) -> None:
    keep(site.traces, "req_1")
    local = make_api(LocalAccess(), site.services, site.clock)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"][ACTOR] = "local:ada"
        await local(scope, receive, send)

    assert asyncio.run(ask(app, f"{LIST}/req_1")).status == 200
    assert (site.signed[0].actor, site.signed[0].origin.address) == ("local:ada", None)
