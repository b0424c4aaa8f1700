"""What every probe leaves behind: a gateway that still answers, and a log without a crash."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.raw import Raw, request
from tests.harness import GatewayProcess, Simulator

GOOD_BODY = json.dumps({"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}).encode()


@pytest.fixture(autouse=True)
def _unharmed(gateway: GatewayProcess, client_key: str) -> Iterator[None]:
    """After each probe the gateway answers a good call, and has not crashed inside."""
    before = len(gateway.lines)
    yield
    with Raw(gateway.url) as raw:
        raw.send(request("POST", "/v1/chat/completions", GOOD_BODY, key=client_key))
        answer = raw.read()
        assert answer is not None
        assert answer.status == 200, answer.body
    logged = "".join(gateway.lines[before:])
    assert "Traceback" not in logged, logged
    assert "Error" not in logged, logged


@pytest.fixture(scope="module")
def small_gateway(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that takes bodies of at most 1 MiB."""
    home: Path = tmp_path_factory.mktemp("small")
    (home / "config.json").write_text('{"limits": {"max_body_mb": 1}}')
    (home / "config.json").chmod(0o600)
    with GatewayProcess(home, simulator.url) as running:
        yield running
