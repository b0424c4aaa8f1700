from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from copilot_api.config.budgets import Budget, Unit, Window, parse_budget
from copilot_api.config.schema import MAX_LIMIT
from copilot_api.errors import BadRequest
from copilot_api.keys.checks import (
    MAX_BUDGETS,
    MAX_NETWORKS,
    MAX_WEIGHT,
    check_times,
    checked_label,
    checked_policy,
)
from copilot_api.keys.models import OBSERVABLE, KeyPolicy

NOW = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERY_BUDGET = tuple(Budget(unit, window, 1.0) for unit in Unit for window in Window)


def refuse(**policy: Any) -> BadRequest:
    """How a policy is refused; the error names the field."""
    with pytest.raises(BadRequest) as refusal:
        checked_policy(KeyPolicy(**policy))
    assert refusal.value.param in policy
    return refusal.value


def test_a_label_loses_the_space_around_it() -> None:
    assert checked_label("  ci ☃ ") == "ci ☃"


@pytest.mark.parametrize("label", ["", "  ", "a\nb", "\x1b[2J", "x" * 101, "sk-cap-" + "a" * 52])
def test_a_label_is_short_printable_and_no_secret(label: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        checked_label(label)
    assert refusal.value.param == "label"
    assert "sk-cap-aaaa" not in str(refusal.value)


def test_a_key_has_to_be_valid_at_some_time_to_come() -> None:
    check_times(NOW, None, None)
    check_times(NOW, NOW - HOUR, None)
    check_times(NOW, NOW + HOUR, NOW + 2 * HOUR)
    for not_before, expires_at in ((None, NOW), (NOW + HOUR, NOW + HOUR), (None, NOW - HOUR)):
        with pytest.raises(BadRequest, match="never valid") as refusal:
            check_times(NOW, not_before, expires_at)
        assert refusal.value.param == "expires_at"


def test_a_policy_that_says_nothing_is_as_it_is() -> None:
    assert checked_policy(KeyPolicy()) == KeyPolicy()


@pytest.mark.parametrize("models", [(), ("",), ("a\x00b",), ("x" * 201,)])
def test_a_policy_names_models_or_all(models: tuple[str, ...]) -> None:
    refuse(models=models)


def test_a_model_is_named_once() -> None:
    assert checked_policy(KeyPolicy((" a", "b", "a "))).models == ("a", "b")


@pytest.mark.parametrize("name", ["rpm", "tpm", "max_in_flight"])
def test_a_limit_is_a_whole_number_from_1_to_a_milliard(name: str) -> None:
    fine: list[dict[str, Any]] = [{name: None}, {name: 1}, {name: MAX_LIMIT}]
    for given in fine:
        assert checked_policy(KeyPolicy(**given)) == KeyPolicy(**given)
    values: tuple[object, ...] = (0, -1, MAX_LIMIT + 1, True, 1.5, 2.0, "3")
    for value in values:
        assert f"{name} is a whole number from 1 to 1,000,000,000" in refuse(**{name: value}).message


def test_a_weight_is_a_whole_number_from_1_to_100() -> None:
    assert checked_policy(KeyPolicy(weight=MAX_WEIGHT)).weight == 100
    for value in (0, 101, True, None, 1.0):
        assert "weight is a whole number from 1 to 100" in refuse(weight=value).message


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("10.1.2.3/8", "10.0.0.0/8"),
        (" 192.0.2.7 ", "192.0.2.7/32"),
        ("10.0.0.0/255.255.0.0", "10.0.0.0/16"),
        ("2001:DB8:0::1/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("::ffff:10.9.0.0/112", "10.9.0.0/16"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
    ],
)
def test_a_network_is_stored_in_one_form(given: str, stored: str) -> None:
    assert checked_policy(KeyPolicy(cidrs=(given, stored))).cidrs == (stored,)


def test_a_mapped_network_is_one_that_callers_can_be_in() -> None:
    policy = checked_policy(KeyPolicy(cidrs=("::ffff:10.0.0.0/104",)))
    assert policy.allows_address("10.1.2.3")
    assert policy.allows_address("::ffff:10.1.2.3")
    assert not policy.allows_address("11.1.2.3")


@pytest.mark.parametrize(
    "text", ["", "here", "10/8", "10.0.0.0/33", "010.0.0.1", "fe80::1%eth0", "none", "\x1b[2J", "*"]
)
def test_what_is_no_network_is_refused(text: str) -> None:
    refusal = refuse(cidrs=("10.0.0.0/8", text))
    assert refusal.message.isprintable()
    assert "10.0.0.0/8" in (refusal.actual_hint or "")


def test_a_key_has_at_most_100_networks() -> None:
    cidrs = tuple(f"10.0.{number}.0/24" for number in range(MAX_NETWORKS))
    assert checked_policy(KeyPolicy(cidrs=cidrs)).cidrs == cidrs
    assert "at most 100 networks, not 101" in refuse(cidrs=(*cidrs, "::1")).message
    assert checked_policy(KeyPolicy(cidrs=(*cidrs, "10.0.7.9/24"))).cidrs == cidrs


def test_a_key_has_one_budget_for_each_unit_and_window() -> None:
    assert len(EVERY_BUDGET) == MAX_BUDGETS
    assert checked_policy(KeyPolicy(budgets=EVERY_BUDGET)).budgets == EVERY_BUDGET
    both = (parse_budget("credits:day:5"), parse_budget("credits:day:9:observe"))
    assert "credits:day" in refuse(budgets=both).message
    assert "at most 16 budgets, not 17" in refuse(budgets=(*EVERY_BUDGET, both[0])).message


@pytest.mark.parametrize("amount", [0.0, -1.0, float("nan"), float("inf"), 2e15])
def test_a_budget_is_for_more_than_nothing_and_less_than_everything(amount: float) -> None:
    refusal = refuse(budgets=(Budget(Unit.CREDITS, Window.DAY, amount),))
    assert refusal.message.startswith("credits:day: a budget's amount is more than 0")


def test_an_amount_is_a_float_also_where_it_was_given_as_a_whole_number() -> None:
    [budget] = checked_policy(KeyPolicy(budgets=(Budget(Unit.CREDITS, Window.DAY, 5),))).budgets
    assert isinstance(budget.amount, float)


def test_what_is_observed_is_in_one_order_and_once() -> None:
    assert checked_policy(KeyPolicy(observe=("tpm", "rpm", "tpm"))).observe == ("rpm", "tpm")
    assert checked_policy(KeyPolicy(observe=OBSERVABLE)).observe == OBSERVABLE
    assert checked_policy(KeyPolicy(observe=("rpm", "*"))).observe == ("*",)


@pytest.mark.parametrize("name", ["", "weight", "max-in-flight", "RPM", "\x1b"])
def test_what_cannot_be_observed_is_refused_with_what_can(name: str) -> None:
    refusal = refuse(observe=("rpm", name))
    assert refusal.message.isprintable()
    assert "max_in_flight" in (refusal.actual_hint or "")
