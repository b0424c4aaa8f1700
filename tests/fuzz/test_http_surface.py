"""
Whatever a client writes to the port, it gets an answer that it can read, and the gateway goes on.

Every probe is bytes over a socket to a real gateway. The rules: no 5xx, no hang, no half answer, nothing of our insides,
each refusal as JSON in the OpenAI envelope with a request id; and after each probe a good call is answered
(`conftest._unharmed`). What only the passing of time brings about is in `tests/api/test_http_protocol.py`.
"""

import json
import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copilot_api.protocols import embeddings
from copilot_api.protocols.chat import wire
from tests.fuzz.conftest import GOOD_BODY
from tests.fuzz.raw import Raw, check_refusal, request
from tests.harness import GatewayProcess

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
MESSAGES = [{"role": "user", "content": "hello"}]
GOOD_EMBEDDINGS = b'{"model":"text-embedding-3-small","input":"hello"}'
HEAD_END = b"\r\n\r\n"


@pytest.fixture
def raw(gateway: GatewayProcess) -> Iterator[Raw]:
    """A connection of one's own."""
    with Raw(gateway.url) as connection:
        yield connection


def chunked(body: bytes, size: int = 16) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def chat_head(key: str, *headers: tuple[str, str], method: str = "POST") -> bytes:
    """The head of a chat request whose body follows by other means."""
    return request(method, CHAT, None, key=key, headers=headers)


# Bodies that are not JSON ----------------------------------------------------------------------------------------


def with_extra(extra: str) -> bytes:
    """A good chat request with more at its end."""
    return (json.dumps({"model": "gpt-4.1", "messages": MESSAGES})[:-1] + f",{extra}}}").encode()


def with_text(text: bytes) -> bytes:
    return b'{"model":"gpt-4.1","messages":[{"role":"user","content":"' + text + b'"}]}'


def padded(body: bytes) -> bytes:
    """The same body, too big for the checks that only small bodies get."""
    return body[:-1] + b',"user":"' + b"x" * 8192 + b'"}'


DEEP = 100_000
BAD_JSON = {
    "empty": b"",
    "white space": b" \r\n\t ",
    "null": b"null",
    "number": b"17",
    "string": b'"hello"',
    "array": b"[]",
    "true": b"true",
    "only a brace": b"{",
    "only a closing brace": b"}",
    "two objects": GOOD_BODY + GOOD_BODY,
    "text after it": GOOD_BODY + b" x",
    "comment": b"/* x */" + GOOD_BODY,
    "comma at the end": GOOD_BODY[:-1] + b",}",
    "single quotes": GOOD_BODY.replace(b'"', b"'"),
    "key without quotes": b"{model:1}",
    "NaN": with_extra('"temperature":NaN'),
    "NaN in a field nobody knows": with_extra('"x":NaN'),
    "Infinity": with_extra('"temperature":Infinity'),
    "-Infinity": with_extra('"x":[-Infinity]'),
    "leading zero": with_extra('"seed":01'),
    "plus sign": with_extra('"seed":+1'),
    "bare fraction": with_extra('"seed":.5'),
    "open fraction": with_extra('"seed":1.'),
    "hexadecimal": with_extra('"seed":0x10'),
    "a field twice": with_extra('"model":"gpt-4o"'),
    "a field twice, by an escape": with_extra('"mod\\u0065l":"gpt-4o"'),
    "a field twice, in a big body": padded(with_extra('"model":"gpt-4o"')),
    "a field twice, by an escape in a big body": padded(with_extra('"mod\\u0065l":"gpt-4o"')),
    "an unknown field twice": with_extra('"x":1,"x":2'),
    "the empty field twice": with_extra('"":1,"":2'),
    "a nested field twice": b'{"model":"gpt-4.1","messages":[{"role":"user","content":"x","content":"y"}]}',
    "a deeply nested field twice": with_extra('"metadata":{"a":[{"b":{"c":1,"c":1}}]}'),
    "deep arrays": b"[" * DEEP,
    "deep closed arrays": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep arrays in an unknown field": with_extra('"x":' + "[" * DEEP + "]" * DEEP),
    "deep objects in a known field": with_extra('"metadata":' + '{"a":' * DEEP + "1" + "}" * DEEP),
    "deep parts": b'{"model":"gpt-4.1","messages":[{"role":"user","content":' + b"[" * DEEP + b"]" * DEEP + b"}]}",
    "lone high surrogate": with_text(rb"\ud83d"),
    "lone low surrogate": with_text(rb"\ude00"),
    "surrogates the wrong way round": with_text(rb"\ude00\ud83d"),
    "lone surrogate in a key": with_extra(r'"\ud800":1'),
    "lone surrogate in a nested key, twice": with_extra(r'"x":{"\ud800":1,"\ud800":1}'),
    "lone surrogate in the model": GOOD_BODY.replace(b"gpt-4.1", rb"\udfff"),
    "half an escape": with_text(rb"\u12"),
    "unknown escape": with_text(rb"\x41"),
    "invalid UTF-8": with_text(b"\xff\xfe"),
    "invalid UTF-8 in an unknown field": GOOD_BODY[:-1] + b',"x":"\xc3\x28"}',
    "invalid UTF-8 in a key": GOOD_BODY[:-1] + b',"\xff":1}',
    "overlong UTF-8": with_text(b"\xc0\xaf"),
    "encoded surrogate": with_text(b"\xed\xa0\x80"),
    "cut UTF-8": with_text(b"\xf0\x9f\x98"),
    "beyond Unicode": with_text(b"\xf5\x80\x80\x80"),
    "Latin-1": with_text("é".encode("latin-1")),
    "BOM": b"\xef\xbb\xbf" + GOOD_BODY,
    "UTF-16": GOOD_BODY.decode().encode("utf-16"),
    "UTF-32": GOOD_BODY.decode().encode("utf-32-le"),
    "NUL before it": b"\0" + GOOD_BODY,
    "NUL after it": GOOD_BODY + b"\0",
    "NUL in a text": with_text(b"a\0b"),
    "line end in a text": with_text(b"a\nb"),
    "number without end": b'{"model":' + b"9" * 100_000,
    "number beyond double": with_extra('"temperature":1e999'),
    "integer beyond 64 bits": with_extra('"n":1' + "0" * 5000),
    "form": b"model=gpt-4.1&messages=hello",
    "multipart": b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-4.1\r\n--x--\r\n',
    "XML": b"<?xml version='1.0'?><model/>",
    "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07gpt-4.1\x94.",
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON.keys())
@pytest.mark.parametrize("target", [CHAT, EMBEDDINGS])
def test_a_body_that_is_not_a_json_object_is_refused(raw: Raw, client_key: str, target: str, body: bytes) -> None:
    raw.send(request("POST", target, body, key=client_key))
    error = check_refusal(raw.read(), 400)
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) < 1000
    raw.send(request())
    again = raw.read()
    assert again is not None, "a bad body is no reason to close the connection"
    assert again.status == 200


