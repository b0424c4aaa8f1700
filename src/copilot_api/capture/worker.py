"""
The worker: a process of its own that redacts, since a regular expression over a megabyte keeps Python's lock, and
calls that have nothing to do with it would wait.

It reads raw traces from standard input and answers each on standard output, a message being its length (8 bytes, big
endian) and so many bytes of MessagePack. It ends when its input does, so that it never outlives the gateway. What goes
wrong is told by the error's class and the line it came from, never by its words: they could hold what was sent.
"""

import contextlib
import os
import resource
import signal
import sys
import traceback
from typing import BinaryIO

import msgspec

from copilot_api.capture.lines import encode_trace, summarise
from copilot_api.capture.models import TraceSummary
from copilot_api.capture.raw import RawTrace

LENGTH_BYTES = 8
MAX_LINE_BYTES = 16 * 1024 * 1024
"""A larger trace is not kept: with four bodies at their cap this takes text that is nearly all escapes."""
MAX_MEMORY_BYTES = 2 * 1024 * 1024 * 1024
_NICENESS = 15


class Redacted(msgspec.Struct):
    """What became of a raw trace."""

    line: bytes = b""
    """The trace as it is kept; empty where it could not be redacted."""
    summary: TraceSummary | None = None
    withheld: int = 0
    error: str = ""
    """Why it could not."""


_raw_decoder = msgspec.msgpack.Decoder(RawTrace)
_encoder = msgspec.msgpack.Encoder()


def main() -> None:
    """Redact until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get in between
    _be_modest()
    serve(sys.stdin.buffer, answers)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer every message on `requests`."""
    while len(head := requests.read(LENGTH_BYTES)) == LENGTH_BYTES:
        answer = _encoder.encode(redact(requests.read(int.from_bytes(head, "big"))))
        answers.write(len(answer).to_bytes(LENGTH_BYTES, "big"))
        answers.write(answer)
        answers.flush()


def redact(message: bytes) -> Redacted:
    """Redact one raw trace; whatever happens, the answer says so."""
    try:
        # Here, so that a defect of it is told like any other.
        from copilot_api.capture.redacting import redact_trace

        line = encode_trace(redact_trace(_raw_decoder.decode(message)))
        if len(line) > MAX_LINE_BYTES:
            return Redacted(error=f"the trace would take {len(line)} bytes, over the cap of {MAX_LINE_BYTES}")
        summary = summarise(line)
        return Redacted(line, summary, summary.withheld)
    except Exception as error:  # noqa: BLE001 -- the next trace may do well
        return Redacted(error=_describe(error))


def _describe(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119 -- no file is meant


def _be_modest() -> None:
    # The terminal's Ctrl-C and a service manager's SIGTERM reach every process; the gateway ends this one itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(_NICENESS)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what it holds must not come to lie on a disk
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
