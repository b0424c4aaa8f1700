"""
Captures from the first call to the last look: by API, by command line, live, from files, and sent again.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.harness import GatewayProcess, Simulator, wait_until
from tests.journeys.commands import Ended, Terminal, admin_key
from tests.journeys.markers import call_tool, chat, fault, say
from tests.journeys.wire import CHAT, Answer, opened, send

TRACES = "/admin/api/traces"
SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"


@dataclass
class Captured:
    """A gateway whose one client key is captured."""

    gateway: GatewayProcess
    key: str
    key_id: str
    admin: str

    def call(self, prompt: str, *, path: str = CHAT, key: str = "", **more: Any) -> Answer:
        """One captured call, whose trace is there."""
        answer = send(self.gateway.url, path, chat(prompt, **more), key=key or self.key)
        self.wait(answer.request_id)
        return answer

    def wait(self, request_id: str) -> None:
        wait_until(lambda: self.ask(f"{TRACES}?q={request_id}").json["traces"], 10, f"the trace of {request_id}")

    def ask(self, path: str, body: Any = None, **more: Any) -> Answer:
        """A question of the admin's."""
        return send(self.gateway.url, path, body, **{"key": self.admin, **more})

    def show(self, answer: Answer) -> dict[str, Any]:
        """The trace of a call."""
        found = self.ask(f"{TRACES}/{answer.request_id}")
        assert found.status == 200, found.body
        return dict(found.json)

    def cli(self, *arguments: str, stdin: str | None = None, **more: str) -> Ended:
        """A command beside the gateway."""
        done = warm.run(["traces", *arguments], {**self.gateway.environment, **more}, stdin=stdin)
        return Ended(done.returncode, done.stdout, done.stderr)

    def audited(self, action: str) -> list[dict[str, Any]]:
        """What is on record of that kind."""
        lines = (self.gateway.home / "audit.jsonl").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["action"] == action]


@pytest.fixture(scope="module")
def captured(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captured]:
    home = tmp_path_factory.mktemp("home")
    (home / "config.json").write_text('{"version": 1, "retention": {"traces_days": 3}}')
    with GatewayProcess(home, simulator.url) as gateway:
        made = json.loads(gateway.cli("keys", "create", "--label", "watched", "--json"))
        gateway.cli("keys", "debug", "watched", "--reason", "a test", "--for", "1h")
        yield Captured(gateway, made["key"], made["id"], admin_key(gateway))


# Looking ------------------------------------------------------------------------------------------------------------


def test_a_captured_call_is_listed_shown_and_on_record(captured: Captured) -> None:
    answer = captured.call(f"my token is {SECRET}", stream=True)
    assert answer.headers["x-capi-capture"] == "on"
    listed = captured.ask(f"{TRACES}?key=watched&status=2xx&limit=1").json
    assert listed["traces"][0]["request_id"] == answer.request_id
    assert listed["traces"][0]["key_id"] == captured.key_id
    assert len(listed["days"]) == 1
    trace = captured.show(answer)
    assert json.loads(trace["client_request"]["body"])["messages"][0]["content"].startswith("my token is [redacted:")
    assert trace["upstream_request"]["target"].endswith("/chat/completions")
    assert trace["client_answer"]["body"].endswith("data: [DONE]\n\n")
    assert trace["client_answer"]["timeline"]
    assert SECRET not in json.dumps(trace)
    (read,) = [line for line in captured.audited("trace.read") if line["target"] == answer.request_id]
    assert read["actor"] != "gateway"
    assert captured.audited("traces.listed")[-1]["detail"]["key"] == "watched"


