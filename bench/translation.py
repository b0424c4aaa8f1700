"""
What a translated stream costs beside one that passes through: `python bench/run_translation.py`.

The same upstream streams reach the same gateway as chat completions, which pass through, and in the three protocols
that are translated for a model that only speaks chat. Only the gateway's CPU is compared, so the load may be Python.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.programs import BenchError, build, start_mock
from bench.subjects import make_gateway_cli, start_gateway

MODEL = "gpt-4.1"
GRACE_SECONDS = 0.3
LIMIT = 1.5


@dataclass(frozen=True)
class Client:
    """One protocol: where its requests go, what they are, and what ends its stream."""

    name: str
    path: str
    body: dict[str, object]
    end: bytes


@dataclass(frozen=True)
class Load:
    """So many streams at once, each of so many events with a gap between them."""

    name: str
    streams: int
    rounds: int
    events: int
    gap_ms: int

    @property
    def marker(self) -> str:
        """What tells the mock how to answer."""
        return f"bench-events={self.events}-gap={self.gap_ms}-chunk=16384"


LOADS = (Load("10 ms gap", streams=100, rounds=1, events=300, gap_ms=10), Load("burst", 16, 40, 200, 0))


def clients(marker: str) -> list[Client]:
    """The chat client first: it passes through, and is what the others are held against."""
    message = {"role": "user", "content": marker}
    contents = [{"role": "user", "parts": [{"text": marker}]}]
    gemini = f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"
    return [
        Client("chat", "/v1/chat/completions", {"model": MODEL, "stream": True, "messages": [message]}, b"[DONE]"),
        Client("responses", "/v1/responses", {"model": MODEL, "stream": True, "input": [message]}, b"[DONE]"),
        Client(
            "messages",
            "/v1/messages",
            {"model": MODEL, "stream": True, "max_tokens": 4096, "messages": [message]},
            b'"type":"message_stop"',
        ),
        Client("gemini", gemini, {"contents": contents}, b"usageMetadata"),
    ]


async def stream_once(port: int, client: Client, key: str, rounds: int) -> None:
    """Some streams after each other on a connection; raises `BenchError` for one that does not end well."""
    body = json.dumps(client.body).encode()
    head = (
        f"POST {client.path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        for _ in range(rounds):
            writer.write(head + body)
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            if b" 200 " not in answer[:20]:
                raise BenchError(f"{client.name} was refused: {answer[:200]!r} {(await reader.read(500))!r}")
            tail = b""
            while not tail.endswith(b"0\r\n\r\n"):
                piece = await asyncio.wait_for(reader.read(2**18), 60)
                if not piece:
                    raise BenchError(f"{client.name}'s stream broke off")
                tail = (tail + piece)[-2000:]
            if client.end not in tail:
                raise BenchError(f"{client.name}'s stream ended without {client.end!r}: {tail[-300:]!r}")
    finally:
        writer.close()


async def run_load(port: int, client: Client, key: str, load: Load) -> None:
    """The whole load, the streams begun a moment apart."""

    async def one(number: int) -> None:
        await asyncio.sleep(number * 0.005 if load.gap_ms else 0)
        await stream_once(port, client, key, load.rounds)

    await asyncio.gather(*(one(number) for number in range(load.streams)))


def measure(port: int, pid: int, client: Client, key: str, load: Load) -> float:
    """The gateway's CPU seconds for 100,000 content events."""
    asyncio.run(stream_once(port, client, key, 1))
    before = machine.cpu_seconds(pid)
    asyncio.run(run_load(port, client, key, load))
    time.sleep(GRACE_SECONDS)
    return (machine.cpu_seconds(pid) - before) / (load.streams * load.rounds * load.events) * 100_000


def main() -> int:
    """Measure and print; 1 when a translated stream costs more than `LIMIT` times one that passes through."""
    parser = argparse.ArgumentParser(prog="run_translation.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take medians of")
    rounds = parser.parse_args().rounds
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("bench: needs two cores", file=sys.stderr)
        return 2
    mock_program, _ = build()
    os.sched_setaffinity(0, {cores[0]})
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="copilot-api-bench-") as home, start_mock(mock_program) as mock:
        cli = make_gateway_cli(Path(home) / "gateway", mock, None)
        with start_gateway(cli, cores[1]) as running:
            subject = running.subject
            key = next(header.split("Bearer ")[1] for header in subject.headers if "Bearer " in header)
            print(f"CPU s per 100,000 events, median of {rounds} rounds; x: of chat, which passes through")
            for load in LOADS:
                found: dict[str, list[float]] = {}
                ratios: dict[str, list[float]] = {}
                for _ in range(rounds):
                    for client in clients(load.marker):
                        cpu = measure(subject.port, subject.pid or 0, client, key, load)
                        found.setdefault(client.name, []).append(cpu)
                        ratios.setdefault(client.name, []).append(cpu / found["chat"][-1])
                for name, values in found.items():
                    ratio = statistics.median(ratios[name])
                    worst = max(worst, ratio)
                    print(f"{load.name:10} {name:10} {statistics.median(values):7.3f}  {ratio:.2f}x")
    if worst > LIMIT:
        print(f"bench: a translated stream costs {worst:.2f} times one that passes through; the limit is {LIMIT}")
    return 1 if worst > LIMIT else 0
