"""Upstream streams for the tests of the reader and the relay: events, and how they are cut into chunks."""

import json
from collections.abc import Iterator
from typing import Any

CREATED: dict[str, Any] = {"type": "response.created", "response": {"id": "resp_1", "model": "dated", "output": []}}
USAGE: dict[str, Any] = {"input_tokens": 10, "output_tokens": 9, "input_tokens_details": {"cached_tokens": 4}}


def sse(*events: dict[str, Any] | str) -> bytes:
    """The events on the wire, each named; a text as it is."""
    frames = [
        event if isinstance(event, str) else f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}"
        for event in events
    ]
    return "".join(f"{frame}\n\n" for frame in frames).encode()


def event(kind: str, index: int = 0, **fields: Any) -> dict[str, Any]:
    """An event about an item, whose id is another each time."""
    drifting = f"id-{kind}-{fields.get('delta', '')}"
    return {"type": f"response.{kind}", "sequence_number": 7, "item_id": drifting, "output_index": index, **fields}


def added(index: int, **item: Any) -> dict[str, Any]:
    """An item begins."""
    return {"type": "response.output_item.added", "output_index": index, "item": {"id": f"added{index}", **item}}


def done(index: int, **item: Any) -> dict[str, Any]:
    """An item ends."""
    return {"type": "response.output_item.done", "output_index": index, "item": {"id": f"done{index}", **item}}


def completed(*output: Any, kind: str = "completed", **fields: Any) -> dict[str, Any]:
    """The answer ends."""
    response = {"id": "resp_2", "status": kind, "output": list(output), "usage": USAGE, **fields}
    return {"type": f"response.{kind}", "response": response}


def message(text: str) -> dict[str, Any]:
    """A message item."""
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A function call item."""
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def splits(source: bytes) -> Iterator[list[bytes]]:
    """`source` in one piece, a byte at a time, and in two at every so many places."""
    yield [source]
    yield [source[place : place + 1] for place in range(len(source))]
    for place in range(1, len(source), max(1, len(source) // 200)):
        yield [source[:place], source[place:]]
