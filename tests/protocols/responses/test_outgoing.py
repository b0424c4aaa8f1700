"""A neutral request as Copilot's Responses takes it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import (
    Carrier,
    Document,
    Image,
    Message,
    ModelRequest,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from copilot_api.protocols.responses.outgoing import render_request

CODEX = ModelTraits(id="gpt-5.3-codex", vendor="OpenAI", efforts=("low", "medium", "high"))
OLD = ModelTraits(id="gpt-5.2", vendor="OpenAI", efforts=("low", "medium"))
PLAIN = ModelTraits(id="gpt-4.1", vendor="Azure OpenAI")
HI = Message("user", (Text("hi"),))


def body(request: ModelRequest, traits: ModelTraits = OLD) -> Any:
    return json.loads(render_request(request, traits).body)


def asked(*messages: Message, **fields: Any) -> ModelRequest:
    return ModelRequest(model="alias", messages=messages or (HI,), **fields)


def user(*parts: Part) -> Message:
    return Message("user", parts)


def assistant(*parts: Part, phase: str | None = None) -> Message:
    return Message("assistant", parts, phase)


def test_a_small_request_is_this_and_no_more() -> None:
    assert body(asked(is_streamed=True)) == {
        "model": "gpt-5.2",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "reasoning": {"summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "stream": True,
    }


def test_pitfall_008_system_texts_are_joined_with_a_blank_line() -> None:
    assert body(asked(system=("Be brief.", "Be kind.")))["instructions"] == "Be brief.\n\nBe kind."


def test_without_any_message_the_instructions_are_the_input() -> None:
    sent = body(ModelRequest(model="a", system=("Say hi.",)))
    assert "instructions" not in sent
    assert sent["input"] == [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Say hi."}]}
    ]


def test_pitfall_009_a_system_message_in_the_middle_stays_there_as_the_developers() -> None:
    items = body(asked(HI, Message("system", (Text("Now in French."),)), HI))["input"]
    assert [item["role"] for item in items] == ["user", "developer", "user"]


def test_calls_and_results_go_by_their_call_id_and_without_item_ids() -> None:
    items = body(
        asked(
            HI,
            assistant(Text("Looking."), ToolCall(id="c1", name="f", arguments='{"a":1}')),
            user(ToolResult(call_id="c1", parts=(Text("one"), Text("two"))), Text("Go on.")),
        ),
    )["input"]
    assert items[1:] == [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Looking."}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}', "status": "completed"},
        {"type": "function_call_output", "call_id": "c1", "output": "one\ntwo"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on."}]},
    ]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert body(asked(assistant(ToolCall(id="c", name="f", arguments=" "))))["input"][0]["arguments"] == "{}"


def test_what_answers_a_custom_call_is_a_custom_output() -> None:
    items = body(
        asked(
            assistant(
                ToolCall(id="c1", name="patch", arguments="*** Begin", is_custom=True),
                ToolCall(id="c2", name="f", arguments="{}"),
            ),
            user(ToolResult(call_id="c1", parts=(Text("ok"),)), ToolResult(call_id="c2", parts=(Text("ok"),))),
        ),
    )["input"]
    assert items[0] == {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin"}
    assert [item["type"] for item in items[2:]] == ["custom_tool_call_output", "function_call_output"]


def test_pitfall_004_a_result_with_an_image_is_a_list() -> None:
    image = Image(data="AAAA", media_type="image/png")
    rendered = render_request(asked(user(ToolResult(call_id="c", parts=(Text("see"), image)))), OLD)
    assert rendered.has_images
    assert json.loads(rendered.body)["input"][0]["output"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
    ]


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("boom", "Error: boom"),
        ("Error: boom", "Error: boom"),
        ("<tool_use_error>x", "<tool_use_error>x"),
    ],
)
def test_pitfall_005_a_failed_result_says_so(said: str, sent: str) -> None:
    result = ToolResult(call_id="c", parts=(Text(said),), is_error=True)
    assert body(asked(user(result)))["input"][0]["output"] == sent


def test_a_failed_result_that_is_an_image_says_so_before_it() -> None:
    result = ToolResult(call_id="c", parts=(Image(data="A", media_type="image/png"),), is_error=True)
    assert body(asked(user(result)))["input"][0]["output"][0] == {"type": "input_text", "text": "Error:"}


def test_pitfall_026_a_pdf_is_a_file_with_a_name() -> None:
    pdf = Document(data="JVBERi0=", media_type="application/pdf")
    content = body(asked(user(pdf, Document(title="n.txt", text="Notes"), Document(url="https://x/y.pdf"))))["input"]
    assert content[0]["content"] == [
        {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
        {"type": "input_text", "text": "n.txt\nNotes"},
        {"type": "input_file", "file_url": "https://x/y.pdf"},
    ]


def test_pitfall_099_reasoning_goes_back_with_its_id_before_what_it_led_to() -> None:
    thought = Reasoning("Hm", Carrier(kind="rs", data="ENC", id="rs_1"))
    silent = Reasoning("", Carrier(kind="rs", data="ENC2", id="rs_2"))
    call = ToolCall(id="c", name="f", arguments="{}")
    items = body(asked(HI, assistant(thought, Text("Hi"), silent, call)))["input"]
    assert [item["type"] for item in items[1:]] == ["reasoning", "message", "reasoning", "function_call"]
    summary = [{"type": "summary_text", "text": "Hm"}]
    assert items[1] == {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "ENC"}
    assert items[3]["summary"] == []


def test_pitfall_049_reasoning_that_led_to_nothing_is_left_out() -> None:
    items = body(asked(HI, assistant(Reasoning("Hm", Carrier(kind="rs", data="E", id="rs_1"))), HI))["input"]
    assert [item["type"] for item in items] == ["message", "message"]


def test_pitfall_007_reasoning_without_a_carrier_of_this_vendor_is_never_said_aloud() -> None:
    thoughts = (Reasoning("secret"), Reasoning("secret", Carrier(kind="an", data="sig")))
    assert b"secret" not in render_request(asked(HI, assistant(*thoughts, Text("Hi"))), OLD).body


def test_a_refusal_stays_one() -> None:
    assert body(asked(HI, assistant(Refusal("No."))))["input"][1]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_a_replayed_message_has_its_phase_and_the_likely_one_where_none_is_known() -> None:
    call = ToolCall(id="c", name="f", arguments="{}")
    phases = [
        body(asked(HI, message), traits)["input"][1].get("phase")
        for message, traits in [
            (assistant(Text("a"), call), CODEX),
            (assistant(Text("a")), CODEX),
            (assistant(Text("a"), phase="commentary"), OLD),
            (assistant(Text("a")), OLD),
        ]
    ]
    assert phases == ["commentary", "final_answer", "commentary", None]


def test_pitfall_012_every_function_says_whether_it_is_strict() -> None:
    tools = (
        Tool(name="f", description="Does.", parameters={"type": "object", "properties": {}}),
        Tool(name="g", strict=True),
        Tool(name="p", is_custom=True, grammar={"type": "grammar", "syntax": "lark", "definition": "x"}),
    )
    sent = body(asked(tools=tools))
    assert [tool.get("strict") for tool in sent["tools"]] == [False, True, None]
    assert sent["tools"][0]["name"] == "f"
    assert sent["tools"][2]["format"]["syntax"] == "lark"
    assert sent["parallel_tool_calls"] is True


def test_pitfall_011_any_is_required_and_parallel_calls_may_be_off() -> None:
    sent = body(asked(tools=(Tool(name="f"),), tool_choice=ToolChoice(mode="any"), is_parallel=False))
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", False)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice(mode="auto"), "auto"),
        (ToolChoice(mode="none"), "none"),
        (ToolChoice(mode="tool", name="f"), {"type": "function", "name": "f"}),
        (ToolChoice(mode="tool", name="p"), {"type": "custom", "name": "p"}),
    ],
)
def test_the_tool_choice_is_flat(choice: ToolChoice, sent: object) -> None:
    tools = (Tool(name="f"), Tool(name="p", is_custom=True))
    assert body(asked(tools=tools, tool_choice=choice))["tool_choice"] == sent


@pytest.mark.parametrize(("asked_for", "sent"), [(1, 16), (16, 16), (900, 900)])
def test_pitfall_017_the_limit_is_at_least_sixteen(asked_for: int, sent: int) -> None:
    assert body(asked(max_output_tokens=asked_for))["max_output_tokens"] == sent


def test_pitfall_019_a_reasoning_model_gets_no_sampling() -> None:
    request = asked(temperature=0.2, top_p=0.9, top_k=3)
    assert {"temperature", "top_p", "top_k"}.isdisjoint(body(request))
    assert body(request, PLAIN)["temperature"] == 0.2


def test_a_model_that_does_not_think_is_asked_for_no_reasoning() -> None:
    assert "reasoning" not in body(asked(thinking=Thinking(effort="high")), PLAIN)


@pytest.mark.parametrize(
    ("thinking", "sent"),
    [
        (Thinking(budget_tokens=31_999), {"effort": "medium", "summary": "auto"}),
        (Thinking(effort="low", is_shown=False), {"effort": "low"}),
        (Thinking(is_disabled=True), {"effort": "low"}),
        (None, {"summary": "auto"}),
    ],
)
def test_pitfall_021_the_effort_is_one_that_the_model_lists(thinking: Thinking | None, sent: object) -> None:
    assert body(asked(thinking=thinking))["reasoning"] == sent


def test_pitfall_023_thinking_that_is_off_gets_no_summary() -> None:
    traits = ModelTraits(id="gpt-5.2", efforts=("none", "low"))
    assert body(asked(thinking=Thinking(is_disabled=True)), traits)["reasoning"] == {"effort": "none"}


def test_a_schema_is_strict_when_asked_or_when_it_can_be() -> None:
    closed = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "string"}}},
        "required": ["a"],
        "additionalProperties": False,
    }
    cases: list[tuple[dict[str, Any], bool | None, bool]] = [
        (closed, None, True),
        (closed, False, False),
        ({"type": "object", "properties": {"a": {}}}, None, False),
        ({**closed, "properties": {"a": {"type": "object", "properties": {}}}}, None, False),
        ({**closed, "$defs": {"b": {"allOf": []}}}, None, False),
        ({"type": "object"}, True, True),
        ({"type": "string"}, None, False),
    ]
    for schema, strict, sent in cases:
        wanted = OutputFormat(kind="json_schema", schema=schema, strict=strict)
        rendered = body(asked(output_format=wanted, verbosity="low"))["text"]
        assert rendered["format"] == {"type": "json_schema", "name": "response", "schema": schema, "strict": sent}
        assert rendered["verbosity"] == "low"


def test_an_answer_in_json_is_asked_for_in_words_too() -> None:
    wanted = OutputFormat(kind="json_object")
    sent = body(asked(output_format=wanted, system=("Answer in JSON.",)))
    assert sent["text"] == {"format": {"type": "json_object"}}
    assert sent["input"][-1]["role"] == "developer"
    assert len(body(asked(user(Text("as json")), output_format=wanted))["input"]) == 1


def test_the_user_is_a_safety_identifier() -> None:
    sent = body(asked(user="u1", cache_key="k1"))
    assert (sent["safety_identifier"], sent["prompt_cache_key"]) == ("u1", "k1")
    assert "user" not in sent


_TEXTS = st.builds(Text, st.text(min_size=1, max_size=5))
_CALLS = st.builds(ToolCall, id=st.sampled_from("ab"), name=st.just("f"), arguments=st.text(max_size=5))
_RESULTS = st.builds(ToolResult, call_id=st.sampled_from("ab"), parts=st.tuples(_TEXTS), is_error=st.booleans())
_MESSAGES = st.one_of(
    st.builds(Message, st.just("user"), st.lists(_TEXTS | _RESULTS, max_size=3).map(tuple)),
    st.builds(Message, st.just("assistant"), st.lists(_TEXTS | _CALLS, max_size=3).map(tuple)),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(_MESSAGES, min_size=1, max_size=4))
def test_pitfall_124_the_same_request_gives_the_same_bytes(messages: list[Message]) -> None:
    request = ModelRequest(model="m", messages=tuple(messages))
    assert render_request(request, CODEX).body == render_request(request, CODEX).body
