"""A chat request in the neutral form: its settings, and what is refused or dropped."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.chat.conversation import read_conversation
from copilot_api.protocols.chat.outgoing import render_request
from copilot_api.protocols.chat.request import parse_request
from copilot_api.protocols.conversation import Message, ModelRequest, OutputFormat, Text, Thinking

PROPERTY = settings(derandomize=True, deadline=None, database=None)
USER = {"role": "user", "content": "x"}


def read(**fields: Any) -> ModelRequest:
    return read_conversation(parse_request(json.dumps({"model": "alias", "messages": [USER], **fields}).encode()))


def refusal(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as found:
        read(**fields)
    return found.value


def test_the_least_request_is_no_more_than_that() -> None:
    assert read() == ModelRequest(model="alias", messages=(Message("user", (Text("x"),)),))


@pytest.mark.parametrize(
    ("fields", "name", "expected"),
    [
        ({"temperature": 1}, "temperature", 1.0), ({"top_p": 0.5}, "top_p", 0.5), ({"max_tokens": 5}, "max_output_tokens", 5),
        ({"max_completion_tokens": 6}, "max_output_tokens", 6), ({"max_tokens": 5, "max_completion_tokens": 6}, "max_output_tokens", 6),
        ({"max_tokens": 5, "max_completion_tokens": None}, "max_output_tokens", 5), ({"stop": "a"}, "stop", ("a",)),
        ({"stop": ["a", "b"]}, "stop", ("a", "b")), ({"stop": None}, "stop", ()), ({"verbosity": "low"}, "verbosity", "low"),
        ({"parallel_tool_calls": False}, "is_parallel", False), ({"parallel_tool_calls": True}, "is_parallel", True), ({}, "is_parallel", None),
        ({"functions": [{"name": "f"}]}, "is_parallel", False), ({"stream": True}, "is_streamed", True),
        ({"reasoning_effort": "high"}, "thinking", Thinking(effort="high")), ({"reasoning_effort": None}, "thinking", None),
        ({"reasoning_effort": "none"}, "thinking", Thinking(effort="none", is_disabled=True)),
        ({"user": "u"}, "user", "u"), ({"user": "u", "safety_identifier": "s"}, "user", "s"), ({"prompt_cache_key": "k"}, "cache_key", "k"),
        ({"response_format": {"type": "text"}}, "output_format", None),
        ({"response_format": {"type": "json_object"}}, "output_format", OutputFormat(kind="json_object")),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}}, "output_format",
         OutputFormat(kind="json_schema", name="n", schema={"type": "object"}, strict=True)),
        ({"n": 1, "logprobs": False, "modalities": ["text"], "seed": None}, "dropped", ()),
        ({"seed": 1, "presence_penalty": 0.5, "logit_bias": {"1": 1}}, "dropped", ("seed", "presence_penalty", "logit_bias")),
        ({"tools": [{"type": "web_search"}]}, "dropped", ("tools.web_search",)),
        ({"metadata": {"a": "b"}, "store": True, "service_tier": "auto", "x_unknown": 1}, "dropped", ()),
    ],
)  # fmt: skip
def test_a_setting(fields: dict[str, Any], name: str, expected: Any) -> None:
    assert getattr(read(**fields), name) == expected


def test_pitfall_016_long_keys_are_cut_to_a_hash_and_addresses_are_never_told() -> None:
    long = "k" * 67
    assert read(prompt_cache_key=long).cache_key == hashlib.sha256(long.encode()).hexdigest()
    assert len(read(user=long).user or "") == 64
    assert read(user="me@example.com").user == hashlib.sha256(b"me@example.com").hexdigest()


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"n": 2}, "n", "unsupported_value"), ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"modalities": ["text", "audio"]}, "modalities", "unsupported_value"), ({"audio": {"voice": "x"}}, "audio", "unsupported_parameter"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"), ({"max_completion_tokens": -1}, "max_completion_tokens", "invalid_value"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "unsupported_value"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema", "invalid_request"),
    ],
)  # fmt: skip
def test_what_no_translation_can_give_is_refused(fields: dict[str, Any], param: str, code: str) -> None:
    error = refusal(**fields)
    assert (error.param, error.public_code, error.actual_status) == (param, code, 400)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [USER, {"role": "user", "content": [{"type": "text", "text": 5}]}]}, "messages[1].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 5}}]}]}, "messages[0].content[0].image_url.url"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": 5}]}]}, "messages[0].tool_calls[0].id"),
        ({"tools": [{"type": "function", "function": {"name": 5}}]}, "tools[0].function.name"),
        ({"tools": [5]}, "tools[0]"), ({"verbosity": 5}, "verbosity"), ({"functions": {}}, "functions"), ({"prompt_cache_key": 5}, "prompt_cache_key"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields).param == param


def test_what_is_read_can_be_sent_again() -> None:
    """A chat request through the neutral form to a chat model is the same request."""
    document = {
        "model": "gpt-4.1",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
            {"role": "assistant", "content": None, "reasoning_text": "hm", "reasoning_opaque": "sig",
             "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}]},
            {"role": "tool", "tool_call_id": "a", "content": "r"},
            {"role": "user", "content": "so?"},
        ],
        "max_tokens": 5, "temperature": 0.5, "stop": ["x"],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}, "strict": False}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
        "user": "u", "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    request = read_conversation(parse_request(json.dumps(document).encode()))
    assert json.loads(render_request(request, ModelTraits(id="gpt-4.1", vendor="OpenAI")).body) == document


NAMES = st.sampled_from(
    ["role", "content", "type", "text", "image_url", "url", "file", "file_data", "refusal", "tool_calls", "id", "function", "custom", "name",
     "arguments", "input", "tool_call_id", "reasoning_opaque", "thinking_blocks", "parameters", "mode", "tools", "allowed_tools", "json_schema", "schema"]
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "user",
        "assistant",
        "system",
        "tool",
        "function",
        "custom",
        "text",
        "image_url",
        "file",
        "refusal",
        "auto",
        "none",
        "data:,x",
        "gw1.rs.",
        "x",
        "",
    ]
)
JSON = st.recursive(
    st.one_of(WORDS, st.none(), st.booleans(), st.integers(-2, 10**20), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool", "function"])},
        optional={"content": JSON, "tool_calls": JSON, "function_call": JSON, "tool_call_id": WORDS, "reasoning_opaque": JSON, "thinking_blocks": JSON},
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            "tools",
            "tool_choice",
            "functions",
            "function_call",
            "response_format",
            "stop",
            "modalities",
            "n",
            "input",
            "system",
            "user",
        ]
    ),
    JSON,
    max_size=3,
)


@settings(PROPERTY, max_examples=400)
@given(messages=st.one_of(MESSAGES, JSON), fields=FIELDS)
def test_any_json_gives_a_request_that_can_be_sent_or_a_refusal(messages: Any, fields: dict[str, Any]) -> None:
    try:
        request = read(messages=messages, **fields)
    except BadRequest:
        return
    render_request(request, ModelTraits(id="gpt-4.1"))
