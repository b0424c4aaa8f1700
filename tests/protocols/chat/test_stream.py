"""The stream of a chat answer, by property: whatever Copilot's manner, the client's stream keeps every rule."""

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import GatewayError, LimitReached, RateLimited, UpstreamCut, UpstreamFailed, UpstreamRateLimited
from copilot_api.protocols.base import Usage
from copilot_api.protocols.chat.stream import ChatStream
from copilot_api.protocols.copilot_errors import parse_stream_error as stream_error
from copilot_api.protocols.sse import MAX_EVENT_BYTES
from tests.protocols.chat import grammar
from tests.protocols.chat.upstream_streams import (
    CREATED,
    MODEL,
    NOW,
    UPSTREAM_ID,
    Answer,
    Manner,
    answers,
    chunks_of,
    encode,
    manners,
    pieces,
    relay,
)

PROPERTY = settings(derandomize=True, deadline=None, database=None)
CUTS = st.lists(st.integers(0, 10_000), max_size=6)


def frame(document: Any) -> bytes:
    return b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None, *, index: int = 0, **more: Any) -> bytes:
    """A chunk as Copilot writes it."""
    choice: dict[str, Any] = {"index": index}
    if delta is not None:
        choice["delta"] = delta
    wrapping = {"created": CREATED, "id": UPSTREAM_ID, "model": "gpt-dated"}
    finish = {} if "finish_reason" not in more else {"finish_reason": more.pop("finish_reason")}
    return frame({"choices": [{**choice, **finish}], **wrapping, **more})


def call(**fields: Any) -> dict[str, Any]:
    return {"content": None, "tool_calls": [fields]}


ROLE = chunk({"content": "", "role": "assistant"})
FINISH = chunk({"content": None}, finish_reason="stop")
FINISH_CALLS = chunk({"content": None}, finish_reason="tool_calls")
DONE = b"data: [DONE]\n\n"


def read(*data: bytes, usage: bool = False) -> list[grammar.Chunk]:
    """The client's chunks for a whole upstream stream; all rules are checked."""
    stream, _ = relay(list(data), wants_usage=usage)
    return grammar.check(stream, model=MODEL, usage=usage)


def calls_of(*data: bytes) -> list[dict[str, str]]:
    calls: list[dict[str, str]] = grammar.essence(read(*data))["calls"]
    return calls


# By property -----------------------------------------------------------------------------------------------------


@settings(PROPERTY, max_examples=250)
@given(answer=answers(), manner=manners, cuts=CUTS, wants_usage=st.booleans())
def test_whatever_the_manner_the_stream_keeps_the_rules_and_the_answer(
    answer: Answer, manner: Manner, cuts: list[int], wants_usage: bool
) -> None:
    data = pieces(encode(chunks_of(answer, manner), manner), cuts)
    out, stream = relay(data, wants_usage=wants_usage)
    is_told = wants_usage and answer.usage is not None
    chunks = grammar.check(out, model=MODEL, usage=is_told)
    expected = {**answer.essence, "usage": answer.usage if is_told else None}
    assert grammar.essence(chunks) == expected
    assert {each["id"] for each in chunks} == {UPSTREAM_ID}
    assert {each["created"] for each in chunks} == {CREATED if manner.has_created else NOW}
    assert stream.has_content == bool("".join(answer.texts) or "".join(answer.reasoning) or answer.calls)
    assert stream.nano_aiu == answer.nano_aiu
    if answer.usage is None:
        assert stream.usage is None
    else:
        assert stream.usage == Usage(
            input_tokens=answer.usage["prompt_tokens"],
            output_tokens=answer.usage["completion_tokens"],
            cache_read_tokens=answer.usage["prompt_tokens_details"]["cached_tokens"],
        )


@settings(PROPERTY, max_examples=150)
@given(answer=answers(), manner=manners, wants_usage=st.booleans())
def test_the_openai_package_puts_the_answer_together_again(answer: Answer, manner: Manner, wants_usage: bool) -> None:
    out, _ = relay([encode(chunks_of(answer, manner), manner)], wants_usage=wants_usage)
    chunks = grammar.check(out, model=MODEL, usage=wants_usage and answer.usage is not None)
    [choice] = grammar.accumulate(chunks)["choices"]
    message = choice["message"]
    assert choice["finish_reason"] == answer.finish
    assert message["role"] == "assistant"
    assert (message.get("content") or "") == "".join(answer.texts)
    assert (message.get("reasoning_text") or "") == "".join(answer.reasoning)
    assert [
        (each["id"], each["type"], each["function"]["name"], each["function"]["arguments"])
        for each in message.get("tool_calls") or []
    ] == [(each.id, "function", each.name, each.arguments) for each in answer.calls]


