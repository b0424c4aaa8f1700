"""What can go wrong, by name, and the rules that say when.

Four kinds: **replies** are the recorded errors of the upstream (every `name` of `errors.json`, `token_<name>` for those
of the token exchange, short aliases such as `429`); **shapes** change what an answer says; **deliveries** change how it
travels; and `401-expired` really expires the caller's token, once, so that the repetition with a new one passes.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from copilot_api.simulator.replies import Reply, json_reply, recorded_errors, recorded_token_errors
from copilot_api.simulator.wire import Json

TOKEN_PATH = "/copilot_internal/v2/token"  # noqa: S105 -- a path

SHAPES: Mapping[str, str] = {
    "no-usage": "the answer carries neither usage nor copilot_usage",
    "empty-choices": "an answer without choices, content or output",
    "midstream-error": "an error event after the first output; 500 when not streamed",
    "content-filter": "chat: finish_reason content_filter after the first output",
    "refusal": "messages: stop_reason refusal without any content",
    "failed": "responses: response.failed before any output",
    "incomplete": "cut short by the output limit, in each protocol's way",
    "repeated-ids": "chat with Claude: tool call deltas repeat the id, in the same choice as the text",
    "untyped-events": "responses: event payloads without type",
}
DELIVERIES: Mapping[str, str] = {
    "cut": "the connection closes in the middle of the answer",
    "cut-rst": "the connection is reset in the middle of the answer",
    "cut-clean": "the answer ends in the middle, properly as HTTP goes",
    "stall": "headers and the first output, then nothing ever again",
    "stall-headers": "not even headers, ever",
    "slow-headers": "headers after a while",
    "silence": "a while of nothing in the middle of the answer",
    "split-frames": "a few bytes a write, code points torn apart",
    "no-done": "no [DONE] at the end",
    "refused-close": "the connection closes before any byte of an answer",
    "garbage": "bytes that are not HTTP",
}
EXPIRY = "401-expired"
ALIASES: Mapping[str, str] = {
    "400": "plain_bad_request",
    "401": "token_expired",
    "402": "quota_exceeded",
    "403": "forbidden_plain",
    "404": "not_found",
    "408": "request_timeout",
    "413": "payload_too_large",
    "421": "misdirected",
    "422": "rai_filtered",
    "424": "failed_dependency",
    "429": "429_rate_limited",
    "466": "client_too_old",
    "499": "server_canceled",
    "500": "internal",
    "502": "bad_gateway",
    "503": "upstream_rate_limited",
    "504": "gateway_timeout",
    "529": "overloaded",
    "html-200": "html_challenge_200",
    "cut-midstream": "cut",
    "cut-mid-stream": "cut",
    "split": "split-frames",
    "length": "incomplete",
}
NOTIFICATIONS = (
    "no_copilot_access", "not_signed_up", "subscription_ended", "enterprise_managed_user_account",
    "feature_flag_blocked", "spammy_user", "billing_locked", "trade_restricted", "trade_restricted_country",
    "codespaces_demo_inactive", "snippy_not_configured", "expired_coupon", "revoked_coupon", "go_http_client",
    "programmatic_token_generation", "access_revoked", "server_error",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to go wrong."""

    name: str
    kind: Literal["reply", "shape", "delivery", "expiry"]
    reply: Reply | None = None
    seconds: float | None = None
    after: int | None = None
    """How many events come before a delivery goes wrong; None leaves it to the fault."""


_ABUSE = "Your access to GitHub Copilot was suspended: our systems detected abuse of the service from this account."
"""No notice of this kind is recorded: the words are ours, in the manner of those that people have quoted."""


@cache
def _replies() -> Mapping[str, Reply]:
    """Every refusal by its full name."""
    replies = dict(recorded_errors())
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    replies["overloaded"] = json_reply(overloaded, 529)
    replies["abuse"] = json_reply({"error": {"message": _ABUSE, "code": "account_suspended"}}, 403)
    replies.update({f"token_{name}": reply for name, reply in recorded_token_errors().items()})
    replies.update({f"token_403_{notification}": _envelope(notification) for notification in NOTIFICATIONS})
    return replies


