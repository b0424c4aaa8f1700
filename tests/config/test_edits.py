"""Changes of single fields in the text of the file: what was asked for, and not a character more."""

import json
import random
from typing import Any

import pytest

from copilot_api.config.edits import NEW_FILE, Keys, get_value, parse_key, parse_value, set_value, unset_value
from copilot_api.config.loader import ConfigInvalid, parse_config
from copilot_api.config.schema import ConfigFile, list_settings
from copilot_api.errors import BadRequest

# Names of fields ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("exposure", ("exposure",)),
        ("$schema", ("$schema",)),
        ("limits", ("limits",)),
        ("limits.max_body_mb", ("limits", "max_body_mb")),
        ("$.limits.default_key.rpm", ("limits", "default_key", "rpm")),
        ("models", ("models",)),
        ("models.fast", ("models", "fast")),
        ("models.fast.upstream", ("models", "fast", "upstream")),
        ("models.gpt-5.4", ("models", "gpt-5.4")),
        ("models.gpt-5.4.note", ("models", "gpt-5.4", "note")),
        ('models["gpt-5.4"].note', ("models", "gpt-5.4", "note")),
        ("models['x.note']", ("models", "x.note")),
        ('$.models["x.note"].note', ("models", "x.note", "note")),
        ('models["a\\"b\\u00e4"]', ("models", 'a"bä')),
        ("models.note", ("models", "note")),
        ("models.note.note", ("models", "note", "note")),
        ("models.org/model", ("models", "org/model")),
        (" limits.budgets ", ("limits", "budgets")),
    ],
)
def test_a_field_is_named_by_its_path(text: str, keys: Keys) -> None:
    assert parse_key(text) == keys


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no field"),
        ("$", 'no "$" in config.json'),
        ("limit", "did you mean limits?"),
        ("limits.max_body", "in limits; did you mean max_body_mb?"),
        ("limits.max_body_mb.x", 'holds nothing that could be named "x"'),
        ("limits.budgets[0]", "holds nothing"),
        ("limits..x", "no path of a field"),
        ('models["x', "no path of a field"),
        ("models[x]", "no path of a field"),
        ('models["\\x"]', "no path of a field"),
        ('models["a"].nte', "did you mean note?"),
    ],
)
def test_what_names_no_field_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_key(text)
    assert says in refusal.value.message


def test_every_setting_can_be_named_as_it_is_listed() -> None:
    for setting in list_settings():
        assert ".".join(parse_key(setting.path)) == setting.path


