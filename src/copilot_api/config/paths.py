"""
Where everything is kept: the data directory, private to the user who runs the gateway.

Directories are 0700 and files 0600; links are refused, and so is what belongs to somebody else. A directory of the
original JavaScript program (a `github_token` file, readable by everyone) is adopted as it is, its modes tightened.
"""

import errno
import os
import pwd
import secrets
import stat
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from copilot_api.errors import StorageUnavailable


class DataDirectoryUnusable(StorageUnavailable):
    """The data directory, or a file in it, is not safe to use."""

    is_final = True
    hint = "mend it, or choose another data directory with COPILOT_API_HOME"


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The data directory and the name of every file in it."""

    path: Path

    @classmethod
    def locate(cls, environment: Mapping[str, str]) -> Self:
        """The directory that `environment` asks for: COPILOT_API_HOME, or the XDG data directory."""
        if chosen := environment.get("COPILOT_API_HOME"):
            return cls(Path(chosen).expanduser().absolute())
        xdg = environment.get("XDG_DATA_HOME", "")
        # The XDG specification has relative paths ignored.
        data_home = Path(xdg) if xdg.startswith("/") else _home(environment) / ".local" / "share"
        return cls(data_home / "copilot-api")

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.path / "config.json"

    @property
    def config_history(self) -> Path:
        """The directory of former versions of the configuration file."""
        return self.path / "config.history"

    @property
    def database(self) -> Path:
        """The SQLite database."""
        return self.path / "copilot-api.db"

    @property
    def key_stamp(self) -> Path:
        """Grows with every change of a key; see `copilot_api.keys.changes`."""
        return self.path / "keys.stamp"

    @property
    def spool(self) -> Path:
        """The directory of usage events on their way into the database."""
        return self.path / "spool"

    @property
    def traces(self) -> Path:
        """The directory of captures."""
        return self.path / "traces"

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.path / "audit.jsonl"

    @property
    def github_token(self) -> Path:
        """The device-flow credential of the default identity."""
        return self.path / "github_token"

    @property
    def admin_key(self) -> Path:
        """The first admin key, until somebody has read it and deleted the file."""
        return self.path / "admin.key.txt"

    def prepare(self) -> None:
        """Make the directory, or check the one that is there; tighten the modes of what we use in it."""
        with _explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self.prepare_subdirectory(self.path)
        for path in (self.spool, self.traces, self.config_history):
            if os.path.lexists(path):
                _make_private(path, is_directory=True)
        named = (self.config, self.key_stamp, self.github_token, self.admin_key, *self.path.glob("audit[.-]*"))
        # The database comes with its log, its shared memory, its lock and its backup copies.
        for path in (*named, *self.path.glob(f"{self.database.name}*")):
            if os.path.lexists(path):
                _make_private(path, is_directory=False)

    def prepare_subdirectory(self, path: Path) -> Path:
        """Make `path` (the data directory or one inside it) unless it is there, private like the rest."""
        prepare_directory(path)
        return path


def prepare_directory(path: Path) -> None:
    """Make a directory of ours unless it is there, private either way."""
    with _explained(path), suppress(FileExistsError):
        path.mkdir(mode=0o700)
    _make_private(path, is_directory=True)


def open_private(path: Path, flags: int) -> int:
    """Open a file of ours, never through a link; one that `flags` make is 0600. The caller closes the descriptor."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _link_refused(path) from error
        raise
    try:
        found = os.fstat(descriptor)
        _check(path, found, is_directory=False)
        if found.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_private(path: Path) -> None:
    """
    Refuse a file of ours that is a link, no file, or somebody else's, or that others may read; without opening it.
    """
    found = path.lstat()
    _check(path, found, is_directory=False)
    if found.st_mode & 0o077:
        path.chmod(0o600)


def write_private(path: Path, content: bytes, *, before_rename: Callable[[], None] = lambda: None) -> None:
    """
    Write or replace a file of ours, whole or not at all, and on the disk when this returns.

    `before_rename` is called when all is written but not yet in force; if it raises, the old file stays.
    """
    if path.is_symlink():
        raise _link_refused(path)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = open_private(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        before_rename()
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Have a directory's entries on the disk, so that a file just made or renamed in it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def _make_private(path: Path, *, is_directory: bool) -> None:
    mode = 0o700 if is_directory else 0o600
    with _explained(path):
        found = path.lstat()
        _check(path, found, is_directory=is_directory)
        if found.st_mode & 0o077 == 0:
            return
        # Through a descriptor: between the look and the change the name may have become a link.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check(path, os.fstat(descriptor), is_directory=is_directory)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


def _check(path: Path, found: os.stat_result, *, is_directory: bool) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _link_refused(path)
    if not (stat.S_ISDIR if is_directory else stat.S_ISREG)(found.st_mode):
        raise DataDirectoryUnusable(f"is not a {'directory' if is_directory else 'regular file'}: {path}")
    if found.st_uid != os.geteuid():
        raise DataDirectoryUnusable(f"belongs to another user (uid {found.st_uid}): {path}")


def _link_refused(path: Path) -> DataDirectoryUnusable:
    return DataDirectoryUnusable(f"is a symbolic link, which is never followed here: {path}")


@contextmanager
def _explained(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise DataDirectoryUnusable(f"cannot be used ({error.strerror}): {path}") from error
