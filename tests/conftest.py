"""Shared set-up: one simulator and one gateway for each test process, and fresh ones for tests that break things."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.harness import GatewayProcess, Simulator

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: a test that runs real programs waits for them half of its time."""
    return 2 * (os.cpu_count() or 1)


SLOW_FIRST = (
    "browser", "journeys", "faults", "cli", "limits", "agents", "sdk_node", "live", "openapi", "bench", "sdk", "privacy",
)  # fmt: skip
"""Directories whose files take the longest: begun last, one of them would run alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See `SLOW_FIRST`; the files of a directory stay together, since they share what was set up."""
    places = {name: place for place, name in enumerate(SLOW_FIRST)}
    here = Path(__file__).parent
    items.sort(key=lambda item: places.get(item.path.relative_to(here).parts[0], len(places)))


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """The simulator that all tests of this process share; a test that changes it resets it."""
    with Simulator() as running:
        yield running


@pytest.fixture(scope="session")
def gateway(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway on the shared simulator, for tests that leave it as it was."""
    with GatewayProcess(tmp_path_factory.mktemp("home"), simulator.url) as running:
        yield running


@pytest.fixture(scope="session")
def client_key(gateway: GatewayProcess) -> str:
    """A client key of the shared gateway."""
    return gateway.create_key("shared client")


@pytest.fixture(scope="session")
def admin_key(gateway: GatewayProcess) -> str:
    """The bootstrap admin key of the shared gateway."""
    return (gateway.home / "admin.key.txt").read_text().strip()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data directory of one's own."""
    return tmp_path / "home"
