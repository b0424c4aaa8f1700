"""Ended calls to observe, and what comes of it in the log."""

import logging
from typing import Any, Self

from copilot_api.observability.events import CallEnded
from copilot_api.observability.trace_context import TraceContext
from copilot_api.usage.models import Cause, UsageEvent

AT = "2026-07-01T12:00:00.250000+00:00"
AT_NANOSECONDS = 1_782_907_200_250_000_000


def ended(
    trace: TraceContext | None = None, dispatched_after: float | None = 0.5, cause: Cause = Cause.OK, **fields: Any
) -> CallEnded:
    """A streamed call that went well, but for what is said otherwise."""
    known: dict[str, Any] = {
        "request_id": "req_1",
        "at": AT,
        "key_id": "key_1",
        "client": "codex",
        "endpoint": "/v1/chat/completions",
        "model": "fast",
        "upstream_model": "gpt-4.1",
        "upstream_endpoint": "/chat/completions",
        "stream": True,
        "status": 200,
        "input_tokens": 1000,
        "output_tokens": 21,
        "cache_read_tokens": 400,
        "cache_write_tokens": 50,
        "reasoning_tokens": 7,
        "nano_aiu": 2_500_000_000,
        "queue_seconds": 0.4,
        "time_to_first_token": 1.0,
        "duration": 3.0,
    }
    return CallEnded(UsageEvent(**{**known, **fields}, cause=cause), trace, dispatched_after)


def refused(cause: Cause, status: int, **fields: Any) -> CallEnded:
    """A call that never went upstream."""
    nothing: dict[str, Any] = {
        "upstream_model": None,
        "upstream_endpoint": None,
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "nano_aiu": None,
        "time_to_first_token": None,
    }
    return ended(dispatched_after=None, cause=cause, status=status, **{**nothing, **fields})


class RootLog(logging.Handler):
    """What reaches the root logger, and so the log of a gateway."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)
