"""`config.json`: read whole or refused whole, with every mistake and its place."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from copilot_api.config.budgets import Budget, Unit, Window
from copilot_api.config.loader import MAX_BYTES, ConfigInvalid, load_config, parse_budgets, parse_config
from copilot_api.config.schema import ConfigFile, DefaultKey, Features, Limits, Metrics, ModelEntry, Retention


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
        "models": {
            "fast": {"upstream": "gpt-5-mini", "default_effort": "low", "fallback": ["gpt-4.1"], "note": "for editors"},
            "gpt-5.4": {"enabled": False, "allowed_keys": ["ada"]},
        },
        "exposure": "listed",
        "default_model_alias": "fast",
        "limits": {
            "max_in_flight_per_identity": 4,
            "queue_timeout_s": 2.5,
            "max_queue_length": 0,
            "max_body_mb": 8,
            "default_key": {"rpm": 60, "tpm": 100_000, "max_in_flight": 3},
            "budgets": ["credits:day:50", "requests:month:1e6:observe"],
        },
        "retention": {
            "events_days": 30,
            "rollups_days": 60,
            "traces_days": 7,
            "traces_max_bytes": 1000,
            "audit_days": 10,
        },
        "features": {"auth": False, "webui": False, "telemetry": False, "debug": True, "metrics": False},
        "metrics": {"access": "admin"},
    }
    assert load(path, document) == ConfigFile(
        version=1,
        schema="./config.schema.json",
        models={
            "fast": ModelEntry("gpt-5-mini", default_effort="low", fallback=["gpt-4.1"], note="for editors"),
            "gpt-5.4": ModelEntry(enabled=False, allowed_keys=["ada"]),
        },
        exposure="listed",
        default_model_alias="fast",
        limits=Limits(
            max_in_flight_per_identity=4,
            queue_timeout_s=2.5,
            max_queue_length=0,
            max_body_mb=8,
            default_key=DefaultKey(rpm=60, tpm=100_000, max_in_flight=3),
            budgets=["credits:day:50", "requests:month:1e6:observe"],
        ),
        retention=Retention(30, 60, 7, 1000, 10),
        features=Features(auth=False, webui=False, telemetry=False, debug=True, metrics=False),
        metrics=Metrics("admin"),
    )


def test_what_is_not_said_stays_as_it_is(path: Path) -> None:
    assert load(path, {"limits": {}}).limits == Limits()
    assert load(path, {"features": {"auth": False}}).limits == Limits()


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"models": {"x": {"enabled": 1}}}, "enabled"), ({"models": {"x": {"default_effort": "huge"}}}, "default_effort"), ({"models": {"": {}}}, "models"),
        ({"limit": {}}, "limit"), ({"limits": {"max_body": 1}}, "max_body"), ({"features": {"webui": 1}}, "webui"), ({"version": 2}, "$.version"),
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
    ("content", "says"),
    [
        (b"", "is empty"), (b" ", "is empty"), (b"\n\n", "is empty"), (b"{", "line 1, column 2: this is no JSON"), (b"[]", "got a list"), (b"null", "got null"), (b"1", "got 1"), (b'"x"', "got text"),
        (b"{}{}", "line 1, column 3"), (b"{'version':1}", "line 1, column 2"), (b'{"version":1,}', "line 1, column 13: this is no JSON: there is a comma too many"), (b'{"version":NaN}', "line 1, column 12"),
        (b'{\n  "$schema": "\xff"\n}', "line 2, column 15: byte 17 of the file is not UTF-8"), (b"\xff\xfe{\0}\0", "is UTF-16"), (b"\xfe\xff\0{\0}", "is UTF-16"), (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"# comment\n{}", "JSON has no comments"), (b"version: 1", "line 1, column 1"), (b'{"limits":' * 50_000, "nested deeper"), (b"[" * 100_000, "nested deeper"), (b"\0" * 100, "line 1, column 1"),
        (b" " * MAX_BYTES + b"{}", "is larger than 1024 KiB"), (b'{"$schema": "\\ud800"}', "half of a surrogate pair"), (b'{"version": 1' + b"0" * 5000 + b"}", "a number that is too large"),
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused_by_file_and_reason(path: Path, content: bytes, says: str) -> None:
    with pytest.raises(ConfigInvalid) as refusal:
        load(path, content)
    assert refusal.value.message.startswith(f"{path}: ")
    assert says in refusal.value.message
    assert len(refusal.value.message) < 400
    assert refusal.value.is_final
    assert refusal.value.actual_hint


def test_a_file_of_any_size_is_refused_without_being_read(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(ConfigInvalid, match="larger than"):
        load_config(path)


def test_all_mistakes_are_said_at_once_with_their_places(path: Path) -> None:
    content = b'{\n "limits": {"max_body_mb": 0},\n "features": {"auth": 1, "weui": true}\n}\n'
    with pytest.raises(ConfigInvalid) as refusal:
        load(path, content)
    assert refusal.value.message.splitlines() == [
        f"{path}: 3 mistakes",
        "  line 2, column 28: $.limits.max_body_mb: got 0; allowed: a whole number from 1 to 1024",
        "  line 3, column 23: $.features.auth: got 1; allowed: true or false",
        '  line 3, column 26: $.features.weui: there is no field "weui" here; did you mean webui?; allowed: auth, webui, telemetry, debug, metrics',
    ]
    assert [(each.line, each.column) for each in refusal.value.mistakes] == [(2, 28), (3, 23), (3, 26)]
    assert path.read_bytes() == content


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
    assert "UNIT:WINDOW:AMOUNT" in refusal.value.message


@pytest.mark.parametrize("again", ["credits:day:50", "credits:day:5", "credits:day:50:observe", "CREDIT:daily:7"])
def test_two_budgets_for_the_same_are_refused(path: Path, again: str) -> None:
    """Which of the two is meant nobody can tell."""
    with pytest.raises(ConfigInvalid, match="two budgets credits:day") as refusal:
        load(path, {"limits": {"budgets": ["credits:day:50", "credits:hour:50", again]}})
    assert "$.limits.budgets[2]" in refusal.value.message


def test_a_limit_said_twice_is_refused(path: Path) -> None:
    with pytest.raises(ConfigInvalid):
        load(path, b'{"limits":{"default_key":{"rpm":5,"rpm":500}}}')


# Whatever is in the file ----------------------------------------------------------------------------------------------

FULL = b"""{
  "$schema": "./s.json",
  "version": 1,
  "models": {
    "fast": {"upstream": "gpt-5-mini", "enabled": true, "allowed_keys": ["*"], "fallback": ["gpt-4.1"], "note": "\xc3\xa4"},
    "gpt-5.4": {"default_effort": "low"}
  },
  "exposure": "listed",
  "default_model_alias": "fast",
  "limits": {"max_body_mb": 8, "queue_timeout_s": 2.5, "budgets": ["credits:day:50"], "default_key": {"rpm": null}},
  "retention": {"traces_days": 7},
  "features": {"auth": false}
}"""


def outcome(content: bytes) -> ConfigFile | None:
    """The configuration, whole, or None where it is refused in the one way in which it may be."""
    refusal: ConfigInvalid | None = None
    try:
        config = parse_config(content, "config.json")
    except ConfigInvalid as error:
        refusal = error
    if refusal is not None:
        assert refusal.mistakes or refusal.problem
        assert len(refusal.message) < 20_000
        return None
    # What was decided field by field and what the decoder read are the same thing.
    assert json.loads(content).keys() <= {"$schema", *ConfigFile.__struct_encode_fields__}
    return config


def test_cut_off_at_any_byte_it_is_refused() -> None:
    assert outcome(FULL) is not None
    for length in range(len(FULL)):
        assert outcome(FULL[:length]) is None, length


PIECES = [
    b"", b"{", b"}", b"[", b"]", b'"', b":", b",", b"0", b"1", b"-", b"e9", b"true", b"null", b"\\", b"\xff", b"\x00", b"\n", b" ",
    b'"fast"', b'"auth":true,', b"\xc3",
]  # fmt: skip


def edited(chance: random.Random) -> bytes:
    """As a person saves it: a setting changed, laid out anew."""
    document = json.loads(FULL)
    document["limits"]["max_body_mb"] = chance.randint(1, 1024)
    document["features"]["auth"] = chance.choice([True, False])
    document["models"][f"m{chance.randint(0, 9)}"] = {"upstream": chance.choice(["", "gpt-4.1", "o3"])}
    return json.dumps(document, indent=chance.choice([None, 1, 4])).encode()


def damaged(content: bytes, chance: random.Random) -> bytes:
    """As a slip of the hand, or a program that writes in place, leaves it."""
    at, other = chance.randrange(len(content)), chance.randrange(len(content))
    match chance.randrange(3):
        case 0:
            return content[:at] + chance.choice(PIECES) + content[at + chance.choice([0, 0, 1, 4]) :]
        case 1:
            return content[: max(at, other)] + content[min(at, other) :]
        case _:
            lines = content.splitlines(keepends=True)
            lines.insert(chance.randrange(len(lines)), lines.pop(chance.randrange(len(lines))))
            return b"".join(lines)


def test_a_thousand_random_edits_are_read_whole_or_refused() -> None:
    chance = random.Random(17)
    verdicts = {True: 0, False: 0}
    for _ in range(1000):
        content = edited(chance) if chance.random() < 0.5 else FULL
        for _ in range(chance.randint(0, 3)):
            content = damaged(content, chance)
        verdicts[outcome(content) is not None] += 1
    assert verdicts[True] > 200
    assert verdicts[False] > 400


def test_random_bytes_are_refused() -> None:
    chance = random.Random(23)
    for _ in range(300):
        assert outcome(chance.randbytes(chance.randrange(1, 60))) is None
