"""`kill -9` at any moment loses no event and stores none twice."""

import asyncio
import json
import random
import secrets
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.faults.client import CHAT, chat
from tests.harness import GatewayProcess, Program, Simulator, http_json, wait_until

ROUNDS = 20
CALLERS = 16
TOKENS = 20
LONGEST_ROUND_SECONDS = 0.6


class Load:
    """Callers, each with one call after the other, whole and streamed by turns, until the gateway is gone."""

    def __init__(self, url: str, key: str) -> None:
        self._url = urlsplit(url)
        self._key = key
        self.completed: dict[str, tuple[int, int]] = {}
        """What calls consumed, as their clients were told, by request id: those that ended before the kill."""
        self.broken: set[str] = set()
        """The request ids of answers that began and did not end."""

    def run(self) -> None:
        """Ends when no caller gets through any more."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(self._call_and_call(number))

    async def _call_and_call(self, number: int) -> None:
        try:
            reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
            try:
                while True:
                    number += 1
                    await self._call(reader, writer, is_streamed=number % 2 == 0)
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            return

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_streamed: bool) -> None:
        more: dict[str, Any] = {"stream_options": {"include_usage": True}} if is_streamed else {}
        body = json.dumps(chat("count the kills", stream=is_streamed, **more)).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {self._key}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        assert lines[0].startswith("http/1.1 200"), lines
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        request_id = fields["x-request-id"]
        self.broken.add(request_id)
        if is_streamed:
            answer = await reader.readuntil(b"\r\n0\r\n\r\n")
            assert b"[DONE]" in answer
            usage = next(
                usage
                for line in answer.split(b"\n")
                if line.startswith(b"data: {") and (usage := json.loads(line[6:]).get("usage"))
            )
        else:
            usage = json.loads(await reader.readexactly(int(fields["content-length"])))["usage"]
        self.broken.remove(request_id)
        self.completed[request_id] = (usage["prompt_tokens"], usage["completion_tokens"])


class Ledger:
    """What a whole run adds up to: the callers' side and the upstream's."""

    def __init__(self) -> None:
        self.completed: dict[str, tuple[int, int]] = {}
        self.broken: set[str] = set()
        self.arrived: Counter[str] = Counter()
        """How often each request id reached the upstream: the truth."""

    def add(self, load: Load, simulator: Simulator) -> None:
        """One round, once nothing of it is under way any more."""
        self.completed |= load.completed
        self.broken |= load.broken
        wait_until(lambda: simulator.stats["in_flight"] == 0, 5, "the upstream has noticed")
        self.arrived.update(
            request["headers"]["x-request-id"]
            for request in simulator.requests
            if request["path"] == "/chat/completions"
        )
        http_json("DELETE", f"{simulator.url}/_sim/requests")


PACES = (
    {"first_token_seconds": 0.02, "gap_seconds": 0.005, "tokens": TOKENS},  # every caller has a call under way
    {"first_token_seconds": 0.0, "gap_seconds": 0.0, "tokens": TOKENS},  # and here they begin and end all the time
)


@pytest.fixture
def upstream() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.mark.slow
def test_twenty_kills_under_load_leave_one_event_for_each_request_that_went_upstream(
    upstream: Simulator, home: Path
) -> None:
    """
    Every request that reached the upstream has one event. A call whose client had its whole answer is `ok` with the
    tokens that the client was told; one that the kill ended is `interrupted`; one that was killed on its way to the
    upstream may be an `interrupted` event of its own.
    """
    seed = secrets.randbits(32)
    chance = random.Random(seed)
    ledger = Ledger()
    gateway = GatewayProcess(home, upstream.url)
    gateway.start()
    key = gateway.create_key()
    for number in range(ROUNDS):
        upstream.post("/_sim/pace", PACES[number % 2])
        load = Load(gateway.url, key)
        callers = threading.Thread(target=load.run)
        callers.start()
        time.sleep(chance.uniform(0.0, LONGEST_ROUND_SECONDS))
        gateway.stop(signal.SIGKILL)
        callers.join()
        ledger.add(load, upstream)
        if number % 4 == 3:
            # And now and then in the middle of starting again, when it brings in what the last one left.
            Program.start(gateway)
            time.sleep(chance.uniform(0.0, 0.2))
            gateway.stop(signal.SIGKILL)
        gateway.start()
    wait_until(lambda: count_events(home) >= len(ledger.arrived), 10, "all events are stored")
    events = gateway.events()
    assert gateway.stop() == 0
    causes = Counter(event["cause"] for event in events)
    print(f"seed {seed}: {len(ledger.arrived)} requests reached the upstream; {len(events)} events, {dict(causes)}")
    check_events(events, ledger, f"seed {seed}")
    assert list((home / "spool").iterdir()) == []


def check_events(events: list[dict[str, Any]], ledger: Ledger, seed: str) -> None:
    """See the rule of the test."""
    by_id = {event["request_id"]: event for event in events}
    assert len(by_id) == len(events), seed
    missing = set(ledger.arrived) - set(by_id)
    assert not missing, f"{seed}: {len(missing)} requests reached the upstream and have no event: {missing}"
    assert max(ledger.arrived.values()) == 1, f"{seed}: nothing is sent twice here"
    for request_id, event in by_id.items():
        context = (seed, event)
        if request_id not in ledger.arrived:
            assert event["cause"] == "interrupted", context
        if request_id in ledger.completed:
            assert event["cause"] == "ok", context
            assert (event["input_tokens"], event["output_tokens"]) == ledger.completed[request_id], context
        if event["cause"] == "ok":
            assert (event["status"], event["output_tokens"], event["usage_unknown"]) == (200, TOKENS, False), context
        else:
            assert event["cause"] == "interrupted", context
            assert event["usage_unknown"], context
        assert event["identity_id"] == "default", context
        assert event["upstream_model"] == "gpt-4.1", context
    assert ledger.broken <= set(by_id), seed
    # The test would prove nothing if the kills met a gateway at rest.
    assert sum(event["cause"] == "interrupted" for event in events) >= ROUNDS, seed
    assert sum(event["cause"] == "ok" for event in events) >= ROUNDS, seed


def count_events(home: Path) -> int:
    """How many events are stored."""
    connection = sqlite3.connect(f"file:{home / 'copilot-api.db'}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM usage_events").fetchone()[0])
    finally:
        connection.close()
