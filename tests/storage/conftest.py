from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import FakeClock
from tests.stored import Stored, open_stored


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stored(tmp_path: Path, clock: FakeClock) -> Iterator[Stored]:
    with open_stored(tmp_path / "data", clock) as stored:
        yield stored
