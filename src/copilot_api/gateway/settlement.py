"""
Settlement: one outcome of each call, told once to the ledger and to whoever watches.

`follow` is the outermost block of a call, so refusals count too. The event is journalled as soon as the end is known
and before the last byte of the answer leaves: a client that has its answer can rely on the event being kept.
"""

import asyncio
from types import TracebackType
from typing import Self

from copilot_api.admission.service import Permit
from copilot_api.clock import Clock
from copilot_api.errors import GatewayError, InternalError, ShuttingDown
from copilot_api.gateway.call import Call
from copilot_api.gateway.estimate import USUAL_OUTPUT_TOKENS
from copilot_api.gateway.kinds import find_kind
from copilot_api.gateway.plan import Plan
from copilot_api.gateway.under_way import Phase
from copilot_api.gateway.unknown_model import keepable_name
from copilot_api.observability.events import CallEnded, EndedCall, Observer
from copilot_api.protocols.base import AnswerMeter, ParsedRequest
from copilot_api.upstream.catalog import Model
from copilot_api.upstream.identities import DEFAULT_IDENTITY
from copilot_api.upstream.prices import Tariff
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.recorder import UsageRecorder

BYTES_OF_A_WRITTEN_TOKEN = 200
"""About what one token of a streamed answer takes, with the event around it."""
_MAX_PLAUSIBLE = 10**15
"""No call takes more of anything; a number beyond is a mistake of the upstream's, and must not spoil a sum."""
_EFFORTS = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}
CLIENT_GONE = "client gone"
"""The message of a cancellation that a hang-up caused; see `copilot_api.api.http_exchange`."""


class Settlement:
    """Follows calls to their end."""

    def __init__(
        self,
        recorder: UsageRecorder,
        clock: Clock,
        observe: Observer,
        *,
        tariff: Tariff | None = None,
    ) -> None:
        self.tariff = tariff or Tariff()
        """What calls cost whose answers do not say."""
        self.recorder = recorder
        self.clock = clock
        self.observe = observe
        self.under_way: dict[str, Record] = {}
        """The calls that have begun and not ended, by request id."""
        self.is_recording = True
        """Whether there is a usage event for each call."""

    @property
    def calls_under_way(self) -> int:
        """How many there are."""
        return len(self.under_way)

    def follow(self, call: Call, task: asyncio.Task[None] | None = None) -> "Record":
        """The block around one call. Who cancels it from outside cancels `task`."""
        return Record(self, call, task)


