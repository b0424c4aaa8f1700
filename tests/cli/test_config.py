"""`config`: look, check, change, go back."""

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from copilot_api.audit.verify import find_problems
from copilot_api.config.environment import environment
from copilot_api.config.loader import load_config
from copilot_api.config.schema import ConfigFile, list_settings
from tests.cli.conftest import Cli

BY_HAND = """{ "version": 1,
    "models": {"gpt-5.4": {"default_effort": "low"}},
    "limits": {"max_body_mb": 8}
}
"""


@pytest.fixture
def file(home: Path) -> Path:
    home.mkdir(mode=0o700)
    path = home / "config.json"
    path.write_text(BY_HAND)
    return path


def audited(home: Path) -> list[dict[str, Any]]:
    assert find_problems(home / "audit.jsonl") == []
    return [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]


# Look -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["path", "show", "get exposure", "schema", "validate", "history", "diff"])
def test_looking_changes_nothing_and_works_where_nothing_is_yet(cli: Cli, home: Path, command: str) -> None:
    assert cli("config", *command.split()).code == 0
    assert not home.exists()


def test_path_says_where_the_file_is(cli: Cli, home: Path) -> None:
    assert cli("config", "path").out == f"{home / 'config.json'}\n"


def test_show_has_every_setting_and_where_it_is_from(cli: Cli, file: Path) -> None:
    ended = cli("config", "show")
    lines = {line.split()[0]: line.split()[1:] for line in ended.out.splitlines()}
    assert lines["limits.max_body_mb"] == ["8", "file"]
    assert lines["limits.max_queue_length"] == ["200", "default"]
    assert lines["models.gpt-5.4.default_effort"] == ['"low"', "file"]
    assert lines["models.gpt-5.4.allowed_keys"] == ['["*"]', "default"]
    for setting in list_settings():
        assert setting.path.replace("NAME", "gpt-5.4") in lines
    assert max(map(len, ended.out.splitlines())) <= 80
    assert json.loads(cli("config", "show", "--json").out)["limits"]["max_body_mb"] == 8


def test_show_without_a_file_has_the_defaults(cli: Cli) -> None:
    document = json.loads(cli("config", "show", "--json").out)
    assert document["features"]["auth"] is True
    assert document["models"] == {}
    assert "file" not in cli("config", "show").out.replace("from", "").split()


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("limits.max_body_mb", "8\n", 8),
        ("limits.default_key.rpm", "null\n", None),
        ("exposure", "catalog\n", "catalog"),
        ("default_model_alias", "\n", ""),
        ("models.gpt-5.4.default_effort", "low\n", "low"),
        ('$.models["gpt-5.4"].allowed_keys', '["*"]\n', ["*"]),
    ],
)
def test_get_prints_one_setting(cli: Cli, file: Path, key: str, text: str, value: Any) -> None:
    assert cli("config", "get", key).out == text
    assert json.loads(cli("config", "get", key, "--json").out) == value


def test_get_prints_a_model_with_its_defaults(cli: Cli, file: Path) -> None:
    model = json.loads(cli("config", "get", "models.gpt-5.4").out)
    assert (model["default_effort"], model["enabled"], model["fallback"]) == ("low", True, [])


@pytest.mark.parametrize("key", ["nonsense", "limits.max_body", "models.other", "models.other.note", ""])
def test_get_of_what_is_not_there_is_refused(cli: Cli, file: Path, key: str) -> None:
    ended = cli("config", "get", key)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")


def test_what_a_terminal_would_obey_is_not_printed(cli: Cli, file: Path) -> None:
    file.write_text(json.dumps({"models": {"fast": {"note": "\x1b[31m"}}}))
    assert cli("config", "get", "models.fast.note").out == '"\\u001b[31m"\n'
    assert "\x1b" not in cli("config", "show").out


