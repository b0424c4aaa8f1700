"""`simulate`: the simulated Copilot alone, on a port."""

import signal
import socket
import sys

import pytest

from tests.harness import Program, Simulator, free_environment, http_json
from tests.journeys.commands import run
from tests.journeys.wire import send

PROGRAM = [sys.executable, "-m", "copilot_api", "simulate"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_told_to_stop(number: int) -> None:
    with Simulator() as simulator:
        assert simulator.url.startswith("http://127.0.0.1:")
        assert send(simulator.url, "/_ping").status == 200
        assert {"requests", "in_flight", "max_in_flight", "aborted"} <= set(simulator.stats)
        assert simulator.requests[0]["path"] == "/_ping"
        assert simulator.stop(number) == 0
    assert "Traceback" not in simulator.output


def test_it_listens_where_it_is_told() -> None:
    with Program(["simulate", "--port", "0", "--host", "::1"], free_environment()) as program:
        assert program.url.startswith("http://[::1]:")
        assert http_json("GET", f"{program.url}/_sim/requests")[1] == {"requests": []}


def test_a_port_in_use_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run([*PROGRAM, "--port", port], free_environment())
    assert ended.code == 1
    assert port in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("flags", [("--port", "66000"), ("--port", "x"), ("--nonsense",), ("surplus",)])
def test_bad_usage(flags: tuple[str, ...]) -> None:
    assert run([*PROGRAM, *flags], free_environment()).code == 2
