"""Limits and budgets, over sockets: what is admitted, whatever comes at once, and what the others are told."""

import math
import signal
import time
from typing import Any

import pytest

from tests.faults.client import ask
from tests.harness import http_json
from tests.limits.rig import Rig, statuses

CROWD = 200


@pytest.mark.parametrize("stream", [False, True])
def test_of_200_calls_at_once_a_budget_of_25_admits_25(rig: Rig, stream: bool) -> None:
    key = rig.key("--budget", "requests:day:25")
    rig.pace(first_token_seconds=0.05)
    answers = rig.crowd([lambda: rig.ask(key, stream=stream)] * CROWD)
    assert statuses(answers) == {200: 25, 429: 175}
    assert rig.simulator.stats["started"] == 25
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.error["code"] == "budget_exceeded"
    assert refused.error["limit"] == {"name": "requests:day", "current": 25, "allowed": 25, "unit": "requests"}
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert refused.headers["x-should-retry"] == "false"
    [event] = rig.events(refused.request_id)
    assert (event["cause"], event["status"], event["upstream_model"]) == ("over_budget", 429, None)
    assert rig.limits(key)["requests:day"]["remaining"] == 0


def test_a_budget_of_credits_is_not_overrun_by_calls_at_once(rig: Rig) -> None:
    """Every call takes what it was charged, and nothing is admitted once the budget is taken."""
    key = rig.key("--budget", "credits:month:4")
    rig.pace(first_token_seconds=0.05)
    answers = rig.crowd([lambda: rig.ask(key, "word " * 400, model="claude-sonnet-4.6")] * CROWD)
    admitted = [answer for answer in answers if answer.status == 200]
    assert statuses(answers)[429] > CROWD // 2
    events = rig.events(*[answer.request_id for answer in admitted])
    spent = sum(event["nano_aiu"] for event in events) / 1e9
    most = max(event["nano_aiu"] for event in events) / 1e9
    assert 0 < spent <= 4 + most, spent
    standing = rig.limits(key)["credits:month"]
    assert math.isclose(standing["used"], spent, rel_tol=1e-6)
    assert math.isclose(standing["remaining"], max(0, 4 - spent), abs_tol=1e-6)


def test_tokens_are_reserved_by_estimate_and_settled_by_the_truth(rig: Rig) -> None:
    key = rig.key("--budget", "tokens:hour:5000")
    before = rig.limits(key)["tokens:hour"]
    answer = rig.ask(key, "word " * 200)
    assert before["used"] == 0
    [event] = rig.events(answer.request_id)
    assert rig.limits(key)["tokens:hour"]["used"] == event["input_tokens"] + event["output_tokens"] > 0


def test_premium_requests_are_counted_by_the_model_and_by_who_began(rig: Rig) -> None:
    key = rig.key("--budget", "premium_requests:month:2")
    sonnet: dict[str, Any] = {"model": "claude-sonnet-4.6"}
    assert [rig.ask(key, **sonnet).status for _ in range(2)] == [200, 200], "each costs one"
    refused = rig.ask(key, **sonnet)
    assert (refused.status, refused.error["limit"]["name"]) == (429, "premium_requests:month")
    assert rig.ask(key).status == 200, "gpt-4.1 costs none"
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turn: list[dict[str, Any]] = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "done"},
    ]
    follow_up = ask(rig.gateway.url, key, {"messages": turn, **sonnet})
    assert follow_up.status == 200, "what follows in the same turn costs none"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_budgets_survive_a_restart(own_rig: Rig, number: int) -> None:
    key = own_rig.key("--budget", "requests:day:5", "--budget", "tokens:week:100000")
    for _ in range(3):
        assert own_rig.ask(key, "some words").status == 200
    used = own_rig.limits(key)
    own_rig.restart(number)
    assert {name: limit["used"] for name, limit in own_rig.limits(key).items()} == {
        name: limit["used"] for name, limit in used.items()
    }
    assert [own_rig.ask(key).status for _ in range(4)] == [200, 200, 429, 429]


def test_a_call_that_was_killed_with_the_gateway_counts_as_it_was_reserved(own_rig: Rig) -> None:
    key = own_rig.key("--budget", "requests:day:1", "--budget", "tokens:day:100000")
    own_rig.pace(first_token_seconds=20)
    with own_rig.open(key, "word " * 100):
        own_rig.in_flight(1)
        own_rig.restart(signal.SIGKILL)
    limits = own_rig.limits(key)
    assert limits["requests:day"]["used"] == 1
    assert limits["tokens:day"]["used"] >= 100
    own_rig.calm()
    assert own_rig.ask(key).status == 429


