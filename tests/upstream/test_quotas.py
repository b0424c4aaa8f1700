from dataclasses import replace
from datetime import UTC, datetime
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


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if not name.startswith("error")])
def test_every_recorded_document_says_when_its_allowances_come_back(name: str) -> None:
    assert {each.resets_at for each in parse_quota(DOCUMENTS[name]).snapshots} == {datetime(2026, 4, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("document", "resets_at"),
    [
        ({"quota_reset_date": "2026-04-01"}, datetime(2026, 4, 1, tzinfo=UTC)),
        (
            {"quota_reset_date": "2026-04-01", "quota_reset_date_utc": "2026-04-01T09:30:00.000Z"},
            datetime(2026, 4, 1, 9, 30, tzinfo=UTC),
        ),
        ({"quota_reset_date_utc": "2026-04-01T02:00:00+02:00"}, datetime(2026, 4, 1, tzinfo=UTC)),
        ({"limited_user_reset_date": 1775001600}, datetime(2026, 4, 1, tzinfo=UTC)),
        ({"quota_reset_date": "soon"}, None),
        ({"quota_reset_date": "soon", "limited_user_reset_date": "2026-04-01"}, datetime(2026, 4, 1, tzinfo=UTC)),
        ({"quota_reset_date": True}, None),
        ({"quota_reset_date": "9999-12-31"}, None),
        ({"quota_reset_date": 1e300}, None),
        ({"quota_reset_date": -1e18}, None),
        ({"quota_reset_date": []}, None),
        ({}, None),
    ],
)
def test_the_reset_is_read_in_every_form(document: dict[str, Any], resets_at: datetime | None) -> None:
    (snapshot,) = parse_quota({**document, "quota_snapshots": {"a": {"entitlement": 5}}}).snapshots
    assert snapshot.resets_at == resets_at


def test_an_allowance_may_have_a_reset_of_its_own() -> None:
    raw = {"a": {"quota_reset_at": 1775088000}, "b": {"quota_reset_at": "never"}}
    quota = parse_quota({"quota_reset_date": "2026-04-01", "quota_snapshots": raw})
    assert [each.resets_at and each.resets_at.day for each in quota.snapshots] == [2, 1]


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e13, float("inf"), float("nan")])
def test_numbers_that_no_quota_has_are_not_known(number: float) -> None:
    raw = {"a": {"entitlement": 300, "remaining": number, "overage_count": number}}
    (snapshot,) = parse_quota({"quota_snapshots": raw}).snapshots
    assert (snapshot.used, snapshot.consumed, snapshot.overage_count) == (None, None, 0.0)


@pytest.mark.parametrize(
    ("fields", "consumed"),
    [
        ({"entitlement": 300, "remaining": 271}, 29),
        ({"entitlement": 300, "remaining": 0, "overage_count": 42}, 342),
        ({"entitlement": 300, "remaining": -42}, 342),
        ({"entitlement": 300, "remaining": -42, "overage_count": 42}, 342),
        ({"entitlement": 300, "remaining": 310}, 0),
        ({"entitlement": 0, "remaining": 0, "overage_count": 7}, 7),
        ({"entitlement": 300, "remaining": 271, "unlimited": True}, None),
        ({"entitlement": 300}, None),
    ],
)
def test_what_was_consumed_goes_beyond_the_entitlement(fields: dict[str, Any], consumed: float | None) -> None:
    quota = parse_quota({"quota_snapshots": {"a": fields}})
    (reading,) = quota.readings(datetime(2026, 3, 1, tzinfo=UTC))
    assert (quota.snapshots[0].consumed, reading.consumed) == (consumed, consumed)


@pytest.mark.parametrize(
    ("raw", "charged"),
    [
        ({"premium_interactions": {"entitlement": 300}, "chat": {"unlimited": True}}, "premium_interactions"),
        ({"premium_interactions": {"entitlement": 300}, "chat": {"entitlement": 50}}, "premium_interactions"),
        ({"premium_interactions": {"entitlement": 0}, "chat": {"entitlement": 50}}, "chat"),
        ({"premium_interactions": {"entitlement": 0}, "chat": {"unlimited": True}}, "premium_interactions"),
        ({"premium_interactions": {"entitlement": 0, "unlimited": True}, "chat": {"entitlement": 50}}, "premium_interactions"),
        ({"chat": {"entitlement": 50}}, "chat"),
        ({"completions": {"entitlement": 50}}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_calls_draw_on_premium_interactions_or_where_there_are_none_on_chat(
    raw: dict[str, Any], charged: str | None
) -> None:
    found = parse_quota({"quota_snapshots": raw}).charged
    assert (found and found.name) == charged


def test_a_reading_is_the_same_when_all_but_its_time_is() -> None:
    (reading,) = parse_quota({"quota_snapshots": {"a": {"entitlement": 300, "remaining": 5}}}).readings(
        datetime(2026, 3, 1, tzinfo=UTC)
    )
    assert reading.says_the_same(replace(reading, at=datetime(2027, 1, 1, tzinfo=UTC)))
    changes: list[dict[str, Any]] = [
        {"entitlement": 5.0},
        {"used": 5.0},
        {"overage": 5.0},
        {"is_unlimited": True},
        {"is_token_based": True},
        {"resets_at": reading.at},
    ]
    assert not any(reading.says_the_same(replace(reading, **change)) for change in changes)
