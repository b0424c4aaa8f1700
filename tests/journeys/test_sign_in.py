"""Another account at GitHub, without a restart: from the admin API, and with `auth login` beside the gateway."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import GITHUB_TOKEN, GatewayProcess, Simulator, http_json, wait_until
from tests.journeys.markers import chat, say
from tests.journeys.wire import CHAT, opened, send

SIGN_IN = "/admin/api/identities/default/sign-in"


@pytest.fixture
def own() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def gateway(own: Simulator, home: Path) -> Iterator[GatewayProcess]:
    """One whose credential is in its data directory."""
    home.mkdir(mode=0o700)
    (home / "github_token").write_text(GITHUB_TOKEN)
    (home / "github_token").chmod(0o600)
    with GatewayProcess(home, own.url, github_token=None) as running:
        yield running


def ask(gateway: GatewayProcess, method: str, path: str = SIGN_IN) -> tuple[int, Any]:
    return http_json(method, gateway.url + path, key=(gateway.home / "admin.key.txt").read_text().strip())


def account(gateway: GatewayProcess) -> str | None:
    (identity,) = ask(gateway, "GET", "/admin/api/identities")[1]["identities"]
    return None if identity["login"] is None else str(identity["login"])


def bearers(simulator: Simulator) -> list[str]:
    return [request["path"] for request in simulator.requests if request["path"] == "/copilot_internal/v2/token"]


def test_the_next_call_uses_the_new_account_and_a_stream_under_way_is_left_alone(
    own: Simulator, gateway: GatewayProcess
) -> None:
    key = gateway.create_key()
    wait_until(lambda: account(gateway), 10, "the account")
    own.post("/_sim/device", {"pending_polls": 1, "interval_seconds": 1, "login": "ada"})
    own.post("/_sim/pace", {"gap_seconds": 0.1, "tokens": 50})
    with opened(gateway.url, CHAT, chat("count", stream=True), key=key) as response:
        assert response.readline().startswith(b"data: ")
        status, shown = ask(gateway, "POST")
        assert (status, shown["state"]) == (200, "waiting")
        assert ask(gateway, "POST")[1]["error"]["code"] == "sign_in_under_way"
        before = len(bearers(own))
        wait_until(lambda: ask(gateway, "GET")[1]["state"] == "done", 15, "the login")
        assert ask(gateway, "GET")[1]["login"] == "ada"
        wait_until(lambda: len(bearers(own)) > before, 5, "another Copilot token")
        assert response.read().endswith(b"data: [DONE]\n\n")
    assert send(gateway.url, CHAT, chat(say("hello")), key=key).text == "hello"
    wait_until(lambda: account(gateway) == "ada", 10, "the other account")
    token = (gateway.home / "github_token").read_text()
    assert "ada" in token
    assert (gateway.home / "github_token").stat().st_mode & 0o777 == 0o600
    assert "identity.signed_in" in (gateway.home / "audit.jsonl").read_text()
    for place in (gateway.output, (gateway.home / "audit.jsonl").read_text(), str(ask(gateway, "GET"))):
        assert token not in place


def test_a_login_of_the_command_line_is_noticed(own: Simulator, gateway: GatewayProcess) -> None:
    key = gateway.create_key()
    own.post("/_sim/device", {"pending_polls": 0, "interval_seconds": 1, "login": "grace"})
    gateway.cli("auth", "login")
    wait_until(lambda: account(gateway) == "grace", 10, "the other account")
    assert send(gateway.url, CHAT, chat(say("hello")), key=key).text == "hello"
    gateway.cli("auth", "logout")
    wait_until(lambda: "is gone from the data directory" in gateway.output, 10, "the notice")
    assert send(gateway.url, CHAT, chat(say("still")), key=key).text == "still"


def test_a_login_is_cancelled_and_client_keys_know_nothing_of_it(own: Simulator, gateway: GatewayProcess) -> None:
    own.post("/_sim/device", {"pending_polls": -1})
    assert ask(gateway, "GET")[0] == 404
    assert ask(gateway, "POST")[0] == 200
    client = gateway.create_key()
    for method in ("GET", "POST", "DELETE"):
        assert http_json(method, gateway.url + SIGN_IN, key=client)[0] == 403
    assert ask(gateway, "DELETE")[1]["state"] == "cancelled"
    assert ask(gateway, "GET")[0] == 404
    assert ask(gateway, "POST", "/admin/api/identities/other/sign-in")[0] == 404


def test_where_the_token_was_given_a_login_would_not_last(own: Simulator, home: Path) -> None:
    with GatewayProcess(home, own.url) as gateway:
        status, answer = ask(gateway, "POST")
        assert (status, answer["error"]["code"]) == (409, "credential_given")
