"""Every mistake in a file, each with its place and what is allowed there."""

from typing import Any

import pytest

from copilot_api.config.json_text import parse_json
from copilot_api.config.mistakes import MAX_MISTAKES, Mistake, find_mistakes, find_value_mistake
from copilot_api.config.schema import root_type

SECRET = "ghu_0123456789abcdefghijABCDEFGHIJ012345"


def found_in(text: str) -> list[Mistake]:
    return find_mistakes(text, parse_json(text))


def test_all_are_found_at_once_in_the_order_of_the_file() -> None:
    text = """{
  "version": 1,
  "models": {
    "fast": {"upstream": "https://example.com/v1", "enabeld": true},
    "gpt-5.4": {"default_effort": "hihg", "fallback": ["a", 5, ""]}
  },
  "limits": {
    "max_body": 8,
    "queue_timeout_s": "60",
    "default_key": {"rpm": 0, "tpm": null}
  },
  "webui": false,
  "exposure": null,
  "features": {"auth": true, "auth": false}
}"""
    assert [(each.line, each.column, each.path, each.problem) for each in found_in(text)] == [
        (4, 26, "$.models.fast.upstream", 'got "https://example.com/v1"'),
        (4, 52, "$.models.fast.enabeld", 'there is no field "enabeld" here; did you mean enabled?'),
        (5, 35, '$.models["gpt-5.4"].default_effort', 'got "hihg"; did you mean high?'),
        (5, 61, '$.models["gpt-5.4"].fallback[1]', "got 5"),
        (5, 64, '$.models["gpt-5.4"].fallback[2]', 'got ""'),
        (8, 5, "$.limits.max_body", 'there is no field "max_body" here; did you mean max_body_mb?'),
        (9, 24, "$.limits.queue_timeout_s", "got text"),
        (10, 28, "$.limits.default_key.rpm", "got 0"),
        (12, 3, "$.webui", 'there is no field "webui" here; did you mean features.webui?'),
        (13, 15, "$.exposure", "got null"),
        (14, 30, "$.features.auth", "this is said twice in the same object"),
    ]


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ('{"limits": {"max_body_mb": 0}}', "$.limits.max_body_mb", "a whole number from 1 to 1024"),
        ('{"limits": {"max_body_mb": 1.0}}', "$.limits.max_body_mb", "a whole number from 1 to 1024"),
        ('{"limits": {"max_body_mb": true}}', "$.limits.max_body_mb", "a whole number from 1 to 1024"),
        ('{"limits": {"queue_timeout_s": 3600.5}}', "$.limits.queue_timeout_s", "a number from 0 to 3600"),
        ('{"limits": {"queue_timeout_s": 1e999}}', "$.limits.queue_timeout_s", "a number from 0 to 3600"),
        ('{"limits": {"default_key": {"rpm": "60"}}}', "$.limits.default_key.rpm", "a whole number from 1 to 1000000000 or null"),
        ('{"limits": {"nonsense": 1}}', "$.limits.nonsense", "max_in_flight_per_identity, queue_timeout_s, max_queue_length, max_body_mb, default_key, budgets"),
        ('{"features": {"auth": 1}}', "$.features.auth", "true or false"),
        ('{"exposure": "all"}', "$.exposure", "one of catalog, listed"),
        ('{"limits": []}', "$.limits", "an object with max_in_flight_per_identity, queue_timeout_s, max_queue_length, max_body_mb, default_key, budgets"),
        ('{"models": []}', "$.models", "an object"),
        ("[]", "$", "an object with version, $schema, models, exposure, default_model_alias, limits, retention, features"),
        ('{"models": {"": {}}}', '$.models[""]', "a name of 1 to 200 printable characters"),
        ('{"models": {"a\\nb": {}}}', '$.models["a\\nb"]', "a name of 1 to 200 printable characters"),
        ('{"models": {"a": {"allowed_keys": "*"}}}', "$.models.a.allowed_keys", "a list, each a name of 1 to 200 printable characters"),
        ('{"models": {"a": {"note": "' + "x" * 501 + '"}}}', "$.models.a.note", "text of at most 500 characters"),
        ('{"models": {"a": {"fallback": ["' + '","'.join(map(str, range(17))) + '"]}}}', "$.models.a.fallback", "a list of at most 16, each a model's name, 1 to 200 printable characters, never a URL"),
        ('{"limits": {"budgets": [5]}}', "$.limits.budgets[0]", "text"),
        ('{"limits": {"budgets": ["credits:day"]}}', "$.limits.budgets[0]", "write UNIT:WINDOW:AMOUNT"),
        ('{"retention": {"traces_days": 8}}', "$.retention.traces_days", "a whole number from 0 to 7"),
        ('{"retention": {"traces_max_bytes": 1073741825}}', "$.retention.traces_max_bytes", "a whole number from 0 to 1073741824"),
    ],
)  # fmt: skip
def test_what_is_allowed_is_said(text: str, path: str, allowed: str) -> None:
    (mistake,) = found_in(text)
    assert mistake.path == path
    assert mistake.allowed.startswith(allowed)
    assert (mistake.line, mistake.column) > (0, 0)


