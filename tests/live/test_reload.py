"""A change of config.json is in force within a second, for the next call; running ones do not notice."""

import json
import random
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.faults.client import Answer, ask
from tests.harness import http_json, wait_until
from tests.live.site import LIVE_SECONDS, Site

FAST = {"models": {"fast": {"upstream": "gpt-4.1"}}}
STREAMS = 200


def test_a_change_is_in_force_within_a_second_while_200_streams_run_undisturbed(own_site: Site) -> None:
    own_site.put({"limits": {"max_in_flight_per_identity": 500}, **FAST})
    key = own_site.key()
    own_site.pace(first_token_seconds=0.2, gap_seconds=0.05, tokens=80)
    with ThreadPoolExecutor(STREAMS + 1) as pool:
        streams = [pool.submit(own_site.ask, key, model="fast", stream=True) for _ in range(STREAMS)]
        own_site.in_flight(STREAMS)
        took = [
            own_site.put({"models": {"fast": {"upstream": "gpt-4o"}}, "limits": {"max_in_flight_per_identity": 1}}),
            own_site.put({"exposure": "listed", "limits": {"max_in_flight_per_identity": 400}}),
            own_site.put({"models": {"fast": {"upstream": "gpt-4.1", "enabled": False}}}),
        ]
        answers = [stream.result() for stream in streams]
    assert max(took) < LIVE_SECONDS, took
    assert {answer.status for answer in answers} == {200}
    assert all(answer.is_complete_stream for answer in answers)
    assert {answer.text for answer in answers} == {answers[0].text}
    assert {payload["model"] for answer in answers for payload in answer.payloads[:-1]} == {"fast"}
    assert own_site.ask(key, model="fast").status == 404, "the last change holds for the next call"
    print(f"in force after {', '.join(f'{seconds * 1000:.0f}' for seconds in took)} ms")


def test_what_is_broken_changes_nothing_and_is_reported_once(site: Site) -> None:
    key = site.key()
    site.put(FAST)
    for broken, says in (
        ('{"models": {"fast"', "line 1"),
        ('{"exposure": "everything"}', "exposure"),
        ('{"limitz": {}}', "limitz"),
        ('{"version": 2}', "version"),
        ("\x00\xff", ""),
    ):
        site.gateway.lines.clear()
        site.rename(broken)
        wait_until(lambda: site.reported() > 0, 5, "reported")
        time.sleep(1.2)  # it is looked at again, and not reported again
        assert site.reported() == 1
        assert says in site.gateway.output
        assert site.ask(key, model="fast").status == 200


def test_a_file_that_is_gone_leaves_the_last_one_in_force(site: Site) -> None:
    key = site.key()
    site.put(FAST)
    site.config.unlink()
    wait_until(lambda: site.reported("the file is missing") == 1, 5, "reported")
    assert site.ask(key, model="fast").status == 200
    site.put({"models": {"fast": {"upstream": "gpt-4o"}}})
    assert site.ask(key, model="fast").status == 200


def test_a_file_that_is_written_in_place_is_seen_too(site: Site) -> None:
    key = site.key()
    with site.config.open("w") as file:
        for piece in json.dumps(FAST):
            file.write(piece)
            file.flush()
    wait_until(lambda: site.ask(key, model="fast").status == 200, 3, "in force")


def test_it_survives_a_directory_that_is_replaced(own_site: Site) -> None:
    """As a container's volume may be: the file is looked at once a second besides."""
    key = own_site.key()
    moved = own_site.home.with_name("moved")
    own_site.home.rename(moved)
    time.sleep(0.3)
    shutil.copytree(moved, own_site.home, ignore=shutil.ignore_patterns("*.sock"))
    own_site.config.write_text(json.dumps(FAST))
    wait_until(lambda: "the new configuration is in force" in own_site.gateway.output, 5, "in force")
    assert own_site.ask(key, model="fast").status == 200


def test_a_thousand_edits_never_leave_anything_but_the_last_good_one_in_force(own_site: Site) -> None:
    """Valid and broken ones, truncated at every byte, as fast as they can be made, with calls all the while."""
    key = own_site.key()
    draw, statuses, is_over = random.Random(11), set[int](), threading.Event()

    def call() -> None:
        while not is_over.is_set():
            statuses.add(own_site.ask(key, model="always").status)

    always = {"always": {"upstream": "gpt-4.1"}}
    own_site.put({"models": always})
    whole = json.dumps(
        {"models": {**always, "fast": {"upstream": "gpt-4o", "note": "x" * 40}}, "limits": {"max_body_mb": 8}}
    )
    caller = threading.Thread(target=call)
    caller.start()
    try:
        for number in range(1000):
            kind = draw.random()
            if kind < 0.5:
                own_site.rename(whole[: number % len(whole)])
            elif kind < 0.6:
                own_site.rename(json.dumps({"models": always, "nonsense": number}))
            elif kind < 0.7:
                own_site.config.write_text(whole[: draw.randrange(len(whole))])  # torn, in place
            else:
                own_site.rename(json.dumps({"models": {**always, f"name{number}": {"upstream": "gpt-4.1"}}}))
            if number % 10 == 0:
                time.sleep(0.01)
        own_site.put({"models": {**always, "last": {"upstream": "gpt-4.1"}}})
    finally:
        is_over.set()
        caller.join()
    assert statuses == {200}, "a call found a configuration that was not whole"
    assert own_site.ask(key, model="last").status == 200
    assert http_json("GET", f"{own_site.gateway.url}/healthz")[0] == 200


