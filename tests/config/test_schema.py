"""The one declaration: what it declares, and that everything made from it says the same."""

import copy
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from copilot_api.config.loader import ConfigInvalid, parse_config
from copilot_api.config.mistakes import Mistake
from copilot_api.config.schema import (
    ConfigFile,
    Features,
    ModelEntry,
    in_words,
    json_schema,
    list_settings,
    root_type,
)

DOCS = Path(__file__).parents[2] / "docs"

PRODUCT = """
{"version": 1,
 "models": {"fast": {"upstream": "gpt-5-mini", "enabled": true, "allowed_keys": ["*"], "default_effort": "", "fallback": ["gpt-4.1"], "note": ""}},
 "exposure": "catalog", "default_model_alias": "",
 "limits": {"max_in_flight_per_identity": 8, "queue_timeout_s": 60, "max_body_mb": 64, "default_key": {"rpm": null, "tpm": null, "max_in_flight": null}},
 "retention": {"events_days": 90, "traces_days": 0, "traces_max_bytes": 1073741824, "audit_days": 365},
 "features": {"auth": true, "webui": true, "telemetry": true, "debug": false, "metrics": true}}
"""


def parse(document: Any) -> ConfigFile:
    return parse_config(json.dumps(document).encode(), "config.json")


def test_the_file_of_the_product_description_says_the_defaults_but_for_captures() -> None:
    """Those are off until an admin asks for one, whatever `features.debug` says: false forbids it (ADR 16)."""
    config = parse_config(PRODUCT.encode(), "config.json")
    models = {"fast": ModelEntry(upstream="gpt-5-mini", fallback=["gpt-4.1"])}
    assert config == ConfigFile(models=models, features=Features(debug=False))
    assert Features().debug


def test_the_defaults_are_their_own_everywhere() -> None:
    """A list that all entries share would be changed for all at once."""
    one, other = ModelEntry(), ModelEntry()
    assert one.allowed_keys == ["*"]
    one.allowed_keys.append("k")
    assert other.allowed_keys == ["*"]
    assert ConfigFile().models is not ConfigFile().models


def test_nobody_changes_a_configuration() -> None:
    with pytest.raises(AttributeError):
        ConfigFile().exposure = "listed"  # type: ignore[misc]


def test_every_setting_has_its_words_its_default_and_a_description() -> None:
    settings = {setting.path: setting for setting in list_settings()}
    assert len(settings) == len(list_settings()) > 25
    for setting in settings.values():
        assert setting.words
        assert setting.description.endswith("."), setting.path
        assert json.loads(setting.default) is not ...
    assert settings["models.NAME.allowed_keys"].default == '["*"]'
    assert settings["limits.max_body_mb"].words == "a whole number from 1 to 1024"
    assert settings["version"].words == "the number 1"
    assert settings["models.NAME.default_effort"].words == 'one of "", none, minimal, low, medium, high, xhigh, max'
    assert in_words(root_type()).startswith("an object with version, $schema, models, ")


# Where telemetry goes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "http://127.0.0.1:4318",
        "https://collector.example",
        "https://collector.example:443/otlp/",
        "http://[::1]:4318",
        "http://collector",
    ],
)
def test_a_receiver_is_a_base_url(endpoint: str) -> None:
    assert parse({"opentelemetry": {"endpoint": endpoint}}).opentelemetry.endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "127.0.0.1:4318",
        "collector.example",
        "grpc://collector.example:4317",
        "http://",
        "http:///v1",
        "https://user:secret@collector.example",
        "https://collector.example/?api-key=secret",
        "https://collector.example/#part",
        "http://collector.example:port",
        "http://collector.example:123456",
        "http://collector.example\n",
        "http://collector .example",
        " http://collector.example",
        "HTTP://collector.example",
    ],
)
def test_a_receiver_is_nothing_else_and_no_place_for_credentials(endpoint: str) -> None:
    with pytest.raises(ConfigInvalid, match="without credentials"):
        parse({"opentelemetry": {"endpoint": endpoint}})
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid({"opentelemetry": {"endpoint": endpoint}})


# The JSON Schema ------------------------------------------------------------------------------------------------------


def is_whole_number(_checker: object, value: object) -> bool:
    """JSON Schema calls 1.0 an integer; the file may not say it so."""
    return isinstance(value, int) and not isinstance(value, bool)


Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", is_whole_number),
)


