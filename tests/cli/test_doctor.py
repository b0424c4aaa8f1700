"""`copilot-api doctor`: everything that a gateway needs, each thing with its cure when it is not well."""

import json
import os
import socket
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from copilot_api.audit.models import Action, AuditEvent
from copilot_api.cli import doctor
from copilot_api.cli.doctor_ledger import State
from copilot_api.simulator.replies import load_document
from copilot_api.storage.catalogs import SqlCatalogRepository
from copilot_api.upstream.brake import Stop
from tests.cli.conftest import Cli
from tests.harness import GITHUB_TOKEN, GatewayProcess, Simulator
from tests.ledgers import random_events
from tests.stored import Stored

CHECKS = [
    "directory", "disk", "config.json", "database", "audit", "ledger", "identity", "catalog", "aliases", "credential", "GitHub API",
    "Copilot token", "Copilot API", "clock", "port",
]  # fmt: skip
NOW = datetime.now(UTC)


@pytest.fixture
def well(simulator: Simulator, gateway: Stored, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stored]:
    """Everything as it should be: a gateway ran here, somebody is logged in, the simulator stands for GitHub."""
    for name in ("GITHUB_URL", "GITHUB_API_URL", "UPSTREAM_URL"):
        monkeypatch.setenv(f"COPILOT_API_{name}", simulator.url)
    monkeypatch.setenv("COPILOT_API_PORT", "0")
    monkeypatch.delenv("GH_TOKEN", raising=False)
    token = gateway.directory.github_token
    token.touch(0o600)
    token.write_text(GITHUB_TOKEN)
    SqlCatalogRepository(gateway.database).record(load_document("models.json")["data"], NOW, [])
    gateway.keys.ensure_admin_key(actor="local:me")
    simulator.reset()
    yield gateway
    simulator.reset()


@pytest.fixture
def examine(cli: Cli) -> Callable[[], dict[str, dict[str, Any]]]:
    """What `doctor --json` says of each check; its exit code goes by that."""

    def call() -> dict[str, dict[str, Any]]:
        ended = cli("doctor", "--json")
        document = json.loads(ended.out)
        found = {check["name"]: check for check in document["checks"]}
        is_well = all(check["state"] != "failed" for check in found.values())
        assert (ended.code, document["ok"], ended.err) == (0 if is_well else 1, is_well, "")
        assert list(found) == CHECKS
        assert all(check["cure"] for check in found.values() if check["state"] in {"warning", "failed"})
        assert GITHUB_TOKEN not in ended.out
        return found

    return call


Examine = Callable[[], dict[str, dict[str, Any]]]


def states(found: dict[str, dict[str, Any]], *but: str) -> set[str]:
    """The states of all checks but these."""
    return {check["state"] for name, check in found.items() if name not in but}


@pytest.mark.usefixtures("well")
def test_where_all_is_well_it_says_so(examine: Examine, cli: Cli) -> None:
    found = examine()
    assert states(found) == {"ok"}
    assert found["credential"]["detail"].endswith("from github_token file")
    ended = cli("doctor")
    assert ended.code == 0
    assert [line.split()[0] for line in ended.out.splitlines()] == ["ok"] * len(CHECKS)
    assert GITHUB_TOKEN not in ended.out


