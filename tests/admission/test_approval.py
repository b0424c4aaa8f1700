"""The operator is asked before each call."""

import asyncio

import pytest

from copilot_api.admission.approval import Approval
from copilot_api.errors import NotApproved


class Operator:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.answers: dict[str, asyncio.Future[bool]] = {}
        self.given_up: list[str] = []

    async def __call__(self, question: str) -> bool:
        self.questions.append(question)
        self.answers[question] = asyncio.get_running_loop().create_future()
        try:
            return await self.answers[question]
        except asyncio.CancelledError:
            self.given_up.append(question)
            raise


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_yes_lets_the_call_go_and_a_no_refuses_it() -> None:
    async def test() -> None:
        async def yes(question: str) -> bool:
            return True

        async def no(question: str) -> bool:
            return False

        await Approval(yes).require("?")
        with pytest.raises(NotApproved) as refusal:
            await Approval(no).require("?")
        assert refusal.value.status == 403
        assert refusal.value.is_final

    asyncio.run(test())


def test_one_question_is_asked_at_a_time_in_the_order_of_the_calls() -> None:
    async def test() -> None:
        operator = Operator()
        approval = Approval(operator)
        calls = [asyncio.create_task(approval.require(name)) for name in "abc"]
        await settle()
        assert operator.questions == ["a"]
        operator.answers["a"].set_result(True)
        await settle()
        assert operator.questions == ["a", "b"]
        operator.answers["b"].set_result(False)
        await settle()
        assert operator.questions == ["a", "b", "c"]
        operator.answers["c"].set_result(True)
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), NotApproved, type(None)]

    asyncio.run(test())


def test_no_answer_is_a_no_and_the_next_is_asked() -> None:
    async def test() -> None:
        operator = Operator()
        approval = Approval(operator, seconds=0.05)
        first, second = (asyncio.create_task(approval.require(name)) for name in "ab")
        with pytest.raises(NotApproved, match="did not answer"):
            await first
        assert operator.given_up == ["a"], "the question is taken back"
        operator.answers["b"].set_result(True)
        await second

    asyncio.run(test())


def test_a_caller_that_leaves_takes_its_question_back() -> None:
    async def test() -> None:
        operator = Operator()
        approval = Approval(operator)
        calls = [asyncio.create_task(approval.require(name)) for name in "abc"]
        await settle()
        calls[1].cancel()
        calls[0].cancel()
        await settle()
        assert operator.given_up == ["a"]
        assert operator.questions == ["a", "c"], "who left before its turn is never asked about"
        operator.answers["c"].set_result(True)
        await calls[2]

    asyncio.run(test())


def test_an_operator_that_cannot_be_asked_holds_nobody_up() -> None:
    async def test() -> None:
        async def broken(question: str) -> bool:
            raise OSError("no terminal")

        approval = Approval(broken)
        for _ in range(2):
            with pytest.raises(OSError, match="no terminal"):
                await approval.require("?")

    asyncio.run(test())
