"""Chat answers have the shapes of their vendors, down to the order of the keys."""

from typing import Any

import pytest

from tests.simulator.client import CHAT, Client, marker

CALL = marker("CALL", {"name": "get_weather", "arguments": {"city": "Paris"}})
BILL = ["token_details", "total_nano_aiu"]
USAGE_OPTIONS = {"include_usage": True}


def test_a_whole_azure_answer(simulator: Client) -> None:
    answer = simulator.ask(CHAT, marker("SAY", "Hello from Copilot.")).json()
    assert list(answer) == [
        "choices", "created", "id", "model", "prompt_filter_results", "service_tier", "system_fingerprint", "usage",
        "copilot_usage",
    ]  # fmt: skip
    assert "object" not in answer
    [choice] = answer["choices"]
    assert list(choice) == ["content_filter_results", "finish_reason", "index", "message"]
    assert list(choice["message"]) == ["annotations", "content", "padding", "refusal", "role"]
    assert list(choice["content_filter_results"])[-2:] == ["protected_material_code", "protected_material_text"]
    assert answer["model"] == "gpt-4.1-2025-04-14"
    assert list(answer["copilot_usage"]) == BILL
    assert answer["copilot_usage"]["total_nano_aiu"] == 0
    usage = answer["usage"]
    assert usage["completion_tokens"] == 5
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_an_azure_stream_in_order(simulator: Client) -> None:
    answer = simulator.ask(CHAT, marker("SAY", "Hello there."), stream=True, stream_options=USAGE_OPTIONS)
    assert answer.headers["content-type"] == "text/event-stream"
    preamble, opening, *texts, finish, usage, done = answer.events()
    assert list(preamble) == ["choices", "created", "id", "prompt_filter_results"]
    assert (preamble["choices"], preamble["id"], preamble["created"]) == ([], "", 0)
    assert opening["choices"] == [{"index": 0, "delta": {"content": "", "role": "assistant"}}]
    assert all("object" not in event for event in (opening, *texts, finish, usage))
    for text in texts:
        [choice] = text["choices"]
        assert list(choice) == ["index", "content_filter_offsets", "content_filter_results", "delta"]
        assert list(text) == ["choices", "created", "id", "model", "system_fingerprint"]
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], list(usage)[-2:]) == ([], ["usage", "copilot_usage"])
    assert done == "[DONE]"


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}])
def test_the_usage_chunk_of_azure_comes_only_when_asked_for(simulator: Client, options: Any) -> None:
    answer = simulator.ask(CHAT, "hi", stream=True, stream_options=options)
    assert "usage" not in answer.text


def test_an_azure_tool_call(simulator: Client) -> None:
    _, opening, first, *_, finish, _ = simulator.ask(CHAT, CALL, stream=True).events()
    delta = opening["choices"][0]["delta"]
    assert (delta["content"], delta["role"]) == (None, "assistant")
    [call] = delta["tool_calls"]
    assert (list(call), call["function"]) == (
        ["function", "id", "index", "type"],
        {"arguments": "", "name": "get_weather"},
    )
    [piece] = first["choices"][0]["delta"]["tool_calls"]
    assert list(piece) == ["function", "index"]
    assert finish["choices"][0] == {"index": 0, "delta": {"content": None}, "finish_reason": "tool_calls"}


def test_a_whole_claude_tool_call_is_split_over_choices(simulator: Client) -> None:
    answer = simulator.ask(CHAT, CALL, model="claude-sonnet-4.6").json()
    assert list(answer) == ["choices", "created", "id", "usage", "copilot_usage", "model"]
    text, call = answer["choices"]
    assert list(text) == list(call) == ["finish_reason", "message"]
    assert text["message"]["content"]
    assert "content" not in call["message"]
    assert call["message"]["tool_calls"][0]["function"] == {"arguments": '{"city":"Paris"}', "name": "get_weather"}
    assert {text["finish_reason"], call["finish_reason"]} == {"tool_calls"}
    assert answer["model"] == "claude-sonnet-4.6"
    assert answer["copilot_usage"]["total_nano_aiu"] > 0


