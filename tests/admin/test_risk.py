"""How the account stands is told in one word, worse words for worse."""

from datetime import UTC, datetime

from copilot_api.admin.risk import MOST, describe_risk
from copilot_api.errors import UpstreamRateLimited
from copilot_api.upstream.brake import TOLERATED_STRIKES, Brake, Stop


def limit(brake: Brake, times: int) -> None:
    for number in range(times):
        brake.refused(UpstreamRateLimited("slower", retry_after=60), float(number), float(number))


def test_a_new_account_is_calm() -> None:
    risk = describe_risk(Brake(8), 0.0)
    assert (risk.level, risk.word, risk.tone) == (0, "calm", "good")


def test_it_gets_worse_step_by_step() -> None:
    one_slot, braked, limited, stopped = Brake(1), Brake(8), Brake(8), Brake(8)
    limit(one_slot, 1)
    limit(braked, 1)
    limit(limited, TOLERATED_STRIKES)
    stopped.stop = Stop(datetime(2026, 7, 1, tzinfo=UTC), "abuse detected")
    risks = [describe_risk(brake, TOLERATED_STRIKES) for brake in (Brake(8), one_slot, braked, limited, stopped)]
    assert [risk.level for risk in risks] == [0, 1, 2, 3, MOST]
    assert [risk.word for risk in risks] == ["calm", "watchful", "braked", "limited", "stopped"]
    assert "4 of 8" in risks[2].text
    assert "40 rate limits in a row" in risks[3].text
    assert "abuse detected" in risks[4].text
