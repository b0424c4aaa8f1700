"""The account at GitHub: its token, its models, its quota, how many calls it takes, and whether it is stopped."""

from collections.abc import Coroutine
from typing import Any

from copilot_api.admission.in_flight import Slots
from copilot_api.api.identities import Identities
from copilot_api.api.sign_in import SignIns
from copilot_api.app.surroundings import Surroundings
from copilot_api.config.settings import Settings
from copilot_api.errors import AccountFlagged, GatewayError
from copilot_api.gateway.exposure_watch import ExposureWatch
from copilot_api.observability.events import (
    Braked,
    CatalogDrifted,
    CatalogRefreshFailed,
    CatalogStorageBroken,
    IdentityResumed,
    IdentityStopped,
    Notice,
    TokenRenewalFailed,
    TokenRenewed,
)
from copilot_api.observability.metric_families import IdentityStanding
from copilot_api.upstream.auth import CopilotSession, CopilotSessions
from copilot_api.upstream.brake import Brake, Stop
from copilot_api.upstream.catalog import Catalog, CatalogKeeper
from copilot_api.upstream.clock_skew import ClockSkew
from copilot_api.upstream.credential_file import CredentialFile, watch_credential
from copilot_api.upstream.drift import CatalogChange, DriftKeeper, summarise
from copilot_api.upstream.github import GitHub, HttpSession
from copilot_api.upstream.hosts import AccountType, Hosts
from copilot_api.upstream.identities import DEFAULT_IDENTITY, CredentialSource, Identity
from copilot_api.upstream.library_transport import LibraryTransport
from copilot_api.upstream.quota_keeper import QuotaKeeper
from copilot_api.upstream.stops import StopKeeper
from copilot_api.upstream.transport import HttpTransport, Transport
from copilot_api.usage.credit_reports import AccountReports


class Account:
    """The services around the account at GitHub. `apply` brings changed settings into force."""

    def __init__(self, settings: Settings, surroundings: Surroundings, session: HttpSession) -> None:
        clock, observe, storage = surroundings.clock, surroundings.observe, surroundings.storage
        self._observe = observe
        upstream = settings.upstream
        hosts = Hosts(
            upstream.github_url, upstream.github_api_url, upstream.api_url, AccountType(upstream.account_type)
        )
        self.clock_skew = ClockSkew(clock)
        github = GitHub(session, hosts, self.clock_skew.note)

        def renewed(copilot: CopilotSession) -> None:
            observe(TokenRenewed(copilot.api))

        def renewal_failed(error: GatewayError) -> None:
            observe(TokenRenewalFailed(error.message))
            if isinstance(error, AccountFlagged):
                self._flagged(error)

        def catalog_failed(error: GatewayError) -> None:
            observe(CatalogRefreshFailed(error.message))

        self.sessions = CopilotSessions(
            github, surroundings.identity, clock, on_renewed=renewed, on_failed=renewal_failed
        )
        self.watch = ExposureWatch(settings.exposure, observe)
        self.drift = DriftKeeper(
            storage.catalogs,
            clock,
            on_drifted=self._drifted,
            on_failed=lambda error: observe(CatalogStorageBroken(error.message)),
        )
        self.catalog = CatalogKeeper(github, self.sessions, on_failed=catalog_failed, on_read=self._catalog_read)
        self.transport: Transport = LibraryTransport(session) if upstream.is_proxied else HttpTransport()
        self.brake = Brake(
            settings.queue.max_in_flight,
            on_braked=lambda slots, reason: observe(Braked(slots, reason)),
            on_flagged=self._flagged,
        )
        self.slots = Slots(
            self.brake,
            clock,
            queue_seconds=settings.queue.timeout_seconds,
            max_waiting=settings.queue.max_waiting,
        )
        self.stops = StopKeeper(
            DEFAULT_IDENTITY,
            self.brake,
            storage.stops,
            clock,
            on_stopped=self._stopped,
            on_resumed=self._resumed,
        )
        self.quota = QuotaKeeper(
            github,
            self.sessions,
            self.brake,
            storage.quotas,
            clock,
            observe=observe,
            on_flagged=self._flagged,
        )
        self._file = CredentialFile(surroundings.directory.github_token)
        self.sign_ins = SignIns(
            github,
            self._file,
            clock,
            surroundings.audit.append,
            identity=lambda: self.sessions.identity,
            account=lambda: None if self.quota.reading is None else self.quota.reading.quota.login,
            use=self._use,
        )
        self.reports = AccountReports(storage.quotas, storage.spent)
        self.identities = Identities(self.sessions, self.quota, self.reports, self.slots, storage.stops, clock)

    def apply(self, settings: Settings) -> None:
        """Bring what may change while it runs into force."""
        self.watch.expose(settings.exposure)
        queue = settings.queue
        self.slots.resize(queue.max_in_flight, queue_seconds=queue.timeout_seconds, max_waiting=queue.max_waiting)

    def list_tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as the gateway."""
        tasks: list[Coroutine[Any, Any, None]] = [
            self.sessions.run(),
            self.catalog.run(),
            self.drift.run(),
            self.stops.run(),
            self.quota.run(),
        ]
        identity = self.sessions.identity
        if identity is None or identity.source is CredentialSource.FILE:  # one that was given wins over the file
            tasks.append(watch_credential(self._file, self._use, lambda text: self._observe(Notice(text))))
        return tasks

    def why_stopped(self) -> str | None:
        """Why nothing is sent for it, where GitHub flagged it."""
        stop = self.brake.stop
        if stop is None:
            return None
        since = stop.at.isoformat(timespec="seconds")
        return f"GitHub flagged the account at {since}: {stop.reason}; then run 'copilot-api resume'"

    def standing(self, now: float) -> IdentityStanding:
        """How it stands, for metrics; `now` is on the monotonic clock."""
        brake, slots = self.brake, self.slots
        return IdentityStanding(
            DEFAULT_IDENTITY,
            slots=brake.most,
            slots_allowed=brake.slots(now),
            slots_taken=slots.in_flight,
            waiting=slots.waiting,
            is_stopped=brake.stop is not None,
        )

    def why_no_token(self) -> str | None:
        """Why nothing can be sent for it."""
        if self.sessions.current() is not None:
            return None
        failure = self.sessions.failure
        if self.sessions.identity is None:
            return "no GitHub credential: run 'copilot-api auth login'"
        return failure.message if failure else "not fetched yet"

    def why_no_catalog(self) -> str | None:
        """Why its models are not known."""
        if self.catalog.is_known:
            return None
        return self.catalog.failure.message if self.catalog.failure else "not fetched yet"

    def _use(self, identity: Identity) -> None:
        """Take another credential: calls under way finish with the one that they have."""
        if identity == self.sessions.identity:
            return  # it was written by whoever uses it already
        self.sessions.use(identity)
        self.catalog.renew()
        self.quota.renew()
        self._observe(Notice("another GitHub credential is used from now on"))

    def _catalog_read(self, document: dict[str, Any], catalog: Catalog) -> None:
        self.watch.read(catalog)
        self.drift.read(document, catalog)

    def _drifted(self, changes: list[CatalogChange]) -> None:
        self._observe(CatalogDrifted(len(changes), summarise(changes)))

    def _flagged(self, error: AccountFlagged) -> None:
        self.stops.flagged(error)

    def _stopped(self, stop: Stop) -> None:
        self._observe(IdentityStopped(stop.at.isoformat(timespec="seconds"), stop.reason))
        self.slots.pump()  # whoever waits need not wait any longer

    def _resumed(self) -> None:
        self._observe(IdentityResumed())
        self.slots.pump()
