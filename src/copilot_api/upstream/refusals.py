"""
What an upstream error means to the caller, and whether repeating the call can help (protocol reference, 11).

Copilot has four envelopes, JSON under `text/plain`, bodies that are HTML and bodies that are empty; the message is
taken from wherever it stands, the code decides.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime

import msgspec

from copilot_api.errors import (
    AccountFlagged,
    BodyTooLarge,
    GatewayError,
    UpstreamFailed,
    UpstreamForbidden,
    UpstreamQuotaExceeded,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnauthorized,
)
from copilot_api.protocols.copilot_errors import MAX_MESSAGE, context_overflow, is_context_overflow
from copilot_api.protocols.untyped import object_of, text_of

MAX_RETRY_AFTER_SECONDS = 35 * 86_400.0
"""Allowances come back by the month; whatever is announced beyond is a mistake."""
_SUSPICION = ("suspend", "suspicious", "flagged", "banned")
_LIMIT_PHRASES = ("rate limit", "too many requests", "quota")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An upstream error, read."""

    error: GatewayError
    is_repeatable: bool
    """Whether the same call may well succeed in a moment."""
    is_expired_credential: bool = False
    is_sign: bool = False
    """Whether it may be too much for Copilot or the account: a limit, a refusal by policy, a failure of its own."""


def parse_refusal(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Refusal:
    """The error in an answer whose status is not 200, or whose 200 is none."""
    refusal = _parse_refusal(status, headers, body, now)
    is_limit = isinstance(refusal.error, UpstreamRateLimited | AccountFlagged)
    # A 403 with a code is a policy about a model, which callers run into as they like; one without may be the account.
    is_blocked = status == 403 and refusal.error.upstream_code is None
    is_sign = status == 200 or status >= 500 or is_limit or is_blocked
    return replace(refusal, is_sign=is_sign)


def _parse_refusal(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Refusal:
    code, message, param = _parse_body(body)
    wait = parse_retry_after(headers.get("retry-after"), now)
    family = code.partition(":")[0]
    if is_abuse_signal(status, code, message):
        return Refusal(AccountFlagged(message or "GitHub has flagged this account"), False)
    if status == 401:
        is_expired = b"authorize_url" not in body
        return Refusal(
            UpstreamUnauthorized("GitHub Copilot does not accept the gateway's credential"), False, is_expired
        )
    if status == 402:
        text = message or "the Copilot account's allowance is used up"
        return Refusal(UpstreamQuotaExceeded(text, upstream_code=code or None, retry_after=wait), False)
    if status == 429 or (status == 400 and family == "rate_limited"):
        text = message or "GitHub Copilot limits this account"
        return Refusal(UpstreamRateLimited(text, upstream_code=code or None, retry_after=wait or 30.0), False)
    if status == 503:
        if not body or any(phrase in message.lower() for phrase in _LIMIT_PHRASES):
            return Refusal(
                UpstreamRateLimited(message or "GitHub Copilot is overloaded", status=503, retry_after=wait or 5.0),
                False,
            )
        return Refusal(UpstreamFailed(message or "GitHub Copilot is unavailable", status=503, retry_after=wait), True)
    if status in {400, 422, 466}:
        return _bad_request(status, code, message, param, body)
    if status == 403:
        return Refusal(
            UpstreamForbidden(message or "GitHub Copilot refuses the call", upstream_code=code or None), False
        )
    if status == 413:
        return Refusal(
            BodyTooLarge(message or "the request is too large for GitHub Copilot", hint="send a smaller request"), False
        )
    if status == 408:
        return Refusal(UpstreamTimeout(message or "GitHub Copilot did not get the whole request in time"), True)
    if status in {504, 529}:
        return Refusal(UpstreamTimeout(message or f"GitHub Copilot answered {status}"), True)
    if status == 200:
        return Refusal(
            UpstreamFailed("GitHub Copilot answered a web page instead of an answer", retry_after=30.0), False
        )
    return Refusal(UpstreamFailed(message or f"GitHub Copilot answered {status}"), status in {500, 502})


def is_abuse_signal(status: int, code: str, message: str) -> bool:
    """
    Whether GitHub says that the account itself is under suspicion: not a limit, and not a model's policy. There is no
    code for it that is published; notices speak of abuse, of suspicious use, or of a suspended account.
    """
    if status not in {401, 403, 429, 451}:
        return False
    text = f"{code} {message}".lower()
    return "abus" in text or (status != 429 and any([word in text for word in _SUSPICION]))


def _bad_request(status: int, code: str, message: str, param: str | None, body: bytes) -> Refusal:
    if status == 466:
        upgrade = "this version of the gateway is too old for GitHub Copilot: upgrade it"
        too_old = UpstreamFailed("GitHub Copilot no longer supports this client version", hint=upgrade)
        return Refusal(too_old, False)
    if status == 400 and not body.strip():
        # Without a body it is the sign of a passing fault in front of the models; a real 400 says what is wrong.
        return Refusal(UpstreamFailed("GitHub Copilot answered 400 without a reason"), True)
    if is_context_overflow(code, message):
        return Refusal(context_overflow(message), False)
    hint = "GET /v1/models lists the models" if code.startswith("model_not") else None
    return Refusal(
        UpstreamRefused(
            message or "GitHub Copilot refuses it", param=param, upstream_code=code or None, status=status, hint=hint
        ),
        code == "cyber_policy",
    )


def _parse_body(body: bytes) -> tuple[str, str, str | None]:
    """Code, message and parameter, whichever envelope they are in. HTML has no message."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        text = body[:MAX_MESSAGE].decode(errors="replace").strip()
        return "", "" if text.startswith("<") else text, None
    outer = object_of(document)
    inner = outer.get("error", document)
    if isinstance(inner, str):
        return "", inner[:MAX_MESSAGE], None
    fields = object_of(inner)
    code = fields.get("code") or outer.get("code") or ""
    param = fields.get("param")
    message = _innermost(text_of(fields.get("message")))[:MAX_MESSAGE]
    return str(code), message, param if isinstance(param, str) else None


def _innermost(message: str) -> str:
    """The message itself where it is another error envelope, quoted whole."""
    if message.startswith("{"):
        try:
            nested = object_of(msgspec.json.decode(message.encode()))
        except (msgspec.DecodeError, RecursionError):
            return message
        return text_of(object_of(nested.get("error", nested)).get("message")) or message
    return message


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """`Retry-After` in seconds: it comes as seconds, as an HTTP date, or (on 402) as an ISO date."""
    if not value:
        return None
    for parse in (_parse_seconds, _parse_http_date, _parse_iso_date):
        try:
            seconds = parse(value, now)
        except (ValueError, TypeError, OverflowError):
            continue
        return min(max(0.0, seconds), MAX_RETRY_AFTER_SECONDS)
    return None


def _parse_http_date(value: str, now: datetime) -> float:
    return (parsedate_to_datetime(value) - now).total_seconds()


def _parse_iso_date(value: str, now: datetime) -> float:
    return (datetime.fromisoformat(value) - now).total_seconds()


def _parse_seconds(value: str, _now: datetime) -> float:
    seconds = float(value)
    if not math.isfinite(seconds):
        raise ValueError(value)
    return seconds
