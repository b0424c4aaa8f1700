"""How an observation looks as a line of the log: text for people, JSON for machines."""

import dataclasses
import json
from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

import msgspec

from copilot_api.observability.events import CallEnded, EndedCall, Listening, Notice, Observation

LogFormat = Literal["text", "json"]

CALL_FIELDS: tuple[str, ...] = (
    "request_id",
    "key_id",
    "client",
    "endpoint",
    "model",
    "upstream_model",
    "stream",
    "status",
    "cause",
    "duration",
    "time_to_first_token",
    "queue_seconds",
    "input_tokens",
    "output_tokens",
    "kind",
)
"""What the line of a call says, in this order."""
_MAX_NAME = 200
_SHOWN_WAIT = 0.1
"""Shorter waits in the queue are not worth a person's attention."""
_USUAL_KIND = "turn"
_END_WIDTH = 23
"""Of cause and duration together: what ends a call may take long to say, and then it seldom took long."""

read_call: Callable[[EndedCall], tuple[Any, ...]] = attrgetter(*CALL_FIELDS)
"""The values of `CALL_FIELDS`, which the call itself does not keep."""


def render_observation(observation: Observation, at: datetime, log_format: LogFormat) -> str:
    """Anything but the end of a call, as a line."""
    fields = {field.name: getattr(observation, field.name) for field in dataclasses.fields(observation)}
    message = observation.message
    if isinstance(observation, Notice):
        message = fields.pop("text")
    if log_format == "json":
        return _render_json(at, observation.level, message, fields)
    if isinstance(observation, Listening):
        return f"{message} {observation.url}"
    trace = fields.pop("traceback", None)
    details = " ".join(f"{name}={_shown(value)}" for name, value in fields.items() if value is not None)
    line = f"{at:%H:%M:%S} {observation.level:<7} {_one_line(message)}" + (f"  {details}" if details else "")
    return f"{line}\n{trace}" if trace else line


def render_call(values: tuple[Any, ...], at: datetime, log_format: LogFormat) -> str:
    """The end of a call, as `read_call` read it, as a line."""
    fields = dict(zip(CALL_FIELDS, values, strict=True))
    for name in ("model", "upstream_model"):
        fields[name] = fields[name] and fields[name][:_MAX_NAME]
    if log_format == "json":
        return _render_json(at, CallEnded.level, CallEnded.message, fields)
    seconds = f"{fields['duration']:.3f}s".rjust(_END_WIDTH - len(fields["cause"]))
    return (
        f"{at:%H:%M:%S} {CallEnded.level:<7} {fields['status']:>3} {fields['cause']} {seconds}  "
        f"{fields['endpoint']:<23} {_model_in_words(fields):<20} {_details(fields)}"
    )


def _model_in_words(fields: dict[str, Any]) -> str:
    """The name that the caller used and, where it is another, the model behind it."""
    model, upstream = fields["model"], fields["upstream_model"]
    if model is None:
        return "-"
    return _shown(model) if upstream in {None, model} else f"{_shown(model)}->{_shown(upstream)}"


def _details(fields: dict[str, Any]) -> str:
    first = fields["time_to_first_token"] if fields["stream"] else None
    queued = fields["queue_seconds"] if fields["queue_seconds"] >= _SHOWN_WAIT else None
    shown = {
        "in": fields["input_tokens"] or None,
        "out": fields["output_tokens"] or None,
        "first": None if first is None else f"{first:.3f}s",
        "queued": None if queued is None else f"{queued:.3f}s",
        "kind": None if fields["kind"] == _USUAL_KIND else fields["kind"],
        "client": fields["client"],
        "key": fields["key_id"],
        "id": fields["request_id"],
    }
    return " ".join(f"{name}={value}" for name, value in shown.items() if value is not None)


def _render_json(at: datetime, level: str, message: str, fields: dict[str, Any]) -> str:
    document = {"at": at.isoformat(timespec="milliseconds"), "level": level, "message": message, **fields}
    try:
        return msgspec.json.encode(document).decode()
    except UnicodeEncodeError:  # half a character, which a client may send
        return json.dumps(document)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    return text if text.isprintable() and " " not in text and '"' not in text else json.dumps(text)


def _one_line(text: str) -> str:
    """`text` without line breaks and terminal escapes: nobody forges a line of the log."""
    return text if text.isprintable() else json.dumps(text)[1:-1]
