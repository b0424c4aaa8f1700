"""One answer on the wire: its framing, whatever way the application sends it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.api.http_exchange import EXCHANGE, STATUS_LINES, Exchange, Receive, Scope, Send
from tests.api.wire import Answer, Wire, answer_with, closing, get, post, read_whole, run

PROPERTY = settings(derandomize=True, deadline=None, database=None)
Handler = Callable[[Exchange, Receive, Send], Awaitable[None]]


def answers(handler: Handler, *requests: bytes, methods: tuple[str, ...] = ()) -> list[Answer]:
    """What a client gets when `handler` answers each of the requests; the connection's end is checked."""
    found: list[Answer] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(scope["extensions"][EXCHANGE], receive, send)

    async def test() -> None:
        wire = Wire(app)
        for request in requests:
            if not wire.transport.is_closed:
                await wire.send(request)
        found.extend(wire.answers(*methods))
        is_over = wire.transport.is_closed or wire.transport.has_eof
        assert is_over == (found[-1].headers.get("connection") == "close"), (
            "an end is announced, and what is announced comes"
        )
        wire.lose()
        await wire.settle()

    run(test)
    return found


async def stream(send: Send, *bodies: bytes, headers: Any = ()) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
    for body in bodies:
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


# Framing ---------------------------------------------------------------------------------------------------------


def test_an_answer_in_one_piece_says_its_length() -> None:
    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        await answer_with(send, b"hello")

    [answer] = answers(handler, get())
    assert (answer.body, answer.headers["content-length"]) == (b"hello", "5")


@settings(PROPERTY, max_examples=80)
@given(bodies=st.lists(st.binary(max_size=20), max_size=6), is_direct=st.booleans())
def test_an_answer_in_pieces_is_chunked_and_no_piece_ends_it(bodies: list[bytes], is_direct: bool) -> None:
    """An empty chunk is the end of an answer on the wire; an empty piece is not."""

    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for body in bodies:
            if is_direct:
                await exchange.write(body)
            else:
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    answer, after = answers(handler, get(), get())
    assert answer.body == after.body == b"".join(bodies)


def test_to_http_1_0_an_answer_in_pieces_ends_with_the_connection() -> None:
    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        await stream(send, b"a", b"b")

    [answer] = answers(handler, get("/", "connection: keep-alive", version="HTTP/1.0"))
    assert answer.body == b"ab"
    assert answer.headers["connection"] == "close"
    assert "transfer-encoding" not in answer.headers


def test_http_1_0_is_kept_when_it_asks_and_the_length_is_known() -> None:
    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        await answer_with(send, b"x")

    asking = get("/", "connection: keep-alive", version="HTTP/1.0")
    assert [answer.headers["connection"] for answer in answers(handler, asking, asking)] == ["keep-alive"] * 2
    assert [answer.headers["connection"] for answer in answers(handler, get("/", version="HTTP/1.0"))] == ["close"]


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_head_request_gets_the_head_only(pieces: int) -> None:
    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        if pieces == 1:
            await answer_with(send, b"hello")
        else:
            await stream(send, b"a", b"b", b"c")

    head, after = answers(handler, get(method="HEAD"), get(), methods=("HEAD", "GET"))
    assert head.body == b""
    assert after.body in {b"hello", b"abc"}
    if pieces == 1:
        assert head.headers["content-length"] == "5"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_has_none(status: int) -> None:
    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        await answer_with(send, b"", status)

    first, second = answers(handler, get(), get())
    assert first.status == second.status == status
    assert "transfer-encoding" not in first.headers


def test_an_announced_length_is_kept_to() -> None:
    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        await stream(send, b"ab", b"cd", headers=[(b"content-length", b"4")])

    first, second = answers(handler, get(), get())
    assert first.body == second.body == b"abcd"
    assert "transfer-encoding" not in first.headers


def test_more_than_the_announced_length_is_not_sent() -> None:
    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        await stream(send, b"ab", b"cd", headers=[(b"content-length", b"3")])

    assert [answer.body for answer in answers(handler, get(), get())] == [b"abc", b"abc"]


