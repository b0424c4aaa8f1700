"""
Secrets in real calls, captured: in headers, targets, bodies, streams, both ways and in errors. Nothing of them is left in
anything that shows or keeps captures: the API, the live tail, files, logs, error messages, commands.
"""

import json
import re
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest

from tests.harness import GatewayProcess, Simulator, wait_until
from tests.journeys.commands import admin_key
from tests.journeys.markers import chat, fault, say
from tests.journeys.wire import CHAT, opened, send
from tests.redaction.corpus import FAMILIES, Secret, encodings, headers, make, survives

TRACES = "/admin/api/traces"
SAMPLE = [make(family, number) for number, family in enumerate(FAMILIES[::2])]
"""One of every second family: that no family is missed is seen to in tests/redaction and tests/capture."""
FAILING = SAMPLE[::20]
"""Those of whose calls one fails upstream: that takes its time, since it is tried again."""
_REQUEST_ID = re.compile(r"req_[0-9a-f]{24}")
pytestmark = pytest.mark.timeout(400)
OWN_HEADERS = {"authorization", "host", "content-length", "x-api-key", "api-key", "x-goog-api-key"}
"""Those that the call itself needs, or that would be taken for its key."""


@dataclass
class Told:
    """All that was ever told about the calls of one secret, by whom."""

    request_ids: list[str] = field(default_factory=list[str])
    outputs: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class Site:
    """A captured key's gateway after all calls, and what everybody told."""

    told: dict[str, Told]
    everywhere: dict[str, str]
    """What is not about one secret alone."""

    def __post_init__(self) -> None:
        self._lines: dict[str, list[str]] = defaultdict(list)
        self.rest = ""
        """The lines that are about no call."""
        for output in self.everywhere.values():
            for line in output.splitlines():
                found = set(_REQUEST_ID.findall(line))
                for request_id in found:
                    self._lines[request_id].append(line)
                if not found:
                    self.rest += line + "\n"

    def about(self, told: Told) -> str:
        """Every line, wherever, that is about a call of this secret. No other line can know of it."""
        return "\n".join(line for request_id in told.request_ids for line in self._lines[request_id])


def requests_of(secret: Secret) -> list[tuple[str, Any, dict[str, str]]]:
    """Path, body and headers of the calls of one secret."""
    texts = [encoded.text for encoded in encodings(secret)]
    messages = [{"role": "user", "content": text} for text in texts]
    spoken = say(f"Here it is: {secret.value} and that is all.")
    own = {
        name: value
        for name, value in headers(secret)
        if name.lower() not in OWN_HEADERS and value.isascii() and value.isprintable()
    }
    body = chat(spoken, stream=True)
    body["messages"] = [*messages, *body["messages"]]
    refused = chat("hello", model=secret.value[:150])
    return [
        (CHAT, body, own),
        (CHAT, chat(spoken), {}),
        (f"{CHAT}?api_key={quote(secret.random_part, safe='')}", chat(secret.value), {}),
        (CHAT, refused, {}),
    ]


