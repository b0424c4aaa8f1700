"""Answers as server-sent events in which a text comes in pieces, in the four dialects."""

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

Json = dict[str, Any]


def _event(payload: Json) -> bytes:
    name = f"event: {payload['type']}\n" if "type" in payload else ""
    return f"{name}data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()


def _chat(deltas: Iterable[Json]) -> bytes:
    head: Json = {
        "id": "chatcmpl-C1abcDEF2ghiJKL3",
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "model": "gpt-5-mini",
    }
    pieces: list[Json] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    pieces = [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}, *pieces]
    chunks = [_event(head | {"choices": [piece]}) for piece in pieces]
    return (
        b"".join(chunks)
        + _event(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        + b"data: [DONE]\n\n"
    )


def _chat_text(pieces: Sequence[str]) -> bytes:
    return _chat({"content": piece} for piece in pieces)


def _chat_call(pieces: Sequence[str]) -> bytes:
    opening: Json = {"index": 0, "id": "call_abc", "type": "function", "function": {"name": "shell", "arguments": ""}}
    calls = [opening, *({"index": 0, "function": {"arguments": piece}} for piece in pieces)]
    return _chat({"tool_calls": [call]} for call in calls)


def _messages(block: Json, deltas: Iterable[Json]) -> bytes:
    message = {
        "id": "msg_01AbCdEf",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "claude-sonnet-4.5",
    }
    opening: list[Json] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
    ]
    middle: list[Json] = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    closing: list[Json] = [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 12}},
        {"type": "message_stop"},
    ]
    return b"".join(_event(payload) for payload in opening + middle + closing)


def _messages_text(pieces: Sequence[str]) -> bytes:
    return _messages({"type": "text", "text": ""}, ({"type": "text_delta", "text": piece} for piece in pieces))


def _messages_thinking(pieces: Sequence[str]) -> bytes:
    deltas = ({"type": "thinking_delta", "thinking": piece} for piece in pieces)
    return _messages({"type": "thinking", "thinking": ""}, deltas)


def _messages_call(pieces: Sequence[str]) -> bytes:
    block = {"type": "tool_use", "id": "toolu_01AbC", "name": "Bash", "input": {}}
    return _messages(block, ({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


def _responses(kind: str, pieces: Sequence[str], whole: Json, item: Json) -> bytes:
    place = {"item_id": "item_1", "output_index": 0, "content_index": 0}
    events: list[Json] = [
        {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}
    ]
    events += [{"type": f"response.{kind}.delta", **place, "delta": piece} for piece in pieces]
    events.append({"type": f"response.{kind}.done", **place, **whole})
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [item]}})
    return b"".join(_event(payload | {"sequence_number": number}) for number, payload in enumerate(events))


def _responses_text(pieces: Sequence[str]) -> bytes:
    text = "".join(pieces)
    item: Json = {
        "type": "message",
        "id": "item_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    }
    return _responses("output_text", pieces, {"text": text}, item)


def _responses_call(pieces: Sequence[str]) -> bytes:
    text = "".join(pieces)
    item: Json = {"type": "function_call", "id": "item_1", "call_id": "call_1", "name": "shell", "arguments": text}
    return _responses("function_call_arguments", pieces, {"arguments": text}, item)


def _gemini(pieces: Sequence[str]) -> bytes:
    def payload(piece: str) -> Json:
        candidate = {"content": {"role": "model", "parts": [{"text": piece}]}, "index": 0}
        return {"candidates": [candidate], "modelVersion": "gemini-2.5-pro", "responseId": "AbC123"}

    return b"".join(_event(payload(piece)) for piece in pieces)


_TEXTS: dict[str, Callable[[Sequence[str]], bytes]] = {
    "chat": _chat_text,
    "messages": _messages_text,
    "messages thinking": _messages_thinking,
    "responses": _responses_text,
    "gemini": _gemini,
}
_CALLS: dict[str, Callable[[Sequence[str]], bytes]] = {
    "chat call": _chat_call,
    "messages call": _messages_call,
    "responses call": _responses_call,
}
DIALECTS = (*_TEXTS, *_CALLS)
"""What a text may come as; those that end in "call" carry it inside of the JSON of a tool call's arguments."""


def split(text: str, dialect: str, cuts: Sequence[int] | None = None) -> bytes:
    """
    A stream that says `text`, cut before each of the characters `cuts` (every third one when none are given).

    In a tool call the cuts count in the JSON of the arguments, so that some of them part an escape.
    """
    if dialect in _CALLS:
        text = arguments(text)
    return (_CALLS.get(dialect) or _TEXTS[dialect])(_pieces(text, range(3, len(text), 3) if cuts is None else cuts))


def arguments(text: str) -> str:
    """What a tool call that has `text` in it is called with."""
    return json.dumps({"command": f"printf %s {text}", "timeout_seconds": 30})


def _pieces(text: str, cuts: Sequence[int]) -> list[str]:
    places = [0, *sorted({cut for cut in cuts if 0 < cut < len(text)}), len(text)]
    return [text[start:end] for start, end in pairwise(places)]
