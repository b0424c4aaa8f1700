"""Traces as the endpoints find them, put in by hand."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from copilot_api.api.trace_access import Access, Append
from copilot_api.api.trace_replay import ReplayServices
from copilot_api.api.trace_tail import TraceTails
from copilot_api.api.traces import TracesApi
from copilot_api.capture.files import TraceFiles
from copilot_api.capture.lines import encode_trace, summarise
from copilot_api.capture.models import Leg, Trace
from copilot_api.capture.ring import RING_BYTES, Kept, Ring
from copilot_api.capture.service import Traces
from copilot_api.config.settings import CaptureSettings
from copilot_api.gateway.exchange import Gateway
from copilot_api.gateway.settlement import Settlement
from copilot_api.keys.service import KeyService
from copilot_api.observability.events import Observation
from copilot_api.usage.recorder import UsageRecorder
from tests.fakes import FakeClock

AT = "2026-07-01T11:59:00+00:00"
BODY = '{"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}'


def make_traces(path: Path, clock: FakeClock, max_bytes: int = RING_BYTES) -> Traces:
    """A store without any trace."""
    return Traces(Ring(max_bytes), TraceFiles(path), clock.now())


def keep(traces: Traces, request_id: str, *, to_file: str = "", **more: Any) -> Trace:
    """Keep a trace as the recorder would; with a day, only in that day's file."""
    fields = {"at": AT, "key_id": "key_a", "endpoint": "/v1/chat/completions", "model": "gpt-4.1", "client": "curl",
              "status": 200, "cause": "ok", "duration_ms": 12.5}  # fmt: skip
    request = Leg(method="POST", target="/v1/chat/completions", body=BODY, bytes=len(BODY))
    trace = Trace(number=traces.next_number(), request_id=request_id, **{**fields, "client_request": request, **more})
    line = encode_trace(trace)
    if to_file:
        traces.files.append(line, date.fromisoformat(to_file), 1 << 30)
        traces.follow_files()
    else:
        traces.keep(Kept(line, summarise(line)), lambda: True)
    return trace


class FakeExchange:
    """In the place of the gateway's own: says what it was asked, and answers so."""

    def __init__(self, clock: FakeClock) -> None:
        self.observed: list[Observation] = []
        self.calls: list[tuple[Any, Any, bytes]] = []
        self.answer: bytes | Exception = b"{}"
        self.settlement = Settlement(cast("UsageRecorder", _Nothing()), clock, self.observed.append)

    async def exchange(self, call: Any, key: Any, record: Any, answer: Any) -> None:
        self.calls.append((call, key, await call.read_body()))
        if isinstance(self.answer, Exception):
            raise self.answer
        record.completed()
        await answer.send_whole(self.answer)


class _Nothing:
    """A ledger that keeps nothing."""

    def begin(self, event: object) -> None: ...

    def end(self, event: object) -> None: ...


class NoCaptures:
    """Captures that may be asked for, and never begin."""

    def __init__(self) -> None:
        self.settings = CaptureSettings()
        self.asked: list[Any] = []

    def begin(self, *asked: Any) -> None:
        self.asked.append(asked)


def make_services(
    traces: Traces, keys: KeyService, append: Append, clock: FakeClock, exchange: FakeExchange | None = None
) -> ReplayServices:
    """What the endpoints work on, with a gateway that calls nobody."""
    gateway = cast("Gateway", exchange or SimpleNamespace())
    return ReplayServices(gateway, cast("Any", NoCaptures()), traces, keys, append, clock, lambda _: None)


def make_api(access: Access, services: ReplayServices, clock: FakeClock) -> TracesApi:
    """The endpoints."""
    return TracesApi(access, services, TraceTails(services.traces, clock, check_seconds=0.01))
