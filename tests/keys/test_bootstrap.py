import pytest

from copilot_api.config.paths import DataDirectoryUnusable
from copilot_api.keys.bootstrap import ensure_admin_key_in_file, write_admin_key_file
from tests.fakes import FakeClock
from tests.stored import Stored


def test_the_first_admin_key_is_left_in_a_private_file(stored: Stored, clock: FakeClock) -> None:
    path = stored.directory.admin_key
    issued = ensure_admin_key_in_file(stored.keys, path, actor="local:me")
    assert issued is not None
    assert path.read_text() == f"{issued.secret}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    stored.keys.load()
    assert stored.keys.authenticate(path.read_text().strip(), clock.now()) == issued.key


def test_with_an_admin_key_there_is_no_file(stored: Stored) -> None:
    stored.keys.ensure_admin_key(actor="local:me")
    assert ensure_admin_key_in_file(stored.keys, stored.directory.admin_key, actor="local:me") is None
    assert not stored.directory.admin_key.exists()


def test_a_file_that_is_there_is_never_written_over_and_no_key_is_made(stored: Stored) -> None:
    path = stored.directory.admin_key
    path.write_text("mine")
    with pytest.raises(DataDirectoryUnusable, match="a file already"):
        ensure_admin_key_in_file(stored.keys, path, actor="local:me")
    assert path.read_text() == "mine"
    assert stored.keys.list_keys() == []


def test_a_link_is_never_followed(stored: Stored) -> None:
    path, target = stored.directory.admin_key, stored.directory.path / "target"
    path.symlink_to(target)
    with pytest.raises(DataDirectoryUnusable):
        write_admin_key_file(path, "sk-cap-x")
    assert not target.exists()


def test_without_a_record_there_is_neither_key_nor_file(stored: Stored) -> None:
    stored.directory.audit.mkdir()
    with pytest.raises(Exception, match="audit log"):
        ensure_admin_key_in_file(stored.keys, stored.directory.admin_key, actor="local:me")
    assert not stored.directory.admin_key.exists()
    assert not stored.keys.has_admin_key()
