"""`config.json`: read whole or refused whole, with its path and the place."""

import json
from pathlib import Path
from typing import Any

import pytest

from copilot_api.config.loader import ConfigFile, ConfigInvalid, Features, Limits, ModelEntry, load_config


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
        "limits": {"max_body_mb": 8},
        "features": {"auth": False},
    }
    models = {"fast": ModelEntry("gpt-5-mini", "low"), "gpt-5.4": ModelEntry()}
    assert load(path, document) == ConfigFile(1, "./config.schema.json", models, Limits(8), Features(False))


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
