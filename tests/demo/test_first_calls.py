"""The first calls are really made, and captured without what is secret in them."""

import json
import threading

from copilot_api.demo.first_calls import CALLS, make_first_calls
from tests.harness import GatewayProcess, http_json, wait_until


def test_they_are_captured_and_redacted(gateway: GatewayProcess, admin_key: str) -> None:
    key = json.loads(gateway.cli("keys", "create", "--label", "first calls", "--json"))
    gateway.cli("keys", "debug", key["id"], "--reason", "a demo", "--for", "1h")
    make_first_calls(gateway.url, admin=admin_key, captured=key["key"])

    def list_traces() -> list[dict[str, object]]:
        status, answer = http_json("GET", f"{gateway.url}/admin/api/traces", key=admin_key)
        assert status == 200
        found: list[dict[str, object]] = answer["traces"]
        return found

    wait_until(lambda: len(list_traces()) >= len(CALLS), 20, "the captures")
    shown = "".join(gateway.cli("traces", "show", str(trace["request_id"]), "--json") for trace in list_traces())
    for secret in ("Q3EGSAMPLE7XVWTZ", "n0tAr3alT0ken", "tR0ub4dor", key["key"], admin_key):
        assert secret not in shown
    assert "[redacted:aws-access-key" in shown


def test_a_gateway_that_is_not_there_is_left_alone() -> None:
    make_first_calls("http://127.0.0.1:9", admin="a", captured="b")
    wait_until(lambda: "first-calls" not in {thread.name for thread in threading.enumerate()}, 10, "the end")