def test_pages_hold_each_trace_once_and_filters_hold(captured: Captured) -> None:
    answers = [captured.call(f"question {number}") for number in range(5)]
    failed = captured.call(fault("500"))
    found: list[str] = []
    place = ""
    while True:
        page = captured.ask(f"{TRACES}?limit=2{place}").json
        found += [trace["request_id"] for trace in page["traces"]]
        if page["next"] is None:
            break
        place = f"&before={page['next']}"
    assert len(found) == len(set(found))
    newest = [failed.request_id, *[answer.request_id for answer in reversed(answers)]]
    assert found[: len(newest)] == newest
    bad = captured.ask(f"{TRACES}?status=%3E=500").json["traces"]
    assert [trace["request_id"] for trace in bad] == [failed.request_id]
    assert captured.ask(f"{TRACES}?model=no-such").json["traces"] == []
    assert captured.ask(f"{TRACES}?until=1h").json["traces"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{TRACES}?colour=red", 400), (f"{TRACES}?limit=0", 400), (f"{TRACES}?limit=501", 400), (f"{TRACES}?status=abc", 400),
        (f"{TRACES}?before=x", 400), (f"{TRACES}?since=yesterday", 400), (f"{TRACES}/req_none", 404), (f"{TRACES}/req_1?x=1", 400),
        (f"{TRACES}/a/b/c", 404), (f"{TRACES}/", 404), (f"{TRACES}x", 404), (f"{TRACES}/tail?after=x", 400),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_told(captured: Captured, path: str, status: int) -> None:
    answer = captured.ask(path)
    assert (answer.status, answer.headers["cache-control"]) == (status, "no-store")
    assert answer.error["message"]


def test_only_admins_look(captured: Captured) -> None:
    answer = captured.call("hello")
    day = captured.ask(TRACES).json["days"][0]["date"]
    paths = [TRACES, f"{TRACES}/{answer.request_id}", f"{TRACES}/tail", f"/admin/traces/{day}.jsonl"]
    for key, status in ((None, 401), ("sk-cap-" + "a" * 52, 401), (captured.key, 403)):
        for path in paths:
            assert captured.ask(path, key=key).status == status
        for path in (f"{TRACES}/redact", f"{TRACES}/{answer.request_id}/replay"):
            assert captured.ask(path, {"text": "x"}, key=key).status == status
    assert captured.ask(TRACES, method="DELETE").status == 405


def test_without_an_audit_line_nothing_is_shown(captured: Captured) -> None:
    answer = captured.call("a secret plan")
    day = captured.ask(TRACES).json["days"][0]["date"]
    log, aside = captured.gateway.home / "audit.jsonl", captured.gateway.home / "aside"
    log.rename(aside)
    log.mkdir()
    try:
        for path in (TRACES, f"{TRACES}/{answer.request_id}", f"{TRACES}/tail", f"/admin/traces/{day}.jsonl"):
            refused = captured.ask(path)
            assert refused.status == 503
            assert b"secret plan" not in refused.body
        refused = captured.ask(f"{TRACES}/{answer.request_id}/replay", {})
        assert refused.status == 503
        shown = captured.cli("show", answer.request_id)
        assert shown.code != 0
        assert "secret plan" not in shown.out
    finally:
        log.rmdir()
        aside.rename(log)


def test_the_file_of_a_day_is_downloaded(captured: Captured) -> None:
    answer = captured.call("for the file")
    day = captured.ask(TRACES).json["days"][0]["date"]
    path = f"/admin/traces/{day}.jsonl"
    wait_until(lambda: answer.request_id.encode() in captured.ask(path).body, 5, "the file")
    file = captured.ask(path)
    assert file.headers["content-disposition"] == f'attachment; filename="{day}.jsonl"'
    assert file.headers["cache-control"] == "no-store"
    assert file.headers["x-content-type-options"] == "nosniff"
    assert file.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in file.body.splitlines()]
    assert lines[-1]["request_id"] == answer.request_id
    assert captured.audited("traces.downloaded")[-1]["target"] == day


# Trying and sending again -------------------------------------------------------------------------------------------


