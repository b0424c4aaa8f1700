"""The token of a form: of one session, and written otherwise each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.csrf import is_token, make_token
from copilot_api.keys.sessions import make_cookie


def test_a_token_is_of_its_session_only() -> None:
    mine, other = make_cookie(), make_cookie()
    assert is_token(mine, make_token(mine))
    assert not is_token(other, make_token(mine))


def test_no_two_pages_have_the_same_and_all_are_good() -> None:
    cookie = make_cookie()
    tokens = {make_token(cookie) for _ in range(20)}
    assert len(tokens) == 20
    assert all(is_token(cookie, token) for token in tokens)


def test_a_token_gives_nothing_of_the_cookie_away() -> None:
    cookie = make_cookie()
    assert cookie not in make_token(cookie)


@pytest.mark.parametrize("token", ["", "x", "é", "=" * 88, "A" * 88, "A" * 87, "A" * 86 + "==", "\0", " "])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert not is_token(make_cookie(), token)


@given(st.text())
def test_nobody_guesses_it(token: str) -> None:
    assert not is_token("cookie", token)


@given(st.integers(0, 87))
def test_a_token_with_one_letter_changed_is_none(place: int) -> None:
    token = make_token("cookie")
    changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
    # The last letter but the padding has bits that mean nothing.
    assert not is_token("cookie", changed) or place >= 85
