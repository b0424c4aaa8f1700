"""A whole answer as a Response."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

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
from copilot_api.protocols.responses.request import read_conversation
from copilot_api.protocols.responses.response import render_answer, stem_of
from tests.protocols.responses import sdk
from tests.protocols.responses.client_answers import CARRIER, GOLDEN, HEAD, TOOLS, USAGE, answers, request
from tests.protocols.responses.grammar import check_response

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=60)


def rendered(*parts: AnswerPart, stop: StopReason = StopReason.END, phase: str | None = None, **fields: Any) -> Any:
    answer = Answer(parts=parts, stop=stop, usage=USAGE, phase=phase)
    return json.loads(render_answer(answer, request(**fields), HEAD))


def test_every_field_that_a_strict_client_requires_is_there() -> None:
    @PROPERTY
    @given(answers)
    def holds(answer: Answer) -> None:
        body = json.loads(render_answer(answer, request(tools=TOOLS), HEAD))
        check_response(body, body["status"])

    holds()


def test_the_order_of_the_parts_is_kept() -> None:
    body = json.loads(render_answer(GOLDEN, request(), HEAD))
    assert [item["type"] for item in body["output"]] == ["reasoning", "message", "function_call"]
    assert sdk.whole(render_answer(GOLDEN, request(), HEAD)).output_text == "Hi"


def test_what_was_asked_is_echoed() -> None:
    asked: dict[str, Any] = {
        "instructions": "be brief", "temperature": 0.5, "top_p": 0.9, "max_output_tokens": 100, "max_tool_calls": 3,
        "parallel_tool_calls": False, "tool_choice": "required", "truncation": "auto", "metadata": {"a": "b"},
        "user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "top_logprobs": 2,
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
    }  # fmt: skip
    body = rendered(Text("x"), **asked)
    assert {name: body[name] for name in asked} == asked


def test_what_was_not_asked_has_the_protocols_default() -> None:
    body = rendered(Text("x"))
    assert (body["temperature"], body["top_p"], body["truncation"], body["tool_choice"]) == (
        1.0,
        1.0,
        "disabled",
        "auto",
    )
    assert (body["text"], body["metadata"], body["tools"]) == ({"format": {"type": "text"}}, {}, [])
    assert body["store"] is False


def test_a_tool_and_a_schema_are_echoed_whole() -> None:
    body = rendered(
        Text("x"),
        tools=[{"type": "function", "name": "f"}],
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
    )
    assert body["tools"] == [{"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}]
    assert body["text"]["format"]["strict"] is False


def test_the_store_is_never_said_to_be_used() -> None:
    assert rendered(Text("x"), store=True)["store"] is False


def test_texts_in_a_row_are_one_message_and_nothing_said_is_no_item() -> None:
    body = rendered(Text("a"), Text(""), Text("b"), Reasoning(""), Refusal(""))
    assert [item["content"][0]["text"] for item in body["output"]] == ["ab"]


def test_pitfall_058_a_refusal_is_a_part_of_its_own() -> None:
    assert rendered(Refusal("No."))["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_pitfall_056_the_limit_counts_before_the_calls() -> None:
    body = rendered(ToolCall(id="c", name="f", arguments='{"a'), stop=StopReason.LENGTH)
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert body["output"][-1]["status"] == "incomplete"
    assert body["completed_at"] is None


def test_pitfall_065_a_call_without_arguments_has_an_empty_object() -> None:
    assert rendered(ToolCall(id="c", name="f", arguments=""))["output"][0]["arguments"] == "{}"


def test_a_patch_that_was_cut_has_a_status_that_its_type_knows() -> None:
    call = ToolCall(id="c", name="apply_patch", arguments='{"type":"update_file","path":"a"}')
    body = rendered(call, stop=StopReason.LENGTH, tools=TOOLS)
    assert body["output"][0]["status"] == "completed"


@pytest.mark.parametrize("name", ["local_shell", "shell", "apply_patch"])
@pytest.mark.parametrize("arguments", ["", "[1", "[]", '"ls"'])
def test_a_hosted_call_has_its_fields_whatever_the_model_wrote(name: str, arguments: str) -> None:
    answer = Answer(parts=(ToolCall(id="c", name=name, arguments=arguments),), stop=StopReason.TOOL_CALLS)
    (item,) = sdk.whole(render_answer(answer, request(tools=TOOLS), HEAD)).output
    type(item).model_validate(item.model_dump())


def test_the_phase_is_kept() -> None:
    assert rendered(Text("x"), phase="commentary")["output"][0]["phase"] == "commentary"
    assert "phase" not in rendered(Text("x"))["output"][0]


def test_usage_counts_cached_and_reasoning_tokens_in() -> None:
    usage = Usage(input_tokens=1100, cache_read_tokens=800, cache_write_tokens=100, output_tokens=5, reasoning_tokens=2)
    answer = Answer(parts=(Text("x"),), stop=StopReason.END, usage=usage)
    assert json.loads(render_answer(answer, request(), HEAD))["usage"] == {
        "input_tokens": 1100, "input_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 100},
        "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 1105,
    }  # fmt: skip


@pytest.mark.parametrize(
    "carrier",
    [CARRIER, Carrier(kind="ro", data="x", model="m"), Carrier(kind="rd", data="x"), Carrier(kind="rs", data="x", id="rs_9")],
)  # fmt: skip
def test_what_replays_reasoning_comes_back_with_the_next_turn(carrier: Carrier) -> None:
    (item,) = rendered(Reasoning("Hm", carrier))["output"]
    assert carriers.unpack(item["encrypted_content"]) == carrier
    asked = request(
        input=[{"role": "user", "content": "x"}, item, {"type": "message", "role": "assistant", "content": "y"}]
    )
    assert read_conversation(asked).messages[1].parts[0] == Reasoning("Hm", carrier)


@pytest.mark.parametrize("request_id", ["", "short", "x" * 200, "é" * 30, "\ud800" * 30])
def test_the_stem_of_an_id_is_long_enough_and_no_longer(request_id: str) -> None:
    stem = stem_of(AnswerHead(model="m", request_id=request_id, now=1))
    assert 24 <= len(stem) <= 48
    assert stem.isascii()
    assert stem.isalnum()


def test_an_answer_goes_round_into_the_next_request() -> None:
    """What a client appends to its input is what the model said: nothing lost, nothing moved."""
    parts = (
        Reasoning("Hm", CARRIER), Text("Hi"), ToolCall(id="c1", name="agents__spawn", arguments="{}"),
        ToolCall(id="c2", name="patch", arguments="raw\n", is_custom=True),
        ToolCall(id="c3", name="local_shell", arguments='{"command":["ls"]}'),
        ToolCall(id="c4", name="apply_patch", arguments='{"type":"delete_file","path":"a"}'),
    )  # fmt: skip
    output = rendered(*parts, stop=StopReason.TOOL_CALLS, tools=TOOLS)["output"]
    (message,) = read_conversation(request(input=output, tools=TOOLS)).messages
    assert message.parts == parts
