"""`Gateway.exchange`: the whole life of one call, in order. Each room is entered once."""

from copilot_api.admission.models import Ask
from copilot_api.admission.service import Admission
from copilot_api.clock import Clock
from copilot_api.config.settings import Exposure
from copilot_api.errors import (
    GatewayError,
    OverBudget,
    UpstreamFailed,
    UpstreamQuotaExceeded,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
)
from copilot_api.gateway.call import Answer, Call
from copilot_api.gateway.estimate import estimate_input, expect
from copilot_api.gateway.lessons import Lessons
from copilot_api.gateway.plan import ModelLacksEndpoint, Plan, choose, make_plan
from copilot_api.gateway.relay import relay_stream, relay_whole
from copilot_api.gateway.settlement import Record, Settlement
from copilot_api.keys.models import ApiKey
from copilot_api.protocols.base import AnswerHead, Outgoing, ParsedRequest, StreamRelay
from copilot_api.protocols.token_count import estimate_now
from copilot_api.upstream.catalog import Catalog, CatalogKeeper
from copilot_api.upstream.client import CopilotClient, UpstreamRequest
from copilot_api.upstream.headers import INTENTS

CATALOG_PATIENCE_SECONDS = 5.0
_NEXT_MODEL = (
    ModelLacksEndpoint,
    OverBudget,
    UpstreamFailed,
    UpstreamQuotaExceeded,
    UpstreamRateLimited,
    UpstreamTimeout,
)
"""What has the next model of an alias try, while the caller has seen nothing of an answer."""
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
        exposure: Exposure,
    ) -> None:
        self.settlement = settlement
        self.exposure = exposure
        """May be replaced while it runs: a call goes by the one that it found."""
        self.admission = admission
        self._catalog = catalog
        self._upstream = upstream
        self._clock = clock
        self._lessons = Lessons()

    async def exchange(self, call: Call, key: ApiKey, record: Record, answer: Answer) -> None:
        """Carry one call there and its answer back, inside the block that follows it."""
        body = await call.read_body()
        surface = call.surface
        request = surface.parse_request(body, call.envelope)
        record.received(request, len(body))
        choice = choose(request.model, key, await self.catalog(), self.exposure)
        last = choice.models[-1]
        for model in choice.models:
            try:
                plan = make_plan(request, surface, choice, model)
                await self._exchange(call, key, request, plan, body, record, answer)
            except GatewayError as error:
                if model is last or answer.has_events or not _is_reason_for_another(error):
                    raise
                record.fell_back(model)
            else:
                return

    async def _exchange(
        self, call: Call, key: ApiKey, request: ParsedRequest, plan: Plan, body: bytes, record: Record, answer: Answer
    ) -> None:
        """The same, with one model."""
        record.planned(plan)
        outgoing = plan.route.outgoing()
        answer.dropped = plan.route.dropped
        run = _Run(self._upstream, call, request, plan, record, answer)

        ask = self._ask(call, key, request, plan, body)
        async with self.admission.admit(ask, run.tell if request.is_streamed else None) as permit:
            record.dispatched(plan, permit)
            answer.rates = permit.rates
            outgoing = self._lessons.apply(outgoing, plan.route.upstream_endpoint, plan.model.id)
            for mends_left in range(MAX_MENDS, -1, -1):
                try:
                    await run.attempt(outgoing)
                except GatewayError as error:
                    endpoint = plan.route.upstream_endpoint
                    mended = self._lessons.mend(outgoing, error, endpoint, plan.model.id)
                    if mended is None or answer.has_events or not mends_left:
                        raise
                    outgoing = mended
                else:
                    return

    async def catalog(self) -> Catalog:
        """The models; at the very start it may take a moment to know them. Raises `CatalogUnavailable`."""
        if not self._catalog.is_known:
            await self._catalog.wait_known(CATALOG_PATIENCE_SECONDS)
        return self._catalog.current

    def _ask(self, call: Call, key: ApiKey, request: ParsedRequest, plan: Plan, body: bytes) -> Ask:
        prices = self.settlement.tariff.find(plan.model.id, plan.model.prices)
        input_tokens = estimate_input(body, has_images=request.has_images)
        least, likely = expect(input_tokens, request.output_limit, plan.premium_requests, prices)
        return Ask(call.request_id, key, plan.model.id, call.arrived_at, call.is_batch, least, likely)


def _is_reason_for_another(error: GatewayError) -> bool:
    """Whether another model may well do what this one cannot."""
    is_gone = isinstance(error, UpstreamRefused) and (error.upstream_code or "").startswith("model_not")
    return is_gone or isinstance(error, _NEXT_MODEL)


class _Run:
    """The attempts of one call, and what its caller hears before there is an answer."""

    __slots__ = ("_answer", "_call", "_head", "_plan", "_record", "_request", "_stream", "_upstream")

    def __init__(
        self,
        upstream: CopilotClient,
        call: Call,
        request: ParsedRequest,
        plan: Plan,
        record: Record,
        answer: Answer,
    ) -> None:
        self._upstream = upstream
        self._call = call
        self._request = request
        self._plan = plan
        self._record = record
        self._answer = answer
        self._stream: StreamRelay | None = None
        self._head = AnswerHead(
            model=request.model,
            request_id=call.request_id,
            now=int(call.arrived_at.timestamp()),
            input_estimate=plan.route.input_estimate(estimate_now) if request.is_streamed else 0,
        )

    async def tell(self, note: str) -> None:
        """Tell the caller of a stream what it waits for. With the first note its status leaves."""
        await self._say(self._open_stream().keep_alive(note))

    async def attempt(self, outgoing: Outgoing) -> None:
        """Send the request and relay its answer."""
        request, route, record, answer = self._request, self._plan.route, self._record, self._answer
        upstream_request = UpstreamRequest(
            path=route.upstream_endpoint,
            body=outgoing.body,
            intent=INTENTS[route.upstream_endpoint],
            initiator=request.initiator,
            has_images=outgoing.has_images,
            is_streamed=request.is_streamed,
            request_id=self._call.request_id,
            headers=outgoing.headers,
            tap=self._call.tap,
        )
        sent_at = self._upstream.moment()
        if not request.is_streamed:
            reply = await self._upstream.open(upstream_request)
            try:
                await relay_whole(reply, route, self._head, record, answer)
            except GatewayError as error:
                self._upstream.failed_later(error, sent_at)
                raise
            finally:
                reply.close()
            return
        self._stream = None  # of an earlier attempt
        stream = self._open_stream()
        reply = await self._upstream.open(upstream_request, self._keep_alive)
        try:
            await relay_stream(reply, stream, route, self._head, record, answer)
        except GatewayError as error:
            self._upstream.failed_later(error, sent_at)
            raise
        finally:
            reply.close()

    def _open_stream(self) -> StreamRelay:
        if self._stream is None:
            self._stream = self._plan.route.open_stream(self._head)
            self._answer.begin(self._stream, self._call.surface.stream_type(self._request))
        return self._stream

    async def _keep_alive(self) -> None:
        await self._say(self._open_stream().keep_alive())

    async def _say(self, comment: bytes) -> None:
        self._record.answering()  # the status leaves with that
        await self._answer.note(comment)
