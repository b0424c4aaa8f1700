"""
The case files: what a client asks, what Copilot answers, and what the client gets, one directory each.

`request.json` and `upstream.sse` (or `upstream.json`) go in; `client.sse` (or `client.json`) must come out. Where the
answer fails there is `error.json`, and `client.sse` holds what is handed out before. Under `invalid/` are requests that
are refused. Chunks are compared by meaning: the order of keys, an absent finish and a delta of nothing say nothing.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from copilot_api.errors import GatewayError
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.chat.request import ChatRequest, parse_request
from copilot_api.protocols.chat.response import parse_response, whole_as_events
from copilot_api.protocols.chat.stream import ChatStream
from tests.protocols.chat import grammar

CASES = Path(__file__).parent.parent / "cases" / "chat"
INVALID = sorted((CASES / "invalid").iterdir())
ALL = sorted(path for path in CASES.iterdir() if path.name != "invalid")
STREAMED = [path for path in ALL if (path / "upstream.sse").exists()]
WHOLE = [path for path in ALL if (path / "upstream.json").exists()]
NOW = 1_780_000_000


def name(path: Path) -> str:
    return path.name


def request_of(case: Path) -> ChatRequest:
    return parse_request((case / "request.json").read_bytes())


def feed(request: ChatRequest, pieces: list[bytes]) -> tuple[bytes, GatewayError | None]:
    """What the client gets, and what went wrong in the end."""
    stream = ChatStream(model=request.model, wants_usage=request.wants_usage, choices=request.choices, now=NOW)
    out = []
    for piece in pieces:
        out.append(stream.feed(piece))
        if stream.failure is not None:
            return b"".join(out), stream.failure
    try:
        out.append(stream.finish())
    except GatewayError as error:
        return b"".join(out), error
    return b"".join(out), None


def meaning(events: bytes) -> list[Any]:
    """The chunks of a stream without what means nothing."""
    found: list[Any] = []
    for data in grammar.events(events) if events else []:
        if data == "[DONE]":
            found.append(data)
            continue
        chunk = json.loads(data)
        for choice in chunk["choices"]:
            choice.setdefault("finish_reason", None)
            choice["delta"] = {key: value for key, value in choice["delta"].items() if value is not None}
        if not chunk["choices"] or any(choice["delta"] or choice["finish_reason"] for choice in chunk["choices"]):
            found.append(chunk)
    return found


def check_error(error: GatewayError | None, case: Path) -> None:
    expected = json.loads((case / "error.json").read_text())
    assert error is not None
    assert (error.public_code, error.cause, error.actual_status) == (
        expected["code"],
        expected["cause"],
        expected["status"],
    )
    if "param" in expected:
        assert error.param == expected["param"]


def test_every_case_is_whole() -> None:
    assert len(STREAMED) > 40
    assert len(WHOLE) > 10
    for case in ALL:
        files = {path.name for path in case.iterdir()}
        assert "request.json" in files, case
        assert len(files & {"upstream.sse", "upstream.json"}) == 1, case
        assert files & {"client.sse", "client.json", "error.json"}, case
        assert len(files) <= 4, case
    for case in INVALID:
        assert {path.name for path in case.iterdir()} == {"request.json", "error.json"}, case


@pytest.mark.parametrize("case", STREAMED, ids=name)
def test_a_stream_comes_out_as_it_should(case: Path) -> None:
    request, expected = request_of(case), (case / "client.sse").read_bytes()
    out, error = feed(request, [(case / "upstream.sse").read_bytes()])
    assert meaning(out) == meaning(expected)
    if (case / "error.json").exists():
        check_error(error, case)
        assert b"[DONE]" not in expected
    else:
        assert error is None
        has_usage = b'"usage":{' in expected
        chunks = grammar.check(out, model=request.model, usage=has_usage)
        assert not has_usage or request.wants_usage
        grammar.accumulate(chunks)


@pytest.mark.parametrize("case", STREAMED, ids=name)
def test_a_stream_may_come_one_byte_at_a_time(case: Path) -> None:
    request, data = request_of(case), (case / "upstream.sse").read_bytes()
    at_once = feed(request, [data])
    one_by_one = feed(request, [data[place : place + 1] for place in range(len(data))])
    assert one_by_one[0] == at_once[0]
    assert type(one_by_one[1]) is type(at_once[1])


@pytest.mark.parametrize("case", STREAMED, ids=name)
def test_a_stream_may_be_cut_at_any_place(case: Path) -> None:
    request, data = request_of(case), (case / "upstream.sse").read_bytes()
    expected, error = feed(request, [data])
    for place in range(1, len(data)):
        out, failure = feed(request, [data[:place], data[place:]])
        assert out == expected, place
        assert type(failure) is type(error), place


@pytest.mark.parametrize("case", WHOLE, ids=name)
def test_a_whole_answer_comes_out_as_it_should(case: Path) -> None:
    request, source = request_of(case), (case / "upstream.json").read_bytes()
    if (case / "error.json").exists():
        with pytest.raises(GatewayError) as failure:
            parse_response(source, model=request.model, choices=request.choices, now=NOW)
        check_error(failure.value, case)
        return
    answer = parse_response(source, model=request.model, choices=request.choices, now=NOW)
    if request.is_streamed:
        out = whole_as_events(request, answer.body, NOW)
        expected = (case / "client.sse").read_bytes()
        assert meaning(out) == meaning(expected)
        grammar.check(out, model=request.model, usage=b'"usage":{' in expected)
    else:
        assert json.loads(answer.body) == json.loads((case / "client.json").read_text())


@pytest.mark.parametrize("case", INVALID, ids=name)
def test_an_invalid_request_is_refused_with_its_fault(case: Path) -> None:
    with pytest.raises(GatewayError) as refusal:
        request_of(case)
    check_error(refusal.value, case)


@pytest.mark.parametrize("case", ALL, ids=name)
def test_the_upstream_is_asked_for_what_the_client_asked_for(case: Path) -> None:
    request = request_of(case)
    sent = json.loads(request.render(ModelTraits(id="upstream-model")).body)
    asked = json.loads((case / "request.json").read_bytes())
    assert sent.pop("model") == "upstream-model"
    assert asked.pop("model") == request.model
    if request.is_streamed:
        assert sent.pop("stream_options") == {"include_usage": True}
        asked.pop("stream_options", None)
    assert sent == asked
