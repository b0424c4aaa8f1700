"""The one writer of the file: nothing is lost, neither to another writer nor to a power cut."""

import errno
import json
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from copilot_api.audit.log import AuditLog
from copilot_api.audit.verify import find_problems
from copilot_api.clock import SystemClock
from copilot_api.config.loader import ConfigInvalid
from copilot_api.config.paths import DataDirectory, DataDirectoryUnusable
from copilot_api.config.schema import ConfigFile
from copilot_api.config.store import KEPT_VERSIONS, ConfigConflict, ConfigStore, Stored, changed_paths, hash_of
from copilot_api.errors import BadRequest, GatewayError, StorageUnavailable
from tests.config.disk import Disk, tap

OLD = b'{"version": 1, "limits": {"max_body_mb": 8}}\n'
NEW = b'{"version": 1, "limits": {"max_body_mb": 9}}\n'
NEWER = b'{"version": 1, "limits": {"max_body_mb": 10}, "features": {"auth": true}}\n'


@dataclass
class SetClock:
    """Stands where it is put, and moves only when somebody waits for the lock."""

    at: datetime = datetime(2026, 7, 1, 12, tzinfo=UTC)
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        self.seconds += 1.0
        return self.seconds


@dataclass
class Place:
    """A data directory with a store."""

    directory: DataDirectory
    clock: SetClock = field(default_factory=SetClock)

    def __post_init__(self) -> None:
        self.directory.prepare()
        self.store = ConfigStore(self.directory.config, self.directory.config_history, self.clock)
        self.audit = AuditLog(self.directory.audit, SystemClock())

    def replace(self, content: bytes, expected: bytes | None) -> Stored:
        wanted = None if expected is None else hash_of(expected)
        return self.store.replace(content, expected=wanted, actor="local:me", audit=self.audit)

    @property
    def content(self) -> bytes | None:
        path = self.directory.config
        return path.read_bytes() if path.exists() else None

    @property
    def audited(self) -> list[dict[str, Any]]:
        path = self.directory.audit
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def kept(self) -> list[bytes]:
        return [self.store.read_version(version.id) for version in self.store.history()]

    def put(self, content: bytes) -> None:
        self.directory.config.write_bytes(content)

    def leftovers(self) -> list[Path]:
        """Files that nobody should leave behind."""
        known = {"config.json", "config.json.lock", "config.history", "audit.jsonl", "audit.head", "audit.lock"}
        version = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{12}\.json")
        history = self.directory.config_history
        extra = [path for path in self.directory.path.iterdir() if path.name not in known]
        return extra + [path for path in history.glob("*") if not version.fullmatch(path.name)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(DataDirectory(tmp_path / "data"))


# Read and replace -----------------------------------------------------------------------------------------------------


def test_without_a_file_there_are_the_defaults_and_no_hash(place: Place) -> None:
    assert place.store.read() == Stored(None, "", ConfigFile())
    assert place.store.history() == []
    assert not place.directory.config_history.exists()


def test_what_was_written_is_read_private_and_signed(place: Place) -> None:
    stored = place.replace(OLD, None)
    assert stored == place.store.read()
    assert (stored.content, stored.version_hash, stored.config.limits.max_body_mb) == (OLD, hash_of(OLD), 8)
    assert stat.S_IMODE(place.directory.config.stat().st_mode) == 0o600
    assert place.kept == []
    (line,) = place.audited
    assert (line["actor"], line["action"], line["target"]) == ("local:me", "config.changed", "config.json")
    assert line["detail"] == {"old": "", "new": hash_of(OLD), "changed": ["version", "limits.max_body_mb"]}
    assert place.leftovers() == []


def test_what_is_replaced_is_kept_and_what_was_there_before_the_first_time_too(place: Place) -> None:
    place.put(OLD)
    place.replace(NEW, OLD)
    place.replace(NEWER, NEW)
    assert place.content == NEWER
    assert place.kept == [NEW, OLD]
    newest, oldest = place.store.history()
    assert (newest.hash, newest.size, oldest.hash) == (hash_of(NEW), len(NEW), hash_of(OLD))
    assert oldest.at == place.clock.at < newest.at
    assert stat.S_IMODE(place.directory.config_history.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in place.directory.config_history.iterdir()}
    assert modes == {0o600}
    assert [line["detail"]["changed"] for line in place.audited] == [
        ["limits.max_body_mb"],
        ["limits.max_body_mb", "features.auth"],
    ]


@pytest.mark.parametrize("expected", [None, NEW, NEWER])
def test_who_has_not_seen_what_is_there_is_refused(place: Place, expected: bytes | None) -> None:
    place.put(OLD)
    with pytest.raises(ConfigConflict) as refusal:
        place.replace(NEW, expected)
    assert (refusal.value.number, refusal.value.status, refusal.value.code) == (109, 409, "config_conflict")
    assert not refusal.value.is_final
    assert (place.content, place.kept, place.audited, place.leftovers()) == (OLD, [], [], [])


def test_who_believes_that_there_is_something_is_refused_where_there_is_nothing(place: Place) -> None:
    with pytest.raises(ConfigConflict):
        place.replace(NEW, OLD)
    assert place.store.replace(NEW, expected="", actor="a", audit=place.audit).content == NEW


def test_what_is_wrong_is_refused_and_the_file_untouched(place: Place) -> None:
    place.put(OLD)
    with pytest.raises(ConfigInvalid) as refusal:
        place.replace(b'{"limits": {"max_body_mb": 0}}', OLD)
    assert refusal.value.message.startswith("the new config.json: line 1, column 28: $.limits.max_body_mb: got 0")
    assert refusal.value.actual_hint == "nothing was changed"
    with pytest.raises(ConfigInvalid, match=r"the new config\.json: is empty"):
        place.replace(b"", OLD)
    assert (place.content, place.kept, place.audited) == (OLD, [], [])


@pytest.mark.parametrize("wrong", [b'{"version": 2}', b"{", b"\xff", b"[" * 5000])
def test_a_file_that_is_wrong_can_be_replaced_and_is_kept(place: Place, wrong: bytes) -> None:
    place.put(wrong)
    with pytest.raises(ConfigInvalid):
        place.store.read()
    content, version_hash = place.store.read_content()
    assert (content, version_hash) == (wrong, hash_of(wrong))
    place.replace(NEW, wrong)
    assert (place.content, place.kept) == (NEW, [wrong])
    with pytest.raises(ConfigInvalid):
        place.store.rollback(place.store.history()[0].id, actor="a", audit=place.audit)
    assert place.content == NEW


def test_the_same_again_is_no_change(place: Place) -> None:
    place.put(OLD)
    assert place.replace(OLD, OLD).version_hash == hash_of(OLD)
    assert (place.kept, place.audited) == ([], [])


def test_a_link_is_never_written_through(place: Place, tmp_path: Path) -> None:
    target = tmp_path / "target.json"
    target.write_bytes(OLD)
    place.directory.config.symlink_to(target)
    with pytest.raises(DataDirectoryUnusable, match="symbolic link"):
        place.replace(NEW, OLD)
    assert target.read_bytes() == OLD


# Versions -------------------------------------------------------------------------------------------------------------


def contents(count: int) -> list[bytes]:
    return [b'{"limits": {"max_body_mb": %d}}' % number for number in range(1, count + 1)]


def test_the_last_twenty_are_kept_also_when_the_clock_goes_backward(place: Place) -> None:
    previous: bytes | None = None
    for content in contents(30):
        place.replace(content, previous)
        place.clock.at -= timedelta(hours=1)
        previous = content
    assert place.kept == contents(29)[: -KEPT_VERSIONS - 1 : -1]
    ids = [version.id for version in place.store.history()]
    assert ids == sorted(ids, reverse=True)
    assert place.leftovers() == []


def test_a_version_can_be_put_back_and_that_too(place: Place) -> None:
    place.put(OLD)
    place.replace(NEW, OLD)
    (version,) = place.store.history()
    stored = place.store.rollback(version.id, actor="local:me", audit=place.audit)
    assert stored.content == place.content == OLD
    assert place.kept == [NEW, OLD]
    assert place.audited[-1]["detail"]["rollback"] == version.id
    place.store.rollback(place.store.history()[0].id, actor="local:me", audit=place.audit)
    assert place.content == NEW
    assert place.kept == [OLD, NEW, OLD]


@pytest.mark.parametrize(
    "version_id",
    ["", "x", "../config", "/etc/passwd", "20260701T120000.000000Z-0123456789ab", "20260701T120000.000000Z-0123456789ab/../x", "20260701T120000.000000Z-0123456789ab\n", "..", "\x00"],
)  # fmt: skip
def test_what_is_no_version_is_refused(place: Place, version_id: str) -> None:
    place.put(OLD)
    place.replace(NEW, OLD)
    with pytest.raises(BadRequest, match="no such version"):
        place.store.read_version(version_id)
    with pytest.raises(BadRequest, match="no such version"):
        place.store.rollback(version_id, actor="a", audit=place.audit)


def test_what_is_in_the_history_by_other_names_is_left_alone_and_links_are_refused(place: Place) -> None:
    history = place.directory.prepare_subdirectory(place.directory.config_history)
    (history / "note.txt").write_text("mine")
    (history / "20260701T120000.000000Z-0123456789ab.json").symlink_to(history / "note.txt")
    with pytest.raises(DataDirectoryUnusable, match="symbolic link"):
        place.store.history()
    (history / "20260701T120000.000000Z-0123456789ab.json").unlink()
    assert place.store.history() == []
    place.put(OLD)
    place.replace(NEW, OLD)
    assert (history / "note.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (None, b"{}", []),
        (b"{}", b'{"a": {"b": 1, "c": {}}}', ["a.b", "a.c"]),
        (b'{"a": {"b": 1, "c": [1]}}', b'{"a": {"b": true, "c": [1, 2]}, "d": null}', ["a.b", "a.c", "d"]),
        (b'{"a": {"b": 1}}', b'{"a": 5}', ["a"]),
        (b'{"a": {"b": 1}}', b"{}", ["a.b"]),
        (b'{"a": 1}', b'{ "a":  1 }', []),
        (b"[", b"{}", ["$"]),
        (b"\xff", b"{}", ["$"]),
        (b"5", b"{}", ["$"]),
        (b"{}", json.dumps({f"m{i}": i for i in range(150)}).encode(), [*(f"m{i}" for i in range(100)), "..."]),
    ],
)
def test_what_changed_is_named_and_not_shown(old: bytes | None, new: bytes, changed: list[str]) -> None:
    assert changed_paths(old, new) == changed


