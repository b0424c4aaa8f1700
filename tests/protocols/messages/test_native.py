"""The caller's own request, edited by name; the simulator's checks say whether Copilot would take it."""

import contextlib
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from copilot_api.errors import BadRequest, GatewayError, UpstreamFailed
from copilot_api.protocols.base import ModelTraits, Outgoing, Usage
from copilot_api.protocols.json_object import JsonObject, parse_object
from copilot_api.protocols.messages.native import parse_native_answer, render_count, render_native
from tests.protocols.messages.copilot_oracle import SIGNATURE, accepted
from tests.protocols.messages.upstream_events import CASES, HAIKU, OPUS, PLAIN, SONNET

MARK = {"type": "ephemeral"}
HI = {"role": "user", "content": "hi"}
TOOL = {"name": "get", "input_schema": {"type": "object", "properties": {}}}
USE = {"type": "tool_use", "id": "t", "name": "get", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "ok"}
CLAUDE_CODE = (
    "claude-code-20250219", "interleaved-thinking-2025-05-14", "context-management-2025-06-27",
    "per-turn-control-2026-07-01", "advanced-tool-use-2025-11-20", "effort-2025-11-24",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    body: JsonObject
    model: str = "claude-x"
    betas: tuple[str, ...] = ()
    has_images: bool = False


def request(source: bytes | None = None, *, betas: tuple[str, ...] = (), **fields: Any) -> Request:
    if source is None:
        source = json.dumps({"model": "claude-x", "max_tokens": 64_000, "messages": [HI], **fields}).encode()
    return Request(parse_object(source), betas=betas)


def sent(traits: ModelTraits = SONNET, betas: tuple[str, ...] = (), **fields: Any) -> Outgoing:
    return render_native(request(betas=betas, **fields), traits)


def body(traits: ModelTraits = SONNET, betas: tuple[str, ...] = (), **fields: Any) -> Any:
    return accepted(sent(traits, betas, **fields))


# The whole ----------------------------------------------------------------------------------------------------------


def test_what_needs_no_edit_keeps_its_bytes() -> None:
    source = (
        b'{ "model":"claude-x", "max_tokens": 9,"messages" : [{"role":"user","content":"\\u00e9"}],"new":{"a":1.0} }'
    )
    outgoing = render_native(request(source), SONNET)
    assert outgoing.body == source.replace(b"claude-x", b"claude-sonnet-4.6")
    same = Request(parse_object(source), model="claude-sonnet-4.6")
    assert render_native(same, SONNET).body is same.body.source
    assert outgoing.headers == {"anthropic-version": "2023-06-01"}


def test_images_are_announced() -> None:
    found = render_native(Request(parse_object(b'{"model":"claude-x","messages":[]}'), has_images=True), SONNET)
    assert found.has_images


def test_what_claude_code_sends_is_accepted() -> None:
    case = CASES / "messages_native" / "claude_code"
    source = (case / "request.json").read_bytes().replace(b"@OWN@", SIGNATURE.encode())
    outgoing = render_native(Request(parse_object(source), model="claude-opus-4-7", betas=CLAUDE_CODE), OPUS)
    expected = (case / "outgoing.json").read_text().replace("@OWN@", SIGNATURE)
    assert accepted(outgoing) == json.loads(expected)
    assert outgoing.headers["anthropic-beta"] == (
        "interleaved-thinking-2025-05-14,context-management-2025-06-27,advanced-tool-use-2025-11-20,effort-2025-11-24"
    )


@pytest.mark.parametrize("traits", [HAIKU, SONNET, OPUS])
def test_what_claude_code_sends_is_accepted_by_every_model(traits: ModelTraits) -> None:
    source = (CASES / "messages_native/claude_code/request.json").read_bytes().replace(b"@OWN@", SIGNATURE.encode())
    accepted(render_native(Request(parse_object(source), betas=CLAUDE_CODE), traits))
    accepted(render_count(Request(parse_object(source), betas=CLAUDE_CODE), traits), is_counting=True)


def test_pitfall_124_the_same_request_gives_the_same_bytes() -> None:
    source = (CASES / "messages_native/claude_code/request.json").read_bytes()
    assert len({render_native(Request(parse_object(source)), OPUS).body for _ in range(3)}) == 1


def test_a_long_conversation_is_edited_in_no_time() -> None:
    words = 'Lorem "ipsum" dolor\n sit amet ' * 10
    turns = [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": words, "signature": "s"},
                {"type": "text", "text": words},
                USE,
            ],
        },
        {"role": "user", "content": [RESULT, {"type": "text", "text": words}]},
    ]
    found = request(messages=[HI, *turns * 160, HI], tools=[TOOL], thinking={"type": "adaptive"})
    assert len(found.body.source) > 150_000
    best = min(_seconds(found) for _ in range(7))
    assert best < 0.01  # about a millisecond on an idle machine


