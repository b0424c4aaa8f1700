"""Examples, code, sentences and words are told from what was drawn by lot."""

import random
import string

import pytest

from copilot_api.redaction.plausible import (
    entropy,
    has_digit,
    is_code,
    is_drawn,
    is_example,
    is_label,
    is_name,
    is_no_example,
    is_own_word,
    is_prose,
    is_random,
    is_worded,
)


@pytest.mark.parametrize("value", ["YOUR_API_KEY", "your-token-here", "<token>", "${TOKEN}", "$TOKEN", "{{ token }}", "sk-...", "****", "xxxxxxxx", "string", "None", "%s", "changeme", "{token}", "example", "@password", "[token]", "$(cat x)"])  # fmt: skip
def test_examples(value: str) -> None:
    assert is_example(value)
    assert not is_no_example(value)


@pytest.mark.parametrize(
    "value", ["tr0ub4dor", "q7Wz9Kp2Lm4Xv8Rt", "correct horse", "p(a]s{s", "hunter2", "Fv9XxXxj7q"]
)
def test_what_is_no_example(value: str) -> None:
    assert not is_example(value)


@pytest.mark.parametrize(
    "value",
    [
        "self.token",
        "process.env.TOKEN",
        'os.environ["TOKEN"]',
        "getpass()",
        "Optional[str]",
        "std::env::var",
        "[1",
        "API_KEY",
    ],
)
def test_code(value: str) -> None:
    assert is_code(value)


def test_sentences_and_labels() -> None:
    assert is_prose("Enter the password")
    assert not is_prose("correct horse battery staple")
    assert is_label("user_password")
    assert not is_label("password1")


@pytest.mark.parametrize(
    "value", ["sk-fading-circle", "some_long_identifier_v2", "getAccessTokenSilently", "task-management-dashboard"]
)
def test_words_are_not_random(value: str) -> None:
    assert is_worded(value)
    assert not is_random(value)
    assert not is_own_word(value)


def test_what_was_drawn_by_lot_is_random() -> None:
    lot = random.Random(7)
    drawn = ["".join(lot.choices(string.ascii_letters + string.digits, k=24)) for _ in range(500)]
    assert sum(is_random(value) for value in drawn) >= 495
    assert entropy("aaaa") == 0.0
    assert entropy("") == 0.0
    assert has_digit("a1")


@pytest.mark.parametrize("value", ["Ed25519PrivateKey", "Curve25519PrivateKey", "X509Certificate2", "X25519PrivateKey", "SecretStr", "HashMap<String,String>"])  # fmt: skip
def test_a_type_is_a_name(value: str) -> None:
    assert is_name(value)


def test_what_was_drawn_by_lot_is_no_name() -> None:
    lot = random.Random(8)
    drawn = ["".join(lot.choices(string.ascii_letters + string.digits, k=32)) for _ in range(500)]
    assert sum(is_name(value) for value in drawn) <= 2


@pytest.mark.parametrize("value", ["process.env.S3_KEY", "config.oauth2.clientSecret", "Sha256::digest(pw)", "os.environ", "hashlib.sha256(pw)", "crypto.randomUUID()"])  # fmt: skip
def test_a_member_of_a_program_is_not_drawn_by_lot(value: str) -> None:
    assert is_code(value)
    assert not is_drawn(value, is_computed=True)


def test_a_password_with_a_dot_is_drawn_by_lot() -> None:
    lot = random.Random(9)
    drawn = ["".join(lot.choices(string.ascii_letters + string.digits, k=10)) + ".Xk9" for _ in range(500)]
    assert sum(is_drawn(value, is_computed=False) for value in drawn) >= 498
    assert sum(is_drawn(value + "q7Wz9Kp2", is_computed=True) for value in drawn) >= 495
