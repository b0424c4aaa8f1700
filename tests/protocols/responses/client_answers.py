"""Requests, answers and streams for the tests of the client's side."""

import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from copilot_api.protocols.base import AnswerHead, Usage
from copilot_api.protocols.conversation import (
    Answer,
    AnswerPart,
    Carrier,
    Reasoning,
    Refusal,
    StopReason,
    Text,
    ToolCall,
    events_of,
)
from copilot_api.protocols.responses.request import ResponsesRequest, parse_request
from copilot_api.protocols.responses.writer import ResponsesWriter

HEAD = AnswerHead(model="alias", request_id="req-0123456789abcdef0123456789", now=1_780_000_000)
USAGE = Usage(input_tokens=10, cache_read_tokens=4, output_tokens=9, reasoning_tokens=3)
CARRIER = Carrier(kind="an", data="c2lnbmF0dXJl", text="Hm")
GOLDEN = Answer(
    parts=(Reasoning("Hm", CARRIER), Text("Hi"), ToolCall(id="call_1", name="f", arguments='{"a":1}')),
    stop=StopReason.TOOL_CALLS,
    usage=USAGE,
)
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}},
    {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
    {"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "spawn"}]},
    {"type": "local_shell"},
    {"type": "shell"},
    {"type": "apply_patch"},
    {"type": "web_search"},
]


def request(**fields: Any) -> ResponsesRequest:
    """A request with `fields`."""
    return parse_request(json.dumps({"model": "alias", "input": "hello", **fields}).encode())


def stream(answer: Answer, asked: ResponsesRequest | None = None, head: AnswerHead = HEAD) -> bytes:
    """The whole stream of `answer`."""
    writer = ResponsesWriter(asked or request(stream=True), head)
    return b"".join([writer.write(event) for event in events_of(answer)])


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_carriers = st.none() | st.builds(
    Carrier, kind=st.sampled_from(["rs", "an", "rd", "ro"]), data=_texts, id=_texts, text=_texts
)
_calls = st.builds(
    ToolCall,
    id=st.sampled_from(["call_1", "call_2"]),
    name=st.sampled_from(["f", "agents__spawn", "local_shell", "shell", "apply_patch", "unknown"]),
    arguments=st.sampled_from(["", "{}", '{"a":1}', '{"command":["ls"]}', "[1", "plain", '"text"', "null"]),
)
_custom_calls = st.builds(
    ToolCall, id=st.just("call_3"), name=st.sampled_from(["patch", "other"]), arguments=_texts, is_custom=st.just(True)
)


def _with_own_ids(parts: list[AnswerPart]) -> tuple[AnswerPart, ...]:
    """No two calls of an answer have one id: the SDK refuses that, and readers see to it."""
    return tuple(
        msgspec.structs.replace(part, id=f"{part.id}_{place}") if isinstance(part, ToolCall) else part
        for place, part in enumerate(parts)
    )


answers = st.builds(
    Answer,
    parts=st.lists(
        st.builds(Text, _texts) | st.builds(Refusal, _texts) | st.builds(Reasoning, _texts, _carriers)
        | _calls | _custom_calls,
        max_size=6,
    ).map(_with_own_ids),
    stop=st.sampled_from(StopReason),
    usage=st.none() | st.just(USAGE),
)  # fmt: skip
"""Any answer at all."""
