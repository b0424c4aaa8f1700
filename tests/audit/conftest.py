from pathlib import Path

import pytest

from tests.audit.logs import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "audit.jsonl")
