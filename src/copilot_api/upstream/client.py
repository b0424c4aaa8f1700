"""
`CopilotClient.open`: one call to the Copilot API, with its credential, its headers, and the retries that are safe.

Nothing is repeated once a byte of an answer is here. What is repeated before: a connection that failed or ended
unused, a bearer that has expired (once), an answer that says the fault was passing (twice at most, within
`PATIENCE_SECONDS`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from copilot_api.clock import Clock
from copilot_api.errors import (
    BodyTooLarge,
    GatewayError,
    UpstreamCut,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamStopped,
    UpstreamTimeout,
)
from copilot_api.upstream.auth import CopilotSession, CopilotSessions
from copilot_api.upstream.brake import Brake
from copilot_api.upstream.headers import copilot_headers, header_lines
from copilot_api.upstream.refusals import Refusal, parse_refusal
from copilot_api.upstream.tap import UpstreamTap
from copilot_api.upstream.transport import ConnectFailed, Reply, Silence, SilentTooLong, Transport, TransportError

MAX_RETRIES = 2
PATIENCE_SECONDS = 20.0
BACKOFF_SECONDS = (0.25, 1.0)
MAX_ERROR_BYTES = 64 * 1024
ERROR_SECONDS = 10.0

OnSilence = Callable[[], Awaitable[None]]


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One call as it goes upstream."""

    path: str
    body: bytes
    intent: str
    initiator: str
    has_images: bool
    is_streamed: bool
    request_id: str
    headers: Mapping[str, str] = {}
    """What the request's own protocol adds."""
    tap: UpstreamTap | None = None
    """Looks on, where the call is captured."""


