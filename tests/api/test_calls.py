"""Ending a call: on record first, and not at all where that cannot be. tests/live/test_cancel.py ends real ones."""

import asyncio
from typing import Any

import pytest

from copilot_api.api.calls import Calls
from copilot_api.errors import StorageUnavailable
from copilot_api.gateway.under_way import CallCancelled
from copilot_api.keys.service import IssuedKey
from tests.api.admin_site import AdminSite, error_of
from tests.api.wire import Reply
from tests.gateway.calls import make_call, make_settlement


class Running:
    """A call under way, and the site that it can be ended from."""

    def __init__(self, site: AdminSite) -> None:
        self.site = site
        self.settlement, self.ledger, _ = make_settlement(site.clock)
        self.call = make_call(site.clock)
        self.append: Any = site.stored.audit.append
        self.ended_with: tuple[object, ...] = ()

    def end(self) -> Reply:
        """What an admin is answered who ends it."""

        async def carry() -> None:
            try:
                with self.settlement.follow(self.call, asyncio.current_task()) as record:
                    record.authenticated("key_a")
                    await asyncio.sleep(30)
            except asyncio.CancelledError as cancelled:
                self.ended_with = cancelled.args

        async def test() -> Reply:
            self.site.serve({"cancel_call": Calls(self.settlement, self.append).answer})
            task = asyncio.get_running_loop().create_task(carry())
            await asyncio.sleep(0)
            reply = await self.site.ask("POST", f"/calls/{self.call.request_id}/cancel")
            await asyncio.wait([task], timeout=0.05)
            if not task.done():
                task.cancel()
            await asyncio.wait([task])
            return reply

        return asyncio.run(test())


@pytest.fixture
def running(admin_site: AdminSite) -> Running:
    return Running(admin_site)


def test_it_ends_and_it_is_on_record_who_ended_it(running: Running, admin: IssuedKey) -> None:
    reply = running.end()
    assert (reply.status, reply.json) == (200, {"request_id": running.call.request_id, "cancelled": True})
    assert isinstance(running.ended_with[0], CallCancelled)
    line = running.site.audited()
    assert (line.action, line.actor, line.target) == ("call.cancelled", admin.key.id, running.call.request_id)
    assert line.detail == {"key_id": "key_a", "phase": "reading"}
    assert line.request_id == (reply.headers or {})["x-request-id"]


def test_one_that_is_not_there_is_not_found_and_not_on_record(running: Running) -> None:
    site = running.site
    site.serve({"cancel_call": Calls(running.settlement, running.append).answer})
    lines = len(site.stored.audit.list_events())
    assert error_of(site.call("POST", "/calls/req_none/cancel"))[:2] == (404, "call_not_under_way")
    assert len(site.stored.audit.list_events()) == lines


def test_what_cannot_be_put_on_record_is_not_done(running: Running) -> None:
    def fail(_event: object) -> None:
        raise StorageUnavailable("the disk is full")

    running.append = fail
    assert error_of(running.end())[:2] == (503, "storage_unavailable")
    assert running.ended_with == (), "the test ended it, nobody else"
