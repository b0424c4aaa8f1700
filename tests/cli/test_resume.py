"""`copilot-api resume` lifts a stop, once, and says what it was."""

import json
from datetime import UTC, datetime

from copilot_api.audit.models import Action, AuditEvent
from copilot_api.upstream.brake import Stop
from tests.cli.conftest import Cli
from tests.stored import Stored

AT = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def stop(gateway: Stored) -> None:
    gateway.stops.add_stop("default", Stop(AT, "abuse"), AuditEvent("gateway", Action.IDENTITY_STOPPED, "default"))


def test_a_stop_is_lifted_and_said_to_be(cli: Cli, gateway: Stored) -> None:
    stop(gateway)
    ended = cli("resume")
    assert (ended.code, ended.out) == (0, "resumed: default, which was stopped at 2026-07-01T12:00:00+00:00: abuse\n")
    assert gateway.stops.find_stop("default") is None
    lines = [json.loads(line) for line in gateway.directory.audit.read_text().splitlines()]
    assert [line["action"] for line in lines] == ["identity.stopped", "identity.resumed"]
    assert lines[-1]["actor"].startswith("local:")


def test_without_a_stop_nothing_is_done_nor_put_on_record(cli: Cli, gateway: Stored) -> None:
    ended = cli("resume")
    assert (ended.code, ended.out, ended.err) == (0, "", "not stopped: default\n")
    assert not gateway.directory.audit.exists() or gateway.directory.audit.read_text() == ""


def test_scripts_get_json(cli: Cli, gateway: Stored) -> None:
    stop(gateway)
    first, second = json.loads(cli("resume", "--json").out), json.loads(cli("resume", "--json").out)
    assert first == {
        "identity": "default", "was_stopped": True, "since": "2026-07-01T12:00:00+00:00", "reason": "abuse",
    }  # fmt: skip
    assert (second["was_stopped"], second["since"]) == (False, None)
