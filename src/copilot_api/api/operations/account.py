"""The operations on identities and models: whose credential calls use, what it offers, and what has changed of that."""

from typing import Literal

import msgspec

from copilot_api.api.operations.operation import Operation, Parameter, Refusal, refusal
from copilot_api.errors import CatalogUnavailable
from copilot_api.gateway.offers import OffersDocument
from copilot_api.keys.service import KeyNotFound
from copilot_api.upstream.drift import ChangeKind
from copilot_api.usage.forecast import Reason

TAG = "account"
IDENTITY_NOT_FOUND = Refusal(404, "identity_not_found")
SIGN_IN_NOT_FOUND = Refusal(404, "sign_in_not_found")
SignInState = Literal["waiting", "done", "failed", "cancelled"]


class TokenStanding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The Copilot token; one that is used as it is does not expire here."""

    is_valid: bool
    expires_at: str | None
    failure: str | None


class SlotsStanding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many calls are under way at Copilot, and in line."""

    in_flight: int
    waiting: int
    allowed: int
    most: int


class BrakeStanding(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How many calls Copilot tolerates, and why fewer than usual."""

    is_braking: bool
    is_paced: bool
    hold_seconds: float
    stopped_at: str | None
    stop_reason: str | None


class Snapshot(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One allowance, as GitHub tells it."""

    name: str
    is_unlimited: bool
    entitlement: float | None
    used: float | None
    remaining: float | None
    percent_remaining: float | None
    overage_count: float | None
    overage_permitted: bool
    is_token_based: bool
    resets_at: str | None


class PaceStanding(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is used of the allowance against what an even use would have used."""

    since: str
    resets_at: str
    elapsed_share: float
    even_use: float
    used: float
    projected_use: float | None


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount, with the ends of its band."""

    low: float
    likely: float
    high: float


class ForecastStanding(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """When the allowance will be used up."""

    reason: Reason | None
    earliest: str | None
    likely: str | None
    latest: str | None
    use_at_reset: Range | None
    days: int
    is_by_weekday: bool


class UnattributedStanding(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What of the allowance was used, and did not go through here."""

    since: str
    until: str
    covered_share: float | None
    moved: float
    through_here: float
    amount: float | None
    share: float | None
    difference: float | None


class Reading(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How the allowance stood."""

    at: str
    entitlement: float | None
    used: float | None
    overage: float | None
    resets_at: str | None


class AccountStanding(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The account's quota as it was read last, and what follows from it. Amounts are in the allowance's own unit."""

    login: str | None
    plan: str | None
    resets_on: str | None
    snapshots: list[Snapshot]
    read_at: str
    age_seconds: float
    charged_to: str | None
    unit: str | None
    pace: PaceStanding | None
    forecast: ForecastStanding | None
    unattributed: UnattributedStanding | None
    readings: list[Reading]


class IdentityStanding(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Whose GitHub credential calls use, and how it stands with it. Nothing of it is secret."""

    id: str
    kind: str
    source: str
    login: str | None
    plan: str | None
    token: TokenStanding
    slots: SlotsStanding
    brake: BrakeStanding
    quota: AccountStanding | None
    quota_failure: str | None


class IdentityList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every identity."""

    identities: list[IdentityStanding]


class Resumed(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """An identity whose calls may go on."""

    identity: str
    was_stopped: bool
    since: str | None
    reason: str | None


class Change(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One thing of one model that is not what it was."""

    at: str
    model: str
    kind: ChangeKind
    before: str
    after: str


class Drift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Copilot has changed, the newest first."""

    since: str
    changes: list[Change]
    next: str | None
    """`after` of the next page; null at the end."""


class SignIn(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A login at GitHub by device flow: the code that has to be typed on GitHub's page, and what became of it."""

    state: SignInState
    user_code: str
    verification_uri: str
    expires_at: str
    login: str | None
    """Who is signed in, once that is done."""
    login_before: str | None
    """Who was, as far as it was known."""
    problem: str | None
    """Why it failed."""


OPERATIONS = (
    Operation(
        id="list_identities",
        method="GET",
        path="/admin/api/identities",
        tag=TAG,
        summary="Show whose GitHub credential calls use, and how it stands with it",
        answer=IdentityList,
    ),
    Operation(
        id="resume_identity",
        method="POST",
        path="/admin/api/identities/{id}/resume",
        tag=TAG,
        summary="Let calls go to GitHub Copilot again after the account was flagged",
        about="In force within a second or two, with one call at a time to begin with. One that is not stopped stays "
        "so.",
        answer=Resumed,
        refusals=(IDENTITY_NOT_FOUND,),
    ),
    Operation(
        id="start_sign_in",
        method="POST",
        path="/admin/api/identities/{id}/sign-in",
        tag=TAG,
        summary="Sign an identity in to GitHub by device flow",
        about="Somebody types `user_code` at `verification_uri`, signed in to the account that calls shall use. Then "
        "the next call uses it, without a restart; calls under way are not disturbed. One login at a time.",
        answer=SignIn,
        refusals=(
            IDENTITY_NOT_FOUND,
            Refusal(409, "sign_in_under_way"),
            Refusal(409, "credential_given"),
            Refusal(403, "upstream_forbidden"),
            Refusal(403, "account_flagged"),
            Refusal(502, "upstream_error"),
            Refusal(502, "upstream_unauthorized"),
            Refusal(504, "upstream_timeout"),
        ),
        is_sensitive=True,
    ),
    Operation(
        id="show_sign_in",
        method="GET",
        path="/admin/api/identities/{id}/sign-in",
        tag=TAG,
        summary="Show the last login: the code, whether it was typed, what became of it",
        answer=SignIn,
        refusals=(IDENTITY_NOT_FOUND, SIGN_IN_NOT_FOUND),
    ),
    Operation(
        id="cancel_sign_in",
        method="DELETE",
        path="/admin/api/identities/{id}/sign-in",
        tag=TAG,
        summary="Cancel a login, or forget the last one",
        answer=SignIn,
        refusals=(IDENTITY_NOT_FOUND, SIGN_IN_NOT_FOUND),
    ),
    Operation(
        id="list_models",
        method="GET",
        path="/admin/api/models",
        tag=TAG,
        summary="Show what clients can call, and what stands behind it",
        answer=OffersDocument,
        parameters=(Parameter("key", "say which of them this key may use: its id, label or visible prefix"),),
        refusals=(refusal(KeyNotFound), refusal(CatalogUnavailable)),
    ),
    Operation(
        id="list_drift",
        method="GET",
        path="/admin/api/models/drift",
        tag=TAG,
        summary="List what Copilot has changed of its models, the newest first",
        answer=Drift,
        parameters=(
            Parameter("since", "from when on: how long ago (`7d`), or a time; the last 30 days without it"),
            Parameter("limit", "how many, 500 at most; 100 without it", int),
            Parameter("after", "where the page before ended: its `next`, as it is"),
        ),
    ),
)
