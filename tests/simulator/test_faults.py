"""Every fault has a name, and every name can be answered."""

import json
from typing import Any

import pytest

from copilot_api.simulator.faults import ALIASES, DELIVERIES, NOTIFICATIONS, SHAPES, FaultRules, find_fault
from copilot_api.simulator.replies import load_document
from tests.simulator.client import CHAT, CONVERSATIONS, MESSAGES, RESPONSES, Client, whole_text

RECORDED: list[dict[str, Any]] = load_document("errors.json")["errors"]
TOKEN_PATH = "/copilot_internal/v2/token"


def _endpoint(entry: dict[str, Any]) -> str:
    """A conversation endpoint the recorded error belongs to."""
    endpoints = entry["endpoints"]
    return CHAT if endpoints == "*" else str(endpoints[0])


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry["name"])
def test_every_recorded_error_is_answered_word_for_word(simulator: Client, entry: dict[str, Any]) -> None:
    answer = simulator.ask(_endpoint(entry), f"SIM-FAULT:{entry['name']}")
    assert answer.status == entry["status"]
    assert answer.headers.get("content-type") == entry["content_type"]
    for name, value in entry["headers"].items():
        assert answer.headers[name] == value
    if isinstance(entry["body"], str):
        assert answer.text == entry["body"]
    else:
        assert json.dumps(answer.json()) == json.dumps(entry["body"])
        assert answer.text.endswith("\n") == entry["content_type"].startswith("text/plain")


@pytest.mark.parametrize("path", CONVERSATIONS)
@pytest.mark.parametrize(("alias", "status"), [("429", 429), ("500", 500), ("502", 502), ("503", 503), ("529", 529)])
def test_statuses_are_aliases(simulator: Client, path: str, alias: str, status: int) -> None:
    assert simulator.ask(path, f"SIM-FAULT:{alias}", stream=True).status == status


def test_all_names_are_listed(simulator: Client) -> None:
    listed = simulator.call("GET", "/_sim/faults").json()
    names = {entry["name"] for entry in RECORDED} | set(SHAPES) | set(DELIVERIES) | {"401-expired"}
    assert names <= set(listed["faults"])
    assert listed["aliases"] == ALIASES
    assert all(find_fault(name) for name in [*listed["faults"], *listed["aliases"]])


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_an_expired_token_is_refused_once_and_the_repetition_with_a_new_one_passes(
    simulator: Client, path: str
) -> None:
    for _ in range(2):
        refused = simulator.ask(path, "SIM-FAULT:401-expired")
        assert (refused.status, refused.text) == (401, "unauthorized: token expired\n")
        assert simulator.call("GET", "/models", headers=simulator.api_headers()).status == 401
        fresh = f"Bearer {simulator.exchange()}"
        assert simulator.api(path, _asking(path), authorization=fresh).status == 200
        simulator._token = fresh.removeprefix("Bearer ")


def _asking(path: str) -> dict[str, Any]:
    from tests.simulator.client import question

    return question(path, "SIM-FAULT:401-expired")


def test_a_direct_token_is_refused_once_too(simulator: Client) -> None:
    statuses = [simulator.api(CHAT, _asking(CHAT), authorization="Bearer gho_a").status for _ in range(4)]
    assert statuses == [401, 200, 401, 200]


def test_two_calls_that_meet_the_same_expired_token_both_pass_with_the_next(simulator: Client) -> None:
    assert [simulator.ask(CHAT, "SIM-FAULT:401-expired").status for _ in range(2)] == [401, 401]
    fresh = f"Bearer {simulator.exchange()}"
    assert [simulator.api(CHAT, _asking(CHAT), authorization=fresh).status for _ in range(2)] == [200, 200]


def test_a_rule_ends_after_its_count(simulator: Client) -> None:
    simulator.control("/faults", name="503", count=2)
    assert [simulator.ask(CHAT, "hi").status for _ in range(3)] == [503, 503, 200]


