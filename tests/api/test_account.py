"""`GET /usage` and `GET /token`."""

import asyncio
from typing import Any

import pytest

from copilot_api.api.account import QUOTA_SECONDS, Token, Usage
from copilot_api.api.door import Door
from copilot_api.api.responses import answering_errors
from copilot_api.errors import UpstreamFailed
from copilot_api.keys.service import IssuedKey
from copilot_api.upstream.auth import CopilotSession, CopilotSessions
from copilot_api.upstream.github import GitHub
from copilot_api.upstream.hosts import Hosts
from copilot_api.upstream.identities import CredentialSource, Identity
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
        self.is_broken = False

    async def fetch_copilot_user(self, github_token: str) -> dict[str, Any]:
        self.asked.append(github_token)
        if self.is_broken:
            raise UpstreamFailed("no answer from GitHub")
        return USER


class ReadySessions(CopilotSessions):
    async def get(self) -> CopilotSession:
        if self.identity is None:
            return await super().get()
        return CopilotSession("tid=the-bearer", "https://api.example", float("inf"), float("inf"))


class Account:
    """Both endpoints on one stored gateway."""

    def __init__(self, door: Door, stored: Stored, clock: FakeClock, identity: Identity | None = IDENTITY) -> None:
        self.github = StubGitHub()
        self._door, self._stored, self._clock, self._identity = door, stored, clock, identity
        self._usage: Usage | None = None

    def _sessions(self) -> CopilotSessions:
        return ReadySessions(self.github, self._identity, self._clock)

    def usage(self, secret: str | None) -> Reply:
        async def test() -> Reply:
            if self._usage is None:
                self._usage = Usage(
                    self._door,
                    self._stored.usage,
                    make_admission(self._clock),
                    self.github,
                    self._sessions(),
                    self._clock,
                )
            return await ask(answering_errors(self._usage), "/usage", headers=_headers(secret))

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
    assert reply.json.keys() == {"since", "until", "total", "limits"}
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
    assert account.github.asked == []


def test_a_new_client_has_used_nothing(account: Account, client: IssuedKey) -> None:
    assert account.usage(client.secret).json["total"]["requests"] == 0


def test_an_admin_sees_the_accounts_quota(account: Account, admin: IssuedKey) -> None:
    reply = account.usage(admin.secret)
    assert reply.status == 200
    assert (reply.json["login"], reply.json["plan"]) == ("octocat", "business")
    assert account.github.asked == [IDENTITY.github_token]
    assert IDENTITY.github_token.encode() not in reply.body


def test_github_is_asked_gently(account: Account, clock: FakeClock, admin: IssuedKey) -> None:
    for _ in range(5):
        account.usage(admin.secret)
    assert len(account.github.asked) == 1
    clock.advance(QUOTA_SECONDS + 1)
    account.usage(admin.secret)
    assert len(account.github.asked) == 2


def test_a_quota_that_cannot_be_read_is_an_upstream_failure(account: Account, admin: IssuedKey) -> None:
    account.github.is_broken = True
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
