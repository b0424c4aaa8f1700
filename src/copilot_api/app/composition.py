"""Settings in, a running gateway out."""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import uvloop

from copilot_api.admin.site import AdminSite
from copilot_api.admission.approval import Approval
from copilot_api.admission.budget import Amounts
from copilot_api.admission.minimum_gap import MinimumGap
from copilot_api.admission.models import SpentBefore
from copilot_api.admission.quotas import LocalQuotas
from copilot_api.admission.service import Admission
from copilot_api.api.account import Token, Usage
from copilot_api.api.admin_api import AdminApi
from copilot_api.api.admin_services import make_endpoints
from copilot_api.api.door import Door
from copilot_api.api.endpoint import Endpoint
from copilot_api.api.envelopes import anthropic_envelope, gemini_envelope
from copilot_api.api.errors import ANTHROPIC, GEMINI
from copilot_api.api.health import Readiness, healthz
from copilot_api.api.intake import IntakeLimits
from copilot_api.api.local_socket import LocalSocket
from copilot_api.api.metrics import MetricsEndpoint
from copilot_api.api.models import ModelList
from copilot_api.api.routes import Endpoints, Router
from copilot_api.api.security_headers import SecurityHeaders
from copilot_api.api.server import GatewayServer
from copilot_api.api.trace_access import KeyAccess, LocalAccess
from copilot_api.api.trace_replay import ReplayServices
from copilot_api.api.trace_tail import TraceTails
from copilot_api.api.traces import TracesApi
from copilot_api.app.account import Account
from copilot_api.app.admin_plane import AdminPlane, make_config, make_privacy, make_system
from copilot_api.app.process import allow_many_connections, load_tls, spare_the_collector
from copilot_api.app.records import Records
from copilot_api.app.surroundings import Surroundings
from copilot_api.config.binding import is_loopback
from copilot_api.config.settings import Settings
from copilot_api.errors import GatewayError, StorageUnavailable
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
from copilot_api.observability.events import BudgetsUnknown, Listening, Notice, Stopped, Stopping
from copilot_api.observability.health import Health
from copilot_api.observability.metric_families import MetricFamilies, Standing
from copilot_api.protocols.gemini import response as gemini_response
from copilot_api.protocols.messages import native as messages_native
from copilot_api.tokens.counter import TokenCounter
from copilot_api.upstream.client import CopilotClient
from copilot_api.upstream.github import HttpSession, open_session
from copilot_api.upstream.prices import NANO_PER_CREDIT, Tariff
from copilot_api.usage.recorder import UsageRecorder

