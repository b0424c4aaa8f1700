"""A gateway that keeps what it captures on disk, and what is there."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copilot_api.capture.files import TraceFiles
from copilot_api.capture.models import Leg, Trace
from tests.harness import GatewayProcess, Simulator, http_json, wait_until
from tests.journeys.wire import Answer, send

SECONDS = 20.0


@dataclass(frozen=True)
class Capture:
    """A gateway, the simulator behind it, and a key whose calls are captured."""

    gateway: GatewayProcess
    simulator: Simulator
    key: str
    key_id: str
    admin: str

    @property
    def files(self) -> TraceFiles:
        return TraceFiles(self.gateway.home / "traces")

    def send(self, path: str, body: Any = None, **more: Any) -> Answer:
        """One call with the captured key."""
        return send(self.gateway.url, path, body, **{"key": self.key, **more})

    def trace(self, request_id: str, *, seconds: float = SECONDS) -> Trace:
        """The trace of a call, once it is there."""
        found: list[Trace] = []

        def is_there() -> bool:
            trace = self.files.find(request_id)
            found.extend([] if trace is None else [trace])
            return trace is not None

        wait_until(is_there, seconds, f"the trace of {request_id}")
        return found[0]

    def order(self, body: Any, *, key_id: str = "", method: str = "POST", key: str = "") -> tuple[int, Any]:
        """Change the capture of a key."""
        url = f"{self.gateway.url}/admin/api/keys/{key_id or self.key_id}/debug"
        return http_json(method, url, body, key=key or self.admin)

    def configure(self, **config: Any) -> None:
        """Put another configuration into force."""
        status, answer = http_json("GET", f"{self.gateway.url}/admin/api/config", key=self.admin)
        assert status == 200
        (self.gateway.home / "config.json").write_text(json.dumps(config))

        def is_in_force() -> bool:
            now = http_json("GET", f"{self.gateway.url}/admin/api/config", key=self.admin)[1]
            return bool(now["hash"] != answer["hash"])

        wait_until(is_in_force, SECONDS, "the new configuration")

    def metric(self, name: str) -> float:
        """The value of a metric."""
        text: str = http_json("GET", f"{self.gateway.url}/metrics")[1]
        [line] = [line for line in text.splitlines() if line.startswith(f"copilot_api_{name} ")]
        return float(line.rpartition(" ")[2])

    def new_key(self, label: str, *flags: str) -> tuple[str, str]:
        """Another key: its secret and its id."""
        made = json.loads(self.gateway.cli("keys", "create", "--label", label, "--json", *flags))
        return made["key"], made["id"]


def leg(found: Leg | None) -> Leg:
    """A leg that has to be there."""
    assert found is not None
    return found


@contextmanager
def capturing_gateway(home: Path, simulator: Simulator, **config: Any) -> Generator[Capture]:
    """One with a key that is captured for an hour."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.json").write_text(json.dumps({"retention": {"traces_days": 1}, **config}))
    with GatewayProcess(home, simulator.url) as gateway:
        admin = (home / "admin.key.txt").read_text().strip()
        issued = json.loads(gateway.cli("keys", "create", "--label", "captured", "--json"))
        capture = Capture(gateway, simulator, issued["key"], issued["id"], admin)
        assert capture.order({"reason": "a test", "minutes": 60})[0] == 200
        yield capture