@pytest.mark.parametrize("version", ["2", "0", '"1"', "null", "true", "1.0", "[]", "9" * 300])
def test_of_another_version_nothing_else_is_said(version: str) -> None:
    (mistake,) = found_in('{"nonsense": 1, "version": ' + version + "}")
    assert mistake.path == "$.version"
    assert "a version that this copilot-api does not know" in mistake.problem
    assert len(mistake.text) < 150


def test_what_refers_to_an_entry_that_is_wrong_is_not_wrong_for_that() -> None:
    text = '{"models": {"fast": 5, "slow": {"fallback": ["fast"]}}, "default_model_alias": "fast"}'
    assert [mistake.path for mistake in found_in(text)] == ["$.models.fast"]


def test_what_fields_say_of_each_other_is_found_beside_other_mistakes() -> None:
    text = '{"limits": {"max_body_mb": 0, "budgets": ["x"]},\n "default_model_alias": "fast"}'
    assert [(mistake.line, mistake.path) for mistake in found_in(text)] == [
        (1, "$.limits.max_body_mb"),
        (1, "$.limits.budgets[0]"),
        (2, "$.default_model_alias"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"limits": {"max_body_mb": "%s"}}', '{"exposure": "%s"}', '{"models": {"a": {"default_effort": "%s"}}}', '{"%s": 1}', '{"models": {"a": {"%s": 1}}}',
        '{"models": {"a": {"upstream": "https://%s@example.com"}}}', '{"default_model_alias": "%s"}', '{"models": {"%s": 5}}', '{"version": "%s"}', '{"limits": {"budgets": ["%s"]}}',
    ],
)  # fmt: skip
def test_what_may_be_a_secret_is_not_repeated(text: str) -> None:
    mistakes = found_in(text % SECRET)
    assert mistakes
    assert [mistake.text for mistake in mistakes if SECRET[:20] in mistake.text] == []


def test_after_a_hundred_there_is_an_end() -> None:
    text = "{" + ", ".join(f'"a{i}": 1' for i in range(MAX_MISTAKES * 3)) + "}"
    assert len(found_in(text)) == MAX_MISTAKES
    text = '{"limits": {"budgets": [' + ", ".join(["1"] * 5000) + "]}}"
    assert len(found_in(text)) == MAX_MISTAKES
    text = '{"limits": {"budgets": [' + ", ".join(['"x"'] * 5000) + "]}}"
    assert len(found_in(text)) == MAX_MISTAKES


def test_a_value_by_itself_can_be_looked_at() -> None:
    def of(text: str, kind: Any) -> Mistake | None:
        return find_value_mistake(text, parse_json(text), kind, ("limits",))

    limits = next(field.type for field in root_type().fields if field.name == "limits")
    assert of('{"max_body_mb": 5}', limits) is None
    mistake = of('{"max_body_mb": "5"}', limits)
    assert mistake is not None
    assert (mistake.path, mistake.problem) == ("$.limits.max_body_mb", "got text")


def test_the_text_of_a_mistake_is_one_line() -> None:
    assert Mistake(3, 5, "$.x", "got 0", "1").text == "line 3, column 5: $.x: got 0; allowed: 1"
    assert Mistake(1, 1, "", "this is no JSON", "").text == "line 1, column 1: this is no JSON"