def test_schema_is_the_json_schema(cli: Cli) -> None:
    schema = json.loads(cli("config", "schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "$schema" in schema["$defs"]["ConfigFile"]["properties"]


# Check ----------------------------------------------------------------------------------------------------------------

WRONG = '{\n  "version": 1,\n  "limits": {"max_body": 8},\n  "features": {"auth": "no"}\n}\n'


def test_validate_says_that_a_file_is_right(cli: Cli, file: Path, tmp_path: Path) -> None:
    ended = cli("config", "validate")
    assert (ended.code, ended.out, ended.err) == (0, f"valid: {file}\n", "")
    other = tmp_path / "new.json"
    other.write_text('{"features": {"webui": false}, "retention": {"traces_days": 5}}')
    ended = cli("config", "validate", str(other))
    assert (ended.code, ended.out, ended.err) == (0, f"valid: {other}\n", "")
    document = json.loads(cli("config", "validate", str(other), "--json").out)
    assert document == {"file": str(other), "valid": True, "problem": None, "mistakes": []}


def test_validate_says_every_mistake_and_fits_the_terminal(cli: Cli, file: Path) -> None:
    file.write_text(WRONG)
    ended = cli("config", "validate")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.replace(str(file), "FILE") == (
        "error: 2 mistakes in FILE\n"
        "\n"
        "line 3, column 14: $.limits.max_body\n"
        '    there is no field "max_body" here; did you mean max_body_mb?\n'
        "    allowed: max_in_flight_per_identity, queue_timeout_s, max_queue_length,\n"
        "    max_body_mb, default_key, budgets\n"
        "\n"
        "line 4, column 24: $.features.auth\n"
        "    got text\n"
        "    allowed: true or false\n"
    )


def test_validate_says_the_same_to_a_script(cli: Cli, file: Path) -> None:
    file.write_text(WRONG)
    ended = cli("config", "validate", "--json")
    assert ended.code == 2
    document = json.loads(ended.out)
    assert document["valid"] is False
    assert [(each["line"], each["column"], each["path"]) for each in document["mistakes"]] == [
        (3, 14, "$.limits.max_body"),
        (4, 24, "$.features.auth"),
    ]
    assert document["mistakes"][1]["allowed"] == "true or false"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": 1,}', "line 1, column 8\n    this is no JSON: there is a comma too many before }"),
    ],
)
def test_validate_says_what_is_no_json(cli: Cli, file: Path, content: bytes, says: str) -> None:
    file.write_bytes(content)
    ended = cli("config", "validate")
    assert ended.code == 2
    assert says in ended.err
    assert json.loads(cli("config", "validate", "--json").out)["valid"] is False


def test_validate_of_a_file_that_is_not_there(cli: Cli, home: Path) -> None:
    assert cli("config", "validate").out == f"no file, so the defaults hold: {home / 'config.json'}\n"
    ended = cli("config", "validate", "missing.json")
    assert (ended.code, ended.err) == (2, "error: there is no such file: missing.json\n")


