"""Every error that Copilot is known to answer: repeated where that is safe, and told in the OpenAI envelope."""

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.harness import GatewayProcess, Simulator
from tests.journeys.commands import admin_key
from tests.journeys.conftest import Journey
from tests.journeys.markers import chat, fault, say
from tests.journeys.wire import CHAT, Answer, send, send_all

ERRORS: dict[str, dict[str, Any]] = {
    entry["name"]: entry
    for entry in json.loads(resources.files("copilot_api.simulator").joinpath("data", "errors.json").read_bytes())[
        "errors"
    ]
}
REPEATED = {"bodyless_400", "cyber_policy", "request_timeout", "internal", "bad_gateway", "gateway_timeout"}
"""
The faults that pass by themselves. A rate limit is not among them: it is never repeated at once, and the waits that
Copilot asks for are the caller's to wait; a 503 counts as one, and a CDN's challenge page wants half a minute.
"""
RENEWED = {"token_expired", "token_invalid"}
"""Refused credentials: one more attempt with a new token."""
STATUSES = {
    200: 502,
    401: 502,
    402: 429,
    404: 502,
    408: 504,
    421: 502,
    424: 502,
    466: 502,
    499: 502,
    500: 502,
}
"""What the caller is told instead: what is not the caller's doing is a 5xx, a spent allowance is a 429."""
FORMS = {"whole": False, "streamed": True}


@pytest.fixture(scope="module")
def answers(journey: Journey) -> dict[tuple[str, str], tuple[Answer, int]]:
    """Each error in each form: the answer, and how often the upstream was asked. Made side by side, to be quick."""
    cases = [(name, form) for name in ERRORS for form in FORMS]
    bodies = [chat(fault(name), stream=FORMS[form]) for name, form in cases]
    found = send_all(journey.gateway.url, CHAT, bodies, key=journey.key, at_once=40)
    attempts: dict[str, int] = {}
    for request in journey.simulator.requests:
        request_id = request["headers"].get("x-request-id", "")
        attempts[request_id] = attempts.get(request_id, 0) + 1
    return {case: (answer, attempts[answer.request_id]) for case, answer in zip(cases, found, strict=True)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ERRORS)
def test_the_caller_is_told_in_the_openai_envelope(
    answers: dict[tuple[str, str], tuple[Answer, int]], name: str, form: str
) -> None:
    """Whatever the upstream sends, HTML, plain text, nothing: JSON with a code, a message, and the request id."""
    entry, (answer, _) = ERRORS[name], answers[name, form]
    expected = 502 if name == "bodyless_400" else STATUSES.get(entry["status"], entry["status"])
    assert answer.status == expected
    assert answer.headers["content-type"] == "application/json"
    error = answer.error
    assert error["code"]
    assert error["type"]
    assert error["message"].strip()
    assert answer.request_id in error["message"]
    assert "<html" not in error["message"].lower()
    assert "traceback" not in error["message"].lower()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ERRORS)
def test_only_what_passes_by_itself_is_repeated(
    answers: dict[tuple[str, str], tuple[Answer, int]], name: str, form: str
) -> None:
    """Twice more at most, and a refusal never: each attempt may cost the account."""
    _, attempts = answers[name, form]
    if name in REPEATED:
        assert 2 <= attempts <= 3
    else:
        assert attempts == (2 if name in RENEWED else 1)


@pytest.mark.parametrize("name", [name for name, entry in ERRORS.items() if isinstance(entry["body"], dict)])
def test_copilot_s_own_words_reach_the_caller(answers: dict[tuple[str, str], tuple[Answer, int]], name: str) -> None:
    """They say what is wrong with the request. Not where the trouble is ours: it is not the caller's to mend."""
    if name in RENEWED | {"agent_authorize_url"}:
        return
    body = ERRORS[name]["body"]
    message = body.get("error", body).get("message")
    if isinstance(message, str):
        assert message in answers[name, "whole"][0].error["message"]


