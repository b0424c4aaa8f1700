"""
The gateway's side of the worker (`copilot_api.capture.worker`): started when there is something to redact, ended after
some time without, replaced when it crashes or takes too long.

A plain child process on two pipes: it can be ended at any moment, ends by itself when the gateway is killed, and does
not import the program that started it.
"""

import json
import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

import msgspec

from copilot_api.capture.raw import RawTrace
from copilot_api.capture.worker import LENGTH_BYTES, Redacted

REDACT_SECONDS = 60.0
"""The longest that one trace may take, the start of the worker included."""
_BLOCK_BYTES = 1024 * 1024
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from copilot_api.capture.worker import main; main()"
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Redacted)


class WorkerFailed(Exception):
    """The worker crashed or took too long."""


@dataclass(frozen=True, slots=True)
class _Child:
    """A running worker and its two pipes, which do not block."""

    process: "subprocess.Popen[bytes]"
    requests: IO[bytes]
    answers: IO[bytes]


class WorkerProcess:
    """One worker at a time. Blocks: call it from a thread."""

    def __init__(self, *, redact_seconds: float = REDACT_SECONDS) -> None:
        self._redact_seconds = redact_seconds
        self._lock = threading.Lock()
        self._child: _Child | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        child = self._child
        return None if child is None else child.process.pid

    def redact(self, raw: RawTrace) -> Redacted:
        """Redact one trace. Raises `WorkerFailed`; then the worker is gone, and the next call starts another."""
        deadline = time.monotonic() + self._redact_seconds
        with self._lock:
            try:
                self._child = child = self._child or _start()
                message = _encoder.encode(raw)
                _write(child, len(message).to_bytes(LENGTH_BYTES, "big"), deadline)
                _write(child, message, deadline)
                length = int.from_bytes(_read(child, LENGTH_BYTES, deadline), "big")
                return _decoder.decode(_read(child, length, deadline))
            except BaseException as error:
                self._end()
                if isinstance(error, WorkerFailed):
                    raise
                # By its class only: its words could hold what was to be redacted.
                raise WorkerFailed(f"the worker that redacts failed: {type(error).__name__}") from None

    def stop(self) -> None:
        """End it. May be called from any thread, also while another one waits for its answer."""
        while not self._lock.acquire(timeout=0.02):
            if (child := self._child) is not None:
                child.process.kill()
        try:
            self._end()
        finally:
            self._lock.release()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.process.kill()
            child.process.wait()
            with suppress(OSError):
                child.requests.close()
            child.answers.close()


def _start() -> _Child:
    process = subprocess.Popen(  # noqa: S603 -- nothing of it comes from outside: our own interpreter, our own module
        [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path)],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a traceback must not bring into the log what was to be redacted
    )
    if process.stdin is None or process.stdout is None:
        raise WorkerFailed("the worker that redacts has no pipes")
    os.set_blocking(process.stdin.fileno(), False)
    os.set_blocking(process.stdout.fileno(), False)
    return _Child(process, process.stdin, process.stdout)


def _write(child: _Child, message: bytes, deadline: float) -> None:
    rest = memoryview(message)
    while rest:
        _wait(child.requests, select.POLLOUT, deadline)
        try:
            written = os.write(child.requests.fileno(), rest[:_BLOCK_BYTES])
        except BrokenPipeError:
            raise WorkerFailed(_how_ended(child)) from None
        rest = rest[written:]


def _read(child: _Child, size: int, deadline: float) -> bytes:
    answer = bytearray()
    while len(answer) < size:
        _wait(child.answers, select.POLLIN, deadline)
        piece = os.read(child.answers.fileno(), min(_BLOCK_BYTES, size - len(answer)))
        if not piece:
            raise WorkerFailed(_how_ended(child))
        answer += piece
    return bytes(answer)


def _wait(pipe: IO[bytes], event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(pipe.fileno(), event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise WorkerFailed("the worker that redacts took too long")


def _how_ended(child: _Child) -> str:
    with suppress(subprocess.TimeoutExpired):
        return f"the worker that redacts ended with {child.process.wait(1.0)}"
    return "the worker that redacts does not answer"
