"""Who is calling."""

import asyncio
import ipaddress

import pytest

from copilot_api.api.door import Caller, Door
from copilot_api.api.http_exchange import Scope
from copilot_api.errors import AddressNotAllowed, AdminRequired, BadRequest, Unauthorized
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.keys.service import IssuedKey
from tests.fakes import FakeClock
from tests.stored import Stored

UNKNOWN = "sk-cap-" + "a" * 52


def coming(given: dict[str, str] | None = None, peer: str | None = "127.0.0.1", **named: str) -> Scope:
    """A request with these headers, from there."""
    pairs = [
        (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in {**named, **(given or {})}.items()
    ]
    client = None if peer is None else (peer, 51234)
    return {"headers": pairs, "query_string": b"", "path": "/v1/models", "client": client, "state": {}}


def enter(door: Door, given: dict[str, str] | None = None, *, admin: bool = False, **named: str) -> ApiKey:
    """Whoever comes with these headers."""
    scope = coming(given, **named)
    head = door.read_head(scope)
    return asyncio.run(door.authenticate_admin(head, scope) if admin else door.authenticate(head, scope))


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


# Addresses -------------------------------------------------------------------------------------------------------

OFFICE = ("192.0.2.0/24", "2001:db8::/32")


def from_office(stored: Stored, *observed: str, tier: Tier = Tier.CLIENT) -> IssuedKey:
    """A key for the office only."""
    policy = KeyPolicy(cidrs=OFFICE, observe=observed)
    return stored.keys.issue("office", tier=tier, policy=policy, actor="test")


def caller(door: Door, key: IssuedKey, peer: str | None, forwarded: str = "") -> Caller:
    """Who calls with that key from there."""
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    scope = coming(headers, peer, authorization=bearer(key))
    entered = asyncio.run(door.enter(door.read_head(scope), scope))
    if entered.refusal is not None:
        raise entered.refusal
    return entered


@pytest.mark.parametrize("peer", ["192.0.2.1", "192.0.2.255", "::ffff:192.0.2.1", "2001:db8::7", "2001:db8:ffff::1"])
def test_a_key_is_good_in_its_networks(door: Door, stored: Stored, peer: str) -> None:
    key = from_office(stored)
    assert caller(door, key, peer) == Caller(key.key)


@pytest.mark.parametrize(
    "peer", ["192.0.3.1", "127.0.0.1", "::1", "::ffff:192.0.3.1", "2001:db9::1", "::192.0.2.1", None]
)
def test_a_key_is_refused_from_anywhere_else(door: Door, stored: Stored, peer: str | None) -> None:
    """Also where nobody knows from where: that is in no network."""
    with pytest.raises(AddressNotAllowed) as refusal:
        caller(door, from_office(stored), peer)
    assert (peer or "unknown") in refusal.value.message
    assert (refusal.value.actual_status, refusal.value.is_final) == (403, True)


def test_a_key_without_networks_is_good_everywhere(door: Door, client: IssuedKey) -> None:
    for peer in ("192.0.3.1", "::1", None):
        assert caller(door, client, peer) == Caller(client.key)


@pytest.mark.parametrize("observed", ["cidrs", "*"])
def test_networks_that_are_only_observed_refuse_nobody_and_are_noted(door: Door, stored: Stored, observed: str) -> None:
    key = from_office(stored, observed)
    assert caller(door, key, "192.0.2.1").would_limit == ()
    assert caller(door, key, "203.0.113.9").would_limit == ("cidrs",)
    assert caller(door, key, None).would_limit == ("cidrs",)
    assert caller(door, key, "203.0.113.9").key.id == key.key.id


def test_networks_are_enforced_where_other_things_are_observed(door: Door, stored: Stored) -> None:
    with pytest.raises(AddressNotAllowed):
        caller(door, from_office(stored, "rpm", "models", "budgets"), "203.0.113.9")


def test_a_forged_address_opens_nothing(door: Door, stored: Stored, clock: FakeClock) -> None:
    """Whoever is not a trusted proxy may write there what they like."""
    key = from_office(stored)
    behind = Door(stored.keys, clock, is_open=False, trusted=(ipaddress.ip_network("10.0.0.0/8"),))
    for each in (door, behind):
        with pytest.raises(AddressNotAllowed, match=r"203\.0\.113\.9"):
            caller(each, key, "203.0.113.9", "192.0.2.1")
    with pytest.raises(AddressNotAllowed, match=r"203\.0\.113\.9"):
        caller(behind, key, "10.0.0.1", "192.0.2.1, 203.0.113.9")
    with pytest.raises(AddressNotAllowed):
        caller(behind, key, "10.0.0.1", "192.0.2.1, garbage")
    with pytest.raises(AddressNotAllowed, match=r"10\.0\.0\.1"):
        caller(behind, key, "10.0.0.1")
    assert caller(behind, key, "10.0.0.1", "203.0.113.9, 192.0.2.1").key.id == key.key.id


def test_an_admin_key_is_held_to_its_networks_too(door: Door, stored: Stored) -> None:
    key = from_office(stored, tier=Tier.ADMIN)
    inside, outside = (coming(peer=peer, authorization=bearer(key)) for peer in ("192.0.2.1", "203.0.113.9"))
    assert asyncio.run(door.authenticate_admin(door.read_head(inside), inside)).tier is Tier.ADMIN
    with pytest.raises(AddressNotAllowed):
        asyncio.run(door.authenticate_admin(door.read_head(outside), outside))


def test_a_change_of_networks_counts_at_the_next_call(door: Door, stored: Stored) -> None:
    key = from_office(stored)
    caller(door, key, "192.0.2.1")
    stored.keys.update(key.key.id, policy=KeyPolicy(cidrs=("203.0.113.0/24",)), actor="test")
    with pytest.raises(AddressNotAllowed):
        caller(door, key, "192.0.2.1")
    caller(door, key, "203.0.113.9")


def test_on_an_open_gateway_a_key_is_held_to_its_networks_and_nobody_else_is(open_door: Door, stored: Stored) -> None:
    key = from_office(stored)
    with pytest.raises(AddressNotAllowed):
        caller(open_door, key, "203.0.113.9")
    scope = coming(peer="203.0.113.9")
    assert asyncio.run(open_door.enter(open_door.read_head(scope), scope)).would_limit == ()


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
