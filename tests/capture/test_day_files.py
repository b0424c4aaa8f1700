"""A name is a date and nothing else, and what is opened by it is a file of ours in that directory."""

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.capture import day_files
from copilot_api.capture.day_files import OpenDay, TraceDay, open_directory, open_file, parse_date
from copilot_api.capture.queries import TraceDayNotFound

DAY = "2026-07-01"
NO_DATES = [
    "",
    ".",
    "..",
    "../2026-07-01",
    "2026-07-01/",
    "/2026-07-01",
    "2026-07-01.jsonl",
    "2026-07-01\n",
    "2026-07-01\x00",
    "2026-07-01%00",
    " 2026-07-01",
    "2026-7-1",
    "2026-13-01",
    "2026-02-30",
    "0000-01-01",
    "20260701",
    "2026-W27-3",
    "2026-07-01T00",
    "2026-07-01 ",
    "-026-07-01",
    "+026-07-01",
    "٢٠٢٦-٠٧-٠١",  # noqa: RUF001 -- digits, but not ASCII's
    "2026-07-0１",  # noqa: RUF001
    "2026‐07‐01",  # noqa: RUF001
    "....//....//etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f2026-07-01",
    "..\\..\\2026-07-01",
    "file:///etc/passwd",
    "2026-07-01;ls",
    "~/2026-07-01",
    "CON",
    "2026-07-01::$DATA",
]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "traces").mkdir(mode=0o700)
    with open_directory(tmp_path / "traces") as descriptor:
        yield descriptor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces"


def opened(directory: int, flags: int = os.O_RDONLY) -> OpenDay:
    return OpenDay(open_file(directory, DAY, flags), DAY)


@pytest.mark.parametrize("text", NO_DATES)
def test_what_is_no_date_is_no_name(directory: int, text: str) -> None:
    with pytest.raises(TraceDayNotFound):
        open_file(directory, text, os.O_RDONLY | os.O_CREAT)
    assert os.listdir(directory) == []


@given(st.text(max_size=12))
def test_no_text_but_a_real_date_is_one(text: str) -> None:
    try:
        date = parse_date(text)
    except TraceDayNotFound:
        return
    assert date.isoformat() == text
    assert text.isascii()


