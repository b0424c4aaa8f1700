"""`copilot-api models`: what clients can call, from what a gateway stored and from config.json."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from copilot_api.cli.models import MAX_CHANGES
from copilot_api.keys.models import KeyPolicy
from copilot_api.simulator.replies import load_document
from copilot_api.storage.catalogs import SqlCatalogRepository
from copilot_api.upstream.drift import CatalogChange, ChangeKind
from tests.cli.conftest import Cli
from tests.harness import GatewayProcess, Simulator, http_json, wait_until
from tests.stored import Stored

NOW = datetime.now(UTC)
MODELS = {
    "fast": {"upstream": "gpt-5-mini", "fallback": ["gpt-4.1"], "allowed_keys": ["ci", "bob"]},
    "lost": {"upstream": "gpt-9"},
    "saved": {"upstream": "gpt-9", "fallback": ["gpt-5.2"]},
    "off": {"upstream": "gpt-4o", "enabled": False},
    "opus": {"upstream": "claude-opus-4.7"},
}


@pytest.fixture
def repository(gateway: Stored) -> SqlCatalogRepository:
    """What a gateway stored three hours ago."""
    repository = SqlCatalogRepository(gateway.database)
    repository.record(load_document("models.json")["data"], NOW - timedelta(hours=3), [])
    return repository


@pytest.fixture
def lone_simulator() -> Iterator[Simulator]:
    """One whose catalog may be changed."""
    with Simulator() as running:
        yield running


def configure(home: Path, **fields: Any) -> None:
    (home / "config.json").write_text(json.dumps({"models": MODELS, **fields}))


def lines(cli: Cli, *arguments: str) -> dict[str, list[str]]:
    """The table's words by the name in front."""
    ended = cli("models", *arguments)
    assert (ended.code, ended.err) == (0, "")
    table = ended.out.partition("\n\n")[0]
    return {line.split()[0]: line.split()[1:] for line in table.splitlines()}


def document(cli: Cli, *arguments: str) -> dict[str, Any]:
    ended = cli("models", "--json", *arguments)
    assert (ended.code, ended.err) == (0, "")
    return dict(json.loads(ended.out))


def offers(cli: Cli, *arguments: str) -> dict[str, dict[str, Any]]:
    return {offer["name"]: offer for offer in document(cli, *arguments)["models"]}


def test_before_a_gateway_stored_a_catalog_it_says_what_to_do(cli: Cli, gateway: Stored) -> None:
    for arguments in ([], ["--drift"], ["--json"]):
        ended = cli("models", *arguments)
        assert (ended.code, ended.out) == (1, "")
        assert "error: no list of models is stored yet" in ended.err
        assert "hint: start the gateway once" in ended.err


@pytest.mark.usefixtures("repository")
def test_without_a_configuration_it_is_the_catalog_without_columns_that_say_nothing(cli: Cli) -> None:
    table = lines(cli)
    assert table["model"] == ["speaks", "price", "who", "note"]
    assert table["gpt-5-mini"] == ["chat,", "responses", "0x", "all", "-"]
    assert table["claude-opus-4.7"][:5] == ["chat,", "messages", "500", "/", "2500"]
    assert len(table) == 1 + len(load_document("models.json")["data"])


@pytest.mark.usefixtures("repository")
def test_an_alias_is_shown_with_what_stands_behind_it_and_who_may_use_it(cli: Cli, home: Path) -> None:
    configure(home, default_model_alias="fast")
    table = lines(cli)
    assert table["model"] == ["upstream", "fallback", "speaks", "price", "who", "note"]
    assert " ".join(table["fast"]) == "gpt-5-mini gpt-4.1 chat, responses 0x ci, bob the default"
    assert list(table)[1:6] == list(MODELS), "aliases first"


@pytest.mark.usefixtures("repository")
def test_what_is_broken_disabled_or_switched_off_is_marked(cli: Cli, home: Path) -> None:
    configure(home)
    notes = {name: offer["notes"] for name, offer in offers(cli).items() if offer["notes"]}
    assert notes == {
        "lost": ["BROKEN: no such model"],
        "saved": ["fallback gpt-5.2 answers"],
        "off": ["switched off"],
        "opus": ["DISABLED at GitHub"],
        "claude-opus-4.7": ["DISABLED at GitHub"],
        "grok-code-fast-1": ["DISABLED at GitHub"],
        "gpt-41-copilot": ["not served here"],
    }


