"""Whoever reads standard error may be slow, stopped or gone: calls go on, and no line is lost that somebody takes."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from copilot_api.observability.log_writer import MAX_WAITING
from tests.faults.client import Caller, ask, chat
from tests.harness import GatewayProcess, Simulator, http_json, wait_until
from tests.observability.promlint import sum_of

F_SETPIPE_SZ = 1031
PIPE_BYTES = 4096
CALLS = 120
"""Their lines are five times what the pipe holds."""
BURST = 100
MANY = MAX_WAITING + 600


class UnreadGateway:
    """A gateway whose standard error is read until it listens, and then only when a test says so."""

    def __init__(self, home: Path, simulator_url: str, *flags: str, is_terminal: bool = False) -> None:
        self._gateway = GatewayProcess(home, simulator_url, *flags)
        self._is_terminal = is_terminal
        self.text = b""

    def __enter__(self) -> Self:
        self.reading, writing = pty.openpty() if self._is_terminal else os.pipe()
        if not self._is_terminal:
            fcntl.fcntl(writing, F_SETPIPE_SZ, PIPE_BYTES)
        try:
            self.process = subprocess.Popen(
                self._gateway.arguments,
                env=self._gateway.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=writing,
            )
        finally:
            os.close(writing)
        while not (found := re.search(rb"listening on (http\S+)", self.text)):
            self.text += os.read(self.reading, 4096)
        self._gateway.url = self.url = found.group(1).decode()
        self._gateway.wait_ready()
        self.key = self._gateway.create_key("caller")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.reading)

    def call(self, count: int = CALLS) -> float:
        """So many calls, each of which is answered; the seconds that the slowest took."""
        slowest = 0.0
        for _ in range(count):
            began = time.monotonic()
            assert ask(self.url, self.key, chat(), seconds=10).status == 200
            slowest = max(slowest, time.monotonic() - began)
        return slowest

    def read(self) -> threading.Thread:
        """Read everything from now on, in a thread that ends when the gateway has."""

        def run() -> None:
            while True:
                try:
                    piece = os.read(self.reading, 4096)
                except OSError:  # Linux says so of a terminal whose other side is closed
                    return
                if not piece:
                    return
                self.text += piece

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def stop(self, seconds: float = 20) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    @property
    def calls(self) -> list[bytes]:
        return re.findall(rb"(?m)^\S+ info +200 ok .* id=(req_\w+)\r?$", self.text)


@pytest.fixture(params=["pipe", "terminal"])
def unread(request: pytest.FixtureRequest, home: Path, simulator: Simulator) -> Iterator[UnreadGateway]:
    with UnreadGateway(home, simulator.url, is_terminal=request.param == "terminal") as gateway:
        yield gateway


def test_calls_go_on_and_every_line_is_there_when_somebody_reads_again(unread: UnreadGateway) -> None:
    assert unread.call() < 5
    assert len(unread.calls) < CALLS / 2, "nobody has read them"
    reader = unread.read()
    wait_until(lambda: len(unread.calls) == CALLS, 10, "all lines")
    assert unread.call(5) < 5
    assert unread.stop() == 0
    reader.join(10)
    assert len(unread.calls) == len(set(unread.calls)) == CALLS + 5
    assert unread.calls == sorted(unread.calls), "ids are in the order of arrival, one call came after the other"
    assert unread.text.rstrip().endswith(b"stopped")
    assert b"dropped" not in unread.text


def test_it_ends_in_time_and_well_though_nobody_reads(unread: UnreadGateway) -> None:
    unread.call()
    began = time.monotonic()
    assert unread.stop() == 0
    assert time.monotonic() - began < 10


def test_a_reader_who_is_gone_is_no_loss(home: Path, simulator: Simulator) -> None:
    with UnreadGateway(home, simulator.url) as gateway:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, gateway.reading)
        os.close(null)
        gateway.call(10)
        assert gateway.stop() == 0


@pytest.mark.slow
def test_more_lines_than_may_wait_are_dropped_counted_and_said_to_be(home: Path, simulator: Simulator) -> None:
    with UnreadGateway(home, simulator.url, "--log-format", "text") as gateway:
        refuse(gateway, MANY)
        text = str(http_json("GET", f"{gateway.url}/metrics")[1])
        dropped = int(sum_of(text, "copilot_api_log_lines_dropped_total"))
        assert dropped > 300
        reader = gateway.read()
        wait_until(lambda: b"log lines were dropped" in gateway.text, 20, "it is said")
        assert gateway.stop() == 0
        reader.join(10)
    said = [int(number) for number in re.findall(rb"warning (\d+) log lines were dropped", gateway.text)]
    assert said == [dropped], "once"
    assert len(re.findall(rb" 401 unauthorized ", gateway.text)) == MANY - dropped


def refuse(gateway: UnreadGateway, count: int) -> None:
    """So many calls without a key, as fast as one connection carries them."""
    request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-length: 2\r\n\r\n{}"
    caller = Caller(gateway.url)
    for _ in range(count // BURST):
        caller.received = b""
        caller.socket.sendall(request * BURST)
        while caller.received.count(b"HTTP/1.1 401") < BURST:
            piece = caller.socket.recv(65536)
            assert piece
            caller.received += piece
    caller.close()
