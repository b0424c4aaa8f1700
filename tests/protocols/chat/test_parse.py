"""Copilot's whole answers in the neutral form."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import GatewayError, UpstreamFailed, UpstreamRateLimited
from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.chat.parse import parse_answer
from copilot_api.protocols.chat.rendering import render_answer
from copilot_api.protocols.chat.request import parse_request
from copilot_api.protocols.conversation import (
    Answer,
    Carrier,
    Reasoning,
    Refusal,
    StopReason,
    Text,
    ToolCall,
)
from tests.protocols.chat.test_reader import JSON, asks_for_several

CASES = Path(__file__).parent.parent / "cases" / "chat"
WHOLE = [path for path in sorted(CASES.iterdir()) if (path / "upstream.json").exists() and not asks_for_several(path)]
PROPERTY = settings(derandomize=True, deadline=None, database=None)
HEAD = AnswerHead(model="the-alias", request_id="req_1", now=1_780_000_000)


def name(path: Path) -> str:
    return path.name


def parsed(message: dict[str, Any], *, finish: str | None = "stop", **more: Any) -> Answer:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return parse_answer(json.dumps({"id": "x", "choices": [choice], **more}).encode())


def function(arguments: Any, call_id: str = "a") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}


@pytest.mark.parametrize("case", WHOLE, ids=name)
def test_a_case_means_the_same_as_natively(case: Path) -> None:
    request = parse_request((case / "request.json").read_bytes())
    source = (case / "upstream.json").read_bytes()
    if (case / "error.json").exists():
        with pytest.raises(GatewayError):
            parse_answer(source)
        return
    if not (case / "client.json").exists():
        assert parse_answer(source).parts
        return
    found = json.loads(render_answer(parse_answer(source), request, HEAD))["choices"][0]
    expected = json.loads((case / "client.json").read_text())["choices"][0]
    said, wanted = found["message"], expected["message"]
    assert (said["content"] or None) == (wanted.get("content") or None)
    assert [(call["id"], call["function"]) for call in said.get("tool_calls", [])] == [
        (call["id"], call["function"]) for call in wanted.get("tool_calls") or []
    ]
    assert said.get("reasoning_content") == wanted.get("reasoning_text")
    assert found["finish_reason"] == expected["finish_reason"]


def test_a_message_in_its_parts() -> None:
    answer = parsed(
        {
            "content": "Hi",
            "reasoning_text": "hm",
            "reasoning_opaque": "sig",
            "tool_calls": [function('{"x":1}')],
        },
        finish="tool_calls",
        usage={
            "prompt_tokens": 10,
            "completion_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 4},
            "reasoning_tokens": 3,
        },
        copilot_usage={"token_details": [], "total_nano_aiu": 5},
    )
    assert answer == Answer(
        parts=(
            Reasoning("hm", Carrier(kind="ro", data="sig")),
            Text("Hi"),
            ToolCall(id="a", name="f", arguments='{"x":1}'),
        ),
        stop=StopReason.TOOL_CALLS,
        usage=Usage(input_tokens=10, output_tokens=9, cache_read_tokens=4, reasoning_tokens=3),
        nano_aiu=5,
    )


def test_pitfall_054_text_in_one_choice_and_calls_in_the_next_are_one_turn() -> None:
    choices = [
        {"finish_reason": "stop", "message": {"content": "look", "role": "assistant"}},
        {"finish_reason": "tool_calls", "message": {"role": "assistant", "tool_calls": [function("{}")]}},
        {"finish_reason": "tool_calls", "message": {"role": "assistant", "tool_calls": [function('{"x":1}', "b")]}},
    ]
    answer = parse_answer(json.dumps({"choices": choices}).encode())
    assert answer.parts == (
        Text("look"),
        ToolCall(id="a", name="f", arguments="{}"),
        ToolCall(id="b", name="f", arguments='{"x":1}'),
    )
    assert answer.stop is StopReason.TOOL_CALLS


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "function_call", None, "eos"])
def test_pitfall_053_a_call_makes_the_end_a_call(finish: str | None) -> None:
    assert parsed({"content": None, "tool_calls": [function("{}")]}, finish=finish).stop is StopReason.TOOL_CALLS


@pytest.mark.parametrize(
    ("finish", "stop"),
    [("stop", StopReason.END), (None, StopReason.END), ("length", StopReason.LENGTH), ("content_filter", StopReason.FILTERED),
     ("tool_calls", StopReason.END)],
)  # fmt: skip
def test_ends(finish: str | None, stop: StopReason) -> None:
    assert parsed({"content": "Hi"}, finish=finish).stop is stop


def test_a_call_cut_at_the_limit_is_left_out() -> None:
    answer = parsed({"content": "Hi", "tool_calls": [function("{}"), function('{"x":', "b")]}, finish="length")
    assert answer.parts == (Text("Hi"), ToolCall(id="a", name="f", arguments="{}"))
    assert answer.stop is StopReason.LENGTH
    assert len(parsed({"tool_calls": [function('{"x":1}')]}, finish="length").parts) == 1
    assert parsed({"content": ""}, finish="length").parts == ()


@pytest.mark.parametrize("arguments", ["", " ", None, {}])
def test_pitfall_044_blank_arguments_are_an_empty_object(arguments: Any) -> None:
    [call] = parsed({"tool_calls": [function(arguments)]}).parts
    assert isinstance(call, ToolCall)
    assert json.loads(call.arguments) == {}


def test_pitfall_044_broken_arguments_are_kept_as_they_are() -> None:
    [call] = parsed({"tool_calls": [function('{"x"')]}).parts
    assert isinstance(call, ToolCall)
    assert call.arguments == '{"x"'


def test_a_refusal_and_an_empty_answer() -> None:
    assert parsed({"content": None, "refusal": "no"}).parts == (Refusal("no"),)
    assert parsed({"content": ""}).parts == ()


def test_pitfall_064_what_the_upstream_leaves_out_is_not_missed() -> None:
    answer = parse_answer(b'{"choices":[{"message":{"content":"Hi"}}]}')
    assert (answer.parts, answer.stop, answer.usage) == ((Text("Hi"),), StopReason.END, None)


def test_pitfall_125_an_answer_of_nothing_but_reasoning() -> None:
    answer = parsed({"content": None, "reasoning_text": "hm"})
    assert (answer.parts, answer.stop) == ((Reasoning("hm"),), StopReason.END)


@pytest.mark.parametrize(
    "source", [b"", b"<html>", b"[]", b"{}", b"5", b'{"choices":[]}', b'{"choices":null}', b'{"choices":{}}', b"\xff"]
)
def test_what_is_no_answer_is_a_failure(source: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        parse_answer(source)


def test_an_error_with_a_good_status_is_still_an_error() -> None:
    with pytest.raises(UpstreamRateLimited):
        parse_answer(b'{"error":{"code":"rate_limited","message":"slow down"}}')


@settings(PROPERTY, max_examples=300)
@given(document=st.one_of(JSON, st.builds(lambda value: {"choices": [{"message": value}]}, JSON)))
def test_any_json_gives_an_answer_or_a_gateway_error(document: Any) -> None:
    with contextlib.suppress(GatewayError):
        parse_answer(json.dumps(document).encode())


@settings(PROPERTY, max_examples=100)
@given(source=st.binary(max_size=40))
def test_any_bytes_give_an_answer_or_a_gateway_error(source: bytes) -> None:
    with contextlib.suppress(GatewayError):
        parse_answer(source)