def _seconds(found: Request) -> float:
    began = time.perf_counter()
    render_native(found, SONNET)
    return time.perf_counter() - began


# Fields -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "cache_control",
        "inference_geo",
        "fallbacks",
        "mcp_servers",
        "container",
        "speed",
        "diagnostics",
        "context_mgmt",
        "betas",
    ],
)
def test_fields_that_copilot_refuses_are_left_out(name: str) -> None:
    fields: dict[str, Any] = {name: {}}
    assert name not in body(**fields)


def test_fields_that_it_tolerates_and_unknown_ones_pass() -> None:
    assert body(service_tier="auto", metadata={"user_id": "u"}, stop_sequences=["a"])["service_tier"] == "auto"
    assert json.loads(sent(something_new=1).body)["something_new"] == 1


@pytest.mark.parametrize(
    ("step", "betas", "thinking", "stays"),
    [
        ("clear_tool_uses_20250919", ("context-management-2025-06-27",), None, True),
        ("clear_tool_uses_20250919", (), None, False),
        ("clear_tool_uses_20250919", ("context-management-2099-01-01,x",), None, True),
        ("clear_thinking_20251015", ("context-management-2025-06-27",), {"type": "adaptive"}, True),
        ("clear_thinking_20251015", ("context-management-2025-06-27",), None, False),
        ("compact_20260112", ("context-management-2025-06-27",), None, False),
        ("compact_20260112", ("compact-2026-01-12",), None, True),
    ],
)
def test_pitfall_031_context_management_stays_with_its_beta(step: str, betas: Any, thinking: Any, stays: bool) -> None:
    given = {"edits": [{"type": step}], "x": 1}
    found = json.loads(sent(betas=betas, context_management=given, **({"thinking": thinking} if thinking else {})).body)
    assert found.get("context_management") == (given if stays else None)


def test_of_several_edits_of_the_context_those_stay_that_are_taken() -> None:
    given = {"edits": [{"type": "clear_thinking_20251015"}, {"type": "clear_tool_uses_20250919", "keep": 1}]}
    found = body(betas=("context-management-2025-06-27",), context_management=given)
    assert found["context_management"] == {"edits": [{"type": "clear_tool_uses_20250919", "keep": 1}]}
    assert "context_management" not in body(betas=CLAUDE_CODE, context_management=None)


def test_the_limit_is_at_most_what_the_model_can_do() -> None:
    assert body(max_tokens=128_000)["max_tokens"] == 32_000
    assert body(max_tokens=5)["max_tokens"] == 5
    assert json.loads(sent(replace(PLAIN, max_output_tokens=None), max_tokens=128_000).body)["max_tokens"] == 128_000
    assert json.loads(sent(max_tokens="x").body)["max_tokens"] == "x"


# Instructions and messages ------------------------------------------------------------------------------------------


def test_pitfall_008_the_billing_header_is_left_out() -> None:
    assert "system" not in body(system="x-anthropic-billing-header: cch=1;")
    one, two = (sent(system=f"x-anthropic-billing-header: cch={n};\nbe brief") for n in (1, 2))
    assert one.body == two.body
    assert accepted(one)["system"] == [{"type": "text", "text": "be brief"}]


