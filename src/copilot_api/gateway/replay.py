"""
What of a captured call can be sent again: its request as it was kept, to the same model or another. Pure.

What was redacted is not known any more: a placeholder is sent in its place, and that is said. A body that is not there
whole cannot be sent.
"""

import re
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from copilot_api.capture.answers import GEMINI
from copilot_api.capture.models import Trace
from copilot_api.errors import BadRequest, GatewayError
from copilot_api.gateway.surface import Surface
from copilot_api.gateway.surfaces import GEMINI_COUNT_SURFACE, find_surface
from copilot_api.protocols.base import Envelope

_PLACEHOLDER = re.compile(r"\[redacted:[a-z0-9_.-]+:[0-9a-f]{6}\]")
_IN_PATH = {GEMINI, GEMINI_COUNT_SURFACE.endpoint}
"""The endpoints whose model stands in the path."""
MAX_MODEL = 200


class ReplayImpossible(GatewayError):
    """Of the captured request too little is kept to send it again."""

    number, code, status = 112, "replay_impossible", 409
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "capture the call anew: what is kept of this one is not all that was sent"


@dataclass(frozen=True, slots=True)
class Replay:
    """A captured request, ready to be sent again."""

    surface: Surface
    body: bytes
    envelope: Envelope
    notes: tuple[str, ...]
    """How it differs from the call that was captured."""


def prepare_replay(trace: Trace, envelope: Envelope, model: str | None) -> Replay:
    """
    The request of `trace`, with what stood outside of its body in `envelope`; to `model` where one is given. Raises
    `ReplayImpossible`, or `BadRequest` for a model that is no name.
    """
    surface, leg = find_surface(trace.endpoint), trace.client_request
    if surface is None:
        raise ReplayImpossible(f"this gateway has no endpoint {trace.endpoint[:100]!a}")
    if leg.withheld:
        raise ReplayImpossible(f"the request's body was not kept: {leg.withheld}")
    if leg.cut is not None:
        raise ReplayImpossible(f"the last {leg.cut.bytes} bytes of the request's body were not kept")
    if not leg.body:
        raise ReplayImpossible("the request had no body, or ended before it came")
    body, notes = leg.body.encode(), _differences(leg.body)
    if model is not None:
        if not 0 < len(model) <= MAX_MODEL:
            raise BadRequest(f"a model's name has 1 to {MAX_MODEL} characters", param="model")
        notes = (*notes, f"the model is {model} instead of {trace.model}")
        if trace.endpoint in _IN_PATH:
            envelope = replace(envelope, model=model)
        else:
            body = _with_model(body, model)
    return Replay(surface, body, envelope, notes)


def _differences(body: str) -> tuple[str, ...]:
    placeholders = len(_PLACEHOLDER.findall(body))
    if not placeholders:
        return ()
    return (f"{placeholders} placeholder{'s' * (placeholders > 1)} went out where secrets were: the answer may differ",)


def _with_model(body: bytes, model: str) -> bytes:
    """The body with another model; everything else as it was written."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ReplayImpossible("the request's body is no JSON object, so that no other model can be put in") from None
    fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    return msgspec.json.encode(fields)
