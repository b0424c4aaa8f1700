"""
GitHub's side of Copilot: device login, token exchange, the user's quota. Rare calls, so a library client (aiohttp)
makes them, on connections of its own: a pool full of long streams must not starve the token's refresh.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any, Literal, TypeVar, cast

import aiohttp
import msgspec

from copilot_api.errors import (
    AccountFlagged,
    GatewayError,
    UpstreamFailed,
    UpstreamForbidden,
    UpstreamTimeout,
    UpstreamUnauthorized,
)
from copilot_api.protocols.untyped import object_of
from copilot_api.upstream.headers import MODELS_INTENT, copilot_headers, github_headers
from copilot_api.upstream.hosts import Hosts
from copilot_api.upstream.refusals import is_abuse_signal

T = TypeVar("T")

CLIENT_ID = "Iv1.b507a08c87ecfe98"
"""The GitHub App of VS Code's Copilot extension; the app decides which models are visible (protocol reference, 1)."""
SCOPE = "read:user"
CALL_SECONDS = 30.0


class DeviceCode(msgspec.Struct, frozen=True):
    """What the user is shown, and what is polled with. Times are seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int = 900
    interval: int = 5


class DevicePoll(msgspec.Struct, frozen=True):
    """One poll's outcome: a token, or an error by name."""

    access_token: str | None = None
    error: str | None = None
    interval: int | None = None
    error_description: str | None = None


class TokenEndpoints(msgspec.Struct, frozen=True):
    """The hosts that GitHub names for this account."""

    api: str | None = None


class CopilotToken(msgspec.Struct, frozen=True):
    """
    The exchange's answer. Of its many fields these are the ones that the official client treats as critical, and the
    hosts.
    """

    token: str
    expires_at: int
    refresh_in: int
    endpoints: TokenEndpoints | None = None
    sku: str | None = None


HttpSession = aiohttp.ClientSession


@contextlib.asynccontextmanager
async def open_session(*, is_proxied: bool = False) -> AsyncGenerator[HttpSession]:
    """The library client's connections; `is_proxied` has it obey HTTP_PROXY and its like."""
    async with aiohttp.ClientSession(trust_env=is_proxied) as session:
        yield session


class GitHub:
    """GitHub's OAuth and REST calls. Every failure is a `GatewayError`; none shows a token."""

    def __init__(
        self, session: aiohttp.ClientSession, hosts: Hosts, on_date: Callable[[str], None] = lambda _: None
    ) -> None:
        """`on_date` is told the `Date` header of each answer that has one."""
        self._session = session
        self._on_date = on_date
        self.hosts = hosts

    async def fetch_device_code(self) -> DeviceCode:
        """Begin a device login."""
        body = await self._post("/login/device/code", {"client_id": CLIENT_ID, "scope": SCOPE})
        code = _convert(body, DeviceCode)
        if not code.verification_uri.startswith(("https://", "http://")):
            raise UpstreamFailed("GitHub named a login page that is not a web address")
        return code

    async def fetch_device_poll(self, code: DeviceCode) -> DevicePoll:
        """Ask once whether the user is done. Every outcome comes with HTTP 200."""
        body = {
            "client_id": CLIENT_ID,
            "device_code": code.device_code,
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        }
        return _convert(await self._post("/login/oauth/access_token", body), DevicePoll)

    async def fetch_login(self, github_token: str) -> str:
        """The name of the account that the token belongs to."""
        user = await self._get("/user", github_token)
        return str(user.get("login") or "")

    async def fetch_copilot_token(self, github_token: str) -> CopilotToken:
        """Exchange the GitHub token for a short-lived Copilot token."""
        token = _convert(await self._get("/copilot_internal/v2/token", github_token), CopilotToken)
        if not token.token or not token.token.isascii() or not token.token.isprintable():
            raise UpstreamFailed("GitHub gave a Copilot token that cannot be sent in a header")
        return token

    async def fetch_copilot_user(self, github_token: str) -> dict[str, Any]:
        """The account's plan, hosts and quota, as GitHub sends it: unversioned, every field optional."""
        return await self._get("/copilot_internal/user", github_token)

    async def fetch_models(self, api: str, bearer: str) -> dict[str, Any]:
        """The catalog, as Copilot sends it."""
        return await self._call("GET", f"{api}/models", copilot_headers(bearer, MODELS_INTENT))

    async def _post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        return await self._call("POST", self.hosts.github + path, github_headers(), body)

    async def _get(self, path: str, github_token: str) -> dict[str, Any]:
        return await self._call("GET", self.hosts.github_api + path, github_headers(github_token))

    async def _call(
        self, method: Literal["GET", "POST"], url: str, headers: dict[str, str], body: dict[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                async with self._session.request(
                    method, url, headers=headers, json=body, allow_redirects=False
                ) as response:
                    status, raw, fields = response.status, await response.read(), response.headers
        except TimeoutError:
            raise UpstreamTimeout(f"no answer from {url} within {CALL_SECONDS:.0f} s") from None
        except aiohttp.ClientError as error:
            raise UpstreamFailed(f"no answer from {url}: {type(error).__name__}: {error}") from error
        if (date := fields.get("date")) is not None and "age" not in fields:  # what a cache kept is of another time
            self._on_date(date)
        if status != 200:
            raise _refusal(url, status, raw, fields.get("retry-after"))
        try:
            answer = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise UpstreamFailed(f"{url} answered something that is not a JSON object")
        return object_of(cast("object", answer))


def _convert(body: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(body, kind, strict=False)
    except msgspec.ValidationError as error:
        raise UpstreamFailed(f"GitHub's answer lacks what it must have: {error}") from error


def _refusal(url: str, status: int, raw: bytes, retry_after: str | None) -> GatewayError:
    """
    GitHub's refusal with the reason it gives: 401 is the token, 403 the entitlement or a rate limit, the rest
    trouble.
    """
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        body = None
    fields = object_of(body)
    details = object_of(fields.get("error_details"))
    message = str(details.get("message") or fields.get("message") or f"HTTP {status}")[:500]
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
    if is_abuse_signal(status, str(details.get("notification_id") or ""), message):
        return AccountFlagged(f"GitHub refuses Copilot to this account: {message}")
    if status == 401:
        return UpstreamUnauthorized(f"GitHub does not accept the credential: {message}")
    if status == 404:
        return UpstreamUnauthorized(
            f"GitHub has no such endpoint for this kind of token ({url}): {message}",
            hint="use a device-flow token (ghu_, gho_) or a fine-grained token (github_pat_): 'copilot-api auth login'",
        )
    if status == 403 and not message.startswith("API rate limit exceeded"):
        reason = details.get("notification_id") or fields.get("reason")
        link = details.get("url")
        return UpstreamForbidden(
            f"GitHub refuses Copilot to this account: {message}" + (f" ({reason})" if reason else ""),
            hint=f"see {link}" if link else None,
        )
    return UpstreamFailed(f"{url} answered {status}: {message}", retry_after=seconds)
