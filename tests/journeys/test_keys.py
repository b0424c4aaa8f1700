"""Keys are changed beside a running gateway, and the next call knows."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.harness import GatewayProcess, wait_until
from tests.journeys.conftest import Journey
from tests.journeys.markers import chat, say
from tests.journeys.wire import CHAT, Answer, opened, send

LOOKS_RIGHT = "sk-cap-" + "b" * 52


def call(gateway: GatewayProcess, key: str | None, **more: Any) -> Answer:
    """A chat call with that key."""
    return send(gateway.url, CHAT, chat(say("in"), **more), key=key)


def issue(gateway: GatewayProcess, label: str, *flags: str) -> dict[str, Any]:
    """A new key, as `keys create --json` shows it."""
    return dict(json.loads(gateway.cli("keys", "create", "--label", label, "--json", *flags)))


def check_is_refused(answer: Answer) -> None:
    """401, final, and without a word about what the key once was."""
    assert answer.status == 401
    assert answer.error["code"] == "invalid_api_key"
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.request_id in answer.error["message"]


def test_a_new_key_works_on_its_first_call(gateway: GatewayProcess) -> None:
    check_is_refused(call(gateway, LOOKS_RIGHT))
    assert call(gateway, gateway.create_key("new")).text == "in"


def test_a_revoked_key_is_refused_on_its_next_call(gateway: GatewayProcess) -> None:
    issued = issue(gateway, "to be revoked")
    assert call(gateway, issued["key"]).status == 200
    gateway.cli("keys", "revoke", issued["id"])
    check_is_refused(call(gateway, issued["key"]))
    check_is_refused(send(gateway.url, "/v1/models", key=issued["key"]))
    check_is_refused(send(gateway.url, "/usage", key=issued["key"]))


def test_a_revocation_leaves_a_stream_under_way_alone(journey: Journey) -> None:
    """It was allowed when it began, and half an answer helps nobody."""
    issued = issue(journey.gateway, "revoked while streaming")
    journey.simulator.post("/_sim/pace", {"gap_seconds": 0.05, "tokens": 20})
    try:
        with opened(journey.gateway.url, CHAT, chat("count", stream=True), key=issued["key"]) as response:
            assert response.readline().startswith(b"data: ")
            journey.gateway.cli("keys", "revoke", issued["id"])
            check_is_refused(call(journey.gateway, issued["key"]))
            assert response.read().endswith(b"data: [DONE]\n\n")
    finally:
        journey.simulator.post("/_sim/pace", {"gap_seconds": 0, "tokens": 24})


def test_an_expired_key_is_refused(gateway: GatewayProcess) -> None:
    issued = issue(gateway, "short", "--expires", "1s")
    wait_until(lambda: call(gateway, issued["key"]).status == 401, 5, "the key expires")
    check_is_refused(call(gateway, issued["key"]))
    shown = json.loads(gateway.cli("keys", "show", issued["id"], "--json"))
    assert shown["status"] == "expired"


def test_rotation_with_overlap_has_both_secrets_work(gateway: GatewayProcess) -> None:
    old = issue(gateway, "overlapping", "--models", "gpt-4.1")
    new = json.loads(gateway.cli("keys", "rotate", old["id"], "--overlap", "1h", "--json"))
    assert new["id"] == old["id"]
    assert new["key"] != old["key"]
    assert new["models"] == ["gpt-4.1"]
    assert call(gateway, old["key"]).status == call(gateway, new["key"]).status == 200
    assert call(gateway, new["key"], model="gpt-4o").status == 403
    gateway.cli("keys", "revoke", old["id"])
    check_is_refused(call(gateway, old["key"]))
    check_is_refused(call(gateway, new["key"]))


def test_rotation_without_overlap_ends_the_old_secret_at_once(gateway: GatewayProcess) -> None:
    old = issue(gateway, "rotated")
    new = json.loads(gateway.cli("keys", "rotate", old["id"], "--json"))
    check_is_refused(call(gateway, old["key"]))
    assert call(gateway, new["key"]).status == 200


def test_an_overlap_ends(gateway: GatewayProcess) -> None:
    old = issue(gateway, "short overlap")
    new = json.loads(gateway.cli("keys", "rotate", old["id"], "--overlap", "1s", "--json"))
    wait_until(lambda: call(gateway, old["key"]).status == 401, 5, "the overlap ends")
    assert call(gateway, new["key"]).status == 200


def test_usage_follows_a_key_through_its_rotation(gateway: GatewayProcess) -> None:
    """The ledger counts for the key, not for one of its secrets."""
    old = issue(gateway, "followed")
    assert call(gateway, old["key"]).status == 200
    new = json.loads(gateway.cli("keys", "rotate", old["id"], "--overlap", "1h", "--json"))
    assert call(gateway, new["key"]).status == 200

    def requests() -> int:
        return int(send(gateway.url, "/usage", key=new["key"]).json["total"]["requests"])

    wait_until(lambda: requests() == 2, 5, "both calls are counted")


# Scope ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scoped(gateway: GatewayProcess) -> str:
    """A key for two models."""
    return gateway.create_key("scoped to two", "--models", "gpt-4.1,claude-sonnet-4.6")


def test_the_scope_shows_in_the_list_of_models(gateway: GatewayProcess, scoped: str) -> None:
    document = send(gateway.url, "/v1/models", key=scoped).json
    assert [model["id"] for model in document["data"]] == ["gpt-4.1", "claude-sonnet-4.6"]
    assert (document["object"], document["has_more"]) == ("list", False)
    assert (document["first_id"], document["last_id"]) == ("gpt-4.1", "claude-sonnet-4.6")
    assert send(gateway.url, "/v1/models/gpt-4.1", key=scoped).status == 200
    assert send(gateway.url, "/v1/models/gpt-4o", key=scoped).status == 404


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_outside_the_scope_is_refused_without_a_call_upstream(
    journey: Journey, scoped: str, stream: bool
) -> None:
    answer = journey.send(CHAT, chat("hello", model="gpt-4o", stream=stream), key=scoped)
    assert (answer.status, answer.error["code"]) == (403, "model_not_allowed")
    assert answer.error["param"] == "model"
    assert journey.seen(answer) == []


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "claude-sonnet-4-6-20260101"])
def test_another_name_of_a_model_in_the_scope_is_in_the_scope(gateway: GatewayProcess, scoped: str, model: str) -> None:
    assert call(gateway, scoped, model=model).status == 200


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-haiku-4-5-20251001"])
def test_another_name_is_no_way_around_the_scope(gateway: GatewayProcess, scoped: str, model: str) -> None:
    answer = call(gateway, scoped, model=model)
    assert (answer.status, answer.error["code"]) == (403, "model_not_allowed")


def test_a_field_named_twice_is_no_way_around_the_scope(gateway: GatewayProcess, scoped: str) -> None:
    """Two readers of such a body may each believe another model."""
    body = b'{"model":"gpt-4.1","model":"gpt-4o","messages":[{"role":"user","content":"x"}]}'
    assert send(gateway.url, CHAT, body, key=scoped).status == 400
    escaped = b'{"model":"gpt-4.1","mod\\u0065l":"gpt-4o","messages":[{"role":"user","content":"x"}]}'
    assert send(gateway.url, CHAT, escaped, key=scoped).status == 400


# Tiers ---------------------------------------------------------------------------------------------------------------


def test_the_copilot_token_is_for_admins_only(gateway: GatewayProcess, client_key: str, admin_key: str) -> None:
    """Whoever has it acts as the account, past every limit."""
    refused = send(gateway.url, "/token", key=client_key)
    assert (refused.status, refused.error["code"]) == (403, "admin_required")
    check_is_refused(send(gateway.url, "/token"))
    granted = send(gateway.url, "/token", key=admin_key)
    assert granted.status == 200
    assert granted.json["token"].startswith("tid=")
    assert granted.headers["cache-control"] == "no-store"


def test_an_admin_key_calls_models_too(gateway: GatewayProcess, admin_key: str) -> None:
    assert call(gateway, admin_key).text == "in"


@pytest.mark.parametrize("path", ["/usage", "/token", "/v1/models", "/v1/models/gpt-4.1", "/v1/usage", "/models"])
def test_every_endpoint_wants_a_key(gateway: GatewayProcess, path: str) -> None:
    check_is_refused(send(gateway.url, path))
    check_is_refused(send(gateway.url, path, key=LOOKS_RIGHT))


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/"])
def test_health_and_the_front_page_need_no_key_and_tell_no_secret(
    gateway: GatewayProcess, client_key: str, path: str
) -> None:
    answer = send(gateway.url, path)
    assert answer.status == 200
    assert "octocat" not in answer.body.decode()
    assert "tid=" not in answer.body.decode()
    head = send(gateway.url, path, method="HEAD")
    assert (head.status, head.body) == (200, b"")


# What a key may look like --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer {key}"},
        {"authorization": "bearer {key}"},
        {"authorization": "Bearer  {key} "},
        {"x-api-key": "{key}"},
        {"api-key": "{key}"},
        {"x-goog-api-key": "{key}"},
        {"authorization": "Bearer dummy", "x-api-key": "{key}"},
        {"authorization": "Basic ZHVtbXk6ZHVtbXk=", "x-api-key": "{key}"},
        {"authorization": "Bearer {key}", "x-api-key": "dummy"},
    ],
    ids=lambda headers: "+".join(f"{name} {value.split()[0]}" for name, value in headers.items()),
)
def test_a_key_may_come_in_any_of_the_usual_headers(
    gateway: GatewayProcess, client_key: str, headers: dict[str, str]
) -> None:
    filled = {name: value.replace("{key}", client_key) for name, value in headers.items()}
    assert send(gateway.url, "/v1/models/gpt-4.1", headers=filled).status == 200


@pytest.mark.parametrize(
    "authorization",
    ["{key}", "Basic {key}", "Bearer {key}x", "Bearer X{key}", "Bearer", "Bearer ", "Bearer {upper}", "Bearer {key},x"],
)
def test_what_is_not_quite_a_key_is_refused(gateway: GatewayProcess, client_key: str, authorization: str) -> None:
    value = authorization.replace("{key}", client_key).replace("{upper}", client_key.upper())
    check_is_refused(send(gateway.url, "/v1/models", headers={"authorization": value}))


def test_a_key_in_the_query_is_not_a_key(gateway: GatewayProcess, client_key: str) -> None:
    """Addresses end up in logs; only the Gemini routes, which are not here, take one there."""
    check_is_refused(send(gateway.url, f"/v1/models?key={client_key}"))


def test_changes_and_calls_side_by_side(gateway: GatewayProcess, client_key: str) -> None:
    """While keys come and go, an unchanged key is never refused."""
    with ThreadPoolExecutor(5) as pool:
        changes = [pool.submit(gateway.create_key, f"beside {number}") for number in range(3)]
        calls = [pool.submit(call, gateway, client_key) for _ in range(300)]
        assert {done.result().status for done in calls} == {200}
        keys = [change.result() for change in changes]
    assert {call(gateway, key).status for key in keys} == {200}