class Record:
    """What becomes known of one call, and its end."""

    __slots__ = (
        "_call",
        "_dispatched_after",
        "_event",
        "_is_settled",
        "_meter",
        "_permit",
        "_plan",
        "_settlement",
        "task",
    )

    def __init__(self, settlement: Settlement, call: Call, task: asyncio.Task[None] | None = None) -> None:
        self._settlement = settlement
        self._call = call
        self.task = task
        self._plan: Plan | None = None
        self._permit: Permit | None = None
        self._meter: AnswerMeter | None = None
        self._dispatched_after: float | None = None
        self._is_settled = False
        self._event = UsageEvent(
            request_id=call.request_id,
            at=call.arrived_at.isoformat(),
            client=call.client,
            endpoint=call.surface.endpoint,
            cause=Cause.INTERRUPTED,
        )

    def __enter__(self) -> Self:
        self._settlement.under_way[self._call.request_id] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._settlement.under_way.pop(self._call.request_id, None)
        if self._is_settled:
            return
        if isinstance(error, GatewayError):
            # Once the answer has begun its status is out, whatever came after.
            self._settle(Cause(error.cause), self._event.status or error.actual_status)
        elif isinstance(error, asyncio.CancelledError) and error.args and isinstance(error.args[0], GatewayError):
            # The request broke off or was no HTTP, and the connection has answered in our place; or an admin ended it.
            self._settle(Cause(error.args[0].cause), self._event.status or error.args[0].actual_status)
        elif isinstance(error, asyncio.CancelledError):
            if CLIENT_GONE in error.args:
                self._settle(Cause.CLIENT_ABORTED, self._event.status)
            else:
                self._settle(Cause.INTERRUPTED, self._event.status or ShuttingDown.status)
        elif isinstance(error, OSError):
            self._settle(Cause.CLIENT_ABORTED, self._event.status)
        elif error is not None:
            self._settle(Cause.INTERNAL, self._event.status or InternalError.status)
        else:
            self._settle(Cause.OK, self._event.status)

    @property
    def event(self) -> EndedCall:
        """What is known of the call. Whoever looks keeps no reference."""
        return self._event

    @property
    def call(self) -> Call:
        """The call itself. Whoever looks keeps no reference."""
        return self._call

    @property
    def phase(self) -> Phase:
        """How far the call is."""
        if self._is_settled:
            return Phase.ENDING
        if self._event.time_to_first_token is not None:
            return Phase.STREAMING
        if self._permit is not None:
            return Phase.WAITING
        return Phase.READING if self._plan is None else Phase.QUEUED

    # What becomes known, in this order --------------------------------------------------------------------------

    def authenticated(self, key_id: str, would_limit: tuple[str, ...] = ()) -> None:
        """Who calls, and what would have refused them at the door, were it not only observed."""
        self._event.key_id = key_id
        if would_limit:
            self._note(would_limit)

    def received(self, request: ParsedRequest, size: int) -> None:
        """What is asked for."""
        event = self._event
        event.stream, event.bytes_in, event.initiator = request.is_streamed, size, request.initiator
        event.model = request.model
        event.effort = request.effort if request.effort in _EFFORTS else None
        event.kind = find_kind(self._call.client, self._call.surface.endpoint, self._call.clues, request)

    def planned(self, plan: Plan) -> None:
        """What is to be done; whether it may be is not known yet."""
        if plan.is_out_of_scope and self._plan is None:
            self._note(("models",))
        self._plan = plan

    def dispatched(self, plan: Plan, permit: Permit) -> None:
        """The call is admitted and goes upstream now. From here on it is in the ledger, whatever happens to us."""
        permit.is_dispatched = True
        self._permit = permit
        self._dispatched_after = self._settlement.clock.monotonic() - self._call.began
        event = self._event
        event.identity_id = DEFAULT_IDENTITY
        event.upstream_model, event.upstream_endpoint = plan.model.id, plan.route.upstream_endpoint
        event.queue_seconds = round(permit.queue_seconds, 6)
        if permit.would_limit:
            self._note(permit.would_limit)
        # What the call is taken to have cost if this is the last that we get to say.
        event.nano_aiu, _, event.estimated_tokens, _ = permit.reserved
        event.premium_requests = plan.premium_requests
        event.usage_unknown = event.nano_aiu_estimated = True
        if self._settlement.is_recording:
            self._settlement.recorder.begin(event)

    def fell_back(self, model: Model) -> None:
        """That model could not answer, and another one is to: what was taken for it is given back."""
        event = self._event
        event.fallback_from = event.fallback_from or model.id
        if self._permit is not None:
            self._permit.give_up()
        self._permit = self._meter = self._dispatched_after = None
        event.identity_id = event.upstream_model = event.upstream_endpoint = None
        event.usage_unknown = event.nano_aiu_estimated = False
        event.nano_aiu, event.premium_requests, event.estimated_tokens = None, 0.0, 0

    def metered_by(self, meter: AnswerMeter) -> None:
        """Where the usage will be found."""
        self._meter = meter

    def answering(self) -> None:
        """The first of the answer is about to leave, with status 200."""
        self._event.status = 200

    def first_token(self) -> None:
        """The first of the answer itself is here."""
        if self._event.time_to_first_token is None:
            self._event.time_to_first_token = round(self._settlement.clock.monotonic() - self._call.began, 6)

    def sent(self, size: int) -> None:
        """So many bytes of answer go to the client."""
        self._event.bytes_out += size

    def completed(self) -> None:
        """The answer is whole; its last bytes leave after this."""
        self._settle(Cause.OK, 200)

    # The end ----------------------------------------------------------------------------------------------------

    def _settle(self, cause: Cause, status: int) -> None:
        self._is_settled = True
        settlement, event, meter = self._settlement, self._event, self._meter
        event.cause, event.status = cause, status
        if self._plan is None and event.model is not None:
            event.model = keepable_name(event.model)
        event.duration = round(settlement.clock.monotonic() - self._call.began, 6)
        if self._permit is not None and meter is None:
            event.usage_unknown = cause in {Cause.CLIENT_ABORTED, Cause.INTERRUPTED, Cause.UPSTREAM_CUT, Cause.INTERNAL}
        if meter is not None and meter.usage is not None:
            usage = meter.usage
            event.usage_unknown = False
            event.input_tokens, event.output_tokens = usage.input_tokens, usage.output_tokens
            event.cache_read_tokens, event.cache_write_tokens = usage.cache_read_tokens, usage.cache_write_tokens
            event.reasoning_tokens = usage.reasoning_tokens
        if self._permit is not None and self._plan is not None:
            self._charge(self._permit, self._plan)
        if settlement.is_recording:
            settlement.recorder.end(event)
        settlement.observe(CallEnded(event, self._call.trace, self._dispatched_after))

    def _charge(self, permit: Permit, plan: Plan) -> None:
        """What the call cost, as Copilot said it, else by its prices, else as it was reserved; and budgets are told."""
        event, meter, model = self._event, self._meter, plan.model
        usage = meter.usage if meter is not None else None
        reported = meter.nano_aiu if meter is not None else None
        if event.time_to_first_token is None and event.cause is not Cause.OK:
            event.premium_requests = 0.0  # Copilot counts answers, not attempts
        # What is told at the beginning of an answer that has no end is not all that it took.
        is_partial = usage is not None and event.cause is not Cause.OK and reported is None
        if event.usage_unknown or is_partial:
            self._estimate(permit)
        else:
            event.estimated_tokens, event.nano_aiu, event.nano_aiu_estimated = 0, None, False
            if usage is not None and reported is None:
                event.nano_aiu = self._settlement.tariff.charge(model.id, model.prices, usage)
                event.nano_aiu_estimated = event.nano_aiu is not None
        if reported is not None:
            event.nano_aiu, event.nano_aiu_estimated = min(max(0, reported), _MAX_PLAUSIBLE), False
            if usage is not None:
                self._settlement.tariff.learn(model.id, usage, reported)
        tokens = min(max(0, event.input_tokens + event.output_tokens), _MAX_PLAUSIBLE) + event.estimated_tokens
        permit.settle((event.nano_aiu or 0, event.premium_requests, tokens, 1))

    def _estimate(self, permit: Permit) -> None:
        """
        What a call took that nobody told the end of: as much as was reserved, or as what it was seen to write. A caller
        who hangs up before the last event must not have it for nothing.
        """
        event, (nano_aiu, _, reserved, _) = self._event, permit.reserved
        told = event.input_tokens + event.output_tokens
        written = event.bytes_out // BYTES_OF_A_WRITTEN_TOKEN
        taken = max(reserved, told, max(event.input_tokens, reserved - USUAL_OUTPUT_TOKENS) + written)
        event.estimated_tokens = taken - told
        event.nano_aiu = nano_aiu * taken // reserved if reserved else nano_aiu
        event.nano_aiu_estimated = True

    def _note(self, limits: tuple[str, ...]) -> None:
        event = self._event
        event.would_limit = ",".join((event.would_limit, *limits) if event.would_limit else limits)
