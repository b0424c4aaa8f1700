"""`GET /admin/api/identities`: whose credential it is and how it stands, without any secret."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from copilot_api.admission.in_flight import Slots
from copilot_api.api.admin_endpoint import AdminEndpoint, Asked
from copilot_api.api.door import Door
from copilot_api.api.identities import Identities
from copilot_api.api.operations.account import IdentityList, Resumed
from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.errors import AccountFlagged, UpstreamFailed, UpstreamRateLimited
from copilot_api.keys.service import IssuedKey
from copilot_api.upstream.auth import CopilotSessions
from copilot_api.upstream.brake import Brake, Stop
from copilot_api.upstream.github import CopilotToken, GitHub
from copilot_api.upstream.hosts import Hosts
from copilot_api.upstream.identities import CredentialSource, Identity, IdentityNotFound
from copilot_api.upstream.quota_keeper import QuotaKeeper
from copilot_api.usage.credit_reports import AccountReports
from tests.api.admin_router import make_admin_router
from tests.api.wire import Reply, ask
from tests.fakes import FakeClock
from tests.stored import Stored

SECRETS = ("ghu_the_github_token", "tid=the-bearer")
PREMIUM = {"entitlement": 300, "remaining": 120, "quota_reset_at": 1785542400}  # 2026-08-01


class StubGitHub(GitHub):
    def __init__(self) -> None:
        self.hosts = Hosts()
        self.failure: Exception | None = None

    async def fetch_copilot_user(self, github_token: str) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        return {
            "login": "octocat",
            "copilot_plan": "business",
            "quota_snapshots": {"chat": {"unlimited": True}, "premium_interactions": PREMIUM},
        }

    async def fetch_copilot_token(self, github_token: str) -> CopilotToken:
        if self.failure is not None:
            raise self.failure
        return CopilotToken("tid=the-bearer", 0, 1500)


@dataclass
class Site:
    """The endpoint beside a gateway's own tasks, which have had their first turn."""

    door: Door
    stored: Stored
    clock: FakeClock
    github_token: str | None = SECRETS[0]

    def __post_init__(self) -> None:
        self.github = StubGitHub()
        self.brake = Brake(8)

    def ask(self, secret: str | None) -> Reply:
        async def test() -> Reply:
            identity = Identity(self.github_token, CredentialSource.FILE) if self.github_token else None
            sessions = CopilotSessions(self.github, identity, self.clock)
            quota = QuotaKeeper(self.github, sessions, self.brake, self.stored.quotas, self.clock)
            reports = AccountReports(self.stored.quotas, self.stored.usage)
            slots = Slots(self.brake, self.clock)
            identities = Identities(sessions, quota, reports, slots, self.stored.stops, self.clock)

            async def list_all(_asked: Asked) -> IdentityList:
                return await identities.list_all()

            endpoint = AdminEndpoint(self.door, self.clock, list_all)
            loop = asyncio.get_running_loop()
            tasks = [loop.create_task(sessions.run()), loop.create_task(quota.run())]
            await asyncio.sleep(0.02)
            headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
            router = make_admin_router({"list_identities": endpoint})
            reply = await ask(router, "/admin/api/identities", headers=headers)
            for task in tasks:
                task.cancel()
            return reply

        return asyncio.run(test())

    def only(self, admin: IssuedKey) -> dict[str, Any]:
        """The one identity there is."""
        (identity,) = self.ask(admin.secret).json["identities"]
        return dict(identity)


@pytest.fixture
def site(door: Door, stored: Stored, clock: FakeClock) -> Site:
    return Site(door, stored, clock)


def test_it_says_whose_credential_it_is_and_how_it_stands(site: Site, clock: FakeClock, admin: IssuedKey) -> None:
    identity = site.only(admin)
    quota = identity.pop("quota")
    assert identity == {
        "id": "default",
        "kind": "GitHub App user token (exchanged for Copilot tokens)",
        "source": "github_token file",
        "login": "octocat",
        "plan": "business",
        "token": {"is_valid": True, "expires_at": "2026-07-01T12:26:00+00:00", "failure": None},
        "slots": {"in_flight": 0, "waiting": 0, "allowed": 8, "most": 8},
        "brake": {
            "is_braking": False, "is_paced": False, "hold_seconds": 0, "stopped_at": None, "stop_reason": None
        },
        "quota_failure": None,
    }  # fmt: skip
    assert (quota["charged_to"], quota["read_at"]) == ("premium_interactions", clock.now().isoformat())
    assert quota["pace"]["used"] == 180
    assert quota["forecast"]["reason"] == "too_little_history"
    assert quota["unattributed"]["amount"] == 180
    assert quota["readings"][-1] == {
        "at": "2026-07-01T12:00:00+00:00",
        "entitlement": 300,
        "used": 180,
        "overage": 0,
        "resets_at": "2026-08-01T00:00:00+00:00",
    }


