"""What a captured answer says, read from each protocol's wire, whole, streamed, cut and broken."""

import json
from typing import Any

import pytest

from copilot_api.capture.answers import EMBEDDINGS, GEMINI, Call, Said, read_said
from copilot_api.capture.models import Cut, Leg
from copilot_api.protocols.base import Usage

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"


def leg(body: object, **more: Any) -> Leg:
    return Leg(status=200, body=body if isinstance(body, str) else json.dumps(body), **more)


def events(*documents: object, end: str = "") -> str:
    """Server-sent events, as a stream has them."""
    lines: list[str] = []
    for document in documents:
        name = f"event: {document['type']}\n" if isinstance(document, dict) and "type" in document else ""
        lines.append(f"{name}data: {json.dumps(document)}\n\n")
    return "".join(lines) + end


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


CHAT_USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
CHAT_WHOLE = {
    "id": "c1",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop"}],
    "usage": CHAT_USAGE,
}
MESSAGE_START = {
    "type": "message_start",
    "message": {"id": "m1", "type": "message", "role": "assistant", "content": [], "model": "m",
                "usage": {"input_tokens": 5, "output_tokens": 1}},
}  # fmt: skip
GEMINI_WHOLE = {
    "candidates": [{"content": {"parts": [{"text": "so", "thought": True}, {"text": "Hello there"},
                                          {"functionCall": {"name": "look", "args": {"b": 1}}}]},
                    "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 3},
}  # fmt: skip


def test_a_whole_chat_answer_is_read() -> None:
    assert read_said(CHAT, leg(CHAT_WHOLE)) == Said(
        status=200, text="Hello there", finish="end", usage=Usage(input_tokens=5, output_tokens=2)
    )


def test_a_chat_stream_is_put_together() -> None:
    body = events(
        chunk({"role": "assistant", "content": "Hello"}),
        chunk({"content": " there"}),
        chunk({"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"a"'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        chunk({}, "tool_calls", usage=CHAT_USAGE),
        end="data: [DONE]\n\n",
    )  # fmt: skip
    said = read_said(CHAT, leg(body))
    assert (said.text, said.calls, said.finish, said.error) == (
        "Hello there",
        (Call("look", '{"a":1}'),),
        "tool_calls",
        "",
    )


def test_of_a_stream_that_broke_off_it_says_what_came() -> None:
    body = events(chunk({"role": "assistant", "content": "Hello"}), chunk({"content": " th"}))
    said = read_said(CHAT, leg(body))
    assert (said.text, said.finish) == ("Hello th", "")
    assert "broke off" in said.error


def test_keep_alives_are_passed_over() -> None:
    body = ": queued: place 3\n\n" + events(chunk({"content": "Hi"}, "stop"), end=": keep-alive\n\ndata: [DONE]\n\n")
    assert read_said(CHAT, leg(body)).text == "Hi"


def test_a_whole_message_is_read() -> None:
    message = {
        "id": "m1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
        "content": [{"type": "thinking", "thinking": "so", "signature": "s"}, {"type": "text", "text": "Hello there"},
                    {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}],
        "usage": {"input_tokens": 5, "output_tokens": 2},
    }  # fmt: skip
    said = read_said(MESSAGES, leg(message))
    assert (said.reasoning, said.text, said.calls) == ("so", "Hello there", (Call("look", '{"a":1}'),))
    assert said.finish == "tool_calls"


def test_a_message_stream_is_put_together() -> None:
    body = events(
        MESSAGE_START,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " there"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    )
    said = read_said(MESSAGES, leg(body))
    assert (said.text, said.finish, said.error) == ("Hello there", "length", "")
    assert said.usage == Usage(input_tokens=5, output_tokens=9)


def test_a_response_is_read_whole_and_streamed() -> None:
    item = {"type": "message", "id": "i1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Hello there", "annotations": []}]}  # fmt: skip
    response = {"id": "r1", "object": "response", "status": "completed", "model": "m", "output": [item],
                "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}}  # fmt: skip
    whole = read_said(RESPONSES, leg(response))
    assert (whole.text, whole.finish, whole.error) == ("Hello there", "end", "")
    body = events(
        {"type": "response.created", "response": {**response, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "item_id": "i1",
         "part": {"type": "output_text", "text": ""}},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "i1", "delta": "Hello there"},
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "item_id": "i1", "text": "Hello there"},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
        end="data: [DONE]\n\n",
    )  # fmt: skip
    assert read_said(RESPONSES, leg(body)) == whole


@pytest.mark.parametrize("body", [json.dumps(GEMINI_WHOLE), json.dumps([GEMINI_WHOLE]), events(GEMINI_WHOLE)])
def test_gemini_is_read_whole_as_an_array_and_as_events(body: str) -> None:
    said = read_said(GEMINI, leg(body))
    assert (said.reasoning, said.text, said.calls) == ("so", "Hello there", (Call("look", '{"b":1}'),))
    assert said.finish == "STOP"
    assert said.usage == Usage(input_tokens=5, output_tokens=5, reasoning_tokens=3)


def test_of_vectors_it_says_how_many_and_how_long() -> None:
    body = {"object": "list", "data": [{"index": 0, "embedding": [0.1, 0.2]}, {"index": 1, "embedding": "AAAA"}],
            "usage": {"prompt_tokens": 3}}  # fmt: skip
    said = read_said(EMBEDDINGS, leg(body))
    assert said.text == "vector of 2\nvector of 4"
    assert said.usage == Usage(input_tokens=3)


def test_an_endpoint_without_answers_to_read_is_laid_out() -> None:
    assert read_said("/v1/messages/count_tokens", leg({"input_tokens": 3})).text == '{\n  "input_tokens": 3\n}'


def test_what_is_no_answer_says_why() -> None:
    assert read_said(CHAT, None).error == "there was no answer"
    assert read_said(CHAT, Leg(status=200, withheld="no text")).error == "withheld: no text"
    refused = read_said(CHAT, Leg(status=429, body='{"error": {"message": "slow down"}}'))
    assert (refused.status, refused.error) == (429, "answered with status 429")
    assert "slow down" in refused.text
    assert read_said(CHAT, leg(CHAT_WHOLE, cut=Cut(9, "d"))).error == "it is longer than what was kept of it"
    assert read_said(CHAT, leg(CHAT_WHOLE, error="the client hung up")).error == "the client hung up"


@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES, MESSAGES, GEMINI, EMBEDDINGS, "/v1/messages/count_tokens"])
@pytest.mark.parametrize(
    "body", ["", "{", "[", "null", "{}", "[]", "[1]", "data: {\n\n", "\x00", "[" * 100_000, '{"choices": 3}', "data: 1\n\n",
             '{"candidates": [{"content": {"parts": [{"text": 3}, 4]}}]}', '{"data": {"embedding": 1}}', "\udcff"],
)  # fmt: skip
def test_nothing_that_was_captured_makes_it_fail(endpoint: str, body: str) -> None:
    said = read_said(endpoint, leg(body))
    assert said.status == 200
    assert len(said.error) <= 500
