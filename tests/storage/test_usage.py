import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from copilot_api.admission.budget import NOTHING
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.totals import Group, Traffic, list_totals, list_traffic, of_key
from tests.stored import Stored

START = datetime(2026, 7, 1, tzinfo=UTC)
END = START + timedelta(days=30)


def make_event(number: int = 0, *, at: datetime | None = None, **fields: object) -> UsageEvent:
    moment = at if at is not None else START + timedelta(seconds=number)
    values = {"cause": Cause.OK, "status": 200, **fields}
    return UsageEvent(request_id=f"req_{number:06}", at=moment.isoformat(), **values)  # type: ignore[arg-type]


def test_an_event_comes_back_as_it_was_stored(stored: Stored) -> None:
    full = make_event(
        1,
        at=START + timedelta(microseconds=123456),
        key_id="key_a",
        identity_id="default",
        client="claude-code",
        endpoint="/v1/messages",
        model="fast ☃",
        upstream_model="gpt-5-mini",
        upstream_endpoint="/chat/completions",
        stream=True,
        cause=Cause.UPSTREAM_CUT,
        input_tokens=5,
        output_tokens=4,
        cache_read_tokens=3,
        cache_write_tokens=2,
        reasoning_tokens=1,
        usage_unknown=True,
        nano_aiu=1_234_567_890,
        premium_requests=0.33,
        initiator="agent",
        effort="high",
        queue_seconds=0.25,
        time_to_first_token=1.5,
        duration=2.75,
        bytes_in=10,
        bytes_out=20,
        nano_aiu_estimated=True,
        estimated_tokens=1_600,
        would_limit="cidrs,rpm,all:credits:day",
    )
    empty = make_event(2)
    assert stored.usage.add_events([full, empty]) == 2
    assert list(stored.usage.list_events(START, END)) == [full, empty]


def test_an_event_that_is_replayed_counts_once(stored: Stored) -> None:
    first, second = make_event(1, input_tokens=1), make_event(2)
    assert stored.usage.add_events([first]) == 1
    assert stored.usage.add_events([make_event(1, input_tokens=99), second, second]) == 1
    assert list(stored.usage.list_events(START, END)) == [first, second]


def test_no_events_are_no_transaction(stored: Stored) -> None:
    stored.database.close()
    stored.directory.database.unlink()
    assert stored.usage.add_events([]) == 0


