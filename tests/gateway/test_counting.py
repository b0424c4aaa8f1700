"""`count_tokens`: Copilot's own count where it has one at once, else one by the model's tokenizer; never none."""

import asyncio
import json
from typing import Any, cast

import pytest

from copilot_api.config.settings import Exposure
from copilot_api.errors import BadRequest, GatewayError, ModelNotAllowed, UpstreamFailed
from copilot_api.gateway.counting import CountForm, TokenCounts, render_anthropic_count
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.surfaces import COUNT_TOKENS_SURFACE
from copilot_api.keys.models import ApiKey
from copilot_api.protocols.base import ModelTraits, Outgoing
from copilot_api.protocols.conversation import ModelRequest
from copilot_api.upstream.catalog import Catalog, CatalogKeeper
from tests.fakes import FakeClock
from tests.gateway.calls import KeptAnswer, StubReply, make_admission, make_call, make_key, make_model, make_settlement
from tests.gateway.test_exchange import StubCatalog, StubClient

CATALOG = Catalog([make_model("native", "/v1/messages"), make_model("other")])


class OwnCatalog(StubCatalog):
    @property
    def current(self) -> Catalog:
        return CATALOG


class Counted:
    """One question, answered."""

    def __init__(
        self, clock: FakeClock, outcome: StubReply | GatewayError, model: str = "native", *, key: ApiKey | None = None,
        form: CountForm | None = None, body: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        settlement, self.ledger, _ = make_settlement(clock)
        self.answer = KeptAnswer(self.ledger)
        self.client = StubClient(outcome)
        gateway = Gateway(
            settlement, cast("CatalogKeeper", OwnCatalog()), make_admission(clock), self.client, clock, Exposure()
        )
        form = form or CountForm(render_anthropic_count, lambda request, traits: Outgoing(b"{}"))

        async def count(request: ModelRequest, traits: ModelTraits) -> int:
            return 40 + len(request.messages)

        counts = TokenCounts(gateway, self.client, count, form)
        asked = body or {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        call = make_call(clock, json.dumps(asked).encode(), COUNT_TOKENS_SURFACE)
        self.error: GatewayError | None = None

        async def live() -> None:
            with settlement.follow(call) as record:
                await counts.exchange(call, key or make_key(), record, self.answer)

        try:
            asyncio.run(live())
        except GatewayError as error:
            self.error = error

    @property
    def total(self) -> int:
        return int(json.loads(self.answer.body)["input_tokens"])


def reply(body: bytes = b'{"input_tokens":14}') -> StubReply:
    return StubReply(body, content_type=b"application/json")


def test_copilots_own_count_is_passed_on(clock: FakeClock) -> None:
    counted = Counted(clock, reply())
    assert counted.total == 14
    [request] = counted.client.requests
    assert (request.path, request.initiator) == ("/v1/messages/count_tokens", "agent")
    assert (counted.ledger.event.cause.value, counted.ledger.event.status) == ("ok", 200)


def test_a_model_of_another_protocol_is_counted_here(clock: FakeClock) -> None:
    counted = Counted(clock, reply(), "other")
    assert counted.total == 41
    assert counted.client.requests == []


@pytest.mark.parametrize(
    "outcome", [UpstreamFailed("no"), reply(b"<html>"), reply(b'{"input_tokens":"many"}'), reply(b"")]
)
def test_an_upstream_that_does_not_count_is_no_failure(clock: FakeClock, outcome: StubReply | GatewayError) -> None:
    assert Counted(clock, outcome).total == 41


def test_pitfall_106_a_model_that_nobody_knows_is_counted_all_the_same(clock: FakeClock) -> None:
    assert Counted(clock, reply(), "nobody-knows").total == 41


def test_a_count_is_never_nothing(clock: FakeClock) -> None:
    assert Counted(clock, reply(b'{"input_tokens":0}')).total == 1


def test_a_key_that_may_not_use_the_model_is_refused(clock: FakeClock) -> None:
    assert isinstance(Counted(clock, reply(), key=make_key("other")).error, ModelNotAllowed)


def test_a_question_that_is_none_is_refused(clock: FakeClock) -> None:
    assert isinstance(Counted(clock, reply(), body={"model": "native", "messages": 7}).error, BadRequest)


def test_a_protocol_without_a_count_upstream_is_counted_here(clock: FakeClock) -> None:
    counted = Counted(clock, reply(), form=CountForm(render_anthropic_count))
    assert counted.total == 41
    assert counted.client.requests == []
