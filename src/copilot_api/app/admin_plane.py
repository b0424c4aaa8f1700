"""What the admin API and the admin pages ask."""

from dataclasses import dataclass

from copilot_api.admin.notices import GatewayState
from copilot_api.admin.recent import RecentAnswers
from copilot_api.admin.services import PageServices
from copilot_api.admin.site import AdminSite
from copilot_api.admin.topics import SlowMark
from copilot_api.admission.service import Admission
from copilot_api.api.admin_services import AdminServices
from copilot_api.api.audit_verify import AuditVerifier
from copilot_api.api.calls import Calls
from copilot_api.api.config import ConfigApi
from copilot_api.api.door import Door
from copilot_api.api.ledger import LedgerApi
from copilot_api.api.offers import OffersApi
from copilot_api.api.overview import Overviews
from copilot_api.api.privacy import PrivacyApi
from copilot_api.api.probes import Probes
from copilot_api.api.system import SystemReports
from copilot_api.api.trace_replay import ReplayServices, TraceReplays
from copilot_api.api.trace_tail import TraceTails
from copilot_api.api.traces import TracesApi
from copilot_api.app.account import Account
from copilot_api.app.records import Records
from copilot_api.app.surroundings import Surroundings
from copilot_api.config.settings import Settings
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.impact import ImpactQuery
from copilot_api.observability.health import Health
from copilot_api.upstream.clock_skew import ClockSkew
from copilot_api.upstream.prices import Tariff


@dataclass(frozen=True, slots=True)
class AdminPlane:
    """What there is for admins to ask, once everything else is there."""

    settings: Settings
    surroundings: Surroundings
    account: Account
    records: Records
    gateway: Gateway
    admission: Admission
    door: Door
    site: AdminSite
    health: Health
    config: ConfigApi | None
    privacy: PrivacyApi | None
    system: SystemReports

    def make_admin_services(self, traces: TracesApi) -> AdminServices:
        """What the admin API asks."""
        surroundings, door, gateway = self.surroundings, self.door, self.gateway
        clock, storage, settlement = surroundings.clock, surroundings.storage, self.gateway.settlement
        return AdminServices(
            door=door,
            clock=clock,
            keys=storage.keys,
            admission=self.admission,
            may_capture=self.records.may_capture,
            audit=surroundings.audit,
            audit_path=surroundings.directory.audit,
            calls=Calls(settlement, surroundings.audit.append),
            overviews=Overviews(
                settlement, self.account.identities, storage.keys, storage.usage, storage.catalogs, self.health, clock
            ),
            system=self.system,
            identities=self.account.identities,
            sign_ins=self.account.sign_ins,
            offers=OffersApi(
                storage.keys,
                gateway.catalog,
                lambda: self.account.drift.read_at,
                lambda: gateway.exposure,
                storage.catalogs,
                clock,
            ),
            ledger=LedgerApi(
                door, storage.keys, storage.usage, clock, surroundings.observe, append=surroundings.audit.append
            ),
            traces=traces,
            sessions=self.site.make_session_api(door),
            config=self.config,
            privacy=self.privacy,
        )

    def make_page_services(self, replays: ReplayServices, tails: TraceTails) -> PageServices:
        """What the admin pages ask, and what they hear of."""
        surroundings = self.surroundings
        clock, storage = surroundings.clock, surroundings.storage
        return PageServices(
            clock=clock,
            keys=storage.keys,
            ledger=storage.usage,
            audit=surroundings.audit,
            verifier=AuditVerifier(surroundings.directory.audit),
            catalogs=storage.catalogs,
            traces=self.records.traces,
            tails=tails,
            replays=TraceReplays(replays),
            quota=self.account.quota,
            reports=self.account.reports,
            slots=self.account.slots,
            under_way=self.gateway.settlement.under_way,
            events_stored=SlowMark(clock, lambda: self.records.recorder.stored),
            state=self._gateway_state,
            sessions=self.site.sessions,
            standings=self.admission.standings,
            may_capture=self.records.may_capture,
            catalog=lambda: self.account.catalog.current if self.account.catalog.is_known else None,
            catalog_read_at=lambda: self.account.drift.read_at,
            exposure=lambda: self.gateway.exposure,
            probes=Probes(self.gateway, clock, surroundings.observe),
            config=self.config,
            system=self.system,
            identities=self.account.identities,
            sign_ins=self.account.sign_ins,
            privacy=self.privacy,
            recent=RecentAnswers(clock),
        )

    def _gateway_state(self) -> GatewayState:
        """How the gateway is, for the strip on the admin pages."""
        surroundings, brake, source = self.surroundings, self.account.brake, self.surroundings.source
        now = surroundings.clock.now()
        keys = surroundings.storage.keys
        orders = [order for key in keys.list_known() if (order := key.capture_at(now)) is not None]
        problems = (
            ("ledger", self.records.recorder.failure),
            ("token", self.account.why_no_token()),
            ("catalog", self.account.why_no_catalog()),
        )
        stop = brake.stop
        return GatewayState(
            problems=tuple((name, reason) for name, reason in problems if reason is not None),
            stopped=None if stop is None else f"{stop.reason} (since {stop.at.isoformat(timespec='seconds')})",
            slots=brake.most,
            slots_allowed=brake.slots(surroundings.clock.monotonic()),
            config_rejected=None if source is None else source.rejected,
            captured_until=tuple(order.until for order in orders) if self.records.may_capture() else (),
            is_open=self.door.is_open,
            clock_ahead=self.account.clock_skew.worth_telling,
        )


def make_config(surroundings: Surroundings, gateway: Gateway, tariff: Tariff) -> ConfigApi | None:
    """What looks at the configuration and changes it, where it is a file."""
    storage = surroundings.storage
    if surroundings.source is None or surroundings.config_writer is None:
        return None
    impact = ImpactQuery(storage.keys, storage.usage, tariff)
    return ConfigApi(surroundings.source, surroundings.config_writer, impact, gateway.catalog, surroundings.clock)


def make_system(
    settings: Settings, surroundings: Surroundings, records: Records, health: Health, clock_skew: ClockSkew
) -> SystemReports:
    """What tells of the gateway itself."""
    clock = surroundings.clock
    return SystemReports(
        settings=settings,
        started_at=clock.now(),
        began=clock.monotonic(),
        source=surroundings.source,
        database=surroundings.storage.read_state,
        recorder=records.recorder,
        upkeeps={"usage": records.upkeep, "audit": records.audit_upkeep, "traces": records.capture_upkeep},
        captures=records.captures,
        traces=records.traces,
        audit_path=surroundings.directory.audit,
        log_lines_dropped=surroundings.log_lines_dropped,
        health=health,
        clock=clock,
        clock_skew=clock_skew,
    )


def make_privacy(surroundings: Surroundings, door: Door) -> PrivacyApi | None:
    """What exports and erases what is stored about a key, where that is not for the command line only."""
    if surroundings.make_privacy_tools is None:
        return None
    return PrivacyApi(door, surroundings.clock, surroundings.directory, surroundings.make_privacy_tools)
