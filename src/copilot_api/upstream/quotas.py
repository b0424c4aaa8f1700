"""The account's quota, from the user document (protocol reference, 3): unversioned, every field optional."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from copilot_api.protocols.untyped import object_of

PREMIUM, CHAT = "premium_interactions", "chat"

_MOST = 1e12
"""Numbers beyond are mistakes, and sums of them no numbers at all."""
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class QuotaSnapshot:
    """One allowance of the account. Amounts are in the quota's own unit; None when GitHub does not say."""

    name: str
    is_unlimited: bool
    entitlement: float | None
    remaining: float | None
    percent_remaining: float | None
    overage_count: float
    overage_permitted: bool
    is_token_based: bool
    resets_at: datetime | None = None

    @property
    def used(self) -> float | None:
        """How much of the entitlement is gone."""
        if self.is_unlimited or self.entitlement is None:
            return None
        if self.remaining is not None:
            return self.entitlement - self.remaining
        return None if self.percent_remaining is None else self.entitlement * (1 - self.percent_remaining / 100)

    @property
    def consumed(self) -> float | None:
        """All that was used since the last reset: `used`, and what went beyond the entitlement."""
        return _add_overage(self.entitlement, self.used, self.overage_count)


@dataclass(frozen=True, slots=True)
class QuotaReading:
    """What of an allowance is kept: how it stood at a time."""

    name: str
    at: datetime
    entitlement: float | None
    used: float | None
    overage: float = 0.0
    is_unlimited: bool = False
    is_token_based: bool = False
    resets_at: datetime | None = None

    @property
    def consumed(self) -> float | None:
        """See `QuotaSnapshot`."""
        return None if self.is_unlimited else _add_overage(self.entitlement, self.used, self.overage)

    def says_the_same(self, other: "QuotaReading") -> bool:
        """Whether nothing but the time is different."""
        return (self.entitlement, self.used, self.overage, self.is_unlimited, self.is_token_based, self.resets_at) == (
            other.entitlement, other.used, other.overage, other.is_unlimited, other.is_token_based, other.resets_at
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountQuota:
    """The account's plan and its allowances."""

    login: str
    plan: str
    resets_on: str | None
    snapshots: tuple[QuotaSnapshot, ...]

    @property
    def charged(self) -> QuotaSnapshot | None:
        """
        The allowance that calls through the gateway draw on: premium interactions, which count AI credits where the
        plan bills by tokens; on free plans, which have none of them, chat. None where GitHub names neither.
        """
        by_name = {snapshot.name: snapshot for snapshot in self.snapshots}
        premium, chat = by_name.get(PREMIUM), by_name.get(CHAT)
        has_premium = premium is not None and (premium.is_unlimited or premium.entitlement != 0)
        has_chat = chat is not None and not chat.is_unlimited and bool(chat.entitlement)
        return chat if has_chat and not has_premium else premium

    def readings(self, at: datetime) -> list[QuotaReading]:
        """What of it is kept."""
        return [
            QuotaReading(
                name=each.name,
                at=at,
                entitlement=each.entitlement,
                used=each.used,
                overage=each.overage_count,
                is_unlimited=each.is_unlimited,
                is_token_based=each.is_token_based,
                resets_at=each.resets_at,
            )
            for each in self.snapshots
        ]


def parse_quota(document: dict[str, Any]) -> AccountQuota:
    """The quota in `/copilot_internal/user`'s answer, in any of the shapes it has had."""
    raw = object_of(document.get("quota_snapshots"))
    resets_at = _parse_time(
        document.get("quota_reset_date_utc"), document.get("quota_reset_date"), document.get("limited_user_reset_date")
    )
    snapshots = [_parse_snapshot(name, object_of(fields), resets_at) for name, fields in raw.items() if fields]
    limits, left = object_of(document.get("monthly_quotas")), object_of(document.get("limited_user_quotas"))
    if not snapshots:  # the free plan's old shape
        snapshots = [
            QuotaSnapshot(name, False, _number(limit), _number(left.get(name)), None, 0.0, False, False, resets_at)
            for name, limit in limits.items()
        ]
    resets_on = document.get("quota_reset_date") or document.get("limited_user_reset_date")
    return AccountQuota(
        login=str(document.get("login") or ""),
        plan=str(document.get("copilot_plan") or document.get("access_type_sku") or "unknown"),
        resets_on=str(resets_on) if resets_on else None,
        snapshots=tuple(snapshots),
    )


def _parse_snapshot(name: str, fields: dict[str, Any], resets_at: datetime | None) -> QuotaSnapshot:
    entitlement = _number(fields.get("entitlement"))
    return QuotaSnapshot(
        name=name,
        is_unlimited=fields.get("unlimited") is True or entitlement == -1,
        entitlement=entitlement,
        remaining=_number(fields.get("quota_remaining", fields.get("remaining"))),
        percent_remaining=_number(fields.get("percent_remaining")),
        overage_count=_number(fields.get("overage_count")) or 0.0,
        overage_permitted=fields.get("overage_permitted") is True,
        is_token_based=fields.get("token_based_billing") is True,
        resets_at=_parse_time(fields.get("quota_reset_at")) or resets_at,
    )


def _add_overage(entitlement: float | None, used: float | None, overage: float) -> float | None:
    if entitlement is None or used is None:
        return None
    # Whether `used` itself goes beyond the entitlement is not documented: what is beyond counts once.
    return max(0.0, min(used, entitlement)) + max(0.0, overage, used - entitlement)


def _parse_time(*values: object) -> datetime | None:
    """The first of these that is a time: seconds since 1970, a date, or ISO 8601. Nonsense is none."""
    for value in values:
        try:
            if isinstance(value, str):
                at = datetime.fromisoformat(value)
                at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                at = datetime.fromtimestamp(value, UTC)
            else:
                continue
        except (ValueError, OverflowError, OSError):
            continue
        if _EARLIEST <= at < _LATEST:
            return at
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_MOST <= value <= _MOST:
        return None
    return float(value)