def _normal(chunks: list[grammar.Chunk]) -> list[grammar.Chunk]:
    """Chunks without what means nothing: an absent finish is null, a null field is none, an empty delta is no chunk."""
    kept = []
    for each in chunks:
        choices = []
        for choice in each["choices"]:
            delta = {name: value for name, value in choice["delta"].items() if value is not None}
            choices.append({"finish_reason": None, **choice, "delta": delta})
        if not choices or any(choice["delta"] or choice["finish_reason"] for choice in choices):
            kept.append({**each, "choices": choices})
    return kept


@settings(PROPERTY, max_examples=200)
@given(answer=answers(), manner=manners, wants_usage=st.booleans())
def test_chunks_edited_as_bytes_say_what_decoded_chunks_say(answer: Answer, manner: Manner, wants_usage: bool) -> None:
    """Only chunks without white space are edited as bytes: with it, the same stream goes the long way."""
    quick = replace(manner, separators=(",", ":"), line_end="\n", data_prefix="data: ")
    slow = replace(manner, separators=(" , ", " : "))
    chunks = chunks_of(answer, manner)
    fast_out, _ = relay([encode(chunks, quick)], wants_usage=wants_usage)
    slow_out, _ = relay([encode(chunks, slow)], wants_usage=wants_usage)
    usage = wants_usage and answer.usage is not None
    assert _normal(grammar.check(fast_out, model=MODEL, usage=usage)) == _normal(
        grammar.check(slow_out, model=MODEL, usage=usage)
    )


@settings(PROPERTY, max_examples=60)
@given(answer=answers(), manner=manners)
def test_bytes_may_come_one_at_a_time(answer: Answer, manner: Manner) -> None:
    data = encode(chunks_of(answer, manner), manner)
    at_once, _ = relay([data], wants_usage=True)
    one_by_one, _ = relay([data[place : place + 1] for place in range(len(data))], wants_usage=True)
    assert one_by_one == at_once


@settings(PROPERTY, max_examples=100)
@given(answer=answers(), manner=manners, part=st.floats(0, 1))
def test_a_stream_cut_before_its_finish_never_ends_cleanly(answer: Answer, manner: Manner, part: float) -> None:
    chunks = chunks_of(answer, manner)
    first_finish = next(place for place, each in enumerate(chunks) if '"finish_reason"' in json.dumps(each))
    data = encode(chunks[:first_finish], replace(manner, has_done=False))
    stream = ChatStream(model=MODEL, wants_usage=True, choices=1, now=NOW)
    out = stream.feed(data[: int(len(data) * part)])
    with pytest.raises(UpstreamCut):
        out += stream.finish()
    assert b"[DONE]" not in [event.encode() for event in (grammar.events(out) if out else [])]
    grammar.check_chunks([json.loads(event) for event in grammar.events(out)] if out else [], model=MODEL)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
FIELDS = [
    "choices", "delta", "message", "index", "finish_reason", "tool_calls", "function", "arguments", "name", "id", "role", "content", "usage",
    "prompt_tokens", "copilot_usage", "total_nano_aiu", "token_details", "error", "code", "created", "prompt_filter_results", "model",
    "prompt_tokens_details", "cached_tokens", "token_type", "token_count",
]  # fmt: skip
ODD = st.recursive(
    JSON,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(FIELDS), inner, min_size=1, max_size=5)
    ),
    max_leaves=12,
)


@settings(PROPERTY, max_examples=150)
@given(
    documents=st.lists(ODD | st.dictionaries(st.sampled_from(FIELDS), ODD, max_size=6), max_size=4),
    choices=st.integers(1, 2),
)
def test_whatever_json_comes_only_a_gateway_error_is_raised(documents: list[Any], choices: int) -> None:
    """An upstream that sends nonsense is a 502, not a crash of ours."""
    stream = ChatStream(model=MODEL, wants_usage=True, choices=choices, now=NOW)
    for document in documents:
        stream.feed(frame(document))
    with contextlib.suppress(GatewayError):
        stream.finish()


