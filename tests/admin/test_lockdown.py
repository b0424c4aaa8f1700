"""The lock-down ladder tells what is so, and what to do about what is not."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from copilot_api.admin.lockdown import Rung, list_rungs
from copilot_api.config.budgets import Budget, Unit, Window
from copilot_api.config.settings import (
    AdmissionLimits,
    CaptureSettings,
    Exposure,
    MetricsSettings,
    Settings,
)
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from tests.fakes import FakeClock

NOW = FakeClock().now()
OPEN = Settings(host="0.0.0.0", is_open=True, metrics=MetricsSettings(access="open"))
BUDGET = Budget(Unit.CREDITS, Window.MONTH, 100.0)


def key(number: int = 1, tier: Tier = Tier.CLIENT, **fields: Any) -> ApiKey:
    policy = fields.pop("policy", KeyPolicy())
    return ApiKey(f"key_{number}", f"k{number}", tier, "sk-cap-x", NOW - timedelta(days=1), policy, **fields)


def rung(name: str, settings: Settings, *keys: ApiKey) -> Rung:
    [found] = [each for each in list_rungs(settings, keys, NOW) if name in each.name]
    return found


def test_what_is_open_says_what_to_do_and_what_is_taken_says_what_is_so() -> None:
    everything = [key(1), key(2, Tier.ADMIN)]
    for each in list_rungs(OPEN, everything, NOW):
        assert (each.is_taken, bool(each.step), bool(each.text)) == (False, True, True), each.name
    closed = Settings(
        limits=AdmissionLimits(rpm=60),
        exposure=Exposure(is_listed_only=True),
        captures=CaptureSettings(is_allowed=False),
    )
    bound = [
        key(1, expires_at=NOW + timedelta(days=1)),
        key(2, Tier.ADMIN, expires_at=NOW + timedelta(days=1), policy=KeyPolicy(cidrs=("10.0.0.0/8",))),
    ]
    for each in list_rungs(closed, bound, NOW):
        assert (each.is_taken, each.step, bool(each.text)) == (True, "", True), each.name


@pytest.mark.parametrize(
    ("change", "is_taken", "word"),
    [
        ({"host": "127.0.0.1"}, True, "this machine"),
        ({"host": "::1"}, True, "this machine"),
        ({"tls_cert": "cert.pem"}, True, "TLS itself"),
        ({"trusted_proxies": ("10.0.0.1/32",)}, True, "proxy"),
        ({}, False, "0.0.0.0"),
    ],
)
def test_keys_are_safe_on_their_way_in_more_than_one_way(change: dict[str, Any], is_taken: bool, word: str) -> None:
    found = rung("in the clear", replace(OPEN, **change))
    assert (found.is_taken, word in found.text) == (is_taken, True)


@pytest.mark.parametrize(
    ("policy", "is_taken"),
    [
        (KeyPolicy(), False),
        (KeyPolicy(rpm=5), True),
        (KeyPolicy(max_in_flight=1), True),
        (KeyPolicy(budgets=(BUDGET,)), True),
        (KeyPolicy(rpm=5, observe=("*",)), False),
        (KeyPolicy(budgets=(replace(BUDGET, is_observed=True),)), False),
    ],
)
def test_limits_that_are_only_looked_at_are_none(policy: KeyPolicy, is_taken: bool) -> None:
    assert rung("use up", OPEN, key(policy=policy)).is_taken is is_taken


def test_a_budget_of_all_together_keeps_no_key_from_using_it_up() -> None:
    assert not rung("use up", replace(OPEN, limits=AdmissionLimits(budgets=(BUDGET,))), key()).is_taken


def test_only_keys_that_are_valid_count_and_they_are_counted() -> None:
    revoked = key(9, revoked_at=NOW - timedelta(hours=1))
    assert rung("ends some day", OPEN, revoked).is_taken
    assert rung("ends some day", OPEN, key(1), revoked).text == "1 of 1 never expires."
    ending = key(3, expires_at=NOW + timedelta(days=1))
    assert rung("ends some day", OPEN, key(1), key(2), ending).text == "2 of 3 never expire."


def test_metrics_that_are_off_are_for_nobody() -> None:
    assert rung("Metrics", replace(OPEN, metrics=MetricsSettings(is_on=False, access="open"))).text == "There are none."