def test_a_rule_with_a_rate_hits_the_same_calls_every_time(simulator: Client) -> None:
    runs = []
    for _ in range(2):
        simulator.control("/reset")
        simulator._token = None
        simulator.control("/faults", name="500", rate=0.5)
        runs.append([simulator.ask(CHAT, "hi").status for _ in range(12)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


def test_a_rule_can_be_meant_for_one_endpoint_and_be_cleared(simulator: Client) -> None:
    simulator.control("/faults", name="429", endpoint=MESSAGES, headers={"Retry-After": "1"})
    assert simulator.ask(CHAT, "hi").status == 200
    refused = simulator.ask(MESSAGES, "hi")
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert simulator.control("/faults", name="")["rules"] == []
    assert simulator.ask(MESSAGES, "hi").status == 200


def test_a_rule_for_the_catalog_leaves_models_alone(simulator: Client) -> None:
    simulator.control("/faults", name="502", endpoint="/models", count=1)
    assert simulator.ask(CHAT, "hi").status == 200
    statuses = [simulator.call("GET", "/models", headers=simulator.api_headers()).status for _ in range(2)]
    assert statuses == [502, 200]


@pytest.mark.parametrize("name", [*load_document("token.json")["errors"], *(f"403_{name}" for name in NOTIFICATIONS)])
def test_the_token_exchange_can_be_refused_in_every_recorded_way(simulator: Client, name: str) -> None:
    simulator.control("/faults", name=f"token_{name}", count=1)
    answers = [simulator.call("GET", TOKEN_PATH, headers={"authorization": "token ghu_a"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [int(name[:3]), 200]


def test_the_marker_of_a_call_goes_before_the_rules(simulator: Client) -> None:
    simulator.control("/faults", name="500", count=1)
    assert simulator.ask(CHAT, "SIM-FAULT:429").status == 429
    assert simulator.ask(CHAT, "hi").status == 500


def test_an_incomplete_answer_ends_in_each_protocols_way(simulator: Client) -> None:
    chat, responses, messages = (simulator.ask(path, "SIM-FAULT:incomplete").json() for path in CONVERSATIONS)
    assert chat["choices"][0]["finish_reason"] == "length"
    assert responses["status"] == "incomplete"
    assert responses["incomplete_details"] == {"reason": "max_output_tokens"}
    assert messages["stop_reason"] == "max_tokens"


def test_an_answer_without_usage_has_no_bill_either(simulator: Client) -> None:
    for path in CONVERSATIONS:
        whole = simulator.ask(path, "SIM-FAULT:no-usage").json()
        assert "copilot_usage" not in whole
        assert not whole.get("usage")
        streamed = simulator.ask(path, "SIM-FAULT:no-usage", stream=True).text
        assert '"output_tokens":2' not in streamed
        assert "copilot_usage" not in streamed


def test_an_empty_answer_says_nothing(simulator: Client) -> None:
    for path in CONVERSATIONS:
        assert whole_text(path, simulator.ask(path, "SIM-FAULT:empty-choices")) == ""


def test_a_stream_can_fail_in_the_middle(simulator: Client) -> None:
    chat = simulator.ask(CHAT, "SIM-FAULT:midstream-error", stream=True).events()[-1]
    assert chat["choices"] is None
    assert chat["error"]["code"] == 500
    messages = simulator.ask(MESSAGES, "SIM-FAULT:midstream-error", stream=True)
    assert messages.event_names()[-1] == "error"
    assert messages.events()[-1] == {"error": {"message": "Overloaded", "type": "overloaded_error"}, "type": "error"}
    assert simulator.ask(RESPONSES, "SIM-FAULT:midstream-error", stream=True).event_names()[-1] == "error"
    assert [simulator.ask(path, "SIM-FAULT:midstream-error").status for path in CONVERSATIONS] == [500, 500, 500]


def test_each_protocol_has_its_own_abnormal_end(simulator: Client) -> None:
    filtered = simulator.ask(CHAT, "SIM-FAULT:content-filter", stream=True).events()
    assert filtered[-2]["choices"][0]["finish_reason"] == "content_filter"
    refused = simulator.ask(MESSAGES, "SIM-FAULT:refusal", stream=True)
    assert refused.event_names() == ["message_start", "message_delta", "message_stop"]
    failed = simulator.ask(RESPONSES, "SIM-FAULT:failed", stream=True)
    assert failed.event_names() == ["response.created", "response.in_progress", "response.failed"]
    untyped = simulator.ask(RESPONSES, "SIM-FAULT:untyped-events", stream=True).events()
    assert not any("type" in event for event in untyped)


def test_rules_without_a_draw_that_hits_pick_nothing() -> None:
    rules, fault = FaultRules(seed=1), find_fault("500")
    assert fault is not None
    rules.set_rule(fault, endpoint=None, rate=0.0, count=None)
    assert rules.pick(CHAT, is_model_call=True) is None
