"""The neutral request as Copilot takes it; the simulator's checks are asked each time."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.protocols.base import ModelTraits, Outgoing
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
from copilot_api.protocols.messages.outgoing import parse_input, render_request, tool_id
from tests.protocols.messages.copilot_oracle import SIGNATURE, accepted
from tests.protocols.messages.upstream_events import HAIKU, OPUS, PLAIN, SONNET

HI = Message("user", (Text("hi"),))
TOOL = Tool(name="get", description="gets", parameters={"type": "object", "properties": {}})
CALL = Message("assistant", (ToolCall(id="t1", name="get", arguments='{"a":1}'),))
RESULT = ToolResult(call_id="t1", parts=(Text("ok"),))
MARK = {"type": "ephemeral"}


def sent(*messages: Message, traits: ModelTraits = SONNET, **more: Any) -> Outgoing:
    return render_request(ModelRequest(model="alias", messages=messages or (HI,), **more), traits)


def body(*messages: Message, traits: ModelTraits = SONNET, **more: Any) -> Any:
    return accepted(sent(*messages, traits=traits, **more))


def blocks(*parts: Part) -> list[Any]:
    """The blocks of a user's turn without cache marks."""
    found = json.loads(sent(Message("user", parts)).body)["messages"][0]["content"]
    return [{name: value for name, value in block.items() if name != "cache_control"} for block in found]


def assistant(*parts: Part) -> list[Any]:
    found = json.loads(sent(HI, Message("assistant", parts), HI).body)["messages"]
    return found[1]["content"]  # type: ignore[no-any-return]


def test_the_least_request() -> None:
    outgoing = sent()
    assert accepted(outgoing) == {
        "model": "claude-sonnet-4.6", "max_tokens": 32_000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": MARK}]}],
    }  # fmt: skip
    assert outgoing.headers == {"anthropic-version": "2023-06-01"}
    assert not outgoing.has_images


# Content ------------------------------------------------------------------------------------------------------------


def test_what_a_user_shows() -> None:
    found = blocks(
        Image(data="aGk=", media_type="image/png"),
        Document(data="aGk=", media_type="application/pdf", title="t"),
        Document(text="words"),
        Text("a"),
    )
    assert found == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
            "title": "t",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        {"type": "text", "text": "a"},
    ]


def test_addresses_go_up_as_such() -> None:
    assert [block["source"]["url"] for block in blocks(Image(url="http://i"), Document(url="http://d"))] == [
        "http://i",
        "http://d",
    ]


def test_images_are_announced_also_inside_results() -> None:
    image = Image(data="aGk=", media_type="image/png")
    assert sent(Message("user", (image,))).has_images
    assert sent(HI, CALL, Message("user", (ToolResult(call_id="t1", parts=(image,)),)), tools=(TOOL,)).has_images


def test_reasoning_is_replayed_as_it_was_signed() -> None:
    text = "h\u2028m \\ é"
    assert assistant(
        Reasoning("shown otherwise", Carrier(kind="an", data="s", text=text)),
        Reasoning("", Carrier(kind="rd", data="d")),
        Reasoning("no carrier"),
        Reasoning("unsigned", Carrier(kind="an", data="")),
        Reasoning("foreign", Carrier(kind="rs", data="x")),
        Refusal("no"),
    ) == [
        {"type": "thinking", "thinking": text, "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "no"},
    ]


def test_pitfall_125_a_turn_does_not_end_with_thinking() -> None:
    signed = Reasoning("hm", Carrier(kind="an", data="s", text="hm"))
    assert assistant(signed) == [{"type": "text", "text": "(no content)"}]
    assert assistant(Text("a"), signed) == [{"type": "text", "text": "a"}]


def test_results_are_text_or_blocks() -> None:
    def result(*parts: Any, **more: Any) -> Any:
        messages = (HI, CALL, Message("user", (ToolResult(call_id="t1", parts=parts, **more),)))
        found = body(*messages, tools=(TOOL,))["messages"][2]["content"][0]
        del found["cache_control"]
        return found

    base = {"type": "tool_result", "tool_use_id": "t1"}
    assert result(Text("a")) == {**base, "content": "a"}
    assert result(Text("a"), is_error=True) == {**base, "content": "a", "is_error": True}
    assert result() == {**base, "content": "(no output)"}
    assert result(Text(" ")) == {**base, "content": "(no output)"}
    assert result(Text("a"), Text("b"))["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_pitfall_045_an_image_in_a_result_is_one() -> None:
    image = Image(data="aGk=", media_type="image/png")
    found = body(HI, CALL, Message("user", (ToolResult(call_id="t1", parts=(Text("a"), image)),)), tools=(TOOL,))
    assert [block["type"] for block in found["messages"][2]["content"][0]["content"]] == ["text", "image"]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("", {}),
        (" \n", {}),
        ('{"a": 1}', {"a": 1}),
        ('"{\\"a\\":1}"', {"a": 1}),
        ("[1]", {"_raw": "[1]"}),
        ("3", {"_raw": "3"}),
        ('"text"', {"_raw": '"text"'}),
        ("{broken", {"_raw": "{broken"}),
        ('{"n":NaN}', {"_raw": '{"n":NaN}'}),
        ('{"__proto__":{"a":1}}', {"__proto__": {"a": 1}}),
        ("[" * 5000, {"_raw": "[" * 5000}),
    ],
)
def test_pitfall_044_arguments_are_an_object_whatever_the_model_wrote(arguments: str, given: Any) -> None:
    assert json.loads(msgspec.json.encode(parse_input(arguments))) == given


