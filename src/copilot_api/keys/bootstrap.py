"""The first admin key, where there is no terminal to show it on: a file that its reader deletes."""

import os
from pathlib import Path

from copilot_api.config.paths import DataDirectoryUnusable, open_private, sync_directory
from copilot_api.keys.service import IssuedKey, KeyService


def write_admin_key_file(path: Path, secret: str) -> None:
    """Write a new file that only we may read; refuse when there is one, whatever it is."""
    descriptor = _open_new(path)
    try:
        _write(descriptor, path, secret)
    finally:
        os.close(descriptor)


def ensure_admin_key_in_file(keys: KeyService, path: Path, *, actor: str) -> IssuedKey | None:
    """Make the first admin key if there is none, and leave it in a file: either both, or neither."""
    if keys.has_admin_key():
        return None
    # The file first: a key that nobody ever gets to see would lock its owner out.
    descriptor, issued, is_written = _open_new(path), None, False
    try:
        issued = keys.ensure_admin_key(actor=actor)
        if issued is not None:
            _write(descriptor, path, issued.secret)
            is_written = True
    finally:
        os.close(descriptor)
        if not is_written:
            path.unlink(missing_ok=True)
            if issued is not None:
                keys.revoke(issued.key.id, actor=actor)
    return issued


def _open_new(path: Path) -> int:
    try:
        return open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except FileExistsError as error:
        raise DataDirectoryUnusable(f"there is a file already: {path}", hint="read it, then delete it") from error


def _write(descriptor: int, path: Path, secret: str) -> None:
    os.write(descriptor, f"{secret}\n".encode())
    os.fsync(descriptor)
    sync_directory(path.parent)
