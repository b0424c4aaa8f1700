from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from copilot_api.cli.key_views import COLUMNS, render_fields, render_row
from copilot_api.config.budgets import parse_budget
from copilot_api.keys.documents import render_key
from copilot_api.keys.models import ApiKey, CaptureOrder, KeyPolicy, Tier

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
BARE = ApiKey("key_a", "ci", Tier.CLIENT, "sk-cap-abcde", NOW)
POLICY = KeyPolicy(
    models=("fast", "gpt-5"),
    cidrs=("10.0.0.0/8", "::1/128"),
    rpm=60,
    tpm=40_000,
    max_in_flight=4,
    weight=3,
    budgets=(parse_budget("credits:day:50:observe"), parse_budget("tokens:month:2000000.5")),
    observe=("models", "tpm"),
)
FULL = replace(BARE, policy=POLICY, not_before=NOW, expires_at=NOW + timedelta(days=1), last_used_at=NOW)


def limits(**policy: Any) -> str | None:
    """The column `limits`."""
    return dict(zip(COLUMNS, render_row(replace(BARE, policy=KeyPolicy(**policy)), NOW), strict=True))["limits"]


def budgets(*texts: str) -> dict[str, Any]:
    return {"budgets": tuple(parse_budget(text) for text in texts)}


def test_json_has_every_field_also_of_a_key_without_limits() -> None:
    assert render_key(BARE, NOW) == {
        "id": "key_a",
        "label": "ci",
        "tier": "client",
        "prefix": "sk-cap-abcde",
        "status": "valid",
        "models": ["*"],
        "cidrs": [],
        "rpm": None,
        "tpm": None,
        "max_in_flight": None,
        "weight": 1,
        "budgets": [],
        "observe": [],
        "created_at": "2026-07-01T12:00:00+00:00",
        "not_before": None,
        "expires_at": None,
        "revoked_at": None,
        "last_used_at": None,
        "capture": None,
    }


def test_a_key_that_is_captured_says_so_in_every_view_until_it_is_over() -> None:
    order = CaptureOrder("slow answers", "local:me", NOW, NOW + timedelta(hours=1))
    key = replace(BARE, capture=order)
    assert render_key(key, NOW)["capture"] == {
        "reason": "slow answers",
        "by": "local:me",
        "since": "2026-07-01T12:00:00+00:00",
        "until": "2026-07-01T13:00:00+00:00",
    }
    assert render_fields(key, NOW)["captured"] == "until 2026-07-01 13:00:00 UTC, by local:me: slow answers"
    assert dict(zip(COLUMNS, render_row(key, NOW), strict=True))["status"] == "valid, captured"
    over = NOW + timedelta(hours=1)
    assert render_key(key, over)["capture"] is None
    assert render_fields(key, over)["captured"] is None
    assert dict(zip(COLUMNS, render_row(key, over), strict=True))["status"] == "valid"


def test_json_of_a_key_with_all_of_them() -> None:
    shown = render_key(FULL, NOW)
    assert {name: shown[name] for name in ("models", "cidrs", "rpm", "tpm", "max_in_flight", "weight", "observe")} == {
        "models": ["fast", "gpt-5"],
        "cidrs": ["10.0.0.0/8", "::1/128"],
        "rpm": 60,
        "tpm": 40_000,
        "max_in_flight": 4,
        "weight": 3,
        "observe": ["models", "tpm"],
    }
    assert shown["budgets"] == [
        {"unit": "credits", "window": "day", "amount": 50, "mode": "observed"},
        {"unit": "tokens", "window": "month", "amount": 2_000_000.5, "mode": "enforced"},
    ]


@pytest.mark.parametrize("observe", [("budgets",), ("*",)])
def test_a_budget_is_observed_also_when_all_budgets_are(observe: tuple[str, ...]) -> None:
    key = replace(FULL, policy=replace(POLICY, observe=observe))
    shown: Any = render_key(key, NOW)
    assert [budget["mode"] for budget in shown["budgets"]] == ["observed", "observed"]
    assert shown["observe"] == list(observe)