@pytest.mark.usefixtures("repository")
def test_with_only_the_listed_exposed_the_rest_is_not_shown(cli: Cli, home: Path) -> None:
    configure(home, exposure="listed")
    assert list(offers(cli)) == list(MODELS)
    (home / "config.json").write_text('{"exposure": "listed"}')
    ended = cli("models")
    assert ended.code == 0
    assert "no model is exposed" in ended.err


@pytest.mark.usefixtures("repository")
def test_of_a_key_it_says_what_it_may_use_as_a_call_would_find_out(cli: Cli, home: Path, gateway: Stored) -> None:
    configure(home)
    gateway.keys.issue("ci", policy=KeyPolicy(("fast", "gpt-4.1", "opus")), actor="test")
    other = gateway.keys.issue("other", actor="test").key
    assert {name for name, offer in offers(cli, "--key", "ci").items() if offer["may_use"]} == {"fast", "gpt-4.1"}
    may_use = {name for name, offer in offers(cli, "--key", other.id).items() if offer["may_use"]}
    assert may_use.isdisjoint({"fast", "lost", "off", "opus", "claude-opus-4.7"})
    assert {"saved", "gpt-5-mini", "gpt-4o"} <= may_use
    assert lines(cli, "--key", "ci")["fast"][-2:] == ["yes", "-"]
    assert lines(cli, "--key", "ci")["model"][-3:] == ["may", "use", "note"]


@pytest.mark.usefixtures("repository")
def test_a_key_that_is_no_longer_valid_may_use_nothing(cli: Cli, gateway: Stored) -> None:
    key = gateway.keys.issue("gone", actor="test").key
    gateway.keys.revoke(key.id, actor="test")
    ended = cli("models", "--key", "gone", "--json")
    assert "not valid now" in ended.err
    assert not any(offer["may_use"] for offer in json.loads(ended.out)["models"])


@pytest.mark.usefixtures("repository")
def test_a_key_that_is_not_there_is_refused(cli: Cli) -> None:
    ended = cli("models", "--key", "nobody")
    assert ended.code != 0
    assert "no such key" in ended.err


@pytest.mark.usefixtures("repository")
def test_it_says_how_old_it_is(cli: Cli) -> None:
    assert f"as a gateway stored it 3 h ago, {NOW - timedelta(hours=3):%Y-%m-%d %H:%M} UTC" in cli("models").out
    at = NOW - timedelta(hours=3)
    before = (datetime.now(UTC) - at).total_seconds()
    found = document(cli)
    assert found["at"] == at.isoformat()
    assert int(before) <= found["age_seconds"] <= (datetime.now(UTC) - at).total_seconds() + 1


@pytest.mark.usefixtures("repository")
def test_json_has_all_of_it(cli: Cli, home: Path) -> None:
    configure(home, default_model_alias="fast")
    found = document(cli)
    assert (found["exposure"], found["default_model_alias"]) == ("catalog", "fast")
    assert found["models"][0] == {
        "name": "fast",
        "upstream": "gpt-5-mini",
        "fallback": ["gpt-4.1"],
        "answered_by": "gpt-5-mini",
        "endpoints": ["/chat/completions", "/responses"],
        "prices": None,
        "multiplier": 0.0,
        "allowed_keys": ["ci", "bob"],
        "is_enabled": True,
        "is_enabled_upstream": True,
        "notes": [],
    }
    assert offers(cli)["lost"]["answered_by"] is None
    prices = offers(cli)["opus"]["prices"]
    assert (prices["input"], prices["output"]) == (500.0, 2500.0)


@pytest.mark.usefixtures("repository")
def test_a_configuration_that_cannot_be_used_is_refused(cli: Cli, home: Path) -> None:
    (home / "config.json").write_text('{"models": 5}')
    ended = cli("models")
    assert (ended.code, ended.out) == (2, "")
    assert "models" in ended.err


@pytest.mark.usefixtures("repository")
def test_it_reads_well_at_a_hundred_columns(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, gateway: Stored
) -> None:
    configure(home, default_model_alias="fast")
    SqlCatalogRepository(gateway.database).record(
        load_document("models.json")["data"], NOW, [change("gpt-5", ChangeKind.PRICES, NOW, "x" * 200, "y" * 200)]
    )
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for arguments in ([], ["--drift"]):
        shown = cli("models", *arguments).out.splitlines()
        assert max(map(len, shown)) <= 105, "the caption is one line, and wraps"
        assert shown[0].split()[0] in {"model", "when"}, "a table, not blocks"


# Drift ------------------------------------------------------------------------------------------------------------


def change(model: str, kind: ChangeKind, at: datetime, before: str = "", after: str = "") -> CatalogChange:
    return CatalogChange(at, model, kind, before, after)