ODD_CHOICES: list[Any] = [
    1, "x", [], {}, [None], [1], ["x"], [{}], [[]], [{"delta": "x"}], [{"delta": 1}], [{"delta": []}], [{"delta": [1]}],
    [{"delta": {"tool_calls": "x"}}], [{"delta": {"tool_calls": 1}}], [{"delta": {"tool_calls": {}}}], [{"delta": {"tool_calls": [1]}}],
    [{"delta": {"tool_calls": [None]}}], [{"delta": {"tool_calls": [[]]}}], [{"delta": {"tool_calls": [{}]}}],
    [{"delta": {"tool_calls": [{"id": 1}]}}], [{"delta": {"tool_calls": [{"id": []}]}}], [{"delta": {"tool_calls": [{"id": {}}]}}],
    [{"delta": {"tool_calls": [{"index": []}]}}], [{"delta": {"tool_calls": [{"index": "x"}]}}],
    [{"delta": {"tool_calls": [{"function": "x"}]}}], [{"delta": {"tool_calls": [{"function": [1]}]}}],
    [{"delta": {"tool_calls": [{"function": {"arguments": {"a": 1}}}]}}], [{"delta": {"tool_calls": [{"function": {"name": 1}}]}}],
    [{"index": "x"}], [{"index": [], "delta": {"tool_calls": [{"id": "a"}]}}], [{"index": {}, "delta": {"content": "x"}}],
    [{"finish_reason": 1}], [{"finish_reason": []}], [{"finish_reason": {"a": 1}}], [{"message": "x"}], [{"message": [1]}],
    [{"delta": {"content": 1}}], [{"delta": {"content": ["x"]}}], [{"delta": {"role": 1}}],
]  # fmt: skip


@pytest.mark.parametrize("choices", ODD_CHOICES, ids=[json.dumps(each) for each in ODD_CHOICES])
@pytest.mark.parametrize("count", [1, 2])
def test_choices_of_the_wrong_shape_are_no_crash(choices: Any, count: int) -> None:
    stream = ChatStream(model=MODEL, wants_usage=True, choices=count, now=NOW)
    stream.feed(ROLE)
    stream.feed(frame({"choices": choices}))
    stream.feed(FINISH)
    with contextlib.suppress(GatewayError):
        stream.finish()


ODD_FIELDS: list[dict[str, Any]] = [
    {"usage": 1}, {"usage": []}, {"usage": "x"}, {"usage": {"prompt_tokens": "x"}}, {"usage": {"prompt_tokens": None}},
    {"usage": {"prompt_tokens": 1.5}}, {"usage": {"prompt_tokens_details": 1}}, {"copilot_usage": 1}, {"copilot_usage": []},
    {"copilot_usage": {"total_nano_aiu": "x"}}, {"copilot_usage": {"total_nano_aiu": 1e300}}, {"copilot_usage": {"token_details": 1}},
    {"copilot_usage": {"token_details": [{"token_count": "x"}]}}, {"created": "x"}, {"created": []}, {"created": 1.5}, {"created": -1},
    {"id": 1}, {"id": []}, {"prompt_filter_results": 1}, {"error": 0}, {"error": None}, {"error": {}},
]  # fmt: skip


@pytest.mark.parametrize("fields", ODD_FIELDS, ids=[json.dumps(each) for each in ODD_FIELDS])
def test_fields_of_the_wrong_shape_are_no_crash_and_break_no_rule(fields: dict[str, Any]) -> None:
    try:
        out, _ = relay([frame({"choices": [], **fields}), ROLE, chunk({"content": "x"}), FINISH], wants_usage=False)
    except GatewayError:
        return
    grammar.check(out, model=MODEL, usage=False)


# By example ------------------------------------------------------------------------------------------------------


def test_the_role_is_said_although_the_upstream_never_says_it() -> None:
    chunks = read(chunk({"content": "Hi"}), chunk({"content": "!"}), FINISH)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "Hi"}


def test_the_role_is_said_although_the_first_chunk_has_no_choices() -> None:
    opening = frame({"choices": [], "created": CREATED, "id": UPSTREAM_ID, "model": "gpt-dated"})
    read(opening, chunk({"content": "Hi"}), chunk({"content": "!"}), FINISH)


