"""`/healthz`: the process is alive. `/readyz`: it can do its work, and what is missing if not."""

from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.responses import send_json
from copilot_api.observability.health import Health


async def healthz(scope: Scope, receive: Receive, send: Send) -> None:
    """Alive, or you would not read this."""
    await send_json(send, {"status": "ok"})


class Readiness:
    """`/readyz`. It names no secret and no account, so it needs no key. A check that is ok may have a reason too."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        checks = await self._health.check()
        is_ready = all(check.is_ok for check in checks)
        document = {
            "status": "ready" if is_ready else "not ready",
            "checks": {check.name: {"ok": check.is_ok, "reason": check.reason} for check in checks},
        }
        await send_json(send, document, status=200 if is_ready else 503, is_private=True)
