"""The transport of `--proxy-env`: it keeps the same promises as the gateway's own, by way of a proxy or without."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator

import pytest

from copilot_api.upstream import library_transport as module
from copilot_api.upstream.github import open_session
from copilot_api.upstream.library_transport import LibraryReply, LibraryTransport
from copilot_api.upstream.transport import SILENCE, ConnectFailed, ConnectionBroken, Silence, TransportError
from tests.upstream.servers import Peer, Script, Server, echo, run, serve, until

HEADERS = b"authorization: Bearer tid=1\r\nx-one: 1\r\naccept-encoding: identity\r\n"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """None but the one that a test sets."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextlib.asynccontextmanager
async def connected(
    script: Script, keep_alive_seconds: float = 15.0
) -> AsyncGenerator[tuple[Server, LibraryTransport]]:
    async with serve(script) as server, open_session(is_proxied=True) as session:
        transport = LibraryTransport(session, keep_alive_seconds=keep_alive_seconds)
        yield server, transport
        transport.sweep()
        await transport.close()


async def opened(server: Server, transport: LibraryTransport, body: bytes = b"{}") -> LibraryReply:
    pending = await transport.send(f"{server.url}/chat", HEADERS, body)
    try:
        while isinstance(reply := await pending.head(), Silence):
            pass
    except BaseException:
        pending.close()
        raise
    return reply


async def call(server: Server, transport: LibraryTransport, body: bytes = b"{}") -> bytes:
    reply = await opened(server, transport, body)
    try:
        return await reply.read_all()
    finally:
        reply.close()


async def failure_of(server: Server, transport: LibraryTransport) -> TransportError:
    with pytest.raises(TransportError) as raised:
        await call(server, transport)
    return raised.value


@contextlib.asynccontextmanager
async def forwarding() -> AsyncGenerator[Server]:
    """A forward proxy: a request names the whole URL, and everything goes through unread."""

    async def forward(peer: Peer) -> None:
        line, headers, body = await peer.receive()
        method, url, version = line.split(" ")
        host, _, path = url.removeprefix("http://").partition("/")
        name, _, port = host.partition(":")
        reader, writer = await asyncio.open_connection(name, int(port))
        fields = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "connection": "close"}.items())
        writer.write(f"{method} /{path} {version}\r\n{fields}\r\n".encode() + body)
        gone = asyncio.get_running_loop().create_task(peer.gone())
        gone.add_done_callback(lambda _: writer.close())
        try:
            while data := await reader.read(65536):
                await peer.send(data)
        finally:
            gone.cancel()
            writer.close()

    async with serve(forward) as proxy:
        yield proxy


# The promises -----------------------------------------------------------------------------------------------------


def test_a_call_is_one_post_with_the_headers_as_they_were_given() -> None:
    async def test() -> None:
        async with connected(echo) as (server, transport):
            assert await call(server, transport, b'{"a":1}') == b'{"a":1}'
            ((line, headers, body),) = server.requests
            assert line == "POST /chat HTTP/1.1"
            assert headers["authorization"] == "Bearer tid=1"
            assert headers["x-one"] == "1"
            assert headers["accept-encoding"] == "identity"
            assert headers["content-length"] == "7"
            assert body == b'{"a":1}'

    run(test())


def test_status_and_headers_are_told() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.answer(b"no", "Content-Type: text/plain", "X-A: 1", status="429 Too Many Requests")

    async def test() -> None:
        async with connected(script) as (server, transport):
            reply = await opened(server, transport)
            assert reply.status == 429
            assert reply.headers["content-type"] == "text/plain"
            assert reply.headers["x-a"] == "1"
            assert reply.content_type == b"text/plain"
            reply.close()

    run(test())


def test_a_redirect_is_not_followed() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.answer(b"", "location: http://evil.example/", status="302 Found")

    async def test() -> None:
        async with connected(script) as (server, transport):
            reply = await opened(server, transport)
            assert reply.status == 302
            reply.close()

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
            reply = await opened(server, transport)
            assert await reply.read() == b"data: 1\n\n"
            more.set()
            assert await reply.read() == b"data: 2\n\n"
            assert await reply.read() == b""
            reply.close()

    run(test())


