"""
How long the gateway takes for each admin page, over a ledger of `bench/run_ledger.py`.

    python bench/run_pages.py --directory /var/tmp/ledger

Each page is fetched over one connection, again and again. What pages keep for a moment is not kept: each is made as if
calls had come in since the last time (`--kept` keeps it). Times are wall-clock milliseconds from the first byte of the
request to the last of the page, and the gateway's CPU for each.

Exit code 1 when the 95th percentile of all is over 50 ms, or of any page.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.ledger import LedgerShape, list_keys
from bench.ledger_bench import read_through
from bench.machine import cpu_seconds

TARGET_MS = 50.0
PERIODS = ("15m", "1h", "24h", "7d", "30d")


@dataclass(frozen=True)
class PageOfPlane:
    """A page, and where it is; the number tells of which key."""

    name: str
    locate: Callable[[int], str]


def main(arguments: list[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, required=True, help="the directory that run_ledger.py filled")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--only", default="", help="only pages whose name has this in it")
    parser.add_argument("--kept", action="store_true", help="answers are kept for a moment, as they are in a gateway")
    given = parser.parse_args(arguments)
    ledger = given.directory / "ledger.db"
    if not ledger.exists():
        sys.exit(f"there is no {ledger}: make one with bench/run_ledger.py --directory {given.directory}")
    with tempfile.TemporaryDirectory(prefix="pages-", dir=given.directory) as name:
        (Path(name) / "copilot-api.db").hardlink_to(ledger)  # a symbolic one would be refused
        read_through(ledger)
        command = [sys.executable, "-m", "bench.pages_gateway", name, *(["--kept"] if given.kept else [])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
            try:
                assert gateway.stdout is not None
                url, _, admin = gateway.stdout.readline().strip().partition(" ")
                if not admin:
                    sys.exit("the gateway did not start")
                with closing(Visitor(url, admin)) as visitor:
                    return measure(visitor, gateway.pid, given.repeats, given.only)
            finally:
                gateway.terminate()
                gateway.wait(60)


class Visitor:
    """Somebody who is signed in, on one connection."""

    def __init__(self, url: str, secret: str) -> None:
        host = urllib.parse.urlsplit(url).netloc
        self._origin = url
        self._connection = http.client.HTTPConnection(host, timeout=120)
        self._cookie = ""
        body = urllib.parse.urlencode({"key": secret})
        status, headers, _ = self._ask("POST", "/admin/login", body)
        if status != 303:
            sys.exit(f"signing in: {status}")
        self._cookie = headers["set-cookie"].partition(";")[0]

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def fetch(self, path: str) -> tuple[float, int]:
        """Milliseconds and bytes."""
        began = time.perf_counter()
        status, _, body = self._ask("GET", path)
        taken = (time.perf_counter() - began) * 1000
        if status != 200:
            sys.exit(f"{path}: {status} {body[:300]!r}")
        return taken, len(body)

    def read(self, path: str) -> dict[str, object]:
        """What the admin API answers."""
        answer: dict[str, object] = json.loads(self._ask("GET", path)[2])
        return answer

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, http.client.HTTPMessage, bytes]:
        headers = {"sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin", "cookie": self._cookie}
        if body is not None:
            headers |= {"content-type": "application/x-www-form-urlencoded", "origin": self._origin}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.headers, answer.read()


def measure(visitor: Visitor, pid: int, repeats: int, only: str) -> int:
    """Every page, the slowest first; gives the exit code."""
    found: list[tuple[float, float, float, float, int, str]] = []
    everything: list[float] = []
    for page in list_pages(visitor):
        if only not in page.name:
            continue
        for _ in range(2):  # what is read from the disk, or compiled, for the first time is not measured
            visitor.fetch(page.locate(0))
        cpu = cpu_seconds(pid)
        taken, sizes = zip(*(visitor.fetch(page.locate(number)) for number in range(repeats)), strict=True)
        cpu = (cpu_seconds(pid) - cpu) / repeats * 1000
        everything += taken
        found.append((_p95(taken), statistics.median(taken), max(taken), cpu, max(sizes), page.name))
    for slow, usual, worst, cpu, size, name in sorted(found, reverse=True):
        print(f"{slow:8.1f} p95 {usual:8.1f} median {worst:8.1f} at most {cpu:6.0f} CPU {size / 1024:7.0f} KiB  {name}")
    print(f"all: p95 {_p95(everything):.1f} ms, median {statistics.median(everything):.1f} ms")
    return 0 if max(_p95(everything), *(each[0] for each in found)) < TARGET_MS else 1


def list_pages(visitor: Visitor) -> Iterator[PageOfPlane]:
    """Every page there is to look at, and those of a period for each period."""
    keys = list_keys(LedgerShape(0))
    some = [keys[0], keys[len(keys) // 100], keys[len(keys) // 2]]
    request_id = _find_request(visitor)
    of_period = {
        "overview": "/admin?",
        "usage by model": "/admin/usage?",
        "usage by key": "/admin/usage?by=key&",
        "usage by client": "/admin/usage?by=client&",
        "usage of a key": "/admin/usage?q=key:{key}&",
        "requests": "/admin/requests?",
        "requests that failed": "/admin/requests?q=status:%3E%3D400&",
        "requests of a key": "/admin/requests?q=key:{key}&",
        "keys": "/admin/keys?",
        "key": "/admin/keys/{key}?",
        "models": "/admin/models?",
        "my usage": "/admin/my-usage?",
    }
    for name, path in of_period.items():
        for period in PERIODS:
            yield PageOfPlane(f"{name}, {period}", _locate(f"{path}range={period}", some))
    for name, path in {
        "request": f"/admin/requests/{request_id}",
        "key, new": "/admin/keys/new",
        "key, edit": "/admin/keys/{key}/edit",
        "revoke": "/admin/keys/revoke?id={key}",
        "identities": "/admin/identities",
        "traces": "/admin/traces",
        "traces tail": "/admin/traces/tail",
        "traces dry run": "/admin/traces/dry-run",
        "audit": "/admin/audit",
        "audit of keys": "/admin/audit?action=key.issued",
        "settings": "/admin/settings",
        "settings history": "/admin/settings/history",
        "system": "/admin/system",
        "set-up": "/admin/set-up",
    }.items():
        yield PageOfPlane(name, _locate(path, some))


def _find_request(visitor: Visitor) -> str:
    events = visitor.read("/admin/api/events?limit=1")["events"]
    assert isinstance(events, list)
    return str(events[0]["request_id"])


def _locate(path: str, keys: list[str]) -> Callable[[int], str]:
    return lambda number: path.replace("{key}", keys[number % len(keys)])


def _p95(times: "list[float] | tuple[float, ...]") -> float:
    return sorted(times)[max(0, round(len(times) * 0.95) - 1)]
