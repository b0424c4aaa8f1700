"""What the protocols share, and that each keeps the shared contract."""

import math

import msgspec
import pytest

from copilot_api.protocols import embeddings
from copilot_api.protocols.base import (
    NOTHING,
    SHOWN_CHARACTERS,
    AnswerHead,
    AnswerMeter,
    ModelTraits,
    Outline,
    ParsedRequest,
    StreamRelay,
    Usage,
    output_limit_of,
    shown,
)
from copilot_api.protocols.chat import request as chat_request
from copilot_api.protocols.chat import response as chat_response
from copilot_api.protocols.chat.stream import ChatStream

CHAT = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
EMBEDDINGS = b'{"model":"m","input":"x"}'


def test_usage_starts_at_nothing_and_does_not_change() -> None:
    usage = Usage()
    assert msgspec.structs.astuple(usage) == (0, 0, 0, 0, 0)
    with pytest.raises(AttributeError):
        usage.input_tokens = 1  # type: ignore[misc]


def test_every_protocols_request_is_a_parsed_request() -> None:
    requests: list[ParsedRequest] = [chat_request.parse_request(CHAT), embeddings.parse_request(EMBEDDINGS)]
    for request in requests:
        assert request.model == "m"
        assert request.is_streamed is False
        assert request.initiator in {"user", "agent"}
        assert request.has_images is False
        assert request.effort is None
        assert request.output_limit in {None, 0}
        assert b'"other"' in request.render(ModelTraits(id="other")).body


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        (None, None), (0, 0), (1, 1), (10**30, 10**30), (5.0, 5), (-1, None), (-0.5, None), (0.5, None),
        (math.inf, None), (-math.inf, None), (math.nan, None),
    ],
)  # fmt: skip
def test_an_output_limit_is_a_whole_number_of_tokens(given: float | None, limit: int | None) -> None:
    found = output_limit_of(given)
    assert found == limit
    assert found is None or isinstance(found, int)


def test_every_protocols_answer_is_a_meter() -> None:
    body = b'{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}'
    meters: list[AnswerMeter] = [
        chat_response.parse_response(body, model="m", choices=1, now=1),
        embeddings.parse_response(b'{"data":[]}', model="m", wants_base64=False),
        ChatStream(model="m", wants_usage=False, choices=1, now=1),
    ]
    assert [(meter.usage, meter.nano_aiu) for meter in meters] == [(None, None)] * 3


def test_a_chat_stream_is_a_relay() -> None:
    relay: StreamRelay = ChatStream(model="m", wants_usage=False, choices=1, now=1)
    assert relay.failure is None
    assert not relay.has_content
    assert relay.feed(b"") == b""


def test_an_answers_stem_holds_nothing_that_an_id_may_not() -> None:
    assert AnswerHead(model="m", request_id="req_1-a.b", now=1).stem == "req1ab"


def test_what_a_model_is_follows_from_its_vendor_or_its_name() -> None:
    assert ModelTraits(id="x", vendor="Anthropic").is_claude
    assert ModelTraits(id="claude-next").is_claude
    assert ModelTraits(id="x", vendor="Azure OpenAI").is_openai
    assert [ModelTraits(id=name).is_reasoning for name in ("gpt-5-mini", "o3", "gpt-4.1", "claude-opus-4.8")] == [
        True,
        True,
        False,
        False,
    ]
    opus = ModelTraits(id="claude-opus-4.8", has_adaptive_thinking=True)
    sonnet = ModelTraits(id="claude-sonnet-4.6", has_adaptive_thinking=True)
    assert (opus.takes_only_adaptive_thinking, sonnet.takes_only_adaptive_thinking) == (True, False)


def test_of_a_text_that_was_decoded_the_beginning_is_shown_as_json() -> None:
    assert bytes(shown('say "hi"\n')) == b'"say \\"hi\\"\\n"'
    assert bytes(shown("ä" * 10_000)) == b'"%b"' % ("ä" * SHOWN_CHARACTERS).encode()


def test_an_outline_shows_nothing_unless_it_is_told() -> None:
    assert Outline() == Outline(tools=0, messages=0, system=NOTHING, said=NOTHING)