def test_a_body_cut_anywhere_is_refused(raw: Raw, client_key: str) -> None:
    for end in range(len(GOOD_BODY)):
        raw.send(request("POST", CHAT, GOOD_BODY[:end], key=client_key))
        check_refusal(raw.read(), 400)


def test_bad_json_says_where(raw: Raw, client_key: str) -> None:
    raw.send(request("POST", CHAT, b'{"model": "gpt-4.1",\n "messages": [}', key=client_key))
    assert "line 2 column 15" in check_refusal(raw.read(), 400)["message"]


ODD_JSON = {
    "escaped NUL": with_text(rb"a\u0000b"),
    "a real pair of surrogates": with_text(rb"\ud83d\ude00"),
    "U+2028": with_text("a\u2028b\u0085c".encode()),
    "white space around it": b" \r\n\t" + GOOD_BODY + b"\n ",
    "white space in it": json.dumps({"model": "gpt-4.1", "messages": MESSAGES}, indent=8).encode(),
    "escaped key": GOOD_BODY.replace(b"model", rb"mod\u0065l"),
    "escaped model": GOOD_BODY.replace(b"gpt-4.1", rb"gpt\u002d4.1"),
    "an unknown field": with_extra('"x":{"y":[1,null,true,{"z":1e400}]}'),
    "a field called __proto__": with_extra('"__proto__":{"constructor":1},"toString":2'),
    "a long text": with_text(b"x" * 1_000_000),
    "a text of escapes": with_text(rb"\u00e9" * 50_000),
    "many fields": with_extra(",".join(f'"f{n}":{n}' for n in range(5000))),
    "many messages": json.dumps({"model": "gpt-4.1", "messages": MESSAGES * 5000}).encode(),
    "100 tools": with_extra(
        '"tools":['
        + ",".join(
            f'{{"type":"function","function":{{"name":"t{n}","parameters":{{"type":"object"}}}}}}' for n in range(100)
        )
        + "]"
    ),
    "everything null": with_extra(
        ",".join(f'"{name}":null' for name in wire.Request.__struct_fields__ if name not in {"model", "messages"})
    ),
}


@pytest.mark.parametrize("body", ODD_JSON.values(), ids=ODD_JSON.keys())
def test_an_odd_but_good_body_is_answered(raw: Raw, client_key: str, body: bytes) -> None:
    raw.send(request("POST", CHAT, body, key=client_key))
    answer = raw.read()
    assert answer is not None
    assert answer.status in {200, 400}, answer.body
    if answer.status == 400:  # the simulator may refuse what the model would; it must not be the gateway
        assert b"is wrong" not in answer.body
        assert b"not valid JSON" not in answer.body
    else:
        assert answer.json["model"] == "gpt-4.1"


def test_a_model_name_of_a_megabyte_is_not_echoed(raw: Raw, client_key: str) -> None:
    raw.send(request("POST", CHAT, GOOD_BODY.replace(b"gpt-4.1", b"m" * 1_000_000), key=client_key))
    answer = raw.read()
    check_refusal(answer, 404)
    assert answer is not None
    assert len(answer.body) < 2000


@pytest.mark.parametrize("target", [CHAT, EMBEDDINGS])
def test_a_field_name_of_a_megabyte_is_not_echoed(raw: Raw, client_key: str, target: str) -> None:
    name = b'"' + b"k" * 1_000_000 + b'":1'
    raw.send(request("POST", target, b"{" + name + b"," + name + b"}", key=client_key))
    answer = raw.read()
    check_refusal(answer, 400)
    assert answer is not None
    assert len(answer.body) < 2000


# Fields of the wrong type ----------------------------------------------------------------------------------------

VALUES = {
    "null": ["null"],
    "boolean": ["true", "false"],
    "integer": ["1", "-1", "0", "18446744073709551616"],
    "number": ["0.5", "1e300"],
    "string": ['"x"', '""', '"null"', '"1"'],
    "array": ["[]", "[null]", "[1]", '["x"]', "[[]]", "[{}]", "[true]"],
    "object": ["{}", '{"x":null}', '{"type":1}'],
}
CHAT_KINDS = {
    "model": {"string"},
    "messages": {"array"},
    "stream": {"null", "boolean"},
    "stream_options": {"null", "object"},
    "n": {"null", "integer"},
    "max_tokens": {"null", "integer"},
    "max_completion_tokens": {"null", "integer"},
    "temperature": {"null", "integer", "number"},
    "top_p": {"null", "integer", "number"},
    "presence_penalty": {"null", "integer", "number"},
    "frequency_penalty": {"null", "integer", "number"},
    "seed": {"null", "integer"},
    "stop": {"null", "string", "array"},
    "tools": {"null", "array"},
    "tool_choice": {"null", "string", "object"},
    "parallel_tool_calls": {"null", "boolean"},
    "response_format": {"null", "object"},
    "reasoning_effort": {"null", "string"},
    "user": {"null", "string"},
    "logprobs": {"null", "boolean"},
    "top_logprobs": {"null", "integer"},
    "logit_bias": {"null", "object"},
    "metadata": {"null", "object"},
}
EMBEDDINGS_KINDS = {
    "model": {"string"},
    "input": {"string", "array"},
    "encoding_format": {"null", "string"},
    "dimensions": {"null", "integer"},
    "user": {"null", "string"},
}


def test_the_tables_of_types_know_every_field_that_is_read() -> None:
    assert CHAT_KINDS.keys() == set(wire.Request.__struct_fields__)
    assert EMBEDDINGS_KINDS.keys() == set(embeddings._Request.__struct_fields__)


