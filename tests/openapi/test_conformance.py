"""The admin API against its own description: no answer that it does not declare, none of a form that it does not have."""

import http.client
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from openapi_spec_validator import validate
from schemathesis import GenerationMode

from copilot_api.api.operations.table import OPERATIONS
from tests.harness import Simulator
from tests.openapi.site import EVERY_ANSWER, Site, load_checks, open_gateway

EXAMPLES = 6
"""For each operation, way and place: about four thousand requests make half a minute."""
ENDLESS = {"tail_traces"}
JUDGES = {"validate_config"}
"""Takes whatever there is, to say what is wrong with it."""


@pytest.fixture(scope="module")
def site(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_gateway(tmp_path_factory.mktemp("openapi") / "home", simulator) as gateway:
        yield Site(gateway)


# One good request of each -------------------------------------------------------------------------------------------


Request = dict[str, Any]


def of_key(**more: Any) -> Callable[[Site], Request]:
    return lambda site: {"path_parameters": {"id": site.key_id}, **more}


def of_trace(**more: Any) -> Callable[[Site], Request]:
    return lambda site: {"path_parameters": {"id": site.trace_id}, **more}


def of_day(site: Site) -> Request:
    return {"path_parameters": {"date": site.ask("GET", "/admin/api/traces")["days"][0]["date"]}}


def of_version(site: Site) -> Request:
    versions = site.ask("GET", "/admin/api/config/history")["versions"]
    return {"path_parameters": {"id": versions[0]["id"]}}


def rolling_back(site: Site) -> Request:
    return {"body": {"version": of_version(site)["path_parameters"]["id"]}}


def of_session(site: Site) -> Request:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(site.gateway.url).netloc, timeout=10)
    form = urllib.parse.urlencode({"key": site.secret})
    connection.request("POST", "/admin/login", form, {"content-type": "application/x-www-form-urlencoded"})
    assert connection.getresponse().status == 303
    connection.close()
    return {"path_parameters": {"id": site.ask("GET", "/admin/api/sessions")["sessions"][0]["id"]}}


def erasing(site: Site) -> Request:
    issued = site.ask("POST", "/admin/api/keys", {"label": "to be erased"})
    return {"body": {"key": issued["id"], "events": "delete"}}


def plain(**more: Any) -> Callable[[Site], Request]:
    return lambda _: more