def test_limits_of_the_file_hold_from_the_next_call_on(site: Site) -> None:
    key = site.key()
    site.put({"limits": {"default_key": {"rpm": 2}}})
    assert [site.ask(key).status for _ in range(3)] == [200, 200, 429]
    site.put({"limits": {"default_key": {"rpm": 1000}, "budgets": ["requests:day:1"]}})
    refused = site.ask(key)
    assert (refused.status, refused.error["limit"]["name"]) == (429, "all:requests:day"), "what was spent before counts"
    site.put({"limits": {"max_body_mb": 1}})
    assert site.ask(key, "x" * 1_100_000).status == 413


def test_more_slots_serve_who_waits_and_fewer_take_nobodys(site: Site) -> None:
    key = site.key()
    site.put({"limits": {"max_in_flight_per_identity": 1}})
    site.forget()
    site.pace(first_token_seconds=1.5)
    callers = [site.open(key) for _ in range(3)]
    site.in_flight(1)
    site.put({"limits": {"max_in_flight_per_identity": 3}})
    site.in_flight(3)
    site.put({"limits": {"max_in_flight_per_identity": 1}})
    assert all(b" 200 " in caller.read_until(b"}") for caller in callers)
    site.pace(first_token_seconds=0.1)
    site.forget()
    assert {answer.status for answer in site.crowd([lambda: site.ask(key)] * 4)} == {200}
    assert site.simulator.stats["max_in_flight"] == 1


def test_authentication_that_is_switched_off_and_on_is_on_record(site: Site) -> None:
    url = f"{site.gateway.url}/v1/models"
    assert http_json("GET", url)[0] == 401
    site.put({"features": {"auth": False}})
    assert http_json("GET", url)[0] == 200
    assert "gateway.started_without_authentication" in (site.home / "audit.jsonl").read_text()
    site.put({})
    assert http_json("GET", url)[0] == 401


# What the file says of models


def test_every_protocol_says_the_alias_in_every_event(site: Site) -> None:
    key = site.key()
    site.put({"models": {"nick": {"upstream": "claude-sonnet-4.6"}}})
    message = {"role": "user", "content": "hi"}
    bodies: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": {"messages": [message]},
        "/v1/messages": {"messages": [message], "max_tokens": 50},
        "/v1/responses": {"input": "hi"},
    }
    for path, body in bodies.items():
        for stream in (False, True):
            answer = ask(site.gateway.url, key, {"model": "nick", "stream": stream, **body}, path=path)
            assert answer.status == 200
            assert b"claude" not in answer.body, (path, stream)
            assert b'"nick"' in answer.body
    contents = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    for action in ("generateContent", "streamGenerateContent?alt=sse"):
        answer = ask(site.gateway.url, key, contents, path=f"/v1beta/models/nick:{action}")
        assert (answer.status, b"claude" in answer.body) == (200, False)
    assert {model["id"] for model in http_json("GET", f"{site.gateway.url}/v1/models", key=key)[1]["data"]} >= {"nick"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["429", "500", "402", "html-200"])
def test_the_next_model_takes_over_before_the_caller_has_seen_anything(site: Site, fault: str, stream: bool) -> None:
    key = site.key()
    site.put({"models": {"best": {"upstream": "claude-sonnet-4.6", "fallback": ["gone", "gpt-4.1"]}}})
    site.fault(fault, count=3 if fault == "500" else 1)
    answer = site.ask(key, model="best", stream=stream)
    assert answer.status == 200
    assert b"claude" not in answer.body
    [event] = site.events(answer.request_id)
    assert (event["upstream_model"], event["fallback_from"], event["model"], event["cause"]) == (
        "gpt-4.1",
        "claude-sonnet-4.6",
        "best",
        "ok",
    )


def test_a_model_over_budget_gives_way_to_one_that_costs_nothing(site: Site) -> None:
    key = site.key("--budget", "premium_requests:day:1")
    site.put({"models": {"best": {"upstream": "claude-sonnet-4.6", "fallback": ["gpt-4.1"]}}})
    used = [site.events(site.ask(key, model="best").request_id)[0]["upstream_model"] for _ in range(3)]
    assert used == ["claude-sonnet-4.6", "gpt-4.1", "gpt-4.1"]


def test_an_answer_that_has_begun_is_not_begun_again(site: Site) -> None:
    key = site.key()
    site.put({"models": {"best": {"upstream": "claude-sonnet-4.6", "fallback": ["gpt-4.1"]}}})
    site.fault("cut", count=1)
    answer: Answer = site.ask(key, model="best", stream=True)
    assert answer.error["code"] == "upstream_cut"
    assert len([request for request in site.simulator.requests if request["method"] == "POST"]) == 1


def test_a_refusal_of_the_request_itself_is_nobody_elses_to_answer(site: Site) -> None:
    key = site.key()
    site.put({"models": {"best": {"upstream": "claude-sonnet-4.6", "fallback": ["gpt-4.1"]}}})
    assert site.ask(key, "SIM-FAULT:422", model="best").status == 422
