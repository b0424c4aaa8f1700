"""What it does to revoke keys, and to how many: said before it is done. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from copilot_api.gateway.under_way import Followed
from copilot_api.keys.models import ApiKey, Tier
from copilot_api.keys.sessions import Session

LAST_ADMIN = "last_admin"
"""The box that is ticked by whoever means it although no admin key is left."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """What becomes of it."""

    keys: tuple[ApiKey, ...]
    """Those that are not revoked yet."""
    calls: int
    """Under way with them."""
    sessions: int
    """At the admin pages."""
    captured: int
    has_own: bool
    """Whether the key of whoever asks is among them."""
    is_last_admin: bool
    """Whether no admin key is left that is valid."""

    @property
    def has_admin(self) -> bool:
        """Whether an admin's key is among them."""
        return any(key.tier is Tier.ADMIN for key in self.keys)

    @property
    def consequences(self) -> list[str]:
        """In sentences."""
        return list(self._list_consequences())

    def _list_consequences(self) -> Iterator[str]:
        count = len(self.keys)
        whose = f"{self.keys[0].label} is refused from its" if count == 1 else f"{count} keys are refused from their"
        yield f"{whose} next call on, for good: a revoked key cannot be brought back."
        if self.calls:
            yield f"{_count(self.calls, 'call')} under way {_verb(self.calls, 'goes', 'go')} on to the end."
        else:
            yield "No call is under way with it." if count == 1 else "No call is under way with them."
        if self.sessions:
            yield f"{_count(self.sessions, 'session')} at these pages {_verb(self.sessions, 'ends', 'end')} at once."
        if self.captured:
            yield f"{_count(self.captured, 'capture')} {_verb(self.captured, 'ends', 'end')}."
        if self.has_own:
            yield f"You are signed in with {'it' if count == 1 else 'one of them'}: you are signed out."
        if self.is_last_admin:
            yield (
                "No admin key is left that works. Nobody can sign in here until 'copilot-api admin recover' is run on "
                "the gateway's machine."
            )
        yield "What was used stays in the ledger, and that it was revoked in the audit log."


def foresee_revocation(
    chosen: Sequence[ApiKey],
    all_keys: Sequence[ApiKey],
    calls: Mapping[str, int],
    sessions: Collection[Session],
    own_id: str,
    now: datetime,
) -> Revocation:
    """What revoking these keys will do. `calls` are those under way, by key."""
    keys = tuple(key for key in chosen if key.revoked_at is None)
    ids = {key.id for key in keys}
    admins = [key for key in all_keys if key.tier is Tier.ADMIN and key.is_valid_at(now)]
    return Revocation(
        keys=keys,
        calls=sum(calls.get(key_id, 0) for key_id in ids),
        sessions=sum(session.key_id in ids for session in sessions),
        captured=sum(key.capture_at(now) is not None for key in keys),
        has_own=own_id in ids,
        is_last_admin=bool(admins) and all(key.id in ids for key in admins),
    )


def count_calls(under_way: Mapping[str, Followed]) -> dict[str, int]:
    """How many calls are under way, by key."""
    counts: dict[str, int] = {}
    for record in under_way.values():
        key_id = record.event.key_id
        if key_id is not None:
            counts[key_id] = counts.get(key_id, 0) + 1
    return counts


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _verb(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