def _envelope(notification: str) -> Reply:
    """The 403 of the token exchange for an account that may not use Copilot."""
    details = {
        "message": f"Sample text: {notification.replace('_', ' ')}.",
        "notification_id": notification,
        "title": "Contact support",
        "url": "https://support.github.com",
    }
    body = {
        "can_signup_for_limited": notification == "not_signed_up",
        "error_details": details,
        "message": "Resource not accessible by integration",
        "reason": notification,
    }
    return json_reply(body, 403)


def find_fault(name: str) -> Fault | None:
    """The fault of that name or alias."""
    name = ALIASES.get(name, name)
    if name == EXPIRY:
        return Fault(name, "expiry")
    if name in SHAPES:
        return Fault(name, "shape")
    if name in DELIVERIES:
        return Fault(name, "delivery")
    reply = _replies().get(name)
    return Fault(name, "reply", reply) if reply else None


def describe_faults() -> Json:
    """Every name, with what it does."""
    expiry = {EXPIRY: "the caller's token expires; the repeated call with a new one passes"}
    replies = {name: f"status {reply.status}" for name, reply in _replies().items()}
    return {"faults": {**SHAPES, **DELIVERIES, **expiry, **replies}, "aliases": dict(ALIASES)}


@dataclass(slots=True)
class _Rule:
    fault: Fault
    endpoint: str | None
    rate: float
    left: int | None

    def covers(self, path: str, *, is_model_call: bool) -> bool:
        if self.endpoint is not None:
            return self.endpoint in {path, "*"}
        if self.fault.name.startswith("token_4") or self.fault.name == "token_500":
            return path == TOKEN_PATH
        return is_model_call


class FaultRules:
    """At most one rule an endpoint, and one for all that have none."""

    def __init__(self, seed: int) -> None:
        self._rules: dict[str | None, _Rule] = {}
        self._random = random.Random(seed)  # noqa: S311 -- draws that repeat, not secrets

    def set_rule(self, fault: Fault, *, endpoint: str | None, rate: float, count: int | None) -> None:
        """From now on that fault, in place of the endpoint's previous one."""
        self._rules[endpoint] = _Rule(fault, endpoint, rate, count)

    def clear(self, endpoint: str | None) -> None:
        """No more faults there; None clears them all."""
        if endpoint is None:
            self._rules.clear()
        else:
            self._rules.pop(endpoint, None)

    def pick(self, path: str, *, is_model_call: bool) -> Fault | None:
        """The fault for the call at hand, if a rule covers it and the draw says so."""
        for endpoint, rule in list(self._rules.items()):
            if not rule.covers(path, is_model_call=is_model_call) or self._random.random() >= rule.rate:
                continue
            if rule.left is not None:
                rule.left -= 1
                if rule.left <= 0:
                    del self._rules[endpoint]
            return rule.fault
        return None

    def expires_tokens(self, path: str) -> bool:
        """Whether a rule expires the tokens of model calls on that path."""
        rules = self._rules.values()
        return any(rule.fault.kind == "expiry" and rule.covers(path, is_model_call=True) for rule in rules)

    def describe(self) -> list[Json]:
        """The rules in force."""
        return [
            {"name": rule.fault.name, "endpoint": rule.endpoint, "rate": rule.rate, "count": rule.left}
            for rule in self._rules.values()
        ]


def tune(fault: Fault, *, seconds: float | None, after: int | None, headers: Mapping[str, str]) -> Fault:
    """The same fault with another wait, another place, or other headers such as `retry-after`."""
    reply = fault.reply.with_headers(headers) if fault.reply and headers else fault.reply
    return replace(fault, seconds=seconds, after=after, reply=reply)
