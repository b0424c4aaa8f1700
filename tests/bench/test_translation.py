"""The measurement of translated streams sends what it says, in every protocol, and notices a stream that ends badly."""

import asyncio
from pathlib import Path
from types import ModuleType

import pytest

from tests.bench.test_bench import ROOT
from tests.harness import GatewayProcess

EVENTS = 20


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import programs, translation

    if programs.find_compiler() is None:
        pytest.skip("no C compiler (cc or gcc) to build the mock upstream with")
    return translation


def test_every_protocol_is_streamed_to_its_end(bench: ModuleType, tmp_path: Path) -> None:
    from bench import programs

    mock_program, _ = programs.build(tmp_path / "build")
    load = bench.Load("test", streams=2, rounds=1, events=EVENTS, gap_ms=0)
    with programs.start_mock(mock_program) as mock, GatewayProcess(tmp_path / "home", mock.url) as gateway:
        key, port = gateway.create_key(), int(gateway.url.rpartition(":")[2])
        clients = bench.clients(load.marker)
        for client in clients:
            asyncio.run(bench.run_load(port, client, key, load))
        assert [client.name for client in clients] == ["chat", "responses", "messages", "gemini"]
        with pytest.raises(programs.BenchError, match="refused"):
            asyncio.run(bench.stream_once(port, clients[0], "sk-cap-wrong", 1))
