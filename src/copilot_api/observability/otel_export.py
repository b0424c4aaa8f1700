"""
The export of ended calls to OpenTelemetry's collector, on threads of its own.

A call's end costs the event loop a copy of its event and a place in a bounded line. One thread makes spans and
measurements of it, a few at a time, since while it works the event loop waits for the interpreter; the SDK's own
threads send them. Whatever the collector does, nobody waits for it: what finds no place is not exported, and counted.
"""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from copy import copy
from typing import Final

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from copilot_api import __version__
from copilot_api.clock import Clock
from copilot_api.observability.events import CallEnded, Notice, Observation, Observer
from copilot_api.observability.otel import OtelTarget, OtelUnavailable
from copilot_api.observability.otel_delivery import (
    Delivery,
    LibraryLog,
    WatchedMetricExporter,
    WatchedSpanExporter,
)
from copilot_api.observability.otel_metrics import CallMetrics
from copilot_api.observability.otel_spans import SCHEMA_URL, CallSpans

CLOSE_SECONDS: Final = 3.0
"""How long the end of the process waits for what is still to be sent."""
BROKEN_SECONDS: Final = 0.5
"""The same where the collector did not take the last that was sent."""
MAX_WAITING: Final = 4096
"""How many ended calls may wait to become spans and measurements."""
SPANS_OF_A_CALL: Final = 2
USUAL_QUEUE: Final = 2048
"""How many spans may wait to be sent, where the environment says nothing else."""
USUAL_BATCH: Final = 64
"""How many are sent at once: an eighth of the SDK's own, since encoding holds the interpreter, some 60 µs a span."""
SERVICE: Final = "copilot-api"

_PAUSE_SECONDS = 0.2
_AT_ONCE = 4
_YIELD_SECONDS = 0.0005
_QUEUE = "OTEL_BSP_MAX_QUEUE_SIZE"
_BATCH = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
_MOST = 1_000_000
_COMMAND_LINE = ("process.command", "process.command_args", "process.command_line")
"""What a resource detector may find out and must not tell: a credential can stand there."""


