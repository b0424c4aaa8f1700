"""The second look at the files: whatever lies in the data directory, read as bytes."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from copilot_api.config.paths import DataDirectory
from copilot_api.privacy.models import Leftover, Needles

JOURNAL, CAPTURES, CONFIGURATION = "journal", "captures", "configuration"
"""Where something may be found."""
_READ_BYTES = 1024 * 1024


def search_files(directory: DataDirectory, needles: Needles) -> list[Leftover]:
    """
    What of the key any file but the database and the audit log holds: journal, captures, configuration and its former
    versions, the first admin key.
    """
    found: list[Leftover] = []
    for where, path in _list_files(directory):
        with suppress(FileNotFoundError):  # one that is gone by now holds nothing
            if count := _count(path, needles.patterns):
                found.append(Leftover(where, path.name, count))
            if where == CONFIGURATION and (count := _count_texts(path, needles.labels)):
                found.append(Leftover(where, f"{path.name}, the label", count))
    return found


def _list_files(directory: DataDirectory) -> Iterator[tuple[str, Path]]:
    for where, parent in (
        (JOURNAL, directory.spool),
        (CAPTURES, directory.traces),
        (CONFIGURATION, directory.config_history),
    ):
        if parent.is_dir():
            yield from ((where, path) for path in sorted(parent.iterdir()) if path.is_file() and not path.is_symlink())
    yield CONFIGURATION, directory.config
    yield "first admin key", directory.admin_key


def _count(path: Path, patterns: Sequence[bytes]) -> int:
    """In how many places a file holds any of the patterns."""
    pattern = re.compile(b"|".join(map(re.escape, patterns)))
    longest = max(map(len, patterns))
    found, rest = 0, b""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        while chunk := file.read(_READ_BYTES):
            piece = rest + chunk
            end = 0
            for match in pattern.finditer(piece):
                found, end = found + 1, match.end()
            # What was found must not be found again with the next piece.
            rest = piece[max(end, len(piece) - longest + 1) :]
    return found


def _count_texts(path: Path, texts: Sequence[str]) -> int:
    """How often a file of JSON has any of these as a whole text; as a part of one a label may be any word."""
    content = path.read_bytes()
    return sum(content.count(msgspec.json.encode(text)) for text in texts)