def test_arguments_keep_their_bytes() -> None:
    exact = '{"n": 123456789012345678901234567890, "f": 1.0}'
    assert exact.encode() in sent(HI, Message("assistant", (ToolCall(id="t", name="f", arguments=exact),)), HI).body


def test_an_id_of_another_form_is_the_same_everywhere() -> None:
    odd = "call:1|fc_2"
    messages = (
        HI,
        Message("assistant", (ToolCall(id=odd, name="get", arguments=""),)),
        Message("user", (ToolResult(call_id=odd, parts=()),)),
    )
    found = body(*messages, tools=(TOOL,))["messages"]
    assert found[1]["content"][0]["id"] == found[2]["content"][0]["tool_use_id"] == tool_id(odd)
    assert tool_id("toolu_1-A") == "toolu_1-A"
    assert tool_id("") != ""


# Turns --------------------------------------------------------------------------------------------------------------


def said(*messages: Message, traits: ModelTraits = SONNET, **more: Any) -> list[tuple[str, list[str]]]:
    found = body(*messages, traits=traits, **more)["messages"]
    return [(turn["role"], [block.get("text", block["type"]) for block in turn["content"]]) for turn in found]


def test_pitfall_009_a_system_message_stays_behind_the_results_it_follows() -> None:
    note = Message("system", (Text("be"), Text("brief")))
    reminder = "<system-reminder>\nbe\n\nbrief\n</system-reminder>"
    user = Message("user", (RESULT, Text("and")))
    assert said(HI, CALL, user, note, tools=(TOOL,))[2] == ("user", ["tool_result", "and", reminder])
    assert said(HI, CALL, note, user, tools=(TOOL,))[2] == ("user", ["tool_result", reminder, "and"])
    assert said(HI, note, Message("assistant", (Text("a"),)), note) == [
        ("user", ["hi", reminder]), ("assistant", ["a"]), ("user", [reminder]),
    ]  # fmt: skip
    assert said(note, HI) == [("user", [reminder, "hi"])]
    assert said(HI, Message("system", (Text(" "),))) == [("user", ["hi"])]


def test_pitfall_042_one_turn_has_all_results_first() -> None:
    calls = Message("assistant", tuple(ToolCall(id=f"t{n}", name="get", arguments="") for n in range(3)))
    results = [Message("user", (ToolResult(call_id=f"t{n}", parts=(Text("x"),)),)) for n in range(3)]
    assert said(HI, calls, *results, HI, tools=(TOOL,))[2] == ("user", ["tool_result"] * 3 + ["hi"])


def test_the_user_begins() -> None:
    assert said(Message("assistant", (Text("a"),)), HI) == [("user", ["."]), ("assistant", ["a"]), ("user", ["hi"])]
    assert said(Message("user", ())) == [("user", ["."])]


def test_pitfall_028_the_user_ends_where_the_model_does_not_go_on_for_the_assistant() -> None:
    begun = (HI, Message("assistant", (Text("so \n"),)))
    asked = [("user", ["hi"]), ("assistant", ["so"]), ("user", ["Please continue."])]
    assert said(*begun) == asked
    assert said(*begun, traits=OPUS) == asked
    assert said(*begun, traits=HAIKU) == asked[:2]
    assert said(*begun, traits=HAIKU, thinking=Thinking(effort="low")) == asked


