"""An archive is whole at its place, or nowhere; and what it is made of is never held whole."""

import os
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from copilot_api.errors import BadRequest
from copilot_api.privacy.archives import writing

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_it_is_at_its_place_once_it_is_given_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with writing(path, AT) as (archive, handover):
        assert archive.add("a.txt", "letters", [b"a", b"b"]) == 2
        handover.finish()
        assert not path.exists()
        handover.give()
    assert os.listdir(tmp_path) == ["a.zip"]
    with zipfile.ZipFile(path) as written:
        assert written.read("a.txt") == b"ab"
        assert written.getinfo("a.txt").date_time == (2026, 7, 1, 12, 0, 0)


def test_one_that_is_not_given_is_nowhere(tmp_path: Path) -> None:
    def break_off() -> None:
        with writing(tmp_path / "a.zip", AT) as (archive, _):
            archive.add("a.txt", "", [b"a"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    with writing(tmp_path / "a.zip", AT):
        pass
    assert os.listdir(tmp_path) == []


def test_a_place_that_is_taken_meanwhile_is_left_to_whoever_took_it(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"

    def write() -> None:
        with writing(path, AT) as (_, handover):
            path.write_text("somebody's")
            handover.finish()
            handover.give()

    with pytest.raises(BadRequest, match="there is a file already"):
        write()
    assert path.read_text() == "somebody's"
    assert os.listdir(tmp_path) == ["a.zip"]


def test_a_hundred_megabytes_take_no_more_memory_than_one(tmp_path: Path) -> None:
    def pieces(count: int) -> Iterator[bytes]:
        return (b"x" * 10_000 for _ in range(count))

    def measure(count: int) -> int:
        tracemalloc.start()
        with writing(tmp_path / f"{count}.zip", AT) as (archive, handover):
            archive.add("a", "", pieces(count))
            handover.finish()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    measure(10)
    assert measure(2_000) < measure(50) + 200_000
