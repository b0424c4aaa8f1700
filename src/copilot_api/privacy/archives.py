"""
An archive that is written piece by piece into a file of its own, and put in its place when it is whole.

Nothing is overwritten: the place is taken in one step, which fails where there is something already.
"""

import hashlib
import os
import secrets
import zipfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import msgspec

from copilot_api.config.paths import sync_directory
from copilot_api.errors import BadRequest

_READ_BYTES = 1024 * 1024


class Member(msgspec.Struct, frozen=True):
    """One file in an archive."""

    name: str
    about: str
    records: int
    bytes: int
    sha256: str


class ArchiveWriter:
    """Adds members to an archive. What one is made of is never held whole."""

    def __init__(self, archive: zipfile.ZipFile, at: datetime) -> None:
        self._archive = archive
        self._at = at.timetuple()[:6]
        self.members: list[Member] = []

    def add(self, name: str, about: str, pieces: Iterable[bytes]) -> int:
        """Add a member made of these pieces, each of which counts as one record. Says how many there were."""
        entry = zipfile.ZipInfo(name, self._at)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o600 << 16
        digest, size, records = hashlib.sha256(), 0, 0
        with self._archive.open(entry, "w", force_zip64=True) as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size, records = size + len(piece), records + 1
        self.members.append(Member(name, about, records, size, digest.hexdigest()))
        return records


@contextmanager
def writing(path: Path, at: datetime) -> Generator[tuple[ArchiveWriter, "Handover"]]:
    """
    Write an archive that nobody else may read. It is at `path` once `Handover.give` was called, and nowhere if not.

    Raises `BadRequest` where there is something at `path` already, and `OSError`.
    """
    _refuse_existing(path)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(new, flags, 0o600), "r+b") as file, zipfile.ZipFile(file, "w") as archive:
            yield ArchiveWriter(archive, at), Handover(new, path, archive, file.fileno())
    finally:
        with suppress(FileNotFoundError):
            new.unlink()


class Handover:
    """Puts the finished archive in its place."""

    def __init__(self, new: Path, path: Path, archive: zipfile.ZipFile, descriptor: int) -> None:
        self._new = new
        self._path = path
        self._archive = archive
        self._descriptor = descriptor

    def finish(self) -> str:
        """End the archive; gives its SHA-256."""
        self._archive.close()
        os.fsync(self._descriptor)
        digest, offset = hashlib.sha256(), 0
        while chunk := os.pread(self._descriptor, _READ_BYTES, offset):
            digest.update(chunk)
            offset += len(chunk)
        return digest.hexdigest()

    def give(self) -> None:
        """Put it at its place. Raises `BadRequest` where there is something by now."""
        try:
            os.link(self._new, self._path, follow_symlinks=False)  # a rename would overwrite
        except FileExistsError:
            _refuse_existing(self._path)
            raise
        sync_directory(self._path.parent)


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise BadRequest(f"there is a file already: {path}", hint="name another with --output, or move it away")
