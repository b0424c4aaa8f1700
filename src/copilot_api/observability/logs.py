"""
Which observations are lines of the log, and what must not be in them.

The last thing that happens to a line is that anything that looks like a secret is struck out of it. Nothing should have
put one there; this is the net below.
"""

import logging
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Protocol

from copilot_api.clock import Clock
from copilot_api.observability.events import CallEnded, Level, Notice, Observation
from copilot_api.observability.log_lines import LogFormat, read_call, render_call, render_observation
from copilot_api.redaction.rules import IN_LOGS

_SECRETS = re.compile("|".join([pattern for _, pattern in IN_LOGS]))
_MARKS = tuple(dict.fromkeys([mark for marks, _ in IN_LOGS for mark in marks]))
"""One of them, in lower case, is in every secret: to look for them first takes a tenth of the time."""
_LEVELS: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def strike_secrets(text: str) -> str:
    """`text` without anything that looks like a secret."""
    lowered = text.lower()
    if any([mark in lowered for mark in _MARKS]):
        return _SECRETS.sub("[redacted]", text)
    return text


class Put(Protocol):
    """Has a line written, in the order of the calls and without waiting; see `copilot_api.observability.log_writer`."""

    def __call__(self, render: Callable[[], str], *, is_urgent: bool) -> None: ...


class Log:
    """An `Observer` that says what a line says, and has it made and written elsewhere."""

    def __init__(
        self, clock: Clock, put: Put, *, log_format: LogFormat, is_verbose: bool = False, has_calls: bool = True
    ) -> None:
        self._clock = clock
        self._put = put
        self._format: LogFormat = log_format
        self._lowest = _LEVELS["debug" if is_verbose else "info"]
        self._has_calls = has_calls
        """Whether there is a line for each call."""

    def __call__(self, observation: Observation) -> None:
        """Have `observation` written, if its level is shown."""
        if type(observation) is CallEnded:
            if self._has_calls:
                values = read_call(observation.call)
                self._put(partial(render_call, values, self._clock.now(), self._format), is_urgent=False)
        elif _LEVELS[observation.level] >= self._lowest:
            self._put(partial(self.render, observation, self._clock.now()), is_urgent=True)

    def render(self, observation: Observation, at: datetime | None = None) -> str:
        """The line of anything but a call."""
        return render_observation(observation, at or self._clock.now(), self._format)


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