@pytest.mark.parametrize("name", [name for name in ERRORS if name.startswith("429")])
def test_a_rate_limit_says_how_long_to_wait(answers: dict[tuple[str, str], tuple[Answer, int]], name: str) -> None:
    for form in FORMS:
        answer, _ = answers[name, form]
        assert answer.headers["retry-after"] == ERRORS[name]["headers"]["retry-after"]
        assert answer.error["type"] == "rate_limit_error"


@pytest.mark.parametrize("name", [name for name, entry in ERRORS.items() if entry["status"] == 402])
def test_a_spent_allowance_is_final(answers: dict[tuple[str, str], tuple[Answer, int]], name: str) -> None:
    """Clients that repeat every 429 would do so until next month."""
    answer, _ = answers[name, "whole"]
    assert answer.headers["x-should-retry"] == "false"
    assert answer.error["type"] == "insufficient_quota"
    assert answer.error["code"] == ERRORS[name]["body"]["error"]["code"]


@pytest.mark.parametrize(
    "name",
    [name for name, entry in ERRORS.items() if entry["status"] in {400, 403, 413, 422} and name != "bodyless_400"],
)
def test_a_refusal_of_the_request_is_final(answers: dict[tuple[str, str], tuple[Answer, int]], name: str) -> None:
    assert answers[name, "whole"][0].headers["x-should-retry"] == "false"


def test_every_event_has_a_cause_and_its_status(
    journey: Journey, answers: dict[tuple[str, str], tuple[Answer, int]]
) -> None:
    """None of these is a defect of the gateway, and none a success."""
    found = [answer for answer, _ in answers.values()]
    for answer, event in zip(found, journey.events(*found), strict=True):
        assert event["status"] == answer.status
        assert event["cause"] in {"upstream_error", "upstream_rate_limited", "upstream_timeout", "bad_request"}


# Other ways to go wrong before the first byte ------------------------------------------------------------------------


def attempts_of(journey: Journey, answer: Answer) -> int:
    """How often the upstream was asked."""
    return len(journey.seen(answer))


@pytest.fixture
def one_fault(journey: Journey) -> Iterator[Any]:
    """Sets a fault for the next calls, and takes it away."""

    def set_fault(name: str, **more: Any) -> None:
        journey.simulator.post("/_sim/faults", {"name": name, "count": 1, **more})

    yield set_fault
    journey.simulator.post("/_sim/faults", {})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["500", "502", "504", "408", "529", "bodyless_400"])
def test_a_fault_that_passes_is_not_seen(journey: Journey, one_fault: Any, name: str, stream: bool) -> None:
    one_fault(name)
    answer = journey.send(CHAT, chat(say("second try"), stream=stream))
    assert (answer.status, answer.text) == (200, "second try")
    assert attempts_of(journey, answer) == 2


def test_a_repetition_is_not_billed_as_another_turn(journey: Journey, one_fault: Any) -> None:
    """The first attempt may have been counted as the user's; the second goes out as the agent's."""
    one_fault("502")
    answer = journey.send(CHAT, chat("hello"))
    assert [seen["headers"]["x-initiator"] for seen in journey.seen(answer)] == ["user", "agent"]


@pytest.mark.parametrize("stream", [False, True])
def test_garbage_instead_of_http_is_a_bad_gateway(journey: Journey, stream: bool) -> None:
    answer = journey.send(CHAT, chat(fault("garbage"), stream=stream))
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_that_closes_without_an_answer_is_a_bad_gateway(journey: Journey, stream: bool) -> None:
    """A kept connection may have been idle too long, so that is tried again; but not for ever."""
    answer = journey.send(CHAT, chat(fault("refused-close"), stream=stream))
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")
    assert attempts_of(journey, answer) <= 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gpt-4.1", "claude-sonnet-4.6"])
