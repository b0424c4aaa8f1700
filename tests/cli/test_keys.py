import json
import re
from pathlib import Path
from typing import Any

import pytest

from copilot_api.audit.verify import find_problems
from copilot_api.clock import SystemClock
from copilot_api.errors import Unauthorized
from copilot_api.keys.models import ApiKey
from tests.cli.conftest import Cli
from tests.stored import Stored


def create(cli: Cli, label: str = "ci", *arguments: str) -> dict[str, Any]:
    ended = cli("keys", "create", "--label", label, *arguments, "--json")
    assert (ended.code, ended.err) == (0, "")
    key: dict[str, Any] = json.loads(ended.out)
    return key


def enter(gateway: Stored, secret: str) -> ApiKey:
    if gateway.keys.needs_refresh():
        gateway.keys.load()
    return gateway.keys.authenticate(secret, SystemClock().now())


def test_create_prints_one_object_with_the_key_this_once(cli: Cli, home: Path) -> None:
    key = create(cli, "ci", "--tier", "admin", "--models", "fast, gpt-5", "--expires", "30d")
    assert re.fullmatch(r"sk-cap-[a-z2-7]{52}", key["key"])
    assert key["key"].startswith(key["prefix"])
    assert (key["label"], key["tier"], key["models"]) == ("ci", "admin", ["fast", "gpt-5"])
    assert key["expires_at"] > key["created_at"]
    for path in home.iterdir():
        assert key["key"].encode() not in path.read_bytes()


def test_a_key_is_for_clients_for_all_models_and_for_ever_unless_told_otherwise(cli: Cli) -> None:
    key = create(cli)
    assert (key["tier"], key["models"], key["expires_at"]) == ("client", ["*"], None)


