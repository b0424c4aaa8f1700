import fcntl
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_api.usage.journal import (
    BEGIN,
    END,
    JournalWriter,
    Segment,
    adopt_segments,
    list_records,
    parse_record,
    parse_request_id,
    render_record,
)
from copilot_api.usage.models import Cause, UsageEvent

EVENT = UsageEvent(request_id="r1", at="2026-07-01T00:00:00+00:00", model="größe\n\u2028x", cause=Cause.OK, nano_aiu=7)
OTHER = UsageEvent(request_id="r2", at="2026-07-01T00:00:00+00:00", cause=Cause.INTERRUPTED)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def writer(spool: Path) -> Iterator[JournalWriter]:
    writer = JournalWriter(spool, name="w")
    yield writer
    die(writer)


def die(writer: JournalWriter) -> None:
    """As if its process had ended: the files stay, their locks are free."""
    for segment in writer.segments:
        segment.close()


def left_behind(spool: Path, name: str = "gone", *, segment_bytes: int = 1_000_000, records: int = 1) -> None:
    """What a process that is gone has written."""
    writer = JournalWriter(spool, name=name, segment_bytes=segment_bytes)
    for _ in range(records):
        writer.append(BEGIN, EVENT)
    die(writer)


def read(segment: Segment) -> list[tuple[bytes, str | None]]:
    return [(kind if body else b"", parse_request_id(body)) for kind, body, _ in segment.read()]


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def overwrite(segment: Segment, position: int, data: bytes) -> None:
    with segment.path.open("r+b") as file:
        file.seek(position)
        file.write(data)


# Records ----------------------------------------------------------------------------------------------------------


def test_a_record_is_one_line_and_says_the_same_when_read() -> None:
    line = render_record(END, EVENT)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse_record(line[:-1]) == (END, EVENT)


def test_a_record_torn_anywhere_is_not_read() -> None:
    line = render_record(BEGIN, EVENT)[:-1]
    assert [size for size in range(len(line)) if parse_record(line[:size]) is not None] == []


def test_a_record_changed_anywhere_is_not_read() -> None:
    line = render_record(BEGIN, EVENT)[:-1]
    for place in range(9, len(line)):
        for mask in (0x01, 0x20, 0x80):
            changed = bytearray(line)
            changed[place] ^= mask
            assert parse_record(bytes(changed)) is None, place


@pytest.mark.parametrize("line", [b"", b" ", b"zz", b"00000000 ", b"00000000", b"deadbeef B{}", b"\xff\xfe B{}"])
def test_a_line_that_is_no_record_is_not_read(line: bytes) -> None:
    assert parse_record(line) is None


def test_a_record_whose_checksum_fits_but_whose_event_is_none_is_not_read() -> None:
    body = b'E{"request_id":1}'
    assert parse_record(b"%08x %b" % (zlib.crc32(body), body)) is None


# Writing ----------------------------------------------------------------------------------------------------------


def test_what_is_appended_is_read_in_order(writer: JournalWriter) -> None:
    writer.append(BEGIN, EVENT)
    writer.append(BEGIN, OTHER)
    writer.append(END, EVENT)
    (segment,) = writer.segments
    assert read(segment) == [(BEGIN, "r1"), (BEGIN, "r2"), (END, "r1")]


def test_a_segment_and_its_directory_are_private(writer: JournalWriter, spool: Path) -> None:
    writer.append(BEGIN, EVENT)
    (path,) = spool.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert spool.stat().st_mode & 0o777 == 0o700


def test_a_record_is_with_the_kernel_when_append_returns(spool: Path) -> None:
    """A process that is killed right after it leaves the record behind."""
    program = (
        "import os, sys; from pathlib import Path;"
        "from copilot_api.usage.journal import BEGIN, JournalWriter; from copilot_api.usage.models import UsageEvent;"
        "JournalWriter(Path(sys.argv[1]), name='w').append(BEGIN, UsageEvent(request_id='r1', at=''));"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(spool)], check=False, timeout=30)
    assert done.returncode == -9
    (segment,) = adopt_segments(spool, "other")
    assert read(segment) == [(BEGIN, "r1")]
    segment.remove()


def test_a_full_segment_is_followed_by_another(spool: Path) -> None:
    writer = JournalWriter(spool, name="w", segment_bytes=1)
    for _ in range(3):
        writer.append(END, EVENT)
    assert [segment.path.name for segment in writer.segments] == [f"w-00000{number}.journal" for number in (1, 2, 3)]
    assert writer.active is writer.segments[-1]
    assert [read(segment) for segment in writer.segments] == [[(END, "r1")]] * 3
    die(writer)