def test_two_choices_in_one_chunk_reach_a_client_that_reads_one() -> None:
    both = frame(
        {
            "choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}],
            "created": CREATED,
            "id": UPSTREAM_ID,
            "model": "gpt-dated",
        }
    )
    finishes = FINISH + chunk({}, index=1, finish_reason="stop")
    assert grammar.essence(read(ROLE, both, both, finishes))["texts"]["content"] == "abab"


def test_a_chunk_without_delta_is_no_crash() -> None:
    read(ROLE, chunk(None), chunk({"content": "x"}), chunk(None, finish_reason="stop"))


def test_thinking_after_the_finish_is_sent_before_it() -> None:
    chunks = read(ROLE, chunk({"content": "x"}), FINISH, chunk({"reasoning_opaque": "abc="}), DONE)
    assert grammar.essence(chunks)["texts"]["reasoning_opaque"] == "abc="


def test_what_follows_done_is_dropped() -> None:
    for late in (chunk({"content": "late"}), frame({"choices": [{"index": 0, "delta": {"content": "late"}}]})):
        chunks = read(ROLE, chunk({"content": "x"}), FINISH, DONE, late, DONE)
        assert grammar.essence(chunks)["texts"]["content"] == "x"


def test_id_and_created_stay_the_same_although_the_upstream_changes_them() -> None:
    def other(number: int) -> bytes:
        return frame(
            {"choices": [{"index": 0, "delta": {"content": "x"}}], "created": CREATED + number, "id": f"id-{number}", "model": "m"}
        )  # fmt: skip

    read(ROLE, other(1), other(2), chunk({"content": "y"}), other(3), FINISH)


def test_id_and_created_stay_the_same_although_the_first_chunk_has_none() -> None:
    bare = frame({"choices": [{"index": 0, "delta": {"content": "x", "role": "assistant"}}]})
    read(bare, chunk({"content": "y"}), chunk({"content": "z"}), FINISH)


def test_an_end_without_done_is_a_good_end() -> None:
    assert grammar.essence(read(ROLE, chunk({"content": "x"}), FINISH))["finish"] == "stop"


def test_done_without_a_finish_is_a_cut() -> None:
    with pytest.raises(UpstreamCut):
        relay([ROLE, chunk({"content": "x"}), DONE], wants_usage=False)


@pytest.mark.parametrize("data", [b"", b": ping\n\n", DONE, b"\n\n\n"])
def test_a_stream_of_nothing_is_a_cut(data: bytes) -> None:
    with pytest.raises(UpstreamCut):
        relay([data], wants_usage=False)


