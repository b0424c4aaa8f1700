"""
Observations as lines on standard error: text for people, JSON for machines.

The last thing that happens to a line is that anything that looks like a secret is struck out of it. Nothing should have
put one there; this is the net below.
"""

import dataclasses
import json
import logging
import re
import sys
from typing import Any, Literal, TextIO

from copilot_api.clock import Clock
from copilot_api.observability.events import CallEnded, Level, Listening, Notice, Observation

LogFormat = Literal["text", "json"]

_SECRETS = re.compile(
    r"sk-cap-[a-z2-7]{8,}"
    r"|sk-[A-Za-z0-9_-]{20,}"
    r"|gh[a-z]_[A-Za-z0-9_]{8,}"
    r"|github_pat_[A-Za-z0-9_]{8,}"
    r"|tid=[^\s\"']+"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
    r"|(?i:bearer|token) [A-Za-z0-9._~+/;=:-]{16,}",
)
_CALL_FIELDS = (
    "request_id",
    "endpoint",
    "status",
    "cause",
    "model",
    "key_id",
    "duration",
    "input_tokens",
    "output_tokens",
)
"""What the line of a call says."""
_LEVELS: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def strike_secrets(text: str) -> str:
    """`text` without anything that looks like a secret."""
    return _SECRETS.sub("[redacted]", text)


class Log:
    """An `Observer` that writes lines."""

    def __init__(self, clock: Clock, *, log_format: LogFormat, is_verbose: bool, stream: TextIO | None = None) -> None:
        self._clock = clock
        self._format = log_format
        self._lowest = _LEVELS["debug" if is_verbose else "info"]
        self._stream = stream

    def __call__(self, observation: Observation) -> None:
        """Write `observation`, if its level is shown."""
        if _LEVELS[observation.level] >= self._lowest:
            if isinstance(observation, CallEnded):
                fields: dict[str, Any] = {name: getattr(observation.call, name) for name in _CALL_FIELDS}
            else:
                fields = {field.name: getattr(observation, field.name) for field in dataclasses.fields(observation)}
            self._write(observation, fields)

    def _write(self, observation: Observation, fields: dict[str, Any]) -> None:
        message = observation.message
        if isinstance(observation, Notice):
            message = fields.pop("text")
        if self._format == "json":
            at = self._clock.now().isoformat(timespec="milliseconds")
            line = json.dumps({"at": at, "level": observation.level, "message": message, **fields}, ensure_ascii=False)
        elif isinstance(observation, Listening):
            line = f"{message} {observation.url}"
        else:
            at = self._clock.now().strftime("%H:%M:%S")
            trace = fields.pop("traceback", None)
            details = " ".join(f"{name}={_shown(value)}" for name, value in fields.items() if value is not None)
            line = f"{at} {observation.level:<7} {_one_line(message)}" + (f"  {details}" if details else "")
            line += f"\n{trace}" if trace else ""
        stream = self._stream or sys.stderr
        try:
            stream.write(strike_secrets(line) + "\n")
            stream.flush()
        except (OSError, ValueError):
            return  # nobody reads the log: no reason to fail a call


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    return text if text.isprintable() and " " not in text and '"' not in text else json.dumps(text)


def _one_line(text: str) -> str:
    """`text` without line breaks and terminal escapes: nobody forges a line of the log."""
    return text if text.isprintable() else json.dumps(text)[1:-1]


class LibraryLogs(logging.Handler):
    """What libraries log, as notices: one form for the whole output, and the same net below it."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        self._log(Notice(f"{record.name}: {text}"))
