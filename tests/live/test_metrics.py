"""A scrape of a real gateway after real calls: well-formed in both forms, and the ledger's own numbers."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.faults.client import ask
from tests.harness import http_json, wait_until
from tests.limits.rig import SLOTS
from tests.live.site import LIVE_SECONDS, Site
from tests.observability.promlint import find_faults, parse_openmetrics, sum_of, values_of

MESSAGES = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}


def scrape(site: Site, *, expect: int = 200, **headers: str) -> str:
    request = urllib.request.Request(f"{site.gateway.url}/metrics", headers={name.replace("_", "-"): value for name, value in headers.items()})  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.headers["cache-control"] == "no-store"
            status, text = response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read().decode()
    assert status == expect, text
    return str(text)


def report(site: Site, by: str) -> dict[str, Any]:
    """What the ledger says of the last hour."""
    document: dict[str, Any] = json.loads(site.gateway.cli("usage", "--since", "1h", "--by", by, "--json"))
    return document


def call_in_every_way(site: Site) -> None:
    """Whole, streamed, refused, failing, broken off; several models, protocols and keys."""
    first, second = site.key(label="first"), site.key("--rpm", "1", "--observe", label="second")
    for stream in (False, True):
        assert site.ask(first, stream=stream).status == 200
        assert site.ask(second, model="claude-sonnet-4.6", stream=stream).status == 200
        assert ask(site.gateway.url, first, {"model": "claude-sonnet-4.6", "stream": stream, **MESSAGES}, path="/v1/messages").status == 200  # fmt: skip
    for fault in ("429", "500", "402", "cut", "no-usage"):
        site.ask(first, f"SIM-FAULT:{fault}", stream=True)
    assert site.ask(first, model="gpt-99").status == 404
    assert site.ask("sk-cap-" + "a" * 52).status == 401
    embeddings = {"model": "text-embedding-3-small", "input": "x"}
    assert ask(site.gateway.url, second, embeddings, path="/v1/embeddings").status == 200
    assert (
        ask(site.gateway.url, first, {"model": "gpt-4.1", **MESSAGES}, path="/v1/messages/count_tokens").status == 200
    )


def test_a_scrape_after_all_kinds_of_calls_is_well_formed_and_says_what_the_ledger_says(own_site: Site) -> None:
    call_in_every_way(own_site)
    text = scrape(own_site)
    assert find_faults(text) == []
    wait_until(lambda: report(own_site, "key")["total"]["requests"] == 15, 10, "all events are stored")
    total = report(own_site, "key")["total"]
    assert sum_of(text, "copilot_api_requests_total") == total["requests"]
    ended_badly = total["requests"] - sum_of(text, "copilot_api_requests_total", cause="ok")
    assert ended_badly == total["errors"] == 6
    for kind in ("input", "output", "cache_read", "cache_write", "reasoning"):
        assert sum_of(text, "copilot_api_tokens_total", type=kind) == total[f"{kind}_tokens"], kind
    assert sum_of(text, "copilot_api_credits_total") == pytest.approx(total["credits"], rel=1e-12)
    assert total["credits"] > 0
    assert sum_of(text, "copilot_api_premium_requests_total") == pytest.approx(total["premium_requests"])
    for row in report(own_site, "key")["rows"]:
        key = row["group"] or "none"
        assert sum_of(text, "copilot_api_key_requests_total", key=key) == row["requests"]
        assert sum_of(text, "copilot_api_key_tokens_total", key=key, type="input") == row["input_tokens"]
        assert sum_of(text, "copilot_api_key_tokens_total", key=key, type="output") == row["output_tokens"]
        assert sum_of(text, "copilot_api_key_credits_total", key=key) == pytest.approx(row["credits"], rel=1e-12)
    assert sum_of(text, "copilot_api_request_duration_seconds_count") == total["requests"]
    assert sum_of(text, "copilot_api_time_to_first_token_seconds_count", endpoint="/v1/messages") == 1
    assert sum_of(text, "copilot_api_would_limit_total", limit="rpm") == 2
    assert sum_of(text, "copilot_api_unknown_usage_requests_total") == 2
    check_the_rest(text)
    check_openmetrics(own_site, text)


def check_the_rest(text: str) -> None:
    """What is no call's."""
    assert sum_of(text, "copilot_api_catalog_models") > 10
    assert sum_of(text, "copilot_api_slots") == SLOTS
    assert sum_of(text, "copilot_api_slots_taken") == sum_of(text, "copilot_api_calls_in_flight") == 0
    assert sum_of(text, "copilot_api_token_renewals_total") == 1
    assert sum_of(text, "process_resident_memory_bytes") > 10_000_000
    for name in ("usage_events_lost_total", "journal_broken", "ledger_storage_failing", "config_rejected", "stopped", "log_lines_dropped_total", "folded_labels_total"):  # fmt: skip
        assert sum_of(text, f"copilot_api_{name}") == 0, name
    assert "gpt-99" not in text, "a caller's text is no label"


