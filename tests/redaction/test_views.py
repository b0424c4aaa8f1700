"""Views and sheets keep a way back from what is read to what is written."""

import pytest

from copilot_api.redaction.views import GAP, Blocks, Sheet, Slice, Unescaped


def test_a_slice_is_moved_by_its_offset() -> None:
    assert Slice("abc", 5).locate(1, 3) == (6, 8)


@pytest.mark.parametrize(
    ("span", "place"),
    [((0, 1), (10, 11)), ((1, 3), (11, 18)), ((2, 3), (12, 18)), ((3, 5), (18, 20)), ((2, 4), (12, 19))],
)
def test_an_escape_is_taken_whole_and_the_rest_letter_for_letter(span: tuple[int, int], place: tuple[int, int]) -> None:
    # ab\u0063de, from 10 on
    view = Unescaped("abcde", [0, 2, 3], [10, 12, 18, 20], "")
    assert view.locate(*span) == place


def test_blocks_are_taken_whole() -> None:
    view = Blocks("hello", 100, 3, 3, 4, 112, None, "base64")
    assert view.locate(0, 3) == (104, 108)
    assert view.locate(2, 4) == (104, 112)


def test_blocks_may_have_line_ends_between_them() -> None:
    view = Blocks("abcdef", 0, 0, 3, 4, 9, [0, 1, 2, 3, 5, 6, 7, 8], "base64")
    assert view.locate(0, 3) == (0, 4)
    assert view.locate(3, 6) == (5, 9)


def test_a_sheet_knows_its_pieces_and_clips_what_reaches_into_a_gap() -> None:
    sheet = Sheet([Slice("abc"), Slice("defg")])
    assert sheet.text == f"abc{GAP}defg"
    start, end = sheet.span_of(1)
    assert sheet.text[start:end] == "defg"
    assert sheet.find_view(start + 1, end) == (1, 1, 4)
    assert sheet.find_view(1, start + 1) == (0, 1, 3)
    assert sheet.find_view(3, 4) is None
