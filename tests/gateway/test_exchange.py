"""The whole life of one call, in order; what ends it early ends it before anything is taken."""

import asyncio
import json
from typing import Any, cast

import pytest

from copilot_api.admission.minimum_gap import MinimumGap
from copilot_api.admission.service import Admission
from copilot_api.config.settings import Exposure
from copilot_api.errors import (
    BadRequest,
    CatalogUnavailable,
    GatewayError,
    ModelNotAllowed,
    ModelNotFound,
    RateLimited,
    UpstreamCut,
    UpstreamFailed,
)
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.surface import Surface
from copilot_api.gateway.surfaces import CHAT_SURFACE, EMBEDDINGS_SURFACE
from copilot_api.keys.models import ApiKey
from copilot_api.upstream.catalog import Catalog, CatalogKeeper
from copilot_api.upstream.client import CopilotClient, OnSilence, UpstreamRequest
from copilot_api.upstream.headers import INTENTS
from copilot_api.upstream.transport import ConnectionBroken, Reply
from copilot_api.usage.models import Cause
from tests.fakes import FakeClock
from tests.gateway.calls import KeptAnswer, StubReply, make_admission, make_call, make_key, make_model, make_settlement
from tests.gateway.test_relay import CHUNKS, WHOLE

CATALOG = Catalog([make_model("gpt-5-mini"), make_model("embed", "/embeddings")])


class StubCatalog:
    """A catalog that is known, becomes known while one waits, or never does."""

    def __init__(self, *, is_known: bool = True, comes: bool = True) -> None:
        self.is_known = is_known
        self._comes = comes
        self.waits: list[float] = []

    @property
    def current(self) -> Catalog:
        if not self.is_known:
            raise CatalogUnavailable("not known", retry_after=2.0)
        return CATALOG

    async def wait_known(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.is_known = self._comes


class StubClient(CopilotClient):
    """An upstream that answers what it is given."""

    def __init__(self, outcome: StubReply | GatewayError, silences: int = 0) -> None:
        self.outcome = outcome
        self.silences = silences
        self.requests: list[UpstreamRequest] = []
        self.has_on_silence = False
        self.failures: list[GatewayError] = []

    def moment(self) -> float:
        return 0.0

    def failed_later(self, error: GatewayError, began: float) -> None:
        self.failures.append(error)

    async def open(self, request: UpstreamRequest, on_silence: OnSilence | None = None) -> Reply:
        self.requests.append(request)
        self.has_on_silence = on_silence is not None
        for _ in range(self.silences):
            if on_silence is not None:
                await on_silence()
        if isinstance(self.outcome, GatewayError):
            raise self.outcome
        return self.outcome


class Exchanged:
    """One call through a gateway."""

    def __init__(
        self, clock: FakeClock, outcome: StubReply | GatewayError, body: dict[str, Any] | bytes | None = None, *,
        key: ApiKey | None = None, surface: Surface = CHAT_SURFACE, catalog: StubCatalog | None = None, admission: Admission | None = None,
        silences: int = 0, fails_at: int | None = None,
    ) -> None:  # fmt: skip
        settlement, self.ledger, _ = make_settlement(clock)
        self.answer = KeptAnswer(self.ledger, fails_at=fails_at)
        self.client = StubClient(outcome, silences)
        self.catalog = catalog or StubCatalog()
        gateway = Gateway(
            settlement,
            cast("CatalogKeeper", self.catalog),
            admission or make_admission(clock),
            self.client,
            clock,
            Exposure(),
        )
        if body is None:
            body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "x"}]}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        call = make_call(clock, raw, surface)
        self.error: BaseException | None = None

        async def live() -> None:
            with settlement.follow(call) as record:
                await gateway.exchange(call, key or make_key(), record, self.answer)

        try:
            asyncio.run(live())
        except (GatewayError, OSError) as error:
            self.error = error
        self.event = self.ledger.event


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "x"}], **fields}


def whole() -> StubReply:
    return StubReply(WHOLE, content_type=b"application/json")


def test_a_call_goes_upstream_and_comes_back(clock: FakeClock) -> None:
    exchanged = Exchanged(clock, whole(), chat(max_tokens=5))
    assert exchanged.error is None
    [request] = exchanged.client.requests
    assert (request.path, request.intent, request.initiator, request.is_streamed, request.has_images) == (
        "/chat/completions", INTENTS["/chat/completions"], "user", False, False,
    )  # fmt: skip
    assert request.request_id == "req_1"
    assert json.loads(request.body) == {**chat(), "max_completion_tokens": 5}
    assert json.loads(exchanged.answer.body)["model"] == "gpt-5-mini"
    assert (exchanged.event.cause, exchanged.event.upstream_model, exchanged.event.premium_requests) == (
        Cause.OK,
        "gpt-5-mini",
        1.0,
    )


def test_what_a_request_is_decides_how_it_is_sent(clock: FakeClock) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    messages = [{"role": "user", "content": [image]}, {"role": "tool", "content": "x", "tool_call_id": "c"}]
    exchanged = Exchanged(clock, StubReply(*CHUNKS), chat(messages=messages, stream=True))
    [request] = exchanged.client.requests
    assert (request.initiator, request.is_streamed, request.has_images) == ("agent", True, True)
    assert json.loads(request.body)["stream_options"] == {"include_usage": True}
    assert exchanged.answer.body.endswith(b"data: [DONE]\n\n")
    assert exchanged.event.premium_requests == 0.0


