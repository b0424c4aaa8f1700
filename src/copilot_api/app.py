"""
The composition root: settings in, a running gateway out. The only file that knows every class.
"""

import asyncio
import contextlib
import gc
import os
import resource
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import uvloop

from copilot_api.admission.approval import Approval, Ask
from copilot_api.admission.minimum_gap import MinimumGap
from copilot_api.admission.service import Admission
from copilot_api.api.account import Token, Usage
from copilot_api.api.door import Door
from copilot_api.api.endpoint import Endpoint
from copilot_api.api.envelopes import anthropic_envelope, gemini_envelope
from copilot_api.api.errors import ANTHROPIC, GEMINI
from copilot_api.api.health import Readiness, healthz
from copilot_api.api.models import ModelList
from copilot_api.api.routes import Endpoints, Router
from copilot_api.api.server import GatewayServer
from copilot_api.clock import Clock
from copilot_api.config.binding import is_loopback
from copilot_api.config.paths import DataDirectory
from copilot_api.config.settings import Settings
from copilot_api.errors import GatewayError
from copilot_api.gateway.counting import CountForm, TokenCounts, render_anthropic_count
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.settlement import Settlement
from copilot_api.gateway.surfaces import (
    CHAT_SURFACE,
    COUNT_TOKENS_SURFACE,
    EMBEDDINGS_SURFACE,
    GEMINI_COUNT_SURFACE,
    GEMINI_SURFACE,
    MESSAGES_SURFACE,
    RESPONSES_SURFACE,
)
from copilot_api.keys.repository import KeyRepository
from copilot_api.keys.service import KeyService
from copilot_api.observability.events import (
    CatalogRefreshFailed,
    Listening,
    Observer,
    Stopped,
    Stopping,
    TokenRenewalFailed,
    TokenRenewed,
)
from copilot_api.observability.health import Health
from copilot_api.protocols.gemini import response as gemini_response
from copilot_api.protocols.messages import native as messages_native
from copilot_api.tokens.counter import TokenCounter
from copilot_api.upstream.auth import CopilotSession, CopilotSessions
from copilot_api.upstream.catalog import CatalogKeeper
from copilot_api.upstream.client import CopilotClient
from copilot_api.upstream.github import GitHub, HttpSession, open_session
from copilot_api.upstream.hosts import AccountType, Hosts
from copilot_api.upstream.identities import Identity
from copilot_api.upstream.library_transport import LibraryTransport
from copilot_api.upstream.transport import HttpTransport, Transport
from copilot_api.usage.recorder import UsageRecorder, last_used_store
from copilot_api.usage.repository import UsageRepository


@dataclass(frozen=True, slots=True)
class Storage:
    """What is stored, behind its ports. `probe` raises when nothing can be written."""

    keys: KeyService
    key_repository: KeyRepository
    usage: UsageRepository
    probe: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a gateway is given beside its settings."""

    directory: DataDirectory
    storage: Storage
    identity: Identity | None
    clock: Clock
    observe: Observer
    ask: Ask | None = None
    """Asks the operator in the terminal, for `--manual`."""
    on_listening: Callable[[str], None] = lambda _: None


def run(settings: Settings, surroundings: Surroundings, sockets: list[socket.socket], url: str) -> None:
    """Serve on `sockets`, which clients reach as `url`, until told to stop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, surroundings, sockets, url))


async def serve(settings: Settings, surroundings: Surroundings, sockets: list[socket.socket], url: str) -> None:
    """The same inside a loop."""
    async with open_session(is_proxied=settings.upstream.is_proxied) as session:
        gateway = _Gateway(settings, surroundings, session)
        await gateway.serve(sockets, url)


