"""`start` as a stranger would run it: with and without a credential, on whatever lies in the data directory."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.conftest import Cli
from tests.harness import GatewayProcess, Simulator, http_json, wait_until
from tests.journeys.commands import ListeningGateway, Terminal, admin_key, run_gateway
from tests.journeys.conftest import Journey
from tests.journeys.markers import chat, say
from tests.journeys.wire import CHAT, opened, send

TOKEN = "ghu_given000000000000000000000000000000"


@pytest.fixture
def slowly(simulator: Simulator) -> Iterator[None]:
    """Answers take about a second."""
    simulator.post("/_sim/pace", {"gap_seconds": 0.05, "tokens": 24})
    yield
    simulator.post("/_sim/pace", {"gap_seconds": 0, "tokens": 24})


def modes(directory: Path) -> dict[str, str]:
    """The mode of the directory and of everything in it."""
    paths = [directory, *directory.rglob("*")]
    return {str(path.relative_to(directory)): oct(stat.S_IMODE(path.lstat().st_mode)) for path in paths}


def wrong_modes(directory: Path) -> dict[str, str]:
    """What is not private."""
    return {
        name: mode
        for name, mode in modes(directory).items()
        if mode != ("0o700" if (directory / name).is_dir() else "0o600")
    }


# The credential ------------------------------------------------------------------------------------------------------


def test_without_a_credential_and_a_terminal_it_says_what_to_do(home: Path, simulator: Simulator) -> None:
    ended = run_gateway(GatewayProcess(home, simulator.url, github_token=None))
    assert ended.code in {1, 2}
    assert ended.err.startswith("error: ")
    assert "\nhint: " in ended.err
    for way_out in ("auth login", "--github-token", "GH_TOKEN"):
        assert way_out in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("given", ["--github-token", "GH_TOKEN", "COPILOT_API_GITHUB_TOKEN", "file"])
def test_a_credential_may_be_given_in_any_of_the_usual_ways(home: Path, simulator: Simulator, given: str) -> None:
    flags = (given, TOKEN) if given.startswith("-") else ()
    variables = {given: TOKEN} if given.isupper() else {}
    if given == "file":
        home.mkdir()
        (home / "github_token").write_text(f"{TOKEN}\n")
    with GatewayProcess(home, simulator.url, *flags, github_token=None, **variables) as gateway:
        assert send(gateway.url, "/readyz").json["checks"]["token"]["ok"] is True
        assert TOKEN not in gateway.output
    exchanges = [request for request in simulator.requests if request["path"] == "/copilot_internal/v2/token"]
    assert exchanges[-1]["headers"]["authorization"] == f"token {TOKEN}"
    assert (home / "github_token").exists() is (given == "file"), "a given token is used, not kept"


def test_a_given_token_wins_over_the_kept_one(home: Path, simulator: Simulator) -> None:
    home.mkdir()
    (home / "github_token").write_text("ghu_kept0000000000000000000000000000000")
    with GatewayProcess(home, simulator.url, "-g", TOKEN, GH_TOKEN="ghu_variable0000000000000000000000000000"):
        pass
    exchanges = [request for request in simulator.requests if request["path"] == "/copilot_internal/v2/token"]
    assert exchanges[-1]["headers"]["authorization"] == f"token {TOKEN}"
    assert (home / "github_token").read_text() == "ghu_kept0000000000000000000000000000000"


@pytest.mark.parametrize("content", ["  \n", "two words", "ghu_\u00fcmlaut", "\x00\x01"])
def test_a_file_that_holds_no_token_is_not_sent_anywhere(home: Path, simulator: Simulator, content: str) -> None:
    home.mkdir()
    (home / "github_token").write_text(content)
    before = len(simulator.requests)
    ended = run_gateway(GatewayProcess(home, simulator.url, github_token=None))
    assert ended.code in {1, 2}
    assert "hint: " in ended.err
    assert "Traceback" not in ended.err
    assert len(simulator.requests) == before


def test_show_token_shows_it_only_when_asked(home: Path, simulator: Simulator) -> None:
    with ListeningGateway(home, simulator.url, "--show-token", "-g", TOKEN) as gateway:
        assert f"GitHub token: {TOKEN}" in gateway.output


def test_on_a_terminal_it_logs_in_first(home: Path, simulator: Simulator) -> None:
    """The code is shown, the credential kept, and the gateway serves; the admin key is shown this once."""
    simulator.post("/_sim/device", {"pending_polls": 0, "interval_seconds": 1, "login": "ada"})
    gateway = GatewayProcess(home, simulator.url, github_token=None)
    try:
        with Terminal(gateway.arguments, gateway.environment) as terminal:
            terminal.expect(r"enter ([A-Z0-9]{4}-[A-Z0-9]{4})")
            terminal.expect(r"logged in as ada")
            admin = terminal.expect(r"\n    (sk-cap-[a-z2-7]{52})\n").group(1)
            url = terminal.expect(r"listening on (http\S+)").group(1)
            wait_until(lambda: http_json("GET", f"{url}/readyz")[0] == 200, 10, "ready")
            assert send(url, CHAT, chat(say("hello")), key=admin).text == "hello"
            assert terminal.stop() == 0
            assert "ghu_" not in terminal.shown
    finally:
        simulator.reset()
    token = home / "github_token"
    assert token.read_text().startswith("ghu_sim_ada_")
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert not (home / "admin.key.txt").exists(), "shown on the terminal, so not left in a file"


# The data directory --------------------------------------------------------------------------------------------------


def test_everything_in_the_data_directory_is_private(home: Path, simulator: Simulator) -> None:
    """Whatever the umask."""
    before = os.umask(0)
    try:
        with GatewayProcess(home, simulator.url) as gateway:
            journey = Journey(gateway, simulator, admin_key(gateway))
            journey.events(journey.send(CHAT, chat("hello")))
            assert wrong_modes(home) == {}
            found = set(modes(home))
            assert {".", "copilot-api.db", "admin.key.txt", "audit.jsonl", "spool"} <= found
        assert wrong_modes(home) == {}
    finally:
        os.umask(before)


def test_a_directory_of_the_original_program_is_adopted(home: Path, simulator: Simulator) -> None:
    """Its token is used as it is; its modes, which let everybody read it, are tightened."""
    home.mkdir(mode=0o755)
    (home / "github_token").write_text(TOKEN)
    (home / "github_token").chmod(0o644)
    with GatewayProcess(home, simulator.url, github_token=None):
        assert wrong_modes(home) == {}
    assert (home / "github_token").read_text() == TOKEN


@pytest.mark.parametrize(
    "name", ["github_token", "config.json", "audit.jsonl", "admin.key.txt", "copilot-api.db", "keys.stamp", "spool"]
)
def test_links_are_refused(home: Path, cli: Cli, tmp_path: Path, name: str) -> None:
    """A link in our place would have us read, or write, somebody else's file."""
    elsewhere = tmp_path / "elsewhere"
    if name == "spool":
        elsewhere.mkdir()
    else:
        elsewhere.write_text("{}")
    home.mkdir(mode=0o700)
    (home / name).symlink_to(elsewhere)
    before = elsewhere.stat()
    ended = cli("start", "--port", "0")
    assert ended.code in {1, 2}
    assert "symbolic link" in ended.err
    assert str(home / name) in ended.err
    after = elsewhere.stat()
    assert (after.st_mode, after.st_size, after.st_mtime_ns) == (before.st_mode, before.st_size, before.st_mtime_ns)


