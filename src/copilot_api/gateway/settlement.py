"""
Settlement: one outcome of each call, told once to the ledger and to whoever watches.

`follow` is the outermost block of a call, so refusals count too. The event is journalled as soon as the end is known
and before the last byte of the answer leaves: a client that has its answer can rely on the event being kept.
"""

import asyncio
from types import TracebackType
from typing import Self

from copilot_api.clock import Clock
from copilot_api.errors import GatewayError, InternalError, ShuttingDown
from copilot_api.gateway.call import Call
from copilot_api.gateway.plan import Plan
from copilot_api.observability.events import CallEnded, Observer
from copilot_api.observability.logs import strike_secrets
from copilot_api.protocols.base import AnswerMeter, ParsedRequest
from copilot_api.upstream.identities import DEFAULT_IDENTITY
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.recorder import UsageRecorder

_MAX_NAME = 200
_EFFORTS = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}
CLIENT_GONE = "client gone"
"""The message of a cancellation that a hang-up caused; see `copilot_api.api.http_exchange`."""


class Settlement:
    """Follows calls to their end."""

    def __init__(self, recorder: UsageRecorder, clock: Clock, observe: Observer, *, is_watched: bool = True) -> None:
        self.is_watched = is_watched
        """Whether anybody reads a line for each call."""
        self.recorder = recorder
        self.clock = clock
        self.observe = observe
        self.calls_under_way = 0

    def follow(self, call: Call) -> "Record":
        """The block around one call."""
        return Record(self, call)


class Record:
    """What becomes known of one call, and its end."""

    __slots__ = ("_call", "_event", "_is_dispatched", "_is_settled", "_meter", "_plan", "_settlement")

    def __init__(self, settlement: Settlement, call: Call) -> None:
        self._settlement = settlement
        self._call = call
        self._plan: Plan | None = None
        self._meter: AnswerMeter | None = None
        self._is_dispatched = False
        self._is_settled = False
        self._event = UsageEvent(
            request_id=call.request_id,
            at=call.arrived_at.isoformat(),
            client=call.client,
            endpoint=call.surface.endpoint,
            cause=Cause.INTERRUPTED,
        )

    def __enter__(self) -> Self:
        self._settlement.calls_under_way += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._settlement.calls_under_way -= 1
        if self._is_settled:
            return
        if isinstance(error, GatewayError):
            # Once the answer has begun its status is out, whatever came after.
            self._settle(Cause(error.cause), self._event.status or error.actual_status)
        elif isinstance(error, asyncio.CancelledError) and error.args and isinstance(error.args[0], GatewayError):
            # The request broke off or was no HTTP: the connection has answered in our place.
            self._settle(Cause(error.args[0].cause), error.args[0].actual_status)
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

    # What becomes known, in this order --------------------------------------------------------------------------

    def authenticated(self, key_id: str) -> None:
        """Who calls."""
        self._event.key_id = key_id

    def received(self, request: ParsedRequest, size: int) -> None:
        """What is asked for."""
        event = self._event
        event.stream, event.bytes_in, event.initiator = request.is_streamed, size, request.initiator
        event.model = request.model
        event.effort = request.effort if request.effort in _EFFORTS else None

    def dispatched(self, plan: Plan, queue_seconds: float) -> None:
        """The call is admitted and goes upstream now. From here on it is in the ledger, whatever happens to us."""
        self._plan = plan
        event = self._event
        event.identity_id = DEFAULT_IDENTITY
        event.upstream_model, event.upstream_endpoint = plan.model.id, plan.route.upstream_endpoint
        event.queue_seconds = queue_seconds
        event.usage_unknown = True
        self._is_dispatched = True
        self._settlement.recorder.begin(event)

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
            # Anything may stand there, a key in the wrong field too.
            event.model = strike_secrets(event.model[:_MAX_NAME])
        event.duration = round(settlement.clock.monotonic() - self._call.began, 6)
        if meter is not None:
            event.nano_aiu = meter.nano_aiu
            if meter.usage is not None:
                usage = meter.usage
                event.usage_unknown = False
                event.input_tokens, event.output_tokens = usage.input_tokens, usage.output_tokens
                event.cache_read_tokens, event.cache_write_tokens = usage.cache_read_tokens, usage.cache_write_tokens
                event.reasoning_tokens = usage.reasoning_tokens
        if self._plan is not None and (event.time_to_first_token is not None or cause is Cause.OK):
            event.premium_requests = self._plan.premium_requests  # Copilot counts answers, not attempts
        if self._is_dispatched and meter is None:
            event.usage_unknown = cause in {Cause.CLIENT_ABORTED, Cause.INTERRUPTED, Cause.UPSTREAM_CUT, Cause.INTERNAL}
        settlement.recorder.end(event)
        if settlement.is_watched:
            self._report(event)

    def _report(self, event: UsageEvent) -> None:
        self._settlement.observe(
            CallEnded(
                event.request_id,
                event.endpoint,
                event.status,
                event.cause.value,
                event.model,
                event.key_id,
                event.duration,
                event.input_tokens,
                event.output_tokens,
            )
        )
