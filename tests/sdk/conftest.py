"""The official clients, pointed at the shared gateway."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.harness import GatewayProcess, Simulator

Upstream = Callable[[str | None], dict[str, Any]]
"""The request that the simulator saw for one of ours, by the id that the gateway gave it."""


@pytest.fixture(scope="session")
def base_url(gateway: GatewayProcess) -> str:
    """What an SDK of OpenAI is pointed at; Anthropic's is pointed at the gateway's address itself."""
    return f"{gateway.url}/v1"


@pytest.fixture(scope="session")
def openai(base_url: str, client_key: str) -> Iterator[OpenAI]:
    """A client that repeats nothing by itself."""
    with OpenAI(api_key=client_key, base_url=base_url, max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def anthropic(gateway: GatewayProcess, client_key: str) -> Iterator[Anthropic]:
    """A client that repeats nothing by itself."""
    with Anthropic(api_key=client_key, base_url=gateway.url, max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def scoped_key(gateway: GatewayProcess) -> str:
    """A key that may use gpt-4.1 and nothing else."""
    return gateway.create_key("scoped", "--models", "gpt-4.1")


@pytest.fixture(scope="session")
def upstream(simulator: Simulator) -> Upstream:
    """See `Upstream`."""

    def find(request_id: str | None) -> dict[str, Any]:
        found = [request for request in simulator.requests if request["headers"].get("x-request-id") == request_id]
        assert len(found) == 1, f"{len(found)} requests with the id {request_id}"
        return found[0]

    return find