# Values ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("limits.max_body_mb", "8", 8), ("limits.queue_timeout_s", "2.5", 2.5), ("features.auth", "false", False), ("limits.default_key.rpm", "null", None), ("limits.default_key.rpm", " 60 ", 60),
        ("models.fast.upstream", "gpt-5-mini", "gpt-5-mini"), ("models.fast.upstream", '"gpt-5-mini"', "gpt-5-mini"), ("models.fast.note", "5", "5"), ("models.fast.note", "true", "true"), ("models.fast.note", "null", "null"),
        ("models.fast.note", "", ""), ("models.fast.note", '{"a', '{"a'), ("models.fast.default_effort", "low", "low"), ("exposure", "listed", "listed"),
        ("models.fast.fallback", '["gpt-4.1"]', ["gpt-4.1"]), ("limits.budgets", "[]", []), ("models.fast", '{"upstream": "x"}', {"upstream": "x"}), ("models", "{}", {}),
    ],
)  # fmt: skip
def test_a_value_is_json_where_the_field_takes_it_and_else_text(key: str, text: str, value: Any) -> None:
    parsed = parse_value(text, key)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("key", "text", "message", "hint"),
    [
        ("limits.max_body_mb", "0", "$.limits.max_body_mb cannot be that: got 0", "a whole number from 1 to 1024"),
        ("limits.max_body_mb", "much", "got text", "a whole number from 1 to 1024"),
        ("features.auth", "no", "got text", "true or false"),
        ("exposure", "list", 'got "list"; did you mean listed?', "one of catalog, listed"),
        ("models.fast.fallback", "gpt-4.1", "got text", "a list of at most 16"),
        ("models.fast.upstrem", "x", "got text", "an object with upstream, enabled"),
        ("models.fast", '{"upstrem": "x"}', "did you mean upstream?", "upstream, enabled"),
        ("models.fast.upstream", "\udcff", "not UTF-8", ""),
    ],
)
def test_what_a_field_does_not_take_is_refused_with_what_it_takes(key: str, text: str, message: str, hint: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_value(text, key)
    assert message in refusal.value.message
    assert hint in (refusal.value.actual_hint or "")


def test_a_value_that_is_not_said_is_the_default() -> None:
    config = parse_config(b'{"models": {"fast": {"note": "n"}}}', "x")
    assert get_value(config, ("limits", "max_body_mb")) == 64
    assert get_value(config, ("models", "fast", "note")) == "n"
    assert get_value(config, ("models", "fast", "allowed_keys")) == ["*"]
    assert get_value(config, ("$schema",)) == ""
    with pytest.raises(BadRequest, match='no "fest" in models; did you mean fast'):
        get_value(config, ("models", "fest", "note"))


# The text -------------------------------------------------------------------------------------------------------------

BY_HAND = """{ "version": 1,
    "models" : {
        "fast":   {"upstream": "gpt-5-mini", "note": "ä"},

        "gpt-5.4": { }
    },
    "limits": {"max_body_mb": 8}
}
"""


@pytest.mark.parametrize(
    ("keys", "value", "old", "new"),
    [
        (("limits", "max_body_mb"), 9, '"max_body_mb": 8}', '"max_body_mb": 9}'),
        (("limits", "max_queue_length"), 9, '"max_body_mb": 8}', '"max_body_mb": 8, "max_queue_length": 9}'),
        (("models", "fast", "note"), "ö\n", '"ä"', '"ö\\n"'),
        (("models", "fast", "fallback"), ["x", "y"], '"note": "ä"}', '"note": "ä", "fallback": ["x", "y"]}'),
        (("models", "gpt-5.4", "enabled"), False, '"gpt-5.4": { }', '"gpt-5.4": {\n            "enabled": false\n        }'),
        (("models", "new", "upstream"), "x", '"gpt-5.4": { }', '"gpt-5.4": { },\n\n        "new": {\n            "upstream": "x"\n        }'),
        (("features",), {"auth": False}, '"max_body_mb": 8}', '"max_body_mb": 8},\n    "features": {\n        "auth": false\n    }'),
        (("exposure",), "listed", '"max_body_mb": 8}', '"max_body_mb": 8},\n    "exposure": "listed"'),
        (("limits", "max_body_mb"), 8, "x", "x"),
    ],
)  # fmt: skip
def test_only_the_field_changes(keys: Keys, value: Any, old: str, new: str) -> None:
    assert set_value(BY_HAND, keys, value) == BY_HAND.replace(old, new)


@pytest.mark.parametrize(
    ("keys", "old", "new"),
    [
        (("limits", "max_body_mb"), '{"max_body_mb": 8}', "{}"),
        (("limits",), ',\n    "limits": {"max_body_mb": 8}', ""),
        (("version",), '"version": 1,\n    ', ""),
        (("models", "fast", "note"), ', "note": "ä"', ""),
        (("models", "fast", "upstream"), '"upstream": "gpt-5-mini", ', ""),
        (("models", "gpt-5.4"), ',\n\n        "gpt-5.4": { }', ""),
        (("models", "gpt-5.4", "note"), "x", "x"),
        (("models", "other", "note"), "x", "x"),
        (("features", "auth"), "x", "x"),
        (("limits", "max_body_mb", "x"), "x", "x"),
    ],
)
def test_only_the_field_goes(keys: Keys, old: str, new: str) -> None:
    assert unset_value(BY_HAND, keys) == BY_HAND.replace(old, new)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", '{"exposure": "listed"}'),
        ("{ }\n", '{"exposure": "listed"}\n'),
        ('{"version":1}', '{"version":1, "exposure": "listed"}'),
        ('{"a":1,"version":1}', '{"a":1,"version":1, "exposure": "listed"}'),
        ('{\r\n\t"version": 1\r\n}', '{\r\n\t"version": 1,\r\n\t"exposure": "listed"\r\n}'),
        (NEW_FILE, '{\n  "version": 1,\n  "exposure": "listed"\n}\n'),
    ],
)
def test_a_new_field_is_laid_out_like_the_others(text: str, expected: str) -> None:
    assert set_value(text, ("exposure",), "listed") == expected


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"version": 1,}'])
def test_what_is_no_json_is_not_edited(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        set_value(text, ("exposure",), "listed")
    with pytest.raises(ConfigInvalid):
        unset_value(text, ("exposure",))


@pytest.mark.parametrize("text", ["[]", "5", '{"limits": 5}'])
def test_what_is_no_object_is_not_edited(text: str) -> None:
    with pytest.raises(BadRequest, match="object"):
        set_value(text, ("limits", "max_body_mb"), 5)


def test_many_edits_are_as_if_each_were_made_in_the_document() -> None:
    chance = random.Random(3)
    for text in (NEW_FILE, BY_HAND, json.dumps(json.loads(BY_HAND)), "{}"):
        document = json.loads(text)
        for _ in range(150):
            name = chance.choice(["fast", "gpt-5.4", "x.y", 'q"ö'])
            keys, value = chance.choice(
                [
                    (("limits", "max_body_mb"), chance.randint(1, 9)),
                    (("limits", "budgets"), chance.choice([[], ["credits:day:5"]])),
                    (("limits",), {}),
                    (("features", "auth"), chance.choice([True, False])),
                    (("models", name), chance.choice([{}, {"note": "n", "enabled": True}])),
                    (("models", name, "note"), chance.choice(["", "é", "{,}"])),
                    (("models", name, "fallback"), ["a", "b"][: chance.randint(0, 2)]),
                    (("models",), {}),
                ]
            )
            below = document
            if chance.random() < 0.6:
                text = set_value(text, keys, value)
                for key in keys[:-1]:
                    below = below.setdefault(key, {})
                below[keys[-1]] = value
            else:
                text = unset_value(text, keys)
                for key in keys[:-1]:
                    below = below.get(key, {})
                below.pop(keys[-1], None)
            assert json.loads(text) == document
            assert isinstance(parse_config(text.encode(), "x"), ConfigFile)
