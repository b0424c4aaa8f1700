"""Keys in a data directory of the test's own, a clock that stands still, and an admin site on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.admin.services import World
from tests.admin.site import Site
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
def site(stored: Stored, clock: FakeClock) -> Site:
    return Site(stored, clock)


@pytest.fixture
def world(stored: Stored, clock: FakeClock) -> World:
    return World(stored, clock)
