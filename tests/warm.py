"""
Starting `copilot-api` without paying for its imports each time.

A process that has imported the whole program forks for every command that a test starts. What runs is the same `main`
in a process of its own, with its own arguments, environment and descriptors, a second earlier. Tests of the start itself
start an interpreter.

There is one such process for each process that runs tests, and it ends with it. Between it and a command stands a
keeper, which waits for the command and tells how it ended.
"""

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO, NoReturn, cast

PROGRAM = (sys.executable, "-m", "copilot_api")
"""How the arguments of a command begin that can be started warm."""
_IMPORTED_LATER = ("alembic.command", "anyio._backends._asyncio", "uvicorn.lifespan.on")
"""What the program imports when it comes to it, which every start of a gateway does."""
_ORDER, _DESCRIPTORS = "order", 4


class WarmProcess:
    """A command that runs, or ran: what tests need of `subprocess.Popen`."""

    def __init__(self, pid: int, told: int, stdout: IO[str] | None = None) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._told = told
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """How it ended, if it did."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """How it ends. Raises `subprocess.TimeoutExpired`."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """To the command, unless it ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended, and its keeper has not yet told
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._told], [], [], seconds)[0]:
                status = os.read(self._told, 64)
                os.close(self._told)
                # A keeper that is gone without a word was killed, and the command is nobody's.
                self.returncode = os.waitstatus_to_exitcode(int(status)) if status else -signal.SIGKILL
            return self.returncode


class WarmServer:
    """The process that has imported it all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._of = 0
        """Whose it is: a process that was forked off has to have its own."""

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: int,
        stdout: int,
        stderr: int,
        reader: IO[str] | None = None,
    ) -> WarmProcess:
        """Start a command. The descriptors stay the caller's; `reader` becomes the process's `stdout`."""
        told, telling = os.pipe()
        order = json.dumps({"arguments": list(arguments), "environment": dict(environment), "directory": os.getcwd()})
        try:
            with self._lock:
                connection = self._connect()
                connection.sendall(len(order.encode()).to_bytes(4, "big"))
                socket.send_fds(connection, [_ORDER.encode()], [stdin, stdout, stderr, telling])
                connection.sendall(order.encode())
        finally:
            os.close(telling)
        words = b""
        while not words.endswith(b"\n"):
            piece = os.read(told, 1)
            if not piece:
                os.close(told)
                raise RuntimeError("the process that starts commands did not start this one")
            words += piece
        return WarmProcess(int(words), told, reader)

    def _connect(self) -> socket.socket:
        if self._socket is None or self._of != os.getpid():
            ours, theirs = socket.socketpair()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
            theirs.close()
            self._socket, self._of = ours, os.getpid()
        return self._socket

    def stop(self) -> None:
        """End it; what it started goes on."""
        if self._socket is not None and self._process is not None and self._of == os.getpid():
            self._socket.close()
            self._process.wait(10)
            self._socket = None


_server = WarmServer()
atexit.register(_server.stop)
start = _server.start


def start_listening(arguments: Sequence[str], environment: Mapping[str, str]) -> WarmProcess:
    """Start a command whose output, of both kinds, is read from its `stdout`."""
    reading, writing = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    reader = open(reading)  # noqa: SIM115 -- whoever reads it closes it
    try:
        return start(arguments, environment, stdin=nothing, stdout=writing, stderr=writing, reader=reader)
    except BaseException:
        reader.close()
        raise
    finally:
        os.close(writing)
        os.close(nothing)


def run(
    arguments: Sequence[str], environment: Mapping[str, str], *, stdin: str | None = None, seconds: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """Run `copilot-api` with these arguments to its end, without a terminal. Raises `subprocess.TimeoutExpired`."""
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        given.write(stdin or "")
        given.seek(0)
        process = start(arguments, environment, stdin=given.fileno(), stdout=out.fileno(), stderr=err.fileno())
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([*PROGRAM, *arguments], code, out.read(), err.read())


def _serve(connection: socket.socket) -> None:
    """Fork for each order; in the command this returns."""
    while head := connection.recv(4, socket.MSG_WAITALL):
        size = int.from_bytes(head, "big")
        _, descriptors, _, _ = socket.recv_fds(connection, len(_ORDER), _DESCRIPTORS)
        order = json.loads(connection.recv(size, socket.MSG_WAITALL))
        if os.fork() == 0:
            connection.close()
            _keep(order["arguments"], order["environment"], order["directory"], descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
    os._exit(0)


def _keep(arguments: list[str], environment: dict[str, str], directory: str, descriptors: list[int]) -> None:
    """Fork the command and tell how it ends; in the command this returns."""
    *standard, telling = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid:
        for descriptor in (0, 1, 2, *standard):
            os.close(descriptor)
        os.write(telling, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(telling, str(status).encode())
        os._exit(0)
    os.close(telling)
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
    for descriptor in standard:
        os.close(descriptor)
    # As an interpreter makes them when it starts, unbuffered: they remember what kind of file there was.
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _open_output(1, "strict")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _open_output(2, "backslashreplace")  # type: ignore[misc]
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(directory)
    sys.argv = ["copilot-api", *arguments]


def _open_output(descriptor: int, errors: str) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(cast("BinaryIO", raw), errors=errors, write_through=True)


def _compile_templates() -> None:
    """What pages are made of: a process keeps what it compiled, and so do those that are forked off."""
    from copilot_api.admin.assets import Assets
    from copilot_api.admin.templating import Templates

    environment = Templates(Assets())._environment
    for name in environment.list_templates():
        environment.get_template(name)


def main() -> NoReturn:
    """Import the program, then start commands as they are asked for."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    import copilot_api
    from copilot_api import cli

    for module in pkgutil.walk_packages(copilot_api.__path__, "copilot_api."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)
    for name in _IMPORTED_LATER:
        importlib.import_module(name)
    _compile_templates()
    gc.freeze()  # what is here already is not looked at again, in no command
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are not waited for
    _serve(connection)
    cli.main()


if __name__ == "__main__":
    main()
