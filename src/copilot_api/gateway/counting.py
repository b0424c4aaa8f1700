"""
`count_tokens`: how many tokens a request's input has.

Copilot's own endpoint is asked where the model has one; everybody else, and everybody when that does not answer at
once, gets a count by the model's own tokenizer here. Clients ask often and many at a time (Claude Code's `/context`:
about forty), so few of these are under way upstream at once: the account must not look like a crowd.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from copilot_api.errors import BadRequest, GatewayError, ModelNotAllowed, ModelNotFound
from copilot_api.gateway.call import Answer, Call
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.plan import choose
from copilot_api.gateway.settlement import Record
from copilot_api.keys.models import ApiKey
from copilot_api.protocols.base import ModelTraits, Outgoing
from copilot_api.protocols.conversation import ModelRequest
from copilot_api.upstream.catalog import MESSAGES, Model
from copilot_api.upstream.client import CopilotClient, UpstreamRequest
from copilot_api.upstream.headers import INTENTS
from copilot_api.upstream.transport import TransportError

COUNT_TOKENS = "/v1/messages/count_tokens"
MAX_UPSTREAM = 4
UPSTREAM_SECONDS = 3.0

Count = Callable[[ModelRequest, ModelTraits], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class CountForm:
    """How one protocol writes the answer, and what it sends upstream where that counts; None where nothing does."""

    render: Callable[[int], bytes]
    outgoing: Callable[[Any, ModelTraits], Outgoing] | None = None


class TokenCounts:
    """See the module. Never fails for want of a count: a wrong one that is too low would end in an overflow."""

    def __init__(self, gateway: Gateway, upstream: CopilotClient, count: Count, form: CountForm) -> None:
        self._gateway = gateway
        self._upstream = upstream
        self._count = count
        self._form = form
        self._asking = asyncio.Semaphore(MAX_UPSTREAM)

    async def exchange(self, call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        """Answer one question."""
        body = await call.read_body()
        request = call.surface.parse_request(body, call.envelope)
        record.received(request, len(body))
        client = call.surface.client
        if client is None:
            raise BadRequest("this endpoint counts nothing")
        model = await self._find_model(request.model, key)
        traits = model.traits if model is not None else ModelTraits(id=request.model)
        total = await self._ask(call, request, model) if model is not None else None
        if total is None:
            total = await self._count(client.read_conversation(request), traits)
        rendered = self._form.render(max(1, total))
        record.first_token()
        record.sent(len(rendered))
        record.completed()
        await answer.send_whole(rendered)

    async def _find_model(self, name: str, key: ApiKey) -> Model | None:
        """The model; None for one that nobody knows, which is counted all the same. Raises `ModelNotAllowed`."""
        try:
            return choose(name, key, await self._gateway.catalog(), self._gateway.exposure).models[0]
        except ModelNotAllowed:
            raise
        except (ModelNotFound, GatewayError):
            return None

    async def _ask(self, call: Call, request: Any, model: Model) -> int | None:
        """Copilot's own count; None when it has none for this model, or not now."""
        if self._form.outgoing is None or MESSAGES not in model.endpoints or self._asking.locked():
            return None
        outgoing = self._form.outgoing(request, model.traits)
        upstream_request = UpstreamRequest(
            path=COUNT_TOKENS,
            body=outgoing.body,
            intent=INTENTS[COUNT_TOKENS],
            initiator="agent",  # nobody is billed for a count
            has_images=outgoing.has_images,
            is_streamed=False,
            request_id=call.request_id,
            headers=outgoing.headers,
            tap=call.tap,
        )
        try:
            # Only with a slot that nobody waits for: a count is not worth a place in the line.
            with self._gateway.admission.slots.borrow() as is_lent:
                if not is_lent:
                    return None
                async with self._asking, asyncio.timeout(UPSTREAM_SECONDS):
                    reply = await self._upstream.open(upstream_request)
                    try:
                        found = msgspec.json.decode(await reply.read_all(), type=_Counted)
                    finally:
                        reply.close()
        except (GatewayError, TransportError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return found.input_tokens


class _Counted(msgspec.Struct):
    input_tokens: int


def render_anthropic_count(total: int) -> bytes:
    """Anthropic's answer."""
    return msgspec.json.encode({"input_tokens": total})