def test_a_call_that_the_client_left_is_not_free(rig: Rig) -> None:
    """Copilot has read the input by then; what it charges is not known, so the reservation counts."""
    key = rig.key("--budget", "tokens:day:100000")
    rig.pace(first_token_seconds=0, gap_seconds=0.05, tokens=400)
    with rig.open(key, "word " * 400, stream=True) as caller:
        caller.read_until(b"\n\n", 4)
    rig.in_flight(0)
    assert rig.limits(key)["tokens:day"]["used"] >= 500


def test_a_budget_for_all_keys_counts_all_of_them(tmp_path: Any) -> None:
    with Rig(tmp_path / "home", {"limits": {"budgets": ["requests:day:3"]}}) as rig:
        ada, bob = rig.key(label="ada"), rig.key(label="bob")
        assert [rig.ask(key).status for key in (ada, bob, ada)] == [200, 200, 200]
        refused = rig.ask(bob)
        assert (refused.status, refused.error["limit"]["name"]) == (429, "all:requests:day")
        [limit] = rig.usage(bob)["limits"]
        assert (limit["scope"], limit["used"], limit["remaining"]) == ("all", 3, 0)


def test_a_limit_per_minute_admits_so_many_and_says_when_to_come_back(rig: Rig) -> None:
    key = rig.key("--rpm", "20")
    answers = rig.crowd([lambda: rig.ask(key)] * CROWD)
    assert statuses(answers) == {200: 20, 429: 180}
    refused = rig.ask(key)
    assert refused.error["code"] == "rate_limited"
    assert refused.error["limit"] == {"name": "rpm", "current": 20, "allowed": 20, "unit": "requests"}
    assert 50 <= int(refused.headers["retry-after"]) <= 61
    assert refused.headers["x-ratelimit-limit-requests"] == "20"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")


def test_every_answer_says_what_is_left_of_the_minute(rig: Rig) -> None:
    key = rig.key("--rpm", "5", "--tpm", "100000")
    whole, stream = rig.ask(key), rig.ask(key, stream=True)
    assert whole.headers["x-ratelimit-remaining-requests"] == "4"
    assert stream.headers["x-ratelimit-remaining-requests"] == "3"
    assert 90_000 < int(stream.headers["x-ratelimit-remaining-tokens"]) < 100_000
    anthropic = ask(
        rig.gateway.url,
        key,
        {"model": "claude-sonnet-4.6", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]},
        path="/v1/messages",
    )
    assert anthropic.headers["anthropic-ratelimit-requests-limit"] == "5"
    assert anthropic.headers["anthropic-ratelimit-requests-remaining"] == "2"
    assert anthropic.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert "x-ratelimit-limit-requests" not in rig.ask(rig.key()).headers, "a key without limits has none"


def test_tokens_a_minute_are_the_estimate_first_and_the_truth_then(rig: Rig) -> None:
    key = rig.key("--tpm", "2000")
    assert rig.ask(key, "word " * 300).status == 200
    used = rig.limits(key)["tpm"]["used"]
    assert 300 <= used <= 600, "what was reserved for a longer answer came back"
    for _ in range(10):
        refused = rig.ask(key, "word " * 300)
        if refused.status != 200:
            break
    assert (refused.status, refused.error["limit"]["name"]) == (429, "tpm")
    too_large = rig.ask(key, "word " * 3000)
    assert (too_large.status, too_large.error["code"]) == (429, "request_exceeds_limit")
    assert too_large.headers["x-should-retry"] == "false"


def test_a_key_has_so_many_calls_in_flight_and_no_more(rig: Rig) -> None:
    key = rig.key("--max-in-flight", "2")
    rig.pace(first_token_seconds=0.5)
    answers = rig.crowd([lambda: rig.ask(key)] * 10)
    assert statuses(answers) == {200: 2, 429: 8}
    assert rig.simulator.stats["max_in_flight"] == 2
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.error["limit"] == {"name": "max_in_flight", "current": 2, "allowed": 2, "unit": "calls"}
    rig.pace(first_token_seconds=0)
    assert rig.ask(key).status == 200


def test_what_is_only_observed_is_noted_and_nothing_is_refused(rig: Rig) -> None:
    flags = [
        "--rpm",
        "1",
        "--max-in-flight",
        "1",
        "--budget",
        "requests:day:1",
        "--models",
        "gpt-4o",
        "--cidr",
        "10.0.0.0/8",
    ]
    key = rig.key(*flags, "--observe")
    first, second = rig.ask(key), rig.ask(key)
    assert (first.status, second.status) == (200, 200)
    noted = [event["would_limit"].split(",") for event in rig.events(first.request_id, second.request_id)]
    assert noted == [["cidrs", "models"], ["cidrs", "models", "rpm", "requests:day"]]
    assert "x-ratelimit-limit-requests" not in second.headers
    assert {limit["mode"] for limit in rig.usage(key)["limits"]} == {"observed"}
    shown = rig.gateway.cli("usage", "--since", "1h", "--by", "key")
    assert "would limit" in shown


