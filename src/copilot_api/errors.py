"""
Every error that the gateway answers.

    GatewayError
    ├── 1xx the request         BadRequest · BodyTooLarge · RequestTimeout · RouteNotFound · MethodNotAllowed ·
    │                           UnsupportedMediaType
    ├── 2xx key and admission   Unauthorized · AdminRequired · ModelNotAllowed · ModelNotFound · RateLimited ·
    │                           TooLargeForLimit · NotApproved · AddressNotAllowed · OverBudget ·
    │                           QueueTimeout · QueueFull
    ├── 3xx the upstream        UpstreamRefused · UpstreamRateLimited · UpstreamQuotaExceeded · UpstreamFailed ·
    │                           UpstreamTimeout · UpstreamCut · UpstreamUnauthorized · UpstreamForbidden ·
    │                           CatalogUnavailable · NoCredential · AccountFlagged · UpstreamStopped
    ├── 4xx storage             StorageUnavailable
    └── 9xx ours                InternalError · ShuttingDown

A package that raises an error nobody else does defines it beside the code that raises it. Policy raises, edges render:
nothing here knows a protocol. `code` is stable and public; `docs/reference/errors.md` lists all.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class LimitReached:
    """
    Which limit refused a call: its name (`rpm`, `tpm`, `max_in_flight`, `credits:day`, …), how much of it is taken now,
    how much is allowed, and its unit in words.
    """

    name: str
    current: float
    allowed: float
    unit: str = ""
    """`requests`, `tokens`, `calls`, `credits`, `premium requests`."""


class Rate(NamedTuple):
    """How a limit per minute stands, as clients are told in headers, with answers and with refusals."""

    unit: Literal["requests", "tokens"]
    limit: int
    remaining: int
    reset_seconds: float
    """Until all of it is there again, if nothing more comes."""


class GatewayError(Exception):
    """
    A refusal or a failure with an HTTP status, a stable code, and what to do next.

    `message` says what is wrong, `hint` what to do; both may be shown to the caller and hold no secret.
    """

    number: ClassVar[int] = 900
    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    kind: ClassVar[str] = "server_error"
    """The error's family in the words of the OpenAI protocol (`error.type`)."""
    cause: ClassVar[str] = "internal"
    """What the usage event calls it; a member of `copilot_api.usage.models.Cause`."""
    hint: ClassVar[str | None] = None
    is_final: ClassVar[bool] = False
    """True where repeating the call cannot help: clients are told not to (`x-should-retry: false`)."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        upstream_code: str | None = None,
        status: int | None = None,
        hint: str | None = None,
        limit: LimitReached | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.upstream_code = upstream_code
        """The code that Copilot gave; shown instead of ours where a client acts on it."""
        self.actual_status = status or self.status
        self.actual_hint = hint or self.hint
        self.limit = limit
        """The limit that refused the call, where it was one."""
        self.rates: tuple[Rate, ...] = ()
        """How the caller's limits per minute stand, where they were looked at."""

    @property
    def public_code(self) -> str:
        """The code that the caller sees."""
        return self.upstream_code or self.code

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The response headers that belong to this error."""
        headers: list[tuple[bytes, bytes]] = []
        if self.retry_after is not None:
            # Rounded up: a client that comes back early is refused again.
            headers.append((b"retry-after", str(max(1, -int(-self.retry_after // 1))).encode()))
        if self.is_final:
            headers.append((b"x-should-retry", b"false"))
        return headers


# 1xx: the request -------------------------------------------------------------------------------------------------


class BadRequest(GatewayError):
    """The request cannot be read, or says something it may not."""

    number, code, status = 101, "invalid_request", 400
    kind, cause, is_final = "invalid_request_error", "bad_request", True


class BodyTooLarge(GatewayError):
    """The body is over the limit."""

    number, code, status = 102, "request_too_large", 413
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "send a smaller request, or have the operator raise limits.max_body_mb"


class RequestTimeout(GatewayError):
    """The body stopped arriving."""

    number, code, status = 103, "request_timeout", 408
    kind, cause = "invalid_request_error", "bad_request"
    hint = "send the whole body; it stopped arriving"


class RouteNotFound(GatewayError):
    """No such path."""

    number, code, status = 104, "route_not_found", 404
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "the endpoints are listed at GET /"


class MethodNotAllowed(GatewayError):
    """The path exists, not with this method."""

    number, code, status = 105, "method_not_allowed", 405
    kind, cause, is_final = "invalid_request_error", "bad_request", True

    def __init__(self, method: str, path: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} is not allowed on {path}", hint=f"use {' or '.join(allowed)}")
        self.allowed = allowed

    def headers(self) -> list[tuple[bytes, bytes]]:
        """See `GatewayError`; `Allow` is due with a 405."""
        return [*super().headers(), (b"allow", ", ".join(self.allowed).encode())]


class UnsupportedMediaType(GatewayError):
    """The body is encoded in a way that the gateway does not read."""

    number, code, status = 106, "unsupported_content_encoding", 415
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "send the body as plain JSON, without Content-Encoding"


# 2xx: key and admission -------------------------------------------------------------------------------------------


class Unauthorized(GatewayError):
    """No key, or one that is not valid (any more)."""

    number, code, status = 201, "invalid_api_key", 401
    kind, cause, is_final = "authentication_error", "unauthorized", True
    hint = "send 'Authorization: Bearer sk-cap-…'; the gateway's operator makes keys with 'copilot-api keys create'"

    def headers(self) -> list[tuple[bytes, bytes]]:
        """See `GatewayError`; a 401 names its scheme."""
        return [*super().headers(), (b"www-authenticate", b'Bearer realm="copilot-api"')]


class AdminRequired(GatewayError):
    """The key is good, but not an admin key."""

    number, code, status = 202, "admin_required", 403
    kind, cause, is_final = "permission_error", "unauthorized", True
    hint = "use a key of tier admin"


class ModelNotAllowed(GatewayError):
    """The key may not use this model."""

    number, code, status = 203, "model_not_allowed", 403
    kind, cause, is_final = "permission_error", "model_not_allowed", True
    hint = "GET /v1/models lists what this key may use"


class ModelNotFound(GatewayError):
    """No such model, or not on this endpoint."""

    number, code, status = 204, "model_not_found", 404
    kind, cause, is_final = "invalid_request_error", "model_not_found", True
    hint = "GET /v1/models lists the models"


class RateLimited(GatewayError):
    """A limit of the gateway's own is reached."""

    number, code, status = 205, "rate_limited", 429
    kind, cause = "rate_limit_error", "rate_limited"


