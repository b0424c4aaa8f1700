"""Appending: one chain, over processes, segments and crashes."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from copilot_api.audit.head import Head, render_head
from copilot_api.audit.lines import FIRST_PREV, OLD_FIRST_PREV, Link, make_record, parse_line, render_line
from copilot_api.audit.log import AuditLog
from copilot_api.audit.search import AuditQuery
from copilot_api.errors import StorageUnavailable
from tests.audit.logs import JANUARY, MONTH, Site, make_event

ROOT = Path(__file__).parents[2]


def test_each_line_holds_the_hash_of_the_one_before(site: Site) -> None:
    site.append(2, label="ci ☃\n")
    first, second = site.lines
    assert (first["seq"], first["at"], first["prev"]) == (1, "2026-01-10T12:00:00+00:00", FIRST_PREV)
    assert (second["seq"], second["prev"], second["detail"]) == (2, first["hash"], {"label": "ci ☃\n"})
    assert json.loads(site.head.read_bytes()) == {"seq": 2, "hash": second["hash"]}
    assert site.problems == []


def test_the_files_are_private_and_no_link_is_followed(site: Site) -> None:
    site.fill(1, 1)
    assert {path.stat().st_mode & 0o777 for path in site.path.parent.iterdir()} == {0o600}
    for name in ("audit.jsonl", "audit.head", "audit.lock"):
        path = site.path.with_name(name)
        path.rename(kept := path.with_name("kept"))
        path.symlink_to(kept)
        with pytest.raises(StorageUnavailable, match="nothing was changed"):
            site.append()
        path.unlink()
        kept.rename(path)
    assert (len(site.lines), site.problems) == (2, [])


def test_a_line_longer_than_what_is_read_at_once_is_still_the_one_before(site: Site) -> None:
    site.append(2, note="x" * 200_000)
    site.append()
    assert site.problems == []


def test_what_cannot_be_written_is_refused_and_leaves_nothing(site: Site) -> None:
    for value in (object(), "\ud800", "x" * 1024 * 1024):
        with pytest.raises(StorageUnavailable):
            site.append(thing=value)
    with pytest.raises(StorageUnavailable):
        AuditLog(site.path / "nowhere", site.clock).append(make_event())
    assert (site.path.read_bytes(), site.head.read_bytes()) == (b"", b"")
    site.append()
    assert site.problems == []


FULL = """
import resource, sys
from pathlib import Path
from copilot_api.errors import StorageUnavailable
from tests.audit.logs import Site
site = Site(Path(sys.argv[1]))
site.append(3)
resource.setrlimit(resource.RLIMIT_FSIZE, (site.path.stat().st_size + 100, resource.RLIM_INFINITY))
try:
    site.append()
except StorageUnavailable as error:
    print(error.message)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(site.lines), site.problems)
