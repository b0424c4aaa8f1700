"""Observations as lines: one line each, in two forms, and never a secret."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.observability.events import (
    CallCrashed,
    CallEnded,
    Listening,
    Notice,
    Observation,
    Stopped,
    Stopping,
    TokenRenewalFailed,
    TokenRenewed,
)
from copilot_api.observability.log_lines import LogFormat
from copilot_api.observability.logs import _SECRETS, LibraryLogs, Log, strike_secrets
from copilot_api.usage.models import Cause, UsageEvent
from tests.fakes import FakeClock

PROPERTY = settings(derandomize=True, deadline=None, database=None)
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
SECRETS = {
    "our key": "sk-cap-" + BASE32 + "abcdefghijklmnopqrst",
    "GitHub personal token": "ghp_" + "A1b2C3d4" * 4 + "Z9z9",
    "GitHub OAuth token": "gho_" + "A1b2C3d4" * 4,
    "GitHub user token": "ghu_" + "A1b2C3d4" * 4,
    "GitHub server token": "ghs_" + "A1b2C3d4" * 4,
    "GitHub refresh token": "ghr_" + "A1b2C3d4" * 8,
    "GitHub fine-grained token": "github_pat_11ABCDEFG0" + "a1B2_c3D4" * 6,
    "Copilot token": "tid=1234abcd;exp=1770000000;sku=copilot_for_business;st=dotcom;chat=1;8kp=1:0123456789abcdef0123456789abcdef",
    "JWT": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc_DEF-123",
    "bearer": "Bearer abcdefghijklmnop.~+/=:-_1234",
    "bearer in lower case": "bearer 0123456789abcdef0123",
    "token": "token 0123456789abcdef0123456789",
    "OpenAI key": "sk-proj-" + "aB3_dE6-" * 8,
    "Anthropic key": "sk-ant-api03-" + "aB3_dE6-" * 10 + "AA",
}
AROUND = [
    "{}",
    "key {}",
    '"{}"',
    "'{}'",
    "authorization={}",
    "x={}&y=1",
    "({})",
    "{}.",
    "<{}>",
    '{{"a":"{}"}}',
    "Authorization: {}",
    "https://x/?key={}",
    "\n{}\n",
]


def core(secret: str) -> str:
    """The part that must be gone: what follows `Bearer `, say."""
    return secret.rpartition(" ")[2]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("around", AROUND)
def test_a_secret_is_struck_out_wherever_it_stands(secret: str, around: str) -> None:
    struck = strike_secrets(around.format(secret))
    assert core(secret) not in struck
    assert core(secret)[12:24] not in struck
    assert "[redacted]" in struck


@pytest.mark.parametrize(
    "text",
    [
        "", "nothing to see", "the token is wrong", "Bearer is missing", "gpt-4.1", "key_0123456789abcdef", "req_0199c0ffee0199c0ffee",
        "sk-cap-abcd", "sk-", "ghost_writer is fine", "listening on http://127.0.0.1:4141", "tids=1", "github_pattern",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert strike_secrets(text) == text


def test_many_secrets_in_one_text_are_all_struck() -> None:
    text = " and ".join(SECRETS.values())
    struck = strike_secrets(text)
    assert not [secret for secret in SECRETS.values() if core(secret) in struck]


@settings(PROPERTY, max_examples=300)
@given(
    st.lists(st.one_of(st.text(max_size=5), st.sampled_from([*SECRETS.values(), "Bearer ", "TOKEN ", "sk-", "\u212a", "\u0130", "eyJ", "GH"])), max_size=6)
)  # fmt: skip
def test_looking_for_marks_first_misses_nothing(parts: list[str]) -> None:
    text = "".join(parts)
    assert strike_secrets(text) == _SECRETS.sub("[redacted]", text)


def test_striking_takes_linear_time() -> None:
    for text in (
        "eyJ" + "a" * 500_000,
        "bearer " * 100_000,
        "sk-" * 300_000,
        "tid" * 300_000,
        "gh" * 400_000,
        "eyJaaaaaaaa." * 50_000,
    ):
        strike_secrets(text)


# Lines -----------------------------------------------------------------------------------------------------------


class Written:
    """What was to be written, made at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.urgent: list[bool] = []

    def __call__(self, render: Callable[[], str], *, is_urgent: bool) -> None:
        self.lines.append(render())
        self.urgent.append(is_urgent)


def lines(*observations: Observation, log_format: LogFormat = "text", **settings: bool) -> list[str]:
    written = Written()
    log = Log(FakeClock(), written, log_format=log_format, **settings)
    for observation in observations:
        log(observation)
    return written.lines


def ended(**fields: Any) -> CallEnded:
    known: dict[str, Any] = {"request_id": "req_1", "at": "2026-07-01T12:00:00+00:00", "status": 200, "cause": Cause.OK}
    return CallEnded(UsageEvent(**{**known, **fields}))


def test_each_call_is_a_line_unless_that_is_switched_off() -> None:
    assert len(lines(ended(), ended())) == 2
    assert lines(ended(), has_calls=False) == []
    assert lines(ended(), has_calls=False, is_verbose=True) == []


def test_what_only_a_developer_wants_to_know_is_shown_to_who_asks() -> None:
    assert lines(TokenRenewed("https://x")) == []
    assert len(lines(TokenRenewed("https://x"), is_verbose=True)) == 1
    assert len(lines(Stopping(2), Stopped(), TokenRenewalFailed("x"), Notice("y"), has_calls=False)) == 4


def test_calls_may_gather_and_the_rest_is_written_at_once() -> None:
    written = Written()
    log = Log(FakeClock(), written, log_format="text")
    log(ended())
    log(Listening("http://127.0.0.1:4141"))
    assert written.urgent == [False, True]


def test_a_call_is_read_at_once_and_not_when_its_line_is_made() -> None:
    """Its event may be somebody's to change by then."""
    renders: list[Callable[[], str]] = []

    def put(render: Callable[[], str], *, is_urgent: bool) -> None:
        renders.append(render)

    call = UsageEvent(request_id="req_1", at="", status=200, cause=Cause.OK, model="before")
    Log(FakeClock(), put, log_format="text")(CallEnded(call))
    call.model, call.status = "after", 500
    assert "before" in renders[0]()
    assert " 200 ok" in renders[0]()


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_no_line_holds_a_secret(secret: str, log_format: LogFormat) -> None:
    observations = [
        Notice(f"it says {secret}"),
        ended(model=secret, upstream_model=secret),
        TokenRenewalFailed(f'refused: "{secret}"'),
        CallCrashed("r", f"x\n{secret}\n"),
    ]
    written = strike_secrets("\n".join(lines(*observations, log_format=log_format)))
    assert core(secret) not in written


# Libraries -------------------------------------------------------------------------------------------------------


def test_what_libraries_say_comes_in_the_same_form() -> None:
    written = Written()
    handler = LibraryLogs(Log(FakeClock(), written, log_format="json"))
    logger = logging.getLogger("some.library")
    logger.addHandler(handler)
    try:
        logger.warning("it is %s", "late")
        logger.info("not shown")
        raise ValueError("gho_" + "a" * 20)
    except ValueError:
        logger.exception("failed")
    finally:
        logger.removeHandler(handler)
    first, second = (json.loads(strike_secrets(line)) for line in written.lines)
    assert first["message"] == "some.library: it is late"
    assert second["message"] == "some.library: failed: ValueError: [redacted]"
