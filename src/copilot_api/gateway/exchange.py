"""`Gateway.exchange`: the whole life of one call, in order. Each room is entered once."""

from copilot_api.admission.service import Admission
from copilot_api.clock import Clock
from copilot_api.config.settings import Aliases
from copilot_api.errors import GatewayError
from copilot_api.gateway.call import Answer, Call
from copilot_api.gateway.lessons import Lessons
from copilot_api.gateway.plan import Plan, make_plan
from copilot_api.gateway.relay import relay_stream, relay_whole
from copilot_api.gateway.settlement import Record, Settlement
from copilot_api.keys.models import ApiKey
from copilot_api.protocols.base import AnswerHead, Outgoing, ParsedRequest
from copilot_api.protocols.token_count import estimate_now
from copilot_api.upstream.catalog import Catalog, CatalogKeeper
from copilot_api.upstream.client import CopilotClient, UpstreamRequest
from copilot_api.upstream.headers import INTENTS

CATALOG_PATIENCE_SECONDS = 5.0
MAX_MENDS = 3
"""How often a request is sent again without what the upstream refused."""


class Gateway:
    """Carries calls to Copilot and answers back."""

    def __init__(
        self,
        settlement: Settlement,
        catalog: CatalogKeeper,
        admission: Admission,
        upstream: CopilotClient,
        clock: Clock,
        aliases: Aliases,
    ) -> None:
        self.settlement = settlement
        self.aliases = aliases
        self._catalog = catalog
        self._admission = admission
        self._upstream = upstream
        self._clock = clock
        self._lessons = Lessons()

    async def exchange(self, call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        """Carry one call there and its answer back, inside the block that follows it."""
        body = await call.read_body()
        surface = call.surface
        request = surface.parse_request(body, call.envelope)
        record.received(request, len(body))
        plan = make_plan(request, surface, key, await self.catalog(), self.aliases)
        outgoing = plan.route.outgoing()

        async with self._admission.admit(call.request_id, key, plan.model.id) as permit:
            record.dispatched(plan, permit.queue_seconds)
            answer.dropped = plan.route.dropped
            outgoing = self._lessons.apply(outgoing, plan.route.upstream_endpoint, plan.model.id)
            for mends_left in range(MAX_MENDS, -1, -1):
                try:
                    await self._attempt(call, request, plan, outgoing, record, answer)
                except GatewayError as error:
                    endpoint = plan.route.upstream_endpoint
                    mended = self._lessons.mend(outgoing, error, endpoint, plan.model.id)
                    if mended is None or answer.is_started or not mends_left:
                        raise
                    outgoing = mended
                else:
                    return

    async def catalog(self) -> Catalog:
        """The models; at the very start it may take a moment to know them. Raises `CatalogUnavailable`."""
        if not self._catalog.is_known:
            await self._catalog.wait_known(CATALOG_PATIENCE_SECONDS)
        return self._catalog.current

    async def _attempt(
        self, call: Call, request: ParsedRequest, plan: Plan, outgoing: Outgoing, record: Record, answer: Answer
    ) -> None:
        route = plan.route
        upstream_request = UpstreamRequest(
            path=route.upstream_endpoint,
            body=outgoing.body,
            intent=INTENTS[route.upstream_endpoint],
            initiator=request.initiator,
            has_images=outgoing.has_images,
            is_streamed=request.is_streamed,
            request_id=call.request_id,
            headers=outgoing.headers,
        )
        head = AnswerHead(
            model=request.model,
            request_id=call.request_id,
            now=int(call.arrived_at.timestamp()),
            input_estimate=route.input_estimate(estimate_now) if request.is_streamed else 0,
        )
        if not request.is_streamed:
            reply = await self._upstream.open(upstream_request)
            try:
                await relay_whole(reply, route, head, record, answer)
            finally:
                reply.close()
            return
        stream = route.open_stream(head)
        answer.begin(stream, call.surface.stream_type(request))

        async def keep_alive() -> None:
            record.answering()  # the status leaves with that
            await answer.write(stream.keep_alive())

        reply = await self._upstream.open(upstream_request, keep_alive)
        try:
            await relay_stream(reply, stream, route, head, record, answer)
        finally:
            reply.close()
