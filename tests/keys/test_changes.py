import os
from pathlib import Path

import pytest

from copilot_api.config.paths import DataDirectoryUnusable
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.changes import KeyChanges


@pytest.fixture
def stamp(tmp_path: Path) -> Path:
    return tmp_path / "keys.stamp"


def change(changes: KeyChanges) -> None:
    with changes.announcing():
        pass


def test_no_stamp_file_is_the_first_generation(stamp: Path) -> None:
    assert KeyChanges(stamp).generation() == (0, 0)


def test_every_change_makes_a_new_generation_that_every_process_sees(stamp: Path) -> None:
    writer, reader = KeyChanges(stamp), KeyChanges(stamp)
    seen = [reader.generation()]
    for _ in range(5):
        change(writer)
        seen.append(reader.generation())
    assert len(set(seen)) == len(seen)


def test_a_stamp_file_that_was_deleted_and_made_again_is_not_taken_for_the_old_one(stamp: Path) -> None:
    changes = KeyChanges(stamp)
    change(changes)
    before = changes.generation()
    stamp.unlink()
    change(changes)
    assert changes.generation() != before


def test_a_change_that_failed_is_not_announced(stamp: Path) -> None:
    changes = KeyChanges(stamp)
    change(changes)
    before = changes.generation()
    with pytest.raises(ValueError, match="no"), changes.announcing():
        raise ValueError("no")
    assert changes.generation() == before


def test_a_change_that_could_not_be_announced_is_not_begun(stamp: Path) -> None:
    stamp.symlink_to(stamp.with_name("elsewhere"))
    with pytest.raises(DataDirectoryUnusable), KeyChanges(stamp).announcing():
        pytest.fail("begun")


def test_where_no_stamp_file_can_be_no_change_is_begun(stamp: Path) -> None:
    with pytest.raises(StorageUnavailable, match="announced"), KeyChanges(stamp / "below").announcing():
        pytest.fail("begun")


def test_the_stamp_file_is_private(stamp: Path) -> None:
    change(KeyChanges(stamp))
    assert os.stat(stamp).st_mode & 0o777 == 0o600
