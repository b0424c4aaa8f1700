"""The captures in files that are a key's: of its calls, and of calls that somebody sent again."""

from collections.abc import Iterator
from contextlib import suppress

import msgspec

from copilot_api.capture.files import TraceFiles
from copilot_api.capture.models import Trace
from copilot_api.capture.queries import TraceDayNotFound


def list_traces(files: TraceFiles, key_id: str) -> Iterator[Trace]:
    """All of them, newest day first. A file that is old enough to be deleted meanwhile is passed over."""
    for day in files.list_days():
        with suppress(TraceDayNotFound):
            yield from (trace for trace in files.iter_traces(day.date) if is_of(trace, key_id))


def list_request_ids(files: TraceFiles, key_id: str) -> Iterator[str]:
    """The calls that they are of."""
    return (trace.request_id for trace in list_traces(files, key_id))


def is_of(trace: Trace, key_id: str) -> bool:
    """Whether a capture holds what this key's holder sent."""
    return key_id in (trace.key_id, trace.replay_of_key_id)


def render_for(trace: Trace, key_id: str) -> bytes:
    """A line for the key's holder. Where somebody else sent the request again, who it was is left out."""
    if trace.key_id != key_id:
        trace = msgspec.structs.replace(trace, key_id=None)
    return msgspec.json.encode(trace) + b"\n"