@contextmanager
def tail_by_command(gateway: GatewayProcess) -> Iterator["subprocess.Popen[str]"]:
    """`copilot-api traces tail`, gone at the end in any case."""
    command = subprocess.Popen(
        [sys.executable, "-m", "copilot_api", "traces", "tail"],
        env=gateway.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield command
    finally:
        command.kill()
        command.communicate()


@pytest.fixture(scope="module")
def site(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("home")
    (home / "config.json").write_text('{"version": 1, "retention": {"traces_days": 1}}')
    with GatewayProcess(home, simulator.url, "--verbose") as gateway, ExitStack() as stack:
        made = json.loads(gateway.cli("keys", "create", "--label", "watched", "--json"))
        gateway.cli("keys", "debug", "watched", "--reason", "a test", "--for", "1h")
        admin = admin_key(gateway)
        tailed: list[bytes] = []
        is_tailing = threading.Event()

        def tail() -> None:
            with opened(gateway.url, f"{TRACES}/tail", key=admin, seconds=120) as answer:
                is_tailing.set()
                while piece := answer.read1(1 << 16):
                    tailed.append(piece)

        tailing = threading.Thread(target=tail)
        tailing.start()
        is_tailing.wait(10)
        command = stack.enter_context(tail_by_command(gateway))
        told = {secret.value: Told() for secret in SAMPLE}
        for secret in SAMPLE:
            calls = requests_of(secret)
            if secret in FAILING:
                calls.append((CHAT, chat(f"{fault('500')} {secret.value}"), {}))
            for path, body, own in calls:
                answer = send(gateway.url, path, body, key=made["key"], headers=own)
                told[secret.value].request_ids.append(answer.request_id)
        last = told[SAMPLE[-1].value].request_ids[-1]
        wait_until(lambda: send(gateway.url, f"{TRACES}?q={last}", key=admin).json["traces"], 120, "the last trace")
        for each in told.values():
            shown = [send(gateway.url, f"{TRACES}/{request_id}", key=admin) for request_id in each.request_ids]
            assert {answer.status for answer in shown} == {200}
            each.outputs["API"] = "\n".join(answer.body.decode() for answer in shown)
        for secret in SAMPLE[::31]:
            asked = told[secret.value].request_ids[0]
            outputs = told[secret.value].outputs
            outputs["show"] = gateway.cli("traces", "show", asked)
            outputs["show --json"] = gateway.cli("traces", "show", asked, "--json")
            replay = send(gateway.url, f"{TRACES}/{asked}/replay", {}, key=admin)
            assert replay.status in {200, 409}, replay.body
            outputs["replay"] = replay.body.decode()
            bad = send(gateway.url, f"{TRACES}/{quote(secret.value, safe='')}", key=admin)
            outputs["the record of what was asked"] = str(bad.status)
        page, place = "", ""
        while True:
            listed = send(gateway.url, f"{TRACES}?limit=500{place}", key=admin)
            page += "".join(f"{json.dumps(trace)}\n" for trace in listed.json["traces"])
            if listed.json["next"] is None:
                break
            place = f"&before={listed.json['next']}"
        day = listed.json["days"][0]["date"]
        commands = gateway.cli("traces", "list", "-n", "1000")
        download = send(gateway.url, f"/admin/traces/{day}.jsonl", key=admin).body.decode()
        command.terminate()
        command_output = command.communicate(timeout=20)[0]
        gateway.stop()
        tailing.join(20)
        file = (home / "traces" / f"{day}.jsonl").read_text()
        assert file.count("\n") >= 4 * len(SAMPLE)
        everywhere = {
            "list": page, "list by command": commands, "download": download, "file": file, "log": gateway.output,
            "live tail": b"".join(tailed).decode(), "tail by command": command_output, "audit log": (home / "audit.jsonl").read_text(),
        }  # fmt: skip
        for secret_key in (made["key"], admin):
            for name, output in everywhere.items():
                assert secret_key not in output, name
        yield Site(told, everywhere)


def test_nothing_of_a_secret_is_left_anywhere(site: Site) -> None:
    left: dict[str, str] = {}
    for secret in SAMPLE:
        told = site.told[secret.value]
        for name, output in {**told.outputs, "all lines": site.about(told)}.items():
            if piece := survives(secret, output):
                left[f"{secret.family} in {name}"] = piece
        if secret.random_part in site.rest:
            left[f"{secret.family} in lines about no call"] = secret.random_part
    assert not left


def test_everything_has_told_something(site: Site) -> None:
    for name, output in site.everywhere.items():
        assert len(output) > 500, name
    assert all("[redacted:" in told.outputs["API"] for told in site.told.values())
    for name in ("list", "live tail", "file", "tail by command"):
        assert sum(told.request_ids[0] in site.everywhere[name] for told in site.told.values()) > len(SAMPLE) * 0.9, (
            name
        )
