"""The longer the period, the older its answer may be."""

from datetime import timedelta

from copilot_api.admin.freshness import max_age


def test_ages_grow_with_periods() -> None:
    spans = [timedelta(minutes=15), timedelta(hours=3), timedelta(hours=24), timedelta(days=7), timedelta(days=90)]
    ages = [max_age(span) for span in spans]
    assert ages == sorted(ages)
    assert ages[0] <= 5
    assert ages[-1] <= 60
