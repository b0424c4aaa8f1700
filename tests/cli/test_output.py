import csv
import io

import pytest

from copilot_api.cli.output import render_table
from copilot_api.usage.exports import Cell, render_csv

ROWS: list[list[Cell]] = [["key_a", 1_234_567, 0.5], ["a longer name", 8, None]]


def test_a_table_lines_up_texts_to_the_left_and_numbers_to_the_right() -> None:
    assert render_table(["name", "tokens", "credits"], ROWS, None) == [
        "name              tokens  credits",
        "key_a          1,234,567     0.50",
        "a longer name          8        -",
    ]


def test_texts_are_cut_to_fit_and_numbers_never() -> None:
    assert render_table(["name", "tokens", "credits"], ROWS, 30) == [
        "name           tokens  credits",
        "key_a       1,234,567     0.50",
        "a longer …          8        -",
    ]


def test_what_does_not_fit_at_all_becomes_blocks() -> None:
    assert render_table(["name", "tokens", "credits"], ROWS, 20) == [
        "name     key_a",
        "tokens   1,234,567",
        "credits  0.50",
        "",
        "name     a longer name",
        "tokens   8",
        "credits  -",
    ]


@pytest.mark.parametrize("width", range(1, 120))
def test_no_line_of_a_table_is_wider_than_the_terminal(width: int) -> None:
    rows: list[list[Cell]] = [["日本語のラベル" * 3, "x" * 40, 1], ["é" * 30, "", 2]]
    lines = render_table(["label", "model", "n"], rows, width)
    if lines[0].startswith("label  日"):
        return  # blocks, for which the terminal wraps
    for line in lines:
        assert sum(2 if ord(char) > 0x3000 else 1 for char in line) <= width


def test_an_empty_table_is_its_head() -> None:
    assert render_table(["a", "b"], [], 80) == ["a  b"]


def test_control_characters_do_not_reach_the_terminal() -> None:
    line = render_table(["model"], [["\x1b[2Jred\nalert\u202e"]], None)[1]
    assert line == "\\x1b[2Jred\\nalert\\u202e"


def test_csv_is_rfc_4180() -> None:
    rows: list[list[Cell]] = [["a,b", 'say "hi"', "two\r\nlines", None, -5, 0.25, True]]
    text = "".join(render_csv(["c1", "c2", "c3", "c4", "c5", "c6", "c7"], rows))
    assert text == 'c1,c2,c3,c4,c5,c6,c7\r\n"a,b","say ""hi""","two\r\nlines",,-5,0.25,True\r\n'


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1"])
def test_csv_holds_no_formula(cell: str) -> None:
    text = "".join(render_csv(["model"], [[cell]]))
    _, row = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert row == [f"'{cell}"]
