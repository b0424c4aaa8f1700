"""
Whether what is exported arrives: every failure is counted, and said once for each time of trouble.

The exporters of the SDK tell their reasons only to their log, again and again, with the text of exceptions in which a
header may stand. That log is read here and goes nowhere else.
"""

import http
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanKind

from copilot_api.clock import Clock
from copilot_api.observability.events import Observer, OtelCallsLost, OtelExportBroken, OtelExportRecovered

CALM_SECONDS = 30.0
"""How long nothing may go wrong before that is said; a collector that comes and goes does not fill the log."""
LIBRARY = "opentelemetry"
"""The name above those of all loggers of OpenTelemetry's."""
_UNKNOWN = "the collector did not take it"
_PHRASES = {status.phrase: status.value for status in http.HTTPStatus if status >= 300}
_MAX_DEPTH = 12


class Delivery:
    """How the export of one signal fares."""

    def __init__(self, signal: str, clock: Clock, observe: Observer) -> None:
        self.lost = 0
        """Calls that were not exported, since the start."""
        self._signal = signal
        self._clock = clock
        self._observe = observe
        self._lock = threading.Lock()
        self._failed_at: float | None = None
        self._lost_before = 0

    def failed(self, reason: str, calls: int = 0) -> None:
        """Something did not arrive, and so many calls are missing there for good."""
        with self._lock:
            self.lost += calls
            is_new, self._failed_at = self._failed_at is None, self._clock.monotonic()
        if is_new:
            self._observe(OtelExportBroken(self._signal, reason))

    def arrived(self) -> None:
        """Something did."""
        if not self.is_broken:
            return
        with self._lock:
            if self._failed_at is None or self._clock.monotonic() - self._failed_at < CALM_SECONDS:
                return
            self._failed_at = None
            lost, self._lost_before = self.lost - self._lost_before, self.lost
        self._observe(OtelExportRecovered(self._signal, lost))

    @property
    def is_broken(self) -> bool:
        """Whether something went wrong a moment ago."""
        return self._failed_at is not None

    def end(self) -> None:
        """Nothing more is exported: say what was not said yet."""
        with self._lock:
            lost, self._lost_before = self.lost - self._lost_before, self.lost
        if lost:
            self._observe(OtelCallsLost(lost))


class LibraryLog(logging.Handler):
    """
    Takes what OpenTelemetry's packages log, and remembers by thread why the last export failed.

    While it is `open`, nothing of theirs reaches the log of the gateway by itself.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._opener = threading.get_ident()
        self._reasons: dict[int, str] = {}
        self._propagated = True
        self.complaints: list[str] | None = []
        """What this thread's calls made it complain of; None once the export has begun."""

    def open(self) -> None:
        """Begin."""
        logger = logging.getLogger(LIBRARY)
        self._propagated, logger.propagate = logger.propagate, False
        logger.addHandler(self)

    def close(self) -> None:
        """Leave the loggers as they were."""
        logger = logging.getLogger(LIBRARY)
        if self in logger.handlers:
            logger.removeHandler(self)
            logger.propagate = self._propagated
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if self.complaints is not None and record.thread == self._opener:
            self.complaints.append(_complaint(record))
        elif reason := find_reason(record.args):
            self._reasons[threading.get_ident()] = reason

    def take_reason(self) -> str:
        """Why the last export of this thread failed."""
        return self._reasons.pop(threading.get_ident(), _UNKNOWN)


def _complaint(record: logging.LogRecord) -> str:
    if record.name.endswith("util.re"):  # it quotes the header
        return "OTEL_EXPORTER_OTLP_HEADERS takes name=value pairs with commas between them; a part of it is none"
    return " ".join(record.getMessage().split())


def find_reason(arguments: object) -> str | None:
    """
    Why an export failed, by what its log line is made of: a status, or the innermost thing that the system said.
    Whole texts are not taken: an exception quotes the header that it minds.
    """
    for argument in cast("tuple[object, ...]", arguments) if isinstance(arguments, tuple) else ():
        if isinstance(argument, BaseException):
            return _innermost(argument)
        if isinstance(argument, int) and 300 <= argument < 600:
            return f"it answered HTTP {argument}"
        if isinstance(argument, str) and argument in _PHRASES:
            return f"it answered HTTP {_PHRASES[argument]}"
    return None


def _innermost(error: BaseException) -> str:
    """The system's own words, from as deep as they are; the kind of exception where there are none."""
    reason = type(error).__name__
    found: BaseException | None = error
    for _ in range(_MAX_DEPTH):
        if isinstance(found, OSError) and found.strerror:
            reason = found.strerror
        if found is None:
            break
        nested = [each for each in (*found.args, getattr(found, "reason", None)) if isinstance(each, BaseException)]
        found = nested[0] if nested else found.__cause__ or found.__context__
    return reason


class WatchedSpanExporter(OTLPSpanExporter):
    """An exporter of spans whose outcomes are noted."""

    def __init__(self, endpoint: str, delivery: Delivery, log: LibraryLog) -> None:
        super().__init__(endpoint)
        self._delivery = delivery
        self._log = log
        self.taken = 0
        """How many spans were handed over to be sent. Only the thread that sends changes it."""
        self.done = 0
        """How many of them arrived or did not."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter`."""
        self.taken += len(spans)
        result = SpanExportResult.FAILURE
        with suppress(Exception):
            result = super().export(spans)
        if result is SpanExportResult.SUCCESS:
            self._delivery.arrived()
        else:
            self._delivery.failed(self._log.take_reason(), sum([span.kind is SpanKind.SERVER for span in spans]))
        self.done += len(spans)
        return result


class WatchedMetricExporter(OTLPMetricExporter):
    """An exporter of metrics whose outcomes are noted. Sums go on, so what does not arrive is in what does later."""

    def __init__(self, endpoint: str, delivery: Delivery, log: LibraryLog) -> None:
        super().__init__(endpoint)
        self._delivery = delivery
        self._log = log

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """See `MetricExporter`."""
        result = MetricExportResult.FAILURE
        with suppress(Exception):
            result = super().export(metrics_data, timeout_millis, **kwargs)  # pyright: ignore[reportUnknownMemberType]
        if result is MetricExportResult.SUCCESS:
            self._delivery.arrived()
        else:
            self._delivery.failed(self._log.take_reason())
        return result
