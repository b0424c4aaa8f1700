"""
The composition root: settings in, a running gateway out. The only file that knows every class.
"""

import asyncio
import contextlib
import gc
import ipaddress
import os
import resource
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import uvloop

from copilot_api.admission.approval import Approval, Ask
from copilot_api.admission.budget import Amounts
from copilot_api.admission.in_flight import Slots
from copilot_api.admission.minimum_gap import MinimumGap
from copilot_api.admission.models import SpentBefore
from copilot_api.admission.quotas import LocalQuotas
from copilot_api.admission.service import Admission
from copilot_api.api.account import Token, Usage
from copilot_api.api.config import ConfigApi, ConfigWriter
from copilot_api.api.door import Door
from copilot_api.api.endpoint import Endpoint
from copilot_api.api.envelopes import anthropic_envelope, gemini_envelope
from copilot_api.api.errors import ANTHROPIC, GEMINI
from copilot_api.api.health import Readiness, healthz
from copilot_api.api.http_exchange import Application
from copilot_api.api.identities import Identities
from copilot_api.api.intake import IntakeLimits
from copilot_api.api.ledger import LedgerApi
from copilot_api.api.metrics import MetricsEndpoint
from copilot_api.api.models import ModelList
from copilot_api.api.routes import Endpoints, Router
from copilot_api.api.server import GatewayServer
from copilot_api.clock import Clock
from copilot_api.config.binding import is_loopback
from copilot_api.config.paths import DataDirectory
from copilot_api.config.reload import SettingsSource
from copilot_api.config.settings import Settings
from copilot_api.errors import AccountFlagged, GatewayError, StorageUnavailable
from copilot_api.gateway.counting import CountForm, TokenCounts, render_anthropic_count
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.exposure_watch import ExposureWatch
from copilot_api.gateway.impact import ImpactQuery
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
    Braked,
    BudgetsUnknown,
    CatalogDrifted,
    CatalogRefreshFailed,
    CatalogStorageBroken,
    IdentityResumed,
    IdentityStopped,
    Listening,
    Notice,
    Observer,
    Stopped,
    Stopping,
    TokenRenewalFailed,
    TokenRenewed,
)
from copilot_api.observability.health import Health
from copilot_api.observability.metric_families import IdentityStanding, MetricFamilies, Standing
from copilot_api.observability.metrics import Metrics
from copilot_api.protocols.gemini import response as gemini_response
from copilot_api.protocols.messages import native as messages_native
from copilot_api.tokens.counter import TokenCounter
from copilot_api.upstream.auth import CopilotSession, CopilotSessions
from copilot_api.upstream.brake import Brake, Stop
from copilot_api.upstream.catalog import Catalog, CatalogKeeper
from copilot_api.upstream.client import CopilotClient
from copilot_api.upstream.drift import CatalogChange, CatalogRepository, DriftKeeper, summarise
from copilot_api.upstream.github import GitHub, HttpSession, open_session
from copilot_api.upstream.hosts import AccountType, Hosts
from copilot_api.upstream.identities import DEFAULT_IDENTITY, Identity
from copilot_api.upstream.library_transport import LibraryTransport
from copilot_api.upstream.prices import NANO_PER_CREDIT, Tariff
from copilot_api.upstream.quota_keeper import QuotaKeeper, QuotaRepository
from copilot_api.upstream.stops import StopKeeper, StopRepository
from copilot_api.upstream.transport import HttpTransport, Transport
from copilot_api.usage.credit_reports import AccountReports
from copilot_api.usage.recorder import UsageRecorder, last_used_store
from copilot_api.usage.repository import UsageRepository
from copilot_api.usage.upkeep import LedgerUpkeep, UpkeepRepository

CATCH_UP_SECONDS = 3.0
"""How long the first call of a key with budgets waits for the ledger to be complete."""


