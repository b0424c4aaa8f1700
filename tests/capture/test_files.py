"""Traces on disk: added to, capped, erased, and never anywhere else than they should be."""

import multiprocessing
import os
import resource
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.capture.day_files import OpenDay
from copilot_api.capture.files import MAX_BYTES, MAX_DAYS, TraceFiles, TraceTooLarge
from copilot_api.capture.queries import TraceDayNotFound
from copilot_api.errors import StorageUnavailable
from tests.capture.kept import make_line, make_trace

TODAY = date(2026, 7, 10)
PLENTY = 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces"


@pytest.fixture
def files(path: Path) -> TraceFiles:
    return TraceFiles(path)


def fill(files: TraceFiles, *numbers: int, day: date = TODAY, **more: str) -> None:
    for number in numbers:
        files.append(make_line(number, **more), day, PLENTY)


def numbers_of(files: TraceFiles, before: int | None = None) -> list[int]:
    return [summary.number for summary in files.iter_summaries(before)]


@contextmanager
def full_disk(most_bytes: int) -> Generator[None]:
    """Nothing takes a file beyond that size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# Reading ------------------------------------------------------------------------------------------------------------


def test_there_is_nothing_where_there_is_no_directory(files: TraceFiles) -> None:
    assert files.list_days() == []
    assert numbers_of(files) == []
    assert files.find("req_1") is None
    assert files.last_number() == 0
    assert files.forget_key("key_a") == (0, 0)
    assert files.sweep(TODAY, 7, PLENTY) == 0
    with pytest.raises(TraceDayNotFound):
        files.open_day("2026-07-10")


def test_what_was_written_is_read_again_private_and_newest_first(files: TraceFiles, path: Path) -> None:
    fill(files, 1, 2, day=TODAY - timedelta(days=1))
    fill(files, 3)
    assert numbers_of(files) == [3, 2, 1]
    assert files.last_number() == 3
    assert [day.date for day in files.list_days()] == ["2026-07-10", "2026-07-09"]
    assert list(files.iter_traces("2026-07-09")) == [make_trace(1), make_trace(2)]
    assert files.find("req_2") == make_trace(2)
    assert files.find("req_") is None
    assert path.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o600}


def test_a_request_id_inside_a_body_is_not_taken_for_the_traces_own(files: TraceFiles) -> None:
    fill(files, 1, model='"request_id":"req_9"')
    assert files.find("req_9") is None


@given(st.sets(st.integers(1, 10**6), min_size=1, max_size=40), st.integers(0, 10**6 + 1), st.data())
def test_a_page_begins_right_behind_any_number(
    tmp_path_factory: pytest.TempPathFactory, numbers: set[int], before: int, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("many")
    ordered = sorted(numbers)
    lines: list[bytes] = []
    for number in ordered:
        if data.draw(st.booleans()):
            lines.append(data.draw(st.sampled_from([b"", b"broken", b'{"number":"x"}', b'{"number":'])))
        lines.append(make_line(number, cause="x" * data.draw(st.integers(0, 300))))
    (path / "2026-07-10.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert numbers_of(TraceFiles(path), before) == [number for number in reversed(ordered) if number < before]


def test_lines_that_a_crash_left_broken_are_passed_over(files: TraceFiles, path: Path) -> None:
    fill(files, 1)
    with (path / "2026-07-10.jsonl").open("ab") as file:
        file.write(make_line(2)[:-20])
    fill(files, 3)
    assert numbers_of(files) == [3, 1]
    assert [trace.number for trace in files.iter_traces("2026-07-10")] == [1, 3]


def test_a_directory_that_cannot_be_read_is_storage_and_no_crash(files: TraceFiles, path: Path) -> None:
    path.write_text("a file")
    for act in (files.list_days, lambda: files.forget_key("key_a"), lambda: files.sweep(TODAY, 7, PLENTY)):
        with pytest.raises(StorageUnavailable):
            act()
    with pytest.raises(StorageUnavailable):
        fill(files, 1)
    with pytest.raises(TraceDayNotFound):
        files.open_day("2026-07-10")


# Caps ---------------------------------------------------------------------------------------------------------------


def test_before_a_write_that_would_pass_the_cap_the_oldest_day_goes(files: TraceFiles, path: Path) -> None:
    size = len(make_line(1)) + 2
    for number, days in ((1, 2), (2, 1)):
        files.append(make_line(number), TODAY - timedelta(days=days), 3 * size)
    assert files.append(make_line(3), TODAY, 3 * size) == 0
    assert files.append(make_line(4), TODAY, 3 * size) == 1
    assert numbers_of(files) == [4, 3, 2]
    assert sum(file.stat().st_size for file in path.iterdir()) <= 3 * size


def test_the_only_day_begins_anew_when_it_is_full(files: TraceFiles) -> None:
    size = len(make_line(1)) + 2
    for number in range(1, 8):
        files.append(make_line(number), TODAY, 3 * size)
        assert sum(day.bytes for day in files.list_days()) <= 3 * size
    assert numbers_of(files) == [7]


def test_a_trace_that_is_too_large_alone_is_refused_and_nothing_goes_for_it(files: TraceFiles) -> None:
    fill(files, 1)
    with pytest.raises(TraceTooLarge):
        files.append(make_line(2), TODAY, 100)
    with pytest.raises(TraceTooLarge):
        files.append(make_line(2), TODAY, 0)
    assert numbers_of(files) == [1]


def test_the_hard_caps_hold_whatever_the_configuration_says(
    files: TraceFiles, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (MAX_DAYS, MAX_BYTES) == (7, 1024**3)
    fill(files, 1, day=TODAY - timedelta(days=6))
    fill(files, 2, day=TODAY - timedelta(days=7))
    assert files.sweep(TODAY, 1000, PLENTY) == 1
    assert numbers_of(files) == [1]
    with (path / "2026-07-09.jsonl").open("wb") as file:
        file.truncate(MAX_BYTES)
    assert files.sweep(TODAY, 7, 10 * MAX_BYTES) == 1, "together they are over 1 GiB"
    assert files.append(make_line(3), TODAY, 10 * MAX_BYTES) == 1
    assert [day.date for day in files.list_days()] == ["2026-07-10"]


@pytest.mark.parametrize(("days", "kept"), [(0, []), (1, [10]), (2, [9, 10]), (7, [4, 9, 10])])
def test_a_sweep_keeps_so_many_days_and_today_is_the_first(files: TraceFiles, days: int, kept: list[int]) -> None:
    for day in (3, 4, 9, 10):
        fill(files, day, day=date(2026, 7, day))
    files.sweep(TODAY, days, PLENTY)
    assert sorted(numbers_of(files)) == kept


def test_a_sweep_takes_what_a_crash_left_and_what_is_dated_to_come(files: TraceFiles, path: Path) -> None:
    fill(files, 1)
    (path / ".2026-07-10.jsonl.0123456789abcdef").write_text("half")
    fill(files, 2, day=TODAY + timedelta(days=2))
    assert files.sweep(TODAY, 7, PLENTY) == 2
    assert [file.name for file in path.iterdir()] == ["2026-07-10.jsonl"]


# Writing ------------------------------------------------------------------------------------------------------------


def test_what_is_not_wanted_any_more_is_not_written(files: TraceFiles) -> None:
    assert files.append(make_line(1), TODAY, PLENTY, is_wanted=lambda: False) == 0
    assert numbers_of(files) == []


def test_a_full_disk_leaves_the_file_as_it_was(files: TraceFiles, path: Path) -> None:
    fill(files, 1)
    before = (path / "2026-07-10.jsonl").read_bytes()
    with full_disk(len(before) + 20), pytest.raises(StorageUnavailable, match="cannot be written"):
        fill(files, 2)
    assert (path / "2026-07-10.jsonl").read_bytes() == before
    fill(files, 3)
    assert numbers_of(files) == [3, 1]


def test_nothing_is_written_through_a_link(files: TraceFiles, path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    path.mkdir(mode=0o700)
    (path / "2026-07-10.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises((StorageUnavailable, TraceDayNotFound)):
        fill(files, 1)
    path.rename(tmp_path / "real")
    path.symlink_to(tmp_path / "real")
    with pytest.raises(StorageUnavailable):
        fill(files, 1)
    assert (tmp_path / "elsewhere").read_text() == ""


# Erasing ------------------------------------------------------------------------------------------------------------


def test_a_key_is_erased_from_every_file_and_the_others_stay(files: TraceFiles, path: Path) -> None:
    fill(files, 1, 2, day=TODAY - timedelta(days=1))
    fill(files, 3, day=TODAY - timedelta(days=1), key_id="key_b")
    fill(files, 4)
    fill(files, 5, key_id="key_b", day=TODAY - timedelta(days=2))
    fill(files, 6, key_id="key_admin", replay_of="req_1", replay_of_key_id="key_a")
    assert files.count_key("key_a") == 4
    untouched = (path / "2026-07-08.jsonl").stat()
    assert files.forget_key("key_a") == (4, 2)
    assert sorted(numbers_of(files)) == [3, 5]
    assert files.count_key("key_a") == 0
    assert files.forget_key("key_a") == (0, 0)
    assert sorted(file.name for file in path.iterdir()) == ["2026-07-08.jsonl", "2026-07-09.jsonl"]
    assert (path / "2026-07-08.jsonl").stat().st_ino == untouched.st_ino
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o600}


def test_what_is_broken_goes_with_what_is_erased_since_nobody_knows_whose_it_was(files: TraceFiles, path: Path) -> None:
    fill(files, 1)
    with (path / "2026-07-10.jsonl").open("ab") as file:
        file.write(b'{"number": 2, "key_id": "key_a", "body": "half of it\n')
    fill(files, 3, key_id="key_b")
    with (path / "2026-07-10.jsonl").open("ab") as file:
        file.write(b'{"number": 4, "key_id": "key_a"')
    assert files.forget_key("key_a") == (1, 1)
    assert (path / "2026-07-10.jsonl").read_bytes() == make_line(3, key_id="key_b") + b"\n"


def test_what_cannot_be_written_anew_for_want_of_room_is_deleted(files: TraceFiles, path: Path) -> None:
    fill(files, 1)
    fill(files, 2, 3, key_id="key_b")
    with full_disk(100):
        assert files.forget_key("key_a") == (1, 1)
    assert list(path.iterdir()) == []


def test_a_file_that_is_being_read_while_a_key_is_erased_stays_whole_for_its_reader(files: TraceFiles) -> None:
    fill(files, 1)
    fill(files, 2, key_id="key_b")
    with files.open_day("2026-07-10") as day:
        assert files.forget_key("key_a") == (1, 1)
        assert len(list(day.iter_lines())) == 2
    assert numbers_of(files) == [2]


def test_two_processes_that_write_and_erase_lose_nothing_of_the_others(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=_write_many, args=(path, 150))
    writer.start()
    files = TraceFiles(path)
    erased = 0
    while writer.is_alive():
        erased += files.forget_key("key_a")[0]
    writer.join()
    erased += files.forget_key("key_a")[0]
    assert writer.exitcode == 0
    assert erased == 150
    assert sorted(numbers_of(files)) == list(range(1000, 1150))


def _write_many(path: Path, count: int) -> None:
    files = TraceFiles(path)
    for number in range(count):
        files.append(make_line(number), TODAY, PLENTY)
        files.append(make_line(1000 + number, key_id="key_b"), TODAY, PLENTY)


# Many -----------------------------------------------------------------------------------------------------------------


def test_a_page_of_a_large_file_reads_little_of_it(
    files: TraceFiles, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.mkdir(mode=0o700)
    with (path / "2026-07-10.jsonl").open("wb") as file:
        for number in range(5000):
            file.write(make_line(number, cause="x" * 2000) + b"\n")
    read = 0
    original = OpenDay.read

    def counted(day: OpenDay, offset: int, size: int) -> bytes:
        nonlocal read
        piece = original(day, offset, size)
        read += len(piece)
        return piece

    monkeypatch.setattr(OpenDay, "read", counted)
    assert next(iter(files.iter_summaries(2500))).number == 2499
    assert read < 2_000_000, "about half of ten million bytes would be read without a search"


def test_an_open_day_is_released(files: TraceFiles) -> None:
    fill(files, 1)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        list(files.iter_summaries())
        next(files.iter_summaries())
        with files.open_day("2026-07-10"):
            assert msgspec.json.decode(make_line(1))
    assert len(os.listdir("/proc/self/fd")) <= before + 1
