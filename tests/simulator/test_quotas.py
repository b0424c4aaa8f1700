"""Quota snapshots have the upstream's grammar and reset with the month."""

from datetime import UTC, datetime

import pytest

from copilot_api.simulator.options import SimulatorOptions
from copilot_api.simulator.quotas import Quotas


class _Still:
    """A clock that stands still."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 0.0


def _quotas(**options: object) -> Quotas:
    still = _Still(datetime(2026, 12, 10, tzinfo=UTC))
    return Quotas(SimulatorOptions(clock=still, **options))  # type: ignore[arg-type]


def test_the_grammar_of_a_snapshot() -> None:
    quotas = _quotas(premium_used=30.0, overage_permitted=False)
    headers = quotas.headers("octocat")
    wanted = "ent=300&ov=0.0&ovPerm=false&rem=90.0&rst=2027-01-01T00%3A00%3A00Z"
    assert headers["x-quota-snapshot-premium_interactions"] == wanted
    assert headers["x-quota-snapshot-premium_models"] == wanted
    assert headers["x-quota-snapshot-chat"].startswith("ent=-1&")


def test_accounts_spend_apart_and_may_go_into_overage() -> None:
    quotas = _quotas(premium_used=299.0)
    quotas.spend("alice", 3)
    assert (quotas.used("alice"), quotas.used("bob")) == (302, 299)
    premium = quotas.describe_premium("alice")
    assert (premium["overage_count"], premium["remaining"], premium["percent_remaining"]) == (2, 0, 0)
    assert not quotas.is_exhausted("alice")


@pytest.mark.parametrize(("entitlement", "percent"), [(-1, 100.0), (0, 0.0)])
def test_unlimited_and_empty_entitlements(entitlement: int, percent: float) -> None:
    quotas = _quotas(premium_entitlement=entitlement, overage_permitted=False)
    assert quotas.describe_premium("octocat")["percent_remaining"] == percent
    assert quotas.is_exhausted("octocat") == (entitlement == 0)


def test_billed_by_tokens_the_document_says_so_and_counts_fractions() -> None:
    quotas = _quotas(premium_entitlement=1500, premium_used=10.0, token_based_billing=True)
    quotas.spend("octocat", 0.123456789)
    premium = quotas.describe_premium("octocat")
    assert (premium["token_based_billing"], premium["has_quota"]) == (True, True)
    assert premium["quota_remaining"] == 1489.876543211
    assert premium["quota_reset_at"] == datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    assert "token_based_billing" not in _quotas().describe_premium("octocat")


def test_billed_by_tokens_nothing_left_is_no_quota() -> None:
    quotas = _quotas(premium_used=300.0, token_based_billing=True, overage_permitted=False)
    assert quotas.describe_premium("octocat")["has_quota"] is False
