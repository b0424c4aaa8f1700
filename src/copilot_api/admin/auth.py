"""
Who may enter the admin pages: signing in and out, showing the key again, and what a session's cookie opens.

Whatever is wrong with a key, the answer is the same and so is the work; what it was is in the audit log. A session
counts nowhere but under /admin, and changes something only with the token of its own pages.
"""

import asyncio
import hashlib
import math
from collections.abc import Callable
from dataclasses import replace

from copilot_api.admin import csrf
from copilot_api.admin.arrivals import Arrival, check_same_origin, read_arrival
from copilot_api.admin.requests import SignedIn, StepUpRequired
from copilot_api.admin.sessions import Opened, SessionService
from copilot_api.admin.throttle import LoginThrottle
from copilot_api.api.admin_endpoint import OPERATION
from copilot_api.api.door import OnRefused, tell_nobody
from copilot_api.api.http_exchange import Scope
from copilot_api.api.intake import Networks, RequestHead
from copilot_api.api.operations.operation import Operation
from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.audit.refused import DIGEST_CHARACTERS, NO_KEY, NOBODY
from copilot_api.clock import Clock
from copilot_api.errors import GatewayError, RateLimited, Unauthorized
from copilot_api.keys.models import ApiKey
from copilot_api.keys.secret import digest_secret
from copilot_api.keys.service import KeyService

SAFE_METHODS = {"GET", "HEAD"}
LIVE_HEADER = b"x-live"
"""Sent by pages that renew themselves."""
MAX_SECRET = 200
"""A longer text is no key; it is looked at no further."""

_WRONG_KEY = "this key does not open the admin pages"
_SIGN_IN = "sign in at /admin/login"


class SignInRefused(Unauthorized):
    """Not a key that opens the admin pages, whatever is wrong with it."""

    number, code, status = 219, "sign_in_refused", 401
    hint = "use a key that is valid now, from a network that it is meant for"


class SignInThrottled(RateLimited):
    """Too many wrong keys, from this address or of this kind."""

    number, code, status = 220, "too_many_sign_ins", 429
    hint = "wait as long as Retry-After says"


class CsrfTokenInvalid(GatewayError):
    """A change that was sent without the token of the session it was sent with."""

    number, code, status = 217, "csrf_token_invalid", 403
    kind, cause, is_final = "permission_error", "unauthorized", True
    hint = "load the page again, then repeat it; a script sends the page's token as X-CSRF-Token"


