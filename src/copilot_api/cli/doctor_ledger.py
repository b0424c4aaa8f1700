"""What `doctor` finds out about the ledger: how large it is, how far it reaches, whether its sums are right."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from copilot_api.cli.stores import find_database
from copilot_api.clock import SystemClock
from copilot_api.config.paths import DataDirectory
from copilot_api.errors import StorageUnavailable
from copilot_api.storage.database import Database
from copilot_api.storage.instants import from_microseconds
from copilot_api.storage.ledger_upkeep import read_ledger_state
from copilot_api.storage.rollup_upkeep import find_differences, mend
from copilot_api.usage.upkeep import LedgerState

LOCK_SECONDS = 60.0
"""How long a mended day waits for the lock of the database."""
_LATE = timedelta(days=3)


class State(StrEnum):
    """How something was found; it is skipped for what another check says."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and how to mend it."""

    state: State
    detail: str
    cure: str | None = None


def check_ledger(directory: DataDirectory, database: Database | None) -> Finding:
    """How large the ledger is, and whether it is looked after."""
    if database is None:
        return Finding(State.SKIPPED, "needs the database")
    try:
        state = read_ledger_state(database)
    except StorageUnavailable as error:
        return Finding(State.FAILED, error.message, "try again")
    detail = _describe(state)
    waiting = sum(1 for _ in directory.spool.glob("*.journal")) if directory.spool.is_dir() else 0
    if waiting:
        detail += f"; {waiting} journal segments in {directory.spool}"
    closed = state.days_closed or state.oldest_event
    if closed is None or state.newest_event is None:
        return Finding(State.OK, detail)
    if min(SystemClock().now(), state.newest_event) - closed <= _LATE:
        return Finding(State.OK, detail)
    cure = "a gateway closes days while it runs: look at its log for 'cannot be looked after'"
    return Finding(State.WARNING, f"{detail}; days since {closed:%Y-%m-%d} are not closed", cure)


def _describe(state: LedgerState) -> str:
    size = f"{_bytes(state.total_bytes)}, {_bytes(state.free_bytes)} of it free to be used again"
    if state.oldest_event is None or state.newest_event is None:
        sums = "" if state.oldest_rollup is None else f", sums since {state.oldest_rollup:%Y-%m-%d}"
        return f"no events{sums}; {size}"
    events = f"{state.events:,} events since {state.oldest_event:%Y-%m-%d}"
    if state.oldest_rollup is not None and state.oldest_rollup.date() < state.oldest_event.date():
        events += f", sums since {state.oldest_rollup:%Y-%m-%d}"
    return f"{events}; {size}"


def _bytes(size: int) -> str:
    return f"{size / 1024**3:,.1f} GiB" if size >= 1024**3 else f"{size / 1024**2:,.1f} MiB"


def check_sums(directory: DataDirectory, *, is_mending: bool) -> Finding:
    """Whether the rollups are what the events add up to; those that are not are made anew, if that is wanted."""
    database = find_database(directory, busy_seconds=LOCK_SECONDS)
    if database is None:
        return Finding(State.SKIPPED, "needs the database")
    try:
        wrong: list[str] = []
        for difference in find_differences(database):
            wrong.append(f"{from_microseconds(difference.day):%Y-%m-%d}")
            if is_mending:
                mend(database, difference)
    except StorageUnavailable as error:
        return Finding(State.FAILED, error.message, "try again")
    finally:
        database.close()
    if not wrong:
        return Finding(State.OK, "what the events add up to, to the last one")
    days = ", ".join(sorted(set(wrong))[:5]) + (" and more" if len(set(wrong)) > 5 else "")
    if is_mending:
        return Finding(State.WARNING, f"were not what the events add up to on {days}; made anew")
    return Finding(State.FAILED, f"not what the events add up to on {days}", "'copilot-api doctor --deep --mend'")
