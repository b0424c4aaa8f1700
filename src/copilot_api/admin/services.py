"""What the pages ask. Whatever of it blocks is asked in `threads`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from copilot_api.admin.live import Mark
from copilot_api.admin.notices import GatewayState
from copilot_api.admin.recent import RecentAnswers
from copilot_api.admin.sessions import SessionService
from copilot_api.admin.threads import PageThreads
from copilot_api.admission.in_flight import Slots
from copilot_api.admission.models import LimitStanding
from copilot_api.api.audit_verify import AuditVerifier
from copilot_api.api.config import ConfigApi
from copilot_api.api.identities import Identities
from copilot_api.api.privacy import PrivacyApi
from copilot_api.api.probes import Probes
from copilot_api.api.sign_in import SignIns
from copilot_api.api.system import SystemReports
from copilot_api.api.trace_replay import TraceReplays
from copilot_api.api.trace_tail import TraceTails
from copilot_api.audit.log import AuditLog
from copilot_api.capture.service import Traces
from copilot_api.clock import Clock
from copilot_api.config.settings import Exposure
from copilot_api.errors import GatewayError
from copilot_api.gateway.under_way import Followed
from copilot_api.keys.models import ApiKey
from copilot_api.keys.service import KeyService
from copilot_api.upstream.catalog import Catalog
from copilot_api.upstream.drift import CatalogRepository
from copilot_api.upstream.quota_keeper import AccountReading
from copilot_api.usage.credit_reports import AccountReports
from copilot_api.usage.repository import UsageRepository


class LatestQuota(Protocol):
    """The account's quota as it was read last; a part of `QuotaKeeper`. Asking it asks nobody."""

    @property
    def reading(self) -> AccountReading | None:
        """The last reading; None before the first."""
        ...

    @property
    def failure(self) -> GatewayError | None:
        """Why the last attempt to read it failed."""
        ...

    def age(self, reading: AccountReading) -> float:
        """How old a reading is, in seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PageServices:
    """See the module. Made in `copilot_api.app`; a view takes it whole and asks what it needs of it."""

    clock: Clock
    keys: KeyService
    """Blocks, but for `list_known` and `knows`."""
    ledger: UsageRepository
    """Blocks."""
    audit: AuditLog
    """Blocks."""
    verifier: AuditVerifier
    catalogs: CatalogRepository
    """Blocks."""
    traces: Traces
    """Blocks."""
    tails: TraceTails
    replays: TraceReplays
    quota: LatestQuota
    reports: AccountReports
    slots: Slots
    under_way: Mapping[str, Followed]
    """The calls that are under way, by request id."""
    events_stored: Mark
    """Changes when the ledger got new events, and at most every few seconds, whoever looks."""
    state: Callable[[], GatewayState]
    """How the gateway is; asks nobody."""
    sessions: SessionService
    standings: Callable[[ApiKey], Awaitable[list[LimitStanding]]]
    """How every limit of a key stands; the first time that a key is asked about, the ledger is."""
    may_capture: Callable[[], bool]
    """Whether the operator allows captures."""
    catalog: Callable[[], Catalog | None]
    """Copilot's models as they were read last; None before the first time."""
    catalog_read_at: Callable[[], datetime | None]
    """When that was."""
    exposure: Callable[[], Exposure]
    """Which of them clients may call, by which names."""
    probes: Probes
    config: ConfigApi | None
    """None where the settings are not from a file."""
    system: SystemReports
    identities: Identities
    sign_ins: SignIns
    privacy: PrivacyApi | None
    """None where what is stored about a key is exported and erased on the command line only."""
    recent: RecentAnswers
    """Answers that many pages and tabs ask for, kept for a moment."""
    threads: PageThreads = field(default_factory=PageThreads)
