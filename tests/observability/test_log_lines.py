"""How lines look: aligned and short for people, whole for machines, and nobody's but ours."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.observability.events import CallCrashed, Listening, Notice, Observation, TokenRenewalFailed
from copilot_api.observability.log_lines import CALL_FIELDS, LogFormat, read_call, render_call, render_observation
from copilot_api.usage.models import Cause, UsageEvent
from tests.fakes import FakeClock

PROPERTY = settings(derandomize=True, deadline=None, database=None)
AT = FakeClock().now()


def render(observation: Observation, log_format: LogFormat = "text") -> str:
    return render_observation(observation, AT, log_format)


def call(log_format: LogFormat = "text", **fields: Any) -> str:
    known: dict[str, Any] = {
        "request_id": "req_1", "at": "2026-07-01T11:59:58+00:00", "endpoint": "/v1/messages", "status": 200, "cause": Cause.OK,
        "client": "claude-code", "model": "gpt-4.1", "upstream_model": "gpt-4.1", "key_id": "key_1", "stream": True, "duration": 1.25,
        "time_to_first_token": 0.31, "queue_seconds": 0.001, "input_tokens": 1200, "output_tokens": 40,
    }  # fmt: skip
    return render_call(read_call(UsageEvent(**{**known, **fields})), AT, log_format)


# Calls ------------------------------------------------------------------------------------------------------------------


def test_a_call_for_people() -> None:
    assert call() == (
        "12:00:00 info    200 ok                1.250s  /v1/messages            gpt-4.1              "
        "in=1200 out=40 first=0.310s client=claude-code key=key_1 id=req_1"
    )


def test_the_columns_are_in_line_whatever_ends_the_call() -> None:
    lines = [
        call(),
        call(status=404, cause=Cause.MODEL_NOT_FOUND, duration=0.0003, model="fast", upstream_model=None),
        call(
            endpoint="/v1/chat/completions",
            duration=612.5,
            model="claude-sonnet-4.6",
            upstream_model="claude-sonnet-4.6",
        ),
        call(status=0, cause=Cause.CLIENT_ABORTED, endpoint="/v1/responses"),
    ]
    assert len({line.index(" in=") for line in lines}) == 1
    assert len({line.index("/v1/") for line in lines}) == 1


def test_the_name_that_the_caller_used_and_the_model_behind_it() -> None:
    assert " fast->gpt-4.1 " in call(model="fast")
    assert " gpt-4.1 " in call()
    assert " fast " in call(model="fast", upstream_model=None)
    assert " - " in call(model=None, upstream_model=None)


def test_people_see_only_what_is_out_of_the_ordinary() -> None:
    refused = call(input_tokens=0, output_tokens=0)
    assert "in=" not in refused
    assert "out=" not in refused
    assert "first=" not in call(stream=False)
    assert "first=" not in call(time_to_first_token=None)
    assert "queued=" not in call(queue_seconds=0.09)
    assert " queued=2.500s " in call(queue_seconds=2.5)
    assert "kind=" not in call()
    assert " kind=title " in call(kind="title")
    assert "key=" not in call(key_id=None)


def test_machines_get_every_field_known_or_not() -> None:
    document = json.loads(call("json", model=None, time_to_first_token=None))
    assert list(document) == ["at", "level", "message", *CALL_FIELDS]
    assert (document["at"], document["level"], document["message"]) == ("2026-07-01T12:00:00.000+00:00", "info", "call")
    assert (document["status"], document["cause"], document["model"], document["stream"]) == (200, "ok", None, True)
    assert (document["duration"], document["queue_seconds"], document["time_to_first_token"]) == (1.25, 0.001, None)
    assert (document["upstream_model"], document["kind"], document["input_tokens"]) == ("gpt-4.1", "turn", 1200)


def test_the_line_of_a_call_has_no_place_for_what_must_not_be_kept() -> None:
    assert set(CALL_FIELDS) <= set(UsageEvent.__struct_fields__), "the ledger's own fields, which hold no content"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_name_without_end_does_not_make_a_line_without_end(log_format: LogFormat) -> None:
    assert len(call(log_format, model="m" * 100_000)) < 1_000


# Other things -----------------------------------------------------------------------------------------------------------


def test_the_line_that_scripts_wait_for() -> None:
    assert render(Listening("http://127.0.0.1:4141")) == "listening on http://127.0.0.1:4141"
    assert json.loads(render(Listening("http://127.0.0.1:4141"), "json"))["url"] == "http://127.0.0.1:4141"


def test_a_notice_says_its_text() -> None:
    assert render(Notice("mind the gap")) == "12:00:00 warning mind the gap"
    document = json.loads(render(Notice("mind the gap"), "json"))
    assert (document["message"], document["level"]) == ("mind the gap", "warning")
    assert "text" not in document


def test_a_field_is_named_and_quoted_where_it_has_to_be() -> None:
    assert render(TokenRenewalFailed("no answer")) == (
        '12:00:00 warning the Copilot token could not be renewed  reason="no answer"'
    )


def test_a_crash_comes_with_its_traceback() -> None:
    crash = CallCrashed("req_1", "Traceback:\n  line 1\nKeyError: 'x'")
    assert render(crash).endswith("request_id=req_1\nTraceback:\n  line 1\nKeyError: 'x'")
    assert json.loads(render(crash, "json"))["traceback"].endswith("KeyError: 'x'")


# What clients send ------------------------------------------------------------------------------------------------------

HOSTILE = [
    "a\n12:00:00 error   forged", "a\r\nforged", "\x1b[2J\x1b]0;title\x07", "\x9b31m", "a\u2028b", "a\u0085b", "\x00", 'a" b=c', "a in=forged",
    "\u202eevil",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_clients_send_can_forge_no_line_and_no_field(text: str) -> None:
    """A model's name is the caller's to choose, and is shown in the operator's terminal."""
    line = call(model=text, upstream_model=None)
    assert line.isprintable()
    found = re.fullmatch(r".{47}/v1/messages +(\S+|\".*\") +in=1200 out=40 .*", line)
    assert found, line
    assert " " not in found[1] or json.loads(found[1]) == text, "quoted, so that nothing in it looks like a field"
    assert render(Notice(text)).isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_what_clients_send_is_whole_in_json(text: str) -> None:
    line = call("json", model=text)
    assert json.loads(line)["model"] == text
    assert not any(ord(character) < 0x20 for character in line)


@settings(PROPERTY, max_examples=100)
@given(text=st.text(st.characters(), max_size=30), log_format=st.sampled_from(["text", "json"]))
def test_any_text_is_one_line(text: str, log_format: LogFormat) -> None:
    line = call(log_format, model=text)
    assert "\n" not in line
    assert log_format == "text" or json.loads(line)["model"] == text


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_half_a_surrogate_is_a_line_too(log_format: LogFormat) -> None:
    line = call(log_format, model="a\ud800")
    assert line.encode()
    assert log_format == "text" or json.loads(line)["model"] == "a\ud800"
