"""
A key is erased beside a gateway that serves with it, out of the journal of one that is gone, and by a command that is
killed: each time nothing of it is left but in the audit log, and every sum is right.
"""

import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from copilot_api.storage.rollup_upkeep import find_differences
from tests.fakes import FakeClock
from tests.harness import GatewayProcess, Simulator, free_environment, wait_until
from tests.journeys.markers import chat, say
from tests.journeys.wire import CHAT, opened, send
from tests.ledgers import DAY_ONE
from tests.privacy.site import LABEL as SITE_LABEL
from tests.privacy.site import open_site
from tests.stored import open_stored

LABEL = "anna@example.org"
COUNT = 5


@pytest.fixture
def own(home: Path, lone_simulator: Simulator) -> Iterator[GatewayProcess]:
    lone_simulator.reset()
    with GatewayProcess(home, lone_simulator.url) as running:
        yield running
    lone_simulator.reset()


def issue(gateway: GatewayProcess, label: str = LABEL) -> dict[str, Any]:
    return dict(json.loads(gateway.cli("keys", "create", "--label", label, "--json")))


def call(gateway: GatewayProcess, key: str, count: int = COUNT) -> None:
    for _ in range(count):
        assert send(gateway.url, CHAT, chat(say("hello")), key=key).status == 200


def erase(gateway: GatewayProcess, reference: str, fate: str = "pseudonymise") -> dict[str, Any]:
    return dict(json.loads(gateway.cli("privacy", "erase", reference, "--events", fate, "--yes", "--json")))


def files_with(home: Path, *needles: str) -> set[str]:
    """Which files hold any of these, but for the audit log."""
    paths = (path for path in home.rglob("*") if path.is_file() and not path.name.startswith("audit"))
    return {path.name for path in paths if any(needle.encode() in path.read_bytes() for needle in needles)}


def check_gone(gateway: GatewayProcess, key: dict[str, Any]) -> None:
    names = (key["id"], key["prefix"], LABEL)
    wait_until(lambda: not files_with(gateway.home, *names), 10, "nothing is left")
    checks = json.loads(gateway.cli("doctor", "--deep", "--json", check=False))
    (sums,) = [check for check in checks["checks"] if check["name"] == "sums"]
    assert sums["state"] == "ok"


@pytest.mark.parametrize("fate", ["pseudonymise", "delete"])
def test_a_key_is_erased_while_a_call_with_it_is_under_way(
    own: GatewayProcess, lone_simulator: Simulator, fate: str
) -> None:
    key, other = issue(own), issue(own, "somebody else")
    call(own, key["key"])
    call(own, other["key"])
    lone_simulator.post("/_sim/pace", {"gap_seconds": 0.1, "tokens": 40})
    with opened(own.url, CHAT, chat("count", stream=True), key=key["key"]) as response:
        assert response.readline().startswith(b"data: ")
        receipt = erase(own, LABEL, fate)
        # It was allowed when it began. What it used is stored when it ends, under no name that leads to the key.
        assert response.read().endswith(b"data: [DONE]\n\n")
    expected = 2 * COUNT + 1 if fate == "pseudonymise" else COUNT
    wait_until(lambda: len(own.events()) == expected, 10, "the events")
    assert send(own.url, CHAT, chat(say("hello")), key=key["key"]).status == 401
    assert receipt["leftovers"] == []
    assert {event["key_id"] for event in own.events()} & {key["id"]} == set()
    check_gone(own, key)
    assert send(own.url, CHAT, chat(say("hello")), key=other["key"]).status == 200
    assert key["id"] not in send(own.url, "/metrics").body.decode()


def test_what_a_gateway_captured_of_a_key_is_handed_over_and_then_forgotten(
    own: GatewayProcess, tmp_path: Path
) -> None:
    key = issue(own)
    own.cli("keys", "debug", key["id"], "--reason", "a test", "--for", "1h")
    assert send(own.url, CHAT, chat(say("hello")), key=key["key"]).headers["x-capi-capture"] == "on"
    path = tmp_path / "a.zip"

    def is_captured() -> bool:
        path.unlink(missing_ok=True)
        own.cli("privacy", "export", LABEL, "--output", str(path))
        with zipfile.ZipFile(path) as archive:
            return len(archive.read("traces.jsonl").splitlines()) == 1

    wait_until(is_captured, 20, "the capture")
    receipt = erase(own, LABEL)
    assert receipt["traces_in_memory"] == 1
    assert json.loads(own.cli("traces", "list", "--json")) == []
    check_gone(own, key)


def test_the_journal_of_a_gateway_that_was_killed_is_erased_too(own: GatewayProcess, lone_simulator: Simulator) -> None:
    key = issue(own)
    call(own, key["key"])
    lone_simulator.post("/_sim/pace", {"gap_seconds": 0.1, "tokens": 100})
    with opened(own.url, CHAT, chat("count", stream=True), key=key["key"]) as response:
        assert response.readline().startswith(b"data: ")
        own.stop(signal.SIGKILL)
    assert files_with(own.home / "spool", key["id"])
    receipt = erase(own, LABEL)
    assert receipt["journal_lines"] > 0
    assert list((own.home / "spool").iterdir()) == []
    events = own.events()
    assert [event["cause"] for event in events].count("interrupted") == 1
    (name,) = {event["key_id"] for event in events}
    assert name.startswith("erased_")
    check_gone(own, key)


@pytest.mark.parametrize("fate", ["pseudonymise", "delete"])
@pytest.mark.parametrize("line", ["ending the key", "the journal, the ledger", "looking for what is left"])
def test_a_command_that_is_killed_is_finished_by_the_next(home: Path, fate: str, line: str) -> None:
    with open_site(home) as site:
        key, events, others = site.key, len(site.events), len(site.others_events)
        site.fill_journal()
        site.write_traces()
    environment = free_environment(COPILOT_API_HOME=str(home))
    command = [sys.executable, "-m", "copilot_api", "privacy", "erase", key.id, "--events", fate, "--yes", "--json"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as eraser:
        assert eraser.stderr is not None
        for shown in eraser.stderr:
            if shown.decode().startswith(line):
                eraser.kill()
    assert eraser.returncode == -signal.SIGKILL
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout)["leftovers"] == []
    assert files_with(home, key.id, key.prefix, SITE_LABEL) == set()
    with open_stored(home, FakeClock()) as stored:
        assert list(find_differences(stored.database)) == []
        period = (DAY_ONE - timedelta(days=30), DAY_ONE + timedelta(days=30))
        assert len(list(stored.usage.list_events(*period))) == (events + 6 if fate == "pseudonymise" else others + 3)
