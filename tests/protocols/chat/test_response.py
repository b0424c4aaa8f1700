"""A whole chat answer: mended where strict clients need it, and otherwise as it came."""

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from copilot_api.errors import GatewayError, UpstreamFailed
from copilot_api.protocols.base import Usage
from copilot_api.protocols.chat.request import parse_request
from copilot_api.protocols.chat.response import ChatAnswer, parse_response, whole_as_events
from tests.protocols.chat import grammar
from tests.protocols.chat.upstream_streams import CREATED, MODEL, NOW, Answer, answers

PROPERTY = settings(derandomize=True, deadline=None, database=None)
USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}, "total_tokens": 14}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": '{"a":1}'}}


def whole(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An answer as Copilot writes it."""
    return {"choices": list(choices), "created": CREATED, "id": "chatcmpl-1", "model": "gpt-dated", **more}


def text(content: str | None = "Hello.", **more: Any) -> dict[str, Any]:
    return {"finish_reason": "stop", "index": 0, "message": {"content": content, "role": "assistant", **more}}


def parse(document: Any, *, choices: int = 1, indent: int | None = None) -> ChatAnswer:
    separators = (",", ":") if indent is None else None
    source = (
        document if isinstance(document, bytes) else json.dumps(document, separators=separators, indent=indent).encode()
    )
    return parse_response(source, model=MODEL, choices=choices, now=NOW)


def read(document: Any, **how: Any) -> dict[str, Any]:
    """The answer as a client gets it; OpenAI's package accepts it."""
    found: dict[str, Any] = json.loads(parse(document, **how).body)
    ChatCompletion.model_validate(found, strict=False)
    assert found["object"] == "chat.completion"
    assert found["model"] == MODEL
    assert isinstance(found["id"], str)
    assert found["id"]
    assert type(found["created"]) is int
    return found


def test_66_the_model_is_called_as_the_caller_called_it() -> None:
    assert read(whole(text()))["model"] == MODEL


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("missing", ["object", "created", "id", "model", "usage"])
def test_64_what_is_missing_is_filled_in(missing: str, indent: int | None) -> None:
    document = {**whole(text()), "object": "chat.completion", "usage": USAGE}
    del document[missing]
    found = read(document, indent=indent)
    assert found["created"] == (NOW if missing == "created" else CREATED)


@pytest.mark.parametrize(
    "fields",
    [{"created": 0}, {"created": None}, {"id": ""}, {"id": None}, {"object": None}, {"object": ""}, {"model": None}],
)
def test_64_what_is_empty_is_filled_in(fields: dict[str, Any]) -> None:
    read({**whole(text()), **fields})


def test_everything_else_keeps_its_bytes() -> None:
    body = b'{"choices":[{"index":0,"message":{"content":"a\\u0062","role":"assistant","x":1.00},"finish_reason":"stop"}],"created":1770000000,"id":"c1","model":"m","y":[1E5,{"z":null}]}'
    found = parse(body).body
    for kept in (
        b'"index":0,"message":{"refusal":null,"content":"a\\u0062","role":"assistant","x":1.00},"finish_reason":"stop"}]',
        b'"y":[1E5,{"z":null}]',
    ):
        assert kept in found  # fmt: skip


@pytest.mark.parametrize("indent", [None, 1])
def test_a_models_name_elsewhere_in_the_answer_is_not_touched(indent: int | None) -> None:
    """The name may stand in the text, in a nested field, or be the name of another field."""
    document = whole(text('{"model":"gpt-dated"}', notes=[{"model": "gpt-dated"}]), other={"model": "gpt-dated"})
    found = read(document, indent=indent)
    assert found["choices"][0]["message"]["content"] == '{"model":"gpt-dated"}'
    assert found["choices"][0]["message"]["notes"] == [{"model": "gpt-dated"}]
    assert found["other"] == {"model": "gpt-dated"}


def test_a_nested_name_in_other_spacing_is_not_taken_for_the_models() -> None:
    body = b'{"id": "c1", "created": 1, "model": "gpt-dated", "choices": [{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"x","model":"gpt-dated"}}]}'
    found = read(body)  # fmt: skip
    assert found["choices"][0]["message"]["model"] == "gpt-dated"


# Choices ---------------------------------------------------------------------------------------------------------


def test_54_text_and_calls_in_two_choices_are_one_turn() -> None:
    calls = {"finish_reason": "tool_calls", "message": {"role": "assistant", "tool_calls": [CALL]}}
    first = {"finish_reason": "stop", "message": {"content": "I will look.", "role": "assistant"}}
    [choice] = read(whole(first, calls))["choices"]
    assert choice["index"] == 0
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "I will look."
    assert choice["message"]["tool_calls"] == [CALL]


def test_54_each_call_may_come_in_a_choice_of_its_own() -> None:
    def one(name: str) -> dict[str, Any]:
        call = {**CALL, "id": name}
        return {
            "finish_reason": "tool_calls",
            "index": 0,
            "message": {"role": "assistant", "content": None, "tool_calls": [call]},
        }

    [choice] = read(whole(text("a"), one("x"), text("b"), one("y")))["choices"]
    assert choice["message"]["content"] == "ab"
    assert [call["id"] for call in choice["message"]["tool_calls"]] == ["x", "y"]
    assert choice["finish_reason"] == "tool_calls"


def test_a_merged_turn_keeps_what_else_a_message_holds() -> None:
    first = text("a", reasoning_text="Hm", reasoning_opaque="x=")
    second = {
        "finish_reason": "tool_calls",
        "index": 1,
        "message": {"tool_calls": [CALL], "refusal": None, "cot_id": "c"},
    }
    message = read(whole(first, second))["choices"][0]["message"]
    assert (message["reasoning_text"], message["reasoning_opaque"], message["cot_id"]) == ("Hm", "x=", "c")
    assert message["role"] == "assistant"


@pytest.mark.parametrize("index", [1, None, "absent"])
def test_a_single_choice_is_choice_zero(index: Any) -> None:
    choice = {**text(), "index": index}
    if index == "absent":
        del choice["index"]
    assert read(whole(choice))["choices"][0]["index"] == 0


def test_several_choices_that_were_asked_for_stay_apart() -> None:
    found = read(whole(text("a"), {**text("b"), "index": 1}), choices=2)
    assert [choice["message"]["content"] for choice in found["choices"]] == ["a", "b"]


@pytest.mark.parametrize("is_split", [True, False])
def test_53_a_turn_with_calls_finishes_with_tool_calls(is_split: bool) -> None:
    """Copilot sometimes says `stop`; clients that go by the finish would never run the tool."""
    if is_split:
        document = whole(text("a"), {"finish_reason": "stop", "message": {"tool_calls": [CALL]}})
    else:
        document = whole(text(None, tool_calls=[CALL]))
    assert read(document)["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_cut_call_keeps_its_finish(reason: str) -> None:
    assert (
        read(whole({**text(None, tool_calls=[CALL]), "finish_reason": reason}))["choices"][0]["finish_reason"] == reason
    )


@pytest.mark.parametrize("arguments", ["", " ", None, "absent"])
@pytest.mark.parametrize("is_split", [True, False])
def test_65_a_call_without_arguments_gets_an_empty_object(arguments: Any, is_split: bool) -> None:
    function = {"name": "now", "arguments": arguments}
    if arguments == "absent":
        del function["arguments"]
    call = {**CALL, "function": function}
    if is_split:
        document = whole(text("a"), {"finish_reason": "tool_calls", "message": {"tool_calls": [call]}})
    else:
        document = whole({**text(None, tool_calls=[call]), "finish_reason": "tool_calls"})
    assert read(document)["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "now", "arguments": "{}"}


def test_125_a_turn_of_reasoning_only_is_a_turn() -> None:
    message = read(whole(text(None, reasoning_text="Hm", reasoning_opaque="x=")))["choices"][0]["message"]
    assert message["reasoning_text"] == "Hm"


# Usage -----------------------------------------------------------------------------------------------------------


def test_usage_is_metered_and_passed_on() -> None:
    bill = {"token_details": [{"token_type": "cache_write", "token_count": 3}], "total_nano_aiu": 335100000}
    answer = parse(whole(text(), usage=USAGE, copilot_usage=bill))
    assert answer.usage == Usage(input_tokens=10, output_tokens=4, cache_read_tokens=6, cache_write_tokens=3)
    assert answer.nano_aiu == 335100000
    assert json.loads(answer.body)["usage"] == USAGE


@pytest.mark.parametrize("fields", [{}, {"usage": None}, {"usage": None, "copilot_usage": None}])
def test_usage_that_is_not_there_is_unknown(fields: dict[str, Any]) -> None:
    answer = parse(whole(text(), **fields))
    assert answer.usage is None
    assert answer.nano_aiu is None


# What is no answer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"null", b"[]", b"1", b'"x"', b"{}", b"{", b"<!DOCTYPE html>", b'{"choices":null}', b'{"choices":[]}', b'{"choices":{}}',
        b'{"choices":[1]}', b'{"choices":[null]}', b'{"error":{"message":"x"}}', b'{"choices":[{"index":"x"}]}', b'{"choices":[{"finish_reason":1}]}',
        b'{"choices":' + b"[" * 100_000, b'{"choices":[{"index":0}],"usage":{"prompt_tokens":"x"}}', b'{"choices":[{"index":0}],"id":1}', b"\xff\xfe",
    ],
)  # fmt: skip
def test_what_is_no_chat_answer_is_an_upstream_failure(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        parse(body)


ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 2**66), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "tool_calls", "function", "arguments", "index", "finish_reason", "usage", "id", "model",
                 "prompt_tokens", "copilot_usage", "total_nano_aiu", "token_details", "created", "object"]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=10,
)  # fmt: skip