site.append()
print(len(site.lines), site.problems)
"""


def test_a_disk_that_takes_half_a_line_refuses_the_action_and_keeps_nothing_of_it(site: Site) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, site.path], capture_output=True, text=True, check=True, cwd=ROOT)
    refusal, refused, after = done.stdout.splitlines()
    assert "only 100 of" in refusal
    assert "nothing was changed" in refusal
    assert (refused, after) == ("3 []", "4 []")


# Segments -------------------------------------------------------------------------------------------------------------


def test_a_month_that_is_over_becomes_a_segment_and_the_chain_goes_on(site: Site) -> None:
    site.fill(3, 2, 1)
    assert [path.name for path in site.files] == ["audit-2026-01-10.jsonl", "audit-2026-02-10.jsonl", "audit.jsonl"]
    assert [len(path.read_bytes().splitlines()) for path in site.files] == [3, 2, 1]
    assert [line["seq"] for line in site.lines] == [1, 2, 3, 4, 5, 6]
    assert site.problems == []


def test_a_file_that_is_large_becomes_a_segment_with_a_number_within_its_day(tmp_path: Path) -> None:
    site = Site(tmp_path / "audit.jsonl", segment_bytes=500)
    site.append(12)
    names = [path.name for path in site.path.parent.glob("audit-*")]
    assert sorted(names, key=lambda name: (len(name), name))[:3] == [
        "audit-2026-01-10.jsonl", "audit-2026-01-10-2.jsonl", "audit-2026-01-10-3.jsonl",
    ]  # fmt: skip
    assert all(path.stat().st_size < 1000 for path in site.files)
    assert ([line["seq"] for line in site.lines], site.problems) == ([*range(1, 13)], [])


def test_a_clock_that_is_set_back_makes_no_segment_and_breaks_no_chain(site: Site) -> None:
    site.fill(1, 1)
    site.clock.advance(-3 * MONTH)
    site.append(2)
    assert (len(site.files), site.problems) == (2, [])
    site.clock.advance(12 * MONTH)
    site.append()
    assert site.files[0].name == "audit-2025-11-09.jsonl", "named for its last line"
    assert (len(site.files), site.problems) == (3, [])
    assert [record.seq for record in site.log.list_events()] == [5, 4, 3, 2, 1]


def test_the_upkeep_makes_a_segment_of_a_month_that_nothing_follows(site: Site) -> None:
    site.log.rotate_if_due()
    site.append(2)
    site.log.rotate_if_due()
    assert len(site.files) == 1
    site.clock.advance(MONTH)
    site.log.rotate_if_due()
    site.log.rotate_if_due()
    assert [path.name for path in site.files] == ["audit-2026-01-10.jsonl", "audit.jsonl"]
    assert (site.path.read_bytes(), site.problems) == (b"", [])
    site.append()
    assert ([line["seq"] for line in site.lines], site.problems) == ([1, 2, 3], [])


def test_a_segment_is_removed_with_a_line_that_says_so(site: Site) -> None:
    site.fill(3, 2, 1)
    before = site.lines
    cutoff = JANUARY + timedelta(days=20)
    removed = site.log.remove_oldest_segment(cutoff)
    assert removed is not None
    assert (removed.name, removed.lines, removed.last_at) == ("audit-2026-01-10.jsonl", 3, before[2]["at"])
    assert site.log.remove_oldest_segment(cutoff) is None
    line = site.lines[-1]
    assert (line["actor"], line["action"], line["target"]) == ("gateway", "audit.segments_removed", removed.name)
    assert line["detail"] == {"last_seq": 3, "last_hash": before[2]["hash"], "last_at": before[2]["at"], "lines": 3}
    assert ([each["seq"] for each in site.lines], site.problems) == ([4, 5, 6, 7], [])
    site.log.remove_oldest_segment(cutoff + timedelta(days=40))
    assert ([each["seq"] for each in site.lines], site.problems) == ([6, 7, 8], [])


def test_the_file_that_grows_is_never_removed(site: Site) -> None:
    site.append(3)
    assert site.log.remove_oldest_segment(JANUARY + timedelta(days=4000)) is None
    assert len(site.lines) == 3


def test_a_segment_that_cannot_be_read_is_not_removed(site: Site) -> None:
    site.fill(2, 1)
    segment = site.files[0]
    segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(StorageUnavailable, match="nothing was removed"):
        site.log.remove_oldest_segment(JANUARY + timedelta(days=400))
    assert segment.exists()


# What somebody did to the files ---------------------------------------------------------------------------------------


def test_lines_cut_off_the_end_stay_missing_whatever_comes_after(site: Site) -> None:
    site.append(5)
    site.path.write_bytes(b"".join(site.path.read_bytes().splitlines(keepends=True)[:3]))
    assert site.problems == ["lines 4 to 5 are missing at the end: they were cut off or put back older"]
    site.append(2)
    assert [line["seq"] for line in site.lines] == [1, 2, 3, 6, 7, 8]
    assert [line["action"] for line in site.lines][3:] == ["audit.head_restored", "key.issued", "key.issued"]
    assert len(site.problems) == 2
    assert "does not follow" in site.problems[0]
    assert "lines 4 to 5 are missing" in site.problems[1]


def test_a_log_that_was_removed_stays_missing(site: Site) -> None:
    site.append(5)
    site.path.unlink()
    assert site.problems
    site.append()
    assert [line["seq"] for line in site.lines] == [6, 7]
    assert site.problems


def test_a_line_written_past_the_head_is_found_and_its_number_not_used_again(site: Site) -> None:
    site.append(2)
    last = parse_line(site.path.read_bytes().splitlines(keepends=True)[-1])
    with site.path.open("ab") as file:
        file.write(render_line(make_record(make_event(9), JANUARY, last.link)))
    assert site.problems == ["line 3 is not known to the head"]
    site.append()
    assert [line["seq"] for line in site.lines] == [1, 2, 3, 4, 5]
    assert len(site.problems) == 1


@pytest.mark.parametrize("scribble", [b"scribbled\n", b"scribbled", b"\n", b"\x00" * 5000])
def test_what_is_scribbled_at_the_end_is_not_written_over(site: Site, scribble: bytes) -> None:
    site.append(2)
    with site.path.open("ab") as file:
        file.write(scribble)
    assert site.problems
    site.append()
    assert scribble in site.path.read_bytes()
    assert site.problems
    assert parse_line(site.path.read_bytes().splitlines(keepends=True)[-1]).seq == 4


def test_where_neither_the_end_nor_the_head_can_be_read_nothing_is_written(site: Site) -> None:
    site.path.write_bytes(b"nonsense\n")
    with pytest.raises(StorageUnavailable, match="cannot be written"):
        site.append()
    assert site.path.read_bytes() == b"nonsense\n"


def test_a_head_that_cannot_be_read_is_made_anew_and_told(site: Site) -> None:
    site.append(2)
    site.head.write_bytes(b"nonsense")
    site.append()
    assert [line["action"] for line in site.lines] == ["key.issued", "key.issued", "audit.head_restored", "key.issued"]
    assert "the head cannot be read" in site.problems[0]


# Logs from before there were heads ------------------------------------------------------------------------------------


def old_log(path: Path, count: int, rest: bytes = b"") -> None:
    link, content = Link(0, OLD_FIRST_PREV), b""
    for number in range(count):
        line = render_line(make_record(make_event(number), JANUARY, link))
        link, content = parse_line(line).link, content + line
    path.write_bytes(content + rest)


@pytest.mark.parametrize("rest", [b"", b'{"seq":4,"at'])
def test_a_log_from_before_there_were_heads_gets_one_with_its_next_line(site: Site, rest: bytes) -> None:
    old_log(site.path, 3)
    assert site.problems == []
    with site.path.open("ab") as file:
        file.write(rest)
    site.append()
    assert [line["action"] for line in site.lines][3:] == ["audit.head_restored", "key.issued"]
    assert site.lines[3]["detail"] == {"reason": "no head"}
    assert site.problems == []


def test_that_excuse_holds_once(site: Site) -> None:
    old_log(site.path, 3)
    site.append()
    site.head.unlink()
    assert site.problems == ["there is no head: whether lines are missing at the end is unknown"]
    site.append()
    assert len(site.problems) == 1


def test_it_never_holds_for_a_log_that_had_a_head_from_its_first_line(site: Site) -> None:
    site.append(3)
    site.head.unlink()
    assert len(site.problems) == 1
    site.append()
    assert len(site.problems) == 1


# Crashes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [b'{"seq":3,"at', b"\x00" * 5000, b"x" * 100_000])
def test_what_a_crash_left_half_written_is_told_and_the_next_line_takes_its_place(site: Site, torn: bytes) -> None:
    site.append(2)
    last = Link(2, site.lines[1]["hash"])
    site.head.write_bytes(render_head(Head(last, Link(3, "0" * 64))))
    assert site.problems == []
    with site.path.open("ab") as file:
        file.write(torn)
    assert len(site.problems) == 1
    assert "half-written" in site.problems[0]
    site.append()
    assert ([line["seq"] for line in site.lines], site.problems) == ([1, 2, 3], [])


def test_a_crash_in_the_very_first_line_leaves_an_empty_log(site: Site) -> None:
    site.path.write_bytes(b'{"seq":1')
    site.append()
    assert (len(site.lines), site.problems) == (1, [])


KILLED = """
import os, sys
from pathlib import Path
from tests.audit.logs import MONTH, Site