@pytest.mark.parametrize(
    ("target", "field", "kinds"),
    [(CHAT, field, kinds) for field, kinds in CHAT_KINDS.items()]
    + [(EMBEDDINGS, field, kinds) for field, kinds in EMBEDDINGS_KINDS.items()],
)
def test_a_field_of_the_wrong_type_is_refused_by_its_name(
    raw: Raw, client_key: str, target: str, field: str, kinds: set[str]
) -> None:
    good = json.loads(GOOD_BODY if target == CHAT else GOOD_EMBEDDINGS)
    good.pop(field, None)
    rest = json.dumps(good)[:-1]
    for kind, values in VALUES.items():
        for value in values:
            body = f'{rest},"{field}":{value}}}'.encode()
            raw.send(request("POST", target, body, key=client_key))
            answer = raw.read()
            assert answer is not None, body
            if kind not in kinds:
                error = check_refusal(answer, 400)
                assert error["param"] is not None, (body, error)
                assert error["param"].split("[")[0].split(".")[0] == field, (body, error)
                assert field in error["message"]
            elif answer.status != 200:
                check_refusal(answer, 400, 404)


@pytest.mark.parametrize("field", ["model", "messages"])
def test_a_required_field_of_chat_is_missed_by_its_name(raw: Raw, client_key: str, field: str) -> None:
    body = json.loads(GOOD_BODY)
    del body[field]
    raw.send(request("POST", CHAT, json.dumps(body).encode(), key=client_key))
    assert check_refusal(raw.read(), 400)["param"] == field


BAD_MESSAGES = [
    "[null]", "[1]", '["x"]', "[[]]", "[{}]", '[{"role":null}]', '[{"role":1}]', '[{"role":""}]', '[{"role":[]}]',
    '[{"role":"user","content":1}]', '[{"role":"user","content":true}]', '[{"role":"user","content":{}}]',
    '[{"role":"user","content":[1]}]', '[{"role":"user","content":["x"]}]', '[{"role":"user","content":[null]}]',
    '[{"role":"user","content":[[]]}]', '[{"role":"user","content":[{"type":1}]}]',
    '[{"role":"user","content":"x","tool_calls":1}]', '[{"role":"user","content":"x","tool_calls":{}}]',
    '[{"role":"assistant","tool_calls":"x"}]', '[{"role":"user","content":"x"},null]',
]  # fmt: skip


@pytest.mark.parametrize("messages", BAD_MESSAGES)
def test_a_message_of_the_wrong_shape_is_refused_with_its_place(raw: Raw, client_key: str, messages: str) -> None:
    raw.send(request("POST", CHAT, f'{{"model":"gpt-4.1","messages":{messages}}}'.encode(), key=client_key))
    error = check_refusal(raw.read(), 400)
    assert error["param"] is not None
    assert error["param"].startswith("messages[")


BAD_INPUTS = ["[1]", "[[1]]", '["x",1]', "[[]]", "[null]", "[true]", "[1.5]", "[{}]", "[]", '["x",["y"]]', "[[[1]]]"]


@pytest.mark.parametrize("value", BAD_INPUTS)
def test_an_input_that_is_no_text_is_refused(raw: Raw, client_key: str, value: str) -> None:
    raw.send(
        request("POST", EMBEDDINGS, f'{{"model":"text-embedding-3-small","input":{value}}}'.encode(), key=client_key)
    )
    error = check_refusal(raw.read(), 400)
    assert (error["param"] or "").startswith("input")


# Heads -----------------------------------------------------------------------------------------------------------

HUGE_HEADS = {
    "one header of 1 MiB": request(headers=[("x-huge", "x" * 1024 * 1024)]),
    "a header name of 1 MiB": request(headers=[("x" * 1024 * 1024, "1")]),
    "10000 small headers": request(headers=[(f"x-{n}", "1") for n in range(10_000)]),
    "201 headers": request(headers=[("x", "")] * 201),
    "a header that never ends": b"GET /healthz HTTP/1.1\r\nx-endless: " + b"x" * 2_000_000,
    "a header name that never ends": b"GET /healthz HTTP/1.1\r\n" + b"x" * 2_000_000,
    "headers that never end": b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 100_000,
    "a key of 1 MiB": request(key="sk-cap-" + "a" * 1024 * 1024),
    "a cookie of 100 KiB": request(headers=[("cookie", "a=b; " * 20_000)]),
    "a URL of 1 MiB": request("GET", "/" + "a" * 1024 * 1024),
    "a query of 1 MiB": request("GET", "/healthz?" + "a" * 1024 * 1024),
    "a URL that never ends": b"GET /" + b"a" * 2_000_000,
}


@pytest.mark.parametrize("data", HUGE_HEADS.values(), ids=HUGE_HEADS.keys())
def test_a_head_over_the_bounds_is_refused_while_it_arrives(raw: Raw, data: bytes) -> None:
    raw.send(data)
    error = check_refusal(raw.read(), 431)
    assert error["code"] == "headers_too_large"
    assert raw.is_closed()


def test_a_pipelined_head_over_the_bounds_is_refused(raw: Raw) -> None:
    raw.send(request() + request(headers=[("x-huge", "x" * 100_000)]))
    answers = raw.read_all()
    assert [answer.status for answer in answers] == [200, 431]
    check_refusal(answers[-1], 431)


def test_a_head_within_the_bounds_is_taken(raw: Raw) -> None:
    raw.send(request(headers=[(f"x-{n}", "y" * 280) for n in range(190)]))
    answer = raw.read()
    assert answer is not None
    assert answer.status == 200


