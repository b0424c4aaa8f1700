"""Responses events come in order, numbered, with another item id every time and no `[DONE]`."""

import itertools
from typing import Any

from tests.simulator.client import RESPONSES, Client, marker

CALL = marker("CALL", {"name": "get_weather", "arguments": {"city": "Paris"}})
ASKING_FOR_REASONS: dict[str, Any] = {
    "reasoning": {"effort": "medium", "summary": "detailed"},
    "include": ["reasoning.encrypted_content"],
}


def test_all_events_of_reasoning_and_text_in_order(simulator: Client) -> None:
    answer = simulator.ask(RESPONSES, marker("SAY", "Let me check."), stream=True, **ASKING_FOR_REASONS)
    names = [name for name, _ in itertools.groupby(answer.event_names())]
    assert [name.removeprefix("response.") for name in names] == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
        "output_item.done", "completed",
    ]  # fmt: skip
    events = answer.events()
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events] == answer.event_names()
    assert "[DONE]" not in answer.text


def test_item_ids_are_long_and_never_the_same(simulator: Client) -> None:
    events = simulator.ask(RESPONSES, CALL, stream=True, **ASKING_FOR_REASONS).events()
    ids = [event.get("item_id") or event["item"]["id"] for event in events if "output_index" in event]
    assert len(set(ids)) == len(ids)
    assert {len(item_id) for item_id in ids} == {428}


def test_the_terminal_event_has_the_items_as_they_ended_and_the_bill_beside_them(simulator: Client) -> None:
    events = simulator.ask(RESPONSES, CALL, stream=True, **ASKING_FOR_REASONS).events()
    last = events[-1]
    assert list(last) == ["type", "sequence_number", "copilot_usage", "response"]
    ended = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert last["response"]["output"] == ended
    reasoning, call = ended
    assert list(reasoning) == ["id", "type", "encrypted_content", "summary"]
    assert list(call) == ["id", "type", "status", "arguments", "call_id", "name"]
    assert last["response"]["usage"]["output_tokens_details"]["reasoning_tokens"] > 0


def test_a_whole_answer_is_the_response_of_the_terminal_event(simulator: Client) -> None:
    whole = simulator.ask(RESPONSES, "hi").json()
    last = simulator.ask(RESPONSES, "hi", stream=True).events()[-1]
    assert list(whole) == [*last["response"], "copilot_usage"]
    assert whole["usage"] == last["response"]["usage"]
    assert whole["copilot_usage"] == last["copilot_usage"]
    prices = [detail["cost_per_batch"] for detail in whole["copilot_usage"]["token_details"]]
    assert prices == [175_000_000_000, 17_500_000_000, 0, 1_400_000_000_000]


def test_what_was_asked_is_echoed(simulator: Client) -> None:
    fields: dict[str, Any] = {"instructions": "be brief", "prompt_cache_key": "conv-1", "max_output_tokens": 64}
    answer = simulator.ask(RESPONSES, "hi", **fields).json()
    assert {name: answer[name] for name in fields} == fields
    assert answer["tools"][0]["name"] == "get_weather"


def test_reasoning_shows_only_what_was_asked_for(simulator: Client) -> None:
    [reasoning, _] = simulator.ask(RESPONSES, "hi").json()["output"]
    assert (reasoning["summary"], "encrypted_content" in reasoning) == ([], False)
    [message] = simulator.ask(RESPONSES, "hi", reasoning={"effort": "none"}).json()["output"]
    assert message["type"] == "message"


def test_items_of_an_answer_can_be_sent_back(simulator: Client) -> None:
    first = simulator.ask(RESPONSES, CALL, **ASKING_FOR_REASONS).json()
    call = first["output"][-1]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    source = [{"role": "user", "content": CALL}, *first["output"], output]
    answer = simulator.ask(RESPONSES, "", input=source)
    assert answer.status == 200
    assert "SIM-RESULT: sunny" in answer.text


def test_an_output_limit_ends_the_response_incomplete(simulator: Client) -> None:
    answer = simulator.ask(RESPONSES, "hi", stream=True, max_output_tokens=16)
    last = answer.events()[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["output"][-1]["status"] == "incomplete"
