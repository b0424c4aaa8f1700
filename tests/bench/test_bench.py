"""The benchmark's own programs work, and its checker can fail: a broken stream is a failure, not a fast answer."""

import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that builds, starts and runs; `bench` is no part of the installed package."""
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import programs

    if programs.find_compiler() is None:
        pytest.skip("no C compiler (cc or gcc) to build the load generator with")
    return programs


def run(bench: ModuleType, into: Path, *, mock_flags: tuple[str, ...] = (), **load: Any) -> Any:
    mock_program, load_program = bench.build(into)
    with bench.start_mock(mock_program, flags=mock_flags) as mock:
        return bench.run_load(load_program, bench.Load(**load), port=mock.port)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled once, by the first test that runs."""
    return tmp_path_factory.mktemp("build")


def test_whole_answers_are_complete(bench: ModuleType, built: Path) -> None:
    result = run(bench, built, connections=8, count=500)
    assert result.requests == result.sent == 500
    assert result.failures == 0
    assert 0 < result.latency_us["p50"] <= result.latency_us["p99"] <= result.latency_us["max"]


def test_large_requests_are_read_to_their_end(bench: ModuleType, built: Path) -> None:
    result = run(bench, built, connections=4, count=40, body_bytes=200_000)
    assert (result.requests, result.failures) == (40, 0)
    assert result.raw["request_bytes"] == pytest.approx(200_000, rel=0.01)


@pytest.mark.parametrize("gap_ms", [0, 5])
def test_streams_bring_every_event(bench: ModuleType, built: Path, gap_ms: int) -> None:
    result = run(bench, built, connections=10, count=20, is_streamed=True, events=20, gap_ms=gap_ms)
    assert (result.requests, result.failures) == (20, 0)
    assert result.events == 20 * (20 + 5)  # preamble, role, finish, usage, [DONE]
    assert result.seconds >= 2 * 18 * gap_ms / 1_000


@pytest.mark.parametrize("gap_ms", [0, 5])
@pytest.mark.parametrize(
    ("fault", "kind"), [("no-done", "no_done"), ("no-usage", "no_usage"), ("cut", "cut"), ("status", "status")]
)
def test_a_broken_stream_is_a_failure(bench: ModuleType, built: Path, fault: str, kind: str, gap_ms: int) -> None:
    load = {"connections": 2, "count": 4, "is_streamed": True, "events": 6, "gap_ms": gap_ms}
    result = run(bench, built, mock_flags=("--fault", fault), **load)
    assert result.failures_by_kind == {kind: 4}


def test_nobody_listening_is_a_failure(bench: ModuleType, built: Path) -> None:
    mock_program, load_program = bench.build(built)
    with bench.start_mock(mock_program) as mock:
        port = mock.port
    result = bench.run_load(load_program, bench.Load(count=3), port=port)
    assert result.failures_by_kind == {"connect": 3}


@pytest.mark.parametrize("size", [2_048, 200_000])
def test_the_request_is_a_chat_request(bench: ModuleType, built: Path, size: int) -> None:
    _, load_program = bench.build(built)
    command = [load_program, "--print-body", "--body-bytes", str(size), "--stream", "--events", "7"]
    body = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert body["user"].startswith("bench-events=7-gap=0")
    assert {message["role"] for message in body["messages"]} >= {"system", "user"}
    assert body["tools"]
