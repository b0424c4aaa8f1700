"""A Messages request: what is read of it on every call, and what is refused."""

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import Envelope, ModelTraits
from copilot_api.protocols.messages.errors import error_body
from copilot_api.protocols.messages.request import (
    MessagesRequest,
    ThreadsUnsupported,
    parse_count_request,
    parse_request,
)
from tests.protocols.messages.client_calls import USER, request, source

PROPERTY = settings(derandomize=True, deadline=None, database=None)
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
TEXT = {"type": "text", "text": "x"}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "x"}


def test_a_request_says_what_the_gateway_must_know() -> None:
    body = source(stream=True, output_config={"effort": "high"}, thinking={"type": "adaptive", "display": "omitted"})
    parsed = parse_request(body, Envelope(betas=("a", "b")))
    assert (parsed.model, parsed.is_streamed, parsed.effort, parsed.hides_thinking, parsed.betas) == (
        "claude-opus-4-7", True, "high", True, ("a", "b"),
    )  # fmt: skip
    assert parsed.body.source == body


def test_the_defaults_are_the_protocols() -> None:
    parsed = request()
    assert (parsed.is_streamed, parsed.effort, parsed.has_images, parsed.initiator, parsed.hides_thinking) == (
        False, None, False, "user", False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "field", ["stream", "temperature", "tools", "tool_choice", "thinking", "output_config", "metadata"]
)
def test_null_is_absent(field: str) -> None:
    assert isinstance(request(**{field: None}), MessagesRequest)


@pytest.mark.parametrize(
    ("messages", "initiator"),
    [
        ([("user", "x")], "user"),
        ([("user", "x"), ("assistant", "y")], "agent"),
        ([("user", "x"), ("assistant", "y"), ("user", "z")], "user"),
        ([("user", "x"), ("assistant", "y"), ("user", [RESULT, RESULT])], "agent"),
        ([("user", "x"), ("assistant", "y"), ("user", [RESULT, TEXT])], "user"),
        ([("user", "x"), ("system", "s")], "user"),
        ([("user", "x"), ("assistant", "y"), ("user", [RESULT]), ("system", "s")], "agent"),
        ([("system", "s")], "user"),
        ([("user", [])], "user"),
    ],
)
def test_the_last_message_says_who_began_the_call(messages: list[tuple[str, Any]], initiator: str) -> None:
    assert request(messages=[{"role": role, "content": said} for role, said in messages]).initiator == initiator


@pytest.mark.parametrize(
    "content",
    [
        [IMAGE],
        [TEXT, IMAGE],
        [{"type": "tool_result", "tool_use_id": "t", "content": [TEXT, IMAGE]}],
        [{"type": "document", "source": {"type": "content", "content": [IMAGE]}}],
        [{"type": "tool_result", "content": [{"type": "document", "source": {"type": "content", "content": [IMAGE]}}]}],
    ],
)
def test_an_image_is_seen_wherever_it_stands(content: Any) -> None:
    assert request(messages=[USER, {"role": "user", "content": content}]).has_images