@pytest.mark.usefixtures("home")
def test_before_the_first_start_it_says_what_will_come_and_makes_nothing(
    examine: Examine, home: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_URL", "GITHUB_API_URL", "UPSTREAM_URL"):
        monkeypatch.setenv(f"COPILOT_API_{name}", simulator.url)
    monkeypatch.delenv("GH_TOKEN", raising=False)
    monkeypatch.setenv("COPILOT_API_PORT", "0")
    found = examine()
    assert (found["directory"]["state"], found["database"]["state"]) == ("warning", "warning")
    assert {found[name]["state"] for name in ("identity", "catalog", "aliases")} == {"skipped"}
    assert found["credential"]["state"] == "failed"
    assert not home.exists()


def test_beside_a_running_gateway_all_is_well_and_the_port_is_ours(gateway_process: GatewayProcess) -> None:
    port = gateway_process.url.rpartition(":")[2]
    gateway_process.environment["COPILOT_API_PORT"] = port
    document = json.loads(gateway_process.cli("doctor", "--json"))
    assert [check["name"] for check in document["checks"] if check["state"] != "ok"] == []
    assert document["checks"][-1]["detail"] == f"a gateway answers on 127.0.0.1:{port}"


@pytest.fixture
def gateway_process(home: Path, simulator: Simulator) -> Iterator[GatewayProcess]:
    with GatewayProcess(home, simulator.url) as running:
        yield running


# The data directory -----------------------------------------------------------------------------------------------


def test_what_others_can_read_is_named_and_not_changed(examine: Examine, well: Stored) -> None:
    well.directory.github_token.chmod(0o644)
    well.directory.path.chmod(0o755)
    found = examine()["directory"]
    assert found["state"] == "failed"
    assert f"{well.directory.path} has mode 0755" in found["detail"]
    assert "github_token has mode 0644" in found["detail"]
    assert "chmod -R go= " in found["cure"]
    assert well.directory.github_token.stat().st_mode & 0o777 == 0o644


def test_links_are_named(examine: Examine, well: Stored) -> None:
    (well.directory.path / "spool").symlink_to("/tmp")
    assert "spool is a symbolic link" in examine()["directory"]["detail"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_others_is_named(examine: Examine, well: Stored) -> None:
    os.chown(well.directory.github_token, 12345, 12345)
    assert "github_token belongs to another user (uid 12345)" in examine()["directory"]["detail"]


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize(("free", "state"), [(10**12, "ok"), (500 * 1024**2, "warning"), (1024**2, "failed")])
def test_little_room_is_a_warning_and_none_is_a_failure(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])  # noqa: PYI024
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**12, 0, free))
    assert examine()["disk"]["state"] == state


# config.json ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["{", '{"models": 5}', '{"unknown": 1}', '{"version": 99}'])
def test_a_configuration_that_cannot_be_used_is_a_failure_and_the_rest_is_looked_at(
    examine: Examine, well: Stored, content: str
) -> None:
    well.directory.config.touch(0o600)
    well.directory.config.write_text(content)
    found = examine()
    assert found["config.json"]["state"] == "failed"
    assert str(well.directory.config) in found["config.json"]["detail"]
    assert states(found, "config.json") == {"ok"}


