"""Every cause has its words, and what failed has advice where an error gives some."""

import pytest

from copilot_api.admin.causes import WORDS, list_advice, words_of
from copilot_api.usage.models import Cause, UsageEvent


def event(cause: Cause, status: int) -> UsageEvent:
    return UsageEvent(request_id="req_1", at="2026-07-01T12:00:00Z", cause=cause, status=status)


def test_no_cause_is_without_words() -> None:
    assert set(WORDS) == set(Cause)
    assert all(words.meaning.endswith(".") for words in WORDS.values())
    assert words_of("upstream_cut").who == "GitHub Copilot"


@pytest.mark.parametrize(
    ("cause", "status", "word"),
    [
        (Cause.MODEL_NOT_FOUND, 404, "/v1/models"),
        (Cause.OVER_BUDGET, 429, "GET /usage"),
        (Cause.UPSTREAM_RATE_LIMITED, 429, "Retry-After"),
        (Cause.UPSTREAM_TIMEOUT, 504, "effort"),
        (Cause.BAD_REQUEST, 413, "max_body_mb"),
    ],
)
def test_the_advice_is_that_of_the_error(cause: Cause, status: int, word: str) -> None:
    advice = list_advice(event(cause, status))
    assert any(word in each for each in advice)
    assert len(advice) == len(set(advice))


def test_an_unusual_status_has_the_advice_of_its_cause() -> None:
    assert list_advice(event(Cause.UPSTREAM_CUT, 200)) == ["the answer is incomplete; send the request again"]


def test_what_went_well_needs_none() -> None:
    assert list_advice(event(Cause.OK, 200)) == list_advice(event(Cause.CLIENT_ABORTED, 200)) == []
