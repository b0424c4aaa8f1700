"""The file is read whole, checked whole, and swapped at once, or not at all."""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from copilot_api.config.loader import ConfigInvalid
from copilot_api.config.reload import SettingsSource
from copilot_api.config.schema import ConfigFile
from copilot_api.config.settings import Settings
from copilot_api.errors import GatewayError, StorageUnavailable
from copilot_api.observability.events import ConfigRejected, ConfigReloaded, Observation


def build(config: ConfigFile) -> Settings:
    return replace(Settings(), max_body_bytes=config.limits.max_body_mb)


class Watched:
    """A source, what it brought into force, and what it told."""

    def __init__(self, path: Path, content: str | None = "{}") -> None:
        self.path = path
        if content is not None:
            path.write_text(content)
        self.told: list[Observation] = []
        self.applied: list[int] = []
        self.source = SettingsSource(path, build, self.told.append)

    def apply(self, settings: Settings) -> None:
        self.applied.append(settings.max_body_bytes)

    def say(self, content: str | bytes) -> None:
        fresh = self.path.with_name("new")
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)
        fresh.replace(self.path)

    def look(self) -> None:
        self.source.look(self.apply)

    def rejections(self) -> list[str]:
        return [each.reason for each in self.told if isinstance(each, ConfigRejected)]


def limits(megabytes: Any) -> str:
    return json.dumps({"limits": {"max_body_mb": megabytes}})


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "config.json")


def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid):
        Watched(tmp_path / "config.json", "{")
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").mkdir()
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        SettingsSource(tmp_path / "config.json", build)


def test_without_a_file_the_defaults_are_in_force_and_it_is_not_missed(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "config.json", None)
    watched.look()
    assert (watched.source.current.max_body_bytes, watched.told) == (64, [])
    watched.say(limits(3))
    watched.look()
    assert (watched.applied, watched.source.current.max_body_bytes) == ([3], 3)


def test_a_change_is_applied_once(watched: Watched) -> None:
    watched.say(limits(3))
    for _ in range(3):
        watched.look()
    assert watched.applied == [3]
    assert [type(each) for each in watched.told] == [ConfigReloaded]


@pytest.mark.parametrize("broken", ["", "{", limits("much"), limits(-1), '{"limitz":{}}', '{"version":2}', b"\xff"])
def test_what_is_broken_is_told_once_and_changes_nothing(watched: Watched, broken: str | bytes) -> None:
    watched.say(limits(3))
    watched.look()
    watched.say(broken)
    for _ in range(3):
        watched.look()
    assert (watched.applied, watched.source.current.max_body_bytes) == ([3], 3)
    assert len(watched.rejections()) == 1
    assert watched.source.rejected == watched.rejections()[0]
    watched.say(limits(4))
    watched.look()
    assert watched.applied == [3, 4]
    assert not watched.source.rejected


def test_two_broken_ones_are_told_twice(watched: Watched) -> None:
    for broken in ("{", "[", "{"):
        watched.say(broken)
        watched.look()
    assert len(watched.rejections()) == 3


def test_the_file_in_force_coming_back_is_no_change(watched: Watched) -> None:
    watched.say("{")
    watched.look()
    watched.say("{}")
    watched.look()
    assert (watched.applied, watched.source.rejected) == ([], None)


def test_an_edit_within_the_same_tick_of_the_file_systems_clock_is_seen(watched: Watched) -> None:
    """It has the size, the time and the number of the one before it: only its content differs."""
    watched.path.write_text(limits(3))
    watched.look()
    tick = watched.path.stat()
    watched.path.write_text(limits(4))
    os.utime(watched.path, ns=(tick.st_atime_ns, tick.st_mtime_ns))
    watched.look()
    assert watched.applied == [3, 4]


def test_a_file_that_is_gone_is_told_once_and_leaves_the_last_one_in_force(watched: Watched) -> None:
    watched.say(limits(3))
    watched.look()
    watched.path.unlink()
    for _ in range(3):
        watched.look()
    assert watched.rejections() == ["the file is missing"]
    assert watched.source.current.max_body_bytes == 3


def test_settings_that_cannot_be_built_or_are_kept_out_change_nothing(watched: Watched) -> None:
    def keep_out(old: Settings, new: Settings) -> None:
        assert (old.max_body_bytes, new.max_body_bytes) == (64, 3)
        raise StorageUnavailable("it cannot be put on record")

    watched.source.guard = keep_out
    watched.say(limits(3))
    watched.look()
    assert watched.rejections() == ["it cannot be put on record"]
    assert watched.applied == []


def watch(watched: Watched, change: Callable[[], None], wanted: list[int]) -> None:
    """Run the watch until what was wanted is in force."""

    async def test() -> None:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            watching = group.create_task(watched.source.run(watched.apply))
            await asyncio.sleep(0.3)
            change()
            while watched.applied != wanted:
                await asyncio.sleep(0.01)
            watching.cancel()

    asyncio.run(test())


def test_a_replaced_file_is_seen(watched: Watched) -> None:
    watch(watched, lambda: watched.say(limits(3)), [3])


def test_a_file_that_is_written_in_place_is_seen(watched: Watched) -> None:
    def write() -> None:
        watched.path.write_text(limits(3))

    watch(watched, write, [3])


def test_a_directory_that_comes_late_is_seen(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "late" / "config.json", None)

    def make() -> None:
        (tmp_path / "late").mkdir()
        watched.say(limits(3))

    watch(watched, make, [3])


def test_an_error_of_the_gateways_is_all_that_is_caught(watched: Watched) -> None:
    """A defect in what applies settings is a defect, and no broken file."""

    def defect(settings: Settings) -> None:
        raise KeyError("x")

    watched.say(limits(3))
    with pytest.raises(KeyError):
        watched.source.look(defect)
    assert issubclass(ConfigInvalid, GatewayError)
