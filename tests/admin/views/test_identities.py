"""The identity: absent, well, braked, stopped and resumed, hostile, in parts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from copilot_api.admin.answers import Redirect
from copilot_api.admin.views.identities import IdentityViews
from copilot_api.api.operations.account import (
    AccountStanding,
    BrakeStanding,
    IdentityStanding,
    Reading,
    SignIn,
    SlotsStanding,
    Snapshot,
    TokenStanding,
)
from copilot_api.api.sign_in import SignInNotFound, SignInUnderWay
from copilot_api.audit.models import LOCAL, Action, AuditEvent
from copilot_api.upstream.brake import Stop
from copilot_api.upstream.drift import CatalogChange, ChangeKind
from copilot_api.upstream.quota_keeper import AccountReading
from copilot_api.upstream.quotas import parse_quota
from tests.admin.services import World, text_of

HOSTILE = "<script>alert(1)</script>"
WELL = BrakeStanding(is_braking=False, is_paced=False, hold_seconds=0.0, stopped_at=None, stop_reason=None)


def make_quota(name: str = "premium_interactions") -> AccountStanding:
    snapshot = Snapshot(
        name=name,
        is_unlimited=False,
        entitlement=4000.0,
        used=1480.0,
        remaining=2520.0,
        percent_remaining=63.0,
        overage_count=0.0,
        overage_permitted=False,
        is_token_based=True,
        resets_at="2026-08-01T00:00:00+00:00",
    )
    readings = [
        Reading(at=f"2026-06-{day:02}T00:00:00+00:00", entitlement=4000.0, used=day * 50.0, overage=0.0, resets_at=None)
        for day in range(1, 29)
    ]
    return AccountStanding(
        login="octocat",
        plan="business",
        resets_on=None,
        snapshots=[snapshot],
        read_at="2026-07-01T00:00:00+00:00",
        age_seconds=1.0,
        charged_to=name,
        unit="credits",
        pace=None,
        forecast=None,
        unattributed=None,
        readings=readings,
    )


def make_identity(**fields: Any) -> IdentityStanding:
    values: dict[str, Any] = {
        "id": "default",
        "kind": "GitHub App user token",
        "source": "github_token file",
        "login": "octocat",
        "plan": "business",
        "token": TokenStanding(True, "2026-07-01T12:25:00+00:00", None),
        "slots": SlotsStanding(2, 1, 8, 8),
        "brake": WELL,
        "quota": make_quota(),
        "quota_failure": None,
    }
    return IdentityStanding(**{**values, **fields})


@pytest.fixture
def views(world: World) -> IdentityViews:
    world.identities.told = [make_identity()]
    return IdentityViews(world.services)


def test_how_it_stands_is_on_one_page(world: World, views: IdentityViews) -> None:
    premium = {"entitlement": 4000, "quota_remaining": 2520, "token_based_billing": True}
    document = {"login": "octocat", "copilot_plan": "business", "quota_snapshots": {"premium_interactions": premium}}
    world.quota.reading = AccountReading(parse_quota(document), world.clock.now(), world.clock.monotonic())
    html = world.show(views.show, "/admin/identities")
    text = text_of(html)
    for words in (
        "State works",
        "Slots taken 2 of 8 slots",
        "Waiting 1",
        "octocat",
        "business",
        "in 25 min",
        "1,480 of 4,000 credits",
        "premium interactions 1.48 k 4,000",
        "calm",
        "copilot-api auth login",
    ):
        assert words in text, words
    assert "chart-allowance" in html


def test_without_an_identity_it_says_what_to_run(world: World, views: IdentityViews) -> None:
    world.identities.told = []
    text = text_of(world.show(views.show, "/admin/identities"))
    assert "No GitHub identity" in text
    assert "copilot-api auth login" in text


def test_a_token_that_is_used_as_it_is_does_not_expire(world: World, views: IdentityViews) -> None:
    world.identities.told = [make_identity(token=TokenStanding(True, None, None), quota=None, quota_failure="no")]
    text = text_of(world.show(views.show, "/admin/identities"))
    assert "does not expire here" in text
    assert "chart" not in text


def test_what_is_wrong_with_the_token_is_said(world: World, views: IdentityViews) -> None:
    world.identities.told = [make_identity(token=TokenStanding(False, None, "GitHub said 401"))]
    html = world.show(views.show, "/admin/identities")
    assert "GitHub said 401" in html
    assert "no token" in html


def test_a_brake_shows_in_the_slots(world: World, views: IdentityViews) -> None:
    brake = BrakeStanding(is_braking=True, is_paced=True, hold_seconds=30.0, stopped_at=None, stop_reason=None)
    world.identities.told = [make_identity(brake=brake, slots=SlotsStanding(1, 5, 1, 8))]
    text = text_of(world.show(views.show, "/admin/identities"))
    assert "State braked" in text
    assert "1 of 1 slot 8 when all are open" in text
    assert "Copilot asked to wait" in text


def test_a_stop_is_told_with_the_way_out(world: World, views: IdentityViews) -> None:
    at = "2026-07-01T11:00:00+00:00"
    brake = BrakeStanding(is_braking=True, is_paced=False, hold_seconds=0.0, stopped_at=at, stop_reason="abuse")
    world.identities.told = [make_identity(brake=brake)]
    world.brake.stop = Stop(datetime(2026, 7, 1, 11, tzinfo=UTC), "abuse")
    html = world.show(views.show, "/admin/identities")
    assert "GitHub flagged the account" in html
    assert 'action="/admin/identities/default/resume"' in html
    answer = world.ask(views.resume, "/admin/identities/default/resume", method="POST", form={}, id="default")
    assert answer == Redirect("/admin/identities?done=resumed")
    assert world.identities.resumed == [("default", world.asking.id)]


def test_what_happened_to_it_and_to_its_models_is_listed(world: World, views: IdentityViews) -> None:
    world.stored.audit.append(AuditEvent("upstream", Action.IDENTITY_STOPPED, "default", {"reason": "abuse"}, LOCAL))
    at = world.clock.now() - timedelta(days=1)
    world.stored.catalogs.record([], at, [CatalogChange(at, "gpt-9", ChangeKind.ADDED, after="GPT-9")])
    text = text_of(world.show(views.show, "/admin/identities"))
    assert "stopped" in text
    assert "abuse" in text
    assert "new upstream gpt-9" in text


def test_each_part_can_be_had_alone(world: World, views: IdentityViews) -> None:
    for part in ("standing", "news"):
        html = world.show(views.show, "/admin/identities", headers={"X-Fragment": part})
        assert html.startswith(f'<template data-fragment="{part}">')


def test_what_github_says_is_never_markup(world: World, views: IdentityViews) -> None:
    brake = BrakeStanding(
        is_braking=True, is_paced=False, hold_seconds=0.0, stopped_at="2026-07-01T11:00:00+00:00", stop_reason=HOSTILE
    )
    world.identities.told = [
        make_identity(
            login=HOSTILE,
            plan=HOSTILE,
            brake=brake,
            quota=make_quota(HOSTILE),
            token=TokenStanding(False, None, HOSTILE),
        )
    ]
    at = world.clock.now()
    world.stored.catalogs.record([], at, [CatalogChange(at, HOSTILE, ChangeKind.LIMITS, HOSTILE, HOSTILE)])
    world.stored.audit.append(AuditEvent("upstream", Action.IDENTITY_STOPPED, "default", {"reason": HOSTILE}, LOCAL))
    assert HOSTILE not in world.show(views.show, "/admin/identities")


CODE = SignIn(
    state="waiting", user_code="WDJB-MJHT", verification_uri="https://github.com/login/device",
    expires_at="2026-07-01T12:15:00+00:00", login=None, login_before="grace", problem=None,
)  # fmt: skip


def sign_in(world: World, views: IdentityViews) -> None:
    answer = world.ask(views.sign_in, "/admin/identities/default/sign-in", method="POST", form={}, id="default")
    assert answer == Redirect("/admin/identities?done=signing-in#sign-in")


def cancel(world: World, views: IdentityViews) -> None:
    target = "/admin/identities/default/sign-in/cancel"
    answer = world.ask(views.cancel_sign_in, target, method="POST", form={}, id="default")
    assert answer == Redirect("/admin/identities?done=cancelled#sign-in")


def test_somebody_can_sign_in(world: World, views: IdentityViews) -> None:
    assert "Sign in to GitHub" in text_of(world.show(views.show, "/admin/identities"))
    sign_in(world, views)
    ((identity_id, by),) = world.sign_ins.asked
    assert (identity_id, by.key_id) == ("default", world.asking.id)


def test_where_the_token_was_given_nobody_can(world: World, views: IdentityViews) -> None:
    world.sign_ins.may_start = False
    text = text_of(world.show(views.show, "/admin/identities"))
    assert "--github-token" in text
    assert "Get a code" not in text.replace("Sign in to GitHub?", "")


def test_the_code_is_shown_until_it_is_typed(world: World, views: IdentityViews) -> None:
    world.sign_ins.current = CODE
    html = world.show(views.show, "/admin/identities")
    assert "WDJB-MJHT" in html
    assert 'href="https://github.com/login/device"' in html
    assert 'rel="noopener noreferrer"' in html


def test_who_is_signed_in_is_said_and_who_was(world: World, views: IdentityViews) -> None:
    world.sign_ins.current = structs.replace(CODE, state="done", login="ada")
    text = text_of(world.show(views.show, "/admin/identities"))
    assert "Signed in as ada" in text
    assert "instead of grace" in text


def test_why_nobody_is_signed_in_is_said(world: World, views: IdentityViews) -> None:
    world.sign_ins.current = structs.replace(CODE, state="failed", problem="the code has expired <b>")
    html = world.show(views.show, "/admin/identities")
    assert "The code has expired &lt;b&gt;. Nothing was changed" in html


def test_a_second_one_is_shown_the_first(world: World, views: IdentityViews) -> None:
    world.sign_ins.error = SignInUnderWay("somebody is signing in already")
    sign_in(world, views)
    world.sign_ins.error = SignInNotFound("nobody is signing in")
    cancel(world, views)
    world.sign_ins.error = None
    cancel(world, views)
    assert world.sign_ins.cancelled == ["default"]