# Erasing --------------------------------------------------------------------------------------------------------------


def test_former_versions_become_others_or_go_and_the_order_stays(place: Place) -> None:
    contents = [json.dumps({"version": 1, "limits": {"max_body_mb": n}}).encode() for n in (1, 2, 3, 4)]
    for before, content in zip([None, *contents], contents, strict=False):
        place.replace(content, before)
    at = [version.at for version in place.store.history()]

    def edit(content: bytes) -> bytes | None:
        return {contents[0]: b"{}", contents[1]: None}.get(content, content)

    assert place.store.rewrite_history(edit) == (1, 1)
    assert place.kept == [contents[2], b"{}"]
    assert [version.at for version in place.store.history()] == [at[0], at[2]]
    assert place.store.rewrite_history(lambda content: content) == (0, 0)
    assert place.leftovers() == []


def test_without_a_history_there_is_nothing_to_rewrite(place: Place) -> None:
    place.directory.prepare()
    assert place.store.rewrite_history(lambda _: None) == (0, 0)


# Two writers ----------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from copilot_api.audit.log import AuditLog
from copilot_api.clock import SystemClock
from copilot_api.config.edits import NEW_FILE, set_value
from copilot_api.config.paths import DataDirectory
from copilot_api.config.store import ConfigConflict, ConfigStore
directory = DataDirectory(Path(sys.argv[1]))
store, audit = ConfigStore(directory.config, directory.config_history), AuditLog(directory.audit, SystemClock())
lost = 0
for number in range(50):
    while True:
        stored = store.read()
        text = set_value((stored.content or NEW_FILE.encode()).decode(), ("models", f"{sys.argv[2]}-{number}"), {})
        try:
            store.replace(text.encode(), expected=stored.version_hash, actor=sys.argv[2], audit=audit)
            break
        except ConfigConflict:
            lost += 1
