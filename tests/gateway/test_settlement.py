"""One outcome of each call, told once, whatever ended it."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from copilot_api.admission.budget import NOTHING, Amounts
from copilot_api.errors import (
    BadRequest,
    BodyTooLarge,
    InternalError,
    ModelNotAllowed,
    ModelNotFound,
    RateLimited,
    ShuttingDown,
    Unauthorized,
    UpstreamCut,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from copilot_api.gateway.plan import Plan
from copilot_api.gateway.settlement import CLIENT_GONE, Record
from copilot_api.gateway.surface import NativeRoute
from copilot_api.gateway.surfaces import CHAT_SURFACE
from copilot_api.observability.events import CallEnded
from copilot_api.observability.trace_context import TraceContext
from copilot_api.protocols.base import ModelTraits, Usage
from copilot_api.protocols.chat.request import parse_request
from copilot_api.upstream.prices import parse_prices
from copilot_api.usage.models import Cause
from tests.fakes import FakeClock
from tests.gateway.calls import GivenPermit, Ledger, make_call, make_model, make_settlement

REQUEST = parse_request(
    b'{"model":"fast","messages":[{"role":"user","content":"x"}],"stream":true,"reasoning_effort":"high"}'
)
assert CHAT_SURFACE.native is not None
PLAN = Plan(make_model("gpt-4.1"), NativeRoute(REQUEST, CHAT_SURFACE.native, ModelTraits(id="gpt-4.1")), 1.0)

PRICED = replace(make_model(), prices=parse_prices({"default": {"input_price": 500, "output_price": 2500}}))


class Meter:
    def __init__(self, usage: Usage | None = None, nano_aiu: int | None = None) -> None:
        self.usage = usage
        self.nano_aiu = nano_aiu


class Followed:
    """A call up to some point, ended by some error."""

    def __init__(
        self,
        clock: FakeClock,
        error: BaseException | None = None,
        *,
        until: str = "begun",
        meter: Meter | None = None,
        reserved: Amounts = NOTHING,
    ) -> None:
        settlement, self.ledger, self.observed = make_settlement(clock)
        self.permit = GivenPermit(0.25, reserved)
        record = settlement.follow(make_call(clock))
        self.during = -1
        raised: BaseException | None = None
        try:
            with record:
                self.during = settlement.calls_under_way
                self._live(record, until, meter, clock)
                if error is not None:
                    raise error
        except BaseException as caught:
            raised = caught
        assert raised is error, "whatever it was, it goes on to the caller"
        assert settlement.calls_under_way == 0
        self.event = self.ledger.event

    def _live(self, record: Record, until: str, meter: Meter | None, clock: FakeClock) -> None:
        steps: list[tuple[str, Any]] = [
            ("begun", lambda: None),
            ("authenticated", lambda: record.authenticated("key_1")),
            ("received", lambda: record.received(REQUEST, 120)),
            ("dispatched", lambda: self._dispatch(record)),
            ("metered", lambda: record.metered_by(meter or Meter())),
            ("answering", record.answering),
            ("first_token", record.first_token),
            ("sent", lambda: record.sent(50)),
            ("completed", record.completed),
        ]
        for name, step in steps:
            clock.advance(0.5)
            step()
            if name == until:
                return

    def _dispatch(self, record: Record) -> None:
        record.planned(PLAN)
        record.dispatched(PLAN, self.permit)


def cancelled(*args: object) -> asyncio.CancelledError:
    return asyncio.CancelledError(*args)


@pytest.mark.parametrize(
    ("error", "cause", "status"),
    [
        (Unauthorized("x"), Cause.UNAUTHORIZED, 401), (BadRequest("x"), Cause.BAD_REQUEST, 400), (BodyTooLarge("x"), Cause.BAD_REQUEST, 413),
        (ModelNotAllowed("x"), Cause.MODEL_NOT_ALLOWED, 403), (ModelNotFound("x"), Cause.MODEL_NOT_FOUND, 404), (RateLimited("x"), Cause.RATE_LIMITED, 429),
        (UpstreamFailed("x"), Cause.UPSTREAM_ERROR, 502), (UpstreamFailed("x", status=503), Cause.UPSTREAM_ERROR, 503),
        (UpstreamRateLimited("x"), Cause.UPSTREAM_RATE_LIMITED, 429), (UpstreamTimeout("x"), Cause.UPSTREAM_TIMEOUT, 504),
        (UpstreamCut("x"), Cause.UPSTREAM_CUT, 502), (InternalError("x"), Cause.INTERNAL, 500), (ShuttingDown("x"), Cause.INTERRUPTED, 503),
        (cancelled(CLIENT_GONE), Cause.CLIENT_ABORTED, 0), (cancelled("stopped"), Cause.INTERRUPTED, 503), (cancelled(), Cause.INTERRUPTED, 503),
        (ConnectionResetError("gone"), Cause.CLIENT_ABORTED, 0), (BrokenPipeError(), Cause.CLIENT_ABORTED, 0),
        (KeyError("x"), Cause.INTERNAL, 500), (ZeroDivisionError(), Cause.INTERNAL, 500), (MemoryError(), Cause.INTERNAL, 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)  # fmt: skip
def test_every_end_before_the_answer_has_its_cause_and_status(
    clock: FakeClock, error: BaseException, cause: Cause, status: int
) -> None:
    event = Followed(clock, error, until="received").event
    assert (event.cause, event.status) == (cause, status)
    assert event.time_to_first_token is None
    assert event.premium_requests == 0.0
    assert not event.usage_unknown


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (UpstreamCut("x"), Cause.UPSTREAM_CUT), (UpstreamFailed("x"), Cause.UPSTREAM_ERROR), (cancelled(CLIENT_GONE), Cause.CLIENT_ABORTED),
        (cancelled("stopped"), Cause.INTERRUPTED), (ConnectionResetError(), Cause.CLIENT_ABORTED), (KeyError("x"), Cause.INTERNAL),
        (UpstreamTimeout("x"), Cause.UPSTREAM_TIMEOUT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)  # fmt: skip
def test_once_the_answer_has_begun_its_status_stays(clock: FakeClock, error: BaseException, cause: Cause) -> None:
    event = Followed(clock, error, until="sent").event
    assert (event.cause, event.status) == (cause, 200)
    assert event.bytes_out == 50
    assert event.premium_requests == 1.0, "Copilot counts answers, also those that break off"


def test_a_call_that_is_completed_is_ok_whatever_comes_after(clock: FakeClock) -> None:
    for error in (None, ConnectionResetError(), cancelled(CLIENT_GONE), KeyError("x")):
        followed = Followed(clock, error, until="completed", meter=Meter(Usage(input_tokens=3)))
        assert (followed.event.cause, followed.event.status) == (Cause.OK, 200)


def test_an_event_says_what_became_known(clock: FakeClock) -> None:
    usage = Usage(input_tokens=10, output_tokens=4, cache_read_tokens=6, cache_write_tokens=2, reasoning_tokens=1)
    event = Followed(clock, until="completed", meter=Meter(usage, 123)).event
    assert (event.request_id, event.client, event.endpoint, event.key_id) == (
        "req_1",
        "curl",
        "/v1/chat/completions",
        "key_1",
    )
    assert (event.model, event.upstream_model, event.upstream_endpoint) == ("fast", "gpt-4.1", "/chat/completions")
    assert (event.stream, event.initiator, event.effort, event.bytes_in, event.bytes_out) == (
        True,
        "user",
        "high",
        120,
        50,
    )
    assert (event.input_tokens, event.output_tokens, event.cache_read_tokens) == (10, 4, 6)
    assert (event.cache_write_tokens, event.reasoning_tokens, event.nano_aiu) == (2, 1, 123)
    assert (event.identity_id, event.queue_seconds, event.premium_requests) == ("default", 0.25, 1.0)
    assert event.at == "2026-07-01T12:00:00+00:00"
    assert event.time_to_first_token == 3.5
    assert event.duration == 4.5
    assert not event.usage_unknown


def test_a_call_is_begun_when_it_goes_upstream_and_as_if_it_never_ended(clock: FakeClock) -> None:
    """What the ledger keeps of a call whose process dies right after."""
    [begun] = Followed(clock, until="completed").ledger.begun
    assert (begun.cause, begun.status, begun.usage_unknown, begun.model) == (Cause.INTERRUPTED, 0, True, "fast")
    assert Followed(clock, BadRequest("x"), until="received").ledger.begun == []


@pytest.mark.parametrize(
    ("error", "until", "usage", "is_unknown"),
    [
        (None, "completed", None, True), (None, "completed", Usage(), False), (UpstreamCut("x"), "sent", None, True),
        (UpstreamCut("x"), "sent", Usage(input_tokens=1), False), (cancelled(CLIENT_GONE), "sent", None, True), (cancelled(CLIENT_GONE), "dispatched", None, True),
        (UpstreamFailed("x"), "dispatched", None, False), (UpstreamRateLimited("x"), "dispatched", None, False), (BadRequest("x"), "received", None, False),
        (cancelled("stopped"), "dispatched", None, True), (KeyError("x"), "dispatched", None, True), (UpstreamTimeout("x"), "sent", None, True),
    ],
    ids=str,
)  # fmt: skip
def test_usage_is_unknown_when_the_upstream_worked_and_did_not_say(
    clock: FakeClock, error: BaseException | None, until: str, usage: Usage | None, is_unknown: bool
) -> None:
    assert Followed(clock, error, until=until, meter=Meter(usage)).event.usage_unknown is is_unknown


def test_a_call_is_observed_once(clock: FakeClock) -> None:
    followed = Followed(clock, until="completed", meter=Meter(Usage(input_tokens=7, output_tokens=2)))
    assert followed.during == 1
    [ended] = followed.observed
    assert isinstance(ended, CallEnded)
    call = ended.call
    assert (call.request_id, call.cause, call.status, call.model, call.input_tokens, call.output_tokens) == (
        "req_1", "ok", 200, "fast", 7, 2,
    )  # fmt: skip


def test_when_it_went_upstream_is_observed(clock: FakeClock) -> None:
    """Seconds after its arrival: each step takes half a second here, and the fourth is that."""
    [ended] = Followed(clock, until="completed").observed
    assert isinstance(ended, CallEnded)
    assert (ended.dispatched_after, ended.trace) == (2.0, None)
    [refused] = Followed(clock, Unauthorized("x"), until="received").observed
    assert isinstance(refused, CallEnded)
    assert refused.dispatched_after is None


def test_a_call_is_observed_with_its_callers_trace_and_its_last_way_upstream(clock: FakeClock) -> None:
    settlement, _, observed = make_settlement(clock)
    call = make_call(clock)
    call.trace = TraceContext(1, 2, 1)
    with settlement.follow(call) as record:
        for _ in range(2):
            clock.advance(1.0)
            record.planned(PLAN)
            record.dispatched(PLAN, GivenPermit())
            if clock.monotonic() - call.began < 2:
                record.fell_back(PLAN.model)
        record.completed()
    [ended] = observed
    assert isinstance(ended, CallEnded)
    assert (ended.trace, ended.dispatched_after) == (TraceContext(1, 2, 1), 2.0)


def test_a_key_in_the_wrong_field_does_not_reach_the_ledger(clock: FakeClock) -> None:
    """The ledger never holds a secret: people paste keys everywhere, also where the model's name belongs."""
    settlement, ledger, _ = make_settlement(clock)
    secret = "sk-cap-" + "a" * 52
    request = parse_request(
        f'{{"model":"{secret}","messages":[{{"role":"user","content":"x"}}],"reasoning_effort":"{secret}"}}'.encode()
    )
    with settlement.follow(make_call(clock)) as record:
        record.received(request, 1)
    assert secret not in repr(ledger.event)


