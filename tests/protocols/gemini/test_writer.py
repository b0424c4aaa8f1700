"""Streamed answers."""

import json
import time
from typing import Any

import pytest
from google.genai import chats, errors, types
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import LimitReached, RateLimited, UpstreamCut, UpstreamRateLimited
from copilot_api.protocols.conversation import (
    Answer,
    AnswerPart,
    Carrier,
    Finished,
    Reasoning,
    ReasoningDelta,
    ReasoningEnd,
    Refusal,
    Started,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolDelta,
    ToolEnd,
    ToolResult,
    ToolStart,
)
from copilot_api.protocols.gemini.request import GeminiRequest
from copilot_api.protocols.gemini.response import pack_signature, render_answer
from copilot_api.protocols.gemini.writer import GeminiWriter
from tests.protocols.gemini.build import (
    CARRIER,
    GOLDEN,
    HEAD,
    USAGE,
    answer,
    check_stream,
    chunks,
    joined,
    pieces,
    request,
    streamed,
)
from tests.protocols.gemini.google_sdk import ScriptedGateway

SHOWN: dict[str, Any] = {"thinkingConfig": {"includeThoughts": True}}
CALL = ToolCall(id="c1", name="f", arguments='{"a":1}')


def write(asked: GeminiRequest, *events: StreamEvent) -> list[dict[str, Any]]:
    writer = GeminiWriter(asked, HEAD)
    return chunks(b"".join([writer.write(event) for event in events]))


