"""
The one writer of `config.json`: whole, durable, by compare-and-swap, and with the last versions kept.

A write names the version that it is based on. Under a lock that all writers take, that version must still be the one in
the file; else the writer has not seen what it would undo. The old content is kept and on the disk before the new one
takes its name, in one rename: whenever the power goes, there is the old file or the new one.
"""

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec

from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import LOCAL, Action, AuditEvent, Origin
from copilot_api.clock import Clock, SystemClock
from copilot_api.config.loader import ConfigInvalid, parse_config, read_bounded
from copilot_api.config.paths import open_private, prepare_directory, sync_directory, write_private
from copilot_api.config.schema import ConfigFile
from copilot_api.errors import BadRequest, GatewayError, StorageUnavailable

KEPT_VERSIONS = 20
LOCK_SECONDS = 10.0

_POLL_SECONDS = 0.01
_AT = "%Y%m%dT%H%M%S.%fZ"
_VERSION_ID = re.compile(r"([0-9]{8}T[0-9]{6}\.[0-9]{6}Z)-([0-9a-f]{12})")
_UNFINISHED = re.compile(r"\.(.+)\.[0-9a-f]{16}")
"""The names of files that `write_private` was writing."""
_MAX_CHANGED_PATHS = 100
_ABSENT: Any = object()


class ConfigConflict(GatewayError):
    """The configuration file is no longer the one that a change is based on."""

    number, code, status = 109, "config_conflict", 409
    kind, cause = "invalid_request_error", "bad_request"
    hint = "read the configuration again, and repeat the change on top of it"


class ConfigVersionNotFound(BadRequest):
    """No former version of the configuration file by that id; only the last ones are kept."""

    number, code, status = 115, "config_version_not_found", 404
    hint = "'copilot-api config history' lists those that are kept"


@dataclass(frozen=True, slots=True)
class Stored:
    """The file as it is."""

    content: bytes | None
    """None where there is no file."""
    version_hash: str
    """The SHA-256 of the content in hex; empty where there is no file."""
    config: ConfigFile


@dataclass(frozen=True, slots=True)
class Version:
    """A content that was replaced."""

    id: str
    at: datetime
    """When it was replaced."""
    hash: str
    size: int


