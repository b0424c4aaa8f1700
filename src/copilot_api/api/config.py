"""
`/admin/api/config`: the configuration for programs: what is in force, a change of it, and what a change would do.

For admin keys only. Nothing of it is kept by caches, and nothing is changed that was not validated whole.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from copilot_api.api.door import Door
from copilot_api.api.http_exchange import EXCHANGE, Receive, Scope, Send
from copilot_api.api.intake import RequestHead, read_body
from copilot_api.api.responses import send_error, send_json, uncached
from copilot_api.clock import Clock
from copilot_api.config.loader import ConfigInvalid
from copilot_api.config.schema import ConfigFile
from copilot_api.config.settings import Settings
from copilot_api.errors import BadRequest, BodyTooLarge, GatewayError
from copilot_api.gateway.impact import IMPACT_DAYS, ImpactQuery, render_impact
from copilot_api.keys.models import ApiKey
from copilot_api.upstream.catalog import Catalog

MAX_CONFIG_BYTES = 1024 * 1024

_HINT = "nothing was changed: mend what the message names, then send the whole file again"


class ConfigSource(Protocol):
    """The configuration in force."""

    @property
    def path(self) -> Path:
        """The file that it comes from."""
        ...

    @property
    def config(self) -> ConfigFile:
        """The file's values, defaults included. No flag of the command line is among them."""
        ...

    @property
    def hash(self) -> str:
        """The SHA-256 of the file that they are from, in hex; empty where there was none."""
        ...

    @property
    def rejected(self) -> str | None:
        """Why the file as it is now cannot be used; None when it is in force."""
        ...

    @property
    def current(self) -> Settings:
        """The settings in force."""
        ...

    def check(self, content: bytes) -> Settings:
        """
        What would be in force with this content. Raises a `GatewayError` with everything that is wrong with it.

        Changes nothing; may be called from any thread.
        """
        ...


class ConfigWriter(Protocol):
    """Writes the file. Blocks: call it from a thread."""

    def replace(self, content: bytes, expected: str | None, actor: str) -> str:
        """
        Put `content` in the place of the file with the hash `expected` (empty: of none; None: of whatever is there).

        Gives the new hash. Raises `ConfigInvalid`, `ConfigConflict` when another file is there, or
        `StorageUnavailable`; then the old file stays.
        """
        ...


class ConfigApi:
    """See the module."""

    def __init__(
        self,
        door: Door,
        source: ConfigSource,
        writer: ConfigWriter,
        impact: ImpactQuery,
        catalog: Callable[[], Awaitable[Catalog]],
        clock: Clock,
    ) -> None:
        self._door = door
        self._source = source
        self._writer = writer
        self._impact = impact
        self._catalog = catalog
        self._clock = clock

    async def config(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET` tells the configuration in force, `PUT` puts another in its place."""
        await self._answer(self._replace if scope["method"] == "PUT" else self._show, scope, receive, send)

    async def preview(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST` tells what a configuration would have done to the calls of the last days."""
        await self._answer(self._preview, scope, receive, send)

    async def _answer(self, act: "_Act", scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what `act` makes of the request of an admin, or why not. No cache keeps either."""
        send = uncached(send)
        head = self._door.read_head(scope)
        try:
            key = await self._door.authenticate_admin(head, scope)
            document = await act(key, head, scope, receive)
        except GatewayError as error:
            await send_error(send, error)
        else:
            await send_json(send, document)

    async def _show(self, key: ApiKey, head: RequestHead, scope: Scope, receive: Receive) -> dict[str, Any]:
        source = self._source
        return {
            "config": source.config,
            "hash": source.hash,
            "rejected": source.rejected,
            "path": str(source.path),
        }

    async def _replace(self, key: ApiKey, head: RequestHead, scope: Scope, receive: Receive) -> dict[str, Any]:
        expected = _expected_hash(head)
        content = await _read_config(head, scope, receive)
        await self._check(content)
        try:
            written = await asyncio.to_thread(self._writer.replace, content, expected, key.id)
        except ConfigInvalid as error:
            raise _refusal(error) from error
        return {"hash": written}

    async def _preview(self, key: ApiKey, head: RequestHead, scope: Scope, receive: Receive) -> dict[str, Any]:
        content = await _read_config(head, scope, receive)
        proposed, current = (await self._check(content)).exposure, self._source.current.exposure
        catalog, until = await self._catalog(), self._clock.now()
        since = until - timedelta(days=IMPACT_DAYS)
        impact = await asyncio.to_thread(self._impact.run, current, proposed, catalog, since, until)
        return render_impact(impact)

    async def _check(self, content: bytes) -> Settings:
        try:
            return await asyncio.to_thread(self._source.check, content)  # a large file takes its time to be read
        except GatewayError as error:
            raise _refusal(error) from error


_Act = Callable[[ApiKey, RequestHead, Scope, Receive], Awaitable[dict[str, Any]]]


def _refusal(error: GatewayError) -> BadRequest:
    """What is wrong with a file is the caller's to mend here, and no failure of ours."""
    return BadRequest(error.message, status=422, hint=_HINT)


def _expected_hash(head: RequestHead) -> str | None:
    """The hash in `If-Match`; None for `*`."""
    given = head.get(b"if-match", b"").strip().decode("latin-1")
    if not given:
        raise BadRequest(
            "the header If-Match is missing",
            status=428,
            hint='send If-Match: "<hash>" with the hash that GET gives, or If-Match: * to replace whatever is there',
        )
    if given == "*":
        return None
    if len(given) < 2 or not given.startswith('"') or not given.endswith('"') or '"' in given[1:-1]:
        raise BadRequest("If-Match names no version", hint="send the one hash that GET gives, in quotes, or *")
    return given[1:-1]


async def _read_config(head: RequestHead, scope: Scope, receive: Receive) -> bytes:
    try:
        return await read_body(receive, head, MAX_CONFIG_BYTES, scope["extensions"].get(EXCHANGE))
    except BodyTooLarge as error:
        raise BodyTooLarge(error.message, hint="no configuration is that large") from error
