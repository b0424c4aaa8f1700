import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from copilot_api.audit.log import AuditLog, verify
from copilot_api.audit.models import Action, AuditEvent
from copilot_api.errors import StorageUnavailable
from tests.fakes import FakeClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def make_event(number: int = 0, **detail: object) -> AuditEvent:
    return AuditEvent("local:me", Action.KEY_ISSUED, f"key_{number}", detail)


def append(path: Path, count: int, **detail: object) -> None:
    log = AuditLog(path, FakeClock())
    for number in range(count):
        log.append(make_event(number, **detail))


def test_a_line_says_everything_and_holds_the_hash_of_the_one_before(path: Path) -> None:
    append(path, 2, label="ci ☃\n")
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first | {"hash": ""} == {
        "seq": 1,
        "at": "2026-07-01T12:00:00+00:00",
        "actor": "local:me",
        "action": "key.issued",
        "target": "key_0",
        "detail": {"label": "ci ☃\n"},
        "prev": "0" * 64,
        "hash": "",
    }
    assert (second["seq"], second["prev"]) == (2, first["hash"])


def test_the_hash_can_be_checked_with_a_hash_command_and_an_editor(path: Path) -> None:
    append(path, 1)
    line = path.read_text().strip()
    body, _, rest = line.rpartition(',"hash":"')
    assert hashlib.sha256((body + "}").encode()).hexdigest() == rest.removesuffix('"}')


def test_the_log_is_private_and_no_link_is_followed(path: Path) -> None:
    append(path, 1)
    assert path.stat().st_mode & 0o777 == 0o600
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(StorageUnavailable):
        append(link, 1)


def test_a_line_longer_than_what_is_read_at_once_is_still_the_one_before(path: Path) -> None:
    append(path, 2, note="x" * 200_000)
    append(path, 1)
    assert verify(path) == []


@pytest.mark.parametrize("torn", [b'{"seq":3,"at', b"\x00" * 5000, b"x" * 100_000])
def test_what_a_crash_left_half_written_is_cut_off(path: Path, torn: bytes) -> None:
    append(path, 2)
    with path.open("ab") as file:
        file.write(torn)
    assert verify(path)
    append(path, 1)
    assert verify(path) == []
    assert len(path.read_bytes().splitlines()) == 3


def test_a_crash_in_the_very_first_line_leaves_an_empty_log(path: Path) -> None:
    path.write_bytes(b'{"seq":1')
    append(path, 1)
    assert verify(path) == []


def test_a_last_line_that_is_no_line_of_ours_stops_the_log(path: Path) -> None:
    append(path, 1)
    with path.open("a") as file:
        file.write("scribbled\n")
    with pytest.raises(StorageUnavailable, match="cannot be written"):
        append(path, 1)


def test_what_cannot_be_written_is_refused_and_leaves_nothing(path: Path) -> None:
    log = AuditLog(path, FakeClock())
    with pytest.raises(StorageUnavailable):
        log.append(make_event(thing=object()))
    with pytest.raises(StorageUnavailable):
        AuditLog(path / "nowhere", FakeClock()).append(make_event())
    assert path.read_bytes() == b""


def test_a_full_disk_refuses_the_action(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StorageUnavailable, match="nothing was changed"):
        AuditLog(full, FakeClock()).append(make_event())


def edit_detail(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b"key_1", b"key_9"), *lines[2:]]


def edit_and_rehash(lines: list[bytes]) -> list[bytes]:
    body = lines[1].replace(b"key_1", b"key_9").rpartition(b',"hash":"')[0]
    digest = hashlib.sha256(body + b"}").hexdigest().encode()
    return [lines[0], body + b',"hash":"' + digest + b'"}', *lines[2:]]


@pytest.mark.parametrize(
    "tamper",
    [
        edit_detail,
        edit_and_rehash,
        lambda lines: lines[1:],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [lines[0], b"scribbled", *lines[1:]],
        lambda lines: [lines[0] + b" ", *lines[1:]],
    ],
    ids=["edited", "rehashed", "first removed", "one removed", "swapped", "repeated", "inserted", "space"],
)
def test_any_edit_deletion_or_reordering_is_found(path: Path, tamper: Callable[[list[bytes]], list[bytes]]) -> None:
    append(path, 4)
    assert verify(path) == []
    path.write_bytes(b"\n".join(tamper(path.read_bytes().splitlines())) + b"\n")
    assert verify(path)


APPEND = """
import sys
from pathlib import Path
from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import Action, AuditEvent
from copilot_api.clock import SystemClock
log = AuditLog(Path(sys.argv[1]), SystemClock())
for number in range(50):
    log.append(AuditEvent("local:other", Action.KEY_ISSUED, f"key_{number}"))
"""


def test_processes_that_append_together_make_one_chain(path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", APPEND, path]) for _ in range(3)]
    append(path, 50)
    assert [process.wait(timeout=30) for process in processes] == [0, 0, 0]
    assert verify(path) == []
    assert len(path.read_bytes().splitlines()) == 200
