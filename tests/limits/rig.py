"""A gateway with few slots before a simulator that counts for itself, and crowds of calls."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.faults.client import Answer, Caller, ask, chat, poll
from tests.harness import GatewayProcess, Simulator, http_json

SLOTS = 4
CONFIG: dict[str, Any] = {
    "limits": {"max_in_flight_per_identity": SLOTS, "queue_timeout_s": 20, "max_queue_length": 400}
}


class Rig:
    """See the module."""

    def __init__(self, home: Path, config: dict[str, Any] | None = None, *flags: str) -> None:
        self.home = home
        home.mkdir(mode=0o700)
        (home / "config.json").write_text(json.dumps(config or CONFIG))
        self.flags = flags
        self.simulator = Simulator()
        self._callers: list[Caller] = []

    def __enter__(self) -> Self:
        self.simulator.start()
        self.gateway = GatewayProcess(self.home, self.simulator.url, *self.flags)
        self.gateway.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.hang_up()
        self.gateway.stop()
        self.simulator.stop()

    def restart(self, number: int = signal.SIGTERM, *flags: str) -> None:
        """End the gateway with a signal, and start it on the same data."""
        self.gateway.stop(number)
        self.gateway = GatewayProcess(self.home, self.simulator.url, *(flags or self.flags))
        self.gateway.start()

    def calm(self) -> None:
        """No faults, no pace, nothing counted from now on."""
        self.simulator.post("/_sim/faults")
        self.pace(first_token_seconds=0, gap_seconds=0, tokens=12)
        self.forget()

    def forget(self) -> None:
        """Have the simulator count anew."""
        for path in ("stats", "requests"):
            http_json("DELETE", f"{self.simulator.url}/_sim/{path}")

    def pace(self, **fields: Any) -> None:
        """Have the simulator take its time."""
        self.simulator.post("/_sim/pace", fields)

    def fault(self, name: str, **fields: Any) -> None:
        """Have the simulator stumble."""
        self.simulator.post("/_sim/faults", {"name": name, **fields})

    def make_key(self, *flags: str, label: str = "test") -> dict[str, Any]:
        """A new key with everything that is said of it."""
        issued: dict[str, Any] = json.loads(self.gateway.cli("keys", "create", "--label", label, "--json", *flags))
        return issued

    def key(self, *flags: str, label: str = "test") -> str:
        """A new key's secret."""
        return str(self.make_key(*flags, label=label)["key"])

    def ask(self, key: str, text: str = "hi", *, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
        """One chat call to its end."""
        return ask(self.gateway.url, key, chat(text, **fields), headers=headers, seconds=60)

    def open(self, key: str, text: str = "hi", **fields: Any) -> Caller:
        """A call whose answer is left to the test."""
        caller = Caller(self.gateway.url, seconds=30)
        self._callers.append(caller)
        caller.send_call(key, chat(text, **fields))
        return caller

    def hang_up(self) -> None:
        """Close what tests have left open."""
        while self._callers:
            self._callers.pop().close()

    def crowd(self, calls: Iterable[Callable[[], Answer]]) -> list[Answer]:
        """All of them at once."""
        waiting = list(calls)
        with ThreadPoolExecutor(len(waiting)) as pool:
            return [future.result() for future in [pool.submit(call) for call in waiting]]

    def in_flight(self, count: int) -> None:
        """Wait until so many calls are under way at the simulator."""
        for _ in poll(10):
            if self.simulator.stats["in_flight"] == count:
                return
        raise AssertionError(f"not {count} in flight: {self.simulator.stats}")

    def assert_all_slots_are_free(self, key: str, slots: int = SLOTS) -> None:
        """As many calls as there are slots are under way at once, within moments, and end well."""
        self.calm()
        self.pace(first_token_seconds=0.4)
        time.sleep(0.15)  # a call that was broken off keeps its slot for a moment
        began = time.monotonic()
        answers = self.crowd([lambda: self.ask(key)] * slots)
        seconds = time.monotonic() - began
        assert [answer.status for answer in answers] == [200] * slots, answers
        assert self.simulator.stats["max_in_flight"] == slots
        assert seconds < 0.4 * 1.8 + 0.5, f"they did not run side by side: {seconds:.2f} s"

    def events(self, *request_ids: str) -> list[dict[str, Any]]:
        """The events of these calls, once they are all stored."""
        for _ in poll(10, pause=0.1):
            found = {event["request_id"]: event for event in self.gateway.events()}
            if all(request_id in found for request_id in request_ids):
                return [found[request_id] for request_id in request_ids]
        raise AssertionError("the events do not arrive")

    def usage(self, key: str) -> dict[str, Any]:
        """`GET /usage` as the holder of a key."""
        status, document = http_json("GET", f"{self.gateway.url}/usage", key=key)
        assert status == 200
        found: dict[str, Any] = document
        return found

    def limits(self, key: str) -> dict[str, dict[str, Any]]:
        """The limits in `GET /usage` by name."""
        return {limit["name"]: limit for limit in self.usage(key)["limits"]}


def statuses(answers: Iterable[Answer]) -> dict[int, int]:
    """How many answers of each status."""
    return dict(Counter(answer.status for answer in answers))
