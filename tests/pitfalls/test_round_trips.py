"""
What one protocol says survives another and comes back: texts, calls, ids, order and the reason for the end.

For random conversations, Messages → Responses → Messages and Chat → Messages → Chat; and the same for answers.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.gateway.surface import Surface
from copilot_api.gateway.surfaces import CHAT_SURFACE, MESSAGES_SURFACE, RESPONSES_SURFACE
from copilot_api.gateway.upstreams import UPSTREAMS
from copilot_api.protocols.base import AnswerHead, Envelope, ModelTraits, Usage
from copilot_api.protocols.conversation import (
    Answer,
    AnswerPart,
    Collector,
    Message,
    ModelRequest,
    Part,
    StopReason,
    Text,
    ToolCall,
    ToolResult,
    events_of,
)
from copilot_api.protocols.translation.prepare import prepare
from copilot_api.upstream.catalog import CHAT, MESSAGES, RESPONSES

HEAD = AnswerHead(model="m", request_id="req_1", now=1_780_000_000)
TRAITS = ModelTraits(id="m")
SURFACES: dict[str, Surface] = {CHAT: CHAT_SURFACE, RESPONSES: RESPONSES_SURFACE, MESSAGES: MESSAGES_SURFACE}

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(
    lambda text: text.strip()
)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True)
ARGUMENTS = st.dictionaries(WORDS, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS, max_size=3)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns as a client of any protocol could have them: the user begins and ends, each call is answered in order."""
    count, turns = 0, [Message("user", (Text(draw(WORDS)),))]
    for _ in range(draw(st.integers(0, 3))):
        said: list[Part] = [Text(draw(WORDS))] if draw(st.booleans()) else []
        calls: list[ToolCall] = []
        for _ in range(draw(st.integers(0, 3))):
            count += 1
            arguments = json.dumps(draw(ARGUMENTS), ensure_ascii=False, separators=(",", ":"))
            calls.append(ToolCall(id=f"call_{count}", name=draw(NAMES), arguments=arguments))
        if not said and not calls:
            said = [Text("ok")]
        turns.append(Message("assistant", (*said, *calls)))
        results = [ToolResult(call_id=call.id, parts=(Text(draw(WORDS)),)) for call in calls]
        more = [Text(draw(WORDS))] if not calls or draw(st.booleans()) else []
        turns.append(Message("user", (*results, *more)))
    return tuple(turns)


def sent(request: ModelRequest, endpoint: str) -> bytes:
    upstream = UPSTREAMS[endpoint]
    return upstream.codec.render_request(prepare(request, upstream.target, TRAITS).request, TRAITS).body


def read(body: bytes, endpoint: str) -> ModelRequest:
    surface = SURFACES[endpoint]
    assert surface.client is not None
    fields = json.loads(body)
    fields.pop("tools", None)  # stand-ins for tools that the history has used
    fields.pop("tool_choice", None)
    return surface.client.read_conversation(surface.parse_request(json.dumps(fields).encode(), Envelope()))


def meaning(messages: tuple[Message, ...]) -> list[tuple[str, list[Any]]]:
    """What was said; arguments by their value, neighbouring texts as one."""
    found: list[tuple[str, list[Any]]] = []
    for message in messages:
        parts: list[Any] = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                parts.append(("call", part.id, part.name, json.loads(part.arguments)))
            elif isinstance(part, ToolResult):
                parts.append(("result", part.call_id, [inner.text for inner in part.parts if isinstance(inner, Text)]))
            elif isinstance(part, Text):
                parts.append(("text", part.text))
        if found and found[-1][0] == message.role:
            found[-1][1].extend(parts)
        else:
            found.append((message.role, parts))
    return found


@pytest.mark.parametrize(
    ("client", "between"), [(MESSAGES, RESPONSES), (CHAT, MESSAGES), (RESPONSES, CHAT), (MESSAGES, CHAT)]
)
@given(conversations())
def test_a_conversation_survives_another_protocol_and_back(
    client: str, between: str, turns: tuple[Message, ...]
) -> None:
    original = read(sent(ModelRequest(model="m", messages=turns, max_output_tokens=99), client), client)
    there = read(sent(original, between), between)
    back = read(sent(there, client), client)
    assert meaning(back.messages) == meaning(original.messages) == meaning(turns)


STOPS = [StopReason.END, StopReason.TOOL_CALLS, StopReason.LENGTH]


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """A text, calls, or both, and an end that goes with them."""
    parts: list[AnswerPart] = [Text(draw(WORDS))] if draw(st.booleans()) else []
    for number in range(draw(st.integers(0, 3))):
        arguments = json.dumps(draw(ARGUMENTS), ensure_ascii=False, separators=(",", ":"))
        parts.append(ToolCall(id=f"call_{number}", name=draw(NAMES), arguments=arguments))
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    if not parts:
        parts = [Text("ok")]
    stop = StopReason.TOOL_CALLS if has_calls else draw(st.sampled_from([StopReason.END, StopReason.LENGTH]))
    usage = Usage(
        input_tokens=draw(st.integers(10, 999)),
        output_tokens=draw(st.integers(1, 99)),
        cache_read_tokens=draw(st.integers(0, 9)),
    )
    return Answer(parts=tuple(parts), stop=stop, usage=usage)


def request_of(endpoint: str) -> Any:
    bodies: dict[str, dict[str, Any]] = {
        CHAT: {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "stream_options": {"include_usage": True},
            "stream": True,
        },
        RESPONSES: {"model": "m", "input": "hi"},
        MESSAGES: {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    }
    return SURFACES[endpoint].parse_request(json.dumps(bodies[endpoint]).encode(), Envelope())


def content(answer: Answer) -> tuple[Any, ...]:
    parts = [
        (part.id, part.name, json.loads(part.arguments)) if isinstance(part, ToolCall) else part
        for part in answer.parts
    ]
    usage = answer.usage or Usage()
    return parts, answer.stop, usage.input_tokens, usage.output_tokens, usage.cache_read_tokens


@pytest.mark.parametrize("endpoint", SURFACES)
@given(answers())
def test_an_answer_written_in_a_protocol_is_read_as_it_was(endpoint: str, answer: Answer) -> None:
    client, upstream, request = SURFACES[endpoint].client, UPSTREAMS[endpoint].codec, request_of(endpoint)
    assert client is not None
    whole = upstream.parse_answer(client.render_answer(answer, request, HEAD))
    assert content(whole) == content(answer)
    writer, reader, collector = client.open_writer(request, HEAD), upstream.open_reader(), Collector()
    for event in events_of(answer):
        collector.add(reader.feed(writer.write(event)))
    collector.add(reader.finish())
    assert content(collector.answer()) == content(answer)
