"""
How commands ask running gateways for captures: over the local sockets in the data directory, or over HTTP with a key.

By a socket no key is needed: whoever may use it is the gateway's own user. There may be several gateways on one data
directory, each with a socket and with captures of its own.
"""

import http.client
import json
import socket
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import click

from copilot_api.api.local_socket import SOCKET_NAMES, opened_directory, socket_address

SECONDS = 60.0
REPLAY_SECONDS = 1_800.0
"""A model may take its time."""


class GatewayGone(click.ClickException):
    """The gateway cannot be reached, or the connection to it broke."""


class Refused(click.ClickException):
    """The gateway answered an error, and would answer it again."""

    exit_code = 2

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Failed(Refused):
    """The gateway answered an error that may pass."""

    exit_code = 1


class Link(Protocol):
    """A way to one gateway."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def connect(self, seconds: float | None) -> http.client.HTTPConnection:
        """A fresh connection."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """What each request says of who sends it."""
        ...


@dataclass(frozen=True)
class SocketLink:
    """By a local socket."""

    directory: Path
    name: str
    headers: Mapping[str, str]

    def connect(self, seconds: float | None) -> http.client.HTTPConnection:
        """See `Link`."""
        return _SocketConnection(self.directory, self.name, seconds)


@dataclass(frozen=True)
class UrlLink:
    """By a URL, with an admin key."""

    name: str
    headers: Mapping[str, str]

    def connect(self, seconds: float | None) -> http.client.HTTPConnection:
        """See `Link`."""
        parts = urlsplit(self.name)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=seconds)


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, directory: Path, name: str, seconds: float | None) -> None:
        super().__init__("localhost", timeout=seconds)
        self._directory = directory
        self._name = name

    def connect(self) -> None:
        """See `http.client`."""
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(self.timeout)
            with opened_directory(self._directory) as directory:
                connected.connect(socket_address(directory, self._directory, self._name))
        except BaseException:
            connected.close()
            raise
        self.sock = connected


def url_link(url: str, key: str) -> UrlLink:
    """The way to a gateway at `url`."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise click.UsageError(f"--url: write http://HOST:PORT or https://HOST, not {url!r}")
    if not key:
        raise click.UsageError("--url needs an admin key in the environment variable COPILOT_API_KEY")
    return UrlLink(url.rstrip("/"), {"authorization": f"Bearer {key}"})


def find_links(directory: Path) -> list[Link]:
    """The gateways that run on this data directory."""
    links: list[Link] = []
    for name in SOCKET_NAMES:
        link = SocketLink(directory, name, {})
        try:
            if not stat.S_ISSOCK((directory / name).lstat().st_mode):
                continue
            connection = link.connect(SECONDS)
            connection.connect()
        except OSError:
            continue
        connection.close()
        links.append(link)
    return links


@contextmanager
def opened(
    link: Link,
    method: str,
    path: str,
    body: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    seconds: float | None = SECONDS,
) -> Generator[http.client.HTTPResponse]:
    """An answer that is still arriving. Raises `Refused` for an error, `GatewayGone` where there is no answer."""
    connection = link.connect(seconds)
    content = None if body is None else json.dumps(body).encode()
    try:
        try:
            connection.request(method, path, body=content, headers={**link.headers, **(headers or {})})
            response = connection.getresponse()
            if response.status >= 400:
                kind = Refused if response.getheader("x-should-retry") == "false" else Failed
                raise kind(response.status, _message_of(response.read()))
        except (OSError, http.client.HTTPException) as error:
            raise GatewayGone(f"the gateway does not answer ({error!r}): {link.name}") from error
        yield response
    finally:
        connection.close()


def ask(link: Link, method: str, path: str, body: object = None, *, seconds: float = SECONDS) -> Any:
    """An answer in JSON. Raises as `opened` does."""
    with opened(link, method, path, body, seconds=seconds) as response:
        try:
            return json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise GatewayGone(f"the gateway's answer broke off: {link.name}") from error


def trace_path(request_id: str, action: str = "") -> str:
    """The path of one trace."""
    return f"/admin/api/traces/{quote(request_id, safe='')}{action}"


def _message_of(body: bytes) -> str:
    """What the error says."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "the gateway answered an error that cannot be read"
