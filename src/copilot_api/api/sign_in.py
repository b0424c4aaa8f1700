"""
Signing the gateway in to GitHub by device flow, from the admin plane: one login at a time.

GitHub gives a code, somebody types it on GitHub's page, and meanwhile it is asked now and then whether that is done.
Then the token is checked, put on record, kept in the data directory, and used for the next call. Nobody is shown it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from copilot_api.api.operations.account import SignIn, SignInState
from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.clock import Clock
from copilot_api.errors import GatewayError, StorageUnavailable
from copilot_api.upstream.credential_file import CredentialFile
from copilot_api.upstream.device_login import log_in
from copilot_api.upstream.github import DeviceCode, GitHub
from copilot_api.upstream.identities import (
    DEFAULT_IDENTITY,
    CredentialSource,
    Identity,
    IdentityNotFound,
    parse_github_token,
)


class SignInUnderWay(GatewayError):
    """Somebody is signing in already."""

    number, code, status = 315, "sign_in_under_way", 409
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "finish it, or cancel it first"


class CredentialGiven(GatewayError):
    """The credential came with the command that started the gateway, and would win at the next start."""

    number, code, status = 316, "credential_given", 409
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "start the gateway without --github-token and GH_TOKEN, then sign in"


class SignInNotFound(GatewayError):
    """Nobody is signing in."""

    number, code, status = 317, "sign_in_not_found", 404
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "start one first"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who signs in, for the record."""

    key_id: str
    origin: Origin


@dataclass(slots=True)
class _Login:
    """A login, under way or over."""

    code: DeviceCode
    expires_at: datetime
    by: Asker
    before: str | None
    state: SignInState = "waiting"
    login: str | None = None
    problem: str | None = None
    is_typed: bool = False
    """Whether GitHub has given the token: from then on it is finished, whoever cancels."""

    def describe(self) -> SignIn:
        return SignIn(
            state=self.state,
            user_code=self.code.user_code,
            verification_uri=self.code.verification_uri,
            expires_at=self.expires_at.isoformat(timespec="seconds"),
            login=self.login,
            login_before=self.before,
            problem=self.problem,
        )


class SignIns:
    """See the module. Belongs to one event loop."""

    def __init__(
        self,
        github: GitHub,
        file: CredentialFile,
        clock: Clock,
        append: Callable[[AuditEvent], None],
        *,
        identity: Callable[[], Identity | None],
        account: Callable[[], str | None],
        use: Callable[[Identity], None],
    ) -> None:
        """`identity` and `account` say what is used now, and whose it is; `use` takes another."""
        self._github = github
        self._file = file
        self._clock = clock
        self._append = append
        self._identity = identity
        self._account = account
        self._use = use
        self._login: _Login | None = None
        self._task: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    @property
    def current(self) -> SignIn | None:
        """The last login, under way or over; None where there was none, or it was cancelled."""
        return None if self._login is None else self._login.describe()

    @property
    def mark(self) -> tuple[str, str] | None:
        """Changes whenever `current` does."""
        login = self._login
        return None if login is None else (login.code.user_code, login.state)

    @property
    def may_start(self) -> bool:
        """Whether anybody can sign in: not where the credential came with the command that started the gateway."""
        identity = self._identity()
        return identity is None or identity.source is not CredentialSource.FLAG

    async def start(self, identity_id: str, by: Asker) -> SignIn:
        """
        Begin. Raises `IdentityNotFound`, `CredentialGiven`, `SignInUnderWay`, and what GitHub has against it.
        """
        if identity_id != DEFAULT_IDENTITY:
            raise IdentityNotFound("there is no such identity")
        if not self.may_start:
            raise CredentialGiven("this gateway was given its GitHub token with --github-token or GH_TOKEN")
        async with self._starting:
            if self._is_under_way():
                raise SignInUnderWay("somebody is signing in already")
            code = await self._github.fetch_device_code()
            expires_at = self._clock.now() + timedelta(seconds=code.expires_in)
            self._login = login = _Login(code, expires_at, by, self._account())
            self._task = asyncio.get_running_loop().create_task(self._run(login))
        return login.describe()

    def show(self, identity_id: str) -> SignIn:
        """The last one. Raises `IdentityNotFound` or `SignInNotFound`."""
        return self._find(identity_id).describe()

    def _find(self, identity_id: str) -> _Login:
        if identity_id != DEFAULT_IDENTITY:
            raise IdentityNotFound("there is no such identity")
        if self._login is None:
            raise SignInNotFound("nobody is signing in")
        return self._login

    async def cancel(self, identity_id: str) -> SignIn:
        """
        End the one under way, or forget the last. One whose code was typed is finished first: half of it must not be on
        record. Raises like `show`.
        """
        login, task = self._find(identity_id), self._task
        if task is not None:
            if not login.is_typed:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(task)
        if login.state == "waiting":
            login.state, login.problem = "cancelled", "it was cancelled"
        if self._login is login:
            self._login = self._task = None
        return login.describe()

    async def stop(self) -> None:
        """End what is under way: the gateway goes down."""
        if self._login is not None:
            await self.cancel(DEFAULT_IDENTITY)

    def _is_under_way(self) -> bool:
        return self._task is not None and not self._task.done()

    async def _run(self, login: _Login) -> None:
        try:
            token = await log_in(self._github, login.code, monotonic=self._clock.monotonic, sleep=asyncio.sleep)
            login.is_typed = True
            login.login = await self._take(parse_github_token(token), login.by)
            login.state = "done"
        except GatewayError as error:
            login.state, login.problem = "failed", error.message
        except Exception as error:  # noqa: BLE001 -- whoever waits is told of a surprise in an answer; nothing changed
            login.state, login.problem = "failed", f"GitHub's answer is not understood: {type(error).__name__}"

    async def _take(self, token: str, by: Asker) -> str:
        """Check the token, put on record that it is used from now on, keep it, use it; gives the account's name."""
        name = await self._github.fetch_login(token)
        detail: dict[str, object] = {"login": name, "by": "device flow"}
        event = AuditEvent(by.key_id, Action.IDENTITY_SIGNED_IN, DEFAULT_IDENTITY, detail, by.origin)

        def keep() -> None:
            self._append(event)
            try:
                self._file.write(token)
            except OSError as error:
                raise StorageUnavailable(f"the credential cannot be kept: {error.strerror}") from error

        await asyncio.to_thread(keep)
        self._use(Identity(token, CredentialSource.FILE))
        return name
