"""What came through the door, and where the answer goes."""

import asyncio

from copilot_api.api.endpoint import HttpAnswer
from copilot_api.api.errors import OPENAI
from copilot_api.gateway.call import Answer
from copilot_api.gateway.surfaces import CHAT_SURFACE
from tests.fakes import FakeClock
from tests.gateway.calls import KeptAnswer, make_call


def test_a_call_knows_when_it_came_and_reads_its_body_when_asked(clock: FakeClock) -> None:
    call = make_call(clock, b"hello")
    clock.advance(5)
    assert call.surface is CHAT_SURFACE
    assert (clock.now() - call.arrived_at).total_seconds() == clock.monotonic() - call.began == 5
    assert call.key is None

    async def read() -> bytes:
        return await call.read_body()

    assert asyncio.run(read()) == b"hello"


def test_the_servers_answer_is_an_answer() -> None:
    async def send(message: object) -> None:
        raise AssertionError(message)

    answers: list[Answer] = [HttpAnswer(send, "req_1", OPENAI), KeptAnswer()]
    assert [answer.is_started for answer in answers] == [False, False]
