"""`config.json`: read whole or refused whole, with its path and the place."""

import json
from pathlib import Path
from typing import Any

import pytest

from copilot_api.config.budgets import Budget, Unit, Window
from copilot_api.config.loader import (
    ConfigFile,
    ConfigInvalid,
    DefaultKey,
    Features,
    Limits,
    ModelEntry,
    load_config,
    parse_budgets,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def load(path: Path, document: Any) -> ConfigFile:
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return load_config(path)


def test_without_a_file_the_defaults_hold(path: Path) -> None:
    assert load_config(path) == ConfigFile() == load(path, {})
    assert ConfigFile().features.auth, "authentication is on by default"


def test_what_is_said_is_read(path: Path) -> None:
    document = {
        "$schema": "./config.schema.json",
        "version": 1,
        "models": {"fast": {"upstream": "gpt-5-mini", "default_effort": "low"}, "gpt-5.4": {}},
        "limits": {
            "max_in_flight_per_identity": 4,
            "queue_timeout_s": 2.5,
            "max_queue_length": 0,
            "max_body_mb": 8,
            "default_key": {"rpm": 60, "tpm": 100_000, "max_in_flight": 3},
            "budgets": ["credits:day:50", "requests:month:1e6:observe"],
        },
        "features": {"auth": False},
    }
    models = {"fast": ModelEntry("gpt-5-mini", "low"), "gpt-5.4": ModelEntry()}
    limits = Limits(
        max_in_flight_per_identity=4,
        queue_timeout_s=2.5,
        max_queue_length=0,
        max_body_mb=8,
        default_key=DefaultKey(rpm=60, tpm=100_000, max_in_flight=3),
        budgets=["credits:day:50", "requests:month:1e6:observe"],
    )
    assert load(path, document) == ConfigFile(1, "./config.schema.json", models, limits, Features(False))


def test_what_is_not_said_stays_as_it_is(path: Path) -> None:
    assert load(path, {"limits": {}}).limits == Limits()
    assert load(path, {"features": {"auth": False}}).limits == Limits()


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"models": {"x": {"enabled": True}}}, "enabled"), ({"models": {"x": {"default_effort": "huge"}}}, "default_effort"), ({"models": {"": {}}}, "models"),
        ({"limit": {}}, "limit"), ({"limits": {"max_body": 1}}, "max_body"), ({"features": {"webui": True}}, "webui"), ({"version": 2}, "$.version"),
        ({"version": "1"}, "$.version"), ({"version": None}, "$.version"), ({"limits": []}, "$.limits"), ({"limits": None}, "$.limits"),
        ({"limits": {"max_body_mb": "8"}}, "$.limits.max_body_mb"), ({"limits": {"max_body_mb": 0}}, "$.limits.max_body_mb"),
        ({"limits": {"max_body_mb": -1}}, "$.limits.max_body_mb"), ({"limits": {"max_body_mb": 1025}}, "$.limits.max_body_mb"),
        ({"limits": {"max_body_mb": 1.5}}, "$.limits.max_body_mb"), ({"limits": {"max_body_mb": 10**30}}, "$.limits.max_body_mb"),
        ({"features": {"auth": "false"}}, "$.features.auth"), ({"features": {"auth": 0}}, "$.features.auth"), ({"features": {"auth": None}}, "$.features.auth"),
        ({"$schema": 1}, "$"),
        ({"limits": {"max_in_flight_per_identity": 0}}, "$.limits.max_in_flight_per_identity"), ({"limits": {"max_in_flight_per_identity": 10_001}}, "$.limits.max_in_flight_per_identity"),
        ({"limits": {"max_in_flight_per_identity": None}}, "$.limits.max_in_flight_per_identity"), ({"limits": {"max_in_flight_per_identity": 8.5}}, "$.limits.max_in_flight_per_identity"),
        ({"limits": {"queue_timeout_s": -0.1}}, "$.limits.queue_timeout_s"), ({"limits": {"queue_timeout_s": 3601}}, "$.limits.queue_timeout_s"),
        ({"limits": {"queue_timeout_s": "60"}}, "$.limits.queue_timeout_s"), ({"limits": {"queue_timeout_s": True}}, "$.limits.queue_timeout_s"),
        ({"limits": {"max_queue_length": -1}}, "$.limits.max_queue_length"), ({"limits": {"max_queue_length": 10_001}}, "$.limits.max_queue_length"),
        ({"limits": {"default_key": {"rpm": 0}}}, "$.limits.default_key.rpm"), ({"limits": {"default_key": {"rpm": 1_000_000_001}}}, "$.limits.default_key.rpm"),
        ({"limits": {"default_key": {"tpm": -1}}}, "$.limits.default_key.tpm"), ({"limits": {"default_key": {"tpm": "1k"}}}, "$.limits.default_key.tpm"),
        ({"limits": {"default_key": {"max_in_flight": 1.5}}}, "$.limits.default_key.max_in_flight"), ({"limits": {"default_key": {"max_in_flight": True}}}, "$.limits.default_key.max_in_flight"),
        ({"limits": {"default_key": {"budgets": []}}}, "budgets"), ({"limits": {"default_key": None}}, "$.limits.default_key"), ({"limits": {"default_key": 5}}, "$.limits.default_key"),
        ({"limits": {"rpm": 5}}, "rpm"), ({"limits": {"budgets": "credits:day:50"}}, "$.limits.budgets"), ({"limits": {"budgets": [50]}}, "$.limits.budgets[0]"), ({"limits": {"budgets": None}}, "$.limits.budgets"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_by_file_and_field(path: Path, document: Any, names: str) -> None:
    with pytest.raises(ConfigInvalid) as refusal:
        load(path, document)
    assert str(path) in refusal.value.message
    assert names in refusal.value.message
    assert refusal.value.actual_hint


@pytest.mark.parametrize(
    "content",
    [
        b"", b" ", b"{", b"[]", b"null", b"1", b'"x"', b"{}{}", b"{'version':1}", b'{"version":1,}', b'{"version":NaN}', b"\xff\xfe", b'{"$schema":"\xff"}',
        b"\xef\xbb\xbf{}", b"# comment\n{}", b"version: 1", b'{"limits":' * 50_000, b"[" * 100_000, b"\0" * 100,
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused_by_file(path: Path, content: bytes) -> None:
    with pytest.raises(ConfigInvalid) as refusal:
        load(path, content)
    assert str(path) in refusal.value.message


def test_a_file_that_cannot_be_read_is_refused_by_name(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ConfigInvalid, match="cannot be read") as refusal:
        load_config(path)
    assert str(path) in refusal.value.message


def test_a_field_said_twice_does_not_switch_authentication_off_by_surprise(path: Path) -> None:
    """Whoever reads the file reads its first line; the program must not go by another."""
    with pytest.raises(ConfigInvalid):
        load(path, b'{"features":{"auth":true},"features":{"auth":false}}')


# Limits and budgets -----------------------------------------------------------------------------------------------


def test_without_a_word_on_limits_keys_have_none_and_the_queue_its_defaults(path: Path) -> None:
    limits = load(path, {}).limits
    assert (limits.max_in_flight_per_identity, limits.queue_timeout_s, limits.max_queue_length) == (8, 60.0, 200)
    assert limits.default_key == DefaultKey(None, None, None)
    assert limits.budgets == []


def test_a_limit_may_be_switched_off_by_name(path: Path) -> None:
    assert load(path, {"limits": {"default_key": {"rpm": None}}}).limits.default_key == DefaultKey()


def test_one_limit_says_nothing_of_the_others(path: Path) -> None:
    limits = load(path, {"limits": {"default_key": {"tpm": 5}, "queue_timeout_s": 0}}).limits
    assert limits.default_key == DefaultKey(tpm=5)
    assert (limits.queue_timeout_s, limits.max_in_flight_per_identity) == (0.0, 8)


def test_the_budgets_of_all_keys_are_read_in_order(path: Path) -> None:
    texts = ["credits:day:50", "Premium_Requests:Monthly:300:observe", "requests:day:1000", "credits:hour:5.5"]
    assert parse_budgets(load(path, {"limits": {"budgets": texts}})) == (
        Budget(Unit.CREDITS, Window.DAY, 50.0),
        Budget(Unit.PREMIUM_REQUESTS, Window.MONTH, 300.0, is_observed=True),
        Budget(Unit.REQUESTS, Window.DAY, 1000.0),
        Budget(Unit.CREDITS, Window.HOUR, 5.5),
    )
    assert parse_budgets(ConfigFile()) == ()


@pytest.mark.parametrize(
    "text",
    ["", "credits", "credits:day", "credits:day:", "credits:day:much", "credits:year:5", "euros:day:5", "credits:day:0",
     "credits:day:-5", "credits:day:inf", "credits:day:nan", "credits:day:1e16", "credits:day:5:maybe", "credits:day:5:observe:x"],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 1])
def test_a_budget_that_is_none_is_refused_by_file_and_place_with_the_form(path: Path, text: str, place: int) -> None:
    budgets = ["requests:day:5"] * place + [text]
    with pytest.raises(ConfigInvalid) as refusal:
        load(path, {"limits": {"budgets": budgets}})
    assert str(path) in refusal.value.message
    assert f"$.limits.budgets[{place}]" in refusal.value.message
    assert "UNIT:WINDOW:AMOUNT" in (refusal.value.actual_hint or "")


@pytest.mark.parametrize("again", ["credits:day:50", "credits:day:5", "credits:day:50:observe", "CREDIT:daily:7"])
def test_two_budgets_for_the_same_are_refused(path: Path, again: str) -> None:
    """Which of the two is meant nobody can tell."""
    with pytest.raises(ConfigInvalid, match="two budgets credits:day") as refusal:
        load(path, {"limits": {"budgets": ["credits:day:50", "credits:hour:50", again]}})
    assert "$.limits.budgets[2]" in refusal.value.message


def test_a_limit_said_twice_is_refused(path: Path) -> None:
    with pytest.raises(ConfigInvalid):
        load(path, b'{"limits":{"default_key":{"rpm":5,"rpm":500}}}')
