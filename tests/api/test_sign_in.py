"""One login at a time; the token is put on record, kept and used, in this order, or nothing is changed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from copilot_api.api.operations.account import SignIn
from copilot_api.api.sign_in import Asker, CredentialGiven, SignInNotFound, SignIns, SignInUnderWay
from copilot_api.audit.models import LOCAL, AuditEvent
from copilot_api.errors import GatewayError, StorageUnavailable, UpstreamFailed
from copilot_api.upstream.credential_file import CredentialFile
from copilot_api.upstream.github import DeviceCode, DevicePoll, GitHub
from copilot_api.upstream.hosts import Hosts
from copilot_api.upstream.identities import CredentialSource, Identity, IdentityNotFound
from tests.upstream.virtual import VirtualClock, run_virtually

CODE = DeviceCode("d", "WDJB-MJHT", "https://github.com/login/device", expires_in=900, interval=5)
BY = Asker("key_admin", LOCAL)
PENDING = DevicePoll(error="authorization_pending")


class Github(GitHub):
    """Answers each poll with the next of these; the last one stays."""

    def __init__(self, *polls: DevicePoll) -> None:
        self.hosts = Hosts()
        self.polls = list(polls)
        self.failure: GatewayError | None = None

    async def fetch_device_code(self) -> DeviceCode:
        if self.failure is not None:
            raise self.failure
        return CODE

    async def fetch_device_poll(self, code: DeviceCode) -> DevicePoll:
        return self.polls.pop(0) if len(self.polls) > 1 else self.polls[0]

    async def fetch_login(self, github_token: str) -> str:
        assert github_token == "ghu_new"
        return "ada"


class Rig:
    """The service, and what it did."""

    def __init__(self, path: Path, github: Github, clock: VirtualClock) -> None:
        self.github = github
        self.identity: Identity | None = Identity("ghu_old", CredentialSource.FILE)
        self.used: list[Identity] = []
        self.audited: list[AuditEvent] = []
        self.failure: GatewayError | None = None
        self.file = CredentialFile(path / "github_token")
        self.sign_ins = SignIns(
            github, self.file, clock, self._append, identity=lambda: self.identity, account=lambda: "grace", use=self._use
        )  # fmt: skip

    def _append(self, event: AuditEvent) -> None:
        if self.failure is not None:
            raise self.failure
        assert self.file.read() is None, "on record before it is kept"
        self.audited.append(event)

    def _use(self, identity: Identity) -> None:
        assert self.file.read() == identity, "kept before it is used"
        self.used.append(identity)

    async def ended(self) -> SignIn:
        while (found := self.sign_ins.show("default")).state == "waiting":
            await asyncio.sleep(1)
        return found


def signing_in(path: Path, *polls: DevicePoll, test: Callable[[Rig], Awaitable[None]]) -> None:
    async def run(clock: VirtualClock) -> None:
        await test(Rig(path, Github(*polls), clock))

    run_virtually(run)


def test_once_the_code_is_typed_the_account_is_used(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        shown = await rig.sign_ins.start("default", BY)
        assert (shown.state, shown.user_code, shown.login_before) == ("waiting", "WDJB-MJHT", "grace")
        done = await rig.ended()
        assert (done.state, done.login, done.problem) == ("done", "ada", None)
        assert rig.used == [Identity("ghu_new", CredentialSource.FILE)]
        (event,) = rig.audited
        assert (event.actor, event.action.value, event.detail["login"]) == ("key_admin", "identity.signed_in", "ada")
        assert "ghu_new" not in f"{done}{event}{rig.sign_ins.mark}"
        assert rig.file.path.stat().st_mode & 0o777 == 0o600

    signing_in(tmp_path, PENDING, DevicePoll(access_token="ghu_new"), test=test)


def test_what_cannot_be_put_on_record_is_not_done(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        rig.failure = StorageUnavailable("the audit log cannot be written")
        await rig.sign_ins.start("default", BY)
        assert (await rig.ended()).problem == "the audit log cannot be written"
        assert (rig.used, rig.file.read()) == ([], None)

    signing_in(tmp_path, DevicePoll(access_token="ghu_new"), test=test)


@pytest.mark.parametrize(
    ("poll", "words"),
    [
        (DevicePoll(error="access_denied"), "refused it on GitHub's page"),
        (DevicePoll(error="expired_token"), "has expired"),
        (PENDING, "has expired"),
        (DevicePoll(access_token="ghp_classic"), "classic"),
    ],
)
def test_why_nobody_is_signed_in_is_said_and_nothing_is_changed(tmp_path: Path, poll: DevicePoll, words: str) -> None:
    async def test(rig: Rig) -> None:
        await rig.sign_ins.start("default", BY)
        ended = await rig.ended()
        assert ended.state == "failed"
        assert words in (ended.problem or "")
        assert (rig.used, rig.audited, rig.file.read()) == ([], [], None)
        await rig.sign_ins.start("default", BY)  # another one can begin
        await rig.sign_ins.stop()

    signing_in(tmp_path, poll, test=test)


def test_there_is_one_at_a_time_and_it_can_be_cancelled(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        with pytest.raises(SignInNotFound):
            rig.sign_ins.show("default")
        await rig.sign_ins.start("default", BY)
        with pytest.raises(SignInUnderWay):
            await rig.sign_ins.start("default", BY)
        assert (await rig.sign_ins.cancel("default")).state == "cancelled"
        assert rig.sign_ins.current is None
        with pytest.raises(SignInNotFound):
            await rig.sign_ins.cancel("default")
        await rig.sign_ins.start("default", BY)
        await rig.sign_ins.stop()
        assert rig.used == []

    signing_in(tmp_path, PENDING, test=test)


def test_a_credential_that_was_given_stays(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        rig.identity = Identity("ghu_given", CredentialSource.FLAG)
        assert not rig.sign_ins.may_start
        with pytest.raises(CredentialGiven):
            await rig.sign_ins.start("default", BY)
        with pytest.raises(IdentityNotFound):
            await rig.sign_ins.start("other", BY)

    signing_in(tmp_path, PENDING, test=test)


def test_a_github_that_is_down_is_said_at_once(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        rig.github.failure = UpstreamFailed("no answer from GitHub")
        with pytest.raises(UpstreamFailed):
            await rig.sign_ins.start("default", BY)
        assert rig.sign_ins.current is None

    signing_in(tmp_path, PENDING, test=test)


def test_one_whose_code_was_typed_is_finished_whoever_cancels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(rig: Rig) -> None:
        asked, answer = asyncio.Event(), asyncio.Event()
        fetch = rig.github.fetch_login

        async def fetch_slowly(github_token: str) -> str:
            asked.set()
            await answer.wait()
            return await fetch(github_token)

        monkeypatch.setattr(rig.github, "fetch_login", fetch_slowly)
        await rig.sign_ins.start("default", BY)
        await asked.wait()
        cancelling = asyncio.ensure_future(rig.sign_ins.cancel("default"))
        await asyncio.sleep(1)
        assert not cancelling.done()
        answer.set()
        assert (await cancelling).state == "done"
        assert rig.used == [Identity("ghu_new", CredentialSource.FILE)]
        assert (len(rig.audited), rig.file.read()) == (1, rig.used[0])

    signing_in(tmp_path, DevicePoll(access_token="ghu_new"), test=test)