def check_openmetrics(site: Site, classic: str) -> None:
    """The other form says the same."""
    text = scrape(site, accept="application/openmetrics-text;version=1.0.0")
    told = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_openmetrics(text)
        for sample in family.samples
    }
    moving = ("process_", "copilot_api_journal")
    same = {series: value for series, value in values_of(classic).items() if not series[0].startswith(moving)}
    assert {series: told.get(series) for series in same} == same


def test_what_is_switched_in_the_file_is_in_force_within_a_second_and_nothing_is_counted_anew(site: Site) -> None:
    key = site.key()
    assert site.ask(key).status == 200
    before = sum_of(scrape(site), "copilot_api_key_requests_total")
    reloads = sum_of(scrape(site), "copilot_api_config_reloads_total")
    assert site.put({"features": {"metrics": False}}) < LIVE_SECONDS
    assert "features.metrics" in scrape(site, expect=404)
    assert site.ask(key).status == 200
    assert site.put({"metrics": {"access": "admin"}}) < LIVE_SECONDS
    assert "invalid_api_key" in scrape(site, expect=401)
    admin = (site.home / "admin.key.txt").read_text().strip()
    after = scrape(site, authorization=f"Bearer {admin}")
    assert sum_of(after, "copilot_api_key_requests_total") == before + 1
    assert sum_of(after, "copilot_api_config_reloads_total") == reloads + 2
    site.put({"metrics": {"access": "open"}})
    assert sum_of(scrape(site, x_forwarded_for="192.0.2.1"), "copilot_api_key_requests_total") == before + 1


def test_a_broken_file_shows_until_it_is_mended(site: Site) -> None:
    site.put({"metrics": {"access": "loopback"}})
    good, rejections = site.config.read_text(), sum_of(scrape(site), "copilot_api_config_rejections_total")
    site.rename('{"metrics": {"access": "everybody"}}')
    wait_until(lambda: sum_of(scrape(site), "copilot_api_config_rejected") == 1, 5, "it is rejected")
    assert sum_of(scrape(site), "copilot_api_config_rejections_total") == rejections + 1
    site.rename(good)
    wait_until(lambda: sum_of(scrape(site), "copilot_api_config_rejected") == 0, 5, "it is mended")


def test_calls_under_way_and_in_line_are_told(site: Site) -> None:
    key = site.key()
    site.put({"limits": {"max_in_flight_per_identity": 2}})
    site.pace(first_token_seconds=1.0)
    for _ in range(5):
        site.open(key)
    site.in_flight(2)
    wait_until(lambda: sum_of(scrape(site), "copilot_api_queue_length") == 3, 5, "three wait")
    text = scrape(site)
    assert sum_of(text, "copilot_api_slots") == sum_of(text, "copilot_api_slots_taken") == 2
    assert sum_of(text, "copilot_api_calls_in_flight") == 5


def test_a_proxy_on_the_machine_is_nobody_of_the_machine(site: Site) -> None:
    assert "invalid_api_key" in scrape(site, expect=401, x_forwarded_for="127.0.0.1")


def test_head_tells_the_length_alone(site: Site) -> None:
    assert http_json("HEAD", f"{site.gateway.url}/metrics") == (200, "")
    assert http_json("POST", f"{site.gateway.url}/metrics", {})[0] == 405
