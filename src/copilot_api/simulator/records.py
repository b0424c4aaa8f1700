"""What arrived and how it went: the newest requests, and counts of model calls."""

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime

from copilot_api.simulator.http import Progress
from copilot_api.simulator.options import SimulatorOptions
from copilot_api.simulator.wire import Json, decode


@dataclass(frozen=True, slots=True)
class _Record:
    at: datetime
    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


class RequestLog:
    """The newest requests, bounded by number and by bytes; bodies are parsed only when somebody asks."""

    def __init__(self, options: SimulatorOptions) -> None:
        self._clock = options.clock
        self._most = options.request_log_size
        self._most_bytes = options.request_log_bytes
        self._records: deque[_Record] = deque()
        self._bytes = 0

    def record(self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Remember one request."""
        self._records.append(_Record(self._clock.now(), method, path, headers, body))
        self._bytes += len(body)
        while self._records and (len(self._records) > self._most or self._bytes > self._most_bytes):
            self._bytes -= len(self._records.popleft().body)

    def clear(self) -> None:
        """Forget them all."""
        self._records.clear()
        self._bytes = 0

    def list_requests(self) -> list[Json]:
        """All that is remembered, in order of arrival."""
        return [_render(record) for record in self._records]


def _render(record: _Record) -> Json:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in record.headers}
    try:
        body = decode(record.body)
    except ValueError:
        body = record.body.decode("utf-8", "replace")
    return {
        "at": record.at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "method": record.method,
        "path": record.path,
        "headers": headers,
        "body": body,
    }


class Stats:
    """Counts of everything, since the start or the last reset."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Zero, except for what is still in flight."""
        self.requests = 0
        self.max_in_flight = self.in_flight
        self.started = 0
        self.completed = 0
        self.aborted = 0
        self.broken = 0
        self.failures: list[str] = []
        self.by_path: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def begin_call(self) -> None:
        """A model call arrived."""
        self.started += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def settle(self, progress: Progress, *, is_model_call: bool) -> None:
        """A request came to its end, one way or another; only the first word on it counts."""
        if progress.is_settled:
            return
        progress.is_settled = True
        if progress.status:
            self.by_status[str(progress.status)] += 1
        if not is_model_call:
            return
        self.in_flight -= 1
        if progress.is_finished:
            self.completed += 1
        elif progress.is_broken:
            self.broken += 1
        else:
            self.aborted += 1

    def render(self, token_exchanges: int) -> Json:
        """The numbers as the control interface shows them."""
        return {
            "requests": self.requests,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "started": self.started,
            "completed": self.completed,
            "aborted": self.aborted,
            "broken": self.broken,
            "token_exchanges": token_exchanges,
            "by_path": dict(self.by_path),
            "by_status": dict(self.by_status),
            "faults": dict(self.faults),
            "failures": self.failures,
        }
