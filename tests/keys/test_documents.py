"""A key as programs read it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from copilot_api.config.budgets import parse_budget
from copilot_api.keys.documents import KeyDocument, Status, describe_key, name_status, render_key
from copilot_api.keys.models import ApiKey, CaptureOrder, KeyPolicy, Tier

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def make_key(policy: KeyPolicy | None = None, **times: Any) -> ApiKey:
    return ApiKey("key_a", "ci", Tier.CLIENT, "sk-cap-abcde", NOW, policy or KeyPolicy(), **times)


@pytest.mark.parametrize(
    ("times", "status"),
    [
        ({}, "valid"),
        ({"not_before": NOW + HOUR}, "not yet valid"),
        ({"expires_at": NOW}, "expired"),
        ({"not_before": NOW + HOUR, "revoked_at": NOW}, "revoked"),
    ],
)
def test_how_it_stands_with_a_key_is_one_of_four(times: dict[str, Any], status: Status) -> None:
    assert name_status(make_key(**times), NOW) == status


def test_plain_values_are_what_the_document_declares() -> None:
    policy = KeyPolicy(budgets=(parse_budget("credits:day:50"), parse_budget("tokens:hour:1.5:observe")))
    key = make_key(policy, last_used_at=NOW)
    rendered = render_key(key, NOW)
    assert msgspec.convert(rendered, KeyDocument) == describe_key(key, NOW)
    assert rendered["budgets"] == [
        {"unit": "credits", "window": "day", "amount": 50, "mode": "enforced"},
        {"unit": "tokens", "window": "hour", "amount": 1.5, "mode": "observed"},
    ]
    assert rendered["last_used_at"] == "2026-07-01T12:00:00+00:00"


def test_a_capture_is_told_until_it_is_over() -> None:
    order = CaptureOrder("slow answers", "key_b", NOW, NOW + HOUR)
    key = msgspec.structs.asdict(describe_key(ApiKey("a", "b", Tier.ADMIN, "c", NOW, capture=order), NOW))
    assert msgspec.to_builtins(key["capture"])["reason"] == "slow answers"
    assert describe_key(ApiKey("a", "b", Tier.ADMIN, "c", NOW, capture=order), NOW + HOUR).capture is None


def test_nothing_of_a_secret_is_in_it() -> None:
    assert {"key", "secret", "digest"}.isdisjoint(KeyDocument.__struct_fields__)
