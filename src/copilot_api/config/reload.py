"""
The configuration as it is now: `config.json` is watched, read whole, checked whole, and swapped at once, or not at all.

What cannot be used is reported once and changes nothing; so does a file that is missing, since editors replace files by
way of no file at all. The directory is watched, not the file, so whatever way it is replaced is seen; and once a second
the file is looked at anyway, where notifications do not come (a network file system, a directory that was replaced).
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import watchfiles

from copilot_api.config.loader import parse_config, read_bounded
from copilot_api.config.schema import ConfigFile
from copilot_api.config.settings import Settings
from copilot_api.config.store import hash_of
from copilot_api.errors import GatewayError
from copilot_api.observability.events import ConfigRejected, ConfigReloaded, Observer

LOOK_MILLISECONDS = 1000
_DEBOUNCE_MILLISECONDS, _STEP_MILLISECONDS = 100, 20
_SETTLED_NANOSECONDS = 2_000_000_000
"""The coarsest clock of a file system in use (FAT's). What is read again changes nothing: its hash is compared."""
_MISSING = "the file is missing"

Build = Callable[[ConfigFile], Settings]
"""Settings of a configuration: the flags of the command line win. Raises a `GatewayError` for what cannot be."""
Change = tuple[str, ConfigFile, Settings]
"""A content's hash, what it says, and the settings that come of it."""
Guard = Callable[[Settings, Settings], None]
"""Is told the settings in force and those that are to be, just before. Raises a `GatewayError` to keep them out."""
_Stamp = tuple[int, int, int] | None


class SettingsSource:
    """See the module."""

    def __init__(self, path: Path, build: Build, observe: Observer = lambda _: None) -> None:
        """Read the file as it is now; without one the defaults are in force. Raises why it cannot be used."""
        self.observe = observe
        self.guard: Guard = lambda _old, _new: None
        self.rejected: str | None = None
        """Why the file as it is cannot be used; None when it is in force."""
        self.path = path
        self._build = build
        self._told = ""
        self._stamp = _settled(self._look_at())
        content = read_bounded(path)
        self.hash = "" if content is None else hash_of(content)
        """Of the content in force; empty where there was no file."""
        self.config = ConfigFile() if content is None else parse_config(content, str(path))
        """What the file in force says, without the flags."""
        self.current = build(self.config)
        """The settings in force."""

    def check(self, content: bytes) -> Settings:
        """The settings that a file of this content would bring. Raises what speaks against it; changes nothing."""
        return self._build(parse_config(content, "the configuration"))

    async def run(self, apply: Callable[[Settings], None]) -> None:
        """Watch, for ever; `apply` gets each new configuration."""
        while True:
            try:
                async for _ in watchfiles.awatch(  # pyright: ignore[reportUnknownMemberType] -- of its default filter
                    self.path.parent,
                    watch_filter=self._is_ours,
                    debounce=_DEBOUNCE_MILLISECONDS,
                    step=_STEP_MILLISECONDS,
                    rust_timeout=LOOK_MILLISECONDS,
                    yield_on_timeout=True,
                    recursive=False,
                ):
                    await self._look_aside(apply)
                    if not self.path.parent.is_dir():
                        break
            except (OSError, RuntimeError):
                pass  # no such directory now, or nothing to watch it with
            await asyncio.sleep(LOOK_MILLISECONDS / 1000)
            await self._look_aside(apply)

    def look(self, apply: Callable[[Settings], None]) -> None:
        """Bring into force what the file says, if it changed and can be used."""
        self._bring_in(self._find_change(), apply)

    async def _look_aside(self, apply: Callable[[Settings], None]) -> None:
        """The same, with the reading and the checking in a thread: a large file takes a while."""
        if self._look_at() != self._stamp or self._stamp is None:
            self._bring_in(await asyncio.to_thread(self._find_change), apply)

    def _bring_in(self, change: Change | None, apply: Callable[[Settings], None]) -> None:
        if change is not None:
            self.hash, self.config, self.current = change
            self._told, self.rejected = "", None
            apply(self.current)
            self.observe(ConfigReloaded(self.hash[:12]))

    def _find_change(self) -> Change | None:
        stamp = self._look_at()
        if stamp == self._stamp and stamp is not None:
            return None
        try:
            content = read_bounded(self.path)
            if content is None:
                if self.hash:  # one that never was is not missed
                    self._reject(_MISSING)
                return None
            self._stamp, digest = _settled(stamp), hash_of(content)
            if digest == self.hash:
                self._told, self.rejected = "", None
                return None
            config = parse_config(content, self.path.name)
            settings = self._build(config)
            self.guard(self.current, settings)
        except GatewayError as error:
            self._reject(" ".join(error.message.split()), str(stamp))
            return None
        return digest, config, settings

    def _reject(self, reason: str, digest: str = "") -> None:
        self.rejected = reason
        mark = f"{digest}{reason}"
        if mark != self._told:
            self._told = mark
            self.observe(ConfigRejected(reason))

    def _is_ours(self, change: watchfiles.Change, path: str) -> bool:  # noqa: ARG002 -- a signature of the library's
        return Path(path).name == self.path.name

    def _look_at(self) -> _Stamp:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


def _settled(stamp: _Stamp) -> _Stamp:
    """
    The stamp, where another edit would show in it; else None. File systems keep time in ticks of some milliseconds, and
    use the number of a replaced file again: what was written just now may change once more and look the same, so it is
    read again at the next look.
    """
    return stamp if stamp is not None and time.time_ns() - stamp[2] > _SETTLED_NANOSECONDS else None
