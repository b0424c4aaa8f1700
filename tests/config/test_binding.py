"""Who can reach an address; and listening on it."""

import contextlib
import socket
from collections.abc import Generator

import pytest

from copilot_api.config.binding import (
    AddressUnusable,
    OpenBindRefused,
    bind,
    check_open_bind,
    is_loopback,
    shown_url,
)

LOOPBACK = [
    "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.255", "localhost", "LOCALHOST", "LocalHost", "localhost.", " localhost ", "::1", "[::1]",
    "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "::0001", "::ffff:127.0.0.1", "[::ffff:127.0.0.1]", "::ffff:7f00:1", "::FFFF:127.9.9.9",
    "0:0:0:0:0:ffff:127.0.0.1",
]  # fmt: skip
LOOK_ALIKES = [
    "", " ", "0.0.0.0", "::", "[::]", "*", "0", "127.1", "127.0.1", "127", "2130706433", "0x7f.0.0.1", "0x7f000001", "0177.0.0.1", "017700000001", "127.0.0.01",
    "127.0.0.1.example.com", "127.0.0.1.", "127.0.0.1:80", "127.0.0.1/8", "127.0.0.256", "localhost.evil", "localhost.localdomain", "localhost6", "xlocalhost",
    "local", "localhost:80", "evil.localhost", "127.0.0.1@evil", "10.0.0.1", "192.168.1.1", "169.254.1.1", "128.0.0.1", "126.255.255.255", "1.0.0.127",
    "::2", "::1:1", "::ffff:10.0.0.1", "::ffff:0.0.0.0", "::ffff:128.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "fe80::1", "[::1]:80",
    "127.0.0.1 evil", "127.0.0.1\0", "\uff11\uff12\uff17.0.0.1", "loc\u0430lhost", "localhost..", "..localhost", "127..0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
def test_every_form_of_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)
    check_open_bind(host, is_risk_accepted=False)


@pytest.mark.parametrize("host", LOOK_ALIKES)
def test_what_merely_looks_like_it_is_not(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(OpenBindRefused) as refusal:
        check_open_bind(host, is_risk_accepted=False)
    assert "--i-accept-account-suspension-risk" in (refusal.value.actual_hint or "")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "gateway.example", *LOOPBACK[:3]])
def test_who_accepts_the_risk_may_listen_anywhere(host: str) -> None:
    check_open_bind(host, is_risk_accepted=True)


@contextlib.contextmanager
def bound(host: str, port: int = 0) -> Generator[list[socket.socket]]:
    sockets = bind(host, port)
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()


@pytest.mark.parametrize("host", [host for host in LOOPBACK if ":" not in host and not host.endswith(".")])
def test_what_counts_as_loopback_is_reached_from_this_machine_only(host: str) -> None:
    with bound(host) as sockets:
        for each in sockets:
            assert is_loopback(each.getsockname()[0]), "the name may lead elsewhere"


def test_a_free_port_is_one_for_all_addresses() -> None:
    with bound("localhost") as sockets:
        assert len({each.getsockname()[1] for each in sockets}) == 1
        assert sockets[0].getsockname()[1] > 0
        assert all(not each.getblocking() for each in sockets)


def test_a_bound_port_takes_connections() -> None:
    with bound("127.0.0.1") as sockets, socket.create_connection(sockets[0].getsockname(), timeout=5):
        pass


def test_a_taken_port_is_refused_with_a_way_out() -> None:
    with bound("127.0.0.1") as sockets:
        port = sockets[0].getsockname()[1]
        with pytest.raises(AddressUnusable, match=str(port)) as refusal:
            bind("127.0.0.1", port)
        assert "--port" in (refusal.value.actual_hint or "")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "300.1.1.1", "x" * 300, "a..b", "\0", "é" * 100])
def test_an_unknown_host_is_refused_by_its_name(host: str) -> None:
    with pytest.raises(AddressUnusable) as refusal:
        bind(host, 0)
    assert "is not known" in refusal.value.message


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(AddressUnusable, match="cannot listen"):
        bind("192.0.2.1", 0)


def test_nothing_stays_bound_after_a_refusal() -> None:
    with bound("127.0.0.1") as sockets:
        port = sockets[0].getsockname()[1]
        with pytest.raises(AddressUnusable):
            bind("localhost", port)
    with bound("localhost", port) as again:
        assert again


def test_an_open_ipv6_bind_is_ipv6_only() -> None:
    """`::` would otherwise take IPv4 too, on an address that nobody asked for."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with bound("::1") as sockets:
        assert [each.family for each in sockets] == [socket.AF_INET6]


@pytest.mark.parametrize(
    ("host", "is_tls", "url"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:4141"), ("localhost", True, "https://localhost:4141"), ("::1", False, "http://[::1]:4141"),
        ("[::1]", True, "https://[::1]:4141"), (" 10.0.0.1 ", False, "http://10.0.0.1:4141"),
    ],
)  # fmt: skip
def test_a_client_is_pointed_at_a_url(host: str, is_tls: bool, url: str) -> None:
    assert shown_url(host, 4141, is_tls=is_tls) == url