CATCH_UP_SECONDS = 3.0
"""How long the first call of a key with budgets waits for the ledger to be complete."""


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
        self._account = account = Account(settings, surroundings, session)
        self._records = records = Records(settings, surroundings)
        self._quotas = quotas = LocalQuotas(
            clock,
            settings.limits,
            _SpentBefore(storage.spent, records.recorder),
            on_unknown=lambda error: observe(BudgetsUnknown(str(error))),
        )
        audit = surroundings.audit
        tariff = Tariff()
        gap, approval = None, None
        if settings.minimum_gap_seconds is not None:
            gap = MinimumGap(settings.minimum_gap_seconds, is_waiting=settings.is_gap_waited)
        if settings.is_approval_manual and surroundings.ask is not None:
            approval = Approval(surroundings.ask)
        settlement = Settlement(records.recorder, clock, observe, tariff=tariff)
        settlement.is_recording = settings.is_recording
        upstream_client = CopilotClient(account.transport, account.sessions, clock, account.brake)
        admission = Admission(clock, quotas, account.slots, gap=gap, approval=approval)
        self._gateway = gateway = Gateway(
            settlement,
            account.catalog,
            admission,
            upstream_client,
            clock,
            settings.exposure,
        )
        self._intake = IntakeLimits(settings.max_body_bytes)
        trusted = tuple(map(ipaddress.ip_network, settings.trusted_proxies))
        self._site = site = AdminSite(
            storage.keys,
            storage.sessions,
            clock,
            audit.append,
            observe,
            trusted=trusted,
            on_refused=records.refused.note,
            is_on=settings.has_pages,
            is_demo=settings.is_demo,
        )
        self._door = door = Door(
            storage.keys,
            clock,
            is_open=settings.is_open,
            is_local=is_loopback(settings.host),
            trusted=trusted,
            on_refused=records.refused.note,
            sessions=site.access,
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
            captures=records.captures,
            is_traced=settings.opentelemetry.is_traced,
        )
        anthropic = partial(endpoint, errors=ANTHROPIC, read_envelope=anthropic_envelope)
        gemini = partial(endpoint, errors=GEMINI, read_envelope=gemini_envelope)
        counter = TokenCounter()
        counts = TokenCounts(
            gateway, upstream_client, counter.count, CountForm(render_anthropic_count, messages_native.render_count)
        )
        gemini_counts = TokenCounts(gateway, upstream_client, counter.count, CountForm(gemini_response.render_count))
        counting = {
            COUNT_TOKENS_SURFACE.endpoint: counts.exchange,
            GEMINI_COUNT_SURFACE.endpoint: gemini_counts.exchange,
        }
        replays = ReplayServices(
            gateway, records.captures, records.traces, storage.keys, audit.append, clock, observe, counting
        )
        self._tails = tails = TraceTails(records.traces, clock)
        local = TracesApi(LocalAccess(), replays, tails)
        self._local = LocalSocket(surroundings.directory.path, local, observe)
        health = self._make_health()
        plane = AdminPlane(
            settings,
            surroundings,
            account,
            records,
            gateway,
            admission,
            door,
            site,
            health,
            config=make_config(surroundings, gateway, tariff),
            privacy=make_privacy(surroundings, door),
            system=make_system(settings, surroundings, records, health, account.clock_skew),
        )
        self.router = Router(
            Endpoints(
                chat=endpoint(CHAT_SURFACE),
                responses=endpoint(RESPONSES_SURFACE),
                messages=anthropic(MESSAGES_SURFACE),
                count_tokens=anthropic(COUNT_TOKENS_SURFACE, exchange=counts.exchange),
                embeddings=endpoint(EMBEDDINGS_SURFACE),
                gemini=gemini(GEMINI_SURFACE),
                gemini_count=gemini(GEMINI_COUNT_SURFACE, exchange=gemini_counts.exchange),
                models=ModelList(door, account.catalog, lambda: gateway.exposure),
                usage=Usage(
                    door,
                    storage.usage,
                    admission,
                    account.quota,
                    account.reports,
                    clock,
                    may_capture=records.may_capture,
                ),
                token=Token(door, account.sessions),
                healthz=healthz,
                readyz=Readiness(health),
                metrics=self._metrics,
                admin_api=AdminApi(
                    make_endpoints(plane.make_admin_services(TracesApi(KeyAccess(door), replays, tails)))
                ),
                pages=site.make_pages(door, plane.make_page_services(replays, tails)),
            ),
            SecurityHeaders(trusted),
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
            tls=load_tls(settings),
            on_listening=on_listening,
            on_stopping=self._stopping,
            sweep=self._sweep,
        )
        await asyncio.to_thread(self._account.stops.load)
        self._records.start()
        spare_the_collector()
        allow_many_connections()
        try:
            async with asyncio.TaskGroup() as group:
                background = [
                    group.create_task(task)
                    for task in (*self._account.list_tasks(), *self._records.list_tasks(), self._site.run())
                ]
                if self._surroundings.source is not None:
                    background.append(group.create_task(self._surroundings.source.run(self._apply)))
                async with self._local:
                    await server.run_until_stopped(sockets)
                await self._records.captures.finish()
                for task in background:
                    task.cancel()
                await self._site.finish()
                await self._account.sign_ins.stop()
        finally:
            await self._account.transport.close()
            await self._records.stop()
            observe(Stopped())

    def _sweep(self) -> None:
        self._account.transport.sweep()
        self._local.tick()

    def _stopping(self, calls: int) -> None:
        self._surroundings.observe(Stopping(calls))
        self._tails.stop()
        self._site.stop()
        self._local.stop_listening()

    def _apply(self, settings: Settings) -> None:
        """Bring what may change while it runs into force; calls under way keep what they began with."""
        self._gateway.exposure = settings.exposure
        self._account.apply(settings)
        self._records.apply(settings)
        self._quotas.limits = settings.limits
        self._intake.max_body_bytes = settings.max_body_bytes
        self._door.is_open = settings.is_open
        self._metrics.settings = settings.metrics
        self._gateway.settlement.is_recording = settings.is_recording
        self._site.access.is_on = settings.has_pages
        if settings.opentelemetry != self._settings.opentelemetry:
            self._surroundings.observe(Notice("config.json: opentelemetry is as it was until the gateway is restarted"))

    def _standing(self) -> Standing:
        """How things stand, for metrics."""
        source, catalog = self._surroundings.source, self._account.catalog
        now = self._surroundings.clock.monotonic()
        return Standing(
            calls_in_flight=self._gateway.settlement.calls_under_way,
            identities=(self._account.standing(now),),
            journal_waiting_bytes=self._records.recorder.waiting_bytes,
            events_lost=self._records.recorder.lost,
            catalog_models=len(catalog.current.models) if catalog.is_known else 0,
            is_config_rejected=source is not None and source.rejected is not None,
            log_lines_dropped=self._surroundings.log_lines_dropped(),
            captures=self._records.captures.standing(),
        )

    def _make_health(self) -> Health:
        async def database() -> str | None:
            try:
                await asyncio.to_thread(self._surroundings.storage.probe)
            except GatewayError as error:
                return error.message
            return None

        async def token() -> str | None:
            return self._account.why_no_token()

        async def catalog() -> str | None:
            return self._account.why_no_catalog()

        async def ledger() -> str | None:
            return self._records.recorder.failure

        async def aliases() -> str | None:
            return self._account.watch.reason

        async def upstream() -> str | None:
            return self._account.why_stopped()

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