# Tools --------------------------------------------------------------------------------------------------------------


def test_a_tool_has_a_schema_without_its_uri() -> None:
    schema = {"$schema": "x", "type": "object", "properties": {"$schema": {"$schema": "y", "type": "string"}}}
    found = body(tools=(Tool(name="get", parameters=schema),))["tools"]
    cleaned = {"type": "object", "properties": {"$schema": {"type": "string"}}}
    # The simulator looks at the top only, so this property may stay.
    assert found == [{"name": "get", "input_schema": cleaned, "cache_control": MARK}]
    assert schema["$schema"] == "x"


def test_strict_is_for_models_that_know_it() -> None:
    strict, loose = Tool(name="a", strict=True), Tool(name="b", strict=False)
    assert ["strict" in tool for tool in body(tools=(strict, loose))["tools"]] == [True, False]
    assert ["strict" in tool for tool in body(tools=(strict, loose), traits=HAIKU)["tools"]] == [False, False]


@pytest.mark.parametrize(
    ("choice", "is_parallel", "written"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="any"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="tool", name="get"), None, {"type": "tool", "name": "get"}),
        (ToolChoice(mode="none"), False, {"type": "none"}),
        (ToolChoice(mode="auto"), True, {"type": "auto"}),
    ],
)
def test_pitfall_043_one_by_one_is_no_reason_to_call(choice: Any, is_parallel: bool | None, written: Any) -> None:
    found = body(tools=(TOOL,), tool_choice=choice, is_parallel=is_parallel)
    assert found.get("tool_choice") == written
    assert found["tools"]


def test_tools_of_the_past_are_declared_and_not_to_be_called() -> None:
    found = body(HI, CALL, Message("user", (RESULT,)))
    assert [tool["name"] for tool in found["tools"]] == ["get"]
    assert found["tool_choice"] == {"type": "none"}


# The rest -----------------------------------------------------------------------------------------------------------


def test_at_most_four_marks_on_what_is_worth_caching() -> None:
    turns = (HI, Message("assistant", (Text("a"),))) * 4
    found = body(*turns, HI, system=("one", " ", "two"), tools=(TOOL, Tool(name="b")))
    assert found["system"] == [
        {"type": "text", "text": "one"},
        {"type": "text", "text": "two", "cache_control": MARK},
    ]
    assert ["cache_control" in tool for tool in found["tools"]] == [False, True]
    marked = ["cache_control" in turn["content"][-1] for turn in found["messages"]]
    assert marked == [False] * 6 + [True, False, True]


def test_pitfall_124_the_same_request_gives_the_same_bytes() -> None:
    def once() -> bytes:
        tools = (Tool(name="a", parameters={"type": "object", "properties": {"x": {}, "b": {}}}), TOOL)
        return sent(HI, CALL, Message("user", (RESULT,)), HI, system=("s",), tools=tools, user="u").body

    assert once() == once()


def test_limits() -> None:
    assert body(max_output_tokens=7)["max_tokens"] == 7
    assert body(traits=HAIKU)["max_tokens"] == 32_000
    assert json.loads(sent(traits=PLAIN).body)["max_tokens"] == 8192
    assert json.loads(sent(traits=ModelTraits(id="x")).body)["max_tokens"] == 32_000


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({"temperature": 1.7}, {"temperature": 1.0}),
        ({"temperature": 0.2, "top_p": 0.5, "top_k": 3}, {"temperature": 0.2, "top_k": 3}),
        ({"temperature": 1.0, "top_p": 0.5}, {"top_p": 0.5}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"stop": ("", " ", "END")}, {"stop_sequences": ["END"]}),
        ({"temperature": 0.2, "top_p": 0.9, "top_k": 3, "thinking": Thinking(effort="low")}, {}),
        ({"temperature": 0.2, "top_p": 0.95, "thinking": Thinking(effort="low")}, {"top_p": 0.95}),
    ],
)
def test_sampling(given: dict[str, Any], written: dict[str, Any]) -> None:
    names = {"temperature", "top_p", "top_k", "stop_sequences"}
    assert {name: value for name, value in body(**given).items() if name in names} == written


def test_the_newest_models_are_sent_no_sampling() -> None:
    assert not {"temperature", "top_p", "top_k"} & set(body(traits=OPUS, temperature=0.1, top_p=0.2, top_k=3))