def parts(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    return list(chunk["candidates"][0]["content"]["parts"])


def test_the_golden_stream() -> None:
    found = streamed(GOLDEN, request(**SHOWN))
    assert [parts(chunk) for chunk in found] == [
        [{"text": "Hm", "thought": True}],
        [{"text": "Hi"}],
        [
            {
                "functionCall": {"id": "call_1", "name": "f", "args": {"a": 1}},
                "thoughtSignature": pack_signature([CARRIER]),
            }
        ],
    ]
    assert found[-1]["candidates"][0]["finishReason"] == "STOP"
    assert found[-1]["usageMetadata"] == {
        "promptTokenCount": 10,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 6,
        "thoughtsTokenCount": 3,
        "totalTokenCount": 19,
    }


def test_a_delta_is_a_chunk_at_once() -> None:
    writer = GeminiWriter(request(), HEAD)
    assert writer.write(Started()) == b""
    assert (
        writer.write(TextDelta('a "quoted"\nline\u2028'))
        == (
            'data: {"candidates":[{"content":{"parts":[{"text":"a \\"quoted\\"\\nline\u2028"}],"role":"model"},"index":0}],'
            '"modelVersion":"gpt-4.1","responseId":"req0a1"}\n\n'
        ).encode()
    )


def test_there_is_no_end_mark_and_no_name() -> None:
    stream = b"".join(pieces(GOLDEN, request()))
    assert b"[DONE]" not in stream
    assert b"event:" not in stream


def test_a_call_comes_whole_and_in_one_piece() -> None:
    found = write(
        request(),
        Started(),
        ToolStart("c1", "f"),
        ToolDelta('{"a"'),
        ToolDelta(":\n1}"),
        ToolEnd(),
        ToolStart("c2", "g"),
        ToolEnd(),
        Finished(StopReason.TOOL_CALLS, USAGE),
    )
    check_stream(found)
    assert [parts(chunk) for chunk in found] == [
        [{"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}}],
        [{"functionCall": {"id": "c2", "name": "g", "args": {}}}],
    ]


def test_pitfall_070_text_after_a_call_follows_it() -> None:
    found = streamed(answer(CALL, Text("then"), CALL, Reasoning("Hm"), Text("x")), request(**SHOWN))
    assert [next(iter(part)) for part in joined(found)] == ["functionCall", "text", "functionCall", "text", "text"]


def test_pitfall_125_a_stream_of_nothing_or_of_thoughts_alone_ends_with_an_empty_part() -> None:
    assert [parts(chunk) for chunk in streamed(answer())] == [[{"text": ""}]]
    assert [parts(chunk) for chunk in streamed(answer(Reasoning("Hm", CARRIER)))] == [
        [{"text": "", "thoughtSignature": pack_signature([CARRIER])}]
    ]


def test_reasoning_behind_text_is_borne_by_the_last_chunk() -> None:
    found = streamed(answer(Reasoning("Hm", CARRIER), Text("Hi")))
    assert [parts(chunk) for chunk in found] == [
        [{"text": "Hi"}],
        [{"text": "", "thoughtSignature": pack_signature([CARRIER])}],
    ]


def test_without_usage_the_last_chunk_has_the_estimate() -> None:
    assert streamed(answer(Text("x"), usage=None))[-1]["usageMetadata"]["promptTokenCount"] == HEAD.input_estimate


def test_a_wrapped_answer_is_unwrapped_at_its_end() -> None:
    asked = request(responseSchema={"type": "ARRAY", "items": {"type": "STRING"}})
    found = write(asked, TextDelta('{"value":'), TextDelta('["a"]}'), Finished(StopReason.END, USAGE))
    assert [parts(chunk) for chunk in found] == [[{"text": '["a"]'}]]
    found = streamed(answer(Text("I call"), CALL, Text('{"value":["a"]}')), asked)
    assert [next(iter(part)) for part in joined(found)] == ["text", "functionCall", "text"]


def test_texts_that_are_no_unicode_do_no_harm() -> None:
    found = write(
        request(),
        TextDelta("\ud800"),
        ToolStart("\ud800", "f"),
        ToolDelta('{"a":"\ud800"}'),
        ToolEnd(),
        Finished(StopReason.END),
    )
    assert parts(found[0]) == [{"text": "?"}]


# Arrays ---------------------------------------------------------------------------------------------------------------


def test_an_array_is_one_json_text_whose_elements_come_one_by_one() -> None:
    found = pieces(GOLDEN, request(is_array=True, **SHOWN))
    assert json.loads(b"".join(found)) == streamed(GOLDEN, request(**SHOWN))
    assert found[1].startswith(b'[{"candidates"')
    assert found[3].startswith(b',\r\n{"candidates"')
    assert found[-1].endswith(b"}]")


def test_an_array_of_one_element() -> None:
    assert len(json.loads(b"".join(pieces(answer(), request(is_array=True))))) == 1


# Failures and silence -------------------------------------------------------------------------------------------------


def test_pitfall_083_a_failure_is_the_last_event_and_no_finish() -> None:
    writer = GeminiWriter(request(), HEAD)
    written = writer.write(TextDelta("half of")) + writer.fail(UpstreamCut("it broke off"), "req_1")
    first, last = chunks(written)
    assert "finishReason" not in first["candidates"][0]
    assert last.keys() == {"error"}
    assert (last["error"]["code"], last["error"]["status"]) == (502, "UNAVAILABLE")
    assert written.split(b"\n\n")[1].startswith(b'data: {"error":'), "the SDK looks at these very bytes"


def test_a_failure_names_the_limit_that_is_its_reason() -> None:
    error = RateLimited("x", limit=LimitReached("rpm", 6, 5, "requests"))
    [said] = chunks(GeminiWriter(request(), HEAD).fail(error, "req_1"))
    [array] = json.loads(GeminiWriter(request(is_array=True), HEAD).fail(error, "req_1"))
    assert said == array
    assert said["error"]["details"][0]["metadata"]["limit"] == "rpm"
    assert said["error"]["details"][1]["violations"][0]["description"] == "rpm: 6 of 5 requests"


def test_a_failure_drops_the_call_that_is_held_back() -> None:
    writer = GeminiWriter(request(), HEAD)
    written = b"".join([writer.write(event) for event in (ToolStart("c", "f"), ToolEnd())])
    assert written + writer.fail(UpstreamCut("x"), "req_1") == GeminiWriter(request(), HEAD).fail(
        UpstreamCut("x"), "req_1"
    )


def test_a_failure_closes_an_array_begun_or_not() -> None:
    for events in ((), (TextDelta("x"),), (TextDelta("x"), TextDelta("y"))):
        writer = GeminiWriter(request(is_array=True), HEAD)
        written = b"".join([writer.write(event) for event in events]) + writer.fail(UpstreamCut("x"), "req_1")
        found = json.loads(written)
        assert len(found) == len(events) + 1
        assert found[-1]["error"]["code"] == 502


def test_after_its_end_a_stream_says_nothing_more() -> None:
    for is_array in (False, True):
        writer = GeminiWriter(request(is_array=is_array), HEAD)
        writer.write(Finished(StopReason.END, USAGE))
        assert writer.write(Finished(StopReason.END, USAGE)) == b""
        assert writer.fail(UpstreamCut("x"), "req_1") == b""


def test_pitfall_104_a_sign_of_life_may_come_anywhere() -> None:
    for is_array in (False, True):
        asked = request(is_array=is_array, **SHOWN)
        quiet = b"".join(pieces(GOLDEN, asked))
        sign = GeminiWriter(asked, HEAD).keep_alive()
        assert sign.isspace()
        assert GeminiWriter(asked, HEAD).keep_alive("queued: place 3") == sign
        lively = sign + b"".join([piece + sign for piece in pieces(GOLDEN, asked)])
        if is_array:
            assert json.loads(lively) == json.loads(quiet)
        else:
            assert [line for line in lively.splitlines() if line] == [line for line in quiet.splitlines() if line]


# Streamed and whole ---------------------------------------------------------------------------------------------------

TEXTS = st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable())
CARRIERS = st.none() | st.builds(Carrier, kind=st.sampled_from(["rs", "an", "rd", "ro"]), data=TEXTS, text=TEXTS)
PARTS: st.SearchStrategy[AnswerPart] = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(Refusal, TEXTS),
    st.builds(Reasoning, st.just("") | TEXTS, CARRIERS),
    st.builds(ToolCall, id=TEXTS, name=TEXTS, arguments=st.sampled_from(["{}", '{"a": 1}', "", "[", '"x"'])),
)
ANSWERS = st.builds(
    Answer,
    parts=st.lists(PARTS, max_size=6).map(tuple),
    stop=st.sampled_from(list(StopReason)),
    usage=st.none() | st.just(USAGE),
)


@settings(max_examples=200, deadline=None)
@given(ANSWERS, st.booleans())
def test_pitfall_062_a_stream_amounts_to_the_whole_answer(given: Answer, shows: bool) -> None:
    asked = request(**SHOWN) if shows else request()
    whole = json.loads(render_answer(given, asked, HEAD))
    found = streamed(given, asked)
    assert joined(found) == joined([whole])
    assert found[-1]["usageMetadata"] == whole["usageMetadata"]
    assert found[-1]["candidates"][0]["finishReason"] == whole["candidates"][0]["finishReason"]
    assert json.loads(b"".join(pieces(given, request(is_array=True, **(SHOWN if shows else {}))))) == found


def test_a_text_delta_costs_little() -> None:
    writer = GeminiWriter(request(), HEAD)
    event = TextDelta("some words, ")
    rounds = []
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(2000):
            writer.write(event)
        rounds.append((time.perf_counter() - begin) / 2000)
    assert min(rounds) < 20e-6


# Google's package -----------------------------------------------------------------------------------------------------


def chat_of(gateway: ScriptedGateway, **config: Any) -> chats.Chat:
    return gateway.client.chats.create(model="m", config=types.GenerateContentConfig(**config))


def test_the_sdk_reads_a_stream() -> None:
    gateway = ScriptedGateway(answer(Reasoning("Hm", CARRIER), Text("Hello "), Text("there\u2028")))
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    found = list(gateway.client.models.generate_content_stream(model="m", contents="x", config=config))
    thoughts = [part.text for chunk in found for part in chunk.parts or [] if part.thought]
    assert thoughts == ["Hm"]
    assert "".join(chunk.text or "" for chunk in found) == "Hello there\u2028"
    assert found[-1].candidates is not None
    assert found[-1].candidates[0].finish_reason is types.FinishReason.STOP
    assert found[-1].usage_metadata is not None
    assert found[-1].usage_metadata.total_token_count == 19


def test_the_sdk_raises_at_a_failure_in_a_stream() -> None:
    gateway = ScriptedGateway(answer(Text("half"), Text("other")), fails_after=2)
    stream = gateway.client.models.generate_content_stream(model="m", contents="x")
    assert next(stream).text == "half"
    with pytest.raises(errors.ClientError) as failure:
        list(stream)
    assert (failure.value.code, failure.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert UpstreamRateLimited.code.upper() in str(failure.value.details)


def test_the_sdks_chat_remembers_streamed_turns() -> None:
    """It forgets a turn in which any chunk has no part, or none has a finish reason."""
    gateway = ScriptedGateway(
        answer(Reasoning("Hm", CARRIER), Text("Hel"), Text("lo")), answer(Text("again")), answer()
    )
    chat = chat_of(gateway)
    for words in ("one", "two", "three"):
        list(chat.send_message_stream(words))
    assert [message.role for message in gateway.asked[2].messages] == ["user", "assistant", "user", "assistant", "user"]
    assert gateway.asked[2].messages[1].parts == (Reasoning("", CARRIER), Text("Hello"))
    assert len(chat.get_history(curated=True)) > 5


def test_the_sdks_chat_calls_functions_in_a_stream() -> None:
    def add(a: int, b: int) -> int:
        """The sum."""
        return a + b

    call = ToolCall(id="call_1", name="add", arguments='{"a":1,"b":2}')
    other = ToolCall(id="call_2", name="add", arguments='{"a":3,"b":4}')
    calls = Answer(
        parts=(Reasoning("Hm", CARRIER), Text("I add"), call, other), stop=StopReason.TOOL_CALLS, usage=USAGE
    )
    gateway = ScriptedGateway(calls, answer(Text("3 and 7")))
    found = list(chat_of(gateway, tools=[add]).send_message_stream("add them"))
    assert "".join(chunk.text or "" for chunk in found if not chunk.function_calls).endswith("3 and 7")
    second = gateway.asked[1]
    assert second.messages[1].parts == (Reasoning("", CARRIER), Text("I add"), call, other)
    results = [part for message in second.messages for part in message.parts if isinstance(part, ToolResult)]
    assert [(part.call_id, part.parts) for part in results] == [("call_1", (Text("3"),)), ("call_2", (Text("7"),))]


def test_events_in_the_contracts_order_never_surprise() -> None:
    found = write(
        request(**SHOWN),
        ReasoningDelta("a"),
        ReasoningDelta("b"),
        ReasoningEnd(),
        TextDelta("c"),
        Finished(StopReason.LENGTH),
    )
    check_stream(found)
    assert joined(found) == [{"text": "ab", "thought": True}, {"text": "c"}]
