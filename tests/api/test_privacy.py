"""`/admin/api/privacy`: an archive of all that is stored about a key, and its erasure, over HTTP."""

import asyncio
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from copilot_api.api.admin_endpoint import AdminEndpoint
from copilot_api.api.door import Door
from copilot_api.api.privacy import PrivacyApi
from copilot_api.keys.models import Tier
from copilot_api.privacy.receipts import Receipt
from copilot_api.privacy.tools import PrivacyTools
from tests.api.admin_router import make_admin_router
from tests.api.wire import Reply, ask
from tests.privacy.site import Site, open_site


class Plane:
    """The operations over a data directory with a key in it that has called."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.admin = site.stored.keys.issue("admin", tier=Tier.ADMIN, actor="test")
        self.hold: threading.Event | None = None
        door = Door(site.stored.keys, site.clock, is_open=False)
        self.api = PrivacyApi(door, site.clock, site.stored.directory, self.make_tools)
        erase = AdminEndpoint(door, site.clock, self.api.erase)
        self.router = make_admin_router({"export_privacy": self.api.export, "erase_privacy": erase})

    def make_tools(self) -> PrivacyTools:
        if self.hold is not None:
            self.hold.wait(10)
        return PrivacyTools(self.site.subjects, self.site.exporter, self.site.eraser)

    async def ask(self, path: str, body: Any) -> Reply:
        headers = {"authorization": f"Bearer {self.admin.secret}"}
        return await ask(
            self.router, f"/admin/api/privacy/{path}", method="POST", headers=headers, body=json.dumps(body).encode()
        )

    def call(self, path: str, body: Any) -> Reply:
        return asyncio.run(self.ask(path, body))


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with open_site(tmp_path / "data", events=20) as site:
        yield Plane(site)


def left_behind(plane: Plane) -> list[str]:
    return [path.name for path in plane.site.stored.directory.path.glob(".*")]


def test_an_archive_is_sent_whole_and_nothing_of_it_stays(plane: Plane) -> None:
    reply = plane.call("export", {"key": plane.site.key.label})
    headers = reply.headers or {}
    assert (reply.status, headers["content-type"]) == (200, "application/zip")
    assert headers["cache-control"] == "no-store"
    assert headers["content-length"] == str(len(reply.body))
    assert headers["x-capi-sha256"] == hashlib.sha256(reply.body).hexdigest()
    assert plane.site.key.id in headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        assert "usage-events.jsonl" in archive.namelist()
    assert left_behind(plane) == []
    line = plane.site.audit_lines()[-1]
    assert (line["action"], line["actor"], line["target"]) == (
        "privacy.exported",
        plane.admin.key.id,
        plane.site.key.id,
    )
    assert line["request_id"] == headers["x-request-id"]


def test_an_erasure_gives_its_receipt_and_is_on_record(plane: Plane) -> None:
    reply = plane.call("erase", {"key": plane.site.key.id, "events": "delete"})
    receipt = msgspec.convert(reply.json, Receipt)
    assert (reply.status, receipt.keys, receipt.leftovers) == (200, 1, [])
    assert plane.site.files_with(plane.site.key.id) == set()
    lines = [line for line in plane.site.audit_lines() if line["action"] == "privacy.erased"]
    assert {line["actor"] for line in lines} == {plane.admin.key.id}
    assert {line["request_id"] for line in lines} == {(reply.headers or {})["x-request-id"]}


def test_an_erasure_takes_an_id_and_nothing_that_two_may_share(plane: Plane) -> None:
    for name in (plane.site.key.label, plane.site.key.prefix, "key_none"):
        reply = plane.call("erase", {"key": name, "events": "delete"})
        assert (reply.status, reply.json["error"]["code"]) == (404, "key_not_found")
    assert plane.site.stored.keys.get(plane.site.key.id).revoked_at is None


def test_there_is_one_erasure_at_a_time(plane: Plane) -> None:
    plane.hold = threading.Event()

    async def test() -> tuple[Reply, Reply]:
        first = asyncio.get_running_loop().create_task(
            plane.ask("erase", {"key": plane.site.key.id, "events": "pseudonymise"})
        )
        await asyncio.sleep(0.05)
        second = await plane.ask("erase", {"key": plane.site.other.id, "events": "delete"})
        assert plane.hold is not None
        plane.hold.set()
        return await first, second

    first, second = asyncio.run(test())
    assert (first.status, second.status, second.json["error"]["code"]) == (200, 409, "erasure_under_way")


@pytest.mark.parametrize("body", [{}, {"key": 5}, {"key": "x", "events": "keep"}, {"key": "x", "more": 1}])
def test_what_is_not_said_in_full_is_refused(plane: Plane, body: dict[str, Any]) -> None:
    assert plane.call("erase", body).status == 400
    assert plane.call("export", {**body, "colour": "red"}).status == 400


def test_what_a_killed_process_left_half_written_goes_with_the_next_start(plane: Plane) -> None:
    directory = plane.site.stored.directory
    (directory.path / ".export-x").mkdir()
    (directory.path / ".export-x" / "a.zip").write_bytes(b"x")
    Plane(plane.site)
    assert left_behind(plane) == []
