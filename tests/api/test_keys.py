"""`/admin/api/keys`: keys are issued, listed, changed, rotated and revoked, each on record with where it came from."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from copilot_api.admission.in_flight import Slots
from copilot_api.admission.models import SpentBefore
from copilot_api.admission.quotas import LocalQuotas
from copilot_api.admission.service import Admission
from copilot_api.api.keys import KeysApi
from copilot_api.api.operations.keys import IssuedKeyDocument, KeyList, LimitList
from copilot_api.config.settings import AdmissionLimits
from copilot_api.errors import Unauthorized
from copilot_api.keys.documents import KeyDocument, render_key
from copilot_api.keys.service import IssuedKey
from copilot_api.upstream.brake import Brake
from tests.api.admin_site import AdminSite, error_of

FULL = {
    "label": "ci",
    "tier": "client",
    "models": ["gpt-5-mini"],
    "cidrs": ["10.0.0.7/8"],
    "rpm": 60,
    "tpm": 1000,
    "max_in_flight": 2,
    "weight": 3,
    "budgets": [{"unit": "credits", "window": "day", "amount": 50, "mode": "observed"}],
    "observe": ["rpm"],
    "not_before": "1h",
    "expires_at": "30d",
}


@pytest.fixture
def site(admin_site: AdminSite) -> AdminSite:
    clock, stored = admin_site.clock, admin_site.stored
    spent: SpentBefore = stored.usage
    admission = Admission(clock, LocalQuotas(clock, AdmissionLimits(), spent), Slots(Brake(8), clock))
    api = KeysApi(stored.keys, admission, clock)
    admin_site.serve(
        {
            "list_keys": api.list_some,
            "create_key": api.create,
            "show_key": api.show,
            "change_key": api.change,
            "delete_key": api.revoke,
            "revoke_key": api.revoke,
            "rotate_key": api.rotate,
            "show_key_limits": api.show_limits,
        }
    )
    return admin_site


def opens(site: AdminSite, secret: str) -> bool:
    site.stored.keys.load()
    try:
        site.stored.keys.authenticate(secret, site.clock.now())
    except Unauthorized:
        return False
    return True


def test_a_key_is_made_of_all_that_can_be_asked_for_and_its_secret_shown_once(site: AdminSite) -> None:
    reply = site.call("POST", "/keys", FULL)
    assert reply.status == 201
    made = msgspec.convert(reply.json, IssuedKeyDocument)
    assert (made.cidrs, made.budgets[0].mode, made.status) == (["10.0.0.0/8"], "observed", "not yet valid")
    assert made.expires_at == (site.clock.now() + timedelta(days=30)).isoformat()
    site.clock.advance(3600)
    assert opens(site, made.key)
    shown = site.call("GET", f"/keys/{made.id}")
    assert msgspec.convert(shown.json, KeyDocument).status == "valid"
    assert shown.json.keys() == reply.json.keys() - {"key"}
    assert (reply.headers or {})["location"] == f"/admin/api/keys/{made.id}"
    assert made.key not in site.call("GET", "/keys").body.decode()


def test_each_change_is_on_record_with_who_asked_from_where(site: AdminSite, admin: IssuedKey) -> None:
    key_id = site.call("POST", "/keys", {"label": "ci"}).json["id"]
    for method, path, body, action in (
        ("PATCH", f"/keys/{key_id}", {"rpm": 5}, "key.updated"),
        ("POST", f"/keys/{key_id}/rotate", None, "key.rotated"),
        ("POST", f"/keys/{key_id}/revoke", None, "key.revoked"),
    ):
        reply = site.call(method, path, body)
        line = site.audited()
        assert (line.action, line.actor, line.target) == (action, admin.key.id, key_id)
        assert (line.address, line.user_agent) == ("192.0.2.1", "ci/1.0")
        assert line.request_id == (reply.headers or {})["x-request-id"]


def test_a_change_changes_what_it_says_and_no_more(site: AdminSite) -> None:
    made = site.call("POST", "/keys", FULL).json
    changed = site.call("PATCH", f"/keys/{made['id']}", {"rpm": None, "budgets": None, "expires_at": None}).json
    assert {name for name in changed if changed[name] != made.get(name)} == {"rpm", "budgets", "expires_at"}
    assert (changed["rpm"], changed["budgets"], changed["expires_at"]) == (None, [], None)
    lines = len(site.stored.audit.list_events())
    assert site.call("PATCH", f"/keys/{made['id']}", {}).json == changed
    assert len(site.stored.audit.list_events()) == lines, "what stays as it is, is no change"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"label": "x", "colour": "red"}, "colour"),
        ({"label": "x", "budgets": [{"unit": "credits", "window": "day", "amount": 1, "per": 2}]}, "budgets[0].per"),
        ({"label": "x", "budgets": [{"unit": "euros", "window": "day", "amount": 1}]}, "budgets[0].unit"),
        ({"rpm": 5}, "label"),
        ({"label": " "}, "label"),
        ({"label": "x", "cidrs": ["nowhere"]}, "cidrs"),
        ({"label": "x", "rpm": 0}, "rpm"),
        ({"label": "x", "expires_at": "later"}, "expires_at"),
        ({"label": "x", "expires_at": "2020-01-01"}, "expires_at"),
        ([], None),
        (b"{", None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_what_cannot_be_is_refused_with_the_fields_name_and_nothing_is_made(
    site: AdminSite, body: Any, field: str | None
) -> None:
    before = site.stored.keys.list_keys()
    assert error_of(site.call("POST", "/keys", body)) == (400, "invalid_request", field)
    assert site.stored.keys.list_keys() == before


def test_a_key_that_is_revoked_is_refused_at_once_and_stays_in_the_list(site: AdminSite) -> None:
    made = site.call("POST", "/keys", {"label": "ci"}).json
    for method, path in (("DELETE", ""), ("DELETE", ""), ("POST", "/revoke")):
        reply = site.call(method, f"/keys/{made['id']}{path}")
        assert (reply.status, reply.json["status"]) == (200, "revoked")
    assert not opens(site, made["key"])
    assert [key["id"] for key in site.call("GET", "/keys", status="revoked").json["keys"]] == [made["id"]]
    assert error_of(site.call("PATCH", f"/keys/{made['id']}", {"rpm": 5}))[:2] == (400, "invalid_request")


@pytest.mark.parametrize("body", [{"overlap": "1h"}, {"overlap_seconds": 3600}])
def test_the_old_secret_works_on_for_the_overlap(site: AdminSite, body: dict[str, Any]) -> None:
    made = site.call("POST", "/keys", {"label": "ci"}).json
    rotated = site.call("POST", f"/keys/{made['id']}/rotate", body).json
    assert (opens(site, made["key"]), opens(site, rotated["key"])) == (True, True)
    site.clock.advance(3601)
    assert (opens(site, made["key"]), opens(site, rotated["key"])) == (False, True)


def test_keys_come_in_pages_and_by_what_they_are(site: AdminSite) -> None:
    for number in range(5):
        site.clock.advance(1)
        site.stored.keys.issue(f"team {number}", actor="test")
    found, after = list[str](), ""
    while True:
        page = msgspec.convert(site.call("GET", "/keys", limit="2", tier="client", after=after).json, KeyList)
        found += [key.label for key in page.keys]
        if page.next is None:
            break
        after = page.next
    assert found == [f"team {number}" for number in range(5)]
    assert [key["label"] for key in site.call("GET", "/keys", q="TEAM 3").json["keys"]] == ["team 3"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"status": "lost"}, "status"),
        ({"after": "x"}, "after"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_question_that_cannot_be_is_refused_with_the_parameters_name(
    site: AdminSite, query: dict[str, str], field: str
) -> None:
    assert error_of(site.call("GET", "/keys", **query)) == (400, "invalid_request", field)


def test_the_limits_of_a_key_say_how_they_stand(site: AdminSite) -> None:
    key_id = site.call("POST", "/keys", {**FULL, "not_before": None}).json["id"]
    limits = msgspec.convert(site.call("GET", f"/keys/{key_id}/limits").json, LimitList).limits
    assert {limit.name: limit.remaining for limit in limits if limit.name == "credits:day"} == {"credits:day": 50}


@pytest.mark.parametrize("key_id", ["key_none", "admin", "sk-cap-abcde", "%00", "\x1b[31m"])
def test_a_key_goes_by_its_id_and_nothing_else(site: AdminSite, key_id: str) -> None:
    for method, path, body in (
        ("GET", "", None), ("PATCH", "", {"rpm": 5}), ("DELETE", "", None), ("POST", "/rotate", {}),
        ("POST", "/revoke", None), ("GET", "/limits", None),
    ):  # fmt: skip
        reply = site.call(method, f"/keys/{key_id}{path}", body)
        assert error_of(reply)[:2] == (404, "key_not_found")
        assert reply.json["error"]["message"].isprintable()


def test_only_an_admin_may(site: AdminSite, client: IssuedKey) -> None:
    for method, path in (("GET", "/keys"), ("POST", "/keys"), ("DELETE", f"/keys/{client.key.id}")):
        assert error_of(site.call(method, path, {"label": "x"}, secret=client.secret))[:2] == (403, "admin_required")
        assert error_of(site.call(method, path, {"label": "x"}, secret="sk-cap-none"))[0] == 401
    assert render_key(site.stored.keys.get(client.key.id), site.clock.now())["status"] == "valid"
