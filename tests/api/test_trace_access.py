"""Who may look at captures, and that it is on record first."""

import asyncio

import pytest

from copilot_api.api.door import Door
from copilot_api.api.local_socket import ACTOR
from copilot_api.api.trace_access import KeyAccess, LocalAccess, Visitor, sign
from copilot_api.audit.models import LOCAL, Action, AuditEvent, Origin
from copilot_api.errors import AdminRequired, StorageUnavailable, Unauthorized
from copilot_api.keys.service import IssuedKey
from tests.stored import Stored


def scope(secret: str = "", **state: str) -> dict[str, object]:
    headers = [(b"user-agent", b"curl/8")] + ([(b"authorization", f"Bearer {secret}".encode())] if secret else [])
    return {"path": "/admin/api/traces", "query_string": b"", "headers": headers, "client": ("192.0.2.1", 5000), "state": dict(state)}  # fmt: skip


def test_an_admin_key_is_let_in_until_it_is_revoked(stored: Stored, door: Door, admin: IssuedKey) -> None:
    async def test() -> None:
        visitor = await KeyAccess(door).enter(scope(admin.secret))
        assert (visitor.actor, visitor.key) == (admin.key.id, admin.key)
        assert visitor.origin.address == "192.0.2.1"
        assert visitor.origin.user_agent == "curl/8"
        await visitor.check()
        stored.keys.revoke(admin.key.id, actor="test")
        with pytest.raises(Unauthorized):
            await visitor.check()

    asyncio.run(test())


def test_others_are_not(door: Door, open_door: Door, client: IssuedKey) -> None:
    for each in (door, open_door):
        with pytest.raises(Unauthorized):
            asyncio.run(KeyAccess(each).enter(scope()))
        with pytest.raises(AdminRequired):
            asyncio.run(KeyAccess(each).enter(scope(client.secret)))


def test_over_the_socket_it_is_who_the_socket_says() -> None:
    async def test() -> None:
        visitor = await LocalAccess().enter(scope(**{ACTOR: "local:ada"}))
        assert (visitor.actor, visitor.key, visitor.origin.address) == ("local:ada", None, None)
        await visitor.check()

    asyncio.run(test())


def test_a_look_is_put_on_record_or_refused() -> None:
    signed: list[AuditEvent] = []
    origin = Origin("192.0.2.1", "curl/8", "req_9")
    asyncio.run(sign(signed.append, Visitor("key_a", origin), Action.TRACE_READ, "req_1", key_id="key_b"))
    assert signed == [AuditEvent("key_a", Action.TRACE_READ, "req_1", {"key_id": "key_b"}, origin)]

    def fail(_event: AuditEvent) -> None:
        raise StorageUnavailable("the disk is full")

    with pytest.raises(StorageUnavailable):
        asyncio.run(sign(fail, Visitor("key_a", LOCAL), Action.TRACE_READ, "req_1"))
