"""What was done is on record at the time at which it was done, and undone where it was undone."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from copilot_api.config.paths import DataDirectory
from copilot_api.demo.history import History
from copilot_api.storage.keys import SqlKeyRepository
from copilot_api.storage.stops import SqlStopRepository
from copilot_api.upstream.identities import DEFAULT_IDENTITY
from tests.fakes import FakeClock
from tests.stored import open_stored

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def test_each_act_is_on_record_in_its_order(tmp_path: Path) -> None:
    with open_stored(tmp_path, FakeClock(NOW)) as stored:
        directory = DataDirectory(tmp_path)
        history = History(
            directory,
            lambda audit: SqlKeyRepository(stored.database, audit),
            lambda audit: SqlStopRepository(stored.database, audit),
            NOW,
        )
        team = history.make()
        assert SqlStopRepository(stored.database, history.audit).find_stop(DEFAULT_IDENTITY) is None
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    times = [datetime.fromisoformat(line["at"]) for line in lines]
    assert times == sorted(times)
    assert NOW - timedelta(days=15) < times[0] < times[-1] < NOW
    actions = [line["action"] for line in lines]
    assert set(actions) >= {
        "key.issued", "key.updated", "key.rotated", "key.revoked", "key.refused", "config.changed", "capture.started",
        "capture.ended", "identity.stopped", "identity.resumed", "login.failed", "login.succeeded", "usage.exported",
    }  # fmt: skip
    assert sum("rollback" in line["detail"] for line in lines) == 1
    for secret in (team.admin.secret, *(issued.secret for issued in team.keys.values())):
        assert secret not in (tmp_path / "audit.jsonl").read_text()
