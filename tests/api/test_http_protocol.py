"""HTTP/1.1 on the wire: order, bounds, deadlines, ends. What a socket adds is in `tests/fuzz/test_http_surface.py`."""

import asyncio
import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.api.http_exchange import EXCHANGE, Application, Receive, Scope, Send
from copilot_api.api.http_protocol import (
    BODY_HIGH_WATER,
    BODY_SILENCE_SECONDS,
    HEADER_SECONDS,
    IDLE_SECONDS,
    LINGER_SECONDS,
    MAX_HEADER_BYTES,
    MAX_HEADER_COUNT,
    HttpServer,
)
from copilot_api.gateway.settlement import CLIENT_GONE
from tests.api.wire import Answer, Held, Wire, answer_with, closing, echo, get, post, read_whole, run

PROPERTY = settings(derandomize=True, deadline=None, database=None)


def check_refusal(answer: Answer, status: int) -> dict[str, Any]:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["connection"] == "close"
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
    error: dict[str, Any] = answer.json["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"] in error["message"]
    return error


# Requests and answers in order -----------------------------------------------------------------------------------


def test_a_connection_is_kept_for_the_next_request() -> None:
    async def test() -> None:
        async with closing(Wire(echo)) as wire:
            for number in range(3):
                await wire.send(post(b"%d" % number, path=f"/{number}"))
                [answer] = wire.answers()
                assert answer.json == {"method": "POST", "path": f"/{number}", "body": str(number)}
                assert "connection" not in answer.headers
            assert not wire.transport.is_closed

    run(test)


def test_pipelined_requests_are_run_one_at_a_time_and_answered_in_order() -> None:
    async def test() -> None:
        app = Held()
        async with closing(Wire(app)) as wire:
            await wire.send(get("/a") + get("/b") + get("/c"))
            assert app.arrived == ["/a"]
            assert not wire.transport.is_paused, "a hang-up behind what was sent ahead must be seen"
            app.release("/a")
            await wire.settle()
            assert app.arrived == ["/a", "/b"]
            app.release("/b")
            await wire.settle()
            app.release("/c")
            await wire.settle()
            assert [answer.body for answer in wire.answers()] == [b"/a", b"/b", b"/c"]
            assert not wire.transport.is_paused

    run(test)


REQUESTS = [
    get("/a"), get("/b?c=d", "x: y"), post(b"hello", path="/c"), get("/d", method="HEAD"), post(b"", path="/e"), post(b"x" * 300, path="/f"),
    get("/g", "transfer-encoding: chunked", method="POST") + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\ntrailer: z\r\n\r\n",
    get("/h", "connection: close"), get("/i", version="HTTP/1.0"), get("/j", "connection: keep-alive", version="HTTP/1.0"), b"\r\n", b"garbage\r\n\r\n",
    get("/k", "content-length: x"), get("/l", "transfer-encoding: chunked", method="POST") + b"zz\r\n", get("/%zz"), get("nowhere"),
    get("/m", "connection: upgrade", "upgrade: h2c"), post(b"body", "connection: upgrade", "upgrade: h2c", path="/n"), get("/o", "expect: 100-continue"),
]  # fmt: skip