@dataclass(frozen=True, slots=True)
class Storage:
    """What is stored, behind its ports. `probe` raises when nothing can be written."""

    keys: KeyService
    key_repository: KeyRepository
    usage: UsageRepository
    spent: SpentBefore
    stops: StopRepository
    catalogs: CatalogRepository
    quotas: QuotaRepository
    upkeep: UpkeepRepository
    probe: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a gateway is given beside its settings."""

    directory: DataDirectory
    storage: Storage
    identity: Identity | None
    clock: Clock
    observe: Observer
    metrics: Metrics
    """What was counted of all that is observed."""
    ask: Ask | None = None
    """Asks the operator in the terminal, for `--manual`."""
    source: SettingsSource | None = None
    """Where the settings change while it runs; None where they do not."""
    config_writer: ConfigWriter | None = None
    """Writes the configuration file, where there is a source."""
    on_listening: Callable[[str], None] = lambda _: None
    log_lines_dropped: Callable[[], int] = lambda: 0


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
            if isinstance(error, AccountFlagged):
                self._flagged(error)

        def catalog_failed(error: GatewayError) -> None:
            observe(CatalogRefreshFailed(error.message))

        self._sessions = CopilotSessions(
            github, surroundings.identity, clock, on_renewed=renewed, on_failed=renewal_failed
        )
        self._watch = ExposureWatch(settings.exposure, observe)
        self._drift = DriftKeeper(
            storage.catalogs,
            clock,
            on_drifted=self._drifted,
            on_failed=lambda error: observe(CatalogStorageBroken(error.message)),
        )
        self._catalog = CatalogKeeper(github, self._sessions, on_failed=catalog_failed, on_read=self._catalog_read)
        self._transport: Transport = LibraryTransport(session) if upstream.is_proxied else HttpTransport()
        self._recorder = UsageRecorder(
            storage.usage,
            surroundings.directory.spool,
            observe,
            name=f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(3)}",
            store_last_used=last_used_store(storage.keys, storage.key_repository.record_last_used),
        )
        self._brake = Brake(
            settings.queue.max_in_flight,
            on_braked=lambda slots, reason: observe(Braked(slots, reason)),
            on_flagged=self._flagged,
        )
        self._slots = Slots(
            self._brake,
            clock,
            queue_seconds=settings.queue.timeout_seconds,
            max_waiting=settings.queue.max_waiting,
        )
        self._stops = StopKeeper(
            DEFAULT_IDENTITY,
            self._brake,
            storage.stops,
            clock,
            on_stopped=self._stopped,
            on_resumed=self._resumed,
        )
        self._quotas = quotas = LocalQuotas(
            clock,
            settings.limits,
            _SpentBefore(storage.spent, self._recorder),
            on_unknown=lambda error: observe(BudgetsUnknown(str(error))),
        )
        self._upkeep = LedgerUpkeep(storage.upkeep, clock, observe, settings.retention, sleep=time.sleep)
        self._quota = QuotaKeeper(
            github,
            self._sessions,
            self._brake,
            storage.quotas,
            clock,
            observe=observe,
            on_flagged=self._flagged,
        )
        reports = AccountReports(storage.quotas, storage.spent)
        tariff = Tariff()
        gap, approval = None, None
        if settings.minimum_gap_seconds is not None:
            gap = MinimumGap(settings.minimum_gap_seconds, is_waiting=settings.is_gap_waited)
        if settings.is_approval_manual and surroundings.ask is not None:
            approval = Approval(surroundings.ask)
        settlement = Settlement(self._recorder, clock, observe, tariff=tariff)
        settlement.is_recording = settings.is_recording
        upstream_client = CopilotClient(self._transport, self._sessions, clock, self._brake)
        admission = Admission(clock, quotas, self._slots, gap=gap, approval=approval)
        self._gateway = gateway = Gateway(
            settlement,
            self._catalog,
            admission,
            upstream_client,
            clock,
            settings.exposure,
        )
        self._intake = IntakeLimits(settings.max_body_bytes)
        self._door = door = Door(
            storage.keys,
            clock,
            is_open=settings.is_open,
            is_local=is_loopback(settings.host),
            trusted=tuple(map(ipaddress.ip_network, settings.trusted_proxies)),
        )
        families = MetricFamilies(surroundings.metrics, self._standing, nano_per_credit=NANO_PER_CREDIT)
        self._metrics = MetricsEndpoint(door, families, settings.metrics)
        endpoint = partial(
            Endpoint,
            door=door,
            gateway=gateway,
            clock=clock,
            observe=observe,
            limits=self._intake,
            is_traced=settings.opentelemetry.is_traced,
        )
        anthropic = partial(endpoint, errors=ANTHROPIC, read_envelope=anthropic_envelope)
        gemini = partial(endpoint, errors=GEMINI, read_envelope=gemini_envelope)
        counter = TokenCounter()
        counts = TokenCounts(
            gateway, upstream_client, counter.count, CountForm(render_anthropic_count, messages_native.render_count)
        )
        gemini_counts = TokenCounts(gateway, upstream_client, counter.count, CountForm(gemini_response.render_count))
        config: dict[str, Application] = {}
        if surroundings.source is not None and surroundings.config_writer is not None:
            impact = ImpactQuery(storage.keys, storage.usage, tariff)
            config_api = ConfigApi(
                door, surroundings.source, surroundings.config_writer, impact, gateway.catalog, clock
            )
            config = {"config": config_api.config, "config_preview": config_api.preview}
        ledger = LedgerApi(door, storage.keys, storage.usage, clock, observe)
        self.router = Router(
            Endpoints(
                chat=endpoint(CHAT_SURFACE),
                responses=endpoint(RESPONSES_SURFACE),
                messages=anthropic(MESSAGES_SURFACE),
                count_tokens=anthropic(COUNT_TOKENS_SURFACE, exchange=counts.exchange),
                embeddings=endpoint(EMBEDDINGS_SURFACE),
                gemini=gemini(GEMINI_SURFACE),
                gemini_count=gemini(GEMINI_COUNT_SURFACE, exchange=gemini_counts.exchange),
                models=ModelList(door, self._catalog, lambda: gateway.exposure),
                usage=Usage(door, storage.usage, admission, self._quota, reports, clock),
                token=Token(door, self._sessions),
                identities=Identities(door, self._sessions, self._quota, reports, self._slots, clock),
                ledger_usage=ledger.usage,
                ledger_waste=ledger.waste,
                ledger_events=ledger.events,
                healthz=healthz,
                readyz=Readiness(self._health()),
                metrics=self._metrics,
                **config,
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
        await asyncio.to_thread(self._stops.load)
        self._recorder.start()
        spare_the_collector()
        _allow_many_connections()
        try:
            async with asyncio.TaskGroup() as group:
                background = [
                    group.create_task(self._sessions.run()),
                    group.create_task(self._catalog.run()),
                    group.create_task(self._drift.run()),
                    group.create_task(self._stops.run()),
                    group.create_task(self._quota.run()),
                    group.create_task(self._upkeep.run()),
                ]
                if self._surroundings.source is not None:
                    background.append(group.create_task(self._surroundings.source.run(self._apply)))
                await server.run_until_stopped(sockets)
                for task in background:
                    task.cancel()
        finally:
            await self._transport.close()
            await asyncio.to_thread(self._recorder.stop)
            observe(Stopped())

    def _apply(self, settings: Settings) -> None:
        """Bring what may change while it runs into force; calls under way keep what they began with."""
        self._gateway.exposure = settings.exposure
        self._watch.expose(settings.exposure)
        self._quotas.limits = settings.limits
        queue = settings.queue
        self._slots.resize(queue.max_in_flight, queue_seconds=queue.timeout_seconds, max_waiting=queue.max_waiting)
        self._intake.max_body_bytes = settings.max_body_bytes
        self._door.is_open = settings.is_open
        self._metrics.settings = settings.metrics
        self._upkeep.settings = settings.retention
        self._gateway.settlement.is_recording = settings.is_recording
        if settings.opentelemetry != self._settings.opentelemetry:
            self._surroundings.observe(Notice("config.json: opentelemetry is as it was until the gateway is restarted"))

    def _standing(self) -> Standing:
        """How things stand, for metrics."""
        source, brake, slots = self._surroundings.source, self._brake, self._slots
        now = self._surroundings.clock.monotonic()
        return Standing(
            calls_in_flight=self._gateway.settlement.calls_under_way,
            identities=(
                IdentityStanding(
                    DEFAULT_IDENTITY,
                    slots=brake.most,
                    slots_allowed=brake.slots(now),
                    slots_taken=slots.in_flight,
                    waiting=slots.waiting,
                    is_stopped=brake.stop is not None,
                ),
            ),
            journal_waiting_bytes=self._recorder.waiting_bytes,
            events_lost=self._recorder.lost,
            catalog_models=len(self._catalog.current.models) if self._catalog.is_known else 0,
            is_config_rejected=source is not None and source.rejected is not None,
            log_lines_dropped=self._surroundings.log_lines_dropped(),
        )

    def _catalog_read(self, document: dict[str, Any], catalog: Catalog) -> None:
        self._watch.read(catalog)
        self._drift.read(document, catalog)

    def _drifted(self, changes: list[CatalogChange]) -> None:
        self._surroundings.observe(CatalogDrifted(len(changes), summarise(changes)))

    def _flagged(self, error: AccountFlagged) -> None:
        self._stops.flagged(error)

    def _stopped(self, stop: Stop) -> None:
        self._surroundings.observe(IdentityStopped(stop.at.isoformat(timespec="seconds"), stop.reason))
        self._slots.pump()  # whoever waits need not wait any longer

    def _resumed(self) -> None:
        self._surroundings.observe(IdentityResumed())
        self._slots.pump()

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

        async def aliases() -> str | None:
            return self._watch.reason

        async def upstream() -> str | None:
            stop = self._brake.stop
            if stop is None:
                return None
            since = stop.at.isoformat(timespec="seconds")
            return f"GitHub flagged the account at {since}: {stop.reason}; then run 'copilot-api resume'"

        return Health(
            {"upstream": upstream, "database": database, "ledger": ledger, "token": token, "catalog": catalog},
            warnings={"aliases": aliases},
        )


@dataclass(frozen=True, slots=True)
class _SpentBefore:
    """What the ledger says was spent, once all that earlier processes left is in it."""

    ledger: SpentBefore
    recorder: UsageRecorder

    def spent(self, key_id: str | None, since: datetime, until: datetime) -> Amounts:
        """See `SpentBefore`."""
        if not self.recorder.wait_caught_up(CATCH_UP_SECONDS):
            raise StorageUnavailable("the usage journal is not in the database yet")
        return self.ledger.spent(key_id, since, until)


def spare_the_collector() -> None:
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
