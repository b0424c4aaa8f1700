from datetime import UTC, datetime

from copilot_api.keys.repository import KeySecret


def test_a_secret_shows_its_prefix_and_not_its_digest() -> None:
    secret = KeySecret(b"\x01\x02digest", "key_a", "sk-cap-abcde", datetime(2026, 7, 1, tzinfo=UTC))
    assert "sk-cap-abcde" in repr(secret)
    assert "digest" not in repr(secret)