def test_a_claude_stream_has_the_role_on_every_text_and_the_usage_on_the_last_chunk(simulator: Client) -> None:
    *texts, last, done = simulator.ask(
        CHAT, marker("SAY", "Hello there."), stream=True, model="claude-haiku-4.5"
    ).events()
    assert all(event["choices"][0]["delta"]["role"] == "assistant" for event in texts)
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["total_tokens"]
    assert list(last["copilot_usage"]) == BILL
    assert done == "[DONE]"


def test_a_claude_tool_call_streams_in_a_second_choice(simulator: Client) -> None:
    events = simulator.ask(CHAT, CALL, stream=True, model="claude-sonnet-4.6").events()[:-1]
    choices = [event["choices"][0] for event in events]
    indexes = [choice["index"] for choice in choices]
    assert indexes == sorted(indexes)
    assert set(indexes) == {0, 1}
    finishes = [(choice["index"], choice["finish_reason"]) for choice in choices if "finish_reason" in choice]
    assert finishes == [(0, "tool_calls"), (1, "tool_calls")]
    calls = [choice["delta"]["tool_calls"][0] for choice in choices if "tool_calls" in choice["delta"]]
    assert calls[0]["function"] == {"name": "get_weather"}
    assert [call["index"] for call in calls] == [0] * len(calls)
    assert "usage" in events[-1]


def test_repeated_ids_are_a_variant_of_claude(simulator: Client) -> None:
    simulator.control("/faults", name="repeated-ids")
    events = simulator.ask(CHAT, CALL, stream=True, model="claude-sonnet-4.6").events()[:-1]
    calls = [call for event in events for call in event["choices"][0]["delta"].get("tool_calls", [])]
    assert len({call["id"] for call in calls}) == 1
    assert all("id" in call for call in calls)
    assert calls[1]["function"] == {"arguments": ""}
    assert {event["choices"][0]["index"] for event in events} == {0}


@pytest.mark.parametrize("model", ["claude-sonnet-4.6", "gemini-3.1-pro-preview"])
def test_reasoning_comes_first_and_ends_with_its_signature(simulator: Client, model: str) -> None:
    fields: dict[str, Any] = {"model": model, "reasoning_effort": "low"}
    events = simulator.ask(CHAT, "hi", stream=True, stream_options=USAGE_OPTIONS, **fields).events()[:-1]
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    thoughts = [index for index, delta in enumerate(deltas) if "reasoning_text" in delta]
    [opaque] = [index for index, delta in enumerate(deltas) if "reasoning_opaque" in delta]
    assert opaque == thoughts[-1] + 1
    assert list(deltas[0]) == ["content", "role", "reasoning_text"]
    [usage] = [event["usage"] for event in events if "usage" in event]
    assert usage["reasoning_tokens"] > 0
    whole = simulator.ask(CHAT, "hi", **fields).json()["choices"][0]["message"]
    assert whole["reasoning_text"]
    assert whole["reasoning_opaque"]


def test_openai_shows_its_reasoning_in_the_usage_only(simulator: Client) -> None:
    answer = simulator.ask(CHAT, "hi", model="gpt-5-mini", reasoning_effort="low")
    assert "reasoning_text" not in answer.text
    assert answer.json()["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


def test_gemini_has_neither_preamble_nor_filters(simulator: Client) -> None:
    answer = simulator.ask(CHAT, "hi", stream=True, model="gemini-2.5-pro", stream_options=USAGE_OPTIONS)
    assert "filter" not in answer.text
    assert answer.events()[0]["choices"][0]["delta"] == {"content": "", "role": "assistant"}
    assert answer.events()[-2]["usage"]


def test_an_output_limit_cuts_an_unscripted_answer(simulator: Client) -> None:
    answer = simulator.ask(CHAT, "hi", max_tokens=4).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 4
