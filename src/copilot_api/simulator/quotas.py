"""Premium interactions, or AI credits, left to each account: as headers and as the user document."""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import floor
from urllib.parse import urlencode

from copilot_api.simulator.options import SimulatorOptions
from copilot_api.simulator.wire import Json


class Quotas:
    """Counts premium interactions per account, or AI credits where it is billed by tokens."""

    def __init__(self, options: SimulatorOptions) -> None:
        self._options = options
        self.entitlement = options.premium_entitlement
        self.overage_permitted = options.overage_permitted
        self.is_token_based = options.token_based_billing
        self.initially_used = options.premium_used
        self._used: dict[str, float] = {}

    def used(self, login: str) -> float:
        """What an account has used this month."""
        return self._used.get(login, self.initially_used)

    def spend(self, login: str, amount: float) -> None:
        """Count one call."""
        if amount:
            self._used[login] = round(self.used(login) + amount, 9)

    def set_used(self, used: float) -> None:
        """Every account has used this much from now on."""
        self.initially_used = used
        self._used.clear()

    def is_exhausted(self, login: str) -> bool:
        """Whether a premium call has to be refused."""
        return self.entitlement >= 0 and not self.overage_permitted and self.used(login) >= self.entitlement

    def resets_at(self) -> datetime:
        """The first of next month."""
        now = self._options.clock.now()
        year, month = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
        return datetime(year, month, 1, tzinfo=UTC)

    def headers(self, login: str) -> Mapping[str, str]:
        """The quota snapshots of a successful call."""
        reset = self.resets_at().strftime("%Y-%m-%dT%H:%M:%SZ")
        unlimited = _render_snapshot(-1, 0.0, permitted=False, remaining=100.0, reset=reset)
        remaining, overage = self._remaining(login)
        percent = self._percent(remaining)
        permitted = self.overage_permitted
        premium = _render_snapshot(self.entitlement, overage, permitted=permitted, remaining=percent, reset=reset)
        window = _render_snapshot(0, 0.0, permitted=False, remaining=97.5, reset=reset)
        return {
            "x-quota-snapshot-chat": unlimited,
            "x-quota-snapshot-completions": unlimited,
            "x-quota-snapshot-premium_interactions": premium,
            "x-quota-snapshot-premium_models": premium,
            "x-usage-ratelimit-session": window,
            "x-usage-ratelimit-weekly": window,
        }

    def describe_premium(self, login: str) -> Json:
        """What the user document says about premium interactions."""
        remaining, overage = self._remaining(login)
        described: Json = {
            "entitlement": self.entitlement,
            "overage_count": int(overage),
            "overage_permitted": self.overage_permitted,
            "percent_remaining": self._percent(remaining),
            "quota_id": "premium_interactions",
            "quota_remaining": remaining,
            "remaining": floor(remaining),
            "unlimited": self.entitlement < 0,
            "timestamp_utc": self._options.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        }
        if self.is_token_based:
            described["token_based_billing"] = True
            described["has_quota"] = not self.is_exhausted(login)
            described["quota_reset_at"] = int(self.resets_at().timestamp())
        return described

    def _remaining(self, login: str) -> tuple[float, float]:
        """What is left, and what was used beyond it."""
        if self.entitlement < 0:
            return 0.0, 0.0
        left = self.entitlement - self.used(login)
        return round(max(left, 0.0), 9), round(max(-left, 0.0), 9)

    def _percent(self, remaining: float) -> float:
        if self.entitlement <= 0:
            return 100.0 if self.entitlement < 0 else 0.0
        return round(100 * remaining / self.entitlement, 4)


def _render_snapshot(entitlement: int, overage: float, *, permitted: bool, remaining: float, reset: str) -> str:
    fields = {
        "ent": entitlement,
        "ov": overage,
        "ovPerm": "true" if permitted else "false",
        "rem": remaining,
        "rst": reset,
    }
    return urlencode(fields)
