"""A whole answer as a message."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.protocols import carriers
from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.conversation import (
    Answer,
    AnswerPart,
    Carrier,
    Reasoning,
    Refusal,
    StopReason,
    Text,
    ToolCall,
)
from copilot_api.protocols.messages.response import render_answer, tool_input
from tests.protocols.messages import grammar
from tests.protocols.messages.client_calls import CARRIER, GOLDEN, HEAD, USAGE, request

HIDES = {"thinking": {"type": "adaptive", "display": "omitted"}}


def rendered(*parts: AnswerPart, stop: StopReason = StopReason.END, usage: Usage | None = USAGE, **fields: Any) -> Any:
    answer = Answer(parts=parts, stop=stop, usage=usage, stop_sequence="###")
    return json.loads(render_answer(answer, request(**fields), HEAD))


def content(*parts: AnswerPart, **fields: Any) -> Any:
    return rendered(*parts, **fields)["content"]


def call(arguments: str = "{}", *, call_id: str = "t", is_custom: bool = False) -> ToolCall:
    return ToolCall(id=call_id, name="f", arguments=arguments, is_custom=is_custom)


def test_the_golden_answer() -> None:
    assert json.loads(render_answer(GOLDEN, request(), HEAD)) == {
        "id": "msg_req0a1", "type": "message", "role": "assistant", "model": "claude-opus-4-7", "container": None,
        "content": [
            {"type": "thinking", "thinking": "Hm", "signature": carriers.pack(CARRIER)},
            {"type": "text", "text": "Hi", "citations": None},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use", "stop_sequence": None, "stop_details": None,
        "usage": {
            "input_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": 9,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens_details": {"thinking_tokens": 3}, "server_tool_use": None,
            "inference_geo": None, "service_tier": "standard",
        },
    }  # fmt: skip


def test_pitfall_066_the_model_is_called_as_the_caller_called_it() -> None:
    head = AnswerHead(model="my alias", request_id="r", now=1)
    assert json.loads(render_answer(GOLDEN, request(), head))["model"] == "my alias"


# Why it ended -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "parts", "reason"),
    [
        (StopReason.END, (Text("x"),), "end_turn"), (StopReason.TOOL_CALLS, (call(),), "tool_use"), (StopReason.LENGTH, (Text("x"),), "max_tokens"),
        (StopReason.STOP_SEQUENCE, (Text("x"),), "stop_sequence"), (StopReason.FILTERED, (), "refusal"),
        (StopReason.CONTEXT_FULL, (), "model_context_window_exceeded"), (StopReason.PAUSED, (), "pause_turn"),
    ],
)  # fmt: skip
def test_every_end_has_its_name(stop: StopReason, parts: tuple[AnswerPart, ...], reason: str) -> None:
    message = rendered(*parts, stop=stop)
    assert message["stop_reason"] == reason
    assert message["stop_sequence"] == ("###" if reason == "stop_sequence" else None)
    refusal = {"type": "refusal", "category": None, "explanation": None}
    assert message["stop_details"] == (refusal if reason == "refusal" else None)


def test_pitfall_053_a_call_is_told_whatever_the_upstream_says() -> None:
    assert rendered(call(), stop=StopReason.END)["stop_reason"] == "tool_use"
    assert rendered(Text("x"), stop=StopReason.TOOL_CALLS)["stop_reason"] == "end_turn"


def test_pitfall_056_a_call_beside_the_limit_is_no_call_to_run() -> None:
    message = rendered(call('{"a":1}'), call('{"a":'), stop=StopReason.LENGTH)
    assert message["stop_reason"] == "max_tokens"
    assert [block["input"] for block in message["content"]] == [{"a": 1}]


def test_pitfall_125_an_answer_of_thought_alone_has_an_end() -> None:
    message = rendered(Reasoning("Hm", CARRIER))
    assert (message["stop_reason"], [block["type"] for block in message["content"]]) == ("end_turn", ["thinking"])


def test_an_answer_of_nothing_has_no_block() -> None:
    assert content() == content(Text("")) == content(Reasoning("")) == []


# Blocks -----------------------------------------------------------------------------------------------------------


def test_pitfall_058_a_refusal_is_read_by_the_user() -> None:
    message = rendered(Refusal("No."))
    assert (message["content"][0]["text"], message["stop_reason"]) == ("No.", "end_turn")


def test_neighbouring_texts_are_one_block_as_in_a_stream() -> None:
    assert [block["text"] for block in content(Text("a"), Text("b"), Refusal("c"), Text("d"))] == ["ab", "c", "d"]


@pytest.mark.parametrize("kind", ["rs", "ro"])
def test_another_vendors_carrier_comes_back_whole(kind: Any) -> None:
    carrier = Carrier(kind=kind, data="d", id="i", model="m")
    [block] = content(Reasoning("", carrier))
    assert block["thinking"] == ""
    assert carriers.unpack(block["signature"]) == carrier


def test_anthropics_own_signature_stands_beside_the_text_that_it_signs() -> None:
    [block] = content(Reasoning("short", Carrier(kind="an", data="c2ln", text="long")))
    assert (block["thinking"], block["signature"]) == ("long", "c2ln")


def test_redacted_thinking_is_carried() -> None:
    assert content(Reasoning("", Carrier(kind="rd", data="ZA=="))) == [{"type": "redacted_thinking", "data": "ZA=="}]


def test_thought_that_nothing_carries_has_no_signature() -> None:
    assert content(Reasoning("Hm")) == [{"type": "thinking", "thinking": "Hm", "signature": ""}]


def test_thought_that_the_client_does_not_want_to_see_travels_with_its_carrier() -> None:
    [block] = content(Reasoning("Hm", CARRIER), **HIDES)
    assert block["thinking"] == ""
    carrier = carriers.unpack(block["signature"])
    assert carrier is not None
    assert (carrier.text, carrier.data) == ("Hm", "encrypted")
    assert content(Reasoning("Hm"), **HIDES) == []
    assert content(Reasoning("Hm", Carrier(kind="an", data="s", text="Hm")), **HIDES)[0]["thinking"] == ""


def test_a_call_without_an_id_gets_one() -> None:
    ids = [block["id"] for block in content(call(call_id=""), call(call_id=""))]
    assert ids == ["toolu_req0a10", "toolu_req0a11"]


# Arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}), (" \n", {}), ("{}", {}), ('{"a": [1]}', {"a": [1]}), ('"{\\"a\\":1}"', {"a": 1}), ("[1]", {"_raw": "[1]"}), ("1", {"_raw": "1"}),
        ("null", {"_raw": "null"}), ('{"a":', {"_raw": '{"a":'}), ('"x"', {"_raw": '"x"'}), ("ls -la", {"_raw": "ls -la"}),
        ('{"__proto__":{"x":1},"a":"\\u0000"}', {"__proto__": {"x": 1}, "a": "\0"}), ('{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ],
)  # fmt: skip
def test_pitfall_044_arguments_become_an_object_whatever_they_are(arguments: str, expected: Any) -> None:
    assert content(call(arguments))[0]["input"] == expected


@pytest.mark.parametrize("arguments", ["[" * 5000, '{"a":' * 5000, '{"a":"\\ud800"}', '{"a":"\ud800"}', "\ud800"])
def test_pitfall_115_arguments_do_no_harm(arguments: str) -> None:
    assert content(call(arguments))[0]["input"].keys() == {"_raw"}


def test_a_call_of_a_free_text_tool_is_wrapped() -> None:
    assert tool_input("raw", is_custom=True) == {"input": "raw"}
    assert content(call('{"a":1}', is_custom=True))[0]["input"] == {"input": '{"a":1}'}


def test_a_text_holds_whatever_it_was_given() -> None:
    assert content(Text("a\ud800"), call())[0]["text"] == "a?"


# Usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"), [(0, (200, 800, 0)), (100, (100, 800, 100)), (900, (0, 800, 900))]
)  # fmt: skip
def test_pitfall_060_input_is_what_no_cache_gave_or_took(written: int, expected: tuple[int, int, int]) -> None:
    usage = rendered(usage=Usage(input_tokens=1000, cache_read_tokens=800, cache_write_tokens=written))["usage"]
    found = (usage["input_tokens"], usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"])
    assert found == expected
    assert usage["cache_creation"]["ephemeral_5m_input_tokens"] == written


def test_usage_that_nobody_told_is_estimated() -> None:
    assert rendered(usage=None)["usage"]["input_tokens"] == HEAD.input_estimate


@settings(derandomize=True, deadline=None, database=None)
@given(st.text(), st.text())
def test_any_answer_is_read_by_the_package(text: str, arguments: str) -> None:
    answer = Answer(parts=(Text(text), call(arguments)), stop=StopReason.END, usage=USAGE)
    message = grammar.parse_whole(render_answer(answer, request(), HEAD))
    assert message["stop_reason"] == "tool_use"
