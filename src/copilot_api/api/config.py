"""
`/admin/api/config`: the configuration for programs: what is in force, a change of it, and what a change would do.

For admin keys only. Nothing of it is kept by caches, and nothing is changed that was not validated whole.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import msgspec

from copilot_api.api.admin_endpoint import Asked
from copilot_api.api.intake import RequestHead
from copilot_api.api.operations.config import (
    ConfigChange,
    ConfigChanged,
    ConfigInForce,
    ConfigVerdict,
    ConfigWritten,
    MistakeDocument,
    Rollback,
    VersionContent,
    VersionDocument,
    VersionList,
)
from copilot_api.audit.models import Origin
from copilot_api.clock import Clock
from copilot_api.config.edits import NEW_FILE, parse_key, set_value, unset_value
from copilot_api.config.loader import ConfigInvalid, decode_text, parse_config
from copilot_api.config.schema import ConfigFile, json_schema
from copilot_api.config.settings import Settings
from copilot_api.config.store import ConfigConflict, Version, changed_paths, hash_of
from copilot_api.errors import BadRequest, GatewayError
from copilot_api.gateway.impact import IMPACT_DAYS, Impact, ImpactQuery, render_impact
from copilot_api.upstream.catalog import Catalog

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
    """The file and its former versions. Blocks: call it from a thread."""

    def read(self) -> tuple[bytes | None, str]:
        """What is in the file, right or wrong, and its hash; None and an empty one where there is none."""
        ...

    def history(self) -> list[Version]:
        """The versions that are kept, newest first."""
        ...

    def read_version(self, version_id: str) -> bytes:
        """The content of a version. Raises `ConfigVersionNotFound`."""
        ...

    def replace(
        self,
        content: bytes,
        expected: str | None,
        actor: str,
        origin: Origin,
        detail: dict[str, object] | None = None,
    ) -> str:
        """
        Put `content` in the place of the file with the hash `expected` (empty: of none; None: of whatever is there), on
        record as what `actor` did from `origin`, with what else there is to tell of it.

        Gives the new hash. Raises `ConfigInvalid`, `ConfigConflict` when another file is there, or
        `StorageUnavailable`; then the old file stays.
        """
        ...


class ConfigApi:
    """See the module: the operations on the configuration, and what of them the admin pages ask too."""

    def __init__(
        self,
        source: ConfigSource,
        writer: ConfigWriter,
        impact: ImpactQuery,
        catalog: Callable[[], Awaitable[Catalog]],
        clock: Clock,
    ) -> None:
        self.source = source
        self._writer = writer
        self._impact = impact
        self._catalog = catalog
        self._clock = clock

    # Looking --------------------------------------------------------------------------------------------------------

    async def show(self, _asked: Asked) -> ConfigInForce:
        """What is in force."""
        source = self.source
        return ConfigInForce(config=source.config, hash=source.hash, rejected=source.rejected, path=str(source.path))

    async def show_schema(self, _asked: Asked) -> dict[str, Any]:
        """What a file may say."""
        return json_schema()

    async def preview(self, asked: Asked) -> dict[str, Any]:
        """What a configuration would have done to the calls of the last days."""
        return render_impact(await self.foresee(asked.body))

    async def foresee(self, content: bytes) -> Impact:
        """The same as a value. Raises `BadRequest` for what cannot be used, or `CatalogUnavailable`."""
        proposed, current = (await self._check(content)).exposure, self.source.current.exposure
        catalog, until = await self._catalog(), self._clock.now()
        since = until - timedelta(days=IMPACT_DAYS)
        return await asyncio.to_thread(self._impact.run, current, proposed, catalog, since, until)

    async def validate(self, asked: Asked) -> ConfigVerdict:
        """What is wrong with a file."""
        return await self.judge(asked.body)

    async def judge(self, content: bytes) -> ConfigVerdict:
        """What is wrong with a content."""
        return await asyncio.to_thread(self._judge, content)

    def _judge(self, content: bytes) -> ConfigVerdict:
        try:
            parse_config(content, "the body")
            self.source.check(content)
        except ConfigInvalid as error:
            mistakes = [msgspec.convert(asdict(each), MistakeDocument) for each in error.mistakes]
            return ConfigVerdict(valid=False, problem=None if mistakes else error.problem, mistakes=mistakes)
        except GatewayError as error:
            return ConfigVerdict(valid=False, problem=error.message, mistakes=[])
        return ConfigVerdict(valid=True, problem=None, mistakes=[])

    async def list_versions(self, _asked: Asked) -> VersionList:
        """The versions that were replaced."""
        return VersionList(await self.describe_versions())

    async def describe_versions(self) -> list[VersionDocument]:
        """Those that are kept, newest first, each with what replaced it changed."""
        return await asyncio.to_thread(self._describe_versions)

    async def read(self) -> tuple[bytes | None, str]:
        """What is in the file, right or wrong, and its hash; None and an empty one where there is none."""
        return await asyncio.to_thread(self._writer.read)

    async def read_version(self, version_id: str) -> bytes:
        """A version as it was written. Raises `ConfigVersionNotFound`."""
        return await asyncio.to_thread(self._writer.read_version, version_id)

    def _describe_versions(self) -> list[VersionDocument]:
        newer, _ = self._writer.read()
        found: list[VersionDocument] = []
        for version in self._writer.history():
            content = self._writer.read_version(version.id)
            found.append(
                VersionDocument(
                    id=version.id,
                    at=version.at.isoformat(),
                    hash=version.hash,
                    size=version.size,
                    changed=changed_paths(content, newer or b"{}"),
                )
            )
            newer = content
        return found

    async def show_version(self, asked: Asked) -> VersionContent:
        """One of them, as it was written."""
        version_id = asked.names["id"]
        content = await self.read_version(version_id)
        return VersionContent(version_id, hash_of(content), content.decode(errors="replace"))

    # Changing -------------------------------------------------------------------------------------------------------

    async def replace(self, asked: Asked) -> ConfigWritten:
        """Put another file in the place of the one that is there."""
        expected = _expected_hash(asked.head)
        return ConfigWritten(await self.write(asked.body, expected, asked.admin.id, asked.origin))

    async def change(self, asked: Asked) -> ConfigChanged:
        """Change single fields; all else stays as it is written."""
        expected, wish = _expected_hash(asked.head), asked.body
        before, found = await self.read()
        if expected is not None and expected != found:
            raise ConfigConflict(f"{self.source.path.name} was changed by somebody else in the meantime")
        try:
            content = await asyncio.to_thread(_edit, before, wish)
        except ConfigInvalid as error:
            raise _refusal(error) from error
        changed = changed_paths(before, content)
        if content == before:
            await self._check(content)
            return ConfigChanged(found, changed)
        return ConfigChanged(await self.write(content, found, asked.admin.id, asked.origin), changed)

    async def roll_back(self, asked: Asked) -> ConfigChanged:
        """Put a version back."""
        wish: Rollback = asked.body
        content = await self.read_version(wish.version)
        before, found = await self.read()
        written = await self.write(content, found, asked.admin.id, asked.origin, {"rollback": wish.version})
        return ConfigChanged(written, changed_paths(before, content))

    async def write(
        self,
        content: bytes,
        expected: str | None,
        actor: str,
        origin: Origin,
        detail: dict[str, object] | None = None,
    ) -> str:
        """
        Put a content that can be used in the place of the file, see `ConfigWriter.replace`. Raises `BadRequest` for one
        that cannot be used.
        """
        await self._check(content)
        try:
            return await asyncio.to_thread(self._writer.replace, content, expected, actor, origin, detail)
        except ConfigInvalid as error:
            raise _refusal(error) from error

    async def _check(self, content: bytes) -> Settings:
        try:
            return await asyncio.to_thread(self.source.check, content)  # a large file takes its time to be read
        except GatewayError as error:
            raise _refusal(error) from error


def _edit(content: bytes | None, wish: ConfigChange) -> bytes:
    text = NEW_FILE if content is None else decode_text(content, "config.json")
    for path in wish.unset:
        text = unset_value(text, parse_key(path))
    for path, value in wish.set.items():
        text = set_value(text, parse_key(path), value)
    return text.encode()


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