def test_after_a_rotation_the_next_record_begins_a_segment(writer: JournalWriter) -> None:
    writer.append(BEGIN, EVENT)
    writer.rotate()
    writer.append(END, EVENT)
    assert [read(segment) for segment in writer.segments] == [[(BEGIN, "r1")], [(END, "r1")]]


def test_a_record_longer_than_a_segment_is_kept_whole(spool: Path) -> None:
    writer = JournalWriter(spool, name="w", segment_bytes=100)
    writer.append(BEGIN, EVENT)
    writer.append(END, OTHER)
    assert [read(segment) for segment in writer.segments] == [[(BEGIN, "r1")], [(END, "r2")]]
    die(writer)


def test_a_filled_segment_costs_no_memory(spool: Path) -> None:
    """The journal is the queue while the database is away: what waits must wait on the disk."""
    writer = JournalWriter(spool, name="w", segment_bytes=1024 * 1024)
    long = UsageEvent(request_id="r1", at="", model="m" * 10_000)
    for _ in range(200):
        writer.append(END, long)
    before = resident_bytes()
    for _ in range(64 * 100):
        writer.append(END, long)
    assert resident_bytes() - before < 16 * 1024 * 1024
    die(writer)


def test_a_directory_that_is_a_file_is_an_error(spool: Path) -> None:
    spool.write_text("")
    with pytest.raises(OSError, match="spool"):
        JournalWriter(spool, name="w").append(BEGIN, EVENT)


def test_a_directory_that_is_gone_is_made_again(writer: JournalWriter, spool: Path) -> None:
    writer.append(BEGIN, EVENT)
    shutil.rmtree(spool)
    writer.rotate()
    writer.append(END, EVENT)
    assert writer.active is not None
    assert writer.active.path.exists()
    assert [read(segment) for segment in writer.segments] == [[(BEGIN, "r1")], [(END, "r1")]]


def test_no_descriptor_is_left_behind_by_a_segment_that_could_not_be_made(spool: Path) -> None:
    spool.mkdir()
    (spool / "w-000001.journal").mkdir()  # in the way of the new segment
    writer = JournalWriter(spool, name="w")
    before = open_descriptors()
    with pytest.raises(OSError, match="directory"):
        writer.append(BEGIN, EVENT)
    assert open_descriptors() == before


# Reading ----------------------------------------------------------------------------------------------------------


def test_reading_goes_on_where_it_stopped(writer: JournalWriter) -> None:
    writer.append(BEGIN, EVENT)
    (segment,) = writer.segments
    segment.position = [position for _, _, position in segment.read()][-1]
    assert segment.waiting_bytes == 0
    writer.append(END, EVENT)
    assert segment.waiting_bytes == len(render_record(END, EVENT))
    assert read(segment) == [(END, "r1")]


def test_a_line_that_cannot_be_read_has_no_event_and_hides_no_other(writer: JournalWriter) -> None:
    for event in (EVENT, OTHER, EVENT):
        writer.append(END, event)
    (segment,) = writer.segments
    overwrite(segment, len(render_record(END, EVENT)) + 20, b"\x00garbage\xff")
    assert read(segment) == [(END, "r1"), (b"", None), (END, "r1")]


def test_records_longer_than_what_is_read_at_once_are_read(writer: JournalWriter) -> None:
    writer.append(BEGIN, UsageEvent(request_id="r1", at="", model="m" * 3_000_000))
    writer.append(END, EVENT)
    (segment,) = writer.segments
    assert read(segment) == [(BEGIN, "r1"), (END, "r1")]


def test_a_deleted_segment_is_still_read_to_its_end(writer: JournalWriter, spool: Path) -> None:
    writer.append(BEGIN, EVENT)
    (segment,) = writer.segments
    was_deleted = segment.is_deleted
    shutil.rmtree(spool)
    writer.append(END, EVENT)
    assert (was_deleted, segment.is_deleted) == (False, True)
    assert read(segment) == [(BEGIN, "r1"), (END, "r1")]


def test_what_was_being_written_at_the_kill_is_passed_over(spool: Path) -> None:
    """However much of the last line had come."""
    line = render_record(END, EVENT)
    for size in range(0, len(line), 7):
        left_behind(spool)
        (segment,) = adopt_segments(spool, "a")
        segment.close()
        overwrite(segment, len(render_record(BEGIN, EVENT)), line[:size])
        (segment,) = adopt_segments(spool, "a")
        assert read(segment) == [(BEGIN, "r1")]
        segment.remove()


# Adopting ---------------------------------------------------------------------------------------------------------


def test_only_segments_of_processes_that_are_gone_are_adopted(spool: Path) -> None:
    living = JournalWriter(spool, name="living", segment_bytes=1)
    for _ in range(3):
        living.append(BEGIN, EVENT)  # those that it has filled stay its own, too
    left_behind(spool, "gone")
    left_behind(spool, "own")
    (adopted,) = adopt_segments(spool, "own")
    assert adopted.writer == "gone"
    adopted.remove()
    die(living)


