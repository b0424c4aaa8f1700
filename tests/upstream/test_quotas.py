from typing import Any

import pytest

from copilot_api.simulator.replies import load_document
from copilot_api.upstream.quotas import AccountQuota, QuotaSnapshot, parse_quota

DOCUMENTS: dict[str, Any] = load_document("user.json")


def snapshots(quota: AccountQuota) -> dict[str, QuotaSnapshot]:
    return {snapshot.name: snapshot for snapshot in quota.snapshots}


def used(name: str) -> dict[str, float | None]:
    """What is used of each allowance in the recorded document of that name; None where there is no limit."""
    return {name: snapshot.used for name, snapshot in snapshots(parse_quota(DOCUMENTS[name])).items()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pro", {"chat": None, "completions": None, "premium_interactions": 29.0}),
        ("pro_exhausted", {"chat": None, "completions": None, "premium_interactions": 300.0}),
        ("pro_plus_overage", {"chat": None, "completions": None, "premium_interactions": 1500.0}),
        ("business", {"chat": None, "completions": None, "premium_interactions": 175.0}),
        ("enterprise_token_based", {"chat": None, "completions": None, "premium_interactions": None}),
        ("free_legacy", {"chat": 10.0, "completions": 0.0}),
    ],
)
def test_what_is_used_is_read_from_every_shape_of_the_document(name: str, expected: dict[str, float | None]) -> None:
    assert used(name) == expected


def test_fractions_of_a_token_based_quota_are_kept() -> None:
    chat = snapshots(parse_quota(DOCUMENTS["free_token_based"]))["chat"]
    assert chat.is_token_based
    assert chat.used == pytest.approx(4.3)
    assert chat.percent_remaining == 97.8


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if not name.startswith("error")])
def test_every_recorded_document_has_an_account_a_plan_and_a_date(name: str) -> None:
    quota = parse_quota(DOCUMENTS[name])
    assert quota.login == "octocat"
    assert quota.plan == DOCUMENTS[name]["copilot_plan"]
    assert quota.resets_on == "2026-04-01"
    assert quota.snapshots


def test_an_overage_is_told() -> None:
    premium = snapshots(parse_quota(DOCUMENTS["pro_plus_overage"]))["premium_interactions"]
    assert (premium.overage_count, premium.overage_permitted, premium.entitlement) == (42.0, True, 1500.0)


def test_an_allowance_without_a_limit_is_known_by_its_flag_or_by_minus_one() -> None:
    document = {
        "quota_snapshots": {
            "a": {"unlimited": True, "entitlement": 5},
            "b": {"entitlement": -1},
            "c": {"entitlement": 0},
        }
    }
    found = snapshots(parse_quota(document))
    assert [found[name].is_unlimited for name in "abc"] == [True, True, False]


def test_what_is_left_may_be_given_as_a_share_only() -> None:
    quota = parse_quota({"quota_snapshots": {"a": {"entitlement": 200, "percent_remaining": 25}}})
    assert snapshots(quota)["a"].used == 150.0


def test_an_allowance_of_which_nothing_else_is_known_has_no_use() -> None:
    assert snapshots(parse_quota({"quota_snapshots": {"a": {"entitlement": 200}}}))["a"].used is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"quota_snapshots": None},
        {"quota_snapshots": []},
        {"quota_snapshots": {"a": None, "b": 5, "c": []}},
        {"quota_snapshots": {"a": {"entitlement": "many", "remaining": True, "unlimited": "no"}}},
        {"monthly_quotas": 5, "limited_user_quotas": []},
        {"monthly_quotas": {"chat": None}, "limited_user_quotas": {"chat": "x"}},
        {"login": 5, "copilot_plan": None, "quota_reset_date": 7},
        DOCUMENTS["error_401_copilot_token_used"],
    ],
)
def test_a_document_of_any_shape_is_read(document: dict[str, Any]) -> None:
    quota = parse_quota(document)
    assert quota.plan
    assert all(snapshot.used is None for snapshot in quota.snapshots)