@dataclass(frozen=True, slots=True)
class ConfigStore:
    """`config.json`, and the directory of its former versions."""

    path: Path
    history_path: Path
    clock: Clock = field(default_factory=SystemClock)

    def read(self) -> Stored:
        """The file now. Raises `ConfigInvalid`."""
        content, version_hash = self.read_content()
        config = ConfigFile() if content is None else parse_config(content, str(self.path))
        return Stored(content, version_hash, config)

    def read_content(self) -> tuple[bytes | None, str]:
        """What is in the file, right or wrong, and its hash; None and an empty one where there is no file."""
        content = read_bounded(self.path)
        return content, "" if content is None else hash_of(content)

    def replace(
        self,
        content: bytes,
        *,
        expected: str | None,
        actor: str,
        audit: AuditLog,
        detail: dict[str, object] | None = None,
        origin: Origin = LOCAL,
    ) -> Stored:
        """
        Put `content` in the place of the version with the hash `expected` (None or empty: of no file), signed.

        Raises `ConfigInvalid` for content that cannot be used, `ConfigConflict` when the file is another by now, and
        `StorageUnavailable` when it or its audit line cannot be written. After each of them the old file is there.
        """
        config = self._parse_new(content)
        stored = Stored(content, hash_of(content), config)
        with self._locked():
            old, old_hash = self.read_content()
            if old_hash != (expected or ""):
                raise ConfigConflict(f"{self.path.name} was changed by somebody else in the meantime")
            if old_hash == stored.version_hash:
                return stored
            event = AuditEvent(
                actor,
                Action.CONFIG_CHANGED,
                self.path.name,
                {"old": old_hash, "new": stored.version_hash, "changed": changed_paths(old, content), **(detail or {})},
                origin,
            )
            self._sweep()
            if old is not None:
                self._keep(old, old_hash)
            self._commit(content, event, audit)
            self._forget()
        return stored

    def history(self) -> list[Version]:
        """The versions that are kept, newest first."""
        return [_describe(path) for path in reversed(self._version_paths())]

    def read_version(self, version_id: str) -> bytes:
        """The content of a version. Raises `ConfigVersionNotFound` for one that is not kept."""
        if _VERSION_ID.fullmatch(version_id):
            with suppress(FileNotFoundError):
                return _read_private(self.history_path / f"{version_id}.json")
        raise ConfigVersionNotFound(f"there is no such version of {self.path.name}: {version_id[:64]!a}")

    def rollback(self, version_id: str, *, actor: str, audit: AuditLog) -> Stored:
        """Put a version back. It is a change like any other, and can be rolled back itself. Raises like `replace`."""
        content = self.read_version(version_id)
        _, current = self.read_content()
        return self.replace(content, expected=current, actor=actor, audit=audit, detail={"rollback": version_id})

    def rewrite_history(self, edit: Callable[[bytes], bytes | None]) -> tuple[int, int]:
        """
        Put in the place of each former version what `edit` makes of it; None deletes it. Says how many became another
        and how many went. Raises `StorageUnavailable`.

        No audit line's hash fits a version that became another: for erasing, and nothing else.
        """
        rewritten = deleted = 0
        with self._locked(), self._explained():
            self._sweep()
            for path in self._version_paths():
                content = _read_private(path)
                edited = edit(content)
                if edited == content:
                    continue
                if edited is None:
                    deleted += 1
                else:
                    at = path.name.partition("-")[0]
                    write_private(self.history_path / f"{at}-{hash_of(edited)[:12]}.json", edited)
                    rewritten += 1
                path.unlink()
            if rewritten or deleted:
                sync_directory(self.history_path)
        return rewritten, deleted

    def _parse_new(self, content: bytes) -> ConfigFile:
        try:
            return parse_config(content, f"the new {self.path.name}")
        except ConfigInvalid as error:
            problem = "" if error.mistakes else error.problem
            raise ConfigInvalid(error.where, problem, error.mistakes, hint="nothing was changed") from None

    @contextmanager
    def _locked(self) -> Generator[None]:
        deadline = self.clock.monotonic() + LOCK_SECONDS
        with self._explained():
            descriptor = open_private(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if self.clock.monotonic() >= deadline:
                        raise ConfigConflict(
                            f"somebody else has been writing {self.path.name} for {LOCK_SECONDS:g} s",
                            hint="find the process that hangs, or try again later",
                        ) from None
                    time.sleep(_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise StorageUnavailable(
                f"{self.path} cannot be written ({error.strerror or error}), so nothing was changed",
                hint="make the data directory writable and its disk roomy",
            ) from error

    def _keep(self, content: bytes, content_hash: str) -> None:
        """Put the content that is about to be replaced on record, unless the newest version is the same."""
        with self._explained():
            is_new = not self.history_path.exists()
            prepare_directory(self.history_path)
            if is_new:
                sync_directory(self.history_path.parent)
            at = self.clock.now().astimezone(UTC)
            if paths := self._version_paths():
                newest = _describe(paths[-1])
                if newest.hash == content_hash:
                    return
                # A clock that was set back must not make the newest version the first to go.
                at = max(at, newest.at + timedelta(microseconds=1))
            write_private(self.history_path / f"{at.strftime(_AT)}-{content_hash[:12]}.json", content)

    def _commit(self, content: bytes, event: AuditEvent, audit: AuditLog) -> None:
        is_signed = False

        def sign() -> None:
            nonlocal is_signed
            audit.append(event)
            is_signed = True

        try:
            with self._explained():
                write_private(self.path, content, before_rename=sign)
        except BaseException as error:
            is_in_force = is_signed and read_bounded(self.path) == content
            if is_signed and not is_in_force:
                with suppress(StorageUnavailable):
                    audit.append(replace(event, detail={**event.detail, "outcome": "not committed"}))
            if is_in_force and isinstance(error, StorageUnavailable):
                # Only the directory's own fsync can fail behind the rename.
                raise StorageUnavailable(
                    f"{self.path} was changed, but may be the old one again after a power cut: {error.__cause__}"
                ) from error
            raise

    def _version_paths(self) -> list[Path]:
        try:
            names = sorted(path.name for path in self.history_path.iterdir())
        except FileNotFoundError:
            return []
        return [
            self.history_path / name
            for name in names
            if name.endswith(".json") and _VERSION_ID.fullmatch(name.removesuffix(".json"))
        ]

    def _forget(self) -> None:
        for path in self._version_paths()[:-KEPT_VERSIONS]:
            with suppress(OSError):
                path.unlink()

    def _sweep(self) -> None:
        """Remove what writers left that were killed. Nobody else is writing: the lock is ours."""
        for directory in (self.path.parent, self.history_path):
            with suppress(OSError):
                for path in directory.glob(".*"):
                    found = _UNFINISHED.fullmatch(path.name)
                    if found and (directory == self.history_path or found[1] == self.path.name):
                        path.unlink()


def hash_of(content: bytes) -> str:
    """What tells versions apart."""
    return hashlib.sha256(content).hexdigest()


def changed_paths(old: bytes | None, new: bytes) -> list[str]:
    """Which fields two contents differ in; `$` when one of them cannot be read. Names only, never values."""
    try:
        before, after = msgspec.json.decode(old or b"{}"), msgspec.json.decode(new)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ["$"]
    found = list(_differences(before, after, ""))
    return found[:_MAX_CHANGED_PATHS] + (["..."] if len(found) > _MAX_CHANGED_PATHS else [])


def _differences(before: Any, after: Any, path: str) -> Generator[str]:
    """What is missing on one side counts as an empty object there, so that the fields in it are named."""
    old, new = _members(before), _members(after)
    if (old or new) and old is not None and new is not None:
        for name in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(name, _ABSENT), new.get(name, _ABSENT), f"{path}.{name}" if path else name)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield path or "$"


def _members(value: Any) -> dict[str, Any] | None:
    return {} if value is _ABSENT else cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _describe(path: Path) -> Version:
    version_id = path.name.removesuffix(".json")
    content = _read_private(path)
    at = datetime.strptime(version_id.partition("-")[0], _AT).replace(tzinfo=UTC)
    return Version(version_id, at, hash_of(content), len(content))


def _read_private(path: Path) -> bytes:
    with os.fdopen(open_private(path, os.O_RDONLY), "rb") as file:
        return file.read()
