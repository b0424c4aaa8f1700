"""A whole Responses answer as the events of a stream."""

import json
from pathlib import Path
from typing import Any

from copilot_api.protocols.conversation import Collector
from copilot_api.protocols.responses.parse import parse_answer
from copilot_api.protocols.responses.reader import ResponsesReader
from copilot_api.protocols.responses.whole import whole_as_events

CASES = Path(__file__).parent.parent / "cases" / "responses_native"


def events_of(**response: Any) -> list[Any]:
    out = whole_as_events(None, json.dumps({"id": "r", "status": "completed", **response}).encode(), 1)
    frames = out.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    return [json.loads(frame.partition("\ndata: ")[2]) for frame in frames[:-2]]


def test_pitfall_113_the_events_amount_to_the_answer() -> None:
    source = (CASES / "whole_answer" / "upstream.json").read_bytes()
    reader, collector = ResponsesReader(), Collector()
    collector.add(reader.feed(whole_as_events(None, source, 1)))
    whole = parse_answer(source)
    assert collector.answer(nano_aiu=whole.nano_aiu).parts == whole.parts
    assert collector.answer().stop is whole.stop


def test_every_kind_of_item_has_the_events_that_it_has_in_a_stream() -> None:
    output = [
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm"}]},
        {
            "type": "message",
            "id": "m",
            "content": [{"type": "output_text", "text": "Hi"}, {"type": "refusal", "refusal": "No"}, {"type": "new"}],
        },
        {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "id": "ct", "call_id": "d", "name": "p", "input": "x"},
        {"type": "web_search_call", "id": "ws"},
    ]
    found = events_of(output=output)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert [event["type"].removeprefix("response.") for event in found] == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
        "content_part.added", "refusal.delta", "refusal.done", "content_part.done",
        "content_part.added", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done",
        "output_item.added", "output_item.done",
        "completed",
    ]  # fmt: skip
    assert [event["item"] for event in found if event["type"].endswith("item.done")] == output
    assert found[-1]["response"]["output"] == output


def test_an_answer_that_was_cut_short_ends_so() -> None:
    found = events_of(output=[], status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert found[-1]["type"] == "response.incomplete"
    assert found[0]["response"]["incomplete_details"] is None


def test_a_text_of_nothing_has_no_delta() -> None:
    found = events_of(output=[{"type": "message", "id": "m", "content": [{"type": "output_text", "text": ""}]}])
    assert not [event for event in found if event["type"].endswith("delta")]
