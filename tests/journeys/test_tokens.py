"""The GitHub credential and the Copilot tokens made of it: renewed in time, once, and never the caller's trouble."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.harness import GITHUB_TOKEN, GatewayProcess, Simulator, http_json, wait_until
from tests.journeys.commands import ListeningGateway, admin_key, run_gateway
from tests.journeys.conftest import Journey
from tests.journeys.markers import chat, fault, say
from tests.journeys.wire import CHAT, Answer

TOKEN_PATH = "/copilot_internal/v2/token"
REVOKED = "token_401_bad_github_token"


@pytest.fixture(scope="module")
def tokens(lone_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    """A journey on the simulator of this module."""
    with GatewayProcess(tmp_path_factory.mktemp("home"), lone_simulator.url) as gateway:
        yield Journey(gateway, lone_simulator, admin_key(gateway))


@pytest.fixture(autouse=True)
def as_it_was(lone_simulator: Simulator) -> Iterator[None]:
    """Each test finds the simulator as new: no rules, an empty record, and no token that it knows."""
    lone_simulator.reset()
    yield
    lone_simulator.reset()


def statuses(simulator: Simulator) -> dict[str, int]:
    """How often the simulator answered with which status."""
    return dict(simulator.stats["by_status"])


def exchanges(simulator: Simulator) -> int:
    """How often a GitHub token was exchanged."""
    return int(simulator.stats["token_exchanges"])


def check_is_not_the_caller_s_fault(answer: Answer) -> None:
    """A 5xx in the OpenAI envelope: on a 401 a client would throw its own good key away."""
    assert 500 <= answer.status < 600
    assert answer.error["type"] == "server_error"
    assert answer.request_id in answer.error["message"]
    assert GITHUB_TOKEN not in answer.body.decode()


# Expiry --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_an_expired_token_is_exchanged_once_more_and_the_call_succeeds(tokens: Journey, stream: bool) -> None:
    tokens.send(CHAT, chat("warm up"))
    before = exchanges(tokens.simulator)
    tokens.simulator.post("/_sim/expire-tokens")
    answer = tokens.send(CHAT, chat(say("fine"), stream=stream))
    assert (answer.status, answer.text) == (200, "fine")
    assert exchanges(tokens.simulator) == before + 1
    first, second = tokens.seen(answer)
    assert first["headers"]["authorization"] != second["headers"]["authorization"]
    assert first["body"] == second["body"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_token_that_is_refused_in_mid_air_is_exchanged_once_more(tokens: Journey, stream: bool) -> None:
    tokens.send(CHAT, chat("warm up"))
    before = exchanges(tokens.simulator)
    answer = tokens.send(CHAT, chat(fault("401-expired"), stream=stream))
    assert answer.status == 200
    assert exchanges(tokens.simulator) == before + 1
    assert len(tokens.seen(answer)) == 2


def test_a_credential_that_stays_refused_is_tried_twice_and_no_more(tokens: Journey) -> None:
    tokens.send(CHAT, chat("warm up"))
    answer = tokens.send(CHAT, chat(fault("token_expired")))
    check_is_not_the_caller_s_fault(answer)
    assert answer.error["code"] == "upstream_unauthorized"
    assert len(tokens.seen(answer)) == 2


def test_a_hundred_calls_after_expiry_cause_one_exchange(tokens: Journey) -> None:
    tokens.send(CHAT, chat("warm up"))
    before = exchanges(tokens.simulator)
    tokens.simulator.post("/_sim/expire-tokens")
    with ThreadPoolExecutor(100) as pool:
        texts = [f"number {number}" for number in range(100)]
        answers = list(pool.map(lambda text: tokens.send(CHAT, chat(say(text))), texts))
    assert [answer.status for answer in answers] == [200] * 100
    assert [answer.text for answer in answers] == texts
    assert exchanges(tokens.simulator) == before + 1


def test_the_token_is_renewed_ahead_of_its_expiry(home: Path, lone_simulator: Simulator) -> None:
    """No call meets an expired one: the upstream never has to say 401."""
    lone_simulator.post("/_sim/token", {"lifetime_seconds": 3, "refresh_in": 1})
    with GatewayProcess(home, lone_simulator.url) as gateway:
        journey = Journey(gateway, lone_simulator, admin_key(gateway))
        before = exchanges(lone_simulator)
        deadline = time.monotonic() + 10
        while exchanges(lone_simulator) < before + 3:
            assert journey.send(CHAT, chat("hello")).status == 200
            assert time.monotonic() < deadline, "it is renewed every second"
        assert journey.send(CHAT, chat("hello")).status == 200
    assert "401" not in statuses(lone_simulator)


def test_a_renewal_that_fails_leaves_the_old_token_in_force(home: Path, lone_simulator: Simulator) -> None:
    """GitHub in trouble for a while is no reason to refuse calls that a valid token still serves."""
    lone_simulator.post("/_sim/token", {"lifetime_seconds": 600, "refresh_in": 1})
    with GatewayProcess(home, lone_simulator.url, "--verbose") as gateway:
        journey = Journey(gateway, lone_simulator, admin_key(gateway))
        lone_simulator.post("/_sim/faults", {"name": "500", "endpoint": TOKEN_PATH})
        wait_until(lambda: "could not be renewed" in gateway.output, 10, "a failed renewal")
        assert journey.send(CHAT, chat("hello")).status == 200
        assert http_json("GET", f"{gateway.url}/readyz")[0] == 200


# Kinds of tokens -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["gho_sim_ada_1234567890abcdefghijklmnop", "github_pat_sim_ada_0123456789abcdef"])
def test_some_kinds_of_tokens_are_used_directly(home: Path, lone_simulator: Simulator, token: str) -> None:
    with GatewayProcess(home, lone_simulator.url, github_token=token) as gateway:
        journey = Journey(gateway, lone_simulator, admin_key(gateway))
        answer = journey.send(CHAT, chat(say("direct")))
        assert answer.text == "direct"
        assert journey.seen(answer)[0]["headers"]["authorization"] == f"Bearer {token}"
    assert exchanges(lone_simulator) == 0
    assert TOKEN_PATH not in {request["path"] for request in lone_simulator.requests}


def test_a_directly_used_token_that_is_refused_is_not_the_caller_s_fault(home: Path, lone_simulator: Simulator) -> None:
    with GatewayProcess(home, lone_simulator.url, github_token="gho_0123456789abcdefghijklmnopqrstuvwxyz") as gateway:
        journey = Journey(gateway, lone_simulator, admin_key(gateway))
        check_is_not_the_caller_s_fault(journey.send(CHAT, chat(fault("token_invalid"))))
        assert journey.send(CHAT, chat(say("next"))).text == "next"


@pytest.mark.parametrize("given", ["flag", "variable", "file"])
def test_a_classic_token_is_refused_before_it_is_sent_anywhere(
    home: Path, lone_simulator: Simulator, given: str
) -> None:
    token = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
    flags = ["--github-token", token] if given == "flag" else []
    gateway = GatewayProcess(home, lone_simulator.url, *flags, github_token=token if given == "variable" else None)
    if given == "file":
        home.mkdir()
        (home / "github_token").write_text(token)
    ended = run_gateway(gateway)
    assert ended.code == 2
    assert "ghp_" in ended.err
    assert "hint: run 'copilot-api auth login'" in ended.err
    assert token not in ended.out + ended.err
    assert lone_simulator.requests == []


# Revoked -------------------------------------------------------------------------------------------------------------


def readiness(gateway: GatewayProcess) -> tuple[int, Any]:
    """`/readyz`."""
    return http_json("GET", f"{gateway.url}/readyz")


def test_a_revoked_credential_shows_at_the_start(home: Path, lone_simulator: Simulator) -> None:
    """The gateway runs and says what is wrong, in `/readyz` and to every caller."""
    lone_simulator.post("/_sim/faults", {"name": REVOKED})
    with ListeningGateway(home, lone_simulator.url) as gateway:
        journey = Journey(gateway, lone_simulator, admin_key(gateway))
        wait_until(lambda: "Bad credentials" in str(readiness(gateway)[1]), 5, "the reason")
        status, document = readiness(gateway)
        assert (status, document["status"]) == (503, "not ready")
        assert document["checks"]["token"]["ok"] is False
        assert document["checks"]["database"]["ok"] is True
        for stream in (False, True):
            check_is_not_the_caller_s_fault(journey.send(CHAT, chat("hello", stream=stream)))
        check_is_not_the_caller_s_fault(journey.send("/v1/models"))
        assert http_json("GET", f"{gateway.url}/healthz")[0] == 200


def test_a_credential_that_is_revoked_later_shows_and_mends_itself(tokens: Journey) -> None:
    assert tokens.send(CHAT, chat("hello")).status == 200
    tokens.simulator.post("/_sim/faults", {"name": REVOKED})
    tokens.simulator.post("/_sim/expire-tokens")
    answer = tokens.send(CHAT, chat("hello"))
    check_is_not_the_caller_s_fault(answer)
    assert answer.error["code"] == "upstream_unauthorized"
    assert "Bad credentials" in answer.error["message"]
    status, document = readiness(tokens.gateway)
    assert status == 503
    assert "Bad credentials" in document["checks"]["token"]["reason"]
    tokens.simulator.post("/_sim/faults", {})
    wait_until(lambda: readiness(tokens.gateway)[0] == 200, 20, "ready again")
    assert tokens.send(CHAT, chat("hello")).status == 200


def test_an_account_without_copilot_shows_the_reason(home: Path, lone_simulator: Simulator) -> None:
    lone_simulator.post("/_sim/faults", {"name": "token_403_no_copilot_access"})
    with ListeningGateway(home, lone_simulator.url) as gateway:
        journey = Journey(gateway, lone_simulator, admin_key(gateway))
        wait_until(lambda: "no_copilot_access" in str(readiness(gateway)[1]), 5, "the reason")
        answer = journey.send(CHAT, chat("hello"))
        assert answer.status not in {200, 401, 500}
        assert "no_copilot_access" in answer.error["message"]
