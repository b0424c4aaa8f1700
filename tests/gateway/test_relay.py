"""An answer on its way: relayed as it comes, settled before its last byte, and never ended cleanly when it broke."""

import asyncio
import json
from typing import Any

import pytest

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed, UpstreamRateLimited, UpstreamTimeout
from copilot_api.gateway.plan import Plan
from copilot_api.gateway.relay import relay_stream, relay_whole
from copilot_api.gateway.surface import NativeRoute, Surface
from copilot_api.gateway.surfaces import CHAT_SURFACE, EMBEDDINGS_SURFACE
from copilot_api.protocols.base import AnswerHead, Envelope, ModelTraits, ParsedRequest
from copilot_api.upstream.transport import ConnectionBroken, NotHttp, Silence, SilentTooLong, TransportError
from copilot_api.usage.models import Cause
from tests.fakes import FakeClock
from tests.gateway.calls import QUIET, GivenPermit, KeptAnswer, StubReply, make_call, make_model, make_settlement
from tests.protocols.chat import grammar

USAGE = b'"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}'
CHUNKS = [
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"a"}}],"created":1,"id":"c","model":"m"}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"b"}}],"created":1,"id":"c","model":"m"}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"created":1,"id":"c","model":"m",'
    + USAGE
    + b"}\n\n",
    b"data: [DONE]\n\n",
]
WHOLE = (
    b'{"choices":[{"index":0,"message":{"role":"assistant","content":"ab"},"finish_reason":"stop"}],"created":1,"id":"c","model":"m",'
    + USAGE
    + b"}"
)
NOW = 1_780_000_000


class Relayed:
    """One answer, relayed."""

    def __init__(
        self,
        clock: FakeClock,
        reply: StubReply,
        *,
        surface: Surface = CHAT_SURFACE,
        fails_at: int | None = None,
        **fields: Any,
    ) -> None:
        settlement, self.ledger, _ = make_settlement(clock)
        self.answer = KeptAnswer(self.ledger, fails_at=fails_at)
        self.reply = reply
        self.error: BaseException | None = None
        body: dict[str, Any] = {"model": "fast", "messages": [{"role": "user", "content": "x"}], **fields}
        if surface is EMBEDDINGS_SURFACE:
            body = {"model": "fast", "input": "x", **fields}
        request = surface.parse_request(json.dumps(body).encode(), Envelope())
        try:
            asyncio.run(self._relay(settlement.follow(make_call(clock)), surface, request))
        except (GatewayError, OSError) as error:
            self.error = error
        self.event = self.ledger.event

    async def _relay(self, record: Any, surface: Surface, request: ParsedRequest) -> None:
        with record:
            record.received(request, 1)
            assert surface.native is not None
            route = NativeRoute(request, surface.native, ModelTraits(id="gpt-4.1"))
            record.planned(Plan(make_model(), route, 1.0))
            record.dispatched(Plan(make_model(), route, 1.0), GivenPermit())
            head = AnswerHead(model="fast", request_id="req_1", now=NOW)
            if request.is_streamed:
                await relay_stream(self.reply, route.open_stream(head), route, head, record, self.answer)
            else:
                await relay_whole(self.reply, route, head, record, self.answer)

    @property
    def text(self) -> str:
        """What a client makes of the stream."""
        chunks = [json.loads(event) for event in grammar.events(self.answer.body) if event != "[DONE]"]
        return str(grammar.essence(chunks)["texts"].get("content", ""))


# Streams ---------------------------------------------------------------------------------------------------------


def test_a_stream_is_relayed_as_it_comes(clock: FakeClock) -> None:
    relayed = Relayed(clock, StubReply(*CHUNKS), stream=True)
    grammar.check(relayed.answer.body, model="fast", usage=False)
    assert relayed.text == "ab"
    assert len(relayed.answer.writes) == 3, "each chunk leaves when it is here, the finish and the end together"
    assert relayed.answer.is_ended
    assert relayed.reply.closed == 1
    event = relayed.event
    assert (event.cause, event.status, event.input_tokens, event.output_tokens, event.usage_unknown) == (
        Cause.OK,
        200,
        5,
        2,
        False,
    )
    assert event.bytes_out == len(relayed.answer.body)


