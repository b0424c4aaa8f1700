"""
Whom it is about: a key by its id, its label or its prefix, also one whose row is gone; and all names that it ever had.

The names come from the row and from the audit log, which knows earlier labels and prefixes too, and which is all that
is left when an erasure was killed in its middle.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from copilot_api.audit.lines import AuditRecord
from copilot_api.audit.models import Action
from copilot_api.keys.repository import KeyRepository
from copilot_api.keys.service import KeyNotFound, KeyService
from copilot_api.privacy.audit_lines import AuditLines, list_lines_about
from copilot_api.privacy.models import Needles, Subject
from copilot_api.privacy.repository import PrivacyRepository

_KEY_ID = re.compile(r"key_[a-z2-7]{12}")
_NAMING = {Action.KEY_ISSUED.value, Action.KEY_UPDATED.value, Action.KEY_ROTATED.value, Action.ADMIN_RECOVERED.value}


@dataclass(frozen=True, slots=True)
class Subjects:
    """Finds keys and their names. Blocks."""

    keys: KeyService
    repository: PrivacyRepository
    audit: AuditLines

    def get(self, reference: str) -> Subject:
        """The key. Raises `KeyNotFound`, or `BadRequest` where several are called so."""
        try:
            key_id = self.keys.get(reference).id
        except KeyNotFound:
            # One whose row is gone can only be told by its id.
            if not _KEY_ID.fullmatch(reference) or not self._is_known(reference):
                raise
            key_id = reference
        return self.repository.find_subject(key_id)

    def _is_known(self, key_id: str) -> bool:
        return self.repository.find_erasure(key_id) is not None or self.repository.count(key_id).series > 0

    def name(self, subject: Subject) -> Needles:
        """Everything by which the key could be recognised, but for what another key goes by too."""
        prefixes, labels = set(subject.prefixes), {subject.key.label} if subject.key else set[str]()
        for record in list_lines_about(self.audit, subject.id):
            if record.target == subject.id and record.action in _NAMING:
                for detail in _list_details(record):
                    prefixes |= _text_of(detail, "prefix")
                    labels |= _text_of(detail, "label")
        others = [key for key in self.keys.list_keys() if key.id != subject.id]
        prefixes -= {key.prefix for key in others}
        labels -= {key.label for key in others}
        digests = tuple(secret.digest for secret in subject.secrets)
        return Needles(subject.id, tuple(sorted(prefixes - {""})), tuple(sorted(labels - {""})), digests)


def _list_details(record: AuditRecord) -> Iterator[dict[str, Any]]:
    """The detail, and the states of before and after in it."""
    yield record.detail
    for name in ("before", "after"):
        if isinstance(state := record.detail.get(name), dict):
            yield cast("dict[str, Any]", state)


def _text_of(detail: dict[str, Any], name: str) -> set[str]:
    value = detail.get(name)
    return {value} if isinstance(value, str) else set()


def find_vanished(repository: KeyRepository, known: Iterable[str]) -> tuple[set[str], set[str]]:
    """The ids of all keys now, and those of `known` that are no more."""
    now = {key.id for key in repository.list_keys()}
    return now, set(known) - now
