"""Keys in a data directory of the test's own, a clock that stands still, and the door to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_api.api.door import Door
from copilot_api.keys.models import Tier
from copilot_api.keys.service import IssuedKey
from tests.api.admin_site import AdminSite
from tests.fakes import FakeClock
from tests.stored import Stored, open_stored


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stored(tmp_path: Path, clock: FakeClock) -> Iterator[Stored]:
    with open_stored(tmp_path / "data", clock) as stored:
        yield stored


@pytest.fixture
def door(stored: Stored, clock: FakeClock) -> Door:
    return Door(stored.keys, clock, is_open=False)


@pytest.fixture
def open_door(stored: Stored, clock: FakeClock) -> Door:
    return Door(stored.keys, clock, is_open=True)


@pytest.fixture
def client(stored: Stored) -> IssuedKey:
    return stored.keys.issue("client", actor="test")


@pytest.fixture
def admin(stored: Stored) -> IssuedKey:
    return stored.keys.issue("admin", tier=Tier.ADMIN, actor="test")


@pytest.fixture
def admin_site(stored: Stored, door: Door, clock: FakeClock, admin: IssuedKey) -> AdminSite:
    return AdminSite(stored, door, clock, admin.secret)
