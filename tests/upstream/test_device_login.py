import asyncio

import pytest

from copilot_api.errors import GatewayError, UpstreamFailed, UpstreamTimeout
from copilot_api.upstream.device_login import SLOW_DOWN_SECONDS, LoginRefused, log_in
from copilot_api.upstream.github import DeviceCode, DevicePoll, GitHub
from copilot_api.upstream.hosts import Hosts

CODE = DeviceCode("d", "WDJB-MJHT", "https://github.com/login/device", expires_in=100, interval=5)
PENDING = DevicePoll(error="authorization_pending")


class Login(GitHub):
    """One login on a clock of its own; each poll has the next outcome, the last one stays."""

    def __init__(self, *polls: DevicePoll | GatewayError, code: DeviceCode = CODE) -> None:
        self.hosts = Hosts()
        self.now = 0.0
        self.polled_at: list[float] = []
        self._polls = list(polls)
        self._code = code

    async def fetch_device_poll(self, code: DeviceCode) -> DevicePoll:
        assert code is self._code
        self.polled_at.append(self.now)
        poll = self._polls.pop(0) if len(self._polls) > 1 else self._polls[0]
        if isinstance(poll, GatewayError):
            raise poll
        return poll

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def run(self) -> str:
        return asyncio.run(log_in(self, self._code, monotonic=lambda: self.now, sleep=self.sleep))


def test_the_token_comes_once_the_code_was_typed() -> None:
    login = Login(PENDING, PENDING, DevicePoll(access_token="ghu_1"))
    assert login.run() == "ghu_1"
    assert login.polled_at == [5, 10, 15]


def test_github_may_slow_us_down() -> None:
    login = Login(
        DevicePoll(error="slow_down", interval=10), DevicePoll(error="slow_down"), PENDING, DevicePoll("ghu_1")
    )
    assert login.run() == "ghu_1"
    assert login.polled_at == [5, 15, 15 + 10 + SLOW_DOWN_SECONDS, 15 + 2 * (10 + SLOW_DOWN_SECONDS)]


def test_an_interval_of_nothing_does_not_hammer_github() -> None:
    login = Login(PENDING, DevicePoll("ghu_1"), code=DeviceCode("d", "u", "https://x", expires_in=100, interval=0))
    login.run()
    assert login.polled_at == [1, 2]


@pytest.mark.parametrize("trouble", [UpstreamFailed("reset"), UpstreamTimeout("no answer")])
def test_the_network_between_two_polls_ends_nothing(trouble: GatewayError) -> None:
    assert Login(PENDING, trouble, DevicePoll("ghu_1")).run() == "ghu_1"


def test_a_refusal_on_the_page_is_said() -> None:
    with pytest.raises(LoginRefused, match="you refused it"):
        Login(PENDING, DevicePoll(error="access_denied")).run()


def test_an_expired_code_is_said_by_github_or_by_the_clock() -> None:
    with pytest.raises(LoginRefused, match="expired"):
        Login(DevicePoll(error="expired_token")).run()
    login = Login(PENDING)
    with pytest.raises(LoginRefused, match="expired"):
        login.run()
    assert login.polled_at[-1] <= CODE.expires_in


def test_any_other_outcome_is_said_in_githubs_words() -> None:
    with pytest.raises(LoginRefused, match="The device code is not valid"):
        Login(DevicePoll(error="incorrect_device_code", error_description="The device code is not valid.")).run()
    with pytest.raises(LoginRefused, match="unsupported_grant_type"):
        Login(DevicePoll(error="unsupported_grant_type")).run()


def test_a_poll_without_any_outcome_is_no_token() -> None:
    with pytest.raises(LoginRefused):
        Login(DevicePoll()).run()
