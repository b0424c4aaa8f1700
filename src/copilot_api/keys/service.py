"""
The keys of the gateway: issued, recognised, changed, rotated and revoked.

Recognising a key is a look into an index in memory and takes no time. What looks into the storage or changes it blocks:
call it from a thread. A change is in force when its method returns, in every process, from the next call on.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from msgspec import UNSET, UnsetType

from copilot_api.audit.models import LOCAL, Action, AuditEvent, Origin
from copilot_api.clock import Clock
from copilot_api.errors import BadRequest, GatewayError, Unauthorized
from copilot_api.keys.captures import ASKED, EXPIRED, REVOKED, SWITCHED_OFF, end_order, make_order, sign_order
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.checks import MAX_LABEL, MAX_OVERLAP_SECONDS, check_times, checked_label, checked_policy
from copilot_api.keys.index import MAX_AGE_SECONDS, KeyIndex, RefreshFailed, log_refresh_failed
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.keys.repository import KeyRepository, KeySecret, SignedEdit
from copilot_api.keys.secret import digest_secret, is_secret, make_key_id, make_secret, visible_prefix

PolicyEdit = Callable[[KeyPolicy], KeyPolicy]
"""Makes the new policy of the one that is stored. It may be asked more than once."""


class KeyNotFound(GatewayError):
    """No key by that id, prefix or label."""

    number, code, status = 207, "key_not_found", 404
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "'copilot-api keys list' shows all keys"


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key together with its secret: the only time that anybody sees it."""

    key: ApiKey
    secret: str = field(repr=False)


