"""A Responses request for a model that speaks Responses itself, and its whole answer."""

import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import BadRequest, GatewayError, UpstreamFailed, UpstreamRateLimited
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.json_object import JsonObject, parse_object
from copilot_api.protocols.responses.native import parse_native_answer, render_native

CASES = Path(__file__).parent.parent / "cases" / "responses_native"
OLD = ModelTraits(id="gpt-5.2", efforts=("low", "medium"), max_output_tokens=64_000)
NEW = ModelTraits(id="gpt-5.4", efforts=("low", "medium", "high"))
PLAIN = ModelTraits(id="gpt-4.1")
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "ENC"}


class Request(msgspec.Struct, frozen=True):
    """As much of a request as is needed here."""

    body: JsonObject
    model: str
    has_images: bool = False


def rendered(source: bytes, traits: ModelTraits = OLD) -> bytes:
    return render_native(Request(parse_object(source), "alias"), traits).body


def sent(traits: ModelTraits = OLD, **fields: Any) -> Any:
    body = {"model": "alias", "input": "hi", **fields}
    return json.loads(rendered(json.dumps(body).encode(), traits))


def refused(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as found:
        sent(**fields)
    return found.value


def test_everything_else_leaves_as_it_came() -> None:
    source = b'{ "model":"gpt-5.2", "input": [ {"role":"user", "content":"\\u00e9"} ],\n "new_field": {"a" : 1e2} }'
    request = Request(parse_object(source), "gpt-5.2", has_images=True)
    outgoing = render_native(request, OLD)
    assert (outgoing.body, outgoing.has_images) == (source, True)
    assert rendered(source).replace(b"gpt-5.2", b"") == source.replace(b"gpt-5.2", b"")


def test_what_copilot_refuses_and_nobody_misses_is_left_out() -> None:
    found = sent(
        service_tier="flex",
        background=False,
        user="me",
        stream_options={"include_obfuscation": False},
        previous_response_id=None,
        conversation=None,
        store=True,
        truncation="auto",
        metadata={"a": "b"},
    )
    assert found == {
        "model": "gpt-5.2", "input": "hi", "store": False, "truncation": "auto", "metadata": {"a": "b"},
    }  # fmt: skip
    assert sent(store=False)["store"] is False


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found"),
        ({"conversation": {"id": "c"}}, "conversation", "unsupported_parameter"),
        ({"input": [{"role": "user"}, {"type": "item_reference", "id": "x"}]}, "input[1]", "unsupported_value"),
    ],
)
def test_pitfall_050_what_needs_a_memory_is_refused(fields: Any, param: str, code: str) -> None:
    error = refused(**fields)
    assert (error.param, error.public_code, error.actual_status) == (param, code, 400)


def test_pitfall_099_ids_stay_only_on_encrypted_reasoning_and_no_status_is_null() -> None:
    items = sent(
        input=[
            {"type": "message", "id": "msg_1", "role": "user", "content": "hi", "status": None},
            REASONING | {"status": None},
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "c",
                "name": "f",
                "arguments": "{}",
                "status": "completed",
            },
            {"type": "function_call_output", "id": None, "call_id": "c", "output": "ok"},
        ],
    )["input"]
    assert items == [
        {"type": "message", "role": "user", "content": "hi"},
        REASONING,
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "function_call_output", "call_id": "c", "output": "ok"},
    ]


def test_an_item_that_needs_no_edit_keeps_its_bytes() -> None:
    item = b'{"role": "user",  "content":"hi"}'
    source = b'{"model":"alias","input":[%b, {"id":"x","role":"user","content":""}]}' % item
    assert item in rendered(source)


@pytest.mark.parametrize("carrier", ["gw1.an.abc", None, "", 7])
def test_reasoning_that_copilot_cannot_read_is_left_out(carrier: object) -> None:
    assert sent(input=[REASONING | {"encrypted_content": carrier}, {"role": "user", "content": "hi"}])["input"] == [
        {"role": "user", "content": "hi"}
    ]


@pytest.mark.parametrize(
    ("reasoning", "kept"),
    [
        ({"effort": "high", "summary": "auto"}, {"effort": "medium", "summary": "auto"}),
        ({"effort": "minimal"}, {"effort": "low"}),
        ({"summary": "auto"}, {"summary": "auto"}),
        ({"effort": "vast"}, {"effort": "vast"}),
        (None, None),
    ],
)
def test_the_effort_is_one_that_the_model_lists(reasoning: Any, kept: Any) -> None:
    assert sent(reasoning=reasoning)["reasoning"] == kept
    assert sent(PLAIN, reasoning=reasoning)["reasoning"] == reasoning


def test_the_operators_effort_stands_in_for_one_that_is_not_named() -> None:
    traits = ModelTraits(id="gpt-5.2", efforts=("low", "medium"), default_effort="high")
    assert sent(traits)["reasoning"] == {"effort": "medium"}
    assert sent(traits, reasoning={"effort": "low"})["reasoning"] == {"effort": "low"}


