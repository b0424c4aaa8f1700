"""Captures: what of a call is kept, who is told, who is not captured, and that no call is ever touched by it."""

import http.client
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from copilot_api.capture.copies import LEG_BYTES
from copilot_api.capture.models import Leg, Trace
from tests.harness import Simulator, http_json, wait_until
from tests.journeys.captured import SECONDS, Capture, capturing_gateway, leg
from tests.journeys.markers import chat, fault, say
from tests.journeys.wire import CHAT, opened, send

SECRET = "ghp_" + "Zk4q" * 9
MODEL = "gpt-4.1"
CLAUDE = "claude-sonnet-4.6"
GEMINI = f"/v1beta/models/{MODEL}:"


@pytest.fixture(scope="module")
def capture(lone_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capture]:
    with capturing_gateway(tmp_path_factory.mktemp("captured") / "home", lone_simulator) as running:
        yield running


@pytest.fixture
def lone(lone_simulator: Simulator, home: Path) -> Iterator[Capture]:
    """One for a test that breaks it."""
    with capturing_gateway(home, lone_simulator) as running:
        yield running


def is_told(answer: Any) -> bool:
    return bool(answer.headers.get("x-capi-capture") == "on")


@contextmanager
def paced(capture: Capture, **pace: float) -> Generator[None]:
    """The simulator takes its time meanwhile."""
    capture.simulator.post("/_sim/pace", pace)
    try:
        yield
    finally:
        capture.simulator.post("/_sim/pace", {"first_token_seconds": 0, "gap_seconds": 0, "tokens": 24})


def requests_upstream(capture: Capture, request_id: str) -> list[dict[str, Any]]:
    return [each for each in capture.simulator.requests if each["headers"].get("x-request-id") == request_id]


# The four legs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_streamed", [False, True])
def test_all_four_legs_are_what_was_on_the_wire(capture: Capture, *, is_streamed: bool) -> None:
    body = chat(say("four legs"), stream=is_streamed)
    answer = capture.send(CHAT, body, headers={"x-custom": "mine"})
    assert is_told(answer)
    trace = capture.trace(answer.request_id)
    [seen] = requests_upstream(capture, answer.request_id)
    assert (trace.status, trace.cause, trace.stream, trace.reason) == (200, "ok", is_streamed, "key")
    assert (trace.key_id, trace.model, trace.upstream_model) == (capture.key_id, MODEL, MODEL)
    assert (trace.endpoint, trace.withheld, trace.earlier_attempts) == (CHAT, 0, [])

    asked = trace.client_request
    assert (asked.method, asked.target, json.loads(asked.body)) == ("POST", CHAT, body)
    assert asked.bytes == len(json.dumps(body))
    assert dict(asked.headers)["x-custom"] == "mine"

    sent, came, told = leg(trace.upstream_request), leg(trace.upstream_answer), leg(trace.client_answer)
    assert (sent.method, sent.target) == ("POST", f"{capture.simulator.url}/chat/completions")
    assert json.loads(sent.body) == seen["body"]
    assert {name for name, _ in sent.headers} == set(seen["headers"]) - {"host", "content-length", "connection"}
    assert came.status == told.status == 200
    assert told.body == answer.body.decode()
    assert told.bytes == len(answer.body)
    assert dict(told.headers).items() <= answer.headers.items()
    assert "four legs" in came.body or is_streamed
    for each in (asked, sent, came, told):
        assert (each.cut, each.withheld, each.error) == (None, "", "")
        assert each.ended_ms is not None
        assert each.started_ms <= each.ended_ms


def test_each_piece_of_a_stream_is_in_the_timeline_with_its_time_and_size(capture: Capture) -> None:
    with paced(capture, first_token_seconds=0.05, gap_seconds=0.03):
        answer = capture.send(CHAT, chat(say("one two three four five six seven"), stream=True))
    trace = capture.trace(answer.request_id)
    for each in (leg(trace.upstream_answer), leg(trace.client_answer)):
        assert len(each.timeline) >= 3
        assert sum(moment.bytes for moment in each.timeline) == each.bytes == len(each.body)
        times = [moment.ms for moment in each.timeline]
        assert times == sorted(times)
        assert times[-1] - times[0] >= 60
        assert each.ended_ms is not None
        assert each.started_ms <= times[0] <= times[-1] <= each.ended_ms
    assert trace.duration_ms >= 100


