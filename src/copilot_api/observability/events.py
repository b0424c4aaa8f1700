"""
Observation: the closed set of things that the process reports about itself.

No field ever holds a body, a prompt, a header value, or a secret.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from copilot_api.observability.trace_context import TraceContext

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that happened."""

    level: ClassVar[Level] = "info"
    message: ClassVar[str] = ""


Observer = Callable[[Observation], None]


@dataclass(frozen=True, slots=True)
class Listening(Observation):
    """The port is open. `url` is what clients are pointed at."""

    message: ClassVar[str] = "listening on"
    url: str


@dataclass(frozen=True, slots=True)
class Stopping(Observation):
    """No new calls; those under way may finish."""

    message: ClassVar[str] = "stopping: waiting for calls under way"
    calls: int


@dataclass(frozen=True, slots=True)
class Stopped(Observation):
    """The end."""

    message: ClassVar[str] = "stopped"


class EndedCall(Protocol):
    """
    What is known of a call that has ended. The usage event is one; what each field says stands there
    (`copilot_api.usage.models`). Whoever is told reads it at once and keeps no reference.
    """

    request_id: str
    at: str
    key_id: str | None
    identity_id: str | None
    client: str
    endpoint: str
    model: str | None
    upstream_model: str | None
    upstream_endpoint: str | None
    stream: bool
    status: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    usage_unknown: bool
    nano_aiu: int | None
    premium_requests: float
    queue_seconds: float
    time_to_first_token: float | None
    duration: float
    bytes_in: int
    bytes_out: int
    would_limit: str | None
    fallback_from: str | None
    kind: str

    @property
    def cause(self) -> str:
        """How it ended."""
        ...


@dataclass(frozen=True, slots=True)
class CallEnded(Observation):
    """One call has ended, however it did."""

    message: ClassVar[str] = "call"
    call: EndedCall
    trace: TraceContext | None = None
    """The caller's own span, where traces are exported and the caller has one."""
    dispatched_after: float | None = None
    """How many seconds after its arrival the call went upstream, the last time if it did more than once."""


@dataclass(frozen=True, slots=True)
class CallCrashed(Observation):
    """A defect of ours; the traceback goes to the log and nowhere else."""

    level: ClassVar[Level] = "error"
    message: ClassVar[str] = "a call failed inside the gateway"
    request_id: str
    traceback: str


@dataclass(frozen=True, slots=True)
class TokenRenewed(Observation):
    """There is a fresh bearer."""

    level: ClassVar[Level] = "debug"
    message: ClassVar[str] = "Copilot token renewed"
    api: str


@dataclass(frozen=True, slots=True)
class TokenRenewalFailed(Observation):
    """There is none."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "the Copilot token could not be renewed"
    reason: str


@dataclass(frozen=True, slots=True)
class CatalogRefreshFailed(Observation):
    """The list of models could not be read; the old one stays."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "Copilot's list of models could not be read"
    reason: str


@dataclass(frozen=True, slots=True)
class CatalogDrifted(Observation):
    """Copilot's models are not what they were at the last reading; `copilot-api models --drift` lists the changes."""

    message: ClassVar[str] = "Copilot's models have changed"
    count: int
    summary: str


@dataclass(frozen=True, slots=True)
class CatalogStorageBroken(Observation):
    """The database does not take the list of models; the gateway goes on with what it read."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "Copilot's list of models cannot be stored now"
    reason: str


@dataclass(frozen=True, slots=True)
class QuotaUnreadable(Observation):
    """GitHub does not tell the account's quota. Said once, until it does again."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "the account's quota cannot be read; the last reading stays"
    reason: str


@dataclass(frozen=True, slots=True)
class QuotaReadable(Observation):
    """It does again."""

    message: ClassVar[str] = "the account's quota is read again"


@dataclass(frozen=True, slots=True)
class QuotaStorageBroken(Observation):
    """The database does not take readings of the quota: the history has a gap. Said once, until it does again."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "readings of the account's quota cannot be stored now"
    reason: str


@dataclass(frozen=True, slots=True)
class QuotaStorageRecovered(Observation):
    """The database takes them again."""

    message: ClassVar[str] = "readings of the account's quota are stored again"


@dataclass(frozen=True, slots=True)
class AliasBroken(Observation):
    """None of an alias's models is in the catalog: calls to it are answered with 404."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "an alias of config.json has no model at Copilot"
    alias: str
    upstream: str


@dataclass(frozen=True, slots=True)
class AliasRecovered(Observation):
    """It has one again."""

    message: ClassVar[str] = "an alias of config.json has a model at Copilot again"
    alias: str
    upstream: str


