import hashlib
import re

import pytest

from copilot_api.keys.secret import digest_secret, is_secret, make_key_id, make_secret, visible_prefix

SECRET = "sk-cap-" + "a" * 52


def test_a_secret_is_the_mark_and_52_base32_characters_and_never_the_same() -> None:
    secrets = {make_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(re.fullmatch(r"sk-cap-[a-z2-7]{52}", secret) for secret in secrets)
    assert all(is_secret(secret) for secret in secrets)


def test_what_is_stored_is_the_sha256_of_the_whole_secret() -> None:
    assert digest_secret(SECRET) == hashlib.sha256(SECRET.encode()).digest()


def test_the_visible_prefix_gives_away_25_of_256_bits() -> None:
    assert visible_prefix(SECRET) == "sk-cap-aaaaa"


def test_a_key_id_says_what_it_is() -> None:
    assert re.fullmatch(r"key_[a-z2-7]{12}", make_key_id())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-cap-",
        SECRET[:-1],
        SECRET + "a",
        SECRET + "\n",
        " " + SECRET[1:],
        SECRET.upper(),
        SECRET[:-1] + "1",
        SECRET[:-1] + "=",
        SECRET[:-1] + "\uff41",
        SECRET[:-1] + "\udcff",
        "sk-ant-" + "a" * 52,
        "sk-cap-" + "a" * 10_000_000,
    ],
    ids=range(13),
)
def test_anything_else_is_no_secret(text: str) -> None:
    assert not is_secret(text)