class KeyService:
    """Issues, recognises, changes, rotates and revokes keys."""

    def __init__(
        self,
        repository: KeyRepository,
        changes: KeyChanges,
        clock: Clock,
        *,
        max_age_seconds: float = MAX_AGE_SECONDS,
        on_refresh_failed: RefreshFailed = log_refresh_failed,
    ) -> None:
        self._repository = repository
        self._changes = changes
        self._clock = clock
        self._index = KeyIndex(repository, changes, clock, max_age_seconds, on_refresh_failed)
        self._last_used: dict[str, datetime] = {}

    # Recognising ----------------------------------------------------------------------------------------------------

    def authenticate(self, secret: str, now: datetime) -> ApiKey:
        """The key that `secret` opens at `now`. Asks nobody: whether the index is current is `needs_refresh`."""
        # Before the hash: an attacker's megabyte, or a key of another service, costs nothing and is kept nowhere.
        if not is_secret(secret):
            raise Unauthorized("this is not a key of this gateway" if secret else "an API key is required")
        return self.authenticate_digest(digest_secret(secret), now)

    def authenticate_digest(self, digest: bytes, now: datetime) -> ApiKey:
        """The same by what is stored of a secret (`digest_secret`): whoever has shown it before need not keep it."""
        entry = self._index.find(digest)
        if entry is None:
            raise Unauthorized("the API key is not known")
        # From here on the caller has proven to hold the key, and may be told what became of it.
        if not entry.key.is_valid_at(now):
            raise Unauthorized(f"the API key {_why_invalid(entry.key, now)}")
        if entry.secret_expires_at is not None and entry.secret_expires_at <= now:
            raise Unauthorized("the API key was rotated, and this old secret of it has ended")
        return entry.key

    def needs_refresh(self) -> bool:
        """Whether the index may be out of date. Cheap enough for every call: one `stat`."""
        return self._index.needs_refresh()

    async def refresh(self) -> None:
        """Read the index anew, once for all who ask at the same time. A broken database is reported, not raised."""
        await self._index.refresh()

    def load(self) -> None:
        """The same for those who have no event loop; raises when it fails."""
        self._index.load()

    def mark_used(self, key_id: str, now: datetime) -> None:
        """Note that a key was used; kept in memory until `take_last_used`."""
        self._last_used[key_id] = now

    def take_last_used(self) -> dict[str, datetime]:
        """What was noted since the last time, for `KeyRepository.record_last_used`."""
        taken, self._last_used = self._last_used, {}
        return taken

    # Looking --------------------------------------------------------------------------------------------------------

    def list_keys(self) -> list[ApiKey]:
        """Every key as it is stored, oldest first, revoked and expired ones too."""
        return self._repository.list_keys()

    def list_known(self) -> list[ApiKey]:
        """The same as far as the index knows, in no order. Asks nobody."""
        return self._index.list_keys()

    def get(self, reference: str) -> ApiKey:
        """The key with this id or, where only one has it, this visible prefix or this label."""
        keys = self.list_keys()
        by_id = [key for key in keys if key.id == reference]
        found = by_id or [key for key in keys if reference in (key.prefix, key.label)]
        if not found:
            raise KeyNotFound(f"no such key: {_shown(reference)}")
        if len(found) > 1:
            raise BadRequest(f"several keys are called so: {', '.join(key.id for key in found)}", hint="give the id")
        return found[0]

    def get_by_id(self, key_id: str) -> ApiKey:
        """The key with this id. Raises `KeyNotFound`."""
        for key in self.list_keys():
            if key.id == key_id:
                return key
        raise KeyNotFound(f"no such key: {_shown(key_id)}")

    # Changing -------------------------------------------------------------------------------------------------------

    def issue(
        self,
        label: str,
        *,
        tier: Tier = Tier.CLIENT,
        policy: KeyPolicy | None = None,
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
        actor: str,
        origin: Origin = LOCAL,
    ) -> IssuedKey:
        """Make a key."""
        issued, secret = self._make(label, tier, policy or KeyPolicy(), not_before, expires_at)
        event = AuditEvent(actor, Action.KEY_ISSUED, issued.key.id, _describe(issued.key), origin)
        with self._changes.announcing():
            self._repository.add_key(issued.key, secret, event)
        return issued

    def update(
        self,
        key_id: str,
        *,
        label: str | None = None,
        policy: KeyPolicy | PolicyEdit | None = None,
        not_before: datetime | UnsetType | None = UNSET,
        expires_at: datetime | UnsetType | None = UNSET,
        actor: str,
        origin: Origin = LOCAL,
    ) -> ApiKey:
        """
        Change what is given. A time that is None is taken away; what is the same as before is not written or audited.

        A policy replaces the stored one, whatever became of it since the caller read it. A `PolicyEdit` changes the one
        that is stored at that moment: of two at the same time neither undoes what the other did.
        """

        def sign(key: ApiKey) -> tuple[ApiKey, AuditEvent] | None:
            edited = policy if policy is None or isinstance(policy, KeyPolicy) else policy(key.policy)
            changed = replace(
                key,
                label=key.label if label is None else checked_label(label),
                policy=key.policy if edited is None else checked_policy(edited),
                not_before=key.not_before if not_before is UNSET else not_before,
                expires_at=key.expires_at if expires_at is UNSET else expires_at,
            )
            if changed == key:
                return None
            if (changed.not_before, changed.expires_at) != (key.not_before, key.expires_at):
                check_times(self._clock.now(), changed.not_before, changed.expires_at)
            return changed, AuditEvent(actor, Action.KEY_UPDATED, key.id, _compare(key, changed), origin)

        key = self.get_by_id(key_id)
        if key.revoked_at is not None:
            raise BadRequest(f"this key was revoked: {key.id}", hint="issue a new key instead")
        if sign(key) is None:
            return key
        with self._changes.announcing():
            updated = self._repository.update_key(key.id, sign)
            if updated is None:
                raise BadRequest(f"this key was revoked meanwhile: {key.id}", hint="issue a new key instead")
        return updated

    def rotate(self, key_id: str, *, overlap_seconds: float = 0.0, actor: str, origin: Origin = LOCAL) -> IssuedKey:
        """Give a key a new secret; those it had end after `overlap_seconds`."""
        if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
            raise BadRequest("the overlap must be between nothing and a year")
        now = self._clock.now()
        key = self.get_by_id(key_id)
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
            raise BadRequest(f"this key {_why_invalid(key, now)}: {key.id}", hint="issue a new key instead")
        text = make_secret()
        secret = KeySecret(digest_secret(text), key.id, visible_prefix(text), now)
        old_end_at = now + timedelta(seconds=overlap_seconds)
        detail: dict[str, object] = {"prefix": secret.prefix, "old_secrets_end_at": old_end_at.isoformat()}
        event = AuditEvent(actor, Action.KEY_ROTATED, key.id, detail, origin)
        with self._changes.announcing():
            if not self._repository.rotate_key(secret, old_end_at, event):
                raise BadRequest(f"this key was revoked meanwhile: {key.id}", hint="issue a new key instead")
        return IssuedKey(replace(key, prefix=secret.prefix), text)

    def revoke(self, key_id: str, *, actor: str, origin: Origin = LOCAL) -> ApiKey:
        """End a key at once. Revoking it again changes nothing."""
        key = self.get_by_id(key_id)
        detail: dict[str, object] = {"label": key.label, "tier": key.tier}
        event = AuditEvent(actor, Action.KEY_REVOKED, key.id, detail, origin)
        with self._changes.announcing():
            self._repository.revoke_key(key.id, self._clock.now(), event)
        return self.get_by_id(key.id)

    # Capturing ------------------------------------------------------------------------------------------------------

    def start_capture(self, key_id: str, reason: str, seconds: float, *, actor: str, origin: Origin = LOCAL) -> ApiKey:
        """
        Have the calls of a key captured for so long, from now on; one that is captured already is for that long from
        now. Raises `BadRequest` for a reason or a time that will not do, and for a key that nobody can use.
        """

        def sign(key: ApiKey) -> tuple[ApiKey, AuditEvent]:
            now = self._clock.now()
            if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
                raise BadRequest(f"this key {_why_invalid(key, now)}: {key.id}", hint="there is nothing to capture")
            order = make_order(key, reason, seconds, now, actor)
            return replace(key, capture=order), sign_order(key, order, now, actor, origin)

        key = self.get_by_id(key_id)
        sign(key)
        return self._update_capture(key, sign)

    def stop_capture(self, key_id: str, *, actor: str, why: str = ASKED, origin: Origin = LOCAL) -> ApiKey:
        """Capture no further calls of a key. One that is not captured stays as it is."""
        key = self.get_by_id(key_id)
        return key if key.capture is None else self._update_capture(key, lambda key: end_order(key, actor, why, origin))

    def end_captures(self, now: datetime, *, is_allowed: bool, actor: str) -> list[ApiKey]:
        """
        End the captures whose time is over or whose key is revoked; all of them where none is allowed. Gives the keys
        of the ended ones.
        """

        def end(key: ApiKey) -> tuple[ApiKey, AuditEvent] | None:
            why = _why_over(key, now, is_allowed=is_allowed)
            return None if why is None else end_order(key, actor, why)

        due = [key for key in self.list_keys() if end(key) is not None]
        return [self._update_capture(key, end) for key in due]

    def has_overdue_captures(self, now: datetime, *, is_allowed: bool) -> bool:
        """Whether `end_captures` has something to do, as far as the index knows. Asks nobody."""
        return any(_why_over(key, now, is_allowed=is_allowed) is not None for key in self._index.list_captured())

    def knows(self, key_id: str) -> bool:
        """Whether there is a key by that id, revoked or not, as far as the index knows. Asks nobody."""
        return self._index.has_key(key_id)

    def list_overlaps(self, key_id: str, now: datetime) -> list[datetime]:
        """When the older secrets of a key end that still work, as far as the index knows. Asks nobody."""
        return self._index.list_ends(key_id, now)

    def _update_capture(self, key: ApiKey, edit: SignedEdit) -> ApiKey:
        with self._changes.announcing():
            updated = self._repository.update_capture(key.id, edit)
        if updated is None:
            raise KeyNotFound(f"no such key: {key.id}")
        return updated

    # Admins ---------------------------------------------------------------------------------------------------------

    def has_admin_key(self) -> bool:
        """Whether somebody can reach the admin plane."""
        now = self._clock.now()
        return any(key.tier is Tier.ADMIN and key.is_valid_at(now) for key in self.list_keys())

    def ensure_admin_key(self, *, actor: str) -> IssuedKey | None:
        """Make an admin key if there is no valid one; of several processes that start at once, one makes it."""
        issued, secret = self._make("first admin", Tier.ADMIN, KeyPolicy(), None, None)
        event = AuditEvent(actor, Action.KEY_ISSUED, issued.key.id, _describe(issued.key))
        with self._changes.announcing():
            return issued if self._repository.add_first_admin(issued.key, secret, event) else None

    def recover(self, *, force: bool = False, actor: str) -> tuple[IssuedKey, tuple[str, ...]]:
        """Make a fresh admin key; `force` revokes the old ones, whose ids are given."""
        issued, secret = self._make("recovered admin", Tier.ADMIN, KeyPolicy(), None, None)
        event = AuditEvent(actor, Action.ADMIN_RECOVERED, issued.key.id, _describe(issued.key))
        with self._changes.announcing():
            revoked = self._repository.recover_admin(issued.key, secret, event, revoke_others=force)
        return issued, revoked

    # Inside ---------------------------------------------------------------------------------------------------------

    def _make(
        self, label: str, tier: Tier, policy: KeyPolicy, not_before: datetime | None, expires_at: datetime | None
    ) -> tuple[IssuedKey, KeySecret]:
        now = self._clock.now()
        check_times(now, not_before, expires_at)
        text = make_secret()
        key = ApiKey(
            id=make_key_id(),
            label=checked_label(label),
            tier=tier,
            prefix=visible_prefix(text),
            created_at=now,
            policy=checked_policy(policy),
            not_before=not_before,
            expires_at=expires_at,
        )
        return IssuedKey(key, text), KeySecret(digest_secret(text), key.id, key.prefix, now)


