from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.limits.rig import Rig


@pytest.fixture(scope="module")
def _rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("limits") / "home") as rig:
        yield rig


@pytest.fixture
def rig(_rig: Rig) -> Iterator[Rig]:
    """A gateway with four slots and a simulator that the tests of one module share."""
    _rig.calm()
    yield _rig
    _rig.hang_up()
    _rig.calm()
    assert _rig.simulator.stats["failures"] == []


@pytest.fixture
def own_rig(tmp_path: Path) -> Iterator[Rig]:
    """One for a single test: to be stopped, killed, or told to stop."""
    with Rig(tmp_path / "home") as rig:
        yield rig
