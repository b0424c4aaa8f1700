"""The bodies that make and change keys."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from copilot_api.config.budgets import parse_budget
from copilot_api.errors import BadRequest
from copilot_api.keys.documents import KeyDocument, render_key
from copilot_api.keys.models import OBSERVABLE, ApiKey, KeyPolicy, Tier
from copilot_api.keys.wishes import KeyChange, NewKey, Rotation, edit_policy, resolve_change, resolve_when

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
FULL = KeyPolicy(
    models=("fast",),
    cidrs=("10.0.0.0/8",),
    rpm=60,
    tpm=1000,
    max_in_flight=4,
    weight=3,
    budgets=(parse_budget("credits:day:50"), parse_budget("tokens:month:2000000:observe")),
    observe=("models", "tpm"),
)


def change(**said: Any) -> KeyChange:
    return msgspec.convert(said, KeyChange)


def test_every_field_of_a_policy_can_be_asked_for_under_the_name_that_is_shown() -> None:
    names = {field.name for field in fields(KeyPolicy)}
    assert names <= set(KeyDocument.__struct_fields__)
    for kind in (NewKey, KeyChange):
        assert names <= set(kind.__struct_fields__) - {"label", "tier", "not_before", "expires_at"}


def test_what_can_be_observed_is_what_keys_know() -> None:
    assert change(observe=[*OBSERVABLE, "*"]).edit(KeyPolicy()).observe == (*OBSERVABLE, "*")
    with pytest.raises(msgspec.ValidationError, match="observe"):
        change(observe=["weight"])


def test_a_key_is_made_of_what_is_shown_of_another() -> None:
    shown = render_key(ApiKey("key_a", "ci", Tier.CLIENT, "p", NOW, FULL), NOW)
    said = {name: shown[name] for name in ("label", "models", "cidrs", "rpm", "tpm", "max_in_flight", "weight")}
    wish = msgspec.convert({**said, "budgets": shown["budgets"], "observe": shown["observe"]}, NewKey)
    assert (wish.make_policy(), wish.label, wish.tier) == (FULL, "ci", Tier.CLIENT)


def test_what_is_not_said_stays_and_what_is_null_is_taken_away() -> None:
    assert change().edit(FULL) == FULL
    for field in fields(KeyPolicy):
        edited = change(**{field.name: None}).edit(FULL)
        assert getattr(edited, field.name) == getattr(KeyPolicy(), field.name)
        assert {each.name for each in fields(KeyPolicy) if getattr(edited, each.name) != getattr(FULL, each.name)} == {
            field.name
        }
    assert edit_policy(FULL, change(rpm=7)).rpm == 7


@pytest.mark.parametrize(
    "said",
    [{"rpm": 0}, {"rpm": True}, {"rpm": 1.5}, {"weight": 101}, {"models": []}, {"label": None}, {"label": ""},
     {"tier": "admin"}, {"budgets": [{"unit": "credits", "window": "day", "amount": 0}]}, {"observe": "rpm"}],
)  # fmt: skip
def test_what_no_key_can_have_is_refused_with_the_fields_name(said: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(said))):
        change(**said)


@pytest.mark.parametrize(
    ("text", "moment"),
    [("30d", NOW + timedelta(days=30)), ("2026-08-01", datetime(2026, 8, 1, tzinfo=UTC)), (None, None)],
)
def test_a_time_is_from_now_on_or_a_moment(text: str | None, moment: datetime | None) -> None:
    assert resolve_when(text, NOW, "expires_at") == resolve_change(text, NOW, "expires_at") == moment
    assert resolve_change(UNSET, NOW, "expires_at") is UNSET


@pytest.mark.parametrize("text", ["soon", "", "99999999w", "5000w\n5", "9999-12-31T23:59-23:59"])
def test_what_is_no_time_is_refused_with_the_fields_name(text: str) -> None:
    with pytest.raises(BadRequest, match="expires_at") as caught:
        resolve_when(text, NOW, "expires_at")
    assert caught.value.param == "expires_at"


@pytest.mark.parametrize(
    ("said", "seconds"), [({}, 0), ({"overlap": "1h"}, 3600), ({"overlap_seconds": 1.5}, 1.5), ({"overlap": None}, 0)]
)
def test_an_overlap_is_said_in_words_or_in_seconds(said: dict[str, Any], seconds: float) -> None:
    assert msgspec.convert(said, Rotation).count_seconds() == seconds


@pytest.mark.parametrize(
    "said", [{"overlap": "1h", "overlap_seconds": 5}, {"overlap": "long"}, {"overlap": "99999999w"}]
)
def test_an_overlap_that_is_none_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="overlap"):
        msgspec.convert(said, Rotation).count_seconds()