def test_a_segment_is_adopted_by_one_process_only(spool: Path) -> None:
    left_behind(spool)
    (first,) = adopt_segments(spool, "a")
    assert adopt_segments(spool, "b") == []
    first.remove()
    assert list(spool.iterdir()) == []
    assert adopt_segments(spool, "b") == []


def test_a_segment_that_another_process_brought_in_meanwhile_is_not_adopted(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the listing and the lock it may have been deleted: its lock is free then, and its name is gone."""
    left_behind(spool)
    lock = fcntl.flock

    def lock_late(descriptor: int, operation: int) -> None:
        for path in spool.glob("*.journal"):
            path.unlink()
        lock(descriptor, operation)

    monkeypatch.setattr("copilot_api.usage.journal.fcntl.flock", lock_late)
    before = open_descriptors()
    assert adopt_segments(spool, "a") == []
    assert open_descriptors() == before


def test_segments_are_adopted_oldest_first(spool: Path) -> None:
    left_behind(spool, segment_bytes=1, records=12)
    adopted = adopt_segments(spool, "a")
    assert [segment.path.name for segment in adopted] == sorted(path.name for path in spool.iterdir())
    assert len(adopted) == 12
    for segment in adopted:
        segment.remove()


def test_a_link_is_never_followed(spool: Path, tmp_path: Path) -> None:
    """Neither written through nor read through."""
    target = tmp_path / "precious"
    target.write_text("precious")
    spool.mkdir()
    (spool / "w-000001.new").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        JournalWriter(spool, name="w").append(BEGIN, EVENT)
    (spool / "dead-000001.journal").symlink_to(target)
    assert adopt_segments(spool, "w") == []
    assert target.read_text() == "precious"


def test_a_directory_that_is_not_there_has_no_segments(spool: Path) -> None:
    assert adopt_segments(spool, "w") == []


def test_a_segment_under_its_final_name_is_always_locked(spool: Path) -> None:
    """Otherwise a process that starts at that moment would take it for an orphan."""
    writer = JournalWriter(spool, name="w", segment_bytes=1)
    for _ in range(50):
        writer.append(END, EVENT)
        assert adopt_segments(spool, "other") == []
    die(writer)


# Erasing ------------------------------------------------------------------------------------------------------------

MINE = UsageEvent(request_id="r3", at=EVENT.at, key_id="key_a")
THEIRS = UsageEvent(request_id="r4", at=EVENT.at, key_id="key_b")


def test_what_is_in_the_database_of_a_key_is_blanked_and_nothing_else(writer: JournalWriter) -> None:
    for event in (MINE, THEIRS, MINE):
        writer.append(BEGIN, event)
        writer.append(END, event)
    segment = writer.segments[0]
    assert segment.blank("key_a") == 0  # nothing of it is in the database yet
    segment.position = segment.end
    assert segment.blank("key_a") == 4
    assert b"key_a" not in segment.path.read_bytes()
    assert segment.blank("key_a") == 0
    segment.position = 0
    assert [each for _, each in read(segment)].count("r4") == 2
    # Who reads it after a crash passes the blank lines over, and finds the end where it was.
    end = segment.end
    die(writer)
    (adopted,) = adopt_segments(segment.path.parent, "other")
    assert (adopted.end, sorted(each or "" for _, each in read(adopted))) == (end, ["", "", "", "", "r4", "r4"])
    adopted.close()


def test_the_beginning_of_a_call_under_way_stays_so_that_it_is_not_lost(writer: JournalWriter) -> None:
    writer.append(BEGIN, MINE)
    segment = writer.segments[0]
    segment.position = segment.end
    segment.open_calls[MINE.request_id] = b""
    assert segment.blank("key_a") == 0
    segment.open_calls.clear()
    assert segment.blank("key_a") == 1


def test_a_name_that_only_stands_in_another_ones_line_is_no_reason_to_blank_it(writer: JournalWriter) -> None:
    writer.append(END, UsageEvent(request_id="r5", at=EVENT.at, key_id="key_b", model="key_a"))
    segment = writer.segments[0]
    segment.position = segment.end
    assert segment.blank("key_a") == 0


def test_everything_that_is_written_can_be_looked_at_whoever_holds_it(spool: Path, writer: JournalWriter) -> None:
    assert list(list_records(spool)) == []
    left_behind(spool, records=2)
    writer.append(END, MINE)
    (spool / "link-000001.journal").symlink_to("/etc/passwd")
    assert [(kind, event.request_id) for kind, event in list_records(spool)] == [
        (BEGIN, "r1"), (BEGIN, "r1"), (END, "r3"),
    ]  # fmt: skip
    assert len(adopt_segments(spool, "w")) == 1  # the locks are where they were