@pytest.mark.parametrize(
    ("path", "body", "upstream"),
    [
        ("/v1/messages", {"model": CLAUDE, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}, "/v1/messages"),
        ("/v1/messages", {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}], "stream": True}, "/chat/completions"),
        ("/v1/responses", {"model": "gpt-5-mini", "input": "hi"}, "/responses"),
        ("/v1/responses", {"model": "gpt-5-mini", "input": "hi", "stream": True}, "/responses"),
        (GEMINI + "generateContent", {"contents": [{"parts": [{"text": "hi"}]}]}, "/chat/completions"),
        (GEMINI + "streamGenerateContent?alt=sse", {"contents": [{"parts": [{"text": "hi"}]}]}, "/chat/completions"),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "hi"}, "/embeddings"),
        ("/v1/messages/count_tokens", {"model": CLAUDE, "messages": [{"role": "user", "content": "hi"}]}, "/v1/messages/count_tokens"),
        (GEMINI + "countTokens", {"contents": [{"parts": [{"text": "hi"}]}]}, None),
    ],
)  # fmt: skip
def test_every_protocol_is_captured(capture: Capture, path: str, body: Any, upstream: str | None) -> None:
    answer = capture.send(path, body)
    assert (answer.status, is_told(answer)) == (200, True), answer.body
    trace = capture.trace(answer.request_id)
    assert json.loads(trace.client_request.body) == body
    assert trace.client_request.target == path
    assert leg(trace.client_answer).body == answer.body.decode()
    if upstream is None:
        assert trace.upstream_request is None
    else:
        assert leg(trace.upstream_request).target.endswith(upstream)
        assert leg(trace.upstream_answer).status == 200


def test_a_body_over_the_cap_is_cut_with_its_size_and_a_hash_of_the_rest(capture: Capture) -> None:
    answer = capture.send(CHAT, chat(f"{say('ok')} {'word ' * 250_000}"))
    trace = capture.trace(answer.request_id, seconds=60)
    for each in (trace.client_request, leg(trace.upstream_request)):
        assert each.cut is not None
        assert each.bytes > 1_250_000
        assert each.cut.bytes == each.bytes - LEG_BYTES
        assert LEG_BYTES - 100 < len(each.body) <= LEG_BYTES + 100
    assert trace.client_request.cut == leg(trace.upstream_request).cut, "equal rests have equal hashes"


# Errors, retries, ends ----------------------------------------------------------------------------------------------


def test_errors_of_ours_and_of_the_upstream_are_captured_and_told(capture: Capture) -> None:
    for body, status in ((b"{no json", 400), (chat("hi", model="no-such"), 404), (chat(fault("422")), 422)):
        answer = capture.send(CHAT, body)
        assert (answer.status, is_told(answer)) == (status, True)
        trace = capture.trace(answer.request_id)
        assert trace.status == status
        assert leg(trace.client_answer).status == status
        assert leg(trace.client_answer).body == answer.body.decode()
    assert leg(trace.upstream_answer).status == 422
    assert leg(trace.upstream_answer).body


def test_every_try_upstream_is_kept_with_what_it_was_answered(capture: Capture) -> None:
    capture.simulator.post("/_sim/faults", {"name": "500", "count": 1})
    answer = capture.send(CHAT, chat(say("at last")))
    assert answer.status == 200
    trace = capture.trace(answer.request_id)
    assert len(requests_upstream(capture, answer.request_id)) == 2
    [earlier] = trace.earlier_attempts
    assert leg(earlier.answer).status == 500
    assert leg(earlier.answer).body
    assert leg(trace.upstream_answer).status == 200
    assert dict(earlier.request.headers)["x-initiator"] == "user"
    assert dict(leg(trace.upstream_request).headers)["x-initiator"] == "agent"


def test_an_expired_credential_shows_as_a_try_and_no_credential_is_kept(capture: Capture) -> None:
    capture.send(CHAT, chat("warm up"))
    answer = capture.send(CHAT, chat(fault("401-expired")))
    assert answer.status == 200
    trace = capture.trace(answer.request_id)
    statuses = [leg(attempt.answer).status for attempt in trace.earlier_attempts] + [leg(trace.upstream_answer).status]
    assert statuses == [401, 200]
    for request in (trace.earlier_attempts[0].request, leg(trace.upstream_request)):
        assert "[redacted:" in dict(request.headers)["authorization"]


