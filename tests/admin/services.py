"""What pages ask, on what a data directory of the test's own holds."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from copilot_api.admin.answers import Answer, Page
from copilot_api.admin.arrivals import Arrival
from copilot_api.admin.assets import Assets
from copilot_api.admin.forms import Fields, parse_query
from copilot_api.admin.notices import GatewayState
from copilot_api.admin.recent import RecentAnswers
from copilot_api.admin.requests import FRAGMENT_HEADER, AdminRequest, SignedIn
from copilot_api.admin.routes import View
from copilot_api.admin.services import PageServices
from copilot_api.admin.sessions import SessionService
from copilot_api.admin.shell import Shell
from copilot_api.admin.templating import Templates
from copilot_api.admission.in_flight import Slots
from copilot_api.admission.quotas import LocalQuotas
from copilot_api.api.audit_verify import AuditVerifier
from copilot_api.api.config import ConfigApi
from copilot_api.api.identities import Identities
from copilot_api.api.operations.account import IdentityList, IdentityStanding, Resumed, SignIn
from copilot_api.api.operations.standing import System
from copilot_api.api.probes import Probed, Probes
from copilot_api.api.sign_in import Asker, SignIns
from copilot_api.api.system import SystemReports
from copilot_api.api.trace_access import Visitor
from copilot_api.api.trace_replay import TraceReplays
from copilot_api.api.trace_tail import TraceTails
from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import Origin
from copilot_api.capture.files import TraceFiles
from copilot_api.capture.models import Trace
from copilot_api.capture.ring import Ring
from copilot_api.capture.service import Traces
from copilot_api.cli.gateway_options import GatewayFlags, make_settings
from copilot_api.config.loader import ConfigInvalid, parse_config
from copilot_api.config.schema import ConfigFile
from copilot_api.config.settings import AdmissionLimits, Exposure, Settings
from copilot_api.config.store import ConfigStore, Version
from copilot_api.errors import CatalogUnavailable, GatewayError
from copilot_api.gateway.impact import ImpactQuery
from copilot_api.keys.models import ApiKey, Tier
from copilot_api.keys.sessions import Session
from copilot_api.storage.sessions import SqlSessionRepository
from copilot_api.upstream.brake import Brake
from copilot_api.upstream.catalog import Catalog
from copilot_api.upstream.quota_keeper import AccountReading
from copilot_api.usage.credit_reports import AccountReports
from tests.fakes import FakeClock
from tests.stored import Stored

TEMPLATES = Templates(Assets())


@dataclass
class Quota:
    """A quota that was read, or not."""

    clock: FakeClock
    reading: AccountReading | None = None
    failure: GatewayError | None = None

    def age(self, reading: AccountReading) -> float:
        return self.clock.monotonic() - reading.moment


@dataclass
class SaidProbes:
    """Probes that answer what a test says."""

    probed: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    failing: dict[str, str] = field(default_factory=dict[str, str])
    """Messages by protocol."""

    async def run(self, key: ApiKey, protocol: str, model: str) -> Probed:
        self.probed.append((key.id, protocol, model))
        message = self.failing.get(protocol, "")
        outcome = (429, "rate_limited") if message else (200, "ok")
        return Probed(protocol, f"/v1/{protocol}", f"req_{protocol}", *outcome, message, "", model, 0.2, 0.5, 20, 0.01)


@dataclass
class FileSource:
    """What the file in the data directory says, at once."""

    store: ConfigStore
    rejected: str | None = None

    def __post_init__(self) -> None:
        self._good = ConfigFile()

    @property
    def path(self) -> Path:
        return self.store.path

    @property
    def hash(self) -> str:
        return self.store.read_content()[1]

    @property
    def config(self) -> ConfigFile:
        try:
            self._good = self.store.read().config
        except ConfigInvalid as error:
            self.rejected = error.message
        return self._good

    @property
    def current(self) -> Settings:
        return self._make(self.config)

    def check(self, content: bytes) -> Settings:
        return self._make(parse_config(content, "the configuration"))

    def _make(self, config: ConfigFile) -> Settings:
        return make_settings(GatewayFlags(**_FLAGS), config)


_FLAGS: dict[str, Any] = {
    **{each.name: None for each in fields(GatewayFlags)},
    "host": "127.0.0.1",
    "port": 0,
    "account_type": "individual",
    "drain_seconds": 1.0,
}


@dataclass
class StoreWriter:
    """The file and its versions, as `copilot-api start` hands them over."""

    store: ConfigStore
    audit: AuditLog

    def read(self) -> tuple[bytes | None, str]:
        return self.store.read_content()

    def history(self) -> list[Version]:
        return self.store.history()

    def read_version(self, version_id: str) -> bytes:
        return self.store.read_version(version_id)

    def replace(
        self,
        content: bytes,
        expected: str | None,
        actor: str,
        origin: Origin,
        detail: dict[str, object] | None = None,
    ) -> str:
        stored = self.store.replace(
            content, expected=expected, actor=actor, audit=self.audit, detail=detail, origin=origin
        )
        return stored.version_hash


@dataclass
class SaidSystem:
    """Tells of the gateway what a test says."""

    told: System | None = None
    in_force: Settings = field(default_factory=Settings)

    async def get(self) -> System:
        assert self.told is not None
        return self.told


@dataclass
class SaidIdentities:
    """The identities that a test says, and which of them were resumed."""

    told: list[IdentityStanding] = field(default_factory=list[IdentityStanding])
    resumed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    async def list_all(self) -> IdentityList:
        return IdentityList(self.told)

    async def resume(self, identity_id: str, actor: str, _origin: Origin) -> Resumed:
        self.resumed.append((identity_id, actor))
        return Resumed(identity=identity_id, was_stopped=True, since=None, reason=None)


@dataclass
class SaidReplays:
    """Replays that are kept as a test says."""

    asked: list[tuple[str, str, str | None]] = field(default_factory=list[tuple[str, str, str | None]])
    """Who asked, for which trace, to which model."""
    failure: GatewayError | None = None

    async def replay(self, visitor: Visitor, trace: Trace, model: str | None) -> Any:
        self.asked.append((visitor.actor, trace.request_id, model))
        if self.failure is not None:
            raise self.failure
        return SimpleNamespace(record=SimpleNamespace(event=SimpleNamespace(request_id="req_again")))


class SaidSignIns:
    """The logins at GitHub, as a test says."""

    def __init__(self) -> None:
        self.current: SignIn | None = None
        self.may_start = True
        self.asked: list[tuple[str, Asker]] = []
        self.cancelled: list[str] = []
        self.error: GatewayError | None = None

    @property
    def mark(self) -> object:
        return self.current

    async def start(self, identity_id: str, by: Asker) -> None:
        if self.error is not None:
            raise self.error
        self.asked.append((identity_id, by))

    async def cancel(self, identity_id: str) -> None:
        if self.error is not None:
            raise self.error
        self.cancelled.append(identity_id)


@dataclass
class World:
    """The services with what of them a test changes."""

    stored: Stored
    clock: FakeClock
    state: GatewayState = field(default_factory=GatewayState)
    under_way: dict[str, Any] = field(default_factory=dict[str, Any])
    stored_count: int = 0
    """Changes when a test has put events into the ledger, so that no answer from before is taken for new."""
    may_capture: bool = True
    catalog: Catalog | None = None
    exposure: Exposure = field(default_factory=Exposure)
    is_stepped_up: bool = False
    """Whether whoever asks has just shown the key again."""

    def __post_init__(self) -> None:
        self.asking: ApiKey = self.stored.keys.issue("ada", tier=Tier.ADMIN, actor="test").key
        self.stored.keys.load()
        self.brake = Brake(8)
        self.quota = Quota(self.clock)
        self.ring = Ring()
        self.quotas = LocalQuotas(self.clock, AdmissionLimits(), self.stored.usage)
        self.traces = Traces(self.ring, TraceFiles(self.stored.directory.traces), self.clock.now())
        self.replays = SaidReplays()
        self.probes = SaidProbes()
        self.system, self.identities, self.sign_ins = SaidSystem(), SaidIdentities(), SaidSignIns()
        stored, clock = self.stored, self.clock
        self.services = PageServices(
            clock=clock,
            keys=stored.keys,
            ledger=stored.usage,
            audit=stored.audit,
            verifier=AuditVerifier(stored.directory.audit),
            catalogs=stored.catalogs,
            traces=self.traces,
            tails=TraceTails(self.traces, clock, check_seconds=0.01),
            replays=cast("TraceReplays", self.replays),
            quota=self.quota,
            reports=AccountReports(stored.quotas, stored.usage),
            slots=Slots(self.brake, clock),
            under_way=self.under_way,
            events_stored=lambda: self.stored_count,
            state=lambda: self.state,
            sessions=SessionService(SqlSessionRepository(stored.database, stored.audit), stored.keys, clock),
            standings=lambda key: self.quotas.standings(key, clock.now(), clock.monotonic()),
            may_capture=lambda: self.may_capture,
            catalog=lambda: self.catalog,
            catalog_read_at=lambda: None if self.catalog is None else clock.now(),
            exposure=lambda: self.exposure,
            probes=cast("Probes", self.probes),
            config=self.make_config(),
            system=cast("SystemReports", self.system),
            identities=cast("Identities", self.identities),
            sign_ins=cast("SignIns", self.sign_ins),
            privacy=None,
            recent=RecentAnswers(clock),
        )

    def make_config(self) -> ConfigApi:
        """The configuration in the data directory; in force is what stands in the file whenever it is asked."""
        directory = self.stored.directory
        self.store = ConfigStore(directory.config, directory.config_history, self.clock)
        self.source = FileSource(self.store)
        impact = ImpactQuery(self.stored.keys, self.stored.usage)
        return ConfigApi(
            self.source, StoreWriter(self.store, self.stored.audit), impact, self._require_catalog, self.clock
        )

    async def _require_catalog(self) -> Catalog:
        if self.catalog is None:
            raise CatalogUnavailable("the list of Copilot's models is not known yet")
        return self.catalog

    def configure(self, document: object) -> str:
        """Write `document` as config.json; gives its hash."""
        content = msgspec.json.format(msgspec.json.encode(document), indent=2)
        stored = self.store.replace(
            content, expected=self.store.read_content()[1], actor="test", audit=self.stored.audit
        )
        return stored.version_hash

    def request(
        self,
        target: str,
        *,
        method: str = "GET",
        form: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        **parameters: str,
    ) -> AdminRequest:
        """What a view gets when an admin, or whoever `self.asking` is, asks for that."""
        path, _, query = target.partition("?")
        now = self.clock.now()
        stepped_up_at = now if self.is_stepped_up else None
        session = Session("ses_1", b"d", self.asking.id, b"s", now, now, stepped_up_at, None, None)
        return AdminRequest(
            method=method,
            path=path,
            target=target,
            parameters=parameters,
            query=parse_query(query.encode()),
            arrival=Arrival(False, True, "127.0.0.1:4141", "127.0.0.1", None),
            head={name.lower().encode(): value.encode() for name, value in (headers or {}).items()},
            origin=Origin("127.0.0.1", None, "req_page"),
            now=now,
            form=Fields(form.items() if isinstance(form, Mapping) else form or ()),
            signed_in=SignedIn(self.asking, session, "csrf-token"),
        )

    def ask(self, view: View, target: str, **more: Any) -> Answer:
        """What a view answers."""
        return asyncio.run(self._ask(view, self.request(target, **more)))

    def show(self, view: View, target: str, **more: Any) -> str:
        """The page that it answers, rendered with its own template."""
        request = self.request(target, **more)
        page = asyncio.run(self._ask(view, request))
        assert isinstance(page, Page), page
        values = {"request": request, "shell": Shell(), **page.data}
        wanted = request.header(FRAGMENT_HEADER)
        if wanted:
            fragments = TEMPLATES.render_fragments(page.template, values, wanted)
            assert fragments is not None, wanted
            return fragments
        return TEMPLATES.render(page.template, values)

    async def _ask(self, view: View, request: AdminRequest) -> Answer:
        return await view(request)


def text_of(html: str) -> str:
    """What a reader sees of it, without the spaces between."""
    body = re.sub(r"<(script|style|template)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
