"""What people see of a trace: all of it is there, in order, and none of it does anything to the terminal."""

import json
from typing import Any

import pytest

from copilot_api.capture.lines import encode_trace, summarise
from copilot_api.capture.models import Attempt, Cut, Leg, Moment, Trace
from copilot_api.cli.trace_views import COLUMNS, render_line, render_row, render_trace

AT = "2026-07-01T12:00:00.123456+00:00"
REQUEST = {"model": "gpt-5", "messages": [
    {"role": "system", "content": "Be brief."}, {"role": "user", "content": "look\nat this"},
    {"role": "assistant", "tool_calls": [{"id": "t", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}]},
    {"role": "tool", "tool_call_id": "t", "content": "a sky"},
], "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]}  # fmt: skip
ANSWER = {"id": "c", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 1200, "completion_tokens": 2},
          "choices": [{"index": 0, "message": {"role": "assistant", "content": "It is blue."}, "finish_reason": "stop"}]}  # fmt: skip


def trace(**more: Any) -> Trace:
    fields: dict[str, Any] = {
        "number": 7, "request_id": "req_1", "at": AT, "key_id": "key_a", "client": "curl", "endpoint": "/v1/chat/completions",
        "model": "gpt-5", "upstream_model": "gpt-5-mini", "status": 200, "cause": "ok", "duration_ms": 100.0, "redactions": {"jwt": 2},
        "client_request": Leg(method="POST", target="/v1/chat/completions", ended_ms=1.0, bytes=1234, body=json.dumps(REQUEST), headers=[("user-agent", "curl/8")]),
        "upstream_request": Leg(method="POST", target="https://api.example/chat/completions", started_ms=2.0, ended_ms=3.0),
        "upstream_answer": Leg(status=200, started_ms=20.0, ended_ms=90.0, timeline=[Moment(20.0, 5), Moment(90.0, 5)]),
        "client_answer": Leg(status=200, started_ms=21.0, ended_ms=100.0, body=json.dumps(ANSWER)),
    }  # fmt: skip
    return Trace(**{**fields, **more})


def text_of(found: Trace) -> str:
    return "\n".join(render_trace(found))


def test_it_shows_head_waterfall_legs_and_conversation() -> None:
    shown = text_of(trace())
    parts = [
        "req_1", "gpt-5 → gpt-5-mini", "jwt 2x", "█", "2 pieces", "── client request: POST /v1/chat/completions, 1,234 bytes", "user-agent: curl/8",
        "── upstream request", "── upstream answer: status 200", "── conversation", "system:", "Be brief.", "user:", "look", "at this",
        "assistant calls look:", "tool says:", "a sky", "(tools: look)", "answer:", "It is blue.", "(ended: end; tokens: 1,200 in, 2 out)",
    ]  # fmt: skip
    place = 0
    for part in parts:
        place = shown.find(part, place)
        assert place >= 0, part


def test_the_waterfall_is_to_scale() -> None:
    lines = [line for line in render_trace(trace()) if "█" in line]
    starts = [line.index("█") - lines[0].index("█") for line in lines]
    assert starts == [0, 0, 8, 8]
    assert [line.count("█") for line in lines] == [1, 1, 28, 32]


def test_what_is_missing_is_said() -> None:
    shown = text_of(
        trace(
            withheld=1, client_request=Leg(method="POST", target="/", withheld="no text"), upstream_request=None, upstream_answer=None,
            client_answer=Leg(status=200, body="{", cut=Cut(5_000, "d"), error="the client hung up"),
            earlier_attempts=[Attempt(request=Leg(method="POST", target="/x"), answer=Leg(status=502))],
        )
    )  # fmt: skip
    for part in ("(body withheld: no text)", "(the last 5,000 bytes are not kept)", "(ended early: the client hung up)",
                 "attempt 1 answer: status 502", "1 bodies or headers", "it is longer than what was kept"):  # fmt: skip
        assert part in shown


def test_nothing_reaches_the_terminal_raw() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\r\x00\x7f"
    request = {"model": "m", "messages": [{"role": "user", "content": evil}]}
    leg = Leg(method=evil, target=evil, headers=[(evil, evil)], body=json.dumps(request), error=evil, withheld="")
    found = trace(
        request_id=evil,
        client=evil,
        model=evil,
        cause=evil,
        client_request=leg,
        client_answer=Leg(status=500, body=evil),
    )
    for line in [*render_trace(found), render_line(summarise(encode_trace(found)))]:
        assert line.isprintable(), ascii(line)


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [("/v1/embeddings", '{"model": "e", "input": "hi"}'), ("/v1/chat/completions", "{"), ("/v1/chat/completions", "[1]"), ("/none", "plain"), ("/v1/messages", "{}"),
     ("/v1beta/generateContent", '{"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}')],
)  # fmt: skip
def test_any_request_can_be_shown(endpoint: str, body: str) -> None:
    leg = Leg(method="POST", target=endpoint, body=body)
    assert "── conversation" in text_of(trace(endpoint=endpoint, client_request=leg, client_answer=None))


def test_a_row_and_a_line_say_the_same() -> None:
    summary = summarise(encode_trace(trace(status=429, cause="rate_limited")))
    row = dict(zip(COLUMNS, render_row(summary), strict=True))
    assert (row["at"], row["request"], row["status"], row["redacted"]) == ("2026-07-01 12:00:00", "req_1", 429, 2)
    assert render_line(summary) == "12:00:00.123  req_1  429 rate_limited  gpt-5  100 ms  curl  key_a"