class OtelExport:
    """An `Observer` that exports ended calls; see the module."""

    def __init__(self, target: OtelTarget, variables: Mapping[str, str], clock: Clock) -> None:
        self._target = target
        self._clock = clock
        self._observe: Observer = lambda _: None
        self._queue_spans = _read_size(variables, _QUEUE, USUAL_QUEUE)
        self._batch_spans = _read_size(variables, _BATCH, min(USUAL_BATCH, self._queue_spans))
        self._waiting: deque[CallEnded] = deque()
        self._closing = threading.Event()
        self._log = LibraryLog()
        self._traces = Delivery("traces", clock, self._tell)
        self._worker = threading.Thread(target=self._work, name="otel-calls", daemon=True)
        self._spans: CallSpans | None = None
        self._metrics: CallMetrics | None = None
        self._exporter: WatchedSpanExporter | None = None
        self._shutdowns: list[Callable[[], None]] = []
        self._made_spans = 0

    def __call__(self, observation: Observation) -> None:
        """Take note of an ended call; of anything else there is nothing to export."""
        if type(observation) is not CallEnded:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._traces.failed("too many calls ended at once", 1)
            return
        self._waiting.append(CallEnded(copy(observation.call), observation.trace, observation.dispatched_after))

    @property
    def lost(self) -> int:
        """How many calls are missing in the traces, as far as is known now."""
        return self._traces.lost

    def start(self, observe: Observer) -> None:
        """
        Begin; `observe` hears how it fares. Raises `OtelUnavailable` for a variable that the SDK cannot use; others
        that it complains of are noticed.
        """
        self._observe = observe
        self._log.open()
        try:
            resource = make_resource()
            if self._target.has_traces:
                self._start_traces(resource)
            if self._target.has_metrics:
                self._start_metrics(resource)
        except (ValueError, RuntimeError) as error:
            raise _unusable(str(error)) from error
        complaints, self._log.complaints = self._log.complaints or [], None
        for complaint in dict.fromkeys(complaints):
            observe(Notice(f"OpenTelemetry: {complaint}"))
        self._worker.start()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Send what is left, for at most so long; what is not sent by then is lost."""
        if self._traces.is_broken:
            seconds = min(seconds, BROKEN_SECONDS)
        deadline = time.monotonic() + seconds
        self._closing.set()
        if self._worker.is_alive():
            self._worker.join(seconds)
        shutdowns, self._shutdowns = self._shutdowns, []
        ends = [threading.Thread(target=shutdown, daemon=True) for shutdown in shutdowns]
        for end in ends:
            end.start()
        for end in ends:
            end.join(max(0.0, deadline - time.monotonic()))
        if not any([end.is_alive() for end in ends]):
            self._log.close()  # else threads go on that need it; the process ends without them
        if unsent := self._unsent():
            self._traces.failed(f"not sent within {seconds:g} s at the end", unsent)
        self._traces.end()

    def _start_traces(self, resource: Resource) -> None:
        exporter = WatchedSpanExporter(self._url("traces"), self._traces, self._log)
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        processor = BatchSpanProcessor(exporter, self._queue_spans, max_export_batch_size=self._batch_spans)
        self._shutdowns.append(provider.shutdown)
        provider.add_span_processor(processor)
        self._exporter = exporter
        self._spans = CallSpans(provider.get_tracer(SERVICE, __version__, SCHEMA_URL))

    def _start_metrics(self, resource: Resource) -> None:
        delivery = Delivery("metrics", self._clock, self._tell)
        reader = PeriodicExportingMetricReader(WatchedMetricExporter(self._url("metrics"), delivery, self._log))
        provider = MeterProvider([reader], resource, shutdown_on_exit=False)
        self._shutdowns.append(provider.shutdown)
        self._metrics = CallMetrics(provider.get_meter(SERVICE, __version__, SCHEMA_URL))

    def _url(self, signal: str) -> str:
        return f"{self._target.endpoint.rstrip('/')}/v1/{signal}"

    def _tell(self, observation: Observation) -> None:
        self._observe(observation)

    # On the thread of its own -----------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._closing.wait(_PAUSE_SECONDS):
            self._export_waiting()
        self._export_waiting()

    def _export_waiting(self) -> None:
        while self._waiting:
            for _ in range(min(_AT_ONCE, len(self._waiting))):
                self._export(self._waiting.popleft())
            time.sleep(_YIELD_SECONDS)

    def _export(self, ended: CallEnded) -> None:
        try:
            if self._metrics is not None:
                self._metrics.record(ended)
            if self._spans is not None:
                self._make_spans(self._spans, ended)
        except Exception as error:  # noqa: BLE001 -- a defect of ours, or theirs, costs this call's spans and no more
            self._traces.failed(f"it could not be put into words: {type(error).__name__}", 1)

    def _make_spans(self, spans: CallSpans, ended: CallEnded) -> None:
        exporter = self._exporter
        if exporter is None or self._made_spans - exporter.taken + SPANS_OF_A_CALL > self._queue_spans:
            self._traces.failed("the collector takes them too slowly", 1)
            return
        self._made_spans += spans.make(ended)

    def _unsent(self) -> int:
        """How many calls wait in vain, in either line."""
        spans = 0 if self._exporter is None else self._made_spans - self._exporter.done
        return len(self._waiting) + -(-spans // SPANS_OF_A_CALL)


def make_resource() -> Resource:
    """Who exports: what OpenTelemetry's variables say, and what goes without saying."""
    found = Resource.create()
    attributes = {"service.version": __version__, "service.instance.id": str(uuid.uuid4()), **found.attributes}
    if str(attributes["service.name"]).startswith("unknown_service"):
        attributes["service.name"] = SERVICE
    return Resource({name: attributes[name] for name in attributes if name not in _COMMAND_LINE}, found.schema_url)


def _read_size(variables: Mapping[str, str], name: str, usual: int) -> int:
    text = variables.get(name, "").strip()
    if not text:
        return usual
    if not text.isdecimal() or not SPANS_OF_A_CALL <= int(text) <= _MOST:
        raise _unusable(f"{name} is no number from {SPANS_OF_A_CALL} to {_MOST}")
    return int(text)


def _unusable(reason: str) -> OtelUnavailable:
    return OtelUnavailable(f"a variable of OpenTelemetry's cannot be used: {reason}", hint="mend it, or unset it")