def test_the_schema_is_one_and_describes_every_field() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == "urn:copilot-api:config:1"
    assert schema["title"]
    for name, of in schema["$defs"].items():
        assert of["additionalProperties"] is False, name
        assert [field for field, about in of["properties"].items() if not about.get("description")] == [], name
    assert "$schema" in schema["$defs"]["ConfigFile"]["properties"]


FULL = json.loads(PRODUCT) | {
    "$schema": "./config.schema.json",
    "models": {
        "fast": json.loads(PRODUCT)["models"]["fast"],
        "gpt-5.4": {"default_effort": "low", "fallback": ["gpt-4.1", "o3"], "allowed_keys": ["ada", "sk-cap-0123"]},
        "älias 😀": {"enabled": False, "note": "x\ny"},
    },
}
FULL["limits"] |= {"max_queue_length": 5, "queue_timeout_s": 2.5, "budgets": ["credits:day:5"]}
ODD_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 8, 64, 1024, 1025, 10_000, 10_001, 3600, 3600.5, 3650, 3651, 36_500, 36_501, 1.5, 1.0, 1e300, 10**9, 10**9 + 1, 1073741824, 1073741825, 10**30,
    "", "x", "low", "LOW", "max", "catalog", "listed", "*", "a\nb", "a\n", "\n", "a\x7f", "a\u200bb", "a\u00a0b", "\u2028", "http://x", "a/b", "x" * 200, "x" * 201, "😀" * 200, "😀" * 201, "x" * 500, "x" * 501, "$schema",
    [], ["x"], [""], [1], [None], ["a", "b"], ["http://x"], [str(i) for i in range(16)], [str(i) for i in range(17)], {}, {"x": {}}, {"x": 1}, {"": {}}, {"auth": True}, {"note": "n"},
]  # fmt: skip


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in `value`, with each of its keys."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places_in(value[key])


def variations() -> Iterator[Any]:
    yield from ({}, FULL, json.loads(PRODUCT), *ODD_VALUES)
    for number, _ in enumerate(places_in(FULL)):
        for odd in ODD_VALUES:
            document = copy.deepcopy(FULL)
            container, key = list(places_in(document))[number]
            container[key] = odd
            yield document
    chance = random.Random(11)
    for _ in range(1500):
        document = copy.deepcopy(FULL)
        for _ in range(chance.randint(1, 3)):
            container, key = chance.choice(list(places_in(document)))
            if isinstance(container, dict) and chance.random() < 0.3:
                container[chance.choice(["note", "auth", "rpm", "upstream", "Models", "models ", "", "x"])] = container[
                    key
                ]
            elif isinstance(container, dict) and chance.random() < 0.5:
                del container[key]
            else:
                container[key] = copy.deepcopy(chance.choice(ODD_VALUES))
        yield document


CROSS = re.compile(
    r"budget|is an alias itself|falls back to|is said twice$|the same model|in models|is switched off|where one of them goes"
)
"""What fields say of each other no JSON Schema can say."""


def test_the_schema_accepts_what_the_parser_accepts_and_nothing_else() -> None:
    validator = Validator(json_schema())
    verdicts = {True: 0, False: 0}
    for document in variations():
        mistakes: tuple[Mistake, ...] = ()
        try:
            parse(document)
        except ConfigInvalid as error:
            mistakes = error.mistakes
        is_right = all(CROSS.search(mistake.problem) for mistake in mistakes)
        assert validator.is_valid(document) == is_right, document
        verdicts[is_right] += 1
    assert min(verdicts.values()) > 300


# The pages ------------------------------------------------------------------------------------------------------------


def test_the_file_with_every_default_is_on_the_page() -> None:
    page = (DOCS / "reference" / "settings.md").read_text()
    block = page.partition("```json\n")[2].partition("```")[0]
    assert msgspec.json.decode(block) == msgspec.to_builtins(ConfigFile())
    assert parse_config(block.encode(), "settings.md") == ConfigFile()


def test_the_examples_of_the_guide_are_right() -> None:
    blocks = re.findall(r"```json\n(.*?)```", (DOCS / "guides" / "configuration.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        parse_config(block.encode(), "configuration.md")