def test_a_models_name_of_a_megabyte_is_cut(clock: FakeClock) -> None:
    settlement, ledger, _ = make_settlement(clock)
    request = parse_request(f'{{"model":"{"m" * 1_000_000}","messages":[{{"role":"user","content":"x"}}]}}'.encode())
    with settlement.follow(make_call(clock)) as record:
        record.received(request, 1)
    assert len(ledger.event.model or "") < 1000


def test_the_ledger_is_told_before_the_block_is_left(clock: FakeClock) -> None:
    """Whoever catches the error outside, to answer it, answers after the event is kept."""
    settlement, ledger, _ = make_settlement(clock)

    def follow() -> None:
        with settlement.follow(make_call(clock)):
            raise BadRequest("x")

    with pytest.raises(BadRequest):
        follow()
    assert isinstance(ledger, Ledger)
    assert ledger.event.cause is Cause.BAD_REQUEST


def test_budgets_hear_what_the_call_took(clock: FakeClock) -> None:
    usage = Usage(input_tokens=10, output_tokens=4)
    assert Followed(clock, until="completed", meter=Meter(usage, 123)).permit.settled == [(123, 1.0, 14, 1)]


def test_a_charge_that_nobody_told_is_reckoned_by_the_models_prices(clock: FakeClock) -> None:
    event = Followed(clock, until="completed", meter=Meter(Usage(input_tokens=10))).event
    assert (event.nano_aiu, event.nano_aiu_estimated) == (None, False), "nothing is known of the model's prices"
    settlement, ledger, _ = make_settlement(clock)
    with settlement.follow(make_call(clock)) as record:
        record.planned(Plan(PRICED, PLAN.route, 1.0))
        record.dispatched(Plan(PRICED, PLAN.route, 1.0), GivenPermit())
        record.metered_by(Meter(Usage(input_tokens=10, output_tokens=2)))
        record.completed()
    assert (ledger.event.nano_aiu, ledger.event.nano_aiu_estimated) == (10 * 500_000 + 2 * 2_500_000, True)


