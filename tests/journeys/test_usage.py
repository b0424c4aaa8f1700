"""The usage ledger: every call is one event, with the numbers that the caller got, and the sums are sums of events."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.harness import GatewayProcess, Simulator, wait_until
from tests.journeys.conftest import Journey
from tests.journeys.markers import call_tool, chat, fault, say
from tests.journeys.wire import CHAT, Answer, opened, send

EMBEDDINGS = "/v1/embeddings"
FIELDS = {
    "request_id", "at", "key_id", "identity_id", "client", "endpoint", "model", "upstream_model", "upstream_endpoint",
    "stream", "status", "cause", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "usage_unknown", "nano_aiu", "premium_requests", "initiator", "effort", "queue_seconds",
    "time_to_first_token", "duration", "bytes_in", "bytes_out",
    "nano_aiu_estimated", "estimated_tokens", "would_limit", "fallback_from", "kind",
}  # fmt: skip
SUMS = {
    "requests", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "credits", "premium_requests", "would_limit",
}  # fmt: skip
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
LONG = "The quick brown fox jumps over the lazy dog. " * 200
PYTHON, NODE, CURL = "OpenAI/Python 3.57.0", "OpenAI/JS 7.57.0", "curl/8.5.0"


@dataclass
class Made:
    """A call that was made, its answer and its event."""

    answer: Answer
    sent: int
    began: datetime
    ended: datetime
    event: dict[str, Any] = field(default_factory=dict)

    @property
    def copilot_usage(self) -> dict[str, Any]:
        """Copilot's charge, wherever the answer has it."""
        documents = self.answer.events if self.answer.is_streamed else [self.answer.json]
        return dict(next(found["copilot_usage"] for found in reversed(documents) if "copilot_usage" in found))

    @property
    def usage(self) -> dict[str, Any]:
        """The usage that the caller was told."""
        documents = self.answer.events if self.answer.is_streamed else [self.answer.json]
        return dict(next(found["usage"] for found in reversed(documents) if found.get("usage")))