print(lost)
"""


def test_two_processes_that_write_fifty_times_each_lose_nothing(place: Place) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(place.directory.path), name], stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "other")
    ]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        count = len(place.store.read().config.models)
        assert count >= seen, "a change was lost, or half of the file was read"
        seen = count
    lost = [int(writer.communicate()[0]) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    models = place.store.read().config.models
    assert sorted(models) == sorted(f"{name}-{number}" for name in ("one", "other") for number in range(50))
    assert sum(lost) > 0, "they never met"
    # Each stands on the shoulders of the one before.
    hashes = [(line["detail"]["old"], line["detail"]["new"]) for line in place.audited]
    assert len(hashes) == 100
    assert [old for old, _ in hashes] == ["", *(new for _, new in hashes[:-1])]
    assert find_problems(place.directory.audit) == []
    assert len(place.kept) == KEPT_VERSIONS
    assert place.leftovers() == []


def test_who_waits_too_long_for_another_writer_is_told(place: Place) -> None:
    """A writer that hangs must not hang all others."""
    holding, is_done = threading.Event(), threading.Event()

    def hold() -> None:
        with place.store._locked():
            holding.set()
            is_done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(30)
    try:
        with pytest.raises(ConfigConflict, match="for 10 s"):
            place.replace(NEW, None)
    finally:
        is_done.set()
        thread.join()
    assert place.replace(NEW, None).content == NEW


# Failures -------------------------------------------------------------------------------------------------------------


def fail_at(number: int, failing: dict[str, int]) -> Callable[[str], None]:
    """Make one of the calls fail as on a disk that is full; note which one."""
    made = 0

    def before(name: str) -> None:
        nonlocal made
        made += 1
        if made == number:
            failing[name] = number
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return before


def test_whatever_call_fails_the_old_file_or_the_new_one_is_there_and_it_is_said(tmp_path: Path) -> None:
    outcomes: list[str] = []
    for number in range(1, 200):
        place = Place(DataDirectory(tmp_path / str(number)))
        place.put(OLD)
        failing: dict[str, int] = {}
        failure: GatewayError | None = None
        with pytest.MonkeyPatch.context() as patch:
            tap(patch, fail_at(number, failing), lambda *_: None)
            try:
                place.replace(NEW, OLD)
            except StorageUnavailable as error:
                failure = error
        outcomes.append("done" if failure is None else "failed")
        is_new = failure is None or "may be the old one again" in failure.message
        assert failure is None or "No space left" in failure.message
        assert place.content == (NEW if is_new else OLD), f"{failing}: {failure}"
        taken_back = [line for line in place.audited if line["detail"].get("outcome") == "not committed"]
        assert len(place.audited) - 2 * len(taken_back) == is_new, failing
        assert not place.audited or find_problems(place.directory.audit) == []
        if not failing:
            break
        # Whatever was left, the next writer gets through.
        if place.content == OLD:
            place.replace(NEW, OLD)
        assert (place.content, place.kept, place.leftovers()) == (NEW, [OLD], [])
    assert outcomes.count("failed") > 12
    assert outcomes[-1] == "done"


def test_a_change_that_cannot_be_signed_is_not_made(place: Place) -> None:
    place.put(OLD)
    place.directory.audit.write_bytes(b"nonsense\n")
    with pytest.raises(StorageUnavailable, match="audit log cannot be written"):
        place.replace(NEW, OLD)
    assert (place.content, place.leftovers()) == (OLD, [])


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    store = ConfigStore(tmp_path / "missing" / "config.json", tmp_path / "missing" / "config.history")
    with pytest.raises(StorageUnavailable, match=r"config\.json cannot be written \(No such file or directory\)"):
        store.replace(NEW, expected=None, actor="a", audit=AuditLog(tmp_path / "audit.jsonl", SystemClock()))
    place = Place(DataDirectory(tmp_path / "data"))
    place.put(OLD)
    place.directory.config_history.write_text("a file")
    with pytest.raises(DataDirectoryUnusable, match="not a directory"):
        place.replace(NEW, OLD)
    assert (place.content, place.audited) == (OLD, [])


# Power cuts -----------------------------------------------------------------------------------------------------------

KILLED = """
import os, sys
from pathlib import Path
import pytest
from copilot_api.audit.log import AuditLog
from copilot_api.clock import SystemClock
from copilot_api.config.paths import DataDirectory
from copilot_api.config.store import ConfigStore
from tests.config.disk import tap
OLD, NEW = (bytes.fromhex(text) for text in sys.argv[2:4])

