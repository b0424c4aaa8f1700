"""How limits per minute are told, in the forms that clients of each vendor parse."""

import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.api import rate_headers as rate_headers_module
from copilot_api.api.rate_headers import anthropic_rate_headers, openai_rate_headers
from copilot_api.errors import Rate

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=100)
NOW = datetime(2026, 7, 1, 12, 0, 0, 250_000, tzinfo=UTC)
RATES = (Rate("requests", 60, 59, 60.25), Rate("tokens", 150_000, 149_984, 1.5))
GO_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d*[1-9])?)s)?|(\d+)ms")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_headers_module, "_now", NOW.timestamp)


def seconds_of(duration: str) -> float:
    """What a Go program reads in it."""
    found = GO_DURATION.fullmatch(duration)
    assert found is not None, duration
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def test_openais_clients_find_limit_rest_and_reset_of_requests_and_tokens() -> None:
    assert openai_rate_headers(RATES) == [
        (b"x-ratelimit-limit-requests", b"60"),
        (b"x-ratelimit-remaining-requests", b"59"),
        (b"x-ratelimit-reset-requests", b"1m0.25s"),
        (b"x-ratelimit-limit-tokens", b"150000"),
        (b"x-ratelimit-remaining-tokens", b"149984"),
        (b"x-ratelimit-reset-tokens", b"1.5s"),
    ]


def test_anthropics_clients_find_theirs_and_those_of_openai() -> None:
    headers = anthropic_rate_headers(RATES)
    assert headers[:6] == openai_rate_headers(RATES)
    assert headers[6:] == [
        (b"anthropic-ratelimit-requests-limit", b"60"),
        (b"anthropic-ratelimit-requests-remaining", b"59"),
        (b"anthropic-ratelimit-requests-reset", b"2026-07-01T12:01:01Z"),
        (b"anthropic-ratelimit-tokens-limit", b"150000"),
        (b"anthropic-ratelimit-tokens-remaining", b"149984"),
        (b"anthropic-ratelimit-tokens-reset", b"2026-07-01T12:00:02Z"),
    ]


def test_without_limits_nothing_is_said() -> None:
    assert openai_rate_headers(()) == anthropic_rate_headers(()) == []


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, b"0s"), (-1.0, b"0s"), (0.0004, b"1ms"), (0.012, b"12ms"), (0.12, b"120ms"), (0.9999, b"1s"), (1.0, b"1s"), (1.5, b"1.5s"),
        (14.981, b"14.981s"), (59.9999, b"1m0s"), (60.0, b"1m0s"), (60.25, b"1m0.25s"), (86.4, b"1m26.4s"), (360.0, b"6m0s"),
    ],
)  # fmt: skip
def test_a_duration_is_written_as_go_writes_it(seconds: float, written: bytes) -> None:
    assert openai_rate_headers((Rate("tokens", 1, 0, seconds),))[2][1] == written


@settings(PROPERTY)
@given(st.floats(0, 61))
def test_whoever_waits_as_long_as_it_says_has_waited_long_enough_and_no_longer(seconds: float) -> None:
    headers = dict(anthropic_rate_headers((Rate("requests", 1, 0, seconds),)))
    told = seconds_of(headers[b"x-ratelimit-reset-requests"].decode())
    assert seconds - 1e-6 <= told <= seconds + 0.0011
    moment = datetime.fromisoformat(headers[b"anthropic-ratelimit-requests-reset"].decode())
    assert timedelta(seconds=seconds - 1e-5) <= moment - NOW <= timedelta(seconds=math.ceil(seconds) + 1)


def test_a_moment_is_a_time_of_utc_as_rfc_3339_has_it() -> None:
    (_, written) = anthropic_rate_headers((Rate("tokens", 1, 0, 43_200.0),))[-1]
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", written)
    assert datetime.fromisoformat(written.decode()).utcoffset() == timedelta(0)


def test_the_moment_is_of_this_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (_, written) = anthropic_rate_headers((Rate("tokens", 1, 0, 0.0),))[-1]
    moment = datetime.fromisoformat(written.decode()).timestamp()
    assert abs(moment - rate_headers_module._now()) < 5
