"""Approval of each call by the operator, in the terminal (the original's `--manual`)."""

import asyncio
from collections.abc import Awaitable, Callable

from copilot_api.errors import NotApproved

APPROVAL_SECONDS = 120.0

Ask = Callable[[str], Awaitable[bool]]
"""Puts a question to the operator."""


class Approval:
    """Asks one question at a time, in the order in which the calls came; no answer is a no."""

    def __init__(self, ask: Ask, *, seconds: float = APPROVAL_SECONDS) -> None:
        self._ask = ask
        self._seconds = seconds
        self._turn = asyncio.Lock()

    async def require(self, question: str) -> None:
        """Return when the operator agrees. Raises `NotApproved` otherwise."""
        async with self._turn:
            try:
                async with asyncio.timeout(self._seconds):
                    is_approved = await self._ask(question)
            except TimeoutError:
                raise NotApproved(f"the operator did not answer within {self._seconds:.0f} s") from None
        if not is_approved:
            raise NotApproved("the operator did not approve this call")