@settings(PROPERTY, max_examples=200)
@given(
    choices=ODD | st.lists(ODD, max_size=3),
    more=st.dictionaries(
        st.sampled_from(["id", "created", "usage", "copilot_usage", "model", "object"]), ODD, max_size=3
    ),
)
def test_whatever_json_comes_only_a_gateway_error_is_raised(choices: Any, more: dict[str, Any]) -> None:
    with contextlib.suppress(GatewayError):
        parse({"choices": choices, **more})


@pytest.mark.parametrize(
    "choices",
    [
        [{"message": "x"}, {}], [{"message": [1]}, {}], [{"message": {"tool_calls": 1}}, {}], [{"message": {"tool_calls": "x"}}, {}],
        [{"message": {"tool_calls": [1]}}, {}], [{"message": {"tool_calls": [None]}}, {}], [{"message": {"tool_calls": [{"function": 1}]}}, {}],
        [{"message": {"tool_calls": {"a": 1}}}, {}], [{"message": 5}], [{"message": {"content": 5}}, {"message": {"content": ["x"]}}],
    ],
    ids=json.dumps,
)  # fmt: skip
def test_choices_of_the_wrong_shape_are_no_crash(choices: Any) -> None:
    with contextlib.suppress(GatewayError):
        parse(whole(*choices))


