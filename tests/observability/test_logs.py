"""Observations as lines: one line each, in two forms, and never a secret."""

import io
import json
import logging
import re
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
from copilot_api.observability.logs import LibraryLogs, Log, LogFormat, strike_secrets
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


def lines(*observations: Observation, log_format: LogFormat = "text", is_verbose: bool = True) -> list[str]:
    stream = io.StringIO()
    log = Log(FakeClock(), log_format=log_format, is_verbose=is_verbose, stream=stream)
    for observation in observations:
        log(observation)
    written = stream.getvalue()
    assert written == "" or written.endswith("\n")
    return written.split("\n")[:-1]


def ended(**fields: Any) -> CallEnded:
    known: dict[str, Any] = {
        "request_id": "req_1", "at": "2026-07-01T12:00:00+00:00", "endpoint": "/v1/chat/completions", "status": 200, "cause": Cause.OK,
        "model": "gpt-4.1", "key_id": "key_1", "duration": 1.25, "input_tokens": 3, "output_tokens": 4,
    }  # fmt: skip
    return CallEnded(UsageEvent(**{**known, **fields}))


def test_the_line_that_scripts_wait_for() -> None:
    assert lines(Listening("http://127.0.0.1:4141"), is_verbose=False) == ["listening on http://127.0.0.1:4141"]
    [line] = lines(Listening("http://127.0.0.1:4141"), log_format="json", is_verbose=False)
    assert json.loads(line)["url"] == "http://127.0.0.1:4141"


def test_a_line_for_people() -> None:
    [line] = lines(ended())
    assert line.startswith("12:00:00 debug   call  ")
    for part in ("request_id=req_1", "status=200", "cause=ok", "model=gpt-4.1", "duration=1.250"):
        assert part in line.split()


def test_a_line_for_machines() -> None:
    [line] = lines(ended(), log_format="json")
    document = json.loads(line)
    assert list(document)[:3] == ["at", "level", "message"]
    assert document["at"] == "2026-07-01T12:00:00.000+00:00"
    assert (document["level"], document["message"], document["duration"], document["model"]) == (
        "debug",
        "call",
        1.25,
        "gpt-4.1",
    )


def test_what_is_not_known_is_left_out_for_people_and_null_for_machines() -> None:
    assert "model" not in lines(ended(model=None))[0]
    assert json.loads(lines(ended(model=None), log_format="json")[0])["model"] is None


def test_calls_are_shown_to_who_asks_for_them() -> None:
    assert lines(ended(), TokenRenewed("https://x"), is_verbose=False) == []
    assert len(lines(Stopping(2), Stopped(), TokenRenewalFailed("x"), Notice("y"), is_verbose=False)) == 4


def test_a_notice_says_its_text() -> None:
    assert lines(Notice("mind the gap"))[0].endswith("warning mind the gap")
    document = json.loads(lines(Notice("mind the gap"), log_format="json")[0])
    assert (document["message"], document["level"]) == ("mind the gap", "warning")
    assert "text" not in document


def test_a_crash_comes_with_its_traceback() -> None:
    crash = CallCrashed("req_1", "Traceback:\n  line 1\nKeyError: 'x'")
    assert "KeyError: 'x'" in "\n".join(lines(crash))
    assert json.loads(lines(crash, log_format="json")[0])["traceback"].endswith("KeyError: 'x'")


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_no_line_holds_a_secret(secret: str, log_format: LogFormat) -> None:
    observations = [
        Notice(f"it says {secret}"),
        ended(model=secret),
        TokenRenewalFailed(f'refused: "{secret}"'),
        CallCrashed("r", f"x\n{secret}\n"),
    ]
    written = "\n".join(lines(*observations, log_format=log_format))
    assert core(secret) not in written


HOSTILE = [
    "a\n12:00:00 error   forged",
    "a\r\nforged",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "a\u2028b",
    "a\u0085b",
    "\x00",
    'a" b=c',
    "a b=forged",
    "\u202eevil",
]


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("text", HOSTILE)
def test_what_clients_send_can_forge_no_line_and_no_field(text: str, log_format: LogFormat) -> None:
    """A model's name is the caller's to choose, and `--verbose` shows it in the operator's terminal."""
    stream = io.StringIO()
    log = Log(FakeClock(), log_format=log_format, is_verbose=True, stream=stream)
    log(ended(model=text))
    log(Notice(text))
    written = stream.getvalue()
    assert written.count("\n") == 2
    if log_format == "text":
        assert all(character.isprintable() or character == "\n" for character in written)
        [_, model, _] = re.split(r" model=| key_id=", written.split("\n")[0])
        assert " " not in model or json.loads(model) == text, "quoted, so that nothing in it looks like a field"
    else:
        assert json.loads(written.split("\n")[0])["model"] == text
        assert not any(ord(character) < 0x20 for character in written.replace("\n", ""))


@settings(PROPERTY, max_examples=100)
@given(text=st.text(max_size=30), log_format=st.sampled_from(["text", "json"]))
def test_any_text_is_one_line(text: str, log_format: LogFormat) -> None:
    stream = io.StringIO()
    Log(FakeClock(), log_format=log_format, is_verbose=True, stream=stream)(ended(model=text))
    assert stream.getvalue().count("\n") == 1


# Streams that are gone -------------------------------------------------------------------------------------------


class BrokenStream(io.StringIO):
    """Standard error after the terminal is gone, or on a full disk."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str, /) -> int:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        BrokenPipeError(),
        OSError(28, "no space left"),
        ValueError("I/O operation on closed file"),
        UnicodeEncodeError("ascii", "é", 0, 1, "x"),
    ],
)
def test_a_log_that_nobody_reads_breaks_no_call(error: Exception) -> None:
    log = Log(FakeClock(), log_format="text", is_verbose=True, stream=BrokenStream(error))
    log(ended())


def test_a_closed_stream_breaks_no_call() -> None:
    stream = io.StringIO()
    stream.close()
    Log(FakeClock(), log_format="json", is_verbose=True, stream=stream)(ended())


def test_half_a_surrogate_breaks_no_call() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    for log_format in ("text", "json"):
        Log(FakeClock(), log_format=log_format, is_verbose=True, stream=stream)(ended(model="\ud800"))


def test_lines_go_to_standard_error_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    Log(FakeClock(), log_format="text", is_verbose=False)(Stopped())
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "stopped" in captured.err


# Libraries -------------------------------------------------------------------------------------------------------


def test_what_libraries_say_comes_in_the_same_form() -> None:
    stream = io.StringIO()
    handler = LibraryLogs(Log(FakeClock(), log_format="json", is_verbose=False, stream=stream))
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
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["message"] == "some.library: it is late"
    assert second["message"] == "some.library: failed: ValueError: [redacted]"
