"""A gateway and its simulator, and what both of them say about the calls that were made."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.faults.client import CHAT, Answer, Caller, ask, chat, poll
from tests.harness import GatewayProcess, Simulator, http_json

DETECTION_SECONDS = 0.1
"""How soon the upstream must see that a client has hung up."""
SLACK_SECONDS = 0.4
"""What a busy machine may add in a single round. A quiet one needs a few milliseconds for all of it."""
AT_ONCE = {"first_token_seconds": 0, "gap_seconds": 0, "tokens": 24}


def read_events(home: Path) -> list[dict[str, Any]]:
    """The events that are stored, in the order in which they were: a look that costs nothing."""
    with closing(sqlite3.connect(f"file:{home / 'copilot-api.db'}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM usage_events ORDER BY rowid")]


class Pair:
    """See the module."""

    def __init__(self, simulator: Simulator, gateway: GatewayProcess) -> None:
        self.simulator = simulator
        self.gateway = gateway
        self.key = (gateway.home / "admin.key.txt").read_text().strip()
        """The bootstrap key: whatever holds for a client key holds for it, and it costs no command."""
        self._told: set[str] = set()
        self._callers: list[Caller] = []

    @property
    def url(self) -> str:
        return self.gateway.url

    @property
    def pid(self) -> int:
        return self.gateway.pid

    def calm(self) -> None:
        """No faults and no pace from now on."""
        self.simulator.post("/_sim/faults")
        self.simulator.post("/_sim/pace", AT_ONCE)

    def forget(self) -> None:
        """Have the simulator forget the requests so far."""
        http_json("DELETE", f"{self.simulator.url}/_sim/requests")

    def fault(self, name: str, **fields: Any) -> None:
        """Have the simulator stumble."""
        self.simulator.post("/_sim/faults", {"name": name, **fields})

    def pace(self, **fields: Any) -> None:
        """Have the simulator take its time."""
        self.simulator.post("/_sim/pace", fields)

    def ask(self, text: str = "hi", *, seconds: float = 20.0, **fields: Any) -> Answer:
        """One chat call to its end."""
        return ask(self.url, self.key, chat(text, **fields), seconds=seconds)

    def open(self, body: dict[str, Any], *, path: str = CHAT, receive_buffer: int | None = None) -> Caller:
        """A call whose answer is left to the test, as the socket is."""
        caller = self.connect(receive_buffer=receive_buffer)
        caller.send_call(self.key, body, path=path)
        return caller

    def connect(self, *, receive_buffer: int | None = None) -> Caller:
        """A connection on which nothing was said yet."""
        caller = Caller(self.url, receive_buffer=receive_buffer)
        self._callers.append(caller)
        return caller

    def hang_up(self) -> None:
        """Close what tests have left open: those that failed."""
        while self._callers:
            self._callers.pop().close()

    def settle(self) -> list[dict[str, Any]]:
        """
        Calm the simulator, make one more call, which has to work, and wait for its event: those stored with it or
        before it that nobody was told of yet.
        """
        self.calm()
        answer = self.ask("is anybody there?")
        assert answer.status == 200, answer
        for _ in poll(10):
            events = self.untold_events()
            if any(event["request_id"] == answer.request_id for event in events):
                self.tell(*events)
                return [event for event in events if event["request_id"] != answer.request_id]
        raise AssertionError("the event of a call does not arrive")

    def untold_events(self) -> list[dict[str, Any]]:
        """Events that are stored and that `settle` has not told of; makes no call."""
        return [event for event in read_events(self.gateway.home) if event["request_id"] not in self._told]

    def tell(self, *events: dict[str, Any]) -> None:
        """Count these events as told."""
        self._told.update(event["request_id"] for event in events)

    def wait_for(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait until `condition()` holds."""
        for _ in poll(seconds):
            if condition():
                return
        raise AssertionError(f"not within {seconds} s")

    def upstream_calls(self) -> list[dict[str, Any]]:
        """The model calls that reached the simulator since it was calmed."""
        return [
            request for request in self.simulator.requests if request["path"] in {"/chat/completions", "/embeddings"}
        ]

    def in_flight(self, count: int) -> None:
        """Wait until so many calls are under way at the simulator."""
        self.wait_for(lambda: self.simulator.stats["in_flight"] == count)

    def seconds_until_aborted(self, count: int) -> float:
        """How long it takes from now until the simulator has seen so many of its connections closed on it."""
        began = time.monotonic()
        for _ in poll(10, pause=0.001):
            if self.simulator.stats["aborted"] >= count:
                return time.monotonic() - began
        raise AssertionError(f"the upstream call goes on: {self.simulator.stats}")