@dataclass
class Traffic:
    """What a small team does on a gateway of its own."""

    journey: Journey
    keys: dict[str, dict[str, Any]]
    made: dict[str, Made] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def make(self, name: str, path: str, body: Any, *, key: str = "ada", agent: str = PYTHON) -> None:
        """One call, remembered by its name."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        secret = self.keys[key]["key"] if key in self.keys else key
        began = datetime.now(UTC)
        answer = send(self.journey.gateway.url, path, data, key=secret, headers={"user-agent": agent})
        self.made[name] = Made(answer, len(data), began, datetime.now(UTC))


@pytest.fixture(scope="module")
def traffic(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traffic]:
    """Made once; the tests only look at it."""
    with GatewayProcess(tmp_path_factory.mktemp("home"), simulator.url) as gateway:
        keys = {
            label: json.loads(gateway.cli("keys", "create", "--label", label, "--json", *flags))
            for label, *flags in (("ada",), ("grace", "--models", "gpt-4.1,claude-sonnet-4.6"))
        }
        traffic = Traffic(Journey(gateway, simulator, keys["ada"]["key"]), keys)
        _make_all(traffic)
        _hang_up(traffic)
        expected = len(traffic.made) + 1

        def are_stored() -> bool:
            traffic.events = gateway.events()
            return len(traffic.events) == expected

        wait_until(are_stored, 10, f"{expected} events")
        by_id = {event["request_id"]: event for event in traffic.events}
        for made in traffic.made.values():
            made.event = by_id[made.answer.request_id]
        yield traffic


def _make_all(traffic: Traffic) -> None:
    make = traffic.make
    told: dict[str, Any] = {"stream_options": {"include_usage": True}}
    make("whole", CHAT, chat(say("hello")))
    make("stream", CHAT, chat(say("hello there"), stream=True, **told), agent=NODE)
    make("quiet stream", CHAT, chat(say("hello there"), stream=True), agent=CURL)
    make("claude", CHAT, chat("tell me", model="claude-sonnet-4.6"), key="grace")
    make("claude stream", CHAT, chat("tell me more", model="claude-sonnet-4-6", stream=True, **told), key="grace")
    make("tool call", CHAT, chat(call_tool("look", {"at": "that"}), stream=True, tools=[TOOL], **told))
    result = {
        "role": "tool",
        "tool_call_id": "call_1",
        "content": "seen",
    }
    called = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
    }
    asked = {"role": "user", "content": "look"}
    make("agent", CHAT, {"model": "claude-sonnet-4.6", "messages": [asked, called, result], "tools": [TOOL]})
    make("reasoning", CHAT, chat("think", model="gpt-5-mini", reasoning_effort="high"))
    make("reasoning stream", CHAT, chat("think", model="gpt-5-mini", stream=True, reasoning_effort="low", **told))
    make("cache first", CHAT, chat(LONG, model="gpt-5-mini"))
    make("cache again", CHAT, chat(LONG, model="gpt-5-mini"))
    cached = {"role": "user", "content": LONG + " claude", "copilot_cache_control": {"type": "ephemeral"}}
    make("cache write", CHAT, {"model": "claude-sonnet-4.6", "messages": [cached]})
    make("embeddings", EMBEDDINGS, {"model": "text-embedding-3-small", "input": ["one", "two"]})
    make("not json", CHAT, b'{"model": "gpt-4.1", "messages": [')
    make("wrong type", CHAT, chat("x", n="two"))
    make("wrong endpoint", CHAT, chat("x", model="text-embedding-3-small"))
    make("bad input", EMBEDDINGS, {"model": "text-embedding-3-small", "input": 7})
    make("unknown key", CHAT, chat("x"), key="sk-cap-" + "c" * 52, agent="something/1.0")
    make("unknown key for embeddings", EMBEDDINGS, {"model": "text-embedding-3-small", "input": "x"}, key="none")
    make("unknown model", CHAT, chat("x", model="gpt-99"))
    make("unknown model stream", CHAT, chat("x", model="gpt-99", stream=True))
    make("model not allowed", CHAT, chat("x", model="gpt-4o"), key="grace")
    make("refused upstream", CHAT, chat(fault("context_overflow_chat")))
    make("forbidden upstream", CHAT, chat(fault("403")))
    make("credential refused", CHAT, chat(fault("token_invalid")))
    make("failed upstream", CHAT, chat(fault("424"), stream=True))
    make("rate limited upstream", CHAT, chat(fault("429")))
    make("quota used up", CHAT, chat(fault("402"), stream=True))
    make("overloaded upstream", CHAT, chat(fault("503")))
    make("cut", CHAT, chat(fault("cut"), stream=True))
    make("cut cleanly", CHAT, chat(fault("cut-clean"), stream=True, model="claude-sonnet-4.6"))
    make("cut whole", CHAT, chat(fault("cut")))
    make("error in the stream", CHAT, chat(fault("midstream-error"), stream=True))
    make("no usage", CHAT, chat(fault("no-usage"), stream=True))


def _hang_up(traffic: Traffic) -> None:
    """A client that leaves in the middle."""
    simulator, gateway = traffic.journey.simulator, traffic.journey.gateway
    simulator.post("/_sim/pace", {"gap_seconds": 0.03, "tokens": 500})
    try:
        with opened(gateway.url, CHAT, chat("count", stream=True), key=traffic.keys["ada"]["key"]) as response:
            assert response.readline().startswith(b"data: ")
    finally:
        simulator.post("/_sim/pace", {"gap_seconds": 0, "tokens": 24})


# One event -----------------------------------------------------------------------------------------------------------

CAUSES = {
    "whole": ("ok", 200),
    "stream": ("ok", 200),
    "quiet stream": ("ok", 200),
    "claude": ("ok", 200),
    "claude stream": ("ok", 200),
    "tool call": ("ok", 200),
    "agent": ("ok", 200),
    "reasoning": ("ok", 200),
    "reasoning stream": ("ok", 200),
    "cache first": ("ok", 200),
    "cache again": ("ok", 200),
    "cache write": ("ok", 200),
    "embeddings": ("ok", 200),
    "not json": ("bad_request", 400),
    "wrong type": ("bad_request", 400),
    "wrong endpoint": ("bad_request", 400),
    "bad input": ("bad_request", 400),
    "unknown key": ("unauthorized", 401),
    "unknown key for embeddings": ("unauthorized", 401),
    "unknown model": ("model_not_found", 404),
    "unknown model stream": ("model_not_found", 404),
    "model not allowed": ("model_not_allowed", 403),
    "refused upstream": ("upstream_error", 400),
    "forbidden upstream": ("upstream_error", 403),
    "credential refused": ("upstream_error", 502),
    "failed upstream": ("upstream_error", 502),
    "rate limited upstream": ("upstream_rate_limited", 429),
    "quota used up": ("upstream_rate_limited", 429),
    "overloaded upstream": ("upstream_rate_limited", 503),
    "cut": ("upstream_cut", 200),
    "cut cleanly": ("upstream_cut", 200),
    "cut whole": ("upstream_cut", 502),
    "error in the stream": ("upstream_error", 200),
    "no usage": ("ok", 200),
}
ANSWERED = [name for name, (cause, _) in CAUSES.items() if cause == "ok" and name not in {"no usage", "quiet stream"}]
NEVER_SENT = [name for name, (cause, _) in CAUSES.items() if not cause.startswith(("ok", "upstream"))]


def test_every_call_is_one_event_of_the_promised_fields(traffic: Traffic) -> None:
    assert set(CAUSES) == set(traffic.made)
    assert {frozenset(event) for event in traffic.events} == {frozenset(FIELDS)}
    assert len({event["request_id"] for event in traffic.events}) == len(traffic.events)


@pytest.mark.parametrize("name", CAUSES)
def test_the_event_says_how_the_call_ended(traffic: Traffic, name: str) -> None:
    made = traffic.made[name]
    cause, status = CAUSES[name]
    if name == "error in the stream" and made.answer.status != 200:
        status = made.answer.status  # an error that comes with the first words may still be told by the status
    assert (made.event["cause"], made.event["status"]) == (cause, status)
    assert made.answer.status == status


@pytest.mark.parametrize("name", CAUSES)
def test_times_and_sizes_are_those_of_the_call(traffic: Traffic, name: str) -> None:
    made, event = traffic.made[name], traffic.made[name].event
    at = datetime.fromisoformat(event["at"])
    assert at.utcoffset() == timedelta(0)
    assert made.began - timedelta(milliseconds=2) <= at <= made.ended
    assert 0 <= event["duration"] <= (made.ended - made.began).total_seconds() + 0.01
    assert 0 <= event["queue_seconds"] <= event["duration"]
    if event["time_to_first_token"] is not None:
        assert 0 < event["time_to_first_token"] <= event["duration"]
    assert (event["time_to_first_token"] is None) is (name in NEVER_SENT or made.answer.status != 200)
    if event["cause"] not in {"bad_request", "unauthorized"}:
        assert event["bytes_in"] == made.sent
    if event["cause"] == "ok":
        assert event["bytes_out"] == len(made.answer.body)


@pytest.mark.parametrize("name", ANSWERED)
def test_tokens_and_charge_are_those_of_the_answer(traffic: Traffic, name: str) -> None:
    made, event = traffic.made[name], traffic.made[name].event
    usage = made.usage
    assert event["usage_unknown"] is False
    assert event["input_tokens"] == usage["prompt_tokens"]
    assert event["output_tokens"] == usage.get("completion_tokens", 0)
    assert event["cache_read_tokens"] == usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    reasoning = usage.get("completion_tokens_details", {}).get("reasoning_tokens")
    assert event["reasoning_tokens"] == (reasoning or usage.get("reasoning_tokens", 0))
    if name == "embeddings":
        return
    counts = {entry["token_type"]: entry["token_count"] for entry in made.copilot_usage["token_details"]}
    assert event["nano_aiu"] == made.copilot_usage["total_nano_aiu"]
    assert event["cache_write_tokens"] == counts["cache_write"]
    assert event["input_tokens"] == counts["input"] + counts["cache_read"] + counts["cache_write"]


def test_the_numbers_that_matter_are_not_all_zero(traffic: Traffic) -> None:
    """Else the comparisons above would prove nothing."""
    event = {name: made.event for name, made in traffic.made.items()}
    assert event["claude"]["nano_aiu"] > 0
    assert event["claude stream"]["nano_aiu"] > 0
    assert event["cache again"]["cache_read_tokens"] > 1000
    assert event["cache write"]["cache_write_tokens"] > 1000
    assert event["reasoning"]["reasoning_tokens"] == event["reasoning stream"]["reasoning_tokens"] == 30
    assert event["embeddings"]["input_tokens"] > 0


def test_a_stream_counts_also_when_the_client_did_not_ask(traffic: Traffic) -> None:
    quiet, told = traffic.made["quiet stream"].event, traffic.made["stream"].event
    assert quiet["usage_unknown"] is False
    for name in ("input_tokens", "output_tokens", "nano_aiu"):
        assert quiet[name] == told[name], name


@pytest.mark.parametrize("name", NEVER_SENT)
def test_what_was_refused_here_cost_nothing(traffic: Traffic, name: str) -> None:
    event = traffic.made[name].event
    assert event["usage_unknown"] is False
    assert event["upstream_model"] is None
    assert event["upstream_endpoint"] is None
    assert event["premium_requests"] == 0
    assert event["nano_aiu"] is None
    assert event["input_tokens"] == event["output_tokens"] == 0


@pytest.mark.parametrize("name", ["cut", "cut cleanly", "no usage", "error in the stream"])
def test_what_nobody_told_us_is_not_known_rather_than_zero(traffic: Traffic, name: str) -> None:
    """The upstream worked and its usage never came: a report must not show that as free."""
    assert traffic.made[name].event["usage_unknown"] is True


def test_who_asked_for_what(traffic: Traffic) -> None:
    event = {name: made.event for name, made in traffic.made.items()}
    assert event["claude"]["key_id"] == traffic.keys["grace"]["id"]
    assert event["whole"]["key_id"] == traffic.keys["ada"]["id"]
    assert event["unknown key"]["key_id"] is None
    assert (event["claude stream"]["model"], event["claude stream"]["upstream_model"]) == (
        "claude-sonnet-4-6",
        "claude-sonnet-4.6",
    )
    assert event["unknown model"]["model"] == "gpt-99"
    assert [event[name]["client"] for name in ("whole", "stream", "quiet stream", "unknown key")] == [
        "openai-python",
        "openai-node",
        "curl",
        "other",
    ]
    assert [event[name]["stream"] for name in ("whole", "stream", "unknown model stream", "cut")] == [
        False, True, True, True,
    ]  # fmt: skip
    assert (event["whole"]["endpoint"], event["whole"]["upstream_endpoint"]) == (CHAT, "/chat/completions")
    assert (event["embeddings"]["endpoint"], event["embeddings"]["upstream_endpoint"]) == (EMBEDDINGS, "/embeddings")
    assert (event["whole"]["initiator"], event["agent"]["initiator"]) == ("user", "agent")
    assert (event["reasoning"]["effort"], event["whole"]["effort"]) == ("high", None)
    assert event["whole"]["identity_id"] == "default"


def test_only_a_turn_of_the_user_is_a_premium_request(traffic: Traffic) -> None:
    event = {name: made.event for name, made in traffic.made.items()}
    assert event["claude"]["premium_requests"] == event["claude stream"]["premium_requests"] == 1
    assert event["agent"]["premium_requests"] == 0
    assert event["whole"]["premium_requests"] == 0, "the base model costs none"


def test_a_client_that_left_is_an_event_with_what_it_got(traffic: Traffic) -> None:
    known = {made.answer.request_id for made in traffic.made.values()}
    (event,) = [event for event in traffic.events if event["request_id"] not in known]
    assert (event["cause"], event["status"], event["stream"]) == ("client_aborted", 200, True)
    assert event["usage_unknown"] is True
    assert 0 < event["time_to_first_token"] <= event["duration"] < 10
    assert event["bytes_out"] > 0


def test_no_event_holds_a_word_of_a_conversation(traffic: Traffic) -> None:
    """Nor a secret, nor a header's value."""
    text = json.dumps(traffic.events)
    for word in ("hello", "tell me", "quick brown", "SIM-", "sk-cap-", "Bearer", "OpenAI/", "something/1.0", "seen"):
        assert word not in text, word


