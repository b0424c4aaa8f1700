"""Who is calling."""

import asyncio

import pytest

from copilot_api.api.door import Door
from copilot_api.errors import AdminRequired, BadRequest, Unauthorized
from copilot_api.keys.models import ApiKey, Tier
from copilot_api.keys.service import IssuedKey
from tests.fakes import FakeClock
from tests.stored import Stored

UNKNOWN = "sk-cap-" + "a" * 52


def enter(door: Door, given: dict[str, str] | None = None, *, admin: bool = False, **named: str) -> ApiKey:
    """Whoever comes with these headers."""
    pairs = [
        (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in {**named, **(given or {})}.items()
    ]
    head = door.read_head({"headers": pairs, "query_string": b"", "path": "/v1/models"})
    return asyncio.run(door.authenticate_admin(head) if admin else door.authenticate(head))


def bearer(key: IssuedKey) -> str:
    return f"Bearer {key.secret}"


def test_a_key_opens(door: Door, client: IssuedKey) -> None:
    assert enter(door, authorization=bearer(client)).id == client.key.id
    assert enter(door, x_api_key=client.secret).id == client.key.id


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": f"Bearer {UNKNOWN}"}, {"x_api_key": "sk-other"}, {"authorization": "Basic eA=="}]
)
def test_without_a_key_nobody_enters(door: Door, client: IssuedKey, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized) as refusal:
        enter(door, headers)
    assert UNKNOWN not in refusal.value.message


def test_a_revoked_key_is_refused_on_its_next_call(door: Door, stored: Stored, client: IssuedKey) -> None:
    enter(door, authorization=bearer(client))
    stored.keys.revoke(client.key.id, actor="test")
    with pytest.raises(Unauthorized, match="revoked"):
        enter(door, authorization=bearer(client))


def test_entering_is_noted(door: Door, stored: Stored, clock: FakeClock, client: IssuedKey) -> None:
    clock.advance(60)
    enter(door, authorization=bearer(client))
    assert stored.keys.take_last_used() == {client.key.id: clock.now()}


def test_a_refusal_is_not_noted(door: Door, stored: Stored, client: IssuedKey) -> None:
    with pytest.raises(Unauthorized):
        enter(door, authorization=f"Bearer {UNKNOWN}")
    assert stored.keys.take_last_used() == {}


def test_an_admin_endpoint_takes_admin_keys_only(door: Door, client: IssuedKey, admin: IssuedKey) -> None:
    assert enter(door, admin=True, authorization=bearer(admin)).tier is Tier.ADMIN
    with pytest.raises(AdminRequired):
        enter(door, admin=True, authorization=bearer(client))
    with pytest.raises(Unauthorized):
        enter(door, admin=True)


# Authentication off ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer sk-anything"}, {"x_api_key": "dummy"}, {"origin": "http://localhost:3000"}],
)
def test_an_open_gateway_lets_programs_of_this_machine_in(open_door: Door, headers: dict[str, str]) -> None:
    """Many tools insist on sending some key: any will do."""
    key = enter(open_door, headers)
    assert key.tier is Tier.CLIENT
    assert key.policy.allows_model("anything")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"},
        {"origin": "https://evil.example", "authorization": "Bearer sk-anything"}, {"origin": "http://127.0.0.1.evil.example"},
    ],
)  # fmt: skip
def test_an_open_gateway_refuses_pages_of_others(open_door: Door, headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match="web page"):
        enter(open_door, headers)


def test_an_open_gateway_still_knows_its_keys(open_door: Door, client: IssuedKey, stored: Stored) -> None:
    assert enter(open_door, authorization=bearer(client)).id == client.key.id
    with pytest.raises(Unauthorized):
        enter(open_door, authorization=f"Bearer {UNKNOWN}")
    stored.keys.revoke(client.key.id, actor="test")
    with pytest.raises(Unauthorized):
        enter(open_door, authorization=bearer(client))


def test_an_open_gateway_makes_nobody_an_admin(open_door: Door, client: IssuedKey, admin: IssuedKey) -> None:
    with pytest.raises(Unauthorized):
        enter(open_door, admin=True)
    with pytest.raises(AdminRequired):
        enter(open_door, admin=True, authorization=bearer(client))
    assert enter(open_door, admin=True, authorization=bearer(admin)).tier is Tier.ADMIN


# Programs --------------------------------------------------------------------------------------------------------


def test_a_program_is_recognised_and_the_memory_of_it_bounded(door: Door) -> None:
    assert door.client({b"user-agent": b"OpenAI/Python 2.0"}) == "openai-python"
    assert door.client({}) == "other"
    for number in range(2000):
        assert door.client({b"user-agent": b"curl/%d" % number}) == "curl"
    assert len(door._clients) <= 512


def test_long_user_agents_are_not_kept(door: Door) -> None:
    for number in range(600):
        door.client({b"user-agent": b"curl/%d " % number + b"x" * 60_000})
    assert sum(len(agent) for agent in door._clients) < 1_000_000
