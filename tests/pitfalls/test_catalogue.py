"""
The pitfalls of translating between protocols that show only where the pieces meet.

Every numbered pitfall of the catalogue is a test named `test_pitfall_NNN_…` or `test_NNN_…` beside the code that keeps
it; the last test here holds the list complete.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from copilot_api.config.settings import Exposure
from copilot_api.errors import UpstreamCut, UpstreamQuotaExceeded, UpstreamRateLimited
from copilot_api.gateway.plan import Plan, choose, make_plan
from copilot_api.gateway.relay import relay_whole
from copilot_api.gateway.surface import Route, Surface
from copilot_api.gateway.surfaces import CHAT_SURFACE, GEMINI_SURFACE, MESSAGES_SURFACE, RESPONSES_SURFACE
from copilot_api.protocols.base import AnswerHead, Envelope
from copilot_api.upstream.catalog import Catalog
from tests.fakes import FakeClock
from tests.gateway.calls import GivenPermit, KeptAnswer, StubReply, make_call, make_key, make_model, make_settlement

TESTS = Path(__file__).parent.parent
HEAD = AnswerHead(model="m", request_id="req_1", now=1_780_000_000)
BODIES: dict[str, tuple[Surface, dict[str, Any]]] = {
    "chat": (CHAT_SURFACE, {"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
    "responses": (RESPONSES_SURFACE, {"model": "m", "input": "hi"}),
    "messages": (MESSAGES_SURFACE, {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    "gemini": (GEMINI_SURFACE, {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
}
ENDPOINTS = {"chat": "/chat/completions", "responses": "/responses", "messages": "/v1/messages"}


def event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


MESSAGES_STREAM = b"".join(
    [
        event("message_start", message={"id": "msg_1", "model": "c", "role": "assistant", "content": [], "usage": {"input_tokens": 8834, "output_tokens": 1}}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "let me see"}),
        event("content_block_stop", index=0),
        event("content_block_start", index=1, content_block={"type": "tool_use", "id": "t1", "name": "f", "input": {}}),
        event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": '{"a":1}'}),
        event("content_block_stop", index=1),
        event("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"input_tokens": 18, "cache_read_input_tokens": 8831, "output_tokens": 7}),
        event("message_stop"),
    ]
)  # fmt: skip
CHAT_CHUNKS: list[dict[str, Any]] = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "let me see"}}]},
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    {"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 7, "total_tokens": 1007, "prompt_tokens_details": {"cached_tokens": 800}}},
]  # fmt: skip
CHAT_STREAM = (
    b"".join(
        b"data: " + json.dumps({"id": "c", "created": 1, "model": "x", **chunk}).encode() + b"\n\n"
        for chunk in CHAT_CHUNKS
    )
    + b"data: [DONE]\n\n"
)
RESPONSES_STREAM = b"".join(
    [
        event("response.created", response={"id": "r", "status": "in_progress", "output": []}),
        event("response.output_item.added", output_index=0, item={"type": "message", "id": "a", "content": []}),
        event("response.output_text.delta", output_index=0, content_index=0, delta="let me see"),
        event("response.output_item.done", output_index=0, item={"type": "message", "id": "b", "content": [{"type": "output_text", "text": "let me see"}]}),
        event("response.output_item.added", output_index=1, item={"type": "function_call", "id": "c", "call_id": "t1", "name": "f", "arguments": ""}),
        event("response.function_call_arguments.delta", output_index=1, delta='{"a":1}'),
        event("response.output_item.done", output_index=1, item={"type": "function_call", "id": "d", "call_id": "t1", "name": "f", "arguments": '{"a":1}'}),
        event("response.completed", response={"id": "r", "status": "completed", "output": [], "usage": {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 800}, "output_tokens": 7}}),
    ]
)  # fmt: skip
STREAMS = {"chat": CHAT_STREAM, "responses": RESPONSES_STREAM, "messages": MESSAGES_STREAM}


def plan(client: str, upstream: str, **fields: Any) -> Plan:
    surface, body = BODIES[client]
    request = surface.parse_request(json.dumps({**body, **fields}).encode(), Envelope(model="m"))
    choice = choose("m", make_key(), Catalog([make_model("m", ENDPOINTS[upstream])]), Exposure())
    return make_plan(request, surface, choice, choice.models[0])


def streamed(client: str, upstream: str, **fields: Any) -> bytes:
    stream = plan(client, upstream, stream=True, **fields).route.open_stream(HEAD)
    return stream.feed(STREAMS[upstream]) + stream.finish()


def data_of(events: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in events.decode().splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def test_pitfall_089_a_tool_behind_a_text_block_is_the_first_tool() -> None:
    calls = [
        call
        for chunk in data_of(streamed("chat", "messages"))
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", ())
    ]
    assert {call["index"] for call in calls} == {0}
    assert calls[0]["id"] == "t1"


@pytest.mark.parametrize("upstream", ["chat", "responses"])
def test_pitfall_120_cache_counters_are_the_same_in_a_stream_and_whole(upstream: str) -> None:
    ending = next(chunk for chunk in data_of(streamed("messages", upstream)) if chunk["type"] == "message_delta")
    usage = json.loads(plan("messages", upstream).route.read_events(STREAMS[upstream], HEAD).body)["usage"]
    for counted in (ending["usage"], usage):
        assert (counted["input_tokens"], counted["cache_read_input_tokens"], counted["output_tokens"]) == (200, 800, 7)


@pytest.mark.parametrize("client", BODIES)
@pytest.mark.parametrize("upstream", STREAMS)
def test_pitfall_112_a_stream_where_a_whole_answer_was_due_is_gathered(
    clock: FakeClock, client: str, upstream: str
) -> None:
    settlement, ledger, _ = make_settlement(clock)
    answer = KeptAnswer(ledger)
    made = plan(client, upstream)

    async def relay() -> None:
        with settlement.follow(make_call(clock)) as record:
            record.planned(made)
            record.dispatched(made, GivenPermit())
            await relay_whole(StubReply(STREAMS[upstream]), made.route, HEAD, record, answer)

    asyncio.run(relay())
    document = json.loads(answer.body)
    assert "let me see" in json.dumps(document)
    assert '"f"' in json.dumps(document)
    assert ledger.event.output_tokens == 7


def test_pitfall_112_one_that_breaks_off_is_no_answer() -> None:
    route: Route = plan("messages", "chat").route
    with pytest.raises(UpstreamCut):
        route.read_events(CHAT_STREAM[:200], HEAD)


def test_pitfall_109_a_limit_says_how_long_to_wait_and_an_allowance_that_waiting_does_not_help() -> None:
    assert dict(UpstreamRateLimited("slow", retry_after=12.0).headers())[b"retry-after"] == b"12"
    assert b"x-should-retry" not in dict(UpstreamRateLimited("slow", retry_after=12.0).headers())
    assert dict(UpstreamQuotaExceeded("gone").headers())[b"x-should-retry"] == b"false"


def test_every_pitfall_of_the_catalogue_has_its_test() -> None:
    found: set[int] = set()
    for path in TESTS.rglob("test_*.py"):
        found.update(int(number) for number in re.findall(r"def test_(?:pitfall_)?(\d{2,3})_", path.read_text()))
    assert set(range(1, 126)) - found == set()
