"""
Mentions of a key in the configuration: `models.NAME.allowed_keys` may name it by its id, its label or its prefix.

Erasing takes them out of the file and of its former versions, and leaves everything else of them as it is. A list that
becomes empty stays empty: the alias is then nobody's, not everybody's.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from copilot_api.audit.log import AuditLog
from copilot_api.config.edits import set_value
from copilot_api.config.loader import ConfigInvalid
from copilot_api.config.store import ConfigConflict, ConfigStore
from copilot_api.errors import BadRequest
from copilot_api.privacy.models import Needles

_ATTEMPTS = 3
_FIELD = "allowed_keys"


@dataclass(slots=True)
class ConfigCounts:
    """How often the configuration named the key."""

    mentions: int = 0
    """In the file itself."""
    versions_rewritten: int = 0
    versions_deleted: int = 0
    """Former versions that could not be rid of it otherwise."""


@dataclass(frozen=True, slots=True)
class ConfigMentions:
    """Finds and removes the mentions of one key."""

    store: ConfigStore
    needles: Needles

    def count(self) -> ConfigCounts:
        """What there is to be removed."""
        content, _ = self.store.read_content()
        versions = [self.store.read_version(version.id) for version in self.store.history()]
        touched = sum(self._rid(version) != version for version in versions)
        return ConfigCounts(mentions=self._count(content or b""), versions_rewritten=touched)

    def list_models(self) -> list[str]:
        """The aliases whose lists name the key."""
        content, _ = self.store.read_content()
        return [model for model, _, _ in self._list_named(content or b"")]

    def erase(self, *, actor: str, audit: AuditLog) -> ConfigCounts:
        """
        Take the key out of the file and its former versions, signed. Raises `StorageUnavailable`.

        A file that cannot be used as it is stays as it is: the second look will say so.
        """
        done = ConfigCounts(mentions=self._erase_current(actor=actor, audit=audit))
        done.versions_rewritten, done.versions_deleted = self.store.rewrite_history(self._rid)
        return done

    def _erase_current(self, *, actor: str, audit: AuditLog) -> int:
        for attempt in range(_ATTEMPTS):
            content, content_hash = self.store.read_content()
            count = self._count(content or b"")
            if content is None or not count:
                return 0
            with suppress(ConfigInvalid):
                try:
                    detail: dict[str, object] = {"erasure": self.needles.key_id}
                    new = self._without(content)
                    self.store.replace(new, expected=content_hash, actor=actor, audit=audit, detail=detail)
                except ConfigConflict:
                    if attempt == _ATTEMPTS - 1:
                        raise
                    continue
                return count
            return 0
        return 0

    def _rid(self, content: bytes) -> bytes | None:
        """A version without the key; None where it names it elsewhere too."""
        try:
            rid = self._without(content)
        except (BadRequest, ConfigInvalid, UnicodeDecodeError):
            rid = content
        return None if any(text.encode() in rid for text in self.needles.texts) else rid

    def _without(self, content: bytes) -> bytes:
        text = content.decode()
        for model, names, keys in self._list_named(content):
            text = set_value(text, ("models", model, _FIELD), [key for key in keys if key not in names])
        return text.encode()

    def _count(self, content: bytes) -> int:
        return sum(sum(key in names for key in keys) for _, names, keys in self._list_named(content))

    def _list_named(self, content: bytes) -> Iterator[tuple[str, set[str], list[Any]]]:
        """The aliases whose lists name the key: the alias, the key's names, and the list."""
        names = {*self.needles.texts, *self.needles.labels}
        for model, entry in _members(_members(_decode(content)).get("models")).items():
            keys = _items(_members(entry).get(_FIELD))
            if any(key in names for key in keys):
                yield model, names, keys


def _decode(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _items(value: Any) -> list[Any]:
    return list(cast("Sequence[Any]", value)) if isinstance(value, list) else []


def _members(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