def test_a_linked_credential_is_refused_by_a_program_of_its_own(
    home: Path, simulator: Simulator, tmp_path: Path
) -> None:
    home.mkdir(mode=0o700)
    (tmp_path / "elsewhere").write_text(TOKEN)
    (home / "github_token").symlink_to(tmp_path / "elsewhere")
    ended = run_gateway(GatewayProcess(home, simulator.url, github_token=None))
    assert ended.code in {1, 2}
    assert "symbolic link" in ended.err
    assert TOKEN not in ended.err
    assert "Traceback" not in ended.err


def test_a_linked_data_directory_is_refused(home: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    home.symlink_to(tmp_path / "elsewhere")
    ended = cli("start", "--port", "0")
    assert ended.code in {1, 2}
    assert "symbolic link" in ended.err
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_data_directory_that_cannot_be_made_says_so(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COPILOT_API_HOME", str(tmp_path / "file" / "home"))
    ended = cli("start", "--port", "0")
    assert ended.code in {1, 2}
    assert str(tmp_path / "file" / "home") in ended.err


# The configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"version": 1, "limit": {}}', "limit"),
        ('{"version": 1, "limits": {"max_body_mb": 1, "max_bodies": 2}}', "max_bodies"),
        ('{"version": 1, "features": {"auht": false}}', "auht"),
        ('{"version": 1, "features": {"auth": "no"}}', "features.auth"),
        ('{"version": 2}', "version"),
        ('{"limits": {"max_body_mb": 0}}', "limits.max_body_mb"),
        ('{"version": 1,}', "config.json"),
        ("", "config.json"),
        ("[]", "config.json"),
        ("\xff", "config.json"),
    ],
    ids=["field", "nested field", "typo", "type", "version", "range", "comma", "empty", "list", "bytes"],
)
def test_a_wrong_configuration_is_refused_by_the_name_of_what_is_wrong(
    home: Path, cli: Cli, content: str, says: str
) -> None:
    home.mkdir(mode=0o700)
    (home / "config.json").write_text(content, encoding="latin-1")
    ended = cli("start", "--port", "0")
    assert ended.code == 2
    assert says in ended.err
    assert str(home / "config.json") in ended.err
    assert "hint: " in ended.err


