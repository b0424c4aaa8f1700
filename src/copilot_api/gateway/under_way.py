"""
The calls that are under way: which they are, how far each is, and ending one from outside.

A record enters itself when its call begins and leaves when it ends (`copilot_api.gateway.settlement`), which costs a
call next to nothing; all that there is to tell of it is read when somebody looks.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from copilot_api.errors import GatewayError
from copilot_api.gateway.call import Call
from copilot_api.observability.events import EndedCall


class Phase(StrEnum):
    """How far a call is."""

    READING = "reading"
    """Its body is on the way, or not understood yet."""
    QUEUED = "queued"
    """It waits for limits, its turn, or a slot."""
    WAITING = "waiting"
    """It went upstream, and nothing of the answer is here."""
    STREAMING = "streaming"
    """The answer comes."""
    ENDING = "ending"
    """It is settled; its last bytes leave."""


class CallNotUnderWay(GatewayError):
    """No call by that request id is under way; it may have ended."""

    number, code, status = 114, "call_not_under_way", 404
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "GET /admin/api/overview lists the calls that are under way"


class CallCancelled(GatewayError):
    """An admin ended the call."""

    number, code, status = 907, "call_cancelled", 503
    kind, cause, is_final = "server_error", "interrupted", True
    hint = "ask the gateway's operator why; they find it in the audit log under the request id"


class CallUnderWay(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A call at one moment."""

    request_id: str
    at: datetime
    """When it arrived."""
    age_seconds: float
    phase: Phase
    key_id: str | None
    """None until the caller is known."""
    client: str
    endpoint: str
    model: str | None
    """The name that the caller used; None until the body is read."""
    upstream_model: str | None
    stream: bool
    time_to_first_token: float | None
    bytes_out: int
    queue_place: int | None
    """Its place in the line for a slot, 1 being next; None where it is not in line."""


class Followed(Protocol):
    """A call that is under way, as its record knows it."""

    @property
    def call(self) -> Call:
        """The call itself."""
        ...

    @property
    def event(self) -> EndedCall:
        """What is known of it."""
        ...

    @property
    def phase(self) -> Phase:
        """How far it is."""
        ...

    @property
    def task(self) -> asyncio.Task[object] | None:
        """What carries it."""
        ...


def list_under_way(records: Mapping[str, Followed], places: Mapping[str, int], now: float) -> list[CallUnderWay]:
    """All that are under way, the oldest first. `places` are those in line, by request id; `now` is monotonic."""
    found = [_describe(record, places, now) for record in records.values()]
    return sorted(found, key=lambda call: (-call.age_seconds, call.request_id))


def find_under_way(records: Mapping[str, Followed], request_id: str) -> Followed:
    """The call with that request id. Raises `CallNotUnderWay`, also for one that is settled already."""
    record = records.get(request_id)
    if record is None or record.phase is Phase.ENDING:
        raise CallNotUnderWay("no such call is under way")
    return record


def cancel_call(records: Mapping[str, Followed], request_id: str) -> None:
    """
    End a call, wherever it waits: its caller is told, and the ledger has it as interrupted, once. Raises
    `CallNotUnderWay`. To be called in the event loop.
    """
    task = find_under_way(records, request_id).task
    if task is not None:
        task.cancel(CallCancelled("an admin of the gateway ended this call"))


def _describe(record: Followed, places: Mapping[str, int], now: float) -> CallUnderWay:
    call, event, phase = record.call, record.event, record.phase
    return CallUnderWay(
        request_id=call.request_id,
        at=call.arrived_at,
        age_seconds=round(max(0.0, now - call.began), 3),
        phase=phase,
        key_id=event.key_id,
        client=call.client,
        endpoint=call.surface.endpoint,
        model=event.model,
        upstream_model=event.upstream_model,
        stream=event.stream,
        time_to_first_token=event.time_to_first_token,
        bytes_out=event.bytes_out,
        queue_place=places.get(call.request_id) if phase is Phase.QUEUED else None,
    )