# A whole answer for a client that wants a stream -----------------------------------------------------------------


def streamed(document: Any, *, wants_usage: bool = False, choices: int = 1) -> bytes:
    options = {"stream_options": {"include_usage": True}} if wants_usage else {}
    request = parse_request(
        json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x"}], "stream": True, **options}).encode()
    )
    return whole_as_events(request, parse(document, choices=choices).body, NOW)


@settings(PROPERTY, max_examples=100)
@given(answer=answers(), wants_usage=st.booleans())
def test_113_a_whole_answer_becomes_a_valid_stream(answer: Answer, wants_usage: bool) -> None:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(answer.texts) or None,
        "padding": "abc",
        "refusal": None,
    }
    if answer.reasoning:
        message["reasoning_text"] = "".join(answer.reasoning)
    if answer.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in answer.calls
        ]  # fmt: skip
    document = whole({"index": 0, "finish_reason": answer.finish, "message": message})
    if answer.usage is not None:
        document["usage"] = answer.usage
    is_told = wants_usage and answer.usage is not None
    chunks = grammar.check(streamed(document, wants_usage=wants_usage), model=MODEL, usage=is_told)
    found = grammar.essence(chunks)
    found["texts"].pop("padding", None)
    calls = [{**call, "arguments": call["arguments"]} for call in answer.essence["calls"]]
    for call in calls:
        call["arguments"] = call["arguments"] if call["arguments"].strip() else "{}"
    assert found == {**answer.essence, "calls": calls, "usage": answer.usage if is_told else None}
    grammar.accumulate(chunks)


def test_113_split_choices_become_one_stream() -> None:
    document = whole(text("a"), {"finish_reason": "tool_calls", "message": {"tool_calls": [CALL]}})
    found = grammar.essence(grammar.check(streamed(document), model=MODEL, usage=False))
    assert found["texts"]["content"] == "a"
    assert found["calls"] == [{"id": "call_1", "name": "get", "arguments": '{"a":1}'}]
    assert found["finish"] == "tool_calls"


def test_113_a_stream_of_a_whole_answer_without_finish_ends_with_stop() -> None:
    document = whole({**text(), "finish_reason": None})
    assert grammar.essence(grammar.check(streamed(document), model=MODEL, usage=False))["finish"] == "stop"


def test_parsing_changes_nothing_it_was_given() -> None:
    document = whole(text("a"), {"finish_reason": "tool_calls", "message": {"tool_calls": [copy.deepcopy(CALL)]}})
    assert parse(document).body == parse(document).body


def test_what_the_schema_requires_and_copilot_leaves_out_is_there() -> None:
    """Copilot sends neither `logprobs` nor, for Claude, `refusal`; strict validators want both, null."""
    bare = b'{"choices":[{"index":0,"message":{"content":"x","role":"assistant"},"finish_reason":"stop"}],"created":1,"id":"c","model":"m"}'
    [choice] = json.loads(parse(bare).body)["choices"]
    assert (choice["logprobs"], choice["message"]["refusal"]) == (None, None)
    said = b'{"choices":[{"index":0,"logprobs":{"content":[]},"message":{"content":"\\"message\\":{\\"","refusal":"no"}}],"created":1,"id":"c","model":"m"}'
    [choice] = json.loads(parse(said).body)["choices"]
    assert (choice["logprobs"], choice["message"]["refusal"]) == ({"content": []}, "no")
    assert choice["message"]["content"] == '"message":{"'
