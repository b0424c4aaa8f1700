"""`debug`: what to put into a bug report; nothing secret."""

import json
import platform
import sys
from pathlib import Path

import pytest

from copilot_api import __version__
from tests.cli.conftest import Cli

TOKEN = "ghu_secret00000000000000000000000000000"


def test_it_says_versions_paths_and_what_is_configured(cli: Cli, home: Path) -> None:
    document = json.loads(cli("debug", "--json").out)
    assert document["copilot-api"] == __version__
    assert document["python"] == sys.version.split()[0]
    assert platform.machine() in document["system"]
    assert document["data directory"] == str(home)
    assert document["configuration"] == "defaults (no file)"
    assert document["database"] == document["github_token"] == document["admin.key.txt"] == "not there"
    assert document["github"] == "https://github.com"
    text = cli("debug")
    assert text.code == 0
    assert [line.split()[-1] for line in text.out.splitlines() if line.startswith("copilot-api ")] == [__version__]


def test_looking_changes_nothing(cli: Cli, home: Path) -> None:
    assert cli("debug").code == 0
    assert not home.exists()


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_it_shows_nothing_secret(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, form: tuple[str, ...]) -> None:
    """Neither the credential, wherever it is, nor a key, nor what a URL of a proxy may hold."""
    key = json.loads(cli("keys", "create", "--label", "a label", "--tier", "admin", "--json").out)["key"]
    (home / "github_token").write_text(TOKEN)
    (home / "admin.key.txt").write_text(key)
    monkeypatch.setenv("GH_TOKEN", TOKEN)
    monkeypatch.setenv("COPILOT_API_GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("COPILOT_API_UPSTREAM_URL", "http://user:hunter2@127.0.0.1:9/path")
    monkeypatch.setenv("COPILOT_API_GITHUB_URL", "http://user:hunter2@127.0.0.1:9")
    ended = cli("debug", *form)
    assert ended.code == 0
    for secret in (TOKEN, key, "sk-cap-", "hunter2", "a label"):
        assert secret not in ended.out + ended.err, secret
    assert "127.0.0.1:9" in ended.out
    assert "there" in ended.out


def test_a_configuration_that_is_wrong_is_said_and_no_failure(cli: Cli, home: Path) -> None:
    """It is for finding out what is wrong."""
    home.mkdir()
    (home / "config.json").write_text('{"nonsense": 1}')
    ended = cli("debug", "--json")
    assert ended.code == 0
    assert "nonsense" in json.loads(ended.out)["configuration"]
    (home / "config.json").write_text('{"version": 1}')
    assert json.loads(cli("debug", "--json").out)["configuration"] == "valid"