class TooLargeForLimit(RateLimited):
    """The request alone is more than a minute's limit: waiting does not help."""

    number, code, status = 213, "request_exceeds_limit", 429
    kind, is_final = "insufficient_quota", True
    hint = "send a smaller request, or have the gateway's operator raise the key's limit"


class NotApproved(GatewayError):
    """The operator, asked in the terminal, said no or did not answer."""

    number, code, status = 206, "not_approved", 403
    kind, cause, is_final = "permission_error", "rate_limited", True
    hint = "the gateway runs with --manual: its operator approves each call"


class OverBudget(GatewayError):
    """A budget is used up until its window ends."""

    number, code, status = 209, "budget_exceeded", 429
    kind, cause, is_final = "insufficient_quota", "over_budget", True
    hint = "GET /usage shows what is left and when it comes back; the gateway's operator can raise the budget"


class QueueTimeout(GatewayError):
    """The call waited its time for a free slot, and got none."""

    number, code, status = 210, "queue_timeout", 429
    kind, cause = "rate_limit_error", "queue_timeout"
    hint = "the gateway is busy: try again later, or have its operator raise limits.max_in_flight_per_identity"


class QueueFull(GatewayError):
    """There is no place in the line before the upstream."""

    number, code, status = 211, "queue_full", 429
    kind, cause = "rate_limit_error", "rate_limited"
    hint = "too many calls wait already: send fewer at once, and try again in a moment"


class AddressNotAllowed(GatewayError):
    """The key may not be used from this address."""

    number, code, status = 212, "address_not_allowed", 403
    kind, cause, is_final = "permission_error", "unauthorized", True
    hint = "use the key from a network that it is meant for; the gateway's operator changes them with --cidr"


# 3xx: the upstream ------------------------------------------------------------------------------------------------