def test_the_dry_run_says_what_would_be_taken_out(captured: Captured) -> None:
    found = captured.ask(f"{TRACES}/redact", {"text": f"token={SECRET}\nid 3fa85f64-5717-4562-b3fc-2c963f66afa6"}).json
    assert found["hits"][0]["length"] == len(SECRET)
    assert found["hits"][0]["placeholder"] in found["text"]
    assert found["near_misses"][0]["reason"] == "a UUID"
    assert SECRET not in json.dumps(found)
    for body, status in (({"text": 3}, 400), ({}, 400), ({"text": "x", "y": 1}, 400), ({"text": "x" * 70_000}, 413)):
        assert captured.ask(f"{TRACES}/redact", body).status == status


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_replay_is_a_call_and_tells_how_the_answers_differ(captured: Captured, is_streamed: bool) -> None:
    answer = captured.call(say("one\ntwo"), stream=is_streamed)
    same = captured.ask(f"{TRACES}/{answer.request_id}/replay", {})
    assert same.status == 200, same.body
    assert (same.json["status"], same.json["notes"]) == (200, [])
    assert same.json["diff"]["text"] == ""
    assert set(same.json["diff"]["changes"]) <= {
        "cache_read_tokens",
        "cache_write_tokens",
        "input_tokens",
        "output_tokens",
    }
    trace = captured.ask(f"{TRACES}/{same.json['request_id']}").json
    assert (trace["reason"], trace["replay_of"], trace["client"]) == ("replay", answer.request_id, "replay")
    assert trace["replay_of_key_id"] == captured.key_id
    assert trace["key_id"] == same.json["key_id"] != captured.key_id
    wait_until(lambda: same.json["request_id"] in str(captured.gateway.events()), 5, "its event")
    other = captured.ask(f"{TRACES}/{answer.request_id}/replay", {"model": "claude-haiku-4.5"}).json
    assert other["status"] == 200
    assert other["notes"] == ["the model is claude-haiku-4.5 instead of gpt-4.1"]
    assert captured.audited("trace.replayed")[-1]["detail"]["model"] == "claude-haiku-4.5"


def test_a_replay_that_fails_says_how(captured: Captured) -> None:
    answer = captured.call("hello")
    gone = captured.ask(f"{TRACES}/{answer.request_id}/replay", {"model": "no-such-model"}).json
    assert (gone["status"], gone["cause"]) == (404, "model_not_found")
    assert gone["diff"]["changes"]["status"] == [200, 404]
    bad: list[Any] = [{"model": ""}, {"model": 3}, {"modle": "x"}, {"key": "watched"}, []]
    for body in bad:
        assert captured.ask(f"{TRACES}/{answer.request_id}/replay", body).status == 400
    assert captured.ask(f"{TRACES}/req_none/replay", {}).status == 404


def test_a_request_that_is_not_kept_whole_is_not_sent_again(captured: Captured) -> None:
    long = captured.call("x" * (1100 * 1024))
    refused = captured.ask(f"{TRACES}/{long.request_id}/replay", {})
    assert (refused.status, refused.error["code"]) == (409, "replay_impossible")
    secret = captured.call(f"token {SECRET}")
    assert "1 placeholder went out" in captured.ask(f"{TRACES}/{secret.request_id}/replay", {}).json["notes"][0]


def test_other_protocols_are_sent_again_in_their_own(captured: Captured) -> None:
    message = {"model": "claude-haiku-4.5", "max_tokens": 64, "messages": [{"role": "user", "content": say("hi")}]}
    gemini = {"contents": [{"role": "user", "parts": [{"text": say("hi")}]}]}
    calls = [
        send(captured.gateway.url, "/v1/messages", message, key=captured.key, headers={"anthropic-beta": "interleaved-thinking-2025-05-14"}),
        send(captured.gateway.url, "/v1/responses", {"model": "gpt-5-mini", "input": say("hi")}, key=captured.key),
        send(captured.gateway.url, "/v1beta/models/gpt-4.1:streamGenerateContent?alt=sse", gemini, key=captured.key),
        send(captured.gateway.url, "/v1/messages/count_tokens", message, key=captured.key),
        send(captured.gateway.url, "/v1/embeddings", {"model": "text-embedding-3-small", "input": "hi"}, key=captured.key),
    ]  # fmt: skip
    for answer in calls:
        assert answer.status == 200, answer.body
        captured.wait(answer.request_id)
        replayed = captured.ask(f"{TRACES}/{answer.request_id}/replay", {}).json
        assert replayed["status"] == 200, replayed
        assert replayed["diff"]["text"] == "", replayed
        assert captured.ask(f"{TRACES}/{answer.request_id}/replay", {"model": "gpt-4o-x"}).status == 200
        assert captured.cli("show", answer.request_id).code == 0


