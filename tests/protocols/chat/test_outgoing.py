"""A neutral request as Copilot's chat endpoint takes it."""

import json
from typing import Any

import pytest

from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.chat.outgoing import render_request
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
from copilot_api.protocols.translation.prepare import Target, prepare

GPT = ModelTraits(id="gpt-4.1", vendor="OpenAI")
GPT5 = ModelTraits(id="gpt-5-mini", vendor="OpenAI", efforts=("low", "medium", "high"))
CLAUDE = ModelTraits(id="claude-sonnet-4.6", vendor="Anthropic")
PNG = Image(data="iVBORw0KGgo=", media_type="image/png")
F = Tool(name="f", parameters={"type": "object", "properties": {}})


def user(*parts: Part) -> Message:
    return Message("user", parts)


def assistant(*parts: Part) -> Message:
    return Message("assistant", parts)


def call(call_id: str = "a", arguments: str = "{}") -> ToolCall:
    return ToolCall(id=call_id, name="f", arguments=arguments)


def result(*parts: Text | Image, call_id: str = "a", is_error: bool = False) -> ToolResult:
    return ToolResult(call_id=call_id, parts=parts, is_error=is_error)


def sent(*messages: Message, traits: ModelTraits = GPT, **fields: Any) -> dict[str, Any]:
    request = ModelRequest(model="alias", messages=messages or (user(Text("x")),), **fields)
    body: dict[str, Any] = json.loads(render_request(request, traits).body)
    return body


def messages(*given: Message, traits: ModelTraits = GPT) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sent(*given, traits=traits)["messages"]
    return found


def prepared(*given: Message, **fields: Any) -> list[dict[str, Any]]:
    """What goes upstream of messages as a client gave them."""
    request = prepare(ModelRequest(model="alias", messages=given, **fields), Target.CHAT, GPT).request
    found: list[dict[str, Any]] = json.loads(render_request(request, GPT).body)["messages"]
    return found


# Messages -----------------------------------------------------------------------------------------------------------


def test_the_least_request_is_no_more_than_that() -> None:
    assert sent() == {"model": "gpt-4.1", "messages": [{"role": "user", "content": "x"}]}


def test_pitfall_001_a_turn_of_calls_only_has_no_content() -> None:
    [turn] = messages(assistant(call(arguments='{"x": 1}')))
    assert turn == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}],
    }


def test_pitfall_002_results_come_first_then_all_the_rest_in_one_message() -> None:
    assert prepared(assistant(call()), user(Text("before"), result(Text("r")), Text("after")))[1:] == [
        {"role": "tool", "tool_call_id": "a", "content": "r"},
        {"role": "user", "content": [{"type": "text", "text": "before"}, {"type": "text", "text": "after"}]},
    ]


def test_pitfall_003_a_result_in_several_texts_is_joined() -> None:
    assert messages(user(result(Text("one"), Text("two"))))[0]["content"] == "one\n\ntwo"


def test_pitfall_004_images_of_results_follow_all_results_in_one_message_with_their_calls() -> None:
    found = messages(
        user(result(Text("a page"), PNG), result(PNG, PNG, call_id="b"), result(Text("r"), call_id="c"), Text("so?"))
    )
    assert [message["role"] for message in found] == ["tool", "tool", "tool", "user"]
    assert found[0]["content"] == "a page\n\n[1 image shown in the next user message]"
    assert found[1]["content"] == "[2 images shown in the next user message]"
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    label = {"type": "text", "text": "[image from the result of tool call a]"}
    other = {"type": "text", "text": "[image from the result of tool call b]"}
    assert found[3]["content"] == [label, shown, other, shown, other, shown, {"type": "text", "text": "so?"}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("no such file", "Error: no such file"), ("Error: no", "Error: no"), ("error in x", "error in x"),
     ("<tool_use_error>x", "<tool_use_error>x")],
)  # fmt: skip
def test_pitfall_005_a_failed_tool_says_so_once(text: str, expected: str) -> None:
    assert messages(user(result(Text(text), is_error=True)))[0]["content"] == expected
    assert messages(user(result(Text("no such file"))))[0]["content"] == "no such file"


def test_pitfall_006_an_empty_result_is_still_an_answer() -> None:
    assert messages(user(result()))[0]["content"] == "(no output)"


def test_pitfall_007_reasoning_is_never_text() -> None:
    [turn] = messages(
        assistant(Reasoning("secret"), Reasoning("x", Carrier(kind="an", data="s", text="x")), Text("Hi"))
    )
    assert turn == {"role": "assistant", "content": "Hi"}


