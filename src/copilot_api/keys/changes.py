"""
How one process learns that another has changed a key, without asking the database.

Every committed change appends one byte to a stamp file; its size is the generation of the keys. Looking is one `fstat`:
the file stays open, since finding it by its name costs several times as much and is on the way of every call.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from copilot_api.config.paths import open_private
from copilot_api.errors import StorageUnavailable

Generation = tuple[int, int]
"""What changes when a key changes: the stamp file's inode and size."""

_MISSING: Generation = (0, 0)


class KeyChanges:
    """Tells of changes, and tells when there were some."""

    def __init__(self, stamp: Path) -> None:
        self._stamp = stamp
        self._descriptor = -1

    def generation(self) -> Generation:
        """The generation of the keys as they are stored now. A stamp file that is missing is the first generation."""
        if self._descriptor >= 0:
            found = os.fstat(self._descriptor)
            if found.st_nlink:
                return (found.st_ino, found.st_size)
            os.close(self._descriptor)  # somebody deleted it; the next change makes another
        try:
            self._descriptor = os.open(self._stamp, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            self._descriptor = -1
            return _MISSING
        found = os.fstat(self._descriptor)
        return (found.st_ino, found.st_size)

    def size(self) -> int:
        """
        The stamp's size alone, which every change raises: for the way of every call, where `generation` costs too much.

        A stamp that somebody deleted is noticed by `generation`, whenever the index is read for its age.
        """
        return os.lseek(self._descriptor, 0, os.SEEK_END) if self._descriptor >= 0 else self.generation()[1]

    @contextmanager
    def announcing(self) -> Generator[None]:
        """Around a change: it is announced after the block, and not begun where it could not be announced."""
        try:
            descriptor = open_private(self._stamp, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        except OSError as error:
            raise StorageUnavailable(f"a change could not be announced ({error.strerror}): {self._stamp}") from error
        try:
            yield
            _grow(descriptor)
        finally:
            os.close(descriptor)


def _grow(descriptor: int) -> None:
    try:
        os.write(descriptor, b".")
    except OSError:
        # The change is made and must not be reported as failed. A full disk still lets a file end in a hole; and where
        # not even that works, others see the change when their index has reached its age.
        with suppress(OSError):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size + 1)