class Access:
    """See the module."""

    def __init__(
        self,
        keys: KeyService,
        sessions: SessionService,
        clock: Clock,
        append: Callable[[AuditEvent], None],
        *,
        trusted: Networks = (),
        is_on: bool = True,
        on_refused: OnRefused = tell_nobody,
    ) -> None:
        self._keys = keys
        self._sessions = sessions
        self._clock = clock
        self._append = append
        self._trusted = trusted
        self._on_refused = on_refused
        self.is_on = is_on
        """Whether there are admin pages at all (`features.webui`); without them no session opens anything."""
        self._throttle = LoginThrottle(clock)

    # Who asks -------------------------------------------------------------------------------------------------------

    def read_arrival(self, head: RequestHead, scope: Scope) -> Arrival:
        """How a request came. Raises `BadRequest`."""
        return read_arrival(scope, head, self._trusted)

    async def find(self, arrival: Arrival, *, is_use: bool = True) -> SignedIn | None:
        """
        Who is signed in by the cookie that came along; for `is_use` see `SessionService.find`. Raises
        `StorageUnavailable` when that cannot be known.
        """
        if arrival.cookie is None:
            return None
        found = await self._sessions.find(arrival.cookie, is_use=is_use)
        if found is None:
            return None
        session, key = found
        if not _may_come_from(key, arrival.address):
            return None
        return SignedIn(key, session, csrf.make_token(arrival.cookie))

    async def find_key(self, head: RequestHead, scope: Scope) -> ApiKey | None:
        """
        The key of whoever asks the API with a session; None where no session came along.

        Raises `Unauthorized` where it is over, and `HttpsRequired`, `CrossSiteRefused`, `CsrfTokenInvalid` or
        `StepUpRequired` where it does not suffice.
        """
        path: str = scope["path"]
        if not self.is_on or not path.startswith("/admin/"):
            return None
        arrival = self.read_arrival(head, scope)
        if arrival.cookie is None:
            return None
        arrival.check_transport()
        check_same_origin(scope, arrival)
        signed_in = await self.find(arrival, is_use=is_use(head))
        if signed_in is None:
            raise Unauthorized("the session has ended", hint=_SIGN_IN)
        method: str = scope["method"]
        if method not in SAFE_METHODS:
            self.check_token(arrival, head.get(csrf.HEADER, b"").decode("latin-1"))
        operation: Operation | None = scope["state"].get(OPERATION)
        is_sensitive = operation is None or operation.is_sensitive  # of what nobody has declared nothing is known
        if is_sensitive and not signed_in.session.is_stepped_up_at(self._clock.now()):
            raise StepUpRequired("this needs the key again")
        return signed_in.key

    def check_token(self, arrival: Arrival, token: str) -> None:
        """Raise `CsrfTokenInvalid` where `token` is not of the session that came along."""
        if arrival.cookie is None or not csrf.is_token(arrival.cookie, token):
            raise CsrfTokenInvalid("the form is not of this session")

    # In and out -----------------------------------------------------------------------------------------------------

    async def sign_in(self, secret: str, arrival: Arrival, origin: Origin) -> Opened:
        """
        Open a session for whoever shows this key. Raises `SignInRefused`, `SignInThrottled`, or `StorageUnavailable`:
        what cannot be stored and put on record is not opened.
        """
        key = await self._check(secret, arrival, origin, None)
        return await self._sessions.open(key, secret, origin, replaced=arrival.cookie)

    async def step_up(self, signed_in: SignedIn, secret: str, arrival: Arrival, origin: Origin) -> SignedIn:
        """Note that the key of this session was shown again; raises as `sign_in` does, also for another key."""
        await self._check(secret, arrival, origin, signed_in.key)
        session = await self._sessions.step_up(signed_in.session, origin)
        if session is None:
            raise Unauthorized("the session has ended", hint=_SIGN_IN)
        return replace(signed_in, session=session)

    async def sign_out(self, signed_in: SignedIn, origin: Origin) -> None:
        """End this session."""
        await self._sessions.end(signed_in.session, actor=signed_in.key.id, reason="signed out", origin=origin)

    async def _check(self, secret: str, arrival: Arrival, origin: Origin, expected: ApiKey | None) -> ApiKey:
        """The key that this secret opens, and no other than `expected` where there is one."""
        if self._keys.needs_refresh():
            await self._keys.refresh()
        # From here to the end of `_recognise` nothing waits: of many at once each finds all before it counted.
        if wait := self._throttle.wait_seconds(arrival.address, secret):
            self._on_refused(secret, "too many wrong keys at /admin/login", origin)
            raise SignInThrottled(f"too many wrong keys: try again in {math.ceil(wait)} seconds", retry_after=wait)
        try:
            return self._recognise(secret, arrival, expected)
        except Unauthorized as error:
            self._throttle.note_failure(arrival.address, secret)
            await self._record_failure(secret, error.message, origin, "login" if expected is None else "step-up")
            raise SignInRefused(_WRONG_KEY) from None

    def _recognise(self, secret: str, arrival: Arrival, expected: ApiKey | None) -> ApiKey:
        # Hashed and looked up whatever it looks like: how long it takes says nothing of it.
        key = self._keys.authenticate_digest(digest_secret(secret[:MAX_SECRET]), self._clock.now())
        if not _may_come_from(key, arrival.address):
            raise Unauthorized(f"the API key may not be used from {arrival.address or 'an unknown address'}")
        if expected is not None and key.id != expected.id:
            raise Unauthorized("it is not the key of the session")
        return key

    async def _record_failure(self, secret: str, reason: str, origin: Origin, purpose: str) -> None:
        digest = hashlib.sha256(secret.encode()).hexdigest()[:DIGEST_CHARACTERS]
        target = f"sha256:{digest}" if secret else NO_KEY
        detail: dict[str, object] = {"reason": reason, "purpose": purpose}
        await asyncio.to_thread(self._append, AuditEvent(NOBODY, Action.LOGIN_FAILED, target, detail, origin))


def is_use(head: RequestHead) -> bool:
    """Whether a person asks, and not a page that is open and renews itself: that keeps no session alive."""
    return LIVE_HEADER not in head and not head.get(b"accept", b"").startswith(b"text/event-stream")


def _may_come_from(key: ApiKey, address: str | None) -> bool:
    return key.policy.observes("cidrs") or key.policy.allows_address(address)
