"""The flags that `start` and `demo` share, and what they make of them."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from copilot_api.cli.options import NAMES, option
from copilot_api.config.binding import check_open_bind
from copilot_api.config.environment import environment
from copilot_api.config.loader import parse_budgets
from copilot_api.config.schema import ConfigFile
from copilot_api.config.settings import (
    AdmissionLimits,
    CaptureSettings,
    Exposure,
    MetricsSettings,
    ModelAlias,
    QueueSettings,
    RetentionSettings,
    Settings,
    UpstreamSettings,
)
from copilot_api.observability.otel import OtelTarget

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFlags:
    """What was asked for on the command line."""

    port: int
    host: str
    verbose: bool
    account_type: str
    manual: bool
    rate_limit: float | None
    wait: bool
    github_token: str | None
    proxy_env: bool
    no_auth: bool
    i_accept_account_suspension_risk: bool
    log_format: str
    drain_seconds: float
    tls_cert: str | None
    tls_key: str | None
    trust_proxy: tuple[str, ...] | None = None
    no_access_log: bool = False


def gateway_options(function: _Decorated) -> _Decorated:
    """The flags of a running gateway. Those of the original keep its names and letters."""
    for decorate in reversed(
        [
            option(
                "--port",
                "-p",
                type=click.IntRange(0, 65535),
                default=4141,
                show_default=True,
                help="Port; 0 takes a free one.",
            ),
            option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
            option(
                "--verbose",
                "-v",
                is_flag=True,
                help="More log lines, such as each new Copilot token (never what it is).",
            ),
            option(
                "--account-type",
                "-a",
                type=click.Choice(["individual", "business", "enterprise"]),
                default="individual",
                show_default=True,
                help="The Copilot plan, where GitHub does not say which host serves it.",
            ),
            option("--manual", is_flag=True, help="Ask in this terminal before each call."),
            option(
                "--rate-limit",
                "-r",
                type=click.FloatRange(min=0, min_open=True),
                metavar="SECONDS",
                help="Least time between two calls.",
            ),
            option(
                "--wait", "-w", is_flag=True, help="With --rate-limit: let a call wait its turn instead of refusing it."
            ),
            option("--proxy-env", is_flag=True, help="Obey HTTP_PROXY, HTTPS_PROXY and NO_PROXY on the way to GitHub."),
            option("--no-auth", is_flag=True, help="Let everybody in without a key; on a loopback address only."),
            option(
                "--i-accept-account-suspension-risk",
                is_flag=True,
                help="With --no-auth: on any address. GitHub suspends accounts that many use.",
            ),
            option(
                "--log-format",
                type=click.Choice(["text", "json"]),
                default="text",
                show_default=True,
                help="Form of the log on standard error.",
            ),
            option("--no-access-log", is_flag=True, help="No log line for each call."),
            option(
                "--drain-seconds",
                type=click.FloatRange(min=0),
                default=600.0,
                show_default=True,
                help="How long calls under way may still take after SIGTERM.",
            ),
            option(
                "--tls-cert", type=click.Path(exists=True, dir_okay=False), help="Certificate chain (PEM): serve HTTPS."
            ),
            option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="Its private key (PEM)."),
            option(
                "--trust-proxy",
                type=NAMES,
                help="Networks of reverse proxies whose X-Forwarded-For says where a client is, for keys with --cidr.",
            ),
        ]
    ):
        function = decorate(function)
    return function


def make_settings(flags: GatewayFlags, config: ConfigFile) -> Settings:
    """Flags win over the file. Raises `OpenBindRefused`, and a usage error for flags that do not go together."""
    if flags.wait and flags.rate_limit is None:
        raise click.UsageError("--wait goes with --rate-limit")
    if (flags.tls_cert is None) != (flags.tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
    is_open = flags.no_auth or not config.features.auth
    if is_open:
        check_open_bind(flags.host, is_risk_accepted=flags.i_accept_account_suspension_risk)
    variables = environment()

    def host(name: str) -> str | None:
        url = variables.get(name, "").rstrip("/")
        if url and not url.startswith(("http://", "https://")):
            raise click.UsageError(f"{name} is not a URL: {url}")
        return url or None

    standard = UpstreamSettings()
    return Settings(
        host=flags.host,
        port=flags.port,
        is_open=is_open,
        max_body_bytes=config.limits.max_body_mb * 1024 * 1024,
        limits=AdmissionLimits(
            config.limits.default_key.rpm,
            config.limits.default_key.tpm,
            config.limits.default_key.max_in_flight,
            parse_budgets(config),
        ),
        queue=QueueSettings(
            config.limits.max_in_flight_per_identity, config.limits.queue_timeout_s, config.limits.max_queue_length
        ),
        trusted_proxies=_networks(flags.trust_proxy or ()),
        minimum_gap_seconds=flags.rate_limit,
        is_gap_waited=flags.wait,
        is_approval_manual=flags.manual,
        is_verbose=flags.verbose,
        log_format="json" if flags.log_format == "json" else "text",
        has_access_log=not flags.no_access_log,
        drain_seconds=flags.drain_seconds,
        tls_cert=flags.tls_cert,
        tls_key=flags.tls_key,
        metrics=MetricsSettings(config.features.metrics, config.metrics.access),
        opentelemetry=OtelTarget(
            config.opentelemetry.endpoint, config.opentelemetry.traces, config.opentelemetry.metrics
        ),
        has_pages=config.features.webui,
        is_recording=config.features.telemetry,
        retention=RetentionSettings(
            config.retention.events_days, config.retention.rollups_days, config.retention.audit_days
        ),
        captures=CaptureSettings(
            config.features.debug, config.retention.traces_days, config.retention.traces_max_bytes
        ),
        exposure=Exposure(
            {
                name: ModelAlias(
                    entry.upstream or name,
                    entry.default_effort,
                    entry.enabled,
                    tuple(entry.allowed_keys),
                    tuple(entry.fallback),
                )
                for name, entry in config.models.items()
            },
            config.exposure == "listed",
            config.default_model_alias,
        ),
        upstream=UpstreamSettings(
            github_url=host("COPILOT_API_GITHUB_URL") or standard.github_url,
            github_api_url=host("COPILOT_API_GITHUB_API_URL") or standard.github_api_url,
            api_url=host("COPILOT_API_UPSTREAM_URL"),
            account_type=flags.account_type,
            github_token=flags.github_token,
            is_proxied=flags.proxy_env,
        ),
    )


def _networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(text, strict=False)) for text in texts)
    except ValueError as error:
        raise click.UsageError(f"--trust-proxy takes networks such as 10.0.0.0/8 or 127.0.0.1: {error}") from None
