"""`GET /usage` and `GET /token`."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from copilot_api.api.account import Token, Usage
from copilot_api.api.door import Door
from copilot_api.api.responses import answering_errors
from copilot_api.errors import UpstreamFailed
from copilot_api.keys.service import IssuedKey
from copilot_api.upstream.auth import CopilotSession, CopilotSessions
from copilot_api.upstream.brake import Brake
from copilot_api.upstream.github import GitHub
from copilot_api.upstream.hosts import Hosts
from copilot_api.upstream.identities import CredentialSource, Identity
from copilot_api.upstream.quota_keeper import FRESH_SECONDS, QuotaKeeper
from copilot_api.upstream.quotas import QuotaReading
from copilot_api.usage.credit_reports import AccountReports
from copilot_api.usage.models import Cause, UsageEvent
from tests.api.wire import Reply, ask
from tests.fakes import FakeClock
from tests.gateway.calls import make_admission
from tests.stored import Stored

USER = {
    "login": "octocat",
    "copilot_plan": "business",
    "quota_snapshots": {"chat": {"entitlement": 300, "remaining": 120, "percent_remaining": 40.0}},
}
IDENTITY = Identity("gho_the_github_token", CredentialSource.FLAG)


class StubGitHub(GitHub):
    """A GitHub that counts how often it is asked."""

    def __init__(self) -> None:
        self.hosts = Hosts()
        self.asked: list[str] = []
        self.document: dict[str, Any] = USER
        self.fails_from = 1000
        """From which question on it gives no answer."""

    async def fetch_copilot_user(self, github_token: str) -> dict[str, Any]:
        self.asked.append(github_token)
        if len(self.asked) >= self.fails_from:
            raise UpstreamFailed("no answer from GitHub")
        return self.document


class ReadySessions(CopilotSessions):
    async def get(self) -> CopilotSession:
        if self.identity is None:
            return await super().get()
        return CopilotSession("tid=the-bearer", "https://api.example", float("inf"), float("inf"))


class Account:
    """Both endpoints on one stored gateway."""

    def __init__(self, door: Door, stored: Stored, clock: FakeClock, identity: Identity | None = IDENTITY) -> None:
        self.github = StubGitHub()
        self.may_capture = True
        self._door, self._stored, self._clock, self._identity = door, stored, clock, identity

    def _sessions(self) -> CopilotSessions:
        return ReadySessions(self.github, self._identity, self._clock)

    def usage(self, secret: str | None) -> Reply:
        return self.usages(secret, 0.0)[0]

    def usages(self, secret: str | None, *pauses: float) -> list[Reply]:
        """The answers to questions that come so many seconds after one another, while a gateway runs."""

        async def test() -> list[Reply]:
            stored, clock = self._stored, self._clock
            quota = QuotaKeeper(self.github, self._sessions(), Brake(8), stored.quotas, clock)
            reports = AccountReports(stored.quotas, stored.usage)
            usage = Usage(
                self._door,
                stored.usage,
                make_admission(clock),
                quota,
                reports,
                clock,
                may_capture=lambda: self.may_capture,
            )
            keeping = asyncio.get_running_loop().create_task(quota.run())
            replies: list[Reply] = []
            for pause in pauses:
                clock.advance(pause)
                replies.append(await ask(answering_errors(usage), "/usage", headers=_headers(secret)))
            keeping.cancel()
            return replies

        return asyncio.run(test())

    def token(self, secret: str | None) -> Reply:
        async def test() -> Reply:
            return await ask(answering_errors(Token(self._door, self._sessions())), "/token", headers=_headers(secret))

        return asyncio.run(test())


def _headers(secret: str | None) -> dict[str, str]:
    return {} if secret is None else {"authorization": f"Bearer {secret}"}


@pytest.fixture
def account(door: Door, stored: Stored, clock: FakeClock) -> Account:
    return Account(door, stored, clock)


def event(number: int, key_id: str, clock: FakeClock, **more: Any) -> UsageEvent:
    at = clock.now().isoformat()
    return UsageEvent(
        **{"request_id": f"r{number}", "at": at, "key_id": key_id, "cause": Cause.OK, "status": 200, **more}
    )


def test_a_client_sees_its_own_usage_and_no_others(
    account: Account, stored: Stored, clock: FakeClock, client: IssuedKey, admin: IssuedKey
) -> None:
    stored.usage.add_events(
        [event(1, client.key.id, clock, input_tokens=10, output_tokens=3, nano_aiu=2_000_000_000), event(2, admin.key.id, clock, input_tokens=1000)]
    )  # fmt: skip
    clock.advance(1)
    reply = account.usage(client.secret)
    assert reply.status == 200
    assert reply.json.keys() == {"since", "until", "total", "limits", "capture"}
    total = reply.json["total"]
    assert (total["requests"], total["errors"], total["input_tokens"], total["output_tokens"], total["credits"]) == (
        1,
        0,
        10,
        3,
        2.0,
    )
    assert reply.json["limits"] == []
    assert reply.headers is not None
    assert reply.headers["cache-control"] == "no-store"
    assert b"octocat" not in reply.body


@pytest.mark.parametrize("is_admin", [False, True])
def test_who_is_captured_is_told_until_when_and_why(
    account: Account, stored: Stored, clock: FakeClock, client: IssuedKey, admin: IssuedKey, *, is_admin: bool
) -> None:
    issued = admin if is_admin else client
    assert account.usage(issued.secret).json["capture"] is None
    stored.keys.start_capture(issued.key.id, "slow answers", 60, actor="test")
    until = (clock.now() + timedelta(seconds=60)).isoformat(timespec="seconds")
    assert account.usage(issued.secret).json["capture"] == {"until": until, "reason": "slow answers"}
    account.may_capture = False
    assert account.usage(issued.secret).json["capture"] is None
    account.may_capture = True
    clock.advance(60)
    assert account.usage(issued.secret).json["capture"] is None


def test_a_new_client_has_used_nothing(account: Account, client: IssuedKey) -> None:
    assert account.usage(client.secret).json["total"]["requests"] == 0


def test_an_admin_sees_the_accounts_quota(account: Account, clock: FakeClock, admin: IssuedKey) -> None:
    reply = account.usage(admin.secret)
    assert reply.status == 200
    assert (reply.json["login"], reply.json["plan"]) == ("octocat", "business")
    assert reply.json["snapshots"][0]["remaining"] == 120
    assert (reply.json["read_at"], reply.json["age_seconds"]) == (clock.now().isoformat(), 0)
    assert account.github.asked == [IDENTITY.github_token]
    assert IDENTITY.github_token.encode() not in reply.body
    assert reply.headers is not None
    assert reply.headers["cache-control"] == "no-store"


def test_an_admin_sees_the_pace_the_forecast_and_what_went_elsewhere(
    account: Account, stored: Stored, clock: FakeClock, client: IssuedKey, admin: IssuedKey
) -> None:
    at = clock.now()
    resets_at = at.replace(month=8, day=1, hour=0)
    account.github.document = {
        "quota_reset_date": "2026-08-01",
        "quota_snapshots": {
            "premium_interactions": {"entitlement": 1500, "remaining": 1400, "token_based_billing": True}
        },
    }
    earlier = at - timedelta(hours=6)
    stored.quotas.record(
        [QuotaReading("premium_interactions", earlier, 1500.0, 90.0, is_token_based=True, resets_at=resets_at)]
    )
    charge = {"identity_id": "default", "nano_aiu": 75_000_000_000}
    stored.usage.add_events([event(1, client.key.id, clock, **charge)])
    first, second = account.usages(admin.secret, 1.0, 20.0)
    document = first.json
    assert (document["charged_to"], document["unit"]) == ("premium_interactions", "credits")
    assert document["pace"]["used"] == 100
    assert document["forecast"]["reason"] == "too_little_history"
    unattributed = document["unattributed"]
    assert (unattributed["moved"], unattributed["through_here"], unattributed["share"]) == (100, 75, 0.25)
    assert (second.json["age_seconds"], second.json["read_at"]) == (20, first.json["read_at"])
    assert second.json["unattributed"] == unattributed


def test_github_is_asked_gently(account: Account, admin: IssuedKey) -> None:
    replies = account.usages(admin.secret, 0, 1, 1, FRESH_SECONDS - 2, 1)
    assert len(account.github.asked) == 2
    assert [reply.json["age_seconds"] for reply in replies] == [0, 1, 2, 60, 0]


def test_while_github_fails_the_last_reading_is_shown_with_its_age(account: Account, admin: IssuedKey) -> None:
    account.github.fails_from = 2
    replies = account.usages(admin.secret, 0, 100, 500)
    assert [(reply.status, reply.json["age_seconds"]) for reply in replies] == [(200, 0), (200, 100), (200, 600)]
    assert len(account.github.asked) == 3


def test_a_database_that_is_away_does_not_hide_the_quota(account: Account, stored: Stored, admin: IssuedKey) -> None:
    with stored.database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE quota_readings")
    reply = account.usage(admin.secret)
    assert (reply.status, reply.json["login"], reply.json["unattributed"]) == (200, "octocat", None)


def test_a_quota_that_cannot_be_read_is_an_upstream_failure(account: Account, admin: IssuedKey) -> None:
    account.github.fails_from = 1
    reply = account.usage(admin.secret)
    assert reply.status == 502
    assert "no answer from GitHub" in reply.json["error"]["message"]


def test_without_an_identity_there_is_no_quota(door: Door, stored: Stored, clock: FakeClock, admin: IssuedKey) -> None:
    assert Account(door, stored, clock, None).usage(admin.secret).json["error"]["code"] == "no_credential"


def test_the_token_is_for_admins_only(account: Account, client: IssuedKey, admin: IssuedKey) -> None:
    reply = account.token(admin.secret)
    assert reply.json == {"token": "tid=the-bearer", "api": "https://api.example"}
    assert reply.headers is not None
    assert reply.headers["cache-control"] == "no-store"
    for secret, status in ((client.secret, 403), (None, 401), ("sk-cap-" + "a" * 52, 401)):
        refused = account.token(secret)
        assert refused.status == status
        assert b"the-bearer" not in refused.body


def test_an_open_gateway_gives_the_token_to_nobody_without_an_admin_key(
    open_door: Door, stored: Stored, clock: FakeClock, admin: IssuedKey
) -> None:
    account = Account(open_door, stored, clock)
    assert account.token(None).status == 401
    assert account.token("anything").status == 401
    assert account.token(admin.secret).status == 200


def test_without_an_identity_there_is_no_token(door: Door, stored: Stored, clock: FakeClock, admin: IssuedKey) -> None:
    assert Account(door, stored, clock, None).token(admin.secret).json["error"]["code"] == "no_credential"
