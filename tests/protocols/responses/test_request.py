"""
A Responses request: what is read of it, what it is in the neutral form, and what is refused.

The case files: `request.json` in, `conversation.json` out; under `invalid/` `error.json` says why it is refused.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import BadRequest, GatewayError
from copilot_api.protocols.base import AnswerHead, ModelTraits
from copilot_api.protocols.conversation import Image, Message, ModelRequest, OutputFormat, Thinking
from copilot_api.protocols.responses.request import parse_request, read_conversation
from copilot_api.protocols.responses.response import render_answer
from tests.protocols.responses.client_answers import GOLDEN, HEAD, TOOLS, request

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=200)
CASES = Path(__file__).parent.parent / "cases" / "responses_client"
VALID = sorted(path for path in CASES.iterdir() if path.name != "invalid")
INVALID = sorted((CASES / "invalid").iterdir())
PNG = "data:image/png;base64,iVBORw0KGgo="


def name(path: Path) -> str:
    return path.name


def read(**fields: Any) -> ModelRequest:
    return read_conversation(request(**fields))


def told(value: object) -> Any:
    """A neutral value as JSON: a part by its kind, and nothing that has its default."""
    if isinstance(value, msgspec.Struct):
        defaults = {field.name: field.default for field in msgspec.structs.fields(value)}
        fields = {
            name: told(inner)
            for name, inner in msgspec.structs.asdict(value).items()
            if inner not in (defaults[name], (), {})
        }
        return fields if isinstance(value, ModelRequest | Message) else {type(value).__name__: fields}
    if isinstance(value, tuple | list):
        return [told(inner) for inner in value]
    return {name: told(inner) for name, inner in value.items()} if isinstance(value, dict) else value


# Cases --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VALID, ids=name)
def test_a_request_is_read_as_its_case_says(case: Path) -> None:
    found = told(read_conversation(parse_request((case / "request.json").read_bytes())))
    assert found == json.loads((case / "conversation.json").read_bytes())


@pytest.mark.parametrize("case", INVALID, ids=name)
def test_a_request_is_refused_as_its_case_says(case: Path) -> None:
    with pytest.raises(BadRequest) as caught:
        read_conversation(parse_request((case / "request.json").read_bytes()))
    error = caught.value
    found = {"message": error.message, "param": error.param, "code": error.public_code}
    assert found == json.loads((case / "error.json").read_bytes())


# What the gateway must know -----------------------------------------------------------------------------------------


def test_a_request_says_what_the_gateway_must_know() -> None:
    asked = request(stream=True, reasoning={"effort": "high"})
    assert (asked.model, asked.is_streamed, asked.effort, asked.initiator, asked.has_images) == (
        "alias",
        True,
        "high",
        "user",
        False,
    )


@pytest.mark.parametrize(("asked", "limit"), [(None, None), (0, 0), (9, 9), (-1, None)])
def test_the_output_is_limited_to_what_the_caller_asks_for(asked: int | None, limit: int | None) -> None:
    assert request(max_output_tokens=asked).output_limit == limit
    assert request().output_limit is None


@pytest.mark.parametrize(
    "field",
    [
        "stream",
        "reasoning",
        "tools",
        "tool_choice",
        "text",
        "include",
        "metadata",
        "prompt",
        "conversation",
        "previous_response_id",
    ],
)
def test_null_is_absent(field: str) -> None:
    assert read(**{field: None}) == read()


@pytest.mark.parametrize(
    ("item", "initiator"),
    [
        ({"role": "user", "content": "x"}, "user"),
        ({"type": "message", "role": "user", "content": "x"}, "user"),
        ({"role": "developer", "content": "x"}, "user"),
        ({"role": "assistant", "content": "x"}, "agent"),
        ({"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}, "agent"),
        ({"type": "function_call_output", "call_id": "c", "output": "x"}, "agent"),
        ({"type": "custom_tool_call_output", "call_id": "c", "output": "x"}, "agent"),
        ({"type": "reasoning", "summary": []}, "agent"),
    ],
)
def test_the_last_item_says_who_began_the_call(item: dict[str, Any], initiator: str) -> None:
    first = {"role": "user", "content": "x"}
    assert request(input=[first, item]).initiator == initiator


def test_a_string_comes_from_the_user() -> None:
    assert request(input="x").initiator == "user"


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": PNG}]},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": PNG}]},
    ],
)
def test_an_image_is_seen_wherever_it_is(item: dict[str, Any]) -> None:
    asked = request(input=[item, {"role": "user", "content": "and?"}])
    assert asked.has_images
    parts = [part for message in read_conversation(asked).messages for part in message.parts]
    shown = [inner for part in parts for inner in getattr(part, "parts", [part])]
    assert any(isinstance(part, Image) for part in shown)


def test_the_word_image_is_no_image() -> None:
    asked = request(
        input=[
            {"role": "user", "content": '{"type":"input_image"}'},
            {"type": "function_call_output", "call_id": "c", "output": "input_image"},
        ]
    )
    assert not asked.has_images


def test_the_native_request_is_the_clients_own() -> None:
    outgoing = request(input="x", new_field=[1.50]).render(ModelTraits(id="alias"))
    assert json.loads(outgoing.body) == {"model": "alias", "input": "x", "new_field": [1.5]}


# In the neutral form ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reasoning", "thinking"),
    [
        ({}, None),
        ({"effort": None, "summary": None}, None),
        ({"effort": "high"}, Thinking(effort="high")),
        ({"effort": "none"}, Thinking(effort="none", is_disabled=True)),
        ({"effort": "low", "summary": "auto"}, Thinking(effort="low", is_shown=True)),
        ({"summary": "none"}, Thinking(is_shown=False)),
    ],
)
def test_reasoning_is_read(reasoning: dict[str, Any], thinking: Thinking | None) -> None:
    assert read(reasoning=reasoning).thinking == thinking


@pytest.mark.parametrize(
    ("form", "read_as"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, OutputFormat(kind="json_object")),
        ({"type": "json_schema", "schema": {"a": 1}}, OutputFormat(kind="json_schema", name="response", schema={"a": 1})),
        ({"type": "json_schema", "name": "n", "description": "d", "schema": {}, "strict": True}, OutputFormat(kind="json_schema", name="n", description="d", strict=True)),
    ],
)  # fmt: skip
def test_the_form_of_the_text_is_read(form: dict[str, Any], read_as: OutputFormat | None) -> None:
    assert read(text={"format": form}).output_format == read_as


def test_pitfall_016_a_long_cache_key_becomes_a_short_one_and_always_the_same() -> None:
    first, second = read(prompt_cache_key="k" * 67), read(prompt_cache_key="k" * 67)
    assert first.cache_key == second.cache_key != read(prompt_cache_key="k" * 68).cache_key
    assert first.cache_key is not None
    assert len(first.cache_key) == 64
    assert read(prompt_cache_key="k" * 64).cache_key == "k" * 64
    assert read(prompt_cache_key="").cache_key is None


def test_the_end_user_is_anonymous_and_the_newer_name_counts() -> None:
    assert read(user="u", safety_identifier="s").user == "s"
    assert read(user="u").user == "u"
    assert "@" not in (read(user="someone@example.com").user or "@")


def test_hints_go_without_a_word_and_what_is_missed_is_named() -> None:
    hints: dict[str, Any] = {
        "store": True,
        "truncation": "auto",
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "max_tool_calls": 1,
        "include": ["reasoning.encrypted_content"],
    }
    assert read(**hints).dropped == ()
    assert read(include=["message.output_text.logprobs"]).dropped == ("logprobs",)
    assert read(tools=TOOLS).dropped == ("web_search",)


def test_pitfall_050_what_is_stored_has_codes_that_clients_know() -> None:
    with pytest.raises(BadRequest) as caught:
        read(previous_response_id="resp_1")
    assert (caught.value.public_code, caught.value.status) == ("previous_response_not_found", 400)


def test_pitfall_124_the_same_request_is_read_the_same() -> None:
    assert read(tools=TOOLS, prompt_cache_key="k" * 99) == read(tools=TOOLS, prompt_cache_key="k" * 99)


# Anything -----------------------------------------------------------------------------------------------------------

_NAMES = (
    "type role content text output summary name call_id id arguments input tools encrypted_content image_url file_data"
    " status phase action operation namespace parameters format schema"
)
_KINDS = (
    "message function_call function_call_output custom_tool_call reasoning shell_call shell_call_output namespace"
    " local_shell_call_output apply_patch_call input_text output_text input_image input_file refusal function custom user"
    " assistant developer allowed_tools json_schema additional_tools compaction gw1.an.x data:image/png;base64,x"
)
_names, _kinds = st.sampled_from(_NAMES.split()), st.sampled_from(_KINDS.split())
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=3) | _kinds | _kinds,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=5),
    max_leaves=25,
)
_bodies = st.fixed_dictionaries(
    {"model": st.just("m"), "input": st.lists(st.dictionaries(_names, _json, max_size=6), max_size=4) | _json},
    optional=dict.fromkeys(
        ["tools", "tool_choice", "reasoning", "text", "include", "prompt", "metadata", "max_output_tokens"], _json
    ),
)


def test_any_json_gives_a_request_or_says_what_is_wrong() -> None:
    @PROPERTY
    @given(_bodies | _json)
    def holds(body: Any) -> None:
        try:
            asked = parse_request(json.dumps(body).encode())
            read_conversation(asked)
        except BadRequest:
            return
        render_answer(GOLDEN, asked, HEAD)

    holds()


def test_any_bytes_give_a_request_or_say_what_is_wrong() -> None:
    @PROPERTY
    @given(st.binary(max_size=40), st.integers(0, 60))
    def holds(noise: bytes, place: int) -> None:
        good = b'{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"x"}]}]}'
        for source in (noise, good[:place] + noise + good[place:], good[:place]):
            try:
                read_conversation(parse_request(source))
            except GatewayError as error:
                assert isinstance(error, BadRequest)  # noqa: PT017 -- nothing at all may be raised as well

    holds()


@pytest.mark.parametrize("depth", [500, 100_000])
def test_nesting_without_end_is_refused(depth: int) -> None:
    body = b'{"model":"m","input":[{"role":"user","content":' + b"[" * depth + b"]" * depth + b"}]}"
    with pytest.raises(BadRequest):
        read_conversation(parse_request(body))


def test_pitfall_115_what_json_can_name_and_nobody_can_send_is_harmless() -> None:
    for source in (b'{"model":"m","input":"\\ud800 x"}', b'{"model":"m","input":"a\\u0000b","__proto__":1}'):
        try:
            asked = parse_request(source)
            render_answer(GOLDEN, asked, AnswerHead(model=asked.model, request_id="r", now=1))
        except BadRequest:
            continue


# Its outline ------------------------------------------------------------------------------------------------------

ASKED = {"role": "user", "content": [{"type": "input_text", "text": "hello"}]}
TOLD = json.dumps(ASKED["content"]).encode()
RULES = {"type": "message", "role": "developer", "content": "be brief"}


@pytest.mark.parametrize(
    ("given", "system", "said", "count"),
    [
        ("hello", b"null", b'"hello"', 1),
        ([ASKED], b"null", TOLD, 1),
        ([RULES, ASKED], b'"be brief"', TOLD, 2),
        ([ASKED, RULES], b"null", TOLD, 2),
        ([ASKED, RULES, RULES, RULES], b"null", b"null", 4),
        ([ASKED, {"type": "function_call_output", "call_id": "c", "output": "hello"}], b"null", b"null", 2),
        ([ASKED, {"role": "assistant", "content": "hello"}], b"null", b"null", 2),
    ],
)
def test_its_outline_shows_the_system_prompt_and_what_the_user_said_last(
    given: Any, system: bytes, said: bytes, count: int
) -> None:
    outline = parse_request(json.dumps({"model": "m", "input": given}).encode()).outline
    assert (bytes(outline.system), bytes(outline.said), outline.messages) == (system, said, count)


def test_its_outline_shows_the_beginning_of_the_instructions() -> None:
    outline = request(instructions='say "ä"\n' * 1000, input=[RULES, ASKED]).outline
    assert bytes(outline.system).startswith(b'"say \\"\xc3\xa4\\"\\n')
    assert len(bytes(outline.system)) < 1500


@pytest.mark.parametrize(("tools", "count"), [(None, 0), ([], 0), ([{"type": "web_search"}] * 3, 3)])
def test_its_outline_counts_the_tools(tools: Any, count: int) -> None:
    assert request(tools=tools).outline.tools == count
