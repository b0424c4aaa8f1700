"""Probes: one small call of each protocol, made inside, and what is said of it."""

import asyncio
import json
from typing import Any, cast

import pytest

from copilot_api.api.probes import CLIENT, PROTOCOLS, Probed, Probes
from copilot_api.errors import OverBudget
from copilot_api.gateway.call import Call
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.under_way import cancel_call
from copilot_api.observability.events import CallCrashed
from tests.fakes import FakeClock
from tests.gateway.calls import make_key, make_settlement


class Exchanged:
    """A gateway that carries no call anywhere."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.settlement, self.ledger, self.observed = make_settlement(self.clock)
        self.calls: list[tuple[Call, dict[str, Any]]] = []
        self.failure: Exception | None = None
        self.hangs = False

    async def exchange(self, call: Call, _key: object, _record: object, answer: Any) -> None:
        self.calls.append((call, json.loads(await call.read_body())))
        if self.failure is not None:
            raise self.failure
        if self.hangs:
            await asyncio.Event().wait()
        await answer.send_whole(b"{}")

    def probe(self, protocol: str, *, seconds: float = 5.0) -> Probed:
        probes = Probes(cast("Gateway", self), self.clock, self.observed.append, seconds=seconds)
        return asyncio.run(probes.run(make_key(), protocol, "gpt-4.1"))


@pytest.fixture
def gateway() -> Exchanged:
    return Exchanged()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_is_a_small_streamed_call_of_the_key_in_the_ledger(gateway: Exchanged, protocol: str) -> None:
    found = gateway.probe(protocol)
    ((call, body),) = gateway.calls
    assert call.client == CLIENT
    assert found.is_ok
    assert found.endpoint == call.surface.endpoint
    assert call.envelope.is_streamed if protocol == "gemini" else body["stream"]
    assert "16" in json.dumps(body)
    assert (gateway.ledger.event.key_id, gateway.ledger.event.request_id) == ("key_1", found.request_id)


def test_a_refusal_is_told_with_its_reason_and_its_hint(gateway: Exchanged) -> None:
    gateway.failure = OverBudget("the budget is used up", hint="wait")
    found = gateway.probe("chat")
    assert (found.is_ok, found.cause, found.status) == (False, "over_budget", 429)
    assert (found.message, found.hint) == ("the budget is used up", "wait")


def test_a_defect_is_the_logs_and_no_detail_is_told(gateway: Exchanged) -> None:
    gateway.failure = RuntimeError("a secret of ours")
    found = gateway.probe("messages")
    assert (found.cause, found.status) == ("internal", 500)
    assert "secret" not in found.message
    assert any(isinstance(each, CallCrashed) for each in gateway.observed)


def test_one_that_does_not_end_is_given_up(gateway: Exchanged) -> None:
    gateway.hangs = True
    found = gateway.probe("responses", seconds=0.05)
    assert found.cause == "interrupted"
    assert "within 0.05 seconds" in found.message
    assert not gateway.settlement.under_way


def test_one_that_an_admin_ends_says_so(gateway: Exchanged) -> None:
    gateway.hangs = True

    async def run() -> Probed:
        probes = Probes(cast("Gateway", gateway), gateway.clock, gateway.observed.append)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(probes.run(make_key(), "chat", "gpt-4.1"))
            while not gateway.calls:
                await asyncio.sleep(0.001)
            (request_id,) = gateway.settlement.under_way
            cancel_call(gateway.settlement.under_way, request_id)
        return task.result()

    found = asyncio.run(run())
    assert found.cause == "interrupted"
    assert "admin" in found.message
