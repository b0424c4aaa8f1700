"""The device login: GitHub shows a page, the user types a code there, we ask now and then whether it is done."""

from collections.abc import Awaitable, Callable

from copilot_api.errors import GatewayError, UpstreamFailed, UpstreamTimeout
from copilot_api.upstream.github import DeviceCode, GitHub

SLOW_DOWN_SECONDS = 5


class LoginRefused(GatewayError):
    """The user said no, the code ran out, or GitHub does not know the flow."""

    number, code, status = 311, "login_refused", 502
    hint = "run 'copilot-api auth login' again"


async def log_in(
    github: GitHub,
    code: DeviceCode,
    *,
    monotonic: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> str:
    """The token, once the user has typed the code. Raises `LoginRefused` when that will not happen any more."""
    interval = max(1, code.interval)
    deadline = monotonic() + code.expires_in
    while monotonic() < deadline:
        await sleep(interval)
        try:
            poll = await github.fetch_device_poll(code)
        except (UpstreamFailed, UpstreamTimeout):
            continue  # the network between two polls is no reason to make the user type again
        if poll.access_token:
            return poll.access_token
        if poll.error == "slow_down":
            interval = poll.interval or interval + SLOW_DOWN_SECONDS
        elif poll.error == "expired_token":
            break
        elif poll.error != "authorization_pending":
            reason = (
                "you refused it on GitHub's page"
                if poll.error == "access_denied"
                else poll.error_description or poll.error
            )
            raise LoginRefused(f"the login was refused: {reason}")
    raise LoginRefused("the code has expired before it was used")