def test_for_people_there_is_only_what_is_set() -> None:
    assert {name for name, value in render_fields(BARE, NOW).items() if value} == {
        "id",
        "label",
        "tier",
        "prefix",
        "status",
        "models",
        "created",
    }


def test_for_people_what_is_not_enforced_is_marked() -> None:
    shown = {name: value for name, value in render_fields(FULL, NOW).items() if value is not None}
    assert shown == {
        "id": "key_a",
        "label": "ci",
        "tier": "client",
        "prefix": "sk-cap-abcde",
        "status": "valid",
        "models": "fast, gpt-5 (observed)",
        "networks": "10.0.0.0/8, ::1/128",
        "rpm": "60",
        "tpm": "40,000 (observed)",
        "max in flight": "4",
        "weight": "3",
        "budgets": ["credits:day 50 (observed)", "tokens:month 2,000,000.5"],
        "observed": "models, tpm: what would be refused is only noted",
        "created": "2026-07-01 12:00:00 UTC",
        "not before": "2026-07-01 12:00:00 UTC",
        "expires": "2026-07-02 12:00:00 UTC",
        "last used": "2026-07-01 12:00:00 UTC",
    }
    everything = render_fields(replace(BARE, policy=KeyPolicy(observe=("*",))), NOW)
    assert everything["observed"] == "everything: what would be refused is only noted"


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ({}, None),
        ({"rpm": 60}, "60 rpm"),
        (
            {"rpm": 60, "tpm": 40_000, "max_in_flight": 4, **budgets("credits:day:50:observe")},
            "60 rpm, 40k tpm, 4 at once, credits:day 50 (observed)",
        ),
        ({"rpm": 60, "tpm": 5, "observe": ("rpm",)}, "60 rpm (observed), 5 tpm"),
        ({"rpm": 60, **budgets("tokens:day:5:observe"), "observe": ("*",)}, "observed: 60 rpm, tokens:day 5"),
        ({"observe": ("*",)}, None),
        ({"cidrs": ("10.0.0.0/8",), "weight": 3}, "from 10.0.0.0/8, weight 3"),
        ({"cidrs": ("10.0.0.0/8", "::1/128"), "observe": ("cidrs",)}, "from 2 networks (observed)"),
        ({"rpm": 60, "weight": 3, "observe": ("*",)}, "observed: 60 rpm, weight 3"),
        ({"weight": 3}, "weight 3"),
    ],
)
def test_the_table_has_all_limits_in_a_few_words(policy: dict[str, Any], text: str | None) -> None:
    assert limits(**policy) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (999, "999"),
        (1_000, "1k"),
        (1_234, "1,234"),
        (1_500, "1.5k"),
        (1_550_000, "1,550k"),
        (2_000_000, "2M"),
        (1_000_000_000, "1,000M"),
    ],
)
def test_a_number_is_short_where_nothing_is_lost(number: int, text: str) -> None:
    assert limits(rpm=number) == f"{text} rpm"
    assert limits(**budgets(f"tokens:day:{number}")) == f"tokens:day {text}"


def test_an_amount_may_be_a_fraction() -> None:
    assert limits(**budgets("credits:day:0.25", "premium:day:12.5")) == "credits:day 0.25, premium_requests:day 12.5"


def test_the_models_of_a_row_are_marked_too() -> None:
    shown = dict(zip(COLUMNS, render_row(FULL, NOW), strict=True))
    assert shown["models"] == "fast,gpt-5 (observed)"
    assert shown["expires"] == "2026-07-02 12:00"
    assert dict(zip(COLUMNS, render_row(BARE, NOW), strict=True))["models"] == "all"


def test_a_key_says_whether_it_can_be_used() -> None:
    hour = timedelta(hours=1)
    for key, status in (
        (BARE, "valid"),
        (replace(BARE, not_before=NOW + hour), "not yet valid"),
        (replace(BARE, expires_at=NOW), "expired"),
        (replace(BARE, expires_at=NOW, revoked_at=NOW), "revoked"),
    ):
        assert render_key(key, NOW)["status"] == status
