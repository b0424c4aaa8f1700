"""The settings tree: what the operator wants, from flags, environment and file, as one value that nobody changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from copilot_api.config.budgets import Budget
from copilot_api.config.schema import MetricsAccess
from copilot_api.observability.log_lines import LogFormat
from copilot_api.observability.otel import OtelTarget


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Which hosts stand for GitHub and Copilot, and who we are to them."""

    github_url: str = "https://github.com"
    github_api_url: str = "https://api.github.com"
    api_url: str | None = None
    account_type: str = "individual"
    github_token: str | None = field(default=None, repr=False)
    """A token given on the command line or in GH_TOKEN; the file in the data directory otherwise."""
    is_proxied: bool = False
    """Whether HTTP_PROXY and its like are obeyed."""


@dataclass(frozen=True, slots=True)
class ModelAlias:
    """A name of the operator's for a model, or what the operator wants of a model under its own name."""

    upstream: str
    """The model's id."""
    default_effort: str = ""
    """The reasoning effort of requests that name none; empty for the model's own."""
    is_enabled: bool = True
    allowed_keys: tuple[str, ...] = ("*",)
    """Who may use it: ids, labels or visible prefixes of keys; `*` is everybody."""
    fallback: tuple[str, ...] = ()
    """The ids of the models that take its place, in this order, when it cannot answer."""


Aliases = Mapping[str, ModelAlias]


@dataclass(frozen=True, slots=True)
class Exposure:
    """Which models there are for clients, and by which names."""

    aliases: Aliases = field(default_factory=dict[str, ModelAlias])
    is_listed_only: bool = False
    """Whether only the aliases are there, and not the rest of the catalog."""
    default_alias: str = ""
    """The alias that answers for names that nothing else goes by; empty for none."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """The limits of keys that have none of their own, and the budgets of all keys together."""

    rpm: int | None = None
    tpm: int | None = None
    max_in_flight: int | None = None
    budgets: tuple[Budget, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How many calls of one identity are under way at once, and the line of those that wait."""

    max_in_flight: int = 8
    timeout_seconds: float = 60.0
    max_waiting: int = 200


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Whether `GET /metrics` tells anything, and whom."""

    is_on: bool = True
    access: MetricsAccess = "loopback"


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How many days what is stored is kept."""

    events_days: int = 90
    rollups_days: int = 400
    """At least as long as the events."""
    audit_days: int = 365


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """Whether calls may be captured, and how long what was captured is kept on disk."""

    is_allowed: bool = True
    """False forbids every capture, and ends those that run."""
    days: int = 0
    """Today counts; 0 keeps nothing on disk."""
    max_bytes: int = 1_073_741_824
    """Of all files together."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a running gateway goes by. Times are seconds."""

    host: str = "127.0.0.1"
    port: int = 4141
    is_open: bool = False
    """Authentication off."""
    max_body_bytes: int = 64 * 1024 * 1024
    minimum_gap_seconds: float | None = None
    is_gap_waited: bool = False
    is_approval_manual: bool = False
    is_verbose: bool = False
    log_format: LogFormat = "text"
    has_access_log: bool = True
    """Whether each call is a line of the log."""
    drain_seconds: float = 600.0
    """How long calls under way may still take when the gateway is told to stop."""
    tls_cert: str | None = None
    tls_key: str | None = None
    limits: AdmissionLimits = field(default_factory=AdmissionLimits)
    queue: QueueSettings = field(default_factory=QueueSettings)
    trusted_proxies: tuple[str, ...] = ()
    """The networks whose word on a client's address (`X-Forwarded-For`) is believed."""
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    opentelemetry: OtelTarget = field(default_factory=OtelTarget)
    """What is exported of each call; read when the gateway starts."""
    has_pages: bool = True
    """Whether there are admin pages."""
    is_demo: bool = False
    """Whether all of it is for show: the pages say so, and have a style page."""
    is_recording: bool = True
    """Whether there is a usage event for each call."""
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    captures: CaptureSettings = field(default_factory=CaptureSettings)
    exposure: Exposure = field(default_factory=Exposure)
    upstream: UpstreamSettings = field(default_factory=UpstreamSettings)
