import json
import re
from pathlib import Path
from typing import Any

import pytest

from copilot_api.audit.log import verify
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
    ],
)
def test_bad_usage_is_refused_and_makes_no_key(cli: Cli, arguments: tuple[str, ...]) -> None:
    ended = cli("keys", "create", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert json.loads(cli("keys", "list", "--json").out) == []


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


def test_a_key_that_is_not_there_is_bad_usage(cli: Cli) -> None:
    for action in ("show", "rotate", "revoke"):
        ended = cli("keys", action, "nobody")
        assert ended.code == 2
        assert ended.err.startswith("error: no such key: 'nobody'\nhint: ")


def test_every_change_is_on_record(cli: Cli, home: Path) -> None:
    create(cli)
    cli("keys", "rotate", "ci")
    cli("keys", "revoke", "ci")
    assert verify(home / "audit.jsonl") == []
    lines = [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]
    assert [line["action"] for line in lines] == ["key.issued", "key.rotated", "key.revoked"]
    assert all(line["actor"].startswith("local:") for line in lines)


def test_flags_that_are_not_enforced_are_not_offered(cli: Cli) -> None:
    for flag in ("--rpm", "--tpm", "--max-in-flight", "--budget", "--cidr", "--observe"):
        assert "No such option" in cli("keys", "create", "--label", "x", flag, "1").err


def test_a_data_directory_that_is_not_safe_is_refused(cli: Cli, home: Path) -> None:
    elsewhere = home.with_name("elsewhere")
    elsewhere.mkdir()
    home.symlink_to(elsewhere)
    ended = cli("keys", "list")
    assert ended.code == 2
    assert "symbolic link" in ended.err
    assert list(elsewhere.iterdir()) == []
