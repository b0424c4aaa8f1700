"""The local socket: whose requests it takes, where its file is, and that it never stands in the gateway's way."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.local_socket import ACTOR, SOCKET_NAMES, LocalSocket, opened_directory, socket_address
from copilot_api.cli.stores import local_actor
from copilot_api.observability.events import Notice, Observation
from tests.api.wire import Held, answer_with, get, run


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    return path


async def tell_actor(scope: Scope, receive: Receive, send: Send) -> None:
    """Says who the gateway takes the caller for."""
    await answer_with(send, scope["state"][ACTOR].encode())


class Opened(LocalSocket):
    """One whose notices the test reads."""

    def __init__(self, directory: Path, app: object = tell_actor) -> None:
        self.observed: list[Observation] = []
        super().__init__(directory, app, self.observed.append)  # type: ignore[arg-type]

    @property
    def notices(self) -> str:
        return "\n".join(event.text for event in self.observed if isinstance(event, Notice))


@asynccontextmanager
async def opened(directory: Path, app: object = tell_actor) -> AsyncIterator[Opened]:
    async with Opened(directory, app) as found:
        yield found


async def ask(directory: Path, name: str = "control.sock", data: bytes = b"") -> bytes:
    """All that comes back on a connection of its own until it closes."""
    with opened_directory(directory) as descriptor:
        reader, writer = await asyncio.open_unix_connection(socket_address(descriptor, directory, name))
    writer.write(data or get("/", "connection: close"))
    try:
        return await reader.read()
    finally:
        writer.close()


def test_it_says_who_asks_whatever_the_request_claims(directory: Path) -> None:
    async def test() -> None:
        async with opened(directory):
            answer = await ask(directory, data=get("/", "x-local-actor: root", "local_actor: eve", "connection: close"))
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"\r\n\r\n" + local_actor().encode())

    run(test)


def test_its_file_is_private_and_goes_with_it(directory: Path) -> None:
    async def test() -> None:
        async with opened(directory):
            found = (directory / "control.sock").lstat()
            assert stat.S_ISSOCK(found.st_mode)
            assert stat.S_IMODE(found.st_mode) == 0o600
        assert not list(directory.iterdir())

    run(test)


def test_a_path_may_be_longer_than_an_address(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["directory-with-a-long-name"] * 6)
    deep.mkdir(parents=True, mode=0o700)
    assert len(str(deep / "control.sock")) > 107

    async def test() -> None:
        async with opened(deep) as found:
            assert not found.notices
            assert (await ask(deep)).startswith(b"HTTP/1.1 200 ")
        assert not list(deep.iterdir())

    run(test)


def test_what_a_killed_gateway_left_is_replaced(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(directory / "control.sock"))

    async def test() -> None:
        async with opened(directory) as found:
            assert not found.notices
            assert (await ask(directory)).startswith(b"HTTP/1.1 200 ")

    run(test)


def test_each_gateway_has_its_own_and_the_ninth_says_why_not(directory: Path) -> None:
    async def test() -> None:
        gateways = [Opened(directory) for _ in range(9)]
        for gateway in gateways:
            await gateway.open()
        assert sorted(path.name for path in directory.iterdir()) == sorted(SOCKET_NAMES)
        for name in SOCKET_NAMES:
            assert (await ask(directory, name)).startswith(b"HTTP/1.1 200 ")
        assert "8 other gateways run on this data directory" in gateways[8].notices
        await gateways[2].close()
        async with opened(directory):
            assert (await ask(directory, "control-3.sock")).startswith(b"HTTP/1.1 200 ")
        for gateway in gateways:
            await gateway.close()
        assert not list(directory.iterdir())

    run(test)


def test_gateways_that_start_together_never_share_one(directory: Path) -> None:
    async def test() -> None:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(directory / "control.sock"))
        gateways = [Opened(directory) for _ in range(6)]
        async with asyncio.TaskGroup() as group:
            for gateway in gateways:
                group.create_task(gateway.open())
        assert len(list(directory.iterdir())) == 6
        assert not any(gateway.notices for gateway in gateways)
        for gateway in gateways:
            await gateway.close()

    run(test)


@pytest.mark.parametrize("kind", ["file", "directory", "link", "dangling link", "fifo"])
def test_what_is_no_socket_is_left_alone(directory: Path, tmp_path: Path, kind: str) -> None:
    path, elsewhere = directory / "control.sock", tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    match kind:
        case "file":
            path.write_text("mine")
        case "directory":
            path.mkdir()
        case "link":
            path.symlink_to(elsewhere)
        case "dangling link":
            path.symlink_to(tmp_path / "nothing")
        case _:
            os.mkfifo(path)
    before = path.lstat()

    async def test() -> None:
        async with opened(directory) as found:
            assert "control.sock in the data directory is no socket" in found.notices
            found.tick()

    run(test)
    assert path.lstat() == before
    assert elsewhere.read_text() == "mine"
    assert not (tmp_path / "nothing").exists()


def test_a_link_to_the_directory_is_not_followed(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(directory)

    async def test() -> None:
        async with opened(tmp_path / "link") as found:
            assert "cannot reach this gateway" in found.notices

    run(test)
    assert not list(directory.iterdir())


def test_a_directory_that_is_gone_or_locked_is_no_reason_to_fail(directory: Path, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c",
         "import fcntl,os,sys,time\nd=os.open(sys.argv[1],0)\nfcntl.flock(d,fcntl.LOCK_EX)\nprint(1,flush=True)\ntime.sleep(60)",
         str(directory)],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    holder.stdout.readline()

    async def test() -> None:
        async with opened(directory) as found, opened(tmp_path / "nowhere") as other:
            assert "holds the data directory's lock" in found.notices
            assert "No such file" in other.notices

    try:
        run(test)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_another_ones_socket_is_not_taken_away_at_the_end(directory: Path) -> None:
    async def test() -> None:
        found = Opened(directory)
        await found.open()
        (directory / "control.sock").unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(directory / "control.sock"))
            before = (directory / "control.sock").lstat()
            await found.close()
            assert (directory / "control.sock").lstat() == before

    run(test)


def test_what_is_under_way_when_it_closes_may_end(directory: Path) -> None:
    async def test() -> None:
        held = Held()
        found = Opened(directory, held)
        await found.open()
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask(directory, data=get("/slow")))
            idle = group.create_task(ask(directory, data=get("/idle")))
            while len(held.arrived) < 2:
                await asyncio.sleep(0.005)
            held.release("/idle")
            while "/idle" not in held.ended:
                await asyncio.sleep(0.005)
            found.stop_listening()
            assert (await idle).endswith(b"/idle")
            with pytest.raises(ConnectionRefusedError):
                await ask(directory)
            group.create_task(found.close())
            await asyncio.sleep(0.01)
            held.release("/slow")
            assert (await asking).endswith(b"/slow")

    run(test)


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that any user can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be")
def test_another_user_is_turned_away_even_where_modes_would_let_them_in(open_to_all: Path) -> None:
    program = (
        "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
        "try:\n s.sendall(b'GET / HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n')\n print(s.recv(99))\n"
        "except OSError:\n print(b'')"
    )
    path = open_to_all / "control.sock"

    async def test() -> None:
        async with opened(open_to_all):
            path.chmod(0o666)
            done = await asyncio.to_thread(
                subprocess.run, ["/usr/bin/env", "python3", "-c", program, str(path)], capture_output=True, user=65534
            )
            assert done.stdout.strip() == b"b''", done
            assert (await ask(open_to_all)).startswith(b"HTTP/1.1 200 ")

    run(test)
