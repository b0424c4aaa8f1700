from collections.abc import Iterator

import pytest

from tests.faults.pair import Pair
from tests.harness import GatewayProcess, Simulator


@pytest.fixture(scope="module")
def _pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with (
        Simulator() as simulator,
        GatewayProcess(tmp_path_factory.mktemp("faults") / "home", simulator.url) as gateway,
    ):
        yield Pair(simulator, gateway)


@pytest.fixture
def pair(_pair: Pair) -> Iterator[Pair]:
    """A gateway and a simulator that the tests of one module share. Whatever they do to it, it must survive."""
    _pair.calm()
    _pair.forget()
    _pair.tell(*_pair.untold_events())
    yield _pair
    _pair.hang_up()
    _pair.calm()
    assert _pair.simulator.stats["failures"] == []