def test_an_answer_without_choices_is_no_answer(journey: Journey, model: str, stream: bool) -> None:
    """Copilot sends them now and then; a client would fail on the first choice."""
    answer = journey.send(CHAT, chat(fault("empty-choices"), model=model, stream=stream))
    assert answer.status == 502
    assert answer.error["code"] in {"upstream_error", "upstream_cut"}


def test_an_upstream_that_is_not_there_is_a_bad_gateway_until_it_is_back(tmp_path: Path) -> None:
    """Tried again a little, then told with the time after which to come back."""
    with Simulator() as simulator, GatewayProcess(tmp_path / "home", simulator.url) as gateway:
        key = admin_key(gateway)
        simulator.stop()
        for answer in send_all(gateway.url, CHAT, [chat("x"), chat("x", stream=True)], key=key):
            assert (answer.status, answer.error["code"]) == (502, "upstream_error")
            assert 1 <= int(answer.headers["retry-after"]) <= 30
            assert 0.5 < answer.seconds < 10
        simulator.arguments[simulator.arguments.index("0")] = simulator.url.rpartition(":")[2]
        simulator.start()
        assert send(gateway.url, CHAT, chat(say("back")), key=key).text == "back"


@pytest.mark.parametrize(("name", "status"), [("429", 429), ("502", 502), ("401", 502), ("400", 400), ("cut", 502)])
def test_embeddings_fail_alike(journey: Journey, name: str, status: int) -> None:
    journey.simulator.post("/_sim/faults", {"name": name, "endpoint": "/embeddings"})
    try:
        answer = journey.send("/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"})
    finally:
        journey.simulator.post("/_sim/faults", {"endpoint": "/embeddings"})
    assert answer.status == status
    assert answer.request_id in answer.error["message"]


# What the gateway itself refuses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "route_not_found"),
        ("POST", "/v1/completions", 404, "route_not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models/gpt-4.1", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/models/" + "x" * 5000, 404, "model_not_found"),
        ("GET", "/../../etc/passwd", 404, "route_not_found"),
        ("GET", "//v1/models", 404, "route_not_found"),
    ],
)
def test_what_is_not_there_is_told_in_the_same_envelope(
    journey: Journey, method: str, path: str, status: int, code: str
) -> None:
    answer = journey.send(path, method=method)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert len(answer.body) < 1000
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"   ", "empty"),
        (b"{", "JSON"),
        (b'{"model": "gpt-4.1", "messages": [', "line 1"),
        (b"[]", "object"),
        (b'"text"', "object"),
        (b"null", "object"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"model": "\xff"}', "UTF-8"),
        (b"{}", "model"),
        (b'{"model": "gpt-4.1"}', "messages"),
        (b'{"model": "gpt-4.1", "messages": [{"role": "user", "content": ' + b"[" * 5000 + b"]" * 5000 + b"}]}", ""),
        (b'{"model": "gpt-4.1", "messages": []}', "messages"),
        (b'{"model": "gpt-4.1", "messages": [{"role": "user", "content": NaN}]}', ""),
        (b"\x1f\x8b\x08\x00", ""),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_body_that_cannot_be_read_is_a_bad_request_that_says_where(journey: Journey, body: bytes, says: str) -> None:
    answer = journey.send(CHAT, body)
    assert answer.status == 400
    assert says in answer.error["message"]
    assert len(answer.body) < 2000


def test_an_encoded_body_is_refused_with_the_way_out(journey: Journey) -> None:
    answer = journey.send(CHAT, b"\x1f\x8b\x08\x00", headers={"content-encoding": "gzip"})
    assert answer.status == 415
    assert "Content-Encoding" in answer.error["message"]


def test_a_body_announced_as_too_large_is_refused_before_it_is_sent(journey: Journey) -> None:
    answer = journey.send(CHAT, b"", headers={"content-length": str(65 * 1024 * 1024)})
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")
