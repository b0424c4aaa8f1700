"""A chat request: what is read of it, what is changed on its way, and that everything else leaves as it came."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.chat.request import parse_request

PROPERTY = settings(derandomize=True, deadline=None, database=None)
USER = {"role": "user", "content": "hello"}


def source(**fields: Any) -> bytes:
    return json.dumps({"model": "gpt-4.1", "messages": [USER], **fields}).encode()


def sent(body: bytes, model: str = "gpt-4.1") -> Any:
    """What goes upstream, decoded."""
    return json.loads(parse_request(body).render(ModelTraits(id=model)).body)


# What is read ----------------------------------------------------------------------------------------------------


def test_a_request_says_what_the_gateway_must_know() -> None:
    request = parse_request(source(stream=True, stream_options={"include_usage": True}, n=3, reasoning_effort="high"))
    assert (request.model, request.is_streamed, request.wants_usage, request.choices, request.effort) == (
        "gpt-4.1", True, True, 3, "high",
    )  # fmt: skip


def test_the_defaults_are_the_protocols() -> None:
    request = parse_request(source())
    assert (request.is_streamed, request.wants_usage, request.choices, request.effort, request.has_images) == (
        False, False, 1, None, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({}, None), ({"max_tokens": 7}, 7), ({"max_completion_tokens": 8}, 8), ({"max_tokens": 7, "max_completion_tokens": 8}, 8),
        ({"max_tokens": 7, "max_completion_tokens": None}, 7), ({"max_tokens": None}, None), ({"max_tokens": 0}, 0),
        ({"max_tokens": -1}, None), ({"max_tokens": 7, "max_completion_tokens": -1}, None), ({"max_tokens": 10**30}, 10**30),
        ({"messages": ..., "input": "x", "max_output_tokens": 9}, 9),
    ],
)  # fmt: skip
def test_the_output_is_limited_to_what_the_caller_asks_for(fields: dict[str, Any], limit: int | None) -> None:
    """By the name that goes upstream, where both are given."""
    asked = {"model": "gpt-4.1", "messages": [USER]} | fields
    body = json.dumps({name: value for name, value in asked.items() if value is not ...}).encode()
    assert parse_request(body).output_limit == limit


@pytest.mark.parametrize(
    "field", ["stream", "stream_options", "n", "temperature", "tools", "stop", "reasoning_effort", "user"]
)
def test_null_is_absent(field: str) -> None:
    assert parse_request(source(**{field: None})).choices == 1


@pytest.mark.parametrize(
    ("roles", "initiator"),
    [
        (["user"], "user"), (["system", "user"], "user"), (["developer"], "user"), (["user", "assistant"], "agent"),
        (["user", "assistant", "tool"], "agent"), (["user", "assistant", "function"], "agent"), (["user", "assistant", "user"], "user"),
        (["user", "assistant", "tool", "tool", "user"], "user"),
    ],
)  # fmt: skip
def test_the_last_message_says_who_began_the_call(roles: list[str], initiator: str) -> None:
    messages = [{"role": role, "content": "x"} for role in roles]
    assert parse_request(source(messages=messages)).initiator == initiator


@pytest.mark.parametrize("kind", ["image_url", "input_image", "image"])
@pytest.mark.parametrize("place", [0, 1])
def test_an_image_is_seen_in_any_message(kind: str, place: int) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "x"}]} for _ in range(2)]
    messages[place]["content"].append({"type": kind, "image_url": {"url": "data:image/png;base64,AA=="}})  # type: ignore[attr-defined]
    assert parse_request(source(messages=messages)).has_images


@pytest.mark.parametrize(
    "content", ["image_url", '{"type":"image_url"}', [{"type": "text", "text": '"type":"image_url"'}], None, []]
)
def test_the_word_image_is_no_image(content: Any) -> None:
    assert not parse_request(source(messages=[{"role": "user", "content": content}])).has_images


def test_a_message_without_content_is_a_message() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = source(messages=[USER, {"role": "assistant", "tool_calls": [call]}])
    assert parse_request(body).render(ModelTraits(id="gpt-4.1")).body == body


# What is changed -------------------------------------------------------------------------------------------------


def test_a_request_with_nothing_to_change_leaves_byte_for_byte() -> None:
    body = b'\n{ "model" : "gpt-4.1",\t"messages":[ {"role":"user","content":"\\u0068i\xf0\x9f\x98\x80"} ] , "temperature":1.00,"x":1e400 }\r\n'
    assert parse_request(body).render(ModelTraits(id="gpt-4.1")).body == body


def test_66_the_models_name_alone_is_replaced() -> None:
    body = b'{"messages":[{"role":"user","content":"fast"}], "model": "fast" ,"seed":0.0e0,"user":"fast"}'
    body = body.replace(b"0.0e0", b"7")
    assert parse_request(body).render(ModelTraits(id="gpt-4.1")).body == body.replace(
        b'"model": "fast"', b'"model": "gpt-4.1"'
    )


def test_a_models_name_is_read_through_its_escapes() -> None:
    request = parse_request(rb'{"messages":[{"role":"user","content":"x"}],"mod\u0065l":"f\u0061st"}')
    assert request.model == "fast"
    assert json.loads(request.render(ModelTraits(id="gpt-4.1")).body) == {
        "messages": [{"role": "user", "content": "x"}],
        "model": "gpt-4.1",
    }


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": None}])
def test_usage_is_always_asked_for_upstream(options: Any) -> None:
    request = parse_request(source(stream=True, stream_options=options))
    assert not request.wants_usage
    assert json.loads(request.render(ModelTraits(id="gpt-4.1")).body)["stream_options"] == {"include_usage": True}
    assert sent(source(stream=True))["stream_options"] == {"include_usage": True}


def test_other_stream_options_survive() -> None:
    assert sent(source(stream=True, stream_options={"x": 1}))["stream_options"] == {"x": 1, "include_usage": True}


@pytest.mark.parametrize("stream", [False, None])
def test_usage_is_not_asked_for_without_a_stream(stream: bool | None) -> None:
    assert "stream_options" not in sent(source(stream=stream))


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5-mini", "gpt-5.3-codex", "o1", "o3-mini", "o4-mini"])
def test_20_models_that_refuse_max_tokens_get_it_by_its_new_name(model: str) -> None:
    body = b'{"model":"alias","messages":[{"role":"user","content":"x"}],"max_tokens": 10 ,"top_p":1.0}'
    out = parse_request(body).render(ModelTraits(id=model)).body
    assert out == body.replace(b'"max_tokens"', b'"max_completion_tokens"').replace(b"alias", model.encode())


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-4o", "claude-sonnet-4.6", "gemini-2.5-pro"])
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_other_models_get_the_limit_as_it_came(model: str, field: str) -> None:
    body = source(**{field: 10})
    assert sent(body, model)[field] == 10


@pytest.mark.parametrize("model", ["gpt-5", "gpt-4.1", "claude-sonnet-4.6"])
@pytest.mark.parametrize("order", [("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")])
def test_122_of_two_limits_exactly_one_goes_upstream(model: str, order: tuple[str, str]) -> None:
    out = sent(source(**{name: 10 if name == "max_tokens" else 20 for name in order}), model)
    limits = {name: out[name] for name in ("max_tokens", "max_completion_tokens") if out.get(name) is not None}
    assert len(limits) == 1
    if model == "gpt-5":
        assert limits == {"max_completion_tokens": 20}


def test_a_limit_is_not_lost_to_a_null_one() -> None:
    out = sent(source(max_tokens=10, max_completion_tokens=None), "gpt-5")
    assert out["max_completion_tokens"] == 10
    assert "max_tokens" not in out


def test_124_the_same_request_gives_the_same_bytes() -> None:
    body = source(
        stream=True, max_tokens=5, tools=[{"type": "function", "function": {"name": f"t{n}"}} for n in range(9)]
    )
    assert (
        parse_request(body).render(ModelTraits(id="gpt-5")).body
        == parse_request(body).render(ModelTraits(id="gpt-5")).body
    )


@pytest.mark.parametrize(
    ("asked", "listed", "default", "sent_effort"),
    [
        ("high", ("low", "medium"), "", "medium"), ("max", ("high", "max"), "low", "max"), ("high", (), "", "high"), ("ultra", ("low",), "", "ultra"),
        (None, ("low", "high"), "medium", "low"), (None, ("low",), "", None), (None, (), "high", None), ("none", ("low", "high"), "high", "low"),
    ],
)  # fmt: skip
def test_pitfall_021_and_022_the_effort_is_one_that_the_model_lists(
    asked: str | None, listed: tuple[str, ...], default: str, sent_effort: str | None
) -> None:
    traits = ModelTraits(id="gpt-4.1", efforts=listed, default_effort=default)
    out = json.loads(parse_request(source(**({"reasoning_effort": asked} if asked else {}))).render(traits).body)
    assert out.get("reasoning_effort") == sent_effort


def test_an_effort_that_the_model_lists_leaves_the_bytes_alone() -> None:
    body = source(reasoning_effort="high")
    assert parse_request(body).render(ModelTraits(id="gpt-4.1", efforts=("high",))).body is body


@pytest.mark.parametrize("stream", [True, False])
def test_padding_against_listeners_is_never_asked_for_upstream(stream: bool) -> None:
    options = {"include_usage": True, "include_obfuscation": False, "x": 1}
    assert sent(source(stream=stream, stream_options=options))["stream_options"] == {"include_usage": True, "x": 1}


def test_images_are_told_of() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    for content, has_images in (([image], True), ("x", False)):
        request = parse_request(source(messages=[{"role": "user", "content": content}]))
        assert request.render(ModelTraits(id="gpt-4.1")).has_images is has_images


def test_what_a_client_knows_of_calls_shows_in_its_tools() -> None:
    old = parse_request(source(functions=[{"name": "f"}]))
    assert (old.speaks_functions, old.has_custom_tools) == (True, False)
    assert not parse_request(source(functions=[{"name": "f"}], tools=[])).speaks_functions
    assert parse_request(source(tools=[{"type": "custom", "custom": {"name": "p"}}])).has_custom_tools
    assert not parse_request(source(tools=[{"type": "function", "function": {"name": "f"}}])).has_custom_tools


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
FREE_NAMES = st.text(min_size=1, max_size=6).map(lambda name: "x_" + name)


@settings(PROPERTY, max_examples=200)
@given(
    unknown=st.dictionaries(FREE_NAMES, VALUES, max_size=4),
    part=st.dictionaries(FREE_NAMES, VALUES, max_size=2),
    stream=st.sampled_from([None, False, True]),
    model=st.sampled_from(["gpt-4.1", "gpt-5", "claude-sonnet-4.6"]),
    indent=st.sampled_from([None, 2]),
    limit=st.booleans(),
)
def test_fields_that_nobody_knows_survive_at_every_level(
    unknown: dict[str, Any], part: dict[str, Any], stream: bool | None, model: str, indent: int | None, limit: bool
) -> None:
    document: dict[str, Any] = {
        **unknown,
        "model": "alias",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x", **part}], **part}],
        "tools": [part],
        **({} if stream is None else {"stream": stream}),
        **({"max_tokens": 5} if limit else {}),
    }
    out = sent(json.dumps(document, indent=indent).encode(), model)
    expected = {**document, "model": model}
    if stream:
        expected["stream_options"] = {"include_usage": True}
    if limit and model == "gpt-5":
        expected["max_completion_tokens"] = expected.pop("max_tokens")
    assert out == expected


# What is refused (types by the table are in tests/fuzz) ----------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"), ({"model": 1}, "model"), ({"model": {}}, "model"), ({"messages": []}, "messages"), ({"messages": False}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages[0]"), ({"messages": [USER, {"role": ""}]}, "messages[1].role"), ({"n": 0}, "n"), ({"n": -1}, "n"),
        ({"stream": "true"}, "stream"), ({"stream_options": []}, "stream_options"), ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"temperature": "1"}, "temperature"), ({"max_tokens": "5"}, "max_tokens"), ({"tools": {}}, "tools"), ({"stop": [1]}, "stop[0]"),
        ({"logit_bias": {"1": "x"}}, "logit_bias[...]"), ({"metadata": []}, "metadata"), ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"), ({"messages": [{"role": "user", "content": {"a": 1}}]}, "messages[0].content"),
        ({"messages": [USER, {"role": "user", "content": [{"type": 3}]}]}, "messages[1].content[0].type"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_request(source(**fields))
    assert refusal.value.param == param


def test_a_nested_duplicate_of_a_small_body_is_refused() -> None:
    with pytest.raises(BadRequest, match="twice"):
        parse_request(b'{"model":"m","messages":[{"role":"user","content":"x","content":"y"}]}')


@pytest.mark.parametrize("padding", [0, 10_000])
def test_two_models_in_one_body_are_refused_however_they_are_hidden(padding: int) -> None:
    """The key's allow-list is checked on one of them; an upstream may serve the other."""
    user = f'"user":"{"u" * padding}",'
    for first, second in (
        ('"model":"a"', '"model":"b"'),
        ('"model":"a"', '"mod\\u0065l":"b"'),
        ('"m\\u006fdel":"a"', '"model":"b"'),
    ):
        with pytest.raises(BadRequest, match="twice"):
            parse_request(f'{{{first},{user}"messages":[{{"role":"user","content":"x"}}],{second}}}'.encode())


