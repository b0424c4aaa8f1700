"""Calls go on as long as there is a gateway, and end with it."""

import threading

import pytest

from copilot_api.demo import first_calls, traffic
from tests.harness import GatewayProcess, wait_until

LABELS = {label for label, *_ in traffic._CALLS}


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("traffic-")]


def test_they_are_made_with_the_team_s_keys(gateway: GatewayProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "_PAUSE_SECONDS", (0.01, 0.05))
    secret, before = gateway.create_key("traffic"), len(gateway.events())
    calls: list[int] = []
    ask = first_calls.ask

    def count(*arguments: object) -> int:
        if len(calls) > 12:
            raise OSError("enough")
        calls.append(ask(*arguments))  # type: ignore[arg-type]
        return calls[-1]

    monkeypatch.setattr(traffic, "ask", count)
    traffic.keep_calling(gateway.url, dict.fromkeys(LABELS, secret))
    wait_until(lambda: not running(), 20, "the end")
    assert {200} <= set(calls) <= {200, 404}  # the shared gateway has no names of its own
    wait_until(lambda: len(gateway.events()) >= before + len(calls), 10, "the events")


def test_they_end_when_the_gateway_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "_PAUSE_SECONDS", (0.0, 0.01))
    traffic.keep_calling("http://127.0.0.1:9", dict.fromkeys(LABELS, "sk-cap-none"))
    wait_until(lambda: not running(), 10, "the end")
