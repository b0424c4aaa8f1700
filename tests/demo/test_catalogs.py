"""The catalog became, step by step, what the simulator offers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from copilot_api.demo.catalogs import record_catalogs
from copilot_api.simulator.catalog import Catalog
from copilot_api.storage.catalogs import SqlCatalogRepository
from copilot_api.upstream.catalog import parse_catalog
from copilot_api.upstream.drift import compare
from tests.fakes import FakeClock
from tests.stored import open_stored

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_it_drifts_and_ends_where_the_simulator_is(tmp_path: Path) -> None:
    with open_stored(tmp_path, FakeClock()) as stored:
        repository = SqlCatalogRepository(stored.database)
        record_catalogs(repository, NOW)
        changes = repository.list_changes(NOW - timedelta(days=14), 100)
        latest = repository.find_latest()
    assert {change.kind.value for change in changes} >= {"added", "gone", "limits", "efforts"}
    assert len({change.at for change in changes}) >= 4
    assert latest is not None
    today = parse_catalog(Catalog().document)
    assert compare(latest.parse(), today, NOW) == []
