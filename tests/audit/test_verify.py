"""Whatever is done to the files is found; what is no harm is told apart from it."""

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import chain
from pathlib import Path

import pytest

from copilot_api.audit.head import Head, render_head
from copilot_api.audit.lines import MAX_LINE_BYTES, Link, parse_line
from copilot_api.audit.models import Origin
from copilot_api.audit.verify import MAX_PROBLEMS, find_problems, verify
from tests.audit.logs import JANUARY, Site, make_event

Change = Callable[[Site], None]


@pytest.fixture
def whole(site: Site) -> Site:
    """Three files, one of whose lines says that a fourth was removed."""
    site.fill(1, 2, 2, 1)
    site.log.append(
        make_event(7, Origin("192.0.2.1", "ci/1.0", "req_1"), label="é\u202e", before={"a": [1, 2.5, None]})
    )
    assert site.log.remove_oldest_segment(JANUARY + timedelta(days=10)) is not None
    assert (len(site.files), len(site.lines), site.problems) == (3, 7, [])
    return site


# Every byte -----------------------------------------------------------------------------------------------------------


def mutations(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Everything that can become of one byte: another value, gone, one more before it; and the end, cut there."""
    for at, byte in enumerate(content):
        before, behind = content[:at], content[at + 1 :]
        for mask in (0x01, 0x20):
            yield f"flip {mask} at {at}", before + bytes([byte ^ mask]) + behind
        yield f"delete at {at}", before + behind
        for added in (b" ", b"\n"):
            yield f"insert {added!r} at {at}", before + added + content[at:]
        yield f"cut at {at}", before
    for added in (b" ", b"\n", b"\x00", b"{}\n"):
        yield f"insert {added!r} at the end", content + added


def test_a_change_of_any_byte_of_any_file_is_found(whole: Site) -> None:
    made = 0
    for path in [*whole.files, whole.head]:
        content = path.read_bytes()
        for name, changed in mutations(content):
            if changed == content:
                continue
            path.write_bytes(changed)
            assert whole.problems, f"{path.name}: {name}"
            made += 1
        path.write_bytes(content)
    assert whole.problems == []
    assert made > 12_000


def test_each_value_of_a_byte_is_found(whole: Site) -> None:
    path = whole.files[0]
    content = path.read_bytes()
    for at in range(0, len(content), 31):
        for value in range(256):
            if value != content[at]:
                path.write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
                assert whole.problems, (at, value)


# Lines and files ------------------------------------------------------------------------------------------------------


def all_lines(site: Site) -> list[tuple[Path, int]]:
    return [(path, number) for path in site.files for number in range(len(path.read_bytes().splitlines()))]


def test_a_line_that_is_removed_repeated_or_moved_is_found(whole: Site) -> None:
    places = all_lines(whole)
    contents = {path: path.read_bytes() for path in whole.files}
    lines = {path: content.splitlines(keepends=True) for path, content in contents.items()}
    in_order = list(chain.from_iterable(lines.values()))
    made = 0
    for path, number in places:
        for other, target in places:
            for is_copy in (False, True):
                changed = {name: list(each) for name, each in lines.items()}
                line = changed[path][number] if is_copy else changed[path].pop(number)
                changed[other].insert(target, line)
                if list(chain.from_iterable(changed.values())) == in_order:
                    continue  # no line is another or elsewhere in the chain
                for name, each in changed.items():
                    name.write_bytes(b"".join(each))
                assert whole.problems, (path.name, number, other.name, target, is_copy)
                made += 1
        removed = [line for at, line in enumerate(lines[path]) if at != number]
        for name, content in contents.items():
            name.write_bytes(content)
        path.write_bytes(b"".join(removed))
        assert whole.problems, (path.name, number, "removed")
        path.write_bytes(contents[path])
    assert made > 80
    assert whole.problems == []


def test_a_file_that_is_removed_emptied_or_swapped_is_found(whole: Site) -> None:
    contents = {path: path.read_bytes() for path in [*whole.files, whole.head]}
    for path, content in contents.items():
        path.unlink()
        assert whole.problems, f"{path.name} removed"
        path.write_bytes(b"")
        assert whole.problems, f"{path.name} emptied"
        path.write_bytes(content)
        for other, others in contents.items():
            if other != path:
                path.write_bytes(others)
                assert whole.problems, f"{path.name} is a copy of {other.name}"
                other.write_bytes(content)
                assert whole.problems, f"{path.name} and {other.name} swapped"
                other.write_bytes(others)
                path.write_bytes(content)
    assert whole.problems == []


def test_a_segment_that_is_renamed_copied_or_put_back_is_found(site: Site) -> None:
    site.fill(1, 1, 1)
    oldest, _, _ = site.files
    kept = oldest.read_bytes()
    copy = oldest.with_name("audit-2026-01-10-2.jsonl")
    shutil.copy(oldest, copy)
    assert site.problems
    copy.unlink()
    oldest.rename(renamed := oldest.with_name("audit-2026-01-11.jsonl"))
    assert "segments were swapped or renamed" in site.problems[0]
    renamed.rename(oldest)
    site.log.remove_oldest_segment(JANUARY + timedelta(days=10))
    assert site.problems == []
    oldest.write_bytes(kept)
    assert site.problems == [], "what a crash left of a removal, and the next round removes again"
    oldest.with_name("audit-2026-01-09.jsonl").write_bytes(kept)
    assert site.problems


def test_two_segments_of_a_day_that_swap_their_names_are_found(tmp_path: Path) -> None:
    site = Site(tmp_path / "audit.jsonl", segment_bytes=1)
    site.append(3)
    first, second = (tmp_path / name for name in ("audit-2026-01-10.jsonl", "audit-2026-01-10-2.jsonl"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert "comes behind one with a higher number" in site.problems[0]


def test_an_older_copy_put_back_is_found(site: Site) -> None:
    site.append(3)
    older = site.path.read_bytes()
    site.append(2)
    site.path.write_bytes(older)
    assert site.problems == ["lines 4 to 5 are missing at the end: they were cut off or put back older"]


def test_a_line_edited_by_somebody_who_knows_hashes_is_found(site: Site) -> None:
    site.append(4)
    lines = site.path.read_bytes().splitlines(keepends=True)
    body = lines[1].replace(b"key_2", b"key_9").rpartition(b',"hash":"')[0]
    digest = hashlib.sha256(body + b"}").hexdigest().encode()
    site.path.write_bytes(lines[0] + body + b',"hash":"' + digest + b'"}\n' + b"".join(lines[2:]))
    assert site.problems == [f"{site.path.name}, line 3: does not follow the line before: lines were removed, added or moved"]  # fmt: skip


def test_a_beginning_that_is_missing_without_a_line_that_says_so_is_found(site: Site) -> None:
    site.fill(2, 1)
    site.files[0].unlink()
    assert site.problems == ["the log begins with line 3, and no line says that those before it were removed"]


def test_more_removed_than_was_recorded_is_found(site: Site) -> None:
    site.fill(1, 1, 1, 1)
    site.log.remove_oldest_segment(JANUARY + timedelta(days=10))
    assert site.problems == []
    site.files[0].unlink()
    assert "begins with line 3" in site.problems[0]


# What it says ---------------------------------------------------------------------------------------------------------


def test_a_whole_log_is_said_to_be_with_its_head(whole: Site) -> None:
    verdict = verify(whole.path)
    assert (verdict.is_whole, verdict.lines, verdict.files) == (True, 7, 3)
    assert verdict.head == Link(8, whole.lines[-1]["hash"])
    assert verdict.notes == ["lines up to 1 were removed, as retention says"]


def test_a_log_that_is_not_there_is_no_whole_one(site: Site) -> None:
    assert site.problems == ["there is no line: nothing was ever on record here, or all of it was removed"]


def test_a_head_kept_elsewhere_is_looked_for(whole: Site) -> None:
    links = [Link(line["seq"], line["hash"]) for line in whole.lines]
    for link in links:
        assert verify(whole.path, link).problems == []
        assert "not the expected one" in verify(whole.path, Link(link.seq, "0" * 64)).problems[0]
    assert verify(whole.path, Link(99, "0" * 64)).problems == ["the expected line 99 is not there"]
    removed = Link(1, whole.lines[-1]["detail"]["last_hash"])
    assert verify(whole.path, removed).problems == []
    assert "retention removed" in verify(whole.path, removed).notes[-1]
    assert "not kept any more" in verify(whole.path, Link(1, "0" * 64)).problems[0]


def test_it_finds_a_log_that_was_made_anew_as_a_whole(tmp_path: Path) -> None:
    real, forged = (Site(tmp_path / name / "audit.jsonl") for name in ("real", "forged"))
    for site, note in ((real, "true"), (forged, "false")):
        site.path.parent.mkdir()
        site.append(3, note=note)
    head = verify(real.path).head
    assert find_problems(forged.path) == [], "which the chain itself cannot show"
    assert verify(forged.path, head).problems


def test_a_quick_look_is_at_the_newest_segment_and_the_head(site: Site) -> None:
    site.fill(2, 2)
    oldest, newest = site.files
    oldest.write_bytes(b"nonsense\n")
    assert verify(site.path, newest_only=True).problems == []
    content = newest.read_bytes()
    newest.write_bytes(content.replace(b"key_4", b"key_5"))
    assert verify(site.path, newest_only=True).problems
    newest.write_bytes(content.splitlines(keepends=True)[0])
    assert verify(site.path, newest_only=True).problems
    newest.write_bytes(b"")
    assert verify(site.path, newest_only=True).problems


def test_a_quick_look_behind_a_rotation_is_at_the_last_segment(site: Site) -> None:
    site.append(2)
    site.clock.advance(31 * 86_400.0)
    site.log.rotate_if_due()
    verdict = verify(site.path, newest_only=True)
    assert (verdict.problems, verdict.lines) == ([], 2)


def test_a_line_that_was_about_to_be_written_is_no_problem(site: Site) -> None:
    site.append(2)
    last = parse_line(site.path.read_bytes().splitlines(keepends=True)[-1]).link
    site.head.write_bytes(render_head(Head(last, Link(3, "0" * 64))))
    verdict = verify(site.path)
    assert verdict.problems == []
    assert "was not done" in verdict.notes[0]


def test_of_many_problems_the_first_are_told_and_memory_stays_small(site: Site) -> None:
    site.append()
    with site.path.open("ab") as file:
        for _ in range(MAX_PROBLEMS):
            file.write(b"scribbled\n")
        file.write(b"x" * (4 * MAX_LINE_BYTES))
    problems = site.problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == "there are more: the rest was not looked at"
    site.path.write_bytes(b"x" * (4 * MAX_LINE_BYTES))
    assert site.problems


def test_a_link_in_the_place_of_a_file_is_not_followed(whole: Site) -> None:
    path = whole.files[0]
    path.rename(path.with_name("kept"))
    path.symlink_to(path.with_name("kept"))
    with pytest.raises(OSError, match=r"symbolic|links"):
        verify(whole.path)


def test_segments_that_are_removed_meanwhile_are_no_problem(site: Site) -> None:
    site.fill(*[1] * 12)
    is_over = threading.Event()
    found: list[list[str]] = []

    def look() -> None:
        while not is_over.is_set():
            found.append(site.problems)

    thread = threading.Thread(target=look)
    thread.start()
    while site.log.remove_oldest_segment(site.clock.now() - timedelta(days=5)):
        os.sched_yield()
    is_over.set()
    thread.join()
    assert found.count([]) == len(found) > 0
    assert len(site.files) == 1