@pytest.mark.parametrize(
    "content",
    [
        "image",
        [],
        [{"type": "text", "text": '{"type":"image"}'}],
        [{"type": "tool_use", "id": "t", "name": "f", "input": {"content": [IMAGE]}}],
        [{"type": "tool_result", "tool_use_id": "t"}],
        [{"type": "tool_result", "tool_use_id": "t", "content": [1]}],
        [{"type": "document", "source": "x"}],
        [{"type": "document", "source": {"type": "text", "data": "image"}}],
        [{"type": "document", "source": {"type": 1}}],
    ],
)
def test_the_word_image_is_no_image(content: Any) -> None:
    assert not request(messages=[{"role": "user", "content": content}]).has_images


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ...}, "model"), ({"model": ""}, "model"), ({"model": {}}, "model"), ({"model": 1}, "model"),
        ({"max_tokens": ...}, "max_tokens"), ({"max_tokens": 0}, "max_tokens"), ({"max_tokens": "1"}, "max_tokens"), ({"max_tokens": 1.5}, "max_tokens"),
        ({"messages": ...}, "messages"), ({"messages": []}, "messages"), ({"messages": False}, "messages"), ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"), ({"messages": [{"role": "user"}]}, "messages[0]"),
        ({"messages": [USER, {"role": "user", "content": None}]}, "messages[1].content"), ({"messages": [{"role": "user", "content": {}}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"), ({"messages": [{"role": "user", "content": [TEXT, {"type": 1}]}]}, "messages[0].content[1].type"),
        ({"stream": "true"}, "stream"), ({"temperature": "1"}, "temperature"), ({"top_k": 1.5}, "top_k"), ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"), ({"tools": {}}, "tools"), ({"tools": ["x"]}, "tools[0]"), ({"tool_choice": "auto"}, "tool_choice"),
        ({"thinking": "on"}, "thinking"), ({"thinking": {"type": "enabled", "budget_tokens": "1"}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": 1}}, "output_config.effort"), ({"metadata": {"user_id": 1}}, "metadata.user_id"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        request(**fields)
    assert refusal.value.param == param
    assert refusal.value.actual_status == 400


@pytest.mark.parametrize(("asked", "limit"), [(..., None), (None, None), (0, 0), (9, 9), (-1, None)])
def test_the_output_is_limited_to_what_the_caller_asks_for(asked: Any, limit: int | None) -> None:
    assert request(max_tokens=9).output_limit == 9
    assert parse_count_request(source(max_tokens=asked)).output_limit == limit


def test_a_count_needs_no_limit() -> None:
    assert parse_count_request(source(max_tokens=...)).model == "claude-opus-4-7"
    assert parse_count_request(source(max_tokens=0, tools=[])).effort is None
    with pytest.raises(BadRequest):
        parse_count_request(source(messages=[]))


def test_pitfall_017_one_token_is_a_limit_like_any_other() -> None:
    """Claude Code asks so whether the model is there."""
    assert request(max_tokens=1).model == "claude-opus-4-7"


def test_a_request_to_its_own_protocol_keeps_what_nobody_knows() -> None:
    parsed = request(messages=[{"role": "user", "content": "x", "later": 1}])
    assert json.loads(parsed.render(ModelTraits(id="claude-opus-4.7", vendor="Anthropic")).body)["messages"]


def test_a_big_request_is_read_quickly() -> None:
    body = source(messages=[{"role": "user", "content": [{"type": "text", "text": "word " * 2000}] * 10}] * 100)
    assert len(body) > 9_000_000
    started = time.perf_counter()
    parse_request(body)
    assert time.perf_counter() - started < 0.5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@PROPERTY
@given(st.sampled_from(["model", "messages", "max_tokens", "stream", "tools", "thinking", "output_config", "x"]), JSON)
def test_any_json_is_a_request_or_a_refusal(field: str, value: Any) -> None:
    for parse in (parse_request, parse_count_request):
        with contextlib.suppress(BadRequest):
            parse(source(**{field: value}))


@PROPERTY
@given(st.binary(max_size=60))
def test_any_bytes_are_a_request_or_a_refusal(body: bytes) -> None:
    for attempt in (body, source()[:-1] + b',"x":' + body + b"}"):
        with contextlib.suppress(BadRequest):
            parse_request(attempt)


def test_a_body_of_brackets_is_refused() -> None:
    nested = b"[" * 5000 + b"]" * 5000
    with pytest.raises(BadRequest):
        parse_request(source()[:-1] + b',"x":' + nested + b"}")


def test_a_conversation_that_should_be_held_here_is_refused_so_that_the_sdk_sends_all_of_it() -> None:
    body = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"thread":{"type":"create"}}'
    with pytest.raises(ThreadsUnsupported) as refused:
        parse_request(body)
    details = json.loads(error_body(refused.value, "req_1"))["error"]["details"]
    assert details == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    assert parse_request(body.replace(b'{"type":"create"}', b"null")).model == "m"


SYSTEM = {"role": "system", "content": "a reminder"}


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([USER], b'"hello"'),
        ([USER, SYSTEM], b'"hello"'),
        ([{"role": "user", "content": [TEXT, {"type": "text", "text": "y"}]}], b'"y"'),
        ([{"role": "user", "content": [RESULT, TEXT]}, SYSTEM], b'"x"'),
        ([{"role": "user", "content": [TEXT, RESULT]}], b'"x"'),
        ([{"role": "user", "content": [TEXT, *[RESULT] * 8]}], b"null"),
        ([{"role": "user", "content": [RESULT]}], b"null"),
        ([{"role": "user", "content": [{"type": "text"}]}], b"null"),
        ([{"role": "user", "content": [{"type": "text", "text": 5}]}], b"5"),
        ([{"role": "user", "content": []}], b"[]"),
        ([USER, {"role": "assistant", "content": "{"}], b"null"),
        ([SYSTEM], b"null"),
    ],
)
def test_its_outline_shows_the_last_text_of_the_user(messages: list[Any], said: bytes) -> None:
    outline = request(messages=messages).outline
    assert (bytes(outline.said), outline.messages) == (said, len(messages))


@pytest.mark.parametrize("system", [None, "", "be brief", [TEXT]])
def test_its_outline_shows_the_system_prompt(system: Any) -> None:
    assert bytes(request(system=system).outline.system) == json.dumps(system).encode()
    assert bytes(request().outline.system) == b"null"


@pytest.mark.parametrize(("tools", "count"), [(None, 0), ([], 0), ([{"name": "f", "input_schema": {}}] * 3, 3)])
def test_its_outline_counts_the_tools(tools: Any, count: int) -> None:
    assert request(tools=tools).outline.tools == count
