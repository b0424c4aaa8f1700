"""
`POST /admin/api/traces/{request_id}/replay`: a captured request sent again, and how the answers differ.

It is a call like any other: admitted, queued, limited, charged to a key and in the ledger, as the program `replay`. It
is captured too, and what is compared are the two captures: nothing is shown that was not redacted.
"""

import asyncio
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from copilot_api.api.captured import tap_call
from copilot_api.api.endpoint import Exchanging, HttpAnswer, ReadEnvelope
from copilot_api.api.envelopes import anthropic_envelope, gemini_envelope
from copilot_api.api.errors import error_form_for, new_request_id
from copilot_api.api.http_exchange import EXCHANGE, Message, Receive, Scope
from copilot_api.api.intake import read_body
from copilot_api.api.trace_access import Append, Visitor, sign
from copilot_api.audit.models import Action
from copilot_api.capture.answer_diff import AnswerDiff, diff_answers
from copilot_api.capture.answers import read_said
from copilot_api.capture.models import Leg, Trace
from copilot_api.capture.recorder import CapturedCall, Captures
from copilot_api.capture.service import Traces
from copilot_api.clock import Clock
from copilot_api.errors import BadRequest, GatewayError, InternalError
from copilot_api.gateway.call import Call
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.replay import Replay, prepare_replay
from copilot_api.gateway.settlement import Record
from copilot_api.gateway.surfaces import (
    COUNT_TOKENS_SURFACE,
    GEMINI_COUNT_SURFACE,
    GEMINI_SURFACE,
    MESSAGES_SURFACE,
)
from copilot_api.gateway.under_way import CallCancelled
from copilot_api.keys.captures import CaptureForbidden
from copilot_api.keys.models import ApiKey, Tier
from copilot_api.keys.service import KeyService
from copilot_api.observability.events import CallCrashed, Observer
from copilot_api.protocols.base import Envelope

CLIENT = "replay"
"""The program that the ledger names."""
MAX_BODY_BYTES = 64 * 1024
KEPT_SECONDS = 15.0
"""How long the answer's capture is waited for, which is redacted behind the call."""
_LOOK_SECONDS = 0.02

_ENVELOPES: Mapping[str, ReadEnvelope] = {
    MESSAGES_SURFACE.endpoint: anthropic_envelope,
    COUNT_TOKENS_SURFACE.endpoint: anthropic_envelope,
    GEMINI_SURFACE.endpoint: gemini_envelope,
    GEMINI_COUNT_SURFACE.endpoint: gemini_envelope,
}


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    """What the request's body may say."""

    model: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayServices:
    """What replays work on."""

    gateway: Gateway
    captures: Captures
    traces: Traces
    keys: KeyService
    append: Append
    clock: Clock
    observe: Observer
    exchanges: Mapping[str, Exchanging] = field(default_factory=dict[str, Exchanging])
    """What carries the calls of an endpoint that the gateway's own exchange does not."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay."""

    record: Record
    notes: tuple[str, ...]
    """How its request differs from the one that was captured."""
    kept: Trace | None
    """Its own capture; None where none came in time."""


