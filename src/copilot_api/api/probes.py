"""
Trying a key: one small call in each protocol, made inside the gateway as that key.

It is a call like any other: its model is checked, it is limited, queued, charged and in the ledger, as the program
`probe`. What it shows is that key, limits, model and Copilot go together; the way from a client to the gateway it does
not take, nor is anything of it captured.
"""

import asyncio
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from copilot_api.api.endpoint import HttpAnswer
from copilot_api.api.errors import error_form_for, new_request_id
from copilot_api.api.http_exchange import Message
from copilot_api.clock import Clock
from copilot_api.errors import GatewayError, InternalError
from copilot_api.gateway.call import Call
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.settlement import Record
from copilot_api.gateway.surface import Surface
from copilot_api.gateway.surfaces import CHAT_SURFACE, GEMINI_SURFACE, MESSAGES_SURFACE, RESPONSES_SURFACE
from copilot_api.gateway.under_way import CallCancelled
from copilot_api.keys.models import ApiKey
from copilot_api.observability.events import CallCrashed, Observer
from copilot_api.protocols.base import Envelope
from copilot_api.upstream.prices import NANO_PER_CREDIT

CLIENT = "probe"
"""The program that the ledger names."""
PROBE_SECONDS = 30.0
"""After so long a probe is given up."""
MOST_TOKENS = 16
_SAY = "Answer with the word: ready"
_SURFACES: Mapping[str, Surface] = {
    "chat": CHAT_SURFACE,
    "responses": RESPONSES_SURFACE,
    "messages": MESSAGES_SURFACE,
    "gemini": GEMINI_SURFACE,
}
PROTOCOLS = tuple(_SURFACES)


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of one probe."""

    protocol: str
    endpoint: str
    request_id: str
    status: int
    cause: str
    message: str
    """Why it failed; empty where it did not."""
    hint: str
    answered_by: str | None
    """The model, by its id upstream."""
    time_to_first_token: float | None
    duration: float
    tokens: int
    credits: float | None

    @property
    def is_ok(self) -> bool:
        """Whether the answer was whole."""
        return self.cause == "ok"


@dataclass(frozen=True, slots=True)
class _Failure:
    message: str = ""
    hint: str = ""
    status: int = 0


class Probes:
    """See the module."""

    def __init__(self, gateway: Gateway, clock: Clock, observe: Observer, *, seconds: float = PROBE_SECONDS) -> None:
        self._gateway = gateway
        self._clock = clock
        self._observe = observe
        self._seconds = seconds

    async def run(self, key: ApiKey, protocol: str, model: str) -> Probed:
        """Make the call of one of `PROTOCOLS`, and say what came of it. Raises nothing for a call that fails."""
        surface, request_id = _SURFACES[protocol], new_request_id()
        body = msgspec.json.encode(_make_body(protocol, model))

        async def read_body() -> bytes:
            return body

        call = Call(
            request_id=request_id,
            surface=surface,
            client=CLIENT,
            arrived_at=self._clock.now(),
            began=self._clock.monotonic(),
            read_body=read_body,
            envelope=Envelope(model=model, is_streamed=True) if protocol == "gemini" else Envelope(),
        )
        answer = HttpAnswer(_discard, request_id, error_form_for(surface.endpoint, []))
        task = asyncio.current_task()
        record = self._gateway.settlement.follow(call, task)
        failure = await self._carry(call, key, record, answer)
        return _describe(protocol, record, failure)

    async def _carry(self, call: Call, key: ApiKey, record: Record, answer: HttpAnswer) -> _Failure:
        """The call from its admission to its end; says why it failed, if it did."""
        try:
            async with asyncio.timeout(self._seconds):
                with record:
                    record.authenticated(key.id)
                    await self._gateway.exchange(call, key, record, answer)
        except GatewayError as error:
            return _tell(error)
        except TimeoutError:
            hint = "the line may be long, or Copilot slow: look again in a while"
            return _Failure(f"there was no whole answer within {self._seconds:g} seconds", hint)
        except asyncio.CancelledError as cancelled:
            reason = cancelled.args[0] if cancelled.args else None
            if not isinstance(reason, CallCancelled) or record.task is None:
                raise
            record.task.uncancel()  # it was meant for the call, not for whoever waits for what came of it
            return _tell(reason)
        except Exception:  # noqa: BLE001 -- as with any call: a defect of ours is the operator's to see
            self._observe(CallCrashed(call.request_id, traceback.format_exc()))
            return _tell(InternalError("the gateway failed on this call"))
        return _Failure()


def _tell(error: GatewayError) -> _Failure:
    return _Failure(error.message, error.actual_hint or "", error.actual_status)


def _make_body(protocol: str, model: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": _SAY}]
    match protocol:
        case "responses":
            return {"model": model, "input": _SAY, "max_output_tokens": MOST_TOKENS, "store": False, "stream": True}
        case "gemini":
            return {
                "contents": [{"role": "user", "parts": [{"text": _SAY}]}],
                "generationConfig": {"maxOutputTokens": MOST_TOKENS},
            }
        case _:
            return {"model": model, "messages": messages, "max_tokens": MOST_TOKENS, "stream": True}


def _describe(protocol: str, record: Record, failure: _Failure) -> Probed:
    event = record.event
    return Probed(
        protocol=protocol,
        endpoint=event.endpoint,
        request_id=event.request_id,
        status=event.status or failure.status,
        cause=event.cause,
        message=failure.message,
        hint=failure.hint,
        answered_by=event.upstream_model,
        time_to_first_token=event.time_to_first_token,
        duration=event.duration,
        tokens=event.input_tokens + event.output_tokens,
        credits=None if event.nano_aiu is None else event.nano_aiu / NANO_PER_CREDIT,
    )


async def _discard(_message: Message) -> None:
    """What is said is nobody's business; that it was said is in the record."""
