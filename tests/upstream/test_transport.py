import asyncio
import contextlib
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from copilot_api.upstream import transport as transport_module
from copilot_api.upstream.transport import (
    HIGH_WATER_BYTES,
    IDLE_CONNECTION_SECONDS,
    MAX_HEAD_BYTES,
    SILENCE,
    ConnectFailed,
    Connection,
    ConnectionBroken,
    HttpTransport,
    NotHttp,
    Silence,
    SilentTooLong,
    TransportError,
)
from tests.upstream.servers import Peer, Script, Server, echo, run, serve, until

HEADERS = b"authorization: Bearer tid=1\r\nx-one: 1\r\n"


@contextlib.asynccontextmanager
async def connected(script: Script, **options: float) -> AsyncGenerator[tuple[Server, HttpTransport]]:
    """A transport and a server for it, and a sweep that does not wait for a second."""
    transport = HttpTransport(**options)

    async def sweep() -> None:
        while True:
            await asyncio.sleep(0.01)
            transport.sweep()

    async with serve(script) as server:
        sweeping = asyncio.get_running_loop().create_task(sweep())
        try:
            yield server, transport
        finally:
            sweeping.cancel()
            await transport.close()


async def send(server: Server, transport: HttpTransport, body: bytes = b"{}", path: str = "/chat") -> Connection:
    return await transport.send(server.url + path, HEADERS, body)


async def call(server: Server, transport: HttpTransport, body: bytes = b"{}") -> bytes:
    """A whole call, as everybody makes it."""
    pending = await send(server, transport, body)
    try:
        reply = await pending.head()
        assert not isinstance(reply, Silence)
        return await reply.read_all()
    finally:
        pending.close()


async def read_pieces(reply: Connection) -> list[bytes]:
    pieces: list[bytes] = []
    while piece := await reply.read():
        assert not isinstance(piece, Silence)
        pieces.append(piece)
    return pieces


async def failure_of(server: Server, transport: HttpTransport) -> TransportError:
    """What is raised when it fails, wherever it does."""
    with pytest.raises(TransportError) as raised:
        await call(server, transport)
    return raised.value


# What is sent -----------------------------------------------------------------------------------------------------


def test_a_call_is_one_post_with_the_headers_as_they_were_given() -> None:
    async def test() -> None:
        async with connected(echo) as (server, transport):
            assert await call(server, transport, b'{"a":1}') == b'{"a":1}'
            ((line, headers, body),) = server.requests
            assert line == "POST /chat HTTP/1.1"
            assert headers == {
                "host": f"127.0.0.1:{server.port}",
                "authorization": "Bearer tid=1",
                "x-one": "1",
                "content-length": "7",
            }
            assert body == b'{"a":1}'

    run(test())