class _Gateway:
    """One process's services, made once and wired together."""

    def __init__(self, settings: Settings, surroundings: Surroundings, session: HttpSession) -> None:
        self._settings = settings
        self._surroundings = surroundings
        clock, observe, storage = surroundings.clock, surroundings.observe, surroundings.storage
        upstream = settings.upstream
        hosts = Hosts(
            upstream.github_url, upstream.github_api_url, upstream.api_url, AccountType(upstream.account_type)
        )
        github = GitHub(session, hosts)

        def renewed(copilot: CopilotSession) -> None:
            observe(TokenRenewed(copilot.api))

        def renewal_failed(error: GatewayError) -> None:
            observe(TokenRenewalFailed(error.message))

        def catalog_failed(error: GatewayError) -> None:
            observe(CatalogRefreshFailed(error.message))

        self._sessions = CopilotSessions(
            github, surroundings.identity, clock, on_renewed=renewed, on_failed=renewal_failed
        )
        self._catalog = CatalogKeeper(github, self._sessions, on_failed=catalog_failed)
        self._transport: Transport = LibraryTransport(session) if upstream.is_proxied else HttpTransport()
        self._recorder = UsageRecorder(
            storage.usage,
            surroundings.directory.spool,
            observe,
            name=f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(3)}",
            store_last_used=last_used_store(storage.keys, storage.key_repository.record_last_used),
        )
        gap, approval = None, None
        if settings.minimum_gap_seconds is not None:
            gap = MinimumGap(settings.minimum_gap_seconds, is_waiting=settings.is_gap_waited)
        if settings.is_approval_manual and surroundings.ask is not None:
            approval = Approval(surroundings.ask)
        upstream_client = CopilotClient(self._transport, self._sessions, clock)
        gateway = Gateway(
            Settlement(self._recorder, clock, observe, is_watched=settings.is_verbose),
            self._catalog,
            Admission(clock, gap=gap, approval=approval),
            upstream_client,
            clock,
            settings.aliases,
        )
        door = Door(storage.keys, clock, is_open=settings.is_open, is_local=is_loopback(settings.host))
        endpoint = partial(
            Endpoint, door=door, gateway=gateway, clock=clock, observe=observe, max_body_bytes=settings.max_body_bytes
        )
        anthropic = partial(endpoint, errors=ANTHROPIC, read_envelope=anthropic_envelope)
        gemini = partial(endpoint, errors=GEMINI, read_envelope=gemini_envelope)
        counter = TokenCounter()
        counts = TokenCounts(
            gateway, upstream_client, counter.count, CountForm(render_anthropic_count, messages_native.render_count)
        )
        gemini_counts = TokenCounts(gateway, upstream_client, counter.count, CountForm(gemini_response.render_count))
        self.router = Router(
            Endpoints(
                chat=endpoint(CHAT_SURFACE),
                responses=endpoint(RESPONSES_SURFACE),
                messages=anthropic(MESSAGES_SURFACE),
                count_tokens=anthropic(COUNT_TOKENS_SURFACE, exchange=counts.exchange),
                embeddings=endpoint(EMBEDDINGS_SURFACE),
                gemini=gemini(GEMINI_SURFACE),
                gemini_count=gemini(GEMINI_COUNT_SURFACE, exchange=gemini_counts.exchange),
                models=ModelList(door, self._catalog, settings.aliases),
                usage=Usage(door, storage.usage, github, self._sessions, clock),
                token=Token(door, self._sessions),
                healthz=healthz,
                readyz=Readiness(self._health()),
            )
        )

    async def serve(self, sockets: list[socket.socket], url: str) -> None:
        """Run everything until told to stop, then end it in the order in which it depends on each other."""
        settings, observe = self._settings, self._surroundings.observe

        def on_listening() -> None:
            observe(Listening(url))
            self._surroundings.on_listening(url)

        server = GatewayServer(
            self.router,
            asyncio.get_running_loop(),
            drain_seconds=settings.drain_seconds,
            tls=_load_tls(settings),
            on_listening=on_listening,
            on_stopping=lambda calls: observe(Stopping(calls)),
            sweep=self._transport.sweep,
        )
        self._recorder.start()
        _spare_the_collector()
        _allow_many_connections()
        try:
            async with asyncio.TaskGroup() as group:
                background = [group.create_task(self._sessions.run()), group.create_task(self._catalog.run())]
                await server.run_until_stopped(sockets)
                for task in background:
                    task.cancel()
        finally:
            await self._transport.close()
            await asyncio.to_thread(self._recorder.stop)
            observe(Stopped())

    def _health(self) -> Health:
        async def database() -> str | None:
            try:
                await asyncio.to_thread(self._surroundings.storage.probe)
            except GatewayError as error:
                return error.message
            return None

        async def token() -> str | None:
            if self._sessions.current() is not None:
                return None
            failure = self._sessions.failure
            if self._sessions.identity is None:
                return "no GitHub credential: run 'copilot-api auth login'"
            return failure.message if failure else "not fetched yet"

        async def catalog() -> str | None:
            if self._catalog.is_known:
                return None
            return self._catalog.failure.message if self._catalog.failure else "not fetched yet"

        async def ledger() -> str | None:
            return self._recorder.failure

        return Health({"database": database, "ledger": ledger, "token": token, "catalog": catalog})


def _spare_the_collector() -> None:
    """
    Keep Python's cycle collector from walking what lives as long as the process, and from running at every few calls.

    A call leaves no cycles behind; what it costs to look for them is in docs/concepts/performance.md.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(25_000, 20, 50)


def _allow_many_connections() -> None:
    """A stream takes two descriptors, and the usual soft limit of 1,024 is there for programs that use `select`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _load_tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context