def test_validate_reads_standard_input(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "copilot_api", "config", "validate", "-"]
    done = subprocess.run(program, input=WRONG, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: 2 mistakes in standard input\n")
    done = subprocess.run(program, input="{}", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "valid: standard input\n")


@pytest.mark.parametrize("command", ["show", "get exposure", "set exposure listed"])
def test_a_file_that_is_wrong_is_said_and_stays_as_it_is(cli: Cli, file: Path, command: str) -> None:
    file.write_text(WRONG)
    ended = cli("config", *command.split())
    assert ended.code == 2
    assert "$.limits.max_body" in ended.err
    assert file.read_text() == WRONG


# Change ---------------------------------------------------------------------------------------------------------------


def test_set_changes_one_setting_and_leaves_the_rest_as_it_is_written(cli: Cli, file: Path, home: Path) -> None:
    ended = cli("config", "set", "limits.max_body_mb", "9")
    assert (ended.code, ended.out, ended.err) == (0, "limits.max_body_mb is now 9\n", "")
    assert file.read_text() == BY_HAND.replace("8", "9")
    assert file.stat().st_mode & 0o777 == 0o600
    (line,) = audited(home)
    assert (line["actor"], line["action"]) == (f"local:{pwd.getpwuid(os.getuid()).pw_name}", "config.changed")
    assert line["target"] == "config.json"
    assert line["detail"]["changed"] == ["limits.max_body_mb"]
    assert not {"8", "9"} & set(json.dumps(line["detail"]["changed"]))


def test_set_makes_the_file_where_there_is_none(cli: Cli, home: Path) -> None:
    assert (
        cli("config", "set", "models.fast.upstream", "gpt-5-mini").out == 'models.fast.upstream is now "gpt-5-mini"\n'
    )
    text = '{\n  "version": 1,\n  "models": {\n    "fast": {\n      "upstream": "gpt-5-mini"\n    }\n  }\n}\n'
    assert (home / "config.json").read_text() == text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("exposure", "listed"),
        ("models.gpt-5.4.note", "a note"),
        ("models.gpt-5.4.fallback", '["gpt-4.1"]'),
        ("limits.default_key.rpm", "60"),
        ("limits.default_key.rpm", "null"),
        ("models.new", "{}"),
        ("$schema", "./config.schema.json"),
    ],
)
def test_what_was_set_is_got_and_unset_again(cli: Cli, file: Path, key: str, value: str) -> None:
    default = ConfigFile() if key in {"exposure", "$schema", "limits.default_key.rpm"} else None
    assert cli("config", "set", key, value).code == 0
    assert cli("config", "get", key).out.strip() in {value, json.dumps(value)} or value == "{}"
    ended = cli("config", "set", key, "--unset")
    assert ended.code == 0
    assert load_config(file).limits.max_body_mb == 8
    if default is not None:
        assert "is now" in ended.out
    elif value == "{}":
        assert ended.out == "models.new is no more\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("limits.max_body_mb", "0"), "$.limits.max_body_mb cannot be that: got 0\nhint: allowed: a whole number from 1 to 1024"),
        (("limits.max_body", "1"), 'there is no "max_body" in limits; did you mean max_body_mb?'),
        (("models.fast.upstream", "https://example.com"), "never a URL"),
        (("default_model_alias", "fast"), 'the new config.json: line 4, column 28: $.default_model_alias: there is no "fast" in models'),
        (("models.gpt-5.4.fallback", '["gpt-5.4"]'), '"gpt-5.4" falls back to itself'),
        (("version", "2"), "the number 1"),
        (("exposure",), "give either a VALUE or --unset"),
        (("exposure", "listed", "--unset"), "give either a VALUE or --unset"),
    ],
)  # fmt: skip
def test_what_cannot_be_set_is_refused_and_nothing_is_written(
    cli: Cli, file: Path, home: Path, arguments: tuple[str, ...], says: str
) -> None:
    ended = cli("config", "set", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert file.read_text() == BY_HAND
    assert not (home / "audit.jsonl").exists()


def test_a_wrong_file_can_be_mended_by_setting_what_is_wrong(cli: Cli, file: Path) -> None:
    file.write_text('{"limits": {"max_body_mb": 0}}')
    assert cli("config", "set", "limits.max_body_mb", "8").code == 0
    assert load_config(file).limits.max_body_mb == 8


def test_the_same_again_is_no_change(cli: Cli, file: Path, home: Path) -> None:
    for arguments in (("limits.max_body_mb", "8"), ("exposure", "--unset")):
        ended = cli("config", "set", *arguments)
        assert (ended.code, ended.out, ended.err) == (0, "", "nothing to change\n")
    assert json.loads(cli("config", "set", "limits.max_body_mb", "8", "--json").out)["changed"] == []
    assert not (home / "config.history").exists()


def test_a_value_may_begin_with_a_dash(cli: Cli, file: Path) -> None:
    assert cli("config", "set", "models.gpt-5.4.note", "--", "-x").code == 0
    assert cli("config", "get", "models.gpt-5.4.note").out == "-x\n"


def test_set_for_scripts_says_the_version_and_what_changed(cli: Cli, file: Path) -> None:
    document = json.loads(cli("config", "set", "exposure", "listed", "--json").out)
    assert document["changed"] == ["exposure"]
    assert len(document["version_hash"]) == 64


def test_help_lists_every_setting(cli: Cli) -> None:
    text = "".join(cli("config", "set", "--help").out.split())
    assert [setting.path for setting in list_settings() if setting.path not in text] == []


def test_many_commands_at_once_lose_nothing(home: Path) -> None:
    program = [sys.executable, "-m", "copilot_api", "config", "set"]
    variables = {**environment(), "COPILOT_API_HOME": str(home)}
    running = [subprocess.Popen([*program, f"models.m{i}.note", "x"], env=variables) for i in range(6)]
    assert [each.wait() for each in running] == [0] * 6
    assert set(load_config(home / "config.json").models) == {f"m{i}" for i in range(6)}
    assert len(audited(home)) == 6


# Go back --------------------------------------------------------------------------------------------------------------


def test_history_diff_and_rollback(cli: Cli, file: Path, home: Path) -> None:
    assert cli("config", "history").err == "no version was replaced yet\n"
    assert cli("config", "diff").err == "no version was replaced yet\n"
    cli("config", "set", "limits.max_body_mb", "9")
    cli("config", "set", "features.auth", "false")
    newest, oldest = json.loads(cli("config", "history", "--json").out)
    assert oldest["size"] == len(BY_HAND)
    assert set(newest) == {"id", "at", "hash", "size"}
    table = cli("config", "history").out.splitlines()
    assert table[1].split() == [newest["id"], str(newest["size"]), "features.auth"]
    assert table[2].split() == [oldest["id"], str(oldest["size"]), "limits.max_body_mb"]
    assert max(map(len, table)) <= 80

    changes = [line for line in cli("config", "diff").out.splitlines() if line[0] in "+-"][2:]
    assert changes == ['-    "limits": {"max_body_mb": 9}', '+    "limits": {"max_body_mb": 9},', '+    "features": {', '+        "auth": false', "+    }"]  # fmt: skip
    assert '-    "limits": {"max_body_mb": 8}' in cli("config", "diff", oldest["id"]).out
    between = cli("config", "diff", oldest["id"], newest["id"]).out.splitlines()
    assert between[:2] == [f"--- {oldest['id']}", f"+++ {newest['id']}"]
    assert cli("config", "diff", newest["id"], newest["id"]).out == ""

    ended = cli("config", "rollback", oldest["id"])
    assert ended.code == 0
    assert ended.out == f"rolled back to {oldest['id']}; changed: limits.max_body_mb, features.auth\n"
    assert file.read_text() == BY_HAND
    assert audited(home)[-1]["detail"]["rollback"] == oldest["id"]
    assert len(json.loads(cli("config", "history", "--json").out)) == 3
    ended = cli("config", "rollback", oldest["id"])
    assert (ended.code, ended.out) == (0, "")
    assert "nothing to change" in ended.err
    undo = json.loads(cli("config", "history", "--json").out)[0]["id"]
    assert json.loads(cli("config", "rollback", undo, "--json").out)["changed"] == [
        "limits.max_body_mb",
        "features.auth",
    ]


@pytest.mark.parametrize(
    "command", [("rollback", "../config"), ("rollback", "x"), ("diff", "x"), ("diff", "/etc/passwd")]
)
def test_a_version_that_is_not_kept_is_refused(cli: Cli, file: Path, command: tuple[str, ...]) -> None:
    ended = cli("config", *command)
    assert ended.code == 2
    assert ended.err.startswith("error: there is no such version of config.json")
    assert file.read_text() == BY_HAND


def test_diff_shows_a_broken_file_without_breaking_the_terminal(cli: Cli, file: Path) -> None:
    file.write_bytes(b'{"a":\n "\x1b[31m\xff"}')
    (version,) = [cli("config", "set", "exposure", "x").code]
    assert version == 2
    file.write_text(BY_HAND)
    cli("config", "set", "exposure", "listed")
    file.write_bytes(b'{"a":\n "\x1b[31m\xff"}')
    ended = cli("config", "diff")
    assert ended.code == 0
    assert "\x1b" not in ended.out
    assert '+ "\\x1b[31m\\xff"}' in ended.out
    assert cli("config", "history").code == 0


def test_a_change_that_cannot_be_audited_is_not_made(cli: Cli, file: Path, home: Path) -> None:
    (home / "audit.jsonl").write_bytes(b"nonsense\n")
    ended = cli("config", "set", "exposure", "listed")
    assert ended.code == 1
    assert "nothing was changed" in ended.err
    assert file.read_text() == BY_HAND