@pytest.mark.parametrize("error", [cancelled(CLIENT_GONE), cancelled("stopped"), UpstreamCut("x")])
def test_a_call_whose_usage_is_not_known_counts_as_it_was_reserved(clock: FakeClock, error: BaseException) -> None:
    followed = Followed(clock, error, until="dispatched", reserved=(5_000, 1.0, 700, 1))
    event = followed.event
    assert (event.usage_unknown, event.estimated_tokens, event.nano_aiu, event.nano_aiu_estimated) == (
        True, 700, 5_000, True,
    )  # fmt: skip
    assert (event.input_tokens, event.output_tokens) == (0, 0)
    assert followed.permit.settled == [(5_000, 0.0, 700, 1)]


def test_a_call_that_copilot_refused_took_nothing_but_a_request(clock: FakeClock) -> None:
    followed = Followed(clock, UpstreamRateLimited("x"), until="dispatched", reserved=(5_000, 1.0, 700, 1))
    assert followed.permit.settled == [(0, 0.0, 0, 1)]
    assert (followed.event.estimated_tokens, followed.event.nano_aiu) == (0, None)


def test_the_begin_record_says_what_was_reserved(clock: FakeClock) -> None:
    """It is all that is known of a call that is killed with the gateway."""
    followed = Followed(clock, cancelled("stopped"), until="dispatched", reserved=(5_000, 1.0, 700, 1))
    [begun] = followed.ledger.begun
    assert (begun.nano_aiu, begun.premium_requests, begun.estimated_tokens, begun.usage_unknown) == (
        5_000, 1.0, 700, True,
    )  # fmt: skip


