import os
import pwd
from pathlib import Path

import click
import pytest

from copilot_api.cli.stores import find_database, list_faults, local_actor, open_stores, start_settings
from copilot_api.config.paths import DataDirectory
from copilot_api.config.schema import ConfigFile, ModelEntry
from copilot_api.config.settings import Settings


def test_a_fresh_data_directory_is_made_and_migrated(home: Path) -> None:
    with open_stores() as stores:
        assert stores.keys.list_keys() == []
    assert (home / "copilot-api.db").exists()
    assert home.stat().st_mode & 0o777 == 0o700


def test_the_actor_is_the_user_that_the_system_knows() -> None:
    assert local_actor() == f"local:{pwd.getpwuid(os.getuid()).pw_name}"


def test_a_database_is_only_looked_at_where_there_is_one(home: Path) -> None:
    directory = DataDirectory(home)
    assert find_database(directory, busy_seconds=0.1) is None
    assert not home.exists()
    with open_stores():
        pass
    database = find_database(directory, busy_seconds=0.1)
    assert database is not None
    database.close()
    directory.database.rename(home / "elsewhere")
    directory.database.symlink_to(home / "elsewhere")
    assert find_database(directory, busy_seconds=0.1) is None


def test_what_is_not_private_is_listed_however_deep(home: Path) -> None:
    (home / "spool").mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    assert list(list_faults(home)) == []
    (home / "spool" / "x").touch(0o640)
    (home / "spool" / "x").chmod(0o640)
    (home / "link").symlink_to("spool")
    assert list(list_faults(home)) == [f"{home}/link is a symbolic link", f"{home}/spool/x has mode 0640"]


def test_what_start_would_go_by_comes_from_the_file_and_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GH_TOKEN", raising=False)
    assert start_settings(ConfigFile()) == Settings()
    monkeypatch.setenv("COPILOT_API_PORT", "5000")
    monkeypatch.setenv("GH_TOKEN", "ghu_x")
    settings = start_settings(ConfigFile(models={"fast": ModelEntry("gpt-4.1")}))
    assert (settings.port, settings.upstream.github_token) == (5000, "ghu_x")
    assert settings.exposure.aliases["fast"].upstream == "gpt-4.1"
    monkeypatch.setenv("COPILOT_API_PORT", "many")
    with pytest.raises(click.UsageError):
        start_settings(ConfigFile())
