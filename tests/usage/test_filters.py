"""The query grammar: every term means what it says, and every mistake gets an answer that helps."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.errors import BadRequest
from copilot_api.usage.filters import (
    FIELDS,
    MAX_QUERY,
    MAX_TERMS,
    MAX_VALUES,
    Condition,
    EventFilter,
    Kind,
    Match,
    parse_filter,
    parse_time,
)
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.repository import EventQuery
from copilot_api.usage.rollups import DIMENSIONS
from tests.ledgers import DAY_ONE, meets, random_events
from tests.stored import Stored

NOW = datetime(2026, 7, 5, 12, 30, tzinfo=UTC)
EVENTS = random_events(80, seed=3)
NUMBERS = {Kind.NUMBER, Kind.SECONDS, Kind.CREDITS}


def parse(text: str) -> EventFilter:
    return parse_filter(text, NOW)


def parse_one(text: str) -> Condition:
    (condition,) = parse(text).conditions
    return condition


def refuse(text: str) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse(text)
    return caught.value


# What there is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_has_examples_that_it_understands(name: str) -> None:
    what = FIELDS[name]
    assert what.examples
    assert what.help
    assert what.column in UsageEvent.__struct_fields__
    for example in what.examples:
        assert example.startswith(f"{name}:")
        parsed = parse(example)
        if what.kind is Kind.TIME:
            assert (parsed.conditions, getattr(parsed, name) is not None) == ((), True)
        else:
            assert [each.column for each in parsed.conditions] == [what.column]


@pytest.mark.parametrize("name", FIELDS)
def test_what_is_offered_to_choose_from_is_understood(name: str) -> None:
    for choice in FIELDS[name].choices:
        assert parse_one(f"{name}:{choice}").values == (choice,)


def test_all_causes_may_be_asked_for() -> None:
    assert parse_one("cause:" + ",".join(Cause)).values == tuple(each.value for each in Cause)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key:ci", Condition("key_id", Match.IS, ("ci",))),
        ("-key:ci", Condition("key_id", Match.IS, ("ci",), is_negated=True)),
        ("key:a,b,,c,", Condition("key_id", Match.IS, ("a", "b", "c"))),
        ("key:*", Condition("key_id", Match.IS_SET, ())),
        ("-key:*", Condition("key_id", Match.IS_SET, (), is_negated=True)),
        ("model:opus,gpt-5", Condition("model", Match.CONTAINS, ("opus", "gpt-5"))),
        ('model:"fast ☃"', Condition("model", Match.CONTAINS, ("fast ☃",))),
        ('"model:fast ☃"', Condition("model", Match.CONTAINS, ("fast ☃",))),
        ("model:o'clock", Condition("model", Match.CONTAINS, ("o'clock",))),
        (r"model:a\b#c", Condition("model", Match.CONTAINS, (r"a\b#c",))),
        ("model:a:b", Condition("model", Match.CONTAINS, ("a:b",))),
        ("model:-x", Condition("model", Match.CONTAINS, ("-x",))),
        ("status:404", Condition("status", Match.IS, (404,))),
        ("status:429,502", Condition("status", Match.IS, (429, 502))),
        ("status:>=400", Condition("status", Match.AT_LEAST, (400,))),
        ("status:>399", Condition("status", Match.MORE_THAN, (399,))),
        ("status:<=499", Condition("status", Match.AT_MOST, (499,))),
        ("-status:<400", Condition("status", Match.LESS_THAN, (400,), is_negated=True)),
        ("status:4xx", Condition("status", Match.IS, tuple(range(400, 500)))),
        ("-status:5xx", Condition("status", Match.IS, tuple(range(500, 600)), is_negated=True)),
        ("status:4xx,502,401", Condition("status", Match.IS, (*range(400, 500), 502))),
        ("input:>100k", Condition("input_tokens", Match.MORE_THAN, (100_000,))),
        ("output:>=1.5M", Condition("output_tokens", Match.AT_LEAST, (1_500_000,))),
        ("cached:0", Condition("cache_read_tokens", Match.IS, (0,))),
        ("reasoning:<2g", Condition("reasoning_tokens", Match.LESS_THAN, (2_000_000_000,))),
        ("credits:>0.000000001", Condition("nano_aiu", Match.MORE_THAN, (1,))),
        ("credits:5", Condition("nano_aiu", Match.IS, (5_000_000_000,))),
        ("-credits:*", Condition("nano_aiu", Match.IS_SET, (), is_negated=True)),
        ("ttft:>5s", Condition("time_to_first_token", Match.MORE_THAN, (5.0,))),
        ("ttft:*", Condition("time_to_first_token", Match.IS_SET, ())),
        ("duration:<=2.5m", Condition("duration", Match.AT_MOST, (150.0,))),
        ("duration:1h,30", Condition("duration", Match.IS, (3600.0, 30.0))),
        ("queue:>=500ms", Condition("queue_seconds", Match.AT_LEAST, (0.5,))),
        ("stream:yes", Condition("stream", Match.IS, (True,))),
        ("stream:False", Condition("stream", Match.IS, (False,))),
        ("-unknown:1", Condition("usage_unknown", Match.IS, (True,), is_negated=True)),
        ("req_1a20", Condition("request_id", Match.IS, ("req_1a20",))),
        ("-req_1a20", Condition("request_id", Match.IS, ("req_1a20",), is_negated=True)),
    ],
)
def test_what_a_term_asks_for(text: str, expected: Condition) -> None:
    condition = parse_one(text)
    assert condition == expected
    assert list(map(type, condition.values)) == list(map(type, expected.values))


def test_terms_stand_side_by_side_and_all_of_them_count() -> None:
    parsed = parse("  key:ci\tmodel:opus\n status:>=400   -client:codex since:2h ")
    assert [each.column for each in parsed.conditions] == ["key_id", "model", "status", "client"]
    assert parsed.since == NOW - timedelta(hours=2)
    assert parse("model:a model:b").conditions == (parse_one("model:a"), parse_one("model:b"))


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_an_empty_query_asks_for_everything(text: str) -> None:
    assert parse(text) == EventFilter()


def test_keys_are_found_by_whoever_knows_their_names() -> None:
    known = {"ci": ["key_1", "key_2"], "laptop": ["key_3"]}

    def ask(text: str) -> Condition:
        (condition,) = parse_filter(text, NOW, lambda name: known.get(name, [])).conditions
        return condition

    assert ask("key:ci,laptop").values == ("key_1", "key_2", "key_3")
    assert ask("-key:nobody") == Condition("key_id", Match.IS, (), is_negated=True)
    assert not any(meets(event, [ask("key:nobody")]) for event in EVENTS)
    assert ask("key:*").values == ()


def test_a_condition_says_whether_sums_can_tell() -> None:
    for name, what in FIELDS.items():
        if what.kind is not Kind.TIME:
            assert parse_one(f"{name}:*").is_of_series is (what.column in DIMENSIONS)


# Time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", NOW),
        ("90s", NOW - timedelta(seconds=90)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("4w", NOW - timedelta(weeks=4)),
        ("2026-07-01", datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026-07-01T12:00", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("2026-07-01T12:00Z", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("2026-07-01T12:00:00.5+02:00", datetime(2026, 7, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_times_are_an_age_or_a_moment_in_utc(text: str, expected: datetime) -> None:
    at = parse_time(text, NOW)
    assert (at, at.utcoffset()) == (expected, timedelta(0))


@pytest.mark.parametrize(
    "text", ["", "soon", "2", "h", "-2h", "2y", "1.5h", "2026-13-01", "999999999w", "0001-01-01T00:00+23:59", "*"]
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_time(text, NOW)
    assert repr(text) in caught.value.message
    assert "2h" in str(caught.value.actual_hint)


def test_of_several_times_the_closest_count() -> None:
    parsed = parse("since:7d until:1h since:2d until:3h")
    assert (parsed.since, parsed.until) == (NOW - timedelta(days=2), NOW - timedelta(hours=3))


@pytest.mark.parametrize(
    "text", ["since:2h until:3h", "since:2026-07-01 until:2026-07-01", "until:2d since:3d since:1d"]
)
def test_a_period_has_to_have_a_length(text: str) -> None:
    assert refuse(text).message == "since is not before until"


# Mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "named", "hint"),
    [
        ("opus", "'opus'", "write FIELD:VALUE with one of key, model"),
        ("modle:opus", "'modle:opus'", "write FIELD:VALUE"),
        ("Model:opus", "'Model:opus'", "write FIELD:VALUE"),
        (":opus", "':opus'", "write FIELD:VALUE"),
        ("-", "'-'", "write FIELD:VALUE"),
        ("--key:ci", "'--key:ci'", "write FIELD:VALUE"),
        ('""', "''", "write FIELD:VALUE"),
        ("key:ci x" + "y" * 500, "'xyyy", "write FIELD:VALUE"),
        ("model:", "model:", "model:opus"),
        ("-model:,,", "model:", "model:opus"),
        ("since:", "since:", "since:2h"),
        ("status:", "status:", "status:>=400"),
        ("status:,", "status:", "status:>=400"),
        ("status:>=", "status: ''", "status:>=400"),
        ("status:>=4xx", "status: '4xx'", "status:>=400"),
        ("status:6xx", "status: '6xx'", "status:>=400"),
        ("status:>4,5", "status: '4,5'", "status:>=400"),
        ("status:=4", "status: '=4'", "status:>=400"),
        ("status:>-1", "status: '-1'", "status:>=400"),
        ("ttft:5d", "ttft: '5d'", "the units are ms, s, m, h"),
        ("ttft:>1e5", "ttft: '1e5'", "the units are"),
        ("input:nan", "input: 'nan'", "the units are k, m, g"),
        ("input:5ms", "input: '5ms'", "the units are k, m, g"),
        ("input:" + "9" * 16, "input: '9999999999999999'", "the units are"),
        ("credits:1.0000000001", "credits: '1.0000000001'", "the units are"),
        ("cause:timeout", "cause: there is no 'timeout'", "upstream_timeout"),
        ("cause:ok,timeout", "cause: there is no 'timeout'", "upstream_timeout"),
        ("initiator:me", "initiator: there is no 'me'", "user, agent"),
        ("stream:maybe", "stream: yes or no, not 'maybe'", "stream:yes"),
        ("since:soon", "'soon'", "2026-07-01T12:00Z"),
        ("-since:2h", "-since", "use since and until"),
        ("model:" + "a," * (MAX_VALUES + 1), f"model: more than {MAX_VALUES} values", "some of them at a time"),
        ("id:a " * (MAX_TERMS + 1), f"more than {MAX_TERMS} terms", "a comma means or"),
    ],
)
def test_a_wrong_term_is_named_with_what_would_be_right(text: str, named: str, hint: str) -> None:
    error = refuse(text)
    assert named in error.message
    assert hint in str(error.actual_hint)
    assert len(error.message) < 200


@pytest.mark.parametrize("text", ['model:"opus', '"', 'key:a"b'])
def test_a_quotation_mark_needs_its_pair(text: str) -> None:
    assert "quotation mark" in refuse(text).message


def test_a_query_is_as_long_as_it_may_be_and_no_longer() -> None:
    assert parse("model:" + "x" * (MAX_QUERY - 6)).conditions
    assert str(MAX_QUERY) in refuse("model:" + "x" * (MAX_QUERY - 5)).message
    assert str(MAX_QUERY) in refuse('"' * 100_000).message


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_what_is_in_no_text_is_refused_before_a_database_sees_it(character: str) -> None:
    assert "character" in refuse(f"model:a{character}b").message


pieces = st.sampled_from([*FIELDS, "-", ":", ",", '"', "*", ">=", "<", " ", "4xx", "5s", "\0", "☃", "9" * 15, "g", "x"])
values = st.text(max_size=20) | st.integers().map(str) | st.floats().map(str) | st.datetimes().map(str)
terms = st.builds("{}{}:{}{}".format, st.sampled_from(["", "-"]), st.sampled_from(sorted(FIELDS)), pieces, values)
queries = (
    st.text(max_size=MAX_QUERY + 500)
    | st.lists(pieces, max_size=40).map("".join)
    | st.lists(terms, max_size=5).map(" ".join)
)


def attempt(text: str) -> EventFilter | BadRequest:
    try:
        return parse(text)
    except BadRequest as error:
        return error


ABOUT_THE_WHOLE = (
    "the query is longer",
    "the query has a quotation",
    "the query has a character",
    "since is not before",
)


@given(queries)
def test_any_text_is_a_query_or_a_mistake_that_is_told(text: str) -> None:
    found = attempt(text)
    if isinstance(found, BadRequest):
        assert found.actual_hint or found.message.startswith(ABOUT_THE_WHOLE)
        assert len(found.message) < 1200  # a hundred characters of the term, each of them escaped
        assert found.message.encode()  # half a character would break the answer that shows it
        return
    columns = {what.column for what in FIELDS.values()}
    for condition in found.conditions:
        assert condition.column in columns
        for value in condition.values:
            assert is_storable(value)


def is_storable(value: object) -> bool:
    if isinstance(value, str):
        return bool(value) and "\0" not in value and bool(value.encode())
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)


# What it means -------------------------------------------------------------------------------------------------------

Rule = Callable[[UsageEvent], bool]
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda value, bound: value >= bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    "<": lambda value, bound: value < bound,
    "": lambda value, bound: value == bound,
}
_AMOUNTS: dict[str, tuple[float, tuple[str, ...]]] = {
    "status": (1, ("0", "200", "400", "429", "0.4k")),
    "input": (1, ("0", "7", "1k", "1000", "250k", "0.25m")),
    "output": (1, ("0", "1.5k", "2k")),
    "cached": (1, ("50",)),
    "credits": (1e9, ("0", "0.1", "0.123456789", "1")),
    "ttft": (1, ("500ms", "1", "2s", "0.05m")),
    "duration": (1, ("0", "3s", "0.1m", "0.001h")),
    "queue": (1, ("0s", "500ms")),
}
_UNITS = {"ms": 0.001, "s": 1, "k": 1e3, "m": 60, "h": 3600}


def amount_in(name: str, text: str) -> float:
    """The number as the event has it."""
    number, unit = re.fullmatch(r"([0-9.]+)([a-z]*)", text).groups()  # type: ignore[union-attr]
    is_time = FIELDS[name].kind is Kind.SECONDS
    scale = 1e6 if unit == "m" and not is_time else _UNITS.get(unit, 1)
    return float(number) * scale * _AMOUNTS[name][0]


@st.composite
def compared(draw: st.DrawFn) -> tuple[str, Rule]:
    name, sign = draw(st.sampled_from(sorted(_AMOUNTS))), draw(st.sampled_from(sorted(_COMPARE)))
    text = draw(st.sampled_from(_AMOUNTS[name][1]))
    bound, column = amount_in(name, text), FIELDS[name].column

    def holds(event: UsageEvent) -> bool:
        value = getattr(event, column)
        return value is not None and _COMPARE[sign](value, round(bound, 6))

    return f"{name}:{sign}{text}", holds


@st.composite
def named(draw: st.DrawFn) -> tuple[str, Rule]:
    name = draw(
        st.sampled_from(["key", "client", "identity", "kind", "cause", "model", "upstream", "endpoint", "limit"])
    )
    column, is_part = FIELDS[name].column, FIELDS[name].kind is Kind.PART
    seen = sorted({str(value) for event in EVENTS if (value := getattr(event, column)) is not None})
    chosen = draw(st.lists(st.sampled_from(seen), min_size=1, max_size=3))
    if is_part:
        chosen = [text.replace(",", "")[1:5].upper() or text for text in chosen]

    def holds(event: UsageEvent) -> bool:
        value = getattr(event, column)
        if value is None:
            return False
        return any(text.lower() in value.lower() for text in chosen) if is_part else str(value) in chosen

    return f'"{name}:{",".join(chosen)}"', holds


@st.composite
def other(draw: st.DrawFn) -> tuple[str, Rule]:
    number = draw(st.sampled_from([2, 4, 5]))
    switch = draw(st.sampled_from([("yes", True), ("NO", False), ("1", True), ("false", False)]))
    rules: list[tuple[str, Rule]] = [
        (f"status:{number}xx", lambda event: event.status // 100 == number),
        (f"status:{number}xx,0", lambda event: event.status // 100 in {number, 0}),
        (f"stream:{switch[0]}", lambda event: event.stream is switch[1]),
        (f"unknown:{switch[0]}", lambda event: event.usage_unknown is switch[1]),
        ("key:*", lambda event: event.key_id is not None),
        ("model:*", lambda event: event.model is not None),
        ("ttft:*", lambda event: event.time_to_first_token is not None),
        ("credits:*", lambda event: event.nano_aiu is not None),
    ]
    return draw(st.sampled_from(rules))


@given(st.lists(st.tuples(compared() | named() | other(), st.booleans()), max_size=4))
def test_a_query_finds_the_events_for_which_all_its_terms_hold(asked: list[tuple[tuple[str, Rule], bool]]) -> None:
    terms = [
        (term.replace('"', '"-', 1) if '"' in term else f"-{term}") if is_negated else term
        for (term, _), is_negated in asked
    ]
    conditions = parse(" ".join(terms)).conditions
    for event in EVENTS:
        expected = all(holds(event) is not is_negated for (_, holds), is_negated in asked)
        assert meets(event, conditions) is expected, (terms, event)


@pytest.mark.parametrize(
    "text",
    [
        "input:>999999999999999g",
        "-input:999999999999999g",
        "credits:<999999999999999m",
        "ttft:>999999999999999h",
        "since:0001-01-01 until:9999-12-31T23:59:59.999999Z",
        "model:" + ",".join("a" * MAX_VALUES),
        "-model:" + ",".join("a" * MAX_VALUES) + " -key:a" * (MAX_TERMS - 1),
        "status:1xx,2xx,3xx,4xx,5xx " * MAX_TERMS,
        "-ttft:>1 " * MAX_TERMS,
        "model:%_\\[*?",
        "model:'\u202e;--",
    ],
    ids=lambda text: text[:30],
)
def test_the_largest_query_is_none_too_large_for_the_database(stored: Stored, text: str) -> None:
    stored.usage.add_events(EVENTS)
    parsed = parse(text)
    since, until = parsed.since or DAY_ONE, parsed.until or DAY_ONE + timedelta(days=9)
    page = stored.usage.get_page(EventQuery(since, until, parsed.conditions, limit=500))
    expected = {event.request_id for event in EVENTS if meets(event, parsed.conditions)}
    assert {event.request_id for event in page.events} == expected
