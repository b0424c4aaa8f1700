"""Bodies of other protocols on the chat path: served as the chat requests that they mean (Cursor)."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.chat.conversation import read_conversation
from copilot_api.protocols.chat.foreign_shapes import normalised
from copilot_api.protocols.chat.request import parse_request
from copilot_api.protocols.conversation import Carrier, Message, Reasoning, Text, ToolCall, ToolResult

CASES = sorted((Path(__file__).parent.parent / "cases" / "chat_foreign").iterdir())
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}


def chat(**body: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(normalised(json.dumps({"model": "m", **body}).encode()))
    return found


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("case", CASES, ids=name)
def test_pitfall_051_and_052_a_foreign_body_is_the_chat_request_that_it_means(case: Path) -> None:
    request = parse_request((case / "request.json").read_bytes())
    expected = json.loads((case / "chat.json").read_text())
    assert json.loads(request.body.source) == expected
    sent = json.loads(request.render(ModelTraits(id="upstream")).body)
    assert sent == {**expected, "model": "upstream", "stream_options": {"include_usage": True}}
    read_conversation(request)


def test_a_chat_request_is_left_alone() -> None:
    body = (
        b'{ "model":"m","input":"never","messages":[{"role":"user","content":[{"type":"text","text":"tool_use"}]}],'
        b'"tools":[{"type":"function","function":{"name":"f","description":"say \\"input_schema\\""}}] }'
    )
    assert parse_request(body).body.source == body


def test_a_body_of_neither_shape_is_refused() -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_request(b'{"model":"m"}')
    assert refusal.value.param == "messages"


# The shape of Responses ---------------------------------------------------------------------------------------------


def test_pitfall_051_a_bare_text_is_a_user_message() -> None:
    assert chat(input="hi")["messages"] == [{"role": "user", "content": "hi"}]
    request = parse_request(b'{"model":"m","input":"hi","stream":true}')
    assert (request.model, request.is_streamed, request.initiator) == ("m", True, "user")


def test_what_the_model_said_and_called_in_one_turn_is_one_message() -> None:
    items = [
        {"role": "user", "content": "x"},
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "look"}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "p", "input": "*** Begin"},
        {"type": "function_call_output", "call_id": "a", "output": "r"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "s"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]
    messages = read_conversation(parse_request(json.dumps({"model": "m", "input": items}).encode())).messages
    assert messages == (
        Message("user", (Text("x"),)),
        Message(
            "assistant",
            (
                Text("look"),
                ToolCall(id="a", name="f", arguments="{}"),
                ToolCall(id="b", name="p", arguments="*** Begin", is_custom=True),
            ),
        ),
        Message("user", (ToolResult(call_id="a", parts=(Text("r"),)),)),
        Message("user", (ToolResult(call_id="b", parts=(Text("s"),)),)),
        Message("assistant", (ToolCall(id="c", name="f", arguments="{}"),)),
    )


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt"])
def test_state_that_nobody_keeps_is_refused(field: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_request(json.dumps({"model": "m", "input": "x", field: "id"}).encode())
    assert refusal.value.param == field


def test_choices_and_forms_are_nested() -> None:
    body = chat(
        input="x",
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        text={"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}, "verbosity": "low"},
    )
    assert body["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
    }
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {}, "strict": True},
    }
    assert body["verbosity"] == "low"
    assert chat(input="x", tool_choice={"type": "function", "name": "f"})["tool_choice"] == {
        "type": "function",
        "function": {"name": "f"},
    }
    assert chat(input="x", tool_choice="auto", text={"format": {"type": "text"}})["tool_choice"] == "auto"


# The shape of Messages ----------------------------------------------------------------------------------------------


def test_pitfall_052_signed_thinking_survives() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": "é"}},
    ]
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": blocks}]}
    assert read_conversation(parse_request(json.dumps(body).encode())).messages[1].parts == (
        Reasoning("hm", Carrier(kind="an", data="sig", text="hm")),
        ToolCall(id="a", name="f", arguments='{"x":"é"}'),
    )


@pytest.mark.parametrize(
    ("choice", "expected"),
    [({"type": "auto"}, "auto"), ({"type": "any"}, "required"), ({"type": "none"}, "none"),
     ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}), ("auto", "auto")],
)  # fmt: skip
def test_anthropics_choices(choice: Any, expected: Any) -> None:
    assert chat(messages=[], tool_choice=choice)["tool_choice"] == expected


def test_anthropics_settings() -> None:
    body = chat(
        messages=[],
        system=[{"type": "text", "text": "s", "cache_control": {}}],
        stop_sequences=["x"],
        thinking={"type": "enabled", "budget_tokens": 10_000},
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    )
    assert body["messages"] == [{"role": "system", "content": [{"type": "text", "text": "s"}]}]
    assert (body["stop"], body["reasoning_effort"], body["parallel_tool_calls"]) == (["x"], "medium", False)
    assert chat(messages=[], output_config={"effort": "max"})["reasoning_effort"] == "max"


def test_results_with_images_and_documents_are_read() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}
    body = chat(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": [image, {"type": "text", "text": "r"}]},
                    {"type": "tool_result", "tool_use_id": "b", "content": "s"},
                    {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                    {"type": "document", "title": "t", "source": {"type": "text", "data": "d"}},
                ],
            }
        ]
    )
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    assert body["messages"] == [
        {"role": "tool", "tool_call_id": "a", "content": [shown, {"type": "text", "text": "r"}]},
        {"role": "tool", "tool_call_id": "b", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                {"type": "file", "file": {"file_data": "data:text/plain;base64,ZA==", "filename": "t"}},
            ],
        },
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "tool_use"}]}]}]},
        {"messages": [], "system": [{"type": "tool_use"}], "tools": [{"name": "f", "input_schema": {}}]},
        {"input": 5}, {"input": [5, None, {}]}, {"input": [{"type": "message"}], "tools": 5}, {"messages": 5, "tools": [{"input_schema": 5}]},
        {"messages": [5, {"role": "user", "content": [5, {"type": "tool_use"}]}]}, {"messages": [{"content": [{"type": "tool_result"}]}]},
        {"input": [{"type": "function_call"}], "text": 5, "reasoning": [], "tool_choice": {"type": "tool"}}, {"input": {"a": 1}},
        {"messages": [{"role": "user", "content": [{"type": "tool_use", "input": [1]}, {"type": "image", "source": 5}]}], "system": 5},
    ],
)  # fmt: skip
def test_whatever_it_says_it_is_a_request_or_refused(body: Any) -> None:
    with contextlib.suppress(BadRequest):
        read_conversation(parse_request(json.dumps({"model": "m", **body}).encode()))


@pytest.mark.parametrize("depth", [10, 300, 600, 900, 950, 1000, 3000])
def test_a_body_of_any_depth_is_a_request_or_refused(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    for body in (
        b'{"model":"m","input":[{"role":"user","content":%b}]}' % deep,
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"tool_use","id":"a","name":"f","input":{"x":%b}}]}]}'
        % deep,
        b'{"model":"m","input":"x","metadata":%b}' % deep,
    ):
        with contextlib.suppress(BadRequest):
            read_conversation(parse_request(body))


def test_a_number_that_nobody_can_hold_is_refused() -> None:
    with pytest.raises(BadRequest):
        parse_request(b'{"model":"m","input":"x","metadata":1e999}')