@pytest.mark.parametrize(
    "data",
    [b"data: <html>\n\n", b"data: {\n\n", b"data: nonsense\n\n", b"data: 1\n\n", b'data: "x"\n\n', b"data: [1]\n\n", b"data: null\n\n"],
)  # fmt: skip
def test_an_event_that_is_no_chunk_is_an_upstream_failure(data: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        relay([ROLE, data], wants_usage=False)


def test_a_deeply_nested_event_is_an_upstream_failure() -> None:
    with pytest.raises(UpstreamFailed):
        relay([b"data: " + b"[" * 200_000 + b"]" * 200_000 + b"\n\n"], wants_usage=False)


def test_an_event_without_end_is_an_upstream_failure() -> None:
    block = b"data: " + b"x" * (8 * 1024 * 1024)
    with pytest.raises(UpstreamFailed):
        relay([block] * (MAX_EVENT_BYTES // len(block) + 2), wants_usage=False)


def test_the_preamble_rides_on_the_first_chunk_with_choices() -> None:
    """Azure's content filter says something about the prompt; a chunk without choices would break clients."""
    preamble = frame({"choices": [], "created": 0, "id": "", "prompt_filter_results": [{"prompt_index": 0}]})
    chunks = read(preamble, ROLE, chunk({"content": "x"}), FINISH)
    assert [each.get("prompt_filter_results") for each in chunks] == [[{"prompt_index": 0}], None, None]


def test_an_unknown_field_of_a_delta_survives() -> None:
    chunks = read(ROLE, chunk({"content": "x", "cot_id": "c1", "new": {"a": [1, None]}}), FINISH)
    assert chunks[1]["choices"][0]["delta"]["new"] == {"a": [1, None]}


def test_several_choices_that_were_asked_for_stay_apart() -> None:
    first, second = ({"content": text, "role": "assistant"} for text in "ab")
    out, _ = relay(
        [chunk(first), chunk(second, index=1), chunk({}, finish_reason="stop"), chunk({}, index=1, finish_reason="length"), DONE],
        wants_usage=False,
        choices=2,
    )  # fmt: skip
    *chunks, done = grammar.events(out)
    assert done == "[DONE]"
    choices = [json.loads(each)["choices"][0] for each in chunks]
    assert [(each["index"], each["finish_reason"]) for each in choices] == [
        (0, None),
        (1, None),
        (0, "stop"),
        (1, "length"),
    ]
    assert {json.loads(each)["model"] for each in chunks} == {MODEL}


# Tool calls (numbers are those of the pitfall catalogue) ---------------------------------------------------------


def test_87_ids_names_and_roles_are_said_once() -> None:
    piece = {"id": "call_1", "index": 0, "type": "function"}
    data = [
        ROLE,
        chunk({**call(function={"name": "get", "arguments": ""}, **piece), "role": "assistant"}),
        chunk({**call(function={"name": "get", "arguments": '{"a"'}, **piece), "role": "assistant"}),
        chunk({**call(function={"name": "get", "arguments": ":1}"}, **piece), "role": "assistant"}),
        FINISH_CALLS,
    ]
    assert calls_of(*data) == [{"id": "call_1", "name": "get", "arguments": '{"a":1}'}]


def test_a_name_that_comes_after_its_id_is_not_lost() -> None:
    data = [
        ROLE,
        chunk(call(id="call_1", index=0, type="function", function={"arguments": ""})),
        chunk(call(index=0, function={"name": "get"})),
        chunk(call(index=0, function={"arguments": "{}"})),
        FINISH_CALLS,
    ]
    assert calls_of(*data) == [{"id": "call_1", "name": "get", "arguments": "{}"}]


def test_91_a_finish_of_stop_after_tool_calls_is_a_finish_of_tool_calls() -> None:
    data = [
        ROLE,
        chunk(call(id="call_1", index=0, type="function", function={"name": "get", "arguments": "{}"})),
        FINISH,
    ]
    assert grammar.essence(read(*data))["finish"] == "tool_calls"


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_cut_tool_call_keeps_its_finish(reason: str) -> None:
    data = [
        ROLE,
        chunk(call(id="call_1", index=0, type="function", function={"name": "get", "arguments": '{"a'})),
        chunk({}, finish_reason=reason),
    ]
    assert grammar.essence(read(*data))["finish"] == reason


def test_92_arguments_of_parallel_calls_go_where_they_belong() -> None:
    data = [
        ROLE,
        chunk(call(id="a", index=0, type="function", function={"name": "get", "arguments": ""})),
        chunk(call(id="b", index=1, type="function", function={"name": "put", "arguments": ""})),
        chunk(call(index=0, function={"arguments": '{"x":'})),
        chunk(call(index=1, function={"arguments": '{"y":'})),
        chunk(call(index=0, function={"arguments": "1}"})),
        chunk(call(index=1, function={"arguments": "2}"})),
        FINISH_CALLS,
    ]
    assert calls_of(*data) == [
        {"id": "a", "name": "get", "arguments": '{"x":1}'},
        {"id": "b", "name": "put", "arguments": '{"y":2}'},
    ]


def test_two_pieces_in_one_chunk_are_both_passed_on() -> None:
    both = {
        "tool_calls": [
            {"id": "a", "index": 0, "type": "function", "function": {"name": "get", "arguments": "{}"}},
            {"id": "b", "index": 1, "type": "function", "function": {"name": "put", "arguments": "[]"}},
        ]
    }
    assert [(each["id"], each["arguments"]) for each in calls_of(ROLE, chunk(both), FINISH_CALLS)] == [
        ("a", "{}"),
        ("b", "[]"),
    ]


@pytest.mark.parametrize("first", [1, 3, 17])
def test_88_89_calls_are_numbered_from_zero(first: int) -> None:
    data = [
        ROLE,
        chunk(call(id="a", index=first, type="function", function={"name": "get", "arguments": "{"})),
        chunk(call(index=first, function={"arguments": "}"})),
        FINISH_CALLS,
    ]
    assert calls_of(*data) == [{"id": "a", "name": "get", "arguments": "{}"}]


def test_116_one_id_at_two_indices_is_one_call() -> None:
    data = [
        ROLE,
        chunk(call(id="a", index=0, type="function", function={"name": "get", "arguments": '{"x":'})),
        chunk(call(id="a", index=1, type="function", function={"name": "get", "arguments": "1"})),
        chunk(call(index=1, function={"arguments": "}"})),
        FINISH_CALLS,
    ]
    assert calls_of(*data) == [{"id": "a", "name": "get", "arguments": '{"x":1}'}]


@pytest.mark.parametrize("has_id", [True, False])
def test_117_a_call_sent_again_whole_is_not_doubled(has_id: bool) -> None:
    more = {"id": "a"} if has_id else {}
    data = [
        ROLE,
        chunk(call(id="a", index=0, type="function", function={"name": "get", "arguments": ""})),
        chunk(call(index=0, function={"arguments": '{"x":'})),
        chunk(call(index=0, function={"arguments": "1}"})),
        chunk(call(index=0, type="function", function={"name": "get", "arguments": '{"x":1}'}, **more)),
        FINISH_CALLS,
    ]
    assert calls_of(*data) == [{"id": "a", "name": "get", "arguments": '{"x":1}'}]


def test_118_a_new_id_on_a_used_index_is_another_call() -> None:
    data = [
        ROLE,
        chunk(call(id="a", index=0, type="function", function={"name": "get", "arguments": "{"})),
        chunk(call(index=0, function={"arguments": "}"})),
        chunk(call(id="b", index=0, type="function", function={"name": "put", "arguments": "["})),
        chunk(call(index=0, function={"arguments": "]"})),
        FINISH_CALLS,
    ]
    assert [(each["id"], each["arguments"]) for each in calls_of(*data)] == [("a", "{}"), ("b", "[]")]


def test_118_a_piece_without_id_and_index_belongs_to_the_call_in_progress() -> None:
    data = [
        ROLE,
        chunk(call(id="a", index=0, type="function", function={"name": "get", "arguments": "{"})),
        chunk(call(function={"arguments": "}"})),
        chunk(call(id="b", index=1, type="function", function={"name": "put", "arguments": "["})),
        chunk(call(function={"arguments": "]"})),
        FINISH_CALLS,
    ]
    assert [(each["id"], each["arguments"]) for each in calls_of(*data)] == [("a", "{}"), ("b", "[]")]


@pytest.mark.parametrize("gemini_id", ["", None])
def test_calls_without_ids_that_all_come_at_index_zero_stay_apart(gemini_id: str | None) -> None:
    """Gemini sends whole calls, often without ids and without counting."""
    data = [
        ROLE,
        chunk(call(id=gemini_id, index=0, type="function", function={"name": "get", "arguments": '{"x":1}'})),
        chunk(call(id=gemini_id, index=0, type="function", function={"name": "put", "arguments": '{"y":2}'})),
        FINISH_CALLS,
    ]
    first, second = calls_of(*data)
    assert (first["name"], first["arguments"]) == ("get", '{"x":1}')
    assert (second["name"], second["arguments"]) == ("put", '{"y":2}')
    assert first["id"] != second["id"]
    assert first["id"]


def test_split_choices_that_reuse_index_zero_are_separate_calls() -> None:
    data = [
        chunk({"content": "both", "role": "assistant"}),
        chunk({"content": None}, finish_reason="tool_calls"),
        chunk(call(id="a", index=0, type="function", function={"name": "get"}), index=1),
        chunk(call(index=0, type="function", function={"arguments": "{}"}), index=1),
        chunk({"content": None}, index=1, finish_reason="tool_calls"),
        chunk(call(id="b", index=0, type="function", function={"name": "put"}), index=2),
        chunk(call(index=0, type="function", function={"arguments": "[]"}), index=2),
        chunk({"content": None}, index=2, finish_reason="tool_calls"),
    ]
    assert [(each["id"], each["arguments"]) for each in calls_of(*data)] == [("a", "{}"), ("b", "[]")]


def test_65_a_call_without_arguments_gets_an_empty_object() -> None:
    data = [
        ROLE,
        chunk(call(id="a", index=0, type="function", function={"name": "now", "arguments": ""})),
        chunk(call(id="b", index=1, type="function", function={"name": "get", "arguments": '{"x":1}'})),
        chunk(call(id="c", index=2, type="function", function={"name": "now"})),
        FINISH_CALLS,
    ]
    assert [each["arguments"] for each in calls_of(*data)] == ["{}", '{"x":1}', "{}"]


def test_114_115_hostile_arguments_pass_unharmed() -> None:
    hostile = '{"__proto__":{"a":1},"constructor":"\\u0000","deep":' + "[" * 5000 + "]" * 5000 + "}" + " " * 2_000_000
    pieces_ = [hostile[place : place + 100_000] for place in range(0, len(hostile), 100_000)]
    data = [ROLE, chunk(call(id="a", index=0, type="function", function={"name": "get", "arguments": ""}))]
    data += [chunk(call(index=0, function={"arguments": piece})) for piece in pieces_]
    [found] = calls_of(*data, FINISH_CALLS)
    assert found["arguments"] == hostile


def test_125_a_turn_of_reasoning_only_ends_with_stop() -> None:
    data = [
        chunk({"content": "", "role": "assistant", "reasoning_text": "Hm"}),
        chunk({"reasoning_opaque": "x="}),
        FINISH,
    ]
    assert grammar.essence(read(*data)) == {
        "texts": {"role": "assistant", "reasoning_text": "Hm", "reasoning_opaque": "x="},
        "calls": [],
        "finish": "stop",
        "usage": None,
    }


def test_124_the_same_stream_gives_the_same_bytes() -> None:
    data = [ROLE, chunk(call(index=0, type="function", function={"name": "get", "arguments": "{}"})), FINISH_CALLS]
    assert relay(data, wants_usage=True)[0] == relay(data, wants_usage=True)[0]


# Usage -----------------------------------------------------------------------------------------------------------

USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


def test_90_the_usage_chunk_is_sent_only_when_asked_for() -> None:
    tail = frame({"choices": [], "created": CREATED, "id": UPSTREAM_ID, "model": "m", "usage": USAGE})
    data = [ROLE, chunk({"content": "x"}), FINISH, tail, DONE]
    read(*data, usage=False)
    assert read(*data, usage=True)[-1]["usage"] == USAGE


def test_usage_is_metered_whether_or_not_it_is_sent() -> None:
    tail = frame({"choices": [], "usage": USAGE, "copilot_usage": {"token_details": [], "total_nano_aiu": 7}})
    for wants_usage in (True, False):
        _, stream = relay([ROLE, FINISH, tail], wants_usage=wants_usage)
        assert stream.usage == Usage(input_tokens=10, output_tokens=4)
        assert stream.nano_aiu == 7


def test_usage_seen_before_a_cut_is_kept() -> None:
    stream = ChatStream(model=MODEL, wants_usage=False, choices=1, now=NOW)
    stream.feed(ROLE + chunk({"content": "x"}, usage=USAGE))
    with pytest.raises(UpstreamCut):
        stream.finish()
    assert stream.usage == Usage(input_tokens=10, output_tokens=4)


def test_cache_writes_are_taken_from_copilots_own_account() -> None:
    details = [{"token_type": "input", "token_count": 2}, {"token_type": "cache_write", "token_count": 8}]
    _, stream = relay(
        [ROLE, chunk({}, finish_reason="stop", usage=USAGE, copilot_usage={"token_details": details})],
        wants_usage=False,
    )
    assert stream.usage == Usage(input_tokens=10, output_tokens=4, cache_write_tokens=8)


def test_an_account_that_cannot_be_read_does_not_cost_the_usage() -> None:
    _, stream = relay([ROLE, chunk({}, finish_reason="stop", usage=USAGE, copilot_usage="?")], wants_usage=False)
    assert stream.usage == Usage(input_tokens=10, output_tokens=4)


# Errors inside a stream ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_begun", [True, False])
def test_83_an_error_event_is_raised_whenever_it_comes(has_begun: bool) -> None:
    error = frame({"choices": None, "error": {"code": 500, "message": "it broke", "metadata": {}}})
    before = [ROLE, chunk({"content": "x"})] if has_begun else []
    with pytest.raises(UpstreamFailed, match="it broke"):
        relay([*before, error], wants_usage=False)


def test_83_what_came_with_the_error_in_one_read_is_handed_out_first() -> None:
    stream = ChatStream(model=MODEL, wants_usage=False, choices=1, now=NOW)
    out = stream.feed(
        ROLE + chunk({"content": "x"}) + frame({"error": {"message": "it broke"}}) + chunk({"content": "y"})
    )
    assert grammar.essence([json.loads(event) for event in grammar.events(out)])["texts"]["content"] == "x"
    assert isinstance(stream.failure, UpstreamFailed)
    with pytest.raises(UpstreamFailed, match="it broke"):
        stream.finish()


def test_nothing_follows_a_failure() -> None:
    stream = ChatStream(model=MODEL, wants_usage=False, choices=1, now=NOW)
    stream.feed(ROLE + frame({"error": {"message": "first"}}))
    assert stream.feed(chunk({"content": "y"}) + frame({"error": {"message": "second"}}) + FINISH + DONE) == b""
    with pytest.raises(UpstreamFailed, match="first"):
        stream.finish()


def test_a_finish_of_error_is_an_error() -> None:
    with pytest.raises(UpstreamFailed):
        relay([ROLE, chunk({"content": None}, finish_reason="error")], wants_usage=False)


@pytest.mark.parametrize("error", ["text", ["x"], 5, {"message": None}, {"message": {"a": 1}}, {"code": []}, True])
def test_an_error_of_any_shape_is_an_upstream_failure(error: Any) -> None:
    with pytest.raises(UpstreamFailed):
        relay([ROLE, frame({"error": error})], wants_usage=False)


@pytest.mark.parametrize(
    "code", ["rate_limited", "rate_limit_exceeded", "user_global_rate_limited:individual", 429, "429"]
)
def test_123_a_rate_limit_inside_a_stream_is_one(code: object) -> None:
    error = stream_error({"message": "slow down", "code": code})
    assert isinstance(error, UpstreamRateLimited)
    assert error.kind == "rate_limit_error"


def test_123_a_transient_error_is_no_invalid_request() -> None:
    assert stream_error({"message": "oops", "code": 500}).kind == "server_error"


@pytest.mark.parametrize("code", ["context_length_exceeded", "model_max_prompt_tokens_exceeded"])
def test_an_overflow_inside_a_stream_stays_recognisable(code: str) -> None:
    error = stream_error({"message": "prompt token count of 391491 exceeds the limit of 128000", "code": code})
    assert error.public_code == "context_length_exceeded"
    assert error.kind == "invalid_request_error"
    assert error.actual_status == 400


def test_103_an_overload_as_first_event_is_a_503() -> None:
    error = stream_error({"type": "overloaded_error", "message": "Overloaded"})
    assert error.actual_status in {503, 529}


def test_an_error_message_of_a_megabyte_is_cut() -> None:
    assert len(stream_error({"message": "x" * 1_000_000}).message) < 10_000


def test_a_stream_is_over_when_the_upstream_says_so() -> None:
    stream = ChatStream(model=MODEL, wants_usage=False, choices=1, now=NOW)
    stream.feed(ROLE + FINISH)
    before = stream.is_over
    stream.feed(DONE)
    assert (before, stream.is_over) == (False, True)
    assert stream.feed(chunk({"content": "more"})) == b""


def test_a_failure_ends_the_stream_without_done_and_a_sign_of_life_is_a_comment() -> None:
    stream = ChatStream(model=MODEL, wants_usage=False, choices=1, now=NOW)
    out = stream.fail(UpstreamCut("broke off"), "req_1")
    assert b"[DONE]" not in out
    [error] = grammar.events(out)
    assert json.loads(error)["error"]["code"] == "upstream_cut"
    assert stream.keep_alive() == b": keep-alive\n\n"
    assert stream.keep_alive("queued: place 3") == b": queued: place 3\n\n"
    assert stream.keep_alive("x\n\ndata: {}") == b": x??data: {}\n\n"


def test_a_failure_names_the_limit_that_is_its_reason() -> None:
    stream = ChatStream(model=MODEL, wants_usage=False, choices=1, now=NOW)
    [error] = grammar.events(stream.fail(RateLimited("x", limit=LimitReached("rpm", 6, 5, "requests")), "req_1"))
    assert json.loads(error)["error"]["limit"] == {"name": "rpm", "current": 6, "allowed": 5, "unit": "requests"}
