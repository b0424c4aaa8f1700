"""Tokens of every kind are told apart, and exchanged ones end."""

import pytest

from copilot_api.simulator.accounts import bearer_of, kind_of, login_of
from copilot_api.simulator.options import SimulatorOptions
from tests.simulator.client import CHAT, Client, question
from tests.simulator.conftest import Start


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("ghu_a", "app"),
        ("gho_a", "direct"),
        ("github_pat_a", "direct"),
        ("ghp_a", "classic"),
        ("ghs_a", "installation"),
        ("", "unknown"),
    ],
)
def test_the_prefix_tells_the_kind(token: str, kind: str) -> None:
    assert kind_of(token) == kind


def test_a_simulated_name_is_the_login_and_everybody_else_is_octocat() -> None:
    assert login_of("ghu_sim_alice_0123") == "alice"
    assert login_of("ghu_0123") == "octocat"


def test_both_schemes_of_authorization_are_read() -> None:
    assert bearer_of("token a") == bearer_of("Bearer a") == "a"
    assert bearer_of("Basic a") == ""


@pytest.mark.parametrize(
    ("bearer", "status"),
    [("gho_a", 200), ("github_pat_a", 200), ("ghu_a", 401), ("ghp_a", 401), ("nonsense", 401), ("", 401)],
)
def test_only_tokens_of_oauth_apps_and_fine_grained_ones_are_bearers(
    simulator: Client, bearer: str, status: int
) -> None:
    answer = simulator.api(CHAT, question(CHAT, "hi"), authorization=f"Bearer {bearer}")
    assert answer.status == status


def test_an_expired_token_is_refused_in_plain_text(start: Start) -> None:
    client = start(SimulatorOptions(token_lifetime_seconds=0))
    answer = client.ask(CHAT, "hi")
    assert (answer.status, answer.text) == (401, "unauthorized: token expired\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_all_tokens_can_be_expired_at_once_and_new_ones_work(simulator: Client) -> None:
    assert simulator.ask(CHAT, "hi").status == 200
    assert simulator.control("/expire-tokens") == {"expired": 1}
    assert simulator.ask(CHAT, "hi").status == 401
    simulator._token = None
    assert simulator.ask(CHAT, "hi").status == 200
