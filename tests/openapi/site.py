"""A gateway with something of everything in it, and its own description to hold its answers against."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.schemas import APIOperation

from tests.harness import GatewayProcess, Simulator, http_json, wait_until

load_all_checks()
EVERY_ANSWER = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
CALL = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}


def load_checks(*names: str) -> list[Any]:
    """Checks of Schemathesis, by their names."""
    return [CHECKS.get_one(name) for name in names]


@dataclass
class Site:
    """See the module."""

    gateway: GatewayProcess
    key_id: str = ""
    """A client key, whose calls are captured."""
    trace_id: str = ""

    def __post_init__(self) -> None:
        self.secret = (self.gateway.home / "admin.key.txt").read_text().strip()
        issued = self.ask("POST", "/admin/api/keys", {"label": "ci", "budgets": [BUDGET], "rpm": 100_000})
        self.key_id = issued["id"]
        self.ask("POST", f"/admin/api/keys/{self.key_id}/debug", {"reason": "a test", "minutes": 60})
        for _ in range(3):
            assert http_json("POST", f"{self.gateway.url}/v1/chat/completions", CALL, key=issued["key"])[0] == 200
        wait_until(lambda: self.ask("GET", "/admin/api/traces")["traces"], 20, "a capture is kept")
        wait_until(lambda: self.ask("GET", "/admin/api/events")["events"], 20, "the calls are in the ledger")
        self.trace_id = self.ask("GET", "/admin/api/traces")["traces"][0]["request_id"]
        self.document = self.ask("GET", "/admin/api/openapi.json")
        self.operations: dict[str, APIOperation[Any, Any, Any, Any]] = {}
        for found in schemathesis.openapi.from_dict(self.document).get_all_operations():
            operation = found.ok()  # type: ignore[union-attr]
            self.operations[operation.definition.raw["operationId"]] = operation

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What an admin is answered, which is a success."""
        status, answer = http_json(method, self.gateway.url + path, body, key=self.secret)
        assert status in {200, 201}, answer
        return answer

    def check(self, case: Any, checks: Sequence[Any]) -> int:
        """Send a case, hold its answer against the description; gives the status."""
        response = case.call(base_url=self.gateway.url, headers={"authorization": f"Bearer {self.secret}"}, timeout=60)
        case.validate_response(response, checks=list(checks))
        return int(response.status_code)


BUDGET = {"unit": "credits", "window": "day", "amount": 1000, "mode": "observed"}


def open_gateway(home: Path, simulator: Simulator) -> GatewayProcess:
    """A gateway of its own, with a configuration that has been changed before."""
    home.mkdir(mode=0o700)
    config = home / "config.json"
    config.write_text(
        json.dumps({"version": 1, "models": {"fast": {"upstream": "gpt-5-mini"}}, "retention": {"traces_days": 1}})
    )
    config.chmod(0o600)
    return GatewayProcess(home, simulator.url)
