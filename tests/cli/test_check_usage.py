"""`check-usage`: what is left of the account's Copilot allowance."""

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from copilot_api.cli.check_usage import render_snapshot
from copilot_api.upstream.quotas import parse_quota
from tests.cli.conftest import Cli
from tests.harness import Simulator

TOKEN = "ghu_sim_ada_0000000000000000000000000000"


@pytest.fixture
def github(simulator: Simulator, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The simulator stands for GitHub, and somebody is logged in."""
    for name in ("GITHUB_URL", "GITHUB_API_URL", "UPSTREAM_URL"):
        monkeypatch.setenv(f"COPILOT_API_{name}", simulator.url)
    monkeypatch.delenv("GH_TOKEN", raising=False)
    home.mkdir(mode=0o700)
    (home / "github_token").write_text(TOKEN)
    simulator.reset()
    yield simulator
    simulator.reset()


def premium(cli: Cli) -> dict[str, Any]:
    """The allowance of premium interactions, as `--json` has it."""
    document = json.loads(cli("check-usage", "--json").out)
    return dict(next(entry for entry in document["snapshots"] if entry["name"] == "premium_interactions"))


def premium_line(cli: Cli) -> str:
    """The same as people see it."""
    return next(line for line in cli("check-usage").out.splitlines() if line.startswith("premium_interactions"))


def test_it_shows_the_account_and_its_allowances(cli: Cli, github: Simulator) -> None:
    ended = cli("check-usage")
    assert (ended.code, ended.err) == (0, "")
    assert "account  ada" in ended.out
    assert "plan     " in ended.out
    assert "resets   20" in ended.out
    assert "29 of 300 used (10%)" in premium_line(cli)
    assert "unlimited" in ended.out
    assert TOKEN not in ended.out


def test_json_is_for_scripts(cli: Cli, github: Simulator) -> None:
    ended = cli("check-usage", "--json")
    document = json.loads(ended.out)
    assert document["login"] == "ada"
    assert document["plan"]
    names = [entry["name"] for entry in document["snapshots"]]
    assert {"premium_interactions", "chat", "completions"} <= set(names)
    assert (premium(cli)["entitlement"], premium(cli)["remaining"]) == (300, 271)
    assert TOKEN not in ended.out


@pytest.mark.parametrize(
    ("used", "bar", "says"),
    [
        (0, 0, "0 of 300 used (0%)"),
        (150, 15, "150 of 300 used (50%)"),
        (300, 30, "300 of 300 used (100%)"),
        (0.33, 0, "0.33 of 300 used (0%)"),
        (450, 30, "150 beyond"),
    ],
)
def test_the_bar_is_as_long_as_what_is_used(cli: Cli, github: Simulator, used: float, bar: int, says: str) -> None:
    github.post("/_sim/quota", {"used": used, "overage_permitted": True})
    line = premium_line(cli)
    assert line.count("█") == bar
    assert line.count("█") + line.count("░") == 30
    assert says in line


def test_calls_move_it(cli: Cli, github: Simulator) -> None:
    before = premium(cli)["remaining"]
    github.post("/_sim/quota", {"used": 30})
    assert premium(cli)["remaining"] == before - 1


def test_it_asks_for_a_given_token_instead(cli: Cli, github: Simulator) -> None:
    document = json.loads(cli("check-usage", "--json", "-g", "gho_sim_grace_0000000000000000000000000").out)
    assert document["login"] == "grace"


def test_without_a_credential_it_says_what_to_do(cli: Cli, github: Simulator, home: Path) -> None:
    (home / "github_token").unlink()
    ended = cli("check-usage")
    assert (ended.code, ended.out) == (1, "")
    assert "hint: run 'copilot-api auth login'" in ended.err


def test_a_token_that_is_not_accepted_says_why(cli: Cli, github: Simulator) -> None:
    fault = {"name": "token_401_bad_github_token", "endpoint": "/copilot_internal/user"}
    github.post("/_sim/faults", fault)
    ended = cli("check-usage")
    assert (ended.code, ended.out) == (1, "")
    assert "Bad credentials" in ended.err


def test_a_github_that_fails_says_so(cli: Cli, github: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOT_API_GITHUB_API_URL", "http://127.0.0.1:9")
    ended = cli("check-usage", "--json")
    assert (ended.code, ended.out) == (1, "")
    assert "http://127.0.0.1:9" in ended.err


PLANS: dict[str, dict[str, Any]] = {
    name: document
    for name, document in json.loads(
        resources.files("copilot_api.simulator").joinpath("data", "user.json").read_bytes()
    ).items()
    if "login" in document
}


@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_can_be_shown(plan: str) -> None:
    """GitHub's document is unversioned and has had several shapes."""
    quota = parse_quota(PLANS[plan])
    assert quota.plan != "unknown"
    shown = {snapshot.name: render_snapshot(snapshot) for snapshot in quota.snapshots}
    assert shown
    assert "not reported" not in shown.values()


def test_a_plan_that_bills_by_tokens_counts_credits() -> None:
    quota = parse_quota(PLANS["free_token_based"])
    assert any("credits used" in render_snapshot(snapshot) for snapshot in quota.snapshots)


def test_a_document_that_says_nothing_is_no_crash() -> None:
    assert parse_quota({}).snapshots == ()


@pytest.mark.parametrize("field", ["entitlement", "remaining"])
def test_what_is_not_reported_is_not_made_up(field: str) -> None:
    document = {"quota_snapshots": {"premium_interactions": {"entitlement": 300, "remaining": 10, "unlimited": False}}}
    del document["quota_snapshots"]["premium_interactions"][field]
    (snapshot,) = parse_quota(document).snapshots
    assert render_snapshot(snapshot) == "not reported"
