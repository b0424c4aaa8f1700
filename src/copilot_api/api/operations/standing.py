"""The operations on how it stands: what is going on, and the gateway itself."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from copilot_api.api.operations.account import AccountStanding, BrakeStanding, Change, SlotsStanding, TokenStanding
from copilot_api.api.operations.ledger import Sums
from copilot_api.api.operations.operation import Operation, refusal
from copilot_api.gateway.under_way import CallNotUnderWay, CallUnderWay

TAG = "system"


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One condition of all being well. One that is met may have a reason all the same: something to look after."""

    name: str
    ok: bool
    reason: str | None


class Readiness(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the gateway can do its work, as `GET /readyz` says it."""

    ready: bool
    checks: list[Check]


class Period(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The calls of a period, added up."""

    since: datetime
    until: datetime
    total: Sums


class Captured(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A key whose calls are captured now."""

    key_id: str
    label: str
    reason: str
    until: datetime


class Overview(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is going on."""

    at: datetime
    calls: list[CallUnderWay]
    """Under way now, the oldest first."""
    labels: dict[str, str]
    """The labels of the keys that are named."""
    slots: SlotsStanding
    brake: BrakeStanding
    token: TokenStanding
    last_hour: Period
    last_day: Period
    account: AccountStanding | None
    """Null until GitHub told the quota."""
    account_failure: str | None
    captured: list[Captured]
    drift: list[Change]
    """What Copilot changed of its models in the last 7 days, the newest first, 20 at most."""
    readiness: Readiness


class DatabaseStanding(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is stored, and how far it reaches."""

    schema: str | None
    """The newest migration that was run."""
    bytes: int
    free_bytes: int
    """How much of it is used again before the file grows."""
    events: int
    oldest_event: datetime | None
    newest_event: datetime | None
    oldest_rollup: datetime | None
    days_closed: datetime | None
    """The end of the last day whose sums are made."""


class JournalStanding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Usage events on their way into the database."""

    waiting_bytes: int
    lost_events: int
    failure: str | None


class RetentionStanding(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How long what is stored is kept, and what keeps it from being forgotten in time."""

    events_days: int
    rollups_days: int
    audit_days: int
    traces_days: int
    traces_max_bytes: int
    failures: dict[str, str]
    """What the last round could not do, by what was to be looked after: `usage`, `audit`, `traces`."""
    ended_at: dict[str, datetime]
    """When a round last came to its end, by the same names; none had the time yet where one is missing."""


class CapturesStanding(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What became of captures since the start, and what they take now."""

    is_allowed: bool
    kept: int
    dropped: int
    withheld: int
    not_written: int
    waiting_bytes: int
    memory_bytes: int
    traces_in_memory: int
    files: int
    files_bytes: int


class ConfigStanding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which file is in force."""

    path: str
    hash: str
    rejected: str | None


class System(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The gateway itself."""

    version: str
    python: str
    system: str
    libraries: dict[str, str]
    started_at: datetime
    uptime_seconds: float
    host: str
    port: int
    is_tls: bool
    features: dict[str, bool]
    """As in `config.json`; flags of the command line win."""
    database: DatabaseStanding | None
    """Null where it cannot be read; the checks say why."""
    journal: JournalStanding
    retention: RetentionStanding
    captures: CapturesStanding
    config: ConfigStanding | None
    """Null where the settings are not from a file."""
    log_lines_dropped: int
    clock_ahead_seconds: float | None
    """How far this machine's clock is ahead of GitHub's, negative when behind; null while GitHub has not answered."""
    checks: list[Check]
    warnings: list[str]
    """What somebody should look after, in words."""


class CancelledCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that ends now."""

    request_id: str
    cancelled: Literal[True] = True


OPERATIONS = (
    Operation(
        id="get_overview",
        method="GET",
        path="/admin/api/overview",
        tag=TAG,
        summary="Show what is going on: calls under way, the last hour and day, the account, health",
        answer=Overview,
    ),
    Operation(
        id="cancel_call",
        method="POST",
        path="/admin/api/calls/{id}/cancel",
        tag=TAG,
        summary="End a call that is under way, by its request id",
        about="Its caller gets the error `call_cancelled`, in the stream where that has begun; the ledger has it as "
        "`interrupted`. Who ended it is on record.",
        answer=CancelledCall,
        refusals=(refusal(CallNotUnderWay),),
    ),
    Operation(
        id="get_system",
        method="GET",
        path="/admin/api/system",
        tag=TAG,
        summary="Show the gateway itself: versions, database, journal, retention, captures, checks, warnings",
        answer=System,
    ),
    Operation(
        id="get_openapi",
        method="GET",
        path="/admin/api/openapi.json",
        tag=TAG,
        summary="Get this description",
        answer=dict[str, Any],
    ),
)