@pytest.mark.parametrize("name", ["cut", "cut-rst", "refused-close", "garbage", "midstream-error"])
def test_an_upstream_that_breaks_off_is_captured_with_what_it_had_said(capture: Capture, name: str) -> None:
    answer = capture.send(CHAT, chat(f"tell me {fault(name)}", stream=True))
    assert is_told(answer)
    trace = capture.trace(answer.request_id)
    assert trace.cause in {"upstream_cut", "upstream_error"}
    if name.startswith("cut"):
        assert leg(trace.upstream_answer).error
        assert leg(trace.upstream_answer).timeline
    told = leg(trace.client_answer)
    assert told.bytes == len(answer.body)
    assert "error" in told.body


def test_a_client_that_hangs_up_is_captured_up_to_there(capture: Capture) -> None:
    with (
        paced(capture, gap_seconds=0.1, tokens=200),
        opened(capture.gateway.url, CHAT, chat("a long story", stream=True), key=capture.key) as response,
    ):
        request_id = response.headers["x-request-id"]
        response.read(200)
        assert response.fp is not None
    trace = capture.trace(request_id)
    assert trace.cause == "client_aborted"
    assert leg(trace.client_answer).error
    assert 0 < leg(trace.client_answer).bytes < 100_000
    assert leg(trace.upstream_answer).error


def test_a_body_that_is_too_large_is_captured_as_the_refusal_that_it_was(lone: Capture) -> None:
    lone.configure(retention={"traces_days": 1}, limits={"max_body_mb": 1})
    answer = lone.send(CHAT, chat("x" * 1_100_000))
    assert (answer.status, is_told(answer)) == (413, True)
    trace = lone.trace(answer.request_id)
    assert (trace.client_request.body, trace.client_request.bytes) == ("", 0)
    assert "limit" in trace.client_request.error


# Who is captured, who is told ---------------------------------------------------------------------------------------


def test_another_key_is_not_captured_and_not_told(capture: Capture) -> None:
    other, other_id = capture.new_key("other")
    answer = send(capture.gateway.url, CHAT, chat(say("private")), key=other)
    assert (answer.status, is_told(answer)) == (200, False)
    mine = capture.send(CHAT, chat(say("mine")))
    capture.trace(mine.request_id)
    assert capture.files.find(answer.request_id) is None
    assert capture.files.count_key(other_id) == 0
    status, usage = http_json("GET", f"{capture.gateway.url}/usage", key=other)
    assert (status, usage["capture"]) == (200, None)


def test_the_holder_sees_until_when_and_why(capture: Capture) -> None:
    status, usage = http_json("GET", f"{capture.gateway.url}/usage", key=capture.key)
    assert status == 200
    assert usage["capture"]["reason"] == "a test"
    assert set(usage["capture"]) == {"until", "reason"}


def test_an_admin_key_can_ask_for_one_call_and_nobody_else(capture: Capture) -> None:
    asking = {"x-capi-debug": "1"}
    other, _ = capture.new_key("asks in vain")
    asked = send(capture.gateway.url, CHAT, chat(say("this one")), key=capture.admin, headers=asking)
    plain = send(capture.gateway.url, CHAT, chat(say("not this")), key=capture.admin)
    no = send(capture.gateway.url, CHAT, chat(say("nor this")), key=capture.admin, headers={"x-capi-debug": "0"})
    vain = send(capture.gateway.url, CHAT, chat(say("nor this")), key=other, headers=asking)
    assert [is_told(answer) for answer in (asked, plain, no, vain)] == [True, False, False, False]
    assert {answer.status for answer in (asked, plain, no, vain)} == {200}
    trace = capture.trace(asked.request_id)
    assert trace.reason == "request"
    assert "x-capi-debug" in dict(trace.client_request.headers)
    assert not [name for name, _ in leg(trace.upstream_request).headers if name.startswith("x-capi")]
    for answer in (asked, vain):
        [seen] = requests_upstream(capture, answer.request_id)
        assert not [name for name in seen["headers"] if name.startswith("x-capi")]