def test_a_file_is_made_private_whatever_the_umask(directory: int, path: Path) -> None:
    before = os.umask(0)
    try:
        os.close(open_file(directory, DAY, os.O_WRONLY | os.O_CREAT))
    finally:
        os.umask(before)
    assert (path / f"{DAY}.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_may_read_is_made_private(directory: int, path: Path) -> None:
    (path / f"{DAY}.jsonl").touch(mode=0o644)
    os.close(open_file(directory, DAY, os.O_RDONLY))
    assert (path / f"{DAY}.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_link_is_no_file_of_ours_and_leads_nowhere(directory: int, path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (path / f"{DAY}.jsonl").symlink_to(secret)
    with pytest.raises((OSError, TraceDayNotFound)):
        open_file(directory, DAY, os.O_RDONLY)
    with pytest.raises((OSError, TraceDayNotFound)):
        open_file(directory, DAY, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    assert day_files.list_days(directory) == []
    assert secret.read_text() == "secret"


def test_a_second_name_of_another_file_is_no_file_of_ours(directory: int, path: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (path / f"{DAY}.jsonl").hardlink_to(tmp_path / "secret")
    with pytest.raises(TraceDayNotFound):
        open_file(directory, DAY, os.O_RDONLY)
    assert day_files.list_days(directory) == []


def test_a_directory_and_a_pipe_are_no_files_of_ours_and_nobody_waits(directory: int, path: Path) -> None:
    (path / f"{DAY}.jsonl").mkdir()
    with pytest.raises(TraceDayNotFound):
        open_file(directory, DAY, os.O_RDONLY)
    (path / f"{DAY}.jsonl").rmdir()
    os.mkfifo(path / f"{DAY}.jsonl")
    with pytest.raises(TraceDayNotFound):
        open_file(directory, DAY, os.O_RDONLY)
    assert day_files.list_days(directory) == []


def test_a_directory_that_is_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "traces").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"), open_directory(tmp_path / "traces"):
        raise AssertionError


def test_a_swap_between_look_and_use_never_gives_the_other_file(directory: int, path: Path, tmp_path: Path) -> None:
    """A link, a second name and our own file take turns under the name while it is opened again and again."""
    name, ours, secret = path / f"{DAY}.jsonl", path / "ours", tmp_path / "secret"
    secret.write_text("secret")
    is_over = threading.Event()

    def swap() -> None:
        chosen = random.Random(7)
        while not is_over.is_set():
            new = path / "new"
            new.unlink(missing_ok=True)
            match chosen.randrange(3):
                case 0:
                    new.symlink_to(secret)
                case 1:
                    new.hardlink_to(secret)
                case _:
                    new.write_text("ours")
            new.rename(name)

    ours.write_text("ours")
    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        read = 0
        for _ in range(3000):
            try:
                with opened(directory) as day:
                    assert day.read(0, 100) in {b"ours", b""}
                    read += 1
            except (OSError, TraceDayNotFound):
                continue
    finally:
        is_over.set()
        swapper.join()
    assert read, "our own file was never there"


def test_days_are_listed_newest_first_and_nothing_else(directory: int, path: Path) -> None:
    for name in ("2026-06-30.jsonl", "2026-07-02.jsonl", "2026-13-01.jsonl", "notes.txt", ".2026-07-01.jsonl.0f"):
        (path / name).write_text("x" * len(name))
    assert day_files.list_days(directory) == [TraceDay("2026-07-02", 16), TraceDay("2026-06-30", 16)]
    assert day_files.list_unfinished(directory) == [".2026-07-01.jsonl.0f"]


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b" ")), max_size=12), st.binary(max_size=5))
def test_lines_are_the_same_from_either_end_and_half_a_line_is_none(lines: list[bytes], tail: bytes) -> None:
    content = b"".join(line + b"\n" for line in lines)
    half = tail.replace(b"\n", b"")
    day = _day_of(content + half)
    with day:
        assert list(day.iter_lines()) == lines
        assert list(day.iter_lines_back()) == lines[::-1]
        for end in (0, len(content)):
            assert list(day.iter_lines_back(end)) == (lines[::-1] if end else [])


def test_lines_larger_than_a_block_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_files, "_BLOCK_BYTES", 7)
    monkeypatch.setattr(day_files, "_PROBE_BYTES", 5)
    lines = [b"a" * 3, b"", b"b" * 50, b"c" * 6, b"d" * 7, b"e" * 8]
    with _day_of(b"".join(line + b"\n" for line in lines)) as day:
        assert list(day.iter_lines()) == lines
        assert list(day.iter_lines_back()) == lines[::-1]
        starts = [0, 4, 5, 56, 63, 71]
        assert [day.read_line(start) for start in starts] == lines
        assert [day.find_line_start(offset) for offset in (0, 1, 4, 5, 6, 56)] == [0, 4, 4, 5, 56, 56]
        assert day.find_line_start(75) == day.bytes


def test_what_is_added_after_the_opening_is_not_seen(directory: int, path: Path) -> None:
    (path / f"{DAY}.jsonl").write_bytes(b"one\n")
    with opened(directory) as day:
        with (path / f"{DAY}.jsonl").open("ab") as file:
            file.write(b"two\n")
        assert list(day.iter_lines()) == [b"one"]
        assert (day.read(2, 100), day.read(4, 10), day.bytes) == (b"e\n", b"", 4)


def _day_of(content: bytes) -> OpenDay:
    descriptor = os.memfd_create("day")
    os.write(descriptor, content)
    return OpenDay(descriptor, DAY)
