"""What was drawn by chance is told from what somebody wrote."""

import pytest

from copilot_api.redaction.verifier_chance import looks_random
from tests.redaction.corpus.alphabets import BASE32, BASE64, HEX, LOWER, URL, WORD, Chance


@pytest.mark.parametrize("alphabet", [BASE32, BASE64, HEX, LOWER, URL, WORD])
@pytest.mark.parametrize(("length", "missed"), [(20, 12), (32, 4), (52, 2), (90, 0)])
def test_nearly_all_that_is_drawn_by_chance_is_known(alphabet: str, length: int, missed: int) -> None:
    chance = Chance(f"{alphabet} {length}")
    known = sum(looks_random(chance.some(alphabet, length)) for _ in range(400))
    assert known >= 400 - missed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "fading-circle-spinner",
        "chasing-dot-before-animation-delay-12",
        "BytePairEncoding",
        "Ed25519PrivateKey",
        "process.env.OPENAI_API_KEY",
        "generate_access_token",
        "claude-sonnet-4-20250514",
        "XXXXXXXXXXXXXXXXXXXXXXXX",
        "xxxx1111xxxx2222",
        "12345678901234567890123456789012",
        "1234567890abcdefghijklmnopqrstuvwxyz",
        "abcdefghijklmnop0123456789",
        "133e98c8-4ec2-76a8-90a9-946efc33a7c1",
        "REPLACE_ME_WITH_YOUR_OWN_KEY",
        "https://example.com/some/path",
    ],
)
def test_what_somebody_wrote_is_not_random(text: str) -> None:
    assert not looks_random(text)


def test_a_long_number_beside_it_does_not_make_it_written() -> None:
    assert looks_random("123456789012-1234567890123-aB3dE5fG7hJ9kL1mN3pQ5rS7")
