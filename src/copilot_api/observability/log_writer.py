"""
Lines on their way to standard error, in a thread of their own: who reads it may be slow, or stopped, and no call waits.

Whoever logs hands over how the line is made; making it and writing it is the thread's. What does not fit any more is
dropped and counted. Once all that waited is written, a line says how many were dropped.
"""

import os
import queue
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from copilot_api.observability.logs import strike_secrets

MAX_WAITING = 10_000
"""How many lines wait at most."""
LINGER_SECONDS = 0.02
"""How long the thread lets calls gather: waking it for each would cost the event loop more than the line itself."""
PATIENCE_SECONDS = 2.0
"""How long the end waits for a reader who takes nothing."""
_BATCH_LINES = 200
_PIECE_BYTES = 8 * 1024

Render = Callable[[], str]
"""Makes a line."""
_Item = tuple[Render | threading.Event | None, bool]
"""A line, somebody who waits for all before it to be written, or the end; and whether it is to be done at once."""


class LineWriter:
    """See the module. `close` it at the end."""

    def __init__(self, stream: TextIO | None, *, max_waiting: int = MAX_WAITING) -> None:
        """Write to `stream`; to nothing where there is none."""
        self.render_dropped: Callable[[int], str] = "{} log lines were dropped".format
        """Makes the line about lines that were dropped."""
        self.dropped = 0
        """How many there were, ever."""
        self._told = 0
        self._max_waiting = max_waiting
        self._sink = _Sink(stream)
        self._queue = queue.SimpleQueue[_Item]()
        self._dropping = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, render: Render, *, is_urgent: bool = True) -> None:
        """Have a line written behind those before it. Never waits; after `close` it does nothing."""
        if self._is_closed:
            return
        if self._queue.qsize() < self._max_waiting:
            self._queue.put((render, is_urgent))
            return
        with self._dropping:
            self.dropped += 1

    def flush(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Wait until everything before is written, or for so long; says whether it is."""
        reached = threading.Event()
        self._queue.put((reached, True))
        return reached.wait(seconds)

    def close(self) -> None:
        """Write everything that waits, and end. A reader who takes nothing does not hold it up."""
        self._is_closed = True
        self._queue.put((None, True))
        while self._thread.is_alive():
            written = self._sink.written
            self._thread.join(PATIENCE_SECONDS)
            if self._sink.written == written:
                return

    # In the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        is_over = False
        while not is_over:
            item, is_urgent = self._queue.get()
            if not is_urgent:
                time.sleep(LINGER_SECONDS)
            is_over = self._write_batch(item)
        self._sink.close()

    def _write_batch(self, item: Render | threading.Event | None) -> bool:
        """Write a line and some of those behind it; says whether that was the end."""
        lines: list[str] = []
        while callable(item):
            lines.append(_make(item))
            if len(lines) >= _BATCH_LINES or self._queue.empty():
                break
            item, _ = self._queue.get()
        self._sink.write(lines)
        dropped = self.dropped
        if dropped != self._told and self._queue.empty():
            count, self._told = dropped - self._told, dropped
            self._sink.write([_make(lambda: self.render_dropped(count))])
        if isinstance(item, threading.Event):
            item.set()
        return item is None


def _make(render: Render) -> str:
    try:
        return strike_secrets(render())
    except Exception as error:  # noqa: BLE001 -- one line that cannot be made must not be the last
        return f"a log line could not be made: {type(error).__name__}"


class _Sink:
    """
    Where the lines go. A descriptor is written to as it is, past the stream's buffer: a thread that hangs in there
    would hold the buffer's lock, and Python needs that to end.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.written = 0
        """Bytes, or characters where the stream is none of the system's."""
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._descriptor = -1
        if stream is not None:
            with suppress(OSError, ValueError):
                # Of our own: the number may be somebody else's once standard error is closed.
                self._descriptor = os.dup(stream.fileno())

    def write(self, lines: list[str]) -> None:
        """Write lines; where they cannot be, they are gone: no reason to do anything else."""
        if not lines or self._stream is None:
            return
        text = "\n".join([*lines, ""])
        with suppress(OSError, ValueError):
            if self._descriptor >= 0:
                self._write_bytes(text.encode(self._encoding, errors="backslashreplace"))
            else:
                self._stream.write(text)
                self._stream.flush()
                self.written += len(text)

    def _write_bytes(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            try:
                count = os.write(self._descriptor, rest[:_PIECE_BYTES])
            except BlockingIOError:  # somebody who shares it wants it so
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            else:
                self.written += count
                rest = rest[count:]

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