def test_less_than_the_announced_length_ends_the_connection() -> None:
    """The client waits for the rest: the next answer must not be taken for it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await stream(send, b"ab", headers=[(b"content-length", b"4")])

    async def test() -> None:
        wire = Wire(app)
        await wire.send(get() + get())
        assert wire.is_lost
        assert wire.take().count(b"HTTP/1.1 200") == 1

    run(test)


def test_an_application_may_end_the_connection() -> None:
    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        await answer_with(send, b"x", 200, (b"connection", b"Close"))

    assert len(answers(handler, get(), get())) == 1


def test_every_status_has_a_line() -> None:
    assert STATUS_LINES[200] == b"HTTP/1.1 200 OK\r\n"
    assert STATUS_LINES[431].startswith(b"HTTP/1.1 431 ")
    assert STATUS_LINES[599] == b"HTTP/1.1 599 \r\n"


# The direct way --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize("asks", ["close", "keep-alive", None])
def test_respond_says_the_same_as_send(version: str, asks: str | None) -> None:
    async def sending(exchange: Exchange, receive: Receive, send: Send) -> None:
        await answer_with(send, b"hello", 200, (b"x-a", b"1"))

    async def responding(exchange: Exchange, receive: Receive, send: Send) -> None:
        await exchange.respond(b"x-a: 1\r\n", b"hello")

    request = get("/", *([f"connection: {asks}"] if asks else []), version=version)
    [sent], [responded] = answers(sending, request), answers(responding, request)
    assert sent.body == responded.body
    assert {**sent.headers, "date": ""} == {**responded.headers, "date": ""}


def test_respond_before_the_body_is_here_ends_the_connection() -> None:
    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        await exchange.respond(b"", b"early")

    [answer] = answers(handler, get("/", "content-length: 5", method="POST"))
    assert (answer.body, answer.headers["connection"]) == (b"early", "close")


def test_the_body_is_taken_at_once_when_it_is_here_whole() -> None:
    taken: list[bytes | None] = []

    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        taken.append(exchange.take_body())
        taken.append(exchange.take_body())
        await answer_with(send, b"ok")

    answers(handler, post(b"hello"))
    assert taken == [b"hello", None]


def test_a_body_that_is_not_here_yet_is_received() -> None:
    got: list[bytes] = []

    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        assert exchange.take_body() is None
        got.append(await read_whole(receive))
        assert exchange.take_body() is None
        await answer_with(send, b"ok")

    whole = post(b"hello")
    answers(handler, whole[:-3], whole[-3:])
    assert got == [b"hello"]


def test_no_body_is_an_empty_one() -> None:
    got: list[bytes | None] = []

    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        got.append(exchange.take_body())
        await answer_with(send, b"ok")

    answers(handler, get())
    assert got == [b""]


# What is received ------------------------------------------------------------------------------------------------


def test_after_the_answer_there_is_nothing_more_to_receive() -> None:
    kinds: list[str] = []

    async def handler(exchange: Exchange, receive: Receive, send: Send) -> None:
        await read_whole(receive)
        await answer_with(send, b"ok")
        kinds.append((await receive())["type"])

    answers(handler, post(b"x"))
    assert kinds == ["http.disconnect"]


@pytest.mark.parametrize("value", ["100-continue", "100-Continue"])
def test_who_waits_for_leave_to_send_gets_it_when_the_body_is_wanted(value: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_with(send, await read_whole(receive))

    async def test() -> None:
        async with closing(Wire(app)) as wire:
            await wire.send(get("/", f"expect: {value}", "content-length: 2", method="POST"))
            assert wire.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await wire.send(b"hi")
            assert [answer.body for answer in wire.answers()] == [b"hi"]

    run(test)


def test_who_waits_for_leave_to_send_is_refused_without_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_with(send, b"no", 413)

    async def test() -> None:
        wire = Wire(app)
        await wire.send(get("/", "expect: 100-continue", "content-length: 2", method="POST"))
        assert [answer.status for answer in wire.answers()] == [413]
        wire.lose()

    run(test)


def test_http_1_0_never_gets_a_100() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_with(send, await read_whole(receive))

    async def test() -> None:
        wire = Wire(app)
        await wire.send(get("/", "expect: 100-continue", "content-length: 2", method="POST", version="HTTP/1.0"))
        assert wire.take() == b""
        await wire.send(b"hi")
        assert [answer.body for answer in wire.answers()] == [b"hi"]

    run(test)


# Misuse ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["body first", "twice", "after the end"])
def test_an_application_that_sends_nonsense_hears_of_it(kind: str) -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if kind == "body first":
                await send({"type": "http.response.body", "body": b"x"})
            elif kind == "after the end":
                await answer_with(send, b"x")
                await send({"type": "http.response.body", "body": b"y"})
            else:
                await answer_with(send, b"x")
                await answer_with(send, b"y")
        except RuntimeError as error:
            heard.append(str(error))
            raise

    async def test() -> None:
        wire = Wire(app)
        await wire.send(get())
        wire.lose()
        await wire.settle()

    run(test)
    assert len(heard) == 1


def test_to_a_client_that_is_gone_nothing_is_sent() -> None:
    raised: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["extensions"][EXCHANGE]
        await read_whole(receive)
        assert (await receive())["type"] == "http.disconnect"
        for attempt in (answer_with(send, b"x"), exchange.respond(b"", b"x")):
            with pytest.raises(OSError, match="closed"):
                await attempt
            raised.append("gone")

    async def test() -> None:
        wire = Wire(app)
        await wire.send(get())
        wire.lose()
        await wire.settle()
        assert wire.take() == b""
        assert wire.loop.failures == []

    run(test)
    assert raised == ["gone", "gone"]


def test_asking_for_the_cancellation_after_the_hang_up_is_not_too_late() -> None:
    ends: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope["extensions"][EXCHANGE].cancel_on_disconnect()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    async def test() -> None:
        wire = Wire(app)
        await wire.send(get())
        wire.lose()
        await wire.settle()

    run(test)
    assert ends == ["cancelled"]


def test_an_answer_that_is_whole_is_not_cancelled_by_a_hang_up() -> None:
    """What comes after the answer, such as the bookkeeping, runs to its end."""
    done: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"][EXCHANGE].cancel_on_disconnect()
        await answer_with(send, b"x")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        done.append(1)

    async def test() -> None:
        wire = Wire(app)
        wire.connection.data_received(get())
        await asyncio.sleep(0)
        wire.lose()
        await wire.settle()

    run(test)
    assert done == [1]