def test_for_people_create_shows_the_key_once_and_how_to_use_it(cli: Cli) -> None:
    ended = cli("keys", "create", "--label", "ci")
    assert len(re.findall(r"sk-cap-[a-z2-7]{52}", ended.out)) == 1
    assert "not shown again" in ended.out
    assert "Authorization: Bearer" in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--label", " "),
        ("--label", "ci", "--tier", "root"),
        ("--label", "ci", "--models", ","),
        ("--label", "ci", "--expires", "soon"),
        ("--label", "ci", "--expires", "0d"),
        ("--label", "ci", "--not-before", "2h", "--expires", "1h"),
        ("--label", "ci", "--rpm", "0"),
        ("--label", "ci", "--tpm", "1000000001"),
        ("--label", "ci", "--max-in-flight", "1.5"),
        ("--label", "ci", "--weight", "101"),
        ("--label", "ci", "--budget", "credits:day"),
        ("--label", "ci", "--budget", "credits:day:1", "--budget", "credits:day:2"),
        ("--label", "ci", "--cidr", "10.0.0.0/33"),
        ("--label", "ci", "--cidr", "none"),
        ("--label", "ci", "--observe-only", "weight"),
    ],
)
def test_bad_usage_is_refused_and_makes_no_key(cli: Cli, arguments: tuple[str, ...]) -> None:
    ended = cli("keys", "create", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert json.loads(cli("keys", "list", "--json").out) == []


LIMITS = (
    *("--models", "fast", "--cidr", "10.1.2.3/8", "--rpm", "60", "--tpm", "40000", "--max-in-flight", "4"),
    *("--weight", "3", "--budget", "credits:day:50:observe", "--budget", "tokens:month:2000000"),
)


def test_create_takes_limits_and_shows_them_as_they_are_stored(cli: Cli) -> None:
    key = create(cli, "ci", *LIMITS, "--observe-only", "max-in-flight", "--not-before", "2h")
    assert (key["rpm"], key["tpm"], key["max_in_flight"], key["weight"]) == (60, 40_000, 4, 3)
    assert (key["models"], key["cidrs"], key["observe"]) == (["fast"], ["10.0.0.0/8"], ["max_in_flight"])
    assert key["budgets"] == [
        {"unit": "credits", "window": "day", "amount": 50, "mode": "observed"},
        {"unit": "tokens", "window": "month", "amount": 2_000_000, "mode": "enforced"},
    ]
    assert key["status"] == "not yet valid"
    assert key["not_before"] > key["created_at"]
    [listed] = json.loads(cli("keys", "list", "--json").out)
    assert (
        {**listed, "key": key["key"]}
        == key
        == {**json.loads(cli("keys", "show", "ci", "--json").out), "key": key["key"]}
    )


def test_a_key_may_be_only_observed(cli: Cli) -> None:
    key = create(cli, "ci", "--budget", "credits:day:50", "--observe")
    assert key["observe"] == ["*"]
    assert key["budgets"][0]["mode"] == "observed"


def test_for_people_limits_are_shown_a_line_each_and_in_a_column(cli: Cli) -> None:
    create(cli, "ci", *LIMITS)
    lines = cli("keys", "show", "ci").out.splitlines()
    assert [line for line in lines if not line.startswith(("id ", "prefix ", "created "))] == [
        "label          ci",
        "tier           client",
        "status         valid",
        "models         fast",
        "networks       10.0.0.0/8",
        "rpm            60",
        "tpm            40,000",
        "max in flight  4",
        "weight         3",
        "budgets        credits:day 50 (observed)",
        "               tokens:month 2,000,000",
    ]
    table = cli("keys", "list").out
    assert (
        "  60 rpm, 40k tpm, 4 at once, credits:day 50 (observed), tokens:month 2M, from 10.0.0.0/8, weight 3  " in table
    )


def test_an_update_changes_what_it_names_and_says_what_the_key_is_then(cli: Cli) -> None:
    key = create(cli, "ci", *LIMITS)
    flags = (
        "--label",
        "ops",
        "--rpm",
        "none",
        "--budget",
        "tokens:month:none,requests:hour:10",
        "--observe-only",
        "tpm",
    )
    ended = cli("keys", "update", key["id"], *flags, "--expires", "30d", "--json")
    assert (ended.code, ended.err) == (0, "")
    updated = json.loads(ended.out)
    changed = {name for name in updated if updated[name] != key[name]}
    assert changed == {"label", "rpm", "budgets", "observe", "expires_at"}
    assert (updated["label"], updated["rpm"], updated["observe"]) == ("ops", None, ["tpm"])
    assert [budget["unit"] for budget in updated["budgets"]] == ["credits", "requests"]
    assert json.loads(cli("keys", "list", "--json").out) == [updated]


def test_an_update_takes_away_everything(cli: Cli) -> None:
    create(cli, "ci", *LIMITS, "--observe", "--expires", "30d", "--not-before", "2h")
    cleared = ("--rpm", "--tpm", "--max-in-flight", "--budget", "--cidr", "--expires", "--not-before")
    flags = [word for flag in cleared for word in (flag, "none")]
    updated = json.loads(
        cli("keys", "update", "ci", *flags, "--models", "*", "--weight", "1", "--enforce", "--json").out
    )
    bare = create(cli, "bare")
    of_each_its_own = {"id", "label", "prefix", "created_at", "key"}
    assert {name: updated[name] for name in updated.keys() - of_each_its_own} == {
        name: bare[name] for name in bare.keys() - of_each_its_own
    }


def test_an_update_is_in_force_in_a_running_gateway_on_its_next_call(cli: Cli, gateway: Stored) -> None:
    key = create(cli)
    enter(gateway, key["key"])
    assert "\nrpm      5\n" in cli("keys", "update", "ci", "--rpm", "5").out
    assert enter(gateway, key["key"]).policy.rpm == 5
    cli("keys", "update", "ci", "--not-before", "2h")
    with pytest.raises(Unauthorized, match="not valid before"):
        enter(gateway, key["key"])


def test_an_update_of_nothing_is_bad_usage(cli: Cli) -> None:
    create(cli)
    for flags in ((), ("--json",)):
        ended = cli("keys", "update", "ci", *flags)
        assert (ended.code, ended.out) == (2, "")
        assert "nothing to change" in ended.err


def test_a_revoked_key_is_not_updated(cli: Cli) -> None:
    create(cli)
    cli("keys", "revoke", "ci")
    ended = cli("keys", "update", "ci", "--rpm", "5")
    assert ended.code == 2
    assert ended.err.startswith("error: this key was revoked: key_")


def test_limits_may_come_from_the_environment(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOT_API_RPM", "60")
    monkeypatch.setenv("COPILOT_API_BUDGET", "credits:day:5, tokens:day:7")
    monkeypatch.setenv("COPILOT_API_CIDR", "10.0.0.0/8,::1")
    monkeypatch.setenv("COPILOT_API_OBSERVE", "1")
    key = create(cli)
    assert (key["rpm"], key["cidrs"], key["observe"]) == (60, ["10.0.0.0/8", "::1/128"], ["*"])
    assert [budget["amount"] for budget in key["budgets"]] == [5, 7]


def test_list_is_an_array_without_secrets(cli: Cli) -> None:
    keys = [create(cli, label) for label in ("a", "b")]
    listed = json.loads(cli("keys", "list", "--json").out)
    assert [key["id"] for key in listed] == [key["id"] for key in keys]
    assert all("key" not in key and key["status"] == "valid" for key in listed)


def test_for_people_list_is_a_table_or_says_what_to_do(cli: Cli) -> None:
    ended = cli("keys", "list")
    assert (ended.code, ended.out) == (0, "")
    assert "keys create" in ended.err
    key = create(cli, "ci ☃")
    table = cli("keys", "list").out
    assert table.startswith("id ")
    assert key["id"] in table
    assert "ci ☃" in table


def test_show_takes_an_id_a_label_or_a_prefix(cli: Cli) -> None:
    key = create(cli)
    for reference in (key["id"], key["label"], key["prefix"]):
        assert json.loads(cli("keys", "show", reference, "--json").out)["id"] == key["id"]
    assert key["prefix"] in cli("keys", "show", "ci").out


def test_a_key_is_in_force_in_a_running_gateway_on_its_next_call(cli: Cli, gateway: Stored) -> None:
    gateway.keys.load()
    key = create(cli)
    assert enter(gateway, key["key"]).id == key["id"]


def test_a_revoked_key_is_refused_by_a_running_gateway_on_its_next_call(cli: Cli, gateway: Stored) -> None:
    key = create(cli)
    enter(gateway, key["key"])
    ended = cli("keys", "revoke", key["id"], "--json")
    assert json.loads(ended.out)["status"] == "revoked"
    with pytest.raises(Unauthorized, match="revoked"):
        enter(gateway, key["key"])


def test_after_a_rotation_with_an_overlap_a_running_gateway_takes_both(cli: Cli, gateway: Stored) -> None:
    old = create(cli)
    new = json.loads(cli("keys", "rotate", old["id"], "--overlap", "1h", "--json").out)
    assert new["id"] == old["id"]
    assert enter(gateway, new["key"]) == enter(gateway, old["key"])
    newest = json.loads(cli("keys", "rotate", old["id"], "--json").out)
    assert enter(gateway, newest["key"]).id == old["id"]
    with pytest.raises(Unauthorized, match="rotated"):
        enter(gateway, new["key"])


def test_revoking_the_last_admin_key_says_how_to_get_back_in(cli: Cli) -> None:
    create(cli, "boss", "--tier", "admin")
    assert "admin recover" in cli("keys", "revoke", "boss").err


def test_taking_the_last_admin_key_out_of_time_says_so_too(cli: Cli) -> None:
    create(cli, "boss", "--tier", "admin")
    assert cli("keys", "update", "boss", "--rpm", "5").err == ""
    assert "admin recover" in cli("keys", "update", "boss", "--not-before", "2h").err


def test_a_key_that_is_not_there_is_bad_usage(cli: Cli) -> None:
    for action in (("show",), ("update", "--rpm", "5"), ("rotate",), ("revoke",)):
        ended = cli("keys", *action, "nobody")
        assert ended.code == 2
        assert ended.err.startswith("error: no such key: 'nobody'\nhint: ")


def test_every_change_is_on_record(cli: Cli, home: Path) -> None:
    create(cli)
    cli("keys", "update", "ci", "--rpm", "5")
    cli("keys", "rotate", "ci")
    cli("keys", "revoke", "ci")
    assert find_problems(home / "audit.jsonl") == []
    lines = [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]
    assert [line["action"] for line in lines] == ["key.issued", "key.updated", "key.rotated", "key.revoked"]
    assert all(line["actor"].startswith("local:") for line in lines)


def test_a_data_directory_that_is_not_safe_is_refused(cli: Cli, home: Path) -> None:
    elsewhere = home.with_name("elsewhere")
    elsewhere.mkdir()
    home.symlink_to(elsewhere)
    ended = cli("keys", "list")
    assert ended.code == 2
    assert "symbolic link" in ended.err
    assert list(elsewhere.iterdir()) == []
