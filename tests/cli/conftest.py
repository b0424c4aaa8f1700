from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from copilot_api.cli.program import run
from copilot_api.clock import SystemClock
from copilot_api.config.environment import environment
from tests.stored import Stored, open_stored


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ended]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of the commands under test, and no other setting from outside."""
    for name in [name for name in environment() if name.startswith("COPILOT_API_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COPILOT_API_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def cli(home: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command."""

    def call(*arguments: str) -> Ended:
        code = run(arguments)
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture
def gateway(home: Path) -> Iterator[Stored]:
    """What a gateway on the same data directory sees."""
    with open_stored(home, SystemClock()) as stored:
        yield stored