# The command line ---------------------------------------------------------------------------------------------------


def test_commands_need_no_key_beside_the_gateway_and_are_on_record(captured: Captured) -> None:
    answer = captured.call(call_tool("look", {"at": "the\x1b[31m sky"}), tools=[
        {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}}
    ])  # fmt: skip
    listed = captured.cli("list", "--key-id", "watched", "-n", "1")
    assert listed.code == 0, listed.err
    assert answer.request_id in listed.out
    assert json.loads(captured.cli("list", "-n", "1", "--json").out)[0]["request_id"] == answer.request_id
    shown = captured.cli("show", answer.request_id)
    assert shown.code == 0, shown.err
    for text in ("client request", "upstream answer", "answer calls look", "(tools: look)", "ended: tool_calls", "█"):
        assert text in shown.out
    assert "\x1b" not in shown.out
    assert json.loads(captured.cli("show", answer.request_id, "--json").out) == captured.show(answer)
    actors = {line["actor"] for line in captured.audited("trace.read") if line["target"] == answer.request_id}
    assert any(actor.startswith("local:") for actor in actors)
    missing = captured.cli("show", "req_none")
    assert (missing.code, "there is no trace of the call" in missing.err) == (2, True)


def test_a_replay_by_command_names_its_key(captured: Captured) -> None:
    answer = captured.call(say("one\ntwo"))
    unnamed = captured.cli("replay", answer.request_id)
    assert (unnamed.code, "name an admin key" in unnamed.err) == (2, True)
    done = captured.cli("replay", answer.request_id, "--key-id", "first admin", "--model", "no-such-model")
    assert done.code == 0, done.err
    assert "status: 200 → 404" in done.out
    assert "-one" in done.out


def test_from_elsewhere_the_key_is_in_the_environment(captured: Captured) -> None:
    answer = captured.call("from afar")
    flags = ("--url", captured.gateway.url)
    assert answer.request_id in captured.cli("list", *flags, COPILOT_API_KEY=captured.admin).out
    assert captured.cli("show", answer.request_id, *flags, COPILOT_API_KEY=captured.admin).code == 0
    refused = captured.cli("list", *flags, COPILOT_API_KEY=captured.key)
    assert (refused.code, "admin key" in refused.err) == (2, True)
    assert captured.cli("list", "--url", "http://127.0.0.1:1", COPILOT_API_KEY="k").code == 1


