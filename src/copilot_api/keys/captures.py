"""Orders to capture a key: what they may say, and what the audit log says of them. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from copilot_api.audit.models import LOCAL, Action, AuditEvent, Origin
from copilot_api.errors import BadRequest, GatewayError
from copilot_api.keys.models import ApiKey, CaptureOrder
from copilot_api.observability.logs import strike_secrets

MAX_REASON = 200
MAX_SECONDS = 86_400
"""The longest that one order lasts; it may be renewed."""

EXPIRED, REVOKED, ASKED, SWITCHED_OFF = "expired", "key revoked", "asked", "features.debug is false"
"""Why a capture ended, as the audit log has it."""


class CaptureForbidden(GatewayError):
    """The operator has switched captures off."""

    number, code, status = 113, "capture_forbidden", 409
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "features.debug is false in config.json: 'copilot-api config set features.debug true' allows captures"


def make_order(key: ApiKey, reason: str, seconds: float, now: datetime, actor: str) -> CaptureOrder:
    """The order to capture `key` from now on, or to go on capturing it. Raises `BadRequest`."""
    # Written so that what is not a number is refused too.
    if not 1 <= seconds <= MAX_SECONDS:
        raise BadRequest(
            "a capture lasts from one second to 24 hours",
            param="seconds",
            hint="it may be renewed before or after its end, with a reason each time",
        )
    running = key.capture_at(now)
    return CaptureOrder(
        _checked_reason(reason),
        actor,
        now if running is None else running.since,
        now + timedelta(seconds=seconds),
    )


def sign_order(key: ApiKey, order: CaptureOrder, now: datetime, actor: str, origin: Origin) -> AuditEvent:
    """What the audit log says of an order."""
    action = Action.CAPTURE_STARTED if key.capture_at(now) is None else Action.CAPTURE_RENEWED
    return AuditEvent(actor, action, key.id, _describe(key, order), origin)


def end_order(key: ApiKey, actor: str, why: str, origin: Origin = LOCAL) -> tuple[ApiKey, AuditEvent] | None:
    """The key without its order, and the line about that; None where it has none."""
    if key.capture is None:
        return None
    event = AuditEvent(actor, Action.CAPTURE_ENDED, key.id, {"why": why, **_describe(key, key.capture)}, origin)
    return replace(key, capture=None), event


def _checked_reason(reason: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON or not reason.isprintable():
        raise BadRequest(
            f"a capture needs a reason of 1 to {MAX_REASON} characters, all of them printable",
            param="reason",
            hint="say why; the key's holder and the audit log are told",
        )
    if strike_secrets(reason) != reason:
        raise BadRequest("a reason is not the place for a secret", param="reason")
    return reason


def _describe(key: ApiKey, order: CaptureOrder) -> dict[str, object]:
    return {"label": key.label, "reason": order.reason, "until": order.until.isoformat(timespec="seconds")}