class TraceReplays:
    """See the module."""

    def __init__(self, services: ReplayServices, *, kept_seconds: float = KEPT_SECONDS) -> None:
        self._services = services
        self._kept_seconds = kept_seconds

    async def run(self, visitor: Visitor, trace: Trace, scope: Scope, receive: Receive) -> dict[str, Any]:
        """Send the request of `trace` again as the body asks, and say what came of it."""
        asked = await _read_asked(scope, receive)
        replayed = await self.replay(visitor, trace, asked.model, asked.key)
        notes = list(replayed.notes)
        diff: AnswerDiff | None = None
        if replayed.kept is None:
            notes.append("the answer was not captured, so there is nothing to compare")
        else:
            diff = await asyncio.to_thread(compare_answers, trace, replayed.kept)
        event = replayed.record.event
        return {
            "request_id": event.request_id,
            "replay_of": trace.request_id,
            "key_id": event.key_id,
            "status": event.status,
            "cause": event.cause,
            "notes": notes,
            "diff": diff,
        }

    async def replay(self, visitor: Visitor, trace: Trace, model: str | None, key: str | None = None) -> "Replayed":
        """
        Send the request of `trace` again, to `model` where one is given. It counts for the visitor's own key, or for
        the one that `key` names if they have none. Raises what refuses the replay itself; what becomes of its call is
        in its record.
        """
        paying = await self._find_key(visitor, key)
        if not self._services.captures.settings.is_allowed:
            raise CaptureForbidden("captures are forbidden here, and a replay is one")
        replay = prepare_replay(trace, read_envelope(trace), model)
        request_id = new_request_id()
        detail = {"as": request_id, "key_id": paying.id, "model": model}
        await sign(self._services.append, visitor, Action.TRACE_REPLAYED, trace.request_id, **detail)
        record = await self._call(request_id, trace, replay, paying)
        return Replayed(record, replay.notes, await self._wait_kept(request_id))

    async def _find_key(self, visitor: Visitor, reference: str | None) -> ApiKey:
        """The key that the call counts for."""
        if visitor.key is not None:
            if reference is not None:
                raise BadRequest("key: the call counts for the key that it is asked with", param="key")
            return visitor.key
        if reference is None:
            hint = "name an admin key: its id, label or visible prefix ('copilot-api keys list' shows them)"
            raise BadRequest("a replay is a call, and counts for a key", param="key", hint=hint)
        try:
            key = await asyncio.to_thread(self._services.keys.get, reference)
        except GatewayError as error:
            raise BadRequest(f"key: {error.message}", param="key") from error
        if key.tier is not Tier.ADMIN or not key.is_valid_at(self._services.clock.now()):
            raise BadRequest(f"key: this is no admin key that can be used: {key.id}", param="key")
        return key

    async def _call(self, request_id: str, trace: Trace, replay: Replay, key: ApiKey) -> Record:
        """The call, from its admission to its end; what it answers goes to its capture only."""
        services, endpoint = self._services, replay.surface.endpoint
        call = Call(
            request_id=request_id,
            surface=replay.surface,
            client=CLIENT,
            arrived_at=services.clock.now(),
            began=services.clock.monotonic(),
            read_body=_giving(replay.body),
            envelope=replay.envelope,
        )
        answer = HttpAnswer(_discard, request_id, error_form_for(_path(trace.client_request), []))
        owner = trace.replay_of_key_id or trace.key_id
        captured = CapturedCall(
            "replay", key.id, request_id, call.arrived_at, call.began, CLIENT, endpoint, trace.request_id, owner
        )
        leg = trace.client_request
        capturing = services.captures.begin(captured, leg.method, leg.target, _raw_headers(leg))
        if capturing is not None:
            tap_call(call, capturing)
            answer.copy_to(capturing)
        record = services.gateway.settlement.follow(call, task := asyncio.current_task())
        try:
            with record:
                record.authenticated(key.id)
                await services.exchanges.get(endpoint, services.gateway.exchange)(call, key, record, answer)
        except GatewayError as error:
            await answer.fail(error)
        except asyncio.CancelledError as cancelled:
            reason = cancelled.args[0] if cancelled.args else None
            if not isinstance(reason, CallCancelled) or task is None:
                raise
            task.uncancel()  # it was meant for the call, not for whoever waits for the comparison
            await answer.fail(reason)
        except Exception:  # noqa: BLE001 -- as with any call: a defect of ours is the operator's to see
            services.observe(CallCrashed(request_id, traceback.format_exc()))
            await answer.fail(InternalError("the gateway failed on this call"))
        finally:
            if capturing is not None:
                capturing.finish(record.event)
        return record

    async def _wait_kept(self, request_id: str) -> Trace | None:
        """The capture of the answer, once it is redacted; None where none comes."""
        until = self._services.clock.monotonic() + self._kept_seconds
        while self._services.traces.ring.find(request_id) is None:
            if self._services.clock.monotonic() >= until:
                return None
            await asyncio.sleep(_LOOK_SECONDS)
        return await asyncio.to_thread(self._services.traces.find, request_id)


async def _read_asked(scope: Scope, receive: Receive) -> _Asked:
    body = await read_body(receive, dict(scope["headers"]), MAX_BODY_BYTES, scope["extensions"].get(EXCHANGE))
    if not body:
        return _Asked()
    try:
        return msgspec.json.decode(body, type=_Asked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"this is no replay: {error}", hint='send {"model": "…"}, or nothing at all') from None


def read_envelope(trace: Trace) -> Envelope:
    """What of the captured request stood outside its body."""
    read = _ENVELOPES.get(trace.endpoint)
    if read is None:
        return Envelope()
    path, _, query = trace.client_request.target.partition("?")
    rest = path.partition("/models/")[2]
    scope = {"query_string": query.encode("latin-1", "replace"), "state": {"rest": rest}}
    return read(scope, {name.lower(): value for name, value in _raw_headers(trace.client_request)})


def _raw_headers(leg: Leg) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in leg.headers]


def _path(leg: Leg) -> str:
    return leg.target.partition("?")[0]


def _giving(body: bytes) -> Any:
    async def read() -> bytes:
        return body

    return read


async def _discard(_message: Message) -> None:
    """Nobody waits for the answer itself."""


def compare_answers(before: Trace, after: Trace) -> AnswerDiff:
    """How what the clients got differs. May take a moment: call it from a thread."""
    return diff_answers(
        read_said(before.endpoint, before.client_answer), read_said(after.endpoint, after.client_answer)
    )