def test_changes_are_listed_the_newest_first(cli: Cli, repository: SqlCatalogRepository) -> None:
    old, new = NOW - timedelta(days=40), NOW - timedelta(days=2)
    repository.record([], old, [change("gpt-4", ChangeKind.GONE, old, "GPT-4")])
    repository.record([], new, [change("gpt-6", ChangeKind.ADDED, new, "", "GPT-6"), change("m", ChangeKind.MULTIPLIER, new, "1x", "3x")])  # fmt: skip
    ended = cli("models", "--drift")
    assert (ended.code, ended.err) == (0, "")
    table = [line.split() for line in ended.out.splitlines()]
    assert table[0] == ["when", "(UTC)", "model", "change", "before", "after"]
    assert [row[2:] for row in table[1:]] == [["gpt-6", "added", "-", "GPT-6"], ["m", "multiplier", "1x", "3x"]]
    found = json.loads(cli("models", "--drift", "--since", "90d", "--json").out)
    assert [each["model"] for each in found["changes"]] == ["gpt-6", "m", "gpt-4"]
    assert found["changes"][-1] == {
        "at": old.isoformat(), "model": "gpt-4", "kind": "gone", "before": "GPT-4", "after": "",
    }  # fmt: skip


@pytest.mark.usefixtures("repository")
def test_when_nothing_changed_it_says_so(cli: Cli) -> None:
    ended = cli("models", "--drift")
    assert (ended.code, ended.out) == (0, "")
    assert "no change since" in ended.err
    assert json.loads(cli("models", "--drift", "--json").out)["changes"] == []


def test_a_list_without_end_is_cut_and_said_to_be(cli: Cli, repository: SqlCatalogRepository) -> None:
    repository.record([], NOW, [change(f"m{n}", ChangeKind.ADDED, NOW) for n in range(MAX_CHANGES + 1)])
    ended = cli("models", "--drift")
    assert len(ended.out.splitlines()) == MAX_CHANGES + 1
    assert "there may be more" in ended.err


def test_what_excludes_each_other_is_refused(cli: Cli) -> None:
    assert cli("models", "--drift", "--key", "ci").code == 2


# With a gateway ---------------------------------------------------------------------------------------------------


def test_beside_a_running_gateway_and_after_it(home: Path, lone_simulator: Simulator) -> None:
    """What changes at Copilot while no gateway runs is found when the next one starts, and told once."""
    gateway = GatewayProcess(home, lone_simulator.url)
    with gateway as running:
        wait_until(lambda: running.cli("models", "--json", check=False) != "", 10, "a stored catalog")
        before = json.loads(running.cli("models", "--json"))
        assert json.loads(running.cli("models", "--drift", "--json"))["changes"] == []
    assert json.loads(gateway.cli("models", "--json"))["models"] == before["models"]
    flip_policy(lone_simulator, "grok-code-fast-1", "enabled")
    for _ in range(2):
        with gateway as running:
            wait_until(lambda: changes(running) != [], 10, "the change")
            assert changes(running) == [("grok-code-fast-1", "enabled")]
    assert gateway.output.count("Copilot's models have changed") == 1
    assert 'summary="enabled: grok-code-fast-1"' in gateway.output


def test_an_alias_without_a_model_leaves_the_gateway_ready_and_is_told_once(home: Path, simulator: Simulator) -> None:
    home.mkdir(mode=0o700)
    (home / "config.json").write_text(json.dumps({"models": MODELS}))
    with GatewayProcess(home, simulator.url) as running:
        reason = {"ok": True, "reason": "aliases without a model: lost (gpt-9)"}
        assert http_json("GET", f"{running.url}/readyz")[1]["checks"]["aliases"] == reason
        (home / "config.json").write_text(json.dumps({"models": {"lost": {"upstream": "gpt-4.1"}}}))
        wait_until(lambda: "has a model at Copilot again" in running.output, 10, "the alias is back")
        answer = http_json("GET", f"{running.url}/readyz")
        assert (answer[0], answer[1]["checks"]["aliases"]) == (200, {"ok": True, "reason": None})
        assert running.output.count("an alias of config.json has no model at Copilot") == 1


def changes(running: GatewayProcess) -> list[tuple[str, str]]:
    found = json.loads(running.cli("models", "--drift", "--json"))["changes"]
    return [(each["model"], each["kind"]) for each in found]


def flip_policy(simulator: Simulator, model: str, state: str) -> None:
    status, _ = http_json("POST", f"{simulator.url}/models/{model}/policy", {"state": state}, key="gho_" + "a" * 36)
    assert status == 200
