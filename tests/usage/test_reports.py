from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.reports import report_usage
from copilot_api.usage.totals import Group
from tests.stored import Stored

START = datetime(2026, 7, 1, tzinfo=UTC)
END = START + timedelta(days=2)
SUMS = {
    "requests",
    "errors",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "credits",
    "premium_requests",
    "would_limit",
}


@pytest.fixture(autouse=True)
def events(stored: Stored) -> None:
    at = START.isoformat()
    stored.usage.add_events(
        [
            UsageEvent(
                request_id="a",
                at=at,
                key_id="key_a",
                model="fast",
                status=200,
                cause=Cause.OK,
                input_tokens=100,
                nano_aiu=1_500_000_000,
            ),
            UsageEvent(request_id="b", at=at, key_id="key_a", model="slow", status=429, cause=Cause.RATE_LIMITED),
            UsageEvent(
                request_id="c", at=at, key_id="key_b", model="slow", status=200, cause=Cause.OK, premium_requests=0.25
            ),
        ]
    )


def test_a_report_has_the_promised_shape(stored: Stored) -> None:
    report = report_usage(stored.usage, START, END, Group.MODEL)
    assert report.keys() == {"since", "until", "rows", "total"}
    assert report["since"] == "2026-07-01T00:00:00+00:00"
    assert all(row.keys() == {"group", *SUMS} for row in report["rows"])
    assert report["total"].keys() == SUMS


def test_the_charge_is_in_credits(stored: Stored) -> None:
    assert [row["credits"] for row in report_usage(stored.usage, START, END, Group.MODEL)["rows"]] == [1.5, 0.0]


def test_the_total_is_the_sum_of_the_rows(stored: Stored) -> None:
    for group in Group:
        total = report_usage(stored.usage, START, END, group)["total"]
        assert (total["requests"], total["errors"], total["input_tokens"]) == (3, 1, 100)
        assert (total["credits"], total["premium_requests"]) == (1.5, 0.25)


def test_what_would_have_been_refused_is_counted_by_call(stored: Stored) -> None:
    stored.usage.add_events(
        [
            UsageEvent(request_id=name, at=START.isoformat(), key_id="key_b", cause=Cause.OK, would_limit=limits)
            for name, limits in (("d", "rpm"), ("e", "rpm,tpm,all:credits:day"), ("f", None))
        ]
    )
    report = report_usage(stored.usage, START, END, Group.KEY)
    assert [(row["group"], row["would_limit"]) for row in report["rows"]] == [("key_a", 0), ("key_b", 2)]
    assert report["total"]["would_limit"] == 2


def test_a_row_of_a_key_says_its_label_if_it_is_known(stored: Stored) -> None:
    rows = report_usage(stored.usage, START, END, Group.KEY, labels={"key_a": "ci"})["rows"]
    assert [(row["group"], row["label"]) for row in rows] == [("key_a", "ci"), ("key_b", None)]


def test_a_report_can_be_of_one_key(stored: Stored) -> None:
    total = report_usage(stored.usage, START, END, Group.DAY, key_id="key_a")["total"]
    assert total["requests"] == 2


def test_a_report_of_nothing_is_a_total_of_nothing(stored: Stored) -> None:
    report = report_usage(stored.usage, END, END + timedelta(days=1), Group.DAY)
    assert report["rows"] == []
    assert set(report["total"].values()) == {0}