def test_a_query_is_sent_and_credentials_in_the_url_are_not() -> None:
    async def test() -> None:
        async with connected(echo) as (server, transport):
            url = server.url.replace("http://", "http://user:secret@") + "/chat?a=1"
            pending = await transport.send(url, b"", b"{}")
            await pending.head()
            ((line, headers, _),) = server.requests
            assert line == "POST /chat?a=1 HTTP/1.1"
            assert headers["host"] == f"127.0.0.1:{server.port}"

    run(test())


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 5_000_000])
def test_bodies_of_every_size_arrive_whole(size: int) -> None:
    async def test() -> None:
        async with connected(echo) as (server, transport):
            body = bytes(range(256)) * (size // 256) + bytes(size % 256)
            assert await call(server, transport, body) == body

    run(test())


def test_a_url_that_cannot_be_sent_is_no_connection() -> None:
    async def test() -> None:
        with pytest.raises(ConnectFailed, match="not a usable URL"):
            await HttpTransport().send("http://127.0.0.1/größe", b"", b"")

    run(test())


# What comes back --------------------------------------------------------------------------------------------------


def test_status_and_headers_are_told_and_of_a_repeated_header_the_last_counts() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.answer(b"no", "Content-Type: text/plain", "X-A: 1", "x-a: 2", status="429 Too Many Requests")

    async def test() -> None:
        async with connected(script) as (server, transport):
            reply = await (await send(server, transport)).head()
            assert not isinstance(reply, Silence)
            assert reply.status == 429
            assert reply.headers["content-type"] == "text/plain"
            assert reply.headers["x-a"] == "2"
            assert await reply.read_all() == b"no"

    run(test())


def test_bytes_are_given_on_as_they_come() -> None:
    async def test() -> None:
        more = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.receive()
            await peer.begin_chunked()
            await peer.chunk(b"data: 1\n\n")
            await more.wait()
            await peer.chunk(b"data: 2\n\n")
            await peer.chunk(b"")
            await peer.gone()

        async with connected(script) as (server, transport):
            reply = await send(server, transport)
            await reply.head()
            assert await reply.read() == b"data: 1\n\n"
            more.set()
            assert await reply.read() == b"data: 2\n\n"
            assert await reply.read() == b""
            assert await reply.read() == b""

    run(test())


def test_chunks_may_be_torn_anywhere_and_carry_extensions_and_trailers() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        answer = (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nx-late: 1\r\n\r\n"
        )
        for byte in answer:
            await peer.send(bytes([byte]))
            await asyncio.sleep(0)
        await peer.gone()

    async def test() -> None:
        async with connected(script) as (server, transport):
            assert await call(server, transport) == b"hello!"
            assert transport.connections() == 1

    run(test())


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nall ")
        await peer.send(b"of it")
        peer.close()

    async def test() -> None:
        async with connected(script) as (server, transport):
            assert await call(server, transport) == b"all of it"
            assert await call(server, transport) == b"all of it"
            assert len(server.peers) == 2

    run(test())


def test_interim_answers_are_passed_over_with_their_headers() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\nx-a: early\r\n\r\n")
        await peer.answer(b"ok", "x-b: late")
        await peer.gone()

    async def test() -> None:
        async with connected(script) as (server, transport):
            reply = await send(server, transport)
            await reply.head()
            assert reply.status == 200
            assert dict(reply.headers) == {"content-length": "2", "x-b": "late"}
            assert await reply.read_all() == b"ok"

    run(test())


def test_an_answer_without_a_body_is_whole() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.receive()
            await peer.answer(b"")

    async def test() -> None:
        async with connected(script) as (server, transport):
            assert await call(server, transport) == b""
            assert await call(server, transport) == b""
            assert len(server.peers) == 1

    run(test())


# Connections ------------------------------------------------------------------------------------------------------


def test_a_connection_is_used_again_once_its_answer_is_complete() -> None:
    async def test() -> None:
        async with connected(echo) as (server, transport):
            for number in range(5):
                assert await call(server, transport, b"%d" % number) == b"%d" % number
            assert len(server.peers) == 1

    run(test())


def test_calls_at_the_same_time_have_connections_of_their_own_which_are_all_kept() -> None:
    async def test() -> None:
        async with connected(echo) as (server, transport):
            for _ in range(3):
                bodies = [b"%d" % number for number in range(10)]
                assert await asyncio.gather(*(call(server, transport, body) for body in bodies)) == bodies
            assert len(server.peers) == 10
            assert transport.connections() == 10

    run(test())


def test_a_connection_that_the_upstream_wants_closed_is_not_used_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.answer(b"ok", "connection: close")
        await peer.gone()

    async def test() -> None:
        async with connected(script) as (server, transport):
            assert await call(server, transport) == b"ok"
            assert await call(server, transport) == b"ok"
            assert len(server.peers) == 2
            await until(lambda: transport.connections() == 0)

    run(test())


def test_an_answer_that_is_given_up_ends_its_connection_at_once() -> None:
    async def test() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.receive()
            await peer.begin_chunked()
            await peer.chunk(b"the first of many")
            await peer.gone()
            gone.set()

        async with connected(script) as (server, transport):
            reply = await send(server, transport)
            await reply.head()
            await reply.read()
            reply.close()
            reply.close()  # once more does nothing
            await gone.wait()
            await until(lambda: transport.connections() == 0)

    run(test())


def test_a_call_that_is_given_up_before_its_answer_ends_its_connection_at_once() -> None:
    async def test() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.receive()
            await peer.gone()
            gone.set()

        async with connected(script) as (server, transport):
            pending = await send(server, transport)
            waiting = asyncio.ensure_future(pending.head())
            await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            pending.close()
            await gone.wait()

    run(test())


def test_an_idle_connection_that_the_upstream_has_closed_is_not_used() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.answer(b"ok")

    async def test() -> None:
        async with connected(script) as (server, transport):
            assert await call(server, transport) == b"ok"
            await until(lambda: transport.connections() == 0)
            assert await call(server, transport) == b"ok"
            assert len(server.peers) == 2

    run(test())


def test_an_idle_close_that_crosses_with_a_call_may_be_repeated() -> None:
    """The upstream closed before it saw the call: nobody can have begun to work on it."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.answer(b"ok")
        await peer.receive()
        peer.close()

    async def test() -> None:
        async with connected(script) as (server, transport):
            assert await call(server, transport) == b"ok"
            error = await failure_of(server, transport)
            assert isinstance(error, ConnectionBroken)
            assert error.is_safe_to_repeat

    run(test())


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200"])
def test_a_close_on_a_fresh_connection_may_not_be_repeated(said: bytes) -> None:
    """It was opened for this call, and it was sent: the upstream may have begun."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(said)

    async def test() -> None:
        async with connected(script) as (server, transport):
            error = await failure_of(server, transport)
            assert isinstance(error, ConnectionBroken)
            assert not error.is_safe_to_repeat

    run(test())


def test_a_close_in_the_middle_of_a_head_may_not_be_repeated_on_a_kept_connection_either() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.answer(b"ok")
        await peer.receive()
        await peer.send(b"HTTP/1.1 200 OK\r\n")

    async def test() -> None:
        async with connected(script) as (server, transport):
            assert await call(server, transport) == b"ok"
            assert not (await failure_of(server, transport)).is_safe_to_repeat

    run(test())


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize(
    "begin", [b"content-length: 100\r\n\r\nhalf", b"transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"\r\nhalf"]
)
def test_an_answer_that_breaks_off_is_broken(begin: bytes, end: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + begin)
        await asyncio.sleep(0.02)
        getattr(peer, end)()

    async def test() -> None:
        async with connected(script) as (server, transport):
            if begin == b"\r\nhalf" and end == "close":
                assert await call(server, transport) == b"half"  # its end is the connection's
                return
            error = await failure_of(server, transport)
            assert isinstance(error, ConnectionBroken)
            assert not error.is_safe_to_repeat
            await until(lambda: transport.connections() == 0)

    run(test())


def test_what_had_come_before_a_break_is_still_read() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.begin_chunked()
        await peer.chunk(b"half")

    async def test() -> None:
        async with connected(script) as (server, transport):
            reply = await send(server, transport)
            await reply.head()
            await until(lambda: transport.connections() == 0)
            assert await reply.read() == b"half"
            with pytest.raises(ConnectionBroken):
                await reply.read()

    run(test())


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x00\x02no http\n", b"220 mail.example ESMTP\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"],
)
def test_what_is_no_http_is_an_error(garbage: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(garbage)
        await peer.gone()

    async def test() -> None:
        async with connected(script) as (server, transport):
            assert isinstance(await failure_of(server, transport), NotHttp)
            await until(lambda: transport.connections() == 0)

    run(test())


def test_a_head_that_does_not_end_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + b"x-a: %b\r\n" % (b"a" * 1000) * (MAX_HEAD_BYTES // 1000 + 10))
        await peer.gone()

    async def test() -> None:
        async with connected(script) as (server, transport):
            assert isinstance(await failure_of(server, transport), NotHttp)
            await until(lambda: transport.connections() == 0)

    run(test())


def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    """They would be taken for the next call's answer."""

    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.receive()
            await peer.answer(b"ok")
            if peer.number == 0:
                await asyncio.sleep(0.02)
                await peer.answer(b"somebody else's")
            await peer.gone()

        async with connected(script) as (server, transport):
            assert await call(server, transport) == b"ok"
            await until(lambda: transport.connections() == 0)
            assert await call(server, transport) == b"ok"
            assert len(server.peers) == 2

    run(test())


def test_a_second_answer_in_the_same_breath_is_not_mixed_into_the_first() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        if peer.number == 0:
            await peer.send(
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
                b"HTTP/1.1 500 Oops\r\nx-a: 1\r\ncontent-length: 15\r\n\r\nsomebody else's"
            )
        else:
            await peer.answer(b"mine")
        await peer.gone()

    async def test() -> None:
        async with connected(script) as (server, transport):
            reply = await send(server, transport)
            await reply.head()
            assert reply.status == 200
            assert "x-a" not in reply.headers
            assert await reply.read_all() == b"ok"
            reply.close()
            assert await call(server, transport) == b"mine"

    run(test())


def test_a_broken_chunk_after_good_ones_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.begin_chunked()
        await peer.chunk(b"good")
        await peer.send(b"zz\r\nbad\r\n")
        await peer.gone()

    async def test() -> None:
        async with connected(script) as (server, transport):
            assert isinstance(await failure_of(server, transport), NotHttp)

    run(test())


# Time -------------------------------------------------------------------------------------------------------------


def test_silence_is_told_again_and_again_and_ends_with_the_answer() -> None:
    async def test() -> None:
        more = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.receive()
            await more.wait()
            await peer.begin_chunked()
            more.clear()
            await more.wait()
            await peer.chunk(b"at last")
            await peer.chunk(b"")
            await peer.gone()

        async with connected(script, keep_alive_seconds=0.05) as (server, transport):
            pending = await send(server, transport)
            assert await pending.head() is SILENCE
            assert await pending.head() is SILENCE
            more.set()
            while isinstance(reply := await pending.head(), Silence):
                pass
            assert await reply.read() is SILENCE
            assert await reply.read() is SILENCE
            more.set()
            while isinstance(piece := await reply.read(), Silence):
                pass
            assert piece == b"at last"
            assert await reply.read() == b""

    run(test())


def test_a_whole_answer_is_awaited_through_all_silence() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.begin_chunked()
        for piece in (b"a", b"b", b""):
            await asyncio.sleep(0.08)
            await peer.chunk(piece)
        await peer.gone()

    async def test() -> None:
        async with connected(script, keep_alive_seconds=0.02) as (server, transport):
            reply = await send(server, transport)
            while isinstance(await reply.head(), Silence):
                pass
            assert await reply.read_all() == b"ab"

    run(test())


@pytest.mark.parametrize("has_head", [False, True])
def test_too_long_a_silence_is_an_error_and_ends_the_connection(has_head: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        if has_head:
            await peer.begin_chunked()
        await peer.gone()

    async def test() -> None:
        async with connected(script, max_silence_seconds=0.1) as (server, transport):
            assert isinstance(await failure_of(server, transport), SilentTooLong)
            await until(lambda: transport.connections() == 0 and server.open == 0)

    run(test())


def test_a_slow_client_is_not_the_upstreams_silence() -> None:
    """Nobody waits for the upstream while the client takes its time."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.begin_chunked()
        await peer.chunk(b"one")
        await asyncio.sleep(0.3)
        await peer.chunk(b"two")
        await peer.chunk(b"")
        await peer.gone()

    async def test() -> None:
        async with connected(script, max_silence_seconds=0.1) as (server, transport):
            reply = await send(server, transport)
            await reply.head()
            assert await reply.read() == b"one"
            await asyncio.sleep(0.35)
            assert await reply.read() == b"two"

    run(test())


def test_an_idle_connection_is_closed_after_a_while() -> None:
    async def test() -> None:
        async with connected(echo) as (server, transport):
            assert await call(server, transport) == b"{}"
            now = asyncio.get_running_loop().time()
            for connection in list(transport._connections):
                connection.sweep(now + IDLE_CONNECTION_SECONDS - 1)
            assert transport.connections() == 1
            for connection in list(transport._connections):
                connection.sweep(now + IDLE_CONNECTION_SECONDS + 1)
            await until(lambda: transport.connections() == 0)
            assert await call(server, transport) == b"{}"

    run(test())


def test_closing_the_transport_ends_every_connection_and_fails_the_calls_on_them() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.gone()

    async def test() -> None:
        async with connected(script) as (server, transport):
            pending = [await send(server, transport) for _ in range(3)]
            await transport.close()
            for each in pending:
                with pytest.raises(ConnectionBroken):
                    await each.head()
            assert transport.connections() == 0

    run(test())


# Back-pressure ----------------------------------------------------------------------------------------------------


def test_an_answer_is_read_no_faster_than_it_is_taken() -> None:
    size, piece = 64 * 1024 * 1024, bytes(65_536)

    async def test() -> None:
        sent = 0

        async def script(peer: Peer) -> None:
            nonlocal sent
            await peer.receive()
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            while sent < size:
                await peer.send(piece)
                sent += len(piece)
            await peer.gone()

        async with connected(script) as (server, transport):
            reply = await send(server, transport)
            await reply.head()
            last = -1
            while last != sent:
                last = sent
                await asyncio.sleep(0.1)
            assert sent < size // 2  # the rest does not fit into the sockets
            assert reply._waiting_bytes < HIGH_WATER_BYTES + 1024 * 1024
            received = 0
            while taken := await reply.read():
                assert not isinstance(taken, Silence)
                received += len(taken)
            assert received == size
            reply.close()
            assert transport.connections() == 1  # and may be used again

    run(test())


# No connection ----------------------------------------------------------------------------------------------------


def test_a_port_where_nobody_listens_is_no_connection() -> None:
    async def test() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1") as raised:
                await HttpTransport().send(f"http://127.0.0.1:{taken.getsockname()[1]}/chat", b"", b"")
        assert raised.value.is_safe_to_repeat

    run(test())


def test_a_name_that_does_not_resolve_is_no_connection() -> None:
    async def test() -> None:
        with pytest.raises(ConnectFailed, match=r"copilot\.invalid") as raised:
            await HttpTransport().send("http://copilot.invalid/chat", b"", b"")
        assert raised.value.is_safe_to_repeat

    run(test())


def test_an_upstream_that_never_accepts_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "CONNECT_SECONDS", 0.2)

    async def test() -> None:
        with socket.socket() as listener, contextlib.ExitStack() as stack:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(4):  # whatever the kernel would still accept in its place
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            with pytest.raises(ConnectFailed, match="within"):
                await HttpTransport().send(f"http://127.0.0.1:{listener.getsockname()[1]}/chat", b"", b"")

    run(test())


# TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody but its owner trusts; its key is beside it."""
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=upstream"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path.with_suffix(".key")), "-out", str(path)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return path


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


def test_calls_go_over_tls_on_kept_connections(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def test() -> None:
        transport = HttpTransport()
        async with serve(echo, tls=server_tls(certificate)) as server:
            for body in (b"{}", b"x" * 300_000):
                assert await call(server, transport, body) == body
            assert len(server.peers) == 1
            await transport.close()

    run(test())


def test_a_certificate_that_is_not_trusted_is_no_connection(certificate: Path) -> None:
    async def test() -> None:
        async with serve(echo, tls=server_tls(certificate)) as server:
            with pytest.raises(ConnectFailed, match="certificate"):
                await send(server, HttpTransport())
            assert server.requests == []

    run(test())


def test_a_certificate_for_another_name_is_no_connection(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def test() -> None:
        async with serve(echo, tls=server_tls(certificate)) as server:
            with pytest.raises(ConnectFailed, match="certificate"):
                await HttpTransport().send(f"https://localhost:{server.port}/chat", HEADERS, b"{}")
            assert server.requests == []

    run(test())


def test_a_server_that_does_not_speak_tls_is_no_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def test() -> None:
        async with serve(script) as server:
            with pytest.raises(ConnectFailed):
                await HttpTransport().send(server.url.replace("http:", "https:") + "/chat", HEADERS, b"{}")

    run(test())
