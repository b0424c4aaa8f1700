"""Where a text was cut off, what may be half a secret is found."""

import pytest

from copilot_api.redaction.cuts import find_cut


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("it is sk-ab", "sk-ab"), ('{"a":"b c', "c"), ('"key":"half', "half"), ("%67%68", "%67%68"), ("whole", "whole"),
        ("see\n" + "QUJD" * 10 + "\n" + "QUJD" * 10 + "\nQU", "QUJD" * 10 + "\n" + "QUJD" * 10 + "\nQU"),
        ("see\r\n" + "QUJD" * 10 + "\r\nQU", "QUJD" * 10 + "\r\nQU"),
    ],
)  # fmt: skip
def test_the_last_unbroken_run_is_what_may_be_half_a_secret(text: str, run: str) -> None:
    hit = find_cut(text)
    assert hit is not None
    assert text[hit.start : hit.end] == run
    assert hit.rule == "cut"


@pytest.mark.parametrize("text", ["", "it is ", 'it is "', "it is [redacted:cut:0a1b2c]"])
def test_there_may_be_nothing_to_take(text: str) -> None:
    assert find_cut(text) is None


def test_a_very_long_run_is_taken_whole() -> None:
    hit = find_cut("see " + "a" * 1_000_000)
    assert hit is not None
    assert hit.start == 4