def test_copilots_own_reasoning_is_replayed_as_it_gave_it() -> None:
    [turn] = messages(assistant(Reasoning("hm", Carrier(kind="ro", data="sig")), call()))
    assert (turn["reasoning_text"], turn["reasoning_opaque"], turn["content"]) == ("hm", "sig", None)
    [turn] = messages(assistant(Reasoning("", Carrier(kind="ro", data="sig"))))
    assert turn == {"role": "assistant", "content": "(no content)", "reasoning_opaque": "sig"}


def test_pitfall_008_leading_instructions_are_one_message_with_blank_lines_between() -> None:
    found = sent(system=("one", "two"))["messages"]
    assert found == [{"role": "system", "content": "one\n\ntwo"}, {"role": "user", "content": "x"}]
    bodies = {
        render_request(
            prepare(
                ModelRequest(
                    model="m", system=(f"x-anthropic-billing-header: cch={nonce};", "two"), messages=(user(Text("x")),)
                ),
                Target.CHAT,
                GPT,
            ).request,
            GPT,
        ).body
        for nonce in ("a", "b")
    }
    assert len(bodies) == 1


def test_pitfall_009_instructions_in_the_middle_stay_after_the_results_they_follow() -> None:
    found = prepared(
        user(Text("x")),
        assistant(call()),
        user(result(Text("r"))),
        Message("system", (Text("be brief"),)),
        user(Text("y")),
    )
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "system", "user"]
    assert found[3]["content"] == "be brief"


def test_pitfall_010_a_tool_without_parameters_has_an_empty_object_of_them() -> None:
    assert sent(tools=(Tool(name="f"),))["tools"] == [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    ]


def test_texts_of_one_turn_are_joined_and_a_refusal_is_said() -> None:
    [turn] = messages(assistant(Text("one"), call(), Text("two")))
    assert turn["content"] == "one\n\ntwo"
    assert messages(assistant(Refusal("no")))[0] == {"role": "assistant", "content": None, "refusal": "no"}
    assert messages(assistant(Text("a"), Refusal("no")), traits=CLAUDE)[0]["content"] == "a\n\nno"
    assert messages(assistant(Refusal("no")), traits=CLAUDE)[0]["content"] == "no"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("", "{}"), (" \n", "{}"), ('{"x":', '{"_raw":"{\\"x\\":"}'), ('{"x" : 1}', '{"x" : 1}'), ("[1]", "[1]")],
)
def test_pitfall_044_arguments_are_always_json(arguments: str, expected: str) -> None:
    [turn] = messages(assistant(call(arguments=arguments)))
    assert turn["tool_calls"][0]["function"]["arguments"] == expected


@pytest.mark.parametrize("call_id", ["x" * 65, "a.b", "functions.f:0", "é"])
def test_a_strange_id_is_replaced_alike_in_call_and_result(call_id: str) -> None:
    found = messages(assistant(call(call_id)), user(result(Text("r"), call_id=call_id)))
    new = found[0]["tool_calls"][0]["id"]
    assert new == found[1]["tool_call_id"]
    assert new.startswith("call_")
    assert len(new) <= 64
    assert messages(assistant(call("toolu_01-X")))[0]["tool_calls"][0]["id"] == "toolu_01-X"


def test_images_keep_their_detail_and_are_told_of() -> None:
    request = ModelRequest(
        model="m", messages=(user(Text("see"), Image(data="AA", media_type="image/png", detail="low")),)
    )
    outgoing = render_request(request, GPT)
    assert outgoing.has_images
    assert json.loads(outgoing.body)["messages"][0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
    ]
    assert render_request(ModelRequest(model="m", messages=(user(result(PNG)),)), GPT).has_images
    assert not render_request(ModelRequest(model="m", messages=(user(Text("x")),)), GPT).has_images


def test_documents_that_are_left_are_text() -> None:
    assert messages(user(Document(title="n", text="t")))[0]["content"] == "n\n\nt"
    assert "not shown" in messages(user(Document(data="AA", media_type="application/pdf")))[0]["content"]


# Tools and form -----------------------------------------------------------------------------------------------------


