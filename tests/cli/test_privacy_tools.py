"""The tools find the gateways that run on the data directory, and ask them for what only they have."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from copilot_api.cli.privacy_tools import LocalGateways
from copilot_api.cli.trace_client import Refused
from tests.capture.kept import make_trace

TRACES = {f"req_{number}": make_trace(number) for number in range(1, 4)}


class Handler(BaseHTTPRequestHandler):
    """A gateway's socket that has three traces, one a page. One of them goes before it is asked for."""

    broken = False

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/admin/api/traces":
            query = parse_qs(parts.query)
            assert query["key"] == ["key_a"]
            number = int(query.get("before", ["4"])[0]) - 1
            following = number if number > 1 else None
            self.answer(200, {"traces": [{"request_id": f"req_{number}"}], "next": following})
        elif self.path.endswith("req_2"):
            self.answer(403 if self.broken else 404, {"error": {"message": "no"}})
        else:
            self.answer(200, msgspec.to_builtins(TRACES[self.path.rpartition("/")[2]]))

    def answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-should-retry", "false")
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "local"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the library's name
        """Nothing."""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    with ThreadingUnixStreamServer(str(tmp_path / "control.sock"), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield tmp_path
        server.shutdown()
        thread.join()


def test_a_gateway_is_asked_page_by_page_and_what_is_gone_is_passed_over(directory: Path) -> None:
    gateways = LocalGateways(directory)
    assert gateways.count() == 1
    assert gateways.count_traces("key_a", {"req_1"}) == 2
    assert [trace.request_id for trace in gateways.list_traces("key_a", set())] == ["req_3", "req_1"]
    assert [trace.request_id for trace in gateways.list_traces("key_a", {"req_3"})] == ["req_1"]


def test_a_refusal_is_told(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "broken", True)
    with pytest.raises(Refused):
        list(LocalGateways(directory).list_traces("key_a", set()))