def test_a_change_of_a_key_holds_from_the_next_call_on(rig: Rig) -> None:
    issued = rig.make_key("--rpm", "100")
    key = issued["key"]
    assert rig.ask(key).status == 200
    for flags, status in (
        (["--budget", "requests:day:1"], 429),
        (["--budget", "none"], 200),
        (["--models", "gpt-4o"], 403),
        (["--models", "*"], 200),
        (["--cidr", "192.0.2.0/24"], 403),
        (["--cidr", "127.0.0.0/8"], 200),
        (["--rpm", "2"], 429),
        (["--observe"], 200),
    ):
        rig.gateway.cli("keys", "update", issued["id"], *flags)
        assert rig.ask(key).status == status, flags


def test_a_model_out_of_scope_is_refused_and_not_listed(rig: Rig) -> None:
    key = rig.key("--models", "gpt-4o,claude-sonnet-4.6")
    refused = rig.ask(key)
    assert (refused.status, refused.error["code"]) == (403, "model_not_allowed")
    _, listed = http_json("GET", f"{rig.gateway.url}/v1/models", key=key)
    assert {model["id"] for model in listed["data"]} == {"gpt-4o", "claude-sonnet-4.6"}
    _, observed = http_json("GET", f"{rig.gateway.url}/v1/models", key=rig.key("--models", "gpt-4o", "--observe"))
    assert len(observed["data"]) > 5, "what is only observed hides nothing"


def test_a_key_is_good_only_where_its_holder_is(tmp_path: Any) -> None:
    with Rig(tmp_path / "home", None, "--trust-proxy", "127.0.0.1") as rig:
        key = rig.key("--cidr", "10.0.0.0/8,2001:db8::/32")
        refused = rig.ask(key)
        assert (refused.status, refused.error["code"]) == (403, "address_not_allowed")
        [event] = rig.events(refused.request_id)
        assert (event["cause"], event["status"]) == ("unauthorized", 403)
        for hops, status in (
            ("10.1.2.3", 200),
            ("203.0.113.9, 10.1.2.3", 200),
            ("10.1.2.3, 203.0.113.9", 403),
            ("10.1.2.3, 127.0.0.1", 200),
            ("2001:db8::7", 200),
            ("::ffff:10.0.0.1", 200),
            ("nonsense", 403),
        ):
            assert rig.ask(key, headers={"x-forwarded-for": hops}).status == status, hops
        rig.restart(signal.SIGTERM, "--verbose")
        assert rig.ask(key, headers={"x-forwarded-for": "10.1.2.3"}).status == 403, "nobody vouches for it"


def test_a_refusal_for_want_of_a_key_names_its_scheme(rig: Rig) -> None:
    refused = rig.ask("sk-cap-nothing")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Bearer realm="copilot-api"')


def test_refusals_speak_every_dialect(rig: Rig) -> None:
    key = rig.key("--budget", "requests:day:1")
    assert rig.ask(key).status == 200
    message = {"role": "user", "content": "hi"}
    anthropic = ask(
        rig.gateway.url,
        key,
        {"model": "claude-sonnet-4.6", "max_tokens": 9, "messages": [message]},
        path="/v1/messages",
    )
    assert (anthropic.status, anthropic.error["type"]) == (429, "rate_limit_error")
    assert anthropic.error["limit"]["name"] == "requests:day"
    responses = ask(rig.gateway.url, key, {"model": "gpt-5-mini", "input": "hi"}, path="/v1/responses")
    assert (responses.status, responses.error["code"]) == (429, "budget_exceeded")
    gemini = ask(
        rig.gateway.url,
        key,
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        path="/v1beta/models/gemini-2.5-pro:generateContent",
    )
    assert (gemini.status, gemini.error["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert any(detail["@type"].endswith("QuotaFailure") for detail in gemini.error["details"])


def test_the_minimum_gap_is_kept_between_calls(tmp_path: Any) -> None:
    with Rig(tmp_path / "home", None, "--rate-limit", "0.3", "--wait") as rig:
        key = rig.key()
        began = time.monotonic()
        assert statuses(rig.crowd([lambda: rig.ask(key)] * 4)) == {200: 4}
        assert time.monotonic() - began >= 0.9
