from copilot_api.usage.repository import Group, UsageTotals


def test_usage_is_summed_by_key_model_client_or_day() -> None:
    assert [group.value for group in Group] == ["key", "model", "client", "day"]


def test_the_sum_of_nothing_is_nothing() -> None:
    totals = UsageTotals(group=None)
    assert (totals.requests, totals.errors, totals.nano_aiu, totals.premium_requests) == (0, 0, 0, 0.0)