def test_without_authentication_only_an_admin_key_can_ask(lone: Capture) -> None:
    lone.configure(features={"auth": False})
    url, asking = lone.gateway.url, {"x-capi-debug": "1"}
    nobody = send(url, CHAT, chat(say("hi")), headers=asking)
    admin = send(url, CHAT, chat(say("hi")), key=lone.admin, headers=asking)
    assert [(answer.status, is_told(answer)) for answer in (nobody, admin)] == [(200, False), (200, True)]


def test_an_order_is_renewed_ended_and_over_and_each_is_on_record(lone: Capture) -> None:
    assert lone.order({"reason": "again", "minutes": 1})[0] == 200
    status, ended = lone.order({"off": True})
    assert (status, ended["capture"]) == (200, None)
    assert not is_told(lone.send(CHAT, chat(say("hi"))))
    assert lone.order(None, method="DELETE")[0] == 200, "ending it again changes nothing"
    assert lone.order({"reason": "short", "seconds": 1})[0] == 200
    assert is_told(lone.send(CHAT, chat(say("hi"))))
    time.sleep(1.1)
    assert not is_told(lone.send(CHAT, chat(say("hi")))), "over by the clock, whoever sweeps when"
    wait_until(lambda: _capture_lines(lone)[-1] == ("capture.ended", "expired"), 30, "the sweep")
    assert _capture_lines(lone) == [
        ("capture.started", None),
        ("capture.renewed", None),
        ("capture.ended", "asked"),
        ("capture.started", None),
        ("capture.ended", "expired"),
    ]


def test_with_a_key_ends_its_capture(lone: Capture) -> None:
    lone.gateway.cli("keys", "revoke", lone.key_id)
    assert _capture_lines(lone)[-1] == ("capture.ended", "key revoked")
    status, refused = lone.order({"reason": "too late", "minutes": 1})
    assert (status, refused["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"minutes": 5}, 400),
        ({"reason": "  ", "minutes": 5}, 400),
        ({"reason": "why"}, 400),
        ({"reason": "why", "minutes": 5, "seconds": 5}, 400),
        ({"reason": "why", "minutes": 1441}, 400),
        ({"reason": "why", "seconds": 86401}, 400),
        ({"reason": "why", "seconds": 0}, 400),
        ({"reason": "why", "seconds": -5}, 400),
        ({"reason": "why", "seconds": "5"}, 400),
        ({"reason": "why\nnot", "seconds": 5}, 400),
        ({"reason": "x" * 201, "seconds": 5}, 400),
        ({"reason": f"see {SECRET}", "seconds": 5}, 400),
        ({"reason": "why", "seconds": 5, "off": True}, 400),
        ({"reason": "why", "seconds": 5, "until": "never"}, 400),
        ([], 400),
        ("off", 400),
    ],
)  # fmt: skip
def test_an_order_that_says_too_little_or_too_much_is_refused_in_words(
    capture: Capture, body: Any, status: int
) -> None:
    found, answer = capture.order(body)
    assert (found, answer["error"]["code"]) == (status, "invalid_request"), answer
    assert SECRET not in json.dumps(answer)


def test_only_an_admin_may_order_and_only_for_a_key_that_is_there(capture: Capture) -> None:
    wish = {"reason": "why", "minutes": 1}
    assert capture.order(wish, key=capture.key)[0] == 403
    assert capture.order(wish, key="sk-cap-nonsense")[0] == 401
    for unknown, code in (("key_none", "key_not_found"), ("..%2f..%2f", "_not_found"), ("%00", "_not_found")):
        status, answer = capture.order(wish, key_id=unknown)
        assert status == 404
        assert answer["error"]["code"].endswith(code)
    assert capture.order(None, method="PUT")[0] == 405
    assert capture.order(None)[0] == 400


