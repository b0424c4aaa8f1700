from datetime import UTC, datetime, timedelta

from copilot_api.keys.models import ApiKey, KeyPolicy, Tier

NOW = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def make_key(**times: datetime) -> ApiKey:
    return ApiKey("key_a", "ci", Tier.CLIENT, "sk-cap-abcde", NOW, **times)  # type: ignore[arg-type]


def test_a_key_without_limits_in_time_is_valid() -> None:
    assert make_key().is_valid_at(NOW)


def test_a_key_is_valid_from_its_first_moment_up_to_but_not_at_its_last() -> None:
    key = make_key(not_before=NOW, expires_at=NOW + HOUR)
    assert not key.is_valid_at(NOW - timedelta(microseconds=1))
    assert key.is_valid_at(NOW)
    assert not key.is_valid_at(NOW + HOUR)


def test_a_revoked_key_is_never_valid() -> None:
    assert not make_key(revoked_at=NOW + HOUR).is_valid_at(NOW)


def test_a_policy_allows_the_models_that_it_names_or_all_with_a_star() -> None:
    assert KeyPolicy().allows_model("anything")
    assert KeyPolicy(("gpt-5", "fast")).allows_model("fast")
    assert not KeyPolicy(("gpt-5", "fast")).allows_model("gpt-5-mini")