MATCH = {"If-Match": "*"}
GOOD: dict[str, tuple[Callable[[Site], Request], int]] = {
    "get_overview": (plain(), 200),
    "cancel_call": (plain(path_parameters={"id": "req_none"}), 404),
    "get_system": (plain(), 200),
    "get_openapi": (plain(), 200),
    "list_keys": (plain(query={"limit": 1, "tier": "client", "q": "c"}), 200),
    "create_key": (plain(body={"label": "more", "models": ["gpt-4.1"], "observe": ["rpm"], "expires_at": "30d"}), 201),
    "show_key": (of_key(), 200),
    "change_key": (of_key(body={"rpm": None, "weight": 2}), 200),
    "rotate_key": (of_key(body={"overlap": "1h"}), 200),
    "show_key_limits": (of_key(), 200),
    "capture_key": (of_key(body={"reason": "again", "minutes": 5}), 200),
    "list_identities": (plain(), 200),
    "resume_identity": (plain(path_parameters={"id": "default"}), 200),
    # Its token was given to it; tests/journeys/test_sign_in.py has one that may sign in.
    "start_sign_in": (plain(path_parameters={"id": "default"}), 409),
    "show_sign_in": (plain(path_parameters={"id": "default"}), 404),
    "cancel_sign_in": (plain(path_parameters={"id": "default"}), 404),
    "list_models": (plain(query={"key": "ci"}), 200),
    "list_drift": (plain(query={"since": "90d"}), 200),
    "get_usage": (plain(query={"by": "key,model", "bucket": "hour", "compare": "1", "percentiles": "1"}), 200),
    "get_waste": (plain(), 200),
    "list_events": (plain(query={"limit": 1}), 200),
    "list_traces": (plain(query={"key": "ci"}), 200),
    "try_redaction": (plain(body={"text": "ghp_0123456789abcdefghijABCDEFGHIJ012345 and a/b"}), 200),
    "show_trace": (of_trace(), 200),
    "replay_trace": (of_trace(body={"model": "gpt-5-mini"}), 200),
    "download_traces": (of_day, 200),
    "list_audit": (plain(query={"limit": 100}), 200),
    "verify_audit": (plain(body={}), 200),
    "get_config": (plain(), 200),
    "change_config": (plain(headers=MATCH, body={"set": {"models.fast.note": "quick"}, "unset": []}), 200),
    "replace_config": (plain(headers=MATCH, body={"version": 1, "exposure": "catalog"}), 200),
    "preview_config": (plain(body={"version": 1, "exposure": "listed"}), 200),
    "validate_config": (plain(body={"version": 2, "models": {}}), 200),
    "get_config_schema": (plain(), 200),
    "list_config_versions": (plain(), 200),
    "get_config_version": (of_version, 200),
    "roll_config_back": (rolling_back, 200),
    "list_sessions": (plain(), 200),
    "end_session": (of_session, 200),
    "export_privacy": (plain(body={"key": "ci"}), 200),
    "erase_privacy": (erasing, 200),
    "end_key_capture": (of_key(), 200),
    "revoke_key": (of_key(), 200),
    "delete_key": (of_key(), 200),
}


def test_the_description_is_valid_and_has_every_operation(site: Site) -> None:
    validate(site.document)
    assert set(site.operations) == {operation.id for operation in OPERATIONS} == GOOD.keys() | ENDLESS


def test_a_good_request_of_each_operation_is_answered_as_it_says(site: Site) -> None:
    for name, (request, status) in GOOD.items():
        case = site.operations[name].Case(**request(site))
        assert site.check(case, load_checks(*EVERY_ANSWER)) == status, name


def test_an_endless_answer_begins_as_it_says(site: Site) -> None:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(site.gateway.url).netloc, timeout=10)
    connection.request("GET", "/admin/api/traces/tail", headers={"authorization": f"Bearer {site.secret}"})
    response = connection.getresponse()
    assert (response.status, response.headers.get_content_type()) == (200, "text/event-stream")
    assert response.readline().startswith((b"id:", b"event:", b"retry:"))
    connection.close()


# And whatever else somebody sends ------------------------------------------------------------------------------------


def list_pins(site: Site, name: str) -> list[Request]:
    """Where it is asked: of what is there, and of whatever else may stand in the path."""
    operation = site.operations[name]
    headers = {"headers": MATCH} if "If-Match" in str(operation.definition.raw.get("parameters")) else {}
    if "{id}" not in str(operation.path):
        return [headers]
    noun = str(operation.path).split("/")[3]
    there = {"keys": site.key_id, "traces": site.trace_id, "identities": "default"}
    return [headers, *([{**headers, "path_parameters": {"id": there[noun]}}] if noun in there else [])]


# What changes how the gateway works comes last.
@pytest.mark.parametrize("name", sorted(GOOD, key=lambda name: ("config" in str(name), str(name))))
def test_whatever_is_sent_is_answered_as_the_description_says(site: Site, name: str) -> None:
    operation = site.operations[name]
    has_body = operation.definition.raw.get("requestBody") is not None
    checks = load_checks(*EVERY_ANSWER)
    refusing = load_checks("negative_data_rejection") if has_body and name not in JUDGES else []
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        for pins in list_pins(site, name):

            @seed(20261201)
            @settings(
                max_examples=EXAMPLES,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode, **pins))
            def send(case: Any) -> None:
                site.check(case, [*checks, *refusing])

            send()
