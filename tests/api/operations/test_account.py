"""What is declared of the account is what is told of it."""

from datetime import UTC, datetime, timedelta

import msgspec

from copilot_api.api.operations.account import AccountStanding, Change, IdentityList, Resumed
from copilot_api.upstream.drift import CatalogChange, ChangeKind, render_change
from copilot_api.upstream.quotas import parse_quota
from copilot_api.usage.credit_reports import render_account, render_readings, report_account

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
USERS = (
    {"login": "octocat"},
    {
        "login": "octocat",
        "copilot_plan": "business",
        "quota_snapshots": {
            "chat": {"unlimited": True},
            "premium_interactions": {"entitlement": 300, "remaining": 120, "quota_reset_at": 1785542400},
        },
    },
)


def test_an_account_is_told_as_declared_however_little_github_says() -> None:
    for user in USERS:
        report = report_account(parse_quota(user), NOW, None, None)
        found = {**render_account(report, 1.5), "readings": render_readings(report.readings)}
        assert msgspec.convert(found, AccountStanding).login == "octocat"


def test_every_kind_of_change_is_told_as_declared() -> None:
    for kind in ChangeKind:
        change = CatalogChange(NOW - timedelta(days=1), "gpt-5", kind, "a", "b")
        assert msgspec.convert(render_change(change), Change).kind is kind


def test_nothing_of_a_credential_has_a_field() -> None:
    described = msgspec.json.schema(IdentityList)["$defs"].values()
    names = {name for each in described for name in each.get("properties", {})} | set(Resumed.__struct_fields__)
    assert names.isdisjoint({"github_token", "bearer", "secret", "key"})
    assert "token" in names, "which says whether it is valid, and no more"
