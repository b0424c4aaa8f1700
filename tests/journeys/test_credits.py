"""One account, a gateway and somebody beside it: what went through the gateway is told from what did not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness import GatewayProcess, Simulator, http_json, wait_until
from tests.journeys.markers import chat
from tests.journeys.wire import CHAT, send

MODEL = "claude-haiku-4.5"
SOMEBODY = "gho_somebody0000000000000000000000000000"  # of the same account, as every token is that names no other


@dataclass(frozen=True)
class Account:
    """The account, and the gateway that shares it. A gateway reads the quota when it starts."""

    simulator: Simulator
    gateway: GatewayProcess
    admin: str
    client: str

    def call(self, times: int, **more: Any) -> None:
        """Calls through the gateway, each of them in the ledger."""
        stored = len(self.gateway.events())
        for number in range(times):
            answer = send(self.gateway.url, CHAT, chat(f"question {number}", model=MODEL, **more), key=self.client)
            assert answer.status == 200
        wait_until(lambda: len(self.gateway.events()) == stored + times, 10, "the events of the calls")

    def call_elsewhere(self, times: int) -> float:
        """Calls of somebody who does not use the gateway; what they cost in credits."""
        credit = 0.0
        for number in range(times):
            answer = send(self.simulator.url, "/chat/completions", chat(f"secret {number}", model=MODEL), key=SOMEBODY)
            assert answer.status == 200
            credit += answer.json["copilot_usage"]["total_nano_aiu"] / 1e9
        return credit

    def read(self) -> dict[str, Any]:
        """What an admin sees once the quota has been read again."""
        self.gateway.stop()
        self.gateway.start()
        status, document = http_json("GET", f"{self.gateway.url}/usage", key=self.admin)
        assert status == 200
        return dict(document)


@pytest.fixture(params=[True, False], ids=["credits", "premium requests"])
def account(request: pytest.FixtureRequest, lone_simulator: Simulator, home: Path) -> Any:
    """The account at the beginning of its month, however it is billed."""
    lone_simulator.reset()
    lone_simulator.post("/_sim/quota", {"entitlement": 1500, "used": 0, "token_based_billing": request.param})
    with GatewayProcess(home, lone_simulator.url) as gateway:
        admin = (home / "admin.key.txt").read_text().strip()
        yield Account(lone_simulator, gateway, admin, gateway.create_key("journey"))


def test_what_goes_elsewhere_shows_and_what_comes_here_does_not(account: Account) -> None:
    first = account.read()
    assert first["age_seconds"] < 60
    assert (first["unattributed"]["moved"], first["unattributed"]["through_here"]) == (0, 0)

    account.call(3)
    account.call(2, stream=True)
    ours = account.read()["unattributed"]
    assert 0 < ours["moved"] == pytest.approx(ours["through_here"], abs=1e-6)
    assert ours["share"] == pytest.approx(0, abs=1e-6)
    assert ours["covered_share"] == pytest.approx(1, abs=1e-6)

    credit = account.call_elsewhere(4)
    document = account.read()
    theirs = document["unattributed"]
    cost = credit if document["unit"] == "credits" else 4 * 0.33
    assert theirs["through_here"] == pytest.approx(ours["through_here"])
    assert theirs["amount"] == pytest.approx(cost, abs=1e-6)
    assert theirs["share"] == pytest.approx(cost / (ours["moved"] + cost), abs=1e-5)

    (identity,) = http_json("GET", f"{account.gateway.url}/admin/api/identities", key=account.admin)[1]["identities"]
    used = [reading["used"] for reading in identity["quota"]["readings"]]
    assert used[0] == 0
    assert used == sorted(used)
    assert used[-1] == pytest.approx(theirs["moved"])
    assert identity["token"]["is_valid"]
    assert "elsewhere" in account.gateway.cli("check-usage")
    assert SOMEBODY not in account.gateway.output


def test_a_gateway_at_rest_leaves_github_alone(account: Account) -> None:
    """Whoever looks at the quota many times makes it ask once a minute at most."""
    before = account.simulator.stats["by_path"].get("/copilot_internal/user", 0)
    for _ in range(20):
        assert http_json("GET", f"{account.gateway.url}/usage", key=account.admin)[0] == 200
        assert http_json("GET", f"{account.gateway.url}/admin/api/identities", key=account.admin)[0] == 200
    after = account.simulator.stats["by_path"]["/copilot_internal/user"]
    assert after - before <= 1
