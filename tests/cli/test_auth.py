"""`auth`: the device login against the simulator, and which identity is used."""

import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.harness import Simulator

TOKEN = "ghu_sim_ada_0000000000000000000000000000"


@pytest.fixture(autouse=True)
def github(simulator: Simulator, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The simulator stands for GitHub; each test finds it as new, and a login that takes a second."""
    for name in ("GITHUB_URL", "GITHUB_API_URL", "UPSTREAM_URL"):
        monkeypatch.setenv(f"COPILOT_API_{name}", simulator.url)
    monkeypatch.delenv("GH_TOKEN", raising=False)
    simulator.reset()
    simulator.post("/_sim/device", {"pending_polls": 0, "interval_seconds": 1, "login": "ada"})
    yield simulator
    simulator.reset()


@pytest.fixture
def logged_in(home: Path) -> Path:
    """A data directory with a credential; its file."""
    home.mkdir(mode=0o700)
    (home / "github_token").write_text(TOKEN)
    return home / "github_token"


def polls(github: Simulator) -> int:
    """How often GitHub was asked whether the user is done."""
    return sum(request["path"] == "/login/oauth/access_token" for request in github.requests)


# Logging in ----------------------------------------------------------------------------------------------------------


def test_login_shows_the_code_and_keeps_the_token(cli: Cli, home: Path, github: Simulator) -> None:
    """The page and the code for a person, the account's name at the end, and the token for nobody to see."""
    github.post("/_sim/device", {"pending_polls": 1})
    ended = cli("auth", "login")
    assert (ended.code, ended.out) == (0, "")
    assert "https://github.com/login/device" in ended.err
    assert "enter " in ended.err
    assert "logged in as ada" in ended.err
    path = home / "github_token"
    token = path.read_text()
    assert token.startswith("ghu_sim_ada_")
    assert token not in ended.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert polls(github) == 2


def test_auth_alone_logs_in_and_replaces_what_was(cli: Cli, logged_in: Path, github: Simulator) -> None:
    github.post("/_sim/device", {"login": "grace"})
    ended = cli("auth")
    assert ended.code == 0
    assert "logged in as grace" in ended.err
    assert logged_in.read_text().startswith("ghu_sim_grace_")


def test_the_token_and_the_hosts_are_shown_when_asked_for(cli: Cli, home: Path, github: Simulator) -> None:
    ended = cli("auth", "login", "--show-token", "--verbose")
    assert ended.out.strip() == (home / "github_token").read_text()
    assert github.url in ended.err


@pytest.mark.parametrize(("outcome", "says"), [("deny", "refused"), ("expire", "expired")])
def test_a_login_that_fails_says_why_and_keeps_what_was(
    cli: Cli, logged_in: Path, github: Simulator, outcome: str, says: str
) -> None:
    github.post("/_sim/device", {"outcome": outcome})
    ended = cli("auth", "login")
    assert ended.code == 1
    assert says in ended.err
    assert "hint: run 'copilot-api auth login' again" in ended.err
    assert logged_in.read_text() == TOKEN


def test_a_code_that_nobody_uses_runs_out(cli: Cli, home: Path, github: Simulator) -> None:
    """It does not ask for ever."""
    github.post("/_sim/device", {"pending_polls": -1, "expires_in": 2})
    began = time.monotonic()
    ended = cli("auth", "login")
    assert ended.code == 1
    assert "expired" in ended.err
    assert time.monotonic() - began < 6
    assert polls(github) <= 3
    assert not (home / "github_token").exists()


def test_trouble_between_two_polls_does_not_end_the_login(cli: Cli, github: Simulator) -> None:
    github.post("/_sim/faults", {"name": "502", "endpoint": "/login/oauth/access_token", "count": 1})
    assert cli("auth", "login").code == 0


def test_a_github_that_is_not_there_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOT_API_GITHUB_URL", "http://127.0.0.1:9")
    ended = cli("auth", "login")
    assert ended.code == 1
    assert "http://127.0.0.1:9" in ended.err


def test_a_linked_credential_is_not_written_through(cli: Cli, home: Path, tmp_path: Path) -> None:
    home.mkdir(mode=0o700)
    (tmp_path / "elsewhere").write_text("precious")
    (home / "github_token").symlink_to(tmp_path / "elsewhere")
    ended = cli("auth", "login")
    assert ended.code in {1, 2}
    assert "symbolic link" in ended.err
    assert (tmp_path / "elsewhere").read_text() == "precious"


# Status --------------------------------------------------------------------------------------------------------------


def test_status_says_who_and_whether_copilot_accepts_them(cli: Cli, logged_in: Path) -> None:
    ended = cli("auth", "status", "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == {
        "login": "ada",
        "source": "github_token file",
        "kind": "GitHub App user token (exchanged for Copilot tokens)",
        "accepted": True,
        "reason": None,
    }
    text = cli("auth", "status")
    assert text.code == 0
    assert "ada" in text.out
    assert "accepted" in text.out
    assert TOKEN not in text.out + text.err + ended.out + ended.err


@pytest.mark.parametrize("given", ["flag", "GH_TOKEN", "COPILOT_API_GITHUB_TOKEN"])
def test_status_looks_at_a_given_token_instead(
    cli: Cli, logged_in: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    token = "ghu_sim_grace_00000000000000000000000000"
    if given == "flag":
        ended = cli("auth", "status", "--json", "--github-token", token)
    else:
        monkeypatch.setenv(given, token)
        ended = cli("auth", "status", "--json")
    document = json.loads(ended.out)
    assert document["login"] == "grace"
    assert document["source"] == "--github-token or GH_TOKEN"


@pytest.mark.parametrize("token", ["gho_sim_ada_000000000000000000000000000", "github_pat_sim_ada_000000000000000000"])
def test_status_of_a_token_that_is_used_directly(cli: Cli, github: Simulator, token: str) -> None:
    document = json.loads(cli("auth", "status", "--json", "-g", token).out)
    assert (document["login"], document["accepted"]) == ("ada", True)
    assert "used directly" in document["kind"]
    assert github.stats["token_exchanges"] == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("token_401_bad_github_token", "Bad credentials"), ("token_403_no_copilot_access", "no_copilot_access")],
)
def test_status_of_a_token_that_is_not_accepted(
    cli: Cli, logged_in: Path, github: Simulator, fault: str, reason: str
) -> None:
    """Exit code 1, for scripts, and the reason that GitHub gives, for people."""
    github.post("/_sim/faults", {"name": fault})
    ended = cli("auth", "status", "--json")
    assert ended.code == 1
    document = json.loads(ended.out)
    assert (document["login"], document["accepted"]) == ("ada", False)
    assert reason in document["reason"]
    text = cli("auth", "status")
    assert text.code == 1
    assert "not accepted" in text.out