@dataclass(frozen=True, slots=True)
class UsageStorageBroken(Observation):
    """The database does not take usage events; they wait in the journal."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "usage events cannot be stored now; they wait in the journal"
    reason: str


@dataclass(frozen=True, slots=True)
class UsageStorageRecovered(Observation):
    """The database takes usage events again."""

    message: ClassVar[str] = "usage events are stored again"


@dataclass(frozen=True, slots=True)
class JournalBroken(Observation):
    """The journal cannot be written; events wait in memory."""

    level: ClassVar[Level] = "error"
    message: ClassVar[str] = "the usage journal cannot be written; events wait in memory"
    reason: str


@dataclass(frozen=True, slots=True)
class JournalRecovered(Observation):
    """The journal can be written again."""

    message: ClassVar[str] = "the usage journal is written again"


@dataclass(frozen=True, slots=True)
class EventsLost(Observation):
    """Usage events could be kept nowhere."""

    level: ClassVar[Level] = "error"
    message: ClassVar[str] = "usage events were lost: neither journal nor memory could take them"
    lost: int


@dataclass(frozen=True, slots=True)
class UsageForgotten(Observation):
    """What was older than it is to be kept is deleted."""

    message: ClassVar[str] = "old usage was deleted, as retention says"
    events: int
    rollups: int


@dataclass(frozen=True, slots=True)
class ClockMistrusted(Observation):
    """The clock jumped, or nobody called for a month: what is old by it may not be."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = (
        "the clock may be wrong: nothing is deleted for a day. If it is, have it set from the network"
    )
    now: str


@dataclass(frozen=True, slots=True)
class UpkeepFailed(Observation):
    """The ledger could not be looked after; it is tried again."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "the ledger cannot be looked after now: old usage stays, days stay open"
    reason: str


@dataclass(frozen=True, slots=True)
class UpkeepRecovered(Observation):
    """It can again."""

    message: ClassVar[str] = "the ledger is looked after again"


@dataclass(frozen=True, slots=True)
class Braked(Observation):
    """Copilot shows that it is too much: fewer calls at once from now on."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "fewer calls to GitHub Copilot at once"
    slots: int
    reason: str


@dataclass(frozen=True, slots=True)
class IdentityStopped(Observation):
    """GitHub has flagged the account: nothing is sent for it until the operator resumes it."""

    level: ClassVar[Level] = "error"
    message: ClassVar[str] = (
        "GitHub has flagged this account: nothing more is sent to it. Make sure that the account is in order, "
        "then run 'copilot-api resume'"
    )
    since: str
    reason: str


@dataclass(frozen=True, slots=True)
class IdentityResumed(Observation):
    """The operator has resumed it."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "calls go to GitHub Copilot again: the operator has resumed the account"


@dataclass(frozen=True, slots=True)
class BudgetsUnknown(Observation):
    """The ledger could not say what was spent before the start: budgets count from the start on until it can."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "what was spent before cannot be read; budgets count without it for now"
    reason: str


@dataclass(frozen=True, slots=True)
class ConfigReloaded(Observation):
    """A new config.json is in force."""

    message: ClassVar[str] = "the new configuration is in force"
    hash: str


@dataclass(frozen=True, slots=True)
class ConfigRejected(Observation):
    """config.json cannot be used as it is; the last good one stays in force."""

    level: ClassVar[Level] = "error"
    message: ClassVar[str] = "config.json cannot be used; the last good configuration stays in force"
    reason: str


@dataclass(frozen=True, slots=True)
class CaptureFailed(Observation):
    """A call was captured and there is no trace of it; the call itself went on. Said at most once a minute."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "captured calls leave no trace; the calls themselves go on"
    reason: str
    dropped: int
    """How many there were since the start."""


@dataclass(frozen=True, slots=True)
class TraceFilesBroken(Observation):
    """Traces cannot be written to disk, or not be deleted there. Said once, until they can."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "the files of traces cannot be looked after; traces are kept in memory"
    reason: str


@dataclass(frozen=True, slots=True)
class TraceFilesRecovered(Observation):
    """They can again."""

    message: ClassVar[str] = "the files of traces are looked after again"


@dataclass(frozen=True, slots=True)
class CaptureEnded(Observation):
    """A key is captured no more: the time of the order is over, or captures are forbidden."""

    message: ClassVar[str] = "a key is captured no more"
    key_id: str


@dataclass(frozen=True, slots=True)
class OtelExportBroken(Observation):
    """Something could not be exported to OpenTelemetry's collector. Said once, until nothing went wrong for a while."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "OpenTelemetry's collector does not get what is exported; calls go on as ever"
    signal: str
    """`traces` or `metrics`."""
    reason: str


@dataclass(frozen=True, slots=True)
class OtelExportRecovered(Observation):
    """The collector takes it again. `lost` calls are missing in the traces for good."""

    message: ClassVar[str] = "OpenTelemetry's collector gets what is exported again"
    signal: str
    lost: int


@dataclass(frozen=True, slots=True)
class OtelCallsLost(Observation):
    """What was never said before the end: so many calls are missing in the traces."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "calls are missing in the exported traces"
    lost: int


@dataclass(frozen=True, slots=True)
class ObserverFailed(Observation):
    """A defect of ours in one of those who are told all this; the others still are, and calls go on."""

    level: ClassVar[Level] = "error"
    message: ClassVar[str] = "an observation could not be taken in; this is said once for each observer"
    observer: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Notice(Observation):
    """Something that the operator should know; `text` says it."""

    level: ClassVar[Level] = "warning"
    message: ClassVar[str] = "notice"
    text: str
