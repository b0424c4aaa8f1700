"""A whole Responses answer as the events of a stream, for a caller who waits for one where the upstream sent none."""

from collections.abc import Iterator
from typing import Any

import msgspec

from copilot_api.protocols.sse import render_event
from copilot_api.protocols.untyped import list_of, object_of, text_of

Fields = dict[str, Any]
Step = tuple[str, Fields]

_FIELD_OF_PART = {"output_text": "text", "refusal": "refusal"}


def whole_as_events(request: object, body: bytes, now: int) -> bytes:  # noqa: ARG001 -- a surface's form
    """The answer in `body`, already mended, as events: each item with all of itself in one delta."""
    response = object_of(msgspec.json.decode(body))
    steps = [*_opening(response)]
    for index, item in enumerate(map(object_of, list_of(response.get("output")))):
        steps += _item_steps(item, index)
    last = "incomplete" if response.get("status") == "incomplete" else "completed"
    steps.append((f"response.{last}", {"response": response}))
    events = [
        render_event(msgspec.json.encode({"type": kind, "sequence_number": number, **fields}), kind)
        for number, (kind, fields) in enumerate(steps)
    ]
    return b"".join([*events, render_event(b"[DONE]")])


def _opening(response: Fields) -> Iterator[Step]:
    begun: Fields = {**response, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    begun["incomplete_details"] = None
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}


def _item_steps(item: Fields, index: int) -> Iterator[Step]:
    place: Fields = {"item_id": text_of(item.get("id")), "output_index": index}
    begun: Fields = {**item}
    steps: Iterator[Step] = iter(())
    match item.get("type"):
        case "message":
            begun |= {"status": "in_progress", "content": []}
            steps = _message_steps(item, place)
        case "reasoning":
            begun["summary"] = []
            steps = _reasoning_steps(item, place)
        case "function_call":
            begun |= {"status": "in_progress", "arguments": ""}
            steps = _call_steps("function_call_arguments", "arguments", item, place)
        case "custom_tool_call":
            begun |= {"status": "in_progress", "input": ""}
            steps = _call_steps("custom_tool_call_input", "input", item, place)
        case _:
            pass
    yield "response.output_item.added", {"output_index": index, "item": begun}
    yield from steps
    yield "response.output_item.done", {"output_index": index, "item": item}


def _message_steps(item: Fields, place: Fields) -> Iterator[Step]:
    for number, part in enumerate(map(object_of, list_of(item.get("content")))):
        kind = text_of(part.get("type"))
        at: Fields = {**place, "content_index": number}
        field = _FIELD_OF_PART.get(kind)
        yield "response.content_part.added", {**at, "part": {**part, field: ""} if field else part}
        if field:
            logprobs: Fields = {"logprobs": []} if kind == "output_text" else {}
            text = text_of(part.get(field))
            if text:
                yield f"response.{kind}.delta", {**at, "delta": text, **logprobs}
            yield f"response.{kind}.done", {**at, field: text, **logprobs}
        yield "response.content_part.done", {**at, "part": part}


def _reasoning_steps(item: Fields, place: Fields) -> Iterator[Step]:
    for number, part in enumerate(map(object_of, list_of(item.get("summary")))):
        at: Fields = {**place, "summary_index": number}
        text = text_of(part.get("text"))
        yield "response.reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}
        if text:
            yield "response.reasoning_summary_text.delta", {**at, "delta": text}
        yield "response.reasoning_summary_text.done", {**at, "text": text}
        yield "response.reasoning_summary_part.done", {**at, "part": part}


def _call_steps(kind: str, field: str, item: Fields, place: Fields) -> Iterator[Step]:
    written = text_of(item.get(field))
    yield f"response.{kind}.delta", {**place, "delta": written}
    name: Fields = {"name": text_of(item.get("name"))} if field == "arguments" else {}
    yield f"response.{kind}.done", {**place, field: written, **name}
