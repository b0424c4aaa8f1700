"""A body is looked through by its structure where it has one, and as text where it has none or is broken."""

from copilot_api.redaction.bodies import find_in_body, find_in_stream

TOKEN = "ghp_" + "A1b2C3d4" * 5


def struck(text: str, media_type: str = "", *, is_cut: bool = False) -> list[str]:
    return sorted({text[edit.start : edit.end] for edit in find_in_body(text, media_type, is_cut=is_cut)})


def test_a_document_is_searched_string_by_string() -> None:
    assert struck(f'{{"a": ["{TOKEN}", 1], "password": "open sesame 7"}}') == [TOKEN, "open sesame 7"]


def test_a_broken_document_is_searched_as_text_too() -> None:
    assert TOKEN in struck(f'{{"a": "b", oops {TOKEN}')


def test_text_is_searched_as_text() -> None:
    assert struck(f"see {TOKEN}") == [TOKEN]


def test_only_a_form_is_searched_by_the_names_of_parameters() -> None:
    assert struck("code=abc&x=1") == []
    assert struck("code=abc&x=1", "application/x-www-form-urlencoded") == ["abc"]


def test_a_cut_body_loses_its_last_run() -> None:
    assert struck("it is half-a-sec", is_cut=True) == ["half-a-sec"]


def test_a_cut_stream_loses_the_last_run_of_its_text_and_of_its_bytes() -> None:
    text = 'data: {"delta":"it is ha"}\n\ndata: {"delta":"lf"}\n\ndata: {"del'
    kept = text
    for edit in sorted(find_in_stream(text, is_cut=True), reverse=True):
        kept = kept[: edit.start] + kept[edit.end :]
    assert kept == 'data: {"delta":"it is "}\n\ndata: {"delta":""}\n\ndata: {"'