@pytest.mark.parametrize("system", ["", [], None, [{"type": "text", "text": " "}]])
def test_empty_instructions_are_left_out(system: Any) -> None:
    assert "system" not in body(system=system)


def test_pitfall_009_system_messages_are_folded() -> None:
    found = body(messages=[HI, {"role": "system", "content": "n"}])["messages"]
    assert [block["text"] for block in found[0]["content"]] == ["hi", "<system-reminder>\nn\n</system-reminder>"]


def test_at_most_four_cache_marks_and_the_first_of_the_messages_go() -> None:
    def marked(words: str) -> dict[str, Any]:
        return {"type": "text", "text": words, "cache_control": MARK}

    turns = [{"role": role, "content": [marked(role), marked("b")]} for role in ("user", "assistant", "user")]
    found = body(system=[marked("s")], tools=[{**TOOL, "cache_control": MARK}], messages=turns)
    marks = ["cache_control" in block for turn in found["messages"] for block in turn["content"]]
    assert marks == [False] * 4 + [True] * 2
    assert found["system"] == [marked("s")]
    assert found["tools"][0]["cache_control"] == MARK
    many = body(system=[marked("s")] * 3, tools=[{**TOOL, "name": str(n), "cache_control": MARK} for n in range(3)])
    assert ["cache_control" in tool for tool in many["tools"]] == [False, False, True]
    assert body(system=[marked("s")] * 6)["system"][:2] == [{"type": "text", "text": "s"}] * 2


def test_pitfall_028_prefill_stays_where_the_model_takes_it() -> None:
    turns = [HI, {"role": "assistant", "content": "so"}]
    assert body(HAIKU, messages=turns)["messages"] == turns
    asked = [*turns, {"role": "user", "content": [{"type": "text", "text": "Please continue."}]}]
    assert body(SONNET, messages=turns)["messages"] == asked
    assert body(HAIKU, messages=turns, thinking={"type": "enabled", "budget_tokens": 1024})["messages"] == asked


# Tools --------------------------------------------------------------------------------------------------------------


def test_pitfall_010_server_side_tools_are_left_out_and_refused_when_forced() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    assert body(tools=[search, TOOL])["tools"] == [TOOL]
    found = body(tools=[search], tool_choice={"type": "auto"})
    assert "tools" not in found
    assert "tool_choice" not in found
    with pytest.raises(BadRequest):
        sent(tools=[search], tool_choice={"type": "tool", "name": "web_search"})


def test_a_choice_without_tools_is_left_out() -> None:
    assert "tool_choice" not in body(tool_choice={"type": "any"})
    assert "tool_choice" not in body(tools=[], tool_choice={"type": "any"})


