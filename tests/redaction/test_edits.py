"""What is written in place of a secret."""

from copilot_api.redaction.edits import Edit, Pen, Strike
from copilot_api.redaction.rule import Hit


def edit(start: int, end: int, rule: str = "secret", secret: str = "x", *, is_first: bool = True, **more: str) -> Edit:
    return Edit(start, end, Hit(start, end, rule, secret, **more), is_first)  # type: ignore[arg-type]


def test_a_placeholder_names_the_rule_and_hashes_the_secret() -> None:
    pen = Pen(b"salt")
    assert pen.render_placeholder("jwt", "a") == pen.render_placeholder("jwt", "a")
    assert pen.render_placeholder("jwt", "a") != pen.render_placeholder("jwt", "b")
    assert pen.render_placeholder("jwt", "\ud83d").startswith("[redacted:jwt:")


def test_edits_leave_the_rest_and_are_counted() -> None:
    pen = Pen(b"salt")
    place = pen.render_placeholder("secret", "x")
    assert pen.apply("abcdef", [edit(4, 5), edit(1, 2)]) == f"a{place}cd{place}f"
    assert pen.hits == {"secret": 2}


def test_of_overlapping_edits_the_one_that_tells_most_gives_its_name() -> None:
    pen = Pen(b"salt")
    assert (
        pen.apply("abcdef", [edit(1, 5), edit(2, 4, "github-token", "t")])
        == f"a{pen.render_placeholder('github-token', 't')}f"
    )
    assert pen.hits == {"github-token": 1}


def test_later_pieces_of_a_secret_are_only_taken_out() -> None:
    pen = Pen(b"salt")
    assert pen.apply("abcdef", [edit(1, 2), edit(4, 6, is_first=False)]).endswith("]cd")
    assert pen.hits == {"secret": 1}


def test_a_marker_is_written_as_it_is_and_is_no_hit() -> None:
    pen = Pen(b"salt")
    assert pen.apply("abc", [edit(1, 2, "", "", marker="[media: x, 1 bytes]")]) == "a[media: x, 1 bytes]c"
    assert not pen.hits


def test_a_number_is_replaced_by_a_string() -> None:
    pen = Pen(b"salt")
    assert pen.apply("1234", [edit(0, 4, quote='"')]) == f'"{pen.render_placeholder("secret", "x")}"'


def test_what_was_struck_is_told_to_who_asks() -> None:
    strikes: list[Strike] = []
    Pen(b"salt").apply("abc", [edit(1, 2)], strikes)
    assert [(strike.start, strike.end, strike.hit.rule) for strike in strikes] == [(1, 2, "secret")]