def test_a_tool_in_full() -> None:
    tool = Tool(name="f", description="does", parameters={"type": "object", "properties": {"x": {}}}, strict=True)
    expected = {"name": "f", "description": "does", "parameters": tool.parameters}
    assert sent(tools=(tool,))["tools"][0]["function"] == {**expected, "strict": True}
    assert sent(tools=(tool,), traits=CLAUDE)["tools"][0]["function"] == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(mode="auto"), "auto"), (ToolChoice(mode="any"), "required"), (ToolChoice(mode="none"), "none"),
        (ToolChoice(mode="tool", name="f"), {"type": "function", "function": {"name": "f"}}),
    ],
)  # fmt: skip
def test_tool_choices(choice: ToolChoice, expected: Any) -> None:
    assert sent(tools=(F,), tool_choice=choice)["tool_choice"] == expected


def test_pitfall_011_several_calls_at_once_are_forbidden_only_where_there_are_tools() -> None:
    body = sent(tools=(F,), tool_choice=ToolChoice(mode="any"), is_parallel=False)
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert "parallel_tool_calls" not in sent(is_parallel=False)
    assert "parallel_tool_calls" not in sent(tools=(F,))


def test_pitfall_013_a_long_name_goes_upstream_short() -> None:
    name = "mcp__" + "x" * 75
    request = ModelRequest(model="m", messages=(user(Text("x")),), tools=(Tool(name=name),))
    body = json.loads(render_request(prepare(request, Target.CHAT, GPT).request, GPT).body)
    assert len(body["tools"][0]["function"]["name"]) <= 64


def test_forms_of_the_answer() -> None:
    schema = {"type": "object", "properties": {}}
    assert sent(output_format=OutputFormat(kind="json_object"))["response_format"] == {"type": "json_object"}
    wanted = OutputFormat(kind="json_schema", name="n", description="d", schema=schema, strict=True)
    full = {"name": "n", "description": "d", "schema": schema, "strict": True}
    assert sent(output_format=wanted)["response_format"] == {"type": "json_schema", "json_schema": full}
    bare = OutputFormat(kind="json_schema", schema=schema)
    assert sent(output_format=bare)["response_format"]["json_schema"] == {"name": "response", "schema": schema}


# Limits -------------------------------------------------------------------------------------------------------------


def test_pitfall_019_reasoning_models_get_no_sampling_and_no_stop() -> None:
    fields: dict[str, Any] = {"temperature": 0.5, "top_p": 0.5, "top_k": 5, "stop": ("a", "b")}
    assert sent(traits=GPT5, **fields).keys() == {"model", "messages"}
    body = sent(**fields)
    assert (body["temperature"], body["top_p"], body["stop"]) == (0.5, 0.5, ["a", "b"])
    assert "top_k" not in body


def test_pitfall_020_and_122_the_limit_goes_by_one_name_only() -> None:
    assert sent(traits=GPT5, max_output_tokens=9)["max_completion_tokens"] == 9
    assert "max_tokens" not in sent(traits=GPT5, max_output_tokens=9)
    for traits in (GPT, CLAUDE):
        body = sent(traits=traits, max_output_tokens=9)
        assert body["max_tokens"] == 9
        assert "max_completion_tokens" not in body


def test_claude_takes_no_temperature_over_one() -> None:
    assert sent(traits=CLAUDE, temperature=1.5)["temperature"] == 1.0
    assert sent(temperature=1.5)["temperature"] == 1.5


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        (None, None), (Thinking(effort="high"), "high"), (Thinking(effort="max"), "high"), (Thinking(budget_tokens=31999), "high"),
        (Thinking(is_disabled=True), "low"), (Thinking(is_adaptive=True), "medium"),
    ],
)  # fmt: skip
def test_pitfall_021_the_effort_is_one_that_the_model_lists(thinking: Thinking | None, effort: str | None) -> None:
    assert sent(traits=GPT5, thinking=thinking).get("reasoning_effort") == effort
    assert "reasoning_effort" not in sent(thinking=thinking)


def test_what_only_some_models_know_goes_to_them_only() -> None:
    fields: dict[str, Any] = {"user": "u", "cache_key": "k", "verbosity": "low"}
    assert sent(traits=CLAUDE, **fields).keys() == {"model", "messages"}
    assert sent(**fields).keys() == {"model", "messages", "user"}
    assert sent(traits=GPT5, **fields)["verbosity"] == "low"


def test_a_stream_is_asked_for_with_its_usage() -> None:
    body = sent(is_streamed=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_pitfall_124_the_same_request_gives_the_same_bytes() -> None:
    request = ModelRequest(
        model="m",
        system=("s",),
        messages=(assistant(call("é")), user(result(PNG, call_id="é"))),
        tools=(F,),
        is_streamed=True,
    )
    assert render_request(request, GPT) == render_request(request, GPT)