def test_names_in_the_ledger_are_bounded(journey: Journey) -> None:
    """A client writes models and efforts as it likes: a prompt in one of them would end up in every report."""
    long = "a prompt in the wrong place " * 5000
    answers = [
        journey.send(CHAT, chat("x", model=long)),
        journey.send(CHAT, chat("x", model=long, stream=True)),
        journey.send(CHAT, chat("x", reasoning_effort=long)),
        journey.send(EMBEDDINGS, {"model": long, "input": "x"}),
    ]
    for event in journey.events(*answers):
        assert len(json.dumps(event)) < 2000


# Sums ----------------------------------------------------------------------------------------------------------------


def sum_up(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What a report should say of these events. That a client left is no error."""
    errors = [event for event in events if event["cause"] not in {"ok", "client_aborted"}]
    sums: dict[str, Any] = {"requests": len(events), "errors": len(errors)}
    sums["would_limit"] = sum(event["would_limit"] is not None for event in events)
    for name in SUMS - {"requests", "errors", "credits", "would_limit"}:
        sums[name] = sum(event[name] for event in events)
    sums["credits"] = sum(event["nano_aiu"] or 0 for event in events) / 1e9
    return sums


def check_sums(row: dict[str, Any], events: list[dict[str, Any]]) -> None:
    """A row holds the sums of the events."""
    for name, expected in sum_up(events).items():
        assert row[name] == pytest.approx(expected), name


def report(traffic: Traffic, *arguments: str) -> dict[str, Any]:
    """`usage --json`."""
    return dict(json.loads(traffic.journey.gateway.cli("usage", "--since", "1h", "--json", *arguments)))


@pytest.mark.parametrize(
    ("by", "group"),
    [
        ("key", lambda event: event["key_id"]),
        ("model", lambda event: event["model"]),
        ("client", lambda event: event["client"]),
        ("day", lambda event: event["at"][:10]),
    ],
    ids=["key", "model", "client", "day"],
)
def test_sums_are_sums_of_events(traffic: Traffic, by: str, group: Any) -> None:
    document = report(traffic, "--by", by)
    assert set(document) == {"since", "until", "rows", "total"}
    assert set(document["total"]) == SUMS
    check_sums(document["total"], traffic.events)
    rows = {row["group"]: row for row in document["rows"]}
    assert len(rows) == len(document["rows"])
    expected: dict[Any, list[dict[str, Any]]] = {}
    for event in traffic.events:
        expected.setdefault(group(event), []).append(event)
    assert set(rows) == set(expected)
    for name, events in expected.items():
        assert SUMS | {"group"} <= set(rows[name])
        check_sums(rows[name], events)


def test_a_period_without_calls_is_empty(traffic: Traffic) -> None:
    """Yesterday nobody was here; what is outside the period is not counted."""
    document = report(traffic, "--until", "30m")
    assert document["rows"] == []
    assert document["total"]["requests"] == document["total"]["credits"] == 0


def test_a_client_sees_its_own_usage(traffic: Traffic) -> None:
    """The same sums as the operator's report has for that key, and what its limits are."""
    for label in ("ada", "grace"):
        key = traffic.keys[label]
        answer = send(traffic.journey.gateway.url, "/usage", key=key["key"])
        assert answer.status == 200
        assert answer.headers["cache-control"] == "no-store"
        assert set(answer.json) >= {"since", "until", "total", "limits"}
        check_sums(answer.json["total"], [event for event in traffic.events if event["key_id"] == key["id"]])
        assert answer.json["limits"] == []
        other = traffic.keys["grace" if label == "ada" else "ada"]
        assert other["id"] not in answer.body.decode()


def test_an_admin_sees_the_account_s_quota(traffic: Traffic) -> None:
    gateway = traffic.journey.gateway
    admin = (gateway.home / "admin.key.txt").read_text().strip()
    document = send(gateway.url, "/usage", key=admin).json
    assert document["login"] == "octocat"
    assert {"premium_interactions", "chat"} <= {snapshot["name"] for snapshot in document["snapshots"]}
    assert send(gateway.url, "/v1/usage", key=admin).status == 200


def test_the_database_keeps_it_all_over_a_restart(simulator: Simulator, tmp_path: Any) -> None:
    home = tmp_path / "home"
    with GatewayProcess(home, simulator.url) as gateway:
        journey = Journey(gateway, simulator, gateway.create_key("before"))
        answers = [journey.send(CHAT, chat(say("x"), stream=stream)) for stream in (False, True)]
    with GatewayProcess(home, simulator.url) as gateway:
        again = Journey(gateway, simulator, journey.key)
        answers.append(again.send(CHAT, chat(say("x"))))
        events = again.events(*answers)
        assert [event["cause"] for event in events] == ["ok"] * 3
        assert len(gateway.events()) == 3
