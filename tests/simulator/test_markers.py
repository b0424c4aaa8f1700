"""The last marker of the user texts decides, on every protocol, whole and streamed."""

import json
from typing import Any

import pytest

from copilot_api.simulator.conversation import read_prompt
from copilot_api.simulator.markers import Script, read_script
from tests.simulator.client import (
    CHAT,
    CONVERSATIONS,
    MESSAGES,
    MODELS,
    RESPONSES,
    Client,
    argument_deltas,
    marker,
    question,
    text_deltas,
    whole_calls,
    whole_text,
)

WORDS = "Grüße, 世界! 🎉 line\nbreak"
CALL = {"name": "get_weather", "arguments": {"city": "Zürich"}}


@pytest.mark.parametrize("path", CONVERSATIONS)
@pytest.mark.parametrize("padded", [False, True])
def test_say_answers_exactly_that_text(simulator: Client, path: str, padded: bool) -> None:
    text = f"please {marker('SAY', WORDS, padded=padded)} and nothing else"
    assert whole_text(path, simulator.ask(path, text)) == WORDS
    deltas = text_deltas(path, simulator.ask(path, text, stream=True))
    assert "".join(deltas) == WORDS
    assert len(deltas) >= 3


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_an_unmarked_question_gets_the_same_plausible_text_every_time_in_at_least_three_deltas(
    simulator: Client, path: str
) -> None:
    whole = whole_text(path, simulator.ask(path, "how are you?"))
    deltas = text_deltas(path, simulator.ask(path, "how are you?", stream=True))
    assert "".join(deltas) == whole
    assert len(deltas) >= 3
    assert whole != whole_text(path, simulator.ask(path, "something else entirely"))


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_call_makes_one_call_of_the_declared_tool_with_arguments_in_two_deltas_or_more(
    simulator: Client, path: str
) -> None:
    text = marker("CALL", CALL)
    [(name, arguments)] = whole_calls(path, simulator.ask(path, text))
    assert (name, json.loads(arguments)) == (CALL["name"], CALL["arguments"])
    deltas = argument_deltas(path, simulator.ask(path, text, stream=True))
    assert len(deltas) >= 2
    assert json.loads("".join(deltas)) == CALL["arguments"]


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_even_empty_arguments_come_in_two_deltas(simulator: Client, path: str) -> None:
    text = marker("CALL", {"name": "get_weather", "arguments": {}})
    assert argument_deltas(path, simulator.ask(path, text, stream=True)) == ["{", "}"]


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "claude-haiku-4.5", "gpt-5-mini"])
def test_every_vendor_of_chat_calls_in_two_deltas_or_more(simulator: Client, model: str) -> None:
    answer = simulator.ask(CHAT, marker("CALL", CALL), stream=True, model=model)
    assert len(argument_deltas(CHAT, answer)) >= 2


@pytest.mark.parametrize("path", CONVERSATIONS)
@pytest.mark.parametrize("fields", [{"tools": []}, {"tool_choice": "none"}])
def test_a_request_that_does_not_offer_the_tool_gets_plain_text(
    simulator: Client, path: str, fields: dict[str, Any]
) -> None:
    if path == MESSAGES and "tool_choice" in fields:
        fields = {"tool_choice": {"type": "none"}}
    answer = simulator.ask(path, marker("CALL", CALL), **fields)
    assert whole_calls(path, answer) == []
    assert whole_text(path, answer)


def with_result(path: str, text: str, result: Any) -> dict[str, Any]:
    """The conversation one turn later: the tool was called and has answered."""
    body = question(path, text)
    if path == RESPONSES:
        call = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": "call_1", "output": result}
        return {**body, "input": [{"role": "user", "content": text}, call, output]}
    if path == MESSAGES:
        use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
        answer = {"type": "tool_result", "tool_use_id": "toolu_1", "content": result}
        later = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [answer]}]
        return {**body, "messages": [*body["messages"], *later]}
    function = {"name": "get_weather", "arguments": "{}"}
    calls = [{"id": "call_1", "type": "function", "function": function}]
    then: list[dict[str, Any]] = [
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    ]
    return {**body, "messages": [*body["messages"], *then]}


