"""What a gateway is given beside its settings."""

from collections.abc import Callable
from dataclasses import dataclass

from copilot_api.admission.approval import Ask
from copilot_api.admission.models import SpentBefore
from copilot_api.api.config import ConfigWriter
from copilot_api.audit.log import AuditLog
from copilot_api.clock import Clock
from copilot_api.config.paths import DataDirectory
from copilot_api.config.reload import SettingsSource
from copilot_api.keys.repository import KeyRepository
from copilot_api.keys.service import KeyService
from copilot_api.keys.sessions import SessionRepository
from copilot_api.observability.events import Observer
from copilot_api.observability.metrics import Metrics
from copilot_api.privacy.repository import PrivacyRepository
from copilot_api.privacy.tools import MakeTools
from copilot_api.upstream.drift import CatalogRepository
from copilot_api.upstream.identities import Identity
from copilot_api.upstream.quota_keeper import QuotaRepository
from copilot_api.upstream.stops import StopRepository
from copilot_api.usage.repository import UsageRepository
from copilot_api.usage.upkeep import DatabaseState, UpkeepRepository


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
    privacy: PrivacyRepository
    sessions: SessionRepository
    probe: Callable[[], None]
    read_state: Callable[[], DatabaseState]
    """Blocks; raises `StorageUnavailable`."""


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
    audit: AuditLog
    ask: Ask | None = None
    """Asks the operator in the terminal, for `--manual`."""
    source: SettingsSource | None = None
    """Where the settings change while it runs; None where they do not."""
    config_writer: ConfigWriter | None = None
    """Writes the configuration file, where there is a source."""
    make_privacy_tools: MakeTools | None = None
    """Makes what exports and erases what is stored about a key; None where that is for the command line only."""
    on_listening: Callable[[str], None] = lambda _: None
    log_lines_dropped: Callable[[], int] = lambda: 0
