"""With `--proxy-env` every call to GitHub goes through the proxy, and all that is promised about calls still holds."""

import contextlib
import http.client
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.faults.client import chat
from tests.faults.pair import DETECTION_SECONDS, SLACK_SECONDS, Pair
from tests.faults.process import holdings, settled
from tests.harness import GatewayProcess, Simulator


class Proxy(socketserver.ThreadingTCPServer):
    """A forward proxy that notes where requests go and passes every byte on."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.targets: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Forward(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        line = self.rfile.readline().decode()
        if not line:
            return
        method, url, version = line.split()
        self.server.targets.append(url)
        parts = urlsplit(url)
        fields = http.client.parse_headers(self.rfile)
        body = self.rfile.read(int(fields.get("content-length", "0")))
        del fields["connection"]
        fields["connection"] = "close"
        with socket.create_connection((parts.hostname or "", parts.port or 80)) as target:
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            target.sendall(f"{method} {parts.path} {version}\r\n{head}\r\n".encode() + body)
            watch = threading.Thread(target=self._hang_up_with_the_client, args=(target,), daemon=True)
            watch.start()
            with contextlib.suppress(OSError):
                while data := target.recv(65536):
                    self.wfile.write(data)
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            watch.join(5)

    def _hang_up_with_the_client(self, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.connection.recv(1)  # nothing, or a reset
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with Proxy() as proxy:
        serving = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield proxy
        proxy.shutdown()
        serving.join()


@pytest.fixture(scope="module")
def _proxied(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    variables = {"HTTP_PROXY": proxy.url, "http_proxy": proxy.url, "NO_PROXY": "", "no_proxy": ""}
    home = tmp_path_factory.mktemp("proxied") / "home"
    with Simulator() as simulator, GatewayProcess(home, simulator.url, "--proxy-env", **variables) as gateway:
        yield Pair(simulator, gateway)


@pytest.fixture
def proxied(_proxied: Pair) -> Pair:
    """A gateway whose way out leads through the proxy."""
    _proxied.calm()
    _proxied.forget()
    _proxied.tell(*_proxied.untold_events())
    return _proxied


def test_everything_goes_through_the_proxy(proxied: Pair, proxy: Proxy) -> None:
    assert proxied.settle() == []
    paths = {urlsplit(target).path for target in proxy.targets}
    assert {"/copilot_internal/v2/token", "/models", "/chat/completions"} <= paths


@pytest.mark.parametrize("stream", [False, True])
def test_calls_are_answered(proxied: Pair, stream: bool) -> None:
    answer = proxied.ask(stream=stream)
    assert answer.status == 200
    assert answer.text
    assert answer.is_complete_stream or not stream
    (event,) = proxied.settle()
    assert (event["cause"], event["output_tokens"]) == ("ok", 24)


@pytest.mark.parametrize(
    ("fault", "stream", "status", "code"),
    [
        ("cut", False, 502, "upstream_cut"),
        ("cut", True, None, "upstream_cut"),  # the library drops what it has when a break follows at once
        ("cut-clean", True, 200, "upstream_cut"),
        ("midstream-error", True, 200, "upstream_error"),
        ("garbage", True, 502, "upstream_error"),
        ("refused-close", False, 502, "upstream_error"),
        ("html-200", False, 502, "upstream_error"),
        ("429", True, 429, "rate_limited"),
    ],
)
def test_faults_are_errors_and_never_look_like_a_whole_answer(
    proxied: Pair, fault: str, stream: bool, status: int | None, code: str
) -> None:
    proxied.fault(fault)
    answer = proxied.ask(stream=stream)
    assert answer.error["code"] == code
    assert answer.status == status or (status is None and answer.status in {200, 502})
    assert "[DONE]" not in answer.payloads
    (event,) = proxied.settle()
    assert event["cause"] != "ok"


@pytest.mark.parametrize("kind", ["stall-headers", "stall"])
def test_a_client_that_hangs_up_ends_the_upstream_call(proxied: Pair, kind: str) -> None:
    aborted = proxied.simulator.stats["aborted"]
    proxied.fault(kind)
    with proxied.open(chat(stream=True)):
        proxied.in_flight(1)
    assert proxied.seconds_until_aborted(aborted + 1) <= DETECTION_SECONDS + SLACK_SECONDS
    (event,) = proxied.settle()
    assert event["cause"] == "client_aborted"


def test_nothing_is_left_behind(proxied: Pair) -> None:
    def once(fault: str, body: dict[str, Any]) -> None:
        aborted = proxied.simulator.stats["aborted"]
        proxied.fault(fault)
        with proxied.open(body):
            proxied.in_flight(1)
        proxied.seconds_until_aborted(aborted + 1)
        proxied.calm()
        proxied.ask(stream=True)

    once("stall", chat(stream=True))
    proxied.settle()
    baseline = holdings(proxied.pid)
    for _ in range(10):
        once("stall", chat(stream=True))
        once("stall-headers", chat())
    proxied.settle()
    now = settled(proxied.pid, baseline)
    assert now.descriptors <= baseline.descriptors
    assert now.threads <= baseline.threads
