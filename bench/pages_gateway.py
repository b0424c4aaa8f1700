"""
A gateway whose clock stands where a ledger of the benchmark ends, with the keys whose calls are in it.

    python -m bench.pages_gateway DIRECTORY [--kept]

`DIRECTORY` is a data directory. Once it serves, it prints its address and an admin key, on one line. Pages find
what they show each time they are asked for it, unless it may be kept.
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import uvloop

from bench.ledger import LedgerShape, list_keys
from copilot_api import app
from copilot_api.admin.recent import RecentAnswers
from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import Action, AuditEvent
from copilot_api.cli.gateway import prepared
from copilot_api.clock import SystemClock
from copilot_api.config.binding import bind, shown_url
from copilot_api.config.paths import DataDirectory
from copilot_api.config.reload import SettingsSource
from copilot_api.config.settings import RetentionSettings, Settings
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.models import ApiKey, Tier
from copilot_api.keys.repository import KeySecret
from copilot_api.keys.secret import digest_secret, make_secret, visible_prefix
from copilot_api.keys.service import KeyService
from copilot_api.simulator.server import serve as serve_simulator
from copilot_api.storage.keys import SqlKeyRepository
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.upstream.identities import CredentialSource, Identity

T = TypeVar("T")

ACTOR = "local:bench"
TEAMS = ("search", "payments", "mobile", "platform", "data", "research", "support", "web")


class MovedClock(SystemClock):
    """The machine's clock, as if it had been `start` when this was made."""

    def __init__(self, start: datetime) -> None:
        self._behind: timedelta = super().now() - start

    def now(self) -> datetime:
        """See `Clock`."""
        return super().now() - self._behind


def main() -> None:
    """See the module."""
    if "--kept" not in sys.argv:
        RecentAnswers.get = find_anew  # type: ignore[method-assign, assignment]
    shape = LedgerShape(0)
    clock = MovedClock(shape.until)
    directory = DataDirectory(Path(sys.argv[1]))
    directory.prepare()
    admin = add_keys(directory, clock, shape)
    # Nothing of the ledger is forgotten while it is measured.
    settings = Settings(has_access_log=False, retention=RetentionSettings(events_days=400, rollups_days=400))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.suppress(KeyboardInterrupt):
        runner.run(serve(settings, directory, clock, admin))


async def find_anew(_: RecentAnswers, _name: Hashable, _age: float, ask: Callable[[], Awaitable[T]]) -> T:
    """As if nothing had been kept."""
    return await ask()


async def serve(settings: Settings, directory: DataDirectory, clock: MovedClock, admin: str) -> None:
    """Until told to stop."""
    sockets = bind("127.0.0.1", 0)
    url = shown_url("127.0.0.1", sockets[0].getsockname()[1], is_tls=False)
    async with serve_simulator() as simulator:
        upstream = replace(
            settings.upstream, github_url=simulator.url, github_api_url=simulator.url, api_url=simulator.url
        )
        here = replace(settings, upstream=upstream)
        identity = Identity("ghu_" + "benchmark" * 4, CredentialSource.FLAG)
        source = SettingsSource(directory.config, lambda _: here)

        def on_listening(url: str) -> None:
            print(url, admin, flush=True)

        with prepared(here, directory, identity, source=source, on_listening=on_listening, clock=clock) as surroundings:
            await app.serve(here, surroundings, sockets, url)


def add_keys(directory: DataDirectory, clock: MovedClock, shape: LedgerShape) -> str:
    """The keys of the ledger, where they are not there yet, and a new admin key: its secret."""
    database = open_sqlite(directory.database)
    try:
        upgrade(database)
        repository = SqlKeyRepository(database, AuditLog(directory.audit, clock))
        known = {key.id for key in repository.list_keys()}
        for number, key_id in enumerate(list_keys(shape)):
            if key_id not in known:
                secret = make_secret()
                label = f"{TEAMS[number % len(TEAMS)]}-{number}"
                created = shape.until - timedelta(days=shape.days)
                key = ApiKey(key_id, label, Tier.CLIENT, visible_prefix(secret), created)
                stored = KeySecret(digest_secret(secret), key_id, key.prefix, created)
                repository.add_key(key, stored, AuditEvent(ACTOR, Action.KEY_ISSUED, key_id, {"label": label}))
        service = KeyService(repository, KeyChanges(directory.key_stamp), clock)
        return service.issue("bench admin", tier=Tier.ADMIN, actor=ACTOR).secret
    finally:
        database.close()


if __name__ == "__main__":
    main()
