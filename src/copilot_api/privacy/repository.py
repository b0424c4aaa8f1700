"""The port of the privacy tools: what they ask of whatever stores keys and the ledger."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from copilot_api.audit.models import AuditEvent
from copilot_api.privacy.models import Ended, Erasure, EventsFate, LedgerCounts, Leftover, Needles, Subject


class PrivacyRepository(Protocol):
    """
    Finds and erases what is stored about a key. Its methods block: call them from a thread.

    Raises `StorageUnavailable` when it cannot read or write.
    """

    def find_subject(self, key_id: str) -> Subject:
        """The key as it is stored; without its row where that is gone."""
        ...

    def find_erasure(self, key_id: str) -> Erasure | None:
        """The erasure of this key, finished or not."""
        ...

    def list_erased(self, key_ids: Sequence[str]) -> list[str]:
        """Those of the ids that are of erased keys."""
        ...

    def count(self, key_id: str) -> LedgerCounts:
        """What the ledger has of a key."""
        ...

    def list_days(self, key_id: str) -> list[datetime]:
        """The days on which the key called, by the sums of the ledger, in order."""
        ...

    def list_stored(self, request_ids: Sequence[str]) -> set[str]:
        """Those of the ids whose events are in the ledger."""
        ...

    def begin(self, key_id: str, fate: EventsFate, at: datetime, event: AuditEvent) -> Ended:
        """
        Delete the key and its secrets, and remember that it is erased: all of it signed, or nothing.

        From then on no event is stored under its id. An erasure that was begun before goes on.
        Raises `BadRequest` where events are deleted already that are now to stay.
        """
        ...

    def erase_events(self, key_id: str) -> LedgerCounts:
        """Take the key out of the ledger, in the way that was begun. May take long, and holds nobody up for long."""
        ...

    def finish(self, key_id: str, at: datetime) -> None:
        """Note that a second look found nothing left."""
        ...

    def search(self, needles: Needles) -> list[Leftover]:
        """What of the key any table still holds."""
        ...

    def search_bytes(self, needles: Needles) -> list[Leftover]:
        """What of the key the files of the database hold, also where nothing is stored any more."""
        ...

    def write_back(self) -> bool:
        """Bring everything into the database file. False where a reader kept that from happening."""
        ...

    def rewrite(self) -> None:
        """Write the database anew, without anything that was deleted. Others that write wait for it."""
        ...

    def measure(self) -> int:
        """How many bytes the database takes."""
        ...
