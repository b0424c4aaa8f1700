import os
import stat
from pathlib import Path

import pytest

from copilot_api.config.paths import DataDirectory, DataDirectoryUnusable, open_private, write_private
from copilot_api.errors import StorageUnavailable

FILES = ["config", "database", "key_stamp", "audit", "github_token", "admin_key"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "home" / "copilot-api")
    directory.prepare()
    return directory


# Where


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"COPILOT_API_HOME": "/srv/gateway", "XDG_DATA_HOME": "/xdg", "HOME": "/home/me"}, "/srv/gateway"),
        ({"XDG_DATA_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/copilot-api"),
        ({"HOME": "/home/me"}, "/home/me/.local/share/copilot-api"),
        ({"COPILOT_API_HOME": "", "XDG_DATA_HOME": "", "HOME": "/home/me"}, "/home/me/.local/share/copilot-api"),
        ({"XDG_DATA_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/share/copilot-api"),
    ],
)
def test_the_environment_says_where(environment: dict[str, str], expected: str) -> None:
    assert DataDirectory.locate(environment).path == Path(expected)


def test_a_relative_home_is_relative_to_where_we_are() -> None:
    assert DataDirectory.locate({"COPILOT_API_HOME": "here"}).path == Path.cwd() / "here"


def test_without_a_home_the_system_knows_one() -> None:
    assert DataDirectory.locate({}).path.is_absolute()


def test_every_file_has_its_promised_name() -> None:
    directory = DataDirectory(Path("/d"))
    names = [path.name for path in (directory.config, directory.database, directory.spool, directory.traces)]
    assert names == ["config.json", "copilot-api.db", "spool", "traces"]
    assert directory.config_history.name == "config.history"
    assert [directory.audit.name, directory.github_token.name] == ["audit.jsonl", "github_token"]
    assert [directory.admin_key.name, directory.key_stamp.name] == ["admin.key.txt", "keys.stamp"]


# Private


def test_a_missing_directory_is_made_private(directory: DataDirectory) -> None:
    assert mode(directory.path) == 0o700
    assert mode(directory.prepare_subdirectory(directory.spool)) == 0o700


def test_a_directory_of_the_original_program_is_adopted_and_tightened(tmp_path: Path) -> None:
    path = tmp_path / "copilot-api"
    path.mkdir(mode=0o755)
    token = path / "github_token"
    token.write_text("gho_x")
    token.chmod(0o644)
    DataDirectory(path).prepare()
    assert (mode(path), mode(token), token.read_text()) == (0o700, 0o600, "gho_x")


@pytest.mark.parametrize("name", ["spool", "traces", "config_history"])
def test_every_directory_in_it_is_tightened(directory: DataDirectory, name: str) -> None:
    path: Path = getattr(directory, name)
    path.mkdir(mode=0o755)
    directory.prepare()
    assert mode(path) == 0o700


@pytest.mark.parametrize("name", FILES)
def test_every_file_that_we_use_is_tightened(directory: DataDirectory, name: str) -> None:
    path: Path = getattr(directory, name)
    path.touch()
    path.chmod(0o664)
    directory.prepare()
    assert mode(path) == 0o600


def test_what_the_database_keeps_beside_itself_is_tightened_too(directory: DataDirectory) -> None:
    wal = directory.path / "copilot-api.db-wal"
    wal.touch(0o644)
    directory.prepare()
    assert mode(wal) == 0o600


def test_a_file_of_somebody_elses_making_is_left_alone(directory: DataDirectory) -> None:
    note = directory.path / "note.txt"
    note.touch()
    note.chmod(0o644)
    directory.prepare()
    assert mode(note) == 0o644


# Refused


def test_a_linked_directory_is_refused(directory: DataDirectory) -> None:
    link = directory.path.parent / "link"
    link.symlink_to(directory.path)
    with pytest.raises(DataDirectoryUnusable, match="symbolic link"):
        DataDirectory(link).prepare()


@pytest.mark.parametrize("name", [*FILES, "spool", "traces", "config_history"])
def test_a_link_for_a_file_is_refused(directory: DataDirectory, name: str) -> None:
    path: Path = getattr(directory, name)
    path.symlink_to(directory.path.parent / "nowhere")
    with pytest.raises(DataDirectoryUnusable, match=f"symbolic link.*{path.name}"):
        directory.prepare()


