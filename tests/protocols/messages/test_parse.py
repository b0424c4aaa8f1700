import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import GatewayError, UpstreamFailed
from copilot_api.protocols.base import Usage
from copilot_api.protocols.conversation import Answer, Carrier, Reasoning, Refusal, StopReason, Text, ToolCall
from copilot_api.protocols.messages.parse import parse_answer
from tests.protocols.messages.upstream_events import CASES


def answer(*blocks: Any, **fields: Any) -> Answer:
    message = {"type": "message", "content": list(blocks), "stop_reason": "end_turn", **fields}
    return parse_answer(json.dumps(message).encode())


def test_a_recorded_answer() -> None:
    signature = "EswBCmcIDxABGAIqQGSampleSignatureAAAABBBBCCCC=="
    assert parse_answer((CASES / "messages_upstream/whole/upstream.json").read_bytes()) == Answer(
        parts=(Reasoning("391", Carrier(kind="an", data=signature, text="391")), Text("17 x 23 = 391")),
        stop=StopReason.END,
        usage=Usage(input_tokens=5080, output_tokens=62, cache_read_tokens=5071, reasoning_tokens=30),
        nano_aiu=413050000,
    )


def test_redacted_thinking_has_a_carrier_and_no_text() -> None:
    assert answer({"type": "redacted_thinking", "data": "d"}).parts == (Reasoning("", Carrier(kind="rd", data="d")),)


def test_thinking_without_a_signature_cannot_be_replayed() -> None:
    assert answer({"type": "thinking", "thinking": "hm", "signature": ""}).parts == (Reasoning("hm", None),)
    assert answer({"type": "thinking", "thinking": ""}).parts == ()


def test_a_call_has_its_arguments_as_compact_json() -> None:
    found = answer({"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1, "é"]}}, stop_reason="tool_use")
    assert found.parts == (ToolCall(id="t", name="f", arguments='{"a":[1,"é"]}'),)
    assert found.stop is StopReason.TOOL_CALLS


def test_pitfall_065_a_call_without_arguments_has_an_empty_object() -> None:
    assert answer({"type": "tool_use", "id": "t", "name": "f", "input": {}}).parts[0].arguments == "{}"  # type: ignore[union-attr]
    assert answer({"type": "tool_use", "name": "f"}).parts == (ToolCall(id="toolu_0", name="f", arguments="{}"),)


def test_what_a_server_side_tool_did_is_left_out() -> None:
    assert (
        answer({"type": "server_tool_use", "id": "s", "name": "x"}, {"type": "web_search_tool_result"}, 3).parts == ()
    )


def test_a_refusal_without_text_says_why() -> None:
    details = {"type": "refusal", "explanation": "no"}
    found = answer(stop_reason="refusal", stop_details=details)
    assert (found.parts, found.stop) == ((Refusal("no"),), StopReason.FILTERED)
    assert answer({"type": "text", "text": "so far"}, stop_reason="refusal", stop_details=details).parts == (
        Text("so far"),
    )
    assert answer(stop_reason="refusal", stop_details=None).parts == ()


def test_a_stop_sequence_is_named() -> None:
    found = answer({"type": "text", "text": "a"}, stop_reason="stop_sequence", stop_sequence="END")
    assert (found.stop, found.stop_sequence) == (StopReason.STOP_SEQUENCE, "END")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 503),
        ({"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}}, 400),
        ({"error": "boom"}, 502),
        ({"message": "boom"}, 502),
        ({}, 502),
        ([], 502),
    ],
)
def test_an_error_in_the_place_of_an_answer_is_raised(body: Any, status: int) -> None:
    with pytest.raises(GatewayError) as caught:
        parse_answer(json.dumps(body).encode())
    assert caught.value.actual_status == status


@pytest.mark.parametrize("source", [b"", b"<html>", b"[" * 5000, b'{"content":', b'{"a":"\xff"}', b'{"a":1e999}'])
def test_what_is_no_json_is_a_failure(source: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        parse_answer(source)


def test_a_call_without_a_name_is_a_failure() -> None:
    with pytest.raises(UpstreamFailed):
        answer({"type": "tool_use", "id": "t"})


NAMES = ["type", "content", "text", "tool_use", "message", "name", "input", "usage", "error", "stop_reason", "thinking"]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)


@settings(derandomize=True, deadline=None, database=None)
@given(JSON)
def test_any_json_is_an_answer_or_an_error(value: Any) -> None:
    with contextlib.suppress(GatewayError):
        assert isinstance(parse_answer(json.dumps(value).encode()), Answer)
