"""The GitHub hosts: user, token exchange and quota document."""

import pytest

from copilot_api.clock import SystemClock
from tests.simulator.client import CHAT, Answer, Client, question

TOKEN_PATH, USER_PATH = "/copilot_internal/v2/token", "/copilot_internal/user"


def _now() -> float:
    return SystemClock().now().timestamp()


def _get(simulator: Client, path: str, token: str, scheme: str = "token") -> Answer:
    return simulator.call("GET", path, headers={"authorization": f"{scheme} {token}"})


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
@pytest.mark.parametrize("token", ["ghu_a", "gho_a", "github_pat_a"])
def test_the_envelope_leads_back_to_the_simulator(simulator: Client, token: str, scheme: str) -> None:
    envelope = _get(simulator, TOKEN_PATH, token, scheme).json()
    fields, _, mac = envelope["token"].partition(":")
    values = dict(field.split("=", 1) for field in fields.split(";"))
    assert int(values["exp"]) == envelope["expires_at"]
    assert 1790 < envelope["expires_at"] - _now() <= 1800
    assert (envelope["refresh_in"], values["sku"], values["st"]) == (1500, envelope["sku"], "dotcom")
    assert len(mac) == 64
    assert envelope["endpoints"]["api"] == f"http://{simulator.host}:{simulator.port}"
    assert simulator.stats()["token_exchanges"] == 1


def test_the_lifetime_can_be_changed_while_it_runs(simulator: Client) -> None:
    simulator.control("/token", lifetime_seconds=60)
    envelope = _get(simulator, TOKEN_PATH, "ghu_a").json()
    assert envelope["refresh_in"] == 50
    assert envelope["expires_at"] - _now() <= 60
    simulator.control("/token", lifetime_seconds=60, refresh_in=7)
    assert _get(simulator, TOKEN_PATH, "ghu_a").json()["refresh_in"] == 7


@pytest.mark.parametrize("path", ["/user", TOKEN_PATH, USER_PATH])
@pytest.mark.parametrize("token", ["", "nonsense", "copilot"])
def test_other_tokens_are_bad_credentials(simulator: Client, path: str, token: str) -> None:
    answer = _get(simulator, path, simulator.exchange() if token == "copilot" else token)
    assert (answer.status, answer.json()["message"]) == (401, "Bad credentials")


def test_a_classic_token_finds_no_exchange(simulator: Client) -> None:
    assert _get(simulator, TOKEN_PATH, "ghp_a").status == 404
    assert _get(simulator, USER_PATH, "ghp_a").status == 401


def test_an_installation_token_is_forbidden(simulator: Client) -> None:
    assert _get(simulator, "/user", "ghs_a").status == 403


def test_every_simulated_login_is_a_user_of_its_own(simulator: Client) -> None:
    octocat, alice = (_get(simulator, "/user", token).json() for token in ("ghu_a", "ghu_sim_alice_1"))
    assert (octocat["login"], octocat["id"]) == ("octocat", 583231)
    assert alice["login"] == "alice"
    assert alice["id"] != octocat["id"]


def test_the_quota_document_moves_with_the_calls(simulator: Client) -> None:
    before = _get(simulator, USER_PATH, "ghu_sample").json()
    assert before["quota_snapshots"]["premium_interactions"]["remaining"] == 271
    assert before["endpoints"]["api"] == f"http://{simulator.host}:{simulator.port}"
    simulator.ask(CHAT, "hi", model="claude-haiku-4.5")
    premium = _get(simulator, USER_PATH, "ghu_sample").json()["quota_snapshots"]["premium_interactions"]
    assert (premium["quota_remaining"], premium["remaining"]) == (270.67, 270)


@pytest.mark.parametrize("initiator", ["user", "agent"])
def test_billed_by_tokens_it_moves_by_what_each_answer_says_it_cost(simulator: Client, initiator: str) -> None:
    simulator.control("/quota", entitlement=1500, used=0, token_based_billing=True)
    bodies = [{**question(CHAT, text), "model": "claude-haiku-4.5"} for text in ("hi", "ho")]
    said = [simulator.api(CHAT, body, x_initiator=initiator).json() for body in bodies]
    document = _get(simulator, USER_PATH, "ghu_sample").json()
    premium = document["quota_snapshots"]["premium_interactions"]
    charged = sum(answer["copilot_usage"]["total_nano_aiu"] for answer in said) / 1e9
    assert 0 < charged == pytest.approx(1500 - premium["quota_remaining"])
    assert document["token_based_billing"] is True
    simulator.ask(CHAT, "free", model="gpt-4.1")
    after = _get(simulator, USER_PATH, "ghu_sample").json()["quota_snapshots"]["premium_interactions"]
    assert after["quota_remaining"] == premium["quota_remaining"]