def test_a_pipe_or_a_directory_for_a_file_is_refused_without_waiting_for_it(directory: DataDirectory) -> None:
    os.mkfifo(directory.audit)
    with pytest.raises(DataDirectoryUnusable, match="not a regular file"):
        directory.prepare()
    directory.audit.unlink()
    directory.config.mkdir()
    with pytest.raises(DataDirectoryUnusable, match="not a regular file"):
        directory.prepare()


def test_a_file_for_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryUnusable, match="not a directory"):
        DataDirectory(tmp_path / "file").prepare()
    with pytest.raises(DataDirectoryUnusable, match="cannot be used"):
        DataDirectory(tmp_path / "file" / "below").prepare()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_another_user_is_refused(directory: DataDirectory) -> None:
    directory.audit.touch()
    os.chown(directory.audit, 4242, -1)
    with pytest.raises(DataDirectoryUnusable, match="another user"):
        directory.prepare()
    directory.audit.unlink()
    os.chown(directory.path, 4242, -1)
    with pytest.raises(DataDirectoryUnusable, match="another user"):
        directory.prepare()


# Opening and writing


def test_an_opened_file_is_private_whatever_it_was(directory: DataDirectory) -> None:
    directory.audit.touch()
    directory.audit.chmod(0o644)
    os.close(open_private(directory.audit, os.O_RDONLY))
    assert mode(directory.audit) == 0o600


def test_opening_follows_no_link_and_reads_no_directory(directory: DataDirectory) -> None:
    directory.audit.symlink_to(directory.config)
    with pytest.raises(DataDirectoryUnusable, match="symbolic link"):
        open_private(directory.audit, os.O_RDWR | os.O_CREAT)
    assert not directory.config.exists()
    directory.spool.mkdir()
    with pytest.raises(DataDirectoryUnusable, match="not a regular file"):
        open_private(directory.spool, os.O_RDONLY)


def test_what_is_missing_is_missing(directory: DataDirectory) -> None:
    with pytest.raises(FileNotFoundError):
        open_private(directory.audit, os.O_RDONLY)


def test_writing_replaces_whole_and_leaves_nothing_else(directory: DataDirectory) -> None:
    for content in (b"one", b"twotwo"):
        write_private(directory.github_token, content)
        assert directory.github_token.read_bytes() == content
    assert mode(directory.github_token) == 0o600
    assert list(directory.path.iterdir()) == [directory.github_token]


def test_writing_over_a_link_is_refused(directory: DataDirectory) -> None:
    target = directory.path / "target"
    target.write_bytes(b"mine")
    directory.github_token.symlink_to(target)
    with pytest.raises(DataDirectoryUnusable, match="symbolic link"):
        write_private(directory.github_token, b"new")
    assert target.read_bytes() == b"mine"


def test_a_write_that_fails_leaves_the_old_file(directory: DataDirectory) -> None:
    write_private(directory.github_token, b"old")
    with pytest.raises(TypeError):
        write_private(directory.github_token, "not bytes")  # type: ignore[arg-type]
    assert directory.github_token.read_bytes() == b"old"
    assert list(directory.path.iterdir()) == [directory.github_token]


def test_a_write_may_be_called_off_when_all_is_written_and_nothing_in_force(directory: DataDirectory) -> None:
    write_private(directory.github_token, b"old")

    def refuse() -> None:
        assert directory.github_token.read_bytes() == b"old"
        assert [path.read_bytes() for path in directory.path.glob(".github_token.*")] == [b"new"]
        raise StorageUnavailable("no")

    with pytest.raises(StorageUnavailable):
        write_private(directory.github_token, b"new", before_rename=refuse)
    assert directory.github_token.read_bytes() == b"old"
    assert list(directory.path.iterdir()) == [directory.github_token]
    called: list[bytes] = []
    write_private(directory.github_token, b"new", before_rename=lambda: called.append(b"once"))
    assert (directory.github_token.read_bytes(), called) == (b"new", [b"once"])
