"""The device flow ends the way it was told to, and answers every poll with 200."""

from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from copilot_api.simulator.options import SimulatorOptions
from tests.simulator.client import Client
from tests.simulator.conftest import Start

APP, OAUTH_APP = "Iv1.b507a08c87ecfe98", "Ov23li8tweQw6odWQebz"
JSON = {"accept": "application/json"}
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def _begin(simulator: Client, client_id: str = APP) -> dict[str, Any]:
    fields = {"client_id": client_id, "scope": "read:user"}
    answer: dict[str, Any] = simulator.call("POST", "/login/device/code", fields, JSON).json()
    return answer


def _poll(simulator: Client, code: str, client_id: str = APP, **fields: str) -> dict[str, Any]:
    body = {"client_id": client_id, "device_code": code, "grant_type": GRANT, **fields}
    answer = simulator.call("POST", "/login/oauth/access_token", body, JSON)
    assert answer.status == 200
    polled: dict[str, Any] = answer.json()
    return polled


@pytest.mark.parametrize(("client_id", "prefix", "scope"), [(APP, "ghu_", ""), (OAUTH_APP, "gho_", "read:user")])
def test_after_the_pending_polls_comes_a_token_that_works(
    simulator: Client, client_id: str, prefix: str, scope: str
) -> None:
    simulator.control("/device", pending_polls=2)
    begun = _begin(simulator, client_id)
    code = begun["device_code"]
    assert list(begun) == ["device_code", "user_code", "verification_uri", "expires_in", "interval"]
    assert len(begun["user_code"]) == 9
    pending = [_poll(simulator, code, client_id)["error"] for _ in range(2)]
    assert pending == ["authorization_pending"] * 2
    done = _poll(simulator, code, client_id)
    assert (done["token_type"], done["scope"]) == ("bearer", scope)
    assert done["access_token"].startswith(prefix)
    assert simulator.exchange(done["access_token"])
    assert _poll(simulator, code, client_id)["error"] == "incorrect_device_code"


@pytest.mark.parametrize(("outcome", "error"), [("deny", "access_denied"), ("expire", "expired_token")])
def test_it_can_end_badly(simulator: Client, outcome: str, error: str) -> None:
    simulator.control("/device", outcome=outcome, pending_polls=0)
    assert _poll(simulator, _begin(simulator)["device_code"])["error"] == error


def test_a_code_ends_by_itself(simulator: Client) -> None:
    simulator.control("/device", expires_in=0)
    assert _poll(simulator, _begin(simulator)["device_code"])["error"] == "expired_token"


def test_it_stays_pending_until_told_otherwise(simulator: Client) -> None:
    simulator.control("/device", pending_polls=-1)
    code = _begin(simulator)["device_code"]
    assert {_poll(simulator, code)["error"] for _ in range(5)} == {"authorization_pending"}
    simulator.control("/device", pending_polls=0, login="alice")
    assert _poll(simulator, code)["access_token"].startswith("ghu_sim_alice_")


def test_polls_that_come_too_fast_are_slowed_down(start: Start) -> None:
    client = start(SimulatorOptions(device_interval_seconds=5))
    code = _begin(client)["device_code"]
    assert _poll(client, code)["error"] == "authorization_pending"
    slowed = _poll(client, code)
    assert (slowed["error"], slowed["interval"]) == ("slow_down", 10)


def test_programming_errors_are_named(simulator: Client) -> None:
    code = _begin(simulator)["device_code"]
    assert _poll(simulator, "wrong")["error"] == "incorrect_device_code"
    assert _poll(simulator, code, OAUTH_APP)["error"] == "incorrect_device_code"
    assert _poll(simulator, code, grant_type="x")["error"] == "unsupported_grant_type"
    assert simulator.call("POST", "/login/device/code", {"client_id": "unknown"}, JSON).status == 404


def test_forms_are_read_and_written_when_json_is_not_asked_for(simulator: Client) -> None:
    answer = simulator.call("POST", "/login/device/code", urlencode({"client_id": APP}).encode())
    assert answer.headers["content-type"].startswith("application/x-www-form-urlencoded")
    code = parse_qs(answer.text)["device_code"][0]
    form = urlencode({"client_id": APP, "device_code": code, "grant_type": GRANT}).encode()
    polled = simulator.call("POST", "/login/oauth/access_token", form)
    assert parse_qs(polled.text)["error"] == ["authorization_pending"]