def test_the_event_is_kept_before_the_end_leaves(clock: FakeClock) -> None:
    """A client that has its whole answer can rely on its event."""
    assert Relayed(clock, StubReply(*CHUNKS), stream=True).answer.ended_before == [False, False, True]
    assert Relayed(clock, StubReply(WHOLE, content_type=b"application/json")).answer.ended_before == [True]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_may_come_in_pieces_of_any_size(clock: FakeClock, size: int) -> None:
    data = b"".join(CHUNKS)
    relayed = Relayed(
        clock, StubReply(*(data[place : place + size] for place in range(0, len(data), size))), stream=True
    )
    assert relayed.text == "ab"
    assert relayed.answer.is_ended


def test_usage_is_told_to_a_client_that_asked(clock: FakeClock) -> None:
    relayed = Relayed(clock, StubReply(*CHUNKS), stream=True, stream_options={"include_usage": True})
    grammar.check(relayed.answer.body, model="fast", usage=True)


def test_silence_becomes_keep_alives(clock: FakeClock) -> None:
    relayed = Relayed(clock, StubReply(QUIET, CHUNKS[0], QUIET, QUIET, *CHUNKS[1:]), stream=True)
    assert relayed.answer.keep_alives == 3
    assert relayed.text == "ab"


BROKEN: list[tuple[TransportError, type[GatewayError], Cause]] = [
    (ConnectionBroken("reset"), UpstreamCut, Cause.UPSTREAM_CUT),
    (SilentTooLong("15 minutes"), UpstreamTimeout, Cause.UPSTREAM_TIMEOUT),
    (NotHttp("garbage"), UpstreamCut, Cause.UPSTREAM_CUT),
]


@pytest.mark.parametrize(("broken", "error", "cause"), BROKEN)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_stream_that_breaks_is_an_error_and_no_clean_end(
    clock: FakeClock, broken: TransportError, error: type[GatewayError], cause: Cause, count: int
) -> None:
    relayed = Relayed(clock, StubReply(*CHUNKS[:count], broken), stream=True)
    assert type(relayed.error) is error
    assert b"[DONE]" not in relayed.answer.body
    assert not relayed.answer.is_ended
    assert relayed.event.cause is cause
    assert relayed.event.status == (200 if count else error.status)
    assert relayed.event.usage_unknown


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_stream_that_ends_too_soon_is_a_cut(clock: FakeClock, count: int) -> None:
    relayed = Relayed(clock, StubReply(*CHUNKS[:count]), stream=True)
    assert type(relayed.error) is UpstreamCut
    assert not relayed.answer.is_ended
    assert relayed.event.cause is Cause.UPSTREAM_CUT


@pytest.mark.parametrize("count", [0, 2])
def test_an_error_inside_a_stream_is_one_after_what_came_before_it(clock: FakeClock, count: int) -> None:
    """It may come in the same read as the chunks before it: those are handed out first."""
    failing = b'data: {"choices":null,"error":{"code":"rate_limited","message":"slow down"}}\n\n'
    relayed = Relayed(clock, StubReply(b"".join(CHUNKS[:count]) + failing + CHUNKS[1], CHUNKS[2]), stream=True)
    assert type(relayed.error) is UpstreamRateLimited
    assert (relayed.text if count else "") == "ab"[:count]
    assert relayed.event.status == (200 if count else 429)
    assert relayed.event.cause is Cause.UPSTREAM_RATE_LIMITED


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_client_that_leaves_ends_the_relay(clock: FakeClock, place: int) -> None:
    relayed = Relayed(clock, StubReply(*CHUNKS), stream=True, fails_at=place)
    assert isinstance(relayed.error, OSError)
    assert relayed.event.cause is (Cause.OK if place == 2 else Cause.CLIENT_ABORTED)


def test_a_client_that_leaves_at_the_last_byte_had_its_answer_counted(clock: FakeClock) -> None:
    relayed = Relayed(clock, StubReply(*CHUNKS), stream=True, fails_at=2)
    assert (relayed.event.cause, relayed.event.input_tokens) == (Cause.OK, 5)


