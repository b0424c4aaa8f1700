"""A filled data directory is one that the product itself could have left."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from copilot_api.audit.verify import verify
from copilot_api.config.paths import DataDirectory
from copilot_api.config.store import ConfigStore
from copilot_api.demo.fill import CAPTURED, CLIENT, NEAR_ITS_BUDGET, Filled, fill
from copilot_api.keys.models import Tier
from copilot_api.storage.rollup_upkeep import find_differences
from tests.fakes import FakeClock
from tests.stored import Stored, open_stored

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def filled(path: Path) -> Filled:
    directory = DataDirectory(path)
    directory.prepare()
    return fill(directory, FakeClock(NOW))


@pytest.fixture(scope="module")
def stored(path: Path, filled: Filled) -> Iterator[Stored]:
    with open_stored(path, FakeClock(NOW)) as opened:
        opened.keys.load()
        yield opened


def test_its_secrets_are_good(stored: Stored, filled: Filled) -> None:
    assert stored.keys.authenticate(filled.admin, NOW).tier is Tier.ADMIN
    for label, secret in filled.team.items():
        assert stored.keys.authenticate(secret, NOW).label == label
    assert {CLIENT, CAPTURED, NEAR_ITS_BUDGET} <= filled.team.keys()


def test_keys_are_in_every_state(stored: Stored) -> None:
    keys = {key.label: key for key in stored.keys.list_keys()}
    assert keys["old-laptop"].revoked_at is not None
    assert (keys["contractor"].expires_at or NOW) < NOW
    assert keys[CAPTURED].capture_at(NOW) is not None
    assert keys["ci"].policy.observe == ("rpm",)
    assert keys["ada"].last_used_at is not None
    assert NOW - keys["ada"].last_used_at < timedelta(days=1)
    assert all(NOW - timedelta(days=15) < key.created_at < NOW - timedelta(days=13) for key in keys.values())


def test_a_budget_is_nearly_used_up(stored: Stored) -> None:
    (key,) = (key for key in stored.keys.list_keys() if key.label == NEAR_ITS_BUDGET)
    (budget,) = key.policy.budgets
    monday = NOW.replace(hour=0, minute=0) - timedelta(days=NOW.weekday())
    spent = stored.usage.spent(key.id, monday, NOW)
    assert 0.7 < spent[0] / 1e9 / budget.amount < 1


def test_the_audit_log_is_whole(path: Path, filled: Filled) -> None:
    assert filled.admin
    verdict = verify(path / "audit.jsonl")
    assert verdict.problems == []
    assert verdict.lines > 30


def test_there_are_former_settings_of_different_days(path: Path, filled: Filled) -> None:
    assert filled.admin
    directory = DataDirectory(path)
    history = ConfigStore(directory.config, directory.config_history).history()
    assert len({version.at.date() for version in history}) >= 4


def test_rollups_are_those_of_the_events(stored: Stored) -> None:
    assert list(find_differences(stored.database)) == []