@pytest.mark.parametrize(("asked", "kept"), [(1, 16), (16, 16), (70_000, 64_000), (None, None)])
def test_pitfall_017_the_limit_is_one_that_the_model_takes(asked: int | None, kept: int | None) -> None:
    assert sent(max_output_tokens=asked)["max_output_tokens"] == kept


def test_pitfall_019_sampling_goes_only_to_models_that_take_it() -> None:
    assert "temperature" not in sent(temperature=0.5, top_p=1)
    assert sent(PLAIN, temperature=0.5)["temperature"] == 0.5


def test_pitfall_016_a_long_key_is_a_short_one_and_always_the_same() -> None:
    keys = [sent(prompt_cache_key="k" * 67)["prompt_cache_key"] for _ in range(2)]
    assert keys[0] == keys[1]
    assert len(keys[0]) == 64
    assert sent(prompt_cache_key="k" * 64)["prompt_cache_key"] == "k" * 64


def test_context_management_goes_only_to_models_that_take_it() -> None:
    management = [{"type": "compaction", "compact_threshold": 1000}]
    assert "context_management" not in sent(context_management=management)
    assert sent(NEW, context_management=management)["context_management"] == management


FUNCTION = {"type": "function", "name": "f", "parameters": {}}
CODEX_TOOLS = [FUNCTION, {"type": "namespace", "name": "agents", "tools": []}, {"type": "web_search"}]


def test_tools_that_the_model_does_not_take_are_left_out_and_the_others_untouched() -> None:
    assert sent(NEW, tools=[*CODEX_TOOLS, {"type": "image_generation"}])["tools"] == CODEX_TOOLS
    assert sent(OLD, tools=CODEX_TOOLS, tool_choice="auto")["tools"] == [FUNCTION]
    assert sent(OLD, tools=[{"type": "web_search_2025_08_26"}], tool_choice="auto", parallel_tool_calls=True) == {
        "model": "gpt-5.2",
        "input": "hi",
    }


@pytest.mark.parametrize(
    "choice",
    [{"type": "image_generation"}, "required"],
)
def test_a_tool_that_is_left_out_cannot_be_forced(choice: Any) -> None:
    error = refused(tools=[{"type": "image_generation"}], tool_choice=choice)
    assert (error.param, error.public_code) == ("tool_choice", "unsupported_value")


def test_includes_that_copilot_does_not_know_are_left_out() -> None:
    sources = "web_search_call.action.sources"
    encrypted = "reasoning.encrypted_content"
    assert sent(include=[encrypted, sources])["include"] == [encrypted]
    assert sent(NEW, tools=CODEX_TOOLS, include=[encrypted, sources])["include"] == [encrypted, sources]
    assert "include" not in sent(include=["file_search_call.results"])
    assert sent(include=[encrypted])["include"] == [encrypted]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [3]}, "input[0]"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": 3}]}, "tools[0].type"),
        ({"reasoning": []}, "reasoning"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"include": "all"}, "include"),
        ({"prompt_cache_key": [0] * 99}, "prompt_cache_key"),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused_by_its_name(fields: Any, param: str) -> None:
    assert refused(**fields).param == param


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "id", "status", "effort", "encrypted_content"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["input", "tools", "tool_choice", "reasoning", "include", "store", "max_output_tokens", "prompt_cache_key"]
        ),
        _JSON,
        max_size=5,
    )
)
def test_any_json_is_a_request_or_a_bad_one(fields: dict[str, Any]) -> None:
    with contextlib.suppress(BadRequest):
        assert sent(**fields)["model"] == "gpt-5.2"


# The answer


def test_pitfall_066_a_whole_answer_has_the_callers_name_and_is_otherwise_the_upstreams() -> None:
    recorded = json.loads((CASES / "whole_answer" / "upstream.json").read_bytes())
    source = json.dumps(recorded, separators=(",", ":")).encode()
    answer = parse_native_answer(source, model="alias", now=1)
    assert json.loads(answer.body) == recorded | {"model": "alias"}
    assert answer.body.replace(b'"alias"', b'"gpt-5.3-codex"') == source
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.nano_aiu) == (812, 164_500_000)


def test_pitfall_064_what_strict_clients_require_is_added() -> None:
    answer = parse_native_answer(b'{"output":[]}', model="alias", now=7)
    body = json.loads(answer.body)
    assert (body["id"], body["object"], body["created_at"], body["status"]) == ("resp_7", "response", 7, "completed")
    assert body["usage"]["total_tokens"] == 0
    assert body["text"] == {"format": {"type": "text"}}
    assert answer.usage is None


def test_pitfall_057_a_failed_answer_is_an_error() -> None:
    failed = {"status": "failed", "output": [], "error": {"code": "rate_limit_exceeded", "message": "slow"}}
    with pytest.raises(UpstreamRateLimited):
        parse_native_answer(json.dumps(failed).encode(), model="m", now=1)
    with pytest.raises(UpstreamFailed):
        parse_native_answer(b"<html>", model="m", now=1)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40) | _JSON.map(lambda value: json.dumps({"output": [], "usage": value}).encode()))
def test_any_bytes_are_an_answer_or_an_error(source: bytes) -> None:
    with contextlib.suppress(GatewayError):
        json.loads(parse_native_answer(source, model="m", now=1).body)
