"""Who can reach an address, and whether a gateway without authentication may listen on it."""

import ipaddress
import re
import socket

from copilot_api.errors import GatewayError


class OpenBindRefused(GatewayError):
    """Without authentication on an address that others reach."""

    number, code, status = 903, "open_bind_refused", 500
    is_final = True
    hint = (
        "keep authentication on (leave out --no-auth, set features.auth to true), or bind 127.0.0.1; "
        "--i-accept-account-suspension-risk starts it all the same"
    )


class AddressUnusable(GatewayError):
    """The address or port cannot be listened on."""

    number, code, status = 904, "address_unusable", 500


def is_loopback(host: str) -> bool:
    """
    Whether only this machine reaches `host`: 127.0.0.0/8, ::1, `localhost`, in their long and IPv4-mapped forms. What
    merely looks like them (`127.0.0.1.example.com`, `127.1`) is not.
    """
    host = host.strip().lower()
    if host.removesuffix(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def check_open_bind(host: str, *, is_risk_accepted: bool) -> None:
    """Raise `OpenBindRefused` when a gateway without authentication may not listen on `host`."""
    if not is_loopback(host) and not is_risk_accepted:
        raise OpenBindRefused(f"without authentication anybody who reaches {host} could spend the Copilot account")


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for every address of `host`, all on one port. Raises `AddressUnusable`."""
    host = host.strip().removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise AddressUnusable(f"the host {host!r} is not known: {error}") from error
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    sockets: list[socket.socket] = []
    try:
        for family, address in addresses:
            chosen = (address[0], sockets[0].getsockname()[1], *address[2:]) if sockets and port == 0 else address
            listener = _listen(family, chosen)
            if listener is not None:
                sockets.append(listener)
    except OSError as error:
        for listener in sockets:
            listener.close()
        raise AddressUnusable(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="choose another port with --port (0 takes any free one)" if port else None,
        ) from error
    if not sockets:
        raise AddressUnusable(f"cannot listen on {host}: this machine has no such address")
    return sockets


def _listen(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket | None:
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return None  # `localhost` names ::1 on machines that have no IPv6
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            is_mapped = str(address[0]).lower().startswith("::ffff:")
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if is_mapped else 1)
        listener.bind(address)
        listener.listen(2048)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def without_credentials(url: str) -> str:
    """A URL as it may be shown: what stands before the `@` is somebody's."""
    return re.sub(r"(?<=://)[^/]*@", "", url)


def shown_url(host: str, port: int, *, is_tls: bool) -> str:
    """What a client on this machine is pointed at."""
    host = host.strip().removeprefix("[").removesuffix("]")
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
