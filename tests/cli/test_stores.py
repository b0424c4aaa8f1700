import os
import pwd
from pathlib import Path

from copilot_api.cli.stores import local_actor, open_stores


def test_a_fresh_data_directory_is_made_and_migrated(home: Path) -> None:
    with open_stores() as stores:
        assert stores.keys.list_keys() == []
    assert (home / "copilot-api.db").exists()
    assert home.stat().st_mode & 0o777 == 0o700


def test_the_actor_is_the_user_that_the_system_knows() -> None:
    assert local_actor() == f"local:{pwd.getpwuid(os.getuid()).pw_name}"