BAD_HEADS = {
    "TLS hello": bytes.fromhex("1603010200010001fc0303") + bytes(range(256)),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\4\0\0\0\0\0",
    "zeros": b"\0" * 1000,
    "ff": b"\xff" * 1000,
    "SSH": b"SSH-2.0-OpenSSH_9.9\r\n",
    "SMTP": b"EHLO example.com\r\n",
    "redis": b"*1\r\n$4\r\nPING\r\n",
    "SOCKS": b"\5\1\0" + b"\5\1\0\1\x7f\0\0\1\0\x50",
    "proxy protocol": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n",
    "no method": b" / HTTP/1.1\r\n\r\n",
    "unknown method": request("BREW"),
    "lower-case method": request("get"),
    "method with a control character": b"G\x01T / HTTP/1.1\r\n\r\n",
    "method of 1 MiB": b"A" * 1024 * 1024,
    "no version": b"GET /healthz HTTP\r\n\r\n",
    "version 3.7": request(version="HTTP/3.7"),
    "version 11": request(version="HTTP/11"),
    "no slash": request(version="HTTP 1.1"),
    "lower-case version": request(version="http/1.1"),
    "space in the URL": request("GET", "/health z"),
    "tab in the URL": request("GET", "/health\tz"),
    "NUL in the URL": request("GET", "/health\0z"),
    "control character in the URL": request("GET", "/health\x1bz"),
    "raw UTF-8 in the URL": "GET /é HTTP/1.1\r\n\r\n".encode(),
    "no URL": b"GET HTTP/1.1\r\n\r\n",
    "relative URL": request("GET", "healthz"),
    "authority as URL": request("GET", "gateway:80"),
    "CONNECT": request("CONNECT", "example.com:443"),
    "absolute URL without a host": request("GET", "http:///healthz"),
    "absolute URL with a bad port": request("GET", "http://x:99999999/healthz"),
    "bare LF": b"GET /healthz HTTP/1.1\nhost: x\n\n",
    "bare CR": b"GET /healthz HTTP/1.1\rhost: x\r\r",
    "bare LF after a header": b"GET /healthz HTTP/1.1\r\nhost: x\nx: y\r\n\r\n",
    "space before a colon": b"GET /healthz HTTP/1.1\r\nhost : x\r\n\r\n",
    "no colon": b"GET /healthz HTTP/1.1\r\nhost\r\n\r\n",
    "no header name": b"GET /healthz HTTP/1.1\r\n: x\r\n\r\n",
    "folded header": b"GET /healthz HTTP/1.1\r\nx: a\r\n b\r\n\r\n",
    "header that begins with a space": b"GET /healthz HTTP/1.1\r\n x: a\r\n\r\n",
    "NUL in a header": b"GET /healthz HTTP/1.1\r\nx: a\0b\r\n\r\n",
    "CR in a header": b"GET /healthz HTTP/1.1\r\nx: a\rb\r\n\r\n",
    "control character in a header name": b"GET /healthz HTTP/1.1\r\nx\x01y: a\r\n\r\n",
    "raw UTF-8 in a header name": "GET /healthz HTTP/1.1\r\né: a\r\n\r\n".encode(),
}  # fmt: skip


@pytest.mark.parametrize("data", BAD_HEADS.values(), ids=BAD_HEADS.keys())
def test_what_is_not_http_is_refused(raw: Raw, data: bytes) -> None:
    raw.send(data)
    check_refusal(raw.read(), 400, 431)
    assert raw.is_closed()


BAD_FRAMING = {
    "negative length": [("content-length", "-1")],
    "length with a sign": [("content-length", "+5")],
    "length that is none": [("content-length", "five")],
    "length in hexadecimal": [("content-length", "0x5")],
    "length with a fraction": [("content-length", "5.0")],
    "length with an exponent": [("content-length", "5e0")],
    "list of lengths": [("content-length", "5, 5")],
    "empty length": [("content-length", "")],
    "length beyond 64 bits": [("content-length", "9" * 30)],
    "two lengths": [("content-length", "5"), ("content-length", "6")],
    "the same length twice": [("content-length", "5"), ("content-length", "5")],
    "length and chunks": [("content-length", "5"), ("transfer-encoding", "chunked")],
    "chunks and length": [("transfer-encoding", "chunked"), ("content-length", "5")],
    "unknown coding": [("transfer-encoding", "xchunked")],
    "identity": [("transfer-encoding", "identity")],
    "coding with a quote": [("transfer-encoding", '"chunked"')],
    "chunked, then another coding": [("transfer-encoding", "chunked, identity")],
    "chunked twice": [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
    "chunked, then identity": [("transfer-encoding", "chunked"), ("transfer-encoding", "identity")],
    "vertical tab": [("transfer-encoding", "\x0bchunked")],
    "chunked with NUL": [("transfer-encoding", "chunked\0")],
    "space before the colon": [("transfer-encoding ", "chunked")],
    "gzip only": [("transfer-encoding", "gzip")],
}


@pytest.mark.parametrize("headers", BAD_FRAMING.values(), ids=BAD_FRAMING.keys())
def test_a_body_whose_end_is_in_doubt_is_refused(raw: Raw, client_key: str, headers: list[tuple[str, str]]) -> None:
    """Two readers that disagree about where a request ends are how requests are smuggled."""
    smuggled = request("GET", "/v1/models", key=client_key)
    raw.send(chat_head(client_key, *headers) + b"0\r\n\r\n" + smuggled)
    answers = raw.read_all()
    assert len(answers) == 1, "what followed was taken for a request"
    check_refusal(answers[0], 400)


def test_chunks_from_http_1_0_are_the_last_thing_on_their_connection(raw: Raw, client_key: str) -> None:
    """An HTTP/1.0 hop between would not have known where they end (RFC 9112, 6.1): what follows may be smuggled."""
    head = request(
        "POST", CHAT, None, key=client_key, version="HTTP/1.0",
        headers=[("connection", "keep-alive"), ("transfer-encoding", "chunked")],
    )  # fmt: skip
    raw.send(head + chunked(GOOD_BODY) + request("GET", "/v1/models", key=client_key))
    assert len(raw.read_all()) == 1


BAD_CHUNKS = {
    "no size": b"\r\n\r\n",
    "size that is none": b"xyz\r\nabc\r\n0\r\n\r\n",
    "negative size": b"-5\r\nabcde\r\n0\r\n\r\n",
    "size with 0x": b"0x5\r\nabcde\r\n0\r\n\r\n",
    "size with a space before it": b" 5\r\nabcde\r\n0\r\n\r\n",
    "size beyond 64 bits": b"f" * 17 + b"\r\nabc\r\n",
    "more than the size": b"3\r\nabcdef\r\n0\r\n\r\n",
    "bare LF after the size": b"5\nabcde\r\n0\r\n\r\n",
    "bare LF after the chunk": b"5\r\nabcde\n0\r\n\r\n",
    "bare CR": b"5\rabcde\r\n0\r\n\r\n",
    "NUL in an extension": b"5;a\0=b\r\nabcde\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_a_chunk_of_the_wrong_size_is_refused(raw: Raw, client_key: str, body: bytes) -> None:
    raw.send(chat_head(client_key, ("transfer-encoding", "chunked")) + body)
    answers = raw.read_all()
    assert len(answers) == 1
    check_refusal(answers[0], 400)


@pytest.mark.parametrize(
    "body",
    [
        chunked(GOOD_BODY, 1),
        chunked(GOOD_BODY, 1000),
        b"%x;name=value\r\n%b\r\n0;last\r\n\r\n" % (len(GOOD_BODY), GOOD_BODY),
        b"%x;n=\"quoted ; text\"\r\n%b\r\n0\r\n\r\n" % (len(GOOD_BODY), GOOD_BODY),
        b"%08X\r\n%b\r\n000\r\n\r\n" % (len(GOOD_BODY), GOOD_BODY),
        chunked(GOOD_BODY)[:-2] + b"x-trailer: a\r\nx-more: b\r\n\r\n",
    ],
    ids=["bytes", "one", "extension", "quoted extension", "zeros", "trailers"],
)  # fmt: skip
@pytest.mark.parametrize("is_split", [False, True], ids=["at once", "in pieces"])
def test_a_chunked_body_is_read(raw: Raw, client_key: str, body: bytes, is_split: bool) -> None:
    data = chat_head(client_key, ("Transfer-Encoding", "Chunked")) + body
    if is_split:
        raw.send_slowly(data, 29)
    else:
        raw.send(data)
    answer = raw.read()
    assert answer is not None
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_a_trailer_cannot_authenticate(raw: Raw, client_key: str, name: str) -> None:
    """A trailer is no header: an upstream filter that looks at headers would not have seen it."""
    trailer = f"{name}: {'Bearer ' if name == 'authorization' else ''}{client_key}\r\n\r\n".encode()
    raw.send(
        request("POST", CHAT, None, headers=[("transfer-encoding", "chunked")]) + chunked(GOOD_BODY)[:-2] + trailer
    )
    check_refusal(raw.read(), 401)


# URLs and methods ------------------------------------------------------------------------------------------------

ODD_TARGETS = [
    "/%", "/%zz", "/%00", "/%c0%af", "/%ff", "/%2e%2e/%2e%2e/etc/passwd", "/../../etc/passwd", "/v1/../v1/models",
    "/v1/./models", "//v1//models", "/v1/models/../../token", "/V1/MODELS", "/v1/models;a=b",
    "/v1/chat/completions/../embeddings", "/v2/chat/completions", "/chat", "/administrator", "/admin.php", "/.env", "/.git/config",
    "/favicon.ico", "/robots.txt", "/metricz", "/_sim/stats", "/debug", "/server-status", "/cgi-bin/test.cgi",
    "/" + "a/" * 2000, "/" + "%41" * 5000, "/?" + "&".join(f"a{n}=b" for n in range(2000)), "/healthz%0d%0ax-evil:%201",
    "/%0d%0aset-cookie:%20a=b", "/{{7*7}}", "/${jndi:ldap://x}", "/<script>alert(1)</script>", "/'%20or%201=1--", "*",
    "http://other.example/nowhere", "https://gateway/../x", "//evil.example/x", "/\\..\\..\\windows", "/v1/models/%2e%2e%2ftoken",
]  # fmt: skip


@pytest.mark.parametrize("target", ODD_TARGETS, ids=[target[:40] for target in ODD_TARGETS])
def test_an_odd_url_is_not_found(raw: Raw, client_key: str, target: str) -> None:
    raw.send(request("GET", target, key=client_key))
    answer = raw.read()
    assert answer is not None
    if target.startswith("/?"):
        assert answer.status == 200
        return
    check_refusal(answer, 404, 400)
    assert "set-cookie" not in answer.headers
    assert "x-evil" not in answer.headers
    assert len(answer.body) < 1500


@pytest.mark.parametrize(
    "target",
    [
        "http://gateway/healthz",
        "http://other.example:1/healthz?x",
        "HTTP://X/healthz",
        "/healthz?a=%ff&b",
        "/healthz#x",
    ],
)
def test_an_absolute_url_leads_to_its_path(raw: Raw, target: str) -> None:
    raw.send(request("GET", target))
    answer = raw.read()
    assert answer is not None
    assert answer.status == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "PURGE", "HEAD", "GET"])
