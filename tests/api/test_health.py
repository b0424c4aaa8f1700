"""`/healthz` and `/readyz`."""

import asyncio

import pytest

from copilot_api.api.health import Readiness, healthz
from copilot_api.observability.health import Health
from tests.api.wire import ask


async def well() -> str | None:
    return None


async def ill() -> str | None:
    return "the disk is full"


def test_a_process_that_answers_is_alive() -> None:
    reply = asyncio.run(ask(healthz, "/healthz"))
    assert (reply.status, reply.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("broken", [None, "database", "token"])
def test_ready_is_when_every_condition_is_met(broken: str | None) -> None:
    probes = {name: ill if name == broken else well for name in ("database", "token", "catalog")}
    reply = asyncio.run(ask(Readiness(Health(probes)), "/readyz"))
    assert reply.status == (503 if broken else 200)
    assert reply.json["status"] == ("not ready" if broken else "ready")
    for name, check in reply.json["checks"].items():
        assert check == {"ok": name != broken, "reason": "the disk is full" if name == broken else None}
    assert reply.headers is not None
    assert reply.headers["cache-control"] == "no-store"


def test_a_warning_leaves_it_ready_and_is_shown_with_its_reason() -> None:
    reply = asyncio.run(ask(Readiness(Health({"database": well}, warnings={"aliases": ill})), "/readyz"))
    assert (reply.status, reply.json["status"]) == (200, "ready")
    assert reply.json["checks"] == {
        "database": {"ok": True, "reason": None},
        "aliases": {"ok": True, "reason": "the disk is full"},
    }