# Whole answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[WHOLE], [WHOLE[:10], WHOLE[10:]], [QUIET, WHOLE[:10], QUIET, WHOLE[10:]]])
def test_a_whole_answer_is_read_mended_and_sent(clock: FakeClock, pieces: list[bytes | Silence]) -> None:
    relayed = Relayed(clock, StubReply(*pieces, content_type=b"application/json"))
    answer = json.loads(relayed.answer.body)
    assert (answer["object"], answer["model"]) == ("chat.completion", "fast")
    assert relayed.answer.keep_alives == 0
    assert relayed.reply.closed == 1
    assert (relayed.event.cause, relayed.event.status, relayed.event.input_tokens) == (Cause.OK, 200, 5)
    assert relayed.event.bytes_out == len(relayed.answer.body)


@pytest.mark.parametrize(("broken", "error", "cause"), BROKEN)
def test_a_whole_answer_that_breaks_is_an_error(
    clock: FakeClock, broken: TransportError, error: type[GatewayError], cause: Cause
) -> None:
    relayed = Relayed(clock, StubReply(WHOLE[:20], broken, content_type=b"application/json"))
    assert type(relayed.error) is error
    assert relayed.answer.body == b""
    assert (relayed.event.cause, relayed.event.status) == (cause, error.status)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", WHOLE[:-1]])
def test_a_whole_answer_that_is_none_is_an_upstream_failure(clock: FakeClock, body: bytes) -> None:
    relayed = Relayed(clock, StubReply(body, content_type=b"application/json"))
    assert type(relayed.error) is UpstreamFailed
    assert (relayed.event.cause, relayed.event.status) == (Cause.UPSTREAM_ERROR, 502)


def test_embeddings_are_whole_answers(clock: FakeClock) -> None:
    body = b'{"data":[{"embedding":[0.5],"index":0}],"usage":{"prompt_tokens":4,"total_tokens":4}}'
    relayed = Relayed(clock, StubReply(body, content_type=b"application/json"), surface=EMBEDDINGS_SURFACE)
    assert json.loads(relayed.answer.body)["model"] == "fast"
    assert relayed.event.input_tokens == 4


def test_a_client_that_left_before_a_whole_answer_is_counted_all_the_same(clock: FakeClock) -> None:
    relayed = Relayed(clock, StubReply(WHOLE, content_type=b"application/json"), fails_at=0)
    assert isinstance(relayed.error, OSError)
    assert relayed.event.input_tokens == 5


# JSON where a stream was asked for -------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [b"application/json", b"application/json; charset=utf-8"])
@pytest.mark.parametrize("wants_usage", [True, False])
def test_113_json_instead_of_a_stream_becomes_one(clock: FakeClock, content_type: bytes, wants_usage: bool) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if wants_usage else {}
    relayed = Relayed(clock, StubReply(WHOLE, content_type=content_type), stream=True, **options)
    grammar.check(relayed.answer.body, model="fast", usage=wants_usage)
    assert relayed.text == "ab"
    assert relayed.answer.is_ended
    assert (relayed.event.cause, relayed.event.status, relayed.event.input_tokens) == (Cause.OK, 200, 5)
    assert relayed.answer.ended_before == [True]


def test_a_json_error_instead_of_a_stream_is_a_status(clock: FakeClock) -> None:
    relayed = Relayed(clock, StubReply(b'{"error":{"message":"no"}}', content_type=b"application/json"), stream=True)
    assert type(relayed.error) is UpstreamFailed
    assert not relayed.answer.is_started
    assert (relayed.event.cause, relayed.event.status) == (Cause.UPSTREAM_ERROR, 502)


def test_json_that_breaks_instead_of_a_stream_is_a_cut(clock: FakeClock) -> None:
    relayed = Relayed(clock, StubReply(WHOLE[:9], ConnectionBroken("x"), content_type=b"application/json"), stream=True)
    assert type(relayed.error) is UpstreamCut
    assert not relayed.answer.is_started


def test_a_stream_without_a_content_type_is_a_stream(clock: FakeClock) -> None:
    assert Relayed(clock, StubReply(*CHUNKS, content_type=b""), stream=True).text == "ab"
