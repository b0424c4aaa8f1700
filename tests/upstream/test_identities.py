import pytest

from copilot_api.errors import BadRequest
from copilot_api.upstream.identities import DEFAULT_IDENTITY, CredentialSource, Identity, parse_github_token


def identity(token: str) -> Identity:
    return Identity(token, CredentialSource.FLAG)


@pytest.mark.parametrize("token", ["gho_abc", "github_pat_abc"])
def test_tokens_of_an_oauth_app_and_fine_grained_ones_are_used_as_they_are(token: str) -> None:
    assert not identity(token).is_exchanged
    assert "used directly" in identity(token).kind


@pytest.mark.parametrize("token", ["ghu_abc", "something else", "ghs_abc"])
def test_every_other_token_is_exchanged(token: str) -> None:
    assert identity(token).is_exchanged
    assert "exchanged" in identity(token).kind


def test_no_identity_shows_its_token() -> None:
    assert "abc" not in repr(identity("ghu_abc"))
    assert "abc" not in identity("ghu_abc").kind
    assert identity("ghu_abc").id == DEFAULT_IDENTITY


@pytest.mark.parametrize("text", ["ghu_abc", "  ghu_abc\n", "ghu_abc\r\n"])
def test_a_token_is_read_without_the_space_around_it(text: str) -> None:
    assert parse_github_token(text) == "ghu_abc"


@pytest.mark.parametrize(
    "text", ["", " \n", "ghu_a bc", "ghu_a\nghu_b", "ghu_größe", "ghu_a\x00", "ghu_a\x1b[0m", "\ufeffghu_a"]
)
def test_what_no_token_can_be_is_refused_before_it_is_sent_anywhere(text: str) -> None:
    with pytest.raises(BadRequest, match="no token has"):
        parse_github_token(text)


def test_a_classic_token_is_refused_with_what_to_do_and_is_not_shown() -> None:
    with pytest.raises(BadRequest) as raised:
        parse_github_token("ghp_secret")
    assert raised.value.hint is None
    assert "github_pat_" in (raised.value.actual_hint or "")
    assert "secret" not in raised.value.message