@pytest.mark.parametrize("path", CONVERSATIONS)
@pytest.mark.parametrize("form", ["string", "parts"])
def test_once_a_result_follows_the_answer_is_its_first_400_characters(simulator: Client, path: str, form: str) -> None:
    result = "wetter: " + "ä" * 600
    kind = {CHAT: "text", MESSAGES: "text", RESPONSES: "input_text"}[path]
    sent = result if form == "string" else [{"type": kind, "text": result}]
    answer = simulator.api(path, with_result(path, marker("CALL", CALL), sent))
    assert whole_text(path, answer) == "SIM-RESULT: " + result[:400]
    assert whole_calls(path, answer) == []


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_a_marker_after_the_result_asks_for_the_next_thing(simulator: Client, path: str) -> None:
    body = with_result(path, marker("CALL", CALL), "sunny")
    later = {"role": "user", "content": marker("SAY", "and now this")}
    if path == MESSAGES:
        body["messages"][-1]["content"].append({"type": "text", "text": later["content"]})
    else:
        body["input" if path == RESPONSES else "messages"].append(later)
    assert whole_text(path, simulator.api(path, body)) == "and now this"


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_the_last_of_several_markers_decides(simulator: Client, path: str) -> None:
    text = f"{marker('SAY', 'first')} {marker('CALL', CALL)} {marker('SAY', 'last')}."
    assert whole_text(path, simulator.ask(path, text)) == "last"


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_markers_in_parts_count_and_those_of_others_do_not(simulator: Client, path: str) -> None:
    kind = "input_text" if path == RESPONSES else "text"
    parts = [{"type": kind, "text": marker("SAY", "heard")}, {"type": kind, "text": "thanks"}]
    body = {**question(path, ""), "model": MODELS[path]}
    body["input" if path == RESPONSES else "messages"] = [{"role": "user", "content": parts}]
    body["instructions" if path == RESPONSES else "system"] = marker("SAY", "instructed")
    if path == CHAT:
        body["messages"].insert(0, {"role": "system", "content": body.pop("system")})
    assert whole_text(path, simulator.api(path, body)) == "heard"


@pytest.mark.parametrize("broken", ["SIM-SAY:!!!", "SIM-SAY:_w", "SIM-CALL:e30", "SIM-CALL:bm90IGpzb24"])
def test_a_marker_that_cannot_be_read_counts_as_none(simulator: Client, broken: str) -> None:
    answer = simulator.ask(CHAT, broken)
    assert answer.status == 200
    assert not whole_calls(CHAT, answer)


def test_a_call_of_a_custom_tool_is_free_text(simulator: Client) -> None:
    text = marker("CALL", {"name": "apply_patch", "arguments": {"input": "*** Begin Patch"}})
    tools = [{"type": "custom", "name": "apply_patch"}]
    [item] = [
        item
        for item in simulator.ask(RESPONSES, text, tools=tools).json()["output"]
        if item["type"] == "custom_tool_call"
    ]
    assert item["input"] == "*** Begin Patch"
    streamed = simulator.ask(RESPONSES, text, tools=tools, stream=True)
    assert "response.custom_tool_call_input.delta" in streamed.event_names()


def test_an_unknown_fault_is_named_in_the_refusal(simulator: Client) -> None:
    answer = simulator.ask(CHAT, "SIM-FAULT:no-such-thing")
    assert answer.status == 400
    assert "no-such-thing" in answer.text


def forced(choice: object, endpoint: str = CHAT, *, later: tuple[dict[str, object], ...] = ()) -> Script:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"enum": ["C", "F"]},
            "more": {},
        },
        "required": ["city", "days", "unit"],
    }
    tools = [{"type": "function", "function": {"name": "weather", "parameters": schema}}]
    messages = [{"role": "user", "content": "how is it?"}, *later]
    return read_script(read_prompt(endpoint, {"messages": messages, "tools": tools, "tool_choice": choice}))


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "any"},
        {"type": "function", "function": {"name": "weather"}},
        {"type": "tool", "name": "weather"},
    ],
)
def test_a_tool_that_the_request_insists_on_is_called_with_the_least_that_fits(choice: object) -> None:
    call = forced(choice).call
    assert call is not None
    assert call.name == "weather"
    assert json.loads(call.arguments) == {"city": "sample", "days": 1, "unit": "C"}


def test_a_result_is_answered_though_a_tool_is_insisted_on() -> None:
    assert forced("required", later=({"role": "tool", "tool_call_id": "1", "content": "fine"},)) == Script()


@pytest.mark.parametrize("choice", ["auto", "none", None, {"type": "function", "function": {"name": "other"}}, 7])
def test_no_tool_is_called_that_nobody_insists_on(choice: object) -> None:
    assert forced(choice) == Script()