def test_the_configuration_does_what_it_says(home: Path, simulator: Simulator) -> None:
    home.mkdir(mode=0o700)
    (home / "config.json").write_text('{"$schema": "x", "version": 1, "limits": {"max_body_mb": 1}}')
    with GatewayProcess(home, simulator.url) as gateway:
        journey = Journey(gateway, simulator, admin_key(gateway))
        large, fits = ["x" * (1024 * 1024 + spare) for spare in (0, -500)]
        assert journey.send(CHAT, chat(large)).status == 413
        assert journey.send(CHAT, chat(fits)).status != 413
        chunked = {"transfer-encoding": "chunked"}
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            body = json.dumps(chat(large)).encode()
            framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            assert journey.send(CHAT, framed, headers=chunked).status == 413


# Pointing Claude Code at it ------------------------------------------------------------------------------------------


def test_claude_code_gets_its_variables(home: Path, simulator: Simulator) -> None:
    with ListeningGateway(home, simulator.url, "--claude-code") as gateway:
        wait_until(lambda: "ANTHROPIC_BASE_URL" in gateway.output, 5, "the command")
        assert f"ANTHROPIC_BASE_URL={gateway.url} " in gateway.output
        assert "ANTHROPIC_AUTH_TOKEN=" in gateway.output


# The end -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_under_way_finishes_and_new_ones_are_refused(
    home: Path, simulator: Simulator, slowly: None, number: int
) -> None:
    """A rolling restart drops nothing: what runs may end, what is idle is closed, what is new goes elsewhere."""
    gateway = GatewayProcess(home, simulator.url)
    codes: list[int] = []
    with gateway:
        journey = Journey(gateway, simulator, admin_key(gateway))
        whole: list[Any] = []
        calling = threading.Thread(target=lambda: whole.append(journey.send(CHAT, chat("a whole answer"))))
        with (
            opened(gateway.url, CHAT, chat("count", stream=True), key=journey.key) as response,
            idle_connection(gateway.url) as idle,
        ):
            assert response.readline().startswith(b"data: ")
            calling.start()
            wait_until(lambda: simulator.stats["in_flight"] == 2, 5, "both calls are upstream")
            stopping = threading.Thread(target=lambda: codes.append(gateway.stop(number)))
            stopping.start()
            wait_until(lambda: http_json("GET", f"{gateway.url}/healthz", seconds=5)[0] == 0, 5, "no new connections")
            assert idle.recv(100) == b"", "an idle connection is closed at once"
            rest = response.read()
        stopping.join(20)
        calling.join(20)
    assert rest.endswith(b"data: [DONE]\n\n")
    assert rest.count(b'"finish_reason":"stop"') == 1
    assert whole[0].status == 200
    assert codes == [0]
    assert "stopping" in gateway.output
    with GatewayProcess(home, simulator.url) as again:
        assert [event["cause"] for event in again.events()] == ["ok", "ok"]


@contextlib.contextmanager
def idle_connection(url: str) -> Iterator[socket.socket]:
    """A connection that has had one answer and waits."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        yield connection


def test_a_second_signal_ends_it_at_once(home: Path, simulator: Simulator) -> None:
    """The client hears of it; the ledger says that the call was interrupted."""
    simulator.post("/_sim/pace", {"gap_seconds": 0.1, "tokens": 600})
    try:
        with GatewayProcess(home, simulator.url) as gateway:
            key = admin_key(gateway)
            with opened(gateway.url, CHAT, chat("count", stream=True), key=key) as response:
                assert response.readline().startswith(b"data: ")
                os.kill(gateway.pid, signal.SIGTERM)
                wait_until(lambda: "stopping" in gateway.output, 5, "it drains")
                began = time.monotonic()
                assert gateway.stop() == 0
                assert time.monotonic() - began < 5
                rest = response.read()
    finally:
        simulator.post("/_sim/pace", {"gap_seconds": 0, "tokens": 24})
    assert b"[DONE]" not in rest
    assert b'"error"' in rest
    with GatewayProcess(home, simulator.url) as again:
        assert [event["cause"] for event in again.events()] == ["interrupted"]


def test_whoever_can_read_the_address_can_stop_it(tmp_path: Path, simulator: Simulator) -> None:
    """From the moment that it says where it listens a signal ends it in order: scripts are quicker than people."""

    def stop_at_once(number: int, place: int) -> int:
        gateway = GatewayProcess(tmp_path / f"home{place}", simulator.url)
        with subprocess.Popen(
            gateway.arguments, env=gateway.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if b"listening on" in line:
                    process.send_signal(number)
                    break
            process.stderr.read()
            return process.wait(20)

    with ThreadPoolExecutor(2) as pool:
        numbers = [signal.SIGTERM, signal.SIGINT] * 2
        assert list(pool.map(stop_at_once, numbers, range(4))) == [0] * 4


def test_an_idle_gateway_ends_at_once(home: Path, simulator: Simulator) -> None:
    with ListeningGateway(home, simulator.url) as gateway, idle_connection(gateway.url):
        began = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - began < 3
        assert "Traceback" not in gateway.output
        assert gateway.lines[-1].rstrip().endswith("stopped")