def test_another_method_is_refused_with_those_that_are_allowed(raw: Raw, client_key: str, method: str) -> None:
    raw.send(request(method, CHAT, key=client_key))
    answer = raw.read(method=method)
    assert answer is not None
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    if method != "HEAD":
        check_refusal(answer, 405)


@pytest.mark.parametrize("target", ["/", "/healthz", "/readyz", "/v1/models", "/v1/models/gpt-4.1", "/nothing", CHAT])
def test_head_is_get_without_a_body(raw: Raw, client_key: str, target: str) -> None:
    raw.send(request("GET", target, key=client_key) + request("HEAD", target, key=client_key) + request())
    get, head, after = raw.read(), raw.read(method="HEAD"), raw.read()
    assert get is not None
    assert head is not None
    assert get.status == head.status
    assert get.headers.keys() - {"content-length"} == head.headers.keys() - {"content-length"}
    assert after is not None, "the connection goes on after a HEAD"
    assert after.json == {"status": "ok"}


# Versions, connections, pipelines --------------------------------------------------------------------------------


def test_http_1_0_closes_after_its_answer(raw: Raw) -> None:
    raw.send(b"GET /healthz HTTP/1.0\r\n\r\n")
    answers = raw.read_all()
    assert [(answer.status, answer.json, answer.is_last) for answer in answers] == [(200, {"status": "ok"}, True)]


