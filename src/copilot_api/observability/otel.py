"""
OpenTelemetry, where an operator asks for it: what is exported and where to, and the way to the package that does it.

That package is an optional one. It is imported here when something is to be exported and not before, so a gateway
without it starts, and one that exports nothing pays nothing for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_api.clock import Clock
from copilot_api.errors import GatewayError

if TYPE_CHECKING:
    from copilot_api.observability.otel_export import OtelExport


@dataclass(frozen=True, slots=True)
class OtelTarget:
    """Where traces and metrics go. Credentials are not here: the exporter has them from the environment."""

    endpoint: str = ""
    """The base URL of an OTLP/HTTP receiver; empty for none."""
    has_traces: bool = True
    has_metrics: bool = True

    @property
    def is_on(self) -> bool:
        """Whether anything is exported."""
        return bool(self.endpoint) and (self.has_traces or self.has_metrics)

    @property
    def is_traced(self) -> bool:
        """Whether traces are."""
        return bool(self.endpoint) and self.has_traces


class OtelUnavailable(GatewayError):
    """Traces or metrics are to be exported, and that cannot be begun: a package is missing, or a variable is wrong."""

    number, code, status = 906, "opentelemetry_unavailable", 500
    is_final = True


def make_export(target: OtelTarget, variables: Mapping[str, str], clock: Clock) -> "OtelExport":
    """An export that is yet to be started. Raises `OtelUnavailable`: silence would look like a gateway nobody calls."""
    try:
        from copilot_api.observability.otel_export import OtelExport
    except ImportError as error:
        raise OtelUnavailable(
            f"opentelemetry.endpoint is set, and the package {error.name or 'opentelemetry'} is not installed",
            hint="run: pip install 'copilot-api[otel]', or empty opentelemetry.endpoint in config.json",
        ) from error
    return OtelExport(target, variables, clock)
