"""A whole answer of Copilot's Responses, read into the neutral form."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed, UpstreamRateLimited, UpstreamRefused
from copilot_api.protocols.base import Usage
from copilot_api.protocols.conversation import Answer, Reasoning, Refusal, StopReason, Text, ToolCall
from copilot_api.protocols.responses.parse import parse_answer, usage_of

CASES = Path(__file__).parent.parent / "cases" / "responses_upstream"


def answer(*output: Any, **fields: Any) -> Answer:
    return parse_answer(json.dumps({"id": "resp_1", "status": "completed", "output": output, **fields}).encode())


def message(*content: Any) -> Any:
    return {"type": "message", "role": "assistant", "content": list(content)}


CALL = {"type": "function_call", "id": "x", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
CUT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}


def test_a_recorded_answer_is_read_whole() -> None:
    found = parse_answer((CASES / "whole_answer" / "upstream.json").read_bytes())
    thought, text, call = found.parts
    assert isinstance(thought, Reasoning)
    assert thought.carrier is not None
    assert (thought.text, thought.carrier.kind) == ("**Looking at weather**", "rs")
    assert thought.carrier.id.startswith("+imIFRC8")
    assert text == Text("Let me check.")
    assert call == ToolCall(id="call_Rs000000000000000000001", name="get_weather", arguments='{"city":"Paris"}')
    assert (found.stop, found.phase, found.nano_aiu) == (StopReason.TOOL_CALLS, "commentary", 164_500_000)
    assert found.usage == Usage(input_tokens=812, output_tokens=88, cache_read_tokens=640, reasoning_tokens=32)


def test_pitfall_056_that_it_was_cut_short_counts_before_its_tool_calls() -> None:
    assert answer(CALL, **CUT).stop is StopReason.LENGTH
    filtered = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    assert answer(CALL, **filtered).stop is StopReason.FILTERED
    full = {"status": "incomplete", "incomplete_details": {"reason": "model_context_window_exceeded"}}
    assert answer(**full).stop is StopReason.CONTEXT_FULL


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "boom"}}, UpstreamFailed),
        ({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}, UpstreamRateLimited),
        ({"status": "failed", "error": {"code": "invalid_prompt", "message": "no"}}, UpstreamRefused),
        ({"status": "failed", "error": None}, UpstreamFailed),
        ({"status": "in_progress"}, UpstreamFailed),
        ({"status": "queued"}, UpstreamFailed),
        ({"status": 7}, UpstreamFailed),
        ({"status": "cancelled"}, UpstreamCut),
    ],
)
def test_pitfall_057_what_is_no_success_is_an_error(fields: Any, kind: type[GatewayError]) -> None:
    with pytest.raises(kind):
        answer(message(), **fields)


def test_pitfall_110_an_overflow_stays_one() -> None:
    with pytest.raises(UpstreamRefused) as found:
        answer(status="failed", error={"code": "context_length_exceeded", "message": "too long"})
    assert found.value.public_code == "context_length_exceeded"


def test_pitfall_058_a_refusal_is_one() -> None:
    assert answer(message({"type": "refusal", "refusal": "No."})).parts == (Refusal("No."),)


def test_pitfall_059_all_parts_of_a_summary_are_joined() -> None:
    summary = [{"type": "summary_text", "text": "One"}, {"type": "summary_text", "text": "Two"}]
    assert answer({"type": "reasoning", "summary": summary}).parts == (Reasoning("One\n\nTwo"),)


def test_reasoning_with_nothing_in_it_is_no_part() -> None:
    assert answer({"type": "reasoning", "summary": []}).parts == ()


def test_a_custom_call_keeps_its_input_as_it_is() -> None:
    part = answer({"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": " *** "}).parts[0]
    assert part == ToolCall(id="c", name="patch", arguments=" *** ", is_custom=True)


def test_pitfall_065_a_call_without_arguments_has_an_empty_object() -> None:
    part = answer({**CALL, "arguments": ""}).parts[0]
    assert isinstance(part, ToolCall)
    assert part.arguments == "{}"


def test_a_call_without_an_id_gets_the_same_one_each_time() -> None:
    first, again = (answer({**CALL, "call_id": None}).parts[0] for _ in range(2))
    assert isinstance(first, ToolCall)
    assert first == again
    assert first.id.startswith("call_")


def test_a_call_without_a_name_is_a_failure() -> None:
    with pytest.raises(UpstreamFailed):
        answer({**CALL, "name": ""})


def test_unknown_items_and_parts_are_passed_over() -> None:
    said = message({"type": "hologram"}, {"type": "output_text", "text": "Hi"}, 3)
    assert answer({"type": "web_search_call"}, None, said).parts == (Text("Hi"),)


def test_the_cache_writes_may_be_in_either_account() -> None:
    copilot = {"token_details": [{"token_type": "cache_write", "token_count": 5}]}
    usage = usage_of({"input_tokens": 10}, copilot)
    assert usage is not None
    assert usage.cache_write_tokens == 5
    both = usage_of({"input_tokens": 10, "input_tokens_details": {"cache_write_tokens": 3}}, copilot)
    assert both is not None
    assert both.cache_write_tokens == 3
    assert usage_of(None) is None


@pytest.mark.parametrize("source", [b"", b"<html>", b"[]", b"{}", b'{"output":3}', b"\xff", b"[" * 9000])
def test_what_is_no_answer_is_a_failure(source: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        parse_answer(source)


def test_an_error_in_the_place_of_an_answer_is_raised() -> None:
    with pytest.raises(UpstreamRateLimited):
        parse_answer(b'{"error":{"code":"rate_limited","message":"slow down"}}')


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "content", "summary", "text", "call_id", "name", "arguments", "status", "usage"]),
            inner | st.sampled_from(["message", "reasoning", "function_call", "output_text"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_JSON, max_size=3), _JSON, _JSON)
def test_any_json_is_an_answer_or_an_error(output: list[Any], usage: Any, status: Any) -> None:
    with contextlib.suppress(GatewayError):
        answer(*output, usage=usage, status=status, copilot_usage=usage, incomplete_details=usage)
