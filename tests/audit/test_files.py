"""The files of a log, by their names and from their ends."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.audit.files import AuditFiles, count_rest, open_file, opened, read_last_line, read_lines_backwards
from copilot_api.audit.lines import MAX_LINE_BYTES
from tests.audit.logs import Site


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "lines"


@settings(max_examples=60)
@given(st.lists(st.integers(0, 70_000) | st.integers(0, 5), max_size=6), st.integers(0, 3))
def test_lines_come_from_the_end_as_they_are(scratch: Path, lengths: list[int], rest: int) -> None:
    lines = [bytes([97 + number]) * length + b"\n" for number, length in enumerate(lengths)]
    content = b"".join(lines) + b"z" * rest
    scratch.write_bytes(content)
    with opened(scratch) as descriptor:
        found = list(read_lines_backwards(descriptor, len(content)))
        assert found == [*([b"z" * rest] if rest else []), *reversed(lines)]
        assert read_last_line(descriptor, len(content)) == (lines[-1] if lines else None, rest > 0)
        assert count_rest(descriptor, len(content)) == rest


def test_a_line_without_an_end_takes_no_more_memory_than_a_line_can(scratch: Path) -> None:
    scratch.write_bytes(b"x" * (5 * MAX_LINE_BYTES))
    with opened(scratch) as descriptor:
        pieces = list(read_lines_backwards(descriptor, 5 * MAX_LINE_BYTES))
        assert count_rest(descriptor, 5 * MAX_LINE_BYTES) == 5 * MAX_LINE_BYTES
    assert sum(map(len, pieces)) == 5 * MAX_LINE_BYTES
    assert max(map(len, pieces)) < 1.1 * MAX_LINE_BYTES


def test_what_is_no_file_of_ours_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "."):
        with pytest.raises(OSError, match=r"link|regular|symbolic|Is a directory"):
            open_file(tmp_path / name, os.O_RDONLY)


def test_other_files_are_no_segments(site: Site) -> None:
    site.fill(1, 1)
    for name in (
        "audit-old.jsonl",
        "audit-2026-01-10-0.jsonl",
        "audit-2026-01-10.jsonl.bak",
        "xaudit-2026-01-10.jsonl",
    ):
        site.path.with_name(name).write_text("x\n")
    files = AuditFiles(site.path)
    assert [segment.path.name for segment in files.list_segments()] == ["audit-2026-01-10.jsonl"]
    assert files.name_segment("2026-01-10").name == "audit-2026-01-10-2.jsonl"
    assert files.name_segment("2026-01-11").name == "audit-2026-01-11.jsonl"


def test_segments_are_in_the_order_of_their_lines_not_of_their_names(site: Site) -> None:
    site.fill(1, 1)
    site.clock.advance(-40 * 86_400.0)
    site.append()
    site.log = type(site.log)(site.path, site.clock, segment_bytes=1)
    site.append()
    segments = AuditFiles(site.path).list_segments()
    assert [segment.first_seq for segment in segments] == [1, 2]
    assert site.problems == []


def test_a_snapshot_of_a_copy_needs_no_lock_and_makes_no_file(site: Site) -> None:
    site.append()
    site.path.with_suffix(".lock").unlink()
    with AuditFiles(site.path).snapshot() as snapshot:
        assert snapshot.newest_bytes == site.path.stat().st_size
    assert not site.path.with_suffix(".lock").exists()