def test_status_of_a_token_that_github_does_not_know(cli: Cli) -> None:
    ended = cli("auth", "status", "--json", "-g", "unknown_kind_of_token_00000000000")
    assert ended.code == 1
    document = json.loads(ended.out)
    assert (document["login"], document["accepted"]) == (None, False)


def test_status_without_a_credential_says_what_to_do(cli: Cli) -> None:
    ended = cli("auth", "status")
    assert (ended.code, ended.out) == (1, "")
    assert "hint: run 'copilot-api auth login'" in ended.err


def test_a_classic_token_is_refused_with_the_way_out(cli: Cli, github: Simulator) -> None:
    ended = cli("auth", "status", "-g", "ghp_00000000000000000000000000000000000")
    assert ended.code == 2
    assert "github_pat_" in ended.err
    assert github.requests == []


# Logging out ---------------------------------------------------------------------------------------------------------


def test_logout_deletes_the_credential(cli: Cli, logged_in: Path) -> None:
    ended = cli("auth", "logout")
    assert ended.code == 0
    assert "logged out" in ended.out
    assert not logged_in.exists()
    assert cli("auth", "status").code == 1


def test_logout_twice_is_no_failure(cli: Cli) -> None:
    ended = cli("auth", "logout")
    assert ended.code == 0
    assert "no credential" in ended.out