def run(number):
    directory = DataDirectory(Path(sys.argv[1]) / str(number))
    directory.prepare()
    directory.config.write_bytes(OLD)
    store, audit = ConfigStore(directory.config, directory.config_history), AuditLog(directory.audit, SystemClock())
    stored, made = store.read(), 0
    def before(name):
        nonlocal made
        made += 1
        if made == number:
            os._exit(9)
    tap(pytest.MonkeyPatch(), before, lambda *_: None)
    store.replace(NEW, expected=stored.version_hash, actor="a", audit=audit)
    os._exit(0)

number = code = 1
while code:
    child = os.fork()
    if not child:
        run(number)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(number, code)
    number += 1
"""


def test_killed_before_any_step_it_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), OLD.hex(), NEW.hex()],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert done.returncode == 0, done.stderr
    codes = {int(number): int(code) for number, code in map(str.split, done.stdout.splitlines())}
    assert len(codes) > 12
    assert list(codes.values()) == [9] * (len(codes) - 1) + [0], done.stdout
    found: list[bytes | None] = []
    for number in codes:
        place = Place(DataDirectory(tmp_path / str(number)))
        found.append(place.content)
        if place.content == NEW:
            assert place.kept == [OLD]
        # The lock went with the process, and what it left is cleared away.
        place.replace(NEWER, place.content)
        assert place.content == NEWER
        assert place.kept in ([OLD], [NEW, OLD])
        assert place.leftovers() == []
        assert find_problems(place.directory.audit) == []
    assert found == [OLD] * found.count(OLD) + [NEW] * found.count(NEW), "first the old one, then the new one"
    assert {OLD, NEW} == set(found)


def watched(place: Place, content: bytes, expected: bytes | None, *, is_synced: bool = True) -> list[set[Any]]:
    """What a power cut could have left of the file, after each step of a write."""
    directory, history = place.directory.path, place.directory.config_history
    disk = Disk(directory, history)
    found: list[set[Any]] = []
    lost: list[str] = []

    def after(name: str, argument: Any) -> None:
        if is_synced or name != "fsync":
            disk.after(name, argument)
        possible = disk.possible(place.directory.config)
        found.append(possible)
        if content in possible and expected is not None and expected not in disk.certain(history):
            lost.append(name)

    with pytest.MonkeyPatch.context() as patch:
        tap(patch, lambda _: None, after)
        place.replace(content, expected)
    assert lost == [] or not is_synced, "the new file could be there, and the old one nowhere"
    return found


def test_a_power_cut_at_any_step_leaves_the_old_file_or_the_new_one(place: Place) -> None:
    place.put(OLD)
    found = watched(place, NEW, OLD)
    assert found[0] == {OLD}
    assert found[-1] == {NEW}
    assert {OLD, NEW} in found, "between the rename and the sync of the directory"
    assert all(possible <= {OLD, NEW} for possible in found)


def test_a_power_cut_leaves_the_first_file_whole_or_none(place: Place) -> None:
    found = watched(place, NEW, None)
    assert (found[0], found[-1]) == ({None}, {NEW})
    assert all(possible <= {None, NEW} for possible in found)


def test_the_model_of_a_power_cut_finds_a_write_that_is_not_synced(place: Place) -> None:
    place.put(OLD)
    found = watched(place, NEW, OLD, is_synced=False)
    assert any("garbage" in possible for possible in found)