class CopilotClient:
    """The Copilot API of one identity."""

    def __init__(self, transport: Transport, sessions: CopilotSessions, clock: Clock, brake: Brake) -> None:
        self._brake = brake
        self._transport = transport
        self._sessions = sessions
        self._clock = clock
        self._common: tuple[CopilotSession | None, dict[str, bytes]] = (None, {})

    async def open(self, request: UpstreamRequest, on_silence: OnSilence | None = None) -> Reply:
        """
        The open reply, its status 200. Whoever gets it closes it. `on_silence` is awaited every time the upstream has
        said nothing for a while. Raises a `GatewayError` for everything else.
        """
        began = self._clock.monotonic()
        initiator = request.initiator
        is_renewed = False
        retries = 0
        while True:
            session = self._sessions.current() or await self._sessions.get()
            if self._brake.stop is not None:
                # Flagged since this call got its slot: neither it nor its next attempt is sent.
                reason = self._brake.stop.reason
                raise UpstreamStopped(f"nothing is sent to GitHub Copilot for this account: {reason}", retry_after=60.0)
            attempted_at = self._clock.monotonic()
            try:
                reply = await self._attempt(session, request, initiator, on_silence)
            except TransportError as error:
                failure = _as_gateway_error(error)
                if not error.is_safe_to_repeat or not self._may_retry(retries, began):
                    self._brake.refused(failure, attempted_at, self._clock.monotonic())
                    raise failure from error
                if isinstance(error, ConnectFailed):
                    await asyncio.sleep(BACKOFF_SECONDS[retries])
                retries += 1
                continue
            if reply.status == 200 and not reply.content_type.startswith(b"text/html"):
                self._brake.answered(self._clock.monotonic())
                return reply
            refusal = await self._read_refusal(reply)
            if refusal.is_expired_credential and not is_renewed:
                is_renewed = True
                await self._sessions.renew_after(session)
                continue
            if not refusal.is_repeatable or not self._may_retry(retries, began):
                if refusal.is_sign:
                    self._brake.refused(refusal.error, attempted_at, self._clock.monotonic())
                elif isinstance(refusal.error, UpstreamRefused | BodyTooLarge):
                    self._brake.answered(self._clock.monotonic())  # it found fault with the call, and works well
                raise refusal.error
            await asyncio.sleep(BACKOFF_SECONDS[retries])
            retries += 1
            initiator = "agent"  # the first try may have been counted as the user's: the official client does the same

    def moment(self) -> float:
        """Now, for `failed_later`."""
        return self._clock.monotonic()

    def failed_later(self, error: GatewayError, began: float) -> None:
        """An answer that had begun, to a call that was sent then, turned out to be none."""
        self._brake.refused(error, began, self._clock.monotonic())

    async def _attempt(
        self, session: CopilotSession, request: UpstreamRequest, initiator: str, on_silence: OnSilence | None
    ) -> Reply:
        headers, url = self._headers(session, request, initiator), session.api + request.path
        if request.tap is not None:
            return await self._attempt_tapped(request.tap, url, headers, request.body, on_silence)
        return await self._send(url, headers, request.body, on_silence)

    async def _attempt_tapped(
        self, tap: UpstreamTap, url: str, headers: bytes, body: bytes, on_silence: OnSilence | None
    ) -> Reply:
        tap.sending(url, headers, body)
        try:
            return tap.follow(await self._send(url, headers, body, on_silence))
        except BaseException as error:
            tap.failed(error)
            raise

    async def _send(self, url: str, headers: bytes, body: bytes, on_silence: OnSilence | None) -> Reply:
        pending = await self._transport.send(url, headers, body)
        try:
            while isinstance(reply := await pending.head(), Silence):
                if on_silence is not None:
                    await on_silence()
        except BaseException:
            pending.close()
            raise
        return reply

    def _headers(self, session: CopilotSession, request: UpstreamRequest, initiator: str) -> bytes:
        if self._common[0] is not session:
            self._common = (session, {})
        lines = self._common[1].get(request.intent)
        if lines is None:
            lines = self._common[1][request.intent] = header_lines(
                {
                    **copilot_headers(session.bearer, request.intent),
                    "content-type": "application/json",
                    "accept-encoding": "identity",
                },
            )
        accept = b"text/event-stream" if request.is_streamed else b"application/json"
        vision = b"copilot-vision-request: true\r\n" if request.has_images else b""
        return b"%bx-initiator: %b\r\nx-request-id: %b\r\naccept: %b\r\n%b%b" % (
            lines,
            initiator.encode(),
            request.request_id.encode(),
            accept,
            vision,
            header_lines(request.headers) if request.headers else b"",
        )

    def _may_retry(self, retries: int, began: float) -> bool:
        return retries < MAX_RETRIES and self._clock.monotonic() - began < PATIENCE_SECONDS

    async def _read_refusal(self, reply: Reply) -> Refusal:
        body = b""
        try:
            async with asyncio.timeout(ERROR_SECONDS):
                while len(body) < MAX_ERROR_BYTES and (chunk := await reply.read()):
                    if not isinstance(chunk, Silence):
                        body += chunk
        except (TransportError, TimeoutError):
            pass  # the status alone says enough
        finally:
            reply.close()
        return parse_refusal(reply.status, reply.headers, body, self._clock.now())


def _as_gateway_error(error: TransportError) -> GatewayError:
    """A transport error in the caller's terms, before any of the answer has come."""
    if isinstance(error, SilentTooLong):
        return UpstreamTimeout(f"GitHub Copilot did not answer: {error}")
    if isinstance(error, ConnectFailed):
        return UpstreamFailed(f"GitHub Copilot cannot be reached: {error}", retry_after=5.0)
    return UpstreamFailed(f"GitHub Copilot did not answer: {error}")


def cut_error(error: TransportError) -> GatewayError:
    """A transport error in the caller's terms, in the middle of an answer."""
    if isinstance(error, SilentTooLong):
        return UpstreamTimeout(f"GitHub Copilot's answer stopped: {error}")
    return UpstreamCut(f"GitHub Copilot's answer broke off: {error}")