def test_the_command_line_orders_shows_and_ends(lone: Capture) -> None:
    cli = lone.gateway.cli
    key, key_id = lone.new_key("by hand")
    shown = json.loads(cli("keys", "debug", "by hand", "--reason", "look", "--for", "1h", "--json"))
    assert shown["capture"]["reason"] == "look"
    assert "captured" in cli("keys", "show", key_id)
    assert "valid, captured" in cli("keys", "list")
    assert is_told(send(lone.gateway.url, CHAT, chat(say("hi")), key=key)), "in force at once"
    assert json.loads(cli("keys", "debug", key_id, "--off", "--json"))["capture"] is None
    assert not is_told(send(lone.gateway.url, CHAT, chat(say("hi")), key=key))
    for wrong in (["--for", "25h", "--reason", "x"], ["--for", "1h"], ["--reason", "x"], [], ["--off", "--for", "1h"]):
        assert cli("keys", "debug", key_id, *wrong, check=False) == ""
    lone.configure(features={"debug": False})
    assert cli("keys", "debug", key_id, "--for", "1h", "--reason", "x", check=False) == ""


# Switched off, forgotten --------------------------------------------------------------------------------------------


def test_switching_captures_off_ends_them_at_once_and_forbids_new_ones(lone: Capture) -> None:
    assert is_told(lone.send(CHAT, chat(say("hi"))))
    lone.configure(features={"debug": False}, retention={"traces_days": 1})
    answer = lone.send(CHAT, chat(say("hi")))
    assert (answer.status, is_told(answer)) == (200, False)
    asked = send(lone.gateway.url, CHAT, chat(say("hi")), key=lone.admin, headers={"x-capi-debug": "1"})
    assert (asked.status, is_told(asked)) == (200, False)
    status, refused = lone.order({"reason": "why", "minutes": 1})
    assert (status, refused["error"]["code"]) == (409, "capture_forbidden")
    assert "features.debug" in json.dumps(refused)
    wait_until(lambda: _capture_lines(lone)[-1] == ("capture.ended", "features.debug is false"), 30, "its end")
    lone.configure(features={"debug": True})
    assert not is_told(lone.send(CHAT, chat(say("hi")))), "an order that was ended stays ended"


def test_what_is_on_disk_goes_when_nothing_is_to_be_kept_there(lone: Capture) -> None:
    answer = lone.send(CHAT, chat(say("hi")))
    lone.trace(answer.request_id)
    lone.configure(retention={"traces_days": 0})
    wait_until(lambda: lone.files.list_days() == [], SECONDS, "the files to go")
    later = lone.send(CHAT, chat(say("hi")))
    wait_until(lambda: lone.metric('captures_total{outcome="kept"}') == 2, SECONDS, "the second trace in memory")
    assert is_told(later)
    assert lone.files.list_days() == []


def test_the_cap_on_disk_is_honoured_on_every_write(lone: Capture) -> None:
    lone.configure(retention={"traces_days": 1, "traces_max_bytes": 60_000})
    for _ in range(12):
        answer = lone.send(CHAT, chat(say("hi " * 500)))
        lone.trace(answer.request_id)
        assert sum(day.bytes for day in lone.files.list_days()) <= 60_000


# Nothing touches the call -------------------------------------------------------------------------------------------


