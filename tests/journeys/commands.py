"""Commands as a stranger runs them: to their end, or on a terminal of their own."""

import json
import os
import pty
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests import warm
from tests.harness import GatewayProcess, Program, Running, wait_until

SECONDS = 30.0


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> Ended:
    """Run a command without a terminal to its end."""
    if tuple(arguments[: len(warm.PROGRAM)]) == warm.PROGRAM:
        done = warm.run(arguments[len(warm.PROGRAM) :], environment, seconds=SECONDS)
    else:
        done = subprocess.run(
            arguments,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    return Ended(done.returncode, done.stdout, done.stderr)


def run_gateway(gateway: GatewayProcess) -> Ended:
    """Run a gateway that is not expected to serve."""
    return run(gateway.arguments, gateway.environment)


def admin_key(gateway: GatewayProcess) -> str:
    """The first admin key of a gateway that was started without a terminal: at hand where any key will do."""
    return (gateway.home / "admin.key.txt").read_text().strip()


class ListeningGateway(GatewayProcess):
    """One that is looked at as soon as it listens, ready or not."""

    def start(self) -> None:
        """Start it and wait until it listens."""
        Program.start(self)


class JsonLoggingGateway(ListeningGateway):
    """One whose log is JSON, where the address is a field."""

    def __init__(self, home: Path, simulator_url: str, *flags: str, **environment: str) -> None:
        super().__init__(home, simulator_url, *flags, COPILOT_API_LOG_FORMAT="json", **environment)

    def _read(self, process: Running) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line)
            if line.startswith("{") and "url" in (fields := json.loads(line)):
                self.url = fields["url"]
                self._listening.set()
        self._listening.set()


class Terminal:
    """A command on a terminal: what it shows, and what is typed."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._environment = {**environment, "TERM": "dumb"}
        self._shown = bytearray()

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        try:
            self.process = subprocess.Popen(
                self._arguments, env=self._environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
            )
        finally:
            os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._reader.join(5)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._master, 4096)
            except OSError:  # Linux says so when the other side is closed
                return
            if not chunk:
                return
            self._shown += chunk

    @property
    def shown(self) -> str:
        """All that it has shown, with plain line ends."""
        return self._shown.decode(errors="replace").replace("\r\n", "\n")

    def expect(self, pattern: str, seconds: float = SECONDS) -> "re.Match[str]":
        """Wait until it shows something."""
        found: list[re.Match[str]] = []

        def is_shown() -> bool:
            if match := re.search(pattern, self.shown):
                found.append(match)
            return bool(found)

        try:
            wait_until(is_shown, seconds, pattern)
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows:\n{self.shown}") from None
        return found[0]

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._master, text.encode())

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal, if it still runs; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
