"""Keys, traces and a clock that stands still."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_api.capture.files import TraceFiles
from copilot_api.capture.ring import Ring
from copilot_api.capture.service import Traces
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
def traces(stored: Stored, clock: FakeClock) -> Traces:
    return Traces(Ring(), TraceFiles(stored.directory.traces), clock.now())