def test_the_tail_follows_and_goes_on_where_a_restart_broke_it(simulator: Simulator, home: Path) -> None:
    with GatewayProcess(home, simulator.url) as gateway:
        made = json.loads(gateway.cli("keys", "create", "--label", "watched", "--json"))
        gateway.cli("keys", "debug", "watched", "--reason", "a test", "--for", "1h")
        captured = Captured(gateway, made["key"], made["id"], admin_key(gateway))
        command = [sys.executable, "-m", "copilot_api", "traces", "tail", "--json"]
        tail = subprocess.Popen(
            command, env=gateway.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(iter(tail.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
        reader.start()
        wait_until(lambda: captured.audited("traces.tailed"), 10, "the tail")
        first = captured.call("before")
        wait_until(lambda: lines, 10, "its line")
        began = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - began < 10
        assert not (home / "control.sock").exists()
        gateway.start()
        second = captured.call("after")
        wait_until(lambda: len(lines) == 2, 15, "the line after the restart")
        tail.send_signal(signal.SIGINT)
        assert tail.wait(10) == 0
        _, errors = tail.communicate()
        reader.join(5)
    assert [json.loads(line)["request_id"] for line in lines] == [first.request_id, second.request_id]
    assert "control.sock does not answer; waiting" in errors
    assert "Traceback" not in errors


def test_on_a_terminal_it_shows_a_line_a_trace(captured: Captured) -> None:
    arguments = [sys.executable, "-m", "copilot_api", "traces", "tail"]
    with Terminal(arguments, captured.gateway.environment) as terminal:
        count = len(captured.audited("traces.tailed"))
        wait_until(lambda: len(captured.audited("traces.tailed")) > count or terminal.shown, 10, "the tail")
        answer = captured.call(fault("500"))
        terminal.expect(f"{answer.request_id}  502 upstream_error  gpt-4.1")
        assert terminal.stop(signal.SIGINT) == 0
        assert "Traceback" not in terminal.shown


def test_without_a_gateway_files_are_what_there_is(simulator: Simulator, home: Path) -> None:
    home.mkdir()
    (home / "config.json").write_text('{"version": 1, "retention": {"traces_days": 1}}')
    with GatewayProcess(home, simulator.url) as gateway:
        made = json.loads(gateway.cli("keys", "create", "--label", "watched", "--json"))
        gateway.cli("keys", "debug", "watched", "--reason", "a test", "--for", "1h")
        captured = Captured(gateway, made["key"], made["id"], admin_key(gateway))
        answer, failed = captured.call("hello"), captured.call(fault("500"))
    listed = captured.cli("list", "--key-id", "watched", "--json")
    assert [trace["request_id"] for trace in json.loads(listed.out)] == [failed.request_id, answer.request_id]
    assert "no gateway runs on this data directory: this is what lies in files" in listed.err
    assert captured.cli("show", answer.request_id).code == 0
    assert captured.audited("trace.read")[-1]["target"] == answer.request_id


def test_several_gateways_on_one_directory_are_all_asked(captured: Captured, simulator: Simulator) -> None:
    with GatewayProcess(captured.gateway.home, simulator.url) as other:
        assert (captured.gateway.home / "control-2.sock").exists()
        there = Captured(other, captured.key, captured.key_id, captured.admin)
        mine, theirs = captured.call("here"), there.call("there")
        listed = json.loads(captured.cli("list", "--json").out)
        ids = [trace["request_id"] for trace in listed]
        assert ids[:2] == [theirs.request_id, mine.request_id]
        assert len(ids) == len(set(ids))
        for answer in (mine, theirs):
            assert captured.cli("show", answer.request_id).code == 0
    assert not (captured.gateway.home / "control-2.sock").exists()


# The end of things --------------------------------------------------------------------------------------------------


def test_a_tail_ends_with_its_key(captured: Captured) -> None:
    made = json.loads(captured.gateway.cli("keys", "create", "--label", "tail", "--tier", "admin", "--json"))
    with opened(captured.gateway.url, f"{TRACES}/tail", key=made["key"]) as answer:
        assert answer.status == 200
        captured.gateway.cli("keys", "revoke", made["id"])
        rest = answer.read()
    assert b"event: end\n" in rest
    assert b"revoked" in rest


def test_a_tail_that_nobody_reads_does_not_hold_up_the_end(simulator: Simulator, home: Path) -> None:
    with GatewayProcess(home, simulator.url) as gateway:
        key = admin_key(gateway)
        address = gateway.url.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1]))) as reader:
            reader.sendall(f"GET {TRACES}/tail HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n".encode())
            wait_until(lambda: "traces.tailed" in (home / "audit.jsonl").read_text(), 10, "the tail")
            began = time.monotonic()
            assert gateway.stop() == 0
            assert time.monotonic() - began < 8


def test_a_socket_that_cannot_be_made_does_not_keep_the_gateway_from_starting(simulator: Simulator, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "control.sock").write_text("mine")
    (home / "control.sock").chmod(0o600)
    with GatewayProcess(home, simulator.url) as gateway:
        assert "control.sock in the data directory is no socket of this user's" in gateway.output
        assert os.stat(home / "control.sock").st_size == 4