def _worker_pids(capture: Capture) -> list[int]:
    pid = capture.gateway.pid
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [child for child in children if b"capture.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_worker_that_is_killed_costs_its_capture_at_most_and_another_takes_its_place(lone: Capture) -> None:
    lone.trace(lone.send(CHAT, chat(say("first"))).request_id)
    [worker] = _worker_pids(lone)
    os.kill(worker, signal.SIGSTOP)
    stuck = lone.send(CHAT, chat(say("stuck")))
    assert (stuck.status, stuck.text, is_told(stuck)) == (200, "stuck", True)
    os.kill(worker, signal.SIGKILL)
    after = lone.send(CHAT, chat(say("after")))
    assert after.text == "after"
    lone.trace(after.request_id)
    assert _worker_pids(lone) not in ([], [worker])
    dropped = lone.metric('captures_total{outcome="dropped"}')
    assert (dropped, lone.files.find(stuck.request_id) is None) in {(1, True), (0, False)}


def test_the_worker_ends_with_the_gateway_even_when_that_is_killed(lone: Capture) -> None:
    lone.trace(lone.send(CHAT, chat(say("hi"))).request_id)
    [worker] = _worker_pids(lone)
    lone.gateway.stop(signal.SIGKILL)
    wait_until(lambda: not _is_alive(worker), 10, "the worker's end")


def _is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_a_full_disk_leaves_the_calls_and_the_traces_in_memory(lone: Capture) -> None:
    _, unlimited = resource.prlimit(lone.gateway.pid, resource.RLIMIT_FSIZE)
    lone.trace(lone.send(CHAT, chat(say("before"))).request_id)
    resource.prlimit(lone.gateway.pid, resource.RLIMIT_FSIZE, (0, unlimited))
    try:
        answer = lone.send(CHAT, chat(say("during")))
        assert (answer.status, answer.text, is_told(answer)) == (200, "during", True)
        wait_until(lambda: lone.metric("traces_not_written_total") == 1, SECONDS, "the failed write")
        assert lone.metric('captures_total{outcome="kept"}') == 2
    finally:
        resource.prlimit(lone.gateway.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    after = lone.send(CHAT, chat(say("after")))
    lone.trace(after.request_id)
    assert lone.files.find(answer.request_id) is None
    assert "cannot be looked after" in lone.gateway.output
    assert "are looked after again" in lone.gateway.output


def test_what_waits_to_be_redacted_is_a_trace_before_the_gateway_ends(lone: Capture) -> None:
    answers = [lone.send(CHAT, chat(say(f"call {number}"))) for number in range(5)]
    assert lone.gateway.stop() == 0
    for answer in answers:
        assert lone.files.find(answer.request_id) is not None


def test_no_secret_reaches_disk_log_or_metrics(lone: Capture) -> None:
    answer = lone.send(f"{CHAT}?token={SECRET}", chat(say(f"here: {SECRET}"), stream=True), headers={"x-note": SECRET})
    trace = lone.trace(answer.request_id)
    assert SECRET in answer.text, "the call itself is untouched"
    [kept] = (lone.gateway.home / "traces").iterdir()
    for text in (kept.read_text(), lone.gateway.output, http_json("GET", f"{lone.gateway.url}/metrics")[1]):
        assert SECRET not in text
        assert lone.key not in text
    assert sum(trace.redactions.values()) >= 4


def test_traces_are_private_files_in_a_private_directory(capture: Capture) -> None:
    capture.trace(capture.send(CHAT, chat(say("hi"))).request_id)
    directory = capture.gateway.home / "traces"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


def test_a_captured_answer_is_byte_for_byte_the_one_without_capture(capture: Capture) -> None:
    """Head and body as they are on the wire, but for the header that tells and what differs from call to call."""
    other, _ = capture.new_key("to compare")
    for stream in (False, True):
        heads: list[set[str]] = []
        texts: list[str] = []
        for key in (capture.key, other):
            raw = _raw(capture.gateway.url, chat(say("the same"), stream=stream), key)
            head, _, body = raw.partition(b"\r\n\r\n")
            heads.append({line.partition(b":")[0].decode().lower() for line in head.split(b"\r\n")})
            texts.append(str(body.count(b"data:")))  # pieces may come together
        assert heads[0] - heads[1] == {"x-capi-capture"}
        assert heads[1] - heads[0] == set()
        assert texts[0] == texts[1]


def _raw(url: str, body: Any, key: str) -> bytes:
    parts = urlsplit(url)
    content = json.dumps(body).encode()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port), timeout=SECONDS) as connection:
        connection.sendall(head.encode() + content)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received


def test_calls_on_one_connection_are_captured_one_by_one(capture: Capture) -> None:
    parts = urlsplit(capture.gateway.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
    ids: list[str] = []
    try:
        for number in range(3):
            headers = {"authorization": f"Bearer {capture.key}", "content-type": "application/json"}
            connection.request("POST", CHAT, json.dumps(chat(say(f"call {number}"))).encode(), headers)
            response = connection.getresponse()
            response.read()
            ids.append(response.headers["x-request-id"])
    finally:
        connection.close()
    traces: list[Trace] = [capture.trace(request_id) for request_id in ids]
    bodies: list[Leg] = [leg(trace.client_answer) for trace in traces]
    assert [f"call {number}" in body.body for number, body in enumerate(bodies)] == [True] * 3


def _capture_lines(capture: Capture) -> list[tuple[str, str | None]]:
    lines = [json.loads(line) for line in (capture.gateway.home / "audit.jsonl").read_text().splitlines()]
    return [(line["action"], line["detail"].get("why")) for line in lines if line["action"].startswith("capture.")]
