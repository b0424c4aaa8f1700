"""The parameters of the ledger's endpoints: what is read, what stands where nothing is said, and every mistake."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.api.ledger_parameters import (
    MAX_PARAMETERS,
    USUAL_PERIOD,
    Parameters,
    render_moment,
    render_position,
)
from copilot_api.errors import BadRequest
from copilot_api.usage.explorer import MAX_BUCKETS, MAX_MINUTES, Metric
from copilot_api.usage.filters import FIELDS, MAX_QUERY, Condition, EventFilter, Match
from copilot_api.usage.queries import Bucket, Dimension
from copilot_api.usage.repository import Position
from copilot_api.usage.totals import DIMENSIONS, Group

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=300)
NOTHING = EventFilter()
FOR_EVER = datetime.max.replace(tzinfo=UTC)


def parameters(query: bytes | str = b"", **values: str) -> Parameters:
    text = query.encode() if isinstance(query, str) else query
    return Parameters(text or urlencode(values).encode(), NOW, lambda text: [f"id of {text}"])


def refused(call: Any, *arguments: Any, **named: Any) -> BadRequest:
    """Why that is refused."""
    with pytest.raises(BadRequest) as caught:
        call(*arguments, **named)
    return caught.value


# The query string as a whole --------------------------------------------------------------------------------------


def test_a_parameter_that_nobody_reads_is_named_beside_those_that_there_are() -> None:
    given = parameters(limit="5", limits="6")
    given.number("limit", 1, 10)
    given.text("q")
    error = refused(given.check_all_known)
    assert (error.message, error.param) == ("there is no parameter 'limits'", "limits")
    assert error.actual_hint == "there are limit, q"


@pytest.mark.parametrize("query", ["q=a&q=a", "q=&q=b", "q&q=b", "%71=a&q=b"])
def test_a_parameter_that_is_given_twice_is_refused(query: str) -> None:
    assert refused(parameters, query).message == "the parameter 'q' is given twice"


def test_more_parameters_than_anybody_needs_are_refused() -> None:
    assert parameters("&".join(f"p{number}=" for number in range(MAX_PARAMETERS))).text("p7") == ""
    error = refused(parameters, "&".join(f"p{number}=" for number in range(MAX_PARAMETERS + 1)))
    assert error.message == f"there are more than {MAX_PARAMETERS} parameters"


@pytest.mark.parametrize("query", ["q=naïve ☃".encode(), b"q=na%C3%AFve+%E2%98%83", b"q=na%c3%afve%20%e2%98%83"])
def test_text_is_utf_8_encoded_or_not(query: bytes) -> None:
    assert parameters(query).text("q") == "naïve ☃"


@pytest.mark.parametrize("query", [b"q=\xff", b"q=%ff", b"q=%C3", b"%ff=1", b"q=%ED%A0%80"])
def test_text_that_is_no_utf_8_is_refused(query: bytes) -> None:
    assert refused(parameters, query).message == "the query string is not UTF-8"


def test_what_is_reflected_in_an_error_is_short_and_cannot_break_a_line() -> None:
    error = refused(parameters(bucket="\n\x1b[31m" + "x" * 9_000).bucket, NOW - HOUR, NOW)
    assert len(error.message) < 150
    assert error.message.isprintable()


# Filter and period ------------------------------------------------------------------------------------------------


def test_the_query_is_read_with_the_names_of_keys() -> None:
    found = parameters(q="key:ci status:5xx since:2h").filter()
    assert found.conditions[0] == Condition("key_id", Match.IS, ("id of ci",))
    assert found.since == NOW - 2 * HOUR


@pytest.mark.parametrize(
    "query", ["colour:red", 'model:"', "status:many", "-since:1h", "x" * (MAX_QUERY + 1), "key:\0"]
)
def test_a_mistake_in_the_query_is_the_parameters(query: str) -> None:
    assert refused(parameters(q=query).filter).param == "q"


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.column != "at"])
def test_a_field_that_sums_are_not_kept_by_is_named_as_it_was_written(name: str) -> None:
    given = parameters(q=f"-{name}:*")
    if FIELDS[name].column in set(Dimension):
        assert len(given.filter(is_for_sums=True).conditions) == 1
        return
    assert len(given.filter().conditions) == 1
    error = refused(given.filter, is_for_sums=True)
    assert (error.message, error.param) == (f"q: sums cannot be told apart by {name}", "q")
    assert "/admin/api/events" in str(error.actual_hint)


@pytest.mark.parametrize(
    ("given", "found", "period"),
    [
        ({}, NOTHING, (NOW - USUAL_PERIOD, NOW)),
        ({"since": "", "until": ""}, NOTHING, (NOW - USUAL_PERIOD, NOW)),
        ({"since": "2h"}, NOTHING, (NOW - 2 * HOUR, NOW)),
        ({"until": "2h"}, NOTHING, (NOW - 2 * HOUR - USUAL_PERIOD, NOW - 2 * HOUR)),
        ({"since": "2026-06-30", "until": "2026-07-01T02:00Z"}, NOTHING, (NOW - 36 * HOUR, NOW - 10 * HOUR)),
        ({"since": "2026-07-01T02:00:00+02:00"}, NOTHING, (NOW - 12 * HOUR, NOW)),
        ({}, EventFilter(since=NOW - 5 * DAY), (NOW - 5 * DAY, NOW)),
        ({}, EventFilter(until=NOW - 5 * DAY), (NOW - 5 * DAY - USUAL_PERIOD, NOW - 5 * DAY)),
        ({"since": "3h", "until": "1h"}, EventFilter((), NOW - 2 * HOUR, NOW), (NOW - 2 * HOUR, NOW - HOUR)),
        ({"since": "2h", "until": "0s"}, EventFilter((), NOW - 3 * HOUR, NOW - HOUR), (NOW - 2 * HOUR, NOW - HOUR)),
        ({"since": "1970-01-01", "until": "2200-12-31T23:59:59.999999"}, NOTHING, None),
    ],
)
def test_a_period_is_what_the_parameters_and_the_query_have_in_common(
    given: dict[str, str], found: EventFilter, period: tuple[datetime, datetime] | None
) -> None:
    since, until = parameters(**given).period(found)
    assert since < until
    assert (since.utcoffset(), until.utcoffset()) == (timedelta(), timedelta())
    assert period is None or (since, until) == period


@pytest.mark.parametrize(
    "query",
    ["since=2026-07-01T02:00:00+02:00", "since=2026-07-01T02:00:00.000000+0200", "since=2026-07-01T02+02:00", "since=2026-07-01 00:00"],
)  # fmt: skip
def test_a_plus_that_nobody_encoded_is_a_plus_where_only_that_makes_sense(query: str) -> None:
    """What an answer says of its period, pasted into the next question."""
    assert parameters(query).period(NOTHING)[0] == NOW - 12 * HOUR


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01", "1969-12-31T23:59:59.999999Z", "2201-01-01", "9999-12-31", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00+12:00",
        "999999999w", "soon", "-1h", "1.5h", "+5d", "1e3", "2026-13-01", "2026-07-01T25:00", "12:00", "∞", "\x00", "1h\n",
        "now", "null", "2026-07-01T00:00[Europe/Berlin]", "2026-07-01T00:00+99:00", "x" * 5_000,
    ],
)  # fmt: skip
def test_a_time_that_is_none_or_out_of_range_is_refused_by_name(name: str, text: str) -> None:
    error = refused(parameters(**{name: text}).period, NOTHING)
    assert error.param == name
    assert name in error.message
    assert len(error.message) < 200


@pytest.mark.parametrize("found", [EventFilter(until=datetime.min.replace(tzinfo=UTC)), EventFilter(since=datetime.max.replace(tzinfo=UTC))])  # fmt: skip
def test_a_time_in_the_query_is_held_to_the_same_range(found: EventFilter) -> None:
    assert "times are from 1970 to 2200" in refused(parameters().period, found).message


@pytest.mark.parametrize(("since", "until"), [("1h", "1h"), ("1h", "2h"), ("0s", "0s"), ("2026-07-02", "")])
def test_a_period_without_length_is_refused(since: str, until: str) -> None:
    assert refused(parameters(since=since, until=until).period, NOTHING).message == "since is not before until"


# Words, numbers, switches -----------------------------------------------------------------------------------------


def test_what_is_empty_is_as_if_it_were_not_there() -> None:
    given = parameters("format=&top=&compare=&by=&metric=&bucket=&after=&q=")
    assert given.choice("format", ("json", "csv")) == "json"
    assert given.number("top", 10, 200) == 10
    assert given.switch("compare") is False
    assert given.groups() == ()
    assert given.metrics() == (Metric.REQUESTS,)
    assert given.bucket(NOW - DAY, NOW) is Bucket.HOUR
    assert given.position("after", FOR_EVER) is None
    assert given.filter() == NOTHING
    given.check_all_known()


@pytest.mark.parametrize("text", ["1", "7", "200", "007"])
def test_a_number_within_its_bounds_is_taken(text: str) -> None:
    assert parameters(top=text).number("top", 10, 200) == int(text)


@pytest.mark.parametrize(
    "text", ["0", "-1", "+1", "201", "1e2", "1.0", "0x10", "ten", "1 0", " 1", "\u0661", "²", "\x00", "9" * 5_000, "inf", "nan", "1_0"]
)  # fmt: skip
def test_a_number_out_of_its_bounds_is_refused_with_them(text: str) -> None:
    error = refused(parameters(top=text).number, "top", 10, 200)
    assert error.message.startswith("top is a number from 1 to 200, not ")
    assert (error.param, len(error.message) < 160) == ("top", True)


@pytest.mark.parametrize(
    ("text", "is_on"), [("1", True), ("true", True), ("YES", True), ("0", False), ("False", False), ("no", False)]
)
def test_a_switch_is_on_or_off(text: str, is_on: bool) -> None:
    assert parameters(compare=text).switch("compare") is is_on


@pytest.mark.parametrize("text", ["maybe", "2", "on off", "\x00", "tru\u0435"])
def test_a_switch_that_is_neither_is_refused(text: str) -> None:
    error = refused(parameters(compare=text).switch, "compare")
    assert error.message.startswith("compare: yes or no, not ")


@pytest.mark.parametrize("text", ["xml", "JSON", "json,csv", "\x00", "json\n"])
def test_a_word_that_is_none_of_the_choices_is_refused_with_them(text: str) -> None:
    error = refused(parameters(format=text).choice, "format", ("json", "csv"))
    assert error.message.startswith("format: there is no ")
    assert (error.param, error.actual_hint) == ("format", "one of json, csv")


# Groups, buckets, metrics -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", list(Group))
def test_sums_are_grouped_by_whatever_the_command_line_groups_them_by_but_time(group: Group) -> None:
    given = parameters(by=group.value)
    if group in DIMENSIONS:
        assert given.groups() == (DIMENSIONS[group],)
    else:
        assert f"by: there is no '{group}'" in refused(given.groups).message


def test_two_groups_are_in_the_order_in_which_they_are_asked_for() -> None:
    assert parameters(by="model,key").groups() == (Dimension.MODEL, Dimension.KEY)
    assert parameters(by=",key,").groups() == (Dimension.KEY,)


@pytest.mark.parametrize(
    "by", ["key,key", "key,model,client", "colour", "key,colour", "key;model", "KEY", "key_id", "\x00"]
)
def test_groups_that_there_are_not_are_refused(by: str) -> None:
    assert refused(parameters(by=by).groups).param == "by"


@pytest.mark.parametrize(
    ("length", "bucket"),
    [
        (HOUR, Bucket.MINUTE),
        (MAX_MINUTES, Bucket.MINUTE),
        (MAX_MINUTES + timedelta(seconds=1), Bucket.HOUR),
        (8 * DAY, Bucket.HOUR),
        (9 * DAY, Bucket.DAY),
        (MAX_BUCKETS * DAY, Bucket.DAY),
        (MAX_BUCKETS * DAY + timedelta(microseconds=1), None),
    ],
)
def test_time_is_divided_as_suits_the_period_and_not_where_it_is_too_long_for_that(
    length: timedelta, bucket: Bucket | None
) -> None:
    assert parameters().bucket(NOW - length, NOW) is bucket
    assert parameters(bucket="auto").bucket(NOW - length, NOW) is bucket


def test_time_is_divided_as_one_says() -> None:
    assert parameters(bucket="none").bucket(NOW - DAY, NOW) is None
    for bucket in Bucket:
        assert parameters(bucket=bucket.value).bucket(NOW - DAY, NOW) is bucket
    assert "auto, none, minute, hour, day" in str(refused(parameters(bucket="week").bucket, NOW - DAY, NOW).actual_hint)


def test_metrics_are_in_the_order_in_which_they_are_asked_for_each_once() -> None:
    assert parameters(metric="credits,requests,credits").metrics() == (Metric.CREDITS, Metric.REQUESTS)
    error = refused(parameters(metric="requests,money").metrics)
    assert (error.message, error.param) == ("metric: there is no 'money'", "metric")


# Places in the ledger ---------------------------------------------------------------------------------------------


@PROPERTY
@given(st.integers(0, 10**16), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60))
def test_a_place_is_read_as_it_was_written(at: int, request_id: str) -> None:
    place = Position(at, request_id)
    text = render_position(place)
    assert text.isascii()
    assert parameters(after=text).position("after", FOR_EVER) == place
    assert parameters(f"after={text}").position("after", FOR_EVER) == place, "it can be put into a URL as it is"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()


@pytest.mark.parametrize(
    "text",
    [
        "!", "a", "=", "====", "a=b", "%00", "\x00", "é", "☃", "A" * 50_001, "MTIzLmE+", "MTIz LmE", "MTIzLmE\n",
        encoded(b"."), encoded(b".req_1"), encoded(b"1782907200000000"), encoded(b"-1.req_1"), encoded(b"1e9.req_1"),
        encoded(b"0x10.req_1"), encoded("\u0661.req_1".encode()), encoded(b" 1.req_1"), encoded(b"1" * 18 + b".a"), encoded(b"9" * 9_000 + b".a"),
        encoded(b"1.\x00"), encoded(b"1.\xff"), encoded(b"1; DROP TABLE usage_events"), encoded(b"1 OR 1=1.a"), encoded(b"None.None"),
    ],
)  # fmt: skip
def test_a_place_that_is_none_is_refused(text: str) -> None:
    error = refused(parameters(after=text).position, "after", FOR_EVER)
    assert (error.message, error.param) == ("after: this is no place in the ledger", "after")
    assert "next" in str(error.actual_hint)


@pytest.mark.parametrize("request_id", ["", "' OR 1=1 --", "req_1.2", "\n", "☃"])
def test_whatever_an_id_is_it_is_only_text(request_id: str) -> None:
    text = encoded(f"5.{request_id}".encode())
    assert parameters(after=text).position("after", FOR_EVER) == Position(5, request_id)


@PROPERTY
@given(st.binary(max_size=80))
def test_no_bytes_make_a_place_fail_in_another_way(content: bytes) -> None:
    try:
        place = parameters(after=encoded(content)).position("after", FOR_EVER)
    except BadRequest:
        return
    assert place is None or render_moment(place)


def test_a_place_behind_the_period_is_its_end() -> None:
    place = Position(1_782_907_200_000_000, "req_1")
    given = parameters(after=render_position(place))
    assert given.position("after", NOW) is None
    assert given.position("after", NOW + timedelta(microseconds=1)) == place


def test_the_time_of_a_place_is_told() -> None:
    assert render_moment(Position(1_782_907_200_000_001, "x")) == "2026-07-01T12:00:00.000001+00:00"