def test_no_secret_is_in_it_and_no_cache_keeps_it(site: Site, admin: IssuedKey) -> None:
    reply = site.ask(admin.secret)
    assert not [secret for secret in SECRETS if secret.encode() in reply.body]
    assert reply.headers is not None
    assert reply.headers["cache-control"] == "no-store"


def test_it_is_for_admins(site: Site, open_door: Door, client: IssuedKey, admin: IssuedKey) -> None:
    for secret, status in ((client.secret, 403), (None, 401), ("sk-cap-" + "a" * 52, 401)):
        assert site.ask(secret).status == status
    site.door = open_door
    assert (site.ask(None).status, site.ask(admin.secret).status) == (401, 200)


def test_a_gateway_without_a_credential_has_none(site: Site, admin: IssuedKey) -> None:
    site.github_token = None
    assert site.ask(admin.secret).json == {"identities": []}


def test_a_token_that_is_used_as_it_is_has_no_end_that_is_known(site: Site, admin: IssuedKey) -> None:
    site.github_token = "gho_the_github_token"
    assert site.only(admin)["token"] == {"is_valid": True, "expires_at": None, "failure": None}


def test_what_fails_says_why(site: Site, admin: IssuedKey) -> None:
    site.github.failure = UpstreamFailed("no answer from GitHub")
    identity = site.only(admin)
    assert identity["token"] == {"is_valid": False, "expires_at": None, "failure": "no answer from GitHub"}
    assert identity["quota_failure"] == "no answer from GitHub"
    assert (identity["quota"], identity["login"], identity["plan"]) == (None, None, None)


def test_a_brake_that_is_on_shows(site: Site, clock: FakeClock, admin: IssuedKey) -> None:
    now = clock.monotonic()
    site.brake.refused(UpstreamRateLimited("slow down", retry_after=30.0), now, now)
    identity = site.only(admin)
    assert (identity["slots"]["allowed"], identity["slots"]["most"]) == (4, 8)
    assert (identity["brake"]["is_braking"], identity["brake"]["hold_seconds"]) == (True, 30)


def test_a_stopped_identity_shows_since_when_and_why(site: Site, clock: FakeClock, admin: IssuedKey) -> None:
    site.brake.stop = Stop(clock.now(), AccountFlagged("suspicious activity").message)
    brake = site.only(admin)["brake"]
    assert (brake["stopped_at"], brake["stop_reason"]) == ("2026-07-01T12:00:00+00:00", "suspicious activity")


def test_a_stopped_identity_is_resumed_on_record_and_one_that_is_not_stays_so(
    stored: Stored, clock: FakeClock, admin: IssuedKey
) -> None:
    stopped = AuditEvent("gateway", Action.IDENTITY_STOPPED, "default")
    stored.stops.add_stop("default", Stop(clock.now(), "suspicious"), stopped)

    async def resume(identity: str) -> Resumed:
        sessions = CopilotSessions(StubGitHub(), None, clock)
        quota = QuotaKeeper(StubGitHub(), sessions, Brake(8), stored.quotas, clock)
        reports, slots = AccountReports(stored.quotas, stored.usage), Slots(Brake(8), clock)
        identities = Identities(sessions, quota, reports, slots, stored.stops, clock)
        return await identities.resume(identity, admin.key.id, Origin("192.0.2.1", "ci/1.0", "req_1"))

    first, again = asyncio.run(resume("default")), asyncio.run(resume("default"))
    assert (first.was_stopped, first.reason, again.was_stopped) == (True, "suspicious", False)
    assert stored.stops.find_stop("default") is None
    line = stored.audit.list_events(limit=1)[0]
    assert (line.action, line.actor, line.request_id) == ("identity.resumed", admin.key.id, "req_1")
    with pytest.raises(IdentityNotFound):
        asyncio.run(resume("other"))