class UpstreamRefused(GatewayError):
    """Copilot found fault with the request itself; its status and code are passed on."""

    number, code, status = 301, "upstream_refused", 400
    kind, cause, is_final = "invalid_request_error", "upstream_error", True


class UpstreamRateLimited(GatewayError):
    """Copilot asks for fewer calls."""

    number, code, status = 302, "upstream_rate_limited", 429
    kind, cause = "rate_limit_error", "upstream_rate_limited"
    hint = "GitHub Copilot limits this account; wait as long as Retry-After says"


class UpstreamQuotaExceeded(GatewayError):
    """The account's allowance is used up; waiting a moment does not help."""

    number, code, status = 303, "quota_exceeded", 429
    kind, cause, is_final = "insufficient_quota", "upstream_rate_limited", True
    hint = "the Copilot account has used its allowance; the gateway's operator sees it with 'copilot-api check-usage'"


class UpstreamFailed(GatewayError):
    """Copilot failed, or answered something that is not an answer."""

    number, code, status = 304, "upstream_error", 502
    kind, cause = "server_error", "upstream_error"
    hint = "try again in a moment"


class UpstreamTimeout(GatewayError):
    """Copilot did not answer in time."""

    number, code, status = 305, "upstream_timeout", 504
    kind, cause = "server_error", "upstream_timeout"
    hint = "try again; a smaller request or a lower reasoning effort answers sooner"


class UpstreamCut(GatewayError):
    """Copilot's answer broke off."""

    number, code, status = 306, "upstream_cut", 502
    kind, cause = "server_error", "upstream_cut"
    hint = "the answer is incomplete; send the request again"


class UpstreamUnauthorized(GatewayError):
    """Copilot does not accept the gateway's own credential. The caller's key is fine: hence not a 401."""

    number, code, status = 307, "upstream_unauthorized", 502
    kind, cause = "server_error", "upstream_error"
    hint = "the gateway's GitHub credential is not accepted; its operator runs 'copilot-api auth status'"


class CatalogUnavailable(GatewayError):
    """Copilot's list of models is not known yet."""

    number, code, status = 308, "catalog_unavailable", 503
    kind, cause = "server_error", "upstream_error"
    hint = "the gateway cannot reach GitHub Copilot yet; GET /readyz says why"


class NoCredential(GatewayError):
    """No GitHub credential is configured."""

    number, code, status = 309, "no_credential", 503
    kind, cause = "server_error", "upstream_error"
    hint = "the gateway's operator runs 'copilot-api auth login'"


class UpstreamForbidden(GatewayError):
    """Copilot refuses the account or the model by policy."""

    number, code, status = 310, "upstream_forbidden", 403
    kind, cause, is_final = "permission_error", "upstream_error", True
    hint = "GitHub Copilot refuses this by policy; the gateway's operator checks the account's Copilot settings"


class AccountFlagged(GatewayError):
    """GitHub says that the account is used in a way that it does not allow. Nothing more is sent for it."""

    number, code, status = 312, "account_flagged", 403
    kind, cause, is_final = "permission_error", "upstream_error", True
    hint = "the gateway has stopped calling GitHub; its operator reads the log and GET /readyz"


class UpstreamStopped(GatewayError):
    """The gateway sends nothing for this account since GitHub flagged it, until its operator resumes it."""

    number, code, status = 313, "upstream_stopped", 503
    kind, cause = "server_error", "upstream_error"
    hint = "the gateway's operator makes sure that the account is in order, then runs 'copilot-api resume'"


# 4xx: storage -----------------------------------------------------------------------------------------------------


class StorageUnavailable(GatewayError):
    """The database cannot be read or written."""

    number, code, status = 401, "storage_unavailable", 503
    kind, cause = "server_error", "internal"
    hint = "the gateway's operator checks the disk and GET /readyz"


# 9xx: ours --------------------------------------------------------------------------------------------------------


class InternalError(GatewayError):
    """A defect of the gateway. The log has the details under the request id; the caller gets no traceback."""

    number, code, status = 901, "internal_error", 500
    hint = "tell the gateway's operator the request id"


class ShuttingDown(GatewayError):
    """The gateway is going down and takes no new call."""

    number, code, status = 902, "shutting_down", 503
    kind, cause = "server_error", "interrupted"
    hint = "try again in a moment"