# Thinking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("traits", "fields", "thinking", "config"),
    [
        (SONNET, {"thinking": {"type": "enabled", "budget_tokens": 31_000}}, {"type": "enabled", "budget_tokens": 31_000}, None),
        (OPUS, {"thinking": {"type": "enabled", "budget_tokens": 31_999, "display": "omitted"}}, {"type": "adaptive", "display": "omitted"}, {"effort": "high"}),
        (OPUS, {"thinking": {"type": "enabled", "budget_tokens": 9}, "output_config": {"effort": "max"}}, {"type": "adaptive"}, {"effort": "max"}),
        (SONNET, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, {"type": "adaptive"}, {"effort": "high"}),
        (SONNET, {"thinking": {"type": "adaptive", "display": "updates"}}, {"type": "adaptive", "display": "summarized"}, None),
        (HAIKU, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, {"type": "enabled", "budget_tokens": 4096}, None),
        (HAIKU, {"thinking": {"type": "enabled", "budget_tokens": 5, "display": "omitted"}}, {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}, None),
        (HAIKU, {"thinking": {"type": "enabled"}}, {"type": "enabled", "budget_tokens": 10_000}, None),
        (HAIKU, {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, None, None),
        (SONNET, {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, {"type": "disabled"}, {"effort": "low"}),
        (SONNET, {"output_config": {"effort": "low"}}, None, {"effort": "low"}),
        (SONNET, {"thinking": None, "output_config": None}, None, None),
        (SONNET, {"output_config": {"effort": None}}, None, None),
    ],
)  # fmt: skip
def test_pitfall_040_each_model_is_asked_in_its_own_terms(
    traits: ModelTraits, fields: Any, thinking: Any, config: Any
) -> None:
    outgoing = sent(traits, **fields)
    found = accepted(outgoing)
    assert found.get("thinking") == thinking
    assert found.get("output_config") == config
    assert ("effort-2025-11-24" in outgoing.headers.get("anthropic-beta", "")) == (config is not None)


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    found = json.loads(sent(PLAIN, thinking={"type": "adaptive"}, output_config={"effort": "low"}).body)
    assert "thinking" not in found
    assert "output_config" not in found


def test_pitfall_035_a_budget_is_below_the_limit() -> None:
    found = body(HAIKU, thinking={"type": "enabled", "budget_tokens": 8000}, max_tokens=4000)
    assert (found["thinking"]["budget_tokens"], found["max_tokens"]) == (8000, 9024)
    found = body(SONNET, thinking={"type": "enabled", "budget_tokens": 31_999}, max_tokens=128_000)
    assert (found["thinking"]["budget_tokens"], found["max_tokens"]) == (31_999, 32_000)


def test_pitfall_039_a_tool_turn_without_thinking_goes_without_a_budget() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    turns = [HI, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [RESULT]}]
    assert "thinking" not in body(HAIKU, thinking=thinking, messages=turns, tools=[TOOL])
    assert body(SONNET, thinking=thinking, messages=turns, tools=[TOOL])["thinking"] == {"type": "adaptive"}
    signed = {"type": "thinking", "thinking": "h", "signature": SIGNATURE}
    turns[1] = {"role": "assistant", "content": [signed, USE]}
    outgoing = sent(HAIKU, thinking=thinking, messages=turns, tools=[TOOL])
    assert accepted(outgoing)["thinking"] == thinking
    assert outgoing.headers["anthropic-beta"] == "interleaved-thinking-2025-05-14"


def test_pitfall_121_a_forced_tool_goes_without_thinking() -> None:
    forced: dict[str, Any] = {"tools": [TOOL], "tool_choice": {"type": "any"}}
    assert body(SONNET, thinking={"type": "adaptive"}, **forced)["thinking"] == {"type": "disabled"}
    assert "thinking" not in body(HAIKU, thinking={"type": "enabled", "budget_tokens": 2000}, **forced)


def test_what_cannot_stand_beside_thinking_goes() -> None:
    names = {"temperature", "top_p", "top_k"}
    on: dict[str, Any] = {"thinking": {"type": "adaptive"}}
    assert not names & set(body(temperature=0.5, top_p=0.5, top_k=4, **on))
    assert names & set(body(temperature=1, top_p=0.95, **on)) == {"temperature", "top_p"}
    assert names & set(body(temperature=0.5, top_k=4)) == {"temperature", "top_k"}


def test_the_operators_default_counts_where_the_caller_says_nothing() -> None:
    found = body(replace(SONNET, default_effort="low"))
    assert (found["thinking"], found["output_config"]) == ({"type": "adaptive"}, {"effort": "low"})


# The form of the answer ---------------------------------------------------------------------------------------------

FORM: dict[str, Any] = {"type": "json_schema", "schema": {"type": "object"}}


def test_the_old_spelling_of_a_form_becomes_the_new_one() -> None:
    assert body(output_format=FORM)["output_config"] == {"format": FORM}
    assert body(output_config={"format": FORM})["output_config"] == {"format": FORM}
    assert "output_config" not in body(output_format=None)


def test_a_form_is_put_into_words_where_the_model_knows_none() -> None:
    spellings: list[dict[str, Any]] = [{"output_format": FORM}, {"output_config": {"format": FORM, "effort": "low"}}]
    for fields in spellings:
        found = body(HAIKU, system="be brief", **fields)
        assert "output_config" not in found
        assert found["system"][0]["text"] == "be brief"
        assert '{"type": "object"}' in found["system"][1]["text"]
    assert "system" in body(HAIKU, output_format=FORM)


