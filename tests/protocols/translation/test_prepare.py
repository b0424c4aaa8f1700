"""A request made fit for the model that it goes to."""

import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import (
    Carrier,
    Message,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from copilot_api.protocols.translation.prepare import Target, clean_text, prepare
from copilot_api.protocols.translation.shims import JSON_TOOL, CustomTools, ForcedJson, OriginalNames, StopSequences

GPT = ModelTraits(id="gpt-5.4", vendor="OpenAI", max_output_tokens=1000)
CLAUDE = ModelTraits(id="claude-sonnet-4.5", vendor="Anthropic")
HI = Message("user", (Text("hi"),))


def request(**fields: object) -> ModelRequest:
    return ModelRequest(**{"model": "m", "messages": (HI,), **fields})  # type: ignore[arg-type]


def test_pitfall_008_the_billing_line_is_gone_and_the_rest_stays() -> None:
    line = "x-anthropic-billing-header: cc_version=2; cch=%s;"
    one = prepare(request(system=(line % 1, "You are Claude")), Target.CHAT, GPT)
    other = prepare(request(system=(line % 2 + "\n", "You are Claude")), Target.CHAT, GPT)
    assert one.request == other.request
    assert one.request.system == ("You are Claude",)


def test_pitfall_017_the_output_limit_is_capped_to_the_models() -> None:
    assert prepare(request(max_output_tokens=128_000), Target.RESPONSES, GPT).request.max_output_tokens == 1000
    assert prepare(request(max_output_tokens=10), Target.RESPONSES, GPT).request.max_output_tokens == 10


def test_pitfall_018_stops_are_emulated_where_the_target_has_none() -> None:
    found = prepare(request(stop=("END", " ", "")), Target.RESPONSES, GPT)
    assert found.request.stop == ()
    assert isinstance(found.shims[0], StopSequences)
    kept = prepare(request(stop=("END",)), Target.CHAT, ModelTraits(id="gpt-4.1"))
    assert kept.request.stop == ("END",)
    assert not kept.shims
    many = prepare(request(stop=tuple("abcde")), Target.CHAT, ModelTraits(id="gpt-4.1"))
    assert many.request.stop == ()
    assert prepare(request(stop=("END",)), Target.CHAT, ModelTraits(id="gpt-5-mini")).request.stop == ()
    assert prepare(request(stop=tuple("abcde")), Target.MESSAGES, CLAUDE).request.stop == tuple("abcde")


@pytest.mark.parametrize(
    ("target", "kept"), [(Target.CHAT, ["ro"]), (Target.RESPONSES, ["rs"]), (Target.MESSAGES, ["an", "rd"])]
)
def test_pitfall_038_reasoning_goes_back_only_to_whoever_made_it(target: Target, kept: list[str]) -> None:
    thoughts = tuple(Reasoning("t", Carrier(kind=kind, data="x")) for kind in ("ro", "rs", "an", "rd"))
    turns = (HI, Message("assistant", (*thoughts, Reasoning("bare"), Text("so")), None), HI)
    parts = prepare(request(messages=turns), target, CLAUDE).request.messages[1].parts
    assert [part.carrier.kind for part in parts if isinstance(part, Reasoning) and part.carrier] == kept
    assert parts[-1] == Text("so")


def test_pitfall_038_reasoning_of_another_model_is_dropped() -> None:
    foreign = Reasoning("t", Carrier(kind="an", data="x", model="claude-opus-4.8"))
    turns = (HI, Message("assistant", (foreign, Text("so"))), HI)
    assert prepare(request(messages=turns), Target.MESSAGES, CLAUDE).request.messages[1].parts == (Text("so"),)


def test_pitfall_115_nul_and_lone_surrogates_are_harmless() -> None:
    assert clean_text("a\0b\udc00c") == "ab?c"
    calls = (Message("assistant", (ToolCall(id="a", name="f", arguments='{"x":"\0"}'),)),)
    found = prepare(request(messages=(HI, *calls)), Target.CHAT, GPT).request.messages
    assert found[1].parts[0] == ToolCall(id="a", name="f", arguments='{"x":""}')


def test_custom_tools_are_functions_for_all_but_responses() -> None:
    tool = Tool(
        name="apply_patch", is_custom=True, grammar={"type": "grammar", "syntax": "lark", "definition": "start: x"}
    )
    history = (HI, Message("assistant", (ToolCall(id="a", name="apply_patch", arguments="*** x", is_custom=True),)))
    chat = prepare(request(tools=(tool,), messages=history), Target.CHAT, GPT)
    assert isinstance(chat.shims[0], CustomTools)
    assert not chat.request.tools[0].is_custom
    assert "start: x" in chat.request.tools[0].parameters["properties"]["input"]["description"]
    assert chat.request.messages[1].parts[0] == ToolCall(id="a", name="apply_patch", arguments='{"input":"*** x"}')
    responses = prepare(request(tools=(tool,), messages=history), Target.RESPONSES, GPT)
    assert responses.request.tools == (tool,)
    assert not responses.shims


def test_names_are_mapped_in_tools_choice_and_history() -> None:
    history = (HI, Message("assistant", (ToolCall(id="a", name="a b", arguments="{}"),)))
    found = prepare(
        request(tools=(Tool(name="a b"),), tool_choice=ToolChoice(mode="tool", name="a b"), messages=history),
        Target.CHAT,
        GPT,
    )
    assert isinstance(found.shims[0], OriginalNames)
    sent = found.request.tools[0].name
    assert found.request.tool_choice == ToolChoice(mode="tool", name=sent)
    called = found.request.messages[1].parts[0]
    assert isinstance(called, ToolCall)
    assert called.name == sent


def test_only_the_allowed_tools_are_offered() -> None:
    tools = (Tool(name="a"), Tool(name="b"))
    found = prepare(request(tools=tools, tool_choice=ToolChoice(mode="any", allowed=("b",))), Target.MESSAGES, CLAUDE)
    assert [tool.name for tool in found.request.tools] == ["b"]
    assert found.request.tool_choice == ToolChoice(mode="any")


def test_a_choice_without_tools_is_dropped_and_one_of_no_tool_refused() -> None:
    assert prepare(request(tool_choice=ToolChoice(mode="any")), Target.CHAT, GPT).request.tool_choice is None
    with pytest.raises(BadRequest, match="names no tool"):
        prepare(request(tools=(Tool(name="a"),), tool_choice=ToolChoice(mode="tool")), Target.CHAT, GPT)
    with pytest.raises(BadRequest, match="not among the tools"):
        prepare(request(tools=(Tool(name="a"),), tool_choice=ToolChoice(mode="tool", name="b")), Target.CHAT, GPT)


def test_more_tools_than_the_upstream_takes_are_refused_clearly() -> None:
    tools = tuple(Tool(name=f"t{number}") for number in range(129))
    with pytest.raises(BadRequest, match="129 tools"):
        prepare(request(tools=tools), Target.CHAT, GPT)
    assert len(prepare(request(tools=tools), Target.MESSAGES, CLAUDE).request.tools) == 129


def test_of_tools_with_one_name_the_first_is_kept() -> None:
    found = prepare(request(tools=(Tool(name="a", description="1"), Tool(name="a", description="2"))), Target.CHAT, GPT)
    assert [tool.description for tool in found.request.tools] == ["1"]


def test_json_is_asked_for_in_words_where_there_is_no_field() -> None:
    wanted = OutputFormat(kind="json_object")
    assert "JSON" in prepare(request(output_format=wanted), Target.MESSAGES, CLAUDE).request.system[-1]
    chat = prepare(request(output_format=wanted), Target.CHAT, GPT).request
    assert chat.output_format == wanted
    assert "JSON" in chat.system[-1]
    said = prepare(request(output_format=wanted, system=("answer in json",)), Target.CHAT, GPT).request
    assert said.system == ("answer in json",)


def test_a_schema_is_a_forced_tool_where_the_model_has_no_structured_outputs() -> None:
    wanted = OutputFormat(kind="json_schema", name="n", schema={"type": "object", "properties": {"a": {}}})
    found = prepare(request(output_format=wanted), Target.MESSAGES, CLAUDE)
    assert isinstance(found.shims[0], ForcedJson)
    assert found.request.tools[0].name == JSON_TOOL
    assert found.request.tool_choice == ToolChoice(mode="tool", name=JSON_TOOL)
    assert found.request.thinking is not None
    assert found.request.thinking.is_disabled
    able = ModelTraits(id="claude-sonnet-4.6", vendor="Anthropic", has_structured_outputs=True)
    assert prepare(request(output_format=wanted), Target.MESSAGES, able).request.output_format == wanted


def test_a_schema_beside_tools_is_asked_for_in_words() -> None:
    wanted = OutputFormat(kind="json_schema", schema={"type": "object", "properties": {"unique_field": {}}})
    found = prepare(request(output_format=wanted, tools=(Tool(name="a"),)), Target.MESSAGES, CLAUDE)
    assert [tool.name for tool in found.request.tools] == ["a"]
    assert "unique_field" in found.request.system[-1]


def test_pitfall_124_the_same_request_is_prepared_the_same() -> None:
    results = (Message("user", (ToolResult(call_id="a", parts=(Text("r"),)),)),)
    history = (HI, Message("assistant", (ToolCall(id="a", name="a b", arguments="{}"),)), *results)
    one, other = (prepare(request(messages=history, tools=(Tool(name="a b"),)), Target.CHAT, GPT).request for _ in "12")
    assert one == other