CALLS = ("open", "fsync", "replace", "unlink", "ftruncate", "write", "pwrite")

def tap(number, halves):
    made = 0
    for name in CALLS:
        real = getattr(os, name)
        def call(*arguments, _name=name, _real=real, **named):
            nonlocal made
            made += 1
            if made == number:
                if halves and _name == "write":
                    _real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os._exit(9)
            return _real(*arguments, **named)
        setattr(os, name, call)

def run(number, act, halves):
    site = Site(Path(sys.argv[1]) / f"{act}-{halves}-{number}" / "audit.jsonl")
    site.path.parent.mkdir()
    if act != "first":
        site.fill(2, 1)
    if act == "rotate":
        site.clock.advance(MONTH)
    tap(number, halves)
    if act == "remove":
        site.log.remove_oldest_segment(site.clock.now())
    else:
        site.append()
    os._exit(0)

for act in ("first", "append", "rotate", "remove"):
    for halves in (0, 1):
        number = code = 1
        while code:
            child = os.fork()
            if not child:
                run(number, act, halves)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code not in (0, 9):
                sys.exit(f"{act} {halves} {number}: {code}")
            print(act, halves, number, code)
            number += 1
"""


def test_killed_at_any_step_it_loses_nothing_that_was_acknowledged_and_the_chain_goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    runs = [line.split() for line in done.stdout.splitlines()]
    assert len(runs) > 80
    for act, halves, number, code in runs:
        site = Site(tmp_path / f"{act}-{halves}-{number}" / "audit.jsonl")
        site.clock.advance(3 * MONTH)
        kept = 0 if act == "first" else 3
        problems = site.problems if site.head.exists() and site.head.stat().st_size else []
        assert problems == [] or "half-written" in problems[0], (act, number, problems)
        known = [record.seq for record in site.log.list_events()]
        if act == "remove":
            assert code != "0" or known == [4, 3]
        else:
            assert known[len(known) - kept :] == [*range(kept, 0, -1)], (act, number)
            assert code != "0" or len(known) == kept + 1
        site.append()
        assert site.problems == [], (act, halves, number)
        seqs = [line["seq"] for line in site.lines]
        assert seqs == [*range(seqs[0], seqs[-1] + 1)]
        assert len(seqs) in {len(known) + 1, len(known) + 2}
        # What was begun is done by the next round.
        if act == "remove":
            while site.log.remove_oldest_segment(JANUARY + timedelta(days=20)):
                pass
            assert (site.lines[0]["seq"], site.problems) == (3, [])


def test_a_call_that_fails_refuses_the_action_and_the_next_one_gets_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 60):
        site = Site(tmp_path / str(number) / "audit.jsonl")
        site.path.parent.mkdir()
        site.fill(2)
        site.clock.advance(MONTH)
        made = 0
        with monkeypatch.context() as patch:
            for name in ("open", "fsync", "replace", "write", "pwrite", "ftruncate"):
                real = getattr(os, name)

                def call(*arguments: object, _real: Any = real, **named: object) -> object:
                    nonlocal made
                    made += 1
                    if made == number:  # noqa: B023
                        raise OSError(28, "No space left on device")
                    return _real(*arguments, **named)

                patch.setattr(os, name, call)
            try:
                site.append()
                is_done = True
            except StorageUnavailable as error:
                assert "No space left" in error.message  # noqa: PT017
                is_done = False
        assert (len(site.lines), site.problems) == (2 + is_done, []), number
        site.append()
        assert (len(site.lines), site.problems) == (3 + is_done, []), number
        if made < number:
            assert number > 15
            return
    pytest.fail("it makes ever more calls")


APPEND = """
import sys
from pathlib import Path
from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import Action, AuditEvent
from copilot_api.clock import SystemClock
log = AuditLog(Path(sys.argv[1]), SystemClock(), segment_bytes=4000)
for number in range(40):
    log.append(AuditEvent("local:other", Action.KEY_ISSUED, f"key_{number}"))
"""


def test_processes_that_append_and_rotate_together_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    processes = [subprocess.Popen([sys.executable, "-c", APPEND, path], cwd=ROOT) for _ in range(3)]
    site = Site(path, segment_bytes=4000)
    site.append(40)
    seen = 0
    while any(process.poll() is None for process in processes):
        assert site.problems == [], "also while they write"
        page = site.log.list_events()
        assert [record.seq for record in page] == [*range(len(page), 0, -1)]
        assert len(page) >= seen
        seen = len(page)
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert ([line["seq"] for line in site.lines], site.problems) == ([*range(1, 161)], [])
    assert len(site.files) > 8


# Looking --------------------------------------------------------------------------------------------------------------


def test_the_newest_line_says_when_there_was_one(site: Site) -> None:
    assert site.log.find_newest() is None
    site.append(2)
    assert site.log.find_newest() == JANUARY + timedelta(seconds=1)


def test_a_log_that_cannot_be_read_is_unavailable(site: Site) -> None:
    site.path.mkdir()
    with pytest.raises(StorageUnavailable, match="cannot be read"):
        site.log.list_events()
    with pytest.raises(StorageUnavailable, match="cannot be read"):
        site.log.get_page(AuditQuery())