def test_what_is_only_observed_is_noted_from_the_door_to_the_budget(clock: FakeClock) -> None:
    settlement, ledger, _ = make_settlement(clock)
    with settlement.follow(make_call(clock)) as record:
        record.authenticated("key_1", ("cidrs",))
        record.received(REQUEST, 120)
        record.planned(Plan(PLAN.model, PLAN.route, 1.0, is_out_of_scope=True))
        record.dispatched(PLAN, GivenPermit(notes=("rpm", "credits:day")))
        record.completed()
    assert ledger.event.would_limit == "cidrs,models,rpm,credits:day"


def test_a_model_that_could_not_answer_is_named_and_what_it_took_is_given_back(clock: FakeClock) -> None:
    settlement, ledger, _ = make_settlement(clock)
    first, second = GivenPermit(reserved=(5_000, 1.0, 700, 1)), GivenPermit()
    with settlement.follow(make_call(clock)) as record:
        record.received(REQUEST, 120)
        record.planned(PLAN)
        record.dispatched(PLAN, first)
        record.fell_back(PLAN.model)
        record.planned(Plan(PRICED, PLAN.route, 0.0))
        record.dispatched(Plan(PRICED, PLAN.route, 0.0), second)
        record.metered_by(Meter(Usage(input_tokens=10), 77))
        record.completed()
    event = ledger.event
    assert (event.fallback_from, event.upstream_model, event.nano_aiu) == (PLAN.model.id, PRICED.id, 77)
    assert (first.is_given_up, first.settled, second.settled) == (True, [], [(77, 0.0, 10, 1)])


