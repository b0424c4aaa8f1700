"""Gateways for whole journeys: the shared one where a test leaves it as it was, one of one's own where it does not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.harness import GatewayProcess, Simulator, wait_until
from tests.journeys.wire import Answer, send


@dataclass(frozen=True)
class Journey:
    """A gateway, the simulator behind it, and a client key."""

    gateway: GatewayProcess
    simulator: Simulator
    key: str

    def send(self, path: str, body: Any = None, **more: Any) -> Answer:
        """One call with the client key."""
        return send(self.gateway.url, path, body, **{"key": self.key, **more})

    def seen(self, answer: Answer) -> list[dict[str, Any]]:
        """What went upstream for that answer, attempt by attempt."""
        requests = self.simulator.requests
        return [request for request in requests if request["headers"].get("x-request-id") == answer.request_id]

    def events(self, *answers: Answer) -> list[dict[str, Any]]:
        """The usage event of each answer, once they are all stored."""
        wanted = [answer.request_id for answer in answers]
        found: dict[str, dict[str, Any]] = {}

        def are_there() -> bool:
            found.update({event["request_id"]: event for event in self.gateway.events()})
            return all(request_id in found for request_id in wanted)

        wait_until(are_there, 10, f"the events of {wanted}")
        return [found[request_id] for request_id in wanted]


@pytest.fixture(scope="session")
def journey(gateway: GatewayProcess, simulator: Simulator, client_key: str) -> Journey:
    """A journey on the shared gateway."""
    return Journey(gateway, simulator, client_key)


@pytest.fixture(scope="module")
def lone_simulator() -> Iterator[Simulator]:
    """A simulator whose tokens and counts are one test module's own."""
    with Simulator() as running:
        yield running