# Counting -----------------------------------------------------------------------------------------------------------


def test_a_count_has_only_what_counts() -> None:
    found = request(
        stream=True, temperature=0.1, top_p=0.2, top_k=3, stop_sequences=["a"], metadata={}, service_tier="auto",
        tools=[{**TOOL, "defer_loading": True}], thinking={"type": "enabled", "budget_tokens": 9999}, system="s",
    )  # fmt: skip
    outgoing = render_count(found, HAIKU)
    assert accepted(outgoing, is_counting=True) == {
        "model": "claude-haiku-4.5", "messages": [HI], "tools": [TOOL], "system": "s",
        "thinking": {"type": "enabled", "budget_tokens": 9999},
    }  # fmt: skip


# The answer ---------------------------------------------------------------------------------------------------------


def test_a_recorded_answer_has_the_callers_name_of_the_model() -> None:
    source = (CASES / "messages_native/whole/upstream.json").read_bytes()
    answer = parse_native_answer(source, model="mine", now=7)
    assert json.loads(answer.body) == {**json.loads(source), "model": "mine"}
    compact = json.dumps(json.loads(source), separators=(",", ":")).encode()
    assert parse_native_answer(compact, model="mine", now=7).body == compact.replace(b"claude-opus-4-7", b"mine")
    assert answer.usage == Usage(input_tokens=5080, output_tokens=62, cache_read_tokens=5071, reasoning_tokens=30)
    assert answer.nano_aiu == 413050000


def test_an_answer_is_made_whole() -> None:
    answer = parse_native_answer(b'{"content":[{"type":"tool_use"}],"stop_reason":"end_turn"}', model="mine", now=7)
    assert json.loads(answer.body) == {
        "id": "msg_7", "type": "message", "role": "assistant", "model": "mine", "stop_reason": "tool_use",
        "content": [{"type": "tool_use"}], "stop_sequence": None, "usage": {"input_tokens": 0, "output_tokens": 0},
    }  # fmt: skip
    assert answer.usage is None


@pytest.mark.parametrize(
    "source", [b"<html>", b"{}", b"[1]", b'{"type":"error","error":{"type":"api_error","message":"x"}}']
)
def test_what_is_no_answer_is_a_failure(source: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        parse_native_answer(source, model="mine", now=7)


# Whatever comes -----------------------------------------------------------------------------------------------------

NAMES = [
    "type", "content", "text", "role", "messages", "system", "tools", "thinking", "budget_tokens", "name", "signature",
    "cache_control", "input_schema", "output_config", "effort", "format", "tool_choice", "context_management", "edits",
]  # fmt: skip
WORDS = [
    "user",
    "assistant",
    "system",
    "thinking",
    "enabled",
    "adaptive",
    "tool_result",
    "text",
    "any",
    "",
    "x-anthropic-billing-header:",
]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)
BODIES = st.dictionaries(
    st.sampled_from([*NAMES, "max_tokens", "temperature", "top_k", "output_format"]), JSON, max_size=7
)


@settings(derandomize=True, deadline=None, database=None, max_examples=120)
@given(BODIES, st.sampled_from([HAIKU, SONNET, OPUS, PLAIN]), st.booleans())
def test_any_request_is_rendered_or_refused(document: Any, traits: ModelTraits, is_count: bool) -> None:
    found = Request(parse_object(json.dumps(document).encode()), betas=CLAUDE_CODE)
    with contextlib.suppress(BadRequest):
        json.loads((render_count if is_count else render_native)(found, traits).body)


@settings(derandomize=True, deadline=None, database=None)
@given(JSON)
def test_any_answer_is_mended_or_refused(document: Any) -> None:
    with contextlib.suppress(GatewayError):
        json.loads(parse_native_answer(json.dumps(document).encode(), model="m", now=1).body)