def test_where_no_model_could_answer_the_call_took_nothing(clock: FakeClock) -> None:
    settlement, ledger, _ = make_settlement(clock)
    with suppress(UpstreamFailed), settlement.follow(make_call(clock)) as record:
        record.planned(PLAN)
        record.dispatched(PLAN, GivenPermit(reserved=(5_000, 1.0, 700, 1)))
        record.fell_back(PLAN.model)
        raise UpstreamFailed("broken")
    assert ledger.event.cause is Cause.UPSTREAM_ERROR
    assert (ledger.event.nano_aiu, ledger.event.premium_requests, ledger.event.usage_unknown) == (None, 0.0, False)
    assert ledger.event.identity_id is None, "budgets count what went upstream, also after a restart"


def test_an_answer_that_was_left_early_counts_as_what_it_was_seen_to_write(clock: FakeClock) -> None:
    """Anthropic tells the input first: that is not all that the call took."""
    meter = Meter(Usage(input_tokens=5, output_tokens=1))
    followed = Followed(clock, cancelled(CLIENT_GONE), until="sent", meter=meter, reserved=(5_000, 1.0, 300, 1))
    assert (followed.event.input_tokens, followed.event.output_tokens) == (5, 1)
    assert followed.permit.settled == [(5_000, 1.0, 300, 1)], "as was reserved"
    settlement, ledger, _ = make_settlement(clock)
    permit = GivenPermit(reserved=(5_000, 1.0, 300, 1))
    with suppress(UpstreamCut), settlement.follow(make_call(clock)) as record:
        record.planned(PLAN)
        record.dispatched(PLAN, permit)
        record.metered_by(meter)
        record.first_token()
        record.sent(200_000)
        raise UpstreamCut("x")
    assert permit.settled[0][2] == 1_005, "a thousand tokens and the input"
    assert ledger.event.nano_aiu == 5_000 * 1_005 // 300


def test_what_the_call_is_for_is_kept_from_the_beginning(clock: FakeClock) -> None:
    settlement, ledger, _ = make_settlement(clock)
    call = replace(make_call(clock), client="opencode", clues={b"x-parent-session-id": b"ses_1"})
    with settlement.follow(call) as record:
        record.received(REQUEST, 10)
        record.planned(PLAN)
        record.dispatched(PLAN, GivenPermit())
        record.completed()
    assert [event.kind for event in (*ledger.begun, *ledger.ended)] == ["subagent", "subagent"]


def test_a_call_that_is_refused_before_it_is_read_counts_as_a_turn(clock: FakeClock) -> None:
    settlement, ledger, _ = make_settlement(clock)
    call = replace(make_call(clock), client="opencode", clues={b"x-parent-session-id": b"ses_1"})
    with suppress(Unauthorized), settlement.follow(call):
        raise Unauthorized("x")
    assert ledger.event.kind == "turn"