def test_http_1_0_is_kept_on_request(raw: Raw) -> None:
    for _ in range(3):
        raw.send(b"GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        answer = raw.read()
        assert answer is not None
        assert answer.headers["connection"].lower() == "keep-alive"
        assert "content-length" in answer.headers


def test_a_stream_to_http_1_0_ends_with_the_connection(raw: Raw, client_key: str) -> None:
    body = GOOD_BODY[:-1] + b',"stream":true}'
    raw.send(request("POST", CHAT, body, key=client_key, version="HTTP/1.0", headers=[("connection", "keep-alive")]))
    answer = raw.read()
    assert answer is not None
    assert "transfer-encoding" not in answer.headers
    assert answer.is_last
    assert answer.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("data", [b"GET /healthz\r\n\r\n", request(version="HTTP/0.9"), request(version="HTTP/2.0")])
def test_another_version_is_answered_or_refused_and_closed(raw: Raw, data: bytes) -> None:
    raw.send(data)
    answers = raw.read_all()
    assert [answer.is_last for answer in answers] == [True]
    assert answers[0].status in {200, 400, 505}


def test_close_is_obeyed(raw: Raw) -> None:
    raw.send(request(headers=[("connection", "close")]) + request())
    assert [answer.status for answer in raw.read_all()] == [200]


def test_pipelined_requests_are_answered_in_order(raw: Raw, client_key: str) -> None:
    """Slow and fast ones, whole and streamed, in one write."""
    chat = request("POST", CHAT, GOOD_BODY, key=client_key)
    stream = request("POST", CHAT, GOOD_BODY[:-1] + b',"stream":true}', key=client_key)
    lost = request("GET", "/nothing")
    raw.send(request() + chat + lost + stream + request("HEAD", "/") + chat + request())
    kinds = []
    for method in ("GET", "POST", "GET", "POST", "HEAD", "POST", "GET"):
        answer = raw.read(method=method)
        assert answer is not None
        kinds.append((answer.status, answer.headers["content-type"].partition(";")[0]))
    json_200 = (200, "application/json")
    assert kinds == [json_200, json_200, (404, "application/json"), (200, "text/event-stream"), *[json_200] * 3]


def test_a_thousand_pipelined_requests_are_all_answered(raw: Raw) -> None:
    raw.send(request() * 1000)
    for _ in range(1000):
        answer = raw.read()
        assert answer is not None
        assert answer.status == 200


def test_pipelined_requests_in_pieces_are_all_answered(raw: Raw, client_key: str) -> None:
    one = request("POST", CHAT, GOOD_BODY, key=client_key)
    raw.send_slowly((one + request()) * 5, 37)
    for _ in range(10):
        answer = raw.read()
        assert answer is not None
        assert answer.status == 200


@pytest.mark.parametrize("first", ["fast", "slow"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("sent", [0, 1, 10])
def test_a_pipelined_request_may_send_its_body_late(
    raw: Raw, client_key: str, first: str, framing: str, sent: int
) -> None:
    """Its head (and perhaps a little of its body) comes with the request before it, the rest when that is answered."""
    before = request() if first == "fast" else request("POST", CHAT, GOOD_BODY, key=client_key)
    header = ("content-length", str(len(GOOD_BODY))) if framing == "length" else ("transfer-encoding", "chunked")
    body = GOOD_BODY if framing == "length" else chunked(GOOD_BODY)
    raw.send(before + chat_head(client_key, header) + body[:sent])
    answer = raw.read()
    assert answer is not None
    raw.send(body[sent:])
    second = raw.read()
    assert second is not None
    assert second.status == 200


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "fault",
    [b"\0garbage", b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"],
    ids=["garbage", "version", "length"],
)
def test_what_came_before_a_fault_is_answered_and_then_the_fault(
    raw: Raw, client_key: str, count: int, fault: bytes
) -> None:
    chat = request("POST", CHAT, GOOD_BODY, key=client_key)
    raw.send(chat * count + fault)
    answers = raw.read_all()
    assert [answer.status for answer in answers] == [200] * count + [400]
    check_refusal(answers[-1], 400)


def test_a_pipelined_request_with_a_bad_body_is_refused_in_its_turn(raw: Raw, client_key: str) -> None:
    bad = chat_head(client_key, ("transfer-encoding", "chunked")) + b"3\r\n{{{\r\nzz\r\n"
    raw.send(request() + bad)
    answers = raw.read_all()
    assert [answer.status for answer in answers] == [200, 400]
    check_refusal(answers[-1], 400)


def test_a_body_longer_than_its_length_does_not_become_a_request(raw: Raw, client_key: str) -> None:
    data = request("POST", CHAT, GOOD_BODY, key=client_key).replace(
        b"content-length: %d" % len(GOOD_BODY), b"content-length: %d" % (len(GOOD_BODY) - 5)
    )
    raw.send(data)
    for answer in raw.read_all():
        check_refusal(answer, 400)


@pytest.mark.parametrize("half", ["head", "length", "chunks", "nothing"])
def test_a_client_that_leaves_half_way_harms_nobody(raw: Raw, client_key: str, half: str) -> None:
    data = {
        "nothing": b"",
        "head": request("POST", CHAT, GOOD_BODY, key=client_key)[:40],
        "length": request("POST", CHAT, GOOD_BODY, key=client_key)[:-10],
        "chunks": chat_head(client_key, ("transfer-encoding", "chunked")) + chunked(GOOD_BODY)[:-10],
    }[half]
    raw.send(data)
    raw.socket.shutdown(1)
    assert raw.read_all() == []


# Upgrades and expectations ---------------------------------------------------------------------------------------

UPGRADES = {
    "websocket": [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-version", "13"), ("sec-websocket-key", "eA==")],
    "h2c": [("upgrade", "h2c"), ("connection", "Upgrade, HTTP2-Settings"), ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA")],
    "TLS": [("upgrade", "TLS/1.2"), ("connection", "Upgrade")],
}  # fmt: skip


@pytest.mark.parametrize("headers", UPGRADES.values(), ids=UPGRADES.keys())
def test_an_upgrade_is_ignored(raw: Raw, headers: list[tuple[str, str]]) -> None:
    raw.send(request(headers=headers))
    answer = raw.read()
    assert answer is not None
    assert answer.status == 200
    assert "upgrade" not in answer.headers


@pytest.mark.parametrize("headers", UPGRADES.values(), ids=UPGRADES.keys())
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("pause", [0.0, 0.05], ids=["at once", "later"])
def test_an_upgrade_costs_a_post_nothing_of_its_body(
    raw: Raw, client_key: str, headers: list[tuple[str, str]], framing: str, pause: float
) -> None:
    """Java's HttpClient asks for h2c on every plain call."""
    header = ("content-length", str(len(GOOD_BODY))) if framing == "length" else ("transfer-encoding", "chunked")
    body = GOOD_BODY if framing == "length" else chunked(GOOD_BODY)
    head = chat_head(client_key, *headers, header)
    if pause:
        raw.send(head, body, pause=pause)
    else:
        raw.send(head + body)
    answer = raw.read()
    assert answer is not None
    assert answer.status == 200, answer.body


def test_an_upgrade_does_not_change_the_version(raw: Raw, client_key: str) -> None:
    """HTTP/1.0 knows neither upgrades nor chunks (RFC 9110, 7.8): a stream ends with its connection."""
    body = GOOD_BODY[:-1] + b',"stream":true}'
    raw.send(request("POST", CHAT, body, key=client_key, version="HTTP/1.0", headers=UPGRADES["h2c"]))
    answer = raw.read()
    assert answer is not None
    assert answer.status == 200
    assert "transfer-encoding" not in answer.headers
    assert answer.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("closing", ["close, Upgrade", "Upgrade, close"])
def test_an_upgrade_may_ask_for_the_end_of_the_connection(raw: Raw, closing: str) -> None:
    raw.send(request(headers=[("upgrade", "websocket"), ("connection", closing)]))
    assert [answer.is_last for answer in raw.read_all()] == [True]


def test_a_pipelined_upgrade_is_answered_in_its_turn(raw: Raw, client_key: str) -> None:
    chat = request("POST", CHAT, GOOD_BODY, key=client_key)
    raw.send(chat + request(headers=UPGRADES["websocket"]))
    first, second = raw.read(), raw.read()
    assert first is not None
    assert second is not None
    assert (first.status, second.status) == (200, 200)
    assert second.json == {"status": "ok"}


@pytest.mark.parametrize("value", ["100-continue", "100-Continue", "100-CONTINUE"])
def test_an_expectation_is_answered_before_the_body_is_sent(raw: Raw, client_key: str, value: str) -> None:
    raw.send(chat_head(client_key, ("expect", value), ("content-length", str(len(GOOD_BODY)))))
    while HEAD_END not in raw.buffer:
        assert raw._more()
    assert raw.buffer == b"HTTP/1.1 100 Continue\r\n\r\n"
    raw.send(GOOD_BODY)
    answer = raw.read()
    assert answer is not None
    assert answer.continued
    assert answer.status == 200


def test_a_pipelined_expectation_is_answered_in_its_turn(raw: Raw, client_key: str) -> None:
    raw.send(request() + chat_head(client_key, ("expect", "100-continue"), ("content-length", str(len(GOOD_BODY)))))
    first = raw.read()
    assert first is not None
    while HEAD_END not in raw.buffer:
        assert raw._more()
    raw.send(GOOD_BODY)
    second = raw.read()
    assert second is not None
    assert second.continued
    assert second.status == 200


def test_a_refused_expectation_gets_its_refusal_and_no_100(raw: Raw) -> None:
    raw.send(chat_head("sk-cap-" + "a" * 52, ("expect", "100-continue"), ("content-length", "1000")))
    answer = raw.read()
    check_refusal(answer, 401)
    assert answer is not None
    assert not answer.continued
    assert answer.is_last
    assert raw.is_closed()


@pytest.mark.parametrize("value", ["200-ok", "", "100-continue, x"])
def test_an_unknown_expectation_does_not_hang(raw: Raw, client_key: str, value: str) -> None:
    raw.send(request("POST", CHAT, GOOD_BODY, key=client_key, headers=[("expect", value)]))
    answer = raw.read()
    assert answer is not None
    assert answer.status in {200, 417}


# Bodies that are refused while they arrive -----------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("kind", ["no key", "bad key", "no such path", "wrong method", "encoded"])
def test_an_early_refusal_reaches_a_client_that_is_still_sending(
    raw: Raw, client_key: str, framing: str, kind: str
) -> None:
    total = 4 * 1024 * 1024
    header = ("content-length", str(total)) if framing == "length" else ("transfer-encoding", "chunked")
    method, target, key, status, more = {
        "no key": ("POST", CHAT, None, 401, []),
        "bad key": ("POST", CHAT, "sk-cap-" + "a" * 52, 401, []),
        "no such path": ("POST", "/nothing", client_key, 404, []),
        "wrong method": ("PUT", CHAT, client_key, 405, []),
        "encoded": ("POST", CHAT, client_key, 415, [("content-encoding", "br")]),
    }[kind]
    raw.send(request(method, target, None, key=key, headers=[header, *more]))
    piece = b"x" * 65536 if framing == "length" else b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for _ in range(total // 65536):
        raw.send(piece)
    answer = raw.read()
    check_refusal(answer, status)
    assert answer is not None
    assert answer.is_last


@pytest.mark.parametrize("kind", ["announced", "sent whole", "chunks", "expected"])
def test_a_body_over_the_limit_is_refused(small_gateway: GatewayProcess, kind: str) -> None:
    key = (small_gateway.home / "admin.key.txt").read_text().strip()
    size = 1024 * 1024 + 1
    with Raw(small_gateway.url) as raw:
        if kind == "announced":
            raw.send(chat_head(key, ("content-length", str(10**12))))
        elif kind == "expected":
            raw.send(chat_head(key, ("content-length", str(size)), ("expect", "100-continue")))
        elif kind == "sent whole":
            raw.send(chat_head(key, ("content-length", str(size))), b"x" * size)
        else:
            raw.send(chat_head(key, ("transfer-encoding", "chunked")))
            for _ in range(80):  # 5 MiB: more than the limit and all that is on its way
                raw.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        answer = raw.read()
        error = check_refusal(answer, 413)
        assert error["code"] == "request_too_large"
        assert answer is not None
        assert not answer.continued


def test_a_body_at_the_limit_is_read(small_gateway: GatewayProcess) -> None:
    """The upstream may find it too long for the model; the gateway takes it."""
    key = (small_gateway.home / "admin.key.txt").read_text().strip()
    body = with_text(b"x" * (1024 * 1024 - len(with_text(b""))))
    assert len(body) == 1024 * 1024
    whole = request("POST", CHAT, body, key=key)
    pieces = chat_head(key, ("transfer-encoding", "chunked")) + chunked(body, 50_000)
    with Raw(small_gateway.url) as raw:
        for data in (whole, pieces):
            raw.send(data)
            answer = raw.read()
            assert answer is not None
            assert answer.status == 200 or answer.json["error"]["code"] == "context_length_exceeded", answer.body


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "x", "gzip, identity", "GZIP", "compress"])
def test_an_encoded_body_is_refused(raw: Raw, client_key: str, coding: str) -> None:
    raw.send(request("POST", CHAT, GOOD_BODY, key=client_key, headers=[("content-encoding", coding)]))
    assert check_refusal(raw.read(), 415)["code"] == "unsupported_content_encoding"


@pytest.mark.parametrize("coding", ["identity", "Identity"])
def test_an_identity_coding_is_none(raw: Raw, client_key: str, coding: str) -> None:
    raw.send(request("POST", CHAT, GOOD_BODY, key=client_key, headers=[("content-encoding", coding)]))
    answer = raw.read()
    assert answer is not None
    assert answer.status == 200


# Keys ------------------------------------------------------------------------------------------------------------

NO_KEYS = {
    "none": [],
    "empty": [("authorization", "")],
    "empty bearer": [("authorization", "Bearer")],
    "blank bearer": [("authorization", "Bearer   ")],
    "basic": [("authorization", "Basic c2stY2FwLWFhYWE6eA==")],
    "digest": [("authorization", 'Digest username="x"')],
    "no scheme": [("authorization", "sk-cap-" + "a" * 52)],
    "unknown": [("authorization", "Bearer sk-cap-" + "a" * 52)],
    "upper case": [("authorization", "Bearer SK-CAP-" + "A" * 52)],
    "too short": [("authorization", "Bearer sk-cap-aaaa")],
    "too long": [("authorization", "Bearer sk-cap-" + "a" * 53)],
    "60 KiB": [("authorization", "Bearer sk-cap-" + "a" * 60_000)],
    "Latin-1": [("authorization", "Bearer sk-cap-é" + "a" * 51)],
    "bytes above 127": [("authorization", "Bearer \xff\xfe\x80")],
    "full-width digits": [("x-api-key", "sk-cap-\xb2\xb3" + "a" * 50)],
    "quoted": [("authorization", 'Bearer "sk-cap-' + "a" * 52 + '"')],
    "foreign": [("authorization", "Bearer sk-proj-123")],
    "in another header": [("x-auth-token", "sk-cap-" + "a" * 52)],
    "empty x-api-key": [("x-api-key", "")],
    "as a cookie": [("cookie", "key=sk-cap-" + "a" * 52)],
}


@pytest.mark.parametrize("headers", NO_KEYS.values(), ids=NO_KEYS.keys())
@pytest.mark.parametrize(
    ("method", "target"), [("POST", CHAT), ("GET", "/v1/models"), ("GET", "/usage"), ("GET", "/token")]
)
def test_what_is_no_key_is_refused(raw: Raw, headers: list[tuple[str, str]], method: str, target: str) -> None:
    raw.send(request(method, target, GOOD_BODY if method == "POST" else None, headers=headers))
    answer = raw.read()
    error = check_refusal(answer, 401)
    assert error["code"] == "invalid_api_key"
    assert answer is not None
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "sk-cap-aaaa" not in error["message"], "a key is never echoed"


@pytest.mark.parametrize(
    "form",
    [
        "authorization: Bearer {}", "Authorization: bearer {}", "AUTHORIZATION: BEARER {}", "authorization: Bearer   {}  ",
        "x-api-key: {}", "api-key: {}", "x-goog-api-key: {}", "x-api-key:{}", "X-Api-Key: \t{}\t",
        "authorization: Bearer\r\nx-api-key: {}", "authorization: Bearer sk-other-123\r\nx-api-key: {}",
        "x-api-key: sk-ant-other\r\nauthorization: Bearer {}", "authorization: Basic eA==\r\nx-api-key: {}",
        "x-api-key:\r\nauthorization: Bearer {}",
    ],
)  # fmt: skip
def test_a_key_is_found_where_clients_put_it(raw: Raw, client_key: str, form: str) -> None:
    raw.send(f"GET /v1/models HTTP/1.1\r\n{form.format(client_key)}\r\n\r\n".encode())
    answer = raw.read()
    assert answer is not None
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("order", ["good first", "good last"])
def test_two_authorizations_do_not_break_the_door(raw: Raw, client_key: str, order: str) -> None:
    forms = [f"Bearer {client_key}", "Bearer sk-cap-" + "a" * 52]
    if order == "good last":
        forms.reverse()
    raw.send(request("GET", "/v1/models", headers=[("authorization", form) for form in forms]))
    answer = raw.read()
    assert answer is not None
    assert answer.status in {200, 401}


# Chance ----------------------------------------------------------------------------------------------------------

FUZZ = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def exchange(url: str, data: bytes) -> None:
    """Send, close our side, read what comes: each answer is whole, and a refusal looks like one."""
    with Raw(url) as raw:
        raw.send(data)
        try:
            raw.socket.shutdown(1)
        except OSError:
            return
        for answer in raw.read_all():
            assert answer.status < 500, (answer.status, answer.body)
            if answer.status >= 400:
                check_refusal(answer, answer.status)


FRAGMENTS = st.sampled_from(
    [
        b"GET ", b"POST ", b"HEAD ", b"/", b"/v1/models", CHAT.encode(), b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"\r",
        b"host: x\r\n", b"content-length: ", b"transfer-encoding: chunked\r\n", b"connection: close\r\n", b"connection: upgrade\r\n",
        b"upgrade: h2c\r\n", b"expect: 100-continue\r\n", b"0\r\n\r\n", b"5\r\nabcde\r\n", b"5", b"99999999999", b"{", b"}", b'"model":',
        b":", b" ", b"\0", b"\xff", b"%", b"authorization: Bearer x\r\n", b"content-encoding: gzip\r\n",
    ]
)  # fmt: skip


@settings(FUZZ, max_examples=500)
@given(data=st.lists(st.one_of(FRAGMENTS, st.binary(max_size=20)), max_size=40).map(b"".join))
def test_random_bytes_get_a_readable_answer_or_none(gateway: GatewayProcess, data: bytes) -> None:
    exchange(gateway.url, data)


@settings(FUZZ, max_examples=800)
@given(seed=st.integers(0, 2**32), edits=st.integers(1, 8))
def test_a_mutated_request_gets_a_readable_answer_or_none(
    gateway: GatewayProcess, client_key: str, seed: int, edits: int
) -> None:
    chance = random.Random(seed)
    good = [
        request("POST", CHAT, GOOD_BODY, key=client_key),
        request("POST", EMBEDDINGS, GOOD_EMBEDDINGS, key=client_key),
        chat_head(client_key, ("transfer-encoding", "chunked")) + chunked(GOOD_BODY),
        request("GET", "/v1/models/gpt-4.1", key=client_key) + request(),
    ]
    data = bytearray(chance.choice(good))
    for _ in range(edits):
        place = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            data[place:place] = bytes([chance.randrange(256)])
        elif kind == 1:
            del data[place : place + chance.randrange(1, 9)]
        elif kind == 2:
            data[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 3:
            data[place:place] = data[place : place + chance.randrange(1, 40)]
        else:
            data[place:place] = chance.choice(
                [b"\r\n", b"\0", b'"', b"{", b"}", b"\\u", b"[" * 50, b"content-length: 3\r\n"]
            )
    exchange(gateway.url, bytes(data))


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip


@settings(FUZZ, max_examples=300)
@given(
    field=st.sampled_from(sorted(CHAT_KINDS)),
    value=JSON_VALUES,
    other=st.dictionaries(st.sampled_from([*sorted(CHAT_KINDS), "x"]), JSON_VALUES, max_size=3),
)
def test_random_values_in_a_chat_request_are_answered_or_refused(
    gateway: GatewayProcess, client_key: str, field: str, value: object, other: dict[str, object]
) -> None:
    body = {"model": "gpt-4.1", "messages": MESSAGES, **other, field: value}
    with Raw(gateway.url) as raw:
        raw.send(request("POST", CHAT, json.dumps(body).encode(), key=client_key, headers=[("connection", "close")]))
        answers = raw.read_all()
    assert len(answers) == 1
    if answers[0].status != 200:
        check_refusal(answers[0], 400, 404)
