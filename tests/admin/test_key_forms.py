"""The form of a key: each mistake beside its field, and what is shown is what is read again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.admin.forms import Fields
from copilot_api.admin.key_forms import (
    TypedKey,
    offer_budget_lines,
    read_key_form,
    show_key,
    sign_version,
)
from copilot_api.config.budgets import Budget, Unit, Window
from copilot_api.errors import BadRequest
from copilot_api.keys.models import OBSERVABLE, ApiKey, KeyPolicy, Tier

NOW = datetime(2026, 12, 1, 12, 0, 30, 123456, tzinfo=UTC)
KNOWN = ("gpt-4.1", "claude-sonnet-4.5")
KEY = ApiKey("key_1", "ci", Tier.CLIENT, "sk-cap-aaaaa", NOW)


def fields_of(typed: TypedKey) -> Fields:
    """What a browser sends of the form."""
    pairs = [
        (name, getattr(typed, name)) for name in TypedKey.__dataclass_fields__ if isinstance(getattr(typed, name), str)
    ]
    pairs += [("models", name) for name in typed.models] + [("observe", name) for name in typed.observe]
    for line in offer_budget_lines(typed):
        pairs += [(f"budget_{name}", getattr(line, name)) for name in ("unit", "window", "amount", "mode")]
    return Fields(pairs)


def read(**typed: object) -> dict[str, str]:
    return read_key_form(fields_of(replace(TypedKey(label="ci"), **typed)), NOW).problems  # type: ignore[arg-type]


def test_an_empty_form_is_a_key_without_limits() -> None:
    found = read_key_form(fields_of(TypedKey(label=" ci ")), NOW)
    assert (found.label, found.tier, found.policy, found.problems) == ("ci", Tier.CLIENT, KeyPolicy(), {})


def test_every_mistake_stands_beside_its_own_field() -> None:
    problems = read(
        label="",
        tier="root",
        which="some",
        cidrs="10.0.0.0/99",
        rpm="0",
        tpm="many",
        max_in_flight="-1",
        weight="101",
        observe=("wishes",),
        not_before="soon",
        expires_at="2020-01-01",
    )
    assert set(problems) == {
        "label",
        "tier",
        "models",
        "cidrs",
        "rpm",
        "tpm",
        "max_in_flight",
        "weight",
        "observe",
        "not_before",
        "expires_at",
    }


@pytest.mark.parametrize("amount", ["0", "-1", "nan", "lots"])
def test_a_budget_that_is_none_is_told(amount: str) -> None:
    typed = show_key(replace(KEY, policy=KeyPolicy(budgets=(Budget(Unit.CREDITS, Window.DAY, 5.0),))), KNOWN)
    assert set(read(budgets=(replace(typed.budgets[0], amount=amount),))) == {"budgets"}
    assert set(read(budgets=typed.budgets * 2)) == {"budgets"}


def test_a_secret_is_no_label() -> None:
    assert set(read(label="sk-cap-" + "a" * 52)) == {"label"}


def test_numbers_may_have_commas_and_times_may_be_from_now_on() -> None:
    found = read_key_form(fields_of(TypedKey(label="ci", tpm="1,000,000", expires_at="30d")), NOW)
    assert (found.policy.tpm, found.expires_at) == (1_000_000, NOW + timedelta(days=30))


def test_columns_of_budgets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadRequest):
        read_key_form(Fields([("label", "ci"), ("budget_unit", "credits")]), NOW)


def test_a_time_that_was_not_touched_stays_to_the_microsecond_even_in_the_past() -> None:
    key = replace(KEY, not_before=NOW - timedelta(days=2), expires_at=NOW - timedelta(days=1, microseconds=7))
    found = read_key_form(fields_of(show_key(key, KNOWN)), NOW, key)
    assert not found.problems
    assert (found.not_before, found.expires_at) == (key.not_before, key.expires_at)


def test_another_key_has_another_version() -> None:
    assert sign_version(KEY) == sign_version(replace(KEY, last_used_at=NOW))
    assert sign_version(KEY) != sign_version(replace(KEY, policy=KeyPolicy(rpm=1)))


BUDGETS = st.lists(
    st.builds(
        Budget,
        st.sampled_from(Unit),
        st.sampled_from(Window),
        st.floats(0.001, 1e12).map(lambda value: float(f"{value:.15g}")),
        st.booleans(),
    ),
    max_size=16,
    unique_by=lambda budget: budget.name,
)
NUMBERS = st.none() | st.integers(1, 10**6)
POLICIES = st.builds(
    KeyPolicy,
    models=st.just(("*",)) | st.lists(st.sampled_from([*KNOWN, "fast", "o3"]), min_size=1, unique=True).map(tuple),
    cidrs=st.lists(st.sampled_from(["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]), unique=True).map(tuple),
    rpm=NUMBERS,
    tpm=NUMBERS,
    max_in_flight=NUMBERS,
    weight=st.integers(1, 100),
    budgets=BUDGETS.map(tuple),
    observe=st.just(("*",))
    | st.sets(st.sampled_from(OBSERVABLE)).map(lambda s: tuple(o for o in OBSERVABLE if o in s)),
)


@settings(derandomize=True, deadline=None, database=None, max_examples=60)
@given(policy=POLICIES)
def test_a_form_that_is_sent_back_as_it_was_shown_changes_nothing(policy: KeyPolicy) -> None:
    key = replace(KEY, policy=policy)
    found = read_key_form(fields_of(show_key(key, KNOWN)), NOW, key)
    assert not found.problems
    assert set(found.policy.models) == set(policy.models)
    assert replace(found.policy, models=policy.models) == policy