def test_events_are_listed_in_order_of_time_over_many_pages(stored: Stored) -> None:
    """Also where many arrived at the same microsecond, right at the edge of a page."""
    events = [make_event(number, at=START + timedelta(seconds=number // 700)) for number in range(2_500)]
    stored.usage.add_events(events[::-1])
    assert list(stored.usage.list_events(START, END)) == events


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(stored: Stored) -> None:
    stored.usage.add_events([make_event(number) for number in range(5)])
    found = stored.usage.list_events(START + timedelta(seconds=1), START + timedelta(seconds=3))
    assert [event.request_id for event in found] == ["req_000001", "req_000002"]


def test_events_and_sums_can_be_of_one_key(stored: Stored) -> None:
    stored.usage.add_events([make_event(1, key_id="key_a"), make_event(2, key_id="key_b"), make_event(3)])
    assert [event.key_id for event in stored.usage.list_events(START, END, (of_key("key_a"),))] == ["key_a"]
    assert [row.requests for row in list_totals(stored.usage, START, END, Group.MODEL, key_id="key_a")] == [1]


def test_a_time_with_another_offset_is_the_same_moment(stored: Stored) -> None:
    event = make_event(1)
    event.at = "2026-07-01T14:00:00+02:00"
    stored.usage.add_events([event])
    assert [found.at for found in stored.usage.list_events(START, END)] == ["2026-07-01T12:00:00+00:00"]


def test_numbers_and_texts_that_no_database_takes_do_not_keep_a_batch_out(stored: Stored) -> None:
    absurd = make_event(1, input_tokens=10**30, model="a\ud800b")
    assert stored.usage.add_events([absurd, make_event(2)]) == 2
    found = next(stored.usage.list_events(START, END))
    assert (found.input_tokens, found.model) == (2**63 - 1, "a?b")


def test_listing_holds_no_lock_while_its_reader_is_slow(stored: Stored) -> None:
    stored.usage.add_events([make_event(number) for number in range(3)])
    events = stored.usage.list_events(START, END)
    next(events)
    stored.usage.add_events([make_event(3)])
    with closing(sqlite3.connect(stored.directory.database)) as other:
        is_held_up, *_ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert not is_held_up
    assert len(list(events)) == 2


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (Group.KEY, [None, "key_a", "key_b"]),
        (Group.MODEL, [None, "fast", "slow"]),
        (Group.CLIENT, ["codex", "other"]),
        (Group.DAY, ["2026-07-01", "2026-07-03"]),
    ],
)
def test_sums_are_by_group_in_order(stored: Stored, group: Group, expected: list[str | None]) -> None:
    third = START + timedelta(days=2)
    stored.usage.add_events(
        [
            make_event(1, key_id="key_b", model="slow", client="other"),
            make_event(2, key_id="key_a", model="fast", client="codex", at=third),
            make_event(3, at=third + timedelta(days=1) - timedelta(microseconds=1)),
        ]
    )
    assert [row.group for row in list_totals(stored.usage, START, END, group)] == expected


def test_sums_add_up_everything_and_tell_errors_from_hang_ups(stored: Stored) -> None:
    tokens: dict[str, Any] = dict.fromkeys(
        ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"], 10
    )
    stored.usage.add_events(
        [
            make_event(1, nano_aiu=5, premium_requests=0.5, **tokens),
            make_event(2, nano_aiu=None, **tokens),
            make_event(3, cause=Cause.CLIENT_ABORTED, status=0),
            make_event(4, cause=Cause.UPSTREAM_CUT, status=200),
            make_event(5, cause=Cause.RATE_LIMITED, status=429),
            make_event(6, cause=Cause.CLIENT_ABORTED, status=499, would_limit="rpm,tpm"),
            make_event(7, would_limit="credits:day"),
        ]
    )
    (row,) = list_totals(stored.usage, START, END, Group.MODEL)
    assert (row.requests, row.errors, row.nano_aiu, row.premium_requests) == (7, 3, 5, 0.5)
    assert row.would_limit == 2, "calls, not limits"
    assert {getattr(row, name) for name in tokens} == {20}


# What budgets ask -------------------------------------------------------------------------------------------------


def sent(number: int, **fields: Any) -> UsageEvent:
    """A call of `key_a` that went upstream."""
    values: dict[str, Any] = {"key_id": "key_a", "identity_id": "default", **fields}
    return make_event(number, **values)


def test_what_was_spent_is_the_sum_of_what_went_upstream(stored: Stored) -> None:
    """Input counts with what was cached of it, output with reasoning, and an unknown usage as it was estimated."""
    stored.usage.add_events(
        [
            sent(1, input_tokens=100, output_tokens=20, cache_read_tokens=90, reasoning_tokens=15, nano_aiu=5_000),
            sent(2, usage_unknown=True, estimated_tokens=1_600, nano_aiu=7, nano_aiu_estimated=True),
            sent(3, cause=Cause.UPSTREAM_CUT, output_tokens=3, premium_requests=0.33, nano_aiu=None),
            sent(4, cause=Cause.INTERRUPTED, status=0, premium_requests=1.0),
        ]
    )
    nano_aiu, premium_requests, tokens, requests = stored.usage.spent("key_a", START, END)
    assert (nano_aiu, tokens, requests) == (5_007, 1_723, 4)
    assert premium_requests == pytest.approx(1.33)


def test_what_never_went_upstream_spent_nothing(stored: Stored) -> None:
    stored.usage.add_events(
        [
            sent(1, identity_id=None, cause=Cause.RATE_LIMITED, status=429, input_tokens=5),
            sent(2, identity_id=None, cause=Cause.OVER_BUDGET, status=429),
            sent(3, identity_id=None, cause=Cause.MODEL_NOT_FOUND, status=404),
        ]
    )
    assert stored.usage.spent("key_a", START, END) == NOTHING
    assert stored.usage.spent(None, START, END) == NOTHING


def test_where_nothing_is_nothing_was_spent(stored: Stored) -> None:
    spent = stored.usage.spent("key_a", START, END)
    assert spent == NOTHING
    assert [type(amount) for amount in spent] == [int, float, int, int]


def test_what_was_spent_is_of_one_key_or_of_all(stored: Stored) -> None:
    stored.usage.add_events(
        [
            sent(1, input_tokens=1),
            sent(2, input_tokens=10, key_id="key_b"),
            sent(3, input_tokens=100, key_id="anonymous"),
            sent(4, input_tokens=1_000, key_id=None),
        ]
    )
    assert stored.usage.spent("key_a", START, END)[2:] == (1, 1)
    assert stored.usage.spent("key_c", START, END) == NOTHING
    assert stored.usage.spent(None, START, END)[2:] == (1_111, 4)


def test_what_was_spent_is_of_the_period_from_its_first_moment_to_before_its_last(stored: Stored) -> None:
    """To the microsecond: what comes at the last counts with the process that began then."""
    day = timedelta(days=1)
    instant = timedelta(microseconds=1)
    moments = [START - instant, START, START + day - instant, START + day]
    stored.usage.add_events([sent(number, at=at, input_tokens=10**number) for number, at in enumerate(moments)])
    assert stored.usage.spent("key_a", START, START + day)[2:] == (110, 2)
    assert stored.usage.spent(None, START, START + day)[2:] == (110, 2)


def test_absurd_numbers_keep_no_budget_from_being_known(stored: Stored) -> None:
    """Sums of integers overflow, and that is an error."""
    absurd = {"nano_aiu": 10**30, "input_tokens": 10**30, "output_tokens": 10**30}
    stored.usage.add_events([sent(number, **absurd) for number in range(3)])
    nano_aiu, _, tokens, requests = stored.usage.spent("key_a", START, END)
    assert (nano_aiu, tokens, requests) == (3 * 10**15, 6 * 10**15, 3), "each is cut to what a call may have"


def test_what_was_spent_is_exact_up_to_millions_of_credits(stored: Stored) -> None:
    stored.usage.add_events([sent(number, nano_aiu=900_000_000_000_001) for number in range(10)])
    assert stored.usage.spent("key_a", START, END)[0] == 9_000_000_000_000_010


# What the keys used of the models ---------------------------------------------------------------------------------


def named(number: int, **fields: Any) -> UsageEvent:
    """A call of `key_a` that named the model `fast`, and went to `gpt-5-mini`."""
    values = {"model": "fast", "upstream_model": "gpt-5-mini", "endpoint": "/v1/responses", **fields}
    return sent(number, **values)


def test_traffic_is_added_up_by_key_name_endpoint_and_model(stored: Stored) -> None:
    tokens = {"input_tokens": 10, "output_tokens": 3, "cache_read_tokens": 2, "cache_write_tokens": 1, "nano_aiu": 100}
    others = [{"key_id": "key_b"}, {"model": "slow"}, {"endpoint": "/v1/messages"}, {"upstream_model": "gpt-4.1"}]
    stored.usage.add_events([named(number, **tokens) for number in range(3)])
    stored.usage.add_events([named(number, **other) for number, other in enumerate(others, start=3)])
    traffic = {
        (row.key_id, row.model, row.endpoint, row.upstream_model): row for row in list_traffic(stored.usage, START, END)
    }
    assert len(traffic) == 5
    assert traffic["key_a", "fast", "/v1/responses", "gpt-5-mini"] == Traffic(
        key_id="key_a",
        model="fast",
        endpoint="/v1/responses",
        upstream_model="gpt-5-mini",
        requests=3,
        measured_requests=3,
        input_tokens=30,
        output_tokens=9,
        cache_read_tokens=6,
        cache_write_tokens=3,
        nano_aiu=300,
    )


def test_where_nothing_is_there_is_no_traffic(stored: Stored) -> None:
    assert list_traffic(stored.usage, START, END) == []


def test_traffic_is_of_the_period_from_its_first_moment_to_before_its_last(stored: Stored) -> None:
    instant = timedelta(microseconds=1)
    moments = [START - instant, START, END - instant, END]
    stored.usage.add_events([named(number, at=at) for number, at in enumerate(moments)])
    assert [row.requests for row in list_traffic(stored.usage, START, END)] == [2]


@pytest.mark.parametrize("cause", [Cause.MODEL_NOT_FOUND, Cause.MODEL_NOT_ALLOWED])
def test_a_call_that_was_refused_for_its_model_is_traffic_of_no_model(stored: Stored, cause: Cause) -> None:
    stored.usage.add_events([named(1, identity_id=None, upstream_model=None, cause=cause, status=404)])
    (row,) = list_traffic(stored.usage, START, END)
    assert (row.model, row.upstream_model, row.requests) == ("fast", None, 1)
    assert (row.measured_requests, row.input_tokens, row.nano_aiu) == (0, 0, None)


def test_a_call_that_was_refused_for_another_reason_is_no_traffic(stored: Stored) -> None:
    """It would be refused again, whatever the name means."""
    causes = set(Cause) - {Cause.MODEL_NOT_FOUND, Cause.MODEL_NOT_ALLOWED}
    stored.usage.add_events(
        [named(number, identity_id=None, cause=cause, status=400) for number, cause in enumerate(sorted(causes))]
    )
    stored.usage.add_events([named(97, model=None), named(98, key_id=None)])
    assert list_traffic(stored.usage, START, END) == []


def test_a_call_that_went_upstream_is_traffic_however_it_ended(stored: Stored) -> None:
    stored.usage.add_events([named(number, cause=cause) for number, cause in enumerate(Cause)])
    assert [row.requests for row in list_traffic(stored.usage, START, END)] == [len(Cause)]


def test_traffic_tells_calls_of_unknown_usage_from_those_that_were_measured(stored: Stored) -> None:
    """What was set aside for them is no measure of what they used."""
    unknown = {"usage_unknown": True, "estimated_tokens": 99, "nano_aiu": 99, "nano_aiu_estimated": True}
    stored.usage.add_events([named(1, input_tokens=5, nano_aiu=7), named(2, **unknown), named(3, nano_aiu=None)])
    (row,) = list_traffic(stored.usage, START, END)
    assert (row.requests, row.measured_requests, row.input_tokens, row.nano_aiu) == (3, 2, 5, 7)


def test_absurd_numbers_keep_no_traffic_from_being_known(stored: Stored) -> None:
    stored.usage.add_events([named(number, input_tokens=10**30, nano_aiu=10**30) for number in range(3)])
    (row,) = list_traffic(stored.usage, START, END)
    assert (row.input_tokens, row.nano_aiu) == (3 * 10**15, 3 * 10**15)