def test_silence_is_told_before_the_head_and_in_the_body() -> None:
    async def test() -> None:
        more = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.receive()
            await more.wait()
            more.clear()
            await peer.begin_chunked()
            await more.wait()
            await peer.chunk(b"at last")
            await peer.chunk(b"")
            await peer.gone()

        async with connected(script, 0.03) as (server, transport):
            pending = await transport.send(f"{server.url}/chat", HEADERS, b"{}")
            assert await pending.head() is SILENCE
            assert await pending.head() is SILENCE
            more.set()
            while isinstance(reply := await pending.head(), Silence):
                pass
            assert await reply.read() is SILENCE
            more.set()
            while isinstance(piece := await reply.read(), Silence):
                pass
            assert piece == b"at last"
            reply.close()

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
            reply = await opened(server, transport)
            await reply.read()
            reading = asyncio.get_running_loop().create_task(reply.read())
            await asyncio.sleep(0.01)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            reply.close()
            reply.close()  # once more does nothing
            await gone.wait()

    run(test())


def test_a_call_that_is_given_up_before_its_answer_ends_its_connection_at_once() -> None:
    async def test() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.receive()
            await peer.gone()
            gone.set()

        async with connected(script) as (server, transport):
            pending = await transport.send(f"{server.url}/chat", HEADERS, b"{}")
            await until(lambda: server.requests)
            pending.close()
            await gone.wait()

    run(test())


async def cut(peer: Peer) -> None:
    await peer.receive()
    await peer.begin_chunked()
    await peer.chunk(b"half")
    await asyncio.sleep(0.02)


async def cut_by_reset(peer: Peer) -> None:
    await cut(peer)
    peer.reset()


async def closed(peer: Peer) -> None:
    await peer.receive()


async def garbage(peer: Peer) -> None:
    await peer.receive()
    await peer.send(b"\x16\x03\x01 no http\r\n\r\n")


@pytest.mark.parametrize("script", [cut, cut_by_reset, closed, garbage])
def test_what_breaks_is_broken_and_not_safe_to_repeat(script: Script) -> None:
    async def test() -> None:
        async with connected(script) as (server, transport):
            error = await failure_of(server, transport)
            assert isinstance(error, ConnectionBroken)
            assert not error.is_safe_to_repeat

    run(test())


def test_a_port_where_nobody_listens_is_no_connection() -> None:
    async def test() -> None:
        async with connected(echo) as (server, transport):
            server.url = "http://127.0.0.1:1"
            error = await failure_of(server, transport)
            assert isinstance(error, ConnectFailed)
            assert error.is_safe_to_repeat

    run(test())


def test_an_upstream_that_never_accepts_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not a long silence: nothing was sent, so it may be repeated."""
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)

    async def test() -> None:
        with socket.socket() as listener, contextlib.ExitStack() as stack:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(4):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            async with connected(echo) as (server, transport):
                server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                assert isinstance(await failure_of(server, transport), ConnectFailed)

    run(test())


# The proxy --------------------------------------------------------------------------------------------------------


def test_calls_go_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with forwarding() as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            async with connected(echo) as (server, transport):
                assert await call(server, transport, b"through") == b"through"
                ((line, _, _),) = proxy.requests
                assert line == f"POST {server.url}/chat HTTP/1.1"
                assert len(server.requests) == 1

    run(test())


def test_hosts_that_need_no_proxy_are_reached_without(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with forwarding() as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            async with connected(echo) as (server, transport):
                assert await call(server, transport) == b"{}"
                assert proxy.requests == []

    run(test())


def test_a_proxy_that_does_not_listen_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    async def test() -> None:
        async with connected(echo) as (server, transport):
            assert isinstance(await failure_of(server, transport), ConnectFailed)

    run(test())


def test_hanging_up_reaches_the_upstream_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.receive()
            await peer.begin_chunked()
            await peer.chunk(b"the first of many")
            await peer.gone()
            gone.set()

        async with forwarding() as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            async with connected(script) as (server, transport):
                reply = await opened(server, transport)
                assert await reply.read() == b"the first of many"
                reply.close()
                await gone.wait()

    run(test())
