"""`Gateway.exchange`: the whole life of one call, in order. Each room is entered once."""

from functools import partial

from copilot_api.admission.service import Admission
from copilot_api.clock import Clock
from copilot_api.gateway.call import Answer, Call
from copilot_api.gateway.plan import make_plan
from copilot_api.gateway.relay import relay_stream, relay_whole
from copilot_api.gateway.settlement import Record, Settlement
from copilot_api.keys.models import ApiKey
from copilot_api.upstream.catalog import CatalogKeeper
from copilot_api.upstream.client import CopilotClient, UpstreamRequest

CATALOG_PATIENCE_SECONDS = 5.0


class Gateway:
    """Carries calls to Copilot and answers back."""

    def __init__(
        self,
        settlement: Settlement,
        catalog: CatalogKeeper,
        admission: Admission,
        upstream: CopilotClient,
        clock: Clock,
    ) -> None:
        self.settlement = settlement
        self._catalog = catalog
        self._admission = admission
        self._upstream = upstream
        self._clock = clock

    async def exchange(self, call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        """Carry one call there and its answer back, inside the block that follows it."""
        body = await call.read_body()
        surface = call.surface
        request = surface.parse_request(body)
        record.received(request, len(body))
        if not self._catalog.is_known:
            await self._catalog.wait_known(CATALOG_PATIENCE_SECONDS)
        plan = make_plan(request, surface, key, self._catalog.current)

        async with self._admission.admit(call.request_id, key, plan.model.id) as permit:
            record.dispatched(plan, permit.queue_seconds)
            upstream_request = UpstreamRequest(
                path=plan.upstream_endpoint,
                body=request.render(plan.model.id),
                intent=surface.intent,
                initiator=request.initiator,
                has_images=request.has_images,
                is_streamed=request.is_streamed,
                request_id=call.request_id,
            )
            on_silence = partial(_keep_alive, record, answer) if request.is_streamed else None
            reply = await self._upstream.open(upstream_request, on_silence)
            try:
                relay = relay_stream if request.is_streamed else relay_whole
                await relay(reply, surface, request, record, answer, int(call.arrived_at.timestamp()))
            finally:
                reply.close()


async def _keep_alive(record: Record, answer: Answer) -> None:
    """Tell the client of a stream that we are still here; its status leaves with that."""
    record.answering()
    await answer.keep_alive()
