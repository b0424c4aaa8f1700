"""The pages put together, with their real templates."""

import asyncio

from copilot_api.admin.site import AdminSite
from copilot_api.api.door import Door
from copilot_api.storage.sessions import SqlSessionRepository
from tests.fakes import FakeClock
from tests.stored import Stored


def test_it_is_there_before_the_door_and_the_pages_after(stored: Stored, clock: FakeClock) -> None:
    repository = SqlSessionRepository(stored.database, stored.audit)
    site = AdminSite(stored.keys, repository, clock, stored.audit.append, lambda _: None, is_on=False)
    assert not site.access.is_on
    site.stop()
    door = Door(stored.keys, clock, is_open=False, sessions=site.access)
    pages = site.make_pages(door)
    assert {route.path for route in pages.table.routes} >= {"/admin/login", "/admin/logout", "/admin/step-up"}
    assert site.make_session_api(door) is not None
    site.stop()
    asyncio.run(site.finish())
