"""The head, and what follows from it."""

import os
from pathlib import Path

import pytest

from copilot_api.audit.head import (
    BEGINNING,
    HEAD_BYTES,
    Head,
    HeadDamaged,
    LogEnd,
    Standing,
    judge,
    parse_head,
    render_head,
    write_head,
)
from copilot_api.audit.lines import Link

ONE, TWO, THREE = (Link(number, str(number) * 64) for number in (1, 2, 3))
HEADS = [Head(BEGINNING), Head(BEGINNING, ONE), Head(TWO), Head(TWO, THREE), Head(Link(10**14, "f" * 64), Link(10**14, "e" * 64))]  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_read_back_and_always_as_long(head: Head) -> None:
    content = render_head(head)
    assert (len(content), parse_head(content)) == (HEAD_BYTES, head)


def test_an_empty_file_is_no_head_yet() -> None:
    assert parse_head(b"") is None


def test_any_other_byte_makes_it_no_head_or_another() -> None:
    content = render_head(Head(TWO))
    for at in range(len(content)):
        for changed in (content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :], content[:at], content[:at] + b" " + content[at:]):  # fmt: skip
            try:
                assert parse_head(changed) != Head(TWO)
            except HeadDamaged:
                continue


def test_a_shorter_head_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    path = tmp_path / "audit.head"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        write_head(descriptor, Head(TWO, THREE))
        write_head(descriptor, Head(BEGINNING))
    finally:
        os.close(descriptor)
    assert path.read_bytes() == render_head(Head(BEGINNING))


DAMAGED = HeadDamaged("no")


@pytest.mark.parametrize(
    ("head", "end", "standing", "link"),
    [
        # A log is begun.
        (None, LogEnd(None), Standing.AGREED, BEGINNING),
        (Head(BEGINNING, ONE), LogEnd(None), Standing.UNFINISHED, BEGINNING),
        (Head(BEGINNING, ONE), LogEnd(None, has_rest=True), Standing.UNFINISHED, BEGINNING),
        (Head(BEGINNING, ONE), LogEnd(ONE), Standing.AGREED, ONE),
        # A line is written.
        (Head(ONE), LogEnd(ONE), Standing.AGREED, ONE),
        (Head(ONE, TWO), LogEnd(ONE), Standing.UNFINISHED, ONE),
        (Head(ONE, TWO), LogEnd(ONE, has_rest=True), Standing.UNFINISHED, ONE),
        (Head(ONE, TWO), LogEnd(TWO), Standing.AGREED, TWO),
        # No crash leaves these.
        (Head(TWO), LogEnd(ONE), Standing.BROKEN, TWO),
        (Head(TWO), LogEnd(None), Standing.BROKEN, TWO),
        (Head(TWO, THREE), LogEnd(ONE), Standing.BROKEN, THREE),
        (Head(ONE), LogEnd(TWO), Standing.BROKEN, TWO),
        (Head(ONE), LogEnd(ONE, has_rest=True), Standing.BROKEN, ONE),
        (Head(ONE, TWO), LogEnd(TWO, has_rest=True), Standing.BROKEN, TWO),
        (Head(ONE), LogEnd(Link(1, "9" * 64)), Standing.BROKEN, ONE),
        (Head(ONE), LogEnd(None, is_readable=False), Standing.BROKEN, ONE),
        # Without a head.
        (None, LogEnd(TWO), Standing.HEADLESS, TWO),
        (None, LogEnd(TWO, has_rest=True), Standing.HEADLESS, TWO),
        (None, LogEnd(None, has_rest=True), Standing.UNFINISHED, BEGINNING),
        (None, LogEnd(None, is_readable=False), Standing.UNKNOWN, BEGINNING),
        (DAMAGED, LogEnd(TWO), Standing.BROKEN, TWO),
        (DAMAGED, LogEnd(None), Standing.BROKEN, BEGINNING),
        (DAMAGED, LogEnd(None, is_readable=False), Standing.UNKNOWN, BEGINNING),
    ],
)
def test_what_follows_from_head_and_end(head: Head | None, end: LogEnd, standing: Standing, link: Link) -> None:
    judgement = judge(head, end)
    assert (judgement.standing, judgement.link) == (standing, link)
    assert bool(judgement.reason) == (standing in {Standing.BROKEN, Standing.HEADLESS, Standing.UNKNOWN})
