"""Many pieces are searched at once, through several encodings, and none of what is found reaches over their gaps."""

import base64

from copilot_api.redaction.search import MAX_DEPTH, PLACEHOLDER, find_direct, raise_hit, search
from copilot_api.redaction.views import Slice

TOKEN = "ghp_" + "A1b2C3d4" * 5


def test_each_hit_says_in_which_piece_it_is() -> None:
    found = search([Slice("nothing here"), Slice(f"see {TOKEN}"), Slice("short"), Slice(f"see {TOKEN}")])
    assert sorted((index, hit.start, hit.secret) for index, hit in found) == [(1, 4, TOKEN), (3, 4, TOKEN)]


def test_a_secret_does_not_reach_from_one_piece_into_the_next() -> None:
    assert search([Slice(f"see {TOKEN[:12]}"), Slice(f"{TOKEN[12:]} there")]) == []
    assert search([Slice("the password:"), Slice("tr0ub4dor99")]) == []


def test_encodings_are_undone_so_many_times_and_no_more() -> None:
    text = f"x {TOKEN}"
    for depth in range(MAX_DEPTH + 2):
        assert bool(search([Slice(text)])) == (depth <= MAX_DEPTH)
        text = base64.b64encode(text.encode()).decode()


def test_a_hit_is_raised_to_its_source_with_the_way_it_was_found() -> None:
    (found,) = search([Slice(TOKEN.encode().hex(), 7)])
    hit = raise_hit(Slice(TOKEN.encode().hex(), 7), found[1])
    assert (hit.start, hit.end, hit.via) == (7, 7 + 2 * len(TOKEN), ("hex",))


def test_a_placeholder_is_never_searched() -> None:
    text = "password=[redacted:some-other-rule:0a1b2c]"
    assert PLACEHOLDER.search(text)
    assert search([Slice(text)]) == []
    assert search([Slice(f"{text} {TOKEN}")])


def test_the_rules_strike_text_as_it_is_written() -> None:
    assert TOKEN in [hit.secret for hit in find_direct(f"a {TOKEN}")]