async def lazy_echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes its time before it reads and before it answers, the longer the further its path is in the alphabet."""
    turns = scope["path"].encode()[-1] % 5
    for _ in range(turns):
        await asyncio.sleep(0)
    body = await read_whole(receive)
    for _ in range(turns):
        await asyncio.sleep(0)
    await answer_with(send, scope["path"].encode() + body)


async def converse(pieces: list[bytes], app: Application = echo) -> tuple[bytes, bool]:
    """All that a client gets for these reads, and whether the connection is over; dates and request ids left out."""
    wire = Wire(app)
    wire.server.date_line = b"date: now\r\n"
    for piece in pieces:
        if wire.transport.is_closed:
            break
        await wire.send(piece)
    for _ in range(10):
        await wire.settle()
    written = wire.take()
    is_over = wire.transport.is_closed or wire.transport.has_eof
    wire.lose()
    await wire.settle()
    assert wire.loop.failures == []
    return b"".join(_without_ids(written)), is_over


def _without_ids(written: bytes) -> list[bytes]:
    first, *rest = written.split(b"req_")
    return [first, *(b"req_" + part.lstrip(b"0123456789abcdef") for part in rest)]


@settings(PROPERTY, max_examples=150)
@given(
    requests=st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
    app=st.sampled_from([echo, lazy_echo]),
)
def test_the_same_bytes_get_the_same_answers_however_they_are_cut(
    requests: list[bytes], cuts: list[int], app: Application
) -> None:
    data = b"".join(requests)
    places = [0, *sorted({cut % len(data) for cut in cuts}), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(places) if start < end]

    async def both() -> None:
        at_once = await converse([data], app)
        in_pieces = await converse(pieces, app)
        assert in_pieces == at_once

    asyncio.run(both())


@settings(PROPERTY, max_examples=60)
@given(requests=st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=3))
def test_bytes_may_come_one_at_a_time(requests: list[bytes]) -> None:
    data = b"".join(requests)

    async def both() -> None:
        assert await converse([data[place : place + 1] for place in range(len(data))]) == await converse([data])

    asyncio.run(both())


@settings(PROPERTY, max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_whatever_comes_the_answers_can_be_read_and_nothing_is_left_waiting(seed: int) -> None:
    """Mutated requests in random pieces: each answer is whole, none is a 5xx, and in the end the connection is over or idle."""
    chance = random.Random(seed)
    data = bytearray(b"".join(chance.choices(REQUESTS, k=chance.randint(1, 4))))
    for _ in range(chance.randint(0, 6)):
        place = chance.randrange(len(data))
        kind = chance.randrange(3)
        if kind == 0:
            data[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del data[place : place + chance.randrange(1, 6)]
        else:
            data[place:place] = chance.choice([b"\r\n", b"\n", b":", b" ", b"\0", b"5", b"content-length: 2\r\n"])
        if not data:
            return

    async def test() -> None:
        wire = Wire(echo)
        rest = bytes(data)
        while rest and not wire.transport.is_closed:
            size = chance.choice([1, 7, 50, len(rest)])
            await wire.send(rest[:size])
            rest = rest[size:]
        await wire.advance(HEADER_SECONDS + BODY_SILENCE_SECONDS + IDLE_SECONDS + LINGER_SECONDS + 5)
        assert wire.is_lost, "every connection ends by itself"
        assert wire.loop.failures == []
        written = wire.take()
        assert b"HTTP/1.1 5" not in written
        assert not wire.server.tasks
        assert not wire.server.connections

    asyncio.run(test())


# Bodies ----------------------------------------------------------------------------------------------------------


def test_a_body_comes_in_pieces_as_it_arrives() -> None:
    async def test() -> None:
        pieces: list[bytes] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while (message := await receive())["more_body"]:
                pieces.append(message["body"])
            pieces.append(message["body"])
            await answer_with(send, b"ok")

        async with closing(Wire(app)) as wire:
            await wire.send(post(b"abcdef")[:-6], b"ab", b"cd", b"ef")
            assert b"".join(pieces) == b"abcdef"
            assert pieces[:2] == [b"ab", b"cd"]

    run(test)


def test_a_client_that_sends_faster_than_it_is_read_is_held_back() -> None:
    async def test() -> None:
        may_read = asyncio.Event()
        got: list[int] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await may_read.wait()
            got.append(len(await read_whole(receive)))
            await answer_with(send, b"ok")

        block = b"x" * (256 * 1024)
        count = 4 * BODY_HIGH_WATER // len(block)
        async with closing(Wire(app)) as wire:
            await wire.send(get("/", f"content-length: {len(block) * count}", method="POST"))
            sent = 0
            while not wire.transport.is_paused:
                await wire.send(block)
                sent += 1
            assert BODY_HIGH_WATER < sent * len(block) <= BODY_HIGH_WATER + len(block)
            may_read.set()
            await wire.send(*[block] * (count - sent))
            assert got == [len(block) * count]
            assert [answer.body for answer in wire.answers()] == [b"ok"]
            assert not wire.transport.is_paused

    run(test)


def test_a_body_that_nobody_reads_does_not_stop_the_next_request() -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await answer_with(send, b"ok")

        async with closing(Wire(app)) as wire:
            await wire.send(post(b"x" * 100) + get("/next"))
            assert [answer.body for answer in wire.answers()] == [b"ok", b"ok"]

    run(test)


@pytest.mark.parametrize("sent", [0, 1, 3])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_pipelined_request_whose_body_comes_late_is_read_on(sent: int, framing: str) -> None:
    async def test() -> None:
        body = b"hello" if framing == "length" else b"5\r\nhello\r\n0\r\n\r\n"
        header = "content-length: 5" if framing == "length" else "transfer-encoding: chunked"
        async with closing(Wire(echo)) as wire:
            await wire.send(get("/a") + get("/b", header, method="POST") + body[:sent], body[sent:])
            assert [answer.json["path"] for answer in wire.answers()] == ["/a", "/b"]

    run(test)


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "content-encoding", "connection", "host"])
def test_a_trailer_is_not_a_header(name: str) -> None:
    async def test() -> None:
        seen: list[list[bytes]] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await read_whole(receive)
            seen.append([key for key, _ in scope["headers"]])
            await answer_with(send, b"ok")

        chunks = f"1\r\nx\r\n0\r\n{name}: secret\r\n\r\n".encode()
        head = get("/", "transfer-encoding: chunked", method="POST")
        async with closing(Wire(app)) as wire:
            await wire.send(head + chunks)  # the task has not begun when the trailer comes
            await wire.send(head, chunks)
            await wire.send(head + chunks + head + chunks)  # one of them waits meanwhile
        assert seen == [[b"host", b"transfer-encoding"]] * 4

    run(test)


# Bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [b"x" * 1000, b"a: b\r\n" * 100, b"x" * 300_000])
def test_headers_without_an_end_are_refused_while_they_come(piece: bytes) -> None:
    async def test() -> None:
        async with closing(Wire(echo)) as wire:
            await wire.send(b"GET / HTTP/1.1\r\nx: ")
            count = 0
            while not wire.transport.has_eof:
                await wire.send(piece)
                count += 1
                assert count * len(piece) < 8 * MAX_HEADER_BYTES + 2 * len(piece)
            [answer] = wire.answers()
            assert check_refusal(answer, 431)["code"] == "headers_too_large"

    run(test)


@pytest.mark.parametrize("piece", [b"x" * 1000, b"a: b\r\n" * 100])
def test_trailers_without_an_end_are_refused_while_they_come(piece: bytes) -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await read_whole(receive)

        async with closing(Wire(app)) as wire:
            await wire.send(get("/", "transfer-encoding: chunked", method="POST") + b"1\r\nx\r\n0\r\nx: ")
            count = 0
            while not wire.transport.has_eof:
                await wire.send(piece)
                count += 1
                assert count * len(piece) < 8 * MAX_HEADER_BYTES
            [answer] = wire.answers()
            check_refusal(answer, 431)

    run(test)


def test_a_chunk_extension_without_an_end_is_refused_while_it_comes() -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await read_whole(receive)

        async with closing(Wire(app)) as wire:
            await wire.send(get("/", "transfer-encoding: chunked", method="POST") + b"1;x=")
            for _ in range(200):
                if wire.transport.has_eof:
                    break
                await wire.send(b"x" * 1000)
            assert wire.transport.has_eof
            assert wire.answers()[0].status in {400, 431}

    run(test)


@pytest.mark.parametrize(("count", "status"), [(MAX_HEADER_COUNT - 1, 200), (MAX_HEADER_COUNT, 431)])
def test_headers_are_counted(count: int, status: int) -> None:
    async def test() -> None:
        async with closing(Wire(echo)) as wire:
            await wire.send(get("/", *(["x: y"] * count)))
            assert [answer.status for answer in wire.answers()] == [status]

    run(test)


def test_many_requests_are_no_big_one() -> None:
    """The bounds are for each request: a connection may carry more than they allow in all."""

    async def test() -> None:
        async with closing(Wire(echo)) as wire:
            for _ in range(20):
                await wire.send(get("/", "x: " + "y" * 10_000) * 3)
            assert [answer.status for answer in wire.answers()] == [200] * 60

    run(test)


# Deadlines -------------------------------------------------------------------------------------------------------


def test_a_connection_that_says_nothing_is_closed_without_a_word() -> None:
    async def test() -> None:
        wire = Wire(echo)
        await wire.advance(HEADER_SECONDS - 1)
        before = wire.is_lost
        await wire.advance(2)
        assert (before, wire.is_lost) == (False, True)
        assert wire.take() == b""

    run(test)


@pytest.mark.parametrize(
    "begin", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n", b"GET / HTTP/1.1\r\nx: "]
)
def test_headers_that_do_not_end_in_time_are_refused(begin: bytes) -> None:
    async def test() -> None:
        wire = Wire(echo)
        await wire.send(begin)
        await wire.advance(HEADER_SECONDS - 2)
        assert not wire.transport.has_eof
        await wire.advance(3)
        [answer] = wire.answers()
        check_refusal(answer, 408)
        await wire.advance(LINGER_SECONDS + 1)
        assert wire.is_lost

    run(test)


def test_a_header_byte_a_second_does_not_buy_time() -> None:
    async def test() -> None:
        wire = Wire(echo)
        await wire.send(b"GET / HTTP/1.1\r\nx: ")
        for _ in range(int(HEADER_SECONDS) + 1):
            await wire.send(b"y")
            await wire.advance(1)
        [answer] = wire.answers()
        check_refusal(answer, 408)

    run(test)


def test_a_body_that_stops_is_refused_and_its_call_ended() -> None:
    async def test() -> None:
        ends: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"][EXCHANGE].cancel_on_disconnect()
            try:
                await read_whole(receive)
            except asyncio.CancelledError as cancelled:
                ends.append(str(cancelled.args[0]))
                raise

        wire = Wire(app)
        await wire.send(post(b"hello")[:-1])
        await wire.advance(BODY_SILENCE_SECONDS - 2)
        assert not wire.transport.has_eof
        await wire.advance(3)
        [answer] = wire.answers()
        check_refusal(answer, 408)
        assert ends == ["the request's body stopped arriving"]
        await wire.advance(LINGER_SECONDS + 1)
        assert wire.is_lost
        assert not wire.server.tasks

    run(test)


def test_a_body_that_trickles_is_read() -> None:
    async def test() -> None:
        async with closing(Wire(echo)) as wire:
            await wire.send(post(b"abc")[:-3])
            for letter in (b"a", b"b", b"c"):
                await wire.advance(BODY_SILENCE_SECONDS - 5)
                await wire.send(letter)
            assert [answer.json["body"] for answer in wire.answers()] == ["abc"]

    run(test)


def test_an_answer_may_take_as_long_as_it_takes() -> None:
    async def test() -> None:
        app = Held()
        async with closing(Wire(app)) as wire:
            await wire.send(post(b"x", path="/a"))
            await wire.advance(3600)
            app.release("/a")
            await wire.settle()
            assert [answer.body for answer in wire.answers()] == [b"/a"]

    run(test)


def test_what_waits_behind_a_long_answer_does_not_time_out() -> None:
    async def test() -> None:
        app = Held()
        async with closing(Wire(app)) as wire:
            await wire.send(get("/a") + get("/b", "content-length: 1", method="POST"))
            await wire.advance(600)
            app.release("/a")
            await wire.settle()
            assert app.arrived == ["/a", "/b"]
            app.release("/b")
            await wire.settle()
            assert [answer.body for answer in wire.answers()] == [b"/a", b"/b"]

    run(test)


def test_half_a_head_behind_a_long_answer_times_out_after_it() -> None:
    async def test() -> None:
        app = Held()
        wire = Wire(app)
        await wire.send(get("/a") + b"GET /b HTT")
        await wire.advance(600)
        app.release("/a")
        await wire.advance(max(IDLE_SECONDS, HEADER_SECONDS) + 1)
        first, second = wire.answers()
        assert first.body == b"/a"
        check_refusal(second, 408)
        await wire.advance(LINGER_SECONDS + 1)
        assert wire.is_lost

    run(test)


def test_an_idle_connection_is_closed_without_a_word() -> None:
    async def test() -> None:
        wire = Wire(echo)
        await wire.send(get())
        wire.take()
        await wire.advance(IDLE_SECONDS - 2)
        before = wire.is_lost
        await wire.advance(3)
        assert (before, wire.is_lost) == (False, True)
        assert wire.take() == b""

    run(test)


# Refusals and ends -----------------------------------------------------------------------------------------------


def test_an_early_answer_is_written_at_once_and_the_rest_of_the_body_dropped() -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await answer_with(send, b"no", 401)

        wire = Wire(app)
        await wire.send(get("/", "content-length: 100000000", method="POST"))
        [answer] = wire.answers()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert wire.transport.has_eof, "the client sees the end of the answer"
        assert not wire.transport.is_closed, "closing now would reset what it has not read yet"
        for _ in range(100):
            await wire.send(b"x" * 100_000)
        assert not wire.transport.is_paused
        await wire.advance(LINGER_SECONDS + 1)
        assert wire.is_lost

    run(test)


def test_over_tls_an_early_answer_ends_the_connection() -> None:
    """TLS has no half-closed connections."""

    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            assert scope["scheme"] == "https"
            await answer_with(send, b"no", 401)

        wire = Wire(app, is_tls=True)
        await wire.send(get("/", "content-length: 5", method="POST"))
        assert [answer.status for answer in wire.answers()] == [401]
        assert wire.is_lost

    run(test)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_garbage_is_refused_after_what_came_before_it_is_answered(count: int) -> None:
    async def test() -> None:
        app = Held()
        wire = Wire(app)
        await wire.send(b"".join(get(f"/{number}") for number in range(count)) + b"\0\0\0\r\n\r\n")
        for number in range(count):
            app.release(f"/{number}")
            await wire.settle()
        answers = wire.answers()
        assert [answer.status for answer in answers] == [200] * count + [400]
        check_refusal(answers[-1], 400)
        await wire.advance(LINGER_SECONDS + 1)
        assert wire.is_lost

    run(test)


def test_a_fault_in_the_body_that_is_being_read_ends_its_call() -> None:
    async def test() -> None:
        ended = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await read_whole(receive)
            finally:
                ended.append(1)

        wire = Wire(app)
        await wire.send(get("/", "transfer-encoding: chunked", method="POST") + b"1\r\nx\r\n", b"zz\r\n")
        [answer] = wire.answers()
        check_refusal(answer, 400)
        assert ended == [1]
        await wire.advance(LINGER_SECONDS + 1)
        assert wire.is_lost

    run(test)


def test_a_fault_after_the_answer_has_begun_ends_the_connection_without_a_second_answer() -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"abc", "more_body": True})
            await read_whole(receive)

        wire = Wire(app)
        await wire.send(get("/", "transfer-encoding: chunked", method="POST") + b"1\r\nx\r\n", b"zz\r\n")
        await wire.settle()
        assert wire.is_lost
        written = wire.take()
        assert written.count(b"HTTP/1.1") == 1
        assert not written.endswith(b"0\r\n\r\n"), "no clean end"

    run(test)


def test_a_defect_of_the_application_is_a_500_and_the_operators_to_see() -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise ValueError("a secret detail")

        wire = Wire(app)
        await wire.send(get())
        [answer] = wire.answers()
        error = check_refusal(answer, 500)
        assert error["code"] == "internal_error"
        assert "secret detail" not in error["message"]
        assert [type(each["exception"]) for each in wire.loop.failures] == [ValueError]
        await wire.advance(LINGER_SECONDS + 1)
        assert wire.is_lost

    run(test)


@pytest.mark.parametrize("is_started", [True, False])
def test_a_defect_after_the_start_is_no_clean_end(is_started: bool) -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            if is_started:
                await send({"type": "http.response.body", "body": b"abc", "more_body": True})
            raise ValueError

        wire = Wire(app)
        await wire.send(get())
        written = wire.take()
        if is_started:
            assert not written.endswith(b"0\r\n\r\n")
            assert wire.is_lost
        else:
            assert written.startswith(b"HTTP/1.1 500 ")
            wire.lose()

    run(test)


def test_an_application_that_forgets_to_answer_leaves_no_hanging_client() -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            return

        wire = Wire(app)
        await wire.send(get())
        assert wire.is_lost

    run(test)


# Hang-ups --------------------------------------------------------------------------------------------------------


def test_a_hang_up_cancels_an_application_that_asked_for_it() -> None:
    async def test() -> None:
        args: list[tuple[Any, ...]] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"][EXCHANGE].cancel_on_disconnect()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError as cancelled:
                args.append(cancelled.args)
                raise

        wire = Wire(app)
        await wire.send(get())
        wire.lose(ConnectionResetError())
        await wire.settle()
        assert args == [(CLIENT_GONE,)]
        assert not wire.server.tasks

    run(test)


def test_another_application_hears_of_a_hang_up_and_decides_itself() -> None:
    async def test() -> None:
        heard: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await read_whole(receive)
            heard.append((await receive())["type"])
            with pytest.raises(OSError, match="closed"):
                await answer_with(send, b"too late")

        wire = Wire(app)
        await wire.send(get())
        wire.lose()
        await wire.settle()
        assert heard == ["http.disconnect"]

    run(test)


def test_a_hang_up_forgets_what_was_pipelined() -> None:
    async def test() -> None:
        app = Held()
        wire = Wire(app)
        await wire.send(get("/a") + get("/b") + get("/c"))
        wire.lose()
        app.release("/a")
        await wire.settle()
        assert app.arrived == ["/a"]
        assert not wire.server.tasks

    run(test)


def test_a_client_that_closes_its_side_has_hung_up() -> None:
    async def test() -> None:
        wire = Wire(Held())
        assert wire.connection.eof_received() is False
        wire.lose()

    run(test)


# Writing ---------------------------------------------------------------------------------------------------------


def test_a_slow_reader_holds_the_application_back() -> None:
    async def test() -> None:
        sent: list[int] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for number in range(3):
                await send({"type": "http.response.body", "body": b"x", "more_body": number < 2})
                sent.append(number)

        async with closing(Wire(app)) as wire:
            wire.connection.pause_writing()
            await wire.send(get())
            assert sent == []
            wire.connection.resume_writing()
            await wire.settle()
            assert sent == [0, 1, 2]
            assert [answer.body for answer in wire.answers()] == [b"xxx"]

    run(test)


def test_a_slow_reader_that_leaves_frees_the_application() -> None:
    async def test() -> None:
        ended: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            try:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
            except OSError:
                ended.append("gone")
                raise

        wire = Wire(app)
        wire.connection.pause_writing()
        await wire.send(get())
        wire.lose()
        await wire.settle()
        assert ended == ["gone"]
        assert wire.loop.failures == [], "a client that leaves is no defect"

    run(test)


# Draining --------------------------------------------------------------------------------------------------------


def test_an_idle_connection_closes_when_the_server_goes_down() -> None:
    async def test() -> None:
        wire = Wire(echo)
        await wire.send(get())
        wire.connection.shutdown()
        await wire.settle()
        assert wire.is_lost

    run(test)


def test_a_busy_connection_closes_after_its_answer_when_the_server_goes_down() -> None:
    async def test() -> None:
        app = Held()
        wire = Wire(app)
        await wire.send(get("/a"))
        wire.connection.shutdown()
        await wire.settle()
        assert not wire.is_lost
        app.release("/a")
        await wire.settle()
        [answer] = wire.answers()
        assert (answer.body, answer.headers["connection"]) == (b"/a", "close")
        assert wire.is_lost

    run(test)


def test_a_stream_that_has_begun_is_finished_when_the_server_goes_down() -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            await go_on.wait()
            await send({"type": "http.response.body", "body": b"b"})

        wire = Wire(app)
        await wire.send(get())
        wire.connection.shutdown()
        go_on.set()
        await wire.settle()
        [answer] = wire.answers()
        assert answer.body == b"ab"
        assert wire.is_lost

    run(test)


def test_a_connection_that_comes_too_late_is_closed() -> None:
    async def test() -> None:
        first = Wire(echo)
        first.connection.shutdown()
        late = Wire(echo, server=first.server)
        await late.settle()
        assert late.is_lost
        assert not first.server.connections

    run(test)


# What an application sees ----------------------------------------------------------------------------------------


def scope_of(data: bytes, **how: Any) -> dict[str, Any]:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await answer_with(send, b"")

    async def test() -> None:
        async with closing(Wire(app, **how)) as wire:
            await wire.send(data)

    run(test)
    [scope] = seen
    return dict(scope)


def test_a_scope_says_what_asgi_says_it_does() -> None:
    scope = scope_of(b"GET /a%20b/%C3%A9?x=%20&y HTTP/1.1\r\nHost: Example\r\nX-Two: 1\r\nx-two: 2\r\n\r\n")
    assert scope["type"] == "http"
    assert scope["http_version"] == "1.1"
    assert scope["method"] == "GET"
    assert scope["path"] == "/a b/é"
    assert scope["raw_path"] == b"/a%20b/%C3%A9"
    assert scope["query_string"] == b"x=%20&y"
    assert scope["scheme"] == "http"
    assert scope["client"] == ("192.0.2.1", 5000)
    assert scope["server"] == ("127.0.0.1", 4141)
    assert scope["headers"] == [(b"host", b"Example"), (b"x-two", b"1"), (b"x-two", b"2")]


@pytest.mark.parametrize(
    ("target", "path"),
    [("/", "/"), ("http://x", "/"), ("http://x/y?z", "/y"), ("*", "*"), ("//a//b", "//a//b"), ("/a/../b", "/a/../b"), ("/%2e%2e", "/.."), ("/%", "/%")],
)  # fmt: skip
def test_a_path_is_decoded_once_and_not_normalised(target: str, path: str) -> None:
    assert scope_of(get(target))["path"] == path


@pytest.mark.parametrize(
    ("peer", "client"), [(("::1", 5, 0, 0), ("::1", 5)), ("/run/socket", None), (None, None), ("", None)]
)
def test_a_peer_of_any_kind_is_a_client(peer: Any, client: Any) -> None:
    assert scope_of(get(), peer=peer)["client"] == client


def test_many_targets_are_not_kept_for_ever() -> None:
    async def test() -> None:
        async with closing(Wire(echo)) as wire:
            for number in range(2000):
                assert wire.server.parse_target(b"/%d" % number) == (f"/{number}", b"/%d" % number, b"")
            assert len(wire.server._targets) <= 256

    run(test)


def test_the_date_is_kept_current() -> None:
    async def test() -> None:
        server = HttpServer(echo, asyncio.get_running_loop())
        assert server.date_line.startswith(b"date: ")
        server.date_line = b""
        server.tick()
        assert server.date_line.endswith(b" GMT\r\n")

    run(test)


def test_a_refusal_is_json_that_a_client_can_read() -> None:
    async def test() -> None:
        wire = Wire(echo)
        await wire.send(b"BREW /pot HTTP/1.1\r\n\r\n")
        [answer] = wire.answers()
        assert "date" in answer.headers
        json.loads(answer.body)
        wire.lose()

    run(test)