def test_114_a_huge_request_is_parsed_in_bounded_time() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 20_000_000}}
    tools = [{"type": "function", "function": {"name": f"t{n}", "parameters": {"type": "object"}}} for n in range(500)]
    body = source(messages=[{"role": "user", "content": [image]}] * 2, tools=tools, stream=True, max_tokens=5)
    began = time.monotonic()
    request = parse_request(body)
    request.render(ModelTraits(id="gpt-5"))
    assert request.has_images
    assert time.monotonic() - began < 3.0


# Its outline ------------------------------------------------------------------------------------------------------

SYSTEM = {"role": "system", "content": "be brief"}


@pytest.mark.parametrize(
    ("messages", "system", "said"),
    [
        ([USER], b"null", b'"hello"'),
        ([SYSTEM, USER], b'"be brief"', b'"hello"'),
        ([{"role": "developer", "content": [{"type": "text", "text": "x"}]}, USER], b'[{"type": "text", "text": "x"}]', b'"hello"'),
        ([USER, SYSTEM], b"null", b'"hello"'),
        ([USER, SYSTEM, SYSTEM, SYSTEM], b"null", b"null"),
        ([USER, {"role": "assistant", "content": "{"}], b"null", b"null"),
        ([USER, {"role": "tool", "tool_call_id": "c", "content": "hello"}], b"null", b"null"),
        ([USER, {"role": "user", "content": None}], b"null", b"null"),
    ],
)  # fmt: skip
def test_its_outline_shows_the_system_prompt_and_what_the_user_said_last(
    messages: list[Any], system: bytes, said: bytes
) -> None:
    outline = parse_request(source(messages=messages)).outline
    assert (bytes(outline.system), bytes(outline.said), outline.messages) == (system, said, len(messages))


@pytest.mark.parametrize(("tools", "count"), [(None, 0), ([], 0), ([{"type": "function"}] * 3, 3)])
def test_its_outline_counts_the_tools(tools: Any, count: int) -> None:
    assert parse_request(source(tools=tools)).outline.tools == count