@pytest.mark.usefixtures("well")
def test_a_variable_that_cannot_be_used_is_a_failure(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOT_API_DRAIN_SECONDS", "soon")
    found = examine()["config.json"]
    assert (found["state"], found["cure"]) == ("failed", "mend the variable")
    assert "soon" in found["detail"]


def test_an_alias_without_a_model_is_a_warning(examine: Examine, well: Stored) -> None:
    well.directory.config.touch(0o600)
    well.directory.config.write_text('{"models": {"fast": {"upstream": "gpt-9"}, "good": {"upstream": "gpt-4.1"}}}')
    found = examine()
    assert (found["aliases"]["state"], found["aliases"]["detail"]) == ("warning", "without a model: fast (gpt-9)")
    assert states(found, "aliases") == {"ok"}


# The database -----------------------------------------------------------------------------------------------------


def test_a_database_that_is_locked_is_a_failure(
    examine: Examine, well: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LOCK_SECONDS", 0.05)
    with closing(sqlite3.connect(well.directory.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = examine()
        other.rollback()
    assert found["database"]["state"] == "failed"
    assert "locked" in found["database"]["detail"]
    assert "fuser" in found["database"]["cure"]
    assert states(found, "database") == {"ok", "skipped"}


@pytest.mark.parametrize("content", [b"this is no database" * 100, b""])
def test_a_file_that_is_no_database_is_not_taken_for_one(examine: Examine, well: Stored, content: bytes) -> None:
    well.database.close()
    for path in well.directory.path.glob("copilot-api.db*"):
        path.unlink()
    well.directory.database.touch(0o600)
    well.directory.database.write_bytes(content)
    found = examine()
    assert found["database"]["state"] == ("failed" if content else "warning")
    assert found["catalog"]["state"] == "skipped"


def test_a_database_that_is_damaged_is_found(examine: Examine, well: Stored) -> None:
    with well.database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                                   " LIMIT 2000) SELECT i, hex(randomblob(100)) AS text FROM n")  # fmt: skip
    with well.database.connect() as connection:
        root = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'big'").scalar()
        size = connection.exec_driver_sql("PRAGMA page_size").scalar()
    well.database.close()
    assert isinstance(root, int)
    assert isinstance(size, int)
    with well.directory.database.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\x00" * size)
    found = examine()["database"]
    assert found["state"] == "failed"
    assert "copy" in found["cure"]


@pytest.mark.parametrize(("version", "state"), [("0001", "warning"), ("9999", "failed")])
def test_a_schema_of_another_version_is_said_to_be_so_and_left_alone(
    examine: Examine, well: Stored, version: str, state: str
) -> None:
    with well.database.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (version,))
    found = examine()["database"]
    assert found["state"] == state
    assert version in found["detail"]
    with well.database.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == version


def test_an_identity_that_is_stopped_is_a_failure_and_nothing_is_sent_for_it(
    examine: Examine, well: Stored, simulator: Simulator
) -> None:
    event = AuditEvent("gateway", Action.IDENTITY_STOPPED, "default")
    well.stops.add_stop("default", Stop(NOW, "abuse"), event)
    found = examine()
    assert (found["identity"]["state"], "abuse" in found["identity"]["detail"]) == ("failed", True)
    assert "copilot-api resume" in found["identity"]["cure"]
    assert found["Copilot token"]["state"] == "skipped"
    assert [request for request in simulator.requests if "authorization" in request["headers"]] == []


def test_a_catalog_that_is_old_or_missing_is_a_warning(examine: Examine, well: Stored) -> None:
    SqlCatalogRepository(well.database).record([{"id": "m"}], NOW - timedelta(days=5), [])
    found = examine()["catalog"]
    assert (found["state"], found["detail"]) == ("warning", "1 models, stored 5 d ago")
    with well.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM catalog_snapshots")
    found = examine()
    assert (found["catalog"]["state"], found["aliases"]["state"]) == ("warning", "skipped")


# The credential ---------------------------------------------------------------------------------------------------


def test_without_a_credential_it_says_how_to_get_one(examine: Examine, well: Stored) -> None:
    well.directory.github_token.unlink()
    found = examine()
    assert found["credential"]["state"] == "failed"
    assert "copilot-api auth login" in found["credential"]["cure"]
    assert found["Copilot token"]["state"] == "skipped"
    assert states(found, "credential", "Copilot token") == {"ok"}


@pytest.mark.parametrize("content", ["ghp_" + "a" * 36, "two words", "\x00"])
def test_a_credential_that_github_will_not_take_is_a_failure_and_not_shown(
    examine: Examine, well: Stored, content: str
) -> None:
    well.directory.github_token.write_text(content)
    found = examine()["credential"]
    assert found["state"] == "failed"
    assert content not in json.dumps(found)


def test_a_token_that_is_given_is_the_one_that_is_looked_at(
    examine: Examine, well: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    well.directory.github_token.unlink()
    monkeypatch.setenv("GH_TOKEN", "gho_" + "a" * 36)
    found = examine()
    assert states(found) == {"ok"}
    assert "OAuth App token" in found["credential"]["detail"]


def test_a_credential_that_github_refuses_is_told_with_its_reason(examine: Examine, well: Stored) -> None:
    well.directory.github_token.write_text("not_a_token_of_theirs_0000000000000000")
    found = examine()
    assert found["Copilot token"]["state"] == "failed"
    assert "does not accept the credential" in found["Copilot token"]["detail"]
    assert "auth login" in found["Copilot token"]["cure"]
    assert states(found, "Copilot token") == {"ok"}


# What is outside --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("well")
def test_a_host_that_cannot_be_reached_is_a_failure_and_its_url_shows_no_password(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://me:hunter2@127.0.0.1:{free.getsockname()[1]}"
        for name in ("GITHUB_API_URL", "UPSTREAM_URL"):
            monkeypatch.setenv(f"COPILOT_API_{name}", url)
        found = examine()
    assert {found[name]["state"] for name in ("GitHub API", "Copilot API", "Copilot token")} == {"failed"}
    assert found["clock"]["state"] == "skipped"
    assert "hunter2" not in json.dumps(found)


@pytest.mark.usefixtures("well")
def test_a_host_that_does_not_answer_is_not_waited_for_long(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, simulator: Simulator
) -> None:
    monkeypatch.setattr(doctor, "PATIENCE_SECONDS", 0.2)
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("COPILOT_API_GITHUB_API_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        found = examine()
    assert "no answer within 0.2 s" in found["GitHub API"]["detail"]
    assert "no answer within 0.2 s" in found["Copilot token"]["detail"]
    assert found["Copilot API"]["state"] == "ok"


@pytest.mark.parametrize(
    ("seconds", "state", "detail"),
    [
        (0, State.OK, "as GitHub's"),
        (20, State.OK, "as GitHub's"),
        (60, State.WARNING, "60 s ahead of GitHub's"),
        (-60, State.WARNING, "60 s behind GitHub's"),
        (3 * 3600, State.FAILED, "3 h ahead of GitHub's"),
    ],
)
def test_the_clock_is_compared_with_githubs(seconds: int, state: State, detail: str) -> None:
    there = datetime(2026, 7, 1, tzinfo=UTC)
    found = doctor._check_clock(format_datetime(there, usegmt=True), there + timedelta(seconds=seconds))
    assert (found.state, found.detail) == (state, detail)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Wed, 01 Jul 2026 00:00:00"])
def test_a_date_that_is_none_is_nothing_to_compare_with(date: str | None) -> None:
    assert doctor._check_clock(date, datetime(2026, 7, 1, tzinfo=UTC)).state is State.SKIPPED


@pytest.mark.usefixtures("well")
def test_a_port_that_is_another_programs_is_a_failure(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, simulator: Simulator
) -> None:
    monkeypatch.setenv("COPILOT_API_PORT", simulator.url.rpartition(":")[2])
    found = examine()["port"]
    assert found["state"] == "failed"
    assert "--port" in found["cure"]


@pytest.mark.usefixtures("well")
def test_a_port_that_nobody_has_is_free(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("COPILOT_API_PORT", str(port))
    assert examine()["port"]["detail"] == f"127.0.0.1:{port} is free"


# The ledger ---------------------------------------------------------------------------------------------------------


def test_the_sums_are_looked_at_when_that_is_asked_for_and_mended_when_that_is(cli: Cli, well: Stored) -> None:
    well.usage.add_events(random_events(200, days=1, first=NOW - timedelta(days=2)))

    def examine_sums(*flags: str) -> tuple[int, dict[str, Any]]:
        ended = cli("doctor", "--deep", *flags, "--json")
        checks = {check.pop("name"): check for check in json.loads(ended.out)["checks"]}
        assert list(checks) == [*CHECKS, "sums"]
        return ended.code, checks["sums"]

    assert examine_sums()[0] == 0
    with well.database.begin() as connection:
        connection.exec_driver_sql("UPDATE usage_hours SET errors = errors + 1 WHERE grain = 0")
    code, sums = examine_sums()
    assert (code, sums["state"], sums["cure"]) == (1, "failed", "'copilot-api doctor --deep --mend'")
    shown = cli("doctor", "--deep")
    assert shown.code == 1
    assert shown.out.splitlines()[-1].endswith("-> 'copilot-api doctor --deep --mend'")
    code, sums = examine_sums("--mend")
    assert (code, sums["state"], sums["detail"].endswith("; made anew")) == (0, "warning", True)
    assert examine_sums()[1]["state"] == "ok"


@pytest.mark.usefixtures("home")
def test_mending_goes_with_looking(cli: Cli) -> None:
    ended = cli("doctor", "--mend")
    assert (ended.code, ended.out) == (2, "")
    assert "--mend goes with --deep" in ended.err


@pytest.mark.parametrize("version", ["0001", "9999"])
def test_the_sums_of_a_schema_of_another_version_are_left_alone(cli: Cli, well: Stored, version: str) -> None:
    with well.database.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (version,))
        for table in ("usage_hours", "usage_days", "usage_state"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
    checks = {each["name"]: each for each in json.loads(cli("doctor", "--deep", "--mend", "--json").out)["checks"]}
    for name in ("ledger", "sums"):
        assert (checks[name]["state"], checks[name]["detail"]) == ("skipped", "needs the database")
