"""
Real processes for tests: a simulator and gateways, on sockets, each with a data directory of its own.

`Simulator` and `GatewayProcess` are context managers; what they start they end. Everything a test asks of them goes over
HTTP or through the command line, as a user would.
"""

import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from tests import warm

START_SECONDS = 30.0
GITHUB_TOKEN = "ghu_harness00000000000000000000000000000"
_LISTENING = re.compile(r"listening on (http\S+)")


def free_environment(**more: str) -> dict[str, str]:
    """The environment of a program under test: nothing of ours but the paths."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COPILOT_API_", "GH_", "XDG_"))}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


class Running(Protocol):
    """A process that was started, however."""

    pid: int

    @property
    def stdout(self) -> IO[str] | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def kill(self) -> None: ...


class Program:
    """A `copilot-api` command that listens. It starts warm (see `tests.warm`); `is_cold` starts an interpreter for it."""

    is_cold = False

    def __init__(self, arguments: Iterable[str], environment: dict[str, str]) -> None:
        self.arguments = [*warm.PROGRAM, *arguments]
        self.environment = environment
        self.process: Running | None = None
        self.lines: list[str] = []
        self.url = ""
        self._listening = threading.Event()
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._listening.clear()
        process = self._spawn()
        self.process = process
        self._reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._reader.start()
        if not self._listening.wait(START_SECONDS) or not self.url:
            self.stop(signal.SIGKILL)
            raise RuntimeError("it does not listen:\n" + "".join(self.lines))

    def _spawn(self) -> Running:
        if self.is_cold:
            return subprocess.Popen(
                self.arguments,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        return warm.start_listening(self.arguments[len(warm.PROGRAM) :], self.environment)

    def _read(self, process: Running) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line)
            found = _LISTENING.search(line)
            if found:
                self.url = found.group(1)
                self._listening.set()
        self._listening.set()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def output(self) -> str:
        """All that it has printed."""
        return "".join(self.lines)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20.0) -> int:
        """End it with a signal; its exit code."""
        process = self.process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(number)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if self._reader is not None:
            self._reader.join(5)
        if process.stdout is not None:
            process.stdout.close()
        self.process = None
        return code

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class Simulator(Program):
    """The simulator in a process of its own."""

    def __init__(self) -> None:
        super().__init__(["simulate", "--port", "0"], free_environment())

    def get(self, path: str) -> Any:
        """What `GET /_sim/...` says."""
        return http_json("GET", self.url + path)[1]

    def post(self, path: str, body: Any = None) -> Any:
        """Set something."""
        return http_json("POST", self.url + path, body if body is not None else {})[1]

    def reset(self) -> None:
        """As it was at the start."""
        self.post("/_sim/reset")

    @property
    def stats(self) -> dict[str, Any]:
        """`GET /_sim/stats`."""
        return dict(self.get("/_sim/stats"))

    @property
    def requests(self) -> list[dict[str, Any]]:
        """`GET /_sim/requests`, as a list."""
        return list(self.get("/_sim/requests")["requests"])


class GatewayProcess(Program):
    """`copilot-api start` on a simulator."""

    def __init__(
        self, home: Path, simulator_url: str, *flags: str, github_token: str | None = GITHUB_TOKEN, **environment: str
    ) -> None:
        more = {
            "COPILOT_API_HOME": str(home),
            "COPILOT_API_GITHUB_URL": simulator_url,
            "COPILOT_API_GITHUB_API_URL": simulator_url,
            "COPILOT_API_UPSTREAM_URL": simulator_url,
            **environment,
        }
        if github_token is not None:
            more["GH_TOKEN"] = github_token
        super().__init__(["start", "--port", "0", *flags], free_environment(**more))
        self.home = home

    def start(self) -> None:
        """Start it and wait until it is ready."""
        super().start()
        self.wait_ready()

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait for `/readyz` to answer 200."""
        wait_until(lambda: http_json("GET", f"{self.url}/readyz")[0] == 200, seconds, "ready")

    def cli(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        """What another `copilot-api` command prints, beside this gateway."""
        done = warm.run(arguments, self.environment, stdin=stdin)
        if check and done.returncode != 0:
            raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def create_key(self, label: str = "test", *flags: str) -> str:
        """A new key's secret."""
        return str(json.loads(self.cli("keys", "create", "--label", label, "--json", *flags))["key"])

    def events(self, since: str = "1h") -> list[dict[str, Any]]:
        """The usage events that are in the database."""
        return [json.loads(line) for line in self.cli("usage", "--events", "--since", since, "--json").splitlines()]


def http_json(
    method: str, url: str, body: Any = None, *, key: str | None = None, seconds: float = 30.0
) -> tuple[int, Any]:
    """One call with the standard library: status, and the JSON of the answer (or its text)."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:
            status, raw = response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            status, raw = error.code, error.read()
    except OSError:
        return 0, None
    try:
        return status, json.loads(raw)
    except ValueError:
        return status, raw.decode(errors="replace")


def wait_until(condition: Any, seconds: float, what: str) -> None:
    """Wait until `condition()` is true; fails when it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")