def test_embeddings_go_to_their_endpoint(clock: FakeClock) -> None:
    reply = StubReply(b'{"data":[{"embedding":[0.5],"index":0}]}', content_type=b"application/json")
    exchanged = Exchanged(clock, reply, {"model": "embed", "input": "x"}, surface=EMBEDDINGS_SURFACE)
    [request] = exchanged.client.requests
    assert (request.path, request.intent, json.loads(request.body)["input"]) == (
        "/embeddings",
        INTENTS["/embeddings"],
        ["x"],
    )
    assert exchanged.event.endpoint == "/v1/embeddings"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", BadRequest), (b"{", BadRequest), (chat(model=""), BadRequest), (chat(messages=[]), BadRequest), (chat(model="unknown"), ModelNotFound),
        (chat(model="embed"), GatewayError),
    ],
)  # fmt: skip
def test_what_can_be_refused_by_looking_costs_nothing(clock: FakeClock, body: Any, error: type[GatewayError]) -> None:
    gap = MinimumGap(10, is_waiting=False)
    exchanged = Exchanged(clock, whole(), body, admission=make_admission(clock, gap=gap))
    assert isinstance(exchanged.error, error)
    assert exchanged.client.requests == []
    assert gap.take(clock.monotonic()) == 0.0, "no place in the line was taken"
    assert exchanged.ledger.begun == []
    assert not exchanged.event.usage_unknown


def test_a_key_that_may_not_is_refused_before_anything_is_taken(clock: FakeClock) -> None:
    exchanged = Exchanged(clock, whole(), key=make_key("embed"))
    assert isinstance(exchanged.error, ModelNotAllowed)
    assert exchanged.client.requests == []
    assert (exchanged.event.cause, exchanged.event.model) == (Cause.MODEL_NOT_ALLOWED, "gpt-5-mini")


def test_a_call_that_is_not_admitted_does_not_go_upstream(clock: FakeClock) -> None:
    gap = MinimumGap(10, is_waiting=False)
    gap.take(clock.monotonic())
    exchanged = Exchanged(clock, whole(), admission=make_admission(clock, gap=gap))
    assert isinstance(exchanged.error, RateLimited)
    assert exchanged.client.requests == []
    assert (exchanged.event.cause, exchanged.event.status) == (Cause.RATE_LIMITED, 429)


def test_a_call_right_after_the_start_waits_for_the_catalog(clock: FakeClock) -> None:
    catalog = StubCatalog(is_known=False)
    exchanged = Exchanged(clock, whole(), catalog=catalog)
    assert exchanged.error is None
    assert len(catalog.waits) == 1
    assert 0 < catalog.waits[0] <= 30


def test_without_a_catalog_there_is_no_call(clock: FakeClock) -> None:
    exchanged = Exchanged(clock, whole(), catalog=StubCatalog(is_known=False, comes=False))
    assert isinstance(exchanged.error, CatalogUnavailable)
    assert exchanged.event.status == 503


def test_an_upstream_that_refuses_is_answered_and_settled(clock: FakeClock) -> None:
    exchanged = Exchanged(clock, UpstreamFailed("broken"))
    assert isinstance(exchanged.error, UpstreamFailed)
    assert (exchanged.event.cause, exchanged.event.status, exchanged.event.usage_unknown) == (
        Cause.UPSTREAM_ERROR,
        502,
        False,
    )
    assert exchanged.event.premium_requests == 0.0
    assert len(exchanged.ledger.begun) == 1


def test_an_upstream_that_thinks_long_keeps_a_streaming_client_awake(clock: FakeClock) -> None:
    exchanged = Exchanged(clock, StubReply(*CHUNKS), chat(stream=True), silences=3)
    assert exchanged.answer.keep_alives == 3
    assert not Exchanged(clock, whole(), silences=3).client.has_on_silence, "a whole answer cannot be begun"


def test_a_refusal_after_a_keep_alive_has_status_200(clock: FakeClock) -> None:
    exchanged = Exchanged(clock, UpstreamFailed("broken"), chat(stream=True), silences=1)
    assert (exchanged.event.cause, exchanged.event.status) == (Cause.UPSTREAM_ERROR, 200)


@pytest.mark.parametrize("stream", [True, False])
def test_the_reply_is_let_go_of_whatever_happens(clock: FakeClock, stream: bool) -> None:
    for reply, fails_at in (
        (StubReply(*CHUNKS) if stream else whole(), None),
        (StubReply(*CHUNKS) if stream else whole(), 0),
        (StubReply(CHUNKS[0], ConnectionBroken("x")), None),
        (StubReply(b"data: nonsense\n\n"), None),
    ):
        Exchanged(clock, reply, chat(stream=stream), fails_at=fails_at)
        assert reply.closed >= 1


def test_a_stream_that_breaks_is_settled_as_such(clock: FakeClock) -> None:
    exchanged = Exchanged(clock, StubReply(CHUNKS[0], ConnectionBroken("x")), chat(stream=True))
    assert isinstance(exchanged.error, UpstreamCut)
    assert (exchanged.event.cause, exchanged.event.status, exchanged.event.usage_unknown) == (
        Cause.UPSTREAM_CUT,
        200,
        True,
    )