def _why_invalid(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "was revoked"
    if key.not_before is not None and now < key.not_before:
        return f"is not valid before {key.not_before.isoformat(timespec='seconds')}"
    return "has expired"


def _why_over(key: ApiKey, now: datetime, *, is_allowed: bool) -> str | None:
    """Why a key that has an order is not to be captured any more; None while it is."""
    if key.capture is None:
        return None
    if key.revoked_at is not None:
        return REVOKED
    if key.capture.until <= now:
        return EXPIRED
    return None if is_allowed else SWITCHED_OFF


def _describe(key: ApiKey) -> dict[str, object]:
    """A key as the audit log has it."""
    return {
        "label": key.label,
        "tier": key.tier,
        "prefix": key.prefix,
        "not_before": key.not_before.isoformat() if key.not_before else None,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        **asdict(key.policy),
        "budgets": [budget.text for budget in key.policy.budgets],
    }


def _compare(before: ApiKey, after: ApiKey) -> dict[str, object]:
    """Two states of a key, as far as they differ."""
    old, new = _describe(before), _describe(after)
    changed = [name for name in new if old[name] != new[name]]
    return {"before": {name: old[name] for name in changed}, "after": {name: new[name] for name in changed}}


def _shown(reference: str) -> str:
    """`reference` for a message: somebody may have pasted the key itself."""
    return f"{visible_prefix(reference)}…" if is_secret(reference) else ascii(reference[:MAX_LABEL])