def test_an_effort_goes_with_its_beta() -> None:
    outgoing = sent(thinking=Thinking(effort="high"))
    assert accepted(outgoing)["output_config"] == {"effort": "high"}
    assert outgoing.headers["anthropic-beta"] == "effort-2025-11-24"


def test_thinking_between_calls_goes_with_its_beta_where_there_is_a_budget() -> None:
    thinking = Thinking(effort="low")
    outgoing = sent(traits=HAIKU, thinking=thinking, tools=(TOOL,))
    assert accepted(outgoing)["thinking"] == {"type": "enabled", "budget_tokens": 4096}
    assert outgoing.headers["anthropic-beta"] == "interleaved-thinking-2025-05-14"
    assert "anthropic-beta" not in sent(traits=HAIKU, thinking=thinking).headers


def test_pitfall_121_a_forced_tool_goes_without_thinking() -> None:
    found = body(tools=(TOOL,), tool_choice=ToolChoice(mode="any"), thinking=Thinking(effort="high"))
    assert found["thinking"] == {"type": "disabled"}
    assert "output_config" not in found


def test_pitfall_039_a_tool_turn_without_thinking_goes_without_a_budget() -> None:
    turns = (HI, CALL, Message("user", (RESULT,)))
    assert "thinking" not in body(*turns, traits=HAIKU, tools=(TOOL,), thinking=Thinking(effort="low"))
    signed = Message("assistant", (Reasoning("h", Carrier(kind="an", data=SIGNATURE, text="h")), *CALL.parts))
    assert "thinking" in body(HI, signed, turns[2], traits=HAIKU, tools=(TOOL,), thinking=Thinking(effort="low"))


def test_a_form_of_the_answer() -> None:
    wanted = OutputFormat(kind="json_schema", schema={"type": "object", "$schema": "x"})
    assert body(output_format=wanted)["output_config"] == {
        "format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}}
    }
    assert "output_config" not in body(output_format=wanted, traits=HAIKU)


def test_who_asks() -> None:
    assert body(user="u1")["metadata"] == {"user_id": "u1"}
    assert "metadata" not in body(user="someone@example.com")
    assert "metadata" not in body(user="x" * 300)


def test_streams_are_asked_for() -> None:
    assert body(is_streamed=True)["stream"] is True


# Whatever comes -----------------------------------------------------------------------------------------------------

TEXTS = st.sampled_from(["a", "b ", "{}", "é"])
USER: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(Image, data=st.just("aGk="), media_type=st.just("image/png")),
    st.builds(Document, text=TEXTS),
)
ASSISTANT: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(
        Reasoning, TEXTS, st.none() | st.builds(Carrier, kind=st.just("an"), data=st.just(SIGNATURE), text=TEXTS)
    ),
)
MESSAGES = st.one_of(
    st.builds(Message, st.just("user"), st.lists(USER, min_size=1, max_size=3).map(tuple)),
    st.builds(Message, st.just("assistant"), st.lists(ASSISTANT, min_size=1, max_size=3).map(tuple)),
    st.builds(Message, st.just("system"), st.lists(st.builds(Text, TEXTS), max_size=2).map(tuple)),
)
THINKINGS = st.none() | st.builds(
    Thinking, effort=st.none() | st.sampled_from(["none", "low", "max"]), budget_tokens=st.none() | st.integers(0, 99_999),
    is_disabled=st.booleans(), is_adaptive=st.booleans(), is_shown=st.none() | st.booleans(),
)  # fmt: skip
REQUESTS = st.builds(
    ModelRequest, model=st.just("m"), system=st.lists(TEXTS, max_size=2).map(tuple),
    messages=st.lists(MESSAGES, max_size=5).map(tuple), tools=st.sampled_from([(), (TOOL,)]),
    tool_choice=st.none(), is_parallel=st.none() | st.booleans(), max_output_tokens=st.none() | st.integers(1, 64_000),
    temperature=st.none() | st.floats(0, 2), top_p=st.none() | st.floats(0, 1), top_k=st.none() | st.integers(1, 9),
    stop=st.lists(TEXTS, max_size=3).map(tuple), thinking=THINKINGS, user=st.none() | TEXTS,
)  # fmt: skip


@settings(derandomize=True, deadline=None, database=None)
@given(REQUESTS, st.sampled_from([HAIKU, SONNET, OPUS]))
def test_copilot_takes_whatever_is_sent(request: ModelRequest, traits: ModelTraits) -> None:
    accepted(render_request(request, traits))
