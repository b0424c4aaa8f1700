"""
What a power cut would leave of a directory: every call that changes it, and what is on the disk for certain.

The model is harsher than file systems are: what was written to a file and not synced may be anything, and each name in
a directory that was not synced since may stand for whatever it stood for at any moment since then.
"""

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CALLS = ("open", "fsync", "replace", "mkdir", "unlink", "ftruncate")
"""The calls of `os` that a writer makes; what it writes is looked at when it is synced."""


def tap(patch: pytest.MonkeyPatch, before: Callable[[str], None], after: Callable[[str, Any], None]) -> None:
    """Have every one of `CALLS` announced, before it is made and with its first argument when it was."""
    for name in CALLS:
        real = getattr(os, name)

        def call(*arguments: Any, _name: str = name, _real: Any = real, **named: Any) -> Any:
            before(_name)
            result = _real(*arguments, **named)
            after(_name, arguments[0])
            return result

        patch.setattr(os, name, call)


class Disk:
    """Directories as they are, and as they may be found after a power cut."""

    def __init__(self, *directories: Path) -> None:
        self.directories = directories
        self.synced_names: dict[Path, dict[str, int]] = {}
        self.names_since: dict[Path, dict[str, set[int | None]]] = {}
        self.contents: dict[int, bytes] = {}
        for directory in directories:
            if directory.exists():
                self.sync_directory(directory)
                for path in directory.iterdir():
                    if path.is_file():
                        self.contents[path.stat().st_ino] = path.read_bytes()

    def after(self, name: str, argument: Any) -> None:
        """Take note of a call."""
        if name == "fsync":
            path = Path(os.readlink(f"/proc/self/fd/{argument}"))
            if path.is_dir():
                self.sync_directory(path)
            else:
                self.contents[path.stat().st_ino] = path.read_bytes()
        for directory in self.directories:
            if directory.exists():
                seen = self.names_since.setdefault(directory, defaultdict(lambda: {None}))
                there = self._list(directory)
                for each in {*seen, *there}:
                    seen[each].add(there.get(each))

    def sync_directory(self, path: Path) -> None:
        self.synced_names[path] = self._list(path)
        self.names_since[path] = defaultdict(lambda: {None}, {name: set() for name in self.synced_names[path]})

    def possible(self, path: Path) -> set[bytes | str | None]:
        """What may be found under a name: contents, None for nothing, or `garbage`."""
        inodes: set[int | None] = {self.synced_names.get(path.parent, {}).get(path.name)}
        if (since := self.names_since.get(path.parent)) and path.name in since:
            inodes |= since[path.name]
        return {None if inode is None else self.contents.get(inode, "garbage") for inode in inodes}

    def certain(self, directory: Path) -> set[bytes]:
        """The contents of the files that are in a directory for certain, and the directory itself too."""
        if self.possible_names(directory) != {True}:
            return set()
        found: set[bytes] = set()
        for name in self.synced_names.get(directory, {}):
            match list(self.possible(directory / name)):
                case [bytes() as content]:
                    found.add(content)
                case _:
                    pass
        return found

    def possible_names(self, path: Path) -> set[bool]:
        """Whether there may be, and may not be, something of this name."""
        inodes: set[int | None] = {self.synced_names.get(path.parent, {}).get(path.name)}
        inodes |= self.names_since.get(path.parent, {}).get(path.name, set())
        return {inode is not None for inode in inodes}

    @staticmethod
    def _list(path: Path) -> dict[str, int]:
        return {entry.name: entry.inode() for entry in os.scandir(path)}
