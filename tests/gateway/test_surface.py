"""A route: a call passes through where it can and is translated where it must."""

import json
from typing import Any

import pytest

from copilot_api.gateway.surface import NativeRoute, TranslatedRoute
from copilot_api.gateway.surfaces import CHAT_SURFACE, MESSAGES_SURFACE
from copilot_api.gateway.upstreams import UPSTREAMS
from copilot_api.protocols.base import AnswerHead, Envelope, ModelTraits
from copilot_api.upstream.catalog import CHAT, MESSAGES, RESPONSES
from tests.gateway.test_relay import CHUNKS, WHOLE

BODY: dict[str, Any] = {"model": "fast", "messages": [{"role": "user", "content": "x"}]}
HEAD = AnswerHead(model="fast", request_id="req_1", now=1_780_000_000)
TRAITS = ModelTraits(id="gpt-4.1", vendor="OpenAI")


def native() -> NativeRoute:
    request = CHAT_SURFACE.parse_request(json.dumps({**BODY, "odd": [1.50]}).encode(), Envelope())
    assert CHAT_SURFACE.native is not None
    return NativeRoute(request, CHAT_SURFACE.native, TRAITS)


def translated(**fields: Any) -> TranslatedRoute:
    body = {**BODY, "max_tokens": 5, **fields}
    request = MESSAGES_SURFACE.parse_request(json.dumps(body).encode(), Envelope())
    assert MESSAGES_SURFACE.client is not None
    return TranslatedRoute(request, MESSAGES_SURFACE.client, UPSTREAMS[CHAT], TRAITS)


def test_a_native_call_keeps_what_nobody_here_knows() -> None:
    route = native()
    assert (route.upstream_endpoint, route.dropped) == (CHAT, ())
    assert json.loads(route.outgoing().body) == {**BODY, "odd": [1.5], "model": "gpt-4.1"}
    assert route.input_estimate(lambda *_: pytest.fail("the upstream tells it")) == 0


def test_pitfall_066_a_native_answer_says_the_callers_name() -> None:
    route = native()
    assert json.loads(route.read_answer(WHOLE, HEAD).body)["model"] == "fast"
    assert b'"model":"fast"' in route.open_stream(HEAD).feed(CHUNKS[0])
    meter, events = route.stream_whole(WHOLE, HEAD)
    assert meter.usage is not None
    assert events.endswith(b"data: [DONE]\n\n")


def test_pitfall_066_a_translated_answer_says_the_callers_name() -> None:
    route = translated()
    assert route.upstream_endpoint == CHAT
    assert json.loads(route.outgoing().body)["model"] == "gpt-4.1"
    assert json.loads(route.read_answer(WHOLE, HEAD).body)["model"] == "fast"
    assert b'"model":"fast"' in route.open_stream(HEAD).feed(CHUNKS[0])
    meter, events = route.stream_whole(WHOLE, HEAD)
    assert meter.usage is not None
    assert events.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_what_is_left_out_is_named() -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search"}, {"name": "f", "input_schema": {"type": "object"}}]
    assert translated(tools=tools).dropped == ("web_search_20250305",)


def test_a_translated_call_knows_the_size_of_its_input() -> None:
    assert translated().input_estimate(lambda request, traits: len(request.messages)) == 1


def test_every_protocol_can_be_translated_to() -> None:
    assert set(UPSTREAMS) == {CHAT, RESPONSES, MESSAGES}
    for endpoint, upstream in UPSTREAMS.items():
        assert upstream.endpoint == endpoint
