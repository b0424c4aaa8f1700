"""Lines in a thread of their own: in order, none lost that a reader takes, and nobody who waits for one who does not."""

import fcntl
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import TextIO

import pytest

from copilot_api.observability.log_writer import LineWriter
from tests.harness import wait_until

SECRET = "sk-cap-" + "a" * 52


class Pipe:
    """A pipe as standard error, with somebody at its other end who reads when told to."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.reading = reading
        self.stream: TextIO = os.fdopen(writing, "w", encoding="utf-8")
        fcntl.fcntl(reading, 1031, 4096)  # F_SETPIPE_SZ: full after a page

    def read_all(self) -> list[str]:
        """Every line until nobody writes any more."""
        self.stream.close()
        with os.fdopen(os.dup(self.reading), encoding="utf-8") as reader:
            return reader.read().splitlines()

    def close(self) -> None:
        os.close(self.reading)
        self.stream.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def stall(writer: LineWriter, pipe: Pipe) -> None:
    """Have the thread hang in a write."""
    writer.put(lambda: "x" * 20_000)
    wait_until(lambda: not writer.flush(0.05), 5, "it hangs")


def test_lines_are_written_in_order_and_whole_before_the_end(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream)
    for number in range(40):
        writer.put(partial(str, f"line {number}"), is_urgent=number % 3 == 0)
    writer.close()
    assert pipe.read_all() == [f"line {number}" for number in range(40)]


def test_what_is_urgent_is_there_at_once(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream)
    writer.put(lambda: "listening on http://127.0.0.1:4141")
    assert os.read(pipe.reading, 100) == b"listening on http://127.0.0.1:4141\n"
    writer.close()


def test_after_a_flush_everything_before_is_written(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream)
    writer.put(lambda: "first", is_urgent=False)
    assert writer.flush()
    os.set_blocking(pipe.reading, False)
    assert os.read(pipe.reading, 100) == b"first\n"
    writer.close()


def test_a_line_that_looks_like_a_secret_is_struck(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream)
    writer.put(lambda: f"it is {SECRET}")
    writer.close()
    assert pipe.read_all() == ["it is [redacted]"]


def test_a_line_that_cannot_be_made_is_not_the_last(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream)
    writer.put(lambda: str(1 // 0))
    writer.put(lambda: "the next")
    writer.close()
    assert pipe.read_all() == ["a log line could not be made: ZeroDivisionError", "the next"]


def test_nobody_waits_for_a_reader_who_does_not_read_and_what_does_not_fit_is_counted(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream, max_waiting=50)
    writer.render_dropped = lambda count: f"{count} log lines were dropped"
    stall(writer, pipe)
    room = 50 - writer._queue.qsize()
    for number in range(1_000):
        writer.put(partial(str, f"line {number}"))
    assert writer.dropped == 1_000 - room
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(pipe.read_all()))
    reader.start()
    writer.close()
    reader.join(10)
    assert lines[1:] == [*(f"line {number}" for number in range(room)), f"{1_000 - room} log lines were dropped"]


def test_what_was_dropped_is_said_once_for_each_time(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream, max_waiting=0)
    for number in (1, 2):
        for _ in range(number):
            writer.put(lambda: "too much")
        assert writer.flush()
    assert writer.flush()
    assert writer.dropped == 3
    writer.close()
    assert pipe.read_all() == ["1 log lines were dropped", "2 log lines were dropped"]


def test_the_end_does_not_wait_for_ever(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream)
    stall(writer, pipe)
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 10


def test_the_end_waits_for_a_reader_who_is_merely_slow(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream)
    lines: list[str] = []

    def read_slowly() -> None:
        text = b""
        while piece := os.read(pipe.reading, 4096):
            text += piece
            time.sleep(0.02)
        lines.extend(text.decode().splitlines())

    reader = threading.Thread(target=read_slowly)
    reader.start()
    for number in range(2_000):
        writer.put(partial(str, f"line {number} {'x' * 80}"))
    writer.close()
    pipe.stream.close()
    reader.join(30)
    assert [line.split(" ")[1] for line in lines] == [str(number) for number in range(2_000)]


def test_after_the_end_nothing_is_written_and_nothing_fails(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream)
    writer.close()
    writer.put(lambda: "too late")
    writer.close()
    assert pipe.read_all() == []


def test_several_threads_may_write(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream)

    def write(name: int) -> None:
        for number in range(500):
            writer.put(partial(str, f"{name} {number}"), is_urgent=number % 2 == 0)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(pipe.read_all()))
    reader.start()
    for thread in threads:
        thread.join()
    writer.close()
    reader.join(10)
    assert len(lines) == 2_000


# Streams that are gone, or odd ------------------------------------------------------------------------------------------


def test_a_reader_who_is_gone_is_no_reason_to_stop(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, pipe.reading)  # closes the pipe's other end
    os.close(null)
    for _ in range(3):
        writer.put(lambda: "into the void")
        assert writer.flush()
    writer.close()


def test_a_descriptor_that_somebody_made_non_blocking_takes_all_nevertheless(pipe: Pipe) -> None:
    """As Node does with what it shares with its children."""
    os.set_blocking(pipe.stream.fileno(), False)
    writer = LineWriter(pipe.stream)
    for number in range(500):
        writer.put(partial(str, f"line {number} {'x' * 80}"))
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(pipe.read_all()))
    reader.start()
    writer.close()
    reader.join(10)
    assert len(lines) == 500


def test_without_standard_error_nothing_is_written_anywhere() -> None:
    """Its number may be that of the database by then."""
    writer = LineWriter(None)
    writer.put(lambda: "nowhere")
    assert writer.flush()
    writer.close()


def test_a_stream_that_is_closed_later_is_still_written_to(pipe: Pipe) -> None:
    writer = LineWriter(pipe.stream)
    pipe.stream.close()
    writer.put(lambda: "still there")
    writer.close()
    assert pipe.read_all() == ["still there"]


def test_a_stream_without_a_descriptor_will_do() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    writer.put(lambda: "kept")
    writer.close()
    assert stream.getvalue() == "kept\n"


class Broken(io.StringIO):
    """One that takes nothing."""

    def write(self, text: str, /) -> int:
        raise OSError(28, "no space left")


def test_a_stream_that_fails_is_no_reason_to_stop() -> None:
    writer = LineWriter(Broken())
    for _ in range(3):
        writer.put(lambda: "x")
        assert writer.flush()
    writer.close()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_what_the_terminal_cannot_show_is_written_as_its_number(encoding: str) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding=encoding) as stream, os.fdopen(reading, "rb") as reader:
        writer = LineWriter(stream)
        writer.put(lambda: "é \ud800 →")
        writer.close()
        stream.close()
        assert reader.read() == "é \ud800 →\n".encode(encoding, errors="backslashreplace")


ENDS_WHILE_IT_HANGS = """
import sys
from copilot_api.observability.log_writer import LineWriter
writer = LineWriter(sys.stderr)
writer.put(lambda: "x" * 1_000_000)
writer.close()
sys.stdout.write("closed")
"""


def test_python_itself_can_end_while_the_thread_hangs() -> None:
    """It flushes standard error at the end, which a thread must not hold."""
    with subprocess.Popen([sys.executable, "-c", ENDS_WHILE_IT_HANGS], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.read() == b"closed"
        assert process.wait(20) == 0
