"""What `start` and `demo` do alike: open what is stored, see to the first admin key, run."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import click

from copilot_api.app import Storage, Surroundings
from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.cli.privacy_tools import make_privacy_tools
from copilot_api.cli.stores import Stores, local_actor
from copilot_api.clock import Clock, SystemClock
from copilot_api.config.environment import environment
from copilot_api.config.paths import DataDirectory
from copilot_api.config.reload import SettingsSource
from copilot_api.config.settings import Settings
from copilot_api.config.store import ConfigStore, Version
from copilot_api.keys.bootstrap import ensure_admin_key_in_file
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.service import KeyService
from copilot_api.observability.events import Notice, Observer
from copilot_api.observability.fan_out import FanOut
from copilot_api.observability.log_writer import LineWriter
from copilot_api.observability.logs import LibraryLogs, Log
from copilot_api.observability.metrics import Metrics
from copilot_api.observability.otel import make_export
from copilot_api.storage.catalogs import SqlCatalogRepository
from copilot_api.storage.keys import SqlKeyRepository
from copilot_api.storage.ledger_upkeep import SqlLedgerUpkeep, read_database_state
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.privacy import SqlPrivacyRepository
from copilot_api.storage.quotas import SqlQuotaRepository
from copilot_api.storage.sessions import SqlSessionRepository
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.stops import SqlStopRepository
from copilot_api.storage.usage import SqlUsageRepository
from copilot_api.upstream.identities import Identity

PROBE_SECONDS = 0.25
"""How long `/readyz` waits for the database's lock before it says that it is not to be had."""
LISTENING_SECONDS = 0.5
"""How long the start waits for the line with the address to be taken, before there is any call."""


@contextmanager
def prepared(
    settings: Settings,
    directory: DataDirectory,
    identity: Identity | None,
    *,
    source: SettingsSource | None = None,
    on_listening: Callable[[str], None] = lambda _: None,
    clock: Clock | None = None,
) -> Generator[Surroundings]:
    """Everything that a gateway needs around it, closed again at the end. Without a clock it goes by the machine's."""
    clock = clock or SystemClock()
    export = make_export(settings.opentelemetry, environment(), clock) if settings.opentelemetry.is_on else None
    lines, log = _open_log(settings, clock)
    metrics = Metrics(clock)
    observers: tuple[Observer, ...] = (log, metrics) if export is None else (log, metrics, export)
    observe = FanOut(observers)
    handler = LibraryLogs(log)
    logging.getLogger().addHandler(handler)
    directory.prepare_subdirectory(directory.spool)
    database = open_sqlite(directory.database)
    probing = open_sqlite(directory.database, busy_seconds=PROBE_SECONDS)
    try:
        if export is not None:
            export.start(observe)
        kept = upgrade(database)
        if kept is not None:
            observe(Notice(f"the database was brought up to date; a copy of the old one: {kept}"))
        audit = AuditLog(directory.audit, clock)
        repository = SqlKeyRepository(database, audit)
        keys = KeyService(repository, KeyChanges(directory.key_stamp), clock)
        if settings.is_open:
            detail: dict[str, object] = {"host": settings.host, "port": settings.port}
            audit.append(AuditEvent(local_actor(), Action.STARTED_WITHOUT_AUTHENTICATION, settings.host, detail))
            observe(Notice("authentication is off: whoever reaches this address uses the Copilot account"))
        else:
            ensure_admin_key(keys, directory, observe)
        keys.load()

        def probe() -> None:
            with probing.begin():
                pass

        def listening(url: str) -> None:
            lines.flush(LISTENING_SECONDS)  # what the command prints next comes after the line with the address
            on_listening(url)

        usage = SqlUsageRepository(database)
        if source is not None:
            source.observe, source.guard = observe, partial(_guard_opening, audit, observe)
        stops, catalogs = SqlStopRepository(database, audit), SqlCatalogRepository(database)
        stores = Stores(clock, keys, usage, stops, catalogs, directory, database, audit)
        yield Surroundings(
            directory=directory,
            storage=Storage(
                keys,
                repository,
                usage,
                usage,
                stops,
                catalogs,
                SqlQuotaRepository(database),
                SqlLedgerUpkeep(database),
                SqlPrivacyRepository(database, audit),
                SqlSessionRepository(database, audit),
                probe,
                partial(read_database_state, database),
            ),
            identity=identity,
            clock=clock,
            observe=observe,
            metrics=metrics,
            audit=audit,
            log_lines_dropped=lambda: lines.dropped,
            ask=ask_in_terminal,
            source=source,
            config_writer=_ConfigWriter(ConfigStore(directory.config, directory.config_history), audit),
            make_privacy_tools=partial(make_privacy_tools, stores),
            on_listening=listening,
        )
    finally:
        if export is not None:
            export.close()
        database.close()
        probing.close()
        logging.getLogger().removeHandler(handler)
        lines.close()


