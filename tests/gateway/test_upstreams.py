"""Every endpoint of Copilot's that calls can be translated to reads and writes its own protocol."""

import json

import pytest

from copilot_api.gateway.upstreams import UPSTREAMS
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import Message, ModelRequest, Text
from copilot_api.protocols.translation.prepare import Target
from copilot_api.upstream.catalog import CHAT, MESSAGES, RESPONSES

FIELDS = {CHAT: "messages", RESPONSES: "input", MESSAGES: "max_tokens"}
TARGETS = {CHAT: Target.CHAT, RESPONSES: Target.RESPONSES, MESSAGES: Target.MESSAGES}


@pytest.mark.parametrize("endpoint", FIELDS)
def test_an_endpoint_speaks_its_own_protocol(endpoint: str) -> None:
    upstream = UPSTREAMS[endpoint]
    assert upstream.target is TARGETS[endpoint]
    request = ModelRequest(model="alias", messages=(Message("user", (Text("hi"),)),))
    body = json.loads(upstream.codec.render_request(request, ModelTraits(id="real")).body)
    assert body["model"] == "real"
    assert FIELDS[endpoint] in body
    assert upstream.codec.open_reader().usage is None
