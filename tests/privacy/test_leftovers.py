"""The second look finds the key in whatever file it is, also where it lies across two reads."""

from pathlib import Path

import pytest

from copilot_api.config.paths import DataDirectory
from copilot_api.privacy import leftovers
from copilot_api.privacy.leftovers import search_files
from copilot_api.privacy.models import Leftover, Needles

NEEDLES = Needles("key_abcdefghijkl", ("sk-cap-abcde",), ("anna",), (b"\x00\xff" * 16,))


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path)
    for path in (directory.spool, directory.traces, directory.config_history):
        path.mkdir()
    return directory


def test_where_nothing_is_nothing_is_found(tmp_path: Path) -> None:
    assert search_files(DataDirectory(tmp_path / "nowhere"), NEEDLES) == []


def test_every_store_is_looked_through(directory: DataDirectory) -> None:
    (directory.spool / "a.journal").write_bytes(b"\0\0key_abcdefghijkl\0sk-cap-abcdefg")
    (directory.traces / "2026-07-01.jsonl").write_bytes(b'{"key_id":"key_abcdefghijkl"}\n' * 3)
    (directory.config_history / "v.json").write_text('["sk-cap-abcde"]')
    directory.config.write_text('["anna", "anna b", "joanna"]')
    directory.admin_key.write_bytes(b"x" + NEEDLES.digests[0])
    assert search_files(directory, NEEDLES) == [
        Leftover("journal", "a.journal", 2),
        Leftover("captures", "2026-07-01.jsonl", 3),
        Leftover("configuration", "v.json", 1),
        Leftover("configuration", "config.json, the label", 1),
        Leftover("first admin key", "admin.key.txt", 1),
    ]


def test_a_label_is_looked_for_in_the_configuration_only_and_as_a_whole(directory: DataDirectory) -> None:
    """Anywhere else it may be any word of anybody's."""
    (directory.traces / "2026-07-01.jsonl").write_text('{"body": "anna"}')
    directory.config.write_text('{"note": "for anna"}')
    assert search_files(directory, NEEDLES) == []


def test_the_audit_log_and_links_are_passed_over(directory: DataDirectory) -> None:
    directory.audit.write_text("key_abcdefghijkl")
    outside = directory.path / "outside"
    outside.write_text("key_abcdefghijkl")
    (directory.traces / "link.jsonl").symlink_to(outside)
    assert search_files(directory, NEEDLES) == []


@pytest.mark.parametrize("offset", range(40))
def test_what_lies_across_two_reads_is_found_once(
    directory: DataDirectory, offset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_READ_BYTES", 20)
    (directory.spool / "a.journal").write_bytes(b"." * offset + b"key_abcdefghijkl" + b"." * 7)
    assert search_files(directory, NEEDLES) == [Leftover("journal", "a.journal", 1)]
