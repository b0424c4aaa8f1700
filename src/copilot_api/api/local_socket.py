"""
The local socket: `control.sock` in the data directory, where commands of this machine reach a running gateway.

Whoever can use it is the gateway's own user, or root, and that is proof enough: no key is asked for. The directory is
0700 and the socket 0600, and the system says of each connection whose it is. Only the application that it is given is
served here. Every gateway on one data directory has a socket of its own: `control-2.sock` is the second one's.
"""

import asyncio
import contextlib
import fcntl
import os
import pwd
import socket
import stat
import struct
import sys
import time
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from copilot_api.api.http_exchange import Application, Receive, Scope, Send
from copilot_api.api.http_protocol import HttpConnection, HttpServer
from copilot_api.observability.events import Notice, Observer

SOCKET_NAMES = ("control.sock", *(f"control-{number}.sock" for number in range(2, 9)))
ACTOR = "local_actor"
"""In the state of a request that came by the socket: who sent it, as the audit log says it."""
DRAIN_SECONDS = 5.0
"""How long requests under way may go on when the gateway stops."""
CONNECT_SECONDS = 1.0
_LOCK_TRIES = 20
_LOCK_PAUSE_SECONDS = 0.05
_PEER = struct.Struct("3i")


class LocalSocket:
    """Serves `app` on the socket, inside its block."""

    def __init__(self, directory: Path, app: Application, observe: Observer) -> None:
        self._directory = directory
        self._app = app
        self._observe = observe
        self._http: HttpServer | None = None
        self._server: asyncio.Server | None = None
        self._made: _Made | None = None

    async def open(self) -> None:
        """Listen. Where that cannot be, the gateway says so and does without."""
        loop = asyncio.get_running_loop()
        try:
            listening, made = await asyncio.to_thread(_listen, self._directory)
        except OSError as error:
            reason = error.strerror or error
            self._observe(Notice(f"commands like 'copilot-api traces' cannot reach this gateway: {reason}"))
            return
        self._made = made
        http = self._http = HttpServer(self._app, loop)
        self._server = await loop.create_unix_server(lambda: _LocalConnection(http), sock=listening)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def tick(self) -> None:
        """Keep the deadlines; to be called once a second."""
        if self._http is not None:
            self._http.tick()

    def stop_listening(self) -> None:
        """Take no new requests; those under way go on."""
        if self._http is None or self._server is None:
            return
        self._server.close()
        self._http.is_draining = True
        for connection in list(self._http.connections):
            connection.shutdown()

    async def close(self) -> None:
        """Let what is under way end, for a while, and take the socket's file away."""
        http = self._http
        if http is None:
            return
        self.stop_listening()
        if http.tasks:
            await asyncio.wait(http.tasks, timeout=DRAIN_SECONDS)
        for task in list(http.tasks):
            task.cancel("stopped")
        if http.tasks:
            await asyncio.wait(http.tasks)
        for connection in list(http.connections):
            connection.transport.abort()
        if self._made is not None:
            await asyncio.to_thread(_remove, self._directory, self._made)


class _LocalConnection(HttpConnection):
    """A connection whose peer the system has named. Anybody else's is closed before a byte of it is read."""

    __slots__ = ("_signed",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        uid = _peer_uid(transport.get_extra_info("socket"))
        self._signed = _signed(self.server.app, f"local:{_user_name(uid)}")
        super().connection_made(transport)
        if uid not in {0, os.geteuid()}:
            self.is_deaf = True
            self.transport.abort()

    @property
    def app(self) -> Application:
        """See `Carrier`."""
        return self._signed


def _signed(app: Application, actor: str) -> Application:
    """`app`, which finds in each request's state whose it is. Nothing that a client sends gets there."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"][ACTOR] = actor
        await app(scope, receive, send)

    return run


def _peer_uid(connection: socket.socket) -> int:
    """Who is at the other end. Where the system does not say, the modes of the socket and its directory have."""
    if sys.platform != "linux":
        return os.geteuid()
    _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return int(uid)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


# The file ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened_directory(path: Path) -> Generator[int]:
    """A descriptor of the data directory, never through a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def socket_address(directory: int, path: Path, name: str) -> str:
    """
    What to bind or connect to. An address has room for 107 bytes, and data directories are deeper than that: so it
    goes by the descriptor of the directory, where the system has a name for that.
    """
    return f"/proc/self/fd/{directory}/{name}" if sys.platform == "linux" else str(path / name)


class _Made(NamedTuple):
    """The socket's file, so that it can be told from one that took its name."""

    name: str
    inode: int
    modified_ns: int


def _look_at(directory: int, name: str) -> _Made:
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return _Made(name, found.st_ino, found.st_mtime_ns)


def _listen(path: Path) -> tuple[socket.socket, _Made]:
    """A listening socket and its file."""
    with opened_directory(path) as directory, _locked(directory):
        name = _find_name(directory, path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(socket_address(directory, path, name))
            # Before it listens, so that nobody can connect before the mode is right.
            os.chmod(name, 0o600, dir_fd=directory)
            listening.listen()
            listening.setblocking(False)
            return listening, _look_at(directory, name)
        except BaseException:
            listening.close()
            raise


@contextlib.contextmanager
def _locked(directory: int) -> Generator[None]:
    """Of gateways that start together one looks for its name at a time: two might take the same socket for stale."""
    for tries_left in range(_LOCK_TRIES, -1, -1):
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if not tries_left:
                raise OSError("another program holds the data directory's lock") from None
            time.sleep(_LOCK_PAUSE_SECONDS)
    try:
        yield
    finally:
        fcntl.flock(directory, fcntl.LOCK_UN)


def _find_name(directory: int, path: Path) -> str:
    """The first name that no gateway listens at; what one that is gone has left there is removed."""
    for name in SOCKET_NAMES:
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return name
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
            raise OSError(f"{name} in the data directory is no socket of this user's: move it away")
        if not _is_answered(socket_address(directory, path, name)):
            os.unlink(name, dir_fd=directory)
            return name
    raise OSError(f"{len(SOCKET_NAMES)} other gateways run on this data directory")


def _is_answered(address: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_SECONDS)
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            return False
        except OSError:
            return True  # too busy to take one more connection, say
        return True


def _remove(path: Path, made: _Made) -> None:
    """Take the socket's file away, unless another one is there by now."""
    with contextlib.suppress(OSError), opened_directory(path) as directory:
        if _look_at(directory, made.name) == made:
            os.unlink(made.name, dir_fd=directory)
