"""The account's quota, from the user document (protocol reference, 3): unversioned, every field optional."""

from dataclasses import dataclass
from typing import Any

from copilot_api.protocols.untyped import object_of


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

    @property
    def used(self) -> float | None:
        """How much of the entitlement is gone."""
        if self.is_unlimited or self.entitlement is None:
            return None
        if self.remaining is not None:
            return self.entitlement - self.remaining
        return None if self.percent_remaining is None else self.entitlement * (1 - self.percent_remaining / 100)


@dataclass(frozen=True, slots=True)
class AccountQuota:
    """The account's plan and its allowances."""

    login: str
    plan: str
    resets_on: str | None
    snapshots: tuple[QuotaSnapshot, ...]


def parse_quota(document: dict[str, Any]) -> AccountQuota:
    """The quota in `/copilot_internal/user`'s answer, in any of the shapes it has had."""
    raw = object_of(document.get("quota_snapshots"))
    snapshots = [_parse_snapshot(name, object_of(fields)) for name, fields in raw.items() if fields]
    limits, left = object_of(document.get("monthly_quotas")), object_of(document.get("limited_user_quotas"))
    if not snapshots:  # the free plan's old shape
        snapshots = [
            QuotaSnapshot(name, False, _number(limit), _number(left.get(name)), None, 0.0, False, False)
            for name, limit in limits.items()
        ]
    resets_on = document.get("quota_reset_date") or document.get("limited_user_reset_date")
    return AccountQuota(
        login=str(document.get("login") or ""),
        plan=str(document.get("copilot_plan") or document.get("access_type_sku") or "unknown"),
        resets_on=str(resets_on) if resets_on else None,
        snapshots=tuple(snapshots),
    )


def _parse_snapshot(name: str, fields: dict[str, Any]) -> QuotaSnapshot:
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
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
