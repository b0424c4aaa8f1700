from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.keys.models import OBSERVABLE, ApiKey, KeyPolicy, Tier, parse_address

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


def test_a_policy_without_networks_allows_every_address_and_none() -> None:
    assert all(KeyPolicy().allows_address(address) for address in ("192.0.2.7", "::1", "what", None))


def test_a_policy_with_networks_allows_the_addresses_in_one_of_them() -> None:
    policy = KeyPolicy(cidrs=("10.0.0.0/8", "2001:db8::/32"))
    for address in ("10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3", "2001:db8::1"):
        assert policy.allows_address(address), address
    for outside in ("11.0.0.0", "::ffff:11.0.0.0", "2001:db9::1", "::10.0.0.1", "", "what", "10.0.0.1:80", None):
        assert not policy.allows_address(outside), outside


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1", "127.0.0.1"), ("::FFFF:7f00:1", "127.0.0.1"), ("fe80::1%eth0", "fe80::1"), ("0:0::1", "::1")],
)
def test_an_address_has_one_form(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


@pytest.mark.parametrize("text", [None, "", "%", "localhost", "127.1", "1.2.3.4.5", "[::1]", "2130706433"])
def test_anything_else_is_no_address(text: str | None) -> None:
    assert parse_address(text) is None


def test_a_policy_observes_what_it_names_or_all_with_a_star() -> None:
    assert not any(KeyPolicy().observes(name) for name in OBSERVABLE)
    assert all(KeyPolicy(observe=("*",)).observes(name) for name in OBSERVABLE)
    some = KeyPolicy(observe=("rpm", "budgets"))
    assert [name for name in OBSERVABLE if some.observes(name)] == ["rpm", "budgets"]