def _open_log(settings: Settings, clock: Clock) -> tuple[LineWriter, Log]:
    lines = LineWriter(sys.stderr)
    log = Log(
        clock,
        lines.put,
        log_format=settings.log_format,
        is_verbose=settings.is_verbose,
        has_calls=settings.has_access_log,
    )
    lines.render_dropped = lambda count: log.render(Notice(f"{count} log lines were dropped: nobody took them in time"))
    return lines, log


@dataclass(frozen=True, slots=True)
class _ConfigWriter:
    """The configuration file, for the admin API."""

    store: ConfigStore
    audit: AuditLog

    def read(self) -> tuple[bytes | None, str]:
        """See `ConfigWriter`."""
        return self.store.read_content()

    def history(self) -> list[Version]:
        """See `ConfigWriter`."""
        return self.store.history()

    def read_version(self, version_id: str) -> bytes:
        """See `ConfigWriter`."""
        return self.store.read_version(version_id)

    def replace(
        self,
        content: bytes,
        expected: str | None,
        actor: str,
        origin: Origin,
        detail: dict[str, object] | None = None,
    ) -> str:
        """See `ConfigWriter`."""
        if expected is None:
            expected = self.store.read_content()[1]
        stored = self.store.replace(
            content, expected=expected, actor=actor, audit=self.audit, detail=detail, origin=origin
        )
        return stored.version_hash


def _guard_opening(audit: AuditLog, observe: Observer, old: Settings, new: Settings) -> None:
    """Authentication that is switched off while it runs is on record like a start without it."""
    if new.is_open and not old.is_open:
        detail: dict[str, object] = {"host": new.host, "port": new.port}
        audit.append(AuditEvent(local_actor(), Action.STARTED_WITHOUT_AUTHENTICATION, new.host, detail))
        observe(Notice("authentication is off: whoever reaches this address uses the Copilot account"))


def ensure_admin_key(keys: KeyService, directory: DataDirectory, observe: Observer) -> None:
    """
    The first admin key: shown once in a terminal; without one written to a file and nowhere else, since the logs of
    services live for ever.
    """
    if sys.stderr.isatty() and sys.stdin.isatty():
        issued = keys.ensure_admin_key(actor=local_actor())
        if issued is not None:
            click.echo("\nThis is the admin key, shown this once. Keep it like a password:\n", err=True)
            click.echo(f"    {issued.secret}\n", err=True)
    elif ensure_admin_key_in_file(keys, directory.admin_key, actor=local_actor()) is not None:
        observe(Notice(f"the admin key is in {directory.admin_key}: read it, then delete the file"))


async def ask_in_terminal(question: str) -> bool:
    """Put a yes-or-no question to whoever sits at the terminal. A question that is given up leaves no reader behind."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bool] = loop.create_future()

    def read() -> None:
        line = os.read(sys.stdin.fileno(), 1024)
        if not answered.done():
            answered.set_result(line.strip().lower() in {b"y", b"yes"})

    click.echo(f"{question} -- allow it? [y/N] ", err=True, nl=False)
    loop.add_reader(sys.stdin.fileno(), read)
    try:
        return await answered
    finally:
        loop.remove_reader(sys.stdin.fileno())


def ask_is_possible() -> bool:
    """Whether there is a terminal to ask in."""
    return sys.stdin.isatty()
